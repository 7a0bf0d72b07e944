"""The entry of ``lapor-gateway``: every command, and errors as one line with exit code 1."""

import sys

import typer

from gateway.cli import bench, channels, check, classify, demo, evaluate, messages, migrate, operator, run, schema
from gateway.errors import GatewayError

app = typer.Typer(
    name="lapor-gateway",
    help="The door of LAPOR!: every message of a citizen becomes one canonical report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("demo")(demo.demo)
app.command("check")(check.check)
app.command("channels")(channels.channels)
app.command("migrate")(migrate.migrate)
app.command("bench")(bench.bench)
app.command("evaluate")(evaluate.evaluate_pairs)
app.command("classify")(classify.classify)
app.add_typer(messages.app, name="messages")
app.add_typer(operator.app, name="operator")
app.add_typer(schema.app, name="schema")


def main() -> None:
    """Runs a command."""
    try:
        app()
    except GatewayError as error:
        print(f"lapor-gateway: {error}", file=sys.stderr)  # noqa: T201 - the one line that a person reads
        sys.exit(1)


if __name__ == "__main__":
    main()
