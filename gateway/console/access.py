"""Who may enter which room: sessions, single sign-on, CSRF tokens and roles. What is not allowed by name is denied."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import quote, urlsplit

from aiohttp import web

from gateway.actions.act import Act, Via, act
from gateway.actions.operators import LOCAL
from gateway.application import Gateway
from gateway.clock import to_milliseconds
from gateway.console.peers import Peers, is_here, is_loopback
from gateway.console.web import Handler, is_api, refusal, within_time
from gateway.errors import StoreFull, StoreUnavailable
from gateway.store import operators
from gateway.store.operators import Role, Session

CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf"
TOUCH_SECONDS: Final = 60.0
"""How often the use of a session is written down."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks.

    Attributes:
        name: The operator's.
        role: What it allows.
        via: How the operator came in; *local*: nobody has to log in here, and the page says so.
        csrf: What every unsafe request of this browser has to show, as ``X-CSRF-Token`` or as the field ``csrf``.
    """

    name: str
    role: Role
    via: Via
    csrf: str

    def act(self, at: int, reason: str) -> Act:
        """An act of this operator; ``at`` in milliseconds."""
        return act(self.name, self.via, at, reason)


IDENTITY: Final = web.RequestKey("identity", Identity)
_FRESH: Final = web.RequestKey("fresh token", str)


class Access:
    """Guards the console's rooms.

    Args:
        gateway: Its settings, clock and store.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._settings = gateway.settings.console
        self.peers = Peers(self._settings.trusted_proxies)
        self._open_here = is_loopback(self._settings.listen) and not self._settings.proxy_header
        self._guarded: set[Handler] = set()
        self.cookie: Final = "__Host-lapor" if self._settings.https else "lapor"

    def viewers(self, routes: Iterable[web.RouteDef]) -> list[web.RouteDef]:
        """Rooms that everybody with access may enter."""
        return [self._guard(route, "viewer") for route in routes]

    def operators(self, routes: Iterable[web.RouteDef]) -> list[web.RouteDef]:
        """Rooms for operators only."""
        return [self._guard(route, "operator") for route in routes]

    def anyone(self, routes: Iterable[web.RouteDef]) -> list[web.RouteDef]:
        """Rooms that need no login: probes, and the login itself."""
        return [self._guard(route, None) for route in routes]

    def _guard(self, route: web.RouteDef, role: Role | None) -> web.RouteDef:
        handler: Handler = route.handler

        async def guarded(request: web.Request) -> web.StreamResponse:
            if role is not None:
                await self._check(request, role)
            return await handler(request)

        self._guarded.add(guarded)
        return web.RouteDef(route.method, route.path, guarded, route.kwargs)

    @web.middleware
    async def deny_by_default(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuses every room that nobody was allowed to enter."""
        if request.match_info.http_exception is None and request.match_info.handler not in self._guarded:
            raise refusal(web.HTTPForbidden, "nobody may enter here")
        return await handler(request)

    async def _check(self, request: web.Request, role: Role) -> None:
        identity = await self.identify(request)
        if identity is None:
            if is_api(request) or request.method not in _SAFE:
                raise refusal(web.HTTPUnauthorized, "log in first")
            raise web.HTTPSeeOther(f"/login?next={quote(request.path_qs, safe='')}")
        if role == "operator" and identity.role != "operator":
            raise refusal(web.HTTPForbidden, f"{identity.name} may look, but not act")
        if request.method not in _SAFE:
            await self.check_csrf(request)
        request[IDENTITY] = identity

    async def identify(self, request: web.Request) -> Identity | None:
        """Who asks; None for somebody who has to log in first.

        Long-lived streams ask again now and then: a session may have ended.

        Raises:
            web.HTTPForbidden: The proxy names somebody who is no operator.
            StoreUnavailable: Nobody can tell.
        """
        named = self._named_by_proxy(request)
        token = self._token(request)
        now = self._now()
        session: Session | None = None
        async with self._gateway.store.read() as connection:
            if named is not None:
                operator = await operators.find(connection, named)
                if operator is None:
                    raise refusal(web.HTTPForbidden, "the proxy names somebody who is no operator of this console")
                return Identity(operator.name, operator.role, "proxy", self.csrf_for(request))
            if token is not None:
                session = await operators.find_session(connection, _hashed(token), *self.bounds(now))
            guarded = session is not None or await operators.any_at_all(connection)
        if session is not None and token is not None:
            if now - session.seen_at >= TOUCH_SECONDS * 1000:
                with suppress(StoreFull, StoreUnavailable):  # just then somebody has to look
                    async with self._gateway.store.write() as connection:
                        await operators.touch_session(connection, _hashed(token), now)
            return Identity(session.operator, session.role, "console", _csrf(token))
        if not guarded and self._open_here and is_here(request):
            return Identity(LOCAL, "operator", "local", self.csrf_for(request))
        return None

    def _named_by_proxy(self, request: web.Request) -> str | None:
        """The operator whom a trusted proxy names; from anybody else the header means nothing."""
        header = self._settings.proxy_header
        if not header or header not in request.headers or not self.peers.is_proxy(request):
            return None
        values = request.headers.getall(header)
        name = values[0].strip().lower()
        if len(values) != 1 or not name or not name.isprintable():
            raise refusal(web.HTTPForbidden, "the proxy must name one operator")
        return name

    def bounds(self, now: int) -> tuple[int, int]:
        """After when a session must have begun, and been used last, to stand; all in milliseconds."""
        age, pause = timedelta(hours=self._settings.session_hours), timedelta(minutes=self._settings.idle_minutes)
        return now - int(age.total_seconds() * 1000), now - int(pause.total_seconds() * 1000)

    def csrf_for(self, request: web.Request) -> str:
        """The CSRF token of a browser; one that has no cookie yet is given one with the answer."""
        token = self._token(request) or request.get(_FRESH)
        if token is None:
            token = request[_FRESH] = secrets.token_urlsafe(32)
        return _csrf(token)

    async def check_csrf(self, request: web.Request) -> None:
        """Raises HTTPForbidden unless a page of ours has sent the request."""
        site = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get("Origin")
        if site is not None:
            foreign = site not in ("same-origin", "none")
        else:
            foreign = origin is not None and _host_of(origin) not in self._hosts(request)
        if foreign:
            raise refusal(web.HTTPForbidden, "another site has sent this request")
        token = self._token(request)
        shown = request.headers.get(CSRF_HEADER)
        if shown is None and request.content_type in _FORMS:
            shown = (await within_time(request.post())).get(CSRF_FIELD)
        right = isinstance(shown, str) and token is not None
        if not right or not hmac.compare_digest(str(shown).encode("utf-8", "replace"), _csrf(str(token)).encode()):
            raise refusal(web.HTTPForbidden, f"{CSRF_HEADER} is missing or wrong; load the page anew")

    def _hosts(self, request: web.Request) -> set[str]:
        """By what names browsers may know this console."""
        forwarded = request.headers.get("X-Forwarded-Host") if self.peers.is_proxy(request) else None
        return {request.host.lower(), (forwarded or request.host).lower()}

    def _token(self, request: web.Request) -> str | None:
        token = request.cookies.get(self.cookie, "")
        return token if _TOKEN.fullmatch(token) else None

    def new_session(self, request: web.Request) -> str:
        """Gives the browser a new token with the answer; returns its hash, which is all that is kept."""
        token = request[_FRESH] = secrets.token_urlsafe(32)
        return _hashed(token)

    def session_of(self, request: web.Request) -> str | None:
        """The hash of the token that a browser shows."""
        token = self._token(request)
        return None if token is None else _hashed(token)

    async def set_cookie(self, request: web.Request, response: web.StreamResponse) -> None:
        """Hands a fresh token out; called for every answer before it is sent."""
        token = request.get(_FRESH)
        if token is not None:
            secure = "; Secure" if self._settings.https else ""
            # As a header: at this point aiohttp has written the response's own cookies into its headers already.
            response.headers.add("Set-Cookie", f"{self.cookie}={token}; Path=/; HttpOnly; SameSite=Lax{secure}")

    def _now(self) -> int:
        return to_milliseconds(self._gateway.clock.now())


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # no URL
        return ""


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _csrf(token: str) -> str:
    """What only a page of ours can know: bound to the token, and no way back to it."""
    return hmac.new(token.encode(), b"lapor csrf", hashlib.sha256).hexdigest()
