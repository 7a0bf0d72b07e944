"""The filtered stream of the simulated X: connections with bounded queues, keep-alives, and faults."""

import asyncio
import socket
import struct
from collections import deque
from contextlib import suppress
from random import Random
from typing import Final

import msgspec
from aiohttp import web

from gateway.clock import Clock
from gateway.demo.x.auth import Keys
from gateway.demo.x.faults import Faults, refuse
from gateway.demo.x.options import Options
from gateway.demo.x.problems import Problem, RateLimit, invalid, stream_problem, too_many, too_many_connections
from gateway.demo.x.render import Renderer, Shape
from gateway.demo.x.rules import Rules
from gateway.demo.x.world import Post, World

LINE_END: Final = b"\r\n"
_ATTEMPTS_KEPT: Final = 100_000
_LINES_AT_ONCE: Final = 200
_DISORDER_SECONDS: Final = 0.1
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


class Connection:
    """One client on the stream and the lines that wait for it."""

    def __init__(self, request: web.Request, shape: Shape, room: int) -> None:
        self.shape = shape
        self._request = request
        self.muted = False
        self.ending = False
        self._room = room
        self._lines: deque[bytes] = deque()
        self._wake = asyncio.Event()

    def offer(self, line: bytes) -> bool:
        """Queues a line; False if the client is so slow that there is no room."""
        if len(self._lines) >= self._room:
            return False
        self._lines.append(line)
        self._wake.set()
        return True

    def close(self) -> None:
        """Has the connection ended in order, once what is being written is written."""
        self.ending = True
        self._wake.set()

    def reset(self) -> None:
        """Ends the connection with a TCP reset at once, even if the client reads nothing."""
        self.close()
        reset_transport(self._request)

    async def wait(self, seconds: float) -> bool:
        """Waits for something to do; False if there was nothing for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        return self._wake.is_set()

    def take(self, most: int = _LINES_AT_ONCE) -> list[bytes]:
        """The lines that wait, not too many at once."""
        taken = [self._lines.popleft() for _ in range(min(most, len(self._lines)))]
        if not self._lines:
            self._wake.clear()
        return taken


class Stream:
    """``GET /2/tweets/search/stream`` and everything that happens on it.

    Attributes:
        connect_attempts: The monotonic times of all connects, refused ones included.
        sent: How many posts were handed to connections, duplicates not counted.
        dropped: How many posts were lost for good because a client was too slow or a line was dead.
        ghosts: How many slots are taken by clients that are gone.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - everything a stream stands on
        self,
        options: Options,
        world: World,
        rules: Rules,
        renderer: Renderer,
        keys: Keys,
        faults: Faults,
        clock: Clock,
        random: Random,
    ) -> None:
        self._options = options
        self._world = world
        self._rules = rules
        self._renderer = renderer
        self._keys = keys
        self._faults = faults
        self._clock = clock
        self._random = random
        self._limit = RateLimit(options.connect_limit, options.window_seconds, clock)
        self._connections: set[Connection] = set()
        self._held: list[Post] = []
        self.connect_attempts: deque[float] = deque(maxlen=_ATTEMPTS_KEPT)
        self.sent = 0
        self.dropped = 0
        self.ghosts = 0
        world.subscribe(self._publish)

    @property
    def open_connections(self) -> int:
        """How many clients are connected now."""
        return len(self._connections)

    def most_connects_within(self, seconds: float) -> int:
        """The largest number of connects, refused ones included, that came within any so many seconds."""
        times = list(self.connect_attempts)
        most = start = 0
        for position, time in enumerate(times):
            while time - times[start] >= seconds:
                start += 1
            most = max(most, position - start + 1)
        return most

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Answers a connect, for as long as the client stays."""
        self._admit(request)
        shape = Shape.of(request.query, self._options.naming)
        connection = Connection(request, shape, self._options.queue_length)
        response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
        response.headers.update(self._limit.headers())
        response.enable_chunked_encoding()
        response.force_close()
        self._connections.add(connection)
        try:
            await response.prepare(request)
            await self._pump(connection, response)
        except (asyncio.CancelledError, ConnectionError):
            self.ghosts += self._faults.ghosts and not connection.ending
            raise
        finally:
            self._connections.discard(connection)
        return response

    def close(self) -> None:
        """Ends every open connection in order."""
        for connection in self._connections:
            connection.close()

    def reset(self) -> None:
        """Ends every open connection with a TCP reset."""
        for connection in self._connections:
            connection.reset()

    def mute(self) -> None:
        """Says nothing more on the connections that are open now."""
        for connection in self._connections:
            connection.muted = True

    def inject(self, line: bytes) -> None:
        """Puts bytes and a line end into every open connection."""
        for connection in self._connections:
            connection.offer(line + LINE_END)

    def clear_connections(self) -> int:
        """Ends all connections and lays all ghosts. Returns how many there were."""
        cleared = len(self._connections) + self.ghosts
        self.ghosts = 0
        self.close()
        self._connections.clear()  # their slots are free at once
        return cleared

    def _admit(self, request: web.Request) -> None:
        self.connect_attempts.append(self._clock.monotonic())
        within_limit = self._limit.count()
        planned = self._faults.next_connect()
        if planned is not None:
            raise Refused(refuse(planned, self._clock))
        self._keys.need_app(request)
        if not within_limit:
            raise too_many(self._limit.headers())
        if "backfill_minutes" in request.query:
            message = "The 'backfill_minutes' parameter is not available on this plan"
            raise invalid("backfill_minutes", request.query["backfill_minutes"], message)
        if not len(self._rules):
            raise stream_problem(409, "RuleConfigurationIssue", "Please add a rule before you connect to the stream.")
        if len(self._connections) + self.ghosts >= self._options.max_connections:
            problem = too_many_connections()
            raise Problem(problem.status, problem.body, self._limit.headers())

    async def _pump(self, connection: Connection, response: web.StreamResponse) -> None:
        while True:
            woken = await connection.wait(self._options.keep_alive_seconds)
            if connection.ending:
                return
            if connection.muted or self._faults.silent:
                self.dropped += len(connection.take())
            elif not woken:
                await response.write(LINE_END)
            else:
                await self._write(connection, response)

    async def _write(self, connection: Connection, response: web.StreamResponse) -> None:
        faults = self._faults
        if faults.half_lines > 0:
            faults.half_lines -= 1
            line = connection.take(1)[0]
            await response.write(line[: len(line) // 2])
            connection.close()
        elif faults.byte_by_byte:
            for octet in b"".join(connection.take()):
                await response.write(bytes((octet,)))
                await asyncio.sleep(0)  # so that the bytes leave one by one
        else:
            await response.write(b"".join(connection.take()))

    def _publish(self, post: Post) -> None:
        if not self._connections or self._faults.blackout:
            return
        self._held.append(post)
        if self._faults.disorder <= 1 or len(self._held) >= self._faults.disorder:
            self._release()
        elif len(self._held) == 1:
            asyncio.get_running_loop().call_later(_DISORDER_SECONDS, self._release)

    def _release(self) -> None:
        if self._faults.disorder > 1:
            self._random.shuffle(self._held)
        held, self._held = self._held, []
        for post in held:
            self._deliver(post)

    def _deliver(self, post: Post) -> None:
        rules = self._rules.matching(post)
        if not rules or not self._world.is_public(post):
            return
        names = [{"id": rule.id} | ({"tag": rule.tag} if rule.tag is not None else {}) for rule in rules]
        for connection in self._connections:
            record = self._renderer.record(post, connection.shape) | {"matching_rules": names}
            line = msgspec.json.encode(record) + LINE_END
            taken = [connection.offer(line) for _ in range(1 + self._faults.duplicates)]
            self.sent += taken[0]
            self.dropped += not taken[0]


class Refused(Exception):
    """An answer that a fault put in the place of the right one."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


def reset_transport(request: web.Request) -> None:
    """Ends a client's connection with a TCP reset: what was not read is lost to it."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()
