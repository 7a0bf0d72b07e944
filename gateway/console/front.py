"""The first page; what all pages need: style, script, language; and the metrics."""

from contextlib import suppress
from importlib.resources import files
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.application import Gateway
from gateway.console.access import Access
from gateway.console.language import COOKIE, LANGUAGES, language_of
from gateway.console.latest import SNAPSHOTS
from gateway.console.overview import sections
from gateway.console.pages import ZONE, render
from gateway.console.web import local_path, refusal, within_time
from gateway.errors import StoreUnavailable

YEAR_SECONDS: Final = 31_536_000
_STATIC: Final = {"style.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}


class Front:
    """What one sees first.

    Args:
        gateway: What it shows.
        access: Checks that a page of ours asks for another language.
    """

    def __init__(self, gateway: Gateway, access: Access) -> None:
        self._gateway = gateway
        self._access = access
        folder = files("gateway.console") / "static"
        self._static = {f"/{name}": ((folder / name).read_bytes(), kind) for name, kind in _STATIC.items()}

    def routes(self) -> list[web.RouteDef]:
        """Rooms for viewers."""
        return [web.get("/", self.page)]

    def open_routes(self) -> list[web.RouteDef]:
        """Rooms for anyone: the login page needs style and language, and Prometheus logs in nowhere."""
        return [
            *(web.get(path, self.static) for path in self._static),
            web.post("/language", self.language),
            web.get("/metrics", self.metrics),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """How everything is."""
        snapshot = await request.app[SNAPSHOTS].latest_known()
        return render(request, "overview.html", sections=sections(snapshot, language_of(request), request.app[ZONE]))

    async def static(self, request: web.Request) -> web.Response:
        """Style, script and icon; part of the package and the same for everybody."""
        body, kind = self._static[request.path]
        return web.Response(body=body, content_type=kind, charset="utf-8", headers={"Cache-Control": "max-age=60"})

    async def language(self, request: web.Request) -> web.Response:
        """Has the browser remember a language, and goes back to where it was."""
        await self._access.check_csrf(request)
        form = await within_time(request.post())
        chosen, wanted = form.get("language"), form.get("next", "/")
        if chosen not in LANGUAGES or not isinstance(wanted, str):
            raise refusal(web.HTTPBadRequest, "there is no such language")
        back = web.HTTPSeeOther(local_path(wanted))
        back.set_cookie(
            COOKIE,
            chosen,
            max_age=YEAR_SECONDS,
            httponly=True,
            samesite="Lax",
            secure=self._gateway.settings.console.https,
        )
        raise back

    async def metrics(self, request: web.Request) -> web.Response:
        """What Prometheus asks for; no personal data."""
        with suppress(StoreUnavailable):  # what this process has counted is known all the same
            await request.app[SNAPSHOTS].latest()
        body = generate_latest(self._gateway.metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
