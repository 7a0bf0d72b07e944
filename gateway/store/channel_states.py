"""Queries on ``channels``: how each channel was when it was last looked at."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.sql import insert_into
from gateway.store.tables import channels


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """One channel. Times are in milliseconds."""

    name: str
    type: str
    state: str
    reason: str
    since: int
    last_message_at: int | None
    details: Mapping[str, Any]
    updated_at: int


async def save(connection: AsyncConnection, row: ChannelRow) -> None:
    """Keeps how a channel is. A last message that is not known leaves the one that was known before."""
    values = {
        "name": row.name,
        "type": row.type,
        "state": row.state,
        "reason": row.reason,
        "since": row.since,
        "last_message_at": row.last_message_at,
        "details": json.dumps(dict(row.details), sort_keys=True),
        "updated_at": row.updated_at,
    }
    statement = insert_into(connection, channels).values(values)
    changed: dict[str, Any] = {name: value for name, value in values.items() if name != "name"}
    changed["last_message_at"] = func.coalesce(statement.excluded.last_message_at, channels.c.last_message_at)
    await connection.execute(statement.on_conflict_do_update(index_elements=[channels.c.name], set_=changed))


async def load(connection: AsyncConnection) -> list[ChannelRow]:
    """Every channel that ever ran, by name."""
    rows = await connection.execute(select(channels).order_by(channels.c.name))
    return [
        ChannelRow(
            name=row.name,
            type=row.type,
            state=row.state,
            reason=row.reason,
            since=row.since,
            last_message_at=row.last_message_at,
            details=json.loads(row.details),
            updated_at=row.updated_at,
        )
        for row in rows
    ]
