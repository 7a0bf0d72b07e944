"""What citizens write, whatever the channel: the service word, a leading keyword, ID-like tokens.

The words of a citizen are never lost. What is taken off is the bare service word LAPOR and the literal
"(spasi)" of the published forms; where LAPOR may be the verb of a sentence it stays.
"""

import re
from collections.abc import Iterator
from typing import Final

from gateway.model import Keyword

LIMIT: Final = 20_000
"""How many characters of a text are searched; the text itself is never cut."""

KEYWORDS: Final = frozenset(
    {
        *(
            "BANDUNG",
            "BANJARMASIN",
            "BJN",
            "DIY",
            "DKI",
            "KAB NGANJUK",
            "KENDAL",
            "NGANJUK",
            "TANGKAB",
        ),  # regions
        *("KKP", "KUMHAM", "LAPOR HENDI"),  # agencies, and a city's own programme
        *("BBM", "KIP", "KKS", "KPS", "PKH", "SL"),  # national programmes
    }
)
"""The region and programme words that are known to lead a message, normalised."""

MOST_REFERENCES: Final = 50

_UNWANTED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_INVISIBLE: Final = " \t\n\u00a0\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"

# The service word. Only the head of a text is looked at, and no pattern can go back over what it has eaten.
_HEAD: Final = 80
_SPASI: Final = r"[(\[<]\s{0,3}spasi\s{0,3}[)\]>]"
_OPENS: Final = r"[\"'\u2018\u201c*(\[<]"
_CLOSES: Final = r"[\"'\u2019\u201d*)\]>]"
_SERVICE: Final = re.compile(rf"\s{{0,8}}(?:#?lapor|{_OPENS}#?lapor{_CLOSES})(?![A-Za-z0-9_])", re.IGNORECASE)
_SEPARATORS: Final = re.compile(
    rf"[#!]?+(?:[\s:;.,=>|\u2013\u2014-]|{_SPASI}){{0,30}}+(?:(?<=\s)spasi\s++)?", re.IGNORECASE
)
_NUMBER_SIGN: Final = re.compile(r"\s?[#!][0-9]")
_FORM_WORD: Final = re.compile(
    rf"((?:(?:kab|kabupaten|kota)[\s.]{{1,3}})?[^\W_]++)\s{{0,3}}{_SPASI}\s{{0,3}}", re.IGNORECASE
)
_FORM_WORDS: Final = re.compile(rf"((?:[\s.#]{{0,3}}[^\W_]++){{1,3}})\s{{0,3}}{_SPASI}\s{{0,3}}", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W\d_]++")
# Before these words LAPOR is the verb of a sentence, or may be; and then keeping it costs nothing.
_ADDRESSED: Final = "pak bapak bpk bp bu ibu mas mba mbak mbk bang bg kang min mimin admin gan sis bro om tante kak"
_AFTER_A_VERB: Final = (
    "ke kpd kepada pd pada polisi polsek polres rt rw lurah kades camat kelurahan kecamatan desa lewat lwt"
    " melalui via online diri balik kembali lagi lg ulang berkali sudah sdh udah udh dah telah belum blm"
    " tidak tdk tak gak ga gk nggak ngga tp tapi terus trus saja aja melulu dan atau yang yg dong nih ni deh"
)
_PROSE: Final = frozenset(f"{_ADDRESSED} {_AFTER_A_VERB}".split())

_LEAD: Final = re.compile(
    rf"(?:[\s#.,:;-]|{_OPENS}){{0,8}}(?P<both>(?P<first>[A-Za-z]++)(?:[\s.,:_-]{{0,4}}(?P<second>[A-Za-z]++))?)"
)
_DISTRICT: Final = {"KAB": "KAB", "KABUPATEN": "KAB", "KOTA": "KOTA"}
_SHORT_WORD: Final = 2

