"""What the commands share: the settings option, the event loop, a store to look into."""

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
import uvloop

from gateway.actions.act import Act, act
from gateway.clock import SystemClock, to_milliseconds
from gateway.plugins import channel_plugins
from gateway.settings import Settings, load_settings
from gateway.store import Store
from gateway.store.migrate import ensure_schema

DEFAULT_FILE: Final = Path("gateway.toml")
Result = TypeVar("Result")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="The settings file; gateway.toml in this folder where left out.", dir_okay=False),
]


def settings_path(config: Path | None) -> Path | None:
    """The file that the settings are read from, or None where there is none."""
    return config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)


def settings_from(config: Path | None) -> Settings:
    """The settings from a file, the default file if there is one, and the environment. Raises SettingsError."""
    return load_settings(settings_path(config), os.environ, channel_plugins())


def run_async(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def acting(reason: str) -> Act:
    """An act of whoever is logged in at this terminal, now."""
    return act(getpass.getuser(), "terminal", to_milliseconds(SystemClock().now()), reason)


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[Store]:
    """The database, checked for its schema; beside a gateway that runs on it."""
    store = Store(settings.store.url)
    try:
        await ensure_schema(store)
        yield store
    finally:
        await store.close()
