"""Invented mails that can be told apart: reports in several forms, their redeliveries, and what machines send."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.message import EmailMessage
from email.utils import format_datetime
from random import Random
from typing import Literal

from channels.mail.identity import external_id
from tests.soak.citizens import invented_text, token_of
from tests.soak.verdict import Expected

ADDRESS = "lapor@example.go.id"
LARGEST = 1_000_000
"""Bytes of a mail that the gateway takes whole, by its settings."""

Form = Literal["plain", "quoted", "base64", "alternative", "attachment", "subject only", "too large"]
FORMS: tuple[Form, ...] = ("plain", "plain", "quoted", "base64", "alternative", "attachment", "subject only")
AUTOMATIC = {
    "replied": ("Auto-Submitted", "auto-replied"),
    "generated": ("Auto-Submitted", "auto-generated"),
    "bulk": ("Precedence", "bulk"),
    "autoreply": ("X-Autoreply", "yes"),
    "suppress": ("X-Auto-Response-Suppress", "OOF, AutoReply"),
    "list": ("List-Id", "Warga Contoh <warga.example.org>"),
    "bounce": ("Return-Path", "<>"),
    "loop": ("X-Loop", ADDRESS),
}
"""By which header a machine is known. A mail from our own address and one out of office by its subject come on top."""

_KINDS = (*AUTOMATIC, "own address", "out of office")
_FIRST_SENT = datetime(2026, 11, 1, 1, tzinfo=UTC)
_LARGE_EVERY = 60
_LARGE_PICTURE = b"foto rekaan " * 100_000
_CUT = "\n\n[Surat ini terpotong: 2 MB; lampiran tidak diambil.]"
"""What the report says of a mail with such a picture: it has 1.6 MB in base64."""

_POOL = 20
"""Citizens who write again and again: the order of their mails matters."""


@dataclass(frozen=True)
class Mail:
    """A mail, each form in which a server hands it out, and what has to become of it.

    Attributes:
        token: In its text and, but for the forged and the bare ones, in its subject.
        copies: Its bytes; the second and later ones are redeliveries with other trace headers.
        kind: "report", or which automatic mail it is.
        traits: What is special about it, for the figures.
        read: Whether a person has read it before the gateway sees it.
    """

    token: str
    sender: str
    text: str
    copies: tuple[bytes, ...]
    kind: str
    traits: tuple[str, ...]
    read: bool

    @property
    def identity(self) -> str:
        """What the channel has to know it by."""
        return external_id(self.copies[0])

    @property
    def is_report(self) -> bool:
        """Whether it has to be published."""
        return self.kind == "report"

    @property
    def report(self) -> Expected:
        """The report that it has to become."""
        text = self.text + (_CUT if "too large" in self.traits else "")
        return Expected((self.token,), self.sender, text)


def mails(count: int, random: Random) -> Iterator[Mail]:
    """So many mails; about one in eight was sent by a machine."""
    used: list[str] = []
    for number in range(count):
        token = token_of(number)
        kind = random.choice(_KINDS) if random.random() < 0.12 else "report"
        pooled = kind == "report" and random.random() < 0.25
        sender = f"warga{random.randrange(_POOL)}@example.org" if pooled else f"penulis{number}@example.org"
        yield _mail(number, token, sender if kind != "own address" else ADDRESS, kind, random, used)


def _mail(number: int, token: str, sender: str, kind: str, random: Random, used: list[str]) -> Mail:
    form = random.choice(FORMS) if kind == "report" else "plain"
    if kind == "report" and number % _LARGE_EVERY == 1:
        form = "too large"
    text = invented_text(token, random, long=form != "subject only" and random.random() < 0.2)
    draw = random.random()
    traits: list[str] = [form]
    message_id: str | None = f"<{token.lower()}.{number}@mail.example.org>"
    if draw < 0.08 and used:
        message_id = random.choice(used)
        traits.append("forged Message-ID")
    elif draw < 0.16:
        message_id = None
        traits.append("without Message-ID")
    if message_id is not None:
        used.append(message_id)
    subject = text if form == "subject only" else f"Laporan warga {token}"
    if kind == "out of office":
        subject = "Balasan otomatis: sedang cuti"
    headers = [
        f"From: Warga Contoh <{sender}>",
        f"To: {ADDRESS}",
        f"Subject: {Header(subject, 'ascii' if subject.isascii() else 'utf-8', header_name='Subject').encode()}",
        f"Date: {format_datetime(_FIRST_SENT + timedelta(seconds=number))}",
    ]
    if message_id is not None:
        headers.append(f"Message-ID: {message_id}")
    if kind in AUTOMATIC:
        headers.append(": ".join(AUTOMATIC[kind]))
    written = "\n".join(headers).encode() + b"\n" + _body(form, "" if form == "subject only" else text)
    raw = written.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    copies = [_traced(raw, 0, number)]
    if random.random() < 0.1:
        copies += [_traced(raw, hop, number) for hop in range(1, random.choice((2, 2, 4)))]
        traits.append("redelivered")
    read = random.random() < 0.03
    if read:
        traits.append("read by a person first")
    return Mail(token, sender, text, tuple(copies), kind, tuple(traits), read)


def _body(form: Form, text: str) -> bytes:
    """The headers of the content and the content."""
    message = EmailMessage()
    encoding = {"quoted": "quoted-printable", "base64": "base64"}.get(form, "8bit")
    message.set_content(text + "\n", cte=encoding)
    if form == "alternative":
        message.add_alternative(f"<html><body><p>{html.escape(text)}</p></body></html>", subtype="html")
    elif form == "attachment":
        message.add_attachment(f"foto {len(text)}".encode(), "application", "octet-stream", filename="bukti.bin")
    elif form == "too large":
        message.add_attachment(_LARGE_PICTURE, "application", "octet-stream", filename="foto.bin")
    return message.as_bytes()


def _traced(raw: bytes, hop: int, number: int) -> bytes:
    """The mail as another server hands it on: only the trace headers differ."""
    lines = [
        f"Received: from mx{hop}.example.org (mx{hop}.example.org [192.0.2.{hop + 1}])",
        f"\tby imap.example.go.id with ESMTP id {number:x}.{hop}; {format_datetime(_FIRST_SENT)}",
    ]
    if hop:
        lines[:0] = [f"Delivered-To: kotak{hop}@example.go.id", f"X-Original-To: kotak{hop}@example.go.id"]
    return "\r\n".join(lines).encode() + b"\r\n" + raw
