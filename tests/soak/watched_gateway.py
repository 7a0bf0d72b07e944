"""Runs ``lapor-gateway`` with a watch on its event loop: `python -m tests.soak.watched_gateway run --config FILE`.

The product runs on uvloop, whose transports call back from C where nobody can measure them. So this runs the same
gateway on asyncio's own loop: there every callback, a task's step or a transport's, goes through ``Handle._run``.
What is measured is processor time of the loop's thread, which neither a busy machine nor another process lengthens.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
from asyncio import events
from typing import Any

import uvloop

from gateway.cli.main import main
from tests.soak.watch import VARIABLE

NOTED_MS = 20.0
_COUNT_SECONDS = 1.0


class LoopWatch:
    """Measures each callback, and writes down the long ones at once: the process may be killed at any time."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._born = self._counted_at = time.monotonic()
        self._callbacks = 0
        self._collecting = self._collected = 0.0

    def install(self) -> None:
        """Puts the watch around every callback of every loop from now on."""
        handles: Any = events.Handle
        run = handles._run  # noqa: SLF001 - the one place that all callbacks pass
        cpu_time = time.thread_time

        def watched(handle: asyncio.Handle) -> None:
            self._collected = 0.0
            begin = cpu_time()
            run(handle)
            self._note(handle, (cpu_time() - begin) * 1000)

        handles._run = watched  # noqa: SLF001
        gc.callbacks.append(self._collect)

    def _collect(self, phase: str, _info: object) -> None:
        """Tells the garbage collector's share of a long callback from its own work."""
        if phase == "start":
            self._collecting = time.thread_time()
        else:
            self._collected += (time.thread_time() - self._collecting) * 1000

    def _note(self, handle: asyncio.Handle, milliseconds: float) -> None:
        self._callbacks += 1
        now = time.monotonic()
        if milliseconds >= NOTED_MS:
            shares = {"ms": round(milliseconds, 1), "gc_ms": round(self._collected, 1)}
            self._write(name=_name(handle), age=round(now - self._born, 2), **shares)
        elif now - self._counted_at > _COUNT_SECONDS:
            self._counted_at = now
            self._write()

    def _write(self, **record: object) -> None:
        line = json.dumps({"pid": os.getpid(), "callbacks": self._callbacks, **record})
        os.write(self._file, line.encode() + b"\n")


def _name(handle: Any) -> str:
    """The task and where it stands now, or the function: a handle forgets neither when it has run."""
    callback = handle._callback  # noqa: SLF001 - there is no public name
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        return f"{task.get_name()}: {_place(task.get_coro())}"
    return getattr(callback, "__qualname__", repr(callback))


def _place(coroutine: Any) -> str:
    """The innermost coroutine of the gateway that a task waits in, or its name when it is done."""
    place = str(getattr(coroutine, "__qualname__", coroutine))
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and frame.f_globals.get("__name__", "").startswith(("gateway.", "channels.")):
            place = f"{coroutine.__qualname__}:{frame.f_lineno}"
        coroutine = getattr(coroutine, "cr_await", None)
    return place


if __name__ == "__main__":
    LoopWatch(os.environ[VARIABLE]).install()
    uvloop.new_event_loop = asyncio.new_event_loop  # type: ignore[assignment]
    main()
