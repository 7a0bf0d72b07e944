"""Finds in a citizen's own words the wish that no name is shown, or that the whole report stays secret.

People rely on it, so a wish counts in whatever words it is made, and in doubt a report is shown less. But *rahasia*,
*anonim* and *nama* are also words of complaints ("kode rahasia", "akun anonim", "jalan tanpa nama"): a wish needs an
object of the writer's own, or a word of asking, and no denial.

Every pattern begins with one of a few literals, looks at a bounded number of words from a closed list, and stays
within a clause: a sign such as a full stop or a comma is a word of its own here.
"""

import re
from collections.abc import Iterable
from typing import Final

from gateway.model import Visibility

LIMIT: Final = 20_000
"""How many characters of a text are searched."""

_STRICTNESS: Final[dict[Visibility, int]] = {"public": 0, "anonymous": 1, "secret": 2}

_SPEAKS_OF_IT: Final = re.compile("rahasi|anonim|anonym|nama|identitas|secret|confidential|name")
_SIGNS: Final = re.compile(r"[^\w\s#]+|\n\s*\n")
_BLANKS: Final = re.compile(r"\s+")

_ASKING: Final = (
    "mohon|mhn|mohn|tolong|tlg|tlong|minta|mnt|meminta|harap|diharap|berharap|ingin|pengen|mau|please|agar|supaya|spy"
)
_OWNER: Final = "saya|sy|aku|kami|gue|gw|pelapor|pengirim|pengadu|abdi|kula|kulo"
_DATUM: Final = (
    "identitas|identitasku|identitasnya|nama|namaku|namanya|nomor|nomer|nmr|no|hp|hape|telepon|telp|tlp|wa|data|diri"
    "|pribadi|alamat|jati|kerahasiaan|jatidiri"
)
_KEEP: Final = "jaga|jagalah|menjaga|dijaga|jamin|menjamin|dijamin"
_REPORT: Final = "laporan|lapor|aduan|pengaduan|laporannya|laporanku|informasi|info|ini"
_LITTLE: Final = (
    "untuk|utk|bisa|dapat|dpt|tetap|di|dan|yang|yg|sangat|benar|benar2|selalu|pak|bapak|bu|ibu|min|admin|ya|juga|jg"
    "|harus|wajib|selaku|sebagai|dari|kiranya|sekiranya|dengan|dgn|hormat|semua|segala"
)
_ENDS: Final = rf"(?: (?:ya|yah|saja|aja|dulu|pak|bapak|bu|ibu|min|admin|terima|trims|makasih|tks|{_ASKING}))?(?: \||$)"

