"""Machines that write to each other: two gateways, and out-of-office robots. Every exchange ends by itself."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import select

from channels.mail import robots
from channels.mail.channel import MailChannel
from channels.mail.settings import MailSettings
from gateway.application import Gateway
from gateway.plugins import channel_plugins
from gateway.ports import Channel, ChannelSettings, ChannelStore
from gateway.settings.model import ChannelSection
from gateway.store.tables import answers, messages
from tests.conftest import eventually
from tests.fakes import RecordingPublisher
from tests.integration.kernel import settings_for
from tests.integration.mail_bench import QUICK
from tests.services.smtp import SmtpPeer

FIRST, SECOND = "lapor@pertama.example.go.id", "lapor@kedua.example.go.id"
CITIZEN = "budi@warga.example.org"
MARKS = ("Auto-Submitted", "X-Auto-Response-Suppress", "Precedence", "X-Loop")
THREAD = ("In-Reply-To", "References")
CAP = 3

Deliver = Callable[[str, bytes], Awaitable[None]]
"""What a mailbox does with a mail: the envelope's sender, and the mail."""

Compose = Callable[[EmailMessage, int], EmailMessage]
"""What a machine writes: to which mail, and its how manieth it is."""


@dataclass
class PostOffice(SmtpPeer):
    """The mail servers of all: what it takes is delivered before it says so.

    Attributes:
        mailboxes: By address.
        stripped: Fields that are lost on the way.
        delivered: The addresses that mails went to, in that order.
    """

    mailboxes: dict[str, Deliver] = field(default_factory=dict)
    stripped: tuple[str, ...] = ()
    delivered: list[str] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        reply = await super().handle_DATA(server, session, envelope)
        mail = self.received[-1]
        for recipient in mail.rcpt_tos:
            await self.post(mail.mail_from, recipient, mail.content)
        return reply

    async def post(self, mail_from: str, recipient: str, content: bytes) -> None:
        """Brings one mail into its mailbox."""
        self.delivered.append(recipient)
        mail = message_from_bytes(content, policy=policy.SMTP)
        for name in self.stripped:
            del mail[name]
        await self.mailboxes[recipient](mail_from, mail.as_bytes())


class Office:
    """A gateway whose mailbox is a Maildir, with the real parser and an outbox that leads nowhere."""

    _names = count(1)

    def __init__(self, folder: Path, address: str, post: PostOffice, **changes: Any) -> None:
        self.address = address
        self.maildir = folder / address
        for name in ("tmp", "new", "cur"):
            (self.maildir / name).mkdir(parents=True)
        table = {
            "type": "mail",
            "mailbox": f"maildir:{self.maildir}",
            "smtp": post.url(),
            "address": address,
            "poll_seconds": 0.1,
        }
        plugin = replace(channel_plugins()["mail"], create=_quick_channel)
        section = ChannelSection("email", plugin, MailSettings.model_validate(table | changes))
        settings = settings_for(f"sqlite:///{folder / address}.db", channels=[section], files=str(folder / "files"))
        self.queue = RecordingPublisher()
        self.gateway = Gateway(settings, publisher=self.queue)
        post.mailboxes[address] = self.deliver

    async def deliver(self, mail_from: str, content: bytes) -> None:
        """What an MTA does: the envelope's sender and its stamp in front, then into ``new`` in one piece."""
        name = f"1700000000.M{next(self._names)}.uji"
        place = self.maildir / "tmp" / name
        received = f"Received: from uji by mx.example.go.id with ESMTP id 1;\r\n {format_datetime(datetime.now(UTC))}"
        place.write_bytes(f"Return-Path: <{mail_from}>\r\n{received}\r\n".encode() + content)
        place.rename(self.maildir / "new" / name)

    async def is_idle(self) -> bool:
        """Whether every mail is in custody, decided, and answered if it is to be."""
        read = [entry.name.partition(":2,")[2] for entry in (self.maildir / "cur").iterdir()]
        if any((self.maildir / "new").iterdir()) or not all("S" in flags for flags in read):
            return False
        undecided = await self._column(messages.c.state)
        unsent = await self._column(answers.c.state)
        return not {"received", "assembling"} & set(undecided) and not {"queued", "sending", "unsure"} & set(unsent)

    async def decisions(self) -> list[str]:
        """What became of each mail, oldest first."""
        return await self._column(messages.c.decision)

    async def fates(self) -> list[str]:
        """What became of each answer, oldest first."""
        return await self._column(answers.c.state)

    async def _column(self, column: Any) -> list[str]:
        async with self.gateway.store.read() as connection:
            return list((await connection.execute(select(column).order_by(column.table.c.id))).scalars())


