"""Stage 4: each answer goes out at most once, or is shown as what it is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Row

from gateway.clock import to_milliseconds
from gateway.errors import ChannelUnavailable, MaybeSent, NotSent, Refused, StoreUnavailable, Throttled
from gateway.ports import AfterCrash, OutgoingAnswer, Sent
from gateway.settings.model import AnswerSettings
from gateway.stages import answer as answer_module
from gateway.stages.answer import RETRY_CAP, RETRY_FIRST, RETRY_GROWTH, AnswerStage
from gateway.store import answers as answer_rows
from gateway.store.channel_store import StoredChannel
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
def channel(request: pytest.FixtureRequest) -> FakeChannel:
    """Where answers go out; of the class that the test names."""
    kind: type[FakeChannel] = getattr(request, "param", FakeChannel)
    return kind()


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
    """Not before its time; each pause is five times the one before, up to a cap; the others are not held up."""
    (answer_id,) = await receipts(kernel)
    channel.faults["send"].extend([NotSent("No signal.")] * 12)
    sender = stage(max_attempts=100, max_age_hours=720)
    for attempt in range(1, 13):
        await sender.step()
        assert (await state(kernel), len(channel.sent)) == ("queued", attempt)
        await sender.step()  # too early
        pause = min(RETRY_CAP, RETRY_FIRST * RETRY_GROWTH ** (attempt - 1))
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
        kernel.clock.advance(seconds=RETRY_CAP)
    row = await the_answer(kernel)
    assert (row.state, row.attempts, row.reason) == ("failed", 3, "No signal.")
    assert len(channel.sent) == 3


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, ("failed", 8, 19)), ({"max_attempts": 100}, ("expired", 14, 67)), ({"max_age_hours": 1}, ("expired", 5, 0))],
)
async def test_the_attempts_outlast_a_night_without_network_and_end_in_time(
    kernel: Kernel, stage: Stage, channel: FakeChannel, settings: Any, expected: tuple[str, int, int]
) -> None:
    """With the settings as they are the last one comes after 19 hours; whatever they are, none once it is too old."""
    await receipts(kernel)
    begun, tried_at = kernel.clock.now(), []
    channel.always["send"] = NotSent("No signal.")
    sender = stage(**settings)
    while (row := await the_answer(kernel)).state == "queued":
        kernel.clock.advance(seconds=max(0, row.next_at - to_milliseconds(kernel.clock.now())) / 1000)
        before = len(channel.sent)
        await sender.step()
        tried_at += [kernel.clock.now()] * (len(channel.sent) - before)
    assert (row.state, row.attempts, (tried_at[-1] - begun) // timedelta(hours=1)) == expected
    assert sum(at - begun < timedelta(hours=1) for at in tried_at) == 5


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


@pytest.mark.parametrize(
    ("after_crash", "first_state"), [("unknown", "unknown"), ("look", "unsure"), ("resend", "queued")]
)
@pytest.mark.parametrize("works", [True, False])
async def test_a_channel_is_opened_anew_only_if_it_failed_itself(
    kernel: Kernel, stage: Stage, channel: FakeChannel, *, after_crash: AfterCrash, first_state: str, works: bool
) -> None:
    """Whatever becomes of the answer: the error says whether more than its outcome is at stake."""
    (first,) = await receipts(kernel)
    channel.faults["send"].append(MaybeSent("The reply was lost.", channel_works=works))
    sender = stage(after_crash=after_crash)
    if works:
        await sender.step()
    else:
        with pytest.raises(MaybeSent):
            await sender.step()
    assert await state(kernel, first) == first_state


async def test_an_answer_of_which_nobody_knows_is_counted_as_that(
    kernel: Kernel, stage: Stage, channel: FakeChannel
) -> None:
    """Nothing else tells operators of it while the channel goes on."""
    await receipts(kernel)
    channel.faults["send"].append(MaybeSent("The reply was lost.", channel_works=True))
    await stage(after_crash="unknown").step()
    counted = kernel.gateway.metrics.registry.get_sample_value
    assert counted("lapor_answers_total", {"channel": CHANNEL, "outcome": "unknown"}) == 1


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


# A channel that looks among what it has sent before it sends again.


class Timeline(FakeChannel):
    """A channel that looks back. What reached the other side stands in ``shown``, whatever the sender heard of it."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[str, str] = {}
        self.arrives = True
        self.looks = 0
        self.look_faults: list[Exception] = []

    async def send(self, answer: OutgoingAnswer) -> Sent:
        assert answer.to
        if self.arrives:
            assert answer.id not in self.shown, "the citizen reads it twice"
            self.shown[answer.id] = f"post-{len(self.shown)}"
        await super().send(answer)
        return Sent((self.shown[answer.id],))

    async def find_sent(self, answer: OutgoingAnswer) -> Sent | None:
        self.looks += 1
        if self.look_faults:
            raise self.look_faults.pop(0)
        return Sent((self.shown[answer.id],)) if answer.id in self.shown else None


