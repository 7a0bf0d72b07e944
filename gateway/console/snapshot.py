"""What the page, the API and the terminal show of a gateway, read in one go."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, get_args

from gateway.application import Gateway
from gateway.clock import from_milliseconds, to_milliseconds
from gateway.ports import Gap, GapState
from gateway.store import answers, channel_states, messages, outbox
from gateway.store.channel_store import count_gaps, list_gaps

GAPS_SHOWN: Final = 100
"""Gaps on the page and in the API, the newest of all channels."""


_NEEDED: Final = ("custody", "process")


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the gateway and how it is."""

    name: str
    state: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A moment of a gateway's life."""

    at: datetime
    channels: tuple[dict[str, Any], ...]
    components: tuple[Component, ...]
    messages: dict[str, int]
    answers: dict[str, int]
    outbox_pending: int
    outbox_parked: int
    gaps: tuple[dict[str, Any], ...]

    @property
    def ready(self) -> bool:
        """Whether messages are taken in: the store and the stages behind it work."""
        return all(component.state == "up" for component in self.components if component.name in _NEEDED)


async def is_ready(gateway: Gateway) -> bool:
    """Whether messages are taken in. Probes ask often, so this reads next to nothing. Raises StoreUnavailable."""
    async with gateway.store.read() as connection:
        await channel_states.load(connection)
    conditions = gateway.board.conditions
    return all(conditions[name].state == "up" for name in _NEEDED if name in conditions)


async def take_snapshot(gateway: Gateway) -> Snapshot:
    """Reads the state of everything. Raises StoreUnavailable."""
    async with gateway.store.read() as connection:
        rows = await channel_states.load(connection)
        by_state = await messages.counts(connection)
        answered = await answers.counts(connection)
        pending = await outbox.count_pending(connection)
        parked = await outbox.count_parked(connection)
        gaps = await list_gaps(connection, limit=GAPS_SHOWN)
        counted = await count_gaps(connection)
    gateway.metrics.outbox_pending.set(pending)
    for name in gateway.settings.channels:
        for state in get_args(GapState):
            gateway.metrics.gaps.labels(name, state).set(counted.get((name, state), 0))
    components = tuple(
        Component(name, condition.state, condition.reason, condition.since)
        for name, condition in sorted(gateway.board.conditions.items())
    )
    shown = tuple(gap_json(channel, gap) for channel, gap in reversed(gaps))
    configured = [channel_json(row, shown) for row in rows if row.name in gateway.settings.channels]
    return Snapshot(gateway.clock.now(), tuple(configured), components, by_state, answered, pending, parked, shown)


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


def channel_json(row: channel_states.ChannelRow, gaps: Sequence[dict[str, Any]]) -> dict[str, Any]:
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