_SECRET: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"#(?:rahasia|rahasiakan|dirahasiakan|laporrahasia|laporanrahasia|secret)(?!\w)",
        # "rahasiakan identitas saya", "rahasiakan ya"; of whom it speaks may be left out, a code may not be meant.
        (
            rf"(?<!jangan )(?<!jgn )(?<!usah )(?<!perlu )\b(?:rahasiakan|rahasikan|rahasiakn|rahasiain|rahasiaken)"
            rf"(?:(?: (?:{_LITTLE})){{0,3}} (?:{_DATUM}|{_REPORT}|{_OWNER})\b|{_ENDS})"
        ),
        (
            rf"\b(?:{_ASKING}) (?:(?:{_LITTLE}|{_ASKING}) ){{0,3}}merahasiakan"
            rf"(?: (?:{_LITTLE})){{0,3}} (?:{_DATUM}|{_REPORT}|{_OWNER})\b"
        ),
        # "mohon identitas saya dirahasiakan", "nama saya mohon dirahasiakan"
        (
            rf"\b(?:{_ASKING}) (?:(?:{_DATUM}|{_REPORT}|{_OWNER}|{_LITTLE}|{_ASKING}) ){{0,8}}"
            r"(?:dirahasiakan|dirahasikan|dirahasiakn|dirahasiain|disembunyikan)\b"
        ),
        (
            rf"\b(?:{_DATUM}|{_REPORT}) (?:(?:{_DATUM}) ){{0,3}}(?:{_OWNER}|ini) (?:(?:{_LITTLE}|{_ASKING}) ){{0,4}}"
            r"(?:dirahasiakan|dirahasikan|dirahasiakn|dirahasiain|rahasiakan)\b"
        ),
        rf"\b(?:identitas|nama) (?:(?:{_LITTLE}|{_ASKING}) ){{0,3}}(?:dirahasiakan|rahasiakan){_ENDS}",
        rf"^(?:\| )?dirahasiakan{_ENDS}",
        # "laporan ini bersifat rahasia", "jaga kerahasiaan identitas saya"
        (
            rf"\b(?:(?:laporan|aduan|pengaduan|lapor) (?:ini|saya|kami|sy)|identitas (?:{_OWNER})|nama (?:{_OWNER}))"
            rf" (?:(?:bersifat|adalah|{_LITTLE}|{_ASKING}) ){{0,3}}(?:rahasia|secret)(?! \w*(?:umum|lagi)\b)"
        ),
        (
            rf"\b(?:{_KEEP}|{_ASKING}) (?:(?:{_LITTLE}|{_ASKING}|{_KEEP}) ){{0,4}}"
            rf"(?:kerahasiaannya|kerahasiaan(?: (?:{_DATUM}|{_REPORT})){{0,3}} (?:{_OWNER}|ini))\b"
        ),
        (
            rf"\bkerahasiaan(?: (?:{_DATUM}|{_REPORT})){{0,3}}(?: (?:{_OWNER}|ini))?"
            rf" (?:(?:{_LITTLE}|{_ASKING}) ){{1,4}}(?:{_KEEP})\b"
        ),
        r"^(?:\| )?(?:lapor(?:an)? )?rahasia \|",
        (
            r"\b(?:keep|treat) (?:my |this |it |the )(?:(?:name|identity|report|details|complaint|and|as) ){0,4}"
            r"(?:strictly )?(?:secret|confidential|private)\b"
        ),
    )
)

