"""The mail channel on a real Dovecot: none lost, none doubled, nothing let go of before its commit."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from channels.mail import imap
from channels.mail.box import MOST_SKIPPED
from channels.mail.identity import KEPT_OF_LARGE, external_id
from channels.mail.settings import MailSettings
from gateway.errors import ChannelUnavailable, LeaseLost, NeedsOperator
from tests.integration.mail_bench import ENDLESS, Bench, Fault, Mailbox, bench, faulty, mail, texts
from tests.services import HOST
from tests.services.dovecot import PASSWORD, Dovecot


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    """One server for all tests here; each has a user of its own."""
    with Dovecot() as server:
        yield server


@pytest.fixture(scope="module")
def tls_dovecot() -> Iterator[Dovecot]:
    """Another one that encrypts."""
    with Dovecot(tls=True) as server:
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


def _append_dated(box: Mailbox, raw: bytes, date: str) -> None:
    with box.dovecot.client(box.user) as client:
        client.append("INBOX", "\\Seen", date, raw)


async def test_idle_announces_a_mail_at_once(box: Mailbox) -> None:
    """Nobody waits for the next poll."""
    async with bench(box, poll_seconds=ENDLESS) as b:
        b.run()
        await b.until(lambda: _doing(b, "idle"), "the channel to idle")
        await box.deliver("satu")
        await b.arrived("satu")
        await b.until(lambda: _doing(b, "idle"), "the channel to idle again")
        await box.deliver("dua")
        await b.arrived("satu", "dua")


async def test_without_idle_the_mailbox_is_polled(box: Mailbox) -> None:
    """A server whose IDLE does not work is no obstacle."""
    async with faulty(box.dovecot) as server, bench(box, port=server.port, idle=False) as b:
        b.run()
        await b.until(lambda: _doing(b, "polling"), "the channel to poll")
        await box.deliver("satu")
        await b.arrived("satu")
        assert "IDLE" not in server.commands


@pytest.mark.parametrize(("fault", "doing"), [("refuse", "polling"), ("chatter", "idle")])
async def test_idle_may_be_refused_or_chattered_about(box: Mailbox, fault: Fault, doing: str) -> None:
    """Mails arrive all the same, by the same connection."""
    async with faulty(box.dovecot) as server, bench(box, port=server.port) as b:
        server.rule = lambda command: fault if command == "IDLE" else None
        b.run()
        await b.until(lambda: _doing(b, doing), f"the channel to be {doing}")
        await box.deliver("satu")
        await b.arrived("satu")
        await b.until(lambda: _doing(b, doing), f"the channel to be {doing} again")
        assert sum(command.startswith("LOGIN") for command in server.commands) == 1


async def _doing(b: Bench, what: str) -> bool:
    return bool((await b.channel.health()).details["mailbox"] == what)


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


@pytest.mark.parametrize("capability", ["MOVE", "UIDPLUS"])
async def test_mails_are_moved_and_nobody_elses_are_expunged(box: Mailbox, capability: str) -> None:
    """With MOVE or, where that is missing, by copying; what a person has marked as deleted stays."""
    await box.deliver("dihapus orang", flags="\\Deleted \\Seen")
    await box.deliver("satu", "dua")
    async with bench(box, release="move:Diambil") as b:
        if capability == "UIDPLUS":
            connection = b.channel._box._connection  # type: ignore[attr-defined]  # noqa: SLF001 - Dovecot can do both
            connection._can -= {"MOVE"}  # noqa: SLF001 - likewise
        delivery = await b.next()
        assert await box.flags("Diambil") == {}
        await b.take(delivery)
        assert set(await box.flags()) == {"dihapus orang"}
        assert set(await box.flags("Diambil")) == {"satu", "dua"}


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
        server.rule = lambda command: "refuse" if "STORE" in command and 4 in _uids(command) else None
        await b.take(await b.next())
        assert await box.released() == set(names) - {"surat 4"}
        assert (await b.channel.health()).details["unreleased_mails"] == 1


def _uids(command: str) -> set[int]:
    """The UIDs that a command names."""
    found: set[int] = set()
    for part in command.split()[2].split(","):
        first, _, last = part.partition(":")
        if first.isdigit() and (not last or last.isdigit()):
            found.update(range(int(first), int(last or first) + 1))
    return found


# Poison.


@pytest.mark.parametrize("fault", ["refuse", "hang", "drop"])
async def test_one_poison_mail_never_holds_the_others(box: Mailbox, fault: Fault) -> None:
    """It is passed over, counted and shown, tried again also in another life, and taken once it can be read."""
    await box.deliver("satu", "racun", "tiga", "empat")
    async with faulty(box.dovecot) as server, bench(box, port=server.port, timeout=0.5) as b:
        server.rule = lambda command: fault if "BODY.PEEK" in command and 2 in _uids(command) else None
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


# Connections.


async def test_a_server_that_is_killed_and_comes_back_is_used_again(box: Mailbox) -> None:
    """Within the same open channel: answers under way are not disturbed."""
    await box.deliver("satu")
    async with bench(box, poll_seconds=ENDLESS) as b:
        b.run()
        await b.arrived("satu")
        await b.until(lambda: _doing(b, "idle"), "the channel to idle")
        await asyncio.to_thread(box.dovecot.kill)
        await b.health("down", "cannot be reached")
        await asyncio.to_thread(box.dovecot.start)
        await box.deliver("dua")
        await b.arrived("satu", "dua")
        await b.health("up")


async def test_a_connection_that_is_dead_but_open_is_noticed(box: Mailbox) -> None:
    """Within the poll and the timeout, idling or not; and everything goes on once the server is back."""
    async with bench(box, poll_seconds=0.2, timeout=0.5) as b:
        b.run()
        await b.until(lambda: _doing(b, "idle"), "the channel to idle")
        await asyncio.to_thread(box.dovecot.freeze)
        try:
            await b.health("down", "no answer")
        finally:
            await asyncio.to_thread(box.dovecot.thaw)
        await box.deliver("satu")
        await b.arrived("satu")
        await b.health("up")


async def test_a_dead_connection_never_holds_up_the_closing(box: Mailbox) -> None:
    """The thread that waits for an answer is let go."""
    async with bench(box, timeout=600) as b:
        await asyncio.to_thread(box.dovecot.freeze)
        try:
            receiving = asyncio.create_task(b.channel.receive())
            await asyncio.sleep(0.05)
            await b.channel.close()
            with pytest.raises(ChannelUnavailable):
                await receiving
        finally:
            await asyncio.to_thread(box.dovecot.thaw)


async def test_a_lost_lease_is_the_kernels_matter(box: Mailbox) -> None:
    """It is not mistaken for a mailbox that is away."""
    async with bench(box) as b:
        b.store.error = lambda: LeaseLost("Another process has the channel.")
        b.store.failures = 1
        with pytest.raises(LeaseLost):
            await b.channel.receive()


async def test_kills_of_both_sides_lose_and_double_nothing(box: Mailbox) -> None:
    """The server and the gateway die at random while mails arrive; in the end all are in custody once, and flagged."""
    dice = random.Random(4)
    names: list[str] = []
    async with bench(box, read_limit=7, timeout=5) as b:
        b.run()
        for turn in range(8):
            batch = [f"surat {turn}-{n}" for n in range(20)]
            names += batch
            await box.deliver(*batch)
            await asyncio.sleep(dice.random() / 20)
            if turn % 2:
                await asyncio.to_thread(box.dovecot.kill)
                await asyncio.to_thread(box.dovecot.start)
            else:
                await b.reopen()
                b.run()
        await b.arrived(*names)
        await b.until(lambda: _all_released(box, len(names)), "all to be flagged")


async def _all_released(box: Mailbox, count: int) -> bool:
    return len(await box.released()) == count


# Who may come in.


async def test_a_wrong_password_is_an_operators_matter(box: Mailbox) -> None:
    """The sentence names the setting and not the password."""
    async with bench(box, start=False, password="keliru-sekali") as b:  # noqa: S106 - that is the test
        with pytest.raises(NeedsOperator, match=r"channels\.email\.mailbox.*password") as caught:
            await b.channel.open()
        assert "keliru" not in str(caught.value)


async def test_a_folder_that_is_not_there_is_an_operators_matter(box: Mailbox) -> None:
    """It is not made: an address that was mistyped would stay empty for ever."""
    url = f"imap://{box.user}@{HOST}:{box.dovecot.port}/Salah"
    async with bench(box, start=False, mailbox=url) as b:
        with pytest.raises(NeedsOperator, match="Salah"):
            await b.channel.open()


async def test_a_server_that_is_away_is_not_there_yet(box: Mailbox) -> None:
    """The kernel opens the channel anew until it is."""
    async with bench(box, start=False, port=1) as b:
        with pytest.raises(ChannelUnavailable, match="cannot be reached"):
            await b.channel.open()


async def test_tls_is_verified(tls_dovecot: Dovecot) -> None:
    """A certificate of the server's own is trusted when it is named, and only then; for the right host only."""
    box = Mailbox(tls_dovecot)
    await box.deliver("satu")
    url = tls_dovecot.tls_url_for(box.user)
    async with bench(box, mailbox=url, ca_file=str(tls_dovecot.ca_file)) as b:
        assert await b.take_next() == ["satu"]
    wrong: tuple[dict[str, Any], ...] = (
        {"mailbox": url},
        {"mailbox": url.replace("localhost", HOST), "ca_file": str(tls_dovecot.ca_file)},
    )
    for settings in wrong:
        async with bench(box, start=False, **settings) as b:
            with pytest.raises(NeedsOperator, match="certificate"):
                await b.channel.open()


