"""Stage 4, ANSWER: what citizens are told goes out by their channel, each answer at most once."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway.clock import Clock, to_milliseconds
from gateway.errors import ChannelUnavailable, MaybeSent, NotSent, Refused
from gateway.ports import Channel, OutgoingAnswer, Sent
from gateway.settings.model import AnswerSettings
from gateway.store import Store
from gateway.store import answers as answer_rows
from gateway.telemetry import Log, Metrics, logger

POLL_SECONDS: Final = 5.0
"""How often the database is asked for answers that nobody announced: retries that are due, other processes' rows."""

RETRY_FIRST: Final = 15.0
RETRY_CAP: Final = 3600.0


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What became of one attempt: sent, perhaps sent, to be tried again at ``retry_at`` (ms), or failed for good."""

    answer: OutgoingAnswer
    sent: Sent | None = None
    maybe_sent: bool = False
    failure: str = ""
    retry_at: int | None = None


class AnswerStage:
    """Sends the answers of one channel, one at a time, each claimed before the attempt.

    Args:
        name: The channel's name.
        channel: Where answers go out.
        resend_after_crash: Whether an answer that was under way when the process died may go once more.
        wanted: Set when an answer was queued for this channel.
        store: The database.
        settings: Limits of age and attempts.
        clock: Tells what is due.
        metrics: Counts.
    """

    def __init__(  # noqa: PLR0913 - each is a part of the machine, wired once
        self,
        name: str,
        channel: Channel,
        *,
        resend_after_crash: bool,
        wanted: asyncio.Event,
        store: Store,
        settings: AnswerSettings,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._name = name
        self._channel = channel
        self._resend_after_crash = resend_after_crash
        self._wanted = wanted
        self._store = store
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._recovered = False
        self._to_record: _Attempt | None = None

    async def step(self) -> None:
        """Sends the next answer, or waits for one."""
        if not self._recovered:
            await self._recover()
        if self._to_record is not None:
            await self._record(self._to_record)
        self._wanted.clear()
        answer = await self._claim()
        if answer is not None:
            await self._send(answer)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wanted.wait()

    async def _recover(self) -> None:
        async with self._store.write() as connection:
            await answer_rows.recover(connection, self._name, resend=self._resend_after_crash)
        self._recovered = True

    async def _claim(self) -> OutgoingAnswer | None:
        now = self._clock.now()
        too_old = to_milliseconds(now - timedelta(hours=self._settings.max_age_hours))
        async with self._store.write() as connection:
            expired = await answer_rows.expire(connection, self._name, too_old)
            answer = await answer_rows.next_due(connection, self._name, to_milliseconds(now))
        self._metrics.answers.labels(self._name, "expired").inc(expired)
        return answer

    async def _send(self, answer: OutgoingAnswer) -> None:
        try:
            sent = await self._channel.send(answer)
        except Refused as error:
            await self._record(_Attempt(answer, failure=str(error)))
        except MaybeSent:
            await self._record(_Attempt(answer, maybe_sent=True))
            raise
        except (ChannelUnavailable, NotSent) as error:
            last = answer.attempt >= self._settings.max_attempts
            pause = timedelta(seconds=min(RETRY_CAP, RETRY_FIRST * 2.0 ** (answer.attempt - 1)))
            retry_at = None if last else to_milliseconds(self._clock.now() + pause)
            await self._record(_Attempt(answer, failure=str(error), retry_at=retry_at))
            if isinstance(error, ChannelUnavailable):
                raise
        else:
            await self._record(_Attempt(answer, sent=sent))

    async def _record(self, attempt: _Attempt) -> None:
        """Writes down what became of an attempt; kept in hand until that is committed."""
        self._to_record = attempt
        answer = attempt.answer
        async with self._store.write() as connection:
            if attempt.sent is not None:
                at = to_milliseconds(self._clock.now())
                await answer_rows.mark_sent(connection, answer.id, self._name, attempt.sent.references, at)
            elif attempt.maybe_sent:
                await answer_rows.mark_maybe_sent(connection, answer.id, resend=self._resend_after_crash)
            else:
                await answer_rows.mark_unsent(connection, answer.id, attempt.failure, attempt.retry_at)
        self._to_record = None
        if attempt.sent is not None:
            self._metrics.answers.labels(self._name, "sent").inc()
        elif attempt.retry_at is None and not attempt.maybe_sent:
            self._metrics.answers.labels(self._name, "failed").inc()
            logger.warning(Log.ANSWER_FAILED, answer=answer.id, channel=self._name, reason=attempt.failure)
