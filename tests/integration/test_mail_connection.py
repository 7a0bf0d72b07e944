"""The mail channel's connections to a real Dovecot: dead, half-open, killed; TLS, passwords and access tokens."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from channels.mail.settings import MailSettings
from gateway.errors import ChannelUnavailable, LeaseLost, NeedsOperator
from tests.integration.mail_bench import (
    ENDLESS,
    Mailbox,
    bench,
    faulty,
    mail,
)
from tests.services import HOST
from tests.services.dovecot import PASSWORD, Dovecot

SLACK = 2.0
"""Seconds that a busy machine may take on top of a deadline."""


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


async def test_a_server_that_is_killed_and_comes_back_is_used_again(box: Mailbox) -> None:
    """Within the same open channel: answers under way are not disturbed."""
    await box.deliver("satu")
    async with bench(box, poll_seconds=ENDLESS) as b:
        b.run()
        await b.arrived("satu")
        await b.until(lambda: b.is_doing("idle"), "the channel to idle")
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
        await b.until(lambda: b.is_doing("idle"), "the channel to idle")
        await asyncio.to_thread(box.dovecot.freeze)
        try:
            await b.health("down", "no answer")
        finally:
            await asyncio.to_thread(box.dovecot.thaw)
        await box.deliver("satu")
        await b.arrived("satu")
        await b.health("up")


@pytest.mark.parametrize("tls", [False, True])
async def test_an_idle_connection_that_goes_half_open_is_noticed_within_the_bound(
    box: Mailbox,
    tls_dovecot: Dovecot,
    tls: bool,  # noqa: FBT001 - a table
) -> None:
    """Nothing is closed, nothing arrives any more: another one is made after ``poll_seconds`` and ``timeout``."""
    poll, silence = 0.5, 0.5
    if tls:
        box = Mailbox(tls_dovecot)
    async with faulty(box.dovecot, tls=tls) as server:
        url = f"imaps://{box.user}@localhost:{server.port}/INBOX" if tls else f"imap://{box.user}@{HOST}:{server.port}/"
        ca_file = str(box.dovecot.ca_file) if tls else None
        async with bench(box, mailbox=url, ca_file=ca_file, poll_seconds=poll, timeout=silence) as b:
            b.run()
            await b.until(lambda: b.is_doing("idle"), "the channel to idle")
            server.cut()
            begun = time.monotonic()
            await box.deliver("satu")
            await b.until(lambda: server.connections > 1, "another connection")
            assert time.monotonic() - begun < poll + silence + SLACK
            await b.arrived("satu")
            await b.health("up")


@pytest.mark.parametrize("tls", [False, True])
async def test_a_fetch_that_goes_half_open_is_noticed_within_the_timeout(
    box: Mailbox,
    tls_dovecot: Dovecot,
    tls: bool,  # noqa: FBT001 - a table
) -> None:
    """In the middle of a mail: it is not taken by half, and comes by the next connection."""
    silence = 0.5
    if tls:
        box = Mailbox(tls_dovecot)
    large = mail("besar", size=3_000_000)
    await box.deliver(large, "kecil")
    async with faulty(box.dovecot, tls=tls) as server:
        url = f"imaps://{box.user}@localhost:{server.port}/INBOX" if tls else f"imap://{box.user}@{HOST}:{server.port}/"
        ca_file = str(box.dovecot.ca_file) if tls else None
        async with bench(box, mailbox=url, ca_file=ca_file, poll_seconds=ENDLESS, timeout=silence) as b:
            server.cut(after=1_000_000)
            b.run()
            await b.until(lambda: server.is_cut, "the connection to go half-open")
            begun = time.monotonic()
            await b.until(lambda: server.connections > 1, "another connection")
            assert time.monotonic() - begun < silence + SLACK
            await b.arrived("besar", "kecil")
            assert large in [message.raw for message in b.custody.values()]


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
        await b.until(lambda: b.is_doing("idle"), "the channel to idle")
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
