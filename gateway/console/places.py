"""How much room is left on the disks that the gateway writes to."""

import asyncio
import shutil
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from gateway.disks import Place, places
from gateway.settings import Settings

LOOK_SECONDS: Final = 2.0
"""A disk that does not answer within that is left out: a network's may never answer."""

_looking = threading.Lock()


async def free_bytes(settings: Settings) -> Mapping[str, int]:
    """Bytes that are free, by place: database and journal where they are embedded, files. Unknown ones are left out."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await asyncio.to_thread(_look, sorted(places(settings), key=lambda place: place.name))
    except TimeoutError:
        return {}


def _look(wanted: Sequence[Place]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    if _looking.acquire(blocking=False):  # else a disk does not answer: one thread waits for it, not all that there are
        try:
            for place in wanted:
                with suppress(OSError):
                    found[place.name] = shutil.disk_usage(place.folder()).free
        finally:
            _looking.release()
    return found
