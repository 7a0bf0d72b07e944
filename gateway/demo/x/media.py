"""Pictures for invented posts, drawn on the spot, and files that only pretend to be pictures."""

import hashlib
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

SIDE: Final = 16
_JPEG_START: Final = b"\xff\xd8"
_JPEG_END: Final = b"\xff\xd9"
_PIECE: Final = 64 * 1024
_PAGE: Final = "<!doctype html><html><title>Sign in</title><script>alert('not a picture')</script></html>"


class Pictures:
    """Serves ``/media/{name}``. The beginning of a name decides what comes.

    impostor: HTML that calls itself a JPEG. huge: a JPEG of `huge_bytes`. missing: 404. redirect-: leads to the
    name behind it. Otherwise a small PNG, JPEG or video by the ending, of its own bytes for each name.

    Args:
        huge_bytes: The size of the oversized one.
    """

    def __init__(self, huge_bytes: int) -> None:
        self._huge_bytes = huge_bytes

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answers one request for a file."""
        name = request.match_info["name"]
        if name.startswith("missing"):
            raise web.HTTPNotFound
        if name.startswith("redirect-"):
            raise web.HTTPFound(f"/media/{name.removeprefix('redirect-')}")
        if name.startswith("impostor"):
            return web.Response(text=_PAGE, headers={"Content-Type": "image/jpeg"})
        if name.startswith("huge"):
            return await self._huge(request)
        if name.endswith(".png"):
            return web.Response(body=png(name), content_type="image/png")
        if name.endswith(".mp4"):
            return web.Response(body=video(name), content_type="video/mp4")
        return web.Response(body=jpeg(name), content_type="image/jpeg")

    async def _huge(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "image/jpeg", "Content-Length": str(self._huge_bytes)})
        response.force_close()
        await response.prepare(request)
        async for piece in self._pieces():
            await response.write(piece)
        await response.write_eof()
        return response

    async def _pieces(self) -> AsyncIterator[bytes]:
        picture = jpeg("huge").removesuffix(_JPEG_END)
        left = self._huge_bytes - len(picture)
        yield picture
        while left > 0:
            size = min(left, _PIECE)
            yield bytes(size)
            left -= size


def png(name: str) -> bytes:
    """A square of one colour, which the name decides."""
    red, green, blue = hashlib.sha256(name.encode()).digest()[:3]
    rows = (b"\0" + bytes((red, green, blue)) * SIDE) * SIDE
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, body) for kind, body in chunks)


def jpeg(name: str) -> bytes:
    """A grey square; the name stands in it as a comment, so that no two are the same bytes."""
    jfif = _segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
    comment = _segment(0xFE, name.encode())
    quantisation = _segment(0xDB, b"\0" + b"\x01" * 64)
    frame = _segment(0xC0, struct.pack(">BHHB", 8, SIDE, SIDE, 1) + b"\x01\x11\0")
    # Two Huffman tables of one code each, "0": no difference, and end of block. Four blocks make eight zeros.
    tables = b"".join(_segment(0xC4, bytes((table, 1)) + bytes(15) + b"\0") for table in (0x00, 0x10))
    scan = _segment(0xDA, b"\x01\x01\0\0\x3f\0") + b"\0"
    return _JPEG_START + jfif + comment + quantisation + frame + tables + scan + _JPEG_END


def video(name: str) -> bytes:
    """The head of an MP4 file, enough to be recognised."""
    kind = b"ftypisom\0\0\x02\0isomiso2mp41"
    return struct.pack(">I", 4 + len(kind)) + kind + _box(b"free", name.encode())


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
