"""A few numbers by which near-duplicates of a text are found among millions: MinHash over its telling words.

A key joins the smallest words of a text under two hash functions (a band of two rows: Leskovec, Rajaraman and Ullman,
*Mining of Massive Datasets*, 3.4) with one number or ID of the text, its anchor: thousands of people write on one
template, and only their numbers differ. Two anchors, the smallest and the first, outlive a lost end and sentences that
change places. What has no number at all may have lost it: such texts and the others look for each other by the
beginnings alone.
"""

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.dedup.normalise import Matter

Keys = NDArray[np.uint32]
_Numbers = NDArray[np.uint64]

_BANDS: Final = 4
_ROWS: Final = 2

_HEAD: Final = 12
"""Telling words of the beginning: what an SMS of 160 characters keeps."""

_random: Final = np.random.default_rng(1708)
_FACTORS: Final = _random.integers(1, 1 << 32, size=_ROWS * _BANDS, dtype=np.uint64) | np.uint64(1)
_SUMMANDS: Final = _random.integers(0, 1 << 63, size=_ROWS * _BANDS, dtype=np.uint64)
_WEIGHTS: Final = _random.integers(1, 1 << 63, size=_ROWS, dtype=np.uint64) | np.uint64(1)
_WHOLE, _BEGINNING, _BARE = _random.integers(1, 1 << 63, size=(3, _BANDS), dtype=np.uint64)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # Knuth, TAOCP 6.4: multiplicative hashing by the golden ratio
_SHIFT: Final = np.uint64(32)
_NO_NUMBER: Final = np.uint64(0)


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
    words = matter.content or matter.words or ("",)
    hashes = np.fromiter((zlib.crc32(word.encode()) for word in words), np.uint64, len(words))
    numbers = [value for word, value in zip(words, hashes, strict=True) if not word.isalpha()]
    whole, beginning = _bands(hashes), _bands(hashes[:_HEAD])
    if not numbers:
        anchored = np.concatenate([_key(whole, _WHOLE, _NO_NUMBER), _key(beginning, _BEGINNING, _NO_NUMBER)])
        return Sketch(anchored, np.concatenate([anchored, _key(beginning, _BARE, _NO_NUMBER)]))
    anchored = np.concatenate([_key(whole, _WHOLE, min(numbers)), _key(beginning, _BEGINNING, numbers[0])])
    return Sketch(
        np.concatenate([anchored, _key(beginning, _BARE, _NO_NUMBER)]),
        np.concatenate([anchored, _key(beginning, _BEGINNING, _NO_NUMBER)]),
    )


def _bands(hashes: _Numbers) -> _Numbers:
    """One number for each band: the smallest values under its rows, joined."""
    smallest = ((hashes[:, None] * _FACTORS + _SUMMANDS) >> _SHIFT).min(axis=0)
    joined: _Numbers = (smallest.reshape(_BANDS, _ROWS) * _WEIGHTS).sum(axis=1, dtype=np.uint64)
    return joined


def _key(bands: _Numbers, family: _Numbers, anchor: np.uint64) -> Keys:
    mixed: Keys = (((bands ^ (family + anchor)) * _MIX) >> _SHIFT).astype(np.uint32)
    return mixed
