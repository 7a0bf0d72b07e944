"""What a channel keeps in the database from one life to the next: values, gaps, and a look at what it brought in."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from gateway.clock import SystemClock, to_milliseconds
from gateway.ports import Gap, GapState, Kept
from gateway.store import messages as message_rows
from gateway.store.channel_store import StoredChannel, list_gaps
from gateway.store.tables import answers, messages
from tests.fakes import FakeClock, fake_message, fake_raw
from tests.integration.kernel import CHANNEL, Kernel, kernel_on

OTHER: Final = "fake-2"
NOON: Final = datetime(2026, 11, 1, 12, tzinfo=UTC)
GAP: Final = Gap("stream", NOON, None, "open", "The connection broke.")
LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    """Starts at the time of day, since identifiers tell the age of rows by it."""
    return FakeClock(SystemClock().now())


@pytest.fixture
async def kernel(store_url: str, clock: FakeClock) -> AsyncIterator[Kernel]:
    """A gateway on each kind of database."""
    async with kernel_on(store_url, clock) as opened:
        yield opened


@pytest.fixture
def kept(kernel: Kernel) -> StoredChannel:
    """What the channel keeps."""
    return StoredChannel(kernel.store, CHANNEL)


# Values.


async def test_a_value_that_was_never_saved_is_none(kept: StoredChannel) -> None:
    """A channel's first life begins with nothing."""
    assert await kept.load("cursor") is None


async def test_a_value_is_there_in_the_next_life(kernel: Kernel, kept: StoredChannel) -> None:
    """Saved again it is replaced, and what was saved beside it stays."""
    await kept.save({"cursor": "1", "watermark": "é 12:00"})
    await kept.save({"cursor": "2"})
    next_life = StoredChannel(kernel.store, CHANNEL)
    assert (await next_life.load("cursor"), await next_life.load("watermark")) == ("2", "é 12:00")


async def test_saving_nothing_changes_nothing(kept: StoredChannel) -> None:
    """An empty mapping is no mistake."""
    await kept.save({"cursor": "1"})
    await kept.save({})
    assert await kept.load("cursor") == "1"


async def test_two_channels_share_no_value(kernel: Kernel, kept: StoredChannel) -> None:
    """The same name is each channel's own."""
    other = StoredChannel(kernel.store, OTHER)
    await kept.save({"cursor": "mine"})
    assert await other.load("cursor") is None
    await other.save({"cursor": "another's"})
    assert await kept.load("cursor") == "mine"


async def test_values_are_saved_all_or_none(kernel: Kernel, kept: StoredChannel) -> None:
    """One that the database refuses (it is no text) leaves the others as they were."""
    await kept.save({"a": "old", "b": "old"})
    with pytest.raises(Exception, match=r"NULL|null"):
        await kept.save({"a": "new", "b": None})  # type: ignore[dict-item]
    assert [await StoredChannel(kernel.store, CHANNEL).load(name) for name in ("a", "b")] == ["old", "old"]


# Gaps.


async def test_a_gap_is_read_as_it_was_written(kept: StoredChannel) -> None:
    """Every field of it, to the millisecond."""
    until = NOON + timedelta(minutes=3, milliseconds=7)
    gap = Gap("search", NOON + timedelta(milliseconds=5), until, "closed", "The API did not answer.", 3)
    await kept.save({}, [GAP, gap])
    assert await kept.gaps() == (GAP, gap)


async def test_a_gap_with_the_same_path_and_beginning_is_replaced(kept: StoredChannel) -> None:
    """It is opened once and then closed, however precisely the channel tells its beginning."""
    fine = replace(GAP, since=NOON + timedelta(microseconds=300))
    await kept.save({}, [fine])
    closed = replace(fine, until=NOON + timedelta(minutes=1), state="closed", reason="It is back.", found=2)
    await kept.save({}, [closed])
    assert await kept.gaps() == (replace(closed, since=NOON),)


async def test_gaps_of_other_paths_or_beginnings_are_others(kept: StoredChannel) -> None:
    """The oldest is told first, in whatever order they were written."""
    later = replace(GAP, since=NOON + timedelta(hours=1))
    earlier = replace(GAP, since=NOON - timedelta(hours=1), path="search")
    await kept.save({}, [later, GAP])
    await kept.save({}, [earlier])
    assert await kept.gaps() == (earlier, GAP, later)


