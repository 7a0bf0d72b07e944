"""The attachments of a mail: their names, what they are by their first bytes, and their bytes by their hash."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from gateway.model import Attachment
from parsers import citizen_text, mail_headers
from parsers.mail_message import Part

MOST_FILES: Final = 100
"""Attachments that are kept of one mail; the number of the others is told."""
MOST_BYTES: Final = 64 << 20
"""Bytes of all attachments of one mail together; more than any server takes today."""

_LONGEST_NAME: Final = 200
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,120}")
_UNKNOWN: Final = "application/octet-stream"
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f<>:"|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]')
_HEAD: Final = 512

_MAGIC: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"{\\rtf", "application/rtf"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"OggS\0", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"#!AMR", "audio/amr"),
    (b"fLaC", "audio/flac"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"\x78\x9f\x3e\x22", "application/ms-tnef"),
    (b"\x7fELF", "application/x-elf"),
)
"""Signatures at a file's start: WHATWG, MIME Sniffing, sections 6.1 to 6.4, https://mimesniff.spec.whatwg.org; TNEF:
MS-OXTNEF, 2.1.3.1; AMR: RFC 4867, 5.1. No library: filetype has had no release since 2022, puremagic needs Python
3.12, and both take two letters such as "BM" for a picture."""
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS: Final = {
    b"qt  ": "video/quicktime",
    b"avif": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"M4A ": "audio/mp4",
    b"3gp4": "video/3gpp",
    b"3gp5": "video/3gpp",
    b"3gp6": "video/3gpp",
}
# These hold many kinds of documents: there the declared type says more, if it is one of those.
_CONTAINERS: Final = (
    (b"PK\x03\x04", "application/zip", ("application/vnd.", "application/epub+zip", "application/java-archive")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage", ("application/vnd.", "application/msword")),
)
_PROGRAM: Final = "application/vnd.microsoft.portable-executable"
_PE_OFFSET: Final = 0x3C


@dataclass(slots=True)
class Files:
    """The attachments of a mail.

    Attributes:
        listed: What the report says of them.
        octets: Their bytes by SHA-256.
        left_out: How many were not kept.
    """

    listed: list[Attachment] = field(default_factory=list)
    octets: dict[str, bytes] = field(default_factory=dict)
    left_out: int = 0
    size: int = 0

    def add(self, data: bytes, name: str | None, declared: str) -> None:
        """Takes a file in, or counts it where there are too many."""
        if len(self.listed) >= MOST_FILES or self.size + len(data) > MOST_BYTES:
            self.left_out += 1
            return
        self.size += len(data)
        digest = sha256(data).hexdigest()
        self.octets[digest] = data
        kind = media_type(data[:_HEAD], declared)
        self.listed.append(Attachment(name=name, media_type=kind, size=len(data), sha256=digest, url=None))


def collect(parts: Sequence[Part], pictures: Sequence[tuple[str, bytes]], *, broken: Part | None) -> Files:
    """The files in these parts.

    Args:
        parts: The parts that are attachments.
        pictures: Pictures out of HTML: type and octets.
        broken: The part in which the mail was cut, if it was.
    """
    files = Files()
    for part in parts:
        if part is broken:
            files.left_out += 1
        elif len(files.listed) >= MOST_FILES:
            files.left_out += 1  # without undoing its encoding
        else:
            files.add(part.octets(), file_name(part), part.get_content_type())
    for declared, data in pictures:
        files.add(data, None, declared)
    return files


def file_name(part: Part) -> str | None:
    """The name that the sender gave, without folders and without signs that mislead."""
    written = (mail_headers.parameter(part, "filename", "content-disposition") or mail_headers.parameter(part, "name"))[
        -4 * _LONGEST_NAME :
    ]
    name = _UNSAFE.sub("", written.replace("\\", "/").rpartition("/")[2])
    name = " ".join(citizen_text.clean(name).split())
    return (name if len(name) <= _LONGEST_NAME else "…" + name[1 - _LONGEST_NAME :]) or None


def media_type(head: bytes, declared: str) -> str:
    """What a file is by its first bytes, else by what the sender says, else unknown."""
    declared = declared.lower()
    if _MEDIA_TYPE.fullmatch(declared) is None:
        declared = _UNKNOWN
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    for magic, kind, inside in _CONTAINERS:
        if head.startswith(magic):
            return declared if declared.startswith(inside) else kind
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], declared)
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], declared if declared.startswith(("video/", "audio/")) else "video/mp4")
    if head.startswith(b"MZ") and head[_PE_OFFSET : _PE_OFFSET + 4].strip(b"\0"):
        return _PROGRAM
    return declared