def _quick_channel(name: str, settings: ChannelSettings, store: ChannelStore) -> Channel:
    assert isinstance(settings, MailSettings)
    return MailChannel(name, settings, store, pace=QUICK)


class Robot:
    """Answers every mail at once. Whoever it writes to is the one who wrote.

    Args:
        post: Takes its mails.
        compose: What it writes.
    """

    def __init__(self, post: PostOffice, compose: Compose) -> None:
        self._post = post
        self._compose = compose
        self._numbers = count(1)
        post.mailboxes[CITIZEN] = self.deliver

    async def deliver(self, _mail_from: str, content: bytes) -> None:
        asked = message_from_bytes(content, _class=EmailMessage, policy=policy.default)
        number = next(self._numbers)
        reply = self._compose(asked, number)
        reply["From"], reply["To"] = f"Budi <{CITIZEN}>", str(asked["From"])
        reply["Date"] = format_datetime(datetime.now(UTC))
        reply["Message-ID"] = f"<robot-{number}@warga.example.org>"
        address = re.sub(r".*<|>.*", "", str(asked["From"]))
        await self._post.post(CITIZEN, address, reply.as_bytes(policy=policy.SMTP))


def _said(text: str, subject: str, **fields: str) -> EmailMessage:
    reply = EmailMessage()
    reply["Subject"] = subject
    for name, value in fields.items():
        reply[name.replace("_", "-")] = value
    reply.set_content(text)
    return reply


def _in_thread(asked: EmailMessage, reply: EmailMessage) -> EmailMessage:
    reply["In-Reply-To"] = str(asked["Message-ID"])
    reply["References"] = f"{asked['References'] or ''} {asked['Message-ID']}".strip()
    return reply


def _quoted(asked: EmailMessage) -> str:
    return "".join(f"> {line}\n" for line in str(asked.get_content()).splitlines())


AWAY = "Saya sedang tidak di tempat sampai Senin."
THANKS = "Terima kasih, permintaan Anda sudah kami terima."

MARKED: dict[str, Compose] = {
    "rfc 3834": lambda asked, _: _said(AWAY, f"Auto: {asked['Subject']}", Auto_Submitted="auto-replied"),
    "exchange": lambda asked, _: _in_thread(
        asked,
        _said(
            AWAY,
            f"Automatic reply: {asked['Subject']}",
            Auto_Submitted="auto-generated",
            X_Auto_Response_Suppress="All",
            X_MS_Exchange_Inbox_Rules_Loop=CITIZEN,
        ),
    ),
    "gmail": lambda asked, _: _in_thread(
        asked, _said(AWAY, f"{asked['Subject']}", Precedence="bulk", X_Autoreply="yes", Auto_Submitted="auto-replied")
    ),
    "pigeonhole": lambda asked, _: _said(AWAY, f"Auto: {asked['Subject']}", Precedence="bulk"),
    "zimbra": lambda asked, _: _said(
        AWAY, f"Out of Office: {asked['Subject']}", Auto_Submitted="auto-replied (zimbra; vacation)"
    ),
    "cpanel": lambda asked, _: _said(AWAY, "Liburan", X_Autorespond=str(asked["Subject"]), Precedence="auto_reply"),
    "plesk": lambda _asked, _: _said(AWAY, "Libur", X_Autoreply="yes"),
    "qmail-autoresponder": lambda _asked, _: _said(AWAY, "Libur", Precedence="junk"),
    "notes": lambda _asked, _: _said(AWAY, "AUTO: Budi is out of the office", Auto_Submitted="auto-generated"),
    "zammad": lambda asked, _: _in_thread(
        asked,
        _said(
            THANKS,
            f"[Ticket#31001] {asked['Subject']}",
            Auto_Submitted="auto-replied",
            X_Auto_Response_Suppress="All",
            Precedence="bulk",
        ),
    ),
    "osticket": lambda _asked, _: _said(
        THANKS, "Support Ticket Opened [#31001]", X_Auto_Response_Suppress="ALL, DR, RN, NRN, OOF, AutoReply"
    ),
    "zendesk": lambda asked, _: _said(
        THANKS, f"[Request received] {asked['Subject']}", Auto_Submitted="auto-generated"
    ),
    "request tracker": lambda asked, _: _said(THANKS, f"[desa #31] AutoReply: {asked['Subject']}", Precedence="bulk"),
}
"""Machines by the marks that they write."""

