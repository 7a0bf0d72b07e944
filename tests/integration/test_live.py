"""What changes comes by itself: one producer for all who watch, and whoever reads too slowly is let go."""

import asyncio
import json
from datetime import tzinfo
from typing import Any

import aiohttp
import pytest

from gateway.console import Console, live
from gateway.console.language import Language
from gateway.console.latest import Snapshots
from gateway.console.live import MOST_WAITING, Live
from gateway.console.overview import sections
from gateway.console.snapshot import Snapshot, take_snapshot
from gateway.errors import StoreUnavailable
from gateway.settings.model import ConsoleSettings
from gateway.store import operators
from tests.conftest import DEADLINE
from tests.fakes import FakeClock, fake_message
from tests.integration.console_bench import Browser, desk_on
from tests.integration.kernel import kernel_on, settings_for
from tests.integration.pages_bench import busy_desk, show_channel

Event = tuple[str, Any]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "EVERY_SECONDS", 0.02)


async def _next(response: aiohttp.ClientResponse) -> Event:
    """The next event of a stream."""
    name = ""
    async with asyncio.timeout(DEADLINE):
        async for line in response.content:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                return name, json.loads(value)
    return "", None


async def _until(response: aiohttp.ClientResponse, name: str) -> Any:
    """The data of the next event of this name; the clock of the test stands still, so some hold nothing new."""
    while (event := await _next(response))[0] != name:
        assert event[0], "the stream has ended"
    return event[1]


def _stream(browser: Browser, what: str = "") -> Any:
    timeout = aiohttp.ClientTimeout(total=None)
    return browser.session.get(f"{browser.origin}/api/v1/events{what}", timeout=timeout, max_line_size=10**6)


async def test_a_program_reads_snapshots(store_url: str, clock: FakeClock) -> None:
    """The same as on the page, as JSON; nothing of it names a citizen."""
    async with busy_desk(store_url, clock) as desk:
        await desk.kernel.take(fake_message("m1", held="It only mentions us."))
        async with _stream(desk.browser()) as response:
            assert response.headers["Content-Type"] == "text/event-stream"
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            told = await _until(response, "snapshot")
    assert told["attention"]["held"] == {"number": 1, "more": False}
    assert {channel["name"]: channel["state"] for channel in told["channels"]}["sms-1709"] == "down"
    assert "+62" not in json.dumps(told)


async def test_a_page_is_told_what_has_changed_and_no_more(sqlite_url: str, clock: FakeClock) -> None:
    """First everything, in its own language; then the sections that are different."""
    async with busy_desk(sqlite_url, clock) as desk:
        english = desk.browser()
        english.session.cookie_jar.update_cookies({"bahasa": "en"})
        async with _stream(desk.browser(), "?as=page") as first, _stream(english, "?as=page") as second:
            everything = (await _until(first, "page"))["sections"]
            assert set(everything) == {"verdict", "channels", "pipeline", "systems", "gaps"}
            assert "Tidak bekerja" in everything["channels"]
            assert "Works" in (await _until(second, "page"))["sections"]["channels"]
            await show_channel(desk.kernel, "sms-1709", "up", "")
            clock.advance(seconds=2)
            while not (changed := (await _until(first, "page"))["sections"]):
                pass
            assert "channels" in changed
            assert "gaps" not in changed
            assert "Tidak bekerja" not in changed["channels"]


async def test_all_who_watch_cost_one_look(sqlite_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendered once for each language and told to everybody; and nobody looks when nobody watches."""
    rendered: list[str] = []

    def counted(snapshot: Snapshot, language: Language, zone: tzinfo) -> dict[str, str]:
        rendered.append(language)
        return sections(snapshot, language, zone)

    monkeypatch.setattr(live, "sections", counted)
    async with busy_desk(sqlite_url, clock) as desk:
        browser = desk.browser()
        streams = [await _stream(browser, "?as=page") for _ in range(20)]
        for stream in streams:
            await _until(stream, "page")
        before = len(rendered)
        for _ in range(3):
            await _until(streams[0], "page")
        assert len(rendered) - before < 20
        for stream in streams:
            stream.close()


async def test_a_reader_that_takes_nothing_is_let_go(sqlite_url: str, clock: FakeClock) -> None:
    """And what waits for it is bounded; the others are told all the same."""
    async with desk_on(sqlite_url, clock) as desk:
        gateway = desk.kernel.gateway
        room = Live(gateway, Snapshots(gateway), None, clock.now().tzinfo)  # type: ignore[arg-type]
        slow, quick = live._Reader("json"), live._Reader("json")  # noqa: SLF001
        room._readers |= {slow, quick}  # noqa: SLF001
        snapshot = await take_snapshot(gateway)
        for _ in range(MOST_WAITING + 1):
            room.tell(snapshot)
            assert (await quick.next()).startswith(b"event: snapshot\n")
        assert room._readers == {quick}  # noqa: SLF001
        assert await slow.next() == b""


async def test_whoever_may_no_longer_look_is_shown_out(sqlite_url: str, clock: FakeClock) -> None:
    """A removed operator's open page learns of it, and gets nothing more."""
    async with busy_desk(sqlite_url, clock) as desk:
        await desk.add("siti", "operator")
        viewer = await desk.logged_in("budi", "viewer")
        async with _stream(viewer, "?as=page") as response:
            await _until(response, "page")
            async with desk.kernel.store.write() as connection:
                await operators.remove(connection, "budi")
            clock.advance(seconds=live.RECHECK_SECONDS)
            await _until(response, "gone")
            assert await _next(response) == ("", None)
        async with _stream(desk.browser()) as stranger:
            assert stranger.status == 401


async def test_the_server_stops_though_somebody_watches(sqlite_url: str, clock: FakeClock) -> None:
    """Open streams end with it."""
    settings = settings_for(sqlite_url).model_copy(update={"console": ConsoleSettings(listen="127.0.0.1:0")})
    async with kernel_on(sqlite_url, clock, settings=settings) as kernel, aiohttp.ClientSession() as session:
        served = Console(kernel.gateway)
        response = await _stream(Browser(session, await served.start()))
        await _until(response, "snapshot")
        async with asyncio.timeout(DEADLINE):
            await served.stop()
        while (await _next(response))[0]:
            pass


async def test_too_many_open_pages_are_refused(
    sqlite_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a sentence; those that are open stay."""
    monkeypatch.setattr(live, "MOST_READERS", 1)
    async with (
        desk_on(sqlite_url, clock) as desk,
        _stream(desk.browser()) as first,
        _stream(desk.browser()) as second,
    ):
        assert (first.status, second.status) == (200, 503)
        await _until(first, "snapshot")


async def test_while_the_database_is_away_the_page_says_so(sqlite_url: str, clock: FakeClock) -> None:
    """The stream goes on with the last known figures, and their time."""
    async with busy_desk(sqlite_url, clock) as desk, _stream(desk.browser(), "?as=page") as response:
        await _until(response, "page")
        await desk.kernel.store.close()
        desk.kernel.store.read = _away  # type: ignore[method-assign]
        clock.advance(seconds=2)
        while "Basis data tidak menjawab" not in (await _until(response, "page"))["sections"].get("verdict", ""):
            pass


def _away() -> Any:
    raise StoreUnavailable("The database does not answer.")
