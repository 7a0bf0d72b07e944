"""A few numbers by which near-duplicates of a text are found among millions: MinHash over its telling words.

A key joins the smallest words of a text under two hash functions (a band of two rows: Leskovec, Rajaraman and Ullman,
*Mining of Massive Datasets*, 3.4) with one number of the text, its anchor: thousands of people write on one template,
and only their numbers differ. Where the anchor is an ID, one row is enough. Two anchors, the smallest and the first,
outlive a lost end and sentences that change places. What has no number at all may have lost it: such texts and the
others look for each other by the beginnings alone.
"""

import re
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.dedup.normalise import Matter

Keys = NDArray[np.uint32]
_Numbers = NDArray[np.uint64]

_BANDS: Final = 6
_BANDS_OF_IDS: Final = 4
_BANDS_BARE: Final = 4
_ROWS: Final = 2

_HEAD: Final = 12
"""Telling words of the beginning: what an SMS of 160 characters keeps."""

_ID: Final = re.compile(r"(?=.*[0-9].*[0-9].*[0-9].*[0-9].*[0-9])(?!.*000$).*|(?=.*[a-z])(?=.*[0-9]{2}).{6,}")
"""At least five digits and no round amount, or letters and digits mixed: few texts share one by chance."""

_NUMBERED: Final = re.compile("^[a-z]+(?=[0-9]+$)")
"""What a number is tied to: that may be mistyped."""

_random: Final = np.random.default_rng(1708)


def _constants(*shape: int) -> _Numbers:
    return _random.integers(1, 1 << 63, size=shape, dtype=np.uint64) | np.uint64(1)


_FACTORS: Final = _constants(2, _BANDS * _ROWS, 1)
_SUMMANDS: Final = _constants(2, _BANDS * _ROWS, 1)
_WEIGHTS: Final = _constants(_ROWS)
_WHOLE, _BEGINNING, _BARE = _constants(3, _BANDS)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # Knuth, TAOCP 6.4: multiplicative hashing by the golden ratio
_SHIFT: Final = np.uint64(32)
_NO_NUMBERS: Final = np.zeros((1, 1), np.uint64)


@dataclass(frozen=True, slots=True)
class Sketch:
    """The keys of one text.

    Attributes:
        kept: Those by which it is found later.
        wanted: Those under which earlier ones may be found.
    """

    kept: Keys
    wanted: Keys


def sketch(matter: Matter) -> Sketch:
    """Makes the keys of a text."""
    return sketches([matter])[0]


def sketches(matters: Sequence[Matter]) -> list[Sketch]:
    """Makes the keys of many texts at once, for a fraction of what they cost one by one."""
    if not matters:
        return []
    texts = [matter.content or matter.words or ("",) for matter in matters]
    vocabularies = [matter.vocabulary or words for matter, words in zip(matters, texts, strict=True)]
    anchors = [_anchors(words) for words in texts]
    smallest = np.array([min(found, default=0) for found, _rows in anchors], np.uint64)[:, None]
    first = np.array([found[0] if found else 0 for found, _rows in anchors], np.uint64)[:, None]
    whole, beginning = _smallest(vocabularies, 0), _smallest([words[:_HEAD] for words in texts], 1)
    pairs, heads = _joined(whole, _ROWS), _joined(beginning, _ROWS)
    bare, without = _key(heads[:, :_BANDS_BARE], _BARE), _key(heads, _BEGINNING)
    numbered = [_key(pairs, _WHOLE, smallest), _key(heads, _BEGINNING, first)]
    with_id = [
        _key(_joined(whole, 1)[:, :_BANDS_OF_IDS], _WHOLE, smallest),
        _key(_joined(beginning, 1)[:, :_BANDS_OF_IDS], _BEGINNING, first),
    ]
    plain, and_bare, and_without, ids_and_bare, ids_and_without = (
        np.hstack(parts)
        for parts in (numbered, [*numbered, bare], [*numbered, without], [*with_id, bare], [*with_id, without])
    )
    made: list[Sketch] = []
    for place, (found, rows) in enumerate(anchors):
        if not found:
            made.append(Sketch(plain[place], and_bare[place]))
        elif rows == 1:
            made.append(Sketch(ids_and_bare[place], ids_and_without[place]))
        else:
            made.append(Sketch(and_bare[place], and_without[place]))
    return made


def _anchors(words: Sequence[str]) -> tuple[list[int], int]:
    """The hashes of a text's IDs, or else of its numbers; and the rows of a band that they need beside them."""
    numbers = [_NUMBERED.sub("", word) for word in words if not word.isalpha()]
    ids = [number for number in numbers if _ID.fullmatch(number) is not None]
    return [_hash(number) for number in ids or numbers], 1 if ids else _ROWS


@lru_cache(maxsize=1 << 14)
def _hash(word: str) -> int:
    return zlib.crc32(word.encode())


def _smallest(texts: Sequence[Collection[str]], family: int) -> _Numbers:
    """The smallest value of each text under each row of each band."""
    hashes = np.array([_hash(word) for words in texts for word in words], np.uint64)
    starts = np.cumsum([0, *(len(words) for words in texts[:-1])])
    values = (_FACTORS[family] * hashes + _SUMMANDS[family]) >> _SHIFT
    smallest: _Numbers = np.minimum.reduceat(values, starts, axis=1).T.reshape(len(texts), _BANDS, _ROWS)
    return smallest


def _joined(smallest: _Numbers, rows: int) -> _Numbers:
    """One number for each band of each text."""
    joined: _Numbers = (smallest[:, :, :rows] * _WEIGHTS[:rows]).sum(axis=2, dtype=np.uint64)
    return joined


def _key(bands: _Numbers, family: _Numbers, anchors: _Numbers = _NO_NUMBERS) -> Keys:
    mixed: Keys = (((bands ^ (family[: bands.shape[1]] + anchors)) * _MIX) >> _SHIFT).astype(np.uint32)
    return mixed
