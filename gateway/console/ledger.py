"""The custody ledger of one message: every step with its time, read from the rows that the steps left behind."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.console.snapshot import rfc3339
from gateway.store import messages
from gateway.store.tables import answers, ledger, outbox


def message_json(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of the table
    """A message as the API shows it: no text, no sender."""
    return {
        "id": row.id,
        "channel": row.channel,
        "state": row.state,
        "decision": row.decision,
        "reason": row.reason,
        "report_id": row.report_id,
        "received_at": rfc3339(row.received_at),
        "processed_at": rfc3339(row.processed_at),
    }


async def ledger_of(connection: AsyncConnection, message_id: str) -> dict[str, Any] | None:
    """A message and its steps in the order of their times, or None if there is no such message."""
    row: Any = await messages.find(connection, message_id)
    if row is None:
        return None
    steps: list[tuple[int, str, str | None]] = [(row.received_at, "committed", None)]
    if row.released_at is not None:
        steps.append((row.released_at, "released from its source", None))
    if row.processed_at is not None:
        steps.append((row.processed_at, f"processed: {row.decision or row.state}", row.reason))
    if row.report_id is not None:
        steps += await _event_steps(connection, row.report_id)
    steps += await _answer_steps(connection, message_id)
    query = select(ledger.c.at, ledger.c.step, ledger.c.detail).where(ledger.c.message_id == message_id)
    steps += [(at, step, detail) for at, step, detail in await connection.execute(query)]
    steps.sort(key=lambda step: step[0])
    shown = [{"at": rfc3339(at), "step": step, "detail": detail} for at, step, detail in steps]
    return {**message_json(row), "steps": shown}


async def _event_steps(connection: AsyncConnection, report_id: str) -> list[tuple[int, str, str | None]]:
    query = select(outbox).where(outbox.c.report_id == report_id).order_by(outbox.c.sequence)
    steps: list[tuple[int, str, str | None]] = []
    for event in await connection.execute(query):
        steps.append((event.created_at, f"event {event.sequence} decided: {event.routing_key}", event.id))
        if event.confirmed_at is not None:
            steps.append((event.confirmed_at, f"event {event.sequence} confirmed by the queue", None))
        if event.parked_at is not None:
            steps.append((event.parked_at, f"event {event.sequence} parked", event.reason))
    return steps


async def _answer_steps(connection: AsyncConnection, message_id: str) -> list[tuple[int, str, str | None]]:
    query = select(answers).where(answers.c.message_id == message_id).order_by(answers.c.id)
    steps: list[tuple[int, str, str | None]] = []
    for answer in await connection.execute(query):
        steps.append((answer.created_at, f"{answer.kind} queued", None))
        if answer.sent_at is not None:
            steps.append((answer.sent_at, f"{answer.kind} sent", None))
        if answer.delivered_at is not None:
            steps.append((answer.delivered_at, f"{answer.kind} delivered", None))
        if answer.state in ("failed", "expired", "unknown"):
            steps.append((answer.next_at, f"{answer.kind} {answer.state}", answer.reason))
    return steps
