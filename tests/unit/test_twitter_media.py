"""Which files of a post are fetched, from where, and what is believed to be a picture or a video."""

import ipaddress
import json
from typing import Any

import pytest
from yarl import URL

from channels.twitter.media import QUEUE, MediaFetcher, files_of
from channels.twitter.media_gate import Gate, RefusedFile, Resolver
from channels.twitter.media_type import ending, sniff
from channels.twitter.settings import TwitterSettings
from gateway.demo.x import media as pictures
from tests.fakes import FakeClock
from tests.integration.x_parts import MemoryStore


def settings(**changes: Any) -> TwitterSettings:
    """A section of the settings."""
    return TwitterSettings.model_validate({"type": "twitter", "bearer_token": "t"} | changes)


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    """The first box of an ISO base media file."""
    body = b"ftyp" + major + b"\0\0\0\0" + b"".join(compatible)
    return (4 + len(body)).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (pictures.jpeg("a"), "image/jpeg"),
        (pictures.png("a"), "image/png"),
        (pictures.video("a"), "video/mp4"),
        (b"GIF89a......", "image/gif"),
        (b"GIF87a......", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"XXXX\x10\0\0\0WEBPVP8 ", None),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (ftyp(b"mp42"), "video/mp4"),
        (ftyp(b"M4V "), "video/mp4"),
        (ftyp(b"abcd", b"wxyz", b"isom"), "video/mp4"),
        (ftyp(b"abcd", b"wxyz"), None),
        (ftyp(b"abcd") + b"isom", None),  # behind the box
        (ftyp(b"qt  "), "video/quicktime"),
        (ftyp(b"avif", b"mif1"), "image/avif"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", None),
        (b"<!doctype html>", None),
        (b"%PDF-1.7", None),
        (b"MZ\x90\0", None),
        (b"#EXTM3U\n", None),
        (b"\xff\xd8", None),
        (b"ftyp", None),
        (b"", None),
    ],
)
def test_the_first_bytes_tell_what_a_file_is(head: bytes, media_type: str | None) -> None:
    assert sniff(head) == media_type


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [("image/jpeg", "jpg"), ("image/png", "png"), ("video/mp4", "mp4"), ("video/quicktime", "mov")],
)
def test_names_end_as_usual(media_type: str, expected: str) -> None:
    assert ending(media_type) == expected


def record(*media: Any, keys: list[str] | None = None, **data: Any) -> bytes:
    """A post with media, as it was received."""
    shown = keys if keys is not None else [medium["media_key"] for medium in media]
    post = {"id": "12", "author_id": "44", "attachments": {"media_keys": shown}} | data
    return json.dumps({"data": post, "includes": {"media": list(media)}}).encode()


def variant(rate: Any, name: str, kind: str = "video/mp4") -> dict[str, Any]:
    return {"content_type": kind, "bit_rate": rate, "url": f"https://v/{name}"}


@pytest.mark.parametrize(
    ("raw", "urls"),
    [
        (record({"media_key": "3_1", "type": "photo", "url": "https://p/1"}), [("https://p/1",)]),
        (
            record({"media_key": "7_1", "variants": [variant(2, "b"), variant(9, "a"), variant(1, "c")]}),
            [("https://v/a", "https://v/b", "https://v/c")],
        ),
        (
            record({"media_key": "7_1", "variants": [variant(9, "list", "application/x-mpegURL"), variant(None, "a")]}),
            [("https://v/a",)],
        ),
        (record({"media_key": "7_1", "preview_image_url": "https://p/still"}), [("https://p/still",)]),
        (record({"media_key": "3_1", "url": "https://p/1"}, keys=["3_2"]), []),  # another post's
        (record({"media_key": "3_1"}), []),
        (record({"media_key": "3_1", "url": 7}), []),
        (record({"media_key": "../../etc", "url": "https://p/1"}), []),
        (record({"media_key": "3_1", "url": "https://p/" + "a" * 3000}), []),
        (record({"media_key": "3_1", "url": "https://p/1"}, id="x"), []),
        (record({"media_key": "3_1", "url": "https://p/1"}, attachments=None), []),
        (b"", []),
        (b"\xff", []),
        (b"[" * 100_000, []),
        (b"[1]", []),
        (b'{"data":[],"includes":7}', []),
        (b'{"lapor":"media","post_id":"12"}', []),
    ],
)
def test_the_files_of_a_post_are_those_that_it_shows(raw: bytes, urls: list[tuple[str, ...]]) -> None:
    assert [file.urls for file in files_of(raw)] == urls


def test_a_post_has_so_many_files_at_most() -> None:
    media = [{"media_key": f"3_{n}", "url": f"https://p/{n}"} for n in range(500)]
    assert len(list(files_of(record(*media)))) == 20


