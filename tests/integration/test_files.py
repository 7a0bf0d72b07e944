"""The folder of files: what came with a message is there as long as a message in custody speaks of it."""

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import NeedsOperator
from gateway.ports import RawMessage
from gateway.store.channel_store import StoredChannel
from gateway.store.files import FileFolder, PartialFile
from gateway.store.tables import files, messages
from tests.fakes import FakeClock, RecordingPublisher, fake_message
from tests.integration.kernel import CHANNEL, Kernel, kernel_on, settings_for

PHOTO = b"a photo of a broken road"
HASH = hashlib.sha256(PHOTO).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the files go; made with the first of them."""
    return tmp_path / "deep" / "files"


@pytest.fixture
async def kernel(store_url: str, clock: FakeClock, folder: Path) -> AsyncIterator[Kernel]:
    """A gateway on each kind of database, with a folder of its own."""
    settings = settings_for(store_url, files=str(folder))
    async with kernel_on(store_url, clock, RecordingPublisher(), settings=settings) as opened:
        yield opened


def names(folder: Path) -> set[str]:
    """Every file in a folder."""
    return {path.name for path in folder.rglob("*") if path.is_file()}


def grow_old(folder: Path) -> None:
    """As if all files had been there for long."""
    for path in folder.rglob("*"):
        os.utime(path, (0, 0))


def touch(folder: Path) -> None:
    """As if all files had come just now."""
    for path in folder.rglob("*"):
        path.touch()


def block(folder: Path) -> None:
    """Puts a file where the folder should be."""
    folder.parent.mkdir()
    folder.touch()


def unblock(folder: Path) -> None:
    """Takes it away again."""
    folder.unlink()


def with_photo(external_id: str, **fields: Any) -> RawMessage:
    """A message that brings a file."""
    return fake_message(external_id, files=[["https://x.invalid/1", HASH]], brings=PHOTO.decode(), **fields)


async def pieces(*contents: bytes) -> AsyncIterator[bytes]:
    for content in contents:
        yield content


async def test_what_a_message_brings_is_kept_under_its_hash(kernel: Kernel, folder: Path) -> None:
    """Twice the same is one file, and nobody else may read it."""
    await kernel.take(with_photo("a"), with_photo("b"))
    assert names(folder) == {HASH}
    path = kernel.store.files.path_of(HASH)
    assert path.read_bytes() == PHOTO
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert await kernel.count(files) == 2


async def test_a_file_goes_with_the_last_message_that_speaks_of_it(kernel: Kernel, folder: Path) -> None:
    """Not before; and a file that came just now waits for its message."""
    await kernel.take(with_photo("a"), with_photo("b"))
    for gone, left in (("a", {HASH}), ("b", set())):
        note = fake_message(f"w:{gone}", "", not_a_report="gone", withdrawal=[gone, "was deleted"])
        await kernel.take(note)
        await kernel.gateway.retain.remove_files()
        assert names(folder) == {HASH}
        grow_old(folder)
        await kernel.gateway.retain.remove_files()
        assert names(folder) == left
        touch(folder)


async def test_a_file_goes_when_its_message_has_become_too_old(kernel: Kernel, folder: Path) -> None:
    """Nothing is kept longer than ``store.keep_days`` says."""
    await kernel.take(with_photo("a"))
    grow_old(folder)
    await kernel.gateway.retain.empty()
    await kernel.gateway.retain.remove_files()
    assert names(folder) == {HASH}
    kernel.clock.advance(days=400)
    await kernel.gateway.retain.empty()
    await kernel.gateway.retain.remove_files()
    assert (names(folder), await kernel.count(files)) == (set(), 0)
    assert (await kernel.row(messages)).raw is None


async def test_a_folder_that_cannot_be_written_to_stops_the_decision_and_says_why(kernel: Kernel, folder: Path) -> None:
    """The message stays undecided, and goes on once the folder is mended."""
    block(folder)
    await kernel.take(fake_message("first"))
    await kernel.receive(with_photo("a"))
    with pytest.raises(NeedsOperator, match=r"^store\.files: "):
        await kernel.gateway.process.step()
    assert (await kernel.row(messages, external_id="a")).state == "received"
    unblock(folder)
    await kernel.process()
    assert names(folder) == {HASH}


async def test_a_channel_writes_a_file_piece_by_piece(kernel: Kernel, folder: Path) -> None:
    """It appears when it is complete; what the pieces raise leaves nothing behind."""
    channel = StoredChannel(kernel.store, CHANNEL)
    kept = await channel.keep_file(pieces(PHOTO[:5], PHOTO[5:]))
    assert (kept.sha256, kept.size) == (HASH, len(PHOTO))

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await channel.keep_file(broken())
    assert names(folder) == {HASH}


def test_what_a_kill_has_left_is_cleared_away_once_nobody_can_be_writing_it(folder: Path) -> None:
    """An incomplete file may still be under way, unless it is old."""
    old, young = PartialFile(folder), PartialFile(folder)
    for partial in (old, young):
        partial.open()
        partial.write(PHOTO)
    paths = sorted((folder / "incoming").iterdir())
    os.utime(paths[0], (0, 0))
    assert FileFolder(str(folder)).remove_others(set()) == 1
    assert list((folder / "incoming").iterdir()) == paths[1:]
    for partial in (old, young):
        partial.discard()
    assert names(folder) == set()


def test_a_file_that_was_given_up_is_not_opened_by_a_thread_that_comes_late(folder: Path) -> None:
    """A cancelled task leaves its thread behind."""
    partial = PartialFile(folder)
    partial.discard()
    partial.open()
    partial.write(b"x")
    partial.finish(HASH)
    assert not folder.exists()
