"""What probes and the watchdog learn of a gateway that stands still, cannot reach its store, or has lost a part."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.application import Gateway
from gateway.cli.watchdog import keep_informed
from gateway.console import Console
from gateway.notify import ServiceManager
from gateway.settings.model import ChannelSection, ConsoleSettings
from gateway.stages.loop import Board, progressed, repeat
from gateway.stages.pulse import LOOP_SECONDS, TURN_SECONDS, Pulse
from gateway.telemetry import Metrics
from tests.conftest import eventually
from tests.fakes import FakeChannels, FakeClock, FakeSettings, RecordingPublisher, fake_message
from tests.integration.kernel import PARSERS, kernel_on, settings_for

Probe = tuple[int, dict[str, Any]]


class Probed:
    """A gateway that runs with its console, and what it is made of."""

    def __init__(self, gateway: Gateway, address: str, publisher: RecordingPublisher, channels: FakeChannels) -> None:
        self.gateway = gateway
        self.address = address
        self.publisher = publisher
        self.channels = channels

    async def ask(self, path: str) -> Probe:
        """One probe."""
        async with aiohttp.ClientSession() as session, session.get(self.address + path) as response:
            return response.status, await response.json()


@asynccontextmanager
async def probed(url: str, clock: FakeClock) -> AsyncIterator[Probed]:
    """One fake channel, a queue in memory, a clock that stands still."""
    publisher, channels = RecordingPublisher(), FakeChannels()
    channels.create("fake-1", FakeSettings())
    section = ChannelSection("fake-1", channels.plugin(), FakeSettings())
    settings = settings_for(url, channels=[section]).model_copy(
        update={"console": ConsoleSettings(listen="127.0.0.1:0")}
    )
    gateway = Gateway(settings, clock=clock, publisher=publisher, parsers=PARSERS)
    console = Console(gateway)
    await gateway.start()
    try:
        yield Probed(gateway, await console.start(), publisher, channels)
    finally:
        await console.stop()
        await gateway.stop()


@contextmanager
def taken_away(database: Path) -> Iterator[None]:
    """A folder stands where the file was: it cannot be opened."""
    database.rename(database.with_suffix(".away"))
    database.mkdir()
    yield
    database.rmdir()
    database.with_suffix(".away").rename(database)


async def test_a_gateway_that_works_is_alive_and_ready(sqlite_url: str, clock: FakeClock) -> None:
    async with probed(sqlite_url, clock) as running:
        assert await running.ask("/healthz") == (200, {"alive": True})
        assert await running.ask("/readyz") == (200, {"ready": True})


async def test_a_stage_that_stands_still_is_no_life(sqlite_url: str, clock: FakeClock) -> None:
    """A queue that never answers holds a step beyond every deadline; once it answers, all is well again."""
    async with probed(sqlite_url, clock) as running:
        running.publisher.open_to = asyncio.Event()
        running.channels.by_name["fake-1"].put(fake_message("a"))
        await eventually(lambda: bool(running.publisher.tried), "an event to be on its way")
        clock.advance(seconds=TURN_SECONDS + 1)

        async def dead() -> bool:
            status, body = await running.ask("/healthz")
            return status == 503 and "'publish" in body["reason"]

        await eventually(dead, "the stage to be named")
        assert (await running.ask("/readyz"))[0] == 503
        running.publisher.open_to.set()

        async def alive() -> bool:
            return (await running.ask("/healthz"))[0] == 200

        await eventually(alive, "the gateway to be alive again")


async def test_a_store_that_is_away_is_no_reason_for_a_restart(sqlite_url: str, clock: FakeClock) -> None:
    """The gateway lives and is not ready; the answer names no address."""
    async with probed(sqlite_url, clock) as running:
        database = Path(sqlite_url.removeprefix("sqlite:///"))
        with taken_away(database):
            await running.gateway.store._reader.dispose()  # noqa: SLF001 - the next connection is a new one
            status, body = await running.ask("/readyz")
            assert status == 503
            assert "store" in body["reason"]
            assert str(database) not in str(body)
            assert (await running.ask("/healthz"))[0] == 200


async def test_a_part_that_has_ended_is_no_life(sqlite_url: str, clock: FakeClock) -> None:
    async with probed(sqlite_url, clock) as running:
        (task,) = [task for task in running.gateway._tasks if task.get_name() == "process"]  # noqa: SLF001 - the fault
        task.cancel()
        await asyncio.wait((task,))
        status, body = await running.ask("/healthz")
        assert status == 503
        assert "'process' has ended" in body["reason"]


async def test_a_step_that_says_that_it_progresses_may_take_long(clock: FakeClock) -> None:
    board = Board(clock, Metrics())
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def step() -> None:
        begun.set()
        await go_on.wait()
        progressed()
        await asyncio.Event().wait()

    running = asyncio.create_task(repeat("process", step, board))
    pulse = Pulse(board, [running])
    beating = asyncio.create_task(pulse.run())
    await begun.wait()
    clock.advance(seconds=TURN_SECONDS + 1)
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert board.turns["process"].moved_at == clock.monotonic()
    assert "process" not in pulse.problem()
    for task in (running, beating):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_groups_that_are_decided_one_by_one_are_progress(
    sqlite_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes a minute on a slow disk, and there are more than the watchdog has patience for."""
    async with kernel_on(sqlite_url, clock) as kernel:
        board, process = kernel.gateway.board, kernel.gateway.process
        left, late = [f"group {number}" for number in range(10)], []

        async def assemble(limit: int, taken: list[str]) -> None:
            taken += left[:limit]
            if limit > 1:
                raise TypeError
            del left[:limit]
            late.append(clock.monotonic() - board.turns["assemble"].moved_at)
            clock.advance(seconds=60)

        monkeypatch.setattr(process, "_assemble", assemble)
        running = asyncio.create_task(repeat("assemble", process.assemble_due, board))
        await eventually(lambda: not left, "all to be decided")
        running.cancel()
        assert max(late) <= 60


