"""Serves the status page, health, metrics and the read-only API."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, PackageLoader
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.application import Gateway
from gateway.clock import to_milliseconds
from gateway.console.ledger import ledger_of, message_json
from gateway.console.snapshot import is_ready, rfc3339, take_snapshot
from gateway.errors import GatewayError, SettingsError, StoreUnavailable
from gateway.store import messages

MAX_PAGE: Final = 500
MESSAGE_STATES: Final = ("received", "assembling", "processed", "held", "quarantined", "discarded")
_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_templates: Final = Environment(loader=PackageLoader("gateway.console", "templates"), autoescape=True)

_json = partial(json.dumps, ensure_ascii=False, default=lambda value: rfc3339(to_milliseconds(value)))


class Console:
    """The HTTP server of one gateway.

    Args:
        gateway: What it shows.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Listens where ``console.listen`` says; returns the page's address.

        Raises:
            SettingsError: It cannot listen there.
        """
        listen = self._gateway.settings.console.listen
        host, _, port = listen.rpartition(":")
        self._runner = web.AppRunner(self._application(), access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            raise SettingsError("console.listen", f"cannot listen on {listen} ({error.strerror})") from error
        bound = self._runner.addresses[0]
        return f"http://{host}:{bound[1]}"

    async def stop(self) -> None:
        """Stops listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[_finish], client_max_size=64 * 1024)
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/style.css", _style),
                web.get("/healthz", _healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
                web.get("/api/v1/channels", self._channels),
                web.get("/api/v1/messages", self._messages),
                web.get("/api/v1/messages/{id}", self._message),
            ]
        )
        return application

    async def _page(self, _request: web.Request) -> web.Response:
        snapshot = await take_snapshot(self._gateway)
        async with self._gateway.store.read() as connection:
            newest = await messages.page(connection, state=None, channel=None, before=None, limit=20)
        html = _templates.get_template("status.html").render(
            snapshot=snapshot, newest=[message_json(row) for row in newest]
        )
        return web.Response(text=html, content_type="text/html")

    async def _readyz(self, _request: web.Request) -> web.Response:
        ready = await is_ready(self._gateway)
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    async def _metrics(self, _request: web.Request) -> web.Response:
        await take_snapshot(self._gateway)
        body = generate_latest(self._gateway.metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _channels(self, _request: web.Request) -> web.Response:
        snapshot = await take_snapshot(self._gateway)
        return web.json_response({"items": snapshot.channels, "next_cursor": None}, dumps=_json)

    async def _messages(self, request: web.Request) -> web.Response:
        limit = _limit(request.query.get("limit", "50"))
        state = request.query.get("state")
        if state is not None and state not in MESSAGE_STATES:
            return _problem(400, f"state must be one of {', '.join(MESSAGE_STATES)}")
        async with self._gateway.store.read() as connection:
            rows = await messages.page(
                connection,
                state=state,
                channel=request.query.get("channel"),
                before=request.query.get("cursor"),
                limit=limit + 1,
            )
        items = [message_json(row) for row in rows[:limit]]
        cursor = items[-1]["id"] if len(rows) > limit else None
        return web.json_response({"items": items, "next_cursor": cursor}, dumps=_json)

    async def _message(self, request: web.Request) -> web.Response:
        async with self._gateway.store.read() as connection:
            found = await ledger_of(connection, request.match_info["id"])
        if found is None:
            return _problem(404, "there is no such message")
        return web.json_response(found, dumps=_json)


def _limit(text: str) -> int:
    return min(MAX_PAGE, max(1, int(text))) if text.isascii() and text.isdigit() and len(text) < 7 else 50  # noqa: PLR2004


def _problem(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)


async def _healthz(_request: web.Request) -> web.Response:
    return web.json_response({"alive": True})


async def _style(_request: web.Request) -> web.Response:
    text = _templates.get_template("style.css").render()
    return web.Response(text=text, content_type="text/css")


@web.middleware
async def _finish(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Adds the security headers, and turns a store that does not answer into a 503."""
    try:
        response = await handler(request)
    except StoreUnavailable as error:
        response = _problem(503, str(error))
    except GatewayError as error:
        response = _problem(500, str(error))
    response.headers.update(_SECURITY_HEADERS)
    return response


def shown_time(moment: datetime) -> str:
    """A time for people, in UTC."""
    return moment.strftime("%H:%M:%S")


def _register_filters(environment: Any) -> None:  # noqa: ANN401 - Jinja's environment
    environment.filters["clock"] = shown_time


_register_filters(_templates)