@pytest.fixture
def timeline(channel: FakeChannel) -> Timeline:
    """The channel of the stages made by ``looking``."""
    assert isinstance(channel, Timeline)
    return channel


@pytest.fixture
def looking(stage: Stage) -> Stage:
    """Makes an answer stage of a channel that looks back."""

    def make(**settings: Any) -> AnswerStage:
        return stage(after_crash="look", **settings)

    return make


looks_back = pytest.mark.parametrize("channel", [Timeline], indirect=True)


@looks_back
@pytest.mark.parametrize("arrives", [True, False])
async def test_after_a_crash_an_answer_is_looked_for_and_stands_there_once(
    kernel: Kernel, looking: Stage, timeline: Timeline, *, arrives: bool
) -> None:
    """Found, it is sent, and its reference known; not found, it goes out, at a second attempt."""
    (answer_id,) = await receipts(kernel)
    timeline.arrives = arrives
    await crash_while_sending(looking(), timeline)
    assert await state(kernel) == "sending"
    timeline.arrives = True
    sender = looking()
    for _ in range(4):
        await sender.step()
    row = await the_answer(kernel)
    assert (row.state, row.attempts, timeline.looks) == ("sent", 1 if arrives else 2, 1)
    assert timeline.shown == {answer_id: "post-0"}
    assert [part.reference for part in await kernel.rows(answer_parts)] == ["post-0"]


@looks_back
async def test_a_crash_while_looking_changes_nothing(kernel: Kernel, looking: Stage, timeline: Timeline) -> None:
    """It is *unsure* until somebody has looked; each start looks again."""
    await receipts(kernel)
    await crash_while_sending(looking(), timeline)
    timeline.look_faults = [RuntimeError("The process ends here.")]
    with pytest.raises(RuntimeError):
        await looking().step()
    assert await state(kernel) == "unsure"
    await looking().step()
    assert (await state(kernel), timeline.looks, len(timeline.sent)) == ("sent", 2, 1)


@looks_back
@pytest.mark.parametrize("arrives", [True, False])
async def test_what_may_have_been_sent_does_not_restart_a_channel_that_looks(
    kernel: Kernel, looking: Stage, timeline: Timeline, *, arrives: bool
) -> None:
    """It is looked for a little later, when the other side shows it; nothing is raised, the others go out."""
    first, second = await receipts(kernel, 2)
    timeline.arrives = arrives
    timeline.faults["send"].append(MaybeSent("No answer within the time.", channel_works=True))
    sender = looking()
    await sender.step()
    assert await state(kernel, first) == "unsure"
    timeline.arrives = True
    for _ in range(2):
        await sender.step()
    assert (await state(kernel, first), await state(kernel, second), timeline.looks) == ("unsure", "sent", 0)
    kernel.clock.advance(seconds=RETRY_FIRST)
    for _ in range(2):
        await sender.step()
    assert (await state(kernel, first), timeline.looks) == ("sent", 1)
    assert timeline.shown.keys() == {first, second}


