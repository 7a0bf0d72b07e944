"""Queries on ``audit``: who did what, when, to what, and why. Rows are only ever added."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.tables import audit


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One act of one operator; the time in milliseconds. Neither subject nor reason names a citizen."""

    id: str
    at: int
    operator: str
    via: str
    action: str
    subject: str
    reason: str


async def add(connection: AsyncConnection, rows: Sequence[AuditRow]) -> None:
    """Writes acts down, in the transaction that does them."""
    if rows:
        names = AuditRow.__slots__
        await connection.execute(audit.insert(), [{name: getattr(row, name) for name in names} for row in rows])


async def page(
    connection: AsyncConnection,
    *,
    limit: int,
    before: str | None = None,
    subject: str | None = None,
    operator: str | None = None,
) -> list[AuditRow]:
    """The newest acts first; ``before`` is the id that the page before ended with."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    if operator is not None:
        query = query.where(audit.c.operator == operator)
    return [AuditRow(*row) for row in await connection.execute(query)]
