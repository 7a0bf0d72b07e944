"""The start of a gateway, beside others that start at the same moment."""

import asyncio

from gateway.store import Store
from gateway.store.migrate import ensure_schema


async def test_gateways_that_start_at_once_set_an_empty_database_up_together(empty_url: str) -> None:
    """One of them makes the tables, the others wait for it and find them."""
    stores = [Store(empty_url) for _ in range(4)]
    try:
        await asyncio.gather(*(ensure_schema(store) for store in stores))
        await asyncio.gather(*(ensure_schema(store) for store in stores))
    finally:
        for store in stores:
            await store.close()
