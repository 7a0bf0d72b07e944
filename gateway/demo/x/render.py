"""Posts and what belongs to them as X writes them in JSON, in the classic naming or in the newer one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from gateway.demo.x.problems import Json, not_found
from gateway.demo.x.world import Media, Place, Post, User, World

Naming = Literal["auto", "classic", "new"]
"""``auto`` answers a request for ``post.fields`` in the newer naming and every other in the classic one."""

_ALWAYS: Final = frozenset({"id", "text", "edit_history_tweet_ids"})
_NEW_NAMES: Final = {"note_tweet": "note_post", "referenced_tweets": "referenced_posts"}
_CLASSIC_NAMES: Final = {new: classic for classic, new in _NEW_NAMES.items()}
_EXPANSION_FIELDS: Final = {
    "author_id": "author_id",
    "in_reply_to_user_id": "in_reply_to_user_id",
    "referenced_tweets.id": "referenced_tweets",
    "referenced_tweets.id.author_id": "referenced_tweets",
    "attachments.media_keys": "attachments",
    "geo.place_id": "geo",
    "entities.mentions.username": "entities",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a request asked for: expansions and fields, in classic names, and how to name them."""

    expansions: frozenset[str]
    posts: frozenset[str]
    users: frozenset[str]
    media: frozenset[str]
    places: frozenset[str]
    new_names: bool

    @classmethod
    def of(cls, query: Mapping[str, str], naming: Naming = "auto") -> "Shape":
        """Reads it from a request's parameters."""
        new_names = naming == "new" or (naming == "auto" and "post.fields" in query)
        expansions = frozenset(_classic(name) for name in _split(query.get("expansions")))
        fields = _split(query.get("post.fields") or query.get("tweet.fields"))
        implied = {_EXPANSION_FIELDS[name] for name in expansions if name in _EXPANSION_FIELDS}
        return cls(
            expansions=expansions,
            posts=frozenset(_CLASSIC_NAMES.get(name, name) for name in fields) | _ALWAYS | implied,
            users=_split(query.get("user.fields")) | {"id", "name", "username"},
            media=_split(query.get("media.fields")) | {"media_key", "type"},
            places=_split(query.get("place.fields")) | {"id", "full_name"},
            new_names=new_names,
        )


