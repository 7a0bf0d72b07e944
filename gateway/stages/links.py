"""Finds the published report that a message may belong to: by its other versions, what it answers, whom it names."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.identifiers import is_tracking_id
from gateway.parsing import Parsed
from gateway.store import answers as answer_rows
from gateway.store import messages as message_rows
from gateway.store import reports as report_rows
from gateway.store.messages import StoredMessage


class Linked(Protocol):
    """A message and what it says."""

    @property
    def message(self) -> StoredMessage:
        """The message."""
        ...

    @property
    def parsed(self) -> Parsed:
        """What it says."""
        ...


async def find_links(connection: AsyncConnection, items: Iterable[Linked]) -> dict[str, list[str]]:
    """The ids of the reports that each message may belong to, the most telling first, by the message's id."""
    by_channel: dict[str, list[Linked]] = {}
    for item in items:
        by_channel.setdefault(item.message.channel, []).append(item)
    named = {number for group in by_channel.values() for item in group for number in _tracking_ids(item.parsed)}
    by_number = await report_rows.with_tracking_ids(connection, named) if named else {}
    found: dict[str, list[str]] = {}
    for channel, group in by_channel.items():
        by_name = await _reports_named(connection, channel, {name for item in group for name in _names(item)})
        for item in group:
            found[item.message.id] = [
                *(by_name[name] for name in _names(item) if name in by_name),
                *(by_number[number] for number in _tracking_ids(item.parsed) if number in by_number),
            ]
    return found


def linked_ids(item: Linked) -> Sequence[str]:
    """The external ids of the messages that one message refers to."""
    parsed = item.parsed
    ids = [*(parsed.revision.external_ids if parsed.revision else ()), parsed.completes, parsed.reply_to]
    return [name for name in ids if name and name != item.message.external_id]


def _names(item: Linked) -> Sequence[str]:
    """Those ids; and its own, by which a later version that came before it may have made it known."""
    return [item.message.external_id, *linked_ids(item)] if item.parsed.revision else linked_ids(item)


def _tracking_ids(parsed: Parsed) -> list[str]:
    return [token for token in parsed.references if is_tracking_id(token)]


async def _reports_named(connection: AsyncConnection, channel: str, names: Collection[str]) -> dict[str, str]:
    """The reports known by these names: of their messages, of other versions of them, of our answers."""
    if not names:
        return {}
    rows = await message_rows.by_external_ids(connection, channel, names)
    return {
        **await answer_rows.reports_answered(connection, channel, names),
        **await report_rows.with_aliases(connection, channel, names),
        **{row.external_id: row.report_id for row in rows if row.report_id is not None},
    }
