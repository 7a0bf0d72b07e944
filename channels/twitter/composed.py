"""A post as X's stream would send it, made from what a citizen wrote: for tools that have no stream."""

import hashlib
import html
import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from channels.twitter.posts import is_post_id
from gateway.ports import RawMessage

_POST_LENGTH: Final = 280
_HANDLE: Final = re.compile(r"[A-Za-z0-9_]{1,15}")


def compose(reporter: str, text: str, moment: datetime, external_id: str) -> RawMessage:
    """One post in the channel's raw form.

    Args:
        reporter: The author's handle, with the @ or without, or the number of the account. A handle has the same
            number each time.
        text: What was written. It is addressed to us only if it says so itself.
        moment: When it was written.
        external_id: The post's number; any other text stands for one.
    """
    handle = reporter.strip().lstrip("@")
    author: dict[str, Any] = {"id": handle if is_post_id(handle) and handle else _number(handle.casefold())}
    if not is_post_id(handle) and _HANDLE.fullmatch(handle):
        author |= {"username": handle, "name": handle}
    post_id = external_id if is_post_id(external_id) and external_id else _number(external_id)
    shown = html.escape(text, quote=False)
    post: dict[str, Any] = {
        "id": post_id,
        "text": shown if len(text) <= _POST_LENGTH else html.escape(text[: _POST_LENGTH - 1], quote=False) + "…",
        "author_id": author["id"],
        "created_at": moment.astimezone(UTC).isoformat("T", "milliseconds").removesuffix("+00:00") + "Z",
        "edit_history_tweet_ids": [post_id],
    }
    if len(text) > _POST_LENGTH:
        post["note_tweet"] = {"text": shown}
    raw = msgspec.json.encode({"data": post, "includes": {"users": [author]}})
    return RawMessage(post_id, raw, author["id"])


def _number(name: str) -> str:
    """A number for a name: small enough that X's reading of the time in it is not tried."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return str(int.from_bytes(digest) % 10**10 + 1)
