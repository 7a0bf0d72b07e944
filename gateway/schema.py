"""Generates what others read: schemas, AsyncAPI, broker definitions, example events, sample settings.

``lapor-gateway schema --write .`` writes the files; a test holds them equal to the code.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, get_args

import msgspec

from gateway import __version__
from gateway.console.openapi import openapi
from gateway.decisions import Identity, new_report
from gateway.model import (
    EventKind,
    Keyword,
    NotDelivered,
    Parts,
    Reply,
    ReplyKind,
    Report,
    Reporter,
    ReportEvent,
    encode,
    event_for,
)
from gateway.parsing import Parsed
from gateway.plugins import channel_plugins
from gateway.publishers.topology import INTAKE_QUEUE, REPLIES_EXCHANGE, REPORTS_EXCHANGE, definitions
from gateway.settings.sample import sample_file, settings_page
from gateway.telemetry import metrics_page

EVENT_KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)
_EXAMPLE_FAILURE: Final = NotDelivered("The network could not deliver it.", "case-17-note-3")
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def generated_files() -> dict[str, str]:
    """Every generated file: its path from the project's root, and its text."""
    files = {
        "queue/report.schema.json": _json(json_schema(Report, "The canonical report")),
        "queue/event.schema.json": _json(json_schema(ReportEvent, "An event on lapor.reports")),
        "queue/reply.schema.json": _json(json_schema(Reply, "A reply on lapor.replies")),
        "queue/asyncapi.json": _json(asyncapi()),
        "queue/definitions.json": _json(definitions()),
    }
    for kind, event in example_events().items():
        files[f"queue/examples/{kind}.json"] = _json(json.loads(encode(event)))
    files["config/gateway.sample.toml"] = sample_file(channel_plugins())
    files["docs/metrics.md"] = metrics_page()
    files["docs/openapi.json"] = _json(openapi())
    files["docs/settings.md"] = settings_page(channel_plugins())
    return files


def json_schema(model: type[msgspec.Struct], title: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a model."""
    return {"$schema": _DRAFT, "title": title, **msgspec.json.schema(model)}


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 description of both directions."""
    _, components = msgspec.json.schema_components((ReportEvent, Reply), ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "LAPOR Gateway",
            "version": __version__,
            "description": "Reports of citizens for the core intake service, and its replies to them.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {
            "reports": {
                "address": "report.{event}.{channel}",
                "description": f"Topic exchange {REPORTS_EXCHANGE}; bound to the quorum queue {INTAKE_QUEUE}.",
                "parameters": {
                    "event": {"enum": list(EVENT_KINDS)},
                    "channel": {"description": "The channel's type: sms, twitter, mail …"},
                },
                "messages": {"event": {"$ref": "#/components/messages/event"}},
                "bindings": {"amqp": {"is": "routingKey", "exchange": _exchange(REPORTS_EXCHANGE)}},
            },
            "replies": {
                "address": "reply.{kind}",
                "description": f"Topic exchange {REPLIES_EXCHANGE}, from the core to the gateway.",
                "parameters": {"kind": {"enum": list(get_args(ReplyKind))}},
                "messages": {"reply": {"$ref": "#/components/messages/reply"}},
                "bindings": {"amqp": {"is": "routingKey", "exchange": _exchange(REPLIES_EXCHANGE)}},
            },
        },
        "operations": {
            "sendReport": {"action": "send", "channel": {"$ref": "#/channels/reports"}},
            "receiveReply": {"action": "receive", "channel": {"$ref": "#/channels/replies"}},
        },
        "components": {
            "messages": {
                "event": {"name": "ReportEvent", "payload": {"$ref": "#/components/schemas/ReportEvent"}},
                "reply": {"name": "Reply", "payload": {"$ref": "#/components/schemas/Reply"}},
            },
            "schemas": components,
        },
    }


def _exchange(name: str) -> dict[str, Any]:
    return {"name": name, "type": "topic", "durable": True, "autoDelete": False}


def example_events() -> dict[EventKind, ReportEvent]:
    """One invented event of each kind; the update brings the late second part of an SMS."""
    at = datetime(2026, 11, 21, 8, 0, 0, tzinfo=UTC)
    first = _example_report(Parts(total=2, present=(1,)), "TANGKAB Jalan di depan pasar Mekarsari berlubang, mohon …")
    whole = _example_report(
        Parts(total=2, present=(1, 2)), "TANGKAB Jalan di depan pasar Mekarsari berlubang, mohon segera diperbaiki."
    )
    repeated = msgspec.structs.replace(
        whole,
        id="019a0000-0000-7000-8000-0000000000a2",
        external_id="b" * 64,
        duplicate_of=first.id,
        repeat_count=1,
        parts=None,
    )
    reports: Mapping[EventKind, tuple[Report, int]] = {
        "received": (first, 1),
        "updated": (whole, 2),
        "repeated": (repeated, 1),
        "undeliverable": (whole, 3),
        "withdrawn": (whole, 4),
    }
    return {
        kind: event_for(
            report,
            kind,
            event_id=f"019a0000-0000-7000-8000-0000000000e{number}",
            sequence=sequence,
            time=at,
            not_delivered=_EXAMPLE_FAILURE if kind == "undeliverable" else None,
        )
        for number, (kind, (report, sequence)) in enumerate(reports.items())
    }


def _example_report(parts: Parts, text: str) -> Report:
    at = datetime(2026, 11, 21, 7, 59, 58, tzinfo=UTC)
    parsed = Parsed(
        reporter=Reporter(address="+628110000001", kind="phone"),
        text=text,
        keyword=Keyword("TANGKAB", "TANGKAB"),
        sent_at=at,
    )
    identity = Identity(
        id="019a0000-0000-7000-8000-0000000000a1",
        tracking_id="1234567897",
        channel="sms-1708",
        channel_type="sms",
        external_id="a" * 64,
        received_at=at,
        raw_sha256="c" * 64,
    )
    return new_report(parsed, identity, parts)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
