"""The stream on the simulated X: it ends in every way, and no post is lost, and every gap is on record."""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest

from channels.twitter.inbox import Inbox
from gateway.demo.x import OPERATIONAL_DISCONNECT, Options, Post, Refusal
from gateway.ports import Delivery, Gap
from tests.integration.twitter_bench import Bench, bench


async def test_posts_come_as_they_were_sent_and_no_gap_is_on_record() -> None:
    """The first start ever owes nothing; raw bytes are the line."""
    async with bench() as b:
        await b.connected()
        first, second = b.post("satu", "warga_1"), b.post("dua", "warga_2")
        await b.arrived(first, second)
        assert b.received[first.id].raw.startswith(b'{"data":')
        assert b.received[first.id].order_key == first.author.id != b.received[second.id].order_key
        assert b.store.all_gaps() == []
        health = await b.channel.health()
        assert (health.state, health.reason, health.details["stream"]) == ("up", "", "connected")


async def test_what_was_posted_while_the_stream_was_away_is_found_and_counted() -> None:
    """A stop in order: the gap begins at the last sign of life, ends at the connect, and search fills it."""
    async with bench() as b:
        await b.connected()
        await b.stop()
        missed = b.posts(3)
        await b.start()
        await b.arrived(*missed)
        (gap,) = await b.recovered()
        assert gap.found == 3
        assert gap.until is not None
        assert gap.since < min(post.created_at for post in missed)
        assert gap.reason == "The channel was not running."


async def test_after_a_kill_the_gap_begins_at_the_last_proof_of_life() -> None:
    """Nothing is written down at the end, and yet nothing is missing."""
    async with bench() as b:
        await b.connected()
        await b.until(lambda: "alive" in b.store.values, "a sign of life")
        await b.stop(kill=True)
        missed = b.post()
        await b.start()
        await b.arrived(missed)
        (gap,) = await b.recovered()
        assert gap.since <= missed.created_at
        assert gap.found == 1


@pytest.mark.parametrize("how", ["close", "reset", "announced"])
async def test_an_end_of_the_stream_is_a_short_gap(how: str) -> None:
    """A clean close, a reset, and X's own announcement."""
    async with bench() as b:
        await b.connected()
        before = b.post()
        await b.arrived(before)
        if how == "announced":
            b.x.faults.inject(OPERATIONAL_DISCONNECT)
        else:
            getattr(b.x.faults, how)()
        await b.until(lambda: len(b.x.stream.connect_attempts) == 2, "a second connect")
        after = b.post()
        await b.arrived(after)
        gaps = await b.recovered()
        assert [gap.path for gap in gaps] == ["stream"]
        assert gaps[0].reason.startswith("The stream ended: ")
        assert all(not name.startswith("sha256:") for name in b.ids())


async def test_a_stream_that_closes_again_and_again_is_not_connected_without_end() -> None:
    """Half of the budget is spent at once and the rest evenly; what was posted meanwhile comes by search."""
    async with bench(connects_per_window=8) as b:
        b.x.faults.refuse_connects("html", 100)
        health = await b.health("degraded")
        assert "Meanwhile posts come by search." in health.reason
        await b.until(lambda: len(b.x.stream.connect_attempts) == 4, "half of the budget to be spent")
        b.channel._search.request()  # noqa: SLF001 - instead of waiting for the minutes to pass
        await b.arrived(b.post())
        await b.until(lambda: "next one is due" in _reason(b), "the budget to be named")
        await b.stop()
        await b.start()
        await b.until(lambda: "next one is due" in _reason(b) or _waits(b), "the budget to be kept")
        assert len(b.x.stream.connect_attempts) == 4


def _reason(b: Bench) -> str:
    stream = b.channel._stream  # noqa: SLF001
    return stream.path.reason if stream else ""


def _waits(b: Bench) -> bool:
    stream = b.channel._stream  # noqa: SLF001
    return stream is not None and stream.state == "waiting"


async def test_silence_is_a_dead_stream() -> None:
    """The connection stays open and says nothing, not even that it lives."""
    async with bench(silence_seconds=0.3) as b:
        await b.connected()
        b.x.faults.mute()
        lost = b.post()
        await b.arrived(lost)
        (gap,) = await b.recovered()
        assert gap.found == 1
        assert gap.reason == "The stream ended: silent for 0.3 s."


async def test_half_a_line_is_dropped_and_found_by_search() -> None:
    """What the end of the connection has cut off is not taken for a post."""
    async with bench() as b:
        await b.connected()
        b.x.faults.half_lines = 1
        cut = b.post()
        await b.arrived(cut)
        assert b'"found_by":"search"' in b.received[cut.id].raw
        await b.recovered()
        assert list(b.ids()) == [cut.id]


async def test_bytes_duplicates_and_disorder_make_no_difference() -> None:
    """Byte by byte, twice and shuffled."""
    async with bench() as b:
        await b.connected()
        b.x.faults.byte_by_byte = True
        await b.arrived(*b.posts(3))
        b.x.faults.byte_by_byte = False
        b.x.faults.duplicates = 2
        b.x.faults.disorder = 4
        await b.arrived(*b.posts(10))
        assert len(b.ids()) == 13
        assert b.store.all_gaps() == []


