"""The rooms of the API where one looks: channels, messages, the audit log, blocked senders."""

from dataclasses import asdict
from typing import Final

from aiohttp import web

from gateway.application import Gateway
from gateway.console.latest import SNAPSHOTS
from gateway.console.ledger import ledger_of, message_json
from gateway.console.snapshot import rfc3339
from gateway.console.web import MAX_PAGE, UUID, answer, cursor, name_in, page_size, problem
from gateway.store import audit, messages, orders

MESSAGE_STATES: Final = ("received", "assembling", "processed", "held", "quarantined", "discarded")


class Reading:
    """What everybody with access may see: no text, no sender.

    Args:
        gateway: Whose store is read.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[web.RouteDef]:
        """Rooms for viewers."""
        return [
            web.get("/api/v1/channels", self.channels),
            web.get("/api/v1/messages", self.messages),
            web.get(f"/api/v1/messages/{{id:{UUID}}}", self.message),
            web.get("/api/v1/audit", self.audit),
            web.get("/api/v1/senders/blocked", self.blocked),
        ]

    async def channels(self, request: web.Request) -> web.Response:
        """Every channel as it is now."""
        snapshot = await request.app[SNAPSHOTS].latest()
        return answer({"items": snapshot.channels, "next_cursor": None})

    async def messages(self, request: web.Request) -> web.Response:
        """The newest messages."""
        limit, before, channel = page_size(request), cursor(request), name_in(request, "channel")
        state = request.query.get("state")
        if state is not None and state not in MESSAGE_STATES:
            return problem(400, f"state must be one of {', '.join(MESSAGE_STATES)}", field="state")
        async with self._gateway.store.read() as connection:
            rows = await messages.page(connection, state=state, channel=channel, before=before, limit=limit + 1)
        items = [message_json(row) for row in rows[:limit]]
        return answer({"items": items, "next_cursor": items[-1]["id"] if len(rows) > limit else None})

    async def message(self, request: web.Request) -> web.Response:
        """The custody ledger of one message."""
        async with self._gateway.store.read() as connection:
            found = await ledger_of(connection, request.match_info["id"])
        return problem(404, "there is no such message") if found is None else answer(found)

    async def audit(self, request: web.Request) -> web.Response:
        """Who did what, the newest first."""
        limit, before = page_size(request), cursor(request)
        subject, operator = name_in(request, "subject"), name_in(request, "operator")
        async with self._gateway.store.read() as connection:
            rows = await audit.page(connection, limit=limit + 1, before=before, subject=subject, operator=operator)
        items = [asdict(row) | {"at": rfc3339(row.at)} for row in rows[:limit]]
        return answer({"items": items, "next_cursor": items[-1]["id"] if len(rows) > limit else None})

    async def blocked(self, _request: web.Request) -> web.Response:
        """The senders whose messages are ignored, by their hashed keys."""
        async with self._gateway.store.read() as connection:
            found = await orders.all_blocked(connection, MAX_PAGE)
        items = [
            {"reporter": one.key, "since": rfc3339(one.since), "operator": one.operator, "reason": one.reason}
            for one in found
        ]
        return answer({"items": items, "next_cursor": None})
