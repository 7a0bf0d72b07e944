"""Machines that write to each other: two gateways, and out-of-office robots. Every exchange ends by itself."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import select

from channels.mail.channel import MailChannel
from channels.mail.settings import MailSettings
from gateway.application import Gateway
from gateway.plugins import channel_plugins
from gateway.ports import Channel, ChannelSettings, ChannelStore
from gateway.settings.model import ChannelSection
from gateway.store.tables import answers, messages
from tests.conftest import eventually
from tests.fakes import RecordingPublisher
from tests.integration.kernel import settings_for
from tests.integration.mail_bench import QUICK
from tests.services.smtp import SmtpPeer

FIRST, SECOND = "lapor@pertama.example.go.id", "lapor@kedua.example.go.id"
CITIZEN = "budi@warga.example.org"
MARKS = ("Auto-Submitted", "X-Auto-Response-Suppress", "Precedence", "X-Loop")
THREAD = ("In-Reply-To", "References")
CAP = 3

Deliver = Callable[[str, bytes], Awaitable[None]]
"""What a mailbox does with a mail: the envelope's sender, and the mail."""


@dataclass
class PostOffice(SmtpPeer):
    """The mail servers of all: what it takes is delivered before it says so.

    Attributes:
        mailboxes: By address.
        stripped: Fields that are lost on the way.
        delivered: The addresses that mails went to, in that order.
    """

    mailboxes: dict[str, Deliver] = field(default_factory=dict)
    stripped: tuple[str, ...] = ()
    delivered: list[str] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        reply = await super().handle_DATA(server, session, envelope)
        mail = self.received[-1]
        for recipient in mail.rcpt_tos:
            await self.post(mail.mail_from, recipient, mail.content)
        return reply

    async def post(self, mail_from: str, recipient: str, content: bytes) -> None:
        """Brings one mail into its mailbox."""
        self.delivered.append(recipient)
        mail = message_from_bytes(content, policy=policy.SMTP)
        for name in self.stripped:
            del mail[name]
        await self.mailboxes[recipient](mail_from, mail.as_bytes())


class Office:
    """A gateway whose mailbox is a Maildir, with the real parser and an outbox that leads nowhere."""

    _names = count(1)

    def __init__(self, folder: Path, address: str, post: PostOffice, **changes: Any) -> None:
        self.address = address
        self.maildir = folder / address
        for name in ("tmp", "new", "cur"):
            (self.maildir / name).mkdir(parents=True)
        table = {
            "type": "mail",
            "mailbox": f"maildir:{self.maildir}",
            "smtp": post.url(),
            "address": address,
            "poll_seconds": 0.1,
        }
        plugin = replace(channel_plugins()["mail"], create=_quick_channel)
        section = ChannelSection("email", plugin, MailSettings.model_validate(table | changes))
        settings = settings_for(f"sqlite:///{folder / address}.db", channels=[section], files=str(folder / "files"))
        self.queue = RecordingPublisher()
        self.gateway = Gateway(settings, publisher=self.queue)
        post.mailboxes[address] = self.deliver

    async def deliver(self, mail_from: str, content: bytes) -> None:
        """What an MTA does: the envelope's sender in the first line, then into ``new`` in one piece."""
        name = f"1700000000.M{next(self._names)}.uji"
        place = self.maildir / "tmp" / name
        place.write_bytes(f"Return-Path: <{mail_from}>\r\n".encode() + content)
        place.rename(self.maildir / "new" / name)

    async def is_idle(self) -> bool:
        """Whether every mail is in custody, decided, and answered if it is to be."""
        read = [entry.name.partition(":2,")[2] for entry in (self.maildir / "cur").iterdir()]
        if any((self.maildir / "new").iterdir()) or not all("S" in flags for flags in read):
            return False
        undecided = await self._column(messages.c.state)
        unsent = await self._column(answers.c.state)
        return not {"received", "assembling"} & set(undecided) and not {"queued", "sending", "unsure"} & set(unsent)

    async def decisions(self) -> list[str]:
        """What became of each mail, oldest first."""
        return await self._column(messages.c.decision)

    async def fates(self) -> list[str]:
        """What became of each answer, oldest first."""
        return await self._column(answers.c.state)

    async def _column(self, column: Any) -> list[str]:
        async with self.gateway.store.read() as connection:
            return list((await connection.execute(select(column).order_by(column.table.c.id))).scalars())


def _quick_channel(name: str, settings: ChannelSettings, store: ChannelStore) -> Channel:
    assert isinstance(settings, MailSettings)
    return MailChannel(name, settings, store, pace=QUICK)


class Robot:
    """Answers every mail at once. Whoever it writes to is the one who wrote.

    Args:
        post: Takes its mails.
        compose: What it writes.
    """

    def __init__(self, post: PostOffice, compose: Callable[[EmailMessage, int], EmailMessage]) -> None:
        self._post = post
        self._compose = compose
        self._numbers = count(1)
        post.mailboxes[CITIZEN] = self.deliver

    async def deliver(self, _mail_from: str, content: bytes) -> None:
        asked = message_from_bytes(content, _class=EmailMessage, policy=policy.default)
        number = next(self._numbers)
        reply = self._compose(asked, number)
        reply["From"], reply["To"] = f"Budi <{CITIZEN}>", str(asked["From"])
        reply["Date"] = f"Sun, 01 Nov 2026 08:{number // 60:02}:{number % 60:02} +0700"
        reply["Message-ID"] = f"<robot-{number}@warga.example.org>"
        address = re.sub(r".*<|>.*", "", str(asked["From"]))
        await self._post.post(CITIZEN, address, reply.as_bytes(policy=policy.SMTP))


