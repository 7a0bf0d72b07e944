"""Finds messages by what an operator types: a tracking ID, a sender, or a text among the newest messages."""

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.actions.senders import sender_of
from gateway.clock import Clock
from gateway.console.web import UUID
from gateway.errors import Refused
from gateway.model import decode_report
from gateway.store import Store, listings
from gateway.store.listings import Searched

NEWEST: Final = 5_000
"""Messages in which a text is looked for."""

MOST_FOUND: Final = 50
SEARCH_SECONDS: Final = 2.0
"""How long one search may go on; what was found until then is shown."""

LONGEST: Final = 200
_CHUNK: Final = 250
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ().-]{6,20}")
_MAIL: Final = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")


@dataclass(frozen=True, slots=True)
class Result:
    """Ids of messages that hold a text; and how far was looked: how many, back to when (ms), whether time ran out."""

    ids: tuple[str, ...]
    count: int
    until: int | None
    cut: bool


def place_of(query: str) -> str | None:
    """The page for a query that names one thing; None for a text. The address never stands in the page's own."""
    if re.fullmatch(UUID, query):
        return f"/messages/{query}"
    if re.fullmatch("[1-9][0-9]{9}", query):
        return f"/messages?tracking={query}"
    if re.fullmatch("[0-9a-f]{32}", query):
        return f"/messages?sender={query}"
    try:
        key = _key(query)
    except Refused:
        return None
    return None if key is None else f"/messages?sender={key}"


def _key(query: str) -> str | None:
    if _MAIL.fullmatch(query):
        return sender_of("email", query).key
    if not _PHONE.fullmatch(query):
        return None
    digits = re.sub(r"[^0-9]", "", query)
    if query.startswith("+"):
        return sender_of("phone", f"+{digits}").key
    if digits.startswith("0"):
        return sender_of("phone", f"+62{digits[1:]}").key
    return sender_of("phone", f"+{digits}").key if digits.startswith("62") else sender_of("x", digits).key


class TextSearch:
    """Looks for a text in the newest messages, one search at a time: it may cost, but never much.

    Args:
        store: The database.
        clock: Tells when the time is up.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._busy = asyncio.Lock()

    async def find(self, query: str) -> Result | None:
        """Which messages hold the text, newest first; None while somebody else searches."""
        if self._busy.locked():
            return None
        async with self._busy:
            return await self._find(query.casefold())

    async def _find(self, needle: str) -> Result:
        begun_at = self._clock.monotonic()
        found: list[str] = []
        count, until, before, cut = 0, None, None, False
        while count < NEWEST and len(found) < MOST_FOUND and not cut:
            async with self._store.read() as connection:
                rows = await listings.to_search(connection, before, _CHUNK)
            found += [row.id for row in rows if _holds(row, needle)]
            count += len(rows)
            if rows:
                before, until = rows[-1].id, rows[-1].received_at
            if len(rows) < _CHUNK:
                break
            cut = self._clock.monotonic() - begun_at > SEARCH_SECONDS
            await asyncio.sleep(0)  # the stages go on between two chunks
        return Result(tuple(found[:MOST_FOUND]), count, until, cut)


def _holds(row: Searched, needle: str) -> bool:
    content = row.content.decode("utf-8", "replace").casefold()
    if not row.is_report:
        return needle in content
    if json.dumps(needle, ensure_ascii=False)[1:-1] not in content:  # the names of fields are in there, too
        return False
    try:
        report = decode_report(row.content)
    except msgspec.DecodeError:
        return False
    told = (report.text, report.title, report.reporter.name, report.reporter.handle and f"@{report.reporter.handle}")
    return any(needle in part.casefold() for part in told if part)