# References are searched in the lower-cased text, by patterns that begin with a literal: that is fast. What
# may stand before that literal is checked behind it; one stray letter is forgiven ("qKIP").
_GAP: Final = r"[\s.:;,#=/-]{0,4}"
_NUMBERED: Final = rf"(?:[ .]?(?:no|nomor|nmr)\b)?{_GAP}"
_KIP: Final = re.compile(rf"kip(?<![a-z0-9]{{2}}kip){_NUMBERED}(?=[a-z0-9])")
_KKS: Final = re.compile(
    rf"kks(?<![a-z0-9]{{2}}kks){_NUMBERED}"
    r"((?:[0-9][ .-]?){13}(?:[0-9][ .-]?[0-9][ .-]?)?[0-9](?![ .-]?[0-9])|[a-z0-9]{14}(?![a-z0-9]))"
)
_SL: Final = re.compile(rf"sl(?<![a-z0-9]{{2}}sl){_NUMBERED}([0-9]{{16}}){_GAP}([0-9]{{5,12}})(?![0-9])")
_DIGIT: Final = re.compile(r"[0-9]")
_RUN: Final = re.compile(r"[0-9]{6,}")
_BLANKS: Final = re.compile(r"[ .-]")
_PLURAL: Final = re.compile(r"[A-Za-z]{4}[a-z]2")  # orang2: a word said twice
_KIP_LENGTH: Final = 6
_SHORTEST_BARE: Final = 9
_LONGEST_RUN: Final = 32
_FEWEST_CARD_DIGITS: Final = 4
_MONEY: Final = ("rp", "rp.", "rp ", "rp. ")
_BEFORE: Final = 32
_WHOSE: Final = r"(?: (?:saya|sy|kami|anda))?"
_NO: Final = r"(?:id|no|nomor|nomer|nmr|kode)"
_MATTER: Final = r"(?:lapor(?:an)?|(?:peng)?aduan|tiket)"
_MARK: Final = re.compile(
    r"(?:^|[^a-z0-9])[#!]\s?$"
    r"|/(?:id|pengaduan|laporan)/$"
    r"|(?:^|[^a-z0-9])"
    rf"(?:tracking(?:[ _-]?id)?|id[ _-]?tracking|{_NO}[ .:]{{0,2}}(?:id|{_MATTER}{_WHOSE})"
    rf"|{_MATTER}{_WHOSE} ?{_NO})[\s.:=#!-]{{0,5}}$"
    r"|(?:^|[^a-z0-9.])id[\s.:=#!-]{0,5}$"
)


def clean(text: str) -> str:
    """The text as written, but for control characters, halves of characters, and blanks around it."""
    if not text.isprintable():
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        # Lines of signs that can be printed hold nothing unwanted; to find that out takes a fraction of the search.
        if not text.replace("\n", "").isprintable():
            if _SURROGATE.search(text):
                text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            text = _UNWANTED.sub("", text.replace("\x85", "\n"))
    return text.strip()


def is_blank(text: str) -> bool:
    """Whether there is nothing to see. Punctuation or an emoji is something: a person sent it."""
    return not text.strip(_INVISIBLE)


def without_service_word(text: str, known: frozenset[str] = KEYWORDS) -> str:
    """The text without a leading LAPOR and without the "(spasi)" of the published forms.

    LAPOR stays where it begins a sentence ("Lapor pak, …", "lapor ke polisi …"), where it is part of a known
    keyword (LAPOR HENDI), and where it is all that was written.
    """
    service = _SERVICE.match(text)
    if service is None:
        return _without_spasi(text, _FORM_WORD)
    form = _without_spasi(text, _FORM_WORDS)
    if leading_keyword(form, known) is not None:
        return form
    start = _after_separators(text, service.end())
    return text if start is None else _without_spasi(text[start:].lstrip(), _FORM_WORDS)


def _after_separators(text: str, end: int) -> int | None:
    """Where the report begins behind the service word, or None if that word is part of a sentence."""
    if _NUMBER_SIGN.match(text, end):
        return end  # "LAPOR #1234567890": the sign says that the number is an ID
    separators = _SEPARATORS.match(text, end)
    if separators is None or separators.end() in (end, len(text)):
        return None
    if text[end] == "-" and text[end + 1].isalnum():
        return None  # "lapor-lapor terus"
    if separators.group().isspace():
        word = _WORD.match(text, separators.end(), separators.end() + _HEAD)
        if word is not None and word.group().lower() in _PROSE:
            return None
    return separators.end()


def _without_spasi(text: str, form: re.Pattern[str]) -> str:
    """Takes "(spasi)" behind each leading word of a form for the blank that it stands for."""
    if "spasi" not in text[:_HEAD].lower():
        return text
    while (words := form.match(text, 0, _HEAD)) is not None:
        text = f"{words.group(1)} {text[words.end() :]}"
    return text.strip()


