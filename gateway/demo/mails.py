"""Invented citizens who write mails, and the machines that write too. No name, address or message is real."""

import asyncio
import mailbox
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from random import Random
from typing import Final, Literal

ADDRESS: Final = "lapor@example.go.id"
"""Whom the invented citizens write to."""

MailKind = Literal[
    "report", "html", "picture", "chaser", "forward", "english", "repeat", "odd", "absence", "newsletter", "bounce"
]
"""html: with a plain half and a signature. chaser: asks after a report, the receipt quoted below. odd: in another
charset, without subject or Message-ID. absence: an out-of-office robot. The last two come from machines too."""

_MATTERS: Final = (
    "Jalan desa rusak parah",
    "Lampu jalan padam",
    "Air PDAM tidak mengalir",
    "Sampah menumpuk di dekat sekolah",
    "Pungutan liar di tempat parkir",
    "Saluran irigasi jebol",
    "Bantuan sekolah belum cair",
    "KTP elektronik belum jadi",
)
_PLACES: Final = ("Desa Sukamaju", "Kec. Mekarsari", "Kel. Tanjung Baru", "Dusun Krajan", "RT 05 RW 02 Karangrejo")
_KEYWORDS: Final = ("", "", "", "LAPOR: ", "BJN ", "TANGKAB ")
_DETAILS: Final = (
    "Kami sudah melapor ke kantor desa tetapi belum ada jawaban.",
    "Sudah banyak warga yang jatuh, apalagi kalau hujan.",
    "Keadaan ini sudah berlangsung sejak bulan lalu.",
    "Mohon kiranya dapat ditinjau langsung ke lokasi.",
    "Anak-anak sekolah harus memutar jauh setiap hari.",
)
_SIGNATURES: Final = ("", "\n\nHormat kami,\nWarga RT 05", "\n\n--\nDikirim dari ponsel saya", "\n\nTerima kasih 🙏")
_SHARES: Final[tuple[tuple[MailKind, int], ...]] = (
    ("report", 38), ("html", 16), ("picture", 10), ("chaser", 8), ("forward", 5), ("english", 5), ("repeat", 5),
    ("odd", 4), ("absence", 4), ("newsletter", 3), ("bounce", 2),
)  # fmt: skip
_PICTURE: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000020001e221bc33"
    "0000000049454e44ae426082"
)
"""A grey dot, in PNG."""


@dataclass(frozen=True, slots=True)
class InventedMail:
    """A mail as it is delivered: RFC 5322, lines ended by CRLF."""

    kind: MailKind
    sender: str
    content: bytes


