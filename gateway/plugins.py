"""Finds channels and parsers by their entry points, so that another package can add its own."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from gateway.errors import NeedsOperator
from gateway.parsing import Parser
from gateway.ports import ChannelPlugin

CHANNEL_GROUP = "lapor_gateway.channels"
PARSER_GROUP = "lapor_gateway.parsers"


@cache
def channel_plugins() -> dict[str, ChannelPlugin]:
    """The installed channels by type."""
    plugins: dict[str, ChannelPlugin] = {}
    for entry in entry_points(group=CHANNEL_GROUP):
        plugin = entry.load()
        if not isinstance(plugin, ChannelPlugin):
            raise _wrong(entry, "a ChannelPlugin")
        plugins[entry.name] = plugin
    return plugins


@cache
def parsers() -> dict[str, Parser]:
    """The installed parsers by channel type."""
    found: dict[str, Parser] = {}
    for entry in entry_points(group=PARSER_GROUP):
        parser = entry.load()
        if not callable(parser):
            raise _wrong(entry, "a function")
        found[entry.name] = parser
    return found


def _wrong(entry: EntryPoint, expected: str) -> NeedsOperator:
    return NeedsOperator(f"The entry point {entry.name} of {entry.group} is {entry.value}, which is not {expected}.")