@pytest.mark.parametrize(
    ("refusal", "state", "reason"),
    [
        ("unauthorized", "needs_operator", "bearer_token"),
        ("payment", "needs_operator", "top up"),
        ("forbidden", "needs_operator", "plan"),
        ("rate-limited", "degraded", "429"),
        ("rate-limited-bare", "degraded", "429"),
        ("unavailable", "degraded", "503"),
        ("html", "degraded", "not JSON"),
    ],
)
async def test_a_refused_stream_is_said_while_search_goes_on(refusal: Refusal, state: str, reason: str) -> None:
    """Whatever X answers to the connect: posts come by search, and the stream comes back by itself."""
    async with bench(start=False) as b:
        b.x.faults.reset_seconds = 1
        times = 1 if refusal == "rate-limited" else 2
        b.x.faults.refuse_connects(refusal, times)
        await b.start()
        health = await b.health(state)
        assert reason in health.reason
        await b.connected()
        await b.arrived(b.post())
        gaps = await b.recovered()
        assert len(gaps) == 1
        assert len(b.x.stream.connect_attempts) == times + 1


async def test_a_ghost_is_laid() -> None:
    """X believes in a connection that is gone; the call that ends all connections ends it."""
    async with bench() as b:
        await b.connected()
        b.x.faults.ghosts = True
        await b.stop(kill=True)
        await b.until(lambda: b.x.stream.ghosts == 1, "a ghost")
        await b.start()
        await b.connected()
        assert b.x.calls["DELETE /2/connections/all"] == 1
        await b.arrived(b.post())


async def test_missing_rules_are_put_back_and_those_of_others_stay() -> None:
    """Rules that vanish make X refuse the stream with 409."""
    async with bench(start=False) as b:
        b.x.rules.add([{"value": "kucing", "tag": "somebody else's"}])
        await b.start()
        await b.connected()
        assert len(list(b.x.rules)) == 3
        b.x.rules.delete([rule.id for rule in b.x.rules], (), dry_run=False)
        b.x.faults.close()
        await b.until(lambda: len(list(b.x.rules)) == 2, "our rules to come back")
        await b.connected()
        await b.arrived(b.post())


async def test_a_blackout_is_noticed_by_search() -> None:
    """The stream is up and brings nothing; each post comes by search, and the record says what happened."""
    async with bench() as b:
        await b.connected()
        b.x.faults.blackout = True
        left_out = [b.post(at=datetime.now(UTC) + timedelta(seconds=1)), *b.posts(2)]
        # They must be older than a post may be late, and younger than the stream's first connection.
        await b.until(lambda: datetime.now(UTC) > left_out[0].created_at + timedelta(seconds=1), "time to pass")
        b.channel._search.request()  # noqa: SLF001 - instead of waiting for the minutes to pass
        await b.arrived(*left_out)
        (gap,) = await b.recovered()
        assert gap.reason.startswith("The stream was up and did not bring")
        assert gap.found >= 1
        assert gap.since <= left_out[0].created_at <= (gap.until or gap.since)


def two_hours_of_stream(b: Bench, now: datetime) -> list[Post]:
    """The stream was up for two hours by its own word; returns 250 posts of half an hour that only search knows."""
    milliseconds = int(now.timestamp() * 1000)
    b.store.values = {
        "alive": str(milliseconds),
        "stream_since": str(milliseconds - 7_200_000),
        "accounted": str(milliseconds - 3_600_000),
        "search": f'{{"id":{_id_at(now - timedelta(hours=1))},"until":{milliseconds - 3_600_000}}}',
    }
    return [b.post(str(n), at=now - timedelta(minutes=40) + timedelta(seconds=7.2 * n)) for n in range(250)]


async def test_half_an_hour_of_silence_is_one_gap_with_all_its_posts() -> None:
    """However many pages and deliveries show it."""
    async with bench(start=False) as b:
        posts = two_hours_of_stream(b, datetime.now(UTC))
        await b.start()
        await b.arrived(*posts)
        gaps = await b.recovered(2)
        assert [gap.found for gap in gaps] == [250, 0]
        assert gaps[0].reason == "The stream was up and did not bring 250 posts that search found."
        assert (gaps[0].since, gaps[0].until) == (posts[0].created_at, posts[-1].created_at)


