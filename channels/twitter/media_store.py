"""The folder of pictures and videos: each file complete or not there, and what it is told by its bytes."""

import os
import secrets
import threading
import time
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Final

_INCOMING: Final = "incoming"
_FORGOTTEN_SECONDS: Final = 3600.0
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


class Partial:
    """A file that is not complete yet. Its methods block, and are called from threads, one at a time.

    Args:
        folder: Where complete files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / _INCOMING / secrets.token_hex(16)
        self._file: FileIO | None = None
        self._discarded = False
        self._lock = threading.Lock()  # a cancelled task leaves its thread behind

    def open(self) -> None:
        """Makes the folders where they are missing, and the file."""
        with self._lock:
            if not self._discarded:
                _make_folder(self._path.parent)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                self._file = FileIO(os.open(self._path, flags, 0o600), "wb")

    def write(self, piece: bytes) -> None:
        """Adds to the file."""
        with self._lock:
            left = memoryview(piece)
            while left and self._file is not None:
                left = left[self._file.write(left) :]

    def finish(self, name: str) -> None:
        """Puts the file where it belongs, for good."""
        with self._lock:
            if self._file is None:
                return
            os.fsync(self._file.fileno())
            place = self._folder / name[:2]
            _make_folder(place)
            self._path.replace(place / name)
            _sync(place)

    def discard(self) -> None:
        """Closes the file, and removes it unless it is finished."""
        with self._lock:
            self._discarded = True
            if self._file is not None:
                self._file.close()
                self._file = None
                self._path.unlink(missing_ok=True)


def _make_folder(path: Path) -> None:
    """Makes a folder and the one above it for nobody else's eyes, and has the disk know of them."""
    for folder in (path.parent, path):
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_away(folder: Path) -> None:
    """Removes what a crash has left, and nothing that another process may be writing."""
    incoming = folder / _INCOMING
    if not incoming.is_dir():
        return
    for path in incoming.iterdir():
        if time.time() - path.stat().st_mtime > _FORGOTTEN_SECONDS:
            path.unlink(missing_ok=True)
