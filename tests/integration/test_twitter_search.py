"""Search on the simulated X: as reconciliation beside the stream, and as the only way."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from channels.twitter.search import Watermark
from gateway.demo.x import Media, Options, Place, Refusal
from tests.integration.twitter_bench import Bench, bench

FAST = 0.001
"""Minutes between two searches."""


def search_only(**settings: Any) -> dict[str, Any]:
    """Settings of a plan without the stream."""
    return {"mode": "search", "search_minutes": FAST} | settings


def watermark(b: Bench) -> Watermark:
    return msgspec.json.decode(b.store.values["search"], type=Watermark)


async def test_all_pages_are_read_in_bounded_deliveries_before_the_watermark_moves() -> None:
    """250 posts are three pages, taken over in deliveries of 40 at most."""
    async with bench(start=False, **search_only(read_limit=40)) as b:
        posts = b.posts(250)
        await b.channel.open()
        while len(b.received) < 250:
            delivery = await b.channel.receive()
            assert len(delivery.messages) <= 40
            assert "search" not in b.store.values
            await b.take(delivery)
        assert set(b.ids()) == {post.id for post in posts}
        assert watermark(b).id == max(int(post.id) for post in posts)


async def test_a_page_that_was_not_released_comes_again() -> None:
    """Within one life the same delivery, and after a crash everything from the watermark on."""
    async with bench(start=False, **search_only(rewind_minutes=0)) as b:
        await b.channel.open()
        old = b.post()
        while old.id not in b.ids():
            await b.take(await b.channel.receive())
        missed = b.posts(3)
        first = await b.channel.receive()
        while not first.messages:
            first = await b.channel.receive()
        assert await b.channel.receive() is first
        await b.stop(kill=True)
        await b.start()
        await b.arrived(*missed)
        assert b.store.all_gaps() == []


async def test_each_search_goes_back_behind_the_watermark() -> None:
    """A post that X's search learns of late is found all the same."""
    async with bench(**search_only()) as b:
        await b.arrived(b.post())
        late = b.post(at=datetime.now(UTC) - timedelta(minutes=8))
        await b.arrived(late)
        before = watermark(b).id
        await b.until(lambda: watermark(b).until > 0 and b.x.calls["GET /2/tweets/search/recent"] > 5, "more searches")
        assert watermark(b).id >= before > int(late.id)


async def test_the_watermark_stays_behind_what_search_may_not_know_yet() -> None:
    """A post younger than X's delay moves nothing, and is asked for again."""
    async with bench(start=False, **search_only(search_delay_seconds=600)) as b:
        await b.start()
        young = b.post()
        await b.arrived(young)
        await b.healthy()
        assert watermark(b).id < int(young.id)


async def test_the_first_start_ever_looks_back_a_little_and_owes_no_more() -> None:
    """What was posted long before the first start is not this gateway's."""
    async with bench(start=False, **search_only()) as b:
        long_ago = b.post(at=datetime.now(UTC) - timedelta(hours=2))
        lately = b.post(at=datetime.now(UTC) - timedelta(minutes=5))
        await b.start()
        await b.arrived(lately)
        await b.healthy()
        assert long_ago.id not in b.ids()
        assert b.store.all_gaps() == []


async def test_what_no_search_reaches_any_more_is_on_record() -> None:
    """Eight days away: one of them is lost."""
    async with bench(start=False, **search_only()) as b:
        then = datetime.now(UTC) - timedelta(days=8)
        milliseconds = int(then.timestamp() * 1000)
        b.store.values["search"] = f'{{"id":{(milliseconds - 1_288_834_974_657) << 22},"until":{milliseconds}}}'
        found = b.post(at=datetime.now(UTC) - timedelta(days=6))
        await b.start()
        await b.arrived(found)
        await b.healthy()
        (gap,) = b.store.all_gaps()
        assert (gap.path, gap.state) == ("search", "lost")
        assert gap.until is not None
        assert timedelta(hours=23) < gap.until - gap.since < timedelta(hours=25)


