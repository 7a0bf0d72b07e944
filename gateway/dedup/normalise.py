"""Brings a citizen's text into the form in which two texts can be compared. Pure, and fast enough for every message."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any, Final, Generic, TypeVar

from gateway.dedup.numbers import digits_of, with_plain_numbers
from gateway.dedup.spellings import ABBREVIATIONS
from gateway.dedup.typos import is_slip
from gateway.dedup.words import (
    AMOUNTS,
    BEFORE_NUMBERS,
    BEHIND_NUMBERS,
    LOOK_ALIKES,
    MONTHS,
    NEGATIONS,
    NUMBER_WORDS,
    PROGRAMMES,
    RELATIVES,
    REPORTING,
    RESPONSES,
    ROMANS,
    SCHOOLS,
    SERVICE_TAGS,
    TENS,
    UNITS,
    UNTIL_FOLLOWS,
    WEIGHTLESS,
    WHOSE,
)

_Value = TypeVar("_Value")

VERSION: Final = 3
"""Raised with every change of what a text becomes: sketches of another version are made anew."""

LIMIT: Final = 6000
"""Characters that are looked at; what comes behind them tells nobody's matter apart."""

MOST_WORDS: Final = 400

_INVISIBLE: Final = re.compile(
    "[\u0300-\u036f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]"
)
_PICTURES: Final = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]")
_PART: Final = re.compile(r"^\s{0,3}[(\[]?[1-9]/[1-9][)\]]?\s")
"""How some phones number the parts of a message: (1/2)."""

_ON_BEHALF: Final = re.compile(r" a\.? ?[./ ] ?n\b")
_ANY_DIGIT: Final = re.compile("[0-9]")
_TOKEN: Final = re.compile(
    r"(?P<dropped>https?://\S{1,2000}|www\.\S{1,2000}|(?<!\w)@\w{1,64})"
    r"|(?P<tag>#[^\W\d_]\w{0,139})"
    r"|(?P<thousands>[0-9]{1,3}(?:[.,][0-9]{3})+(?![0-9]))"
    r"|(?P<word>[^\W_]{1,100})"
)
_LONGEST_KEPT: Final = 24
"""Characters of a written word whose meaning is remembered; longer ones hardly come again."""
_UNTIL: Final = re.compile(r"\bs ?[/.] ?d\b\.?")
_MAY_BE_UNTIL: Final = ("s/", "s.", "s /")
_LETTERS_NUMBER: Final = re.compile(r"([^\W\d_]+)([0-9]+)")
_NUMBER_LETTERS: Final = re.compile(r"([0-9]+)([^\W\d_]+)")
_PROGRAMME: Final = re.compile(rf"({'|'.join(PROGRAMMES)})(?=[a-z]*[0-9])(\w{{4,}})")
_PHONE: Final = re.compile("^628(?=[0-9]{7,11}$)")
_ELONGATED: Final = re.compile(r"([^\W\d_])\1{2,}")
_PIECES: Final = re.compile(r"[^\W\d]+|[0-9]+")
_LONG: Final = 3
_DIGITS_ONLY: Final = bytes(sign if sign in b"0123456789" else ord(" ") for sign in range(256))
_SAMPLES: Final = 32
_TWICE: Final = "2"
_TWICE_WITH_ENDING: Final = re.compile("([^\\W\\d_]{3,})2(an|kan|nya|i)")
_SHORTEST_TWICE: Final = 3
OWNED: Final = "nya"
"""Whose it is, at the end of a word: says nothing of the matter."""
_SHORTEST_OWNED: Final = 7
_SHORT_NUMBER: Final = 4
_LONGEST_DAY: Final = 2


class lazy(Generic[_Value]):  # noqa: N801 - used like functools.cached_property, which takes a lock until Python 3.12
    """A property that is found once and then kept."""

    def __init__(self, find: Callable[[Any], _Value]) -> None:
        self._find = find
        self._name = find.__name__
        self.__doc__ = find.__doc__

    def __get__(self, instance: object, owner: type) -> _Value:
        """Finds the value; the next time it stands in the instance itself."""
        value = instance.__dict__[self._name] = self._find(instance)
        return value


