"""The mail that answers a mail: what it takes from the citizen's, and that nothing hostile comes along."""

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest

from channels.mail.answer_mail import (
    LONGEST_REFERENCES,
    LONGEST_SUBJECT,
    MOST_REFERENCES,
    Asked,
    Letter,
    compose,
    mailable,
    message_id,
    read_asked,
)

AT = datetime(2026, 11, 1, 8, tzinfo=UTC)
ID = "019a3e5c-0000-7000-8000-000000000001"
TEXT = "Laporan Anda kami terima: #1234567897"
OURS = [
    *("Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress", "Precedence"),
    *("X-Loop", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
]
THREAD = ["In-Reply-To", "References"]


def letter(**changes: Any) -> Letter:
    fields = {"id": ID, "address": "lapor@example.go.id", "name": "LAPOR!", "to": "warga@example.org", "text": TEXT}
    return Letter(**(fields | changes))


def raw_answer(raw: bytes = b"", **changes: Any) -> bytes:
    return compose(letter(**changes), read_asked(raw), AT)


def answer(raw: bytes = b"", **changes: Any) -> EmailMessage:
    """The answer to a mail, read again by a strict reader; it has no header but those it should."""
    content = raw_answer(raw, **changes)
    message = email.message_from_bytes(content, policy=email.policy.default)
    names = [name for name in message.keys() if name not in THREAD]  # noqa: SIM118 - each as often as it stands there
    assert names == OURS
    assert all(len(message.get_all(name) or []) < 2 for name in THREAD)
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
    assert not message.defects
    return message


def text_of(message: EmailMessage) -> str:
    text: str = message.get_content()
    return text.replace("\r\n", "\n")


def test_an_answer_is_marked_as_automatic_and_belongs_to_the_conversation() -> None:
    message = answer(
        b"Subject: Jalan rusak\r\nMessage-ID: <satu@example.org>\r\nReferences: <nol@example.org>\r\n\r\nx"
    )
    assert message["From"] == "LAPOR! <lapor@example.go.id>"
    assert message["To"] == "warga@example.org"
    assert message["Subject"] == "Re: Jalan rusak"
    assert message["In-Reply-To"] == "<satu@example.org>"
    assert message["References"].split() == ["<nol@example.org>", "<satu@example.org>"]
    assert message["Message-ID"] == f"<lapor-{ID}@example.go.id>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["X-Loop"] == "lapor@example.go.id"
    assert message["Date"].datetime == AT
    assert message.get_content_type() == "text/plain"
    assert text_of(message) == TEXT + "\n"


def test_every_attempt_bears_the_same_message_id() -> None:
    first = compose(letter(), Asked(), AT)
    later = compose(letter(), Asked(subject="kini diketahui"), AT.replace(hour=9))
    ids = {email.message_from_bytes(one)["Message-ID"] for one in (first, later)}
    assert ids == {message_id(ID, "lapor@example.go.id")}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"Subject: Jalan rusak", "Re: Jalan rusak"),
        (b"Subject: RE: Re[2]: Balas: Jalan rusak", "Re: Jalan rusak"),
        (b"Subject: Rekening air", "Re: Rekening air"),
        (b"Subject: =?utf-8?B?SmFsYW4gcnVzYWsg8J+YoQ==?=", "Re: Jalan rusak 😡"),
        (b"Subject: =?iso-8859-1?Q?caf=E9?= rusak", "Re: café rusak"),
        (b"Subject: =?windows-1252?Q?=93Jalan=94?=", "Re: “Jalan”"),
        (b"Subject: =?utf-8?Q?Jalan?=\r\n =?utf-8?Q?_rusak?=", "Re: Jalan rusak"),
        (b"Subject: =?x-tidak-ada?Q?Jalan=20rusak?=", "Re: Jalan rusak"),
        (b"Subject: =?utf-8?B?a?=", None),
        ("Subject: Jalan rusak – “parah”".encode(), "Re: Jalan rusak – “parah”"),
        (b"Subject: caf\xe9", "Re: café"),
        (b"Subject: Jalan \xff\xfe rusak", None),
        (b"Subject: Jalan\r\n\trusak", "Re: Jalan rusak"),
        ("Subject: \u202egnaro\u200b\u2066 x".encode(), "Re: gnaro x"),
        (b"Subject:", "Re: LAPOR!"),
        (b"X: y", "Re: LAPOR!"),
        (b"Subject: a\x00b", "Re: a b"),
        (b"Subject: pertama\r\nSubject: kedua", "Re: pertama"),
    ],
)
def test_the_subject_is_read_whatever_it_is_written_in(line: bytes, expected: str | None) -> None:
    subject = answer(line + b"\r\n\r\nisi")["Subject"]
    assert subject.startswith("Re: ")
    assert expected is None or subject == expected


def test_a_long_subject_is_cut() -> None:
    for long in ("panjang sekali " * 500, "x" * 100_000, "報" * 5000):
        subject = answer(b"Subject: " + long.encode() + b"\r\n\r\n")["Subject"]
        assert len(subject) == len("Re: ") + LONGEST_SUBJECT
        assert subject.endswith("…")


INJECTED = "Bcc: korban@example.org"


@pytest.mark.parametrize(
    "line",
    [
        b"Subject: =?utf-8?Q?halo=0D=0ABcc:_korban@example.org=0D=0A=0D=0Aisi?=",
        b"Subject: =?utf-8?B?aGFsbw0KQmNjOiBrb3JiYW5AZXhhbXBsZS5vcmcNCg0K?=",
        b"Subject: halo\rBcc: korban@example.org",
        b"Subject: =?utf-8?Q?=3D=3Futf-8=3FQ=3Fhalo=3D0D=3D0ABcc:_korban=40example.org=3F=3D?=",
        "Subject: halo\u2028Bcc: korban@example.org\x85Bcc: x\x0bBcc: y".encode(),
        b"Message-ID: <a@b>\r Bcc: korban@example.org",
        b"Message-ID: <a\rBcc: korban@example.org\r@b>",
        b"Message-ID: <a@b>>\r\n <c@d\n\tBcc: korban@example.org>",
        b"References: <a@b>\r\n Bcc: korban@example.org\r\n <c\x00@d> <e f@g>",
        b"In-Reply-To: <a@b> (\rBcc: korban@example.org)",
        b"Message-ID: =?utf-8?Q?=3Ca@b=3E=0D=0ABcc:_korban@example.org?=",
    ],
)
def test_nothing_in_a_citizens_header_becomes_a_header_of_ours(line: bytes) -> None:
    raw = line if line.startswith(b"Message-ID") else b"Message-ID: <x@y>\r\n" + line
    content = raw_answer(raw + b"\r\n\r\nisi")
    head = content.partition(b"\r\n\r\n")[0].decode("ascii")
    assert not any(part.lstrip(" \t").lower().startswith("bcc") for part in head.replace("\r", "\n").split("\n"))
    message = answer(raw + b"\r\n\r\nisi")  # its headers are ours and no others
    assert text_of(message) == TEXT + "\n"
    assert INJECTED not in str(message["References"]) + str(message["In-Reply-To"])


def test_what_looks_encoded_is_not_decoded_a_second_time() -> None:
    twice = b"Subject: =?utf-8?Q?=3D=3Futf-8=3FQ=3Fjahat=3F=3D?=\r\n\r\n"
    assert answer(twice)["Subject"] == "Re: =?utf-8?Q?jahat?="


def test_our_own_name_cannot_break_the_header() -> None:
    for name in (
        'Lapor "Pak", <x@y>',
        "Layanan Aspirasi – Jawa Tengah",
        "a\r\nBcc: x@example.org",
        "=?utf-8?Q?x?=",
        "",
    ):
        message = answer(name=name)
        (author,) = message["From"].addresses
        assert author.addr_spec == "lapor@example.go.id"
        assert author.display_name == name.replace("\r\n", " ")


@pytest.mark.parametrize(
    "line", [b"X: y", b"Message-ID:", b"Message-ID: tanpa-kurung@example.org", b"Message-ID: <" + b"x" * 600 + b"@y>"]
)
def test_without_a_usable_message_id_the_answer_starts_a_conversation(line: bytes) -> None:
    message = answer(b"Subject: halo\r\nReferences: <a@b>\r\n" + line + b"\r\n\r\nisi")
    assert not any(name in message for name in THREAD)
    assert message["Subject"] == "Re: halo"


def test_a_megabyte_of_references_is_bounded_to_the_first_and_the_newest() -> None:
    ids = [f"<{number}@example.org>" for number in range(60_000)]
    raw = b"References: " + " ".join(ids).encode() + b"\r\nMessage-ID: <terakhir@example.org>\r\nSubject: halo\r\n\r\n"
    assert len(raw) > 1_000_000
    references = answer(raw)["References"].split()
    assert references == [ids[0], *ids[-(MOST_REFERENCES - 2) :], "<terakhir@example.org>"]


def test_long_references_stay_within_their_bound_and_keep_the_parent() -> None:
    ids = [f"<{number}{'x' * 400}@example.org>" for number in range(30)]
    raw = b"References:\r\n " + "\r\n ".join(ids).encode() + b"\r\nMessage-ID: <induk@example.org>\r\n\r\n"
    references = answer(raw)["References"].split()
    assert (references[0], references[-1]) == (ids[0], "<induk@example.org>")
    assert sum(map(len, references)) <= LONGEST_REFERENCES


