"""The OpenAPI 3.1 description of the API, made from the models that check requests; kept in ``docs/openapi.json``."""

from typing import Any, Final, get_args

from gateway import __version__
from gateway.actions.act import Via
from gateway.actions.messages import Verb
from gateway.console.access import CSRF_HEADER
from gateway.console.acting import Chosen, TestMessage, WhichSender, Why
from gateway.console.openapi_answers import ANSWERS
from gateway.console.reading import MESSAGE_STATES
from gateway.console.web import MAX_PAGE, UUID, JsonBody
from gateway.store.operators import Role

Json = dict[str, Any]

_SCHEMA: Final = "#/components/schemas/{model}"
_BODIES: Final = (Why, Chosen, TestMessage, WhichSender)
_REFUSALS: Final = {
    400: "The request is malformed.",
    401: "Log in first.",
    403: "Not allowed: a viewer acts, or the CSRF token is missing or wrong.",
    404: "There is no such thing.",
    408: "The body came too slowly.",
    409: "The message's state does not allow it.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The body is of another shape, or the channel cannot do this.",
    503: "The store is away.",
}
_LOOKING: Final = (401, 403, 503)
_ACTING: Final = (400, 401, 403, 408, 413, 415, 422, 503)
_DONE: Final[dict[Verb, str]] = {
    "replay": "has them processed again; of what was published, only the difference is published",
    "accept": "makes reports of held ones",
    "discard": "sets held or quarantined ones aside; a replay brings them back",
}


def openapi() -> Json:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LAPOR Gateway",
            "version": __version__,
            "description": "What the operators' console shows and does. Log in at /login (JSON: name, password); the "
            f"session is a cookie. Whatever changes something wants the header {CSRF_HEADER} with the token that "
            "/api/v1/session tells, and a reason, which stays in the audit log. Lists are newest first; next_cursor "
            "of one page is cursor of the next.",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "security": [{"session": []}],
        "paths": {**_probes(), **_reading(), **_acting()},
        "components": {
            "schemas": {**_bodies(), **ANSWERS, **_session()},
            "securitySchemes": {
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "lapor",
                    "description": "With console.https the cookie is __Host-lapor. With no operator configured the "
                    "console listens on loopback only, and nobody has to log in.",
                },
                "csrf": {"type": "apiKey", "in": "header", "name": CSRF_HEADER},
            },
        },
    }


def _bodies() -> Json:
    """The models of requests; each is flat, so that none brings definitions of its own."""
    schemas = {model.__name__: model.model_json_schema(ref_template=_SCHEMA) for model in _BODIES}
    for schema in schemas.values():
        schema.pop("$defs", None)
    return schemas


def _session() -> Json:
    properties = {
        "name": {"type": "string"},
        "role": {"enum": list(get_args(Role))},
        "via": {"enum": list(get_args(Via))},
        "csrf": {"type": "string"},
    }
    return {"Session": {"type": "object", "required": list(properties), "properties": properties}}


def _probes() -> Json:
    alive = "200 while the event loop and every shared stage move, else 503: a restart helps."
    ready = "200 while messages are taken in, else 503."
    return {
        path: {
            "get": {
                "operationId": name,
                "summary": summary,
                "security": [],
                "tags": ["probes"],
                "responses": {"200": _answer(schema, "It is."), "503": _answer(schema, "It is not, and why.")},
            }
        }
        for path, name, summary, schema in (
            ("/healthz", "isAlive", alive, "Alive"),
            ("/readyz", "isReady", ready, "Ready"),
        )
    }


