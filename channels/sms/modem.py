"""The gateway's end of a modem's child process: calls with a deadline, and SIGKILL for one that overruns it."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from channels.sms.frames import Reply, Request, pack, read_reply
from gateway.errors import ChannelUnavailable
from gateway.telemetry import Log, logger


class CallFailed(Exception):
    """The phone answered with an error. ``kind`` is libGammu's class, such as ``ERR_TIMEOUT``."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class NotRunning(ChannelUnavailable):
    """There is no process to ask: the call was not even begun."""


class Died(ChannelUnavailable):
    """The process died before it answered: a crash of libGammu, most likely."""


class ModemProcess:
    """A child process that drives one modem. Calls are made one at a time, in the order of asking.

    Args:
        name: The channel's name, for the log.
        on_incoming: Called when the modem announces a message.
    """

    def __init__(self, name: str, on_incoming: Callable[[], None]) -> None:
        self._name = name
        self._on_incoming = on_incoming
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._calls = 0
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Starts the process."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "channels.sms.child",
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=1 << 20,
        )
        self._reader = asyncio.create_task(self._read(self._process))

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def call(self, method: str, timeout: float, **arguments: Any) -> Any:  # noqa: ANN401, ASYNC109 - see below
        """Calls a method of the phone.

        Args:
            method: Its name.
            timeout: Seconds until the process is ended: nothing else stops a call inside libGammu.
            **arguments: The method's own.

        Raises:
            CallFailed: The phone answered with an error.
            NotRunning: The process is gone; nothing was asked.
            Died: The process is gone, and no answer came.
            ChannelUnavailable: It did not answer in time.
        """
        async with self._turn:
            reply = await self._exchange(method, timeout, arguments)
        if reply.error is not None:
            raise CallFailed(reply.error, reply.text)
        return reply.result

    async def _exchange(self, method: str, seconds: float, arguments: dict[str, Any]) -> Reply:
        process = self._process
        if process is None or process.stdin is None or self._reader is None or self._reader.done():
            raise NotRunning("The modem's process is not running.")
        self._calls += 1
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[self._calls] = reply
        try:
            process.stdin.write(pack(Request(self._calls, method, arguments)))
            async with asyncio.timeout(seconds):
                return await reply
        except TimeoutError:
            logger.warning(Log.MODEM_KILLED, channel=self._name, call=method, seconds=seconds)
            await self.kill()
            message = f"The modem did not answer for {seconds:g} s ({method}); its process was ended and starts anew."
            raise ChannelUnavailable(message) from None
        finally:
            self._waiting.pop(self._calls, None)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        try:
            while True:
                reply = await read_reply(process.stdout)
                if reply.id == 0:
                    self._on_incoming()
                elif reply.id in self._waiting and not self._waiting[reply.id].done():
                    self._waiting[reply.id].set_result(reply)
        except (asyncio.IncompleteReadError, OSError, ValueError):
            return  # it has died, or talks nonsense: nothing that is asked will be answered
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(Died("The modem's process has died; it starts anew."))
            self._on_incoming()  # whoever waits for messages looks, and learns that there is nobody to ask

    async def kill(self) -> None:
        """Ends the process at once, whatever libGammu is doing. Never raises."""
        process, self._process = self._process, None
        reader, self._reader = self._reader, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if reader is not None:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader
