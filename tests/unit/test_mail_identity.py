"""Which mail a mail is, whatever happened to it on its way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.mail.identity import KEPT_OF_LARGE, TRUNCATED, body_start, external_id, order_key, truncated

HEADER = (
    b"Message-ID: <1@example.go.id>\r\nFrom: Budi <budi@example.go.id>\r\n"
    b"Date: Sun, 1 Nov 2026 08:00:00 +0700\r\nSubject: Jalan\r\n rusak\r\n"
)
BODY = b"Jalan di depan balai desa rusak.\r\n"
MAIL = HEADER + b"\r\n" + BODY


@pytest.mark.parametrize(
    "trace",
    [
        b"Received: from a.example.go.id\r\n\tby b.example.go.id; Sun, 1 Nov 2026 08:00:01 +0700\r\n",
        b"Return-Path: <budi@example.go.id>\r\nDelivered-To: lapor@example.go.id\r\n",
        b"X-Spam-Score: 0\r\nAuthentication-Results: mx.example.go.id; spf=pass\r\nDKIM-Signature: v=1;\r\n b=abc\r\n",
    ],
)
def test_a_redelivery_with_other_trace_fields_is_the_same_mail(trace: bytes) -> None:
    """Wherever they were added."""
    assert external_id(trace + MAIL) == external_id(MAIL) == external_id(HEADER + trace + b"\r\n" + BODY)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<1@", b"<2@"),
        (b"budi@", b"sari@"),
        (b"08:00:00", b"08:00:01"),
        (b"Subject: Jalan", b"Subject: Jembatan"),
        (b"balai desa", b"balai kota"),
    ],
)
def test_another_mail_is_another(old: bytes, new: bytes) -> None:
    """Although its Message-ID is the same, forged or by mistake."""
    assert external_id(MAIL.replace(old, new)) != external_id(MAIL)


def test_mails_without_a_message_id_are_told_apart_by_what_they_say() -> None:
    """In one second, by one sender."""
    bare = MAIL.partition(b"\r\n")[2]
    assert external_id(bare) == external_id(bare)
    assert external_id(bare) != external_id(bare.replace(b"rusak.", b"hilang."))
    assert external_id(bare) != external_id(MAIL)


def test_line_ends_and_folding_make_no_other_mail() -> None:
    """A Maildir has LF, IMAP has CRLF; servers fold anew and add an empty line at the end."""
    assert external_id(MAIL.replace(b"\r\n", b"\n")) == external_id(MAIL)
    assert external_id(MAIL.replace(b"Jalan\r\n rusak", b"Jalan rusak")) == external_id(MAIL)
    assert external_id(MAIL.replace(b"Message-ID:", b"message-id :")) == external_id(MAIL)
    assert external_id(MAIL + b"\r\n") == external_id(MAIL)


def test_a_field_in_the_body_or_twice_is_no_way_to_become_another_mail() -> None:
    """The lengths are part of what is hashed."""
    assert external_id(HEADER + b"From: x@example.go.id\r\n\r\n" + BODY) != external_id(MAIL)
    assert external_id(HEADER + b"\r\nSubject: x\r\n" + BODY) != external_id(HEADER + b"Subject: x\r\n\r\n" + BODY)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_a_part_of_a_large_mail_is_the_same_mail(ending: bytes) -> None:
    """Whatever ``max_size`` was when it was taken."""
    whole = (HEADER + b"\r\n" + b"Baris yang panjang.\r\n" * 150_000).replace(b"\r\n", ending)
    start = body_start(whole)
    part = truncated(whole[:start], whole[start : start + KEPT_OF_LARGE], len(whole))
    assert part.startswith(TRUNCATED + b" %d\r\n" % len(whole))
    assert external_id(part) == external_id(whole)
    assert order_key(part, "") == "budi@example.go.id"


def test_a_header_that_is_too_large_alone_is_ended() -> None:
    """What follows is no header any more."""
    part = truncated(b"Subject: " + b"x" * 100, b"isi", 5)
    assert part.endswith(b"x\r\n\r\nisi")


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (b"From: Budi <Budi@Example.go.id>\r\n\r\n", "budi@example.go.id"),
        (b"From: budi@example.go.id (Budi)\r\n\r\n", "budi@example.go.id"),
        (b'From: "palsu@example.go.id" <budi@example.go.id>\r\n\r\n', "budi@example.go.id"),
        (b"From:\r\n =?utf-8?q?B=C3=BCdi?=\r\n <budi@example.go.id>\r\n\r\n", "budi@example.go.id"),
        (b"FROM : budi@example.go.id\n\nisi", "budi@example.go.id"),
        (b"From: tak ada alamat\r\n\r\n", "identity"),
        (b"Subject: x\r\n\r\nFrom: budi@example.go.id\r\n", "identity"),
        (b"", "identity"),
    ],
)
def test_one_senders_mails_share_a_key(header: bytes, key: str) -> None:
    """The address; of a mail without one, its own identity."""
    assert order_key(header, "identity") == key


@given(st.binary(max_size=300))
def test_any_bytes_have_an_identity_and_a_key(raw: bytes) -> None:
    """Nothing that a mailbox holds stops the flow."""
    identity = external_id(raw)
    assert len(identity) == 64
    assert order_key(raw, identity)


@pytest.mark.parametrize("raw", [b"From: " + b"<" * 1_000_000, b"From: " + b"a@" * 500_000, b"\n " * 500_000])
def test_a_header_of_a_megabyte_is_no_trap(raw: bytes) -> None:
    """Work grows with the length and no faster."""
    assert order_key(raw, external_id(raw))
