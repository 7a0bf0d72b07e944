"""Answers on X: one reply to one post, within X's length and the operator's budget, and never twice."""

import html
import re
import unicodedata
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from channels.twitter.api import ApiError, Json, XApi
from channels.twitter.posts import is_post_id, next_token, time_of
from channels.twitter.settings import TwitterSettings
from gateway.clock import Clock, from_milliseconds
from gateway.errors import MaybeSent, NotSent, Refused, StoreUnavailable, Throttled
from gateway.ports import ChannelStore, OutgoingAnswer, Sent

LONGEST: Final = 280
LINK_WEIGHT: Final = 23
_LIGHT: Final = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
"""The code points that weigh one; all others weigh two. These, the length and the weight of a link are twitter-text's
configuration version 3, https://github.com/twitter/twitter-text/blob/master/config/v3.json."""

_LINK = re.compile(
    r"(?:(?P<scheme>https?://)|(?<![\w@./-]))(?:[\w-]+\.)+[^\W\d_]{2,}(?::\d+)?(?![\w@])"
    r"(?:[/?#]\S*[^\s.,;:!?)'\"…])?",
    re.IGNORECASE,
)
_LEADING_MENTIONS = re.compile(r"^(?:@\w{1,15}\s+)+")

DAY: Final = timedelta(days=1)
RATE_LIMIT_SECONDS: Final = 900.0
"""How long X's windows are, for a refusal that does not name its end."""

OPERATOR_SECONDS: Final = 600.0
"""How often what only a person can mend is tried again."""

LONGEST_WAIT: Final = 86_460.0
UNREACHED_FIRST: Final = 15.0
LET_OTHERS_PASS: Final = 6
"""An answer that X has forbidden so often, without a known reason, lets the others go first once: should one of them
be taken, the reason lies in this answer."""

_MOST_REMEMBERED: Final = 1000
_MOST_PAGES: Final = 32
"""X shows the newest 3,200 posts of an account, https://docs.x.com/x-api/posts/timelines/introduction."""

_CLOCKS_APART: Final = timedelta(minutes=5)

_DUPLICATE: Final = "duplicate"
_NEVER: Final[tuple[tuple[str, str], ...]] = (
    ("deleted or not visible", "The post is deleted or hidden by now."),
    ("has been deleted", "The post is deleted by now."),
    ("not allowed to reply", "X does not let this account answer the post."),
    ("reply to this conversation is not allowed", "X allows no answer: the author has not mentioned the account."),
    ("have been blocked", "The author has blocked the account."),
    ("too long", "X finds the answer too long: the text has to be shorter."),
)
"""Parts of X's sentences that are about one post, and what they mean. X gives these refusals (403, some 400) no code
of their own: its title is *Forbidden* and its type *about:blank*."""

_OPERATOR: Final[Mapping[int, str]] = {
    401: "X does not accept the four keys for answers (401): correct them, and see that they may write.",
    402: "X wants credit (402): top up the account at developer.x.com.",
    403: "X forbids answers (403): look at the app's plan, its permission to write, and the account itself.",
}


def weight(text: str) -> int:
    """The length of a text as X counts it, or a little more: never less.

    A link weighs 23, and its own length where X might not take it for one; an emoji made of several code points
    weighs more here than with X.
    """
    total = 0
    plain = unicodedata.normalize("NFC", text)
    for link in _LINK.finditer(plain):
        total += LINK_WEIGHT if link["scheme"] else max(LINK_WEIGHT, _letters(link[0]))
    return total + _letters(_LINK.sub("", plain))


def _letters(text: str) -> int:
    return sum(1 if any(first <= ord(letter) <= last for first, last in _LIGHT) else 2 for letter in text)


def same_words(shown: str, written: str) -> bool:
    """Whether X shows what was written: it escapes, puts mentions in front, and shortens links."""
    return _words(html.unescape(shown)) == _words(written)


def _words(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text)
    return " ".join(_LINK.sub(" ", _LEADING_MENTIONS.sub("", plain.strip())).split())


@dataclass(frozen=True, slots=True)
class _Hold:
    """Until when nothing is sent, and why."""

    until: datetime
    reason: str


