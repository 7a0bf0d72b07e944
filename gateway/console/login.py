"""The room at the door: logging in and out, and who one is."""

import asyncio
from dataclasses import replace
from typing import Any, Final

from aiohttp import web
from pydantic import Field

from gateway.actions.act import act, write_down
from gateway.actions.operators import plain_name
from gateway.application import Gateway
from gateway.clock import to_milliseconds
from gateway.console.access import IDENTITY, Access
from gateway.console.language import language_of, text
from gateway.console.pages import render
from gateway.console.throttle import Throttle
from gateway.console.web import JsonBody, answer, local_path, problem, read_json, refusal, within_time
from gateway.errors import NeedsOperator
from gateway.passwords import LONGEST, NOBODYS, hashed, is_outdated, matches
from gateway.store import operators
from gateway.store.operators import Operator

HASHED_AT_ONCE: Final = 2
"""Passwords that are checked at once: each takes 64 MiB."""

HASHING_SECONDS: Final = 20.0
"""How long a login may wait for its turn and its hash."""


class Credentials(JsonBody):
    """What a login sends. ``next`` is the page that was wanted."""

    name: str = Field(max_length=63)
    password: str = Field(max_length=LONGEST, repr=False)
    next: str = Field(default="/", max_length=2000)


class Login:
    """Opens and closes sessions.

    Args:
        gateway: Its store and clock.
        access: Whose tokens are handed out.
    """

    def __init__(self, gateway: Gateway, access: Access) -> None:
        self._gateway = gateway
        self._access = access
        self._throttle = Throttle(gateway.clock)
        self._hashing = asyncio.Semaphore(HASHED_AT_ONCE)

    def routes(self) -> list[web.RouteDef]:
        """Rooms for anyone."""
        return [web.get("/login", self.page), web.post("/login", self.login)]

    def inner_routes(self) -> list[web.RouteDef]:
        """Rooms for those who are in."""
        return [web.post("/logout", self.logout), web.get("/api/v1/session", self.session)]

    async def page(self, request: web.Request) -> web.Response:
        """The form."""
        return self._form(request, local_path(request.query.get("next", "/")))

    async def login(self, request: web.Request) -> web.Response:
        """Opens a session for the right password: 303 to the page that was wanted, or JSON for JSON."""
        await self._access.check_csrf(request)
        form = request.content_type != "application/json"
        given = await (_from_form(request) if form else read_json(request, Credentials))
        address = self._access.peers.client(request)
        name = given.name.strip().lower()
        seconds = self._throttle.wait(name, address)
        if seconds > 0:
            refused = self._refused(request, given, form=form, status=429, key="login.slow")
            refused.headers["Retry-After"] = str(int(seconds) + 1)
            return refused
        operator = await self._checked(name, given.password)
        if operator is None or not await self._open(request, operator):
            return self._refused(request, given, form=form, status=401, key="login.wrong")
        self._throttle.forgive(name, address)
        if form:
            raise web.HTTPSeeOther(local_path(given.next))
        return answer({"name": operator.name, "role": operator.role})

    async def logout(self, request: web.Request) -> web.Response:
        """Ends the session."""
        token, identity = self._access.session_of(request), request[IDENTITY]
        if token is not None and identity.via == "console":
            async with self._gateway.store.write() as connection:
                await operators.close_session(connection, token)
                await write_down(connection, identity.act(self._now(), ""), "session.close", [identity.name])
        gone = web.HTTPSeeOther("/login")
        gone.del_cookie(self._access.cookie, path="/", secure=self._access.cookie.startswith("__Host-"))
        raise gone

    async def session(self, request: web.Request) -> web.Response:
        """Who one is, and the CSRF token of this browser."""
        identity = request[IDENTITY]
        return answer({"name": identity.name, "role": identity.role, "via": identity.via, "csrf": identity.csrf})

    async def _checked(self, name: str, password: str) -> Operator | None:
        """The operator, if the password is right. An unknown name takes as long as a wrong password."""
        try:
            plain = plain_name(name)
        except NeedsOperator:
            plain = ""
        async with self._gateway.store.read() as connection:
            operator = await operators.find(connection, plain)
        known = operator.password if operator is not None and operator.password is not None else NOBODYS
        try:
            async with asyncio.timeout(HASHING_SECONDS), self._hashing:
                right = await asyncio.to_thread(matches, password, known)
                if right and operator is not None and is_outdated(known):
                    operator = replace(operator, password=await asyncio.to_thread(hashed, password))
                    await self._rehash(operator, known)
        except TimeoutError:
            raise refusal(web.HTTPServiceUnavailable, "too many log in at once; try again") from None
        return operator if right and known is not NOBODYS else None

    async def _rehash(self, operator: Operator, old: str) -> None:
        async with self._gateway.store.write() as connection:
            await operators.rehash(connection, operator.name, old, operator.password or "")

    async def _open(self, request: web.Request, operator: Operator) -> bool:
        """Opens a session, unless the operator has been changed or removed meanwhile."""
        now = self._now()
        async with self._gateway.store.write() as connection:
            if await operators.find(connection, operator.name) != operator:
                return False
            await operators.forget_sessions(connection, *self._access.bounds(now))
            await operators.open_session(connection, self._access.new_session(request), operator.name, now)
            await write_down(connection, act(operator.name, "console", now, ""), "session.open", [operator.name])
        return True

    def _refused(self, request: web.Request, given: Credentials, *, form: bool, status: int, key: str) -> web.Response:
        if form:
            return self._form(request, local_path(given.next), key, status)
        return problem(status, text(language_of(request), key))

    def _form(self, request: web.Request, wanted: str, error: str = "", status: int = 200) -> web.Response:
        return render(request, "login.html", status=status, next=wanted, error=error)

    def _now(self) -> int:
        return to_milliseconds(self._gateway.clock.now())


async def _from_form(request: web.Request) -> Credentials:
    fields: Any = await within_time(request.post())
    values = {name: fields.get(name, "") for name in ("name", "password", "next")}
    if not all(isinstance(value, str) for value in values.values()):
        raise refusal(web.HTTPBadRequest, "the form holds no files")
    if len(values["name"]) > 63 or len(values["password"]) > LONGEST or len(values["next"]) > 2000:  # noqa: PLR2004
        raise refusal(web.HTTPBadRequest, "a field of the form is too long")
    return Credentials(**values)