def _polite(asked: EmailMessage, _number: int) -> EmailMessage:
    reply = _said("Saya sedang tidak di tempat sampai Senin.", f"Auto: {asked['Subject']}")
    reply["Auto-Submitted"] = "auto-replied"
    return reply


def _rude(_asked: EmailMessage, _number: int) -> EmailMessage:
    return _said("Saya kembali hari Senin.", "Sedang cuti sampai Senin")


def _rude_english(asked: EmailMessage, _number: int) -> EmailMessage:
    return _said("I am back on Monday.", f"Out of office: {asked['Subject']}")


def _quoting_in_thread(asked: EmailMessage, _number: int) -> EmailMessage:
    reply = _said(_quoted(asked), str(asked["Subject"]))
    reply["In-Reply-To"] = str(asked["Message-ID"])
    return reply


def _quoting_only(asked: EmailMessage, _number: int) -> EmailMessage:
    return _said(_quoted(asked), str(asked["Subject"]))


def _said(text: str, subject: str) -> EmailMessage:
    reply = EmailMessage()
    reply["Subject"] = subject
    reply.set_content(text)
    return reply


def _quoted(asked: EmailMessage) -> str:
    return "".join(f"> {line}\n" for line in str(asked.get_content()).splitlines())


def _first_mail(sender: str) -> bytes:
    mail = _said("Jalan di depan sekolah berlubang sejak Senin.", "Jalan rusak")
    mail["From"], mail["To"] = f"Budi <{sender}>", FIRST
    mail["Date"], mail["Message-ID"] = "Sun, 01 Nov 2026 07:00:00 +0700", "<awal@warga.example.org>"
    return mail.as_bytes(policy=policy.SMTP)


@pytest.fixture
async def post() -> AsyncIterator[PostOffice]:
    """The mail servers of all."""
    async with PostOffice() as office:
        yield office


@asynccontextmanager
async def _running(*offices: Office) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for office in offices:
            await office.gateway.start()
            stack.push_async_callback(office.gateway.stop)
        yield


async def _until_over(post: PostOffice, *offices: Office) -> None:
    """Waits until nothing can move any more.

    No mail was delivered while all were looked at, so what was idle when it was looked at still is.
    """

    async def is_over() -> bool:
        before = len(post.delivered)
        idle = [await office.is_idle() for office in offices]
        return all(idle) and len(post.delivered) == before

    await eventually(is_over, "the exchange to end")


@pytest.mark.parametrize("stripped", [(), MARKS], ids=["marks", "marks-lost"])
async def test_two_gateways_end_after_an_answer_each(
    tmp_path: Path, post: PostOffice, stripped: tuple[str, ...]
) -> None:
    """A citizen gives the second gateway's address for the own; the first answers there.

    The second knows an automatic mail. Where a relay has removed its marks it answers it, as a report, and the first
    knows that as a reply to its own.
    """
    post.stripped = stripped
    first, second = Office(tmp_path, FIRST, post), Office(tmp_path, SECOND, post)
    async with _running(first, second):
        await post.post(SECOND, FIRST, _first_mail(SECOND))
        await _until_over(post, first, second)
        decisions = [await first.decisions(), await second.decisions()]
        fates = [await first.fates(), await second.fates()]

    assert post.delivered == ([FIRST, SECOND, FIRST] if stripped else [FIRST, SECOND])
    assert decisions == ([["report", "update"], ["report"]] if stripped else [["report"], ["ignored"]])
    assert fates == ([["sent"], ["sent"]] if stripped else [["sent"], []])


async def test_the_cap_ends_what_nothing_else_does(tmp_path: Path, post: PostOffice) -> None:
    """Marks and thread are lost, so that each takes the other's answers for reports."""
    post.stripped = (*MARKS, *THREAD)
    first, second = (Office(tmp_path, each, post, per_correspondent_per_day=CAP) for each in (FIRST, SECOND))
    async with _running(first, second):
        await post.post(SECOND, FIRST, _first_mail(SECOND))
        await _until_over(post, first, second)
        fates = [await first.fates(), await second.fates()]

    assert post.delivered == [FIRST, *[SECOND, FIRST] * CAP]
    assert fates == [["sent"] * CAP + ["failed"], ["sent"] * CAP]


@pytest.mark.parametrize(
    ("compose", "decision"),
    [
        (_polite, "ignored"),
        (_rude, "ignored"),
        (_rude_english, "ignored"),
        (_quoting_in_thread, "update"),
        (_quoting_only, "update"),
    ],
)
async def test_a_robot_is_answered_once_at_most(
    tmp_path: Path, post: PostOffice, compose: Callable[[EmailMessage, int], EmailMessage], decision: str
) -> None:
    """A citizen writes and goes on leave: the robot answers the receipt, and gets no other."""
    Robot(post, compose)
    office = Office(tmp_path, FIRST, post)
    async with _running(office):
        await post.post(CITIZEN, FIRST, _first_mail(CITIZEN))
        await _until_over(post, office)
        decisions = await office.decisions()

    assert post.delivered == [FIRST, CITIZEN, FIRST]
    assert decisions == ["report", decision]
