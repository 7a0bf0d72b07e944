"""Whether one word is another one with a slip of the finger, or its abbreviation; names of places stay apart."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

from gateway.dedup.lexicon import could_be_a_word, is_word, root, sound
from gateway.dedup.spellings import ABBREVIATIONS
from gateway.dedup.words import BEFORE_NUMBERS, BEHIND_NUMBERS, EVERYDAY, NAMES_FOLLOW, WEIGHTLESS

_SHORTEST: Final = 5
"""Shorter words differ by one letter too often, batu and baru, Sri and Sari; but for those that everybody uses."""

_SHORTEST_FAMILIAR: Final = 4
_FAMILIAR: Final = (
    EVERYDAY | WEIGHTLESS | NAMES_FOLLOW | BEFORE_NUMBERS | BEHIND_NUMBERS | set(chain(*ABBREVIATIONS.values()))
)

_TWO_SLIPS: Final = 7
"""From this length on two slips are forgiven, but for a letter lost here and another won there: Sidorejo, Sidoarjo."""

_ALPHABET: Final = 32
_MOST_CHANGED: Final = 4
"""Letters of which one word has some and the other none, after two slips: a key hit beside it swaps one for another."""

_KEYBOARD: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_STAGGER: Final = (0.0, 0.25, 0.75)
"""How far each row of a keyboard stands to the right of the first."""

_VOWELS: Final = frozenset("aiueo")
_SHORTEST_SKELETON: Final = 3


def _neighbours() -> frozenset[tuple[str, str]]:
    """Pairs of letters whose keys touch."""
    keys = {
        key: (column + stagger, row)
        for row, (letters, stagger) in enumerate(zip(_KEYBOARD, _STAGGER, strict=True))
        for column, key in enumerate(letters)
    }
    return frozenset(
        (one, other)
        for one, (x, y) in keys.items()
        for other, (u, v) in keys.items()
        if one != other and abs(x - u) <= 1 and abs(y - v) <= 1 and abs(x - u) + abs(y - v) < 2  # noqa: PLR2004
    )


_NEIGHBOURS: Final = _neighbours()


@lru_cache(maxsize=1 << 14)
def is_slip(one: str, other: str) -> bool:
    """Whether two different words are one word, mistyped.

    A slip drops a letter, doubles or adds one, swaps two, or hits the key beside. Any other letter makes another
    word: Margasari and Margosari are two villages. Words with digits are never slips of each other.
    """
    if not (one.isalpha() and other.isalpha()) or abs(len(one) - len(other)) > 1:
        return False
    length = max(len(one), len(other))
    if length < _SHORTEST and (length < _SHORTEST_FAMILIAR or (one in _FAMILIAR) == (other in _FAMILIAR)):
        return False
    return _slips(one, other, 2 if length >= _TWO_SLIPS else 1)


def _slips(one: str, other: str, left: int, *, uneven: bool = True, struck: bool = True) -> bool:
    """Whether so many slips make one word of the other.

    Args:
        one: A word, or what is left of it.
        other: The other.
        left: How many slips may follow.
        uneven: Whether one of them may be a letter too many or too few; two would make Banjaran of Banjar.
        struck: Whether one of them may be a neighbouring key; two would make Purwodadi of Purwosari.
    """
    start = 0
    while start < len(one) and start < len(other) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    if not one or not other:
        return len(one) + len(other) <= (min(left, 1) if uneven else 0)
    if left == 0:
        return False
    if len(one) > 1 and one[:2] == other[1::-1] and _slips(one[2:], other[2:], left - 1, uneven=uneven, struck=struck):
        return True
    if (
        struck
        and (one[0], other[0]) in _NEIGHBOURS
        and _slips(one[1:], other[1:], left - 1, uneven=uneven, struck=False)
    ):
        return True
    return uneven and (
        _slips(one[1:], other, left - 1, uneven=False, struck=struck)
        or _slips(one, other[1:], left - 1, uneven=False, struck=struck)
    )


@lru_cache(maxsize=1 << 14)
def is_abbreviation(short: str, word: str) -> bool:
    """Whether a word is another one without its vowels: "jmbtn" for "jembatan"."""
    if not (short.isalpha() and word.isalpha()) or not _SHORTEST_SKELETON <= len(short) < len(word):
        return False
    if short[0] != word[0] or not _VOWELS.isdisjoint(short[1:]):
        return False
    consonants = [letter for letter in word[1:] if letter not in _VOWELS]
    rest = iter(consonants)
    if not all(letter in rest for letter in short[1:]):
        return False
    return 2 * len(short) > len(consonants) + 1


_AGENT: Final = "pe"
_NO_AGENT: Final = "an"


class Shape(NamedTuple):
    """What shows quickly that a word is not another one.

    Attributes:
        letters: Which letters it has, one bit each; rare ones share theirs.
        root: Its root; the word itself where it names who does something: who teaches is not who learns.
        sound: How it sounds.
    """

    word: str
    letters: int
    length: int
    root: str
    sound: str


@lru_cache(maxsize=1 << 15)
def shape(word: str) -> Shape:
    """The shape of a word of letters."""
    letters = 0
    for letter in word:
        letters |= 1 << (ord(letter) - 97) % _ALPHABET
    is_agent = word.startswith(_AGENT) and not word.endswith(_NO_AGENT)
    return Shape(word, letters, len(word), word if is_agent else root(word), sound(word))


def twin(word: str, others: Iterable[Shape]) -> str | None:
    """The first of some other words that is this one in another spelling.

    Most pairs share too few letters for any of it, which costs little to see.
    """
    _, letters, length, its_root, heard = shape(word)
    for other, its_letters, its_length, other_root, also_heard in others:
        if its_root == other_root or (heard == also_heard and (is_word(word) or is_word(other))):
            return other
        differing = letters ^ its_letters
        if (
            -1 <= length - its_length <= 1
            and differing.bit_count() <= _MOST_CHANGED
            and is_slip(word, other)
            and not _are_two_names(word, other)
        ):
            return other
        if not (differing & letters and differing & its_letters) and word[0] == other[0] and _abbreviates(word, other):
            return other
    return None


def _is_slip(one: str, other: str) -> bool:
    return is_slip(one, other) and not _are_two_names(one, other)


def _are_two_names(one: str, other: str) -> bool:
    """Whether two words that no dictionary knows may be two names: Kalibaru and Kalibari, Sumbersari and -asri."""
    return not any(is_word(word) or word in _FAMILIAR or not could_be_a_word(word) for word in (one, other))


def _abbreviates(one: str, other: str) -> bool:
    return is_abbreviation(one, other) or is_abbreviation(other, one)


def is_one_word(one: str, other: str) -> bool:
    """Whether two different words are one word in two spellings: a slip, an abbreviation, another affix of a verb."""
    return one.isalpha() and other.isalpha() and twin(one, (shape(other),)) is not None


def is_same_name(one: str, other: str) -> bool:
    """Whether two spellings of a name may be one: a consonant more makes another village, Cikadu and Cikandu.

    Args:
        one: A name, one slip from the other.
        other: The other.
    """
    shorter, longer = sorted((one, other), key=len)
    if len(longer) > len(shorter) + 1:
        return False
    if len(shorter) == len(longer):
        return True
    place = next((place for place, letter in enumerate(shorter) if longer[place] != letter), len(shorter))
    letter = longer[place]
    return letter in _VOWELS or letter in (longer[place - 1 : place], longer[place + 1 : place + 2])
