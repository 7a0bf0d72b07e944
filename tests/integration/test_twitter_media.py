"""Photos and videos of posts end as files named by their bytes, whole or not at all, whatever the host does."""

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from channels.twitter.api import XApi
from channels.twitter.media import MediaFetcher
from channels.twitter.settings import TwitterSettings
from gateway.demo.x import Media, XSimulator
from gateway.demo.x.media import jpeg, png, video
from tests.conftest import eventually
from tests.fakes import FakeClock
from tests.integration.x_parts import MemoryStore, keep, settings_for

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Bench:
    """A fetcher at work, and the records that it delivers."""

    def __init__(self, settings: TwitterSettings, folder: Path) -> None:
        self.folder = folder
        self.store = MemoryStore(FakeClock(), str(folder))
        self.settings = settings
        self.fetcher = MediaFetcher(settings, self.store, retry_first=0.01)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self.fetcher.run(self.store.deliver))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def count(self, **counts: int) -> None:
        """Waits until so many files have had this fate."""
        wanted = {f"media_{name}": count for name, count in counts.items()}

        def reached() -> bool:
            if self._task is not None and self._task.done():
                self._task.result()
            return wanted.items() <= self.fetcher.details().items()

        await eventually(reached, f"{counts}, not {self.fetcher.details()}")

    def files(self) -> dict[str, bytes]:
        """Every file in the folder, by its path there."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def offer(self, *urls: str, key: str = "3_1", alt_text: str = "") -> None:
        """Offers a post with one photo, or with one video of so many encodings."""
        medium: dict[str, Any] = {"media_key": key, "alt_text": alt_text, "url": urls[0]}
        if len(urls) > 1:
            medium["variants"] = [
                {"content_type": "video/mp4", "bit_rate": 100 - n, "url": url} for n, url in enumerate(urls)
            ]
        post = {"id": "12", "author_id": "44", "attachments": {"media_keys": [key]}}
        self.fetcher.offer(json.dumps({"data": post, "includes": {"media": [medium]}}).encode())


@asynccontextmanager
async def bench(settings: TwitterSettings, folder: Path) -> AsyncIterator[Bench]:
    made = Bench(settings, folder)
    made.start()
    try:
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def host(folder: Path, handler: Handler, **settings: Any) -> AsyncIterator[tuple[Bench, str]]:
    """A fetcher, and a host of media that does what the test says."""
    application = web.Application()
    application.router.add_get("/{name}", handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    name = f"127.0.0.1:{runner.addresses[0][1]}"
    section: dict[str, Any] = {
        "type": "twitter",
        "bearer_token": "t",
        "api_url": f"http://{name}",
        "media_hosts": [name],
    }
    section["media"] = True
    try:
        async with bench(TwitterSettings.model_validate(section | settings), folder) as b:
            yield b, f"http://{name}"
    finally:
        await runner.cleanup()


async def test_what_a_post_shows_is_kept_under_the_hash_of_its_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "media"
    async with XSimulator() as x:
        media = [Media("lubang.jpg", alt_text="Lubang di jalan"), Media("peta.png"), Media("banjir.mp4", kind="video")]
        post = x.world.post("warga_0001", "#LAPOR @LAPOR1708 banjir", media=media)
        settings = settings_for(x, media=True)
        api = XApi(settings)
        async with bench(settings, folder) as b:
            await keep(api, b.store, post.id)
            b.fetcher.offer(b.store.messages[0].raw)
            await b.count(fetched=3)
        await api.close()
    contents = [jpeg("lubang.jpg"), png("peta.png"), video("banjir.mp4")]
    hashes = [hashlib.sha256(content).hexdigest() for content in contents]
    assert b.files() == {f"{sha[:2]}/{sha}": content for sha, content in zip(hashes, contents, strict=True)}
    records = {record["media_key"]: record for record in b.store.raws("media:")}
    names = ("Lubang di jalan", f"{post.media_keys[1]}.png", f"{post.media_keys[2]}.mp4")
    kinds = ("image/jpeg", "image/png", "video/mp4")
    for key, name, kind, content, sha in zip(post.media_keys, names, kinds, contents, hashes, strict=True):
        known: dict[str, Any] = {
            "lapor": "media",
            "post_id": post.id,
            "author_id": post.author.id,
            "media_key": key,
            "name": name,
        }
        known |= {"media_type": kind, "size": len(content), "sha256": sha}
        assert known.items() <= records[key].items()
    assert {kept.external_id for kept in b.store.messages[1:]} == {f"media:{post.id}:{key}" for key in post.media_keys}


async def test_the_folder_is_for_nobody_else_s_eyes(tmp_path: Path) -> None:
    async def picture(_request: web.Request) -> web.Response:
        return web.Response(body=jpeg("a"))

    folder = tmp_path / "media"
    async with host(folder, picture) as (b, origin):
        b.offer(f"{origin}/a")
        await b.count(fetched=1)
    modes = {path.is_dir(): oct(path.stat().st_mode & 0o777) for path in [folder, *folder.rglob("*")]}
    assert modes == {True: "0o700", False: "0o600"}


@pytest.mark.parametrize(
    ("name", "word"),
    [("impostor.jpg", "neither a picture nor a video"), ("huge.jpg", "media_max_bytes"), ("missing.jpg", "404")],
)
async def test_what_is_not_what_it_should_be_is_refused_and_leaves_no_trace(
    tmp_path: Path, name: str, word: str
) -> None:
    async with XSimulator() as x, bench(settings_for(x, media=True), tmp_path) as b:
        b.offer(f"{x.origin}/media/{name}")
        await b.count(refused=1)
        assert word in b.fetcher.details()["media_reason"]
        assert (b.files(), b.store.messages) == ({}, [])
        assert (tmp_path / "incoming").exists() == name.startswith("impostor")  # the others were known by their head
        b.offer(f"{x.origin}/media/{name}")
        assert b.fetcher.details()["media_waiting"] == 0  # not again and again


async def test_a_foreign_host_is_never_asked(tmp_path: Path) -> None:
    async with XSimulator() as x, XSimulator() as foreign:
        async with bench(settings_for(x, media=True), tmp_path) as b:
            b.offer(f"{foreign.origin}/media/a.jpg")
            b.offer("https://10.0.0.1/a.jpg", key="3_2")
            await b.count(refused=2)
        assert not foreign.calls


async def test_a_redirect_is_followed_where_it_may_be_and_nowhere_else(tmp_path: Path) -> None:
    async def redirecting(request: web.Request) -> web.Response:
        match request.match_info["name"]:
            case "picture":
                return web.Response(body=jpeg("a"))
            case "good":
                raise web.HTTPFound("/picture")
            case "bad":
                raise web.HTTPFound("https://example.id/picture")
            case _:
                raise web.HTTPFound("/round")

    async with host(tmp_path, redirecting) as (b, origin):
        b.offer(f"{origin}/good")
        await b.count(fetched=1)
        b.offer(f"{origin}/bad", key="3_2")
        await b.count(refused=1)
        assert "media_hosts" in b.fetcher.details()["media_reason"]
        b.offer(f"{origin}/round", key="3_3")
        await b.count(refused=2)
        assert b.store.raws("media:")[0]["url"] == f"{origin}/good"
        assert len(b.store.messages) == 1


async def test_a_size_that_is_not_announced_is_noticed_on_the_way(tmp_path: Path) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        with suppress(ConnectionError):
            await response.write(jpeg("a"))
            while True:
                await response.write(bytes(10_000))
        return response

    async with host(tmp_path, endless, media_max_bytes=200_000) as (b, origin):
        b.offer(f"{origin}/a")
        await b.count(refused=1)
        assert b.files() == {}


async def test_of_a_video_the_best_encoding_that_fits_is_kept_under_the_address_of_the_best(tmp_path: Path) -> None:
    async def encodings(request: web.Request) -> web.Response:
        return web.Response(body=video("a") + bytes(int(request.match_info["name"])))

    async with host(tmp_path, encodings, media_max_bytes=1000) as (b, origin):
        b.offer(*(f"{origin}/{size}" for size in (5000, 500, 50)), key="7_1")
        await b.count(fetched=1)
        (record,) = b.store.raws("media:")
        assert (record["size"], record["url"]) == (len(video("a")) + 500, f"{origin}/5000")


async def test_a_host_that_stumbles_is_asked_again(tmp_path: Path) -> None:
    tries: list[str] = []

    async def stumbling(request: web.Request) -> web.StreamResponse:
        tries.append(request.path)
        if len(tries) == 1:
            return web.Response(status=503)
        if len(tries) == 2:
            response = web.StreamResponse(headers={"Content-Length": "5000"})
            await response.prepare(request)
            await response.write(jpeg("a"))
            assert request.transport is not None
            request.transport.abort()
            return response
        return web.Response(body=jpeg("a"))

    async with host(tmp_path, stumbling) as (b, origin):
        b.offer(f"{origin}/a")
        await b.count(fetched=1)
        assert (len(tries), len(b.files())) == (3, 1)


async def test_a_host_that_stays_away_is_given_up_and_may_be_offered_again(tmp_path: Path) -> None:
    tries: list[str] = []

    async def away(request: web.Request) -> web.Response:
        tries.append(request.path)
        return web.Response(status=503)

    async with host(tmp_path, away) as (b, origin):
        b.offer(f"{origin}/a")
        await b.count(failed=1)
        assert len(tries) == 4
        assert "503" in b.fetcher.details()["media_reason"]
        b.offer(f"{origin}/a")
        await b.count(failed=2)


async def test_a_packed_body_is_not_unpacked(tmp_path: Path) -> None:
    async def packed(request: web.Request) -> web.Response:
        body = jpeg("a") if request.path == "/lie" else gzip.compress(jpeg("a") + bytes(10_000_000))
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async with host(tmp_path, packed) as (b, origin):
        b.offer(f"{origin}/bomb")
        b.offer(f"{origin}/lie", key="3_2")
        await b.count(refused=2)
        assert b.files() == {}


async def test_a_folder_that_cannot_be_written_to_is_named_and_hinders_nothing_else(tmp_path: Path) -> None:
    async def picture(_request: web.Request) -> web.Response:
        return web.Response(body=jpeg("a"))

    folder = tmp_path / "media"
    folder.write_text("a file where the folder should be")
    async with host(folder, picture) as (b, origin):
        b.offer(f"{origin}/a")
        await b.count(failed=1)
        assert "store.files" in b.fetcher.details()["media_reason"]
        folder.unlink()
        b.offer(f"{origin}/a")
        await b.count(fetched=1)


async def test_an_end_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "500000"})
        await response.prepare(request)
        await response.write(jpeg("a") + bytes(100_000))
        arrived.set()
        with suppress(ConnectionError):
            await asyncio.Event().wait()
        return response

    async with host(tmp_path, half) as (b, origin):
        b.offer(f"{origin}/a")
        await arrived.wait()
        await eventually(lambda: bool(b.files()), "the file to be begun")
        await b.stop()
        assert b.files() == {}
