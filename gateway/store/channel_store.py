"""What a channel keeps in the database: its values, its gaps, and a look at what it brought in."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import from_milliseconds, to_milliseconds
from gateway.identifiers import first_uuid7
from gateway.ports import Gap, Kept, KeptFile
from gateway.store import leases
from gateway.store.engine import Store
from gateway.store.leases import Lease
from gateway.store.sql import insert_into
from gateway.store.tables import answers, channel_values, gaps, messages

UNSETTLED = ("open", "closed")
_attempted = answers.c.state.in_(("sending", "unsure", "sent", "delivered", "unknown"))
_attempted_at = answers.c.next_at
"""The time of the attempt, from the claim on."""


class StoredChannel:
    """Implements :class:`gateway.ports.ChannelStore` for one channel.

    Args:
        store: The database.
        channel: The channel's name.
        lease: The lease under which it writes; None for a channel that needs none.
    """

    def __init__(self, store: Store, channel: str, lease: Lease | None = None) -> None:
        self._store = store
        self._channel = channel
        self._lease = lease

    async def load(self, name: str) -> str | None:
        """The value that was saved under a name, or None."""
        mine = (channel_values.c.channel == self._channel) & (channel_values.c.name == name)
        async with self._store.read() as connection:
            return (await connection.execute(select(channel_values.c.value).where(mine))).scalar_one_or_none()

    async def save(self, values: Mapping[str, str], gaps: Sequence[Gap] = ()) -> None:
        """Saves values under their names and writes gaps down, all or none."""
        async with self._store.write() as connection:
            await leases.check(connection, self._lease)
            await save_values(connection, self._channel, values)
            await _save_gaps(connection, self._channel, gaps)

    async def gaps(self) -> tuple[Gap, ...]:
        """The gaps that are open or closed, oldest first."""
        async with self._store.read() as connection:
            found = await list_gaps(connection, channel=self._channel, states=UNSETTLED, limit=1000)
        return tuple(gap for _channel, gap in found)

    async def kept(self, since: datetime, after: str, limit: int) -> tuple[Kept, ...]:
        """Messages that came since and are not emptied, in the order of their ids, from behind the id ``after``."""
        bound = max(after, first_uuid7(to_milliseconds(since)))
        query = (
            select(messages.c.id, messages.c.external_id, messages.c.raw, messages.c.received_at)
            .where(messages.c.channel == self._channel, messages.c.id > bound, messages.c.raw.is_not(None))
            .order_by(messages.c.id)
            .limit(limit)
        )
        async with self._store.read() as connection:
            rows = await connection.execute(query)
            return tuple(Kept(id_, external, raw, from_milliseconds(at)) for id_, external, raw, at in rows)

    async def keep_file(self, pieces: AsyncIterator[bytes]) -> KeptFile:
        """Writes a file into the gateway's folder, complete or not at all. Raises OSError."""
        return await self._store.files.keep(pieces)

    async def message(self, external_id: str) -> Kept | None:
        """A message by its external id; None if it is not here or emptied."""
        query = select(messages.c.id, messages.c.external_id, messages.c.raw, messages.c.received_at).where(
            messages.c.channel == self._channel, messages.c.external_id == external_id, messages.c.raw.is_not(None)
        )
        async with self._store.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Kept(row.id, row.external_id, row.raw, from_milliseconds(row.received_at))

    async def attempted_since(self, since: datetime, to: str | None = None) -> int:
        """How many answers this channel has sent, or may have sent, since; that under way included."""
        query = select(func.count()).where(
            answers.c.channel == self._channel, _attempted, _attempted_at >= to_milliseconds(since)
        )
        if to is not None:
            query = query.where(answers.c.recipient == to)
        async with self._store.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def nth_attempt(self, number: int) -> datetime | None:
        """When the newest but so many of those answers was sent, or may have been; None where there are fewer."""
        query = (
            select(_attempted_at)
            .where(answers.c.channel == self._channel, _attempted)
            .order_by(_attempted_at.desc())
            .offset(number - 1)
            .limit(1)
        )
        async with self._store.read() as connection:
            at = (await connection.execute(query)).scalar_one_or_none()
        return None if at is None else from_milliseconds(at)

    async def answered_between(self, to: str, since: datetime, until: datetime) -> bool:
        """Whether the sending of an answer to a citizen was begun in a span of time, and succeeded or may have.

        ``next_at`` is the time of the attempt from the claim on: whoever answers an answer may do so before its
        ``sent_at`` is known.
        """
        query = select(answers.c.id).where(
            answers.c.channel == self._channel,
            answers.c.recipient == to,
            _attempted,
            answers.c.next_at >= to_milliseconds(since),
            answers.c.next_at < to_milliseconds(until),
        )
        async with self._store.read() as connection:
            return (await connection.execute(query.limit(1))).one_or_none() is not None


async def save_values(connection: AsyncConnection, channel: str, values: Mapping[str, str]) -> None:
    """Saves a channel's values under their names."""
    for name in sorted(values):
        statement = insert_into(connection, channel_values).values(channel=channel, name=name, value=values[name])
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=[channel_values.c.channel, channel_values.c.name],
                set_={"value": statement.excluded.value},
            )
        )


async def _save_gaps(connection: AsyncConnection, channel: str, new: Sequence[Gap]) -> None:
    for gap in new:
        row = _row_of(channel, gap)
        statement = insert_into(connection, gaps).values(row)
        changed = {name: row[name] for name in ("until", "state", "reason", "found")}
        await connection.execute(
            statement.on_conflict_do_update(index_elements=[gaps.c.channel, gaps.c.path, gaps.c.since], set_=changed)
        )


async def list_gaps(
    connection: AsyncConnection, *, limit: int, channel: str | None = None, states: Sequence[str] = ()
) -> list[tuple[str, Gap]]:
    """Gaps with their channel's name: the newest so many, oldest first."""
    query = select(gaps).order_by(gaps.c.since.desc()).limit(limit)
    if channel is not None:
        query = query.where(gaps.c.channel == channel)
    if states:
        query = query.where(gaps.c.state.in_(states))
    rows = list(await connection.execute(query))
    return [
        (
            row.channel,
            Gap(
                path=row.path,
                since=from_milliseconds(row.since),
                until=None if row.until is None else from_milliseconds(row.until),
                state=row.state,
                reason=row.reason,
                found=row.found,
            ),
        )
        for row in reversed(rows)
    ]


async def count_gaps(connection: AsyncConnection) -> dict[tuple[str, str], int]:
    """How many gaps each channel has in each state."""
    query = select(gaps.c.channel, gaps.c.state, func.count()).group_by(gaps.c.channel, gaps.c.state)
    return {(channel, state): number for channel, state, number in await connection.execute(query)}


def _row_of(channel: str, gap: Gap) -> dict[str, object]:
    return {
        "channel": channel,
        "path": gap.path,
        "since": to_milliseconds(gap.since),
        "until": None if gap.until is None else to_milliseconds(gap.until),
        "state": gap.state,
        "reason": gap.reason,
        "found": gap.found,
    }