async def test_an_event_loop_that_stood_still_is_told(clock: FakeClock) -> None:
    waiting = asyncio.create_task(asyncio.sleep(3600))
    pulse = Pulse(Board(clock, Metrics()), [waiting])
    assert pulse.problem() == ""
    clock.advance(seconds=LOOP_SECONDS + 1)
    assert "event loop stood still for 16 s" in pulse.problem()
    waiting.cancel()


@pytest.fixture
def manager_socket(tmp_path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(tmp_path / "notify"))
    listening.setblocking(False)
    return listening


async def test_the_watchdog_gets_signs_of_life_only_while_everything_moves(
    sqlite_url: str, clock: FakeClock, manager_socket: socket.socket
) -> None:
    """While a stage stands still the manager reads why, and nothing that would keep it from a restart."""
    environment = {"NOTIFY_SOCKET": manager_socket.getsockname(), "WATCHDOG_USEC": "200000"}
    loop = asyncio.get_running_loop()

    async def told(beginning: str, part: str) -> None:
        async with asyncio.timeout(30):
            while True:
                message = (await loop.sock_recv(manager_socket, 4096)).decode()
                if message.startswith(beginning) and part in message:
                    return

    async with probed(sqlite_url, clock) as running:
        informing = asyncio.create_task(keep_informed(running.gateway, ServiceManager(environment)))
        await told("WATCHDOG=1", "STATUS=1 of 1 channels up")
        running.publisher.open_to = asyncio.Event()
        running.channels.by_name["fake-1"].put(fake_message("a"))
        await eventually(lambda: bool(running.publisher.tried), "an event to be on its way")
        clock.advance(seconds=TURN_SECONDS + 1)
        await told("STATUS=The stage 'publish", "restart the gateway")
        with suppress(BlockingIOError):  # whatever was sent before the stage was found
            while True:
                manager_socket.recv(4096)
        for _ in range(3):
            assert not (await loop.sock_recv(manager_socket, 4096)).startswith(b"WATCHDOG")
        running.publisher.open_to.set()
        await told("WATCHDOG=1", "1 of 1 channels up")
        informing.cancel()
    manager_socket.close()
