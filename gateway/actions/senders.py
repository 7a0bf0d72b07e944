"""Acts on senders: block, unblock, erase, unmask. A sender is named by a message, a tracking ID, or the address."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.actions.act import Act, write_down
from gateway.decisions import written_by
from gateway.errors import Refused
from gateway.identifiers import reporter_key
from gateway.model import Reporter, ReporterKind, decode_report
from gateway.parsing import Parsed
from gateway.store import Store, citizens, orders
from gateway.store.citizens import Erased, Unattributed
from gateway.store.orders import Order

_PAGE: Final = 50
_UNREADABLE: Final = ("quarantined", "discarded")
_LEAST_DIGITS: Final = 7
"""Digits of a number that are looked for in bytes nobody can read; fewer would be found anywhere."""


class Understands(Protocol):
    """Parses raw messages: :class:`gateway.stages.understand.Understanding`."""

    def parse(self, channel: str, channel_type: str, raws: Sequence[bytes | None]) -> Parsed | object:
        """What a message says, or something else where it cannot be parsed."""
        ...


@dataclass(frozen=True, slots=True)
class Sender:
    """A citizen as the database names one; ``reporter`` is None where nobody here knows the address any more."""

    key: str
    reporter: Reporter | None


def sender_of(kind: ReporterKind, address: str) -> Sender:
    """The sender of an address, brought into the one form that reports have.

    Raises:
        Refused: It is no address of that kind.
    """
    address = "".join(address.split())
    if kind == "phone" and not (address.startswith("+") and address[1:].isascii() and address[1:].isdigit()):
        raise Refused("A phone number is written in full, as +62….")
    if kind == "email":
        local, at, domain = address.rpartition("@")
        address = f"{local}{at}{domain.lower()}"
    if not address:
        raise Refused("There is no address.")
    return Sender(reporter_key(kind, address), Reporter(address=address, kind=kind))


async def sender_of_message(connection: AsyncConnection, understanding: Understands, message_id: str) -> Sender | None:
    """Who wrote a message, from its bytes or its report; None where there is none, or nobody can tell."""
    origin = await citizens.origin(connection, message_id)
    if origin is None:
        return None
    if origin.raw is not None:
        parsed = understanding.parse(origin.channel, origin.channel_type, [origin.raw])
        if isinstance(parsed, Parsed) and (key := written_by(parsed)) is not None:
            if parsed.delivery is None:
                return Sender(key, parsed.reporter)
            return Sender(key, Reporter(address=parsed.delivery.recipient, kind=parsed.reporter.kind))
    if origin.report is not None:
        reporter = decode_report(origin.report).reporter
        if reporter.address:
            return Sender(reporter_key(reporter.kind, reporter.address), reporter)
    return None if origin.reporter is None else Sender(origin.reporter, None)


async def sender_of_tracking_id(
    connection: AsyncConnection, understanding: Understands, tracking_id: str
) -> Sender | None:
    """Who wrote the report that first bore a tracking ID; None where there is none, or nobody can tell."""
    message_id = await citizens.message_of(connection, tracking_id)
    return None if message_id is None else await sender_of_message(connection, understanding, message_id)


async def block(connection: AsyncConnection, sender: Sender, what: Act) -> bool:
    """What a sender writes is taken into custody and ignored from now on. Returns whether that is news."""
    changed = await orders.block(connection, Order(sender.key, what.at, what.operator, what.reason))
    if changed:
        await write_down(connection, what, "sender.block", [sender.key])
    return changed


async def unblock(connection: AsyncConnection, sender: Sender, what: Act) -> bool:
    """Takes a block back; what was ignored meanwhile can be replayed. Returns whether that is news."""
    changed = await orders.unblock(connection, sender.key)
    if changed:
        await write_down(connection, what, "sender.unblock", [sender.key])
    return changed


async def unmask(connection: AsyncConnection, understanding: Understands, message_id: str, what: Act) -> Sender | None:
    """Who wrote a message, in clear; written down before it is shown. None where nobody can tell."""
    sender = await sender_of_message(connection, understanding, message_id)
    if sender is not None and sender.reporter is not None:
        await write_down(connection, what, "sender.unmask", [message_id])
    return sender


async def note_unmasked(connection: AsyncConnection, message_id: str, what: Act) -> None:
    """Writes down that somebody saw all of a message whose sender nobody can tell."""
    await write_down(connection, what, "sender.unmask", [message_id])


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was emptied, and how many messages nobody can read and attribute: they may be the citizen's or not."""

    erased: Erased
    unreadable: int


async def erase(store: Store, understanding: Understands, sender: Sender, what: Act) -> Erasure:
    """Erases one citizen: raw bytes, texts, addresses, confirmed events. The hashed key and the decisions stay.

    Files that nothing speaks of any more go from ``store.files`` with the next clean-up, within hours.

    Args:
        store: The database.
        understanding: Reads messages that are not decided yet.
        sender: Who.
        what: Who orders it, when and why.

    Raises:
        StoreUnavailable: Nothing is erased.
    """
    sender = await _with_address(store, understanding, sender)
    found, unreadable = await _undecided(store, understanding, sender)
    async with store.write() as connection:
        await citizens.attribute(connection, found, sender.key)
        address = sender.reporter.address if sender.reporter else None
        erased = await citizens.erase(connection, sender.key, address)
        await write_down(connection, what, "sender.erase", [sender.key])
    return Erasure(erased, unreadable)


async def _with_address(store: Store, understanding: Understands, sender: Sender) -> Sender:
    """The same sender; with the address, where a message still tells it."""
    if sender.reporter is not None:
        return sender
    async with store.read() as connection:
        message_id = await citizens.any_message(connection, sender.key)
        known = message_id and await sender_of_message(connection, understanding, message_id)
    return known if known and known.key == sender.key else sender


async def _undecided(store: Store, understanding: Understands, sender: Sender) -> tuple[list[str], int]:
    """The sender's messages among those that nobody has decided; and how many cannot be read and say nothing plain."""
    found: list[str] = []
    unreadable = 0
    async with store.read() as connection:
        ids = await citizens.undecided(connection)
    for start in range(0, len(ids), _PAGE):
        async with store.read() as connection:
            page = await citizens.unattributed(connection, ids[start : start + _PAGE])
        for row in page:
            key = _writer(understanding, row)
            if key == sender.key or (key is None and _mentions(row.raw, sender)):
                found.append(row.id)
            elif key is None:
                unreadable += 1
            await asyncio.sleep(0)  # the stages go on between two messages
    return found, unreadable


def _writer(understanding: Understands, row: Unattributed) -> str | None:
    if row.state in _UNREADABLE:  # its parser has failed before, perhaps after seconds
        return None
    parsed = understanding.parse(row.channel, row.channel_type, [row.raw])
    return written_by(parsed) if isinstance(parsed, Parsed) else None


def _mentions(raw: bytes, sender: Sender) -> bool:
    """Whether bytes that nobody can read hold the sender's address plainly."""
    if sender.reporter is None:
        return False
    address = sender.reporter.address
    if sender.reporter.kind == "phone":  # with or without the country's digits
        address = address.removeprefix("+62").removeprefix("+")
        if len(address) < _LEAST_DIGITS:
            return False
    return address.lower().encode() in raw.lower()
