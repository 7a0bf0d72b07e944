"""The simulated X on loopback: one server with the stream, the searches, posting, pictures and a control endpoint."""

from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from types import TracebackType
from typing import Self

from aiohttp import web

from gateway.clock import Clock, SystemClock
from gateway.demo.x.auth import Keys
from gateway.demo.x.control import Control
from gateway.demo.x.faults import Faults, refuse
from gateway.demo.x.media import Pictures
from gateway.demo.x.options import Options
from gateway.demo.x.problems import Problem, answer, invalid
from gateway.demo.x.render import Renderer, moment
from gateway.demo.x.rules import Rules
from gateway.demo.x.search import Reading
from gateway.demo.x.stream import Refused, Stream, reset_transport
from gateway.demo.x.world import World
from gateway.demo.x.writing import Answer, AnswerLost, Writing

LOOPBACK = "127.0.0.1"
_STREAM = "/2/tweets/search/stream"

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class XSimulator:
    """X, small: ``async with XSimulator() as x: x.world.post("warga_0001", "#LAPOR … @LAPOR1708")``.

    Everything is used on the event loop's thread. From another process, see `control.Control`.

    Args:
        options: Limits, patience and keys.
        clock: Says what time it is on X.
        random: Shuffles posts when `Faults.disorder` says so.

    Attributes:
        world: The people and their posts.
        faults: What is wrong at the moment.
        stream: The stream, with its counters.
        rules: The rules in force.
        calls: How often each method and path was called.
    """

    def __init__(
        self, options: Options | None = None, *, clock: Clock | None = None, random: Random | None = None
    ) -> None:
        self.options = options or Options()
        self.clock = clock or SystemClock()
        self.world = World(self.clock, self.options.keep_posts)
        self.account = self.world.user(self.options.account, verified=True)
        self.faults = Faults()
        self.rules = Rules()
        self.calls: Counter[str] = Counter()
        self._keys = Keys(self.options.credentials)
        self._renderer = Renderer(self.world)
        self.stream = Stream(
            self.options,
            self.world,
            self.rules,
            self._renderer,
            self._keys,
            self.faults,
            self.clock,
            random or Random(0),
        )
        self.faults.attach(self.stream)
        self._reading = Reading(self.options, self.world, self._renderer, self._keys, self.clock)
        self._writing = Writing(self.options, self.world, self._keys, self.faults, self.clock)
        self._port = self.options.port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def origin(self) -> str:
        """The address to give as ``api_url``; known once it has started."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def answers(self) -> list[Answer]:
        """Everything that our account posted through the API, the oldest first."""
        return self._writing.answers

    @property
    def duplicates_refused(self) -> int:
        """How often our account tried to post the same text again."""
        return self._writing.duplicates_refused

    async def start(self) -> None:
        """Opens the port; after `stop` it is the same one, and the world is as it was."""
        application = web.Application(middlewares=[self._answer], client_max_size=64 * 1024 * 1024)
        application.add_routes(self._routes())
        # A client that goes must free its slot at once, hence the cancellation.
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self._port).start()
        self._port = self._runner.addresses[0][1]
        self._renderer.origin = self.origin

    async def stop(self) -> None:
        """Closes everything: X is away."""
        self.stream.clear_connections()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _routes(self) -> list[web.RouteDef]:
        control = Control(self)
        return [
            web.get(_STREAM, self.stream.connect),
            web.get(f"{_STREAM}/rules", self._list_rules),
            web.post(f"{_STREAM}/rules", self._change_rules),
            web.delete("/2/connections/all", self._clear_connections),
            web.get("/2/tweets/search/recent", self._reading.recent),
            web.get("/2/tweets", self._reading.lookup),
            web.post("/2/tweets", self._writing.create),
            web.get("/2/users/me", self._reading.me),
            web.get("/2/users/{id}/mentions", self._reading.mentions),
            web.get("/2/users/{id}/tweets", self._reading.timeline),
            web.get("/2/users/by/username/{username}", self._reading.by_username),
            web.get("/media/{name}", Pictures(self.options.huge_bytes).serve),
            web.get("/_control", control.counters),
            web.post("/_control", control.act),
        ]

    async def _list_rules(self, request: web.Request) -> web.Response:
        self._keys.need_app(request)
        shown = [rule.shown() for rule in self.rules]
        meta = {"sent": moment(self.clock.now()), "result_count": len(shown)}
        return answer({"data": shown, "meta": meta} if shown else {"meta": meta})

    async def _change_rules(self, request: web.Request) -> web.Response:
        self._keys.need_app(request)
        body = await request.json()
        dry_run = request.query.get("dry_run", "").lower() == "true"
        if "add" in body:
            status, result = self.rules.add(body["add"], dry_run=dry_run)
        elif "delete" in body:
            gone = body["delete"]
            status, result = self.rules.delete(gone.get("ids", ()), gone.get("values", ()), dry_run=dry_run)
        else:
            raise invalid("body", "", "Exactly one of 'add' and 'delete' must be provided")
        result["meta"]["sent"] = moment(self.clock.now())
        return answer(result, status)

    async def _clear_connections(self, request: web.Request) -> web.Response:
        self._keys.need_app(request)
        cleared = self.stream.clear_connections()
        return answer({"data": {"successful_kills": cleared, "failed_kills": 0, "results": []}})

    @web.middleware
    async def _answer(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Counts a call, has a fault strike it, and turns refusals into answers."""
        self.calls[f"{request.method} {request.path}"] += 1
        try:
            if request.path != _STREAM and request.path.startswith("/2/"):
                planned = self.faults.next_call(request.method, request.path)
                if planned is not None:
                    return refuse(planned, self.clock)
            return await handler(request)
        except Problem as problem:
            return problem.answer()
        except Refused as refused:
            return refused.answer
        except AnswerLost:
            reset_transport(request)
            return web.Response(status=500)
