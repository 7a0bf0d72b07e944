"""Access tokens for XOAUTH2: from a file that another program keeps fresh, or from the provider's token endpoint."""

import asyncio
import json
from pathlib import Path
from typing import Final

import aiohttp

from channels.mail.settings import MailSettings
from gateway.clock import Clock
from gateway.errors import ChannelUnavailable, NeedsOperator

EARLY_SECONDS: Final = 120.0
"""A token counts as expired so long before its time."""

_USUAL_SECONDS: Final = 3600
_LARGEST_ANSWER: Final = 65_536
_REFUSED: Final = frozenset({400, 401, 403})


class AccessToken:
    """Gives out a token that has not expired.

    With a refresh token it asks by RFC 6749, 6 (Google); without one by the client's own credentials, 4.4 (Microsoft).

    Args:
        label: The channel's path in the settings, for sentences.
        settings: Its section.
        clock: Tells when a token expires.
    """

    def __init__(self, label: str, settings: MailSettings, clock: Clock) -> None:
        self._label = label
        self._settings = settings
        self._clock = clock
        self._token = ""
        self._expires = 0.0

    async def get(self) -> str:
        """A token for one log-in.

        Raises:
            NeedsOperator: There is none, or the provider refuses one.
            ChannelUnavailable: The provider does not answer.
        """
        if self._settings.oauth_token_file is not None:
            return await self._from_file(Path(self._settings.oauth_token_file))
        if not self._token or self._clock.monotonic() >= self._expires:
            await self._fetch()
        return self._token

    def forget(self) -> None:
        """The server refused it: the next one is asked for anew."""
        self._token = ""

    async def _from_file(self, path: Path) -> str:
        try:
            token = (await asyncio.to_thread(path.read_text, encoding="ascii")).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NeedsOperator(
                f"{self._label}.oauth_token_file: {path} cannot be read ({type(error).__name__})."
            ) from error
        if not token or not token.isprintable():
            raise NeedsOperator(f"{self._label}.oauth_token_file: {path} holds no token.")
        return token

    async def _fetch(self) -> None:
        url = self._settings.oauth_token_url or ""
        limit = aiohttp.ClientTimeout(total=self._settings.timeout)
        try:
            async with aiohttp.ClientSession(timeout=limit) as session, session.post(url, data=self._form()) as answer:
                body = await answer.content.read(_LARGEST_ANSWER)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ChannelUnavailable(
                f"{self._label}.oauth_token_url: the provider does not answer ({type(error).__name__})."
            ) from error
        if status in _REFUSED:
            raise NeedsOperator(
                f"{self._label}: the provider refuses an access token ({status}); correct oauth_client_id, "
                "oauth_client_secret or oauth_refresh_token."
            )
        if status != 200:  # noqa: PLR2004 - HTTP: fine
            raise ChannelUnavailable(f"{self._label}.oauth_token_url: the provider gives no token for now ({status}).")
        self._take(body)

    def _form(self) -> dict[str, str]:
        settings = self._settings
        form = {"client_id": settings.oauth_client_id or "", "grant_type": "client_credentials"}
        if settings.oauth_refresh_token is not None:
            form["grant_type"] = "refresh_token"
            form["refresh_token"] = settings.oauth_refresh_token.get_secret_value()
        if settings.oauth_client_secret is not None:
            form["client_secret"] = settings.oauth_client_secret.get_secret_value()
        if settings.oauth_scope is not None:
            form["scope"] = settings.oauth_scope
        return form

    def _take(self, body: bytes) -> None:
        try:
            answer = json.loads(body)
            token, seconds = answer["access_token"], float(answer.get("expires_in", _USUAL_SECONDS))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            token, seconds = None, 0.0
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise ChannelUnavailable(f"{self._label}.oauth_token_url: the provider's answer holds no token.")
        self._token = token
        self._expires = self._clock.monotonic() + max(0.0, seconds - EARLY_SECONDS)
