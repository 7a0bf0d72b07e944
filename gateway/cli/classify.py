"""``lapor-gateway classify``: what the gateway makes of messages by themselves, without a database."""

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import typer
from msgspec import Struct

from gateway.conversation.commands import command_of
from gateway.conversation.wishes import visibility_of
from gateway.decisions import verdict
from gateway.dedup.normalise import normalise
from gateway.evaluation import composer
from gateway.model import Visibility
from gateway.parsing import Parsed
from gateway.plugins import parsers
from gateway.settings.model import PipelineSettings
from gateway.stages.understand import Understanding, Unparsable
from gateway.telemetry import configure_logging

_UNDATED: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When a message was sent that does not say so: nothing that is printed depends on it."""


class Line(Struct, frozen=True):
    """One message as a citizen wrote it. Further keys of a line are ignored."""

    channel: str
    reporter: str
    text: str


_decode: Final = msgspec.json.Decoder(Line).decode


def classify() -> None:
    """Read messages as JSON lines {"channel", "reporter", "text"} and print what each is, one JSON object a line."""
    configure_logging("error", "text")
    failed = False
    for answer in classified(sys.stdin.buffer):
        failed = failed or "error" in answer
        typer.echo(json.dumps(answer, ensure_ascii=False))
    if failed:
        raise typer.Exit(1)


def classified(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """What each line's message is; for a line that holds none an object with ``error`` alone. Blank lines are none."""
    understanding = Understanding(parsers(), {}, PipelineSettings().parse_timeout)
    for line in lines:
        if not line.strip():
            continue
        try:
            message = _decode(line.removeprefix(b"\xef\xbb\xbf"))
            raw = composer(message.channel)(message.reporter, message.text, _UNDATED, "1").raw
        except (msgspec.DecodeError, ValueError) as error:
            yield {"error": str(error)}
            continue
        yield _described(understanding.parse(message.channel, message.channel, [raw]))


def _described(parsed: Parsed | Unparsable) -> dict[str, Any]:
    if isinstance(parsed, Unparsable):
        empty: dict[str, Any] = {
            "keyword": None,
            "references": [],
            "text": "",
            "normalised": "",
            "visibility": "public",
        }
        return {"decision": "quarantined", "reason": parsed.reason, **empty}
    keyword = parsed.keyword
    decision, reason = _decided(parsed)
    return {
        "decision": decision,
        "reason": reason,
        "keyword": None if keyword is None else msgspec.to_builtins(keyword),
        "references": list(parsed.references),
        "text": parsed.text,
        "normalised": normalise(parsed.text, "" if keyword is None else keyword.normalised).text,
        "visibility": _visibility(parsed),
    }


def _decided(parsed: Parsed) -> tuple[str, str | None]:
    command = command_of(parsed)
    if command is not None and command.sure:  # a bare number is one only if the database knows it
        return "command", command.reason
    decision = verdict(parsed)
    return decision, parsed.not_a_report or (parsed.held if decision == "held" else None)


def _visibility(parsed: Parsed) -> Visibility:
    return visibility_of(parsed.title, parsed.text) if parsed.visibility == "public" else parsed.visibility
