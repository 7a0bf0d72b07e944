"""What a post's record says besides its text: who wrote it, when, where, with what, and which version it is.

Sources: X's documentation, "Data dictionary" (Post, User, Media, Place), "Fundamentals: X IDs" (the time in an id)
and "Edit Posts" (a new id for each version).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gateway.model import Attachment, Location, Reporter
from gateway.parsing import Revision
from parsers import citizen_text
from parsers.moments import moment
from parsers.twitter_record import MOST_ENTRIES, Media, Post, Record, User, Variant, is_id, is_web_address

_HANDLE: Final = re.compile(r"[A-Za-z0-9_]{1,20}")
_LONGEST_NAME: Final = 200
LONGEST_DESCRIPTION: Final = 1_000

# Ids count milliseconds since this moment in their upper bits; those before November 2010 were counted one by one.
_SNOWFLAKE_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=1_288_834_974_657)
_FIRST_SNOWFLAKE: Final = 30_000_000_000
_FIRST_POST: Final = datetime(2006, 3, 21, tzinfo=UTC)
_TIMES_DIFFER: Final = timedelta(days=2)

# X's codes that are no language: undetermined, only links, only hashtags, only media … And its three old codes.
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")
_NO_LANGUAGE: Final = frozenset({"und", "zxx", "mul", "mis", "art"})
_OLD_LANGUAGES: Final = {"in": "id", "iw": "he", "ji": "yi"}

_MEDIA_TYPE: Final = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,80}")
_PICTURES: Final = {"png": "image/png", "gif": "image/gif", "webp": "image/webp"}
_PICTURE_FORM: Final = re.compile(r"(?:\.|[?&]format=)(png|gif|webp)(?:[:?&#]|$)", re.IGNORECASE)
_VERIFIED_TYPES: Final = frozenset({"blue", "business", "government", "none"})


def author_of(record: Record, post: Post) -> User | None:
    """The account that wrote the post, if X sent it along."""
    users = (record.includes.users if record.includes is not None else None) or ()
    for user in users[:MOST_ENTRIES]:
        if user.id is not None and user.id == post.author_id:
            return user
    return None


def reporter(post: Post, author: User | None) -> Reporter:
    """Who wrote the post. Without an author's id there is nobody to answer, but still a report."""
    handle = author.username if author is not None else None
    return Reporter(
        address=post.author_id if post.author_id is not None and is_id(post.author_id) else "",
        kind="x",
        name=None if author is None else short(author.name, _LONGEST_NAME),
        handle=handle if handle is not None and _HANDLE.fullmatch(handle) else None,
        language=language(post.lang),
    )


def language(code: str | None) -> str | None:
    """X's guess of the text's language as BCP 47, or None where it has none."""
    if code is None or code in _NO_LANGUAGE or not _LANGUAGE.fullmatch(code):
        return None
    if code.startswith("q") and len(code) == 3:  # noqa: PLR2004 - X's own codes: qme, qht, qam …
        return None
    return _OLD_LANGUAGES.get(code, code)


def sent_at(post: Post) -> datetime | None:
    """When the post was written: as X says, unless its id, which cannot be wrong, tells of another day."""
    stated = moment(post.created_at)
    if stated is not None and stated < _FIRST_POST:
        stated = None
    number = int(post.id or 0)
    if number < _FIRST_SNOWFLAKE:
        return stated
    by_id = _SNOWFLAKE_EPOCH + timedelta(milliseconds=number >> 22)
    return stated if stated is not None and abs(stated - by_id) < _TIMES_DIFFER else by_id


def trust(author: User | None) -> Mapping[str, Any]:
    """Public facts about the account, none of them free text."""
    if author is None:
        return {}
    known: dict[str, Any] = {}
    if (since := moment(author.created_at)) is not None:
        known["x_account_created_at"] = since.isoformat("T", "seconds").removesuffix("+00:00") + "Z"
    if author.verified is not None:
        known["x_verified"] = author.verified
    if author.verified_type in _VERIFIED_TYPES:
        known["x_verified_type"] = author.verified_type
    if author.protected is not None:
        known["x_protected"] = author.protected
    followers = author.public_metrics.followers_count if author.public_metrics is not None else None
    if followers is not None and followers >= 0:
        known["x_followers"] = followers
    return known


def location(record: Record, post: Post) -> Location | None:
    """The point that the author shared, and the place's name. The middle of a place is no point of anybody's."""
    if post.geo is None:
        return None
    latitude = longitude = None
    point = post.geo.coordinates
    numbers = point.coordinates if point is not None and point.type in (None, "Point") else None
    if numbers is not None and len(numbers) == 2:  # noqa: PLR2004 - longitude and latitude
        east, north = numbers
        if -180 <= east <= 180 and -90 <= north <= 90 and (east or north):  # noqa: PLR2004 - degrees
            latitude, longitude = north, east
    name = None
    for place in ((record.includes.places if record.includes is not None else None) or ())[:MOST_ENTRIES]:
        if place.id is not None and place.id == post.geo.place_id:
            name = short(place.full_name, _LONGEST_NAME)
            break
    if latitude is None and name is None:
        return None
    return Location(latitude=latitude, longitude=longitude, place=name)


def media_keys(post: Post) -> Sequence[str]:
    """The keys of the post's own media."""
    return (post.attachments.media_keys or ())[:MOST_ENTRIES] if post.attachments is not None else ()


def attachments(record: Record, post: Post) -> tuple[Attachment, ...]:
    """The media of the post, in its order; those of which X sent no address are left out."""
    keys = media_keys(post)
    if not keys or record.includes is None:
        return ()
    sent = {media.media_key: media for media in (record.includes.media or ())[:MOST_ENTRIES]}
    found = (_attachment(sent[key]) for key in dict.fromkeys(keys) if key in sent)
    return tuple(each for each in found if each is not None)


def _attachment(media: Media) -> Attachment | None:
    video = _best_variant(media.variants)
    url = media.url if is_web_address(media.url) else None
    if video is not None:
        url, media_type = video.url, "video/mp4"
    else:
        if url is None and is_web_address(media.preview_image_url):
            url = media.preview_image_url
        if url is None:
            return None
        form = _PICTURE_FORM.search(url)
        media_type = "image/jpeg" if form is None else _PICTURES[form[1].lower()]
    return Attachment(
        name=short(media.alt_text, LONGEST_DESCRIPTION), media_type=media_type, size=0, sha256=None, url=url
    )


def _best_variant(variants: Sequence[Variant] | None) -> Variant | None:
    """The video of the most bits a second; a playlist is no file."""
    files = [
        each
        for each in (variants or ())[:MOST_ENTRIES]
        if each.content_type == "video/mp4" and is_web_address(each.url)
    ]
    return max(files, key=lambda each: each.bit_rate or 0, default=None)


def revision(post: Post) -> Revision:
    """Which version of a post this is: the first, where X names no others."""
    history = post.edit_history_tweet_ids or post.edit_history_post_ids or []
    own = post.id or ""
    ids = {each for each in history[:MOST_ENTRIES] if is_id(each)}
    # Those that came later are of no concern here; ids grow with time.
    versions = [each for each in sorted(ids, key=int) if int(each) < int(own)]
    return Revision((*versions, own), len(versions) + 1)


def is_media_type(written: str) -> bool:
    """Whether this is a media type as RFC 2045 has them, in small letters and without parameters."""
    return _MEDIA_TYPE.fullmatch(written) is not None


def short(written: str | None, longest: int) -> str | None:
    """A text of somebody else's as one that can be shown, or None."""
    return None if written is None else citizen_text.clean(written[: longest * 2])[:longest] or None
