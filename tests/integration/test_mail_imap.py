"""The mail channel on a real Dovecot: none lost, none doubled, nothing let go of before its commit."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from channels.mail import imap
from channels.mail.box import MOST_SKIPPED
from channels.mail.identity import KEPT_OF_LARGE, external_id
from gateway.errors import ChannelUnavailable, NeedsOperator
from tests.integration.mail_bench import (
    ENDLESS,
    Bench,
    Fault,
    FaultyServer,
    Mailbox,
    bench,
    faulty,
    mail,
    texts,
    uids_in,
)
from tests.services.dovecot import Dovecot


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    """One server for all tests here; each has a user of its own."""
    with Dovecot() as server:
        yield server


@pytest.fixture
def box(dovecot: Dovecot) -> Mailbox:
    """An empty mailbox."""
    return Mailbox(dovecot)


# Taking and letting go.


async def test_a_mail_is_flagged_once_it_is_committed_and_not_before(box: Mailbox) -> None:
    """The bytes are the server's own."""
    await box.deliver("satu", "dua")
    async with bench(box) as b:
        delivery = await b.next()
        assert [message.raw for message in delivery.messages] == [mail("satu"), mail("dua")]
        assert await box.released() == set()
        await b.take(delivery)
        assert await box.released() == {"satu", "dua"}
        assert (await b.channel.health()).details["last_mail_at"] is not None
        assert (await b.channel.receive()).messages == ()


async def test_a_batch_is_bounded_by_count_and_by_bytes(box: Mailbox) -> None:
    """A mail that is larger than the bound comes alone."""
    await box.deliver(*(mail(f"kecil {n}") for n in range(4)), mail("besar", size=30_000), mail("akhir"))
    async with bench(box, read_limit=3, read_bytes=20_000) as b:
        assert [await b.take_next() for _ in range(4)] == [
            ["kecil 0", "kecil 1", "kecil 2"],
            ["kecil 3"],
            ["besar"],
            ["akhir"],
        ]


async def test_at_first_what_nobody_has_read_is_taken_and_later_everything(box: Mailbox) -> None:
    """Old mails that were dealt with stay where they are; a new one counts although somebody was quicker to read it."""
    await box.deliver("lama", flags="\\Seen")
    await box.deliver("baru")
    async with bench(box) as b:
        assert await b.take_next() == ["baru"]
        await b.stop()
        await box.deliver("sudah dibaca", flags="\\Seen")
        await b.reopen()
        assert await b.take_next() == ["sudah dibaca"]
        assert (await b.channel.receive()).messages == ()


async def test_a_first_look_into_an_empty_mailbox_is_remembered(box: Mailbox) -> None:
    """What comes while the gateway is away is new, whoever has read it."""
    async with bench(box) as b:
        await b.channel.receive()
        await b.stop()
        await box.deliver("satu", flags="\\Seen")
        await b.reopen()
        assert await b.take_next() == ["satu"]


async def test_all_of_a_backlog_is_taken_where_the_settings_say_so(box: Mailbox) -> None:
    """Read or not."""
    await box.deliver("lama", flags="\\Seen")
    await box.deliver("baru")
    async with bench(box, backlog="all") as b:
        assert await b.take_next() == ["lama", "baru"]


async def test_a_crash_between_commit_and_release_is_made_up_for(box: Mailbox) -> None:
    """The mails come again with the same identity and are let go of then, beside what is new."""
    await box.deliver("satu", "dua")
    async with bench(box, read_limit=1) as b:
        assert await b.take_next() == ["satu"]
        b.commit(await b.next())
        await box.deliver("tiga")
        await b.reopen()
        first, second = await b.next(), None
        assert await b.take(first) == frozenset()
        second = await b.next()
        assert (texts(first.messages), texts(second.messages)) == (["dua"], ["tiga"])
        await b.take(second)
        assert await box.released() == {"satu", "dua", "tiga"}


async def test_new_uids_double_nothing(box: Mailbox) -> None:
    """A restored mailbox is read from its beginning; only what was not known is new."""
    await box.deliver("satu", "dua")
    async with bench(box) as b:
        await b.take_next()
        await b.stop()
        await asyncio.to_thread(box.dovecot.renumber, box.user)
        await box.deliver("tiga")
        await b.reopen()
        b.run()
        await b.arrived("satu", "dua", "tiga")
        await b.until(lambda: len(b.seen) == 5, "the known mails to come again")
        assert (await b.channel.health()).details["renumbered_at"] is not None


