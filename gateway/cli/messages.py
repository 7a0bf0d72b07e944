"""``lapor-gateway messages``: look at what is in custody, take it out, give it another try."""

import base64
import json
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.actions.act import MOST_AT_ONCE
from gateway.actions.messages import Verb, settle
from gateway.cli.common import ConfigOption, acting, opened_store, run_async, settings_from
from gateway.console.ledger import ledger_of, message_json
from gateway.errors import NeedsOperator
from gateway.settings import Settings
from gateway.store import messages

app = typer.Typer(
    help="Look at messages in custody, decide about held ones, export, or process again.", no_args_is_help=True
)

PAGE: Final = 500

StateOption = Annotated[str | None, typer.Option(help="received, assembling, processed, held, quarantined, discarded.")]
ChannelOption = Annotated[str | None, typer.Option(help="The channel's name.")]
IdsArgument = Annotated[list[str], typer.Argument(help="Messages, by id.")]
ReasonOption = Annotated[str, typer.Option(help="Why; it stays in the ledger and the audit log.")]


@app.command("list")
def list_messages(
    state: StateOption = None, channel: ChannelOption = None, limit: int = 20, config: ConfigOption = None
) -> None:
    """Show the newest messages: no text, no sender."""
    rows = run_async(_first_page(settings_from(config), state, channel, limit))
    table = Table("id", "received", "channel", "state", "decision", "reason")
    for row in rows:
        shown = message_json(row)
        table.add_row(
            shown["id"],
            shown["received_at"],
            shown["channel"],
            shown["state"],
            shown["decision"] or "",
            shown["reason"] or "",
        )
    Console(soft_wrap=True).print(table)


@app.command("show")
def show_message(message_id: str, config: ConfigOption = None) -> None:
    """Show one message: its ledger and its raw bytes, which hold personal data."""
    shown = run_async(_with_raw(settings_from(config), message_id))
    typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))


@app.command("replay")
def replay_messages(
    ids: Annotated[list[str] | None, typer.Argument(help="Messages; or choose them by --state.")] = None,
    state: StateOption = None,
    channel: ChannelOption = None,
    reason: ReasonOption = "",
    config: ConfigOption = None,
) -> None:
    """Have messages processed again; of what was published before, only the difference is published."""
    if not ids and not state:
        raise typer.BadParameter("name the messages, or choose them by --state")
    count = run_async(_replay_chosen(settings_from(config), ids or [], state, channel, reason))
    typer.echo(f"{count} messages will be processed again.")


@app.command("accept")
def accept_messages(ids: IdsArgument, reason: ReasonOption = "", config: ConfigOption = None) -> None:
    """Make held messages reports: they are published, and their citizens answered."""
    count = run_async(_settled(settings_from(config), "accept", ids, reason))
    typer.echo(f"{count} messages will become reports.")


@app.command("discard")
def discard_messages(ids: IdsArgument, reason: ReasonOption = "", config: ConfigOption = None) -> None:
    """Set held or quarantined messages aside; a replay brings them back."""
    count = run_async(_settled(settings_from(config), "discard", ids, reason))
    typer.echo(f"{count} messages are discarded.")


@app.command("export")
def export_messages(
    output: Annotated[Path | None, typer.Option(help="A file; standard output where left out.")] = None,
    state: StateOption = None,
    channel: ChannelOption = None,
    config: ConfigOption = None,
) -> None:
    """Write messages as JSON lines, each with its ledger and its raw bytes in base64: personal data."""
    run_async(_export(settings_from(config), output, state, channel))


async def _settled(settings: Settings, verb: Verb, ids: Sequence[str], reason: str) -> int:
    """Acts on messages, so many in one transaction; returns on how many."""
    what, count = acting(reason), 0
    async with opened_store(settings) as store:
        for start in range(0, len(ids), MOST_AT_ONCE):
            async with store.write() as connection:
                count += len(await settle(connection, verb, ids[start : start + MOST_AT_ONCE], what))
    return count


async def _first_page(settings: Settings, state: str | None, channel: str | None, limit: int) -> list[Any]:
    async with opened_store(settings) as store, store.read() as connection:
        return await messages.page(connection, state=state, channel=channel, before=None, limit=limit)


async def _with_raw(settings: Settings, message_id: str) -> dict[str, Any]:
    async with opened_store(settings) as store, store.read() as connection:
        return await _exported(connection, message_id)


async def _exported(connection: AsyncConnection, message_id: str) -> dict[str, Any]:
    found = await ledger_of(connection, message_id)
    row: Any = await messages.find(connection, message_id)
    if found is None or row is None:
        message = f"There is no message {message_id}."
        raise NeedsOperator(message)
    raw = row.raw or b""
    try:
        shown: dict[str, Any] = {"raw": json.loads(raw)}
    except ValueError:
        shown = {"raw_base64": base64.b64encode(raw).decode("ascii")}
    return {**found, "external_id": row.external_id, **shown}


async def _replay_chosen(
    settings: Settings, ids: list[str], state: str | None, channel: str | None, reason: str
) -> int:
    if state is not None:
        async with opened_store(settings) as store, store.read() as connection:
            ids = ids + [row.id async for row in _pages(connection, state, channel)]
    return await _settled(settings, "replay", ids, reason)


async def _pages(connection: AsyncConnection, state: str | None, channel: str | None) -> AsyncIterator[Any]:
    before: str | None = None
    while True:
        rows: list[Any] = await messages.page(connection, state=state, channel=channel, before=before, limit=PAGE)
        for row in rows:
            yield row
        if len(rows) < PAGE:
            return
        before = rows[-1].id


async def _export(settings: Settings, output: Path | None, state: str | None, channel: str | None) -> None:
    async with opened_store(settings) as store, store.read() as connection:
        total = await messages.count(connection, state=state, channel=channel)
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("messages", total=total)
            with output.open("w", encoding="utf-8") if output else _standard_output() as file:
                async for row in _pages(connection, state, channel):
                    file.write(json.dumps(await _exported(connection, row.id), ensure_ascii=False) + "\n")
                    progress.advance(task)


def _standard_output() -> Any:  # noqa: ANN401 - a text file whose closing leaves standard output open
    return open(sys.stdout.fileno(), "w", encoding="utf-8", closefd=False)