def test_one_in_reply_to_stands_in_for_missing_references() -> None:
    one = answer(b"Message-ID: <c@d>\r\nIn-Reply-To: <a@b>\r\n\r\n")
    assert one["References"].split() == ["<a@b>", "<c@d>"]
    two = answer(b"Message-ID: <c@d>\r\nIn-Reply-To: <a@b> <e@f>\r\n\r\n")
    assert two["References"].split() == ["<c@d>"]


@pytest.mark.parametrize(
    "raw", [b"", b"\r\n", b"\x00" * 1000, b"bukan surel", b"Subject: x" * 100_000, b": :\n\n", bytes(range(256)) * 50]
)
def test_any_bytes_are_answered(raw: bytes) -> None:
    assert text_of(answer(raw)) == TEXT + "\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Terima kasih 🙏 – “LAPOR!”", "Terima kasih 🙏 – “LAPOR!”"),
        (".\n..\nDari sini", ".\n..\nDari sini"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("x" * 5000, "x" * 5000),
        ("a\x00b\x1bc\ud800d", "abcd"),
        ("akhir  \n", "akhir  "),
    ],
)
def test_the_text_arrives_as_it_was_written(text: str, shown: str) -> None:
    assert text_of(answer(text=text)) == shown + "\n"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("warga@example.org", "warga@example.org"),
        (" O'Budi+lapor=1@sub.example.org ", "O'Budi+lapor=1@sub.example.org"),
        ("warga@münchen.example", "warga@xn--mnchen-3ya.example"),
        ("büdi@example.org", "büdi@example.org"),
        ("", None),
        ("warga", None),
        ("@example.org", None),
        ("warga@", None),
        ("a@b@example.org", None),
        ("a b@example.org", None),
        ("a\r\nRCPT TO:<x@y>@example.org", None),
        ("a@example.org>\r\nDATA", None),
        ("<a@example.org>", None),
        ("a@[127.0.0.1]", None),
        ('"a b"@example.org', None),
        ("a,b@example.org", None),
        ("a@example..org", None),
        ("a@-example.org", None),
        ("a" * 65 + "@example.org", None),
        ("a@" + "b." * 126 + "org", None),
    ],
)
def test_only_plain_addresses_are_written_to(address: str, expected: str | None) -> None:
    assert mailable(address) == expected


@pytest.mark.parametrize(
    ("subject", "is_reply"),
    [
        ("Jalan rusak", False),
        ("Re: Jalan rusak", True),
        ("RE[2]: Jalan rusak", True),
        ("Bls: Jalan rusak", True),
        ("Auto: Jalan rusak", True),
        ("[Ticket#2026110110000012] Re: Jalan rusak", True),
        ("Ticket Received - Re: Jalan rusak", True),
        ("=?utf-8?q?Re=3A_Jalan?=", True),
        ("Fwd: Jalan rusak", False),
        ("Fwd: Re: Jalan rusak", True),
        ("Air mati: sudah seminggu", False),
        ("Gire: rusak", False),
        ("Reklame liar", False),
    ],
)
def test_a_reply_is_known_by_its_mark_wherever_that_stands(subject: str, *, is_reply: bool) -> None:
    assert read_asked(f"Subject: {subject}\r\n\r\n".encode()).is_reply is is_reply


def test_when_a_mail_was_written_and_arrived_is_read_from_its_headers() -> None:
    """Of the servers' stamps the topmost: the last server's, which is ours."""
    asked = read_asked(
        b"Received: from a (a [192.0.2.1]) by mx.example.go.id;\r\n\tSun, 1 Nov 2026 15:00:07 +0700 (WIB)\r\n"
        b"Received: from b by a; Sun, 1 Nov 2026 07:00:00 +0000\r\n"
        b"Date: Sun, 1 Nov 2026 15:00:05 +0700\r\n\r\n"
    )
    assert asked.arrived == datetime(2026, 11, 1, 8, 0, 7, tzinfo=UTC)
    assert asked.dated == datetime(2026, 11, 1, 8, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "date",
    [
        *("", "kemarin", "Sun, 1 Nov", "Sun, 99 Nov 2026 15:00:00 +0700", "1 Nov 2026 15:00:00 +9999999"),
        *("1 Nov 99999999999 15:00:00 +0000", ";;;", "1" * 5000),
    ],
)
def test_a_date_that_is_none_is_no_date(date: str) -> None:
    asked = read_asked(f"Received: x; {date}\r\nDate: {date}\r\n\r\n".encode())
    assert {asked.dated, asked.arrived} == {None}


def test_a_date_without_a_zone_counts_as_universal_time() -> None:
    """As RFC 5322, 3.3 has it for -0000."""
    asked = read_asked(b"Date: Sun, 1 Nov 2026 15:00:05 -0000\r\n\r\n")
    assert asked.dated == datetime(2026, 11, 1, 15, 0, 5, tzinfo=UTC)
