"""The embedded queue: every line whole, forced to the disk before it counts, and clear about a full one."""

import asyncio
import json
import os
import resource
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import BrokerUnavailable, NeedsOperator
from gateway.identifiers import uuid7
from gateway.ports import OutboxEvent
from gateway.publishers.journal import JournalPublisher
from gateway.store.tables import outbox
from tests.fakes import FakeClock, fake_message
from tests.integration.kernel import kernel_on


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is; its folder is missing."""
    return tmp_path / "var" / "intake.jsonl"


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[JournalPublisher]:
    """An open journal."""
    opened = JournalPublisher(str(path))
    await opened.open()
    yield opened
    await opened.close()


def events(count: int, size: int = 10) -> list[OutboxEvent]:
    """Events whose bodies tell them apart."""
    return [OutboxEvent(id_, uuid7(), 1, "report.received.sms", body(id_, size)) for id_ in ids(count)]


def ids(count: int) -> list[str]:
    """Fresh identifiers."""
    return [uuid7() for _ in range(count)]


def body(id_: str, size: int) -> bytes:
    """A body of this size, or a little more."""
    return json.dumps({"id": id_, "text": "x" * size}).encode()


def content(path: Path) -> bytes:
    """What is in the file."""
    return path.read_bytes()


def status(path: Path) -> os.stat_result:
    """What the system says of the file."""
    return path.stat()


def leave_behind(path: Path, data: bytes) -> None:
    """What an earlier process wrote."""
    path.parent.mkdir()
    path.write_bytes(data)


def written(path: Path) -> list[str]:
    """The ids on the journal's lines; each line is whole."""
    return [json.loads(line)["id"] for line in content(path).split(b"\n")[:-1]]


async def test_a_batch_is_one_line_for_each_event_in_order(journal: JournalPublisher, path: Path) -> None:
    """Body and line feed, nothing else; readable by its owner only."""
    batch = events(3)
    result = await journal.publish(batch)
    assert (result.confirmed, result.refused, result.failure) == (tuple(event.id for event in batch), {}, None)
    assert content(path) == b"".join(event.body + b"\n" for event in batch)
    assert stat.S_IMODE(status(path).st_mode) == 0o600


