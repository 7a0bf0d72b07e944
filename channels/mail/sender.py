"""Answers by mail: one mail to one citizen, within the caps that end every exchange of machines, and never twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from channels.mail.answer_mail import Asked, Letter, compose, mailable, read_asked, reference
from channels.mail.oauth import AccessToken
from channels.mail.robots import Span, suspicious_span
from channels.mail.settings import MailSettings
from channels.mail.smtp_connect import Unreached, shown
from channels.mail.submission import NoReply, Rejected, Submission
from gateway.clock import Clock
from gateway.errors import (
    ChannelUnavailable,
    MaybeSent,
    NeedsOperator,
    NotSent,
    Refused,
    StoreUnavailable,
    Throttled,
)
from gateway.findings import Finding, clock_finding
from gateway.ports import ChannelStore, OutgoingAnswer, Sent

DAY: Final = timedelta(days=1)
OPERATOR_SECONDS: Final = 600.0
"""How often what only a person can mend is tried again."""

AWAY_FIRST: Final = 15.0
LONGEST_WAIT: Final = 86_460.0
_MOST_REMEMBERED: Final = 1000
_AUTH_WANTED: Final = 530


@dataclass(frozen=True, slots=True)
class _Hold:
    """Until when nothing is sent, and why."""

    until: datetime
    reason: str


class Sender:
    """Sends answers, one at a time.

    What the server says of one mail concerns that mail; said of two different mails, with none taken in between, it
    concerns the server, and all answers wait.

    Args:
        name: The channel's name, for sentences.
        settings: The channel's section.
        store: Counts the attempts of 24 hours, that of the answer in hand among them, and has the citizen's mail.
        clock: Tells the time.
    """

    def __init__(self, name: str, settings: MailSettings, store: ChannelStore, clock: Clock) -> None:
        self._label = f"channels.{name}"
        self._settings = settings
        self._store = store
        self._clock = clock
        server = settings.smtp_server
        token = AccessToken(self._label, settings, clock) if settings.uses_oauth else None
        self._submission = None if server is None else Submission(self._label, server, settings, token)
        self._own = mailable(settings.address) or settings.address
        self._hold: _Hold | None = None
        self._away = 0
        self._stumbled: set[str] = set()
        self._attempted: int | None = None

    async def send(self, answer: OutgoingAnswer) -> Sent:
        """Hands one mail over to the mail server.

        Raises:
            Refused: It can never be sent.
            Throttled: The server or the day's cap takes nothing for a while; nothing was sent.
            NotSent: The server did not take this one now.
            MaybeSent: Nobody knows whether it was taken.
        """
        submission = self._way_out()
        recipient = self._recipient(answer)
        self._keep_hold()
        content = await self._prepare(answer, recipient)
        try:
            await submission.hand_over(reference(answer.id), recipient, content)
        except Unreached as error:
            raise self._unreached(answer, error) from None
        except Rejected as error:
            raise self._rejected(answer, error) from None
        except NoReply:
            reason = f"{self._label}.smtp: the server was lost before it said whether it takes the mail."
            raise MaybeSent(reason, channel_works=True) from None
        self._works_again()
        return Sent((reference(answer.id),))

    async def check(self) -> Sequence[Finding]:
        """Connects and logs in, for ``lapor-gateway check``.

        Raises:
            NeedsOperator: Only a person can mend it.
            ChannelUnavailable: The server does not answer.
        """
        subject = f"{self._label} answers"
        if self._submission is None:
            return [Finding(subject, "weak", f"{self._label}.smtp is not set: mails are received and not answered.")]
        try:
            server_time = await self._submission.check()
        except Unreached as error:
            kind = NeedsOperator if error.lasting else ChannelUnavailable
            raise kind(str(error)) from None
        found = [Finding(subject, "ok", "The mail server lets us in.")]
        if server_time is not None:
            clock = clock_finding(f"{self._label} clock", self._clock.now(), server_time, "the mail server")
            found.append(clock)
        return found

    async def close(self) -> None:
        """Ends the connection to the server. Never raises."""
        if self._submission is not None:
            await self._submission.close()

    def details(self) -> dict[str, Any]:
        """What operators see."""
        hold = self._hold if self._hold and self._hold.until > self._clock.now() else None
        return {
            "answers_24h": self._attempted,
            "answers_budget": self._settings.per_day,
            "answers_encrypted": self._submission.encrypted if self._submission else None,
            "answers_wait_until": hold.until.isoformat() if hold else None,
            "answers_wait_because": hold.reason if hold else "",
        }

    def _way_out(self) -> Submission:
        if self._submission is None:
            message = f"{self._label}.smtp is not set: mails are received here and not answered."
            raise Refused(message, by_settings=True)
        return self._submission

    def _recipient(self, answer: OutgoingAnswer) -> str:
        recipient = mailable(answer.to)
        if recipient is None:
            raise Refused("The citizen's address is none that a mail can be sent to.")
        if recipient.casefold() == self._own.casefold():
            raise Refused("It would go to the gateway's own address.")
        return recipient

    def _keep_hold(self) -> None:
        now = self._clock.now()
        if self._hold is not None and self._hold.until > now:
            raise Throttled(self._hold.reason, (self._hold.until - now).total_seconds())
        self._hold = None

    async def _prepare(self, answer: OutgoingAnswer, recipient: str) -> bytes:
        """The caps, then the mail."""
        try:
            kept = await self._store.message(answer.reply_to) if answer.reply_to else None
            asked = Asked() if kept is None else read_asked(kept.raw)
            await self._keep_caps(answer, None if kept is None else suspicious_span(asked, kept.received_at))
        except StoreUnavailable as error:
            raise self._throttled(str(error), AWAY_FIRST) from None
        letter = Letter(answer.id, self._own, self._settings.name, recipient, answer.text)
        return compose(letter, asked, self._clock.now())

    async def _keep_caps(self, answer: OutgoingAnswer, suspicious: Span | None) -> None:
        """RFC 3834, 2: a responder limits the rate of its answers to any one address, whatever else it looks at.

        Only a receipt is withheld from what a machine may have written: a command is a person's word, as no machine
        answers with just that; and what the core says it says once, however its report began.
        """
        now, most = self._clock.now(), self._settings.per_correspondent_per_day
        had = await self._store.attempted_since(now - DAY, to=answer.to)
        if had > most:
            message = f"This address had {most} answers within 24 hours (per_correspondent_per_day) and gets no more."
            raise Refused(message, by_settings=True)
        if (
            had > 1
            and answer.kind == "receipt"
            and suspicious is not None
            and await self._store.answered_between(answer.to, suspicious.since, suspicious.until)
        ):
            message = "The mail came so soon after an answer to its author that a machine may have written it."
            raise Refused(message, by_settings=True)
        self._attempted = await self._store.attempted_since(now - DAY)
        if self._attempted > self._settings.per_day:
            oldest = await self._store.nth_attempt(self._settings.per_day + 1)
            wait = 1.0 if oldest is None else (oldest + DAY - now).total_seconds() + 1
            raise self._throttled(f"The {self._settings.per_day} mails of 24 hours (per_day) are used up.", wait)

    def _unreached(self, answer: OutgoingAnswer, error: Unreached) -> Throttled | NotSent:
        if error.underway and not self._stumbles_too(answer):
            return NotSent(str(error))
        return self._wait(str(error), lasting=error.lasting)

    def _rejected(self, answer: OutgoingAnswer, error: Rejected) -> Throttled | NotSent | Refused:
        """What the server's no means: to this mail, or to all of them."""
        reply, lasting = shown(error.code, error.enhanced), error.code >= 500  # noqa: PLR2004 - SMTP: for good
        if error.code == _AUTH_WANTED:
            return self._wait(f"{self._label}.smtp: the server wants a log-in first ({reply}).", lasting=True)
        if error.step == "MAIL":  # nothing was said of the citizen yet
            at_fault = (
                "address: the server does not take it as a sender" if lasting else "smtp: the server takes no mail"
            )
            return self._wait(f"{self._label}.{at_fault} ({reply}).", lasting=lasting)
        what = "the citizen's address" if error.step == "RCPT" else "the mail"
        if lasting and not error.enhanced.startswith("5.7."):  # RFC 3463, 3.8: not a matter of permission
            self._works_again()
            return Refused(f"The mail server refuses {what} for good ({reply}).")
        if error.enhanced.startswith("4.3.") or self._stumbles_too(answer):  # RFC 3463, 3.4: the server's own trouble
            return self._wait(
                f"{self._label}.smtp: the server refuses one mail after another ({reply}).", lasting=lasting
            )
        if lasting:
            return Refused(f"The mail server does not permit {what} ({reply}).")
        return NotSent(f"The mail server does not take {what} now ({reply}).")

    def _stumbles_too(self, answer: OutgoingAnswer) -> bool:
        """Notes that this mail was not taken. Returns whether another was not either, and none was since."""
        others = self._stumbled - {answer.id}
        if len(self._stumbled) < _MOST_REMEMBERED:
            self._stumbled.add(answer.id)
        return bool(others)

    def _wait(self, reason: str, *, lasting: bool) -> Throttled:
        """Holds all answers up: longer each time, and long at once where a person is needed."""
        self._away += 1
        pause = AWAY_FIRST * 2.0 ** min(self._away - 1, 10)
        return self._throttled(reason, OPERATOR_SECONDS if lasting else min(OPERATOR_SECONDS, pause))

    def _throttled(self, reason: str, seconds: float) -> Throttled:
        wait = min(max(1.0, seconds), LONGEST_WAIT)
        self._hold = _Hold(self._clock.now() + timedelta(seconds=wait), reason)
        return Throttled(reason, wait)

    def _works_again(self) -> None:
        """The server has taken a mail, or has said no for a reason that lies in it alone."""
        self._hold = None
        self._away = 0
        self._stumbled.clear()