@dataclass(frozen=True)
class Matter:
    """What a text says, in the form in which it is compared; what a comparison needs of it is found when it is needed.

    Attributes:
        text: Every word in its usual form, numbers bound to what they count or number; one blank between two.
        keyword: The leading region or programme word in its one form, or an empty string.
        length: Characters of the text as it was written: a text of about 140 or 160 may have been cut.
    """

    text: str
    keyword: str
    length: int

    @lazy
    def words(self) -> tuple[str, ...]:
        """The words of the normalised text."""
        return tuple(self.text.split())

    @lazy
    def content(self) -> tuple[str, ...]:
        """The words that tell this matter from others, in the order of the text; the leading keyword is none."""
        return tuple(telling(self.words, self.keyword))

    @lazy
    def known(self) -> frozenset[str]:
        """Its words, each once."""
        return frozenset(self.words)

    @lazy
    def vocabulary(self) -> frozenset[str]:
        """Its telling words, each once."""
        return frozenset(self.content)

    @lazy
    def samples(self) -> tuple[str, ...]:
        """Pairs of neighbouring words from all over the text, with blanks around them."""
        words = self.words
        return tuple([f" {words[at]} {words[at + 1]} " for at in range(0, len(words) - 1, len(words) // _SAMPLES + 1)])

    @lazy
    def pieces(self) -> frozenset[str]:
        """The words, and the letters and digits of those that are tied to a number."""
        return pieces_of(self.words)

    @lazy
    def numbers(self) -> frozenset[str]:
        """Its longer numbers, without zeros at their ends: "50" and "ribu" may become "50000"."""
        found = [number.strip(b"0") for number in self.text.encode().translate(_DIGITS_ONLY).split()]
        return frozenset([number.decode() for number in found if len(number) >= _LONG])


def normalise(text: str, keyword: str = "") -> Matter:
    """Normalises a text.

    Args:
        text: What the citizen wrote, without the service word.
        keyword: The leading keyword in its one form, where the parser has found one; its words lead the text.
    """
    written = _words(_folded(_PART.sub("", text[:LIMIT])))
    return Matter(" ".join(bound(written[:MOST_WORDS])), keyword, len(text))


def telling(words: Sequence[str], keyword: str) -> list[str]:
    """The words that tell one matter from others, without the keyword that leads them."""
    content = [word for word in words if word not in WEIGHTLESS]
    if keyword:
        led = [word for word in _words(keyword.lower()) if word not in WEIGHTLESS]
        if content[: len(led)] == led:
            return content[len(led) :]
    return content


def pieces_of(words: Sequence[str]) -> frozenset[str]:
    """The words, and the letters and digits of those that are tied to a number."""
    pieces = set(words)
    for word in words:
        if not word.isalpha():
            pieces.update(_PIECES.findall(word))
    return frozenset(pieces)


def _folded(text: str) -> str:
    """One case, one form of each character, one blank between words, nothing that cannot be seen."""
    if text.isascii():
        folded = text.lower()
    else:
        folded = unicodedata.normalize("NFKD", text.casefold())
        folded = _PICTURES.sub(" ", _INVISIBLE.sub("", folded)).translate(LOOK_ALIKES)
    folded = _ON_BEHALF.sub(" nama", " " + " ".join(folded.split()))
    if any(sign in folded for sign in _MAY_BE_UNTIL):
        folded = _UNTIL.sub("sampai", folded)
    return with_plain_numbers(folded)


def _words(folded: str) -> list[str]:
    """The words in their usual form; links and handles are none."""
    said = [_usual(written) if len(written) <= _LONGEST_KEPT else _read(written) for written in folded.split()]
    words = list(chain.from_iterable(said))
    return [word for before, word in pairwise(["", *words]) if before != word]  # "anak-anak", a key pressed twice


def _read(written: str) -> tuple[str, ...]:
    """What stands between two blanks, as words."""
    words: list[str] = []
    for match in _TOKEN.finditer(written):
        kind = match.lastgroup
        if kind == "word":
            words += usual(match[0])
        elif kind == "tag":
            if match[0][1:] not in SERVICE_TAGS:
                words += usual(match[0][1:])
        elif kind == "thousands":
            words.append(digits_of(match[0]))
    return tuple(words)


_usual: Final = lru_cache(maxsize=1 << 15)(_read)


@lru_cache(maxsize=1 << 13)
def usual(word: str) -> tuple[str, ...]:
    """A word in its usual form: one word, or several that were written as one."""
    if word.isdecimal():
        return (word.lstrip("0") or "0" if len(word) <= _SHORT_NUMBER else _PHONE.sub("08", word),)
    known = ABBREVIATIONS.get(word) or NUMBER_WORDS.get(word)
    if known is not None:
        return known
    if not word.isalpha():
        return _mixed(word)
    shorter = _ELONGATED.sub(r"\1", word)
    if shorter != word and word not in ROMANS:
        return usual(shorter)
    if len(word) >= _SHORTEST_OWNED and word.endswith(OWNED):
        return usual(word[: -len(OWNED)])
    return (word,)


def _mixed(word: str) -> tuple[str, ...]:
    """Letters and digits in one: "rt05", "3bln", "orang2"; what is none of these is an ID and stays as it is."""
    if (found := _PROGRAMME.fullmatch(word)) is not None:
        return (found[1], found[2])
    if (found := _LETTERS_NUMBER.fullmatch(word)) is not None:
        letters = usual(found[1])
        if found[2] == _TWICE and len(found[1]) >= _SHORTEST_TWICE and letters[-1] not in BEFORE_NUMBERS:
            return letters
        if letters[-1] in BEFORE_NUMBERS:
            return (*letters, *usual(found[2]))
    if (found := _TWICE_WITH_ENDING.fullmatch(word)) is not None:
        return (*usual(found[1]), *usual(found[1] + found[2]))
    if (found := _NUMBER_LETTERS.fullmatch(word)) is not None:
        letters = (UNITS[found[2]],) if found[2] in UNITS else usual(found[2])
        if letters[0] in BEHIND_NUMBERS or letters[0] in AMOUNTS:
            return (*usual(found[1]), *letters)
    return (word,)


def bound(words: Sequence[str]) -> list[str]:
    """Numbers tied to what they number or count, without how often somebody has reported the matter."""
    words = _named(words)
    has_numbers = _ANY_DIGIT.search(" ".join(words)) is not None or not ROMANS.keys().isdisjoint(words)
    tied = _tied(words) if has_numbers else list(words)
    said = [place for place, word in enumerate(tied) if word in _SAID or not word.isalpha()]
    gone = {place for place in said if _is_about_reporting(tied, place)}
    return [word for place, word in enumerate(tied) if place not in gone] if gone else tied


_RENAMED: Final = frozenset({*RELATIVES, *TENS, *UNITS, "negeri", "n", "smp"})


def _named(words: Sequence[str]) -> list[str]:
    """Words that mean something else beside certain others: relatives, schools, units, tens and hundreds."""
    if _RENAMED.isdisjoint(words):
        return list(words)
    named: list[str] = []
    for place, word in enumerate(words):
        before = named[-1] if named else ""
        following = words[place + 1] if place + 1 < len(words) else ""
        if word in RELATIVES and following in WHOSE:
            named.append(RELATIVES[word])
        elif word in ("negeri", "n") and before in SCHOOLS:
            named[-1] = SCHOOLS[before]
        elif word in TENS and before.isdecimal():
            named[-1] = str(int(before) + 10 if word == "belas" else int(before) * TENS[word])
        elif word.isdecimal() and len(word) == 1 and place > 1 and words[place - 1] == "puluh":
            named[-1] = str(int(before) + int(word)) if before.isdecimal() else word
        else:
            named.append(_beside(word, before, following))
    return named


def _beside(word: str, before: str, following: str) -> str:
    """A short word in full, which depends on the words beside it."""
    if word in UNITS:
        return UNITS[word] if before.isdecimal() else "hanya" if word == "cm" else word
    if word == "n" and before and following:
        return "dan"
    return "sampai" if word == "smp" and following in UNTIL_FOLLOWS else word


def _tied(words: Sequence[str]) -> list[str]:
    """Numbers tied to what they number or count."""
    tied: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        before = tied[-1] if tied else ""
        if word in ROMANS and before in BEFORE_NUMBERS:
            tied[-1] += ROMANS[word]
            position += 1
            continue
        if word.isdecimal():
            following = words[position + 1] if position + 1 < len(words) else ""
            if following in AMOUNTS:
                word = str(int(word) * AMOUNTS[following])
                position += 1
            elif len(word) <= _LONGEST_DAY and (month := _month(following)):
                word = f"{word}d{month}"
                position += 1 + (_YEAR.fullmatch(" ".join(words[position + 2 : position + 3])) is not None)
            elif before == _ORDINAL and len(tied) > 1 and tied[-2] in BEFORE_NUMBERS:
                tied[-2:] = []
                word = words[position - 2] + word
            elif before in BEFORE_NUMBERS:
                word = tied.pop() + word
            elif following in BEHIND_NUMBERS and len(word) <= _SHORT_NUMBER:
                word += following
                position += 1
        tied.append(word)
        position += 1
    return tied


@lru_cache(maxsize=1 << 12)
def _month(word: str) -> str:
    """The number of a month, its name mistyped perhaps; an empty string where it is none."""
    if word in MONTHS:
        return MONTHS[word][0]
    return next((number for name, (number,) in MONTHS.items() if is_slip(word, name)), "")


_YEAR: Final = re.compile("20[0-9]{2}")
_ORDINAL: Final = "ke"
_NOT_YET: Final = frozenset({"belum", "tidak"})
OFTEN: Final = frozenset({"berkali", "berulang", "kedua", "ketiga", "keempat", "kesekian", "pertama"})
_TIMES: Final = re.compile(rf"[0-9]{{1,2}}kali|ke[0-9]{{1,2}}|{'|'.join(sorted(OFTEN))}")
_DURATION: Final = re.compile(r"[0-9]{1,2}(?:jam|hari|minggu|bulan|tahun)")
_AROUND: Final = 4


_SAID: Final = OFTEN | _NOT_YET


def _is_about_reporting(words: list[str], place: int) -> bool:
    """Whether a word says how often the citizen has written, or that nobody has answered, and how long not."""
    if words[place] in _NOT_YET:
        return not RESPONSES.isdisjoint(words[place + 1 : place + 3])
    if _TIMES.fullmatch(words[place]) is not None:
        return not REPORTING.isdisjoint(words[max(0, place - _AROUND) : place + _AROUND + 1])
    if _DURATION.fullmatch(words[place]) is None:
        return False
    behind = words[place + 1 : place + _AROUND + _AROUND]
    return not NEGATIONS.isdisjoint(behind) and not RESPONSES.isdisjoint(behind)
