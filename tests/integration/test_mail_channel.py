"""The mail channel as the kernel uses it: one transaction for mails and cursor, health, closing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channels.mail import CHANNEL
from channels.mail.imap_box import CURSOR
from channels.mail.settings import MailSettings
from gateway.errors import ChannelUnavailable, GatewayError
from gateway.ports import Channel, Delivery, OutgoingAnswer
from gateway.stages.receive import ReceiveStage
from gateway.store.channel_store import StoredChannel
from gateway.store.tables import messages
from tests.fakes import FakeClock
from tests.integration.kernel import Kernel, kernel_on
from tests.integration.mail_bench import Mailbox, mail
from tests.integration.twitter_bench import MemoryStore
from tests.services import HOST
from tests.services.dovecot import PASSWORD, Dovecot

NAME = "email"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    """One server for all tests here."""
    with Dovecot() as server:
        yield server


@pytest.fixture
def box(dovecot: Dovecot) -> Mailbox:
    """An empty mailbox."""
    return Mailbox(dovecot)


def settings(box: Mailbox | None = None, **changes: Any) -> MailSettings:
    """Of a mailbox on a server, or of one that is not used."""
    url = f"imap://{box.user}@{HOST}:{box.dovecot.port}/INBOX" if box else "imap://nobody@localhost:1/INBOX"
    usual = {
        "type": "mail",
        "mailbox": url,
        "password": PASSWORD,
        "address": "lapor@example.go.id",
        "poll_seconds": 0.05,
        "read_limit": 2,
    }
    return MailSettings.model_validate(usual | changes)


def channel_on(kernel: Kernel, box: Mailbox, **changes: Any) -> Channel:
    """A channel whose cursor lies in the kernel's database."""
    return CHANNEL.create(NAME, settings(box, **changes), StoredChannel(kernel.store, NAME))


async def step(kernel: Kernel, stage: ReceiveStage) -> None:
    """One step of the stage, with the commit that it waits for."""
    moving = asyncio.create_task(stage.step())
    while not moving.done():
        commit = asyncio.create_task(kernel.gateway.custody.step())
        await asyncio.wait({moving, commit}, return_when=asyncio.FIRST_COMPLETED)
        commit.cancel()
        await asyncio.wait({commit})
    moving.result()


async def test_the_cursor_is_committed_with_the_mails(store_url: str, clock: FakeClock, box: Mailbox) -> None:
    """In one transaction: what the database knows as read is in it; then the mails are flagged."""
    await box.deliver("satu", "dua", "tiga")
    async with kernel_on(store_url, clock) as kernel:
        channel = channel_on(kernel, box)
        await channel.open()
        stage = ReceiveStage(NAME, "mail", channel, kernel.gateway.custody)
        await step(kernel, stage)
        assert await kernel.count(messages) == 2
        saved = await StoredChannel(kernel.store, NAME).load(CURSOR)
        assert saved is not None
        assert '"uid":2' in saved
        assert await box.released() == {"satu", "dua"}
        await channel.close()


async def test_without_a_commit_the_mails_stay_and_come_again(store_url: str, clock: FakeClock, box: Mailbox) -> None:
    """The process dies between the two, on either side of the commit; nothing is lost or doubled."""
    await box.deliver("satu", "dua", "tiga")
    async with kernel_on(store_url, clock) as kernel:
        for committed in (False, True, True):
            channel = channel_on(kernel, box)
            await channel.open()
            delivery = await _next(channel)
            if committed:
                commit = asyncio.create_task(
                    kernel.gateway.custody.commit(NAME, "mail", delivery.messages, None, delivery.values)
                )
                await asyncio.sleep(0)
                await kernel.gateway.custody.step()
                await commit
            await channel.close()
        assert await box.released() == set()
        channel = channel_on(kernel, box)
        await channel.open()
        stage = ReceiveStage(NAME, "mail", channel, kernel.gateway.custody)
        while len(await box.released()) < 3:
            await step(kernel, stage)
        assert await kernel.count(messages) == 3
        await channel.close()


async def _next(channel: Channel) -> Delivery:
    while not (delivery := await channel.receive()).messages:
        pass
    return delivery


async def test_two_mails_of_one_citizen_keep_their_order_and_two_citizens_do_not_wait(box: Mailbox) -> None:
    """The sender's address is the key."""
    await box.deliver(
        mail("satu", "Budi@example.go.id"), mail("dua", "budi@example.go.id"), mail("a", "sari@example.id")
    )
    channel = CHANNEL.create(NAME, settings(box, read_limit=9), MemoryStore())
    await channel.open()
    keys = [message.order_key for message in (await _next(channel)).messages]
    assert keys == ["budi@example.go.id", "budi@example.go.id", "sari@example.id"]
    await channel.close()


@pytest.mark.parametrize("kind", ["imap", "maildir"])
async def test_a_channel_that_is_not_open_says_so(kind: str, tmp_path: Path) -> None:
    """Before and after; closing it is always fine."""
    changes: dict[str, Any] = {} if kind == "imap" else {"mailbox": f"maildir:{tmp_path}/lapor", "password": None}
    channel = CHANNEL.create(NAME, settings(**changes), MemoryStore())
    assert (await channel.health()).state == "down"
    with pytest.raises(ChannelUnavailable):
        await channel.receive()
    await channel.close()
    await channel.close()
    assert (await channel.health()).reason == "The channel is closed."
    for ask in (channel.open, channel.receive, lambda: channel.send(OutgoingAnswer("1", "a@b.id", "x", 1))):
        with pytest.raises(GatewayError):
            await ask()


async def test_closing_ends_an_idle_wait(box: Mailbox) -> None:
    """The kernel stops at once, however long the next poll is away."""
    channel = CHANNEL.create(NAME, settings(box, poll_seconds=1000), MemoryStore())
    await channel.open()
    await channel.receive()
    waiting = asyncio.create_task(channel.receive())
    while (await channel.health()).details["mailbox"] != "idle":
        await asyncio.sleep(0)
    await channel.close()
    with pytest.raises(ChannelUnavailable):
        await waiting


async def test_health_shows_what_waits(box: Mailbox) -> None:
    """How many mails, since when, and what the server can do."""
    await box.deliver("satu", "dua", "tiga")
    channel = CHANNEL.create(NAME, settings(box), MemoryStore())
    await channel.open()
    await _next(channel)
    details = (await channel.health()).details
    assert details["waiting_mails"] == 3
    assert details["oldest_waiting_seconds"] is not None
    assert "IDLE" in details["capabilities"].split()
    assert details["looked_at"] is not None
    await channel.close()
