"""What every channel promises the kernel, as one suite: a channel is added by a harness that plays its source."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, Protocol, Self

import pytest

from gateway.errors import GatewayError
from gateway.ports import Channel, Delivery, OutgoingAnswer, RawMessage
from tests.conftest import DEADLINE

CITIZEN: Final = "+628110000001"
OTHER_CITIZEN: Final = "+628110000002"


class Source(Protocol):
    """The world behind a channel, as a test plays it. ``batch`` is the most that one delivery may hold."""

    batch: int

    def new_channel(self) -> Channel:
        """A channel on this source that is not open yet."""
        ...

    async def bring(self, sender: str, text: str) -> None:
        """A message arrives at the source, later than any before it."""
        ...

    async def answer(self) -> OutgoingAnswer:
        """An answer to the oldest message that the source has brought."""
        ...

    async def keep(self, values: Mapping[str, str]) -> None:
        """What a channel keeps is written into its store, if it has one."""
        ...

    async def held(self) -> int:
        """How many messages the source has not been allowed to forget."""
        ...

    async def empty(self) -> None:
        """Forgets everything, for the next test."""
        ...


class Subject:
    """An open channel, and what tests do with it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.channel = source.new_channel()
        self.closed = False

    async def __aenter__(self) -> Self:
        await self.channel.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()

    async def reopen(self) -> None:
        """What the kernel does after a failure, and after a crash: a new channel on the same source."""
        await self.channel.close()
        self.channel = self.source.new_channel()
        await self.channel.open()
        self.closed = False

    async def next_delivery(self) -> Delivery:
        """The next delivery that holds messages."""
        async with asyncio.timeout(DEADLINE):
            while not (delivery := await self.channel.receive()).messages:
                pass
        return delivery

    async def receive(self, count: int) -> list[RawMessage]:
        """That many messages, each released like the kernel does it."""
        messages: list[RawMessage] = []
        while len(messages) < count:
            delivery = await self.next_delivery()
            messages += delivery.messages
            await self.release(delivery)
        return messages

    async def release(self, delivery: Delivery) -> None:
        """What the kernel does: it commits the messages with the channel's values, and lets the source forget them."""
        await self.source.keep(delivery.values)
        await self.channel.release(delivery, ())

    async def nothing_more(self) -> None:
        """Looks once more, and finds nothing."""
        for _ in range(2):
            delivery = await self.channel.receive()
            assert delivery.messages == ()


class ChannelSuite:
    """The tests. A module subclasses this once and gives it the fixture ``subject``, open and empty."""

    async def test_what_the_source_holds_is_received_once_and_then_let_go(self, subject: Subject) -> None:
        """Each message arrives, and the source forgets it when it is released, not before."""
        await subject.source.bring(CITIZEN, "Lampu jalan padam di Desa Sukamaju")
        await subject.source.bring(OTHER_CITIZEN, "Jembatan putus di Dusun Krajan")
        delivery = await subject.next_delivery()
        assert len(delivery.messages) == 2
        assert await subject.source.held() == 2
        await subject.release(delivery)
        assert await subject.source.held() == 0
        await subject.nothing_more()

    async def test_a_message_bears_its_evidence_its_identity_and_its_order(self, subject: Subject) -> None:
        """Raw bytes are there, identities differ, and one citizen's messages share a key that another's do not."""
        for sender, text in ((CITIZEN, "satu"), (CITIZEN, "dua"), (OTHER_CITIZEN, "satu")):
            await subject.source.bring(sender, text)
        messages = await subject.receive(3)
        assert all(message.raw and message.order_key for message in messages)
        assert len({message.external_id for message in messages}) == 3
        assert len({message.order_key for message in messages}) == 2

    async def test_after_a_crash_exactly_what_was_not_released_comes_again(self, subject: Subject) -> None:
        """The unique key has to know those messages again; what was let go stays away."""
        await subject.source.bring(CITIZEN, "satu")
        await subject.receive(1)
        for text in ("dua", "tiga"):
            await subject.source.bring(CITIZEN, text)
        before = await subject.next_delivery()
        await subject.reopen()
        again = await subject.next_delivery()
        assert len(again.messages) == 2
        assert _ids(again.messages) == _ids(before.messages)
        await subject.release(again)
        assert await subject.source.held() == 0
        await subject.nothing_more()

    async def test_a_redelivery_can_be_released(self, subject: Subject) -> None:
        """A delivery that is received twice is released by the second one."""
        await subject.source.bring(CITIZEN, "satu")
        first = await subject.next_delivery()
        second = await subject.next_delivery()
        assert _ids(first.messages) == _ids(second.messages)
        await subject.release(second)
        assert await subject.source.held() == 0

    async def test_releasing_an_old_delivery_once_more_takes_nothing_newer_away(self, subject: Subject) -> None:
        """Where the source uses a place again, a late release must not hit the message that lies there now."""
        await subject.source.bring(CITIZEN, "satu")
        old = await subject.next_delivery()
        await subject.release(old)
        await subject.source.bring(CITIZEN, "dua")
        await subject.release(old)
        assert await subject.source.held() == 1
        fresh = await subject.next_delivery()
        await subject.release(old)
        assert await subject.source.held() == 1
        await subject.release(fresh)
        assert await subject.source.held() == 0

    async def test_a_backlog_comes_in_bounded_batches(self, subject: Subject) -> None:
        """No delivery holds more than the settings allow, and all of the backlog comes."""
        backlog = 2 * subject.source.batch + 1
        for number in range(backlog):
            await subject.source.bring(CITIZEN, f"laporan {number}")
        seen: set[str] = set()
        while len(seen) < backlog:
            delivery = await subject.next_delivery()
            assert len(delivery.messages) <= subject.source.batch
            seen |= _ids(delivery.messages)
            await subject.release(delivery)
        assert await subject.source.held() == 0

    async def test_an_empty_delivery_can_be_released(self, subject: Subject) -> None:
        """The kernel may release what holds nothing."""
        delivery = await subject.channel.receive()
        assert delivery.messages == ()
        await subject.release(delivery)

    async def test_an_answer_is_sent_while_messages_are_received(self, subject: Subject) -> None:
        """Sending happens in another task, and neither waits for the other for good."""
        await subject.source.bring(CITIZEN, "satu")
        answer = await subject.source.answer()
        async with asyncio.timeout(DEADLINE):
            messages, sent = await asyncio.gather(subject.receive(1), subject.channel.send(answer))
        assert len(messages) == 1
        assert all(sent.references)

    async def test_health_says_up_only_once_the_source_has_answered(self, subject: Subject) -> None:
        """A channel that is not open is not up; an open one is, and needs no reason for it."""
        assert (await subject.source.new_channel().health()).state != "up"
        health = await subject.channel.health()
        assert (health.state, health.reason) == ("up", "")

    async def test_closing_never_fails_and_ends_everything(self, subject: Subject) -> None:
        """Closing twice, or without opening, is fine; whatever is asked afterwards fails in the kernel's own words."""
        await subject.source.new_channel().close()
        await subject.channel.close()
        await subject.channel.close()
        answer = OutgoingAnswer("1", CITIZEN, "Laporan Anda kami terima.", 1)
        asked: tuple[Callable[[], Awaitable[object]], ...] = (
            subject.channel.receive,
            lambda: subject.channel.send(answer),
        )
        for ask in asked:
            with pytest.raises(GatewayError):
                await ask()
        await subject.channel.health()
        subject.closed = True


def _ids(messages: Collection[RawMessage]) -> set[str]:
    return {message.external_id for message in messages}