TELLTALE: dict[str, Compose] = {
    "cuti": lambda _asked, _: _said("Saya kembali hari Senin.", "Sedang cuti sampai Senin"),
    "out of office": lambda asked, _: _said("I am back on Monday.", f"Out of office: {asked['Subject']}"),
    "balasan otomatis": lambda asked, _: _said(AWAY, f"Balasan otomatis: {asked['Subject']}"),
}
"""Machines without a mark, known by their subject."""

THREADED: dict[str, Compose] = {
    "quotes, in thread": lambda asked, _: _in_thread(asked, _said(_quoted(asked), str(asked["Subject"]))),
    "quotes": lambda asked, _: _said(_quoted(asked), str(asked["Subject"])),
    "free text, in thread": lambda asked, number: _in_thread(asked, _said(f"{THANKS} ({number})", "Konfirmasi")),
    "free text with all of the receipt": lambda asked, number: _said(
        f"{THANKS} ({number})\n\n{asked.get_content()}", "Konfirmasi"
    ),
}
"""Machines without a mark that say what they answer."""

REPLYING: dict[str, Compose] = {
    "same subject": lambda asked, number: _said(f"{THANKS} ({number})", str(asked["Subject"])),
    "auto": lambda asked, number: _said(f"{AWAY} ({number})", f"Auto: {asked['Subject']}"),
    "otrs": lambda asked, number: _said(f"{THANKS} ({number})", f"[Ticket#20261101{number:08}] {asked['Subject']}"),
    "freshdesk": lambda asked, number: _said(f"{THANKS} ({number})", f"Ticket Received - {asked['Subject']}"),
    "request tracker": lambda asked, number: _said(THANKS, f"[desa #{number}] AutoReply: {asked['Subject']}"),
}
"""Machines without a mark, without a thread, and without our words, whose subject is that of a reply."""

MUTE: dict[str, Compose] = {
    "free text": lambda _asked, number: _said(f"Pesan nomor {number} sudah masuk antrean kami.", f"Antrean {number}"),
    "notes of old": lambda _asked, number: _said(f"{AWAY} ({number})", "Budi is out of the office (returning Monday)"),
    "no subject": lambda _asked, number: _said(f"Kami catat dengan nomor {number}.", ""),
}
"""Machines that say nothing of what they are."""


def _first_mail(sender: str) -> bytes:
    mail = _said("Jalan di depan sekolah berlubang sejak Senin.", "Jalan rusak")
    mail["From"], mail["To"] = f"Budi <{sender}>", FIRST
    mail["Date"], mail["Message-ID"] = "Sun, 01 Nov 2026 07:00:00 +0700", "<awal@warga.example.org>"
    return mail.as_bytes(policy=policy.SMTP)


@pytest.fixture
async def post() -> AsyncIterator[PostOffice]:
    """The mail servers of all."""
    async with PostOffice() as office:
        yield office


@asynccontextmanager
async def _running(*offices: Office) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for office in offices:
            await office.gateway.start()
            stack.push_async_callback(office.gateway.stop)
        yield


async def _until_over(post: PostOffice, *offices: Office) -> None:
    """Waits until nothing can move any more.

    No mail was delivered while all were looked at, so what was idle when it was looked at still is.
    """

    async def is_over() -> bool:
        before = len(post.delivered)
        idle = [await office.is_idle() for office in offices]
        return all(idle) and len(post.delivered) == before

    await eventually(is_over, "the exchange to end")


