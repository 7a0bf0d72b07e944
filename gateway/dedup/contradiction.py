"""Whether two texts that share their telling words say opposite things with them, or the same in turned roles.

Both texts are spelt in one way, so words are compared as they are.
"""

import itertools
from collections.abc import Collection, Sequence
from typing import Final

from rapidfuzz.distance import Levenshtein

from gateway.dedup.words import AFFIRMATIONS, DAYTIMES, MEANT, NAMES_FOLLOW, NEGATIONS, OUTCOMES, ROUTES, WEIGHTLESS

_NEXT: Final = 3
"""Words behind a negation among which that is which it denies."""

_BETWEEN: Final = frozenset({"ada", "akan", "bisa", "boleh", "dapat", "di", "juga", "lagi", "mau", "pernah", "pun"})
"""What may stand between a negation and the word that it denies."""

_REACH: Final = 3
_BESIDE: Final = 2
"""Telling words before and behind a verb: who does it, and to whom."""

_GREETING: Final = 3
"""Words at the beginning among which a time of the day is a greeting."""

_TURNS: Final = (("dari", "ke"), ("ke", "dari"))
_SHORTEST_VERB: Final = 5


def contradict(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether one text denies what the other says, or says it of somebody, some way or some time else."""
    return (
        _denies(one, other)
        or _denies(other, one)
        or _goes_the_other_way(one, other)
        or _runs_the_other_way(one, other)
        or _roles_are_turned(one, other)
        or _differ_in_daytime(one, other)
        or _only_another(one, other)
    )


def replaces_something(added: Collection[str], longer: Sequence[str], shorter: Sequence[str]) -> bool:
    """Whether an added word stands in the place of one that says little elsewhere: *minta* for *tolak*."""
    for block in Levenshtein.opcodes(longer, shorter):
        if block.tag == "replace":
            here, there = longer[block.src_start : block.src_end], shorter[block.dest_start : block.dest_end]
            if not set(added).isdisjoint(here) and any(word in MEANT and word not in longer for word in there):
                return True
    return False


def _denies(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether one text says *not* before a word that the other says without it."""
    denied = _denied(one)
    bare = {word for word in denied if list(one).count(word) == 1} - _denied(other)
    return any(word in other and (word not in WEIGHTLESS or word in _behind(other, AFFIRMATIONS)) for word in bare)


def _denied(words: Sequence[str]) -> set[str]:
    """What stands behind a negation."""
    found: set[str] = set()
    for place, word in enumerate(words):
        if word in NEGATIONS:
            said = next((each for each in words[place + 1 : place + 1 + _NEXT] if each not in _BETWEEN), "")
            if said and _says_something(said):
                found.add(said)
    return found | (_behind(words, NEGATIONS) & OUTCOMES)


def _behind(words: Sequence[str], leading: Collection[str]) -> set[str]:
    """What says something close behind one of some words."""
    return {
        word
        for place, before in enumerate(words)
        if before in leading
        for word in words[place + 1 : place + 1 + _REACH]
        if _says_something(word)
    }


def _says_something(word: str) -> bool:
    return word in OUTCOMES or word not in WEIGHTLESS


def _goes_the_other_way(one: Sequence[str], other: Sequence[str]) -> bool:
    """From A to B is not from B to A."""
    return all(_named_behind(one, first) & _named_behind(other, second) for first, second in _TURNS) and not (
        _named_behind(one, "dari") & _named_behind(other, "dari")
    )


def _runs_the_other_way(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two names behind the word for a route have changed places."""
    ways = _ways(other)
    return any(way[::-1] in ways and way not in ways for way in _ways(one))


def _ways(words: Sequence[str]) -> set[tuple[str, ...]]:
    return {
        tuple([word for word in words[place + 1 : place + 1 + _REACH] if word not in WEIGHTLESS][:2])
        for place, before in enumerate(words)
        if before in ROUTES
    }


def _named_behind(words: Sequence[str], preposition: str) -> set[str]:
    """What follows a preposition, but for the words that only lead to a name."""
    found: set[str] = set()
    for place, word in enumerate(words):
        if word == preposition:
            behind = words[place + 1 : place + 1 + _REACH]
            found.update([each for each in behind if each not in WEIGHTLESS and each not in NAMES_FOLLOW][:1])
    return found


def _roles_are_turned(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether somebody does to another what that one does to him in the other text."""
    sides = _sides(one)
    for verb, (before, behind) in _sides(other).items():
        if verb in sides:
            its_before, its_behind = sides[verb]
            if before & its_behind and behind & its_before and not (before & its_before or behind & its_behind):
                return True
    return False


def _sides(words: Sequence[str]) -> dict[str, tuple[set[str], set[str]]]:
    """The telling words before and behind each verb."""
    telling = [word for word in words if word not in WEIGHTLESS]
    return {
        word: ({*telling[max(0, place - _BESIDE) : place]}, {*telling[place + 1 : place + 1 + _BESIDE]})
        for place, word in enumerate(telling)
        if len(word) >= _SHORTEST_VERB and word.startswith(("di", "me"))
    }


def _differ_in_daytime(one: Sequence[str], other: Sequence[str]) -> bool:
    first, second = _daytimes(one), _daytimes(other)
    return bool(first - second and second - first)


def _daytimes(words: Sequence[str]) -> set[str]:
    """The times of the day that are no greeting."""
    return {
        word
        for place, word in enumerate(words)
        if word in DAYTIMES and place >= _GREETING and words[place - 1] != "selamat"
    }


def _only_another(one: Sequence[str], other: Sequence[str]) -> bool:
    """Only at night is not only by day."""
    first, second = _next_to(one, "hanya"), _next_to(other, "hanya")
    return bool(first and second) and not first & second and first <= {*other} and second <= {*one}


def _next_to(words: Sequence[str], leading: str) -> set[str]:
    return {word for before, word in itertools.pairwise(words) if before == leading}
