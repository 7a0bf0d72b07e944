"""The ways in which X refuses a request, and the limits that it sets on their number."""

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from gateway.clock import Clock

BLANK: Final = "about:blank"
_BASE: Final = "https://api.twitter.com/2/problems/"

Json = dict[str, Any]


class Problem(Exception):
    """A refusal: raised by a handler, answered to the client as X does."""

    def __init__(self, status: int, body: Json, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(body.get("detail", ""))
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

    def answer(self) -> web.Response:
        """The refusal as a response."""
        return answer(self.body, self.status, self.headers)


def answer(body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A response in JSON, in UTF-8 as it is."""
    return web.Response(
        body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/json", charset="utf-8"
    )


def kind(name: str) -> str:
    """The address that names a kind of problem."""
    return _BASE + name


def plain(status: int, title: str, detail: str = "") -> Problem:
    """A problem without a kind of its own."""
    return Problem(status, {"title": title, "type": BLANK, "status": status, "detail": detail or title})


def invalid(parameter: str, value: object, message: str) -> Problem:
    """A parameter that X does not accept."""
    error = {"parameters": {parameter: [str(value)]}, "message": message}
    body = {"errors": [error], "title": "Invalid Request", "type": kind("invalid-request")}
    return Problem(400, body | {"detail": "One or more parameters to your request was invalid."})


def stream_problem(status: int, issue: str, detail: str) -> Problem:
    """A stream that X does not open."""
    body = {"title": "ConnectionException", "detail": detail, "connection_issue": issue}
    return Problem(status, body | {"type": kind("streaming-connection")})


def too_many_connections() -> Problem:
    """A stream is open already, or a ghost holds its place."""
    return stream_problem(
        429, "TooManyConnections", "This stream is currently at the maximum allowed connection limit."
    )


def out_of_credit() -> Problem:
    """No credit is left on the account."""
    detail = "Your enrolled account [1] does not have any credits to fulfill this request."
    return Problem(402, {"account_id": 1, "title": "CreditsDepleted", "detail": detail, "type": kind("credits")})


def not_enrolled() -> Problem:
    """The plan does not include the endpoint."""
    detail = "The keys and tokens must belong to an App of a Project that has access to this endpoint."
    body = {"title": "Client Forbidden", "detail": detail, "reason": "client-not-enrolled", "client_id": "1"}
    return Problem(403, body | {"required_enrollment": "Standard", "type": kind("client-forbidden")})


def too_many(headers: Mapping[str, str] | None = None) -> Problem:
    """More calls than the limit allows."""
    return Problem(429, plain(429, "Too Many Requests").body, headers)


def not_found(resource: str, parameter: str, value: str) -> Json:
    """The error entry for what does not exist, or no longer."""
    return {
        "value": value,
        "detail": f"Could not find {resource} with {parameter}: [{value}].",
        "title": "Not Found Error",
        "resource_type": resource,
        "parameter": parameter,
        "resource_id": value,
        "type": kind("resource-not-found"),
    }


def not_authorized(parameter: str, value: str) -> Json:
    """The error entry for a post that exists and may not be shown."""
    return {
        "value": value,
        "detail": f"Sorry, you are not authorized to see the Tweet with {parameter}: [{value}].",
        "title": "Authorization Error",
        "section": "data",
        "resource_type": "tweet",
        "parameter": parameter,
        "resource_id": value,
        "type": kind("not-authorized-for-resource"),
    }


class RateLimit:
    """So many calls in a window that begins with the first of them, as X counts.

    Args:
        limit: How many calls.
        window_seconds: How long a window is.
        clock: Says when it is over.
    """

    def __init__(self, limit: int, window_seconds: float, clock: Clock) -> None:
        self._limit = limit
        self._window = window_seconds
        self._clock = clock
        self._began = -math.inf
        self._reset = 0
        self._calls = 0

    def count(self) -> bool:
        """Counts a call. Returns whether the limit allows it."""
        now = self._clock.monotonic()
        if now - self._began >= self._window:
            self._began = now
            self._reset = math.ceil(self._clock.now().timestamp() + self._window)
            self._calls = 0
        self._calls += 1
        return self._calls <= self._limit

    def headers(self) -> dict[str, str]:
        """What X says about the limit in every answer."""
        left = max(0, self._limit - self._calls)
        return {
            "x-rate-limit-limit": str(self._limit),
            "x-rate-limit-remaining": str(left),
            "x-rate-limit-reset": str(self._reset),
        }

    def take(self) -> dict[str, str]:
        """Counts a call and returns the headers; a Problem if there were too many."""
        if not self.count():
            raise too_many(self.headers())
        return self.headers()
