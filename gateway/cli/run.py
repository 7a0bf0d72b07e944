"""``lapor-gateway run``: the gateway, until it is asked to stop."""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from gateway.application import Gateway
from gateway.cli.common import ConfigOption, run_async, settings_from
from gateway.cli.watchdog import keep_informed, status_of
from gateway.console import Console
from gateway.notify import ServiceManager
from gateway.parsing import Parser
from gateway.plugins import parsers as installed_parsers
from gateway.preflight import missing, refuse_hopeless
from gateway.settings import Settings
from gateway.telemetry import Log, configure_logging, logger


def run(config: ConfigOption = None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    settings = settings_from(config)
    configure_logging(settings.log.level, settings.log.format)
    run_async(serve(settings, installed_parsers()))


async def serve(settings: Settings, parsers: Mapping[str, Parser]) -> None:
    """Starts a gateway with its console, and stops it in order when the process is asked to end.

    Args:
        settings: The validated settings.
        parsers: By channel type; loaded before, since that takes longer than a callback may.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(wanted, stop.set)
    await refuse_hopeless(settings)
    for section in settings.channels.values():
        problem = missing(section)
        if problem is not None:
            logger.warning(Log.CHANNEL_STATE, channel=section.name, state="down", reason=str(problem))
    gateway = Gateway(settings, parsers=parsers)
    console = Console(gateway)
    try:
        await gateway.start()
        address = await console.start()
        # What is there now stays: a collection that walked through it would hold the event loop for 100 ms.
        gc.freeze()
        print(f"lapor-gateway: {address}", file=sys.stderr)  # noqa: T201 - where to look
        async with _informed_manager(gateway):
            await stop.wait()
    finally:
        await console.stop()
        await gateway.stop()


@asynccontextmanager
async def _informed_manager(gateway: Gateway) -> AsyncIterator[None]:
    """The service manager knows that the gateway is ready, how it is, and that it stops."""
    manager = ServiceManager()
    manager.ready(status_of(gateway))
    informing = asyncio.create_task(keep_informed(gateway, manager))
    try:
        yield
    finally:
        informing.cancel()
        with suppress(asyncio.CancelledError):
            await informing
        manager.stopping()
