"""The mail channel on a Maildir, as an MTA and other programs use it."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from channels.mail.identity import KEPT_OF_LARGE, external_id
from channels.mail.maildir import Maildir
from channels.mail.settings import MailSettings
from gateway.errors import NeedsOperator
from tests.integration.mail_bench import Bench, mail, texts

_numbers = count(1_700_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the Maildir lies, or is to be made."""
    return tmp_path / "lapor"


@asynccontextmanager
async def bench(folder: Path, *, start: bool = True, **settings: Any) -> AsyncIterator[Bench]:
    """A channel on a Maildir."""
    usual = {"type": "mail", "mailbox": f"maildir:{folder}", "address": "lapor@example.go.id", "poll_seconds": 0.05}
    made = Bench(MailSettings.model_validate(usual | settings))
    try:
        if start:
            await made.channel.open()
        yield made
    finally:
        await made.stop()


def deliver(folder: Path, text: str | bytes, place: str = "new", flags: str = "") -> Path:
    """A mail arrives, as an MTA writes it; with flags as another program leaves it."""
    raw = text if isinstance(text, bytes) else mail(text)
    name = f"{next(_numbers)}.M1P1.example"
    for each in ("tmp", "new", "cur"):
        (folder / each).mkdir(parents=True, exist_ok=True)
    (folder / "tmp" / name).write_bytes(raw)
    return (folder / "tmp" / name).rename(folder / place / f"{name}{flags}")


def names(folder: Path) -> list[str]:
    """What lies in it, without the times."""
    found = [path for place in ("new", "cur") for path in (folder / place).iterdir()]
    return sorted(f"{path.parent.name}{path.name.partition('.example')[2]}" for path in found)


async def test_a_maildir_is_made_and_a_mail_is_let_go_of_after_its_commit(folder: Path) -> None:
    """Renamed into ``cur`` and marked as seen."""
    async with bench(folder) as b:
        assert (await b.channel.health()).state == "up"
        path = deliver(folder, "satu")
        delivery = await b.next()
        assert delivery.messages[0].raw == mail("satu")
        assert path.exists()
        await b.take(delivery)
        assert names(folder) == ["cur:2,S"]
        assert (await b.channel.receive()).messages == ()


async def test_what_another_program_has_moved_is_taken_unless_it_is_seen(folder: Path) -> None:
    """A mail program moves mails on when it looks; the flags that it gave stay."""
    deliver(folder, "satu", "cur", ":2,F")
    deliver(folder, "dua", "cur")
    deliver(folder, "dibaca", "cur", ":2,RS")
    async with bench(folder) as b:
        assert await b.take_next() == ["satu", "dua"]
        assert names(folder) == ["cur:2,FS", "cur:2,RS", "cur:2,S"]


async def test_batches_are_bounded_and_in_the_order_of_arrival(folder: Path) -> None:
    """By count and by bytes; a larger mail comes alone."""
    for raw in (mail("a"), mail("b"), mail("c"), mail("besar", size=30_000), mail("d")):
        deliver(folder, raw)
    async with bench(folder, read_limit=2, read_bytes=20_000) as b:
        assert [await b.take_next() for _ in range(4)] == [["a", "b"], ["c"], ["besar"], ["d"]]


async def test_a_crash_before_the_release_is_made_up_for(folder: Path) -> None:
    """The mail comes again with the same identity, and is let go of."""
    deliver(folder, "satu")
    async with bench(folder) as b:
        b.commit(await b.next())
        await b.reopen()
        assert await b.take(await b.next()) == frozenset()
        assert names(folder) == ["cur:2,S"]


async def test_mails_are_moved_to_a_folder(folder: Path) -> None:
    """A Maildir++ folder, which is made; also what another program has marked as seen."""
    deliver(folder, "satu")
    deliver(folder, "dua", "cur", ":2,S")
    async with bench(folder, release="move:Arsip/Diambil") as b:
        assert await b.take_next() == ["satu", "dua"]
        assert names(folder) == []
        assert names(folder / ".Arsip.Diambil") == ["cur:2,S", "cur:2,S"]


async def test_a_mail_that_vanishes_is_gone(folder: Path) -> None:
    """Before it was read, and before it was let go of."""
    first, second = deliver(folder, "satu"), deliver(folder, "dua")
    async with bench(folder, read_limit=1) as b:
        delivery = await b.next()
        first.unlink()
        second.unlink()
        await b.take(delivery)
        deliver(folder, "tiga")
        assert await b.take_next() == ["tiga"]
        details = (await b.channel.health()).details
        assert (details["skipped_mails"], details["unreleased_mails"]) == (0, 0)


