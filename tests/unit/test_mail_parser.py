"""What the mail parser makes of a corpus of invented mails, and of what anybody could send."""

import json
import resource
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Quarantine
from gateway.model import Keyword
from gateway.parsing import Parsed, Profile
from parsers import mail, mail_body, mail_files, mail_headers, mail_html, mail_language, mail_message, mail_quotes
from tests.corpus import mail as corpus

OPTIONS = {"trusted_authserv": "mx.example.go.id", "address": "lapor@example.go.id"}
PROFILE = Profile(own_addresses=frozenset({"lapor@example.go.id"}), options=OPTIONS)
MAILS = corpus.stored()
EXPECTED = corpus.expected()


def check(raw: bytes) -> Parsed | None:
    """Parses, and holds what comes out to what every consumer relies on; None for a quarantined one."""
    try:
        parsed = mail.parse([raw], PROFILE)
    except Quarantine:
        return None
    assert isinstance(parsed, Parsed)
    json.dumps(dict(parsed.trust), allow_nan=False)
    f"{parsed.text}{parsed.title}{parsed.reporter}{parsed.references}{parsed.attachments}{parsed.trust}".encode()
    assert (parsed.reporter.kind, parsed.visibility, parsed.held) == ("email", "public", None)
    assert parsed.not_a_report is None or not parsed.answerable
    assert {each.sha256 for each in parsed.attachments} == set(parsed.files)
    for attachment in parsed.attachments:
        data = parsed.files[attachment.sha256 or ""]
        assert (len(data), sha256(data).hexdigest(), attachment.url) == (attachment.size, attachment.sha256, None)
    return parsed


def facts(parsed: Parsed) -> dict[str, Any]:
    """What a parsed mail says, by the names in the table of the corpus."""
    notice = parsed.delivery
    return {
        "text": parsed.text,
        "title": parsed.title,
        "address": parsed.reporter.address,
        "name": parsed.reporter.name,
        "language": parsed.reporter.language,
        "sent_at": None if parsed.sent_at is None else parsed.sent_at.isoformat(),
        "reason": parsed.not_a_report,
        "answerable": parsed.answerable,
        "keyword": None if parsed.keyword is None else parsed.keyword.normalised,
        "references": list(parsed.references),
        "reply_to": parsed.reply_to,
        "trust": dict(parsed.trust),
        "files": [each.name for each in parsed.attachments],
        "types": [each.media_type for each in parsed.attachments],
        "distinct_files": len(parsed.files),
        "delivery": None if notice is None else [notice.reference, notice.recipient, notice.outcome],
    }


def test_the_corpus_is_whole() -> None:
    """Each mail has an expectation, and there are as many as the issue asks for."""
    assert set(MAILS) == set(EXPECTED)
    assert len(MAILS) + len(corpus.LARGE) >= 60


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_mail_of_the_corpus(name: str) -> None:
    """It ends as the table says."""
    wanted = dict(EXPECTED[name])
    if "quarantine" in wanted:
        with pytest.raises(Quarantine, match=wanted["quarantine"]):
            mail.parse([MAILS[name]], PROFILE)
        return
    parsed = check(MAILS[name])
    assert parsed is not None
    told = facts(parsed)
    for piece in wanted.pop("text_contains", []):
        assert piece in parsed.text
    assert wanted.pop("title_contains", "") in (parsed.title or "")
    assert {key: told[key] for key in wanted} == wanted


@pytest.mark.parametrize("name", sorted(corpus.LARGE))
def test_a_large_mail(name: str) -> None:
    """Memory is bounded, asserted generously; ``tests.fuzz.large`` measures it, and the time."""
    parsed = check(corpus.LARGE[name]())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 3_000_000
    assert parsed is not None
    assert parsed.not_a_report is None
    assert (parsed.title or "").startswith("Jalan") or name == "encoded words of 1 MB"


def large(name: str) -> Parsed:
    parsed = check(corpus.LARGE[name]())
    assert parsed is not None
    return parsed


def test_many_attachments_are_counted() -> None:
    """The first are kept; the number of the others is told."""
    parsed = large("300 attachments")
    assert (len(parsed.attachments), parsed.trust["mail_attachments_left_out"]) == (mail_files.MOST_FILES, 200)
    assert parsed.text.endswith("[Surat ini punya 300 lampiran; 200 di antaranya tidak diambil.]")
    assert large("5,000 attachments").trust["mail_partly_read"] is True


