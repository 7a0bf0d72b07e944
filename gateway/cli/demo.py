"""``lapor-gateway demo``: see the gateway at work, with nothing to set up."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.common import run_async
from gateway.demo.show import Plan, show
from gateway.plugins import channel_plugins
from gateway.settings import Settings, settings_from_table
from gateway.telemetry import configure_logging


def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its database, journal and phone.")] = Path(
        "var/demo"
    ),
    pace: Annotated[float, typer.Option(min=0.05, max=500, help="SMS a second, and as many posts and mails.")] = 1.0,
    seconds: Annotated[float | None, typer.Option(min=1, help="End by itself after so long.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed invents the same citizens.")] = 1708,
) -> None:
    """Run the gateway with everything embedded, while invented citizens text, tweet and write."""
    count = run_async(show(folder.resolve(), _settings_of, Plan(pace, seconds, seed)))
    typer.echo(f"{count} events are in {folder / 'intake.jsonl'}.")


def _settings_of(table: Mapping[str, Any]) -> Settings:
    settings = settings_from_table(table, os.environ, channel_plugins())
    configure_logging(settings.log.level, settings.log.format)
    return settings
