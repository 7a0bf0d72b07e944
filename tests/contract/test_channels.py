"""Every channel passes the one conformance suite; each brings a harness that plays its source."""

import asyncio
import itertools
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from channels.mail.channel import MailChannel
from channels.mail.settings import MailSettings
from channels.sms.channel import SmsChannel
from channels.sms.settings import SmsSettings
from channels.twitter.channel import TwitterChannel
from channels.twitter.settings import TwitterSettings
from gateway.demo.citizens import InventedSms
from gateway.demo.mails import open_maildir
from gateway.demo.network import DummyNetwork
from gateway.demo.x import Options, Post, XSimulator
from gateway.ports import Channel, ChannelStore, OutgoingAnswer
from gateway.store import Store
from gateway.store.channel_store import StoredChannel
from gateway.store.migrate import ensure_schema
from tests.contract.channel_suite import CITIZEN, ChannelSuite, Source, Subject
from tests.services.dovecot import PASSWORD, Dovecot
from tests.services.smtp import SmtpPeer
from tests.simulators.modem import Modem

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _times() -> Iterator[datetime]:
    """One second after the other: the time stamps of a service centre are no finer."""
    start = datetime(2026, 11, 1, 1, tzinfo=UTC)
    return (start + timedelta(seconds=seconds) for seconds in itertools.count())


class SmsSource:
    """What the sources of SMS have in common."""

    batch = 4

    async def keep(self, values: Mapping[str, str]) -> None:
        assert not values

    async def answer(self) -> OutgoingAnswer:
        return OutgoingAnswer("1", CITIZEN, "Laporan Anda kami terima.", 1)


class DummyPhoneSource(SmsSource):
    """Gammu's dummy phone: messages are files in a folder."""

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


class AtModemSource(SmsSource):
    """A simulated modem on a pseudo-terminal, whose SIM holds ten messages."""

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


class XSource:
    """A simulated X that is searched; what it holds is what lies behind the watermark."""

    batch = 4

    def __init__(self, x: XSimulator, store: Store) -> None:
        self._x = x
        self._store = store
        self._state = StoredChannel(store, "twitter")
        self._settings = TwitterSettings(
            type="twitter", api_url=x.origin, mode="search", search_minutes=0.001, rewind_minutes=0,
            search_delay_seconds=0, read_limit=self.batch, **asdict(x.options.credentials),
        )  # fmt: skip
        self._brought: list[Post] = []
        self._since = datetime.now(UTC)

    def new_channel(self) -> Channel:
        return TwitterChannel("twitter", self._settings, self._state)

    async def bring(self, sender: str, text: str) -> None:
        self._brought.append(self._x.world.post(f"warga_{sender[-4:]}", f"#LAPOR {text} @LAPOR1708"))

    async def answer(self) -> OutgoingAnswer:
        return OutgoingAnswer("1", self._brought[0].author.id, "Laporan Anda kami terima.", 1, self._brought[0].id)

    async def keep(self, values: Mapping[str, str]) -> None:
        await self._state.save(values)

    async def held(self) -> int:
        saved = await self._state.load("search")
        reached = json.loads(saved)["id"] if saved else 0
        return sum(int(post.id) > reached for post in self._brought)

    async def empty(self) -> None:
        for post in self._brought:
            self._x.world.delete(post.id)
        self._brought.clear()


USER = "warga"


