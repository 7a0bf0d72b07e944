"""Every channel passes the one conformance suite; each brings a harness that plays its source."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from channels.sms.channel import SmsChannel
from channels.sms.settings import SmsSettings
from gateway.demo.citizens import InventedSms
from gateway.demo.network import DummyNetwork
from gateway.ports import Channel
from tests.contract.channel_suite import ChannelSuite, Source, Subject
from tests.simulators.modem import Modem

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _times() -> Iterator[datetime]:
    """One second after the other: the time stamps of a service centre are no finer."""
    start = datetime(2026, 11, 1, 1, tzinfo=UTC)
    return (start + timedelta(seconds=seconds) for seconds in itertools.count())


class DummyPhoneSource:
    """Gammu's dummy phone: messages are files in a folder."""

    batch = 4

    def __init__(self, folder: Path) -> None:
        self._network = DummyNetwork(folder)
        self._folder = folder
        self._times = _times()

    def new_channel(self) -> Channel:
        settings = SmsSettings(
            type="sms", device=str(self._folder), connection="none", model="dummy", number="1708",
            poll_seconds=0.05, read_limit=self.batch,
        )  # fmt: skip
        return SmsChannel("sms-dummy", settings)

    async def bring(self, sender: str, text: str) -> None:
        await asyncio.to_thread(self._network.deliver, InventedSms(sender, text), next(self._times))

    async def held(self) -> int:
        return len(list(self._folder.glob("sms/*/*")))

    async def empty(self) -> None:
        for path in self._folder.glob("sms/*/*"):
            path.unlink()


class AtModemSource:
    """A simulated modem on a pseudo-terminal, whose SIM holds ten messages."""

    batch = 4

    def __init__(self, modem: Modem) -> None:
        self._modem = modem
        self._times = _times()
        self._settings = SmsSettings(
            type="sms", device=modem.path, number="1708", timeout=10, poll_seconds=0.05, read_limit=self.batch
        )

    def new_channel(self) -> Channel:
        return SmsChannel("sms-modem", self._settings)

    async def bring(self, sender: str, text: str) -> None:
        self._modem.deliver(sender, text, sent_at=next(self._times))

    async def held(self) -> int:
        return len(self._modem.stored()) + len(self._modem.waiting())

    async def empty(self) -> None:
        self._modem.wipe()


@asynccontextmanager
async def dummy_phone(folder: Path) -> AsyncIterator[Source]:
    yield DummyPhoneSource(folder / "phone")


@asynccontextmanager
async def at_modem(folder: Path) -> AsyncIterator[Source]:
    with Modem(slots=10, link=folder / "modem") as modem:
        yield AtModemSource(modem)


SOURCES: Final = {"sms on the dummy phone": dummy_phone, "sms on an AT modem": at_modem}
"""A new channel adds one line here."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SOURCES, ids=list(SOURCES))
async def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Subject]:
    """One open channel of each kind for all tests: connecting to a modem takes seconds."""
    source: AbstractAsyncContextManager[Source] = SOURCES[request.param](tmp_path_factory.mktemp("source"))
    async with source as world, Subject(world) as subject:
        yield subject


@pytest_asyncio.fixture(loop_scope="module")
async def subject(opened: Subject) -> Subject:
    """The open channel, on a source that has forgotten everything."""
    await opened.source.empty()
    if opened.closed:
        await opened.reopen()
    return opened


class TestChannels(ChannelSuite):
    """The suite, run for each source."""
