"""Looks recent posts up again: what is deleted or withheld is withdrawn, and an edit that the stream missed comes in.

X asks that deletions, withholding and edits are honoured within 24 hours (Developer Policy, "Content compliance",
https://docs.x.com/developer-terms/policy). A walk goes over the posts of the last days in the order of their
arrival, a hundred at a call; its place is kept in the database, so that a restart goes on where it was.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from channels.twitter.api import ApiError, Json, XApi
from channels.twitter.media import files_of
from channels.twitter.posts import from_page, is_post_id
from channels.twitter.settings import TwitterSettings
from gateway.clock import Clock
from gateway.errors import StoreFull, StoreUnavailable
from gateway.ports import ChannelStore, Kept, RawMessage

Deliver = Callable[[Sequence[RawMessage]], Awaitable[None]]

SAVED_AS: Final = "recheck"
IDS_PER_CALL: Final = 100
PACE_SECONDS: Final = 5.0
"""Between two calls: 180 in 15 minutes, of the 300 and more that X allows an app,
https://docs.x.com/x-api/fundamentals/rate-limits."""

POLL_SECONDS: Final = 30.0
RETRY_FIRST: Final = 5.0
RETRY_CAP: Final = 900.0
RATE_LIMIT_SECONDS: Final = 900.0
OPERATOR_SECONDS: Final = 600.0
_LONGEST_PAUSE: Final = 86_400.0
_TRIES_OF_A_PAGE: Final = 3
_MOST_WITHOUT_MEDIA: Final = 1000
_MOST_VERSIONS: Final = 10_000

_GONE: Final[Mapping[str, str]] = {
    "resource-not-found": "deleted",
    "not-authorized-for-resource": "protected",
    "resource-unavailable": "unavailable",
}
"""The kinds of X's problems, by the end of their address, and the reason that they give. X's OpenAPI file,
https://api.x.com/2/openapi.json, schema Problem."""

_CONCERNS_US: Final = frozenset({"ID", "XX", "XY"})
"""Withheld in Indonesia, or everywhere. X's data dictionary, "withheld_in_countries"."""

_SENTENCES: Final[Mapping[int, str]] = {
    401: "X does not accept the keys (401): correct bearer_token.",
    402: "X wants credit (402): top up the account at developer.x.com.",
    403: "X refuses to look posts up (403): look at the app's plan.",
    429: "X takes no more look-ups for now (429); they go on by themselves.",
}


class _State(msgspec.Struct, frozen=True):
    """Where the walks are, in ISO 8601. ``started`` is empty while none is under way."""

    started: str = ""
    cursor: str = ""
    last_started: str = ""
    last_completed: str = ""


@dataclass(frozen=True, slots=True)
class _Page:
    """Posts that are looked up together, the media records among them, and what comes behind."""

    posts: tuple[Kept, ...]
    media: tuple[str, ...]
    cursor: str
    is_last: bool