class Renderer:
    """Writes posts for the clients.

    Args:
        world: Where the posts are.
        origin: The address below which media are served; set once it is known.
    """

    def __init__(self, world: World, origin: str = "") -> None:
        self._world = world
        self.origin = origin

    def record(self, post: Post, shape: Shape) -> Json:
        """One post with its includes, as the stream sends it."""
        body: Json = {"data": self.post(post, shape)}
        self._expand(body, (post,), shape)
        return body

    def page(self, posts: Iterable[Post], shape: Shape) -> Json:
        """Many posts with their includes; without ``data`` if there are none, as X does."""
        shown = tuple(posts)
        body: Json = {"data": [self.post(post, shape) for post in shown]} if shown else {}
        self._expand(body, shown, shape)
        return body

    def post(self, post: Post, shape: Shape) -> Json:
        """One post alone, with the fields that were asked for."""
        fields: Json = {
            "id": post.id,
            "text": post.shown.text,
            "edit_history_tweet_ids": self._world.versions(post),
            "author_id": post.author.id,
            "created_at": moment(post.created_at),
            "lang": post.lang,
            "conversation_id": post.conversation_id,
            "possibly_sensitive": post.sensitive,
            "entities": post.shown.entities or None,
            "in_reply_to_user_id": post.in_reply_to_user_id,
            "referenced_tweets": [{"type": ref.kind, "id": ref.id} for ref in post.references] or None,
            "attachments": {"media_keys": post.media_keys} if post.media else None,
            "geo": _geo(post),
            "withheld": self._withheld(post),
            "note_tweet": _note(post) if post.is_long else None,
        }
        if "public_metrics" in shape.posts:
            fields["public_metrics"] = dict.fromkeys(("retweet_count", "reply_count", "like_count", "quote_count"), 0)
        names = _NEW_NAMES if shape.new_names else {}
        return {names.get(k, k): value for k, value in fields.items() if value is not None and k in shape.posts}

    def user(self, user: User, fields: frozenset[str]) -> Json:
        """An account, with the fields that were asked for."""
        everything = {
            "id": user.id,
            "name": user.name,
            "username": user.username,
            "created_at": moment(user.created_at),
            "verified": user.verified,
            "description": user.description,
            "protected": self._world.is_protected(user),
        }
        return {key: value for key, value in everything.items() if key in fields}

    def _withheld(self, post: Post) -> Json | None:
        countries = self._world.withheld_in(post)
        return {"copyright": False, "country_codes": list(countries)} if countries else None

    def _expand(self, body: Json, posts: tuple[Post, ...], shape: Shape) -> None:
        if not shape.expansions:
            return
        referenced, errors = self._referenced(posts, shape)
        includes: dict[str, list[Json]] = {
            "users": [self.user(user, shape.users) for user in self._users(posts, referenced, shape).values()],
            "posts" if shape.new_names else "tweets": [self.post(post, shape) for post in referenced],
        }
        if "attachments.media_keys" in shape.expansions:
            includes["media"] = [_only(item, shape.media) for post in posts for item in self._media(post)]
        if "geo.place_id" in shape.expansions:
            places = {post.place.id: post.place for post in posts if post.place}
            includes["places"] = [_only(_place(place), shape.places) for place in places.values()]
        present = {name: items for name, items in includes.items() if items}
        if present:
            body["includes"] = present
        if errors:
            body["errors"] = errors

    def _referenced(self, posts: tuple[Post, ...], shape: Shape) -> tuple[list[Post], list[Json]]:
        found: dict[str, Post] = {}
        errors: list[Json] = []
        if "referenced_tweets.id" in shape.expansions or "referenced_tweets.id.author_id" in shape.expansions:
            for wanted in {reference.id: None for post in posts for reference in post.references}:
                post = self._world.get(wanted)
                if post is None or not self._world.is_public(post):
                    errors.append(not_found("tweet", "referenced_tweets.id", wanted))
                else:
                    found[wanted] = post
        return list(found.values()), errors

    def _users(self, posts: tuple[Post, ...], referenced: list[Post], shape: Shape) -> dict[str, User]:
        users: list[User | None] = []
        if "author_id" in shape.expansions:
            users += [post.author for post in posts]
        if "referenced_tweets.id.author_id" in shape.expansions:
            users += [post.author for post in referenced]
        if "in_reply_to_user_id" in shape.expansions:
            parents = [post.refers("replied_to") for post in posts]
            found = [self._world.get(parent) for parent in parents if parent]
            users += [parent.author for parent in found if parent]
        if "entities.mentions.username" in shape.expansions:
            users += [self._world.find_user(name) for post in posts for name in sorted(post.mentions)]
        return {user.id: user for user in users if user}

    def _media(self, post: Post) -> Iterable[Json]:
        for key, media in zip(post.media_keys, post.media, strict=True):
            yield _media(key, media, self.origin)


def moment(when: datetime) -> str:
    """A time as X writes it: whole seconds, with three zeros behind."""
    return f"{when:%Y-%m-%dT%H:%M:%S}.000Z"


def _media(key: str, media: Media, origin: str) -> Json:
    address = media.url or f"{origin}/media/{media.name}"
    shown: Json = {"media_key": key, "type": media.kind, "width": media.width, "height": media.height}
    if media.alt_text is not None:
        shown["alt_text"] = media.alt_text
    if media.kind == "photo":
        return shown | {"url": address}
    variant = {"content_type": "video/mp4", "bit_rate": 832000, "url": address}
    preview = f"{origin}/media/{media.name}.jpg"
    return shown | {"preview_image_url": preview, "variants": [variant], "duration_ms": 3000}


def _place(place: Place) -> Json:
    return {
        "id": place.id,
        "full_name": place.full_name,
        "name": place.full_name.partition(",")[0],
        "country": "Indonesia",
        "country_code": "ID",
        "place_type": place.place_type,
        "geo": {"type": "Feature", "bbox": list(place.bbox), "properties": {}},
    }


def _geo(post: Post) -> Json | None:
    geo: Json = {"place_id": post.place.id} if post.place else {}
    if post.coordinates:
        geo["coordinates"] = {"type": "Point", "coordinates": list(post.coordinates)}
    return geo or None


def _note(post: Post) -> Json:
    note: Json = {"text": post.full.text}
    return note | {"entities": post.full.entities} if post.full.entities else note


def _only(item: Mapping[str, Any], fields: frozenset[str]) -> Json:
    return {key: value for key, value in item.items() if key in fields}


def _split(names: str | None) -> frozenset[str]:
    return frozenset(name.strip() for name in names.split(",") if name.strip()) if names else frozenset()


def _classic(expansion: str) -> str:
    return expansion.replace("referenced_posts", "referenced_tweets")