async def test_nothing_counts_before_it_is_forced_to_the_disk(
    journal: JournalPublisher, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When ``fsync`` is called the whole batch is written, and nothing is confirmed until it returns."""
    batch = events(3)
    at_fsync: list[tuple[list[str], bool]] = []
    publishing: asyncio.Task[Any] | None = None

    def spy(file: int) -> None:
        assert publishing is not None
        at_fsync.append((written(path), publishing.done()))
        os.fdatasync(file)

    monkeypatch.setattr("gateway.publishers.journal.os.fsync", spy)
    publishing = asyncio.create_task(journal.publish(batch))
    await publishing
    assert at_fsync == [([event.id for event in batch], False)]


async def test_a_failing_fsync_confirms_nothing(
    journal: JournalPublisher, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch goes out again; the journal may then hold it twice, like any queue."""

    def fail(_file: int) -> None:
        raise OSError(5, "Input/output error")

    batch = events(2)
    with monkeypatch.context() as patched:
        patched.setattr("gateway.publishers.journal.os.fsync", fail)
        result = await journal.publish(batch)
    assert result.confirmed == ()
    assert isinstance(result.failure, BrokerUnavailable)
    await journal.open()
    assert (await journal.publish(batch)).confirmed == tuple(event.id for event in batch)
    assert set(written(path)) == {event.id for event in batch}


@pytest.mark.parametrize(
    ("before", "torn"),
    [(0, b'{"id": "half'), (2, b'{"id": "half'), (2, b"x" * 200_000), (1, b""), (0, b"")],
)
async def test_a_torn_last_line_is_cut_at_the_start(path: Path, before: int, torn: bytes) -> None:
    """Whatever a kill left behind the last line feed is gone, and nothing before it."""
    whole = events(before, size=70_000)
    leave_behind(path, b"".join(event.body + b"\n" for event in whole) + torn)
    journal = JournalPublisher(str(path))
    await journal.open()
    (fresh,) = events(1)
    await journal.publish([fresh])
    await journal.close()
    assert written(path) == [event.id for event in [*whole, fresh]]


async def test_lanes_write_whole_batches_one_after_the_other(path: Path) -> None:
    """Three lanes open and write at once: every line is whole, every batch together."""
    journal = JournalPublisher(str(path))
    batches = [events(50, size=5000) for _ in range(9)]

    async def lane(number: int) -> None:
        for batch in batches[number::3]:
            await journal.open()
            assert (await journal.publish(batch)).failure is None

    await asyncio.gather(*(lane(number) for number in range(3)))
    await journal.close()
    found = written(path)
    assert sorted(found) == sorted(event.id for batch in batches for event in batch)
    for batch in batches:
        at = found.index(batch[0].id)
        assert found[at : at + len(batch)] == [event.id for event in batch]


async def test_lanes_that_open_at_once_open_the_file_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look for a torn line, while the first lane writes already, would cut off what is half written."""
    looks: list[int] = []
    monkeypatch.setattr("gateway.publishers.journal._cut_torn_line", looks.append)
    journal = JournalPublisher(str(path))
    await asyncio.gather(*(journal.open() for _ in range(3)))
    await journal.close()
    assert len(looks) == 1


async def test_a_journal_that_is_not_open_takes_nothing(path: Path) -> None:
    """It is tried again, not lost."""
    result = await JournalPublisher(str(path)).publish(events(1))
    assert (result.confirmed, type(result.failure)) == ((), BrokerUnavailable)


async def test_one_lane_fails_and_the_others_find_the_journal_closed(
    journal: JournalPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody writes behind a torn line: the lanes that waited are told, and nothing is raised."""

    def fail(_file: int, _data: Any) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("gateway.publishers.journal.os.write", fail)
    results = await asyncio.gather(*(journal.publish(events(1)) for _ in range(3)))
    assert [type(result.failure) for result in results] == [BrokerUnavailable] * 3


async def test_a_full_disk_needs_an_operator_and_goes_on_once_there_is_room(tmp_path: Path) -> None:
    """``/dev/full`` is a disk without room; the sentence says what to do."""
    link = tmp_path / "intake.jsonl"
    link.symlink_to("/dev/full")
    journal = JournalPublisher(str(link))
    await journal.open()
    batch = events(1)
    result = await journal.publish(batch)
    assert result.confirmed == ()
    assert isinstance(result.failure, NeedsOperator)
    assert "free some space" in str(result.failure)
    link.unlink()
    await journal.open()
    assert (await journal.publish(batch)).confirmed == (batch[0].id,)
    await journal.close()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond this size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_batch_that_does_not_fit_whole_is_not_confirmed_and_leaves_no_half_line(
    journal: JournalPublisher, path: Path
) -> None:
    """The disk takes a part of it: the torn line is cut, and the batch goes out whole when there is room."""
    first, second = events(2, size=400), events(5, size=400)
    await journal.publish(first)
    with largest_file(status(path).st_size + 700):
        result = await journal.publish(second)
    assert result.confirmed == ()
    assert result.failure is not None
    await journal.open()
    assert (await journal.publish(second)).failure is None
    found = written(path)
    assert found[:2] == [event.id for event in first]
    assert found[-5:] == [event.id for event in second]


async def test_a_journal_that_cannot_be_opened_needs_an_operator(tmp_path: Path) -> None:
    """The path and the system's reason are told."""
    (tmp_path / "intake.jsonl").mkdir()
    with pytest.raises(NeedsOperator, match=r"queue\.url: the journal .*intake\.jsonl cannot be opened \(Is a dir"):
        await JournalPublisher(str(tmp_path / "intake.jsonl")).open()


async def test_reports_reach_the_journal_and_are_marked(store_url: str, clock: FakeClock, path: Path) -> None:
    """The whole way, with the journal as the queue."""
    async with kernel_on(store_url, clock, JournalPublisher(str(path))) as kernel:
        await kernel.take(fake_message("a"), fake_message("b"))
        assert written(path) == [row.id for row in await kernel.rows(outbox)]
        assert None not in {row.confirmed_at for row in await kernel.rows(outbox)}
