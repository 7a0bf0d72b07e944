"""The book of gaps: opened, closed, recovered, lost, and how many posts each had."""

from datetime import UTC, datetime, timedelta

import pytest

from channels.twitter.condition import Path, judge
from channels.twitter.gaps import MOST_SPANS, Coverage, GapBook, Silence
from gateway.errors import ChannelUnavailable, NeedsOperator, StoreUnavailable
from gateway.ports import Gap
from tests.integration.twitter_bench import MemoryStore

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


NEAR = timedelta(minutes=5)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


class Book:
    """A book over a store in memory."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.book = GapBook(self.store, lateness=60)

    async def gaps(self) -> list[Gap]:
        await self.book.flush()
        return self.store.all_gaps()


async def test_a_gap_is_one_until_it_is_closed() -> None:
    b = Book()
    b.book.open("stream", at(0), "first")
    b.book.open("stream", at(1), "second")
    (gap,) = await b.gaps()
    assert (gap.state, gap.reason, gap.until) == ("open", "first", None)
    assert b.book.open_since("stream") == at(0)
    b.book.close("stream", at(5))
    b.book.open("stream", at(7), "third")
    assert [(gap.state, gap.until) for gap in await b.gaps()] == [("closed", at(5)), ("open", None)]
    assert b.book.last_end() == at(5)


async def test_a_gap_that_began_earlier_is_another_one() -> None:
    """The life before was killed with lines in its memory."""
    b = Book()
    b.book.open("stream", at(5), "X closed it")
    b.book.open("stream", at(0), "The channel was not running.")
    b.book.close("stream", at(9))
    assert [(gap.since, gap.until) for gap in await b.gaps()] == [(at(0), at(9)), (at(5), at(9))]


async def test_only_what_a_search_covers_is_recovered() -> None:
    b = Book()
    b.book.open("stream", at(0), "one")
    b.book.close("stream", at(5))
    b.book.open("stream", at(6), "two")
    b.book.covered(Coverage(at(4.9)))
    assert [gap.state for gap in await b.gaps()] == ["closed", "open"]
    b.book.covered(Coverage(at(60)))
    assert [gap.state for gap in await b.gaps()] == ["recovered", "open"]
    assert b.book.last_end() is None


@pytest.mark.parametrize("closed", [True, False])
async def test_what_is_out_of_reach_is_lost_and_the_rest_goes_on(closed: bool) -> None:  # noqa: FBT001 - a case
    b = Book()
    b.book.open("stream", at(0), "long")
    if closed:
        b.book.close("stream", at(60))
    b.book.covered(Coverage(at(90), reach=at(30), known=at(-10)))
    lost, rest = await b.gaps()
    assert (lost.since, lost.until, lost.state) == (at(0), at(30), "lost")
    assert (rest.since, rest.until, rest.state) == (
        at(30),
        at(60) if closed else None,
        "recovered" if closed else "open",
    )
    assert b.book.details()["gaps_lost"] == 1


async def test_what_was_searched_before_is_not_lost() -> None:
    b = Book()
    b.book.open("stream", at(0), "old")
    b.book.close("stream", at(5))
    b.book.covered(Coverage(at(90), reach=at(30), known=at(10)))
    assert [gap.state for gap in await b.gaps()] == ["recovered"]


async def test_posts_are_counted_where_they_belong() -> None:
    b = Book()
    b.book.open("stream", at(0), "one")
    b.book.close("stream", at(5))
    outside = b.book.count([at(-1), at(2), at(6), at(6.1), at(-2)])
    assert outside == [at(6.1), at(-2)]
    b.book.covered(Coverage(at(60)))
    assert b.book.count([at(3)]) == []
    (gap,) = await b.gaps()
    assert (gap.found, gap.state) == (4, "recovered")
    assert "4 found by search" in str(b.book.details()["last_gap"])


async def test_a_change_that_could_not_be_written_is_not_forgotten() -> None:
    b = Book()
    b.book.open("stream", at(0), "one")
    b.store.failures = 1
    with pytest.raises(StoreUnavailable):
        await b.book.flush()
    assert len(await b.gaps()) == 1


async def test_another_life_knows_what_is_not_settled() -> None:
    b = Book()
    b.book.open("stream", at(0), "one")
    await b.book.flush()
    again = GapBook(b.store, 60)
    await again.load()
    assert again.open_since("stream") == at(0)


def test_a_silence_is_one_gap_however_many_pages_show_it() -> None:
    silence = Silence()
    assert silence.gaps() == []
    silence.add([at(5), at(3)], NEAR)
    silence = Silence.load(silence.dump())
    silence.add([at(1)], NEAR)
    (gap,) = silence.gaps()
    assert (gap.since, gap.until, gap.found, gap.state) == (at(1), at(5), 3, "recovered")
    assert Silence.load(None).gaps() == []


def test_two_silences_are_two_gaps_with_what_was_delivered_between_them() -> None:
    silence = Silence()
    silence.add([at(100), at(1), at(102), at(2)], NEAR)
    assert [(gap.since, gap.until, gap.found) for gap in silence.gaps()] == [(at(1), at(2), 2), (at(100), at(102), 2)]
    silence.add([at(n * 100) for n in range(2, 2 * MOST_SPANS)], NEAR)
    assert len(silence.gaps()) == MOST_SPANS
    assert sum(gap.found for gap in silence.gaps()) == 2 * MOST_SPANS + 2


def path(why: Exception | None, since: float = 0.0) -> Path:
    made = Path()
    made.works()
    if why is not None:
        made.fails(why if isinstance(why, NeedsOperator | ChannelUnavailable) else str(why), since)
    return made


AWAY, STUCK = ChannelUnavailable("X is away."), NeedsOperator("Pay.")


@pytest.mark.parametrize(
    ("stream", "search", "state", "reason"),
    [
        (None, None, "up", ""),
        (AWAY, None, "degraded", "X is away. Meanwhile posts come by search."),
        (None, AWAY, "degraded", "X is away. Meanwhile posts come by the stream, and what it leaves out waits."),
        (AWAY, AWAY, "down", "X is away."),
        (STUCK, None, "needs_operator", "Pay. Meanwhile posts come by search."),
        (AWAY, STUCK, "needs_operator", "Pay."),
    ],
)
def test_the_worst_is_said(stream: Exception | None, search: Exception | None, state: str, reason: str) -> None:
    health = judge(path(stream), path(search), now=100, patience=30, details={})
    assert (health.state, health.reason) == (state, reason)


def test_a_moment_without_the_stream_is_no_news() -> None:
    assert judge(path(AWAY, 90), path(None), now=100, patience=30, details={}).state == "up"
    assert judge(None, path(AWAY, 0), now=100, patience=30, details={}).state == "down"
