"""``lapor-gateway channels``: what the console shows of the channels and the pipeline, in the terminal."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.common import ConfigOption, opened_store, run_async, settings_from
from gateway.clock import SystemClock, from_milliseconds, to_milliseconds
from gateway.ports import Gap
from gateway.settings import Settings
from gateway.store import backlog, channel_states, rates
from gateway.store.backlog import Backlog, Count
from gateway.store.channel_states import ChannelRow
from gateway.store.channel_store import list_gaps

DAY: Final = timedelta(days=1)
UNDELIVERED: Final = timedelta(days=7)
"""How far back answers that did not arrive are counted, as on the console."""

_SHOWN: Final[Mapping[str, str]] = {
    "signal_percent": "signal {} %",
    "operator": "network {}",
    "sim_used": "SIM slots used {}",
    "stream": "stream {}",
    "stream_age_seconds": "stream age {} s",
    "search_lag_seconds": "search lag {} s",
    "waiting_posts": "{} posts wait",
    "posts_24h": "{} posts in 24 h",
    "waiting_mails": "{} mails wait",
    "oldest_waiting_seconds": "the oldest for {} s",
    "skipped_mails": "{} mails set aside",
    "answers_wait_because": "answers wait: {}",
}
"""What of a channel's details goes into one line; the API has all of them."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What the database says at a moment."""

    at: datetime
    rows: list[ChannelRow]
    gaps: list[tuple[str, Gap]]
    backlog: Backlog
    received: Counter[str]


def channels(
    gaps: Annotated[int, typer.Option(min=0, max=1000, help="How many gaps to show, the newest.")] = 20,
    config: ConfigOption = None,
) -> None:
    """Show every channel that ever ran, what waits at each step, and times in which a source may have had more."""
    found = run_async(_read(settings_from(config), gaps))
    terminal = Console(soft_wrap=True)
    terminal.print(_channel_table(found))
    terminal.print(_reason_table(found))
    terminal.print(_pipeline_table(found))
    if found.gaps:
        terminal.print(_gap_table(found.gaps))


async def _read(settings: Settings, limit: int) -> _Read:
    now = SystemClock().now()
    async with opened_store(settings) as store, store.read() as connection:
        rows = await channel_states.load(connection)
        counted = await rates.since(connection, rates.HOUR, to_milliseconds(now - DAY), ["received"])
        received = Counter[str]()
        for bucket in counted:
            received[bucket.channel] += bucket.count
        waiting = await backlog.read(connection, [row.name for row in rows], to_milliseconds(now - UNDELIVERED))
        return _Read(now, rows, await list_gaps(connection, limit=limit), waiting, received)


def _channel_table(found: _Read) -> Table:
    table = Table("channel", "type", "state", "last message", "in 24 h", "answers wait")
    for column in table.columns:
        column.no_wrap = True
    for row in found.rows:
        waiting = str(found.backlog.answers.get(row.name, Count(0)))
        last = _moment(row.last_message_at)
        table.add_row(row.name, row.type, row.state, last, str(found.received[row.name]), waiting)
    return table


def _reason_table(found: _Read) -> Table:
    """Why each channel is as it is, since when, and what it tells of itself."""
    table = Table("channel", "since", "reason and details")
    for column in table.columns[:2]:
        column.no_wrap = True
    for row in found.rows:
        said = "; ".join(filter(None, [row.reason, *_details(row.details)]))
        table.add_row(row.name, _moment(row.since), said or "–")
    return table


def _moment(milliseconds: int | None) -> str:
    return "–" if milliseconds is None else f"{from_milliseconds(milliseconds):%Y-%m-%d %H:%M:%S}"


def _details(details: Mapping[str, Any]) -> list[str]:
    return [text.format(details[name]) for name, text in _SHOWN.items() if details.get(name) not in (None, "", 0)]


def _pipeline_table(found: _Read) -> Table:
    waiting = found.backlog
    oldest_answer = min((at for at in waiting.oldest_answers.values() if at is not None), default=None)
    answers = sum(waiting.answers.values(), Count(0))
    undelivered = sum(waiting.undelivered.values(), Count(0))
    table = Table("what", "how many", "the oldest", title="Pipeline")
    for what, count, oldest in (
        ("waits to be processed", waiting.messages.get("received", Count(0)), waiting.oldest_received),
        ("waits for missing parts", waiting.messages.get("assembling", Count(0)), None),
        ("waits for the queue", waiting.pending, waiting.oldest_pending),
        ("answers wait to be sent", answers, oldest_answer),
        ("held: accept or discard", waiting.messages.get("held", Count(0)), None),
        ("quarantined: replay or discard", waiting.messages.get("quarantined", Count(0)), None),
        ("refused by the queue", waiting.parked, None),
        ("answers of 7 days that did not arrive", undelivered, None),
    ):
        table.add_row(what, str(count), _age(found.at, oldest))
    return table


def _age(now: datetime, moment: int | None) -> str:
    if moment is None:
        return "–"
    return f"{max(0, round((now - from_milliseconds(moment)).total_seconds()))} s"


def _gap_table(found: list[tuple[str, Gap]]) -> Table:
    table = Table("channel", "path", "from", "to", "state", "found", "reason", title="Gaps")
    for channel, gap in found:
        until = f"{gap.until:%Y-%m-%d %H:%M:%S}" if gap.until else "–"
        since = f"{gap.since:%Y-%m-%d %H:%M:%S}"
        table.add_row(channel, gap.path, since, until, gap.state, str(gap.found), gap.reason)
    return table