_SHOW: Final = (
    "(?:di)?(?:sebut|sebutkan|sebutin|cantumkan|cantumin|tampilkan|tampilin|tulis|tuliskan|publikasikan|umumkan"
    "|sebarkan|sebar|bocorkan|bocor|tayangkan|ekspos|expose|muat|buka|ungkap|ungkapkan|kasih|beritahukan|ketahui"
    "|kasi|perlihatkan|munculkan|publish|posting)|bocor|ketahuan|tersebar|muncul|diketahui|kelihatan"
)
# "nama saya tidak muncul" is a complaint: what is not must be wanted so.
_NOT: Final = (
    "(?:jangan|jgn|janganlah|(?:tidak|tdk|tak|gak|ga|gk|nggak|ngga|enggak) (?:mau|ingin|pengen|usah|perlu|bersedia))"
)
_ANONYMOUS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"#(?:anonim|anonymous|anonimus|tanpanama|laporanonim|laporananonim)(?!\w)",
        # "lapor secara anonim", "saya ingin anonim", "Anonim." by itself
        (
            r"(?<!bukan )(?<!tidak )(?<!tdk )(?<!jangan )(?<!ada )(?<!seorang )(?<!oleh )"
            rf"\b(?:{_ASKING}|{_OWNER}|lapor|laporan|melapor|melaporkan|aduan|pengaduan|identitas|nama|disampaikan"
            r"|menyampaikan|dikirim|mengirim) (?:(?:ini|secara|sebagai|tetap|dibuat|dijadikan|jadi|menjadi|di|untuk"
            rf"|utk|dengan|dgn|{_OWNER}|{_ASKING}) ){{0,5}}(?:anonim|anonym|anonymous|anonimus)\b"
        ),
        r"^(?:\| )?(?:secara |sebagai )?(?:anonim|anonymous|tanpa nama|tanpa identitas|no name)(?: \||$)",
        r"\| (?:secara |sebagai )?(?:anonim|anonymous|tanpa nama|tanpa identitas)(?: \||$)",
        # "jangan sebut nama saya", "tanpa menyebut nama pelapor", "tidak mau disebut namanya"
        (
            rf"\b(?:{_NOT}|tanpa) (?:(?:sampai|sampe|pernah|lah|{_LITTLE}) ){{0,4}}"
            rf"(?:{_SHOW}|menyebut|menyebutkan|mencantumkan|menampilkan|menulis|pakai|memakai|membocorkan|mempublikasikan)"
            rf" (?:(?:{_LITTLE}) ){{0,2}}(?:namaku|identitasku|(?:{_DATUM})(?: (?:{_DATUM}|dan)){{0,4}} (?:{_OWNER}))\b"
        ),
        (
            rf"\b{_NOT} (?:disebut|disebutkan|dicantumkan|ditulis|menyebut|menyebutkan)"
            r" (?:nama|namanya|identitas|identitasnya)\b"
        ),
        # "nama saya jangan disebut", "jangan sampai identitas saya bocor"
        (
            rf"\b(?:(?:namaku|identitasku)|(?:{_DATUM})(?: (?:{_DATUM}|dan)){{0,4}} (?:{_OWNER}))"
            rf" (?:(?:{_LITTLE}|{_ASKING}) ){{0,3}}{_NOT} (?:(?:sampai|sampe|{_LITTLE}) ){{0,3}}"
            rf"(?:{_SHOW})\b"
        ),
        (
            rf"\b{_NOT} (?:(?:sampai|sampe|jika|kalau|{_LITTLE}) ){{0,3}}"
            rf"(?:(?:{_DATUM}) ){{1,4}}(?:{_OWNER}) (?:(?:{_LITTLE}) ){{0,2}}(?:{_SHOW})\b"
        ),
        (
            rf"\b(?:lapor|laporan|melapor|melaporkan|aduan|pengaduan|{_ASKING}) (?:(?:ini|saya|sy|{_LITTLE}) ){{0,3}}"
            r"tanpa (?:nama|identitas)\b"
        ),
        (
            r"\b(?:report|reporting|stay|remain|be|keep me|complain|submit|post|anonymous report) (?:this |it |as )?"
            r"anonymous(?:ly)?\b"
        ),
        (
            r"\b(?:do not|don t|dont|without|never) (?:mention|publish|show|us(?:e|ing)|disclos(?:e|ing)|reveal)"
            r"(?:ing)? my (?:name|identity)\b"
        ),
    )
)
_LONE: Final[dict[str, Visibility]] = {
    **dict.fromkeys(("anonim", "anonymous", "tanpa nama", "no name", "nn"), "anonymous"),
    **dict.fromkeys(("rahasia", "rahasiakan", "mohon dirahasiakan", "dirahasiakan", "(rahasia)"), "secret"),
}
"""What is a wish when it stands on a line of its own, as a signature or a heading."""


def visibility_of(*texts: str | None) -> Visibility:
    """What a citizen wishes to be shown: *secret* and *anonymous* only where the words say so; secret wins.

    Args:
        texts: A title and a text, say; None is nothing.
    """
    return strictest(_wish(text[:LIMIT]) for text in texts if text)


def strictest(wishes: Iterable[Visibility]) -> Visibility:
    """The wish that shows least; *public* where there is none."""
    return max(wishes, key=_STRICTNESS.__getitem__, default="public")


def _wish(text: str) -> Visibility:
    folded = text.lower()
    if _SPEAKS_OF_IT.search(folded) is None:
        return "public"
    lone = strictest(_LONE.get(line.strip(" \t.,;:!-–*()[]"), "public") for line in folded.split("\n"))
    clauses = _BLANKS.sub(" ", _SIGNS.sub(" | ", folded)).strip()
    if lone == "secret" or any(pattern.search(clauses) for pattern in _SECRET):
        return "secret"
    if lone == "anonymous" or any(pattern.search(clauses) for pattern in _ANONYMOUS):
        return "anonymous"
    return "public"
