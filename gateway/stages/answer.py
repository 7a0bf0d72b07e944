"""Stage 4, ANSWER: what citizens are told goes out by their channel, each answer at most once."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock, to_milliseconds
from gateway.errors import ChannelUnavailable, MaybeSent, NotSent, Refused, Retry, Throttled
from gateway.ports import AfterCrash, Channel, LooksBack, OutgoingAnswer, Sent
from gateway.settings.model import AnswerSettings
from gateway.stages import undeliverable
from gateway.stages.budget import ChannelBudget
from gateway.store import Store, leases
from gateway.store import answers as answer_rows
from gateway.store.answers import DueAnswer
from gateway.store.leases import Lease
from gateway.telemetry import Log, Metrics, logger

POLL_SECONDS: Final = 5.0
"""How often the database is asked for answers that nobody announced: retries that are due, other processes' rows."""

RETRY_FIRST: Final = 15.0
RETRY_GROWTH: Final = 5.0
RETRY_CAP: Final = 8 * 3600.0
"""Pauses between the attempts at one answer: 15 s, 75 s, 6 min, 31 min, 2.6 h, and then 8 h each time.

Five attempts fall into the first hour: those for a network that was busy and for greylisting, whose window opens after
minutes and closes after hours (10 and 240 minutes in cPanel's example,
https://api.docs.cpanel.net/openapi/whm/operation/save_cpgreylist_config/). The rest are spread over a night and a day,
for a modem without network or a mailbox that is full: the eight of ``answers.max_attempts`` take 19 hours. RFC 5321,
4.5.4.1 wants at least 30 minutes in general, and four to five days until one gives up: a receipt helps nobody then, and
``answers.max_age_hours`` ends it. What holds all answers up, such as a server that is away, is no attempt and does not
use them up.
"""

LOOK_CAP: Final = 3600.0
"""The longest pause before an answer that may have gone out is looked for: no citizen is bothered by a look."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What became of one attempt.

    Sent, perhaps sent, not there after all, to be tried again at ``retry_at`` (ms), or failed for good.
    """

    due: DueAnswer
    sent: Sent | None = None
    maybe_sent: bool = False
    not_there: bool = False
    put_off: bool = False
    failure: str = ""
    by_settings: bool = False
    """Failed because the channel is set to answer nobody: for a receipt that is no news."""
    retry_at: int | None = None


