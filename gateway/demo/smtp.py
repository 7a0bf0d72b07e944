"""The demo's mail server: takes the receipts that citizens get by mail, and keeps the newest for the screen.

It speaks as much of RFC 5321 as one who sends mails needs, on loopback and without TLS; nothing leaves the machine.
"""

import asyncio
import re
from asyncio import IncompleteReadError, LimitOverrunError
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from types import TracebackType
from typing import Final, Self

HOST: Final = "127.0.0.1"
KEPT: Final = 5
"""So many of the newest mails are kept."""

_LONGEST_LINE: Final = 65_536
_LARGEST_MAIL: Final = 1_000_000
_PATH: Final = re.compile(r":\s*<([^<>]*)>")
_HELLO: Final = "250-demo.example.org\r\n250-SMTPUTF8\r\n250 8BITMIME"


@dataclass(frozen=True, slots=True)
class TakenMail:
    """A mail that the server has taken.

    Attributes:
        recipient: Whom it is for.
        subject: Its subject, decoded.
        text: Its text.
    """

    recipient: str
    subject: str
    text: str


class DemoMailServer:
    """Takes every mail that is sent to it. Used as a context.

    Attributes:
        newest: The mails that came last, the newest at the end.
        count: How many came in all.
    """

    def __init__(self) -> None:
        self.newest: deque[TakenMail] = deque(maxlen=KEPT)
        self.count = 0
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0, limit=_LONGEST_LINE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    @property
    def url(self) -> str:
        """Where it is, as the setting ``smtp`` wants it."""
        if self._server is None:
            raise RuntimeError("the mail server is not running")
        return f"smtp://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = asyncio.current_task()
        if session is None:
            raise RuntimeError("a session needs a task")
        self._sessions.add(session)
        try:
            with suppress(ConnectionError, IncompleteReadError, LimitOverrunError, ValueError):  # it sent no mail
                await self._converse(reader, writer)
        finally:
            self._sessions.discard(session)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipients: list[str] = []
        reply = "220 demo.example.org ESMTP"
        while True:
            writer.write(f"{reply}\r\n".encode())
            await writer.drain()
            command = (await reader.readuntil(b"\n")).decode("utf-8", "replace").strip()
            verb = command[:4].upper()
            reply = "250 2.0.0 Ok"
            if verb == "EHLO":
                reply = _HELLO
            elif verb == "RCPT" and (path := _PATH.search(command)):
                recipients.append(path[1])
            elif verb in ("MAIL", "RSET"):
                recipients = []
            elif verb == "DATA":
                reply = await self._take(reader, writer, recipients)
                recipients = []
            elif verb == "QUIT":
                writer.write(b"221 2.0.0 Bye\r\n")
                await writer.drain()
                return
            elif verb not in ("HELO", "NOOP"):
                reply = "502 5.5.1 Not known here"

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, recipients: list[str]) -> str:
        """Takes a mail's bytes up to the lone dot (RFC 5321, 4.5.2); returns the reply."""
        if not recipients:
            return "503 5.5.1 For whom?"
        writer.write(b"354 Go on\r\n")
        await writer.drain()
        content = bytearray()
        while (line := await reader.readuntil(b"\n")) != b".\r\n":
            content += line.removeprefix(b".")
            if len(content) > _LARGEST_MAIL:
                raise ValueError("larger than any receipt")
        message = message_from_bytes(bytes(content), policy=default)
        body = message.get_body(("plain",))
        text = "" if body is None else "\n".join(str(body.get_content()).split("\r\n")).strip()
        for recipient in recipients:
            self.newest.append(TakenMail(recipient, str(message["Subject"] or ""), text))
            self.count += 1
        return "250 2.0.0 Taken"
