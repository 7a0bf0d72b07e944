"""Fetches the photos and videos of posts, by what they contain: posts vanish, evidence should not."""

import asyncio
import errno
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec

from channels.twitter.media_gate import Gate, RefusedFile, Resolver
from channels.twitter.media_type import ending, sniff
from channels.twitter.posts import is_post_id
from channels.twitter.settings import TwitterSettings
from gateway.ports import ChannelStore, RawMessage

Deliver = Callable[[Sequence[RawMessage]], Awaitable[None]]

QUEUE: Final = 1000
WORKERS: Final = 3
CONNECT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 20.0
TOTAL_SECONDS: Final = 300.0
TRIES: Final = 4
RETRY_FIRST: Final = 2.0
RETRY_FACTOR: Final = 4.0
MOST_HOPS: Final = 3
_PIECE: Final = 64 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_WORTH_ANOTHER_TRY: Final = frozenset({408, 425, 429})
_MOST_REMEMBERED: Final = 10_000
_MOST_FILES: Final = 20
_LONGEST_ADDRESS: Final = 2000
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Failed(Exception):
    """It could not be fetched this time."""


@dataclass(frozen=True, slots=True)
class Job:
    """One photo or video; of a video all encodings, the best first: the one by which the post's attachment is known.

    Attributes:
        description: What the author says that it shows; often empty.
    """

    post_id: str
    author_id: str
    media_key: str
    description: str
    urls: tuple[str, ...]

    @property
    def external_id(self) -> str:
        """The identity of the record that says where the file is."""
        return f"media:{self.post_id}:{self.media_key}"


@dataclass(frozen=True, slots=True)
class _File:
    """A file in the folder."""

    sha256: str
    size: int
    media_type: str


