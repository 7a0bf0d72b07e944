"""What the page, the API, the metrics and the terminal show of a gateway, read in one go."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, Final, get_args

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.application import Gateway
from gateway.clock import from_milliseconds, to_milliseconds
from gateway.console.figures import ALL, SPAN_SECONDS, Day, Key, read_day, read_per_minute
from gateway.console.places import free_bytes
from gateway.ports import Gap, GapState
from gateway.settings.model import zone_of
from gateway.store import backlog, channel_states
from gateway.store.backlog import Backlog, Count
from gateway.store.channel_states import ChannelRow
from gateway.store.channel_store import count_gaps, list_gaps
from gateway.store.rates import STEPS

GAPS_SHOWN: Final = 100
"""Gaps on the page and in the API, the newest of all channels."""

UNDELIVERED_DAYS: Final = 7
"""How far back answers that reached nobody are counted."""

SLOW_SECONDS: Final = 10.0
"""For how long the series and the room on the disks are shown before they are read anew."""

_NEEDED: Final = ("custody", "process")
NOTHING: Final = Count(0)


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the gateway and how it is."""

    name: str
    state: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class StepFigures:
    """One step of the pipeline: received, processed, published or answered.

    Attributes:
        per_minute: Messages a minute, over the last five minutes.
        today: Messages since midnight, in the time zone of ``answers.timezone``.
        series: Messages in each quarter of an hour of the last 24 hours, oldest first; the last is not over yet.
        waiting: What waits for this step.
        oldest_seconds: How long the oldest of that has waited; None where nothing does.
    """

    name: str
    per_minute: float
    today: int
    series: tuple[int, ...]
    waiting: Count = NOTHING
    oldest_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """The queue. ``confirm_seconds`` is what it took to confirm the newest batch; None before the first."""

    kind: str
    state: str
    reason: str
    since: datetime | None
    confirm_seconds: float | None
    waiting: Count
    parked: Count


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """The database and the disks. ``free`` is in bytes, by place: database and journal (where embedded), files."""

    kind: str
    answer_seconds: float
    free: Mapping[str, int]
    reachable: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Attention:
    """What needs a person. Answers are those of the last week; ``channels`` names those in *needs_operator*."""

    held: Count
    quarantined: Count
    parked: Count
    answers_failed: Count
    answers_unknown: Count
    channels: tuple[str, ...]

    @property
    def total(self) -> Count:
        """All of it in one number."""
        counts = self.held + self.quarantined + self.parked + self.answers_failed + self.answers_unknown
        return counts + Count(len(self.channels))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A moment of a gateway's life.

    Attributes:
        channels: Each as the API shows it; beside what the channel says of itself its ``rates`` and waiting answers.
        messages: Those that are not done, by state.
        answers: Answers to be sent (``waiting``), and those of the last week that reached nobody, by state.
        pipeline: The four steps in their order.
    """

    at: datetime
    channels: tuple[dict[str, Any], ...]
    components: tuple[Component, ...]
    messages: Mapping[str, Count]
    answers: Mapping[str, Count]
    pipeline: tuple[StepFigures, ...]
    broker: Broker
    store: StoreFigures
    attention: Attention
    gaps: tuple[dict[str, Any], ...]

    @property
    def ready(self) -> bool:
        """Whether messages are taken in: the store and the stages behind it work."""
        return all(component.state == "up" for component in self.components if component.name in _NEEDED)

    def as_json(self) -> dict[str, Any]:
        """All of it in values that JSON knows; times are RFC 3339, counts are ``{"number", "more"}``."""
        shown: dict[str, Any] = _plain(asdict(self))
        return shown


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a snapshot
    if isinstance(value, datetime):
        return rfc3339(to_milliseconds(value))
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


@dataclass(frozen=True, slots=True)
class Slow:
    """What changes slowly and is read seldom. ``read_at`` is the clock's monotonic time."""

    read_at: float
    day: Day
    free: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Read:
    """What one look into the database finds."""

    now: datetime
    seconds: float
    rows: Sequence[ChannelRow]
    backlog: Backlog
    gaps: tuple[dict[str, Any], ...]
    gap_counts: Mapping[tuple[str, str], int]
    per_minute: Mapping[Key, float]


async def is_ready(gateway: Gateway) -> bool:
    """Whether messages are taken in. Probes ask often, so this reads next to nothing. Raises StoreUnavailable."""
    async with gateway.store.read() as connection:
        await channel_states.load(connection)
    conditions = gateway.board.conditions
    return all(conditions[name].state == "up" for name in _NEEDED if name in conditions)


async def take_snapshot(gateway: Gateway) -> Snapshot:
    """Reads the state of everything, for a caller that is alone. Raises StoreUnavailable."""
    snapshot, _slow = await take(gateway, None)
    return snapshot


async def take(gateway: Gateway, slow: Slow | None) -> tuple[Snapshot, Slow]:
    """Reads the state of everything, but what changes slowly only if it is too old.

    Raises:
        StoreUnavailable: The database does not answer.
    """
    now = gateway.clock.now()
    fresh = slow is not None and gateway.clock.monotonic() - slow.read_at < SLOW_SECONDS
    free = slow.free if slow is not None and fresh else await free_bytes(gateway.settings)
    async with gateway.store.read() as connection:
        read = await _read(gateway, connection, now)
        if slow is None or not fresh:
            day = await read_day(connection, now, zone_of(gateway.settings.answers.timezone))
            slow = Slow(gateway.clock.monotonic(), day, free)
    snapshot = _composed(gateway, read, slow)
    return snapshot, slow


