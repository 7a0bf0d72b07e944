"""Tells the core which answers did not reach their citizens: ``report.undeliverable``, in the deciding transaction.

Whoever marks an answer as failed or expired asks ``watch`` before and calls ``report`` after::

    watched = await undeliverable.watch(connection, [answer.id])
    await answer_rows.mark_unsent(connection, answer, reason, None)
    await undeliverable.report(connection, watched, now)

So an answer that had failed already, or that another gateway has taken over meanwhile, is never reported twice.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import to_milliseconds
from gateway.identifiers import uuid7
from gateway.model import NotDelivered, encode, event_for, routing_key
from gateway.ports import OutboxEvent
from gateway.store import outbox as outbox_rows
from gateway.store import replies as reply_rows
from gateway.store import reports as report_rows
from gateway.store.replies import Pending
from gateway.store.reports import Published


@dataclass(frozen=True, slots=True)
class Failure:
    """What the citizen of one report was not told, and why."""

    report_id: str
    not_delivered: NotDelivered


async def watch(connection: AsyncConnection, ids: Collection[str], *, only_replies: bool = False) -> list[Pending]:
    """Those of these answers that are worth an event if they fail now; their reports are locked.

    Args:
        connection: The transaction in which they may fail.
        ids: Of answers.
        only_replies: Where the channel answers nobody by its settings: a receipt that fails is no news then.
    """
    return await _locked(connection, await reply_rows.pending(connection, ids, only_replies=only_replies))


async def watch_old(connection: AsyncConnection, channel: str, created_before: int) -> list[Pending]:
    """The same for the answers of a channel that are about to expire: queued, and created before (in milliseconds)."""
    return await _locked(connection, await reply_rows.pending_since(connection, channel, created_before))


async def watch_part(connection: AsyncConnection, channel: str, reference: str, recipient: str) -> list[Pending]:
    """The same for the answers that a delivery report may mean."""
    return await _locked(connection, await reply_rows.pending_part(connection, channel, reference, recipient))


async def _locked(connection: AsyncConnection, answers: list[Pending]) -> list[Pending]:
    # Reports before answers: a withdrawal locks in this order too, and neither waits for the other in a ring.
    await report_rows.lock(connection, {answer.report_id for answer in answers})
    return answers


async def report(connection: AsyncConnection, watched: Sequence[Pending], now: datetime) -> list[OutboxEvent]:
    """Puts an event into the outbox for each watched answer that has failed or expired in this transaction."""
    if not watched:
        return []
    reasons = await reply_rows.given_up(connection, [answer.id for answer in watched])
    failures = [
        Failure(answer.report_id, NotDelivered(reasons[answer.id], answer.reply_id))
        for answer in watched
        if answer.id in reasons
    ]
    return await publish(connection, failures, now)


async def publish(connection: AsyncConnection, failures: Sequence[Failure], now: datetime) -> list[OutboxEvent]:
    """Puts an event into the outbox for each failure; returns the events.

    A report that was emptied after ``store.keep_days`` has none: nobody here knows any more what it was.

    Args:
        connection: The transaction that decides.
        failures: In the order of their events.
        now: The time of the decision.
    """
    ids = {failure.report_id for failure in failures}
    if not ids:
        return []
    await report_rows.lock(connection, ids)
    known = await report_rows.find(connection, ids)
    events: list[OutboxEvent] = []
    for failure in failures:
        if failure.report_id in known:
            raised = replace(known[failure.report_id], sequence=known[failure.report_id].sequence + 1)
            known[failure.report_id] = raised
            events.append(_event(raised, failure.not_delivered, now))
    await report_rows.amend(connection, known.values())
    if events:
        await outbox_rows.add(connection, events, to_milliseconds(now))
    return events


def _event(published: Published, not_delivered: NotDelivered, now: datetime) -> OutboxEvent:
    event = event_for(
        published.report,
        "undeliverable",
        event_id=uuid7(),
        sequence=published.sequence,
        time=now,
        not_delivered=not_delivered,
    )
    key = routing_key("undeliverable", published.report.channel)
    return OutboxEvent(event.id, published.report.id, published.sequence, key, encode(event))
