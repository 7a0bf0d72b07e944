"""The calls to the X API v2 that the gateway makes, through tweepy; every failure is one :class:`ApiError`."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import tweepy
from tweepy.asynchronous import AsyncClient, AsyncStreamingClient

from channels.twitter.session import ApiError, OriginSession
from channels.twitter.settings import TwitterSettings
from gateway.clock import Clock, SystemClock
from gateway.errors import ChannelUnavailable, GatewayError, NeedsOperator

Json = dict[str, Any]

POST_FIELDS: Final[Mapping[str, list[str]]] = {
    "tweet_fields": [
        "attachments", "author_id", "conversation_id", "created_at", "edit_controls", "edit_history_tweet_ids",
        "entities", "geo", "id", "in_reply_to_user_id", "lang", "note_tweet", "possibly_sensitive",
        "referenced_tweets", "text", "withheld",
    ],
    "expansions": [
        "author_id", "attachments.media_keys", "geo.place_id", "in_reply_to_user_id", "referenced_tweets.id",
        "referenced_tweets.id.author_id",
    ],
    "user_fields": [
        "created_at", "id", "name", "protected", "public_metrics", "username", "verified", "verified_type", "withheld",
    ],
    "media_fields": [
        "alt_text", "duration_ms", "height", "media_key", "preview_image_url", "type", "url", "variants", "width",
    ],
    "place_fields": ["contained_within", "country", "country_code", "full_name", "geo", "id", "name", "place_type"],
}  # fmt: skip
"""What is asked for of each post, by every way it can come. A post bears its id and text in any case."""

PAGE: Final = 100
_THERE_ALREADY: Final = "DuplicateRule"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the filtered stream. ``id`` is X's, empty for a rule that is not there yet."""

    value: str
    tag: str
    id: str = ""


class XApi:
    """X as this gateway uses it. Nothing is connected before the first call.

    Args:
        settings: The channel's section.
        clock: Tells the time.
    """

    def __init__(self, settings: TwitterSettings, clock: Clock | None = None) -> None:
        self._session = OriginSession(
            settings.api_url, clock or SystemClock(), connect=settings.connect_timeout, total=settings.timeout
        )
        bearer = settings.bearer_token.get_secret_value()
        keys = (
            settings.consumer_key, settings.consumer_secret, settings.access_token, settings.access_token_secret,
        )  # fmt: skip
        self._client: Any = AsyncClient(bearer, *(key and key.get_secret_value() for key in keys), return_type=dict)
        self._client.session = self._session
        self._rules: Any = AsyncStreamingClient(bearer, return_type=dict)
        self._rules.session = self._session

    async def recent_search(
        self,
        query: str,
        *,
        since_id: str | None = None,
        until_id: str | None = None,
        next_token: str | None = None,
        max_results: int = PAGE,
    ) -> Json:
        """One page of recent search, newest first."""
        return await _answer(
            self._client.search_recent_tweets(
                query, since_id=since_id, until_id=until_id, next_token=next_token, max_results=max_results,
                **POST_FIELDS,
            )
        )  # fmt: skip

    async def lookup(self, ids: Sequence[str]) -> Json:
        """Up to 100 posts by their ids; what is gone is named under *errors*."""
        return await _answer(self._client.get_tweets(list(ids), **POST_FIELDS))

    async def me(self) -> tuple[str, str]:
        """Id and name of the account that answers."""
        data = (await _answer(self._client.get_me(user_auth=True))).get("data")
        if not isinstance(data, dict) or not isinstance(data.get("id"), str):
            raise ApiError(200, "an answer of an unknown form")
        return data["id"], str(data.get("username", ""))

    async def own_posts(self, user_id: str, since: datetime | None = None, token: str | None = None) -> Json:
        """One page of what an account has posted, newest first."""
        return await _answer(
            self._client.get_users_tweets(
                user_id, start_time=since, pagination_token=token, max_results=PAGE, **POST_FIELDS
            )
        )

    async def create_reply(self, text: str, in_reply_to: str) -> str:
        """Posts a reply in the name of the answering account; returns its id."""
        made = self._client.create_tweet(text=text, in_reply_to_tweet_id=in_reply_to, user_auth=True)
        data = (await _answer(made)).get("data")
        if not isinstance(data, dict) or not isinstance(data.get("id"), str):
            raise ApiError(201, "an answer of an unknown form")
        return str(data["id"])

    async def rules(self) -> tuple[Rule, ...]:
        """All rules of the stream, those of others included."""
        data = (await _answer(self._rules.get_rules())).get("data") or []
        if not isinstance(data, list) or not all(isinstance(rule, dict) for rule in data):
            raise ApiError(200, "an answer of an unknown form")
        return tuple(
            Rule(str(rule.get("value", "")), str(rule.get("tag", "")), str(rule.get("id", ""))) for rule in data
        )

    async def add_rules(self, rules: Sequence[Rule]) -> None:
        """Adds rules to the stream."""
        wanted = [tweepy.StreamRule(value=rule.value, tag=rule.tag) for rule in rules]
        for error in (await _answer(self._rules.add_rules(wanted))).get("errors") or ():
            title = error.get("title") if isinstance(error, dict) else None
            if title != _THERE_ALREADY:
                raise ApiError(400, f"a rule is refused: {title!s:.80}")

    async def delete_rules(self, ids: Sequence[str]) -> None:
        """Takes rules out of the stream."""
        await _answer(self._rules.delete_rules(list(ids)))

    async def clear_connections(self) -> None:
        """Ends every connection that X believes to be open; tweepy has no name for this call."""
        await _answer(self._client.request("DELETE", "/2/connections/all", params={}))

    @property
    def server_time(self) -> datetime | None:
        """What time it was at X when it answered last, where it said so."""
        return self._session.server_time

    async def close(self) -> None:
        """Closes all connections."""
        await self._session.close()


async def _answer(call: Awaitable[Json]) -> Json:
    """What tweepy returns; whatever it stumbles over is an answer of an unknown form."""
    try:
        return await call
    except (tweepy.TweepyException, LookupError, TypeError, ValueError, AttributeError) as error:
        raise ApiError(None, f"an answer of an unknown form ({type(error).__name__})") from error


_MEANINGS: Final[Mapping[int, tuple[type[GatewayError], str]]] = {
    401: (NeedsOperator, "X does not accept the keys (401): correct bearer_token, or the four keys for answers."),
    402: (NeedsOperator, "X wants credit (402): top up the account at developer.x.com."),
    403: (NeedsOperator, "X refuses this (403 {title}): look at the app's plan and its permissions."),
    429: (ChannelUnavailable, "X takes no more calls for now (429 {title}); they go on by themselves."),
}


def translate(error: ApiError, channel_name: str) -> GatewayError:
    """What a failed call means for the kernel and its operator."""
    if error.status is not None and error.status in _MEANINGS:
        kind, sentence = _MEANINGS[error.status]
        return kind(f"channels.{channel_name}: {sentence.format(title=error.title)}")
    if error.status is None:
        return ChannelUnavailable(f"channels.{channel_name}: X cannot be reached: {error.title}.")
    return ChannelUnavailable(f"channels.{channel_name}: X fails ({error.status}, {error.title}).")


__all__ = ["PAGE", "POST_FIELDS", "ApiError", "Json", "Rule", "XApi", "translate"]
