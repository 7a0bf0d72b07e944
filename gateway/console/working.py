"""The forms by which operators act from the pages: on messages, channels and senders."""

from typing import Any, Final, get_args
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from gateway.actions import channels, messages, senders
from gateway.actions.act import MOST_AT_ONCE, Act
from gateway.actions.messages import Verb
from gateway.application import Gateway
from gateway.clock import to_milliseconds
from gateway.console.access import IDENTITY
from gateway.console.acting import Acting, Chosen, TestMessage, WhichSender, Why
from gateway.console.looking import Looking, Opened
from gateway.console.web import UUID, checked, local_path, read_form, refusal

_KINDS: Final = ("phone", "email", "x")
_NAMES: Final = ("message", "tracking_id", "reporter")


class Working:
    """What operators do; each form says why, and leaves a row in the audit log.

    Args:
        gateway: On whose store they act.
        acting: The same for programs.
        looking: The pages that are shown afterwards.
    """

    def __init__(self, gateway: Gateway, acting: Acting, looking: Looking) -> None:
        self._gateway = gateway
        self._acting = acting
        self._looking = looking

    def routes(self) -> list[web.RouteDef]:
        """Rooms for operators."""
        return [
            web.post("/messages/act", self.settle),
            web.post(f"/messages/{{id:{UUID}}}/sender", self.unmask),
            web.post("/channels/{name}/act", self.rest),
            web.post("/channels/{name}/test", self.test),
            web.post("/senders/act", self.sender),
        ]

    async def settle(self, request: web.Request) -> web.Response:
        """Replays, accepts or discards what was ticked, or all that the page showed; then back to where it was."""
        form = await read_form(request, ("act", "reason", "back"))
        posted = await request.post()
        verb, _, all_shown = form["act"].partition(":")
        if verb not in get_args(Verb):
            raise refusal(web.HTTPBadRequest, "there is no such act")
        ids = tuple(str(one) for one in posted.getall("shown" if all_shown else "ids", ()))[: MOST_AT_ONCE + 1]
        body = checked(Chosen, {"ids": ids, "reason": form["reason"]})
        known: Any = verb
        async with self._gateway.store.write() as connection:
            done = await messages.settle(connection, known, body.ids, self._act(request, body.reason))
        self._gateway.look_again()
        left = len(set(body.ids)) - len(done)
        raise web.HTTPSeeOther(_with(form["back"], done=len(done), left=left))

    async def unmask(self, request: web.Request) -> web.Response:
        """Shows who wrote a message and all of its evidence; written down before it is shown."""
        form = await read_form(request, ("reason",))
        what = self._act(request, checked(Why, {"reason": form["reason"]}).reason)
        message_id = request.match_info["id"]
        async with self._gateway.store.write() as connection:
            sender = await senders.unmask(connection, self._gateway.understanding, message_id, what)
            if sender is None or sender.reporter is None:  # the evidence is shown all the same
                await senders.note_unmasked(connection, message_id, what)
        return await self._looking.shown(request, message_id, Opened(sender.reporter if sender else None))

    async def rest(self, request: web.Request) -> web.Response:
        """Pauses a channel, or resumes it."""
        form = await read_form(request, ("act", "reason"))
        reason, name = checked(Why, {"reason": form["reason"]}).reason, await self._acting.channel(request)
        change = {"pause": channels.pause, "resume": channels.resume}.get(form["act"])
        if change is None:
            raise refusal(web.HTTPBadRequest, "there is no such act")
        async with self._gateway.store.write() as connection:
            changed = await change(connection, name, self._act(request, reason))
        raise web.HTTPSeeOther(_with(f"/channels/{name}", note="one" if changed else "unchanged"))

    async def test(self, request: web.Request) -> web.Response:
        """Queues a test message."""
        name, sections = request.match_info["name"], self._gateway.settings.channels
        if name not in sections:
            raise refusal(web.HTTPNotFound, "this gateway has no such channel")
        body = checked(TestMessage, await read_form(request, ("to", "text", "reason")))
        what = self._act(request, body.reason)
        async with self._gateway.store.write() as connection:
            await channels.send_test(connection, sections, name, body.to, body.text, what)
        self._gateway.look_again(name)
        raise web.HTTPSeeOther(_with(f"/channels/{name}", note="queued"))

    async def sender(self, request: web.Request) -> web.Response:
        """Blocks, unblocks or erases a citizen; an erasure wants to be meant."""
        form = await read_form(request, ("act", "how", "which", "reason", "sure", "back"))
        body = checked(WhichSender, _which(form["how"], form["which"]) | {"reason": form["reason"]})
        what = self._act(request, body.reason)
        if form["act"] == "erase" and form["sure"] != "yes":
            given = {"how": form["how"], "which": form["which"]}
            return await self._looking.senders_page(request, 422, warning="erase.not_sure", **given)
        sender = await self._acting.sender(body)
        if form["act"] == "erase":
            return await self._looking.senders_page(request, erased=await self._acting.erased(sender, what))
        change = {"block": senders.block, "unblock": senders.unblock}.get(form["act"])
        if change is None:
            raise refusal(web.HTTPBadRequest, "there is no such act")
        async with self._gateway.store.write() as connection:
            changed = await change(connection, sender, what)
        raise web.HTTPSeeOther(_with(form["back"] or "/senders", note="one" if changed else "unchanged"))

    def _act(self, request: web.Request, reason: str) -> Act:
        return request[IDENTITY].act(to_milliseconds(self._gateway.clock.now()), reason)


def _which(how: str, which: str) -> dict[str, object]:
    """How a form names a citizen, as the API does."""
    if how in _KINDS:
        return {"kind": how, "address": which}
    return {how: which} if how in _NAMES else {}


def _with(back: str, **values: object) -> str:
    """A page of ours, without the note of an earlier act and with that of this one."""
    parts = urlsplit(local_path(back))
    kept = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] not in ("done", "left", "note")]
    return f"{parts.path}?{'&'.join([*kept, urlencode(values)])}"