async def test_starttls_is_used_where_it_is_offered(tls_dovecot: Dovecot) -> None:
    """And IDLE works through it."""
    box = Mailbox(tls_dovecot)
    async with bench(box, poll_seconds=ENDLESS, require_tls=True) as b:
        b.run()
        await b.until(lambda: _doing(b, "idle"), "the channel to idle")
        await box.deliver("satu")
        await b.arrived("satu")
        await asyncio.to_thread(tls_dovecot.kill)
        await b.health("down")
        await asyncio.to_thread(tls_dovecot.start)
        await box.deliver("dua")
        await b.arrived("satu", "dua")


async def test_without_starttls_nothing_is_sent_where_the_settings_say_so(box: Mailbox) -> None:
    """The password least of all."""
    async with bench(box, start=False, require_tls=True) as b:
        with pytest.raises(NeedsOperator, match="STARTTLS"):
            await b.channel.open()


class Provider:
    """What gives out access tokens, and tells Dovecot whose they are."""

    def __init__(self) -> None:
        self.valid: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []
        self.status = 200
        self.port = 0

    async def token(self, request: web.Request) -> web.Response:
        """RFC 6749, 5.1."""
        self.asked.append({key: str(value) for key, value in (await request.post()).items()})
        token = f"token-{len(self.asked)}"
        return web.json_response({"access_token": token, "expires_in": 3600}, status=self.status)

    async def info(self, request: web.Request) -> web.Response:
        """Whose a token is."""
        user = self.valid.get(request.query["access_token"])
        return web.json_response({"email": user} if user else {"error": "invalid_token"}, status=200 if user else 401)