@pytest.mark.parametrize(("state", "told"), [("open", True), ("closed", True), ("recovered", False), ("lost", False)])
async def test_only_gaps_that_somebody_has_to_look_into_are_told(
    kernel: Kernel, kept: StoredChannel, *, state: GapState, told: bool
) -> None:
    """What is recovered or lost for good is settled; operators still find it."""
    gap = replace(GAP, until=NOON, state=state)
    await kept.save({}, [GAP])
    await kept.save({}, [gap])
    assert await kept.gaps() == ((gap,) if told else ())
    async with kernel.store.read() as connection:
        assert await list_gaps(connection, limit=10) == [(CHANNEL, gap)]


async def test_a_channel_is_told_its_own_gaps_only(kernel: Kernel, kept: StoredChannel) -> None:
    """The same gap of two channels is two."""
    await kept.save({}, [GAP])
    other = StoredChannel(kernel.store, OTHER)
    assert await other.gaps() == ()
    await other.save({}, [replace(GAP, reason="Another reason.")])
    assert await kept.gaps() == (GAP,)


async def test_of_many_gaps_an_operator_sees_the_newest(kernel: Kernel, kept: StoredChannel) -> None:
    """As many as asked for, oldest first."""
    many = [replace(GAP, since=NOON + timedelta(minutes=n)) for n in range(5)]
    await kept.save({}, many)
    async with kernel.store.read() as connection:
        assert [gap for _channel, gap in await list_gaps(connection, limit=2)] == many[3:]


# What is in custody.


async def names(kept: StoredChannel, *, limit: int = 100, after: str = "") -> list[str]:
    """The external ids of what is kept."""
    return [one.external_id for one in await kept.kept(LONG_AGO, after, limit)]


async def test_a_channel_sees_what_it_brought_in(kernel: Kernel, kept: StoredChannel) -> None:
    """With its bytes and its time, whatever was decided about it; nothing of another channel."""
    (message_id,) = await kernel.receive(fake_message("a"))
    await kernel.receive(fake_message("b"), channel=OTHER)
    await kernel.process()
    received_at = kernel.clock.now().replace(microsecond=kernel.clock.now().microsecond // 1000 * 1000)
    assert await kept.kept(LONG_AGO, "", 100) == (Kept(message_id, "a", fake_raw(), received_at),)


async def test_what_is_kept_is_read_page_by_page(kernel: Kernel, kept: StoredChannel) -> None:
    """Each page begins behind the last id of the page before; the one behind the last page is empty."""
    batch = [f"m{n}" for n in range(5)]
    await kernel.receive(*map(fake_message, batch))
    pages: list[list[str]] = []
    after = ""
    while (page := await kept.kept(LONG_AGO, after, 2)) and len(pages) < 9:
        pages.append([one.external_id for one in page])
        after = page[-1].id
    assert pages == [batch[:2], batch[2:4], batch[4:]]


async def test_emptied_messages_are_left_out_and_do_not_shorten_a_page(kernel: Kernel, kept: StoredChannel) -> None:
    """There is nothing to look at any more."""
    ids = await kernel.receive(*(fake_message(f"m{n}") for n in range(4)))
    await kernel.change(messages, messages.c.id.in_(ids[:2]), raw=None)
    assert await names(kept, limit=2) == ["m2", "m3"]


async def test_what_came_before_is_left_out(kernel: Kernel, kept: StoredChannel) -> None:
    """Also where a page would begin earlier."""
    (old,) = await kernel.receive(fake_message("old"))
    long_ago = old.replace(old[:8], "01000000")
    await kernel.change(messages, messages.c.id == old, id=long_ago)
    await kernel.receive(fake_message("new"))
    an_hour_ago = SystemClock().now() - timedelta(hours=1)
    for after in ("", long_ago.replace("01000000", "00ffffff")):
        assert [one.external_id for one in await kept.kept(an_hour_ago, after, 10)] == ["new"]
    in_an_hour = SystemClock().now() + timedelta(hours=1)
    assert await kept.kept(in_an_hour, "", 10) == ()


# Answers.


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        ("queued", False),
        ("sending", True),
        ("unsure", True),
        ("sent", True),
        ("delivered", True),
        ("unknown", True),
        ("failed", False),
        ("expired", False),
    ],
)
async def test_what_went_out_or_may_have_counts_as_attempted(
    kernel: Kernel, kept: StoredChannel, *, state: str, counts: bool
) -> None:
    """What certainly did not go out costs no budget, and neither does another channel's answer."""
    await kernel.take(fake_message("a"))
    await kernel.take(fake_message("b"), channel=OTHER)
    now = to_milliseconds(kernel.clock.now())
    await kernel.change(answers, answers.c.id.is_not(None), state=state, next_at=now)
    assert await kept.attempted_since(kernel.clock.now() - timedelta(hours=1)) == int(counts)
    assert await kept.attempted_since(kernel.clock.now() + timedelta(hours=1)) == 0


