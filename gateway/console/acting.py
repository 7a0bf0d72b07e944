"""The rooms of the API where operators act: on messages, channels and senders. JSON in, JSON out."""

import asyncio
from typing import Annotated, Any, Self, get_args

from aiohttp import web
from pydantic import Field, StringConstraints, model_validator

from gateway.actions import channels, messages, senders
from gateway.actions.act import LONGEST_REASON, MOST_AT_ONCE, Act
from gateway.actions.messages import Verb
from gateway.actions.senders import Erasure, Sender
from gateway.application import Gateway
from gateway.clock import to_milliseconds
from gateway.console.access import IDENTITY
from gateway.console.web import UUID, JsonBody, answer, read_json, refusal
from gateway.model import ReporterKind
from gateway.store import channel_states
from gateway.store import messages as message_rows

ERASE_SECONDS = 50.0
"""How long the erasure of one citizen may take."""

_Id = Annotated[str, StringConstraints(pattern=f"^{UUID}$")]
_VERBS = "|".join(get_args(Verb))


class Why(JsonBody):
    """Why somebody acts; it stays in the audit log."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_REASON)]


class Chosen(Why):
    """Messages that are acted on together."""

    ids: tuple[_Id, ...] = Field(min_length=1, max_length=MOST_AT_ONCE)


class TestMessage(Why):
    """What a channel sends for a test, and to whom."""

    to: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)] = Field(repr=False)
    text: Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00]*$")] = (
        "LAPOR! – pesan uji / test message"
    )


class WhichSender(Why):
    """A citizen, named in one way of four: by a message, by a tracking ID, by the hashed key, by kind and address."""

    message: _Id | None = None
    tracking_id: Annotated[str, StringConstraints(pattern="^[1-9][0-9]{9}$")] | None = None
    reporter: Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")] | None = None
    kind: ReporterKind | None = None
    address: Annotated[str, StringConstraints(min_length=1, max_length=320)] | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        ways = (self.message, self.tracking_id, self.reporter, self.address)
        if sum(way is not None for way in ways) != 1 or (self.kind is None) != (self.address is None):
            message = "name the sender once: by message, tracking_id, reporter, or kind and address"
            raise ValueError(message)
        return self


class Acting:
    """What operators do.

    Args:
        gateway: On whose store they act.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._erasing = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Rooms for operators."""
        return [
            web.post(f"/api/v1/messages/{{verb:{_VERBS}}}", self.settle_many),
            web.post(f"/api/v1/messages/{{id:{UUID}}}/sender", self.unmask),
            web.post(f"/api/v1/messages/{{id:{UUID}}}/{{verb:{_VERBS}}}", self.settle_one),
            web.post("/api/v1/channels/{name}/pause", self.pause),
            web.post("/api/v1/channels/{name}/resume", self.resume),
            web.post("/api/v1/channels/{name}/test", self.test),
            web.post("/api/v1/senders/block", self.block),
            web.post("/api/v1/senders/unblock", self.unblock),
            web.post("/api/v1/senders/erase", self.erase),
        ]

    async def settle_many(self, request: web.Request) -> web.Response:
        """Replays, accepts or discards messages; says which were in a state for it and which were left."""
        body = await read_json(request, Chosen)
        done = await self._settle(request, body.ids, body.reason)
        return answer({"done": done, "left": [id_ for id_ in dict.fromkeys(body.ids) if id_ not in set(done)]})

    async def settle_one(self, request: web.Request) -> web.Response:
        """The same for one message: 404 where there is none, 409 where its state does not allow it."""
        body = await read_json(request, Why)
        message_id = request.match_info["id"]
        done = await self._settle(request, (message_id,), body.reason)
        if not done:
            async with self._gateway.store.read() as connection:
                row: Any = await message_rows.find(connection, message_id)
            if row is None:
                raise refusal(web.HTTPNotFound, "there is no such message")
            emptied = ", and it has been emptied" if row.raw is None else ""
            raise refusal(
                web.HTTPConflict, f"the message is {row.state}{emptied}: {request.match_info['verb']} is not for it"
            )
        return answer({"done": done, "left": []})

    async def _settle(self, request: web.Request, ids: tuple[str, ...], reason: str) -> list[str]:
        verb: Any = request.match_info["verb"]
        async with self._gateway.store.write() as connection:
            done = await messages.settle(connection, verb, ids, self._act(request, reason))
        self._gateway.look_again()
        return done

    async def pause(self, request: web.Request) -> web.Response:
        """Has a channel rest."""
        body, name = await read_json(request, Why), await self.channel(request)
        async with self._gateway.store.write() as connection:
            changed = await channels.pause(connection, name, self._act(request, body.reason))
        return answer({"channel": name, "paused": True, "changed": changed})

    async def resume(self, request: web.Request) -> web.Response:
        """Has it work again."""
        body, name = await read_json(request, Why), await self.channel(request)
        async with self._gateway.store.write() as connection:
            changed = await channels.resume(connection, name, self._act(request, body.reason))
        return answer({"channel": name, "paused": False, "changed": changed})

    async def test(self, request: web.Request) -> web.Response:
        """Queues a test message; its answer's id tells what becomes of it."""
        body, name = await read_json(request, TestMessage), request.match_info["name"]
        sections = self._gateway.settings.channels
        if name not in sections:
            raise refusal(web.HTTPNotFound, "this gateway has no such channel")
        what = self._act(request, body.reason)
        async with self._gateway.store.write() as connection:
            answer_id = await channels.send_test(connection, sections, name, body.to, body.text, what)
        self._gateway.look_again(name)
        return answer({"channel": name, "answer": answer_id}, 202)

    async def block(self, request: web.Request) -> web.Response:
        """Has a sender's messages ignored."""
        body = await read_json(request, WhichSender)
        sender = await self.sender(body)
        async with self._gateway.store.write() as connection:
            changed = await senders.block(connection, sender, self._act(request, body.reason))
        return answer({"reporter": sender.key, "blocked": True, "changed": changed})

    async def unblock(self, request: web.Request) -> web.Response:
        """Takes that back."""
        body = await read_json(request, WhichSender)
        sender = await self.sender(body)
        async with self._gateway.store.write() as connection:
            changed = await senders.unblock(connection, sender, self._act(request, body.reason))
        return answer({"reporter": sender.key, "blocked": False, "changed": changed})

    async def erase(self, request: web.Request) -> web.Response:
        """Erases one citizen; says how much was emptied."""
        body = await read_json(request, WhichSender)
        sender = await self.sender(body)
        done = await self.erased(sender, self._act(request, body.reason))
        counts = {"messages": done.erased.messages, "reports": done.erased.reports, "answers": done.erased.answers}
        return answer({"reporter": sender.key, **counts, "unreadable": done.unreadable})

    async def erased(self, sender: Sender, what: Act) -> Erasure:
        """Erases one citizen at a time. Raises HTTPServiceUnavailable when that takes too long."""
        try:
            async with asyncio.timeout(ERASE_SECONDS), self._erasing:
                return await senders.erase(self._gateway.store, self._gateway.understanding, sender, what)
        except TimeoutError:
            raise refusal(web.HTTPServiceUnavailable, "nothing was erased: it took too long; try again") from None

    async def unmask(self, request: web.Request) -> web.Response:
        """Shows who wrote a message, in clear, and writes down who looked."""
        body = await read_json(request, Why)
        what = self._act(request, body.reason)
        async with self._gateway.store.write() as connection:
            sender = await senders.unmask(connection, self._gateway.understanding, request.match_info["id"], what)
        if sender is None or sender.reporter is None:
            raise refusal(web.HTTPNotFound, "nobody here knows any more who wrote this")
        who = sender.reporter
        return answer(
            {"reporter": sender.key, "kind": who.kind, "address": who.address, "name": who.name, "handle": who.handle}
        )

    async def sender(self, body: WhichSender) -> Sender:
        """Who is meant. Raises Refused or HTTPNotFound."""
        if body.kind is not None and body.address is not None:
            return senders.sender_of(body.kind, body.address)
        if body.reporter is not None:
            return Sender(body.reporter, None)
        understanding = self._gateway.understanding
        async with self._gateway.store.read() as connection:
            if body.message is not None:
                found = await senders.sender_of_message(connection, understanding, body.message)
            else:
                found = await senders.sender_of_tracking_id(connection, understanding, str(body.tracking_id))
        if found is None:
            raise refusal(web.HTTPNotFound, "nobody here knows who wrote this")
        return found

    async def channel(self, request: web.Request) -> str:
        """A channel that some gateway on this database has."""
        name = request.match_info["name"]
        if name not in self._gateway.settings.channels:
            async with self._gateway.store.read() as connection:
                known = {row.name for row in await channel_states.load(connection)}
            if name not in known:
                raise refusal(web.HTTPNotFound, "there is no such channel")
        return name

    def _act(self, request: web.Request, reason: str) -> Act:
        return request[IDENTITY].act(to_milliseconds(self._gateway.clock.now()), reason)