class Sender:
    """Sends answers, one at a time.

    A post is made at most once: an attempt whose outcome is not known ends as MaybeSent, and :meth:`find_sent` looks
    for it before the next. Should X's timeline lag behind, X refuses the same words again, which counts as sent.

    Args:
        api: X.
        settings: The channel's section.
        store: Counts the attempts of 24 hours, that of the answer in hand among them.
        clock: Tells the time.
        name: The channel's name, for sentences.
    """

    def __init__(self, api: XApi, settings: TwitterSettings, store: ChannelStore, clock: Clock, name: str) -> None:
        self._api = api
        self._settings = settings
        self._store = store
        self._clock = clock
        self._name = name
        self._hold: _Hold | None = None
        self._worked_at: datetime | None = None
        self._forbidden: dict[str, int] = {}
        self._odd: set[str] = set()
        self._unreached = 0
        self._attempted: int | None = None
        self._account: str | None = None

    async def send(self, answer: OutgoingAnswer) -> Sent:
        """Posts one reply.

        Raises:
            Refused: It can never be posted.
            Throttled: X or the budget takes nothing for a while; nothing was posted.
            NotSent: X did not take this one.
            MaybeSent: Nobody knows whether it was posted.
        """
        self._check(answer)
        self._keep_hold()
        await self._keep_budget()
        try:
            post_id = await self._api.create_reply(answer.text, answer.reply_to)
        except ApiError as error:
            return await self._failed(answer, error)
        self._works_again(answer)
        return Sent((post_id,))

    async def find_sent(self, answer: OutgoingAnswer) -> Sent | None:
        """Looks for an answer among the account's newest posts.

        Raises:
            Refused: There are no keys to look with.
            Throttled: X did not let us look.
        """
        self._check_keys()
        if not is_post_id(answer.reply_to):
            return None
        try:
            async for post in self._own_posts(_could_be_sent_since(answer)):
                if _replied_to(post) in (answer.reply_to, None) and same_words(_text(post), answer.text):
                    return Sent((str(post["id"]),))
        except ApiError as error:
            raise self._cannot_reach(error) from error
        return None

    def details(self) -> dict[str, Any]:
        """What operators see."""
        hold = self._hold if self._hold and self._hold.until > self._clock.now() else None
        return {
            "posts_24h": self._attempted,
            "posts_budget": self._settings.daily_posts,
            "answers_wait_until": hold.until.isoformat() if hold else None,
            "answers_wait_because": hold.reason if hold else "",
        }

    def _check(self, answer: OutgoingAnswer) -> None:
        self._check_keys()
        if not is_post_id(answer.reply_to):
            raise Refused("There is no post that this answers; it cannot be posted.")
        length = weight(answer.text)
        if length > LONGEST:
            raise Refused(f"It weighs {length} characters and X takes {LONGEST}: the text has to be shorter.")

    def _check_keys(self) -> None:
        if not self._settings.can_answer:
            raise Refused(
                f"channels.{self._name}.consumer_key is not set, nor the three keys beside it: posts are received "
                "here and not answered.",
                by_settings=True,
            )

    def _keep_hold(self) -> None:
        now = self._clock.now()
        if self._hold is not None and self._hold.until > now:
            raise Throttled(self._hold.reason, (self._hold.until - now).total_seconds())
        self._hold = None

    async def _keep_budget(self) -> None:
        now = self._clock.now()
        try:
            self._attempted = await self._store.attempted_since(now - DAY)
            if self._attempted <= self._settings.daily_posts:
                return
            oldest = await self._store.nth_attempt(self._settings.daily_posts + 1)
        except StoreUnavailable as error:
            raise self._throttled(str(error), UNREACHED_FIRST) from error
        wait = 1.0 if oldest is None else (oldest + DAY - now).total_seconds() + 1
        raise self._throttled(f"The {self._settings.daily_posts} posts of 24 hours (daily_posts) are used up.", wait)

    async def _failed(self, answer: OutgoingAnswer, error: ApiError) -> Sent:
        status = error.status
        sentence = error.detail.lower()
        if not error.reached or status in (401, 402, 429):
            raise self._cannot_reach(error) from error
        if status in (400, 403):
            if _DUPLICATE in sentence:
                return await self._posted_before(answer)
            for part, meaning in _NEVER:
                if part in sentence:
                    self._works_again(answer)
                    raise Refused(meaning) from error
        if status == 403:  # noqa: PLR2004 - HTTP
            raise self._forbid(answer) from error
        if status is not None and 400 <= status < 500 and status != 408:  # noqa: PLR2004 - HTTP
            raise NotSent(f"X did not take the answer ({status}, {error.title}).") from error
        reason = f"channels.{self._name}: X failed while it took an answer ({error})."
        raise MaybeSent(reason, channel_works=True) from error

    async def _posted_before(self, answer: OutgoingAnswer) -> Sent:
        """X has these words already: those of an earlier attempt, or of an answer to another post.

        Raises:
            Refused: They were said to somebody else; X takes them no second time.
        """
        self._works_again(answer)
        elsewhere: Json | None = None
        try:
            since = min(_could_be_sent_since(answer), self._clock.now() - DAY)
            async for post in self._own_posts(since):
                if not same_words(_text(post), answer.text):
                    continue
                if _replied_to(post) in (answer.reply_to, None):
                    return Sent((str(post["id"]),))
                elsewhere = elsewhere or post
        except ApiError:
            return Sent()
        if elsewhere is None:
            return Sent()  # the timeline lags behind
        told = elsewhere.get("in_reply_to_user_id")
        if told is None or told == answer.to:
            return Sent((str(elsewhere["id"]),))
        raise Refused("X takes the same words no second time, and has them already as an answer to somebody else.")

    def _forbid(self, answer: OutgoingAnswer) -> Throttled | NotSent:
        """X forbids an answer and does not say why: because of this one, or as it forbids all of them."""
        times = self._forbidden.pop(answer.id, 0) + 1
        self._forbidden[answer.id] = times
        if len(self._forbidden) > _MOST_REMEMBERED:
            self._odd.discard(gone := next(iter(self._forbidden)))
            del self._forbidden[gone]
        now = self._clock.now()
        works = self._worked_at is not None and now - self._worked_at < timedelta(seconds=OPERATOR_SECONDS)
        if works or answer.id in self._odd or times % LET_OTHERS_PASS == 0:
            return NotSent("X forbids this answer and does not say why (403).")
        return self._throttled(_OPERATOR[403], OPERATOR_SECONDS)

    def _cannot_reach(self, error: ApiError) -> Throttled:
        """What holds all answers up, for a call that certainly posted nothing."""
        if error.status is not None and error.status in _OPERATOR:
            return self._throttled(_OPERATOR[error.status], OPERATOR_SECONDS)
        if error.status == 429:  # noqa: PLR2004 - HTTP
            wait = RATE_LIMIT_SECONDS if error.wait is None else error.wait + 1
            return self._throttled("X takes no more answers for now (429); they go on by themselves.", wait)
        self._unreached += 1
        wait = min(OPERATOR_SECONDS, UNREACHED_FIRST * 2.0 ** min(self._unreached - 1, 10))
        return self._throttled(f"X cannot be reached ({error}); answers go on by themselves.", wait)

    def _throttled(self, reason: str, seconds: float) -> Throttled:
        wait = min(max(1.0, seconds), LONGEST_WAIT)
        self._hold = _Hold(self._clock.now() + timedelta(seconds=wait), reason)
        return Throttled(reason, wait)

    def _works_again(self, answer: OutgoingAnswer) -> None:
        """X has taken an answer, or has said no for a reason that lies in it alone."""
        self._hold = None
        self._unreached = 0
        self._worked_at = self._clock.now()
        self._forbidden.pop(answer.id, None)
        self._odd = set(self._forbidden)

    async def _own_posts(self, since: datetime) -> AsyncIterator[Json]:
        """What the account has posted, newest first."""
        if self._account is None:
            self._account, _ = await self._api.me()
        token: str | None = None
        for _ in range(_MOST_PAGES):
            page = await self._api.own_posts(self._account, since, token)
            for post in page.get("data") or ():
                if isinstance(post, dict) and "id" in post:
                    yield post
            token = next_token(page)
            if token is None:
                return


def _text(post: Json) -> str:
    note = post.get("note_tweet") or post.get("note_post")
    text = note.get("text") if isinstance(note, dict) else post.get("text")
    return text if isinstance(text, str) else ""


def _replied_to(post: Json) -> str | None:
    """The id of the post that this replies to; None where it is not said."""
    references = post.get("referenced_tweets") or post.get("referenced_posts")
    for one in references if isinstance(references, list) else ():
        if isinstance(one, dict) and one.get("type") == "replied_to":
            return str(one.get("id"))
    return None


def _could_be_sent_since(answer: OutgoingAnswer) -> datetime:
    """When the answer can have been sent at the earliest: never before its post, nor before it was queued."""
    moment = from_milliseconds(time_of(int(answer.reply_to)))
    with suppress(ValueError):
        queued = UUID(answer.id)
        if queued.version == 7:  # noqa: PLR2004 - RFC 9562: the first 48 bits are its time
            moment = max(moment, from_milliseconds(queued.int >> 80))
    return moment - _CLOCKS_APART
