"""Acts on messages: replay, accept, discard; singly and in bulk."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.actions.act import MOST_AT_ONCE, Act, Action, write_down
from gateway.store import messages

Verb = Literal["replay", "accept", "discard"]
_Settle = Callable[[AsyncConnection, Sequence[str], int, str], Awaitable[list[str]]]
_SETTLE: Final[dict[Verb, tuple[_Settle, Action]]] = {
    "replay": (messages.replay, "message.replay"),
    "accept": (messages.accept, "message.accept"),
    "discard": (messages.discard, "message.discard"),
}


async def settle(connection: AsyncConnection, verb: Verb, ids: Sequence[str], what: Act) -> list[str]:
    """Replays, accepts or discards messages; of what a replay changes only the difference is published.

    Args:
        connection: An open transaction.
        verb: *accept* is for held messages, *discard* for held and quarantined ones, *replay* for all decided ones.
        ids: At most :data:`MOST_AT_ONCE`.
        what: Who, when and why.

    Returns:
        The ids of those that were in a state for it; the others are left as they are.

    Raises:
        ValueError: Too many at once.
    """
    if len(ids) > MOST_AT_ONCE:
        message = f"at most {MOST_AT_ONCE} messages at once"
        raise ValueError(message)
    change, action = _SETTLE[verb]
    done = await change(connection, ids, what.at, what.note)
    await write_down(connection, what, action, done)
    return done
