"""Runs the demo: everything embedded, invented citizens texting, a page and a live table to watch."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console as Terminal
from rich.live import Live

from gateway.application import Gateway
from gateway.console import Console
from gateway.console.snapshot import take_snapshot
from gateway.demo.network import DummyNetwork, keep_texting
from gateway.demo.screen import ObservedJournal, draw, line
from gateway.settings import Settings


def demo_table(folder: Path) -> dict[str, Any]:
    """The demo's settings: as embedded as can be, with Gammu's own dummy phone."""
    return {
        "store": {"url": f"sqlite:///{folder / 'gateway.db'}"},
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
            }
        },
    }


async def show(settings: Settings, *, pace: float, seconds: float | None, seed: int) -> int:
    """Runs until Ctrl-C, or for so many seconds. Returns how many events were published."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(wanted, stop.set)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    phone = Path(settings.channels["sms-1708"].settings.model_dump()["device"])
    network = await asyncio.to_thread(DummyNetwork, phone)
    journal = ObservedJournal(settings.queue.url.removeprefix("journal:"))
    gateway = Gateway(settings, publisher=journal)
    console = Console(gateway)
    try:
        await gateway.start()
        address = await console.start()
        citizens = asyncio.create_task(keep_texting(network, Random(seed), pace))
        await _watch(gateway, journal, address, stop)
        citizens.cancel()
        with suppress(asyncio.CancelledError):
            await citizens
    finally:
        await console.stop()
        await gateway.stop()
    return journal.count


async def _watch(gateway: Gateway, journal: ObservedJournal, address: str, stop: asyncio.Event) -> None:
    terminal = Terminal()
    if not terminal.is_terminal:
        await _print_lines(terminal, journal, address, stop)
        return
    with Live(console=terminal, screen=False, auto_refresh=False) as live:
        while not stop.is_set():
            live.update(draw(await take_snapshot(gateway), journal, address), refresh=True)
            await _pause(stop)


async def _print_lines(terminal: Terminal, journal: ObservedJournal, address: str, stop: asyncio.Event) -> None:
    terminal.print(f"LAPOR Gateway demo: {address} (Ctrl-C ends it)", highlight=False)
    printed = 0
    while not stop.is_set():
        fresh = min(journal.count - printed, len(journal.newest))
        for event in list(journal.newest)[len(journal.newest) - fresh :]:
            terminal.print(line(event), highlight=False, markup=False, soft_wrap=True)
        printed = journal.count
        await _pause(stop)


async def _pause(stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await stop.wait()
