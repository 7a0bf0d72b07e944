"""Raw messages, texts and senders are kept as long as the settings say, and no longer."""

import pytest

from gateway.clock import SystemClock
from gateway.store.tables import answers, matters, messages, outbox, reports
from tests.fakes import FakeClock, fake_message
from tests.integration.kernel import Kernel, kernel_on


@pytest.fixture
def clock() -> FakeClock:
    """Starts at the time of day, since identifiers tell the age of rows by it."""
    return FakeClock(SystemClock().now())


async def _personal(kernel: Kernel) -> list[object]:
    """Every value in the database that says who wrote what."""
    message = await kernel.row(messages)
    report = await kernel.row(reports)
    event = await kernel.row(outbox)
    answer = await kernel.row(answers)
    return [message.raw, report.body, event.body, answer.recipient, answer.text]


async def test_what_is_too_old_is_emptied_and_what_is_not_stays(store_url: str, clock: FakeClock) -> None:
    """To the day; the decision, the tracking ID and the times stay for the figures."""
    async with kernel_on(store_url, clock) as kernel:
        await kernel.take(fake_message("m1"))
        await kernel.change(answers, answers.c.state == "queued", state="sent")
        clock.advance(days=89)
        await kernel.gateway.retain.empty()
        assert None not in await _personal(kernel)
        clock.advance(days=2)
        assert await kernel.gateway.retain.empty() > 0
        assert set(await _personal(kernel)) == {None}
        assert (await kernel.row(messages)).decision == "report"
        assert (await kernel.row(reports)).tracking_id
        assert await kernel.gateway.retain.empty() == 0


async def test_an_emptied_message_that_comes_again_is_still_known(store_url: str, clock: FakeClock) -> None:
    """An old SIM that is read again doubles nothing."""
    async with kernel_on(store_url, clock) as kernel:
        ids = await kernel.take(fake_message("m1"))
        await kernel.change(answers, answers.c.state == "queued", state="sent")
        clock.advance(days=91)
        await kernel.gateway.retain.empty()
        assert await kernel.receive(fake_message("m1")) == ids
        assert await kernel.count(reports) == 1


async def test_what_is_not_done_with_is_never_emptied(store_url: str, clock: FakeClock) -> None:
    """An event that the queue has not confirmed and an answer that is queued keep what they need."""
    async with kernel_on(store_url, clock) as kernel:
        await kernel.receive(fake_message("m1"))
        await kernel.process()
        await kernel.receive(fake_message("m2"))
        clock.advance(days=91)
        await kernel.gateway.retain.empty()
        assert (await kernel.row(outbox)).body is not None
        assert (await kernel.row(answers)).text is not None
        assert (await kernel.row(messages, external_id="m2")).raw is not None


async def test_what_can_no_longer_be_repeated_is_forgotten(store_url: str, clock: FakeClock) -> None:
    """To the day; after the window the same words are a new report."""
    async with kernel_on(store_url, clock) as kernel:
        await kernel.take(fake_message("m1"))
        clock.advance(days=29)
        await kernel.gateway.retain.forget_matters()
        assert await kernel.count(matters) == 1
        clock.advance(days=2)
        assert await kernel.gateway.retain.forget_matters() == 1
        await kernel.take(fake_message("m2"))
        assert {row.decision for row in await kernel.rows(messages)} == {"report"}
