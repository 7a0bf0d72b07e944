"""Generates the annotated sample file and the settings page from the declarations."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.ports import ChannelPlugin
from gateway.settings.model import Settings

_INTRODUCTION: Final = """\
# Settings of the LAPOR Gateway. Every value here is the default, but for the channels: take what you need.
# Any value can be overridden by the environment: LAPOR_QUEUE__URL, LAPOR_CHANNELS__SMS_1708__PIN (a dash in a name
# becomes an underscore). A secret is a literal, "env:NAME" or "file:/path".
"""
_PAGE: Final = """\
# Settings

One TOML file; `lapor-gateway check` says what is wrong with it. Any value can be overridden by the environment:
`LAPOR_QUEUE__URL`, `LAPOR_CHANNELS__SMS_1708__PIN` (a dash in a name becomes an underscore). A secret is a literal,
`env:NAME` or `file:/path`. This page is generated from the code.
"""


def sample_file(plugins: Mapping[str, ChannelPlugin]) -> str:
    """``config/gateway.sample.toml``."""
    lines = [_INTRODUCTION]
    for name, section in _sections():
        lines.append(f"[{name}]")
        lines += [line for key, field in section.model_fields.items() for line in _sample_lines(key, field, {})]
        lines.append("")
    for kind, plugin in sorted(plugins.items()):
        lines.append(f"# [channels.{plugin.sample_name}]")
        for key, field in plugin.settings.model_fields.items():
            values = {"type": kind, **plugin.sample}
            lines += [f"# {line}" for line in _sample_lines(key, field, values)]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def settings_page(plugins: Mapping[str, ChannelPlugin]) -> str:
    """``docs/settings.md``."""
    parts = [_PAGE]
    for name, section in _sections():
        parts.append(f"## `[{name}]`\n\n{_table(section)}")
    for kind, plugin in sorted(plugins.items()):
        parts.append(f'## `[channels.NAME]` with `type = "{kind}"`\n\n{_table(plugin.settings)}')
    return "\n".join(parts)


def _sections() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, field.annotation


def _sample_lines(key: str, field: FieldInfo, sample: Mapping[str, Any]) -> Iterator[str]:
    if key in sample:
        yield f"{key} = {_toml(sample[key])}{_comment(field)}"
    elif field.is_required() or field.default is None:
        yield f"# {key} = …{_comment(field)}"
    else:
        yield f"{key} = {_toml(field.default)}{_comment(field)}"


def _comment(field: FieldInfo) -> str:
    return f"  # {field.description}" if field.description else ""


def _table(section: type[BaseModel]) -> str:
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for key, field in section.model_fields.items():
        default = "required" if field.is_required() else f"`{_toml(field.default)}`".replace("`null`", "–")
        rows.append(f"| `{key}` | {default} | {field.description or ''} |")
    return "\n".join(rows) + "\n"


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