def leading_keyword(text: str, known: frozenset[str] = KEYWORDS) -> Keyword | None:
    """The region or programme word that leads the text, if it is a known one. It is not taken off."""
    lead = _LEAD.match(text, 0, _HEAD)
    if lead is None:
        return None
    written = lead["first"]
    first = written.upper()
    if lead["second"] is not None:
        district, second = _DISTRICT.get(first), lead["second"].upper()
        pair = f"{district or first} {second}"
        if pair in known or (district is not None and second in known):
            return Keyword(lead["both"], pair)
    if first == "LAPORHENDI" and "LAPOR HENDI" in known:
        return Keyword(written, "LAPOR HENDI")
    if first not in known:
        # A slip of the finger: one small letter glued to a word in capitals.
        first = written[1:]
        if first not in known or not written[0].islower():
            return None
    if len(first) <= _SHORT_WORD and written != first and not text[lead.end("first") :].lstrip(" .:#")[:1].isdigit():
        return None  # "sl" in small letters is a word only before its number
    return Keyword(written, first)


def references(text: str) -> tuple[str, ...]:
    """The ID-like tokens in the order of the text, each once, without signs and blanks, letters in capitals.

    A token of six to eight digits is a number that the text marks as an ID ("#1234567", "Tracking ID : …",
    "/id/…"), and never anything else: what a programme gives out and is as short bears the programme's name
    (KIP1A2B3C, SL12345678). Bare runs count from nine digits on.
    """
    text = text[:LIMIT]
    if (digit := _DIGIT.search(text)) is None:
        return ()
    folded = text.lower()
    if len(folded) != len(text):
        folded = text  # a few letters grow when lower-cased; what is found must stand at the same place in both
    found: list[tuple[int, int, str]] = []
    if "kip" in folded:
        found += _kip_numbers(text, folded)
    if "kks" in folded:
        found += _kks_numbers(folded)
    if "sl" in folded:
        found += _sl_numbers(folded)
    if (run := _RUN.search(folded, digit.start())) is not None:
        found += _digit_runs(folded, run.start(), tuple(found))
    if not found:
        return ()
    found.sort()
    return tuple(dict.fromkeys(token for _, _, token in found))[:MOST_REFERENCES]


def _kip_numbers(text: str, folded: str) -> Iterator[tuple[int, int, str]]:
    for match in _KIP.finditer(folded):
        start = match.end()
        token = _kip_number(text[start : start + _KIP_LENGTH + 3])
        if token is not None:
            yield start, start + len(token), "KIP" + token.replace(" ", "").upper()


def _kip_number(tail: str) -> str | None:
    """Six letters and digits that begin ``tail``, a blank inside and a word glued on are forgiven."""
    token = tail[:_KIP_LENGTH]
    if " " in token:
        token = tail[: _KIP_LENGTH + 1]
        left, _, right = token.partition(" ")
        # "Q7 mij2" is a number, "2 anak2" is not: the first half must look like a code by itself.
        if left.isalpha() or left.isdigit() or _DIGIT.search(right) is None:
            return None
    code = token.replace(" ", "", 1)
    if len(code) != _KIP_LENGTH or not (code.isascii() and code.isalnum()) or _PLURAL.fullmatch(code):
        return None
    after = tail[len(token) :]
    glued = after[:1].isupper() and after[1:2].islower()
    return token if _DIGIT.search(code) and (glued or not after[:1].isalnum()) else None


def _kks_numbers(folded: str) -> Iterator[tuple[int, int, str]]:
    for match in _KKS.finditer(folded):
        token = _BLANKS.sub("", match[1])
        if sum(sign.isdigit() for sign in token) >= _FEWEST_CARD_DIGITS:
            yield match.start(1), match.end(1), token.upper()


def _sl_numbers(folded: str) -> Iterator[tuple[int, int, str]]:
    for match in _SL.finditer(folded):
        yield match.start(1), match.end(1), match[1]
        yield match.start(2), match.end(2), match[2] if len(match[2]) >= _SHORTEST_BARE else f"SL{match[2]}"


def _digit_runs(folded: str, first: int, taken: tuple[tuple[int, int, str], ...]) -> Iterator[tuple[int, int, str]]:
    for match in _RUN.finditer(folded, first):
        start, end = match.span()
        if end - start > _LONGEST_RUN or any(left < end and start < right for left, right, _ in taken):
            continue
        if end - start >= _SHORTEST_BARE:
            if folded[max(0, start - 4) : start].endswith(_MONEY):
                continue
        elif _MARK.search(folded, max(0, start - _BEFORE), start) is None:
            continue
        yield start, end, match[0]
