"""``lapor-gateway demo``: see the gateway at work, with nothing to set up."""

import os
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import run_async
from gateway.demo.show import demo_table, show
from gateway.plugins import channel_plugins
from gateway.settings import settings_from_table
from gateway.telemetry import configure_logging


def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its database, journal and phone.")] = Path(
        "var/demo"
    ),
    pace: Annotated[float, typer.Option(min=0.05, max=500, help="SMS a second.")] = 1.0,
    seconds: Annotated[float | None, typer.Option(min=1, help="End by itself after so long.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed invents the same citizens.")] = 1708,
) -> None:
    """Run the gateway with everything embedded, while invented citizens text it."""
    settings = settings_from_table(demo_table(folder.resolve()), os.environ, channel_plugins())
    configure_logging(settings.log.level, settings.log.format)
    (folder / "phone").mkdir(parents=True, exist_ok=True)
    count = run_async(show(settings, pace=pace, seconds=seconds, seed=seed))
    typer.echo(f"{count} events are in {folder / 'intake.jsonl'}.")
