"""What waits and what went wrong, counted from indexes and no further than a bound, whatever the tables hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.identifiers import first_uuid7
from gateway.store.tables import PARKED, UNDELIVERED, UNSENT, answers, messages, outbox

COUNTED: Final = 10_000
"""Rows that are counted at most; a larger backlog is shown as that many and more."""

OPEN_STATES: Final = ("received", "assembling", "held", "quarantined")
UNDELIVERED_STATES: Final = ("failed", "expired", "unknown")
_PENDING: Final = outbox.c.confirmed_at.is_(None) & outbox.c.parked_at.is_(None)


@dataclass(frozen=True, slots=True)
class Count:
    """A number of rows; with ``more``, at least so many."""

    number: int
    more: bool = False

    def __bool__(self) -> bool:
        return self.number > 0

    def __str__(self) -> str:
        return f"{self.number}+" if self.more else str(self.number)

    def __add__(self, other: "Count") -> "Count":
        return Count(self.number + other.number, self.more or other.more)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits, and what needs somebody. Times are in milliseconds, None where nothing waits.

    Attributes:
        messages: Those that are not done, by their state.
        oldest_received: When the oldest message came that waits to be processed.
        pending: Events that wait for the queue.
        oldest_pending: When the oldest of them was decided.
        parked: Events that the queue refused for good.
        answers: Answers to be sent, by channel.
        oldest_answers: When the oldest of them was decided, by channel.
        undelivered: Answers that reached nobody or perhaps nobody, by state.
    """

    messages: Mapping[str, Count]
    oldest_received: int | None
    pending: Count
    oldest_pending: int | None
    parked: Count
    answers: Mapping[str, Count]
    oldest_answers: Mapping[str, int | None]
    undelivered: Mapping[str, Count]


async def read(connection: AsyncConnection, channels: Sequence[str], undelivered_since: int) -> Backlog:
    """Counts everything in one statement.

    Args:
        connection: An open transaction.
        channels: The names of the channels whose answers are counted.
        undelivered_since: Undelivered answers that were decided before this time (ms) are left out.
    """
    columns: list[ScalarSelect[Any]] = [_number(_messages(state)) for state in OPEN_STATES]
    columns += [_oldest_received(), _number(select(outbox.c.id).where(_PENDING)), _oldest_pending()]
    columns.append(_number(select(outbox.c.id).where(PARKED)))
    first = first_uuid7(undelivered_since)
    columns += [_number(_undelivered(state, first)) for state in UNDELIVERED_STATES]
    for name in channels:
        columns += [_number(_unsent(name)), _oldest_unsent(name)]
    numbered = [column.label(f"c{position}") for position, column in enumerate(columns)]
    values = iter((await connection.execute(select(*numbered))).one())
    return Backlog(
        messages={state: _counted(next(values)) for state in OPEN_STATES},
        oldest_received=next(values),
        pending=_counted(next(values)),
        oldest_pending=next(values),
        parked=_counted(next(values)),
        undelivered={state: _counted(next(values)) for state in UNDELIVERED_STATES},
        **_by_channel(channels, list(values)),
    )


def _by_channel(channels: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return {
        "answers": {name: _counted(number) for name, number in zip(channels, values[::2], strict=True)},
        "oldest_answers": dict(zip(channels, values[1::2], strict=True)),
    }


def _counted(number: int) -> Count:
    return Count(min(number, COUNTED), number > COUNTED)


def _number(rows: Select[Any]) -> ScalarSelect[int]:
    return select(func.count()).select_from(rows.limit(COUNTED + 1).subquery()).scalar_subquery()


def _is(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """Equal to a word of ours, written into the statement: only then is a partial index sure to be used."""
    return column == literal_column(f"'{value}'")


def _messages(state: str) -> Select[Any]:
    is_open = messages.c.state != literal_column("'processed'")  # says to SQLite which index this is about
    return select(messages.c.id).where(_is(messages.c.state, state), is_open)


def _oldest_received() -> ScalarSelect[Any]:
    waiting = select(messages.c.received_at).where(_is(messages.c.state, "received"))
    return waiting.order_by(messages.c.id).limit(1).scalar_subquery()


def _oldest_pending() -> ScalarSelect[Any]:
    return select(outbox.c.created_at).where(_PENDING).order_by(outbox.c.id).limit(1).scalar_subquery()


def _undelivered(state: str, first: str) -> Select[Any]:
    return select(answers.c.id).where(_is(answers.c.state, state), UNDELIVERED, answers.c.id >= first)


def _unsent(channel: str) -> Select[Any]:
    return select(answers.c.id).where(answers.c.channel == channel, UNSENT)


def _oldest_unsent(channel: str) -> ScalarSelect[Any]:
    waiting = select(answers.c.created_at).where(answers.c.channel == channel, UNSENT)
    return waiting.order_by(answers.c.id).limit(1).scalar_subquery()
