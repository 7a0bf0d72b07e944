"""What all rooms of the console share: answers in JSON, bodies with limits, security headers, errors as sentences."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DataError

from gateway.clock import to_milliseconds
from gateway.console.snapshot import rfc3339
from gateway.errors import GatewayError, Refused, StoreUnavailable
from gateway.stages.loop import frames
from gateway.telemetry import Log, logger

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LARGEST_BODY: Final = 64 * 1024
BODY_SECONDS: Final = 10.0
"""How long a client may take to send its body."""

MAX_PAGE: Final = 500
UUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""A pattern of our identifiers; what is none never reaches the database."""

_UUID: Final = re.compile(UUID)
_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Body = TypeVar("Body", bound=BaseModel)
dumps: Final = partial(json.dumps, ensure_ascii=False, default=lambda value: rfc3339(to_milliseconds(value)))


class JsonBody(BaseModel, extra="forbid", frozen=True, strict=True):
    """What a request may hold; unknown fields are refused."""


def answer(body: Any, status: int = 200) -> web.Response:  # noqa: ANN401 - whatever JSON can hold
    """A body as JSON."""
    return web.json_response(body, status=status, dumps=dumps)


def problem(status: int, text: str, **more: str) -> web.Response:
    """What went wrong, as a sentence."""
    return answer({"error": text, **more}, status)


async def read_json(request: web.Request, model: type[Body]) -> Body:
    """The request's body.

    Raises:
        web.HTTPException: It is too large or too slow, no JSON, or of another shape; its body says what and where.
    """
    if request.content_type != "application/json":
        raise refusal(web.HTTPUnsupportedMediaType, "the body must be application/json")
    body = await within_time(request.read())
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _said(error) from None


async def read_form(request: web.Request, fields: Collection[str]) -> dict[str, str]:
    """These fields of a form, stripped; empty where they are missing.

    Raises:
        web.HTTPException: It is too large or too slow, or holds files.
    """
    form = await within_time(request.post())
    values = {name: form.get(name, "") for name in fields}
    if not all(isinstance(value, str) for value in values.values()):
        raise refusal(web.HTTPBadRequest, "the form holds no files")
    return {name: value.strip() for name, value in values.items()}


def checked(model: type[Body], values: Mapping[str, object]) -> Body:
    """What a form says, checked as JSON would be. Raises HTTPUnprocessableEntity with a sentence."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _said(error) from None


def _said(error: ValidationError) -> web.HTTPException:
    """The first fault as a sentence; what was sent is not repeated."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    field = ".".join(str(step) for step in first["loc"])
    if first["type"] == "json_invalid":
        return refusal(web.HTTPBadRequest, "the body is no JSON")
    what = "is no field that is known here" if first["type"] == "extra_forbidden" else first["msg"]
    return refusal(web.HTTPUnprocessableEntity, f"{field}: {what}" if field else what, field=field)


async def within_time(reading: Awaitable[Any]) -> Any:  # noqa: ANN401 - what was read
    """What a client sends, if it does so in time; raises HTTPRequestTimeout, HTTPBadRequest for what cannot be read."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await reading
    except TimeoutError:
        raise refusal(web.HTTPRequestTimeout, f"the body has not come within {BODY_SECONDS:g} s") from None
    except (web.RequestPayloadError, ValueError, LookupError):  # another compression, character set, or form
        raise refusal(web.HTTPBadRequest, "the body cannot be read: it is not what its header says") from None


def refusal(kind: type[web.HTTPException], text: str, **more: str) -> web.HTTPException:
    """An error to raise whose body is a sentence in JSON."""
    return kind(text=dumps({"error": text, **more}), content_type="application/json")


def page_size(request: web.Request) -> int:
    """How many items a list is to have."""
    text = request.query.get("limit", "50")
    return min(MAX_PAGE, max(1, int(text))) if text.isascii() and text.isdigit() and len(text) < 7 else 50  # noqa: PLR2004


def cursor(request: web.Request) -> str | None:
    """The id that the page before ended with. Raises HTTPBadRequest for what is none."""
    text = request.query.get("cursor")
    if text is not None and _UUID.fullmatch(text) is None:
        raise refusal(web.HTTPBadRequest, "cursor must be the next_cursor of the page before", field="cursor")
    return text


def name_in(request: web.Request, field: str, longest: int = 80) -> str | None:
    """A name that a list is limited to. Raises HTTPBadRequest for what can be none."""
    text = request.query.get(field)
    if text is not None and not (text.isprintable() and 0 < len(text) <= longest):
        raise refusal(web.HTTPBadRequest, f"{field} must be a name of {longest} characters at most", field=field)
    return text


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Adds the security headers to every answer, streams and errors included."""
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)


def local_path(wanted: str) -> str:
    """A page of this console; the first one for anything that may lead elsewhere."""
    plain = wanted.isascii() and wanted.isprintable()  # one slash at the beginning: neither a scheme nor a host
    return wanted if plain and wanted.startswith("/") and not wanted.startswith(("//", "/\\")) else "/"


def is_api(request: web.BaseRequest) -> bool:
    """Whether a program asks."""
    return request.path.startswith("/api/")


@web.middleware
async def finish(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what a room raises into an answer: a store that is away into 503, a bug into 500 without its text."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if is_api(request) and error.status >= 400 and error.content_type != "application/json":  # noqa: PLR2004
            error.text, error.content_type = dumps({"error": error.reason.lower()}), "application/json"
        raise
    except StoreUnavailable as error:
        return problem(503, str(error))
    except Refused as error:
        return problem(422, str(error))
    except DataError:  # its text holds the value
        return problem(400, "the request holds a value that the database cannot hold")
    except GatewayError as error:
        return problem(500, str(error))
    except Exception as error:  # noqa: BLE001 - aiohttp would log the text, which may tell of a citizen
        logger.warning(Log.STAGE_CRASHED, component="console", error=type(error).__name__, frames=frames(error))
        return problem(500, "The gateway failed on this request; its log says where.")
