"""A mail channel on a real mailbox, a store in memory, and a proxy that plays a broken server."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final, Literal

from channels.mail.box import Pace
from channels.mail.channel import MailChannel
from channels.mail.settings import MailSettings
from gateway.ports import Delivery, Health, RawMessage
from tests.conftest import DEADLINE, eventually
from tests.integration.twitter_bench import MemoryStore
from tests.services import HOST
from tests.services.dovecot import PASSWORD, Dovecot

QUICK: Final = Pace(
    first_pause=0.02,
    last_pause=0.1,
    patience=0.0,
    skip_first=0.05,
    skip_last=0.2,
    release_again=0.05,
    glance=0.02,
)
"""The channel's schedule, a few hundred times faster."""

ENDLESS: Final = 1700
"""Seconds between two polls where what is announced must do."""

Fault = Literal["refuse", "hang", "drop", "chatter"]
_users = itertools.count(1)


def mail(text: str = "Jalan rusak", sender: str = "budi@example.go.id", *, size: int = 0, header: str = "") -> bytes:
    """A plain mail. Its Message-ID is its text's."""
    date = format_datetime(datetime(2026, 11, 1, 8, tzinfo=UTC))
    name = re.sub(r"\W", "-", text)
    lines = [
        *([header] if header else []),
        f"From: Budi <{sender}>",
        "To: lapor@example.go.id",
        f"Subject: {text}",
        f"Date: {date}",
        f"Message-ID: <{name}@example.go.id>",
    ]
    body = f"{text}\r\n".encode() + b"Mohon segera diperbaiki.\r\n" * (size // 26)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Bench:
    """One mailbox and one channel, and a kernel that takes everything into custody.

    Args:
        settings: The channel's section.
        pace: Its schedule.
    """

    def __init__(self, settings: MailSettings, pace: Pace = QUICK) -> None:
        self.settings = settings
        self.store = MemoryStore()
        self.custody: dict[str, RawMessage] = {}
        self.seen: list[str] = []
        self._pace = pace
        self.channel = self.new_channel()
        self._kernel: asyncio.Task[None] | None = None

    def new_channel(self) -> MailChannel:
        """Another channel on the same mailbox and store."""
        return MailChannel("email", self.settings, self.store, pace=self._pace)

    async def reopen(self, **changes: Any) -> None:
        """What follows a kill of the process: nothing is finished, and another one takes over."""
        await self.stop()
        self.settings = self.settings.model_copy(update=changes)
        self.channel = self.new_channel()
        await self.channel.open()

    def run(self) -> None:
        """Lets the kernel take whatever comes."""
        self._kernel = asyncio.create_task(self._take_all())

    async def _take_all(self) -> None:
        while True:
            await self.take(await self.channel.receive())

    async def stop(self) -> None:
        """Ends the kernel where it is, and the channel."""
        if self._kernel is not None:
            self._kernel.cancel()
            with suppress(asyncio.CancelledError):
                await self._kernel
            self._kernel = None
        await self.channel.close()

    async def next(self) -> Delivery:
        """The next delivery that holds mails."""
        async with asyncio.timeout(DEADLINE):
            while not (delivery := await self.channel.receive()).messages:
                pass
        return delivery

    def commit(self, delivery: Delivery) -> frozenset[str]:
        """Takes a delivery into custody; returns the ids that are new."""
        self.store.values.update(delivery.values)
        self.seen += [message.external_id for message in delivery.messages]
        new = {m.external_id: m for m in delivery.messages if m.external_id not in self.custody}
        self.custody |= new
        return frozenset(new)

    async def take(self, delivery: Delivery) -> frozenset[str]:
        """Commits and releases."""
        new = self.commit(delivery)
        await self.channel.release(delivery, new)
        return new

    async def take_next(self) -> list[str]:
        """Takes the next delivery; returns the texts of its mails."""
        delivery = await self.next()
        await self.take(delivery)
        return texts(delivery.messages)

    async def until(self, condition: Callable[[], bool] | Callable[[], Awaitable[bool]], what: str) -> None:
        """Waits while the kernel works; what it raises is raised here."""

        async def holds() -> bool:
            if self._kernel is not None and self._kernel.done():
                self._kernel.result()
            answer = condition()
            return answer if isinstance(answer, bool) else await answer

        await eventually(holds, what)

    async def arrived(self, *expected: str) -> None:
        """Waits until mails with these texts, and no others, are in custody."""
        await self.until(lambda: set(expected) <= set(texts(self.custody.values())), f"{expected} to arrive")
        assert sorted(texts(self.custody.values())) == sorted(expected)

    async def is_doing(self, what: str) -> bool:
        """Whether the channel says that it is idle, polling, fetching or away."""
        return bool((await self.channel.health()).details["mailbox"] == what)

    async def health(self, state: str, reason: str = "") -> Health:
        """Waits until the channel says that it is in this state, for a reason with these words."""
        found: list[Health] = []

        async def says_so() -> bool:
            found.append(await self.channel.health())
            return found[-1].state == state and reason in found[-1].reason

        await self.until(says_so, f"the channel to be {state} {reason}")
        return found[-1]


def texts(messages: Collection[RawMessage]) -> list[str]:
    """The subjects of mails made by :func:`mail`."""
    return [message.raw.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode() for message in messages]


def uids_in(command: str) -> set[int]:
    """The UIDs that a command of a client names."""
    found: set[int] = set()
    for part in command.split()[2].split(","):
        first, _, last = part.partition(":")
        if first.isdigit() and (not last or last.isdigit()):
            found.update(range(int(first), int(last or first) + 1))
    return found


class Mailbox:
    """A user of a Dovecot."""

    def __init__(self, dovecot: Dovecot) -> None:
        self.dovecot = dovecot
        self.user = f"lapor{next(_users)}"
        dovecot.add_user(self.user)

    async def deliver(self, *mails: bytes | str, flags: str = "") -> None:
        """Lets mails arrive."""
        raws = [one if isinstance(one, bytes) else mail(one) for one in mails]
        await asyncio.to_thread(self.dovecot.deliver, self.user, *raws, flags=flags)

    async def flags(self, folder: str = "INBOX") -> dict[str, set[str]]:
        """What lies in a folder, by text, with the flags."""
        found = await asyncio.to_thread(self.dovecot.mails, self.user, folder)
        return {raw.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode(): flags for flags, raw in found.values()}

    async def released(self) -> set[str]:
        """The texts of the mails that are marked as read."""
        return {text for text, flags in (await self.flags()).items() if "\\Seen" in flags}


class FaultyServer:
    """A proxy before a Dovecot. ``rule`` says what becomes of a command; None lets it through.

    A command that is refused is answered NO; one that hangs is swallowed; one that is dropped ends the connection;
    before the answer to one that chatters comes something that was not asked for.

    Args:
        dovecot: The server.
        tls: Whether it stands before the TLS port: there it sees no commands.

    Attributes:
        commands: All that came.
        connections: How many were made.
    """

    def __init__(self, dovecot: Dovecot, *, tls: bool = False) -> None:
        self._dovecot = dovecot
        self._tls = tls
        self.rule: Callable[[str], Fault | None] = lambda _command: None
        self.commands: list[str] = []
        self.connections = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines: set[_Line] = set()
        self._bytes_left: int | None = None

    def cut(self, after: int = 0) -> None:
        """Lets the connections go half-open: both sides stay connected, and nothing of what they say arrives any more.

        Args:
            after: So many bytes from the server still arrive.
        """
        self._bytes_left = after
        if not after:
            self._swallow()

    def spare(self) -> None:
        """Takes a cut back that has not happened yet."""
        self._bytes_left = None

    @property
    def is_cut(self) -> bool:
        """Whether a connection is half-open."""
        return any(line.dead for line in self._lines)

    def _swallow(self) -> None:
        self._bytes_left = None
        for line in self._lines:
            line.dead = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        line = _Line()
        with suppress(OSError, asyncio.CancelledError):
            upward, downward = await asyncio.open_connection(
                HOST, self._dovecot.tls_port if self._tls else self._dovecot.port
            )
            self._lines.add(line)
            answers = asyncio.create_task(self._answers(upward, writer, line))
            try:
                await (self._bytes if self._tls else self._commands)(reader, writer, downward, line)
            finally:
                answers.cancel()
                downward.close()
        self._lines.discard(line)
        writer.close()
        self._tasks.discard(task)

    async def _answers(self, upward: asyncio.StreamReader, writer: asyncio.StreamWriter, line: "_Line") -> None:
        with suppress(OSError):
            while data := await upward.read(65_536):
                if line.dead:
                    continue
                if self._bytes_left is not None:
                    data, self._bytes_left = data[: self._bytes_left], max(0, self._bytes_left - len(data))
                    if not self._bytes_left:
                        self._swallow()
                writer.write(data)
                await writer.drain()
            if not line.dead:
                writer.close()

    async def _bytes(
        self, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, downward: asyncio.StreamWriter, line: "_Line"
    ) -> None:
        while data := await reader.read(65_536):
            if not line.dead:
                downward.write(data)

    async def _commands(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, downward: asyncio.StreamWriter, line: "_Line"
    ) -> None:
        while said := await reader.readline():
            if line.dead:
                continue
            tag, _, command = said.decode().rstrip("\r\n").partition(" ")
            self.commands.append(command)
            fault = self.rule(command)
            if fault == "drop":
                return
            if fault == "refuse":
                writer.write(f"{tag} NO [SERVERBUG] Refused.\r\n".encode())
            elif fault is None or fault == "chatter":
                writer.write(b"* OK Still here.\r\n" if fault else b"")
                downward.write(said)

    def close(self) -> None:
        """Ends all connections."""
        for task in self._tasks:
            task.cancel()


@dataclass(eq=False)
class _Line:
    """One connection through the proxy; once dead, always dead."""

    dead: bool = False


@asynccontextmanager
async def faulty(dovecot: Dovecot, *, tls: bool = False) -> AsyncIterator[FaultyServer]:
    """A proxy that lets everything through until its rule is changed. It offers no STARTTLS that would blind it."""
    proxy = FaultyServer(dovecot, tls=tls)
    server = await asyncio.start_server(proxy.serve, HOST, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def bench(box: Mailbox, *, port: int | None = None, start: bool = True, **settings: Any) -> AsyncIterator[Bench]:
    """A channel on a mailbox, open unless told otherwise."""
    usual = {
        "type": "mail",
        "mailbox": f"imap://{box.user}@{HOST}:{port or box.dovecot.port}/INBOX",
        "password": PASSWORD,
        "address": "lapor@example.go.id",
        "poll_seconds": 0.05,
    }
    made = Bench(MailSettings.model_validate(usual | settings))
    try:
        if start:
            await made.channel.open()
        yield made
    finally:
        await made.stop()
