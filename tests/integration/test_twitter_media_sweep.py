"""The folder of pictures holds what custody speaks of, and nothing else for long."""

import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from channels.twitter.media_sweep import MediaSweep
from gateway.clock import SystemClock
from gateway.ports import RawMessage
from gateway.store import messages as message_rows
from gateway.store.channel_store import StoredChannel
from tests.fakes import FakeClock
from tests.integration.kernel import Kernel, kernel_on

KEPT, ERASED, OTHER, YOUNG = (letter * 64 for letter in "abcd")
LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC).timestamp()


def record(name: str, sha256: str) -> RawMessage:
    """What says that a file was fetched."""
    return RawMessage(f"media:1:{name}", json.dumps({"lapor": "media", "sha256": sha256}).encode(), "1")


def put(folder: Path, sha256: str, *, old: bool = True) -> Path:
    """A file of that name."""
    path = folder / sha256[:2] / sha256
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a picture")
    if old:
        os.utime(path, (LONG_AGO, LONG_AGO))
    return path


@pytest.fixture
async def kernel(store_url: str) -> AsyncIterator[Kernel]:
    """A gateway on each kind of database."""
    async with kernel_on(store_url, FakeClock()) as opened:
        yield opened


async def test_only_what_custody_speaks_of_stays(kernel: Kernel, tmp_path: Path) -> None:
    """Old files without a record go; one that was fetched just now waits for its record; nothing else is touched."""
    ids = await kernel.receive(record("1", KEPT), record("2", ERASED), channel="twitter")
    async with kernel.store.write() as connection:
        await message_rows.erase(connection, ids[1])
    paths = [put(tmp_path, sha256) for sha256 in (KEPT, ERASED, OTHER)]
    paths += [put(tmp_path, YOUNG, old=False), put(tmp_path, "e" * 10)]
    sweep = MediaSweep(tmp_path, StoredChannel(kernel.store, "twitter"), SystemClock())
    assert await sweep.sweep() == 2
    assert [path.exists() for path in paths] == [True, False, False, True, True]