@looks_back
async def test_a_look_that_fails_is_repeated_later(kernel: Kernel, looking: Stage, timeline: Timeline) -> None:
    """The answer stays *unsure*, and nothing is sent before somebody has looked; the others go out meanwhile."""
    first, second = await receipts(kernel, 2)
    timeline.arrives = False
    await crash_while_sending(looking(), timeline)
    timeline.arrives = True
    timeline.look_faults = [unavailable()]
    sender = looking()
    for _ in range(3):
        await sender.step()
    assert (await state(kernel, first), await state(kernel, second), timeline.looks) == ("unsure", "sent", 1)
    kernel.clock.advance(seconds=RETRY_FIRST)
    for _ in range(2):
        await sender.step()
    row = await the_answer(kernel, first)
    assert (row.state, row.attempts, row.reason) == ("sent", 2, None)


@looks_back
async def test_a_look_that_is_refused_for_good_ends_it(kernel: Kernel, looking: Stage, timeline: Timeline) -> None:
    """Nobody will ever know: it is shown as *unknown*, and the channel lives on."""
    first, second = await receipts(kernel, 2)
    await crash_while_sending(looking(), timeline)
    timeline.look_faults = [Refused("This account may not read its timeline.")]
    sender = looking()
    for _ in range(3):
        await sender.step()
    assert (await state(kernel, first), await state(kernel, second), timeline.looks) == ("unknown", "sent", 1)


@looks_back
async def test_an_unsure_answer_that_is_too_old_is_unknown(kernel: Kernel, looking: Stage, timeline: Timeline) -> None:
    """It helps nobody any more; whether it went out, nobody has found out."""
    await receipts(kernel)
    await crash_while_sending(looking(), timeline)
    timeline.look_faults = [unavailable()]
    await looking().step()
    kernel.clock.advance(hours=72, seconds=1)
    for _ in range(2):
        await looking().step()
    row = await the_answer(kernel)
    assert (row.state, timeline.looks, len(timeline.sent)) == ("unknown", 1, 1)
    assert "nobody knows whether it arrived" in row.reason


# A budget that is used up.


async def test_a_throttled_answer_was_not_tried_and_holds_back_the_others(
    kernel: Kernel, stage: Stage, channel: FakeChannel
) -> None:
    """With one attempt allowed it still goes out once there is room; so do the others, none of them before."""
    first, second = await receipts(kernel, 2)
    channel.faults["send"].append(Throttled("The hour's budget is used up.", 900))
    sender = stage(max_attempts=1)
    for _ in range(3):
        await sender.step()
    row = await the_answer(kernel, first)
    assert (row.state, row.attempts, row.reason) == ("queued", 0, "The hour's budget is used up.")
    assert (await state(kernel, second), len(channel.sent)) == ("queued", 1)
    kernel.clock.advance(seconds=899)
    await sender.step()
    assert len(channel.sent) == 1
    kernel.clock.advance(seconds=1)
    for _ in range(2):
        await sender.step()
    assert {await state(kernel, first), await state(kernel, second)} == {"sent"}
    assert [sent.attempt for sent in channel.sent] == [1, 1, 1]


@looks_back
async def test_a_throttled_look_is_still_unsure(kernel: Kernel, looking: Stage, timeline: Timeline) -> None:
    """Looking costs budget too: the answer is looked for later, and nothing else is sent before."""
    first, second = await receipts(kernel, 2)
    await crash_while_sending(looking(), timeline)
    timeline.look_faults = [Throttled("The budget is used up.", 60)]
    sender = looking()
    for _ in range(3):
        await sender.step()
    row = await the_answer(kernel, first)
    assert (row.state, row.attempts, await state(kernel, second)) == ("unsure", 1, "queued")
    kernel.clock.advance(seconds=60)
    for _ in range(2):
        await sender.step()
    assert {await state(kernel, first), await state(kernel, second)} == {"sent"}
    assert timeline.shown.keys() == {first, second}


async def test_what_is_under_way_counts_from_its_attempt(kernel: Kernel, stage: Stage, channel: FakeChannel) -> None:
    """A budget knows of an answer that waited for days and is being sent now."""
    await receipts(kernel)
    kernel.clock.advance(hours=48)
    await crash_while_sending(stage(), channel)
    an_hour_ago = kernel.clock.now() - timedelta(hours=1)
    assert await StoredChannel(kernel.store, CHANNEL).attempted_since(an_hour_ago) == 1


