"""The mails that the demo's citizens invent, and how they come into a Maildir."""

import asyncio
import email
import email.policy
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random
from typing import get_args

from gateway.demo.mails import ADDRESS, InventedMail, MailKind, deliver, invent_mails, keep_writing, open_maildir

AT = datetime(2026, 11, 1, 8, tzinfo=UTC)


def invented(number: int, seed: int = 7) -> list[InventedMail]:
    return list(islice(invent_mails(Random(seed), lambda: AT), number))


def test_every_kind_is_invented_and_every_mail_can_be_read() -> None:
    mails = invented(300)
    assert set(Counter(mail.kind for mail in mails)) == set(get_args(MailKind))
    for mail in mails:
        message = email.message_from_bytes(mail.content, policy=email.policy.default)
        assert not [part.defects for part in message.walk() if part.defects]
        assert message["To"] == ADDRESS
        assert message["Date"].datetime == AT
        assert message.get_body(("plain",)) is not None
        assert mail.content.count(b"\n") == mail.content.count(b"\r\n")
        assert all(domain in (b"org", b"net", b"go.id") for domain in _domains(mail.content))


def _domains(content: bytes) -> set[bytes]:
    found = content.split(b"@")[1:]
    tails = [part.split(b">")[0].split(b"\r\n")[0].split(b" ")[0] for part in found]
    return {tail.rpartition(b"example.")[2] for tail in tails}


def test_the_same_seed_invents_the_same_bytes() -> None:
    assert invented(60) == invented(60)
    assert invented(60) != invented(60, seed=8)


def test_a_repeat_says_the_same_once_more_under_another_message_id() -> None:
    batch = [mail for mail in invented(400) if mail.kind in ("report", "html", "repeat")]
    mails = [email.message_from_bytes(mail.content, policy=email.policy.default) for mail in batch]
    kinds = [mail.kind for mail in batch]
    seen: dict[tuple[str, str], str] = {}
    repeats = 0
    for kind, mail in zip(kinds, mails, strict=True):
        key, identity = (str(mail["From"]), str(mail["Subject"])), str(mail["Message-ID"])
        if kind == "repeat" and key in seen:
            repeats += 1
            assert seen[key] != identity
        seen[key] = identity
    assert repeats > 5


def test_a_mail_appears_in_new_whole(tmp_path: Path) -> None:
    folder = open_maildir(tmp_path / "surat" / "lapor")
    mails = invented(20)
    keys = {deliver(folder, mail) for mail in mails}
    files = list((tmp_path / "surat" / "lapor" / "new").iterdir())
    assert {file.name for file in files} == keys
    assert {file.read_bytes() for file in files} == {mail.content.replace(b"\r\n", b"\n") for mail in mails}
    assert not list((tmp_path / "surat" / "lapor" / "tmp").iterdir())


async def test_citizens_write_until_they_are_stopped(tmp_path: Path) -> None:
    writing = asyncio.create_task(keep_writing(tmp_path / "lapor", Random(1), 500.0))
    async with asyncio.timeout(20):
        while not (tmp_path / "lapor" / "new").exists() or len(list((tmp_path / "lapor" / "new").iterdir())) < 5:
            await asyncio.sleep(0.01)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert writing.cancelled()
