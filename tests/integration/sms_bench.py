"""A simulated modem with the SMS channel on it, and what the tests do with the two."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from channels.sms.channel import SmsChannel
from channels.sms.settings import SmsSettings
from gateway.parsing import Parsed, Profile
from gateway.ports import Delivery, OutgoingAnswer, RawMessage
from parsers.sms import parse
from tests.conftest import DEADLINE
from tests.simulators.modem import Modem

CITIZEN: Final = "+628110000001"
WIB: Final = timezone(timedelta(hours=7))
SENT_AT: Final = datetime(2026, 11, 1, 8, 30, 15, tzinfo=WIB)
SENT_AT_UTC: Final = datetime(2026, 11, 1, 1, 30, 15, tzinfo=UTC)
ANSWER: Final = OutgoingAnswer("1", CITIZEN, "Laporan Anda kami terima.", 1)
NEVER: Final = 600.0
"""Seconds between two polls where only an announcement may wake the channel."""


class Bench:
    """One modem and one channel. ``settings`` are those that differ from the usual."""

    def __init__(self, modem: Modem, **settings: Any) -> None:
        self.modem = modem
        usual = {"type": "sms", "device": modem.path, "number": "1708", "timeout": 20, "poll_seconds": NEVER}
        self.settings = SmsSettings.model_validate(usual | settings)
        self.channel = SmsChannel("sms-1708", self.settings)

    async def reopen(self) -> None:
        """A new channel on the same modem, as after every failure."""
        await self.channel.close()
        self.channel = SmsChannel("sms-1708", self.settings)
        async with asyncio.timeout(DEADLINE):
            await self.channel.open()

    async def next_delivery(self) -> Delivery:
        """The next delivery that holds messages."""
        async with asyncio.timeout(DEADLINE):
            while not (delivery := await self.channel.receive()).messages:
                pass
        return delivery

    async def receive(self, count: int) -> list[RawMessage]:
        """That many messages or a few more, each batch released."""
        messages: list[RawMessage] = []
        while len(messages) < count:
            delivery = await self.next_delivery()
            messages += delivery.messages
            await self.channel.release(delivery, ())
        return messages

    async def receive_parsed(self, count: int) -> list[Parsed]:
        """The same, as the parser reads them."""
        return [parsed(message) for message in await self.receive(count)]

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits for something to hold in the modem."""
        assert await asyncio.to_thread(self.modem.wait_until, condition, DEADLINE)

    async def pass_by(self, condition: Callable[[], bool]) -> None:
        """Receives and releases, whatever comes, until something holds."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                await self.channel.release(await self.channel.receive(), ())


def parsed(message: RawMessage) -> Parsed:
    """What the parser makes of one message."""
    return parse([message.raw], Profile())


@asynccontextmanager
async def opened(modem: Modem, **settings: Any) -> AsyncIterator[Bench]:
    """A plugged-in modem with an open channel."""
    with modem:
        bench = Bench(modem, **settings)
        try:
            await bench.channel.open()
            yield bench
        finally:
            await bench.channel.close()