class MediaFetcher:
    """Downloads what posts show, in the background.

    A file is named by the SHA-256 of its bytes and appears complete or not at all. What is lost on the way, by a
    full queue or a crash, :class:`~channels.twitter.recheck.Recheck` offers again.

    Args:
        settings: The channel's section.
        store: Keeps the files.
        retry_first: Seconds before the second try of a download; each later pause is four times as long.
    """

    def __init__(self, settings: TwitterSettings, store: ChannelStore, *, retry_first: float = RETRY_FIRST) -> None:
        self._on = settings.media
        self._store = store
        self._max_bytes = settings.media_max_bytes
        self._gate = Gate(settings)
        self._retry_first = retry_first
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(QUEUE)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._counts = dict.fromkeys(("fetched", "refused", "failed", "dropped"), 0)
        self._reason = ""

    def offer(self, record: bytes) -> None:
        """Takes note of what a post shows; cheap, and drops what is too much."""
        if not self._on:
            return
        for job in files_of(record):
            if job.external_id in self._known:
                continue
            try:
                self._jobs.put_nowait(job)
            except asyncio.QueueFull:
                self._counts["dropped"] += 1
                continue
            self._known[job.external_id] = None
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)

    async def run(self, deliver: Deliver) -> None:
        """Never ends by itself.

        Args:
            deliver: Takes a record for each file; it may take its time.
        """
        if not self._on:
            await asyncio.Event().wait()
            return
        timeout = aiohttp.ClientTimeout(total=TOTAL_SECONDS, connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=Resolver(self._gate), limit=WORKERS),
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                auto_decompress=False,
            ) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(WORKERS):
                tasks.create_task(self._work(session, deliver))

    def details(self) -> dict[str, Any]:
        """What operators see."""
        if not self._on:
            return {}
        counts = {f"media_{name}": count for name, count in self._counts.items()}
        return {**counts, "media_waiting": self._jobs.qsize(), "media_reason": self._reason}

    async def _work(self, session: aiohttp.ClientSession, deliver: Deliver) -> None:
        while True:
            job = await self._jobs.get()
            try:
                file = await self._fetch(session, job)
            except RefusedFile as refusal:
                self._counts["refused"] += 1  # and it stays known, so that it is not tried again and again
                self._reason = f"Refused: {refusal}."
            except _Failed as failure:
                self._counts["failed"] += 1
                self._reason = f"Failed: {failure}."
                self._known.pop(job.external_id, None)
            else:
                self._counts["fetched"] += 1
                await deliver([_record(job, file)])

    async def _fetch(self, session: aiohttp.ClientSession, job: Job) -> _File:
        """The best encoding that is small enough, in several tries."""
        pause = self._retry_first
        for attempt in range(1, TRIES + 1):
            try:
                async with asyncio.timeout(TOTAL_SECONDS):
                    return await self._first_that_fits(session, job)
            except (_Failed, TimeoutError) as error:
                failure = error if isinstance(error, _Failed) else _Failed("it took too long")
                if attempt == TRIES:
                    raise failure from error
                self._reason = f"Tried again: {failure}."
            await asyncio.sleep(pause)
            pause *= RETRY_FACTOR
        raise AssertionError  # the last try returns or raises

    async def _first_that_fits(self, session: aiohttp.ClientSession, job: Job) -> _File:
        refusal = RefusedFile("it has no address")
        for url in job.urls:
            try:
                return await self._download(session, url)
            except RefusedFile as error:
                refusal = error
        raise refusal

    async def _download(self, session: aiohttp.ClientSession, url: str) -> _File:
        target = self._gate.passed(url)
        try:
            for _ in range(MOST_HOPS + 1):
                async with session.get(target, allow_redirects=False) as response:
                    if response.status in _REDIRECTS:
                        target = self._gate.passed(response.headers.get("Location", ""), target)
                        continue
                    _check(response, self._max_bytes)
                    return await self._keep(response)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _Failed(f"the connection broke ({type(error).__name__})") from error
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, type(error).__name__)
            raise _Failed(f"store.files cannot be written to ({name}): make room, or mend its permissions") from error
        raise RefusedFile("it is redirected again and again")

    async def _keep(self, response: aiohttp.ClientResponse) -> _File:
        """Keeps the body, if it is what it should be."""
        told: list[str] = []
        kept = await self._store.keep_file(self._checked(response, told))
        return _File(kept.sha256, kept.size, told[0])

    async def _checked(self, response: aiohttp.ClientResponse, told: list[str]) -> AsyncIterator[bytes]:
        """The body in pieces, as long as it is a picture or a video that is not too large; ``told`` gets its type."""
        size = 0
        async for piece in _pieces(response):
            if not told:
                media_type = sniff(piece)
                if media_type is None:
                    raise RefusedFile("its bytes are neither a picture nor a video")
                told.append(media_type)
            size += len(piece)
            if size > self._max_bytes:
                raise RefusedFile(f"it is larger than media_max_bytes ({self._max_bytes})")
            yield piece
        if not told:
            raise RefusedFile("it is empty")


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body in pieces that are worth a write; the first is long enough to tell what it is."""
    piece = bytearray()
    async for chunk in response.content.iter_chunked(_PIECE):
        piece += chunk
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _check(response: aiohttp.ClientResponse, max_bytes: int) -> None:
    status = response.status
    if status >= 500 or status in _WORTH_ANOTHER_TRY:  # noqa: PLR2004 - HTTP
        raise _Failed(f"the host answers {status}")
    if status != 200:  # noqa: PLR2004 - HTTP
        raise RefusedFile(f"the host answers {status}")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise RefusedFile("it comes packed, which nobody asked for")
    if (response.content_length or 0) > max_bytes:
        raise RefusedFile(f"it is larger than media_max_bytes ({max_bytes})")


def files_of(record: bytes) -> Iterator[Job]:
    """The photos and videos of a post's record; none of anything else."""
    try:
        content = msgspec.json.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    post, includes = _dict(_dict(content).get("data")), _dict(_dict(content).get("includes"))
    post_id = _text(post.get("id"))
    own = _list(_dict(post.get("attachments")).get("media_keys"))
    if not is_post_id(post_id):
        return
    for medium in map(_dict, _list(includes.get("media"))[:_MOST_FILES]):
        key = _text(medium.get("media_key"))
        urls = tuple(_addresses(medium))
        if key in own and _KEY.fullmatch(key) and urls:
            yield Job(post_id, _text(post.get("author_id")), key, _text(medium.get("alt_text")), urls)


def _addresses(medium: Mapping[str, Any]) -> Iterator[str]:
    """Where a photo or video is; of a video the encodings by their bit rate, a playlist being no file."""
    variants = [one for one in map(_dict, _list(medium.get("variants"))) if one.get("content_type") == "video/mp4"]
    rates = [(rate if isinstance(rate := one.get("bit_rate"), int) else 0, one) for one in variants]
    found = [_text(one.get("url")) for _, one in sorted(rates, key=lambda pair: pair[0], reverse=True)]
    found = found or [_text(medium.get("url")) or _text(medium.get("preview_image_url"))]
    yield from (url for url in found[:_MOST_FILES] if 0 < len(url) <= _LONGEST_ADDRESS)


def _record(job: Job, file: _File) -> RawMessage:
    """What is put into custody about a file. The address is the one by which the post's attachment is known."""
    note = {
        "lapor": "media",
        "post_id": job.post_id,
        "author_id": job.author_id or None,
        "media_key": job.media_key,
        "url": job.urls[0],
        "sha256": file.sha256,
        "size": file.size,
        "media_type": file.media_type,
        "name": job.description or f"{job.media_key}.{ending(file.media_type)}",
    }
    raw = msgspec.json.encode(note, order="deterministic")
    return RawMessage(job.external_id, raw, job.author_id or job.post_id)


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
