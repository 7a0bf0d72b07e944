"""Reads the records that the X channel keeps: posts as X sends them, and notes of the channel's own.

Only the fields that say something are decoded, by the names of X's documentation ("Data dictionary", "Post") and by
the new names of its OpenAPI file of August 2026. X promises no field but a post's id and text, so any other one that
is missing or of an unknown form is as if it were not there: it must never cost a report.
"""

import json
import re
from types import UnionType
from typing import Any, Final, get_args, get_origin

import msgspec
from msgspec import Struct

from gateway.errors import Quarantine
from parsers import citizen_text

LONGEST_RECORD: Final = 2_000_000
"""Bytes. The longest post has 25,000 characters; with all that it refers to it stays far below."""

MOST_ENTRIES: Final = 200
"""How many entries of any list are looked at; X sends at most a few dozen."""

_WEB_ADDRESS: Final = re.compile(r"https?://[!-~]{1,2000}", re.IGNORECASE)
_LONGEST_NUMBER: Final = 19  # digits of 64 bits


class Link(Struct, frozen=True, gc=False):
    """A link in the text."""

    url: str | None = None
    expanded_url: str | None = None
    media_key: str | None = None


class Mention(Struct, frozen=True, gc=False):
    """A handle in the text that X knows."""

    username: str | None = None
    id: str | None = None


class Hashtag(Struct, frozen=True, gc=False):
    """A hashtag in the text, without its sign."""

    tag: str | None = None


class Entities(Struct, frozen=True, gc=False):
    """What X found in a text. The offsets are not read: how they count differs from one kind of text to another."""

    urls: list[Link] | None = None
    mentions: list[Mention] | None = None
    hashtags: list[Hashtag] | None = None


class Note(Struct, frozen=True, gc=False):
    """The whole text of a long post; the post's own ``text`` is only its beginning."""

    text: str | None = None
    entities: Entities | None = None


class Referenced(Struct, frozen=True, gc=False):
    """Another post that this one answers, quotes or repeats."""

    type: str | None = None
    id: str | None = None


class MediaKeys(Struct, frozen=True, gc=False):
    """The media of a post, in their order."""

    media_keys: list[str] | None = None


class Point(Struct, frozen=True, gc=False):
    """A GeoJSON point: longitude first."""

    type: str | None = None
    coordinates: list[float] | None = None


class Geo(Struct, frozen=True, gc=False):
    """Where the author says to be."""

    coordinates: Point | None = None
    place_id: str | None = None


class Post(Struct, frozen=True, gc=False):
    """A post, by both namings."""

    id: str | None = None
    text: str | None = None
    author_id: str | None = None
    created_at: str | None = None
    lang: str | None = None
    in_reply_to_user_id: str | None = None
    note_tweet: Note | None = None
    note_post: Note | None = None
    referenced_tweets: list[Referenced] | None = None
    referenced_posts: list[Referenced] | None = None
    edit_history_tweet_ids: list[str] | None = None
    edit_history_post_ids: list[str] | None = None
    entities: Entities | None = None
    attachments: MediaKeys | None = None
    geo: Geo | None = None

    @property
    def note(self) -> Note | None:
        """The whole text of a long post, if this is one."""
        note = self.note_tweet or self.note_post
        return note if note is not None and note.text and not citizen_text.is_blank(note.text) else None

    def referenced(self, kind: str) -> str | None:
        """The id of the post that this one refers to in some way."""
        for each in (self.referenced_tweets or self.referenced_posts or ())[:MOST_ENTRIES]:
            if each.type == kind and is_id(each.id):
                return each.id
        return None


class Metrics(Struct, frozen=True, gc=False):
    """Public numbers of an account."""

    followers_count: int | None = None


class User(Struct, frozen=True, gc=False):
    """An account."""

    id: str | None = None
    username: str | None = None
    name: str | None = None
    created_at: str | None = None
    verified: bool | None = None
    verified_type: str | None = None
    protected: bool | None = None
    public_metrics: Metrics | None = None


class Variant(Struct, frozen=True, gc=False):
    """One encoding of a video."""

    content_type: str | None = None
    url: str | None = None
    bit_rate: int | None = None


class Media(Struct, frozen=True, gc=False):
    """A photo, a video or an animation."""

    media_key: str | None = None
    type: str | None = None
    url: str | None = None
    preview_image_url: str | None = None
    alt_text: str | None = None
    variants: list[Variant] | None = None


class Place(Struct, frozen=True, gc=False):
    """A place that X knows by name."""

    id: str | None = None
    full_name: str | None = None


class Includes(Struct, frozen=True, gc=False):
    """What a post refers to. Other posts in it are not read: their words are not the citizen's."""

    users: list[User] | None = None
    media: list[Media] | None = None
    places: list[Place] | None = None


class Record(Struct, frozen=True, gc=False):
    """A post with what it refers to, or a note of the channel's own: then ``lapor`` says which."""

    data: Post | None = None
    includes: Includes | None = None
    lapor: str | None = None
    post_id: str | None = None
    author_id: str | None = None
    reason: str | None = None
    seen_at: str | None = None
    url: str | None = None
    sha256: str | None = None
    size: int | None = None
    media_type: str | None = None
    name: str | None = None


_decode_fast: Final = msgspec.json.Decoder(Record).decode


def decode(raw: bytes) -> Record:
    """The record in ``raw``.

    Raises:
        Quarantine: It is too long, no JSON object, or nested beyond all reason.
    """
    if len(raw) > LONGEST_RECORD:
        raise Quarantine(f"the record is longer than {LONGEST_RECORD} bytes")
    try:
        return _decode_fast(raw)
    except RecursionError:
        raise Quarantine("the record is nested too deep") from None
    except (msgspec.DecodeError, ValueError):
        return _decode_slowly(raw)


def _decode_slowly(raw: bytes) -> Record:
    """For what the fast decoder refuses: halves of characters, written as escapes, and fields of another form."""
    try:
        value = json.loads(raw.decode(), parse_int=_number, parse_constant=lambda _name: None)
    except RecursionError:
        raise Quarantine("the record is nested too deep") from None
    except ValueError:
        raise Quarantine("the raw bytes are no JSON") from None
    record = _salvaged(value, Record)
    if not isinstance(record, Record):
        raise Quarantine("the raw bytes are no record of a post")
    return record


def _number(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else None


def _salvaged(value: object, kind: Any) -> Any:  # noqa: ANN401 - any of the classes above, or None
    """As much of ``value`` as fits ``kind``; None where nothing does. It goes as deep as the classes do."""
    for each in get_args(kind) if isinstance(kind, UnionType) else (kind,):
        if isinstance(value, dict) and isinstance(each, type) and issubclass(each, Struct):
            fields = ((field, value.get(field.name)) for field in msgspec.structs.fields(each))
            return each(**{field.name: _salvaged(got, field.type) for field, got in fields if got is not None})
        # A point that lacks a number is none: only what stands for itself is left out of a list.
        if isinstance(value, list) and get_origin(each) is list and get_args(each) != (float,):
            found = (_salvaged(entry, get_args(each)[0]) for entry in value[:MOST_ENTRIES])
            return [entry for entry in found if entry is not None]
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, ValueError):
        return None


def is_id(text: str | None) -> bool:
    """Whether this is an id of X: a number of 64 bits at most, written out."""
    return text is not None and len(text) <= _LONGEST_NUMBER and text.isdigit() and text.isascii()


def is_web_address(text: str | None) -> bool:
    """Whether this is the address of something on the web, of sensible length and in plain characters."""
    return text is not None and _WEB_ADDRESS.fullmatch(text) is not None
