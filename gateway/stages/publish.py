"""Stage 3, PUBLISH: events go from the outbox to the queue, and are marked once it has confirmed them."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock, to_milliseconds
from gateway.errors import BrokerUnavailable
from gateway.model import source_of
from gateway.ports import OutboxEvent, Publisher, PublishResult
from gateway.stages.handover import Handover
from gateway.store import Store
from gateway.store import outbox as outbox_rows
from gateway.telemetry import Log, Metrics, logger

LANES = 3
"""Batches in flight at once: while one is being confirmed, the next is already on the wire."""


class PublishStage:
    """Empties the outbox.

    Args:
        store: The database.
        publisher: The queue.
        events: What waits for it.
        limit: Events in one batch at most.
        clock: Stamps the confirmation.
        metrics: Counts.
    """

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        events: Handover[OutboxEvent],
        limit: int,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._events = events
        self._limit = limit
        self._clock = clock
        self._metrics = metrics
        self._in_flight: set[str] = set()
        self._taking = asyncio.Lock()
        self._finishing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.confirm_seconds: float | None = None
        """How long the queue took to confirm the newest batch; None before the first."""

    async def step(self) -> None:
        """Publishes one batch. Raises what kept a part of it from being confirmed."""
        await self._publisher.open()
        async with self._taking:
            if self._finishing:
                await asyncio.get_running_loop().create_future()  # until it is cancelled
            taken = await self._events.take(self._limit, self._in_flight)
            batch = [] if self._finishing else taken  # what is left waits in the outbox for the next start
            ids = {event.id for event in batch}
            self._in_flight |= ids
            self._idle.clear()
        try:
            if batch:
                await self._publish(batch)
        except BaseException:
            self._events.fall_behind()
            raise
        finally:
            self._in_flight -= ids
            if not self._in_flight:
                self._idle.set()

    async def finish(self) -> None:
        """Waits until what is in flight is confirmed and marked; nothing else is begun."""
        self._finishing = True
        await self._idle.wait()

    async def _publish(self, batch: Sequence[OutboxEvent]) -> None:
        if self._store.is_sqlite:
            await self._record(batch, await self._ask(batch))
            return
        # Another gateway may be at the same rows: they stay locked while the queue is asked.
        async with self._store.write() as connection:
            free = await outbox_rows.claim(connection, [event.id for event in batch])
            if not free:
                return
            result = await self._ask([event for event in batch if event.id in free])
            await self._confirm(connection, result)
        self._count(batch, result)
        await self._settle(result)

    async def _ask(self, batch: Sequence[OutboxEvent]) -> PublishResult:
        begin = self._clock.monotonic()
        result = await self._publisher.publish(batch)
        if result.confirmed:
            self.confirm_seconds = self._clock.monotonic() - begin
            self._metrics.confirm_seconds.observe(self.confirm_seconds)
        return result

    async def _record(self, batch: Sequence[OutboxEvent], result: PublishResult) -> None:
        if result.confirmed:
            with self._metrics.commit_seconds.labels("publish").time():
                async with self._store.write() as connection:
                    await self._confirm(connection, result)
        self._count(batch, result)
        await self._settle(result)

    async def _confirm(self, connection: AsyncConnection, result: PublishResult) -> None:
        if result.confirmed:
            at = to_milliseconds(self._clock.now())
            await outbox_rows.confirm(connection, result.confirmed, at)

    def _count(self, batch: Sequence[OutboxEvent], result: PublishResult) -> None:
        """Counts what is confirmed, once that is committed."""
        confirmed = set(result.confirmed)
        for channel, number in Counter(source_of(event.body) for event in batch if event.id in confirmed).items():
            self._metrics.published.labels(channel).inc(number)
        self._metrics.published_total += len(confirmed)

    async def _settle(self, result: PublishResult) -> None:
        if result.refused:
            self._metrics.refused.inc(len(result.refused))
            if not result.confirmed:
                # Nothing gets through: that is the queue's trouble, and is held against no single event.
                await self._publisher.close()  # opened again, a topology that somebody removed is declared anew
                reason = next(iter(result.refused.values()))
                message = f"The queue refuses every event: {reason}"
                raise BrokerUnavailable(message)
            await self._count_refusals(dict(result.refused))
        if result.failure is not None:
            raise result.failure

    async def _count_refusals(self, refused: dict[str, str]) -> None:
        async with self._store.write() as connection:
            parked = await outbox_rows.refuse(connection, refused, to_milliseconds(self._clock.now()))
        for event_id, message_id in parked:
            logger.error(Log.EVENT_PARKED, message=message_id, event_id=event_id, reason=refused[event_id])
