"""Tries what the settings name: everything for ``check``; before ``run`` what a person would have to mend."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from gateway.errors import GatewayError, NeedsOperator, SettingsError
from gateway.ports import ChecksMore
from gateway.publishers import make_publisher
from gateway.settings import ChannelSection, Settings
from gateway.store import Store
from gateway.store.channel_store import StoredChannel
from gateway.store.migrate import ensure_schema

CHANNEL_TIMEOUT: Final = 120.0


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was tried. ``problem`` is None where it works."""

    subject: str
    shown: str
    problem: str | None


async def check_everything(settings: Settings) -> list[Result]:
    """Opens the store, the queue and each channel, and closes them again."""
    store, queue = settings.store.url.rpartition("@")[2], settings.queue.url.rpartition("@")[2]
    return [
        await _try("store", store, lambda: _check_store(settings)),
        await _try("queue", queue, lambda: _check_queue(settings)),
        *[
            await _try(f"channels.{section.name}", section.settings.type, _opener(settings, section))
            for section in settings.channels.values()
        ],
    ]


async def refuse_hopeless(settings: Settings) -> None:
    """Raises what makes a start pointless: a queue that refuses us, or not one channel that could be opened.

    One channel that is missing beside others that are there does not keep those waiting: it shows on the console.

    Raises:
        NeedsOperator: The sentence names the setting.
    """
    problems = [problem for section in settings.channels.values() if (problem := missing(section))]
    if problems and len(problems) == len(settings.channels):
        raise problems[0]
    try:
        await _check_queue(settings)
    except NeedsOperator:
        raise
    except GatewayError:
        pass  # a queue that is away for now: the outbox holds what comes until it is back


def missing(section: ChannelSection) -> SettingsError | None:
    """What a channel's settings name and is not there, or None."""
    try:
        section.settings.preflight()
    except SettingsError as error:
        return SettingsError(f"channels.{section.name}.{error.key}", error.problem)
    return None


async def _check_store(settings: Settings) -> None:
    store = Store(settings.store.url)
    try:
        await ensure_schema(store)
        await store.check_durability()
    finally:
        await store.close()


async def _check_queue(settings: Settings) -> None:
    publisher = make_publisher(settings.queue)
    try:
        await publisher.open()
    finally:
        await publisher.close()


def _opener(settings: Settings, section: ChannelSection) -> Callable[[], Awaitable[None]]:
    async def opened() -> None:
        problem = missing(section)
        if problem is not None:
            raise problem
        store = Store(settings.store.url, settings.store.files)
        channel = section.plugin.create(section.name, section.settings, StoredChannel(store, section.name))
        try:
            async with asyncio.timeout(CHANNEL_TIMEOUT):
                await channel.open()
                health = await channel.health()
                if health.state not in ("up", "degraded"):
                    raise NeedsOperator(health.reason)
                if isinstance(channel, ChecksMore):
                    await channel.check()
        finally:
            await channel.close()
            await store.close()

    return opened


async def _try(subject: str, shown: str, work: Callable[[], Awaitable[None]]) -> Result:
    try:
        await work()
    except TimeoutError:
        return Result(subject, shown, f"{subject}: no answer within {CHANNEL_TIMEOUT:g} s")
    except GatewayError as error:
        return Result(subject, shown, str(error))
    return Result(subject, shown, None)
