"""Reads the settings: file, then environment, then validation that names each wrong key by its path."""

import copy
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from gateway.errors import SettingsError
from gateway.ports import ChannelPlugin
from gateway.settings.model import ChannelSection, Settings

ENVIRONMENT_PREFIX: Final = "LAPOR_"
_CHANNEL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def load_settings(path: Path | None, environment: Mapping[str, str], plugins: Mapping[str, ChannelPlugin]) -> Settings:
    """Reads and validates the settings.

    Args:
        path: The TOML file, or None for the defaults.
        environment: Variables such as ``LAPOR_QUEUE__URL``; a dash in a name is written as an underscore.
        plugins: The known channels by type.

    Raises:
        SettingsError: A key is unknown or a value is wrong; it names the first such key.
    """
    return settings_from_table(_read(path) if path else {}, environment, plugins)


def settings_from_table(
    given: Mapping[str, Any], environment: Mapping[str, str], plugins: Mapping[str, ChannelPlugin]
) -> Settings:
    """Validates settings that are a table already. Raises SettingsError, as :func:`load_settings` does."""
    table = copy.deepcopy(dict(given))
    for variable in sorted(environment):
        if variable.startswith(ENVIRONMENT_PREFIX):
            _override(table, variable, environment[variable])
    sections = table.pop("channels", {})
    if not isinstance(sections, dict):
        raise SettingsError("channels", "must be tables such as [channels.sms-1708]")
    channels = {name: _channel(name, section, plugins) for name, section in sections.items()}
    try:
        return Settings(**table, channels=channels)
    except ValidationError as error:
        raise _first_problem(error, "") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(str(path), f"the settings file cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SettingsError(str(path), "the settings file is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(str(path), f"the settings file is not valid TOML: {error}") from error


def _override(table: dict[str, Any], variable: str, value: str) -> None:
    """Sets the value that ``LAPOR_CHANNELS__SMS_1708__PIN`` names: channels → sms-1708 → pin."""
    *parents, last = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
    for name in parents:
        inner = table.setdefault(_matching_key(table, name), {})
        if not isinstance(inner, dict):
            raise SettingsError(variable, f"{name} is a value, not a table")
        table = inner
    table[_matching_key(table, last)] = value


def _matching_key(table: Mapping[str, Any], name: str) -> str:
    return next((key for key in table if key.lower().replace("-", "_") == name), name)


def _channel(name: str, section: Any, plugins: Mapping[str, ChannelPlugin]) -> ChannelSection:  # noqa: ANN401 - TOML
    path = f"channels.{name}"
    if not _CHANNEL_NAME.fullmatch(name):
        raise SettingsError(path, "a channel's name is made of small letters, digits and dashes, 63 at most")
    if not isinstance(section, dict):
        raise SettingsError(path, "must be a table")
    known = ", ".join(sorted(plugins)) or "none is installed"
    if "type" not in section:
        raise SettingsError(f"{path}.type", f"is missing; the known types: {known}")
    plugin = plugins.get(str(section["type"]))
    if plugin is None:
        raise SettingsError(f"{path}.type", f"{section['type']!r} is no known channel type; the known types: {known}")
    try:
        return ChannelSection(name, plugin, plugin.settings.model_validate(section))
    except ValidationError as error:
        raise _first_problem(error, path) from None


def _first_problem(error: ValidationError, prefix: str) -> SettingsError:
    """The first problem as a sentence. The value itself is left out: it may be a secret.

    For the same reason pydantic's error is not kept as the cause: its text holds the value.
    """
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = ".".join([prefix, *map(str, problem["loc"])] if prefix else map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return SettingsError(path, "there is no such setting")
    if problem["type"] == "missing":
        return SettingsError(path, "is missing")
    return SettingsError(path or "settings", problem["msg"].removeprefix("Value error, "))
