"""The embedded queue: a file with one event a line, forced to the disk before it counts as confirmed."""

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.errors import BrokerUnavailable, NeedsOperator
from gateway.ports import OutboxEvent, PublishResult

CLOSE_SECONDS: Final = 3.0


class JournalPublisher:
    """Appends events to a file. After a kill it may hold an event twice, like a queue.

    Args:
        path: The file; its folder is made when it is missing.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._file: int | None = None
        self._writing = asyncio.Lock()

    async def open(self) -> None:
        """Opens the file, and cuts off a last line that a kill left torn. Raises NeedsOperator."""
        async with self._writing:  # what another lane is writing is no torn line
            if self._file is None:
                self._file = await asyncio.to_thread(self._open)

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            _cut_torn_line(file)
            folder = os.open(self._path.parent, os.O_RDONLY)
            os.fsync(folder)  # the file's name has to survive as well
            os.close(folder)
        except OSError as error:
            message = f"queue.url: the journal {self._path} cannot be opened ({error.strerror})."
            raise NeedsOperator(message) from error
        return file

    async def publish(self, events: Sequence[OutboxEvent]) -> PublishResult:
        """Appends a batch with one fsync for all of it."""
        lines = b"".join(event.body + b"\n" for event in events)
        async with self._writing:
            if self._file is None:
                return PublishResult((), {}, BrokerUnavailable("The journal is not open."))
            try:
                await _to_the_end(_append, self._file, lines)
            except OSError as error:
                self._close()  # opened again, the torn line is cut off
                return PublishResult((), {}, self._failure(error))
        return PublishResult(tuple(event.id for event in events), {}, None)

    def _failure(self, error: OSError) -> Exception:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return NeedsOperator(f"queue.url: no room left for the journal {self._path}: free some space.")
        return BrokerUnavailable(f"The journal cannot be written ({error.strerror}).")

    async def close(self) -> None:
        """Closes the file, within seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS), self._writing:
                self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


async def _to_the_end(function: Callable[[int, bytes], None], file: int, data: bytes) -> None:
    """Runs it in a thread. Who is cancelled meanwhile waits for it: nobody may close the file under a write."""
    work = asyncio.ensure_future(asyncio.to_thread(function, file, data))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait((work,))
        raise


def _append(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
    os.fsync(file)


def _cut_torn_line(file: int, step: int = 65536) -> None:
    """Truncates the file behind its last line feed."""
    end = os.lseek(file, 0, os.SEEK_END)
    position = end
    while position > 0:
        start = max(0, position - step)
        newline = os.pread(file, position - start, start).rfind(b"\n")
        if newline >= 0:
            keep = start + newline + 1
            break
        position = start
    else:
        keep = 0
    if keep != end:
        os.ftruncate(file, keep)
        os.fsync(file)
