"""A real gateway between citizens and the core: each channel as those who write to it see it, and the real queue."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from sqlalchemy import func, select

from channels.mail.channel import MailChannel
from channels.mail.settings import MailSettings
from channels.sms.settings import SmsSettings
from channels.twitter.channel import TwitterChannel
from channels.twitter.settings import TwitterSettings
from gateway.application import Gateway
from gateway.demo.x import Options, Post, XSimulator
from gateway.demo.x.writing import Answer
from gateway.plugins import channel_plugins
from gateway.ports import Channel, ChannelSettings, ChannelStore
from gateway.publishers.topology import INTAKE_QUEUE, REPLIES_EXCHANGE, REPLIES_QUEUE
from gateway.settings.model import AnswerSettings, ChannelSection, Settings
from gateway.store.channel_store import StoredChannel
from gateway.store.tables import answers, messages, outbox
from tests.conftest import eventually
from tests.integration import mail_bench, twitter_bench, x_parts
from tests.integration.kernel import settings_for
from tests.services.rabbitmq import RabbitMQ
from tests.services.smtp import SmtpPeer
from tests.simulators.modem import Modem

OURS: Final = "lapor@example.go.id"
TALKATIVE: Final = AnswerSettings(
    status="Laporan #{tracking_id}: {status}.",
    news_withheld="Ada perkembangan atas #{tracking_id}.",
    question_withheld="Ada pertanyaan tentang #{tracking_id}.",
    quiet_hours="",
    flood_messages=100,
    per_reporter_per_day=100,
)
"""Whole conversations within seconds, at any hour; and no text holds a date, which could change meanwhile."""

_EXPIRED: Final = 0x46
"""What a delivery report says when the network has given up (3GPP TS 23.040, 9.2.3.15)."""

_UNDER_WAY: Final = {"received", "assembling", "queued", "sending", "unsure"}


class Line(ABC):
    """One channel as its citizens see it.

    Attributes:
        section: The channel's section of the settings.
        is_public: Whether everybody can read the answers.
        takes_same_words: Whether the same words can be said to the same citizen twice.
    """

    section: ChannelSection
    is_public = False
    takes_same_words = True

    @abstractmethod
    async def write(self, citizen: str, text: str) -> None:
        """A citizen writes."""

    @abstractmethod
    async def answer(self, citizen: str, text: str) -> None:
        """A citizen answers what was read last, as the channel's apps and programs do."""

    @abstractmethod
    def heard(self, citizen: str) -> list[str]:
        """What a citizen has read, oldest first."""

    async def is_ready(self, gateway: Gateway) -> bool:
        """Whether what is written from now on reaches the gateway soon."""
        del gateway
        return True

    @abstractmethod
    def is_empty(self) -> bool:
        """Whether the gateway has let go of everything that was written."""

    @abstractmethod
    def forsake(self, citizen: str) -> None:
        """Nothing that is said to this citizen arrives any more."""

    def bounce(self, citizen: str) -> None:
        """What was sent to this citizen last comes back, where it can come back so late."""
        del citizen


class SmsLine(Line):
    """A simulated modem that libGammu drives, by its AT driver, in the channel's own child process."""

    def __init__(self, modem: Modem) -> None:
        self.modem = modem
        self._sent_at = datetime(2026, 11, 1, 8, tzinfo=UTC)
        table = {"type": "sms", "device": modem.path, "number": "1708", "timeout": 20, "poll_seconds": 0.5}
        self.section = ChannelSection("sms-1708", channel_plugins()["sms"], SmsSettings.model_validate(table))

    async def write(self, citizen: str, text: str) -> None:
        # The same words within one second are one SMS to the gateway: nobody types as fast.
        self._sent_at += timedelta(seconds=1)
        self.modem.deliver(citizen, text, sent_at=self._sent_at)

    async def answer(self, citizen: str, text: str) -> None:
        await self.write(citizen, text)

    def heard(self, citizen: str) -> list[str]:
        return [sent.message.text for sent in self.modem.sent if sent.message.destination == citizen]

    def is_empty(self) -> bool:
        return not self.modem.stored() and not self.modem.waiting()

    def forsake(self, citizen: str) -> None:
        """The network takes an SMS for anybody, and tells later."""

    def bounce(self, citizen: str) -> None:
        self.modem.report(
            [sent for sent in self.modem.sent if sent.message.destination == citizen][-1], status=_EXPIRED
        )


