"""Opens a connection to the mail server: STARTTLS or TLS from the first byte, and log-in. aiosmtplib speaks SMTP.

No sentence made here holds a word of the server's, since servers repeat the citizen's address in theirs: it holds the
reply's code and its enhanced status code (RFC 3463) only.
"""

import asyncio
import re
import ssl
from datetime import datetime
from ipaddress import ip_address
from typing import Final

from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPResponseException

from channels.mail.oauth import AccessToken
from channels.mail.settings import MailSettings, Server
from gateway.errors import GatewayError, NeedsOperator
from gateway.findings import time_in

_LOG_INS: Final = ("plain", "login", "cram-md5")
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")


class Unreached(Exception):
    """The mail was certainly not handed over, because of the connection and not of the mail.

    Args:
        reason: A sentence for operators.
        lasting: Whether only a person can mend it.
        underway: Whether the server had begun with this mail: then its recipient may be what it stumbled over.
    """

    def __init__(self, reason: str, *, lasting: bool = False, underway: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting
        self.underway = underway


class Connector:
    """Opens connections to the server of the settings.

    Args:
        label: The channel's path in the settings, for sentences.
        server: The server of the setting ``smtp``.
        settings: The channel's section.
        token: Gets an access token, for where the settings have no password.
    """

    def __init__(self, label: str, server: Server, settings: MailSettings, token: AccessToken | None) -> None:
        self._label = label
        self._server = server
        self._settings = settings
        self._token = token
        self.encrypted: bool | None = None
        """Whether the last connection was; None before the first."""
        self.server_time: datetime | None = None
        """What time it was there when the last connection was made, where its greeting says so."""

    async def open(self) -> SMTP:
        """A connection that mails can be handed over on.

        Raises:
            Unreached: There is none.
        """
        server, timeout = self._server, self._settings.timeout
        smtp = SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.implicit_tls,
            start_tls=False,
            tls_context=await self._context() if server.implicit_tls else None,
            timeout=timeout,
            local_hostname=self._settings.address.rpartition("@")[2],  # a name that exists; no look-up of our own
        )
        try:
            self.server_time = time_in((await smtp.connect()).message)
            await smtp.ehlo()
            if not server.implicit_tls:
                await self._start_tls(smtp)
            self.encrypted = smtp.get_transport_info("sslcontext") is not None
            await self._log_in(smtp)
        except Unreached:
            drop(smtp)
            raise
        except (SMTPException, OSError, ValueError) as error:
            drop(smtp)
            raise self._unreached(error) from None
        except asyncio.CancelledError:
            drop(smtp)
            raise
        return smtp

    async def _start_tls(self, smtp: SMTP) -> None:
        """Encrypts the connection where the server can.

        Where it cannot, no password is sent, unless the server is on this machine. Without a password a plain
        connection does, unless ``require_tls`` is set: ``smtp://`` says *STARTTLS where offered*, as relays in one's
        own network have it. On this machine a certificate of the server's own making counts, as nobody can stand in
        between; with ``ca_file`` it is verified there too.
        """
        near = _is_near(smtp)
        if smtp.supports_extension("starttls"):
            context = await self._context(verified=not near or self._settings.ca_file is not None)
            await smtp.starttls(tls_context=context)
            await smtp.ehlo()
        elif self._settings.require_tls or (self._server.user and not near):
            raise Unreached(
                f"{self._label}.smtp: the server offers no STARTTLS, and nobody logs in without it: use smtps://, or "
                "leave out the user.",
                lasting=True,
            )

    async def _log_in(self, smtp: SMTP) -> None:
        """Logs in once: several tries with one wrong password would lock the account the sooner."""
        secret = self._settings.smtp_password or self._settings.password
        if not self._server.user:
            return
        user = self._server.user.encode()
        if secret is not None:
            await self._give_password(smtp, user, secret.get_secret_value().encode())
        elif self._token is not None:
            await self._give_token(smtp, user, self._token)
        else:
            raise Unreached(f"{self._label}.smtp_password is not set, and smtp names a user.", lasting=True)

    async def _give_password(self, smtp: SMTP, user: bytes, password: bytes) -> None:
        offered = next((one for one in _LOG_INS if one in smtp.server_auth_methods), None)
        if offered == "plain":
            await smtp.auth_plain(user, password)
        elif offered == "login":
            await smtp.auth_login(user, password)
        elif offered == "cram-md5":
            await smtp.auth_crammd5(user, password)
        else:
            raise self._no_log_in("a password")

    async def _give_token(self, smtp: SMTP, user: bytes, token: AccessToken) -> None:
        if "xoauth2" not in smtp.server_auth_methods:
            raise self._no_log_in("a token (XOAUTH2)")
        try:
            secret = await token.get()
        except GatewayError as error:
            raise Unreached(str(error), lasting=isinstance(error, NeedsOperator)) from None
        try:
            await smtp.auth_xoauth2(user, secret.encode())
        except SMTPAuthenticationError:
            token.forget()
            raise

    def _no_log_in(self, what: str) -> Unreached:
        sentence = f"{self._label}.smtp: the server offers no log-in with {what}; correct the host and the port."
        return Unreached(sentence, lasting=True)

    async def _context(self, *, verified: bool = True) -> ssl.SSLContext:
        """Trusts what the system trusts, and ``ca_file`` beside it, as mailbox and relay may be different houses."""

        def make() -> ssl.SSLContext:
            made = ssl.create_default_context()
            if self._settings.ca_file is not None:
                made.load_verify_locations(self._settings.ca_file)
            return made

        try:
            context = await asyncio.to_thread(make)
        except OSError as error:  # ssl.SSLError too
            reason = f"{self._label}.ca_file: it holds no certificate that can be read ({type(error).__name__})."
            raise Unreached(reason, lasting=True) from None
        if not verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    @property
    def _secret(self) -> str:
        """The setting that the log-in hangs on."""
        if self._settings.smtp_password is not None:
            return "smtp_password"
        if self._settings.password is not None or self._token is None:
            return "password"
        return "oauth_token_file" if self._settings.oauth_token_file is not None else "oauth_token_url"

    def _unreached(self, error: Exception) -> Unreached:
        """Why there is no connection, or none that is logged in."""
        if isinstance(error, SMTPAuthenticationError):
            reply = shown(error.code, enhanced_code(error.message))
            if 400 <= error.code < 500:  # noqa: PLR2004 - SMTP: for now
                return Unreached(f"{self._label}.smtp: the server cannot log anybody in for now ({reply}).")
            return Unreached(
                f"{self._label}.{self._secret}: the server does not accept the log-in ({reply}).", lasting=True
            )
        if isinstance(error, SMTPResponseException):
            reply = shown(error.code, enhanced_code(error.message))
            return Unreached(f"{self._label}.smtp: the server turns us away ({reply}).", lasting=error.code >= 500)  # noqa: PLR2004 - SMTP: for good
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Unreached(
                f"{self._label}.ca_file: the server's certificate is not trusted ({cause.verify_code}); name the "
                "certificate that vouches for it, or correct the host in smtp.",
                lasting=True,
            )
        return Unreached(f"{self._label}.smtp: the server cannot be reached ({type(cause).__name__}).")


def shown(code: int, enhanced: str) -> str:
    """A reply, for a sentence."""
    return f"{code} {enhanced}".rstrip()


def enhanced_code(message: str) -> str:
    """The enhanced status code that a reply begins with (RFC 2034, 4), or nothing."""
    found = _ENHANCED.match(message)
    return found[0] if found else ""


def _is_near(smtp: SMTP) -> bool:
    """Whether the server is on this machine."""
    return ip_address(smtp.get_transport_info("peername")[0]).is_loopback


def drop(smtp: SMTP) -> None:
    """Ends the connection at once, without TLS's farewell, which a dead server never gives."""
    transport = smtp.transport
    smtp.close()
    abort = getattr(transport, "abort", None)
    if abort is not None:
        abort()