@pytest.fixture
def without_guard_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every machine took its time."""
    monkeypatch.setattr(robots, "ROBOT_SECONDS", -10.0)  # no moment is so shortly before


@pytest.mark.usefixtures("without_guard_by_time")
@pytest.mark.parametrize(
    ("stripped", "delivered", "decisions", "fates"),
    [
        ((), [FIRST, SECOND], [["report"], ["ignored"]], [["sent"], []]),
        (MARKS, [FIRST, SECOND, FIRST], [["report", "update"], ["report"]], [["sent"], ["sent"]]),
        (
            (*MARKS, *THREAD),
            [FIRST, SECOND, FIRST],
            [["report", "report"], ["report"]],
            [["sent", "failed"], ["sent"]],
        ),
    ],
    ids=["marks", "marks-lost", "marks-and-thread-lost"],
)
async def test_two_gateways_end_after_an_answer_each(
    tmp_path: Path,
    post: PostOffice,
    stripped: tuple[str, ...],
    delivered: list[str],
    decisions: list[list[str]],
    fates: list[list[str]],
) -> None:
    """A citizen gives the second gateway's address for the own; the first answers there.

    The second knows an automatic mail. Where a relay has removed its marks it answers it, as a report, and the first
    knows that as a reply to its own; without a thread, by the subject, to an author whom it has answered that day.
    """
    post.stripped = stripped
    first, second = Office(tmp_path, FIRST, post), Office(tmp_path, SECOND, post)
    async with _running(first, second):
        await post.post(SECOND, FIRST, _first_mail(SECOND))
        await _until_over(post, first, second)
        assert [await first.decisions(), await second.decisions()] == decisions
        assert [await first.fates(), await second.fates()] == fates
    assert post.delivered == delivered


async def _exchange(
    folder: Path, post: PostOffice, compose: Compose, **settings: Any
) -> tuple[list[str], list[str], list[str]]:
    """A citizen writes, and a machine answers every answer: who got a mail, the decisions, the answers' fates."""
    Robot(post, compose)
    office = Office(folder, FIRST, post, **settings)
    async with _running(office):
        await post.post(CITIZEN, FIRST, _first_mail(CITIZEN))
        await _until_over(post, office)
        return post.delivered, await office.decisions(), await office.fates()


@pytest.mark.usefixtures("without_guard_by_time")
@pytest.mark.parametrize("compose", (MARKED | TELLTALE).values(), ids=[*MARKED, *TELLTALE])
async def test_what_a_known_machine_writes_is_no_report(tmp_path: Path, post: PostOffice, compose: Compose) -> None:
    """A citizen writes and goes on leave: the machine answers the receipt, however late, and gets no other."""
    delivered, decisions, fates = await _exchange(tmp_path, post, compose)
    assert (delivered, decisions, fates) == ([FIRST, CITIZEN, FIRST], ["report", "ignored"], ["sent"])


@pytest.mark.usefixtures("without_guard_by_time")
@pytest.mark.parametrize("compose", THREADED.values(), ids=THREADED)
async def test_what_says_what_it_answers_adds_to_that_report(
    tmp_path: Path, post: PostOffice, compose: Compose
) -> None:
    """By its thread or by the tracking ID; an addition has no receipt."""
    delivered, decisions, fates = await _exchange(tmp_path, post, compose)
    assert (delivered, decisions, fates) == ([FIRST, CITIZEN, FIRST], ["report", "update"], ["sent"])


@pytest.mark.usefixtures("without_guard_by_time")
@pytest.mark.parametrize("compose", REPLYING.values(), ids=REPLYING)
async def test_a_reply_without_thread_is_answered_once_a_day(
    tmp_path: Path, post: PostOffice, compose: Compose
) -> None:
    """A person may have written it: it is a report. Whoever it was has a receipt of that day."""
    delivered, decisions, fates = await _exchange(tmp_path, post, compose)
    assert (delivered, decisions) == ([FIRST, CITIZEN, FIRST], ["report", "report"])
    assert fates == ["sent", "failed"]


@pytest.mark.parametrize("compose", MUTE.values(), ids=MUTE)
async def test_a_machine_without_any_mark_gives_itself_away_by_its_haste(
    tmp_path: Path, post: PostOffice, compose: Compose
) -> None:
    """Nobody reads a receipt and writes another report within seconds; it is a report all the same."""
    delivered, decisions, fates = await _exchange(tmp_path, post, compose)
    assert (delivered, decisions) == ([FIRST, CITIZEN, FIRST], ["report", "report"])
    assert fates == ["sent", "failed"]


@pytest.mark.usefixtures("without_guard_by_time")
async def test_the_cap_ends_what_nothing_else_does(tmp_path: Path, post: PostOffice) -> None:
    """A machine that says nothing of what it is, and takes its time."""
    delivered, _, fates = await _exchange(tmp_path, post, MUTE["free text"], per_correspondent_per_day=CAP)
    assert delivered == [FIRST, *[CITIZEN, FIRST] * CAP]
    assert fates == ["sent"] * CAP + ["failed"]
