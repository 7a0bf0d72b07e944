"""Removes files that nothing in custody speaks of any more: of posts that are gone, and of those that grew too old."""

import asyncio
import re
import time
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from channels.twitter.keeping import persist
from gateway.clock import Clock
from gateway.ports import ChannelStore

SWEEP_HOURS: Final = 24
SAVED_AS: Final = "media_sweep"
_POLL_SECONDS: Final = 60.0
_ROWS: Final = 500
_YOUNG_SECONDS: Final = 3600.0
"""A file may be there for a moment before its record is."""

_BEGINNING: Final = datetime(2006, 1, 1, tzinfo=UTC)
_HASH = re.compile(r"[0-9a-f]{64}")


class _Record(msgspec.Struct):
    sha256: str = ""


def _hash_of(raw: bytes) -> str:
    try:
        return msgspec.json.decode(raw, type=_Record).sha256
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


class MediaSweep:
    """Compares the folder with custody, once a day.

    The kernel empties the record of a file with everything else of its post, when that is withdrawn or has become
    too old; the file itself is the channel's.

    Args:
        folder: Where the files of this channel are, and no others.
        store: Tells what is in custody.
        clock: Tells when it is time.
    """

    def __init__(self, folder: Path, store: ChannelStore, clock: Clock) -> None:
        self._folder = folder
        self._store = store
        self._clock = clock
        self._reason = ""

    def details(self) -> dict[str, str]:
        """What operators see."""
        return {"media_sweep_reason": self._reason}

    async def run(self) -> None:
        """Never ends by itself. Raises LeaseLost."""
        while True:
            await persist(self._sweep_if_due)
            await asyncio.sleep(_POLL_SECONDS)

    async def _sweep_if_due(self) -> None:
        before = await self._store.load(SAVED_AS)
        now = self._clock.now()
        if before is None or now - datetime.fromisoformat(before) >= timedelta(hours=SWEEP_HOURS):
            try:
                await self.sweep()
                self._reason = ""
            except OSError as error:
                self._reason = f"media_folder cannot be cleared ({error.strerror}): mend its permissions."
            await self._store.save({SAVED_AS: now.isoformat()})

    async def sweep(self) -> int:
        """Removes what is not spoken of; returns how many files that were."""
        spoken_of = await self._spoken_of()
        return await asyncio.to_thread(_remove_others, self._folder, spoken_of)

    async def _spoken_of(self) -> set[str]:
        found: set[str] = set()
        after = ""
        while True:
            rows = await self._store.kept(_BEGINNING, after, _ROWS)
            found |= {_hash_of(row.raw) for row in rows if row.external_id.startswith("media:")}
            if len(rows) < _ROWS:
                return found
            after = rows[-1].id


def _remove_others(folder: Path, spoken_of: Collection[str]) -> int:
    removed = 0
    for path in folder.glob("[0-9a-f][0-9a-f]/*"):
        young = time.time() - path.stat().st_mtime < _YOUNG_SECONDS
        if _HASH.fullmatch(path.name) and path.name not in spoken_of and not young:
            path.unlink(missing_ok=True)
            removed += 1
    return removed
