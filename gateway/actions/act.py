"""Who acts, when and why; and the audit row that every act leaves in its own transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.identifiers import uuid7
from gateway.masking import PERSONAL
from gateway.store import audit
from gateway.store.audit import AuditRow

Via = Literal["console", "proxy", "local", "terminal"]
"""How somebody came in: by password, by single sign-on, as anybody on an unguarded loopback, by the command line."""

Action = Literal[
    "message.replay",
    "message.accept",
    "message.discard",
    "channel.pause",
    "channel.resume",
    "channel.test",
    "sender.block",
    "sender.unblock",
    "sender.erase",
    "sender.unmask",
    "operator.add",
    "operator.role",
    "operator.password",
    "operator.remove",
    "session.open",
    "session.close",
]
"""What is written down; a closed vocabulary."""

MOST_AT_ONCE: Final = 500
"""Messages that one act may be about."""

LONGEST_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class Act:
    """Who acts, and why.

    Attributes:
        operator: The name.
        via: How the operator came in.
        at: Now, in milliseconds.
        reason: In the operator's words, without numbers and addresses of citizens; may be empty.
    """

    operator: str
    via: Via
    at: int
    reason: str

    @property
    def note(self) -> str:
        """Who and why, as a message's ledger has it."""
        return f"{self.operator}: {self.reason}" if self.reason else self.operator


def act(operator: str, via: Via, at: int, reason: str) -> Act:
    """An act whose reason is fit to be kept for good: one line, not too long, and no number or address in it."""
    line = " ".join("".join(c if c.isprintable() else " " for c in reason).split())
    return Act(operator, via, at, PERSONAL.sub("…", line)[:LONGEST_REASON])


async def write_down(connection: AsyncConnection, what: Act, action: Action, subjects: Iterable[str]) -> None:
    """Adds one row to the audit log for each subject.

    Args:
        connection: The transaction in which it is done.
        what: Who, when and why.
        action: What.
        subjects: Ids, names or hashed keys; never an address.
    """
    rows = [AuditRow(uuid7(), what.at, what.operator, what.via, action, subject, what.reason) for subject in subjects]
    await audit.add(connection, rows)
