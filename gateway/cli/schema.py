"""``lapor-gateway schema``: what others read, generated from the code."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.schema import generated_files

app = typer.Typer(help="Print or write the generated files: schemas, AsyncAPI, definitions, examples, sample settings.")


@app.callback(invoke_without_command=True)
def schema(
    name: Annotated[str, typer.Option(help="Which file to print.")] = "queue/event.schema.json",
    write: Annotated[Path | None, typer.Option(help="Write all of them below this folder instead.")] = None,
) -> None:
    """Print one generated file, or write all of them."""
    files = generated_files()
    if write is not None:
        for path, text in files.items():
            target = write / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            typer.echo(target)
        return
    if name not in files:
        raise typer.BadParameter(f"one of {', '.join(files)}", param_hint="--name")
    typer.echo(files[name], nl=False)
