"""Stage 4: each answer goes out at most once, or is shown as what it is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import Row

from gateway.errors import ChannelUnavailable, MaybeSent, NotSent, Refused, StoreUnavailable
from gateway.ports import AfterCrash
from gateway.settings.model import AnswerSettings
from gateway.stages import answer as answer_module
from gateway.stages.answer import RETRY_CAP, RETRY_FIRST, AnswerStage
from gateway.store.tables import answer_parts, answers, messages
from tests.fakes import FakeChannel, FakeClock, fake_message, unavailable
from tests.integration.kernel import CHANNEL, Kernel, kernel_on

Stage = Callable[..., AnswerStage]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that finds nothing to send returns at once."""
    monkeypatch.setattr(answer_module, "POLL_SECONDS", 0)


@pytest.fixture
async def kernel(store_url: str, clock: FakeClock) -> AsyncIterator[Kernel]:
    """A gateway on each kind of database."""
    async with kernel_on(store_url, clock) as opened:
        yield opened


@pytest.fixture
def channel() -> FakeChannel:
    """Where answers go out."""
    return FakeChannel()


@pytest.fixture
def stage(kernel: Kernel, channel: FakeChannel) -> Stage:
    """Makes an answer stage, as each opening of the channel does."""

    def make(*, resend: bool = True, after_crash: AfterCrash | None = None, **settings: Any) -> AnswerStage:
        return AnswerStage(
            CHANNEL,
            channel,
            after_crash=after_crash or ("resend" if resend else "unknown"),
            wanted=asyncio.Event(),
            store=kernel.store,
            settings=AnswerSettings(**settings),
            clock=kernel.clock,
            metrics=kernel.gateway.metrics,
        )

    return make


async def receipts(kernel: Kernel, count: int = 1) -> list[str]:
    """Reports whose receipts wait; gives the answers' ids."""
    known = {row.id for row in await kernel.rows(answers)}
    start = len(known)
    batch = [fake_message(f"m{n}", sender=f"+62811000000{n:02d}") for n in range(start, start + count)]
    await kernel.receive(*batch)
    await kernel.process()
    return [row.id for row in await kernel.rows(answers) if row.id not in known]


async def state(kernel: Kernel, answer_id: str | None = None) -> str:
    """The state of the answer."""
    return str((await the_answer(kernel, answer_id)).state)


async def the_answer(kernel: Kernel, answer_id: str | None = None) -> Row[Any]:
    """The answer's row; the only one where no id is given."""
    return await kernel.row(answers, **({"id": answer_id} if answer_id else {}))


async def test_an_answer_is_sent_once_and_marked(kernel: Kernel, stage: Stage, channel: FakeChannel) -> None:
    """To its recipient, with its text; further steps find nothing to do."""
    await receipts(kernel)
    sender = stage()
    for _ in range(3):
        await sender.step()
    row = await the_answer(kernel)
    assert (row.state, row.attempts, row.reason) == ("sent", 1, None)
    assert [(sent.id, sent.to, sent.text, sent.attempt) for sent in channel.sent] == [
        (row.id, "+6281100000000", row.text, 1)
    ]


