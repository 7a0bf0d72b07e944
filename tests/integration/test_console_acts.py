"""What operators do by the API: each act does what it says, and leaves one row in the audit log."""

from typing import Any

import pytest

from gateway.identifiers import reporter_key
from gateway.settings.model import ChannelSection
from gateway.stages.decide import BLOCKED
from gateway.store.tables import answers, audit, blocked_senders, messages, outbox, reports
from tests.fakes import FakeChannels, FakeClock, FakeSettings, fake_message
from tests.integration.console_bench import WHY, Browser, Desk, desk_on

SENDER, OTHER = "+6281100000001", "+6281100000002"
KEY = reporter_key("phone", SENDER)
BY_ADDRESS = {"kind": "phone", "address": SENDER} | WHY
NOBODY = "01900000-0000-7000-8000-000000000000"


async def _operator(desk: Desk) -> Browser:
    browser = desk.browser()
    await browser.enter()
    return browser


async def _json(browser: Browser, path: str, body: Any = None) -> dict[str, Any]:
    answer = await browser.post(path, body)
    told: dict[str, Any] = await answer.json()
    return told | {"status": answer.status}


def _sections(*, writes_to: str | None = r"\+[0-9]+") -> list[ChannelSection]:
    plugin = FakeChannels().plugin(writes_to=writes_to)
    return [ChannelSection("fake-1", plugin, FakeSettings())]


async def test_a_held_message_is_accepted_and_a_quarantined_one_discarded_and_replayed(
    store_url: str, clock: FakeClock
) -> None:
    """Each act is in the audit log and in the message's own ledger, with its reason."""
    async with desk_on(store_url, clock) as desk:
        (held,) = await desk.kernel.take(fake_message("m1", held="a mention"))
        (odd,) = await desk.kernel.take(fake_message("m2", quarantine="odd"))
        operator = await _operator(desk)
        assert (await _json(operator, f"/api/v1/messages/{held}/accept"))["done"] == [held]
        assert (await _json(operator, f"/api/v1/messages/{odd}/discard"))["done"] == [odd]
        assert (await desk.kernel.row(messages, id=odd)).state == "discarded"
        assert (await _json(operator, f"/api/v1/messages/{odd}/replay"))["done"] == [odd]
        await desk.kernel.process()
        assert (await desk.kernel.row(messages, id=held)).decision == "report"
        assert (await desk.kernel.row(messages, id=odd)).state == "quarantined"
        assert await desk.audit() == [
            ("lokal", "message.accept", held, "a test"),
            ("lokal", "message.discard", odd, "a test"),
            ("lokal", "message.replay", odd, "a test"),
        ]
        ledger = await (await operator.get(f"/api/v1/messages/{odd}")).json()
        assert ("replayed", "lokal: a test") in [(step["step"], step["detail"]) for step in ledger["steps"]]


async def test_many_are_settled_at_once_and_those_of_another_state_are_left(store_url: str, clock: FakeClock) -> None:
    """One row for each that was settled, none for the others."""
    async with desk_on(store_url, clock) as desk:
        held = await desk.kernel.take(*(fake_message(f"m{n}", held="a mention") for n in range(3)))
        done = await desk.kernel.take(fake_message("m9"))
        operator = await _operator(desk)
        told = await _json(operator, "/api/v1/messages/discard", {"ids": [*held, *done, NOBODY]} | WHY)
        assert (sorted(told["done"]), told["left"]) == (sorted(held), [*done, NOBODY])
        assert [row[2] for row in await desk.audit()] == told["done"]


@pytest.mark.parametrize(
    ("verb", "status"),
    [("accept", 409), ("discard", 409), ("replay", 200)],
)
async def test_what_a_state_does_not_allow_is_said(sqlite_url: str, clock: FakeClock, verb: str, status: int) -> None:
    """Of a message that was processed; and of one that is not there."""
    async with desk_on(sqlite_url, clock) as desk:
        (message_id,) = await desk.kernel.take(fake_message("m1"))
        operator = await _operator(desk)
        assert (await _json(operator, f"/api/v1/messages/{message_id}/{verb}"))["status"] == status
        assert (await _json(operator, f"/api/v1/messages/{NOBODY}/{verb}"))["status"] == 404