class XLine(Line):
    """A simulated X, and the channel on real tweepy."""

    is_public = True
    takes_same_words = False

    def __init__(self, x: XSimulator) -> None:
        self.x = x
        self.posts: dict[str, list[Post]] = {}
        settings = x_parts.settings_for(x, search_minutes=60, search_delay_seconds=0, recheck_hours=0)
        plugin = replace(channel_plugins()["twitter"], create=_quick_x)
        self.section = ChannelSection("twitter", plugin, settings)

    async def write(self, citizen: str, text: str) -> None:
        self.post(citizen, f"#LAPOR {text} @LAPOR1708")

    async def answer(self, citizen: str, text: str) -> None:
        self.post(citizen, f"@LAPOR1708 {text}", reply_to=self._to(citizen)[-1].post)

    def post(self, citizen: str, text: str, **details: Any) -> None:
        """A citizen posts just this."""
        self.posts.setdefault(citizen, []).append(self.x.world.post(citizen, text, **details))

    def heard(self, citizen: str) -> list[str]:
        return [each.text for each in self._to(citizen)]

    def _to(self, citizen: str) -> list[Answer]:
        user = self.x.world.user(citizen)
        return [each for each in self.x.answers if each.post.in_reply_to_user_id == user.id]

    async def is_ready(self, gateway: Gateway) -> bool:
        """The next search comes in an hour: the first has to be over, and the stream to be there."""
        searched = await StoredChannel(gateway.store, self.section.name).load("search")
        return searched is not None and self.x.stream.open_connections == 1

    def is_empty(self) -> bool:
        return True

    def forsake(self, citizen: str) -> None:
        """Who deletes a post cannot be answered there."""
        for post in self.posts[citizen]:
            self.x.world.delete(post.id)


class MailLine(Line):
    """A Maildir, and a mail server that takes the answers."""

    _names = count(1)

    def __init__(self, folder: Path, smtp: SmtpPeer) -> None:
        self.smtp = smtp
        self.maildir = folder / "maildir"
        for name in ("tmp", "new", "cur"):
            (self.maildir / name).mkdir(parents=True)
        table = {
            "type": "mail",
            "mailbox": f"maildir:{self.maildir}",
            "smtp": smtp.url(),
            "address": OURS,
            "poll_seconds": 0.1,
            "per_correspondent_per_day": 100,
        }
        plugin = replace(channel_plugins()["mail"], create=_quick_mail)
        self.section = ChannelSection("email", plugin, MailSettings.model_validate(table))

    async def write(self, citizen: str, text: str) -> None:
        mail = EmailMessage()
        mail["Subject"] = text[:40]
        mail.set_content(text)
        self._deliver(citizen, mail)

    async def answer(self, citizen: str, text: str) -> None:
        asked, reply = self._to(citizen)[-1], EmailMessage()
        reply["Subject"] = str(asked["Subject"])
        reply["In-Reply-To"] = str(asked["Message-ID"])
        reply["References"] = f"{asked['References'] or ''} {asked['Message-ID']}".strip()
        quoted = "".join(f"> {line}\n" for line in str(asked.get_content()).splitlines())
        reply.set_content(f"{text}\n\nPada Min, 1 Nov 2026 pukul 15.00 LAPOR! <{OURS}> menulis:\n{quoted}")
        self._deliver(citizen, reply)

    def _deliver(self, citizen: str, mail: EmailMessage) -> None:
        mail["From"], mail["To"], mail["Date"] = citizen, OURS, format_datetime(datetime.now(UTC))
        number = next(self._names)
        mail["Message-ID"] = f"<{number}@warga.example.org>"
        place = self.maildir / "tmp" / f"1700000000.M{number}.uji"
        place.write_bytes(f"Return-Path: <{citizen}>\r\n".encode() + mail.as_bytes(policy=policy.SMTP))
        place.rename(self.maildir / "new" / place.name)

    def heard(self, citizen: str) -> list[str]:
        return [str(mail.get_content()).strip() for mail in self._to(citizen)]

    def _to(self, citizen: str) -> list[EmailMessage]:
        mails = [message_from_bytes(mail.content, policy=policy.default) for mail in self.smtp.received]
        return [mail for mail in mails if mail["To"] == citizen]

    def is_empty(self) -> bool:
        read = all("S" in entry.name.partition(":2,")[2] for entry in (self.maildir / "cur").iterdir())
        return read and not any((self.maildir / "new").iterdir())

    def forsake(self, citizen: str) -> None:
        self.smtp.recipients[citizen] = "550 5.1.1 No such user"


def _quick_x(name: str, settings: ChannelSettings, store: ChannelStore) -> Channel:
    assert isinstance(settings, TwitterSettings)
    return TwitterChannel(name, settings, store, pace=twitter_bench.QUICK)


def _quick_mail(name: str, settings: ChannelSettings, store: ChannelStore) -> Channel:
    assert isinstance(settings, MailSettings)
    return MailChannel(name, settings, store, pace=mail_bench.QUICK)


@asynccontextmanager
async def line_of(kind: str, folder: Path) -> AsyncIterator[Line]:
    """The world of one channel type."""
    if kind == "sms":
        with Modem(slots=10) as modem:
            yield SmsLine(modem)
    elif kind == "twitter":
        async with XSimulator(Options(search_delay_seconds=0, keep_alive_seconds=0.05, post_limit=1000)) as x:
            yield XLine(x)
    else:
        async with SmtpPeer() as smtp:
            yield MailLine(folder, smtp)