async def test_the_attempt_is_on_record_before_it_is_made(
    kernel: Kernel, stage: Stage, channel: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the channel sends, the database says *sending*."""
    await receipts(kernel)
    send, seen = channel.send, []

    async def look(answer: Any) -> Any:
        seen.append((await the_answer(kernel)).state)
        return await send(answer)

    monkeypatch.setattr(channel, "send", look)
    await stage().step()
    assert seen == ["sending"]


async def test_answers_go_out_in_the_order_of_their_making(kernel: Kernel, stage: Stage, channel: FakeChannel) -> None:
    """One at a time, the oldest first."""
    waiting = await receipts(kernel, 3)
    sender = stage()
    for _ in waiting:
        await sender.step()
    assert [sent.id for sent in channel.sent] == waiting


async def test_a_channel_sends_its_own_answers_only(kernel: Kernel, stage: Stage, channel: FakeChannel) -> None:
    """What came by another channel is answered there."""
    await kernel.receive(fake_message("a"), channel="another")
    await kernel.process()
    await stage().step()
    assert channel.sent == []


async def test_a_refused_answer_has_failed_for_good(kernel: Kernel, stage: Stage, channel: FakeChannel) -> None:
    """With the reason; the next answer goes out."""
    first, second = await receipts(kernel, 2)
    channel.faults["send"].append(Refused("The number does not exist."))
    sender = stage()
    for _ in range(3):
        await sender.step()
    row = await the_answer(kernel, first)
    assert (row.state, row.reason) == ("failed", "The number does not exist.")
    assert await state(kernel, second) == "sent"
    assert len(channel.sent) == 2


async def test_an_answer_that_was_not_sent_waits_ever_longer(
    kernel: Kernel, stage: Stage, channel: FakeChannel
) -> None:
    """Not before its time; each pause is twice the one before, up to an hour; the others are not held up."""
    (answer_id,) = await receipts(kernel)
    channel.faults["send"].extend([NotSent("No signal.")] * 12)
    sender = stage(max_attempts=100, max_age_hours=720)
    for attempt in range(1, 13):
        await sender.step()
        assert (await state(kernel), len(channel.sent)) == ("queued", attempt)
        await sender.step()  # too early
        pause = min(RETRY_CAP, RETRY_FIRST * 2 ** (attempt - 1))
        kernel.clock.advance(seconds=pause - 1)
        await sender.step()  # still too early
        assert len(channel.sent) == attempt
        kernel.clock.advance(seconds=1)
    (other,) = await receipts(kernel)
    for _ in range(2):
        await sender.step()
    assert {await state(kernel, answer_id), await state(kernel, other)} == {"sent"}


async def test_after_the_last_attempt_an_answer_has_failed(kernel: Kernel, stage: Stage, channel: FakeChannel) -> None:
    """``max_attempts`` counts them all; the last reason is kept."""
    await receipts(kernel)
    channel.always["send"] = NotSent("No signal.")
    sender = stage(max_attempts=3)
    for _ in range(6):
        await sender.step()
        kernel.clock.advance(hours=1)
    row = await the_answer(kernel)
    assert (row.state, row.attempts, row.reason) == ("failed", 3, "No signal.")
    assert len(channel.sent) == 3


async def test_a_channel_that_fails_keeps_its_answer_and_is_opened_anew(
    kernel: Kernel, stage: Stage, channel: FakeChannel
) -> None:
    """The error goes to whoever opens it; the answer waits in the queue."""
    await receipts(kernel)
    channel.faults["send"].append(unavailable())
    with pytest.raises(ChannelUnavailable):
        await stage().step()
    assert await state(kernel) == "queued"
    kernel.clock.advance(minutes=1)
    await stage().step()
    assert await state(kernel) == "sent"


@pytest.mark.parametrize(("resend", "states"), [(True, ["queued", "unknown"]), (False, ["unknown"])])
async def test_an_answer_that_may_have_gone_out_goes_once_more_at_most(
    kernel: Kernel, stage: Stage, channel: FakeChannel, *, resend: bool, states: list[str]
) -> None:
    """Where the channel allows that; then, and elsewhere at once, it is shown as *unknown* and never sent again."""
    await receipts(kernel)
    channel.always["send"] = MaybeSent("The modem's process was ended.")
    for expected in states:
        with pytest.raises(MaybeSent):
            await stage(resend=resend).step()
        assert await state(kernel) == expected
    for _ in range(3):
        await stage(resend=resend).step()
    assert len(channel.sent) == len(states)
    assert "nobody knows whether it arrived" in (await the_answer(kernel)).reason


async def crash_while_sending(stage: AnswerStage, channel: FakeChannel) -> None:
    """Ends the process, as far as the stage can tell, with an answer on its way."""
    channel.hangs.add("send")
    before = len(channel.sent)
    step = asyncio.create_task(stage.step())
    while len(channel.sent) == before:
        await asyncio.sleep(0.001)
    step.cancel()
    await asyncio.gather(step, return_exceptions=True)
    channel.hangs.clear()


@pytest.mark.parametrize(("resend", "crashes"), [(True, 2), (False, 1)])
async def test_a_crash_while_sending_is_settled_at_the_next_start(
    kernel: Kernel, stage: Stage, channel: FakeChannel, *, resend: bool, crashes: int
) -> None:
    """An SMS goes once more, a second crash makes it *unknown*; what must not be doubled is *unknown* at once."""
    await receipts(kernel)
    for _ in range(crashes):
        await crash_while_sending(stage(resend=resend), channel)
        assert await state(kernel) == "sending"
    for _ in range(3):
        await stage(resend=resend).step()
    assert (await state(kernel), len(channel.sent)) == ("unknown", crashes)


async def test_after_one_crash_an_sms_is_sent_at_the_second_attempt(
    kernel: Kernel, stage: Stage, channel: FakeChannel
) -> None:
    """Silence would be worse than a second copy."""
    await receipts(kernel)
    await crash_while_sending(stage(), channel)
    await stage().step()
    assert (await state(kernel), [sent.attempt for sent in channel.sent]) == ("sent", [1, 2])


async def test_a_start_touches_no_other_channels_answers(kernel: Kernel, stage: Stage, channel: FakeChannel) -> None:
    """Only its own can have been under way."""
    (answer_id,) = await receipts(kernel)
    await kernel.change(answers, answers.c.id == answer_id, state="sending", channel="another")
    await stage().step()
    assert (await state(kernel), channel.sent) == ("sending", [])


async def test_an_answer_that_is_too_old_expires(kernel: Kernel, stage: Stage, channel: FakeChannel) -> None:
    """It would help nobody: it is not sent, and says why."""
    old, young = await receipts(kernel), []
    kernel.clock.advance(hours=71)
    young = await receipts(kernel)
    kernel.clock.advance(hours=1, seconds=1)
    sender = stage()
    for _ in range(2):
        await sender.step()
    row = await the_answer(kernel, old[0])
    assert (row.state, row.reason, row.attempts) == ("expired", "It could not be sent in time.", 0)
    assert [sent.id for sent in channel.sent] == young


@pytest.mark.parametrize("fault", [None, NotSent("No signal."), Refused("No such number.")])
async def test_what_became_of_an_attempt_is_kept_in_hand_while_the_store_is_away(
    kernel: Kernel, stage: Stage, channel: FakeChannel, monkeypatch: pytest.MonkeyPatch, fault: Exception | None
) -> None:
    """It is written down before anything else is sent, and nothing is sent twice."""
    await receipts(kernel)
    if fault is not None:
        channel.faults["send"].append(fault)
    write = kernel.store.write
    sender = stage()

    def away() -> Any:
        if channel.sent:
            raise StoreUnavailable("The database does not answer.")
        return write()

    with monkeypatch.context() as patched:
        patched.setattr(kernel.store, "write", away)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await sender.step()
    assert await state(kernel) == "sending"
    await sender.step()
    expected = {type(None): "sent", NotSent: "queued", Refused: "failed"}[type(fault)]
    assert (await state(kernel), len(channel.sent)) == (expected, 1)


async def test_two_gateways_send_each_answer_once(postgresql_url: str, clock: FakeClock) -> None:
    """Should a lease ever fail: on one PostgreSQL the claim decides."""
    sources = FakeChannel(), FakeChannel()
    async with kernel_on(postgresql_url, clock) as one, kernel_on(postgresql_url, clock) as two:
        waiting = await receipts(one, 12)
        stages = [
            AnswerStage(
                CHANNEL,
                source,
                after_crash="resend",
                wanted=asyncio.Event(),
                store=kernel.store,
                settings=AnswerSettings(),
                clock=clock,
                metrics=kernel.gateway.metrics,
            )
            for kernel, source in zip((one, two), sources, strict=True)
        ]
        for sender in stages:
            await sender._recover()  # noqa: SLF001 - both are past their start
        while await one.count(answers, state="queued"):
            await asyncio.gather(*(sender.step() for sender in stages))
    assert sorted(sent.id for source in sources for sent in source.sent) == sorted(waiting)


# Delivery reports.


async def send_with(kernel: Kernel, stage: Stage, channel: FakeChannel, *references: str) -> str:
    """Sends a receipt whose parts have these references; gives the answer's id."""
    (answer_id,) = await receipts(kernel)
    channel.references = references
    await stage().step()
    return answer_id


async def report(kernel: Kernel, answer_id: str, reference: str, outcome: str, recipient: str | None = None) -> None:
    """A delivery report comes in by the channel."""
    to = recipient or (await the_answer(kernel, answer_id)).recipient
    number = await kernel.count(messages)
    await kernel.receive(fake_message(f"d{number}", sender=to, delivery=[reference, outcome]))
    await kernel.process()


@pytest.mark.parametrize(
    ("outcome", "expected"), [("delivered", "delivered"), ("failed", "failed"), ("pending", "sent")]
)
async def test_a_delivery_report_settles_its_answer(
    kernel: Kernel, stage: Stage, channel: FakeChannel, outcome: str, expected: str
) -> None:
    """The report itself is ignored as a message, and says which answer it was for."""
    answer_id = await send_with(kernel, stage, channel, "17")
    await report(kernel, answer_id, "17", outcome)
    row = await the_answer(kernel)
    assert row.state == expected
    assert (row.delivered_at is not None) == (expected == "delivered")
    notice = (await kernel.rows(messages))[-1]
    assert (notice.state, notice.decision) == ("processed", "ignored")
    assert answer_id in notice.reason
    assert await kernel.count(answers) == 1


async def test_an_answer_in_parts_is_delivered_when_all_are(kernel: Kernel, stage: Stage, channel: FakeChannel) -> None:
    """In any order, each as often as the network likes."""
    answer_id = await send_with(kernel, stage, channel, "1", "2", "3")
    for reference in ("3", "1", "3", "1"):
        await report(kernel, answer_id, reference, "delivered")
        assert await state(kernel) == "sent"
    await report(kernel, answer_id, "2", "delivered")
    assert await state(kernel) == "delivered"


async def test_one_part_that_fails_fails_the_answer(kernel: Kernel, stage: Stage, channel: FakeChannel) -> None:
    """Whatever becomes of the others."""
    answer_id = await send_with(kernel, stage, channel, "1", "2")
    await report(kernel, answer_id, "1", "delivered")
    await report(kernel, answer_id, "2", "failed")
    await report(kernel, answer_id, "1", "delivered")
    row = await the_answer(kernel)
    assert (row.state, row.reason) == ("failed", "The network could not deliver it.")


@pytest.mark.parametrize(("reference", "recipient"), [("18", None), ("17", "+6281100000099")])
async def test_a_report_for_nothing_of_ours_changes_nothing(
    kernel: Kernel, stage: Stage, channel: FakeChannel, reference: str, recipient: str | None
) -> None:
    """Another reference, or the right one to another number."""
    answer_id = await send_with(kernel, stage, channel, "17")
    await report(kernel, answer_id, reference, "delivered", recipient)
    assert await state(kernel) == "sent"
    assert "no answer of ours" in (await kernel.rows(messages))[-1].reason


async def test_a_reference_that_comes_again_means_the_newest_answer(
    kernel: Kernel, stage: Stage, channel: FakeChannel
) -> None:
    """References are a byte: the same one to the same citizen, a day later, is another answer."""
    older = await send_with(kernel, stage, channel, "17")
    kernel.clock.advance(days=1)
    newer = await send_with(kernel, stage, channel, "17")
    recipient = (await the_answer(kernel, older)).recipient
    await kernel.change(answers, answers.c.id == newer, recipient=recipient)
    await report(kernel, newer, "17", "delivered")
    assert (await state(kernel, older), await state(kernel, newer)) == ("sent", "delivered")


async def test_a_reference_that_is_named_twice_is_kept_once(kernel: Kernel, stage: Stage, channel: FakeChannel) -> None:
    """A modem without references of its own gives every part the same."""
    answer_id = await send_with(kernel, stage, channel, "0", "0")
    assert await kernel.count(answer_parts) == 1
    await report(kernel, answer_id, "0", "delivered")
    assert await state(kernel) == "delivered"