async def test_a_post_brings_only_what_it_refers_to_in_either_naming() -> None:
    """A message is one post, with its author, its media, its place and the post that it quotes."""
    for naming in ("classic", "new"):
        options = Options(search_delay_seconds=0, naming=naming)
        async with bench(options, start=False, **search_only()) as b:
            quoted = b.post("kutipan", "warga_1", media=[Media("a.jpg")])
            place = Place("p1", "Semarang", (110.0, -7.1, 110.5, -6.9))
            rich = b.post("kaya", "warga_2", media=[Media("b.jpg")], place=place, quote=quoted)
            plain = b.post("polos", "warga_3")
            await b.start()
            await b.arrived(quoted, rich, plain)
            record = msgspec.json.decode(b.received[plain.id].raw)
            assert record["found_by"] == "search"
            assert set(record) == {"data", "includes", "found_by"}
            assert [user["username"] for user in record["includes"]["users"]] == ["warga_3"]
            record = msgspec.json.decode(b.received[rich.id].raw)
            posts = record["includes"].get("tweets") or record["includes"]["posts"]
            assert [post["id"] for post in posts] == [quoted.id]
            assert {user["username"] for user in record["includes"]["users"]} >= {"warga_1", "warga_2"}
            assert [found["id"] for found in record["includes"]["places"]] == ["p1"]


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
async def test_a_refused_search_is_said_while_the_stream_goes_on(refusal: Refusal, state: str, reason: str) -> None:
    """Posts come by the stream; search goes on where it was."""
    async with bench(start=False) as b:
        b.x.faults.reset_seconds = 1
        b.x.faults.refuse_calls(refusal, 1 if refusal == "rate-limited" else 3, "/2/tweets/search/recent")
        await b.start()
        health = await b.health(state)
        assert reason in health.reason
        await b.until(lambda: b.x.stream.open_connections == 1, "the stream")
        await b.arrived(b.post())
        await b.healthy()


async def test_pages_go_on_after_a_fault_in_the_middle() -> None:
    """No page is skipped, and none of the earlier ones is paid for again."""
    async with bench(start=False, **search_only(search_minutes=60)) as b:
        posts = b.posts(250)
        await b.channel.open()
        delivery = await b.channel.receive()
        while not delivery.messages:
            delivery = await b.channel.receive()
        b.x.faults.refuse_calls("unavailable", 2, "/2/tweets/search/recent")
        await b.take(delivery)
        while not {post.id for post in posts} <= set(b.ids()):
            await b.take(await b.channel.receive())
        assert b.x.calls["GET /2/tweets/search/recent"] == 5


async def test_without_posts_the_watermark_does_not_grow_old() -> None:
    """Where nobody posts for weeks nothing is lost, and nothing is said to be."""
    async with bench(start=False, **search_only()) as b:
        then = datetime.now(UTC) - timedelta(days=5)
        milliseconds = int(then.timestamp() * 1000)
        b.store.values["search"] = f'{{"id":{(milliseconds - 1_288_834_974_657) << 22},"until":{milliseconds}}}'
        await b.start()
        await b.until(lambda: watermark(b).until > milliseconds, "a search")
        age = datetime.now(UTC).timestamp() * 1000 - ((watermark(b).id >> 22) + 1_288_834_974_657)
        assert age < 25 * 3600 * 1000


async def test_a_search_that_was_settled_without_the_store_is_settled_again() -> None:
    """The release fails once; the same delivery comes again, and then the watermark moves."""
    async with bench(start=False, **search_only()) as b:
        post = b.post()
        await b.channel.open()
        delivery = await b.channel.receive()
        while not delivery.messages:
            delivery = await b.channel.receive()
        b.store.failures = 1
        with pytest.raises(type(b.store.error())):
            await b.take(delivery)
        again = await b.channel.receive()
        assert again is delivery
        await b.take(again)
        assert watermark(b).id == int(post.id)
