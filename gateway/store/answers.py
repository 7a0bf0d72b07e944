"""Queries on ``answers``: what citizens are told, each at most once for one message."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import OutgoingAnswer
from gateway.store.sql import insert_new
from gateway.store.tables import answer_parts, answers

AnswerState = Literal["queued", "sending", "sent", "delivered", "failed", "expired", "unknown"]


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """An answer to be sent."""

    id: str
    message_id: str
    report_id: str | None
    channel: str
    kind: Literal["receipt"]
    recipient: str
    text: str


async def add(connection: AsyncConnection, new: Sequence[NewAnswer], at: int) -> None:
    """Queues answers; one of the same kind for the same message is never queued twice."""
    await connection.execute(
        insert_new(connection, answers),
        [
            {
                "id": answer.id,
                "message_id": answer.message_id,
                "report_id": answer.report_id,
                "channel": answer.channel,
                "kind": answer.kind,
                "recipient": answer.recipient,
                "text": answer.text,
                "state": "queued",
                "created_at": at,
                "next_at": at,
            }
            for answer in new
        ],
    )


async def recover(connection: AsyncConnection, channel: str, *, resend: bool) -> int:
    """Settles answers that were being sent when the process died. Returns how many.

    Args:
        connection: An open transaction.
        channel: The channel's name.
        resend: Whether one may go once more; else, and the second time, it becomes *unknown*.
    """
    in_between = (answers.c.channel == channel) & (answers.c.state == "sending")
    return await _settle_unknown(connection, in_between, resend=resend)


async def mark_maybe_sent(connection: AsyncConnection, answer_id: str, *, resend: bool) -> None:
    """Nobody knows whether the attempt got through: it goes once more, or is *unknown*."""
    await _settle_unknown(connection, answers.c.id == answer_id, resend=resend)


async def _settle_unknown(connection: AsyncConnection, which: ColumnElement[bool], *, resend: bool) -> int:
    settled = 0
    if resend:
        again = which & (answers.c.attempts < 2)  # noqa: PLR2004 - the first attempt and one more
        settled += (await connection.execute(update(answers).where(again).values(state="queued"))).rowcount
    reason = "The gateway or the channel failed while this was being sent; nobody knows whether it arrived."
    still_sending = which & (answers.c.state == "sending")
    statement = update(answers).where(still_sending).values(state="unknown", reason=reason)
    return settled + (await connection.execute(statement)).rowcount


async def expire(connection: AsyncConnection, channel: str, created_before: int) -> int:
    """Gives up answers that are too old to help anybody. Returns how many."""
    statement = (
        update(answers)
        .where(answers.c.channel == channel, answers.c.state == "queued", answers.c.created_at < created_before)
        .values(state="expired", reason="It could not be sent in time.")
    )
    return (await connection.execute(statement)).rowcount


async def next_due(connection: AsyncConnection, channel: str, now: int) -> OutgoingAnswer | None:
    """The oldest answer that may be tried now, marked as *sending* in this transaction."""
    query = (
        select(answers.c.id, answers.c.recipient, answers.c.text, answers.c.attempts + 1)
        .where(answers.c.channel == channel, answers.c.state == "queued", answers.c.next_at <= now)
        .order_by(answers.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    answer = OutgoingAnswer(*row)
    await connection.execute(
        update(answers)
        .where(answers.c.id == answer.id, answers.c.state == "queued")
        .values(state="sending", attempts=answer.attempt)
    )
    return answer


async def mark_sent(
    connection: AsyncConnection, answer_id: str, channel: str, references: Sequence[str], at: int
) -> None:
    """The channel took the answer; its references wait for delivery reports."""
    await connection.execute(
        update(answers).where(answers.c.id == answer_id).values(state="sent", sent_at=at, reason=None)
    )
    if references:
        await connection.execute(
            insert_new(connection, answer_parts),
            [
                {"answer_id": answer_id, "reference": reference, "channel": channel, "sent_at": at}
                for reference in dict.fromkeys(references)
            ],
        )


async def mark_unsent(connection: AsyncConnection, answer_id: str, reason: str, retry_at: int | None) -> None:
    """The attempt failed: tried again at ``retry_at``, or failed for good where that is None."""
    state = "failed" if retry_at is None else "queued"
    values = {"state": state, "reason": reason} | ({} if retry_at is None else {"next_at": retry_at})
    await connection.execute(update(answers).where(answers.c.id == answer_id).values(values))


async def delivery_report(
    connection: AsyncConnection, channel: str, reference: str, recipient: str, outcome: str, at: int
) -> str | None:
    """Writes down what a delivery report says of one part. Returns the answer's id, or None if none is known.

    References are a byte and come again: the newest part with this reference and recipient is meant.
    """
    query = (
        select(answer_parts.c.answer_id)
        .join(answers, answers.c.id == answer_parts.c.answer_id)
        .where(
            answer_parts.c.channel == channel,
            answer_parts.c.reference == reference,
            answers.c.recipient == recipient,
        )
        .order_by(answer_parts.c.sent_at.desc())
        .limit(1)
    )
    answer_id: str | None = (await connection.execute(query)).scalar_one_or_none()
    if answer_id is None or outcome == "pending":
        return answer_id
    this_part = (answer_parts.c.answer_id == answer_id) & (answer_parts.c.reference == reference)
    await connection.execute(update(answer_parts).where(this_part).values(outcome=outcome))
    if outcome == "failed":
        reason = "The network could not deliver it."
        await connection.execute(update(answers).where(answers.c.id == answer_id).values(state="failed", reason=reason))
        return answer_id
    undelivered = (
        select(answer_parts.c.reference)
        .where(answer_parts.c.answer_id == answer_id, answer_parts.c.outcome.is_distinct_from("delivered"))
        .exists()
    )
    await connection.execute(
        update(answers)
        .where(answers.c.id == answer_id, answers.c.state == "sent", ~undelivered)
        .values(state="delivered", delivered_at=at)
    )
    return answer_id


async def counts(connection: AsyncConnection) -> dict[str, int]:
    """How many answers are in each state."""
    query = select(answers.c.state, func.count()).group_by(answers.c.state)
    return dict((await connection.execute(query)).all())
