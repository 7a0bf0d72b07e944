"""Queries on ``answers``: what citizens are told, each at most once for one message."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import AfterCrash, AnswerKind, OutgoingAnswer
from gateway.store.sql import insert_new
from gateway.store.tables import UNSENT, answer_parts, answers, messages

AnswerState = Literal["queued", "sending", "unsure", "sent", "delivered", "failed", "expired", "unknown"]
_NOBODY_KNOWS = "The gateway or the channel failed while this was being sent; nobody knows whether it arrived."
_emptied = answers.c.recipient.is_(None)
"""There is nobody to tell any more: the message was withdrawn while this was being sent."""


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """An answer to be sent."""

    id: str
    message_id: str
    report_id: str | None
    channel: str
    kind: AnswerKind
    recipient: str
    text: str
    reply_id: str = ""
    """The id of the core's reply that it passes on."""
    next_at: int | None = None
    """Not sent before, in milliseconds; at once where left out."""


async def add(connection: AsyncConnection, new: Sequence[NewAnswer], at: int) -> None:
    """Queues answers; one of the same kind for the same message, or for the same reply, is never queued twice."""
    await connection.execute(
        insert_new(connection, answers),
        [
            {
                "id": answer.id,
                "message_id": answer.message_id,
                "report_id": answer.report_id,
                "channel": answer.channel,
                "kind": answer.kind,
                "reply_id": answer.reply_id,
                "recipient": answer.recipient,
                "text": answer.text,
                "state": "queued",
                "created_at": at,
                "next_at": at if answer.next_at is None else answer.next_at,
            }
            for answer in new
        ],
    )


async def recover(connection: AsyncConnection, channel: str, after_crash: AfterCrash, now: int) -> int:
    """Settles answers that were being sent when the process died, as the channel's plug-in says. Returns how many."""
    in_between = (answers.c.channel == channel) & (answers.c.state == "sending")
    return await _settle_unknown(connection, in_between, after_crash, now)


async def mark_maybe_sent(
    connection: AsyncConnection, answer: OutgoingAnswer, after_crash: AfterCrash, next_at: int
) -> None:
    """Nobody knows whether the attempt got through: it goes once more, is looked for, or is *unknown*."""
    await _settle_unknown(connection, _attempt(answer), after_crash, next_at)


async def mark_unknown(connection: AsyncConnection, answer: OutgoingAnswer) -> None:
    """Nobody knows whether an attempt got through, and nobody will: it is shown as that."""
    await _settle_unknown(connection, _attempt(answer), "unknown", 0)


async def _settle_unknown(
    connection: AsyncConnection, which: ColumnElement[bool], after_crash: AfterCrash, next_at: int
) -> int:
    settled = 0
    wanted = which & ~_emptied
    if after_crash == "look":
        statement = update(answers).where(wanted).values(state="unsure", next_at=next_at)
        settled += (await connection.execute(statement)).rowcount
        which &= _emptied
    elif after_crash == "resend":
        again = wanted & (answers.c.attempts < 2)  # noqa: PLR2004 - the first attempt and one more
        settled += (await connection.execute(update(answers).where(again).values(state="queued"))).rowcount
    under_way = which & answers.c.state.in_(("sending", "unsure"))
    statement = update(answers).where(under_way).values(state="unknown", reason=_NOBODY_KNOWS)
    return settled + (await connection.execute(statement)).rowcount


async def expire(connection: AsyncConnection, channel: str, created_before: int) -> int:
    """Gives up answers that are too old to help anybody. Returns how many."""
    old = (answers.c.channel == channel) & UNSENT & (answers.c.created_at < created_before)
    given_up = 0
    for state, outcome, reason in (
        ("queued", "expired", "It could not be sent in time."),
        ("unsure", "unknown", _NOBODY_KNOWS),
    ):
        statement = update(answers).where(old, answers.c.state == state).values(state=outcome, reason=reason)
        given_up += (await connection.execute(statement)).rowcount
    return given_up


@dataclass(frozen=True, slots=True)
class DueAnswer:
    """An answer whose turn it is; ``unsure`` when it has to be looked for before it may be sent."""

    answer: OutgoingAnswer
    unsure: bool
    message_id: str
    """The message that it answers; a test's own id."""


