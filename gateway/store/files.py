"""The folder of files that came with messages: each named by the SHA-256 of its bytes, complete or not there."""

import asyncio
import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import AsyncIterator, Collection, Mapping
from io import FileIO
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import KeptFile
from gateway.store.sql import insert_new
from gateway.store.tables import files

_INCOMING: Final = "incoming"
_YOUNG_SECONDS: Final = 3600.0
"""A file may be there for a moment before its message says so, and an incomplete one may be under way."""

_HASH = re.compile(r"[0-9a-f]{64}")


class FileFolder:
    """A content-addressed folder, for nobody else's eyes. Nothing is made before the first file.

    Args:
        path: As in ``store.files``.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def path_of(self, sha256: str) -> Path:
        """Where a file is, if it is there."""
        return self._path / sha256[:2] / sha256

    async def keep(self, pieces: AsyncIterator[bytes]) -> KeptFile:
        """Writes a file piece by piece. What ``pieces`` raises is raised here, and nothing stays.

        Raises:
            OSError: The folder cannot be written to.
        """
        digest = hashlib.sha256()
        size = 0
        partial = PartialFile(self._path)
        try:
            await asyncio.to_thread(partial.open)
            async for piece in pieces:
                size += len(piece)
                digest.update(piece)
                await asyncio.to_thread(partial.write, piece)
            await asyncio.to_thread(partial.finish, digest.hexdigest())
        finally:
            partial.discard()
        return KeptFile(digest.hexdigest(), size)

    def put(self, contents: Mapping[str, bytes]) -> None:
        """Writes files that are whole already, by their names. Blocks; raises OSError."""
        for name, content in contents.items():
            if self.path_of(name).exists():
                continue
            partial = PartialFile(self._path)
            try:
                partial.open()
                partial.write(content)
                partial.finish(name)
            finally:
                partial.discard()

    def remove_others(self, known: Collection[str]) -> int:
        """Removes old files that no message speaks of, and what a crash has left. Blocks; raises OSError."""
        removed = 0
        for path in (*self._path.glob("[0-9a-f][0-9a-f]/*"), *self._path.glob(f"{_INCOMING}/*")):
            ours = path.parent.name == _INCOMING or _HASH.fullmatch(path.name)
            if ours and path.name not in known and time.time() - path.stat().st_mtime > _YOUNG_SECONDS:
                path.unlink(missing_ok=True)
                removed += 1
        return removed


class PartialFile:
    """A file that is not complete yet. Its methods block, and are called from threads, one at a time.

    Args:
        folder: Where complete files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / _INCOMING / secrets.token_hex(16)
        self._file: FileIO | None = None
        self._discarded = False
        self._lock = threading.Lock()  # a cancelled task leaves its thread behind

    def open(self) -> None:
        """Makes the folders where they are missing, and the file."""
        with self._lock:
            if not self._discarded:
                _make_folder(self._path.parent)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                self._file = FileIO(os.open(self._path, flags, 0o600), "wb")

    def write(self, piece: bytes) -> None:
        """Adds to the file."""
        with self._lock:
            left = memoryview(piece)
            while left and self._file is not None:
                left = left[self._file.write(left) :]

    def finish(self, name: str) -> None:
        """Puts the file where it belongs, for good."""
        with self._lock:
            if self._file is None:
                return
            os.fsync(self._file.fileno())
            place = self._folder / name[:2]
            _make_folder(place)
            self._path.replace(place / name)
            _sync(place)

    def discard(self) -> None:
        """Closes the file, and removes it unless it is finished."""
        with self._lock:
            self._discarded = True
            if self._file is not None:
                self._file.close()
                self._file = None
                self._path.unlink(missing_ok=True)


def _make_folder(path: Path) -> None:
    """Makes a folder and the one above it for nobody else's eyes, and has the disk know of them."""
    for folder in (path.parent, path):
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def note(connection: AsyncConnection, new: Collection[tuple[str, str]]) -> None:
    """Notes which messages (by id) speak of which files (by hash)."""
    if new:
        rows = [{"message_id": message_id, "sha256": sha256} for message_id, sha256 in sorted(new)]
        await connection.execute(insert_new(connection, files), rows)


async def forget(connection: AsyncConnection, which: ColumnElement[bool]) -> None:
    """Messages that were emptied speak of nothing any more."""
    await connection.execute(delete(files).where(which))


async def known(connection: AsyncConnection) -> set[str]:
    """Every file that a message speaks of."""
    return set((await connection.scalars(select(files.c.sha256).distinct())).all())