# An answer that changes hands, or is withdrawn, while it is being sent.


@pytest.mark.parametrize("fault", [NotSent("No signal."), Refused("No such number."), Throttled("Later.", 1)])
async def test_an_attempt_that_another_gateway_took_over_is_not_overwritten(
    kernel: Kernel, stage: Stage, channel: FakeChannel, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """The first one's process was taken for dead: what it says in the end says nothing of the second attempt."""
    await receipts(kernel)

    async def meanwhile_another(answer: OutgoingAnswer) -> Sent:
        async with kernel.store.write() as connection:
            await answer_rows.recover(connection, CHANNEL, "resend", 0)
        async with kernel.store.write() as connection:
            due = await answer_rows.next_due(connection, CHANNEL, to_milliseconds(kernel.clock.now()))
        assert due is not None
        assert (due.answer.id, due.answer.attempt) == (answer.id, 2)
        raise fault

    monkeypatch.setattr(channel, "send", meanwhile_another)
    await stage().step()
    row = await the_answer(kernel)
    assert (row.state, row.attempts, row.reason) == ("sending", 2, None)


@looks_back
async def test_a_look_that_another_gateway_took_over_sends_nothing_twice(
    kernel: Kernel, looking: Stage, timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked before the other one sent: the late finding that nothing is there changes nothing."""
    await receipts(kernel)
    timeline.arrives = False
    await crash_while_sending(looking(), timeline)
    timeline.arrives = True

    async def meanwhile_another(_answer: OutgoingAnswer) -> None:
        monkeypatch.undo()
        monkeypatch.setattr(answer_module, "POLL_SECONDS", 0)
        other = looking()
        for _ in range(2):
            await other.step()

    monkeypatch.setattr(timeline, "find_sent", meanwhile_another)
    sender = looking()
    for _ in range(3):
        await sender.step()
    assert (await state(kernel), len(timeline.shown)) == ("sent", 1)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [(None, "sent"), (NotSent("No signal."), "expired"), (Throttled("Later.", 1), "expired"), ("crash", "unknown")],
)
@pytest.mark.parametrize("after_crash", ["resend", "look"])
@looks_back
async def test_an_answer_whose_report_is_withdrawn_while_it_is_sent_is_not_tried_again(
    kernel: Kernel,
    stage: Stage,
    timeline: Timeline,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception | str | None,
    expected: str,
    after_crash: AfterCrash,
) -> None:
    """Whatever becomes of the attempt, nothing of it is kept, and nobody is written to without an address."""
    await receipts(kernel)
    send = timeline.send

    async def withdrawn_meanwhile(answer: OutgoingAnswer) -> Sent:
        gone = {"not_a_report": "gone", "withdrawal": ["m0", "was deleted"]}
        await kernel.receive(fake_message("w", "", "+6281100000000", **gone))
        await kernel.process()
        if isinstance(fault, Exception):
            raise fault
        return await send(answer)

    monkeypatch.setattr(timeline, "send", withdrawn_meanwhile)
    if fault == "crash":
        await crash_while_sending(stage(after_crash=after_crash), timeline)
    else:
        await stage(after_crash=after_crash).step()
    monkeypatch.setattr(timeline, "send", send)
    kernel.clock.advance(hours=1)
    for _ in range(3):
        await stage(after_crash=after_crash).step()
    row = await the_answer(kernel)
    assert (row.state, row.recipient, row.text) == (expected, None, None)
    assert len(timeline.shown) == (expected != "expired")


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


async def test_a_channel_that_rests_has_written_what_became_of_its_last_answer(
    kernel: Kernel, channel: FakeChannel, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database was away just then; else the next opening of the channel would send it once more."""
    (answer_id,) = await receipts(kernel)
    sending = stage()
    with monkeypatch.context() as away:
        away.setattr(answer_rows, "mark_sent", _away)
        with pytest.raises(StoreUnavailable):
            await sending.step()
    await sending.rest()
    await stage().step()
    assert len(channel.sent) == 1
    assert await state(kernel, answer_id) == "sent"


async def _away(*_arguments: object) -> None:
    message = "away"
    raise StoreUnavailable(message)
