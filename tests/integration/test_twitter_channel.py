"""The X channel as the kernel uses it: opened, asked, closed, and taken over by another process."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from random import Random

import pytest

from channels.twitter import CHANNEL
from gateway.demo.x import OPERATIONAL_DISCONNECT, Options, Post
from gateway.errors import ChannelUnavailable, LeaseLost, NeedsOperator
from gateway.ports import Gap, LooksBack
from tests.conftest import DEADLINE, eventually
from tests.integration.twitter_bench import Bench, MemoryStore, bench


async def test_opening_tries_the_keys_and_leaves_the_stream_alone() -> None:
    """A look at the settings must not take the one connection from a gateway that runs."""
    async with bench() as b:
        await b.connected()
        second = CHANNEL.create("twitter", b.settings, MemoryStore())
        await second.open()
        assert (await second.health()).state == "up"
        await second.close()
        assert len(b.x.stream.connect_attempts) == 1
        assert isinstance(second, LooksBack)


async def test_wrong_keys_are_an_operators_matter() -> None:
    """Said at once, by the name of the setting."""
    async with bench(start=False, bearer_token="wrong") as b:  # noqa: S106 - that is the test
        with pytest.raises(NeedsOperator, match="bearer_token") as caught:
            await b.channel.open()
        assert "wrong" not in str(caught.value)


async def test_an_x_that_is_away_is_not_there_yet() -> None:
    """The kernel opens the channel anew until it is."""
    async with bench(start=False) as b:
        await b.x.stop()
        with pytest.raises(ChannelUnavailable, match="cannot be reached"):
            await b.channel.open()
        await b.x.start()
        await b.start()
        await b.connected()


async def test_x_away_for_a_while_is_down_and_then_made_up_for() -> None:
    """Neither way works: the channel is down; then everything is there, and the gap is recovered."""
    async with bench(search_minutes=0.001) as b:
        await b.connected()
        await b.x.stop()
        await b.health("down")
        missed = b.posts(3)
        await b.x.start()
        await b.arrived(*missed)
        await b.healthy()
        assert sum(gap.found for gap in await b.recovered()) == 3


async def test_a_lost_lease_ends_the_receiving() -> None:
    """Another process reads the source: this one stops, by an exception of the kernel's own."""
    async with bench(start=False) as b:
        await b.channel.open()
        b.store.error = lambda: LeaseLost("Another process has the channel.")
        b.store.failures = 1_000_000
        with pytest.raises(LeaseLost):
            await _receive_for_ever(b)


async def test_a_bug_in_the_background_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that ends takes the channel with it, so that it is opened anew."""
    async with bench(start=False) as b:

        async def broken(*_: object, **__: object) -> dict[str, object]:
            raise ZeroDivisionError

        await b.channel.open()
        monkeypatch.setattr(b.channel._api, "recent_search", broken)  # noqa: SLF001
        with pytest.raises(ZeroDivisionError):
            await _receive_for_ever(b)


async def _receive_for_ever(b: Bench) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            await b.channel.receive()


async def test_after_closing_nothing_is_left() -> None:
    """No connection, no task; and what is asked then fails in the kernel's words."""
    async with bench() as b:
        await b.connected()
        tasks = list(b.channel._tasks)  # noqa: SLF001
        channel = b.channel
        await b.stop()
        assert all(task.done() for task in tasks)
        await eventually(lambda: b.x.stream.open_connections == 0, "the connection to go")
        with pytest.raises(ChannelUnavailable):
            await channel.receive()
        with pytest.raises(ChannelUnavailable):
            await channel.open()
        assert (await channel.health()).state == "down"


async def test_the_details_tell_operators_what_they_ask_first() -> None:
    """Both ways, the posts, the gaps and the answers."""
    async with bench(Options(search_delay_seconds=0)) as b:
        await b.connected()
        await b.arrived(b.post())
        details = (await b.channel.health()).details
        assert details["stream"] == "connected"
        assert details["stream_age_seconds"] >= 0
        assert details["connects_15_minutes"] == 1
        assert details["search_lag_seconds"] >= 0
        assert details["last_post_at"]
        assert (details["gaps_open"], details["gaps_closed"], details["gaps_lost"]) == (0, 0, 0)
        assert details["last_gap"] == ""


async def test_no_key_and_no_text_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """What tweepy itself would log: requests with their keys, and X's answers."""
    caplog.set_level("DEBUG")
    async with bench(start=False) as b:
        b.x.faults.refuse_connects("unavailable", 2)
        await b.start()
        await b.connected()
        await b.arrived(b.post("RAHASIA"))
        for secret in (b.settings.bearer_token.get_secret_value(), "RAHASIA"):
            assert secret not in caplog.text


@pytest.mark.parametrize("seed", range(2))
async def test_a_rough_day_loses_nothing_and_the_record_is_true(seed: int) -> None:
    """Everything at once, at random, with kills; in the end each post is in custody and each gap is recovered."""
    random = Random(seed)
    async with bench(search_minutes=0.005, silence_seconds=0.5, connects_per_window=50) as b:
        await b.connected()
        faults, search = b.x.faults, "/2/tweets/search/recent"
        trouble: list[Callable[[], object]] = [
            faults.close,
            faults.reset,
            faults.mute,
            lambda: setattr(faults, "half_lines", 1),
            lambda: faults.inject(OPERATIONAL_DISCONNECT),
            lambda: faults.inject(b'{"data":'),
            lambda: faults.refuse_connects("unavailable"),
            lambda: faults.refuse_connects("too-many-connections"),
            lambda: faults.refuse_calls("html", 2, search),
            lambda: faults.refuse_calls("rate-limited-bare", 1, search),
            lambda: setattr(b.store, "failures", 3),
        ]
        posts: list[Post] = []
        for step in range(20):
            posts += b.posts(random.randint(0, 5))
            random.choice(trouble)()
            if step % 8 == random.randrange(8):
                await b.stop(kill=random.random() < 0.7)
                posts += b.posts(2)
                await b.start()
            await b.until(lambda: random.random() < 0.05, "a while to pass")
        faults.clear()
        await b.arrived(*posts)
        gaps = await b.recovered()
        searched = [post for post in posts if b'"found_by":"search"' in b.received[post.id].raw]
        assert all(any(_holds(gap, post) for gap in gaps) for post in searched)
        assert sum(gap.found for gap in gaps) <= len(searched)


def _holds(gap: Gap, post: Post) -> bool:
    slack = timedelta(seconds=2)
    return gap.since - slack <= post.created_at <= (gap.until or gap.since) + slack