class MailSource:
    """A mailbox, and a server that takes the answers. What it holds are the mails without the mark of release."""

    batch = 4

    def __init__(self, settings: Mapping[str, Any], maildir: Path, state: ChannelStore) -> None:
        self._settings = MailSettings.model_validate(
            {
                "type": "mail",
                "address": "lapor@example.go.id",
                "poll_seconds": 0.05,
                "read_limit": self.batch,
                **settings,
            }
        )
        self._maildir = maildir
        self._state = state
        self._dates = _times()

    def new_channel(self) -> Channel:
        return MailChannel("email", self._settings, self._state)

    async def bring(self, sender: str, text: str) -> None:
        date = format_datetime(next(self._dates))
        header = f"From: <{sender[1:]}@example.go.id>\r\nDate: {date}\r\nSubject: {text}\r\n"
        mail = f"{header}Message-ID: <{secrets.token_hex(8)}@example.go.id>\r\n\r\n{text}\r\n"
        await asyncio.to_thread(self._deliver, mail.encode())

    def _deliver(self, mail: bytes) -> None:
        name = f"{time.time_ns()}.{secrets.token_hex(4)}.test"
        (self._maildir / "tmp" / name).write_bytes(mail)
        (self._maildir / "tmp" / name).rename(self._maildir / "new" / name)

    async def answer(self) -> OutgoingAnswer:
        answer_id = "019a0000-0000-7000-8000-0000000000e1"
        return OutgoingAnswer(answer_id, "warga@example.go.id", "Laporan Anda kami terima.", 1, "unknown")

    async def keep(self, values: Mapping[str, str]) -> None:
        await self._state.save(values)

    async def held(self) -> int:
        return await asyncio.to_thread(self._count)

    def _count(self) -> int:
        return sum("S" not in path.name.partition(":2,")[2] for path in self._mails())

    def _mails(self) -> list[Path]:
        return [path for part in ("new", "cur") for path in (self._maildir / part).iterdir()]

    async def empty(self) -> None:
        await asyncio.to_thread(self._empty)

    def _empty(self) -> None:
        for path in self._mails():
            path.unlink()


class ImapSource(MailSource):
    """A mailbox behind a server, which alone knows its mails: it moves them about."""

    def __init__(self, settings: Mapping[str, Any], server: Dovecot, state: ChannelStore) -> None:
        super().__init__(settings, server.maildir(USER), state)
        self._server = server

    def _count(self) -> int:
        return sum("\\Seen" not in flags for flags, _mail in self._server.mails(USER).values())

    def _deliver(self, mail: bytes) -> None:
        self._server.deliver(USER, mail)

    def _empty(self) -> None:
        with self._server.client(USER) as client:
            client.select("INBOX")
            client.uid("store", "1:*", "+FLAGS", "\\Deleted")
            client.expunge()


@asynccontextmanager
async def maildir(folder: Path) -> AsyncIterator[Source]:
    async with _state(folder) as state, SmtpPeer() as peer:
        box = folder / "mail"
        open_maildir(box)
        yield MailSource({"mailbox": f"maildir:{box}", "smtp": peer.url()}, box, state)


@asynccontextmanager
async def imap(folder: Path) -> AsyncIterator[Source]:
    async with _state(folder) as state, SmtpPeer() as peer:
        with Dovecot() as server:
            server.add_user(USER)
            settings = {"mailbox": server.url_for(USER), "password": PASSWORD, "smtp": peer.url()}
            yield ImapSource(settings, server, state)


@asynccontextmanager
async def _state(folder: Path) -> AsyncIterator[ChannelStore]:
    store = Store(f"sqlite:///{folder}/gateway.db")
    await ensure_schema(store)
    yield StoredChannel(store, "email")
    await store.close()


@asynccontextmanager
async def x_search(folder: Path) -> AsyncIterator[Source]:
    store = Store(f"sqlite:///{folder}/gateway.db")
    await ensure_schema(store)
    async with XSimulator(Options(search_delay_seconds=0, search_limit=10**6, read_limit=10**6)) as x:
        yield XSource(x, store)
    await store.close()


@asynccontextmanager
async def dummy_phone(folder: Path) -> AsyncIterator[Source]:
    yield DummyPhoneSource(folder / "phone")


@asynccontextmanager
async def at_modem(folder: Path) -> AsyncIterator[Source]:
    with Modem(slots=10, link=folder / "modem") as modem:
        yield AtModemSource(modem)


SOURCES: Final = {
    "sms on the dummy phone": dummy_phone,
    "sms on an AT modem": at_modem,
    "x by search": x_search,
    "mail in a Maildir": maildir,
    "mail by IMAP": imap,
}
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
