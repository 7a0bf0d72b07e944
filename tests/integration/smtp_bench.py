"""What the tests of answers by mail share: a sender with its store and clock, and the citizen's mail in custody."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from channels.mail.sender import Sender
from channels.mail.settings import MailSettings
from gateway.errors import GatewayError, MaybeSent
from gateway.ports import Kept, OutgoingAnswer, Sent
from tests.fakes import FakeClock
from tests.integration.x_parts import MemoryStore

OURS = "lapor@example.go.id"
CITIZEN = "warga@example.org"
OTHER = "tetangga@example.org"
TEXT = "Laporan Anda kami terima: #1234567897"
MAIL = f"From: {CITIZEN}\r\nSubject: Jalan rusak\r\nMessage-ID: <satu@example.org>\r\n\r\nisi rahasia".encode()


class MailStore(MemoryStore):
    """Has the citizen's mail, and counts the attempts to each address."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.made: list[tuple[datetime, str]] = []

    async def message(self, external_id: str) -> Kept | None:
        self._check()
        return next((kept for kept in self.messages if kept.external_id == external_id), None)

    async def attempted_since(self, since: datetime, to: str | None = None) -> int:
        self._check()
        return sum(at >= since and to in (None, recipient) for at, recipient in self.made)

    async def nth_attempt(self, number: int) -> datetime | None:
        self._check()
        newest_first = sorted((at for at, _ in self.made), reverse=True)
        return newest_first[number - 1] if number <= len(newest_first) else None

    async def answered_between(self, to: str, since: datetime, until: datetime) -> bool:
        self._check()
        return any(since <= at < until and to == recipient for at, recipient in self.made)


class Bench:
    """A sender with its store and clock; ``send`` counts an attempt before it is made, as the ANSWER stage does."""

    def __init__(self, smtp: str | None, **changes: Any) -> None:
        section = {"type": "mail", "mailbox": "maildir:/var/mail/lapor", "address": OURS, "timeout": 10} | changes
        if smtp is not None:
            section["smtp"] = smtp
        settings = TypeAdapter(MailSettings).validate_python(section)
        self.clock = FakeClock()
        self.store = MailStore(self.clock)
        self.sender = Sender("email", settings, self.store, self.clock)
        self.store.messages.append(Kept("1", "surel-1", MAIL, self.clock.now()))

    def answer(self, to: str = CITIZEN, **changes: Any) -> OutgoingAnswer:
        fields: dict[str, Any] = {"id": self.store.new_id(), "text": TEXT, "attempt": 1, "reply_to": "surel-1"}
        return OutgoingAnswer(to=to, **(fields | changes))

    async def send(self, answer: OutgoingAnswer | None = None) -> Sent:
        answer = answer or self.answer()
        attempt = (self.clock.now(), answer.to)
        self.store.made.append(attempt)
        try:
            return await self.sender.send(answer)
        except MaybeSent:
            raise
        except GatewayError:
            self.store.made.remove(attempt)
            raise

    async def refused(self, kind: type[GatewayError], answer: OutgoingAnswer | None = None) -> str:
        """Sends and is refused in just this way; returns why."""
        with pytest.raises(GatewayError) as caught:
            await self.send(answer)
        assert caught.type is kind, caught.value
        return str(caught.value)


def assert_waits(bench: Bench, seconds: float, words: str) -> None:
    """All answers wait so long, for a reason with these words."""
    details = bench.sender.details()
    assert words in details["answers_wait_because"]
    until = datetime.fromisoformat(details["answers_wait_until"])
    assert until - bench.clock.now() == timedelta(seconds=seconds)
