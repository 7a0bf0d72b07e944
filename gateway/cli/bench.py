"""``lapor-gateway bench``: how many messages a second, beside aio-pika alone."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from gateway.bench import Round, medians, run_rounds
from gateway.cli.common import run_async
from gateway.telemetry import configure_logging


def bench(
    queue: Annotated[str, typer.Option(help="A RabbitMQ that nothing else uses: its intake queue is emptied.")],
    messages: Annotated[int, typer.Option(min=100, help="Messages in each half of a round.")] = 20_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the median counts.")] = 3,
) -> None:
    """Measure the gateway end to end beside what aio-pika alone publishes, in the same run."""
    configure_logging("warning", "text")
    console = Console()
    table = Table("round", "aio-pika alone, msg/s", "gateway, msg/s", "ratio")
    progress = iter(track(range(rounds), "rounds", console=console, transient=True))
    next(progress, None)

    def tell(done: Round) -> None:
        table.add_row(str(table.row_count + 1), f"{done.baseline:,.0f}", f"{done.gateway:,.0f}", f"{done.ratio:.2f}")
        next(progress, None)

    with tempfile.TemporaryDirectory(prefix="lapor-bench-") as folder:
        done = run_async(run_rounds(queue, Path(folder), messages, rounds, tell))
    middle = medians(done)
    table.add_row("median", f"{middle.baseline:,.0f}", f"{middle.gateway:,.0f}", f"{middle.ratio:.2f}")
    console.print(table)