class AnswerStage:
    """Sends the answers of one channel, one at a time, each claimed before the attempt.

    Args:
        name: The channel's name.
        channel: Where answers go out.
        after_crash: What becomes of an answer that was under way when the process died.
        wanted: Set when an answer was queued for this channel.
        store: The database.
        settings: Limits of age and attempts.
        clock: Tells what is due.
        metrics: Counts.
        lease: The lease under which the channel is held, if it needs one.
    """

    def __init__(  # noqa: PLR0913 - each is a part of the machine, wired once
        self,
        name: str,
        channel: Channel,
        *,
        after_crash: AfterCrash,
        wanted: asyncio.Event,
        store: Store,
        settings: AnswerSettings,
        clock: Clock,
        metrics: Metrics,
        lease: Lease | None = None,
    ) -> None:
        self._name = name
        self._channel = channel
        self._after_crash = after_crash
        self._wanted = wanted
        self._store = store
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._lease = lease
        self._recovered = False
        self._to_record: _Attempt | None = None
        self._resume_at = clock.monotonic()
        self._busy = asyncio.Lock()
        """Held while an answer is under way: between the claim and the record of what became of it."""
        self._budget = ChannelBudget(name, settings.per_channel_per_day, timedelta(hours=settings.max_age_hours))

    async def step(self) -> None:
        """Sends the next answer, or waits for one."""
        if not self._recovered:
            await self._recover()
        self._wanted.clear()
        async with self._busy:
            if self._to_record is not None:
                await self._record(self._to_record)
            due = await self._claim()
            if due is not None and due.unsure:
                await self._look(due)
            elif due is not None:
                await self._send(due)
        if due is None:
            await self._wait()

    async def rest(self) -> None:
        """Sends nothing more; returns once no answer is under way, and what became of the last is written down.

        Raises:
            StoreUnavailable: It cannot be written down: what becomes of that answer is decided as after a crash.
        """
        await self._busy.acquire()  # and never released
        if self._to_record is not None:
            await self._record(self._to_record)

    async def _recover(self) -> None:
        async with self._store.write() as connection:
            await leases.check(connection, self._lease)
            now = to_milliseconds(self._clock.now())
            await answer_rows.recover(connection, self._name, self._after_crash, now)
        self._recovered = True

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wanted.wait()

    async def _claim(self) -> DueAnswer | None:
        now = self._clock.now()
        too_old = to_milliseconds(now - timedelta(hours=self._settings.max_age_hours))
        async with self._store.write() as connection:
            await leases.check(connection, self._lease)
            expiring = await undeliverable.watch_old(connection, self._name, too_old)
            expired = await answer_rows.expire(connection, self._name, too_old)
            await undeliverable.report(connection, expiring, now)
            due = None
            monotonic = self._clock.monotonic()
            if monotonic >= self._resume_at and await self._budget.has_room(connection, now, monotonic):
                due = await answer_rows.next_due(connection, self._name, to_milliseconds(now))
        self._metrics.answers.labels(self._name, "expired").inc(expired)
        return due

    async def _look(self, due: DueAnswer) -> None:
        """Finds out whether an answer went out before a crash, so that it never goes twice."""
        if not isinstance(self._channel, LooksBack):
            message = f"The channel {self._name} cannot look back; its plug-in says that it can."
            raise TypeError(message)
        try:
            sent = await self._channel.find_sent(due.answer)
        except Refused as error:
            await self._record(_Attempt(due, maybe_sent=True, failure=str(error)))  # and nobody will ever know
        except Throttled as error:
            await self._put_off(due, error)
        except Retry as error:
            await self._record(_Attempt(due, put_off=True, failure=str(error), retry_at=self._look_at(due.answer)))
        else:
            await self._record(_Attempt(due, sent=sent, not_there=sent is None))

    async def _send(self, due: DueAnswer) -> None:
        answer = due.answer
        self._budget.spend()
        try:
            sent = await self._channel.send(answer)
        except Refused as error:
            await self._record(_Attempt(due, failure=str(error), by_settings=error.by_settings))
        except Throttled as error:
            await self._put_off(due, error)
        except MaybeSent as error:
            await self._record(_Attempt(due, maybe_sent=True, failure=str(error), retry_at=self._look_at(answer)))
            if not error.channel_works:
                raise
        except (ChannelUnavailable, NotSent) as error:
            last = answer.attempt >= self._settings.max_attempts
            retry_at = None if last else self._retry_at(answer)
            await self._record(_Attempt(due, failure=str(error), retry_at=retry_at))
            if isinstance(error, ChannelUnavailable):
                raise
        else:
            await self._record(_Attempt(due, sent=sent))

    async def _put_off(self, due: DueAnswer, error: Throttled) -> None:
        """Nothing can be sent for a while, this answer or any other."""
        self._resume_at = self._clock.monotonic() + error.seconds
        until = to_milliseconds(self._clock.now() + timedelta(seconds=error.seconds))
        await self._record(_Attempt(due, put_off=True, failure=str(error), retry_at=until))

    def _retry_at(self, answer: OutgoingAnswer, cap: float | None = None) -> int:
        longest = RETRY_CAP if cap is None else cap
        pause = timedelta(seconds=min(longest, RETRY_FIRST * RETRY_GROWTH ** min(answer.attempt - 1, 16)))
        return to_milliseconds(self._clock.now() + pause)

    def _look_at(self, answer: OutgoingAnswer) -> int:
        return self._retry_at(answer, LOOK_CAP)

    async def _record(self, attempt: _Attempt) -> None:
        """Writes down what became of an attempt; kept in hand until that is committed."""
        self._to_record = attempt
        async with self._store.write() as connection:
            await self._write(connection, attempt)
        self._to_record = None
        nobody_knows = attempt.maybe_sent and (attempt.retry_at is None or self._after_crash == "unknown")
        if attempt.sent is not None:
            self._metrics.answers.labels(self._name, "sent").inc()
        elif nobody_knows or (attempt.retry_at is None and not attempt.not_there):
            self._metrics.answers.labels(self._name, "unknown" if nobody_knows else "failed").inc()
            logger.warning(
                Log.ANSWER_FAILED,
                message=attempt.due.message_id,
                answer=attempt.due.answer.id,
                channel=self._name,
                reason=attempt.failure,
            )

    async def _write(self, connection: AsyncConnection, attempt: _Attempt) -> None:
        answer, retry_at = attempt.due.answer, attempt.retry_at
        if attempt.sent is not None:
            at = to_milliseconds(self._clock.now())
            await answer_rows.mark_sent(connection, answer.id, self._name, attempt.sent.references, at)
        elif attempt.not_there:
            await answer_rows.mark_not_there(connection, answer)
        elif attempt.maybe_sent and retry_at is not None:
            await answer_rows.mark_maybe_sent(connection, answer, self._after_crash, retry_at)
        elif attempt.maybe_sent:
            await answer_rows.mark_unknown(connection, answer)
        elif attempt.put_off and retry_at is not None:
            await answer_rows.put_off(connection, attempt.due, attempt.failure, retry_at)
        elif retry_at is not None:
            await answer_rows.mark_unsent(connection, answer, attempt.failure, retry_at)
        else:
            watched = await undeliverable.watch(connection, [answer.id], only_replies=attempt.by_settings)
            await answer_rows.mark_unsent(connection, answer, attempt.failure, None)
            await undeliverable.report(connection, watched, self._clock.now())
