"""Recognises commands: a message that asks the gateway itself and says nothing else.

A command is the *whole* message, up to greetings and politeness. Each kind has a closed list of words, and one word
that is not in it makes the message what it was before: "Stop pungli di pasar", "Bantuan sosial belum cair" and "Status
laporan saya #… kenapa belum ada kabar" are for people to read. So a complaint is never taken for a command.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway.identifiers import is_tracking_id
from gateway.parsing import Parsed

CommandKind = Literal["status", "help", "stop", "start"]

LONGEST: Final = 200
"""Characters of the longest text that is looked into; nobody needs more for a command."""

MOST_NUMBERS: Final = 3

REASONS: Final[dict[CommandKind, str]] = {
    "status": "It asks how a report stands.",
    "help": "It asks how to report.",
    "stop": "It asks for no more notifications.",
    "start": "It asks for notifications again.",
}
"""What the ledger says of a command."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a citizen asks of the gateway.

    Attributes:
        kind: What.
        numbers: The tracking IDs that are asked for, without signs and blanks; a mistyped one has no right check digit.
        sure: False for a bare number without a word or a sign: it is a command only if it is a tracking ID of the
            sender's own.
    """

    kind: CommandKind
    numbers: tuple[str, ...] = ()
    sure: bool = True

    @property
    def reason(self) -> str:
        """What the ledger says."""
        return REASONS[self.kind]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_POLITE: Final = _words(
    "pak bapak bpk bp bapa bu ibu bunda mas mba mbak mbk bang bg kang teh kak kakak min mimin admin gan sis bro om"
    " tante tolong tlg tlong mohon mhn harap please pls plis ya yah yaa yaaa dong donk deh nih sih maaf maap mf permisi"
    " halo hallo hai hi hello dear yth selamat slmt met pagi siang sore malam assalamualaikum assalamu alaikum"
    " asalamualaikum ass wr wb wassalam salam terima terimakasih kasih makasih trims trimakasih tks thx thanks thank"
    " you suwun nuhun matur hatur ok oke baik"
)
_OURS: Final = "1708"

_HELP: Final = _words("bantuan help info menu panduan petunjuk lapor")
_HOW: Final = _words("cara caranya format prosedur how")
_WHAT: Final = _words("bagaimana bgmn bgm gimana gmn gmana")
_TO_REPORT: Final = _words("lapor melapor ngelapor mengadu ngadu")
_HOW_MATTER: Final = _TO_REPORT | _words(
    "melaporkan laporan pelaporan pengaduan adu aduan report sms kirim mengirim pakai penggunaan menggunakan"
)
_HOW_WORDS: Final = (
    _HOW
    | _WHAT
    | _HOW_MATTER
    | _words(
        "tata apa seperti spt untuk utk buat membuat mau ingin saya sy aku kami ke di lewat lwt via melalui sini yang"
        " yg benar bener to a do i can bisa dengan dgn tentang kalau klo tanya nanya minta info bantuan"
    )
)

_STOP: Final = _words("stop berhenti unreg unsubscribe")
_STOP_WITH_NEWS: Final = _words("hentikan matikan nonaktifkan jangan")
_START: Final = _words("mulai start reg subscribe")
_START_WITH_NEWS: Final = _words("aktifkan hidupkan")
_NEWS: Final = _words(
    "sms notifikasi notif pemberitahuan pesan info informasi langganan berlangganan email surel kirimi"
    " notification notifications message messages emails"
)
_NEWS_WORDS: Final = _NEWS | _words(
    "kirim mengirim dikirimi terima menerima dari saya sy aku kami ini lagi lg kembali dulu semua ke nomor no hp lapor"
    " sending send me my"
)

_ASK_ALONE: Final = "status"
_ASK: Final = _words(
    "status cek chek check ngecek mengecek lacak melacak pantau memantau track tracking progres progress perkembangan"
    " kabar info informasi kumaha piye pripun tanya nanya menanyakan bertanya tanyakan lihat melihat liat sampai sampe"
    " proses lanjut lanjutan tindaklanjut hasil follow where what"
)
_MATTER: Final = _words("laporan aduan pengaduan keluhan tiket ticket report id tracking")
_STATUS_WORDS: Final = (
    _ASK
    | _WHAT
    | _MATTER
    | _words(
        "lapor saya sy aku kami gue gua gw abdi kula kulo no nomor nomer nmr number kode dengan dgn dg dari dr untuk"
        " utk ini itu tsb tersebut yang yg apa apakah sudah sdh udah udh dah mana dimana di ke tentang ttg soal atas"
        " mau ingin pengen pingin minta mnt bisa boleh dan tindak up terakhir terbaru sekarang skrg adalah"
        " the of my is for https http www go"
    )
)
_ENDINGS: Final = ("nya", "ku", "kah", "lah")
_ALL_WORDS: Final = _POLITE | _HELP | _HOW_WORDS | _STOP | _START | _NEWS_WORDS | _STATUS_WORDS

_TOKEN: Final = re.compile(r"(?P<mark>[#!]\s?)?(?P<number>[0-9](?:[ .-]?[0-9])*+)|(?P<word>[^\W\d_]++)")
_BETWEEN_DIGITS: Final = re.compile(r"[ .-]")
_CORE_DIGITS: Final = range(6, 9)
_MISTYPED: Final = range(9, 12)
_WHOLE_GROUP: Final = 9
"""A group of so many digits is a number of its own, not a piece of a tracking ID that is written in groups."""


def command_of(parsed: Parsed) -> Command | None:
    """The command that a message is, or None: a report, an addition, or nothing for us.

    What brings a file, edits or completes another message, was cut off, or is no message of a citizen is no command.
    What would be held for an operator is one if it can be answered: "@LAPOR1708 STATUS" has no hashtag, and so posts
    who answers our receipt. A mail's subject counts as its beginning.
    """
    if (
        parsed.not_a_report is not None
        or (parsed.held is not None and not parsed.answerable)
        or parsed.attachments
        or parsed.withdrawal is not None
        or parsed.completes is not None
        or parsed.delivery is not None
        or parsed.part is not None
        or (parsed.revision is not None and parsed.revision.number > 1)
    ):
        return None
    command = command_in(parsed.text)
    if command is not None or parsed.title is None:
        return command
    return command_in(f"{parsed.title}\n{parsed.text}")


def command_in(text: str) -> Command | None:
    """The command that a text is, or None.

    Args:
        text: The whole of what was written, with or without a leading LAPOR.
    """
    if len(text) > LONGEST:
        return None
    words, numbers, marked = _tokens(unicodedata.normalize("NFKC", text).lower())
    words = [word for word in words if word not in _POLITE]
    if words[:1] == ["lapor"] and (numbers or len(words) > 1):
        del words[0]
    if len(numbers) > MOST_NUMBERS or any(len(number) in _CORE_DIGITS for number in numbers):
        return None  # the core knows its own numbers, and is told
    said = frozenset(words)
    if words and not numbers and _asks_for_help(words, said):
        return Command("help")
    if words and all(map(is_tracking_id, numbers)):
        if _asks_for_silence(words, said):
            return Command("stop")
        if _asks_for_news(words, said):
            return Command("start")
    return _status(said, numbers, marked=marked)


def _tokens(text: str) -> tuple[list[str], list[str], bool]:
    """The words, the numbers, and whether a sign marks a number as an ID. Our own number is no number here."""
    words: list[str] = []
    numbers: list[str] = []
    marked = False
    for token in _TOKEN.finditer(text):
        if token["word"]:
            words.append(_base(token["word"]))
            continue
        groups = _BETWEEN_DIGITS.split(token["number"])
        found = groups if any(len(group) >= _WHOLE_GROUP for group in groups) else ["".join(groups)]
        numbers += [number for number in found if number != _OURS]
        marked = marked or token["mark"] is not None
    return words, list(dict.fromkeys(numbers)), marked


def _base(word: str) -> str:
    """The word without an ending such as that of "laporannya", where it is a known one without it."""
    if word in _ALL_WORDS:
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and word.removesuffix(ending) in _ALL_WORDS:
            return word.removesuffix(ending)
    return word


def _asks_for_help(words: Sequence[str], said: frozenset[str]) -> bool:
    if words[0] in _HELP and said <= {words[0], "lapor", "sms"}:
        return True
    if not said <= _HOW_WORDS:
        return False
    return bool(said & _HOW and said & _HOW_MATTER) or bool(said & _WHAT and said & _TO_REPORT)


def _asks_for_silence(words: Sequence[str], said: frozenset[str]) -> bool:
    if not said - {words[0]} <= _NEWS_WORDS:
        return False
    if words[0] == "jangan":
        return bool(said & _NEWS) and bool(said & {"lagi", "lg"})
    return words[0] in _STOP or (words[0] in _STOP_WITH_NEWS and bool(said & _NEWS))


def _asks_for_news(words: Sequence[str], said: frozenset[str]) -> bool:
    if not said - {words[0]} <= _NEWS_WORDS:
        return False
    return words[0] in _START or (words[0] in _START_WITH_NEWS and bool(said & _NEWS))


def _status(said: frozenset[str], numbers: Sequence[str], *, marked: bool) -> Command | None:
    if not said <= _STATUS_WORDS:
        return None
    asks = bool(said & (_ASK | _WHAT))
    names = bool(said & _MATTER)
    if not numbers:
        return Command("status") if _ASK_ALONE in said or (asks and names) else None
    if all(is_tracking_id(number) or ((asks or names) and _is_mistyped(number)) for number in numbers):
        return Command("status", tuple(numbers), sure=asks or names or marked)
    return None


def _is_mistyped(number: str) -> bool:
    """Whether this may be meant for a tracking ID; a phone number is not."""
    return len(number) in _MISTYPED and not number.startswith(("0", "62"))