async def _read(gateway: Gateway, connection: AsyncConnection, now: datetime) -> _Read:
    begin = perf_counter()
    rows = await channel_states.load(connection)
    seconds = perf_counter() - begin
    since = to_milliseconds(now - timedelta(days=UNDELIVERED_DAYS))
    counted = await backlog.read(connection, list(gateway.settings.channels), since)
    gaps = await list_gaps(connection, limit=GAPS_SHOWN)
    shown = tuple(gap_json(channel, gap) for channel, gap in reversed(gaps))
    per_minute = await read_per_minute(connection, now)
    return _Read(now, seconds, rows, counted, shown, await count_gaps(connection), per_minute)


def _composed(gateway: Gateway, read: _Read, slow: Slow) -> Snapshot:
    counted = read.backlog
    channels = tuple(_channel(row, read, slow.day) for row in read.rows if row.name in gateway.settings.channels)
    waiting = sum(counted.answers.values(), NOTHING)
    return Snapshot(
        at=read.now,
        channels=channels,
        components=tuple(
            Component(name, condition.state, condition.reason, condition.since)
            for name, condition in sorted(gateway.board.conditions.items())
        ),
        messages=counted.messages,
        answers={"waiting": waiting, **counted.undelivered},
        pipeline=tuple(_step(name, read, slow.day) for name in STEPS),
        broker=_broker(gateway, counted),
        store=StoreFigures("SQLite" if gateway.store.is_sqlite else "PostgreSQL", read.seconds, slow.free),
        attention=Attention(
            counted.messages["held"],
            counted.messages["quarantined"],
            counted.parked,
            counted.undelivered["failed"],
            counted.undelivered["unknown"],
            tuple(channel["name"] for channel in channels if channel["state"] == "needs_operator"),
        ),
        gaps=read.gaps,
    )


def _step(name: str, read: _Read, day: Day) -> StepFigures:
    counted = read.backlog
    unsent = [at for at in counted.oldest_answers.values() if at is not None]
    waits: Mapping[str, tuple[Count, int | None]] = {
        "processed": (counted.messages["received"], counted.oldest_received),
        "published": (counted.pending, counted.oldest_pending),
        "answered": (sum(counted.answers.values(), NOTHING), min(unsent, default=None)),
    }
    waiting, oldest = waits.get(name, (NOTHING, None))
    age = None if oldest is None else max(0.0, (read.now - from_milliseconds(oldest)).total_seconds())
    rate = read.per_minute.get((ALL, name), 0.0)
    return StepFigures(name, rate, day.today.get((ALL, name), 0), day.points(ALL, name), waiting, age)


def _broker(gateway: Gateway, counted: Backlog) -> Broker:
    """The queue is as well as the best of the lanes that lead there."""
    lanes = [condition for name, condition in gateway.board.conditions.items() if name.startswith("publish ")]
    best = next((lane for lane in lanes if lane.state == "up"), lanes[0] if lanes else None)
    return Broker(
        kind="journal" if gateway.settings.queue.url.startswith("journal:") else "RabbitMQ",
        state="down" if best is None else best.state,
        reason="" if best is None else best.reason,
        since=None if best is None else best.since,
        confirm_seconds=gateway.publish.confirm_seconds,
        waiting=counted.pending,
        parked=counted.parked,
    )


def _channel(row: ChannelRow, read: _Read, day: Day) -> dict[str, Any]:
    shown = channel_json(row, read.gaps)
    oldest = read.backlog.oldest_answers.get(row.name)
    shown["answers_waiting"] = asdict(read.backlog.answers.get(row.name, NOTHING))
    shown["gap_counts"] = {state: read.gap_counts.get((row.name, state), 0) for state in get_args(GapState)}
    shown["oldest_answer_at"] = rfc3339(oldest)
    shown["rates"] = {
        step: {
            "per_minute": round(read.per_minute.get((row.name, step), 0.0), 2),
            "today": day.today.get((row.name, step), 0),
            "series": day.points(row.name, step),
            "series_since": rfc3339(day.since),
            "series_seconds": SPAN_SECONDS,
        }
        for step in STEPS
    }
    return shown


def gap_json(channel: str, gap: Gap) -> dict[str, Any]:
    """A gap as the API shows it."""
    return {
        "channel": channel,
        "path": gap.path,
        "since": rfc3339(to_milliseconds(gap.since)),
        "until": rfc3339(to_milliseconds(gap.until)) if gap.until else None,
        "state": gap.state,
        "found": gap.found,
        "reason": gap.reason,
    }


def channel_json(row: ChannelRow, gaps: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A channel as the API shows it, with its newest gaps."""
    shown = asdict(row)
    shown["gaps"] = [gap for gap in gaps if gap["channel"] == row.name]
    for name in ("since", "last_message_at", "updated_at"):
        shown[name] = rfc3339(shown[name])
    return shown


def rfc3339(milliseconds: int | None) -> str | None:
    """A time of the store as RFC 3339 in UTC."""
    if milliseconds is None:
        return None
    return from_milliseconds(milliseconds).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