def test_a_file_of_12_mb_is_whole() -> None:
    """Nothing of it is lost."""
    parsed = large("12 MB in one file")
    assert parsed.attachments[0].size > 9_000_000
    assert (parsed.text, parsed.attachments[0].media_type) == ("Jalan di desa rusak.", "image/jpeg")


def test_a_long_text_goes_on_in_a_file() -> None:
    """The report has its beginning, the file has all of it."""
    parsed = large("12 MB of text")
    assert len(parsed.text) < mail_body.LONGEST_TEXT + 200
    assert [each.media_type for each in parsed.attachments] == ["text/plain"]
    assert parsed.attachments[0].size > 11_000_000
    assert parsed.text.endswith("[Isi surat selengkapnya ada di lampiran.]")
    shorter = check(b"From: a@example.org\n\n" + b"Jalan rusak.\n" * 10_000)
    assert shorter is not None
    assert [(each.name, each.size) for each in shorter.attachments] == [("isi-surat.txt", 129_999)]


def test_what_is_nested_too_deep_is_told() -> None:
    """It is not opened, but kept."""
    assert large("60 levels").trust["mail_partly_read"] is True
    assert large("60 levels").text.endswith("[Susunan surat ini terlalu besar; sebagian isinya tidak dibaca.]")
    assert large("60 levels").attachments
    assert "Pesan yang diteruskan" in large("60 forwarded mails").text


def test_a_mail_never_has_parts() -> None:
    """Unlike an SMS."""
    for raws in ((), (None,), (MAILS["flowed"], MAILS["flowed"])):
        with pytest.raises(Quarantine, match="never several parts"):
            mail.parse(raws, PROFILE)


def test_without_a_trusted_server_nobody_is_believed() -> None:
    """The default."""
    assert mail.parse([MAILS["trust-trusted-server"]], Profile()).trust == {}


def test_without_settings_a_mail_is_still_read() -> None:
    """A channel that is gone from the settings has an empty profile."""
    parsed = mail.parse([MAILS["keyword-subject"]], Profile())
    assert (parsed.keyword, parsed.not_a_report) == (Keyword("BJN", "BJN"), None)


@pytest.mark.parametrize(
    ("head", "declared", "kind"),
    [
        (b"PK\x03\x04xx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", None),
        (b"PK\x03\x04xx", "image/jpeg", "application/zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword", None),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "image/jpeg", "application/x-ole-storage"),
        (b"\0\0\0\x18ftypheic", "image/jpeg", "image/heic"),
        (b"\0\0\0\x18ftypisom", "application/octet-stream", "video/mp4"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "x", "image/webp"),
        (b"MZ adalah singkatan", "text/plain", None),
        (b"", "text/plain", None),
        (b"x", "TEXT/../x", "application/octet-stream"),
    ],
)
def test_a_file_is_what_its_bytes_say(head: bytes, declared: str, kind: str | None) -> None:
    """What the sender says counts where the bytes say nothing, or where it says more."""
    assert mail_files.media_type(head, declared) == (kind or declared)


