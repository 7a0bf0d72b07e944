"""Conversations with the mail server: one mail handed over at a time, several on one connection.

The end of the mail's text is the point of no return: up to there a mail was certainly not handed over, whatever became
of the connection, and may be handed over on another one. After it only the server's word counts; where that is lost,
nobody knows, and the mail is never handed over again.
"""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from aiosmtplib import SMTP, SMTPException, SMTPResponse, SMTPServerDisconnected

from channels.mail.oauth import AccessToken
from channels.mail.settings import MailSettings, Server
from channels.mail.smtp_connect import Connector, Unreached, drop, enhanced_code

Step = Literal["MAIL", "RCPT", "DATA"]

FINAL_TIMES: Final = 10.0
"""How many times the setting ``timeout`` the reply to a whole mail may take. RFC 5321, 4.5.3.2.6 wants ten minutes: the
one reply that must not be given up early, as nobody knows then whether the mail went out."""

IDLE_SECONDS: Final = 10.0
"""How long a connection waits for the next mail. RFC 5321, 4.5.3.2.7 gives a client five minutes, but a server under
stress less: ten seconds with Postfix, https://www.postfix.org/STRESS_README.html."""

MOST_MAILS: Final = 100
"""Mails on one connection; so many nodemailer's pool has, https://nodemailer.com/smtp/pooled. A server that wants fewer
ends the connection (421), which costs nothing but a new one."""

QUIT_SECONDS: Final = 5.0
_LEADING_DOT = re.compile(rb"(?m)^\.")

_START_INPUT: Final = 354
_CLOSING: Final = 421
_MAILBOX_NAME: Final = 553


class Rejected(Exception):
    """The server has said no to this mail, so it was certainly not handed over.

    Args:
        step: What it has refused.
        code: Its reply.
        enhanced: Its enhanced status code, or nothing.
    """

    def __init__(self, step: Step, code: int, enhanced: str = "") -> None:
        super().__init__(f"{step}: {code} {enhanced}")
        self.step = step
        self.code = code
        self.enhanced = enhanced

    @property
    def is_about_the_mail(self) -> bool:
        """Whether it can be due to this mail, and the connection is as good as before."""
        return self.step != "MAIL" and 400 <= self.code < 600 and self.code != _CLOSING  # noqa: PLR2004 - SMTP: a no


class NoReply(Exception):
    """The whole mail was written and nobody knows whether the server has taken it."""


@dataclass(slots=True)
class _Line:
    """A connection, and how many mails it has seen."""

    smtp: SMTP
    mails: int = 0
    ending: asyncio.Task[None] | None = None

    @property
    def is_fit(self) -> bool:
        """Whether there may be another mail on it, as far as we can tell from here."""
        return self.smtp.is_connected and self.mails < MOST_MAILS


