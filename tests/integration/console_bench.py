"""A console on real sockets over a kernel whose stages are stepped by hand; and browsers that visit it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.actions import operators
from gateway.actions.act import act
from gateway.clock import to_milliseconds
from gateway.console import Console
from gateway.passwords import hashed
from gateway.settings.model import ChannelSection, ConsoleSettings
from gateway.store.operators import Role
from gateway.store.tables import audit
from tests.fakes import FakeClock, RecordingPublisher
from tests.integration.kernel import Kernel, kernel_on, settings_for

PASSWORD = "rahasia-yang-panjang"  # noqa: S105 - invented
WHY = {"reason": "a test"}


@cache
def password_hash() -> str:
    """One real hash for all operators: each costs a good part of a second."""
    return hashed(PASSWORD)


class Browser:
    """A client with a cookie jar that remembers the CSRF token which the console last told it."""

    def __init__(self, session: aiohttp.ClientSession, origin: str) -> None:
        self.session = session
        self.origin = origin
        self.csrf = ""

    async def get(self, path: str, **options: Any) -> aiohttp.ClientResponse:
        """A page or a list, read to its end; redirects are not followed."""
        return await self._ask("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> aiohttp.ClientResponse:
        """JSON, with the CSRF token."""
        headers = {"X-CSRF-Token": self.csrf} | options.pop("headers", {})
        return await self._ask("POST", path, json=WHY if body is None else body, headers=headers, **options)

    async def _ask(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        options.setdefault("allow_redirects", False)
        async with self.session.request(method, self.origin + path, **options) as response:
            await response.read()
            return response

    async def enter(self) -> dict[str, Any]:
        """Asks who one is, and keeps the CSRF token."""
        response = await self.get("/api/v1/session")
        told: dict[str, Any] = await response.json()
        self.csrf = told.get("csrf", "")
        return told | {"status": response.status}

    async def login(self, name: str, password: str = PASSWORD) -> int:
        """As a person does: the form's page, then the form. Returns the status."""
        page = await (await self.get("/login")).text()
        csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
        form = {"csrf": csrf, "name": name, "password": password, "next": "/"}
        response = await self._ask("POST", "/login", data=form)
        await self.enter()
        return response.status


class Desk:
    """The console and the kernel behind it."""

    def __init__(self, kernel: Kernel, origin: str) -> None:
        self.kernel = kernel
        self.origin = origin
        self._sessions: list[aiohttp.ClientSession] = []

    def browser(self, local: str = "127.0.0.1", headers: dict[str, str] | None = None) -> Browser:
        """Somebody who comes from an address of this machine."""
        session = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            connector=aiohttp.TCPConnector(local_addr=(local, 0)),
            headers=headers,
        )
        self._sessions.append(session)
        return Browser(session, self.origin)

    async def add(self, name: str, role: Role, password: str | None = "") -> None:
        """An operator; with the usual password, or None for single sign-on only."""
        known = password_hash() if password == "" else password
        async with self.kernel.store.write() as connection:
            what = act("test", "terminal", to_milliseconds(self.kernel.clock.now()), "")
            await operators.add(connection, name, role, known, what)

    async def logged_in(self, name: str, role: Role) -> Browser:
        """A new operator, in."""
        await self.add(name, role)
        browser = self.browser()
        assert await browser.login(name) == web.HTTPSeeOther.status_code
        return browser

    async def audit(self) -> list[tuple[str, str, str, str]]:
        """Who did what to what and why, oldest first; without the operators and sessions of the test itself."""
        rows = await self.kernel.rows(audit)
        return [
            (row.operator, row.action, row.subject, row.reason)
            for row in rows
            if not row.action.startswith(("operator.", "session."))
        ]

    async def close(self) -> None:
        """Closes all browsers."""
        for session in self._sessions:
            await session.close()


@asynccontextmanager
async def desk_on(
    url: str,
    clock: FakeClock,
    *,
    channels: Sequence[ChannelSection] = (),
    publisher: RecordingPublisher | None = None,
    **console: Any,
) -> AsyncIterator[Desk]:
    """A console with these settings."""
    settings = settings_for(url, channels=channels).model_copy(update={"console": ConsoleSettings(**console)})
    async with kernel_on(url, clock, publisher, settings=settings) as kernel:
        served = Console(kernel.gateway)
        server = TestServer(served.application())
        await server.start_server()
        desk = Desk(kernel, f"http://127.0.0.1:{server.port}")
        try:
            yield desk
        finally:
            await desk.close()
            await server.close()
            await served.stop()
