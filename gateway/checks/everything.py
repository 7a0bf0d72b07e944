"""Tries everything that the settings name, one after the other, and lists what was found."""

from gateway.checks.channel import check_channel
from gateway.checks.disk import check_disks
from gateway.checks.queue import check_queue
from gateway.checks.store import check_store
from gateway.clock import Clock, SystemClock
from gateway.findings import Finding
from gateway.settings import Settings


async def check_everything(settings: Settings, clock: Clock | None = None) -> list[Finding]:
    """Opens the store, the queue and each channel, looks at disks and clocks, and closes everything again."""
    clock = clock or SystemClock()
    found = [*await check_store(settings, clock), *await check_queue(settings), *check_disks(settings)]
    for section in settings.channels.values():
        found += await check_channel(settings, section)
    return found
