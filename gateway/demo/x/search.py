"""What can be read from the simulated X: recent search, look-up by id, timelines, mentions and accounts."""

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from aiohttp import web

from gateway.clock import Clock
from gateway.demo.x.auth import Keys
from gateway.demo.x.options import Options
from gateway.demo.x.problems import Json, Problem, RateLimit, answer, invalid, not_authorized, not_found
from gateway.demo.x.render import Renderer, Shape, moment
from gateway.demo.x.rules import RuleError, compile_rule
from gateway.demo.x.world import Post, User, World, first_id_at

SEARCH_DAYS: Final = 7
MOST_IDS: Final = 100
_MIXED: Final = "Invalid use of 'since_id' or 'until_id' in conjunction with 'start_time' or 'end_time'."


@dataclass(frozen=True, slots=True)
class Window:
    """The ids that a request reads: above the one, below the other, so many to a page."""

    above: int
    below: int
    size: int


class Reading:
    """The handlers of everything that reads."""

    def __init__(self, options: Options, world: World, renderer: Renderer, keys: Keys, clock: Clock) -> None:
        self._options = options
        self._world = world
        self._renderer = renderer
        self._keys = keys
        self._clock = clock
        self._searches = RateLimit(options.search_limit, options.window_seconds, clock)
        self._limits: dict[str, RateLimit] = {}

    async def recent(self, request: web.Request) -> web.Response:
        """``GET /2/tweets/search/recent``."""
        self._keys.need_any(request)
        headers = self._searches.take()
        query = request.query.get("query", "")
        try:
            matches = compile_rule(query)
        except RuleError as problem:
            raise invalid("query", query, f"There were errors processing your request: {problem}") from problem
        window = self._window(request, smallest=10, default=10)
        now = self._clock.now()
        oldest = now - timedelta(days=SEARCH_DAYS)
        self._refuse_old(request, oldest)
        end = request.query.get("end_time")
        latest = _time("end_time", end) if end else now - timedelta(seconds=self._options.search_delay_seconds)
        if end and latest > now - timedelta(seconds=self._options.search_delay_seconds / 3):
            raise invalid("end_time", end, "'end_time' must be a minimum of 10 seconds prior to the request time.")
        open_end = "until_id" in request.query or not (end or self._options.search_delay_seconds)
        below = window.below if open_end else min(window.below, first_id_at(latest))
        window = Window(max(window.above, first_id_at(oldest)), below, window.size)
        return self._page(request, window, matches, headers)

    async def lookup(self, request: web.Request) -> web.Response:
        """``GET /2/tweets?ids=``: what can be shown, and an error for each that cannot."""
        self._keys.need_any(request)
        headers = self._limit("lookup").take()
        ids = [wanted for wanted in request.query.get("ids", "").split(",") if wanted]
        if not 1 <= len(ids) <= MOST_IDS:
            message = f"The number of values in the `ids` query parameter list [{len(ids)}] is not between 1 and 100"
            raise invalid("ids", request.query.get("ids", ""), message)
        for wanted in ids:
            if not (wanted.isascii() and wanted.isdigit()):
                raise invalid("ids", wanted, f"The `ids` query parameter value [{wanted}] is not valid")
        shown: list[Post] = []
        errors: list[Json] = []
        for wanted in ids:
            post = self._world.get(wanted)
            if post is None:
                errors.append(not_found("tweet", "ids", wanted))
            elif not self._world.is_public(post):
                errors.append(not_authorized("ids", wanted))
            else:
                shown.append(post)
        body = self._renderer.page(shown, Shape.of(request.query, self._options.naming))
        if errors:
            body["errors"] = [*errors, *body.get("errors", ())]
        return answer(body, headers=headers)

    async def me(self, request: web.Request) -> web.Response:
        """``GET /2/users/me``: the answering account."""
        self._keys.need_any(request)
        return self._account(request, self._world.user(self._options.account))

    async def by_username(self, request: web.Request) -> web.Response:
        """``GET /2/users/by/username/{username}``."""
        self._keys.need_any(request)
        username = request.match_info["username"]
        found = self._world.find_user(username)
        if found is None:
            return answer({"errors": [not_found("user", "username", username)]})
        return self._account(request, found)

    async def mentions(self, request: web.Request) -> web.Response:
        """``GET /2/users/{id}/mentions``."""
        user = self._owner(request)
        name = user.username.lower()
        return self._timeline(request, "mentions", lambda post: name in post.mentions)

    async def timeline(self, request: web.Request) -> web.Response:
        """``GET /2/users/{id}/tweets``."""
        user = self._owner(request)
        left_out = request.query.get("exclude", "").split(",")

        def belongs(post: Post) -> bool:
            if post.author.id != user.id or ("retweets" in left_out and post.refers("retweeted")):
                return False
            return not ("replies" in left_out and post.refers("replied_to"))

        return self._timeline(request, "tweets", belongs)

    def _owner(self, request: web.Request) -> User:
        self._keys.need_any(request)
        wanted = request.match_info["id"]
        account = self._world.user(self._options.account)
        found = account if account.id == wanted else self._world.find_user_by_id(wanted)
        if found is None:
            raise Problem(200, {"errors": [not_found("user", "id", wanted)]})
        return found

    def _timeline(self, request: web.Request, name: str, matches: Callable[[Post], bool]) -> web.Response:
        window = self._window(request, smallest=5, default=10)
        end = request.query.get("end_time")
        if end:
            window = Window(window.above, min(window.below, first_id_at(_time("end_time", end))), window.size)
        return self._page(request, window, matches, self._limit(name).take())

    def _account(self, request: web.Request, user: User) -> web.Response:
        fields = frozenset(request.query.get("user.fields", "").split(",")) | {"id", "name", "username"}
        return answer({"data": self._renderer.user(user, fields)}, headers=self._limit("users").take())

    def _limit(self, name: str) -> RateLimit:
        known = self._limits.get(name)
        if known is None:
            known = RateLimit(self._options.read_limit, self._options.window_seconds, self._clock)
            self._limits[name] = known
        return known

    def _window(self, request: web.Request, *, smallest: int, default: int) -> Window:
        query = request.query
        size = _number("max_results", query.get("max_results", str(default)))
        if not smallest <= size <= MOST_IDS:
            message = f"The `max_results` query parameter value [{size}] is not between {smallest} and {MOST_IDS}"
            raise invalid("max_results", size, message)
        by_id = "since_id" in query or "until_id" in query
        if by_id and ("start_time" in query or "end_time" in query):
            raise invalid("since_id", query.get("since_id", query.get("until_id")), _MIXED)
        above = _number("since_id", query.get("since_id", "0"))
        if "start_time" in query:
            above = first_id_at(_time("start_time", query["start_time"])) - 1
        below = _number("until_id", query.get("until_id", str(1 << 63)))
        token = query.get("next_token") or query.get("pagination_token")
        return Window(above, min(below, _from_token(token)) if token else below, size)

    def _refuse_old(self, request: web.Request, oldest: datetime) -> None:
        start, since = request.query.get("start_time"), request.query.get("since_id")
        if start and _time("start_time", start) < oldest:
            message = f"Invalid 'start_time':'{start}'. 'start_time' must be on or after {moment(oldest)}"
            raise invalid("start_time", start, message)
        first = first_id_at(oldest)
        if since and _number("since_id", since) < first:
            message = f"'since_id' must be a tweet id created after [{moment(oldest)}]. Please use a 'since_id' "
            raise invalid("since_id", since, f"{message}that is larger than {first}")

    def _page(
        self, request: web.Request, window: Window, matches: Callable[[Post], bool], headers: dict[str, str]
    ) -> web.Response:
        found: Iterator[Post] = filter(matches, self._world.newest_first(window.above, window.below))
        posts = list(islice(found, window.size))
        more = len(posts) == window.size and next(found, None) is not None
        body = self._renderer.page(posts, Shape.of(request.query, self._options.naming))
        meta: Json = {"result_count": len(posts)}
        if posts:
            meta = {"newest_id": posts[0].id, "oldest_id": posts[-1].id, "result_count": len(posts)}
        if more:
            meta["next_token"] = _to_token(int(posts[-1].id))
        return answer(body | {"meta": meta}, headers=headers)


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise invalid(name, value, f"The `{name}` query parameter value [{value}] is not valid")
    return int(value)


def _time(name: str, value: str) -> datetime:
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except ValueError as problem:
        raise invalid(name, value, f"The `{name}` query parameter value [{value}] is not a valid time") from problem


def _to_token(number: int) -> str:
    return base64.b32encode(f"p{number:x}".encode()).decode().rstrip("=").lower()


def _from_token(token: str) -> int:
    try:
        raw = base64.b32decode(token.upper() + "=" * (-len(token) % 8)).decode()
        return int(raw.removeprefix("p"), 16)
    except (binascii.Error, ValueError) as problem:
        raise invalid(
            "next_token", token, f"The `next_token` query parameter value [{token}] is not valid"
        ) from problem
