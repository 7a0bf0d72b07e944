"""Tells pictures and videos by their first bytes."""

from collections.abc import Mapping
from typing import Final

_LONGEST_BRANDS: Final = 256

_MAGIC: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBPVP", "image/webp"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
)
"""Where a signature stands, and its type: WHATWG, MIME Sniffing, sections 6.1 and 6.2,
https://mimesniff.spec.whatwg.org. X serves JPEG, PNG, WebP and MP4. No library: filetype has had no release since
2022, and puremagic needs Python 3.12."""

_BRANDS: Final[Mapping[bytes, str]] = {
    b"qt  ": "video/quicktime",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
} | dict.fromkeys(
    (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash", b"M4V ", b"mmp4"), "video/mp4"
)
"""Major brands of ISO base media files, which begin with a box of the type *ftyp* (ISO/IEC 14496-12, 4.3; brands as
registered at https://mp4ra.org)."""

_ENDINGS: Final[Mapping[str, str]] = {"image/jpeg": "jpg", "video/quicktime": "mov"}


def sniff(head: bytes) -> str | None:
    """The media type that the first bytes tell; None for what is neither a picture nor a video."""
    if head[4:8] == b"ftyp":
        end = min(int.from_bytes(head[:4], "big"), len(head), _LONGEST_BRANDS)
        brands = (head[8:12], *(head[at : at + 4] for at in range(16, end, 4)))
        return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
    if head[8:12] == b"WEBP" and not head.startswith(b"RIFF"):
        return None
    return next((kind for at, magic, kind in _MAGIC if head.startswith(magic, at)), None)


def ending(media_type: str) -> str:
    """What names of files of this type usually end with."""
    return _ENDINGS.get(media_type) or media_type.partition("/")[2]
