"""The pages where one looks: lists of messages, the search, one message, a channel, answers, senders, the audit log."""

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from gateway.application import Gateway
from gateway.clock import to_milliseconds
from gateway.console.access import IDENTITY
from gateway.console.evidence import Said, evidence_of, said_in
from gateway.console.language import TEXTS, language_of, text
from gateway.console.latest import SNAPSHOTS
from gateway.console.ledger import ledger_of
from gateway.console.overview import facts
from gateway.console.pages import ZONE, render, shown_time
from gateway.console.reading import MESSAGE_STATES
from gateway.console.searching import LONGEST, TextSearch, place_of
from gateway.console.snapshot import rfc3339
from gateway.console.web import MAX_PAGE, UUID, cursor, name_in, read_form, refusal
from gateway.identifiers import reporter_key
from gateway.masking import hidden, masked
from gateway.model import Reporter
from gateway.store import audit, listings, messages, orders
from gateway.store.listings import Found

ON_A_PAGE: Final = 50
ANSWER_STATES: Final = ("failed", "expired", "unknown", "parked")


@dataclass(frozen=True, slots=True)
class Opened:
    """A message whose sender somebody has asked for: who it is, in clear, and that all evidence is to be shown."""

    reporter: Reporter | None


class Looking:
    """What everybody with access may see; senders are masked.

    Args:
        gateway: Whose store is read.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._search = TextSearch(gateway.store, gateway.clock)

    def routes(self) -> list[web.RouteDef]:
        """Rooms for viewers."""
        return [
            web.get("/messages", self.messages),
            web.get(f"/messages/{{id:{UUID}}}", self.message),
            web.post("/search", self.search),
            web.get("/channels/{name}", self.channel),
            web.get("/answers", self.answers),
            web.get("/senders", self.senders),
            web.get("/audit", self.audit),
        ]

    async def messages(self, request: web.Request) -> web.Response:
        """A list of messages: by state and channel, of one report, or of one sender."""
        before, state = cursor(request), request.query.get("state") or None
        channel = name_in(request, "channel") if request.query.get("channel") else None
        tracking_id, reporter = name_in(request, "tracking"), name_in(request, "sender")
        if state is not None and state not in MESSAGE_STATES:
            raise refusal(web.HTTPBadRequest, f"state must be one of {', '.join(MESSAGE_STATES)}")
        async with self._gateway.store.read() as connection:
            if tracking_id is not None:
                found = await listings.of_tracking_id(connection, tracking_id, before, ON_A_PAGE)
            elif reporter is not None:
                found = await listings.of_sender(connection, reporter, before, ON_A_PAGE)
            else:
                found = await listings.page(connection, state=state, channel=channel, before=before, limit=ON_A_PAGE)
        heading = "messages"
        values: dict[str, object] = {}
        if tracking_id is not None:
            heading, values = "search.tracking", {"id": tracking_id}
        elif reporter is not None:
            heading, values = "search.sender", {"key": f"{reporter[:8]}…"}
        return self._list(request, found, text(language_of(request), heading, **values), state=state, channel=channel)

    async def search(self, request: web.Request) -> web.Response:
        """To the page of what is named; or the messages that hold a text, which stands in no address."""
        query = (await read_form(request, ("q",)))["q"][:LONGEST]
        place = place_of(query) if query else "/messages"
        if place is not None:
            raise web.HTTPSeeOther(place)
        language = language_of(request)
        result = await self._search.find(query)
        if result is None:
            return self._list(
                request, Found((), None), text(language, "search.results"), remark=text(language, "search.busy")
            )
        async with self._gateway.store.read() as connection:
            rows = await listings.chosen(connection, result.ids)
        until = shown_time(language, request.app[ZONE], result.until).striptags()
        remark = text(language, "search.text", count=result.count, until=until)
        if result.cut:
            remark += " " + text(language, "search.cut")
        return self._list(request, Found(rows, None), text(language, "search.results"), remark=remark)

    def _list(self, request: web.Request, found: Found, heading: str, **values: Any) -> web.Response:  # noqa: ANN401
        defaults = {"state": None, "channel": None, "remark": "", "note": note_of(request)}
        return render(
            request,
            "messages.html",
            heading=heading,
            found=found,
            filtered=request.path == "/messages" and not {"tracking", "sender"} & set(request.query),
            states=MESSAGE_STATES,
            channels=sorted(self._gateway.settings.channels),
            window=listings.WINDOW,
            query=dict(request.query),
            **{**defaults, **values},
        )

    async def message(self, request: web.Request) -> web.Response:
        """One message: its evidence, what was read in it, and every step it took."""
        return await self.shown(request, request.match_info["id"])

    async def shown(self, request: web.Request, message_id: str, opened: Opened | None = None) -> web.Response:
        """The page of one message; with ``opened``, nothing of it is masked. Raises HTTPNotFound."""
        async with self._gateway.store.read() as connection:
            row: Any = await messages.find(connection, message_id)
            ledger = await ledger_of(connection, message_id)
            if row is None or ledger is None:
                raise refusal(web.HTTPNotFound, "there is no such message")
            said = await said_in(connection, self._gateway.understanding, row)
            key = row.reporter or _key_of(said)
            is_blocked = key is not None and bool(await orders.blocked(connection, [key]))
        acts = request[IDENTITY].role == "operator"
        reporter = said.reporter if said is not None else None
        evidence = evidence_of(row.raw, reporter, clear=opened is not None) if row.raw is not None and acts else None
        return render(
            request,
            "message.html",
            row=row,
            said=said if acts or said is None else _masked(said),
            sender=masked(reporter) if reporter is not None else "–",
            opened=opened,
            evidence=evidence,
            key=key,
            is_blocked=is_blocked,
            steps=_with_sending(ledger["steps"], said),
            note=note_of(request),
        )

    async def channel(self, request: web.Request) -> web.Response:
        """One channel with all that it tells of itself, and what can be done with it."""
        name = request.match_info["name"]
        snapshot = await request.app[SNAPSHOTS].latest_known()
        shown = next((each for each in snapshot.channels if each["name"] == name), None)
        section = self._gateway.settings.channels.get(name)
        async with self._gateway.store.read() as connection:
            order = await orders.paused(connection, name)
        if shown is None and section is None:
            raise refusal(web.HTTPNotFound, "there is no such channel")
        return render(
            request,
            "channel.html",
            facts=facts,
            name=name,
            channel=shown,
            order=order,
            writes=section is not None and section.plugin.writes_to is not None,
            note=note_of(request),
        )

    async def answers(self, request: web.Request) -> web.Response:
        """Answers that reached nobody, and events that the queue refused."""
        state, before = request.query.get("state", "failed"), cursor(request)
        if state not in ANSWER_STATES:
            raise refusal(web.HTTPBadRequest, f"state must be one of {', '.join(ANSWER_STATES)}")
        async with self._gateway.store.read() as connection:
            if state == "parked":
                rows = await listings.parked(connection, before, ON_A_PAGE + 1)
            else:
                rows = await listings.undelivered(connection, state, before, ON_A_PAGE + 1)
        after = rows[ON_A_PAGE - 1].id if len(rows) > ON_A_PAGE else None
        return render(request, "answers.html", rows=rows[:ON_A_PAGE], next=after, state=state, states=ANSWER_STATES)

    async def senders(self, request: web.Request) -> web.Response:
        """Who is blocked; and where operators block and erase."""
        return await self.senders_page(request)

    async def senders_page(self, request: web.Request, status: int = 200, **values: Any) -> web.Response:  # noqa: ANN401
        """The same; ``erased`` tells what an erasure did, ``warning`` is a key of the catalogue."""
        async with self._gateway.store.read() as connection:
            blocked = await orders.all_blocked(connection, MAX_PAGE)
        how = next((name for name in ("message", "reporter", "tracking_id") if name in request.query), "phone")
        defaults = {"erased": None, "warning": "", "how": how, "which": request.query.get(how, "")[:LONGEST]}
        given = defaults | {"note": note_of(request)} | values
        return render(request, "senders.html", status=status, blocked=blocked, **given)

    async def audit(self, request: web.Request) -> web.Response:
        """Who did what."""
        subject, operator = name_in(request, "subject"), name_in(request, "operator")
        async with self._gateway.store.read() as connection:
            rows = await audit.page(
                connection, limit=ON_A_PAGE + 1, before=cursor(request), subject=subject, operator=operator
            )
        after = rows[ON_A_PAGE - 1].id if len(rows) > ON_A_PAGE else None
        return render(request, "audit.html", rows=rows[:ON_A_PAGE], next=after, query=dict(request.query))


def note_of(request: web.Request) -> str:
    """What the act before has done, as a sentence; nothing else can be put there by an address."""
    done, left = request.query.get("done", ""), request.query.get("left", "")
    language = language_of(request)
    if done.isdecimal() and left.isdecimal() and len(done + left) < 9:  # noqa: PLR2004 - hundreds at most
        return text(language, "done", done=int(done), left=int(left))
    note = f"done.{request.query.get('note')}"
    return text(language, note) if note in TEXTS else ""


def _key_of(said: Said | None) -> str | None:
    if said is None or not said.reporter.address:
        return None
    return reporter_key(said.reporter.kind, said.reporter.address)


def _masked(said: Said) -> Said:
    """The same for a viewer."""
    title = None if said.title is None else hidden(said.title, said.reporter)
    shown = hidden(said.text, said.reporter)
    return Said(said.reporter, title, shown, said.keyword, said.sent_at, (), said.tracking_id, said.repeats, said.held)


def _with_sending(steps: list[dict[str, Any]], said: Said | None) -> list[dict[str, Any]]:
    """The timeline begins with the citizen, where the source tells when that was."""
    if said is None or said.sent_at is None:
        return steps
    sent = {"at": rfc3339(to_milliseconds(said.sent_at)), "step": "sent by the citizen", "detail": None}
    return [sent, *steps]
