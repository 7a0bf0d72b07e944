"""``lapor-gateway check``: tries everything that the settings name."""

from typing import Final

import typer
from rich.console import Console
from rich.table import Table

from gateway.checks import check_everything
from gateway.cli.common import ConfigOption, run_async, settings_from, settings_path
from gateway.findings import Finding
from gateway.telemetry import configure_logging

_SHOWN: Final = {"ok": "[green]OK[/]", "weak": "[yellow]LOOK[/]", "failed": "[red]FAILED[/]"}


def check(config: ConfigOption = None) -> None:
    """Validate the settings and try everything: store, queue, disk, clock, channels; exit 0 when all works, else 1."""
    settings = settings_from(config)
    configure_logging("error", settings.log.format)
    read = Finding("settings", "ok", f"{settings_path(config) or 'The defaults'}: every key and value is valid.")
    found = [read, *run_async(check_everything(settings))]
    table = Table("state", "what", "found, and what to do")
    for finding in found:
        table.add_row(_SHOWN[finding.state], finding.subject, finding.sentence)
    Console(soft_wrap=True).print(table)
    failed = [finding for finding in found if finding.state == "failed"]
    for finding in failed:
        typer.echo(f"lapor-gateway: {finding.sentence}", err=True)
    if failed:
        raise typer.Exit(1)