@pytest.mark.parametrize(
    ("written", "address", "name"),
    [
        ("budi@example.org", "budi@example.org", None),
        ("<Budi@EXAMPLE.org.>", "Budi@example.org", None),
        ('"Contoh, Budi" <budi@example.org>', "budi@example.org", "Contoh, Budi"),
        ("a@example.org <b@example.org>", "b@example.org", None),
        ("=?utf-8?q?Budi_=3Cbudi=40example.org=3E?=", "budi@example.org", "Budi"),
        ("Budi", "", "Budi"),
        ("Budi <bukan alamat>", "", "Budi"),
        ("<budi@example.org\x00>", "budi@example.org", None),
        ("((((budi@example.org))))", "", "((((budi@example.org))))"),
        ("undisclosed-recipients:;", "", "undisclosed-recipients:;"),
        ("", "", None),
    ],
)
def test_who_wrote(written: str, address: str, name: str | None) -> None:
    """The address is what stands in angle brackets."""
    assert mail_headers.mailbox(written) == (address, name)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Jalan ini sudah rusak", "id"),
        ("The road is broken", "en"),
        ("the road di desa", None),
        ("rusak", None),
        ("", None),
        ("JALAN\u200bRUSAK", "id"),
        ("Jalan🚧rusak", "id"),
        ("lag\u0130 sampa\u0130", "id"),  # a capital I with a dot is an i and a dot in small letters
        ("\u212aAMI \u212aITA", "id"),  # the sign for kelvin is a k
        ("the \ud800 is", "en"),
        ("don't isn't", None),
        ("jalanrusak airlistrik", None),
        ("the is and of with this that " + "jalan " * 3, "en"),
    ],
)
def test_a_language_is_told_by_its_words(text: str, language: str | None) -> None:
    """In doubt neither."""
    assert mail_language.of(text) == language


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("Thu, 13 Nov 2025 22:49:04 +0700", "2025-11-13T15:49:04+00:00"),
        ("Thu, 13 Nov 2025 22:49:04 +0700 (WIB)", "2025-11-13T15:49:04+00:00"),
        ("3 Nov 2025 00:30:00 -0330", "2025-11-03T04:00:00+00:00"),
        ("3 Nov 2025 00:30:00 -0000", "2025-11-03T00:30:00+00:00"),
        ("Thu, 13 Nov 2025 22:49:04 WIB", "2025-11-13T15:49:04+00:00"),
        ("Thu, 13 Nov 25 22:49 +0700", "2025-11-13T15:49:00+00:00"),
        ("Thu, 13 Nov 2025 22:49:60 +0700", None),
        ("Thu, 31 Feb 2025 22:49:04 +0700", None),
        ("Thu, 13 Nov 2025 22:49:04 +2400", None),
        ("Thu, 13 Nov 2025 22:49:04", None),
        ("Thu, 13 Nop 2025 22:49:04 +0700", None),
        ("besok", None),
    ],
)
def test_when_it_was_written(written: str, time: str | None) -> None:
    """However a program writes a time; None for one that cannot be."""
    found = mail_headers.date(written)
    assert (None if found is None else found.isoformat()) == time


@pytest.mark.parametrize("name", MAILS)
def test_a_mail_of_one_part_is_what_the_library_makes_of_it(name: str) -> None:
    """The short way that plain mails take leads to the same."""
    raw = MAILS[name].lstrip()
    short = mail_message._of_one_part(raw, mail_message.Bounds())  # noqa: SLF001 - the two ways side by side
    long = mail_message._parsed(raw, mail_message.Bounds())  # noqa: SLF001
    if short is None:
        return
    assert long is not None
    assert (short._fields, short.octets(), len(short)) == (long._fields, long.octets(), len(long))
    assert short.children == long.children == []


def test_quotes_of_html_become_one_line() -> None:
    """Whatever they hold."""
    assert (
        mail_html.text_of("<p>a</p><blockquote>b<blockquote>c</blockquote></blockquote>", quotes=False)
        == "a\n\n    > …"
    )
    assert mail_quotes.own_words("a\n\n    > …", replying=True) == "a"


def test_reasons_hold_nothing_of_anybody() -> None:
    """They may be logged."""
    for name, raw in MAILS.items():
        try:
            reason = mail.parse([raw], PROFILE).not_a_report or ""
        except Quarantine as error:
            reason = str(error)
        assert "@" not in reason, name
        assert "budi" not in reason.lower(), name


@given(st.binary(max_size=2_000))
def test_any_bytes(raw: bytes) -> None:
    """A Parsed or a Quarantine, and nothing else."""
    check(raw)
    check(b"From: a@example.org\n" + raw)
    check(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" + raw)


@given(st.sampled_from(sorted(MAILS)), st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 9))))
def test_spoilt_mails(name: str, changes: list[tuple[float, bytes, int]]) -> None:
    """Pieces taken out of a mail of the corpus, and others put in."""
    raw = MAILS[name]
    for where, piece, length in changes:
        at = int(where * len(raw))
        raw = raw[:at] + piece + raw[at + length :]
    check(raw)


@pytest.mark.parametrize(
    ("subject", "body", "answerable"),
    [
        ("Re: Laporan Anda kami terima", "", False),
        ("Bls: Laporan Anda kami terima", "> Jalan di depan sekolah berlubang\r\n", False),
        ("Re: Laporan Anda kami terima", "Belum ada petugas yang datang.\r\n", True),
        ("Jalan rusak di Desa Sukamaju", "", True),
    ],
)
def test_a_reply_without_words_of_its_own_is_not_answered(subject: str, body: str, *, answerable: bool) -> None:
    """Robots answer like that, and bear no other mark; whoever writes a first mail in its subject is no robot."""
    raw = f"From: Warga <warga@example.org>\r\nSubject: {subject}\r\nMessage-ID: <a@example.org>\r\n\r\n{body}"
    parsed = mail.parse([raw.encode()], PROFILE)
    assert (parsed.not_a_report, parsed.answerable) == (None, answerable)
