"""Decides whether two normalised texts tell of the same matter: what they do not share has to say nothing.

Half of all complaints follow somebody's template, so likeness proves nothing: two texts are about one matter only if
every word of the one that is missing in the other is explained, as a slip, an abbreviation, an ending, a plea, or the
end that an SMS lost. One unexplained number, ID or name on either side makes two matters of them.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final

from gateway.dedup.contradiction import contradict, replaces_something
from gateway.dedup.normalise import OFTEN, OWNED, Matter, bound, pieces_of, telling, usual
from gateway.dedup.spellings import ABBREVIATIONS
from gateway.dedup.typos import Shape, is_same_name, shape, twin
from gateway.dedup.words import (
    AMOUNTS,
    BEFORE_NUMBERS,
    BEHIND_NUMBERS,
    MONTHS,
    NAMES_FOLLOW,
    NUMBER_WORDS,
    QUALIFIERS,
    WEIGHTLESS,
)

LONG_TEXT: Final = 400
"""Characters of a normalised text from which on it is long: what repeats it shares most of its neighbouring words."""

_LEAST_SHARED_PAIRS: Final = 0.2

FEWEST_WORDS: Final = 2
"""Less than so many telling words is no matter: only the very same text repeats it."""

CUT: Final = 100
"""Shorter texts were not cut by a channel: one SMS holds 70 characters of UCS-2, 140 octets or 160 septets."""

_MOST_ADDED: Final = 3
_MOST_ADDED_PART: Final = 0.5
"""Telling words that one text has and the other has not, as a part of the other's: a plea, a detail."""

_LEAST_SHARED: Final = 0.4
"""What part of the shorter text's telling words has to be there at least before anything is looked at closer."""

_MOST_MISTYPED: Final = 5
_MOST_MISTYPED_PART: Final = 0.35
"""Telling words of the shorter text that may be spelt in another way than the longer one's."""

_HAS_MEANING: Final = WEIGHTLESS | ABBREVIATIONS.keys() | NUMBER_WORDS.keys()
"""What may stand before something else without being a word of the other text itself."""

_MEANS_MORE: Final = (
    frozenset(chain(*ABBREVIATIONS.values(), *NUMBER_WORDS.values(), AMOUNTS))
    | OFTEN
    | (BEFORE_NUMBERS | BEHIND_NUMBERS)
)
"""Words that other words stand for, and those that a number may swallow."""

_MONTHS: Final = tuple(map(shape, MONTHS))
_SHORTEST_STRANGER: Final = 5
_STRANGERS_TRIED: Final = 2

_LONGEST_GLUED: Final = 40
_SHORTEST_GLUED: Final = 4
_SHORTEST_PIECE: Final = 2
_PREPOSITIONS: Final = ("di", "ke", "se")
"""The only two letters that are often written onto what follows."""

_SHORTEST_COURTESY: Final = 8
"""Courtesies that are written as one, such as "terimakasih"; shorter words only look like that."""

_MOST_PIECES: Final = 4


@dataclass(frozen=True, slots=True)
class _Word:
    """A telling word and where it stands among those of its text."""

    text: str
    place: int


def same_matter(one: Matter, other: Matter) -> bool:
    """Whether two texts, by whomever, tell of the same matter."""
    if numbered_apart(one, other) or _are_long_and_unlike(one, other):
        return False
    if _leads_elsewhere(one, other) and _leads_elsewhere(other, one):
        return False
    if len(one.content) < FEWEST_WORDS or len(other.content) < FEWEST_WORDS:
        return bool(one.text) and one.text == other.text
    if one.content == other.content:
        return not contradict(one.words, other.words)
    if not _is_worth_a_look(one, other) or (_has_a_stranger(one, other) and _has_a_stranger(other, one)):
        return False
    right = _respelled(other.words, other.pieces, one.pieces)
    left = _respelled(one.words, one.pieces, pieces_of(right))
    return _tells_the_same(_Text(left, one), _Text(right, other))


def _are_long_and_unlike(one: Matter, other: Matter) -> bool:
    """Whether hardly two words stand side by side in both of two long texts: the same words perhaps, but no copy."""
    shorter, longer = sorted((one, other), key=lambda each: len(each.text))
    if len(shorter.text) < LONG_TEXT:
        return False
    there = f" {longer.text} "
    shared = sum([pair in there for pair in shorter.samples])
    return shared < _LEAST_SHARED_PAIRS * len(shorter.samples)


def _is_worth_a_look(one: Matter, other: Matter) -> bool:
    """Whether so much is shared that the rest may be explained: nobody mistypes every second word."""
    shared = len(one.vocabulary & other.vocabulary)
    least = min(len(one.vocabulary), len(other.vocabulary))
    return shared >= _LEAST_SHARED * least and least - shared <= max(_MOST_MISTYPED, _MOST_MISTYPED_PART * least)


def numbered_apart(one: Matter, other: Matter) -> bool:
    """Whether each of two texts has a long number that the other lacks: then nothing else makes one matter of them.

    Nothing is a slip of a number, and none of its digits comes or goes when it is tied to a word anew, but for zeros.
    Either text may have been cut in its last number.
    """
    return _lacks(other.numbers, one.numbers, one.length) and _lacks(one.numbers, other.numbers, other.length)


def _lacks(there: frozenset[str], wanted: frozenset[str], length: int) -> bool:
    missing = wanted - there
    if not missing or length < CUT or not there:
        return bool(missing)
    for number in missing:
        for each in there:
            if each.startswith(number):
                break
        else:
            return True
    return False


