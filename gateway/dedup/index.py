"""Finds the texts that share keys with a new one, among millions: sorted arrays in memory, a copy of committed rows.

Each posting is one 64-bit number, the key above the text's number, in three arrays: the youngest takes every batch in,
and is merged into the next one when it has grown. So a batch costs a search in three arrays and a small merge.
"""

from collections import Counter
from collections.abc import Sequence
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

_SHIFT: Final = np.uint64(32)
_ONE: Final = np.uint64(1)


class SketchIndex:
    """Numbers of texts by their keys. It only grows; what has become of a text, the database knows."""

    def __init__(self) -> None:
        self._levels: list[_Postings] = [np.empty(0, np.uint64) for _ in range(len(_LEVELS) + 1)]

    def __len__(self) -> int:
        """How many postings there are."""
        return sum(level.size for level in self._levels)

    def load(self, numbers: Sequence[int] | NDArray[np.uint32], keys: Sequence[Keys]) -> None:
        """Takes many texts in at once, as the oldest level; the arguments are those of :meth:`add`."""
        self._levels[-1] = _merged(self._levels[-1], _postings(numbers, keys))

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
        """Merges what has grown; long enough to belong into a thread, while nothing else touches the index.

        Args:
            oldest: Texts with a lower number have left the window and are dropped on the way.
        """
        for position, most in enumerate(_LEVELS):
            if self._levels[position].size > most:
                merged = _merged(self._levels[position + 1], self._levels[position])
                if position + 1 == len(_LEVELS):
                    merged = merged[(merged & np.uint64(0xFFFFFFFF)) >= np.uint64(oldest)]
                self._levels[position + 1] = merged
                self._levels[position] = np.empty(0, np.uint64)

    def find(self, wanted: Sequence[Keys], most: int) -> list[list[int]]:
        """The numbers of the texts that share keys with each of those asked for.

        Args:
            wanted: The keys of each text.
            most: How many numbers for each at most: those that share most keys, the newest of equals first.
        """
        found: list[Counter[int]] = [Counter() for _ in wanted]
        if not wanted:
            return []
        keys = np.concatenate(wanted).astype(np.uint64)
        owners = np.repeat(np.arange(len(wanted)), [len(each) for each in wanted])
        for level in self._levels:
            first = np.searchsorted(level, keys << _SHIFT)
            behind = np.searchsorted(level, (keys + _ONE) << _SHIFT)
            for place in np.flatnonzero(behind > first):
                newest = level[max(int(first[place]), int(behind[place]) - _NEWEST) : int(behind[place])]
                found[owners[place]].update((newest & np.uint64(0xFFFFFFFF)).tolist())
        return [_best(counted, most) for counted in found]


def _postings(numbers: Sequence[int] | NDArray[np.uint32], keys: Sequence[Keys]) -> _Postings:
    owners = np.repeat(np.asarray(numbers, np.uint64), [len(each) for each in keys])
    return np.sort((np.concatenate(keys).astype(np.uint64) << _SHIFT) | owners)


def _merged(one: _Postings, other: _Postings) -> _Postings:
    if not one.size or not other.size:
        return one if one.size else other
    return np.sort(np.concatenate([one, other]), kind="stable")  # a merge of what is sorted already


def _best(counted: Counter[int], most: int) -> list[int]:
    shared = [number for number, count in counted.items() if count >= FEWEST_SHARED]
    return sorted(shared, key=lambda number: (-counted[number], -number))[:most]
