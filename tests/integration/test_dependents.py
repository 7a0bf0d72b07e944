"""What belongs to a report that was published before: versions, replies, named tracking IDs, files, withdrawals."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.ports import RawMessage
from gateway.store import answers as answer_rows
from gateway.store import messages as message_rows
from gateway.store.tables import answer_parts, answers, messages, outbox, reports
from tests.fakes import FakeClock, RecordingPublisher, fake_message
from tests.integration.kernel import CHANNEL, Kernel, kernel_on

AUTHOR = "+6281100000001"
SOMEBODY_ELSE = "+6281100000002"
HASH = "a" * 64


@pytest.fixture
def queue() -> RecordingPublisher:
    """The queue in memory."""
    return RecordingPublisher()


@pytest.fixture
async def kernel(store_url: str, clock: FakeClock, queue: RecordingPublisher) -> AsyncIterator[Kernel]:
    """A gateway on each kind of database."""
    async with kernel_on(store_url, clock, queue) as opened:
        yield opened


def version(number: int, text: str, *, of: int | None = None, **fields: Any) -> RawMessage:
    """One version of a message whose ids are v1, v2 …; it knows of those before it."""
    ids = [f"v{n}" for n in range(1, (of or number) + 1)]
    return fake_message(f"v{number}", text, revision=[ids, number], **fields)


def gone(external_id: str) -> RawMessage:
    """The source says that a message is gone."""
    return fake_message(f"withdrawal:{external_id}", "", not_a_report="gone", withdrawal=[external_id, "was deleted"])


async def decisions(kernel: Kernel) -> dict[str, tuple[str, str | None]]:
    """State and decision of each message by its external id."""
    return {row.external_id: (row.state, row.decision) for row in await kernel.rows(messages)}


def texts(queue: RecordingPublisher) -> list[str]:
    """The texts of the published events."""
    return [body["data"]["text"] for body in queue.bodies]


@pytest.mark.parametrize("together", [True, False])
async def test_an_edit_updates_its_report(kernel: Kernel, queue: RecordingPublisher, *, together: bool) -> None:
    """The newest version is what the report says, whether it comes later or in the same batch."""
    batch = (version(1, "Jaln rusak"), version(2, "Jalan rusak"))
    for each in [batch] if together else [[message] for message in batch]:
        await kernel.take(*each)
    assert queue.seen() == [("received", 1), ("updated", 2)]
    assert texts(queue) == ["Jaln rusak", "Jalan rusak"]
    assert await kernel.count(reports) == 1
    assert await kernel.count(answers) == 1
    assert (await decisions(kernel))["v2"] == ("processed", "update")


@pytest.mark.parametrize("late", [1, 2])
async def test_an_older_version_that_comes_late_changes_nothing(
    kernel: Kernel, queue: RecordingPublisher, late: int
) -> None:
    """Version three came first; an older one is known by its id, and is ignored."""
    await kernel.take(version(3, "Jalan rusak parah"))
    await kernel.take(version(late, "Jaln"))
    assert queue.seen() == [("received", 1)]
    assert (await decisions(kernel))[f"v{late}"] == ("processed", "ignored")
    assert await kernel.count(reports) == 1


async def test_an_edit_that_takes_the_report_back_withdraws_it(kernel: Kernel, queue: RecordingPublisher) -> None:
    """What is no report any more after an edit is withdrawn."""
    await kernel.take(version(1, "Jalan rusak"))
    await kernel.take(version(2, "Sudah beres", not_a_report="no report any more"))
    assert queue.seen() == [("received", 1), ("withdrawn", 2)]


async def test_a_thread_is_one_report_with_updates(kernel: Kernel, queue: RecordingPublisher) -> None:
    """What the author adds below his own report joins its text, references and files, in its order."""
    await kernel.take(fake_message("a", "Jalan rusak", files=[["https://x.invalid/1", None]]))
    await kernel.take(fake_message("b", "Di Desa Sukamaju", reply_to="a", references=["KIP1A2B3C"]))
    await kernel.take(fake_message("c", "Mohon bantuan", reply_to="b", files=[["https://x.invalid/2", None]]))
    assert queue.seen() == [("received", 1), ("updated", 2), ("updated", 3)]
    data = queue.bodies[-1]["data"]
    assert data["text"] == "Jalan rusak\n\nDi Desa Sukamaju\n\nMohon bantuan"
    assert data["references"] == ["KIP1A2B3C"]
    assert [file["url"] for file in data["attachments"]] == ["https://x.invalid/1", "https://x.invalid/2"]
    assert await kernel.count(answers) == 1


async def test_somebody_elses_reply_is_a_report_of_its_own(kernel: Kernel, queue: RecordingPublisher) -> None:
    """Only the reporter adds to a report."""
    await kernel.take(fake_message("a"))
    await kernel.take(fake_message("b", "Di tempat kami juga", SOMEBODY_ELSE, reply_to="a"))
    assert queue.seen() == [("received", 1), ("received", 1)]


async def test_a_reply_to_our_receipt_is_an_update(kernel: Kernel, queue: RecordingPublisher) -> None:
    """The receipt is known by the reference that the channel gave for it; a bare mention is no longer held then."""
    await kernel.take(fake_message("a", "Jalan rusak"))
    answer = await kernel.row(answers)
    async with kernel.store.write() as connection:
        await answer_rows.mark_sent(connection, answer.id, CHANNEL, ["receipt-1"], 1)
    assert await kernel.count(answer_parts) == 1
    await kernel.take(fake_message("b", "Belum ada petugas", reply_to="receipt-1", held="a bare mention"))
    assert queue.seen() == [("received", 1), ("updated", 2)]
    assert texts(queue)[-1] == "Jalan rusak\n\nBelum ada petugas"


async def test_a_reply_to_what_nobody_knows_stands_on_its_own_merits(kernel: Kernel) -> None:
    """Unknown, held and ignored parents make no difference."""
    await kernel.take(fake_message("held", held="a bare mention"), fake_message("promo", not_a_report="a promotion"))
    parents = {"nobody": "Jembatan putus", "held": "Lampu padam", "promo": "Sampah menumpuk"}
    await kernel.take(*(fake_message(f"to {parent}", text, reply_to=parent) for parent, text in parents.items()))
    found = await decisions(kernel)
    assert {found[f"to {parent}"] for parent in parents} == {("processed", "report")}


async def test_naming_ones_own_tracking_id_is_an_update_and_anothers_is_not(
    kernel: Kernel, queue: RecordingPublisher
) -> None:
    """From anyone else it is a report that references it."""
    await kernel.take(fake_message("a", "Jalan rusak"))
    number = (await kernel.row(reports)).tracking_id
    await kernel.take(fake_message("b", "Kapan diperbaiki?", references=[number]))
    await kernel.take(fake_message("c", "Saya dukung", SOMEBODY_ELSE, references=[number]))
    assert queue.seen() == [("received", 1), ("updated", 2), ("received", 1)]
    assert number in queue.bodies[-1]["data"]["references"]
    assert queue.bodies[-1]["subject"] != number


async def test_a_number_of_the_core_makes_an_update_with_its_own_id(kernel: Kernel, queue: RecordingPublisher) -> None:
    """The gateway does not know the core's cases: it hands the number on, and the citizen gets a tracking ID."""
    await kernel.take(fake_message("a", "Laporan #1948147 salah disposisi", references=["1948147"]))
    assert queue.seen() == [("updated", 1)]
    assert queue.bodies[0]["data"]["references"] == ["1948147"]
    assert (await decisions(kernel))["a"] == ("processed", "update")
    assert await kernel.count(answers) == 1