async def test_of_an_old_mailbox_with_new_uids_only_our_time_is_read_again(box: Mailbox) -> None:
    """Mails that were read before the gateway came do not become reports by a move to another server."""
    await asyncio.to_thread(_append_dated, box, mail("zaman dulu"), '"01-Feb-2020 08:00:00 +0000"')
    await box.deliver("baru")
    async with bench(box) as b:
        assert await b.take_next() == ["baru"]
        await b.stop()
        await asyncio.to_thread(box.dovecot.renumber, box.user)
        await b.reopen()
        assert await b.take(await b.next()) == frozenset()
        assert texts(b.custody.values()) == ["baru"]
        assert (await b.channel.receive()).messages == ()


def _append_dated(box: Mailbox, raw: bytes, date: str, flags: str = "\\Seen") -> None:
    with box.dovecot.client(box.user) as client:
        client.append("INBOX", flags, date, raw)


async def _read_all(box: Mailbox) -> None:
    """Somebody reads everything in a mail program."""

    def read() -> None:
        with box.dovecot.client(box.user) as client:
            client.select("INBOX")
            client.uid("store", "1:*", "+FLAGS.SILENT", "(\\Seen)")

    await asyncio.to_thread(read)


@pytest.mark.parametrize("release", ["seen", "flag:$Lapor"])
@pytest.mark.parametrize("renumbered", [False, True])
async def test_a_mail_that_waited_is_taken_although_somebody_reads_it_meanwhile(
    box: Mailbox,
    release: str,
    renumbered: bool,  # noqa: FBT001 - a table
) -> None:
    """Not committed yet, and the gateway dies; old or new, renumbered or not: it is taken, and nothing else twice."""
    await asyncio.to_thread(_append_dated, box, mail("sudah lama dibaca"), '"01-Feb-2019 08:00:00 +0000"')
    await asyncio.to_thread(_append_dated, box, mail("lama"), '"01-Feb-2020 08:00:00 +0000"', "")
    await box.deliver("satu")
    async with bench(box, release=release, read_limit=1) as b:
        assert texts((await b.next()).messages) == ["lama"]
        await b.stop()
        await box.deliver("dua")
        await _read_all(box)
        if renumbered:
            await asyncio.to_thread(box.dovecot.renumber, box.user)
        await b.reopen()
        b.run()
        await b.arrived("lama", "satu", "dua")


@pytest.mark.parametrize("more", [1, 4])
async def test_a_backup_that_is_put_back_loses_and_doubles_nothing(box: Mailbox, more: int) -> None:
    """UIDVALIDITY is the old one: new mails get UIDs of mails that were taken, fewer or more than those were."""
    dovecot = box.dovecot
    await box.deliver("satu")
    async with bench(box) as b:
        assert await b.take_next() == ["satu"]
        backup = await asyncio.to_thread(dovecot.snapshot, box.user)
        await box.deliver("dua", "tiga")
        assert await b.take_next() == ["dua", "tiga"]
        await b.stop()
        await asyncio.to_thread(dovecot.kill)
        await asyncio.to_thread(dovecot.restore, box.user, backup)
        await asyncio.to_thread(dovecot.start)
        await _another_second(b)
        new = [f"baru {n}" for n in range(more)]
        await box.deliver(*new)
        await _read_all(box)
        await b.reopen()
        b.run()
        await b.arrived("satu", "dua", "tiga", *new)


async def _another_second(b: Bench) -> None:
    """INTERNALDATE counts whole seconds, and putting a backup back takes longer than this test."""
    begun = int(time.time())
    await b.until(lambda: int(time.time()) > begun, "the next second")


async def test_after_a_backup_nothing_is_let_go_of_by_an_old_uid(box: Mailbox) -> None:
    """What was still to be flagged has another UID now, and another mail may have its."""
    dovecot = box.dovecot
    async with faulty(dovecot) as server, bench(box, port=server.port, poll_seconds=ENDLESS) as b:
        await b.channel.receive()
        backup = await asyncio.to_thread(dovecot.snapshot, box.user)
        await box.deliver("satu")
        delivery = await b.next()
        b.commit(delivery)
        await asyncio.to_thread(dovecot.kill)
        await asyncio.to_thread(dovecot.restore, box.user, backup)
        await asyncio.to_thread(dovecot.start)
        await b.channel.release(delivery, {message.external_id for message in delivery.messages})
        await _another_second(b)
        await box.deliver("dua")
        second = await b.next()
        assert texts(second.messages) == ["dua"]
        assert await box.released() == set()
        await b.take(second)
        assert await box.released() == {"dua"}