def clutter(place: Path) -> None:
    """What a Maildir should not hold."""
    (place / "1.folder").mkdir()
    (place / "1.link").symlink_to("/etc/hostname")
    os.mkfifo(place / "1.pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(place / "1.socket"))


def tidy(place: Path) -> None:
    """Takes it away again."""
    (place / "1.folder").rmdir()
    for name in ("1.link", "1.pipe", "1.socket"):
        (place / name).unlink()


async def test_what_is_no_readable_mail_holds_nothing_up(folder: Path) -> None:
    """A folder, a link, a pipe and a socket are passed over and shown; a mail in their place is taken later."""
    deliver(folder, "satu")
    clutter(folder / "new")
    async with bench(folder) as b:
        b.run()
        await b.arrived("satu")
        await b.health("degraded", "4 mails")
        tidy(folder / "new")
        (folder / "new" / "1.folder").write_bytes(mail("dua"))
        await b.arrived("satu", "dua")
        await b.health("up")


async def test_a_mail_that_is_too_large_is_taken_in_part(folder: Path) -> None:
    """It says so, and has the identity of the whole mail."""
    large = mail("besar", size=3_000_000)
    deliver(folder, large)
    async with bench(folder, max_size=1_000_000) as b:
        (message,) = (await b.next()).messages
        line, _, rest = message.raw.partition(b"\r\n")
        assert line == b"X-LAPOR-Gateway-Truncated: %d" % len(large)
        assert len(rest) == large.index(b"\r\n\r\n") + 4 + KEPT_OF_LARGE
        assert message.external_id == external_id(large)


async def test_an_empty_file_is_a_mail(folder: Path) -> None:
    """It is evidence of something, and it must not come again for ever."""
    deliver(folder, b"")
    async with bench(folder) as b:
        delivery = await b.next()
        assert delivery.messages[0].raw
        await b.take(delivery)
        assert names(folder) == ["cur:2,S"]


async def test_nothing_is_ever_written_over(folder: Path) -> None:
    """Where the name is taken by another mail, both stay."""
    path = deliver(folder, "satu")
    (folder / "cur" / f"{path.name}:2,S").write_bytes(mail("lain"))
    async with bench(folder) as b:
        await b.take_next()
        found = [texts([*b.custody.values()]), sorted(path.read_bytes() for path in (folder / "cur").iterdir())]
        assert found == [["satu"], sorted([mail("lain"), mail("satu")])]


async def test_a_kill_in_the_middle_of_a_rename_leaves_one_mail(folder: Path) -> None:
    """The file has two names then; it is taken once more, is known, and has one name in the end."""
    path = deliver(folder, "satu")
    async with bench(folder) as b:
        b.commit(await b.next())
        (folder / "cur" / f"{path.name}:2,S").hardlink_to(path)
        await b.reopen()
        assert await b.take(await b.next()) == frozenset()
        assert names(folder) == ["cur:2,S"]


async def test_a_rename_that_fails_hinders_nothing_and_is_made_up_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that is full or read-only."""
    deliver(folder, "satu")
    release = Maildir.release

    def fails(_self: Maildir, _name: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Maildir, "release", fails)
    async with bench(folder) as b:
        b.run()
        await b.arrived("satu")
        await b.health("degraded", "renamed")
        deliver(folder, "dua")
        await b.arrived("satu", "dua")
        monkeypatch.setattr(Maildir, "release", release)
        await b.health("up")
        await b.until(lambda: names(folder) == ["cur:2,S", "cur:2,S"], "the mails to be let go of")
        assert len(b.seen) == 2


async def test_a_maildir_that_goes_away_and_comes_back(folder: Path) -> None:
    """As a network's disk does."""
    async with bench(folder) as b:
        b.run()
        away = folder.rename(folder.with_name("away"))  # noqa: ASYNC240 - at once
        await b.health("down", "No such file")
        away.rename(folder)
        deliver(folder, "satu")
        await b.arrived("satu")
        await b.health("up")


async def test_a_place_where_no_maildir_can_be_is_an_operators_matter(folder: Path) -> None:
    """Said when the channel is opened."""
    folder.write_text("a file")  # noqa: ASYNC240 - at once
    async with bench(folder, start=False) as b:
        with pytest.raises(NeedsOperator, match=r"channels\.email\.mailbox"):
            await b.channel.open()


async def test_kills_at_random_lose_and_double_nothing(folder: Path) -> None:
    """The gateway dies at any moment while mails arrive."""
    expected: list[str] = []
    async with bench(folder, read_limit=5) as b:
        for turn in range(10):
            b.run()
            for number in range(15):
                deliver(folder, f"surat {turn}-{number}")
                expected.append(f"surat {turn}-{number}")
                await asyncio.sleep(0)
            await asyncio.sleep(0.01 * (turn % 4))
            await b.reopen()
        b.run()
        await b.arrived(*expected)
        await b.until(lambda: names(folder) == ["cur:2,S"] * len(expected), "all to be let go of")
