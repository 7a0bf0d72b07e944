"""Finds the texts that share keys with a new one, among millions: sorted arrays in memory, a copy of committed rows.

Each posting is one 64-bit number, the key above the text's number, in three arrays: the youngest takes every batch in,
and is merged into the next one when it has grown. So a batch costs a search in three arrays and a small merge.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.dedup.sketch import Keys

_Postings = NDArray[np.uint64]

_LEVELS: Final = (1 << 16, 1 << 20)
"""Postings at which an array is merged into the next."""

_NEWEST: Final = 32
"""Texts that are looked at for one key: a campaign's other thousands say nothing new."""

FEWEST_SHARED: Final = 2
"""Keys that two texts share at least: near-duplicates share most of theirs, and one is shared by chance."""

_AT_ONCE: Final = 1 << 20
_KEY_BYTES: Final = np.dtype(np.uint32).itemsize
_SHIFT: Final = np.uint64(32)
_NUMBER: Final = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """The keys of some texts as a database holds them, one text after the other.

    Attributes:
        numbers: One for each text; below 2^32.
        sizes: The bytes that each text's keys take.
        keys: The bytes of all of them.
    """

    numbers: NDArray[np.uint64]
    sizes: NDArray[np.intp]
    keys: bytes


class SketchIndex:
    """Numbers of texts by their keys. It only grows; what has become of a text, the database knows."""

    def __init__(self) -> None:
        self._levels: list[_Postings] = [np.empty(0, np.uint64) for _ in range(len(_LEVELS) + 1)]

    def __len__(self) -> int:
        """How many postings there are."""
        return sum(level.size for level in self._levels)

    def load(self, pieces: Iterable[StoredKeys]) -> None:
        """Takes all texts in at once, in place of what there was; one array grows, and is never there twice."""
        postings = np.empty(0, np.uint64)
        for piece in pieces:
            keys = np.frombuffer(piece.keys, np.uint32).astype(np.uint64)
            _append(postings, (keys << _SHIFT) | np.repeat(piece.numbers, piece.sizes // _KEY_BYTES))
        postings.sort()
        self._levels = [np.empty(0, np.uint64) for _ in _LEVELS] + [postings]

    def add(self, numbers: Sequence[int] | NDArray[np.uint32], keys: Sequence[Keys]) -> None:
        """Takes texts in.

        Args:
            numbers: One for each text; below 2^32.
            keys: The kept keys of each.
        """
        if len(numbers):
            self._levels[0] = _merged(self._levels[0], _postings(numbers, keys))

    def needs_merging(self) -> bool:
        """Whether :meth:`merge` has something to do."""
        return any(level.size > most for level, most in zip(self._levels, _LEVELS, strict=False))

    def merge(self, oldest: int = 0) -> None:
        """Merges what has grown, in place; it takes so long that it belongs into a thread, with nobody else reading.

        Args:
            oldest: Texts with a lower number have left the window and are dropped on the way.
        """
        for position, most in enumerate(_LEVELS):
            if self._levels[position].size > most:
                younger, self._levels[position] = self._levels[position], np.empty(0, np.uint64)
                older = self._levels[position + 1]
                if position + 1 == len(_LEVELS):
                    _forget(older, oldest)
                _append(older, younger)
                older.sort(kind="stable")  # which is a merge of two that are sorted already

    def find(self, wanted: Sequence[Keys], most: int, below: Sequence[int] | None = None) -> list[list[int]]:
        """The numbers of the texts that share keys with each of those asked for.

        Args:
            wanted: The keys of each text.
            most: How many numbers for each at most: those that share most keys, the newest of equals first.
            below: For each text a number; those from it on are not looked at.
        """
        if not wanted:
            return []
        sizes = [len(each) for each in wanted]
        owners = np.repeat(np.arange(len(wanted), dtype=np.uint64), sizes)
        last = _NUMBER if below is None else np.repeat(np.asarray(below, np.uint64), sizes)
        keys = (np.concatenate(wanted).astype(np.uint64) << _SHIFT) | last
        order = np.argsort(keys)  # neighbours are searched for one after the other: what is in the cache serves twice
        hits = np.concatenate([_hits(level, keys[order], owners[order]) for level in self._levels])
        texts, shared = np.unique(hits, return_counts=True)
        kept = shared >= FEWEST_SHARED
        texts, shared = texts[kept], shared[kept]
        best = np.lexsort((_NUMBER - (texts & _NUMBER), -shared, texts >> _SHIFT))
        found: list[list[int]] = [[] for _ in wanted]
        for owner, number in zip((texts[best] >> _SHIFT).tolist(), (texts[best] & _NUMBER).tolist(), strict=True):
            if len(found[owner]) < most:
                found[owner].append(number)
        return found


def _hits(level: _Postings, keys: _Postings, owners: _Postings) -> _Postings:
    """The newest texts under each key and below its number, each number under that of the text that asks."""
    behind = np.searchsorted(level, keys)
    there = np.flatnonzero(behind)
    there = there[level[behind[there] - 1] >> _SHIFT == keys[there] >> _SHIFT]
    first = np.searchsorted(level, keys[there] & ~_NUMBER)
    counts = np.minimum(behind[there] - first, _NEWEST)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.repeat(behind[there] - counts, counts) + within
    hits: _Postings = (np.repeat(owners[there], counts) << _SHIFT) | (level[places] & _NUMBER)
    return hits


def _postings(numbers: Sequence[int] | NDArray[np.uint32], keys: Sequence[Keys]) -> _Postings:
    owners = np.repeat(np.asarray(numbers, np.uint64), [len(each) for each in keys])
    return np.sort((np.concatenate(keys).astype(np.uint64) << _SHIFT) | owners)


def _append(array: _Postings, more: _Postings) -> None:
    """Lets an array grow where it is: a copy of the largest would be a quarter of the gateway's memory."""
    size = array.size
    array.resize(size + more.size, refcheck=False)
    array[size:] = more


def _forget(array: _Postings, oldest: int) -> None:
    """Drops the texts below a number from an array where it is."""
    kept = 0
    for start in range(0, array.size, _AT_ONCE):
        part = array[start : start + _AT_ONCE]
        part = part[part & _NUMBER >= np.uint64(oldest)]
        array[kept : kept + part.size] = part
        kept += part.size
    array.resize(kept, refcheck=False)


def _merged(one: _Postings, other: _Postings) -> _Postings:
    if not one.size or not other.size:
        return one if one.size else other
    both = np.concatenate([one, other])
    both.sort(kind="stable")  # a merge of what is sorted already, in place
    return both
