"""Runs the demo: everything embedded, invented citizens who text, tweet and write, a page and a live table."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console as Terminal
from rich.live import Live

from gateway.application import Gateway
from gateway.console import Console
from gateway.console.snapshot import take_snapshot
from gateway.demo.mails import ADDRESS, keep_writing, open_maildir
from gateway.demo.network import DummyNetwork, keep_texting
from gateway.demo.screen import ObservedJournal, answer_line, draw, line
from gateway.demo.smtp import DemoMailServer
from gateway.demo.x import XSimulator
from gateway.demo.x.citizens import keep_posting
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """How the demo goes.

    Attributes:
        pace: SMS a second, and as many posts and mails.
        seconds: How long it runs; None until Ctrl-C.
        seed: The same seed invents the same citizens.
    """

    pace: float
    seconds: float | None
    seed: int


def demo_table(folder: Path, x: XSimulator, smtp_url: str) -> dict[str, Any]:
    """The demo's settings: as embedded as can be, with Gammu's own dummy phone, a simulated X and a Maildir.

    Args:
        folder: Where everything is kept.
        x: The simulated X.
        smtp_url: Where answers by mail go.
    """
    return {
        "store": {"url": f"sqlite:///{folder / 'gateway.db'}", "files": str(folder / "files")},
        "queue": {"url": f"journal:{folder / 'intake.jsonl'}"},
        "log": {"level": "warning"},
        "channels": {
            "sms-1708": {
                "type": "sms",
                "device": str(folder / "phone"),
                "connection": "none",
                "model": "dummy",
                "number": "1708",
                "poll_seconds": 1.0,
            },
            "twitter": {
                "type": "twitter",
                "account": x.options.account,
                "api_url": x.origin,
                "search_minutes": 1.0,
                "media": True,
                "media_hosts": [x.origin.removeprefix("http://")],
                **asdict(x.options.credentials),
            },
            "email": _mail_section(folder, smtp_url),
        },
    }


def _mail_section(folder: Path, smtp_url: str) -> dict[str, Any]:
    return {
        "type": "mail",
        "mailbox": f"maildir:{folder / 'mail'}",
        "address": ADDRESS,
        "smtp": smtp_url,
        "poll_seconds": 1.0,
    }


async def show(folder: Path, settings_of: Callable[[Mapping[str, Any]], Settings], plan: Plan) -> int:
    """Runs until Ctrl-C, or for as long as planned. Returns how many events were published.

    Args:
        folder: Where database, journal and phone are kept.
        settings_of: Makes settings of the demo's table, and sets up the log by them.
        plan: How much happens, and for how long.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(wanted, stop.set)
    if plan.seconds is not None:
        loop.call_later(plan.seconds, stop.set)
    network = await asyncio.to_thread(DummyNetwork, folder / "phone")
    await asyncio.to_thread(open_maildir, folder / "mail")
    async with XSimulator() as x, DemoMailServer() as post:
        settings = settings_of(demo_table(folder, x, post.url))
        journal = ObservedJournal(settings.queue.url.removeprefix("journal:"))
        gateway = Gateway(settings, publisher=journal)
        console = Console(gateway)
        try:
            await gateway.start()
            address = await console.start()
            async with _citizens(network, x, folder / "mail", plan):
                await _watch(gateway, journal, post, address, stop)
        finally:
            await console.stop()
            await gateway.stop()
    return journal.count


@asynccontextmanager
async def _citizens(network: DummyNetwork, x: XSimulator, mail: Path, plan: Plan) -> AsyncIterator[None]:
    """Invented citizens, for as long as the block lasts."""
    busy = [
        asyncio.create_task(keep_texting(network, Random(plan.seed), plan.pace)),
        asyncio.create_task(keep_posting(x.world, Random(plan.seed + 1), plan.pace)),
        asyncio.create_task(keep_writing(mail, Random(plan.seed + 2), plan.pace)),
    ]
    try:
        yield
    finally:
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


async def _watch(
    gateway: Gateway, journal: ObservedJournal, post: DemoMailServer, address: str, stop: asyncio.Event
) -> None:
    terminal = Terminal()
    if not terminal.is_terminal:
        await _print_lines(terminal, journal, post, address, stop)
        return
    with Live(console=terminal, screen=False, auto_refresh=False) as live:
        while not stop.is_set():
            live.update(draw(await take_snapshot(gateway), journal, post, address), refresh=True)
            await _pause(stop)


async def _print_lines(
    terminal: Terminal, journal: ObservedJournal, post: DemoMailServer, address: str, stop: asyncio.Event
) -> None:
    terminal.print(f"LAPOR Gateway demo: {address} (Ctrl-C ends it)", highlight=False)
    printed = answered = 0
    while not stop.is_set():
        fresh = min(journal.count - printed, len(journal.newest))
        for event in list(journal.newest)[len(journal.newest) - fresh :]:
            terminal.print(line(event), highlight=False, markup=False, soft_wrap=True)
        printed = journal.count
        fresh = min(post.count - answered, len(post.newest))
        for mail in list(post.newest)[len(post.newest) - fresh :]:
            terminal.print(answer_line(mail), highlight=False, markup=False, soft_wrap=True)
        answered = post.count
        await _pause(stop)


async def _pause(stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await stop.wait()