@asynccontextmanager
async def provider() -> AsyncIterator[tuple[Provider, Mailbox]]:
    """A provider, and a mailbox whose server believes it."""
    made = Provider()
    app = web.Application()
    app.add_routes([web.post("/token", made.token), web.get("/info", made.info)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    made.port = runner.addresses[0][1]
    server = Dovecot(token_info_url=f"http://{HOST}:{made.port}/info?access_token=")
    try:
        await asyncio.to_thread(server.start)
        yield made, Mailbox(server)
    finally:
        await asyncio.to_thread(server.close)
        await runner.cleanup()


async def test_access_tokens_open_a_mailbox(tmp_path: Path) -> None:
    """From a file that is read at each log-in, from a refresh token, or from the client's own credentials."""
    async with provider() as (world, box):
        await box.deliver("satu", "dua", "tiga")
        file = tmp_path / "token"
        file.write_text("basi\n")
        async with bench(box, start=False, password=None, oauth_token_file=str(file), read_limit=1) as b:
            with pytest.raises(NeedsOperator, match="access token"):
                await b.channel.open()
            file.write_text("segar\n")
            world.valid["segar"] = box.user
            await b.reopen()
            assert await b.take_next() == ["satu"]
        endpoint: dict[str, Any] = {
            "oauth_token_url": f"http://{HOST}:{world.port}/token",
            "oauth_client_id": "gateway",
        }
        secrets: tuple[dict[str, Any], ...] = (
            {"oauth_refresh_token": "abadi"},
            {"oauth_client_secret": "rahasia", "oauth_scope": "imap"},
        )
        for secret in secrets:
            world.valid[f"token-{len(world.asked) + 1}"] = box.user
            async with bench(box, password=None, read_limit=1, **endpoint, **secret) as b:
                assert await b.take_next() in (["dua"], ["tiga"])
        assert [asked["grant_type"] for asked in world.asked] == ["refresh_token", "client_credentials"]
        world.status = 400
        async with bench(box, start=False, password=None, oauth_refresh_token="basi", **endpoint) as b:  # noqa: S106
            with pytest.raises(NeedsOperator, match="oauth_refresh_token"):
                await b.channel.open()


def test_the_password_is_never_shown() -> None:
    """Not in a representation either."""
    settings = MailSettings.model_validate(
        {"type": "mail", "mailbox": "imap://a@b/", "password": PASSWORD, "address": "a@example.go.id"}
    )
    assert PASSWORD not in repr(settings)