def _has_a_stranger(one: Matter, other: Matter) -> bool:
    """Whether a text has a telling word that nothing in the other one explains: a look that spares most of the work.

    It sees less than what follows, never more: a word that may be tied to a number or stand for another is left to it.
    """
    unknown = [word for word in one.vocabulary - other.known if len(word) >= _SHORTEST_STRANGER and word.isalpha()]
    if not unknown:
        return False
    theirs = [shape(word) for word in other.known - one.known if word.isalpha()]
    unknown.sort(key=len, reverse=True)
    return any(_is_a_stranger(word, one, other, theirs) for word in unknown[:_STRANGERS_TRIED])


def _is_a_stranger(word: str, one: Matter, other: Matter, theirs: Sequence[Shape]) -> bool:
    if word in _MEANS_MORE or word in other.text or word in one.keyword.lower():
        return False
    if one.length >= CUT and word == one.words[-1]:  # then it may be the beginning of a word
        return False
    if twin(word, theirs) is not None or twin(word, _MONTHS) is not None:
        return False
    return _unglued(word, other.pieces) is None


def _leads_elsewhere(one: Matter, other: Matter) -> bool:
    """Whether a text begins with the keyword of a region or programme that the other one does not have anywhere."""
    return bool(one.keyword and other.keyword) and not {*one.keyword.lower().split()} <= {*other.words}


class _Text:
    """A text, spelt as the other one spells it."""

    def __init__(self, words: Sequence[str], matter: Matter) -> None:
        self.words = words
        self.content = telling(words, matter.keyword)
        self.length = matter.length

    @property
    def stump(self) -> str:
        """The last word, where the text may have been cut in it."""
        return self.words[-1] if self.words and self.length >= CUT else ""


def _tells_the_same(one: _Text, other: _Text) -> bool:
    left, right = _beyond(one, other), _beyond(other, one)
    if left and right:
        return False
    shorter, longer, added = (other, one, left) if left else (one, other, right)
    return _may_be_added(added, shorter, longer) and not contradict(one.words, other.words)


def _respelled(words: Sequence[str], own: frozenset[str], known: frozenset[str]) -> list[str]:
    """A text's words as the other text spells them: without slips, abbreviations and lost blanks.

    Args:
        words: The text's.
        own: Its pieces.
        known: The pieces of the other.
    """
    missing: list[Shape] | None = None
    respelled: list[str] = []
    for before, word in pairwise(["", *words]):
        if word in known or word in WEIGHTLESS or not word.isalpha():
            respelled.append(word)
            continue
        if missing is None:
            missing = [shape(each) for each in sorted(known - own) if each.isalpha()]
        other = twin(word, missing) if missing else None
        if other is not None and before in NAMES_FOLLOW and not is_same_name(word, other):
            other = None
        pieces = None if other is not None else _unglued(word, known)
        if pieces and len(word) < _SHORTEST_COURTESY and WEIGHTLESS.issuperset(pieces):
            pieces = None
        respelled += [other] if other is not None else pieces or [word]
    return bound(respelled)


def _unglued(word: str, known: Collection[str], most: int = _MOST_PIECES) -> list[str] | None:
    """A word as several that the other text has, among others that say nothing; None where it is none of that kind."""
    meant = usual(word)
    if all(each in known or each in WEIGHTLESS for each in meant):
        return list(meant)
    if most == 1 or not _SHORTEST_GLUED <= len(word) <= _LONGEST_GLUED:
        return None
    for end in range(len(word) - _SHORTEST_PIECE, _SHORTEST_PIECE - 1, -1):
        head = word[:end]
        if end == _SHORTEST_PIECE and head not in _PREPOSITIONS:
            continue
        if head not in known and head not in _HAS_MEANING and not head.endswith(OWNED):
            continue  # means itself, and that the other text does not have
        first = _unglued(head, known, 1)
        if first is not None and (rest := _unglued(word[end:], known, most - 1)) is not None:
            return [*first, *rest]
    return None


def _beyond(text: _Text, other: _Text) -> list[_Word]:
    """The telling words that the other text does not have, wherever they stand: sentences may change places."""
    counted, there = Counter(other.content), {*other.words}
    beyond: list[_Word] = []
    for place, word in enumerate(text.content):
        if counted[word]:
            counted[word] -= 1
        elif word not in there and not _is_stump(word, text, other):  # said once more is not said anew
            beyond.append(_Word(word, place))
    return beyond


def _is_stump(word: str, text: _Text, other: _Text) -> bool:
    return word == text.stump and any(each.startswith(word) for each in other.words)


def _may_be_added(added: Sequence[_Word], shorter: _Text, longer: _Text) -> bool:
    """Whether one text may say so much more than the other and still tell of the same."""
    if not added or (shorter.length >= CUT and _is_lost_end(added, shorter, longer)):
        return True
    if any(not word.text.isalpha() for word in added) or _names_something(added, longer):
        return False
    if replaces_something({word.text for word in added}, longer.words, shorter.words):
        return False
    return len(added) <= max(_MOST_ADDED, _MOST_ADDED_PART * len(shorter.content))


def _is_lost_end(added: Sequence[_Word], shorter: _Text, longer: _Text) -> bool:
    """Whether all that is added stands behind what is shared: the shorter text was cut there."""
    first = added[0].place
    shared = {*shorter.content}
    return first > 0 and all(word not in shared or word in longer.content[:first] for word in longer.content[first:])


def _names_something(added: Sequence[_Word], longer: _Text) -> bool:
    """Whether an added word belongs to the name of a place or a person, as the word before it tells."""
    names = {word.text for word in added}
    return any(
        word in names and (before in NAMES_FOLLOW or (word in QUALIFIERS and before not in WEIGHTLESS))
        for before, word in pairwise(longer.words)
    )
