"""``lapor-gateway channels``: how each channel was when it was last looked at, and its gaps."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.common import ConfigOption, opened_store, run_async, settings_from
from gateway.console.snapshot import rfc3339
from gateway.ports import Gap
from gateway.settings import Settings
from gateway.store import channel_states
from gateway.store.channel_states import ChannelRow
from gateway.store.channel_store import list_gaps


def channels(
    gaps: Annotated[int, typer.Option(min=0, max=1000, help="How many gaps to show, the newest.")] = 20,
    config: ConfigOption = None,
) -> None:
    """Show every channel that ever ran, and the times in which a source may have had more than came."""
    rows, found = run_async(_read(settings_from(config), gaps))
    terminal = Console(soft_wrap=True)
    terminal.print(_channel_table(rows))
    if found:
        terminal.print(_gap_table(found))


async def _read(settings: Settings, limit: int) -> tuple[list[ChannelRow], list[tuple[str, Gap]]]:
    async with opened_store(settings) as store, store.read() as connection:
        return await channel_states.load(connection), await list_gaps(connection, limit=limit)


def _channel_table(rows: list[ChannelRow]) -> Table:
    table = Table("channel", "type", "state", "since", "last message", "reason")
    for row in rows:
        table.add_row(
            row.name, row.type, row.state, rfc3339(row.since), rfc3339(row.last_message_at) or "–", row.reason
        )
    return table


def _gap_table(found: list[tuple[str, Gap]]) -> Table:
    table = Table("channel", "path", "from", "to", "state", "found", "reason", title="Gaps")
    for channel, gap in found:
        until = f"{gap.until:%Y-%m-%d %H:%M:%S}" if gap.until else "–"
        since = f"{gap.since:%Y-%m-%d %H:%M:%S}"
        table.add_row(channel, gap.path, since, until, gap.state, str(gap.found), gap.reason)
    return table
