"""placeholder."""

import typer

app = typer.Typer()


def schema() -> None:
    """."""
