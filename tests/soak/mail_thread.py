"""What runs beside a mail run in one event loop: the proxy before Dovecot, and the SMTP peer that takes the answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.integration.mail_bench import FaultyServer
from tests.services import HOST
from tests.services.dovecot import Dovecot
from tests.services.smtp import SmtpPeer

_CALL_SECONDS = 60.0

T = TypeVar("T")


class MailThread:
    """Runs proxy and SMTP peer. Everything that touches them goes through :meth:`call`.

    Args:
        dovecot: The server behind the proxy.
    """

    def __init__(self, dovecot: Dovecot) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy and SMTP peer", daemon=True)
        self._server: asyncio.Server | None = None
        self.proxy = FaultyServer(dovecot)
        self.smtp = SmtpPeer()

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_SECONDS)
        self._loop.close()

    async def _begin(self) -> None:
        await self.smtp.start()
        self._server = await asyncio.start_server(self.proxy.serve, HOST, 0)
        self.proxy.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        self.proxy.close()
        await self.smtp.stop()
        await asyncio.sleep(0.1)

    def call(self, action: Callable[[], T]) -> T:
        """Does something on the thread of the loop."""

        async def act() -> T:
            return action()

        return self._wait(act())

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CALL_SECONDS)