async def test_a_fetched_file_completes_its_attachment(kernel: Kernel, queue: RecordingPublisher) -> None:
    """The hash arrives later, by a message of its own; without its report it is ignored."""
    await kernel.take(fake_message("a", files=[["https://x.invalid/1", None]]))
    record: dict[str, Any] = {"not_a_report": "a file", "answerable": False}
    await kernel.take(fake_message("media:a", "", completes="a", files=[["https://x.invalid/1", HASH]], **record))
    await kernel.take(fake_message("media:b", "", completes="b", files=[["https://x.invalid/1", HASH]], **record))
    assert queue.seen() == [("received", 1), ("updated", 2)]
    assert queue.bodies[-1]["data"]["text"] == "Jalan rusak"
    assert [file["sha256"] for file in queue.bodies[-1]["data"]["attachments"]] == [HASH]
    found = await decisions(kernel)
    assert (found["media:a"], found["media:b"]) == (("processed", "update"), ("processed", "ignored"))


async def test_a_deleted_message_is_withdrawn_and_nothing_of_it_is_kept(
    kernel: Kernel, queue: RecordingPublisher
) -> None:
    """Raw bytes, the report's text, the confirmed event and the queued receipt are emptied; key and decision stay."""
    await kernel.take(fake_message("a", "Jalan rahasia", files=[["https://x.invalid/1", None]], name="Warga"))
    await kernel.take(gone("a"))
    assert queue.seen() == [("received", 1), ("withdrawn", 2)]
    data = queue.bodies[-1]["data"]
    assert (data["text"], data["attachments"], data["reporter"]["name"]) == ("", [], None)
    message = await kernel.row(messages, external_id="a")
    assert (message.raw, message.decision, message.reason) == (None, "withdrawn", "It was deleted.")
    assert b"rahasia" not in (await kernel.row(reports)).body
    assert [row.body for row in await kernel.rows(outbox, sequence=1)] == [None]
    answer = await kernel.row(answers)
    assert (answer.state, answer.recipient, answer.text) == ("expired", None, None)