async def test_a_blocked_sender_is_ignored_until_unblocked(store_url: str, clock: FakeClock) -> None:
    """Everything is taken into custody; only the hashed key is kept; a replay afterwards makes up for it."""
    async with desk_on(store_url, clock) as desk:
        (first,) = await desk.kernel.take(fake_message("m1"))
        operator = await _operator(desk)
        told = await _json(operator, "/api/v1/senders/block", {"message": first} | WHY)
        assert (told["reporter"], told["changed"]) == (KEY, True)
        assert (await _json(operator, "/api/v1/senders/block", BY_ADDRESS))["changed"] is False
        blocked, other = await desk.kernel.take(
            fake_message("m2", "Lampu mati"), fake_message("m3", "Lampu mati", OTHER)
        )
        row = await desk.kernel.row(messages, id=blocked)
        assert (row.state, row.decision, row.reason, row.reporter) == ("processed", "ignored", BLOCKED, KEY)
        assert row.raw is not None
        assert (await desk.kernel.row(messages, id=other)).decision == "report"
        assert SENDER not in repr(await desk.kernel.row(blocked_senders))
        (listed,) = (await (await operator.get("/api/v1/senders/blocked")).json())["items"]
        assert (listed["reporter"], listed["operator"]) == (KEY, "lokal")
        assert (await _json(operator, "/api/v1/senders/unblock", {"reporter": KEY} | WHY))["changed"] is True
        await _json(operator, f"/api/v1/messages/{blocked}/replay")
        await desk.kernel.process()
        assert (await desk.kernel.row(messages, id=blocked)).decision == "report"
        assert [row[1:3] for row in await desk.audit()] == [
            ("sender.block", KEY),
            ("sender.unblock", KEY),
            ("message.replay", blocked),
        ]


async def test_a_blocked_sender_may_still_withdraw_and_keeps_what_was_published(
    store_url: str, clock: FakeClock
) -> None:
    """A block is for what comes, not for what is the core's already."""
    async with desk_on(store_url, clock) as desk:
        (first,) = await desk.kernel.take(fake_message("m1"))
        operator = await _operator(desk)
        await _json(operator, "/api/v1/senders/block", BY_ADDRESS)
        await _json(operator, f"/api/v1/messages/{first}/replay")
        await desk.kernel.process()
        assert (await desk.kernel.row(messages, id=first)).decision == "report"
        await desk.kernel.take(fake_message("w1", withdrawal=["m1", "was deleted"]))
        assert (await desk.kernel.row(reports)).withdrawn_at is not None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"kind": "phone", "address": "0811"}, 422, id="a number that is not written in full"),
        pytest.param({"address": SENDER}, 422, id="an address without its kind"),
        pytest.param({"message": NOBODY}, 404, id="an unknown message"),
        pytest.param({"tracking_id": "1234567890"}, 404, id="an unknown tracking ID"),
        pytest.param({"message": NOBODY, "reporter": KEY}, 422, id="two ways at once"),
        pytest.param({}, 422, id="no way at all"),
    ],
)
@pytest.mark.parametrize("verb", ["block", "erase"])
async def test_who_is_meant_must_be_clear(
    sqlite_url: str, clock: FakeClock, verb: str, body: dict[str, str], status: int
) -> None:
    """Else nothing is done and nothing is written down; and no answer repeats an address."""
    async with desk_on(sqlite_url, clock) as desk:
        operator = await _operator(desk)
        told = await _json(operator, f"/api/v1/senders/{verb}", body | WHY)
        assert told["status"] == status
        assert SENDER not in str(told)
        assert await desk.audit() == []


async def test_a_sender_is_found_by_tracking_id_and_unmasked_with_a_record(store_url: str, clock: FakeClock) -> None:
    """Whoever looks is in the audit log; the address is not."""
    async with desk_on(store_url, clock) as desk:
        (message_id,) = await desk.kernel.take(fake_message("m1", name="Budi"))
        tracking_id = (await desk.kernel.row(reports)).tracking_id
        operator = await _operator(desk)
        told = await _json(operator, f"/api/v1/messages/{message_id}/sender")
        assert (told["address"], told["name"], told["kind"]) == (SENDER, "Budi", "phone")
        assert (await _json(operator, "/api/v1/senders/block", {"tracking_id": tracking_id} | WHY))["reporter"] == KEY
        assert [row[1:3] for row in await desk.audit()] == [("sender.unmask", message_id), ("sender.block", KEY)]
        assert SENDER not in repr(await desk.kernel.rows(audit))


