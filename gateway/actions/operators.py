"""Acts on operators themselves: add, role, password, remove."""

import re
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.actions.act import Act, write_down
from gateway.errors import NeedsOperator
from gateway.store import operators
from gateway.store.operators import Operator, Role

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}")
LOCAL: Final = "lokal"
"""Everybody's name on a loopback console without operators; no operator can bear it."""


def plain_name(name: str) -> str:
    """A name as the database has it: in small letters.

    Raises:
        NeedsOperator: It is none.
    """
    plain = name.strip().lower()
    if _NAME.fullmatch(plain) is None or plain == LOCAL:
        message = (
            f"An operator's name has 1 to 63 of the characters a-z, 0-9, dot, underscore, @ and dash, begins with a "
            f"letter or digit, and is not {LOCAL}."
        )
        raise NeedsOperator(message)
    return plain


async def add(connection: AsyncConnection, name: str, role: Role, password: str | None, what: Act) -> None:
    """Adds an operator; ``password`` is a hash, None for one who only comes through single sign-on.

    Raises:
        NeedsOperator: The name is none, or taken.
    """
    name = plain_name(name)
    if not await operators.add(connection, Operator(name, role, password, what.at)):
        message = f"There is an operator {name} already."
        raise NeedsOperator(message)
    await write_down(connection, what, "operator.add", [name])


async def set_role(connection: AsyncConnection, name: str, role: Role, what: Act) -> None:
    """Gives an operator another role, at once. Raises NeedsOperator where there is none of the name."""
    _known(await operators.set_role(connection, name, role), name)
    await write_down(connection, what, "operator.role", [name])


async def set_password(connection: AsyncConnection, name: str, password: str, what: Act) -> None:
    """Gives an operator another password (its hash) and ends all sessions. Raises NeedsOperator likewise."""
    _known(await operators.set_password(connection, name, password), name)
    await write_down(connection, what, "operator.password", [name])


async def remove(connection: AsyncConnection, name: str, what: Act) -> None:
    """Forgets an operator and ends all sessions; what the audit log says stays. Raises NeedsOperator likewise."""
    _known(await operators.remove(connection, name), name)
    await write_down(connection, what, "operator.remove", [name])


def _known(changed: bool, name: str) -> None:  # noqa: FBT001 - what the store function has just said
    if not changed:
        message = f"There is no operator {name}; `lapor-gateway operator list` shows all."
        raise NeedsOperator(message)
