"""A private SMTP server that does what a test says: STARTTLS or SMTPS, log-in, refusals, hanging, dropped connections.

It runs in the test's own event loop, on loopback, on a port that the system picks.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.services import HOST

Stage = Literal["connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "end", "RSET", "QUIT"]
"""Where it misbehaves; ``end`` is after the dot that ends a mail: the mail has been received then."""

HANG = "hang"
DROP = "drop"

_DSN = re.compile(r"\s(?:RET|ENVID|NOTIFY)=\S+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for localhost that vouches for itself."""

    file: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """What a server shows it with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


def make_certificate(folder: Path, name: str = "localhost", address: str | None = HOST) -> Certificate:
    """A fresh certificate for a name and an address, valid for two days."""
    certificate = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    names = f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}" + (f",IP:{address}" if address else "")
    files = "-keyout", str(certificate.key), "-out", str(certificate.file)
    kind = "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"
    subprocess.run(["openssl", "req", *kind, "-subj", *names, *files], check=True, capture_output=True)
    return certificate


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail that came in whole, whether the client was told so or not."""

    mail_from: str
    rcpt_tos: tuple[str, ...]
    content: bytes
    encrypted: bool


@dataclass
class SmtpPeer:
    """The server.

    Attributes:
        certificate: Shown to those who want TLS; without one there is no TLS.
        tls: Whether it speaks TLS from the first byte (SMTPS) or offers STARTTLS.
        users: Names and passwords; nobody may send without log-in if there are any.
        auth: Whether it offers to log in at all.
        xoauth2: The token that it takes; without one it does not offer XOAUTH2.
        dsn: Whether it offers delivery reports (RFC 3461).
        smtputf8: Whether it takes addresses that are not ASCII (RFC 6531).
        mails_each: How many mails it takes on one connection, which it ends then (421); as many as come where 0.
        faults: By stage, a reply in place of its own, or ``HANG``, or ``DROP``.
        recipients: By address, a reply to its RCPT.
        received: What it has received.
        commands: The lines of MAIL, RCPT, and so on as they came; of AUTH the mechanism only.
        connections: How many there were.
        logins: How many passwords and tokens it has looked at.
    """

    certificate: Certificate | None = None
    tls: Literal["starttls", "smtps"] = "starttls"
    users: Mapping[str, str] = field(default_factory=dict)
    auth: bool = True
    xoauth2: str = ""
    dsn: bool = False
    smtputf8: bool = False
    mails_each: int = 0
    faults: dict[Stage, str] = field(default_factory=dict)
    recipients: dict[str, str] = field(default_factory=dict)
    received: list[ReceivedMail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    logins: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _sessions: list[_Conversation] = field(default_factory=list)

    async def start(self) -> None:
        """Listens, on the port of last time if there was one."""
        loop = asyncio.get_running_loop()
        context = self.certificate.server_context() if self.certificate and self.tls == "smtps" else None
        self._server = await loop.create_server(lambda: _Conversation(self, loop), HOST, self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends all connections and listens no more."""
        if self._server is not None:
            self._server.close()
            for session in self._sessions:
                session.cut()
            await asyncio.gather(*(session.ended() for session in self._sessions))
            await self._server.wait_closed()
        self._server = None
        self._sessions.clear()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def cut_all(self) -> None:
        """Ends all connections without a word, and goes on listening."""
        for session in self._sessions:
            session.cut()

    def forsake_all(self) -> None:
        """Answers nothing any more on the connections that there are, and goes on listening."""
        for session in self._sessions:
            session.forsaken = True

    def url(self, user: str = "", host: str = HOST) -> str:
        """The setting ``smtp`` that leads here."""
        scheme = "smtps" if self.certificate and self.tls == "smtps" else "smtp"
        return f"{scheme}://{user}{'@' if user else ''}{host}:{self.port}"

    def lines(self, stage: Stage) -> list[str]:
        """The commands of one kind that came."""
        return [line for line in self.commands if line.split()[0] == stage]

    # aiosmtpd's hooks.

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offers delivery reports where it should."""
        del server
        session.host_name = hostname
        kept = [line for line in responses if self.auth or not line.startswith("250-AUTH")]
        if self.xoauth2:
            kept = [line + " XOAUTH2" if line.startswith("250-AUTH") else line for line in kept]
        return [*kept[:-1], "250-DSN", kept[-1]] if self.dsn else kept

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Notes a mail down, then says or does what it should."""
        assert isinstance(server, _Conversation)
        content = envelope.original_content or b""
        mail = ReceivedMail(envelope.mail_from or "", tuple(envelope.rcpt_tos), content, server.encrypted)
        self.received.append(mail)
        fault = self.faults.get("end")
        if fault in (HANG, DROP):
            await server.misbehave(fault)
        return fault or "250 2.0.0 Taken"

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, mechanism: str, data: Any) -> AuthResult:
        """Whether name and password are right."""
        del mechanism
        self.logins += 1
        right = isinstance(data, LoginPassword) and self.users.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=right, handled=False)

    def take_token(self, arg: str) -> bool:
        """Whether the argument of AUTH holds the right token, in the form that Google has given XOAUTH2."""
        self.logins += 1
        user, token, *_ = base64.b64decode(arg.split()[1]).decode().split("\x01")
        return user.removeprefix("user=") in self.users and token == f"auth=Bearer {self.xoauth2}"

    @property
    def open_connections(self) -> int:
        """How many connections there are now."""
        return sum(session.transport is not None for session in self._sessions)

    def joined(self, session: _Conversation) -> None:
        """Counts a connection."""
        self.connections += 1
        self._sessions.append(session)


class _Conversation(SMTP):
    """One connection."""

    def __init__(self, peer: SmtpPeer, loop: asyncio.AbstractEventLoop) -> None:
        smtps = peer.certificate is not None and peer.tls == "smtps"
        starttls = peer.certificate if peer.tls == "starttls" else None
        self._peer = peer
        self._greeted = False
        self._mails = 0
        self.forsaken = False
        super().__init__(
            peer,
            loop=loop,
            hostname="mail.example.org",
            ident="test peer",
            enable_SMTPUTF8=peer.smtputf8,
            tls_context=starttls.server_context() if starttls else None,
            auth_require_tls=starttls is not None and not smtps,
            authenticator=peer.authenticate,
        )

    @property
    def encrypted(self) -> bool:
        return self.transport is not None and self.transport.get_extra_info("sslcontext") is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        first = self._handler_coroutine is None
        super().connection_made(transport)
        if first:
            self._peer.joined(self)

    def cut(self) -> None:
        """Ends the connection without a word."""
        for transport in (self.transport, self._original_transport):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()

    async def ended(self) -> None:
        """Ends it; aiosmtpd itself does not, where STARTTLS failed half-way."""
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await self._handler_coroutine

    async def misbehave(self, fault: str) -> None:
        """Hangs, or drops the connection; returns in neither case."""
        if fault == DROP:
            self.cut()
        await asyncio.Event().wait()  # until the connection ends, which cancels it

    async def push(self, status: Any) -> None:
        fault = None if self._greeted else self._peer.faults.get("connect")
        self._greeted = True
        if fault in (HANG, DROP):
            await self.misbehave(fault)
        await super().push(fault or status)

    async def _faulty(self, stage: Stage, arg: str | None) -> bool:
        """Does what it should at this stage. Returns whether that was anything."""
        if self.forsaken:
            await self.misbehave(HANG)
        self._peer.commands.append(f"{stage} {arg or ''}".rstrip())
        fault = self._peer.faults.get(stage)
        if fault in (HANG, DROP):
            await self.misbehave(fault)
        if fault is not None:
            await self.push(fault)
        return fault is not None

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802 - aiosmtpd's names, these and the next
        if not await self._faulty("EHLO", hostname):
            await super().smtp_EHLO(hostname)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        if not await self._faulty("STARTTLS", arg):
            await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        mechanism = arg.split(maxsplit=1)[0]
        if await self._faulty("AUTH", mechanism):
            return
        if mechanism != "XOAUTH2":
            await super().smtp_AUTH(arg)
        elif self.session is not None and self._peer.take_token(arg):
            self.session.authenticated = True
            await self.push("235 2.7.0 Accepted")
        else:  # as Google does: why stands in a challenge, and the reply comes after the client's empty line
            await self.push("334 " + base64.b64encode(b'{"status":"400"}').decode())
            await self._reader.readline()
            await self.push("535 5.7.8 Not accepted")

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        if await self._faulty("MAIL", arg):
            return
        if self._peer.users and not (self.session and self.session.authenticated):
            await self.push("530 5.7.0 Authentication required")
            return
        self._mails += 1
        if 0 < self._peer.mails_each < self._mails:
            await self.push("421 4.7.0 Too many mails on this connection")
            self.cut()
            return
        await super().smtp_MAIL(self._without_dsn(arg))

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        if await self._faulty("RCPT", arg):
            return
        for address, reply in self._peer.recipients.items():
            if f"<{address}>" in (arg or ""):
                await self.push(reply)
                return
        await super().smtp_RCPT(self._without_dsn(arg))

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if not await self._faulty("DATA", arg):
            await super().smtp_DATA(arg)

    async def smtp_RSET(self, arg: str) -> None:  # noqa: N802
        if not await self._faulty("RSET", arg):
            await super().smtp_RSET(arg)

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802
        if not await self._faulty("QUIT", arg):
            await super().smtp_QUIT(arg)

    def _without_dsn(self, arg: str | None) -> str | None:
        """The server of aiosmtpd does not know the words of RFC 3461."""
        return _DSN.sub("", arg) if arg and self._peer.dsn else arg
