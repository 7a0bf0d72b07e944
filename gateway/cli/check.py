"""``lapor-gateway check``: tries everything that the settings name."""

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.common import ConfigOption, run_async, settings_from, settings_path
from gateway.preflight import check_everything
from gateway.telemetry import configure_logging


def check(config: ConfigOption = None) -> None:
    """Validate the settings and try every connection; exit 0 when all is well, else 1."""
    settings = settings_from(config)
    configure_logging("error", settings.log.format)
    results = run_async(check_everything(settings))
    table = Table("what", "where", "result")
    table.add_row("settings", str(settings_path(config) or "defaults"), "[green]OK[/]")
    for result in results:
        table.add_row(result.subject, result.shown, f"[red]{result.problem}[/]" if result.problem else "[green]OK[/]")
    Console(soft_wrap=True).print(table)
    problems = [result.problem for result in results if result.problem]
    for problem in problems:
        typer.echo(f"lapor-gateway: {problem}", err=True)
    if problems:
        raise typer.Exit(1)