def invent_mails(random: Random, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[InventedMail]:
    """Invented mails without end, in a lively mix; ``now`` dates them."""
    kinds = [kind for kind, _ in _SHARES]
    weights = [weight for _, weight in _SHARES]
    previous: EmailMessage | None = None
    while True:
        kind = random.choices(kinds, weights)[0]
        if kind == "repeat" and previous is not None:
            mail = _repeated(random, previous, now())
        else:
            mail = _MAKERS[kind](random, now())
        if kind in ("report", "html"):
            previous = mail
        yield InventedMail(kind, str(mail["From"]), mail.as_bytes(policy=SMTP))


async def keep_writing(maildir: Path, random: Random, a_second: float) -> None:
    """Has invented citizens write into a Maildir at about this pace until cancelled."""
    folder = await asyncio.to_thread(open_maildir, maildir)
    for mail in invent_mails(random):
        await asyncio.to_thread(deliver, folder, mail)
        await asyncio.sleep(random.uniform(0.5, 1.5) / a_second)


def open_maildir(path: Path) -> mailbox.Maildir:
    """The Maildir, made if it is not there."""
    for part in ("tmp", "new", "cur"):
        (path / part).mkdir(parents=True, exist_ok=True)
    return mailbox.Maildir(path, create=False)


def deliver(folder: mailbox.Maildir, mail: InventedMail) -> str:
    """Delivers a mail as an MTA does: written and synced under ``tmp``, then linked into ``new``. Returns its key."""
    return folder.add(mail.content.replace(b"\r\n", b"\n"))


def _blank(random: Random, at: datetime, subject: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    number = random.randrange(10_000)
    mail["From"] = f"Warga {number:04d} <warga{number:04d}@example.org>"
    mail["To"] = ADDRESS
    if subject:
        mail["Subject"] = subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{random.getrandbits(64):016x}@mail.example.org>"
    return mail


def _matter(random: Random) -> str:
    return f"{random.choice(_MATTERS)} di {random.choice(_PLACES)} no {random.randrange(1, 400)}"


def _text(random: Random, matter: str) -> str:
    details = " ".join(random.sample(_DETAILS, random.randrange(1, 4)))
    return f"Yth. Bapak/Ibu,\n\n{matter}. {details}{random.choice(_SIGNATURES)}\n"


def _report(random: Random, at: datetime) -> EmailMessage:
    matter = _matter(random)
    mail = _blank(random, at, random.choice(_KEYWORDS) + matter)
    mail.set_content(_text(random, matter))
    return mail


def _html(random: Random, at: datetime) -> EmailMessage:
    mail = _report(random, at)
    paragraphs = str(mail.get_content()).strip().split("\n\n")
    body = "".join(f"<p>{paragraph.replace(chr(10), '<br>')}</p>" for paragraph in paragraphs)
    mail.add_alternative(f"<html><body>{body}</body></html>", subtype="html")
    return _bounded(random, mail)


def _picture(random: Random, at: datetime) -> EmailMessage:
    mail = _report(random, at)
    mail.add_attachment(_PICTURE, "image", "png", filename=f"foto lokasi {random.randrange(100)}.png")
    return _bounded(random, mail)


def _chaser(random: Random, at: datetime) -> EmailMessage:
    number = random.randrange(10**9, 10**10)
    mail = _blank(random, at, f"Re: {_matter(random)}")
    quoted = f"Pada Sen, 2 Nov 2026 pukul 09.00 LAPOR! <{ADDRESS}> menulis:\n> Laporan Anda kami terima: #{number}\n"
    mail.set_content(f"Sampai di mana laporan saya? Belum ada kabar.\n\n{quoted}")
    return mail


def _forward(random: Random, at: datetime) -> EmailMessage:
    mail = _blank(random, at, "Fwd: mohon diteruskan")
    mail.set_content("Saya teruskan keluhan tetangga saya.\n")
    mail.add_attachment(_report(random, at))
    return _bounded(random, mail)


def _english(random: Random, at: datetime) -> EmailMessage:
    mail = _blank(random, at, "Broken street lights")
    place = random.choice(_PLACES)
    mail.set_content(f"Dear Sir or Madam,\n\nthe street lights in {place} have been out for two weeks. Please help.\n")
    return mail


def _odd(random: Random, at: datetime) -> EmailMessage:
    mail = _blank(random, at, "")
    del mail["Message-ID"]
    mail.set_content(_text(random, _matter(random)).replace("🙏", "–"), charset="windows-1252", cte="8bit")
    return mail


def _absence(random: Random, at: datetime) -> EmailMessage:
    mail = _blank(random, at, "Sedang di luar kantor: Re: Laporan Anda")
    mail["Auto-Submitted"] = "auto-replied"
    mail.set_content("Saya sedang cuti dan kembali hari Senin.\n")
    return mail


def _newsletter(random: Random, at: datetime) -> EmailMessage:
    mail = _blank(random, at, "Kabar mingguan rekaan")
    mail["List-Id"] = "<kabar.example.net>"
    mail["List-Unsubscribe"] = "<mailto:berhenti@example.net>"
    mail["Precedence"] = "bulk"
    mail.set_content("Berita minggu ini: tidak ada.\n")
    return mail


def _bounce(random: Random, at: datetime) -> EmailMessage:
    mail = _blank(random, at, "Undelivered Mail Returned to Sender")
    mail.replace_header("From", "Mail Delivery System <MAILER-DAEMON@example.net>")
    mail["Return-Path"] = "<>"
    mail["Auto-Submitted"] = "auto-replied"
    mail.set_content("The mail could not be delivered: mailbox unknown.\n")
    return mail


def _repeated(random: Random, previous: EmailMessage, at: datetime) -> EmailMessage:
    """The same citizen writes the same again."""
    mail = _blank(random, at, str(previous["Subject"]))
    mail.replace_header("From", str(previous["From"]))
    plain = previous.get_body(("plain",))
    mail.set_content("" if plain is None else plain.get_content())
    return mail


def _bounded(random: Random, mail: EmailMessage) -> EmailMessage:
    """With a boundary of this generator's, so that the same seed invents the same bytes."""
    mail.set_boundary(f"=-{random.getrandbits(64):016x}")
    return mail


_MAKERS: Final[dict[MailKind, Callable[[Random, datetime], EmailMessage]]] = {
    "report": _report,
    "html": _html,
    "picture": _picture,
    "chaser": _chaser,
    "forward": _forward,
    "english": _english,
    "repeat": _report,
    "odd": _odd,
    "absence": _absence,
    "newsletter": _newsletter,
    "bounce": _bounce,
}
