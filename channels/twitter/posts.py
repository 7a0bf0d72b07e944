"""Posts as messages: a line of the stream as it came, and each post of a page of search by itself."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from gateway.ports import RawMessage

_EPOCH_MS: Final = 1_288_834_974_657
_TIME_SHIFT: Final = 22
_LONGEST_ID: Final = 19
"""Digits of the largest id of 63 bits."""

_CONTROL: Final = (b'{"errors"', b'{ "errors"')


class _Post(msgspec.Struct):
    """What makes a record a post."""

    id: str
    text: Any = None
    author_id: Any = None


class _Line(msgspec.Struct):
    data: _Post


_line_decoder = msgspec.json.Decoder(_Line)
_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def id_at(milliseconds: int) -> int:
    """The smallest id that a post of this moment can have."""
    return max(0, milliseconds - _EPOCH_MS) << _TIME_SHIFT


def id_span(duration: timedelta) -> int:
    """By how much ids grow in this time."""
    return int(duration.total_seconds() * 1000) << _TIME_SHIFT


def time_of(post_id: int) -> int:
    """When the post with this id was made, in milliseconds since 1970."""
    return (post_id >> _TIME_SHIFT) + _EPOCH_MS


def is_post_id(value: str) -> bool:
    """Whether this is an id that X gives to a post, and not a hash of ours."""
    return value.isascii() and value.isdigit() and len(value) <= _LONGEST_ID


def from_line(line: bytes) -> RawMessage:
    """One record of the stream. Only a whole post bears the post's id.

    What is damaged goes by a hash of its bytes, and what has no text by another name: neither must stand in the way
    of the same post, undamaged, that search brings later under its id.
    """
    try:
        line.decode()
        post = _line_decoder.decode(line).data
    except _BROKEN:
        return _unknown(line, line)
    return _message(post, line) or _unknown(line, line)


def control_problem(line: bytes) -> str | None:
    """X's word for why it ends the stream, if the line says nothing else but that."""
    if not line.startswith(_CONTROL):
        return None
    try:
        record = msgspec.json.decode(line)
    except _BROKEN:
        return None
    if set(record) != {"errors"}:
        return None
    errors = record["errors"]
    first = errors[0] if isinstance(errors, list) and errors else None
    title = first.get("title") if isinstance(first, dict) else None
    return title[:80] if isinstance(title, str) and title.isprintable() else "an error without a name"


def newest_id(page: Mapping[str, Any]) -> int | None:
    """The largest id of a page's posts."""
    ids = [int(post["id"]) for post in _posts(page) if isinstance(post, dict) and is_post_id(_string(post.get("id")))]
    return max(ids, default=None)


def next_token(page: Mapping[str, Any]) -> str | None:
    """What the next page is asked for by, or None after the last."""
    meta = page.get("meta")
    token = meta.get("next_token") if isinstance(meta, dict) else None
    return token if isinstance(token, str) and token else None


def from_page(page: Mapping[str, Any], found_by: str) -> Iterator[RawMessage]:
    """Each post of a page, oldest first, with what it refers to."""
    includes = page.get("includes")
    for post in reversed(_posts(page)):
        about = _only_for(post, includes) if isinstance(post, dict) and isinstance(includes, dict) else {}
        raw = msgspec.json.encode({"data": post, "includes": about, "found_by": found_by})
        try:
            message = _message(msgspec.convert(post, _Post), raw)
        except msgspec.ValidationError:
            message = None
        yield message or _unknown(raw, msgspec.json.encode(post))


def _posts(page: Mapping[str, Any]) -> Sequence[Any]:
    data = page.get("data")
    return data if isinstance(data, list) else ()


def _only_for(post: Mapping[str, Any], includes: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What a post refers to, and what the posts that it refers to do; whatever X calls the kinds."""
    wanted = set(_references(post))
    for kind in ("tweets", "posts"):
        for other in _items(includes, kind):
            if other.get("id") in wanted:
                wanted |= set(_references(other))
    found = {kind: [item for item in _items(includes, kind) if _key(item) in wanted] for kind in includes}
    return {kind: items for kind, items in found.items() if items}


def _items(includes: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    items = includes.get(kind)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _key(item: Mapping[str, Any]) -> str:
    return _string(item.get("media_key")) or _string(item.get("id"))


def _references(post: Mapping[str, Any]) -> Iterator[str]:
    yield from (_string(post.get("author_id")), _string(post.get("in_reply_to_user_id")))
    for holder, names in (("geo", ("place_id",)), ("attachments", ("media_keys", "poll_ids"))):
        found = post.get(holder)
        inner: dict[str, Any] = found if isinstance(found, dict) else {}
        for name in names:
            value = inner.get(name)
            yield from map(_string, value if isinstance(value, list) else [value])
    for kind in ("referenced_tweets", "referenced_posts"):
        yield from (_string(other.get("id")) for other in _items(post, kind))


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _message(post: _Post, raw: bytes) -> RawMessage | None:
    if not is_post_id(post.id):
        return None
    external_id = post.id if isinstance(post.text, str) else f"{post.id}:incomplete"
    return RawMessage(external_id, raw, _string(post.author_id) or external_id)


def _unknown(raw: bytes, identity: bytes) -> RawMessage:
    external_id = f"sha256:{hashlib.sha256(identity).hexdigest()}"
    return RawMessage(external_id, raw, external_id)