class Recheck:
    """Walks over recent posts again and again.

    Args:
        api: X.
        settings: The channel's section.
        store: Holds the posts, and the place of the walk.
        clock: Tells the time.
        offer: Takes the raw bytes of posts whose media are not in custody; None where media are not fetched.
        pace_seconds: Seconds between two calls.
        poll_seconds: Seconds between two looks at the clock while nothing is to be done.
    """

    def __init__(
        self,
        api: XApi,
        settings: TwitterSettings,
        store: ChannelStore,
        clock: Clock,
        offer: Callable[[bytes], None] | None = None,
        *,
        pace_seconds: float = PACE_SECONDS,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._api = api
        self._settings = settings
        self._store = store
        self._clock = clock
        self._offer = offer
        self._pace = pace_seconds
        self._poll = poll_seconds
        self._state: _State | None = None
        self._without_media: OrderedDict[str, bytes] = OrderedDict()
        self._versions: OrderedDict[str, None] = OrderedDict()
        self._counts = dict.fromkeys(("looked_up", "withdrawn", "edited", "skipped"), 0)
        self._reason = ""
        self._failures = 0
        self._bad_answers = 0

    async def run(self, deliver: Deliver) -> None:
        """Never ends by itself. Raises LeaseLost when another process has taken the channel over.

        Args:
            deliver: Takes what was found; it may take its time over it.
        """
        if not self._settings.recheck_hours:
            await asyncio.Event().wait()
        while True:
            try:
                at_work = await self._step(deliver)
            except ApiError as error:
                await self._pause(self._after(error))
            except (StoreUnavailable, StoreFull) as error:
                self._reason = str(error)
                await self._pause(self._back_off())
            else:
                self._failures = self._bad_answers = 0
                self._reason = ""
                await asyncio.sleep(self._pace if at_work else self._poll)

    def details(self) -> dict[str, Any]:
        """What operators see."""
        state = self._state or _State()
        return {
            "recheck_under_way": bool(state.started),
            "recheck_completed_at": state.last_completed or None,
            "recheck_reason": self._reason,
            **{f"recheck_{name}": count for name, count in self._counts.items()},
        }

    async def _step(self, deliver: Deliver) -> bool:
        """Looks one page up. Returns whether there was anything to do."""
        state = self._state or _read_state(await self._store.load(SAVED_AS))
        self._state = state
        now = self._clock.now()
        if not state.started:
            if not self._due(state, now):
                return False
            state = msgspec.structs.replace(state, started=now.isoformat(), cursor="")
        page = await self._next_page(state)
        if page.posts and self._bad_answers < _TRIES_OF_A_PAGE:
            found = await self._look_up(page.posts)
            if found:
                await deliver(found)
        else:
            self._counts["skipped"] += len(page.posts)
        self._leave_out(page.media)
        await self._save(self._behind(state, page))
        return True

    def _due(self, state: _State, now: datetime) -> bool:
        before = _moment(state.last_started)
        return before is None or before > now or now - before >= timedelta(hours=self._settings.recheck_hours)

    def _behind(self, state: _State, page: _Page) -> _State:
        if not page.is_last:
            return msgspec.structs.replace(state, cursor=page.cursor)
        while self._without_media:
            self._offer_oldest()
        return _State(last_started=state.started, last_completed=self._clock.now().isoformat())

    async def _save(self, state: _State) -> None:
        await self._store.save({SAVED_AS: msgspec.json.encode(state).decode()})
        self._state = state

    async def _next_page(self, state: _State) -> _Page:
        """Up to a hundred posts behind the cursor, with whatever stands between them."""
        since = (_moment(state.started) or self._clock.now()) - timedelta(days=self._settings.recheck_days)
        cursor = state.cursor
        posts: list[Kept] = []
        media: list[str] = []
        while True:
            rows = await self._store.kept(since, cursor, IDS_PER_CALL)
            for row in rows:
                cursor = row.id
                if is_post_id(row.external_id):
                    posts.append(row)
                elif row.external_id.startswith("media:"):
                    media.append(row.external_id)
                if len(posts) == IDS_PER_CALL:
                    return _Page(tuple(posts), tuple(media), cursor, is_last=False)
            if len(rows) < IDS_PER_CALL:
                return _Page(tuple(posts), tuple(media), cursor, is_last=True)

    async def _look_up(self, posts: Sequence[Kept]) -> list[RawMessage]:
        """What has become of these posts, as far as it concerns us."""
        by_id = {post.external_id: post for post in posts}
        answer = await self._api.lookup(list(by_id))
        self._counts["looked_up"] += len(by_id)
        shown = {post["id"]: post for post in _posts(answer) if post["id"] in by_id}
        gone = {post_id: "withheld" for post_id, post in shown.items() if _is_withheld(post)}
        if missing := _missing(answer, by_id.keys() - shown.keys()):
            await asyncio.sleep(self._pace)
            # Asked twice, since what is withdrawn by mistake cannot be brought back.
            gone |= _missing(await self._api.lookup(list(missing)), missing.keys())
        found = [note for post_id, why in sorted(gone.items()) for note in _withdrawals(by_id[post_id], why)]
        self._counts["withdrawn"] += len(gone)
        for post_id in shown.keys() - gone.keys():
            self._note_media(by_id[post_id].raw)
        newer = {_newest(post) for post in shown.values()} - by_id.keys() - self._versions.keys()
        return [*found, *(await self._edits(sorted(newer)))]

    async def _edits(self, ids: Sequence[str]) -> list[RawMessage]:
        """The newest versions of posts of which the page held older ones only; once in the life of a process."""
        if not ids:
            return []
        await asyncio.sleep(self._pace)
        answer = await self._api.lookup(ids)
        found = [message for message in from_page(answer, "lookup") if message.external_id in ids]
        self._versions.update((message.external_id, None) for message in found)
        while len(self._versions) > _MOST_VERSIONS:
            self._versions.popitem(last=False)
        self._counts["edited"] += len(found)
        return found

    def _note_media(self, raw: bytes) -> None:
        if self._offer is None:
            return
        self._without_media.update((file.external_id, raw) for file in files_of(raw))
        while len(self._without_media) > _MOST_WITHOUT_MEDIA:
            self._offer_oldest()

    def _leave_out(self, media: Sequence[str]) -> None:
        """These are in custody; a media record always comes behind its post."""
        for external_id in media:
            self._without_media.pop(external_id, None)

    def _offer_oldest(self) -> None:
        _, raw = self._without_media.popitem(last=False)
        if self._offer is not None:
            self._offer(raw)

    def _after(self, error: ApiError) -> float:
        """How long to wait after a call that failed."""
        status = error.status
        self._reason = _SENTENCES.get(status or 0, f"X did not look posts up ({error}); it is tried again.")
        if status == 429:  # noqa: PLR2004 - HTTP
            return min(_LONGEST_PAUSE, RATE_LIMIT_SECONDS if error.wait is None else error.wait + 1)
        if status in _SENTENCES:
            return OPERATOR_SECONDS
        if status is not None and 400 <= status < 500:  # noqa: PLR2004 - HTTP
            self._bad_answers += 1
        return self._back_off()

    def _back_off(self) -> float:
        self._failures += 1
        return min(RETRY_CAP, RETRY_FIRST * 2.0 ** min(self._failures - 1, 10))

    async def _pause(self, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        while self._clock.monotonic() < until:  # noqa: ASYNC110 - nothing tells when a clock gets there
            await asyncio.sleep(min(self._poll, seconds))


def _read_state(saved: str | None) -> _State:
    """Where the walk was; what cannot be read begins a new one."""
    try:
        state = msgspec.json.decode(saved or "{}", type=_State)
    except msgspec.DecodeError:
        return _State()
    return _State() if state.started and _moment(state.started) is None else state


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _posts(answer: Json) -> Iterator[Json]:
    for post in _list(answer.get("data")):
        if isinstance(post, dict) and is_post_id(_text(post.get("id"))):
            yield post


def _missing(answer: Json, asked: Collection[str]) -> dict[str, str]:
    """The posts that X says are not there, and why. What it leaves out without a word is not among them."""
    found: dict[str, str] = {}
    for error in _list(answer.get("errors")):
        if not isinstance(error, dict) or error.get("parameter", "ids") not in ("ids", "id"):
            continue  # it is about a post or an account that is only referred to
        post_id = _text(error.get("resource_id")) or _text(error.get("value"))
        reason = _GONE.get(_text(error.get("type")).rpartition("/")[2])
        if post_id in asked and reason is not None:
            suspended = reason == "protected" and "suspended" in _text(error.get("detail")).lower()
            found[post_id] = "suspended" if suspended else reason
    return found


def _is_withheld(post: Json) -> bool:
    withheld = post.get("withheld")
    if not isinstance(withheld, dict):
        return False
    countries = {_text(code).upper() for code in _list(withheld.get("country_codes"))}
    return not countries or bool(countries & _CONCERNS_US)


def _newest(post: Json) -> str:
    history = _list(post.get("edit_history_tweet_ids") or post.get("edit_history_post_ids"))
    return max((_text(one) for one in (*history, post["id"]) if is_post_id(_text(one))), key=int)


def _withdrawals(post: Kept, reason: str) -> Iterator[RawMessage]:
    """That a post is gone, and that its files are not to be kept either."""
    author_id = _author_of(post.raw)
    for external_id in (post.external_id, *(file.external_id for file in files_of(post.raw))):
        note = {"lapor": "withdrawal", "post_id": external_id, "author_id": author_id, "reason": reason}
        yield RawMessage(f"withdrawal:{external_id}", _compact(note), author_id or post.external_id)


def _author_of(raw: bytes) -> str | None:
    data = _record(raw).get("data")
    return _text(data.get("author_id")) or None if isinstance(data, dict) else None


def _record(raw: bytes) -> Json:
    try:
        record = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _compact(record: Json) -> bytes:
    return msgspec.json.encode(record, order="deterministic")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
