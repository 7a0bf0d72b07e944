"""Writing to the store from the channel's own tasks, which nobody calls again: they try again themselves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from gateway.errors import StoreFull, StoreUnavailable

STORE_TROUBLE: Final = (StoreUnavailable, StoreFull)
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0

T = TypeVar("T")


async def persist(call: Callable[[], Awaitable[T]]) -> T:
    """Calls the store until it answers. Raises LeaseLost: another process has the channel now."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return await call()
        except STORE_TROUBLE:
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)