async def test_a_test_message_takes_the_way_of_every_answer(store_url: str, clock: FakeClock) -> None:
    """It is queued for the channel, and the number is nowhere else."""
    async with desk_on(store_url, clock, channels=_sections()) as desk:
        operator = await _operator(desk)
        told = await _json(operator, "/api/v1/channels/fake-1/test", {"to": SENDER} | WHY)
        row = await desk.kernel.row(answers)
        assert (row.id, row.kind, row.state, row.recipient) == (told["answer"], "test", "queued", SENDER)
        assert await desk.audit() == [("lokal", "channel.test", "fake-1", "a test")]
        assert await desk.kernel.count(outbox) == 0


@pytest.mark.parametrize(
    ("writes_to", "channel", "to", "status"),
    [
        pytest.param(None, "fake-1", SENDER, 422, id="a channel that only answers"),
        pytest.param(r"\+[0-9]+", "fake-1", "SENDER", 422, id="no number"),
        pytest.param(r"\+[0-9]+", "fake-2", SENDER, 404, id="no such channel"),
    ],
)
async def test_a_test_that_cannot_be_sent_is_refused(
    sqlite_url: str, clock: FakeClock, writes_to: str | None, channel: str, to: str, status: int
) -> None:
    """With a sentence, and without a row."""
    async with desk_on(sqlite_url, clock, channels=_sections(writes_to=writes_to)) as desk:
        operator = await _operator(desk)
        told = await _json(operator, f"/api/v1/channels/{channel}/test", {"to": to} | WHY)
        assert told["status"] == status
        assert await desk.audit() == []
        assert await desk.kernel.count(answers) == 0


async def test_a_pause_is_one_row_however_often_it_is_ordered(store_url: str, clock: FakeClock) -> None:
    """And so is its end; a channel that nobody knows has none."""
    async with desk_on(store_url, clock, channels=_sections()) as desk:
        operator = await _operator(desk)
        for verb in ("pause", "pause", "resume", "resume"):
            assert (await _json(operator, f"/api/v1/channels/fake-1/{verb}"))["paused"] is (verb == "pause")
        assert (await _json(operator, "/api/v1/channels/fake-9/pause"))["status"] == 404
        assert [row[1] for row in await desk.audit()] == ["channel.pause", "channel.resume"]


async def test_the_audit_log_is_read_in_pages_and_by_subject(store_url: str, clock: FakeClock) -> None:
    """The newest first."""
    async with desk_on(store_url, clock) as desk:
        ids = await desk.kernel.take(*(fake_message(f"m{n}", held="a mention") for n in range(5)))
        operator = await _operator(desk)
        await _json(operator, "/api/v1/messages/discard", {"ids": ids} | WHY)
        first = await (await operator.get("/api/v1/audit?limit=3")).json()
        rest = await (await operator.get(f"/api/v1/audit?limit=3&cursor={first['next_cursor']}")).json()
        assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (3, 2, None)
        one = await (await operator.get(f"/api/v1/audit?subject={ids[2]}")).json()
        assert [(item["action"], item["via"], item["reason"]) for item in one["items"]] == [
            ("message.discard", "local", "a test")
        ]


async def test_a_reason_keeps_no_number_and_no_address(sqlite_url: str, clock: FakeClock) -> None:
    """The log stays for good, so what an operator types into it is cleaned; a tracking ID may stand."""
    async with desk_on(sqlite_url, clock) as desk:
        operator = await _operator(desk)
        reason = f"asked by {SENDER}, 0811-0000-0001 and budi@example.org about 1234567897\n\u202eodd"
        await _json(operator, "/api/v1/senders/block", BY_ADDRESS | {"reason": reason})
        assert [row[3] for row in await desk.audit()] == ["asked by …, … and … about 1234567897 odd"]
