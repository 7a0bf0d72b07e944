"""Posting as the account: ``POST /2/tweets`` with its signature, its limits and its refusals."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.clock import Clock
from gateway.demo.x.auth import Keys
from gateway.demo.x.faults import Faults
from gateway.demo.x.options import Options
from gateway.demo.x.problems import Json, RateLimit, answer, invalid, plain
from gateway.demo.x.text import POST_LENGTH, weigh
from gateway.demo.x.world import Post, PostDetails, World


@dataclass(frozen=True, slots=True)
class Answer:
    """A post of our account: the text as it was handed in, and the post that it answers."""

    post: Post
    text: str
    reply_to: str | None


class Writing:
    """The handler of posting.

    Attributes:
        answers: Everything that our account posted, the oldest first.
        duplicates_refused: How often the same text came again.
    """

    def __init__(self, options: Options, world: World, keys: Keys, faults: Faults, clock: Clock) -> None:
        self._options = options
        self._world = world
        self._keys = keys
        self._faults = faults
        self._limit = RateLimit(options.post_limit, options.window_seconds, clock)
        self._texts: set[str] = set()
        self.answers: list[Answer] = []
        self.duplicates_refused = 0

    async def create(self, request: web.Request) -> web.Response:
        """``POST /2/tweets``."""
        self._keys.need_user(request)
        headers = self._limit.take()
        text, reply_to = _read(await _body(request))
        shown = self._checked(text, reply_to)
        details: PostDetails = {} if reply_to is None else {"reply_to": reply_to}
        post = self._world.post(self._world.user(self._options.account), shown, **details)
        self._texts.add(shown)
        self.answers.append(Answer(post, text, reply_to))
        if self._faults.lost_answers > 0:
            self._faults.lost_answers -= 1
            raise AnswerLost
        data = {"id": post.id, "text": post.shown.text, "edit_history_tweet_ids": [post.id]}
        return answer({"data": data}, status=201, headers=headers)

    def _checked(self, text: str, reply_to: str | None) -> str:
        """The text as it will stand on X, which puts the name of the person answered before it."""
        if weigh(text) > POST_LENGTH:
            raise plain(403, "Forbidden", "Your Tweet text is too long.")
        if reply_to is not None:
            parent = self._world.get(reply_to)
            if parent is None or not self._world.is_public(parent):
                detail = "You attempted to reply to a Tweet that is deleted or not visible to you."
                raise plain(403, "Forbidden", detail)
            account = self._options.account.lower()
            if self._options.replies_need_mention and account not in parent.mentions:
                detail = "Reply to this conversation is not allowed because you have not been mentioned by its author."
                raise plain(403, "Forbidden", detail)
            name = f"@{parent.author.username}"
            text = text if text.lower().startswith(name.lower()) else f"{name} {text}"
        if text in self._texts:
            self.duplicates_refused += 1
            raise plain(403, "Forbidden", "You are not allowed to create a Tweet with duplicate content.")
        return text


class AnswerLost(Exception):
    """The post was created and the client shall not hear of it."""


async def _body(request: web.Request) -> Json:
    try:
        body = await request.json()
    except ValueError as problem:
        raise plain(400, "Bad Request", "The request body is not JSON.") from problem
    if not isinstance(body, dict):
        raise plain(400, "Bad Request", "The request body is not a JSON object.")
    return body


def _read(body: Json) -> tuple[str, str | None]:
    text: Any = body.get("text")
    if not isinstance(text, str) or not text.strip():
        raise plain(400, "Bad Request", "The request body needs a text.")
    reply: Any = body.get("reply")
    if reply is None:
        return text, None
    reply_to = reply.get("in_reply_to_tweet_id") if isinstance(reply, dict) else None
    if not isinstance(reply_to, str) or not (reply_to.isascii() and reply_to.isdigit()):
        raise invalid("reply.in_reply_to_tweet_id", reply_to, f"[{reply_to}] is not a valid Tweet id")
    return text, reply_to