async def test_an_answer_counts_from_when_it_was_tried(kernel: Kernel, kept: StoredChannel) -> None:
    """Not from when it was queued: the budget is used up now."""
    await kernel.take(fake_message("a"))
    kernel.clock.advance(hours=3)
    now = kernel.clock.now()
    await kernel.change(answers, answers.c.state == "queued", state="sent", next_at=to_milliseconds(now))
    assert await kept.attempted_since(now - timedelta(hours=1)) == 1


async def test_the_nth_attempt_is_when_the_newest_but_so_many_were_tried(kernel: Kernel, kept: StoredChannel) -> None:
    """Whatever the order of their making; what certainly did not go out is not among them, nor another channel's."""
    began = NOON
    for number, sent_after in enumerate((3, 1, 2, 0)):
        (message,) = await kernel.take(fake_message(f"m{number}", sender=f"+628110000000{number}"))
        moment = to_milliseconds(began + timedelta(hours=sent_after))
        state = "sent" if number else "sending"
        await kernel.change(answers, answers.c.message_id == message, state=state, next_at=moment)
    await kernel.take(fake_message("queued", sender="+6281100000008"))
    (other,) = await kernel.take(fake_message("b", sender="+6281100000009"), channel=OTHER)
    await kernel.change(answers, answers.c.message_id == other, state="sent", next_at=to_milliseconds(began))
    found = [await kept.nth_attempt(number) for number in range(1, 6)]
    assert found == [*(began + timedelta(hours=hours) for hours in (3, 2, 1, 0)), None]


@pytest.mark.parametrize("state", ["sending", "sent", "delivered", "unknown", "failed", "queued"])
async def test_an_answer_counts_as_given_from_its_beginning(kernel: Kernel, kept: StoredChannel, *, state: str) -> None:
    """A machine may have answered it before it is on record that it went out."""
    await kernel.take(fake_message("a", sender="+6281100000001"))
    begun = kernel.clock.now()
    later = begun + timedelta(seconds=5)
    times = {"next_at": to_milliseconds(begun), "sent_at": to_milliseconds(later) if state == "sent" else None}
    await kernel.change(answers, answers.c.id.is_not(None), state=state, **times)
    second, given = timedelta(seconds=1), state not in ("failed", "queued")
    assert await kept.answered_between("+6281100000001", begun, begun + second) is given
    assert not await kept.answered_between("+6281100000001", begun - second, begun)
    assert not await kept.answered_between("+6281100000001", begun + second, later + second)
    assert not await kept.answered_between("+6281100000002", begun, begun + second)


async def test_a_message_is_found_by_its_external_id_unless_it_is_emptied(kernel: Kernel) -> None:
    """A channel that answers looks into what it answers."""
    kept = StoredChannel(kernel.store, CHANNEL)
    (id_,) = await kernel.receive(fake_message("a"))
    found = await kept.message("a")
    assert found is not None
    assert (found.id, found.raw) == (id_, fake_message("a").raw)
    assert await kept.message("b") is None
    async with kernel.store.write() as connection:
        await message_rows.erase(connection, id_)
    assert await kept.message("a") is None
