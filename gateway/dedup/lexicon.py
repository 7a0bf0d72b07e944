"""What a dictionary of Indonesian knows of a word: whether it is one, and its root; a name is in no dictionary."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import simplemma

_LANGUAGE: Final = "id"
_REMEMBERED: Final = 1 << 15

_PREFIXES: Final = ("diper", "memper", "meng", "mem", "men", "me", "di", "ter", "ber", "ng")
_SUFFIXES: Final = ("kan", "an", "i")
_SHORTEST_STEM: Final = 4
_SHORTEST: Final = 5

_NASAL: Final = (("nge", ("",)), ("ny", ("s", "c")), ("ng", ("", "k")), ("n", ("t",)), ("m", ("p",)))
"""How everyday speech begins a verb, and the first letter that it swallows: *nyuruh* of *suruh*, *nolak* of *tolak*."""

_SPELLINGS: Final = tuple(
    (re.compile(written), sound)
    for written, sound in (
        (r"([a-z])\1", r"\1"),
        ("ae", "ai"),
        ("y$", "i"),
        ("c(?=[^haiueo]|[ou])", "k"),
        ("^h", ""),
        ("oe", "u"),
        ("o", "u"),
        ("[fv]", "p"),
        ("sy|z|x", "s"),
        ("kh|q", "k"),
        ("(?<=[dtlbgjs])h", ""),
        ("d$", "t"),
        ("b$", "p"),
        ("e(?=[^aiueo]{1,2}$)", "a"),
        ("(?<=[^aiueo])y", "i"),
    )
)
"""Letters that citizens take for each other: *hutang* and *utang*, *napas* and *nafas*, *malem* and *malam*."""


@lru_cache(maxsize=_REMEMBERED)
def is_word(word: str) -> bool:
    """Whether the dictionary has a word."""
    return simplemma.is_known(word, lang=_LANGUAGE)


@lru_cache(maxsize=_REMEMBERED)
def root(word: str) -> str:
    """The root of a word, as far as the dictionary or its affixes tell; any other word as it is."""
    if is_word(word):
        return simplemma.lemmatize(word, lang=_LANGUAGE)
    spoken = next((each for each in _spoken(word) if is_word(each)), None)
    if spoken is not None:
        return simplemma.lemmatize(spoken, lang=_LANGUAGE)
    stems = _without_affixes(word)
    stem = next((each for each in stems if is_word(each)), None)
    return stems[-1] if stem is None else simplemma.lemmatize(stem, lang=_LANGUAGE)


def _spoken(word: str) -> Iterator[str]:
    """What an everyday form of a verb may be in writing."""
    if len(word) < _SHORTEST:
        return
    for begin, swallowed in _NASAL:
        if word.startswith(begin):
            yield from (letter + word[len(begin) :] for letter in swallowed)
            break
    if word.endswith("in"):
        yield from (word[:-2] + suffix for suffix in ("kan", "i", ""))


def _without_affixes(word: str) -> list[str]:
    """A word without its prefix, and without its suffix too; the last is the shortest that may be its root."""
    prefix = next((each for each in _PREFIXES if word.startswith(each)), "")
    stem = word[len(prefix) :]
    if len(stem) < _SHORTEST_STEM:
        return [word]
    suffix = next((each for each in _SUFFIXES if stem.endswith(each)), "")
    bare = stem[: -len(suffix)] if suffix and len(stem) - len(suffix) >= _SHORTEST_STEM else stem
    return [stem, bare] if prefix else [bare, word]


@lru_cache(maxsize=_REMEMBERED)
def sound(word: str) -> str:
    """How a word sounds: the same for spellings that citizens take for each other."""
    for written, heard in _SPELLINGS:
        word = written.sub(heard, word)
    return word


_SYLLABLES: Final = re.compile(
    r"(?:ng|ny|kh|sy|[bcdgjklmnprstw][rlw]|s[kpt]|[bcdfghjklmnpqrstvwyz])?"
    r"(?:(?:[aeiou]|a[iue]|i[aou]|u[aio]|e[ao]|o[ai])"
    r"(?:ngg|ng[kgs]|ng|ny|mb|mp|nd|nt|nj|nc|ns|kh|sy|k[tsl]|[lrsh][bcdgjklmnprstw]|[bdgkpt]r|n[dt]r|mbr|ngr"
    r"|[bcdfghjklmnpqrstvwyz]))*"
    r"(?:[aeiou]|a[iu]|i[ao]|ua)?"
)
"""How Indonesian words are built, roughly: a mistyped name rarely is one that could be the name of another place."""


@lru_cache(maxsize=_REMEMBERED)
def could_be_a_word(word: str) -> bool:
    """Whether a word could be Indonesian, by its consonants and vowels."""
    return _SYLLABLES.fullmatch(word) is not None
