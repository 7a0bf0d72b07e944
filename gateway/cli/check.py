"""placeholder."""

import typer

app = typer.Typer()


def check() -> None:
    """."""