async def test_what_a_search_brought_before_a_kill_is_counted_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Posts are committed and the process dies before the release: they are no longer new, and counted all the same."""
    async with bench(start=False, read_limit=60) as b:
        posts = two_hours_of_stream(b, datetime.now(UTC))
        release = b.channel.release

        async def until_the_second(delivery: Delivery, new: Collection[str]) -> None:
            if b.deliveries > 2:
                await asyncio.Event().wait()
            await release(delivery, new)

        with monkeypatch.context() as patched:
            patched.setattr(b.channel, "release", until_the_second)
            await b.start()
            await b.until(lambda: b.deliveries == 3, "three deliveries to be committed, the third not released")
            await b.stop(kill=True)
        await b.start()
        await b.arrived(*posts)
        gaps = await b.recovered(2)
        assert sum(gap.found for gap in gaps) == len(posts)


async def test_an_overflow_lets_go_of_the_stream_until_there_is_room() -> None:
    """The store hangs: what does not fit into the memory stays with X, and is found there."""
    async with bench(inbox=lambda: Inbox(most_lines=20), start=False) as b:
        await b.channel.open()
        held = await b.channel.receive()
        while not held.messages:
            if b.x.stream.open_connections:
                b.post()
            held = await b.channel.receive()
        posts = b.posts(60)
        await b.until(lambda: b.x.stream.open_connections == 0, "the stream to be let go of")
        assert "does not keep up" in (await b.health("degraded")).reason
        await b.take(held)
        while not {post.id for post in posts} <= set(b.ids()):
            await b.take(await b.channel.receive())
        reasons = [gap.reason for gap in b.store.all_gaps()]
        assert any("does not keep up" in reason for reason in reasons)


async def test_malformed_lines_are_kept_and_end_nothing() -> None:
    """Each is evidence; none takes the place of a post; the connection stays."""
    lines = [
        b"<html>Welcome</html>", b'{"data":', b"[]", b"17", b'{"data":{"id":"x"}}', b'{"unknown":{"id":"1"}}',
        b'{"data":{"id":"1234567890","text":7}}', b'{"data":{"id":"1234567891"}}', b"[" * 10_000, b"\xff\xfe\x00",
        b'{"data":{"id":"1234567892","text":"\xff"}}', b'{"data":{"id":1234567893,"text":"a number"}}',
        b'{"errors":7,"data":{}}',
    ]  # fmt: skip
    async with bench() as b:
        await b.connected()
        for line in lines:
            b.x.faults.inject(line)
        good = b.post()
        await b.arrived(good)
        assert {message.raw for message in b.received.values()} >= set(lines)
        assert not {"1234567890", "1234567891", "1234567892"} & set(b.ids())
        assert len(b.x.stream.connect_attempts) == 1


async def test_long_lines_pass_and_too_long_ones_are_cut() -> None:
    """1.2 MB are a post; beyond 4 MiB the beginning is kept as evidence, and the stream goes on."""
    async with bench() as b:
        await b.connected()
        text = "a" * 1_200_000
        b.x.faults.inject(f'{{"data":{{"id":"1234567890","author_id":"7","text":"{text}"}}}}'.encode())
        b.x.faults.inject(b"x" * 5_000_000)
        good = b.post()
        await b.arrived(good)
        assert len(b.received["1234567890"].raw) > 1_200_000
        (cut,) = [message for name, message in b.received.items() if name.startswith("sha256:")]
        assert 0 < len(cut.raw) < 100_000
        assert len(b.x.stream.connect_attempts) == 1


async def test_a_gap_out_of_reach_is_lost_and_the_rest_recovered() -> None:
    """The gateway was away for nine days: X's search shows seven of them."""
    async with bench(start=False) as b:
        long_ago = datetime.now(UTC) - timedelta(days=9)
        milliseconds = int(long_ago.timestamp() * 1000)
        b.store.values = {
            "alive": str(milliseconds),
            "stream_since": str(milliseconds - 1),
            "search": f'{{"id":{_id_at(long_ago)},"until":{milliseconds}}}',
        }
        out_of_reach = b.post("lama", at=datetime.now(UTC) - timedelta(days=8))
        found = b.post("baru", at=datetime.now(UTC) - timedelta(days=6))
        await b.start()
        await b.arrived(found)
        await b.until(lambda: {gap.state for gap in b.store.all_gaps()} == {"lost", "recovered"}, "the record")
        lost, recovered = b.store.all_gaps()
        assert (lost.state, recovered.state, recovered.since) == ("lost", "recovered", lost.until)
        assert lost.until is not None
        assert lost.since < out_of_reach.created_at < lost.until < found.created_at
        assert out_of_reach.id not in b.ids()
        await b.stop(kill=True)
        await b.start()
        await b.connected()
        assert next(iter(b.store.all_gaps())) == lost


def _id_at(moment: datetime) -> int:
    return (int(moment.timestamp() * 1000) - 1_288_834_974_657) << 22


async def test_a_store_that_fails_for_a_while_loses_nothing() -> None:
    """The connects are counted before they are made, so without the store nothing is connected."""
    async with bench() as b:
        await b.connected()
        b.store.failures = 3
        b.x.faults.close()
        await b.until(lambda: len(b.x.stream.connect_attempts) == 2, "a second connect")
        assert b.store.failures == 0
        await b.arrived(b.post())
        gaps: list[Gap] = await b.recovered()
        assert len(gaps) == 1


async def test_backfill_is_asked_for_where_the_plan_has_it() -> None:
    """The simulated plan has none: the refusal is said, and search goes on."""
    async with bench(Options(search_delay_seconds=0), backfill_minutes=2, start=False) as b:
        await b.start()
        assert "400" in (await b.health("degraded")).reason