def _reading() -> Json:
    state = _query("state", {"enum": list(MESSAGE_STATES)}, "Only messages in this state.")
    channel, subject, operator = (
        _query(name, {"type": "string", "minLength": 1, "maxLength": 80}, f"Only those of this {name}.")
        for name in ("channel", "subject", "operator")
    )
    return {
        "/api/v1/session": _get("session", "Who one is, and the CSRF token of this browser.", "Session"),
        "/api/v1/channels": _get("channels", "Every channel as it is now.", "Channels"),
        "/api/v1/messages": _get(
            "messages", "The newest messages: no text, no sender.", "Messages", [state, channel, *_paging()], (400,)
        ),
        "/api/v1/messages/{id}": _get("message", "The custody ledger of one message.", "Ledger", [_ID], (404,)),
        "/api/v1/audit": _get("audit", "Who did what.", "AuditLog", [subject, operator, *_paging()], (400,)),
        "/api/v1/senders/blocked": _get("blocked", "Senders that are ignored, by their hashed keys.", "Blocked"),
        "/api/v1/events": {
            "get": {
                "operationId": "events",
                "summary": "The state of everything every two seconds, as server-sent events, until the client goes.",
                "tags": ["looking"],
                "parameters": [
                    _query("as", {"enum": ["json", "page"]}, "Snapshots in JSON, or the console's page in pieces.")
                ],
                "responses": {
                    "200": {
                        "description": "Events.",
                        "content": {"text/event-stream": {"schema": {"type": "string"}}},
                    },
                    **_problems(_LOOKING),
                },
            }
        },
    }


def _acting() -> Json:
    settled = {
        path: operation
        for verb in get_args(Verb)
        for path, operation in (
            (f"/api/v1/messages/{verb}", _post(f"{verb}Many", f"Of many messages: {_DONE[verb]}.", Chosen, "Settled")),
            (
                f"/api/v1/messages/{{id}}/{verb}",
                _post(verb, f"Of one message: {_DONE[verb]}.", Why, "Settled", _ID, also=(404, 409)),
            ),
        )
    }
    name = _CHANNEL
    return {
        **settled,
        "/api/v1/messages/{id}/sender": _post(
            "unmask", "Who wrote a message, in clear; that is written down.", Why, "Unmasked", _ID, also=(404,)
        ),
        "/api/v1/channels/{name}/pause": _post(
            "pause", "Has a channel rest: nothing is taken or sent.", Why, "Paused", name, also=(404,)
        ),
        "/api/v1/channels/{name}/resume": _post("resume", "Ends that.", Why, "Paused", name, also=(404,)),
        "/api/v1/channels/{name}/test": _post(
            "test", "Queues a test message.", TestMessage, "TestQueued", name, status=202, also=(404,)
        ),
        "/api/v1/senders/block": _post(
            "block", "Ignores a sender's messages from now on.", WhichSender, "BlockChanged", also=(404,)
        ),
        "/api/v1/senders/unblock": _post("unblock", "Ends that.", WhichSender, "BlockChanged", also=(404,)),
        "/api/v1/senders/erase": _post(
            "erase", "Erases what is kept of one citizen.", WhichSender, "Erased", also=(404,)
        ),
    }


_ID: Final[Json] = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": f"^{UUID}$"}}
_CHANNEL: Final[Json] = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[a-z0-9-]{1,63}$"},
}


def _paging() -> list[Json]:
    size = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 50}
    return [
        _query("limit", size, "Items on a page."),
        _query("cursor", {"type": "string", "pattern": f"^{UUID}$"}, "next_cursor of the page before."),
    ]


def _query(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _get(
    operation: str, summary: str, schema: str, parameters: list[Json] | None = None, also: tuple[int, ...] = ()
) -> Json:
    found: Json = {"operationId": operation, "summary": summary, "tags": ["looking"]}
    if parameters:
        found["parameters"] = parameters
    return {"get": found | {"responses": {"200": _answer(schema, "Found."), **_problems((*_LOOKING, *also))}}}


def _post(
    operation: str,
    summary: str,
    body: type[JsonBody],
    schema: str,
    *parameters: Json,
    status: int = 200,
    also: tuple[int, ...] = (),
) -> Json:
    content = {"application/json": {"schema": {"$ref": _SCHEMA.format(model=body.__name__)}}}
    found: Json = {
        "operationId": operation,
        "summary": summary,
        "tags": ["acting"],
        "security": [{"session": [], "csrf": []}],
        "requestBody": {"required": True, "content": content},
        "responses": {str(status): _answer(schema, "Done."), **_problems((*_ACTING, *also))},
    }
    return {"post": {**found, "parameters": list(parameters)} if parameters else found}


def _answer(schema: str, description: str) -> Json:
    content = {"application/json": {"schema": {"$ref": _SCHEMA.format(model=schema)}}}
    return {"description": description, "content": content}


def _problems(statuses: tuple[int, ...]) -> Json:
    return {str(status): _answer("Problem", _REFUSALS[status]) for status in sorted(statuses)}
