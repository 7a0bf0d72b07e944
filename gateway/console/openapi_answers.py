"""The shapes of the API's answers, for its OpenAPI description; a test holds real answers to them."""

from typing import Any, Final, get_args

from gateway.console.reading import MESSAGE_STATES
from gateway.console.web import UUID
from gateway.model import ReporterKind
from gateway.ports import ChannelState, GapState

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_FLAG: Final[Json] = {"type": "boolean"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_ID: Final[Json] = {"type": "string", "pattern": f"^{UUID}$"}
_KEY: Final[Json] = {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "The sender's hashed key."}
_TIME: Final[Json] = {"type": "string", "format": "date-time"}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(*, optional: tuple[str, ...] = (), **properties: Json) -> Json:
    """An object; more fields may come with later versions."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _list(name: str) -> Json:
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
    return _object(items=items, next_cursor=_or_null(_ID))


_MESSAGE: Final[Json] = {
    "id": _ID,
    "channel": _TEXT,
    "state": {"enum": list(MESSAGE_STATES)},
    "decision": _or_null(_TEXT),
    "reason": _or_null(_TEXT),
    "report_id": _or_null(_ID),
    "received_at": _TIME,
    "processed_at": _or_null(_TIME),
}
_GAP: Final = _object(
    channel=_TEXT,
    path=_TEXT,
    since=_TIME,
    until=_or_null(_TIME),
    state={"enum": list(get_args(GapState))},
    found=_COUNT,
    reason=_TEXT,
)

ANSWERS: Final[Json] = {
    "Problem": _object(optional=("field",), error=_TEXT, field=_TEXT),
    "Alive": _object(optional=("reason",), alive=_FLAG, reason=_TEXT),
    "Ready": _object(optional=("reason",), ready=_FLAG, reason=_TEXT),
    "Channels": _list("Channel"),
    "Channel": _object(
        name=_TEXT,
        type=_TEXT,
        state={"enum": list(get_args(ChannelState))},
        reason=_TEXT,
        since=_TIME,
        last_message_at=_or_null(_TIME),
        details={"type": "object", "description": "What is particular to its type: signal, SIM slots, stream age …"},
        updated_at=_TIME,
        gaps={"type": "array", "items": _GAP},
    ),
    "Messages": _list("Message"),
    "Message": _object(**_MESSAGE),
    "Ledger": _object(
        **_MESSAGE,
        steps={"type": "array", "items": _object(at=_TIME, step=_TEXT, detail=_or_null(_TEXT))},
    ),
    "AuditLog": _list("Act"),
    "Act": _object(id=_ID, at=_TIME, operator=_TEXT, via=_TEXT, action=_TEXT, subject=_TEXT, reason=_TEXT),
    "Blocked": _list("BlockedSender"),
    "BlockedSender": _object(reporter=_KEY, since=_TIME, operator=_TEXT, reason=_TEXT),
    "Settled": _object(done={"type": "array", "items": _ID}, left={"type": "array", "items": _ID}),
    "Paused": _object(channel=_TEXT, paused=_FLAG, changed=_FLAG),
    "TestQueued": _object(channel=_TEXT, answer=_ID),
    "BlockChanged": _object(reporter=_KEY, blocked=_FLAG, changed=_FLAG),
    "Erased": _object(reporter=_KEY, messages=_COUNT, reports=_COUNT, answers=_COUNT, unreadable=_COUNT),
    "Unmasked": _object(
        reporter=_KEY,
        kind={"enum": list(get_args(ReporterKind))},
        address=_TEXT,
        name=_or_null(_TEXT),
        handle=_or_null(_TEXT),
    ),
}
