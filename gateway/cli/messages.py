"""placeholder."""

import typer

app = typer.Typer()


def messages() -> None:
    """."""