async def test_idle_announces_a_mail_at_once(box: Mailbox) -> None:
    """Nobody waits for the next poll."""
    async with bench(box, poll_seconds=ENDLESS) as b:
        b.run()
        await b.until(lambda: b.is_doing("idle"), "the channel to idle")
        await box.deliver("satu")
        await b.arrived("satu")
        await b.until(lambda: b.is_doing("idle"), "the channel to idle again")
        await box.deliver("dua")
        await b.arrived("satu", "dua")


async def test_without_idle_the_mailbox_is_polled(box: Mailbox) -> None:
    """A server whose IDLE does not work is no obstacle."""
    async with faulty(box.dovecot) as server, bench(box, port=server.port, idle=False) as b:
        b.run()
        await b.until(lambda: b.is_doing("polling"), "the channel to poll")
        await box.deliver("satu")
        await b.arrived("satu")
        assert "IDLE" not in server.commands


@pytest.mark.parametrize(("fault", "doing"), [("refuse", "polling"), ("chatter", "idle")])
async def test_idle_may_be_refused_or_chattered_about(box: Mailbox, fault: Fault, doing: str) -> None:
    """Mails arrive all the same, by the same connection."""
    async with faulty(box.dovecot) as server, bench(box, port=server.port) as b:
        server.rule = lambda command: fault if command == "IDLE" else None
        b.run()
        await b.until(lambda: b.is_doing(doing), f"the channel to be {doing}")
        await box.deliver("satu")
        await b.arrived("satu")
        await b.until(lambda: b.is_doing(doing), f"the channel to be {doing} again")
        assert sum(command.startswith("LOGIN") for command in server.commands) == 1


