"""A few numbers by which near-duplicates of a text are found among millions: MinHash over its telling words.

A key joins the smallest words of a text under two hash functions (a band of two rows: Leskovec, Rajaraman and Ullman,
*Mining of Massive Datasets*, 3.4) with one number of the text, its anchor: thousands of people write on one template,
and only their numbers differ. Where the anchor is an ID, one row is enough. Two anchors, the smallest and the first,
outlive a lost end and sentences that change places. What has no number at all may have lost it: such texts and the
others look for each other by the beginnings alone.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
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
    anchors, rows = _anchors(words)
    whole, beginning = _smallest(hashes, 0), _smallest(hashes[:_HEAD], 1)
    joined = _joined(beginning, _ROWS)
    bare, without = _key(joined[:_BANDS_BARE], _BARE, _NO_NUMBER), _key(joined, _BEGINNING, _NO_NUMBER)
    if not anchors:
        kept = np.concatenate([_key(_joined(whole, _ROWS), _WHOLE, _NO_NUMBER), without])
        return Sketch(kept, np.concatenate([kept, bare]))
    bands = _BANDS_OF_IDS if rows == 1 else _BANDS
    anchored = np.concatenate(
        [
            _key(_joined(whole[:bands], rows), _WHOLE, min(anchors)),
            _key(_joined(beginning[:bands], rows), _BEGINNING, anchors[0]),
        ]
    )
    return Sketch(np.concatenate([anchored, bare]), np.concatenate([anchored, without]))


def _anchors(words: Sequence[str]) -> tuple[list[np.uint64], int]:
    """The hashes of a text's IDs, or else of its numbers; and the rows of a band that they need beside them."""
    numbers = [_NUMBERED.sub("", word) for word in words if not word.isalpha()]
    ids = [number for number in numbers if _ID.fullmatch(number) is not None]
    return [np.uint64(zlib.crc32(number.encode())) for number in ids or numbers], 1 if ids else _ROWS


def _smallest(hashes: _Numbers, family: int) -> _Numbers:
    """The smallest value under each row of each band."""
    smallest: _Numbers = ((_FACTORS[family] * hashes + _SUMMANDS[family]) >> _SHIFT).min(axis=1)
    return smallest.reshape(_BANDS, _ROWS)


def _joined(smallest: _Numbers, rows: int) -> _Numbers:
    """One number for each band."""
    joined: _Numbers = (smallest[:, :rows] * _WEIGHTS[:rows]).sum(axis=1, dtype=np.uint64)
    return joined


def _key(bands: _Numbers, family: _Numbers, anchor: np.uint64) -> Keys:
    mixed: Keys = (((bands ^ (family[: len(bands)] + anchor)) * _MIX) >> _SHIFT).astype(np.uint32)
    return mixed
