"""The ways in which the simulated X misbehaves on demand."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, get_args

from aiohttp import web

from gateway.clock import Clock
from gateway.demo.x.problems import Problem, not_enrolled, out_of_credit, plain, too_many, too_many_connections

Refusal = Literal[
    "unauthorized", "payment", "forbidden", "rate-limited", "rate-limited-bare", "too-many-connections",
    "unavailable", "html",
]  # fmt: skip
"""An answer other than the right one.

unauthorized: 401. payment: 402, no credit. forbidden: 403, the plan. rate-limited: 429 with ``x-rate-limit-reset``.
rate-limited-bare: 429 without. too-many-connections: 429 of the stream. unavailable: 503 with an HTML body.
html: 200 with an HTML body, as from a captive portal.
"""

REFUSALS: Final[tuple[Refusal, ...]] = get_args(Refusal)
OPERATIONAL_DISCONNECT: Final = (
    b'{"errors":[{"title":"operational-disconnect","disconnect_type":"UpstreamOperationalDisconnect",'
    b'"detail":"This stream has been disconnected upstream for operational reasons.",'
    b'"type":"https://api.twitter.com/2/problems/operational-disconnect"}]}'
)
"""The record with which X announces that it ends a stream; to be injected, then `Faults.close`."""

_PAGE: Final = "<!doctype html><html><title>{0}</title><h1>{0}</h1></html>"


_PROBLEMS: Final[dict[Refusal, Callable[[], Problem]]] = {
    "unauthorized": lambda: plain(401, "Unauthorized"),
    "payment": out_of_credit,
    "forbidden": not_enrolled,
    "rate-limited-bare": too_many,
    "too-many-connections": too_many_connections,
}


class StreamHandle(Protocol):
    """What the faults need of the stream."""

    def close(self) -> None:
        """Ends every open connection in order."""

    def reset(self) -> None:
        """Ends every open connection with a TCP reset."""

    def mute(self) -> None:
        """Says nothing more on the connections that are open now."""

    def inject(self, line: bytes) -> None:
        """Puts bytes and a line end into every open connection."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A refusal that waits for its call."""

    refusal: Refusal
    path: str
    reset_seconds: float


@dataclass
class Faults:
    """What is wrong at the moment; every attribute may be set at any time.

    Attributes:
        silent: No connection says anything, present or future, not even keep-alives. What is posted is lost to it.
        blackout: The stream is alive, with keep-alives, but new posts appear in searches only.
        byte_by_byte: Lines arrive one byte at a time.
        duplicates: How many times more each post is sent.
        disorder: Posts are held back until so many have come (or for a moment), then sent shuffled. 0 or 1: in order.
        ghosts: The slot of a client that goes stays taken, until ``DELETE /2/connections/all``.
        half_lines: So many posts from now are sent by half, and the connection closed after each.
        lost_answers: So many posts from now are created, and the connection reset instead of an answer.
        reset_seconds: How far in the future a refusal ``rate-limited`` says that its window ends.
    """

    silent: bool = False
    blackout: bool = False
    byte_by_byte: bool = False
    duplicates: int = 0
    disorder: int = 0
    ghosts: bool = False
    half_lines: int = 0
    lost_answers: int = 0
    reset_seconds: float = 2.0
    _stream: StreamHandle | None = None
    _connects: deque[Planned] = field(default_factory=deque)
    _calls: deque[Planned] = field(default_factory=deque)

    def attach(self, stream: StreamHandle) -> None:
        """Says which stream the actions below are about."""
        self._stream = stream

    def refuse_connects(self, refusal: Refusal, times: int = 1) -> None:
        """Answers the next connects to the stream with this; several calls queue up."""
        self._connects.extend([Planned(refusal, "", self.reset_seconds)] * times)

    def refuse_calls(self, refusal: Refusal, times: int = 1, path: str = "/2/") -> None:
        """Answers the next other calls with this whose method and path, or path alone, begin with ``path``.

        ``path`` may be ``"/2/tweets/search/recent"``, or ``"POST /2/tweets"`` to mean that alone.
        """
        self._calls.extend([Planned(refusal, path, self.reset_seconds)] * times)

    def clear(self) -> None:
        """All is well again. Connections that were muted stay so until their clients go."""
        self.silent = self.blackout = self.byte_by_byte = self.ghosts = False
        self.duplicates = self.disorder = self.half_lines = self.lost_answers = 0
        self._connects.clear()
        self._calls.clear()

    def close(self) -> None:
        """The open streams end in order, as X ends them."""
        self._act(lambda stream: stream.close())

    def reset(self) -> None:
        """The open streams end with a TCP reset."""
        self._act(lambda stream: stream.reset())

    def mute(self) -> None:
        """The connections that are open now stay open and never say anything again; new ones work."""
        self._act(lambda stream: stream.mute())

    def inject(self, line: bytes) -> None:
        """Puts a line of any bytes into the open streams; the line end is added."""
        self._act(lambda stream: stream.inject(line))

    def next_connect(self) -> Planned | None:
        """The refusal for a connect to the stream, used up by asking."""
        return self._connects.popleft() if self._connects else None

    def next_call(self, method: str, path: str) -> Planned | None:
        """The refusal for another call, used up by asking."""
        for planned in self._calls:
            if path.startswith(planned.path) or f"{method} {path}".startswith(planned.path):
                self._calls.remove(planned)
                return planned
        return None

    def _act(self, action: Callable[[StreamHandle], None]) -> None:
        if self._stream is not None:
            action(self._stream)


def refuse(planned: Planned, clock: Clock) -> web.Response:
    """The answer that a planned refusal gives."""
    match planned.refusal:
        case "unavailable":
            return web.Response(status=503, text=_PAGE.format("503 Service Unavailable"), content_type="text/html")
        case "html":
            return web.Response(text=_PAGE.format("Welcome"), content_type="text/html")
        case "rate-limited":
            reset = math.ceil(clock.now().timestamp() + planned.reset_seconds)
            headers = {"x-rate-limit-limit": "50", "x-rate-limit-remaining": "0", "x-rate-limit-reset": str(reset)}
            return too_many(headers).answer()
        case _:
            return _PROBLEMS[planned.refusal]().answer()