class Submission:
    """Hands mails over to the server of the settings, one at a time.

    The connection is kept for the next mail, and ended when none comes.

    Args:
        label: The channel's path in the settings, for sentences.
        server: The server of the setting ``smtp``.
        settings: The channel's section.
        token: Gets an access token, for where the settings have no password.
    """

    def __init__(self, label: str, server: Server, settings: MailSettings, token: AccessToken | None = None) -> None:
        self._label = label
        self._settings = settings
        self._connector = Connector(label, server, settings, token)
        self._idle: _Line | None = None
        self._endings: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def encrypted(self) -> bool | None:
        """Whether the last connection was; None before the first."""
        return self._connector.encrypted

    async def check(self) -> datetime | None:
        """Connects, logs in, and asks for nothing. Returns the server's time, where its greeting names it.

        Raises:
            Unreached: It does not work.
        """
        smtp = await self._connector.open()
        try:
            await self._command(smtp, b"NOOP")
        finally:
            await self._say_goodbye(smtp)
        return self._connector.server_time

    async def hand_over(self, envelope_id: str, recipient: str, content: bytes) -> None:
        """Hands one mail over; returns once the server has taken it.

        The return path is our own address. RFC 3834, 3.3 wants one that makes loops unlikely, and names the null path
        for a responder that does not care for bounces. This one does: only so is it known that a citizen could not be
        reached. Submission servers commonly refuse a null path to those who log in, and without a domain in it SPF has
        nothing to align with (RFC 7489, 3.1.2). A bounce has a null path itself and is never answered; what a robot
        sends to this path all the same ends at the parser, and at the cap for one address.

        Raises:
            Unreached: It was not handed over.
            Rejected: The server has refused it.
            NoReply: Nobody knows.
        """
        line = self._take()
        if line is not None:
            try:
                await self._transact(line, envelope_id, recipient, content)
            except (Unreached, Rejected) as error:
                if isinstance(error, Rejected) and error.is_about_the_mail:
                    raise
            else:
                return
            # The connection had died, or its time was over. Nothing was handed over: a new one has the word.
        await self._transact(_Line(await self._connector.open()), envelope_id, recipient, content)

    async def close(self) -> None:
        """Ends the connection that waits, if any, within ``QUIT_SECONDS``. Never raises."""
        self._closed = True
        line = self._take()
        if line is not None:
            self._end(line, 0)
        if self._endings:
            await asyncio.wait(self._endings)

    def _take(self) -> _Line | None:
        """The connection that waits, if it is fit."""
        line, self._idle = self._idle, None
        if line is None:
            return None
        if line.ending is not None:
            line.ending.cancel()
            line.ending = None
        if line.is_fit:
            return line
        drop(line.smtp)
        return None

    def _keep(self, line: _Line) -> None:
        """Lets a connection wait for the next mail, or ends it; nobody waits for that, the mail is handed over."""
        if self._closed or not line.is_fit:
            self._end(line, 0)
        else:
            self._idle = line
            self._end(line, IDLE_SECONDS)

    def _end(self, line: _Line, after: float) -> None:
        line.ending = asyncio.create_task(self._end_later(line, after))
        self._endings.add(line.ending)
        line.ending.add_done_callback(self._endings.discard)

    async def _end_later(self, line: _Line, after: float) -> None:
        try:
            await asyncio.sleep(after)
            if self._idle is line:  # whoever takes it first cancels this task
                self._idle = None
            await self._say_goodbye(line.smtp)
        finally:
            if line.ending is not None:  # else another mail goes out on it
                drop(line.smtp)

    async def _say_goodbye(self, smtp: SMTP) -> None:
        """Ends a connection in order, or at once where the server does not let us."""
        try:
            with suppress(SMTPException, OSError):
                await smtp.quit(timeout=min(QUIT_SECONDS, self._settings.timeout))
        finally:
            drop(smtp)

    async def _transact(self, line: _Line, envelope_id: str, recipient: str, content: bytes) -> None:
        """One mail on one connection, which is kept if it can be."""
        line.mails += 1
        try:
            await self._envelope(line.smtp, envelope_id, recipient)
            await self._content(line.smtp, content)
        except Rejected as error:
            if error.is_about_the_mail and await self._is_reset(line.smtp):
                self._keep(line)
            else:
                drop(line.smtp)
            raise
        except BaseException:
            drop(line.smtp)
            raise
        self._keep(line)

    async def _is_reset(self, smtp: SMTP) -> bool:
        """Drops what was said of a refused mail: RFC 5321, 4.1.1.5."""
        try:
            return (await self._command(smtp, b"RSET")).code // 100 == 2  # noqa: PLR2004 - SMTP: fine
        except Unreached:
            return False

    async def _envelope(self, smtp: SMTP, envelope_id: str, recipient: str) -> None:
        """MAIL and RCPT. With DSN (RFC 3461) a bounce names the answer, and comes for failures only."""
        of_mail: list[bytes] = []
        of_recipient: list[bytes] = []
        if smtp.supports_extension("dsn"):
            of_mail += [b"RET=HDRS", b"ENVID=" + envelope_id.encode()]
            of_recipient.append(b"NOTIFY=FAILURE")
        if not recipient.isascii():
            if not smtp.supports_extension("smtputf8"):
                raise Rejected("RCPT", _MAILBOX_NAME, "5.6.7")  # RFC 6531, 3.5: its own words for it
            of_mail += [b"BODY=8BITMIME", b"SMTPUTF8"]
        path = self._settings.address.encode()
        _expect("MAIL", 2, await self._command(smtp, b"MAIL", b"FROM:<" + path + b">", *of_mail))
        _expect("RCPT", 2, await self._command(smtp, b"RCPT", b"TO:<" + recipient.encode() + b">", *of_recipient))

    async def _content(self, smtp: SMTP, content: bytes) -> None:
        reply = await self._command(smtp, b"DATA")
        if reply.code != _START_INPUT:
            raise Rejected("DATA", reply.code, enhanced_code(reply.message))
        protocol = smtp.protocol
        stuffed = _LEADING_DOT.sub(b"..", content)  # RFC 5321, 4.5.2
        written = False
        if protocol is not None:
            with suppress(SMTPServerDisconnected):
                protocol.write(stuffed + b".\r\n")
                written = True
        if protocol is None or not written:
            raise self._lost()
        try:
            reply = await protocol.read_response(timeout=FINAL_TIMES * self._settings.timeout)
        except (SMTPException, OSError):
            raise NoReply from None
        if not 200 <= reply.code < 600 or reply.code // 100 == 3:  # noqa: PLR2004 - SMTP: neither taken nor refused
            raise NoReply
        _expect("DATA", 2, reply)

    async def _command(self, smtp: SMTP, *words: bytes) -> SMTPResponse:
        try:
            return await smtp.execute_command(*words)
        except (SMTPException, OSError):
            raise self._lost() from None

    def _lost(self) -> Unreached:
        return Unreached(f"{self._label}.smtp: the connection was lost before the mail was handed over.", underway=True)


def _expect(step: Step, kind: int, reply: SMTPResponse) -> None:
    if reply.code // 100 != kind:
        raise Rejected(step, reply.code, enhanced_code(reply.message))