async def test_a_mailbox_larger_than_one_answer_is_searched_piece_by_piece(
    box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Imaplib takes lines of a megabyte at most."""
    monkeypatch.setattr(imap, "SEARCH_WINDOW", 10)
    await box.deliver(*(f"surat {n}" for n in range(35)))
    async with bench(box, read_limit=20) as b:
        assert [*await b.take_next(), *await b.take_next()] == [f"surat {n}" for n in range(35)]
        await box.deliver("akhir")
        assert await b.take_next() == ["akhir"]


async def test_a_mail_that_somebody_deletes_meanwhile_is_gone(box: Mailbox) -> None:
    """It is neither waited for nor counted as unreadable."""
    await box.deliver("satu", "dua", "tiga")
    async with bench(box, read_limit=1) as b:
        assert await b.take_next() == ["satu"]
        await asyncio.to_thread(_expunge, box, "2")
        assert await b.take_next() == ["tiga"]
        assert (await b.channel.health()).details["skipped_mails"] == 0


def _expunge(box: Mailbox, uid: str) -> None:
    with box.dovecot.client(box.user) as client:
        client.select("INBOX")
        client.uid("store", uid, "+FLAGS", "(\\Deleted)")
        client.expunge()


async def test_a_mail_that_is_too_large_is_taken_in_part_and_says_so(box: Mailbox) -> None:
    """Header and first megabyte, one line before them, and the identity that the whole mail has."""
    large = mail("besar", size=3_000_000)
    await box.deliver(large, "kecil")
    async with bench(box, max_size=1_000_000) as b:
        delivery = await b.next()
        await b.take(delivery)
        raw = delivery.messages[0].raw
        line, _, rest = raw.partition(b"\r\n")
        assert line == b"X-LAPOR-Gateway-Truncated: %d" % len(large)
        assert large.startswith(rest)
        assert len(rest) == large.index(b"\r\n\r\n") + 4 + KEPT_OF_LARGE
        assert delivery.messages[0].external_id == external_id(large)
        b.run()
        await b.arrived("besar", "kecil")


async def test_one_mail_that_lies_there_twice_is_one(box: Mailbox) -> None:
    """Delivered twice with other trace headers: one message, both let go of."""
    await box.deliver(mail("satu", header="Received: from a"), mail("satu", header="Received: from b\r\n\tby c"))
    async with bench(box) as b:
        delivery = await b.next()
        assert len(delivery.messages) == 1
        await b.take(delivery)
        found = await asyncio.to_thread(box.dovecot.mails, box.user)
        assert all("\\Seen" in flags for flags, _raw in found.values())


# Other ways to let go.


@asynccontextmanager
async def box_on(server: Dovecot) -> AsyncIterator[Mailbox]:
    """An empty mailbox on a server that is not like the others."""
    try:
        await asyncio.to_thread(server.start)
        yield Mailbox(server)
    finally:
        await asyncio.to_thread(server.close)


def _expunges(server: FaultyServer) -> list[str]:
    """The commands that remove mails."""
    return [command for command in server.commands if "EXPUNGE" in command or command.startswith("CLOSE")]


@pytest.mark.parametrize("capabilities", ["", "IMAP4rev1 LITERAL+ IDLE UIDPLUS"])
async def test_mails_are_moved_and_nobody_elses_are_expunged(capabilities: str) -> None:
    """With MOVE or, where that is missing, by copying; what a person has marked as deleted stays."""
    settings = {"imap_capability": capabilities} if capabilities else {}
    async with box_on(Dovecot(settings=settings)) as box, faulty(box.dovecot) as server:
        await box.deliver("dihapus orang", flags="\\Deleted \\Seen")
        await box.deliver("satu", "dua")
        async with bench(box, port=server.port, release="move:Diambil") as b:
            delivery = await b.next()
            assert await box.flags("Diambil") == {}
            await b.take(delivery)
            assert set(await box.flags()) == {"dihapus orang"}
            assert set(await box.flags("Diambil")) == {"satu", "dua"}
        assert _expunges(server) == (["UID EXPUNGE 2:3"] if capabilities else [])


async def test_a_server_that_cannot_move_single_mails_is_refused_at_once() -> None:
    """A bare EXPUNGE would remove what others have marked, too."""
    async with box_on(Dovecot(settings={"imap_capability": "IMAP4rev1 IDLE"})) as box:
        async with bench(box, release="move:Diambil", start=False) as b:
            with pytest.raises(NeedsOperator, match="cannot move single mails"):
                await b.channel.open()
        await box.deliver("satu")
        async with bench(box) as b:
            assert await b.take_next() == ["satu"]


@pytest.mark.parametrize("refused", ["UID COPY", "UID STORE", "UID EXPUNGE"])
async def test_a_move_that_fails_halfway_removes_nothing_else_and_is_made_up_for(refused: str) -> None:
    """Whichever of its three commands it is; a mail that nobody has taken yet stays where it is."""
    server = Dovecot(settings={"imap_capability": "IMAP4rev1 LITERAL+ UIDPLUS"})
    async with box_on(server) as box, faulty(server) as proxy:
        await box.deliver("satu", "dua")
        async with bench(box, port=proxy.port, release="move:Diambil", read_limit=1) as b:
            proxy.rule = lambda command: "refuse" if command.startswith(refused) else None
            assert await b.take_next() == ["satu"]
            assert set(await box.flags()) == {"satu", "dua"}
            await b.health("degraded", "moved")
            proxy.rule = lambda _command: None
            b.run()
            await b.health("up")
            await b.arrived("satu", "dua")
            await b.until(lambda: _lies_in(box, "Diambil", {"satu", "dua"}), "both to be moved")
            assert await box.flags() == {}
        assert not [command for command in _expunges(proxy) if not command.startswith("UID EXPUNGE")]


async def _lies_in(box: Mailbox, folder: str, expected: set[str]) -> bool:
    return set(await box.flags(folder)) == expected


@pytest.mark.parametrize(("rights", "sentence"), [("lr", "may only be read"), ("lrwit", "does not keep this flag")])
async def test_a_mailbox_in_which_nothing_can_be_marked_is_an_operators_matter(rights: str, sentence: str) -> None:
    """Found out before the first mail is taken: each would come again for ever."""
    async with box_on(Dovecot(rights=rights)) as box, bench(box, start=False) as b:
        with pytest.raises(NeedsOperator, match=sentence):
            await b.channel.open()


async def test_a_keyword_is_given_and_read_or_unread_does_not_matter(box: Mailbox) -> None:
    """People go on using the mailbox as they like."""
    await box.deliver("satu")
    async with bench(box, release="flag:$Lapor") as b:
        b.commit(await b.next())
        await b.reopen()
        await b.take_next()
        assert "$Lapor" in (await box.flags())["satu"]
        await b.reopen()
        assert (await b.channel.receive()).messages == ()


async def test_a_flag_that_the_server_does_not_keep_is_refused_at_once(box: Mailbox) -> None:
    """Every mail would come again for ever."""
    async with bench(box, release="flag:\\Taken", start=False) as b:
        with pytest.raises(NeedsOperator, match="release"):
            await b.channel.open()


async def test_a_refused_release_hinders_nothing_and_is_made_up_for(box: Mailbox) -> None:
    """The mails stay in custody once, also through a restart, and are flagged when the server lets them be."""
    await box.deliver("satu", "dua", "tiga")
    async with faulty(box.dovecot) as server, bench(box, port=server.port, read_limit=2) as b:
        server.rule = lambda command: "refuse" if "STORE" in command else None
        b.run()
        await b.arrived("satu", "dua", "tiga")
        await b.health("degraded", "flagged")
        await b.reopen()
        b.run()
        await b.until(lambda: len(b.seen) == 6, "the mails to come again")
        server.rule = lambda _command: None
        await b.health("up")
        await b.arrived("satu", "dua", "tiga")
        assert await box.released() == {"satu", "dua", "tiga"}


async def test_one_mail_that_cannot_be_flagged_does_not_keep_the_others_from_it(box: Mailbox) -> None:
    """It is found by halving."""
    names = [f"surat {n}" for n in range(1, 10)]
    await box.deliver(*names)
    async with faulty(box.dovecot) as server, bench(box, port=server.port) as b:
        server.rule = lambda command: "refuse" if "STORE" in command and 4 in uids_in(command) else None
        await b.take(await b.next())
        assert await box.released() == set(names) - {"surat 4"}
        assert (await b.channel.health()).details["unreleased_mails"] == 1


# Poison.


@pytest.mark.parametrize("place", [1, 2, 4])
@pytest.mark.parametrize("fault", ["refuse", "hang", "drop"])
async def test_one_poison_mail_never_holds_the_others(box: Mailbox, fault: Fault, place: int) -> None:
    """It is passed over, counted and shown, tried again also in another life, and taken once it can be read."""
    names = ["satu", "tiga", "empat"]
    names.insert(place - 1, "racun")
    await box.deliver(*names)
    async with faulty(box.dovecot) as server, bench(box, port=server.port, timeout=0.5) as b:
        server.rule = lambda command: fault if "BODY.PEEK" in command and place in uids_in(command) else None
        b.run()
        await b.arrived("satu", "tiga", "empat")
        await b.health("degraded", "One mail")
        await b.stop()
        await b.reopen()
        b.run()
        await box.deliver("lima")
        await b.arrived("satu", "tiga", "empat", "lima")
        server.rule = lambda _command: None
        await b.arrived("satu", "racun", "tiga", "empat", "lima")
        await b.health("up")
        assert len(await box.released()) == 5


@pytest.mark.parametrize("fault", ["refuse", "hang", "drop"])
async def test_a_mail_whose_date_cannot_be_had_holds_nothing_up(box: Mailbox, fault: Fault) -> None:
    """Asked for at the first opening, and at the next one to know the mailbox again."""
    await box.deliver("satu")
    async with faulty(box.dovecot) as server, bench(box, port=server.port, timeout=0.5) as b:
        server.rule = lambda command: fault if command.endswith("(INTERNALDATE)") else None
        b.run()
        await b.arrived("satu")
        await b.stop()
        await box.deliver("dua")
        if fault == "refuse":
            await b.reopen()
        else:
            with pytest.raises(ChannelUnavailable):
                await b.reopen()
            await b.channel.open()
        b.run()
        await b.arrived("satu", "dua")


async def test_a_server_that_hands_out_nothing_is_no_heap_of_poison(box: Mailbox) -> None:
    """So many mails are passed over, and then it is the mailbox that does not work; nothing is lost."""
    names = [f"surat {n}" for n in range(MOST_SKIPPED + 20)]
    await box.deliver(*names)
    async with faulty(box.dovecot) as server, bench(box, port=server.port) as b:
        server.rule = lambda command: "refuse" if "BODY.PEEK" in command else None
        b.run()
        await b.health("down", "one mail after the other")
        server.rule = lambda _command: None
        await b.arrived(*names)
        await b.health("up")