async def test_an_event_on_its_way_is_emptied_once_it_is_confirmed(kernel: Kernel, queue: RecordingPublisher) -> None:
    """The queue is away while the message is deleted: both events go out, in their order, and then hold nothing."""
    await kernel.receive(fake_message("a", "Jalan rahasia"))
    await kernel.process()
    await kernel.receive(gone("a"))
    await kernel.process()
    assert b"rahasia" in (await kernel.row(outbox, sequence=1)).body
    await kernel.publish()
    assert queue.seen() == [("received", 1), ("withdrawn", 2)]
    assert (await kernel.row(outbox, sequence=1)).body is None


async def test_a_deleted_addition_leaves_the_rest(kernel: Kernel, queue: RecordingPublisher) -> None:
    """What it said leaves the report; the report stands."""
    await kernel.take(fake_message("a", "Jalan rusak"), fake_message("b", "Rahasia", reply_to="a"))
    await kernel.take(gone("b"))
    assert queue.seen() == [("received", 1), ("updated", 2), ("updated", 3)]
    assert texts(queue) == ["Jalan rusak", "Jalan rusak\n\nRahasia", "Jalan rusak"]
    assert {row.body for row in await kernel.rows(outbox) if row.sequence < 3} == {None}


@pytest.mark.parametrize("fields", [{"held": "a bare mention"}, {"quarantine": "broken"}, {"not_a_report": "promo"}])
async def test_what_never_became_a_report_is_emptied_when_it_is_deleted(kernel: Kernel, fields: dict[str, str]) -> None:
    """Nothing is published; nobody has to look at it any more."""
    await kernel.take(fake_message("a", **fields))
    await kernel.take(gone("a"))
    message = await kernel.row(messages, external_id="a")
    assert message.raw is None
    assert message.state in ("discarded", "processed")
    assert await kernel.count(reports) == 0


async def test_the_deletion_of_what_was_never_here_is_ignored(kernel: Kernel) -> None:
    """Nothing follows from it."""
    await kernel.take(gone("nobody"))
    assert (await decisions(kernel))["withdrawal:nobody"] == ("processed", "ignored")


async def test_what_is_withdrawn_is_not_amended_any_more(kernel: Kernel, queue: RecordingPublisher) -> None:
    """A reply to a deleted post stands on its own; a replay of what is left brings nothing back."""
    await kernel.take(fake_message("a", "Jalan rusak"))
    ids = await kernel.take(fake_message("b", "Di Sukamaju", reply_to="a"))
    await kernel.take(gone("a"))
    await kernel.replay(*ids)
    await kernel.take(fake_message("c", "Masih rusak", reply_to="a"))
    assert queue.seen() == [("received", 1), ("updated", 2), ("withdrawn", 3), ("received", 1)]


@pytest.mark.parametrize(("command", "expected"), [("accept", "report"), ("discard", "held")])
async def test_an_operator_settles_what_is_held(
    kernel: Kernel, queue: RecordingPublisher, command: str, expected: str
) -> None:
    """Accepted it becomes a report with its receipt; discarded it stays what it was, out of the way."""
    ids = await kernel.take(fake_message("a", held="a bare mention"))
    assert await decisions(kernel) == {"a": ("held", "held")}
    assert queue.seen() == []
    async with kernel.store.write() as connection:
        assert await getattr(message_rows, command)(connection, ids, 1, "operator: looked at it") == ids
    kernel.gateway.process._inbox.fall_behind()  # noqa: SLF001 - another process wrote
    await kernel.process()
    await kernel.publish()
    assert (await kernel.row(messages)).decision == expected
    assert len(queue.seen()) == (expected == "report")


async def test_a_replay_of_everything_changes_nothing(kernel: Kernel, queue: RecordingPublisher) -> None:
    """Versions, a thread and files, all processed again: the same decisions, and no event."""
    ids = await kernel.take(version(1, "Jaln"), fake_message("b", "Di Sukamaju", reply_to="v1"))
    ids += await kernel.take(version(2, "Jalan", files=[["https://x.invalid/1", None]]))
    ids += await kernel.take(
        fake_message("media", "", completes="v2", files=[["https://x.invalid/1", HASH]], not_a_report="a file")
    )
    before, published = await decisions(kernel), queue.seen()
    assert texts(queue)[-1] == "Jalan\n\nDi Sukamaju"
    await kernel.replay(*ids)
    await kernel.publish()
    assert queue.seen() == published
    assert await decisions(kernel) == before
    assert queue.bodies[-1]["data"]["reporter"]["address"] == AUTHOR