@pytest.mark.parametrize(
    ("address", "passes"),
    [
        ("https://pbs.twimg.com/media/a.jpg?name=orig", True),
        ("https://PBS.twimg.com/media/a.jpg", True),
        ("https://pbs.twimg.com:443/media/a.jpg", True),
        ("https://pbs.twimg.com:8443/media/a.jpg", False),
        ("https://cdn.example.id:8443/a.jpg", True),
        ("https://cdn.example.id/a.jpg", False),
        ("http://pbs.twimg.com/media/a.jpg", False),
        ("https://pbs.twimg.com.example.id/a.jpg", False),
        ("https://pbs.twimg.com@example.id/a.jpg", False),
        ("https://user:secret@pbs.twimg.com/a.jpg", False),
        ("ftp://pbs.twimg.com/a.jpg", False),
        ("file:///etc/passwd", False),
        ("//pbs.twimg.com/a.jpg", False),
        ("/a.jpg", False),
        ("", False),
        ("https://[", False),
        ("https://10.0.0.1/a.jpg", False),
        ("https://169.254.169.254/latest", False),
        ("http://127.0.0.1:8081/media/a.jpg", True),  # the API's own origin, on loopback
        ("http://127.0.0.1:8082/media/a.jpg", False),
    ],
)
def test_only_the_hosts_of_the_settings_are_asked_and_only_by_https(address: str, *, passes: bool) -> None:
    hosts = ["pbs.twimg.com", "cdn.example.id:8443", "127.0.0.1:8081", "127.0.0.1:8082", "10.0.0.1", "169.254.169.254"]
    gate = Gate(settings(api_url="http://127.0.0.1:8081", media_hosts=hosts))
    if passes:
        assert str(gate.passed(address).host) in address.lower()
    else:
        with pytest.raises(RefusedFile) as raised:
            gate.passed(address)
        assert "twimg" not in str(raised.value)


def test_a_redirect_is_checked_like_any_address() -> None:
    gate = Gate(settings())
    base = URL("https://pbs.twimg.com/media/a.jpg")
    assert gate.passed("/media/b.jpg", base) == URL("https://pbs.twimg.com/media/b.jpg")
    for address in ("http://pbs.twimg.com/b.jpg", "https://example.id/b.jpg", "//example.id/b.jpg"):
        with pytest.raises(RefusedFile):
            gate.passed(address, base)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("104.244.43.131", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address that must not be asked
        ("224.0.0.1", False),
        ("::1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
    ],
)
def test_a_name_that_leads_into_a_private_network_is_not_followed(address: str, *, allowed: bool) -> None:
    assert Gate(settings()).allows("pbs.twimg.com", 443, ipaddress.ip_address(address)) is allowed


def test_loopback_is_allowed_for_the_api_s_own_origin_alone() -> None:
    gate = Gate(settings(api_url="http://localhost:8081"))
    loopback = ipaddress.ip_address("127.0.0.1")
    assert gate.allows("localhost", 8081, loopback)
    assert not gate.allows("localhost", 8082, loopback)
    assert not gate.allows("pbs.twimg.com", 443, loopback)
    assert not Gate(settings(api_url="https://localhost")).allows("localhost", 443, loopback)


async def test_names_are_resolved_and_what_is_private_is_left_out() -> None:
    resolver = Resolver(Gate(settings(api_url="http://localhost:8081")))
    try:
        assert {one["host"] for one in await resolver.resolve("localhost", 8081)} <= {"127.0.0.1", "::1"}
        with pytest.raises(OSError, match="no public address"):
            await resolver.resolve("localhost", 443)
    finally:
        await resolver.close()


def test_what_is_too_much_for_the_queue_is_dropped_and_counted() -> None:
    fetcher = MediaFetcher(settings(media=True), MemoryStore(FakeClock()))
    for number in range(QUEUE + 7):
        fetcher.offer(record({"media_key": f"3_{number}", "url": "https://p/1"}))
    details = fetcher.details()
    assert (details["media_waiting"], details["media_dropped"]) == (QUEUE, 7)


def test_a_file_that_is_offered_twice_waits_once() -> None:
    fetcher = MediaFetcher(settings(media=True), MemoryStore(FakeClock()))
    for _ in range(3):
        fetcher.offer(record({"media_key": "3_1", "url": "https://p/1"}))
    assert fetcher.details()["media_waiting"] == 1


def test_without_a_folder_nothing_is_fetched() -> None:
    fetcher = MediaFetcher(settings(), MemoryStore(FakeClock()))
    fetcher.offer(record({"media_key": "3_1", "url": "https://p/1"}))
    assert fetcher.details() == {}
