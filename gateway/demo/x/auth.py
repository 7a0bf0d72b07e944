"""Who may call the simulated X: the app with its bearer token, the account with a signature of OAuth 1.0a."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, unquote

from aiohttp import web

from gateway.demo.x.options import Credentials
from gateway.demo.x.problems import Problem, kind, plain

SIGNED_ORIGINS: Final = ("https://api.twitter.com", "https://api.x.com")
"""Clients sign the address they know X by, whatever the one is that they were led to."""

Caller = Literal["app", "user"]


class Keys:
    """Checks what a request proves.

    Args:
        credentials: The keys that count.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def need_any(self, request: web.Request) -> Caller:
        """Lets the app and the account pass; a Problem for everybody else."""
        authorization = request.headers.get("Authorization", "")
        if _same(authorization, f"Bearer {self._credentials.bearer_token}"):
            return "app"
        if authorization.startswith("OAuth ") and self._is_signed(request, authorization.removeprefix("OAuth ")):
            return "user"
        raise plain(401, "Unauthorized")

    def need_app(self, request: web.Request) -> None:
        """Lets the app pass alone, as the stream and its rules do."""
        if self.need_any(request) != "app":
            raise _wrong_kind("OAuth 1.0a User Context", "OAuth 2.0 Application-Only")

    def need_user(self, request: web.Request) -> None:
        """Lets the account pass alone, as writing does."""
        if self.need_any(request) != "user":
            raise _wrong_kind("OAuth 2.0 Application-Only", "OAuth 1.0a User Context")

    def _is_signed(self, request: web.Request, header: str) -> bool:
        given = {key: unquote(value) for key, value in _header_parts(header)}
        signature = given.pop("oauth_signature", "")
        given.pop("realm", None)
        known = self._credentials
        if given.get("oauth_consumer_key") != known.consumer_key or given.get("oauth_token") != known.access_token:
            return False
        parameters = [*given.items(), *parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True)]
        origins = (*SIGNED_ORIGINS, f"{request.scheme}://{request.host}")
        return any(
            _same(signature, self._signature(request.method, origin + request.path, parameters)) for origin in origins
        )

    def _signature(self, method: str, address: str, parameters: Iterable[tuple[str, str]]) -> str:
        """RFC 5849, section 3.4: the HMAC-SHA1 over method, address and sorted parameters."""
        pairs = sorted((_escape(key), _escape(value)) for key, value in parameters)
        joined = "&".join(f"{key}={value}" for key, value in pairs)
        base = "&".join((method.upper(), _escape(address), _escape(joined)))
        key = f"{_escape(self._credentials.consumer_secret)}&{_escape(self._credentials.access_token_secret)}"
        return base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()).decode()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _escape(text: str) -> str:
    return quote(text, safe="~")


def _header_parts(header: str) -> Iterable[tuple[str, str]]:
    for part in header.split(","):
        key, _, value = part.strip().partition("=")
        yield key, value.strip('"')


def _wrong_kind(given: str, needed: str) -> Problem:
    detail = f"Authenticating with {given} is forbidden for this endpoint. Supported: [{needed}]."
    body = {"title": "Unsupported Authentication", "detail": detail, "type": kind("unsupported-authentication")}
    return Problem(403, body | {"status": 403})
