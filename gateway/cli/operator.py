"""``lapor-gateway operator``: who may use the console."""

import getpass
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.actions import operators
from gateway.actions.act import Act
from gateway.cli.common import ConfigOption, acting, opened_store, run_async, settings_from
from gateway.clock import from_milliseconds
from gateway.errors import NeedsOperator
from gateway.passwords import LONGEST, hashed, problem_of
from gateway.settings import Settings
from gateway.store import operators as rows
from gateway.store.operators import Operator, Role

app = typer.Typer(help="Who may use the console: add, list, change and remove operators.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The operator's name.")]
RoleOption = Annotated[Role, typer.Option(help="viewer looks, operator acts.")]
_LONGEST_LINE: Final = 4 * LONGEST


@app.command("add")
def add_operator(
    name: NameArgument,
    *,
    role: RoleOption = "operator",
    single_sign_on: Annotated[
        bool, typer.Option("--single-sign-on", help="No password: comes only through console.proxy_header.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Add an operator; the password is asked for, or read from standard input."""
    name = operators.plain_name(name)
    password = None if single_sign_on else hashed(_new_password())
    _act(settings_from(config), lambda connection, what: operators.add(connection, name, role, password, what))
    typer.echo(f"{name} may use the console as {role}.")


@app.command("list")
def list_operators(config: ConfigOption = None) -> None:
    """Show all operators."""
    table = Table("name", "role", "comes in by", "since")
    for operator in run_async(_everyone(settings_from(config))):
        way = "single sign-on" if operator.password is None else "password"
        table.add_row(operator.name, operator.role, way, f"{from_milliseconds(operator.created_at):%Y-%m-%d}")
    Console(soft_wrap=True).print(table)


@app.command("role")
def change_role(
    name: NameArgument, role: Annotated[Role, typer.Argument(help="viewer or operator")], config: ConfigOption = None
) -> None:
    """Give an operator another role, at once."""
    name = operators.plain_name(name)
    _act(settings_from(config), lambda connection, what: operators.set_role(connection, name, role, what))
    typer.echo(f"{name} uses the console as {role} now.")


@app.command("password")
def change_password(name: NameArgument, config: ConfigOption = None) -> None:
    """Give an operator another password and end all sessions."""
    name = operators.plain_name(name)
    password = hashed(_new_password())
    _act(settings_from(config), lambda connection, what: operators.set_password(connection, name, password, what))
    typer.echo(f"{name} has another password; all sessions have ended.")


@app.command("remove")
def remove_operator(name: NameArgument, config: ConfigOption = None) -> None:
    """Take an operator's access away; the audit log stays."""
    name = operators.plain_name(name)
    _act(settings_from(config), lambda connection, what: operators.remove(connection, name, what))
    typer.echo(f"{name} may no longer use the console.")


def _new_password() -> str:
    """A password typed twice without echo; or the first line of standard input, where that is no terminal."""
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("The same once more: ") != password:
            raise NeedsOperator("The two passwords differ; nothing was changed.")
    else:
        password = sys.stdin.readline(_LONGEST_LINE).rstrip("\r\n")
    problem = problem_of(password)
    if problem is not None:
        message = f"The password {problem}; nothing was changed."
        raise NeedsOperator(message)
    return password


def _act(settings: Settings, work: Callable[[AsyncConnection, Act], Awaitable[None]]) -> None:
    async def in_one_transaction() -> None:
        async with opened_store(settings) as store, store.write() as connection:
            await work(connection, acting(""))

    run_async(in_one_transaction())


async def _everyone(settings: Settings) -> list[Operator]:
    async with opened_store(settings) as store, store.read() as connection:
        return await rows.everyone(connection)