async def next_due(connection: AsyncConnection, channel: str, now: int) -> DueAnswer | None:
    """The oldest answer that may be tried now, marked as *sending* in this transaction unless it is unsure."""
    unsure = answers.c.state == "unsure"
    query = (
        select(
            answers.c.id,
            answers.c.recipient,
            answers.c.text,
            case((unsure, answers.c.attempts), else_=answers.c.attempts + 1),
            func.coalesce(messages.c.external_id, ""),
            answers.c.kind,
            unsure,
            answers.c.message_id,
        )
        .outerjoin(messages, messages.c.id == answers.c.message_id)
        .where(answers.c.channel == channel, answers.c.state.in_(("queued", "unsure")), answers.c.next_at <= now)
        .where(UNSENT)
        .where(~_emptied)
        .order_by(answers.c.id)
        .limit(1)
        .with_for_update(of=answers, skip_locked=True)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    *values, is_unsure, message_id = row
    answer = OutgoingAnswer(*values)
    if not is_unsure:
        await connection.execute(
            update(answers)
            .where(answers.c.id == answer.id, answers.c.state == "queued")
            .values(state="sending", attempts=answer.attempt, next_at=now)  # the time of the attempt
        )
    return DueAnswer(answer, bool(is_unsure), message_id)


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


async def mark_unsent(connection: AsyncConnection, answer: OutgoingAnswer, reason: str, retry_at: int | None) -> None:
    """The attempt failed: tried again at ``retry_at``, or failed for good where that is None."""
    if retry_at is None:
        values = {"state": "failed", "reason": reason}
    else:
        values = _waiting("queued", reason) | {"next_at": retry_at}
    await connection.execute(update(answers).where(_attempt(answer)).values(values))


async def put_off(connection: AsyncConnection, due: DueAnswer, reason: str, until: int) -> None:
    """The answer waits until a moment, and nothing was tried: the attempt is taken back."""
    attempts = due.answer.attempt if due.unsure else due.answer.attempt - 1
    state = "unsure" if due.unsure else "queued"
    values = _waiting(state, reason) | {"next_at": until, "attempts": attempts}
    await connection.execute(update(answers).where(_attempt(due.answer)).values(values))


async def mark_not_there(connection: AsyncConnection, answer: OutgoingAnswer) -> None:
    """An unsure answer was looked for and did not go out: it is sent after all."""
    await connection.execute(update(answers).where(_attempt(answer)).values(_waiting("queued", None)))


def _waiting(state: str, reason: str | None) -> dict[str, Any]:
    """An answer that was under way waits again; if it was emptied meanwhile, it has come to its end."""
    return {
        "state": case((_emptied, "expired"), else_=state),
        "reason": case((_emptied, answers.c.reason), else_=reason),
    }


async def cancel(connection: AsyncConnection, report_id: str, reason: str) -> None:
    """Empties what a report's citizen is told; what has not been sent is not sent any more.

    An answer that is under way may still arrive; if it does not, it is not tried again.
    """
    its = answers.c.report_id == report_id
    waits = answers.c.state.in_(("queued", "unsure"))
    await connection.execute(
        update(answers)
        .where(its, waits | (answers.c.state == "sending"))
        .values(state=case((waits, "expired"), else_=answers.c.state), reason=reason)
    )
    await connection.execute(update(answers).where(its).values(recipient=None, text=None))


async def reports_answered(connection: AsyncConnection, channel: str, references: Collection[str]) -> dict[str, str]:
    """The ids of the reports whose answers the channel knows by these references."""
    query = (
        select(answer_parts.c.reference, answers.c.report_id)
        .join(answers, answers.c.id == answer_parts.c.answer_id)
        .where(
            answer_parts.c.channel == channel,
            answer_parts.c.reference.in_(references),
            answers.c.report_id.is_not(None),
        )
    )
    return dict((await connection.execute(query)).all())


def _attempt(answer: OutgoingAnswer) -> ColumnElement[bool]:
    """This very attempt: another gateway may have taken the answer over since."""
    return (
        (answers.c.id == answer.id)
        & (answers.c.attempts == answer.attempt)
        & answers.c.state.in_(("sending", "unsure"))
    )


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