class Core:
    """The core intake service's end of the real queue: it consumes events, and publishes replies.

    Attributes:
        events: What was consumed, each once.
    """

    def __init__(self, node: RabbitMQ) -> None:
        self.node = node
        self.events: list[dict[str, Any]] = []
        self._connection: AbstractConnection | None = None

    async def __aenter__(self) -> Self:
        self._connection = await aio_pika.connect(self.node.url)
        channel = await self._connection.channel()
        await (await channel.get_queue(REPLIES_QUEUE)).purge()
        queue = await channel.get_queue(INTAKE_QUEUE)
        await queue.purge()
        await queue.consume(self._consume)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _consume(self, message: AbstractIncomingMessage) -> None:
        async with message.process():
            event = json.loads(message.body)
            if event["id"] not in {known["id"] for known in self.events}:
                self.events.append(event)

    async def event(self, kind: str, number: int = 1) -> dict[str, Any]:
        """Waits for the so manieth event of a kind."""
        await eventually(lambda: len(self.of_kind(kind)) >= number, f"event {number} of report.{kind}")
        return self.of_kind(kind)[number - 1]

    async def report(self, kind: str, number: int = 1) -> dict[str, Any]:
        """The report in that event."""
        data: dict[str, Any] = (await self.event(kind, number))["data"]
        return data

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The events of one kind."""
        return [event for event in self.events if event["type"] == f"id.go.lapor.report.{kind}.v1"]

    async def reply(self, id_: str, tracking_id: str, text: str, kind: str = "progress", **fields: str) -> None:
        """Publishes a reply, and waits until the gateway has acknowledged it."""
        assert self._connection is not None
        body = {"id": id_, "tracking_id": tracking_id, "text": text, "kind": kind} | fields
        channel = await self._connection.channel()
        exchange = await channel.get_exchange(REPLIES_EXCHANGE)
        message = aio_pika.Message(json.dumps(body).encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await exchange.publish(message, f"reply.{kind}", mandatory=True, timeout=20)
        await channel.close()
        await eventually(lambda: self.node.queue_depth(REPLIES_QUEUE) == 0, f"reply {id_} to be acknowledged")


class Talk:
    """A running gateway with one channel."""

    def __init__(self, line: Line, gateway: Gateway) -> None:
        self.line = line
        self.gateway = gateway

    async def says(self, citizen: str, text: str) -> str:
        """A citizen writes, and everything that follows from it is done; returns what was decided."""
        return await self._decided(self.line.write(citizen, text))

    async def answers(self, citizen: str, text: str) -> str:
        """The same for an answer to what the citizen has read last."""
        return await self._decided(self.line.answer(citizen, text))

    async def _decided(self, written: Awaitable[None]) -> str:
        before = len(await self.decisions())
        await written
        await self.until(before + 1)
        return (await self.decisions())[before]

    async def until(self, decided: int) -> None:
        """Waits until so many messages are decided and nothing can move any more."""

        async def done() -> bool:
            return len(await self.decisions()) >= decided and await self.is_idle()

        await eventually(done, f"{decided} messages to be decided, and answered")

    async def rests(self) -> None:
        """Waits until nothing can move any more."""
        await eventually(self.is_idle, "the gateway to have nothing to do")

    async def is_idle(self) -> bool:
        """Whether every message is in custody and decided, every event confirmed, every answer at its end."""
        if not self.line.is_empty():
            return False
        under_way = {*await self._column(messages.c.state), *await self.fates()} & _UNDER_WAY
        query = select(func.count()).select_from(outbox).where(outbox.c.confirmed_at.is_(None))
        async with self.gateway.store.read() as connection:
            unconfirmed = (await connection.execute(query)).scalar_one()
        return not under_way and not unconfirmed

    async def decisions(self) -> list[str]:
        """What was decided for each message, oldest first."""
        return [decision for decision in await self._column(messages.c.decision) if decision]

    async def fates(self) -> list[str]:
        """What became of each answer, oldest first."""
        return await self._column(answers.c.state)

    async def _column(self, column: Any) -> list[Any]:
        async with self.gateway.store.read() as connection:
            return list((await connection.execute(select(column).order_by(column.table.c.id))).scalars())


class Conversation(Talk):
    """The same with the core behind it."""

    def __init__(self, line: Line, gateway: Gateway, core: Core) -> None:
        super().__init__(line, gateway)
        self.core = core


def talk_settings(url: str, node: RabbitMQ, line: Line, folder: Path, told: AnswerSettings) -> Settings:
    """Settings with the real queue and one channel."""
    settings = settings_for(url, queue=node.url, channels=[line.section], files=str(folder / "files"))
    return settings.model_copy(update={"answers": told})


@asynccontextmanager
async def talking(
    url: str, node: RabbitMQ, kind: str, folder: Path, told: AnswerSettings = TALKATIVE
) -> AsyncIterator[Conversation]:
    """A gateway on a database, with one channel that is up, and the core behind it."""
    async with line_of(kind, folder) as line, Core(node) as core:
        gateway = Gateway(talk_settings(url, node, line, folder, told))
        await gateway.start()
        try:
            await eventually(lambda: line.is_ready(gateway), "the channel to listen")
            yield Conversation(line, gateway, core)
        finally:
            await gateway.stop()
