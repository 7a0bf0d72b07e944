"""Tries one channel: that it opens, how it is then, and whatever more it can try by itself."""

import asyncio
from typing import Final

from gateway.errors import GatewayError, NeedsOperator
from gateway.findings import Finding
from gateway.ports import Channel, ChecksMore
from gateway.preflight import missing
from gateway.settings import ChannelSection, Settings
from gateway.store import Store
from gateway.store.channel_store import StoredChannel

CHANNEL_TIMEOUT: Final = 120.0
"""Seconds for everything that is tried of one channel."""


async def check_channel(settings: Settings, section: ChannelSection) -> list[Finding]:
    """What was found of a channel; only what stands in the way, where it cannot be opened."""
    subject = f"channels.{section.name}"
    found: list[Finding] = []
    try:
        await _try(settings, section, found)
    except TimeoutError:
        sentence = f"{subject}: no answer within {CHANNEL_TIMEOUT:g} s."
    except GatewayError as error:
        sentence = str(error)
    else:
        return found
    return [*found, Finding(subject, "failed", sentence)]


async def _try(settings: Settings, section: ChannelSection, found: list[Finding]) -> None:
    problem = missing(section)
    if problem is not None:
        raise problem
    store = Store(settings.store.url, settings.store.files)
    channel = section.plugin.create(section.name, section.settings, StoredChannel(store, section.name))
    try:
        async with asyncio.timeout(CHANNEL_TIMEOUT):
            await channel.open()
            found.append(await _health(channel, section))
            if isinstance(channel, ChecksMore):
                found += await channel.check()
    finally:
        await channel.close()
        await store.close()


async def _health(channel: Channel, section: ChannelSection) -> Finding:
    health = await channel.health()
    if health.state not in ("up", "degraded"):
        raise NeedsOperator(health.reason)
    subject = f"channels.{section.name}"
    if health.state == "degraded":
        return Finding(subject, "weak", health.reason)
    return Finding(subject, "ok", f"{section.settings.type}: it opens and answers.")
