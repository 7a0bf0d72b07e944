"""Queries on ``operators`` and ``sessions``: who may use the console, and who is using it."""

from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.sql import insert_new
from gateway.store.tables import operators, sessions

Role = Literal["viewer", "operator"]
MOST_SESSIONS: Final = 10
"""Sessions of one operator at once; a further login ends the oldest."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One who may use the console. ``password`` is an Argon2 hash, None for single sign-on only; time in ms."""

    name: str
    role: Role
    password: str | None
    created_at: int


async def any_at_all(connection: AsyncConnection) -> bool:
    """Whether the console has operators."""
    return (await connection.execute(select(operators.c.name).limit(1))).first() is not None


async def everyone(connection: AsyncConnection) -> list[Operator]:
    """All operators, by name."""
    return [Operator(*row) for row in await connection.execute(select(operators).order_by(operators.c.name))]


async def find(connection: AsyncConnection, name: str) -> Operator | None:
    """The operator of a name."""
    row = (await connection.execute(select(operators).where(operators.c.name == name))).one_or_none()
    return None if row is None else Operator(*row)


async def add(connection: AsyncConnection, operator: Operator) -> bool:
    """Keeps a new operator; False where the name is taken."""
    statement = insert_new(connection, operators).values(
        name=operator.name, role=operator.role, password=operator.password, created_at=operator.created_at
    )
    return (await connection.execute(statement.returning(operators.c.name))).first() is not None


async def set_role(connection: AsyncConnection, name: str, role: Role) -> bool:
    """Gives an operator another role, for open sessions too; False where there is none of the name."""
    return (await connection.execute(update(operators).where(operators.c.name == name).values(role=role))).rowcount == 1


async def set_password(connection: AsyncConnection, name: str, password: str) -> bool:
    """Gives an operator another password (its hash), and ends all sessions; False where there is none of the name."""
    statement = update(operators).where(operators.c.name == name).values(password=password)
    changed = (await connection.execute(statement)).rowcount == 1
    await connection.execute(delete(sessions).where(sessions.c.operator == name))
    return changed


async def rehash(connection: AsyncConnection, name: str, old: str, new: str) -> None:
    """Replaces a password's hash by a stronger one of the same password; sessions stay."""
    same = (operators.c.name == name) & (operators.c.password == old)
    await connection.execute(update(operators).where(same).values(password=new))


async def remove(connection: AsyncConnection, name: str) -> bool:
    """Forgets an operator and ends all sessions; the audit log stays. False where there is none of the name."""
    await connection.execute(delete(sessions).where(sessions.c.operator == name))
    return (await connection.execute(delete(operators).where(operators.c.name == name))).rowcount == 1


async def open_session(connection: AsyncConnection, token: str, operator: str, at: int) -> None:
    """Begins a session, and ends the oldest of the operator where there are too many.

    Args:
        connection: An open transaction.
        token: The SHA-256 of what the browser holds, as hexadecimal digits.
        operator: Who.
        at: Now, in milliseconds.
    """
    newest = (
        select(sessions.c.token)
        .where(sessions.c.operator == operator)
        .order_by(sessions.c.created_at.desc(), sessions.c.token)
        .limit(MOST_SESSIONS - 1)
    )
    kept = list((await connection.scalars(newest)).all())
    await connection.execute(delete(sessions).where(sessions.c.operator == operator, sessions.c.token.not_in(kept)))
    await connection.execute(sessions.insert().values(token=token, operator=operator, created_at=at, seen_at=at))


@dataclass(frozen=True, slots=True)
class Session:
    """A session that stands, and its operator as of now; times in milliseconds."""

    operator: str
    role: Role
    created_at: int
    seen_at: int


async def find_session(connection: AsyncConnection, token: str, created_after: int, seen_after: int) -> Session | None:
    """The session of a hashed token that is neither too old nor unused for too long; bounds in milliseconds."""
    query = (
        select(operators.c.name, operators.c.role, sessions.c.created_at, sessions.c.seen_at)
        .join(operators, operators.c.name == sessions.c.operator)
        .where(sessions.c.token == token, sessions.c.created_at > created_after, sessions.c.seen_at > seen_after)
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Session(*row)


async def touch_session(connection: AsyncConnection, token: str, at: int) -> None:
    """Notes that a session is in use."""
    await connection.execute(
        update(sessions).where(sessions.c.token == token, sessions.c.seen_at < at).values(seen_at=at)
    )


async def close_session(connection: AsyncConnection, token: str) -> None:
    """Ends a session."""
    await connection.execute(delete(sessions).where(sessions.c.token == token))


async def forget_sessions(connection: AsyncConnection, created_before: int, seen_before: int) -> None:
    """Removes the sessions that have expired; bounds in milliseconds."""
    expired = or_(sessions.c.created_at <= created_before, sessions.c.seen_at <= seen_before)
    await connection.execute(delete(sessions).where(expired))
