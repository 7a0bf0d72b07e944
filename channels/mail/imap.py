"""One connection to an IMAP server: IMAPClient in a thread of its own, with a deadline on every call.

IMAPClient blocks. A call that overruns its deadline is ended by shutting its socket down, which lets the thread go; the
connection is then gone for good, and a new one is made.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final, TypeVar

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, IMAPClientReadOnlyError, LoginError

from channels.mail.cursor import uid_set
from channels.mail.identity import KEPT_OF_LARGE
from channels.mail.imap_folder import Opened, open_folder
from channels.mail.imap_idle import announced, begin_idle
from channels.mail.oauth import AccessToken
from channels.mail.settings import MailSettings
from gateway.errors import ChannelUnavailable, GatewayError, NeedsOperator

SLOWEST: Final = 50_000
"""Bytes a second that a connection must bring at least: what a mail of known size may take depends on it."""

SEARCH_WINDOW: Final = 50_000
"""Mails that one search looks at: its answer is one line, of which imaplib takes a megabyte."""

_DATES_AT_ONCE: Final = 2_000

_FOR_NOW: Final = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG"})
"""Response codes of RFC 5530 with which a log-in fails that may succeed later."""

_CODE: Final = re.compile(r"\[([A-Z-]+)\]")

T = TypeVar("T")


class Lost(ChannelUnavailable):
    """The connection is gone."""


class Declined(Exception):
    """The server has said no to one command; the connection works."""


class Connection:
    """One connection, used by one task at a time.

    Args:
        label: The channel's path in the settings, for sentences.
        settings: Its section.
        token: Gives the access token, where one is used.
    """

    def __init__(self, label: str, settings: MailSettings, token: AccessToken) -> None:
        self._label = label
        self._settings = settings
        self._server = settings.imap
        self._token = token
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="imap")
        self._client: IMAPClient | None = None
        self._exists = 0
        self._aborted = False
        self._can: frozenset[str] = frozenset()

    @property
    def alive(self) -> bool:
        """Whether nothing has ended the connection yet."""
        return not self._aborted

    def can(self, *capabilities: str) -> bool:
        """Whether the server has said that it can do one of these."""
        return any(capability in self._can for capability in capabilities)

    async def open(self) -> Opened:
        """Connects, encrypts, logs in and opens the folder.

        Raises:
            NeedsOperator: Only a person can mend it.
            ChannelUnavailable: It may work later.
        """
        settings = self._settings
        secret = await self._token.get() if settings.uses_oauth else ""
        if settings.password is not None:
            secret = settings.password.get_secret_value()
        try:
            await self._reach()
            await self._log_in(secret)
            return await self._call(self._select, settings.timeout)
        except Declined as error:
            raise NeedsOperator(
                f"{self._label}.mailbox: the server does not open the folder {self._server.folder}; correct the "
                "setting, or make the folder."
            ) from error

    async def _reach(self) -> None:
        try:
            await self._call(self._connect, 3 * self._settings.timeout)
        except Lost as error:
            server, cause = self._server, type(error.__cause__).__name__
            raise ChannelUnavailable(
                f"{self._label}.mailbox: {server.host}:{server.port} cannot be reached ({cause}); it is tried again."
            ) from error

    def _connect(self) -> None:
        server, timeout = self._server, self._settings.timeout
        try:
            context = ssl.create_default_context()
            if self._settings.ca_file is not None:
                context.load_verify_locations(self._settings.ca_file)
        except OSError as error:  # ssl.SSLError too
            raise NeedsOperator(
                f"{self._label}.ca_file: it holds no certificate that can be read ({type(error).__name__})."
            ) from error
        try:
            self._client = client = IMAPClient(
                server.host,
                server.port,
                ssl=server.implicit_tls,
                ssl_context=context,
                timeout=SocketTimeout(connect=timeout, read=timeout),
            )
            client.normalise_times = False
            if not server.implicit_tls:
                self._start_tls(client, context)
        except ssl.SSLCertVerificationError as error:
            raise NeedsOperator(
                f"{self._label}.mailbox: the server's certificate is not trusted ({error.verify_message}); name its "
                "own with ca_file, or correct the host."
            ) from error

    def _start_tls(self, client: IMAPClient, context: ssl.SSLContext) -> None:
        """Encrypts where the server can; else no secret leaves this machine (as for SMTP)."""
        near = ip_address(client.socket().getpeername()[0]).is_loopback
        if client.has_capability("STARTTLS"):
            if near and self._settings.ca_file is None:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            client.starttls(context)
        elif not near or self._settings.require_tls:
            raise NeedsOperator(
                f"{self._label}.mailbox: the server offers no STARTTLS, and no password is sent without it: use imaps://."
            )

    async def _log_in(self, secret: str) -> None:
        client, user = self._opened(), self._server.user
        work = client.oauth2_login if self._settings.uses_oauth else client.login
        try:
            await self._call(lambda: work(user, secret), self._settings.timeout)
        except Declined as error:
            self._token.forget()
            self.abort()
            code = _CODE.search(str(error))
            if code is not None and code[1] in _FOR_NOW:
                raise ChannelUnavailable(
                    f"{self._label}.mailbox: the server lets nobody in for now ({code[1]})."
                ) from None
            way = "the access token" if self._settings.uses_oauth else "the password"
            raise NeedsOperator(
                f"{self._label}.mailbox: the server accepts the user or {way} not; correct the settings."
            ) from None

    def _select(self) -> Opened:
        try:
            opened = open_folder(self._opened(), self._server.folder)
        except IMAPClientReadOnlyError as error:
            raise NeedsOperator(
                f"{self._label}.mailbox: the folder {self._server.folder} may only be read; let the user change it."
            ) from error
        self._can, self._exists = frozenset(opened.capabilities), opened.exists
        return opened

    async def search(self, keys: Sequence[str]) -> list[int]:
        """The UIDs of all mails that fit, ascending."""
        return await self._call(lambda: self._search(keys), self._settings.timeout)

    def _search(self, keys: Sequence[str]) -> list[int]:
        client = self._opened()
        if self._exists <= SEARCH_WINDOW:
            return sorted(client.search(list(keys)))
        found: set[int] = set()
        last: int | str = "*"
        first = self._exists
        while first > 1:
            first = max(1, first - SEARCH_WINDOW)
            found.update(client.search([f"{first}:{last}", *keys]))
            last = max(1, first - 1)
        return sorted(found)

    async def refresh(self) -> None:
        """Lets the server say what is new (RFC 9051, 6.1.2)."""
        client = self._opened()

        def noop() -> Sequence[Any]:
            announced(client)  # what was said before counts as seen now
            responses: Sequence[Any] = client.noop()[1]
            return responses

        self._note_exists(await self._call(noop, self._settings.timeout))
        announced(client)

    def _note_exists(self, responses: Sequence[Any]) -> None:
        for response in responses:
            if len(response) > 1 and response[1] == b"EXISTS" and isinstance(response[0], int):
                self._exists = response[0]

    async def sizes(self, uids: Sequence[int]) -> dict[int, tuple[int, datetime | None]]:
        """How large mails are and when they came; what is gone is left out."""
        found = await self._fetch(uids, ["RFC822.SIZE", "INTERNALDATE"], 0)
        return {uid: (int(values[b"RFC822.SIZE"]), values.get(b"INTERNALDATE")) for uid, values in found.items()}

    async def arrivals(self, uids: Sequence[int]) -> dict[int, datetime]:
        """When mails came; what is gone, or bears no date, is left out. Asked for in pieces."""
        dates: dict[int, datetime] = {}
        for start in range(0, len(uids), _DATES_AT_ONCE):
            found = await self._fetch(uids[start : start + _DATES_AT_ONCE], ["INTERNALDATE"], 0)
            dates |= {uid: values[b"INTERNALDATE"] for uid, values in found.items() if values.get(b"INTERNALDATE")}
        return dates

    async def bodies(self, uids: Sequence[int], size: int) -> dict[int, bytes]:
        """Whole mails, that are ``size`` bytes together; what is gone is left out."""
        found = await self._fetch(uids, ["BODY.PEEK[]"], size)
        return {uid: _bytes_of(values, b"BODY[]") for uid, values in found.items()}

    async def beginning(self, uid: int) -> tuple[bytes, bytes] | None:
        """Header and first part of a mail that is too large; None when it is gone."""
        part = f"<0.{KEPT_OF_LARGE}>"
        found = await self._fetch([uid], [f"BODY.PEEK[HEADER]{part}", f"BODY.PEEK[TEXT]{part}"], 2 * KEPT_OF_LARGE)
        values = found.get(uid)
        return None if values is None else (_bytes_of(values, b"BODY[HEADER]"), _bytes_of(values, b"BODY[TEXT]"))

    async def _fetch(self, uids: Sequence[int], what: Sequence[str], size: int) -> dict[int, dict[bytes, Any]]:
        client = self._opened()

        def fetch() -> dict[int, dict[bytes, Any]]:
            try:
                found: dict[int, dict[bytes, Any]] = client.fetch(uids, what)
            except (LookupError, ValueError, TypeError, RecursionError) as error:  # it cannot be taken apart
                raise Declined(type(error).__name__) from error
            return found

        return await self._call(fetch, self._settings.timeout + size / SLOWEST)

    async def flag(self, uids: Sequence[int], flag: str) -> None:
        """Gives mails a flag. Those that are gone are passed over (RFC 9051, 6.4.9)."""
        client = self._opened()
        await self._call(lambda: client.add_flags(uid_set(uids), [flag], silent=True), self._settings.timeout)

    async def move(self, uids: Sequence[int], folder: str) -> None:
        """Moves mails; only these are ever expunged (RFC 6851; RFC 4315, 2.1)."""
        client, which = self._opened(), uid_set(uids)

        def copy() -> None:
            client.copy(which, folder)
            client.add_flags(which, ["\\Deleted"], silent=True)
            client.uid_expunge(which)

        await self._call((lambda: client.move(which, folder)) if self.can("MOVE") else copy, 3 * self._settings.timeout)

    async def need_folder(self, folder: str) -> None:
        """Makes a folder where there is none."""
        client = self._opened()

        def make() -> None:
            if not client.folder_exists(folder):
                client.create_folder(folder)

        await self._call(make, self._settings.timeout)

    async def wait(self, seconds: float) -> None:
        """Sits in IDLE until the server says anything, or the time is over (RFC 2177)."""
        client = self._opened()
        timeout = self._settings.timeout
        if announced(client):  # while it was asked something else: it will not say it again
            return
        try:
            told = await self._call(lambda: begin_idle(client, timeout), timeout)
        except Declined:  # it offers what it cannot do: from now on it is polled
            self._can -= {"IDLE"}
            return
        if not told:
            await self._readable(client.socket(), seconds)
        self._note_exists((await self._call(client.idle_done, timeout))[1])

    async def _readable(self, sock: socket.socket, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        descriptor = sock.fileno()
        if descriptor < 0:
            raise self._lost("was closed")
        loop.add_reader(descriptor, readable.set)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await readable.wait()
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            loop.remove_reader(descriptor)

    async def _call(self, work: Callable[[], T], seconds: float) -> T:
        """Does something in the thread.

        Raises:
            Lost: It did not end in time, or the connection broke.
            Declined: The server said no.
        """
        if self._aborted:
            raise self._lost("was closed")
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except LoginError as error:
            raise Declined(str(error)) from None
        except IMAPClientAbortError as error:
            raise self._lost("broke") from error
        except IMAPClientError as error:
            raise Declined(str(error)) from error
        except TimeoutError as error:
            raise self._lost("gives no answer") from error
        except OSError as error:
            raise self._lost(f"fails ({type(error).__name__})") from error
        except asyncio.CancelledError:
            self.abort()
            raise
        except (Declined, GatewayError):
            raise
        except Exception as error:  # whatever the library makes of an answer that is none
            raise self._lost(f"brings nonsense ({type(error).__name__})") from error

    def _lost(self, what: str) -> Lost:
        self.abort()
        server = self._server
        return Lost(f"{self._label}.mailbox: the connection to {server.host}:{server.port} {what}; it is made anew.")

    def _opened(self) -> IMAPClient:
        if self._client is None:
            raise self._lost("is not open")
        return self._client

    def abort(self) -> None:
        """Ends the connection at once, and with it whatever the thread is doing. Never raises."""
        if self._aborted:
            return
        self._aborted = True
        self._executor.submit(self._let_go)
        self._executor.shutdown(wait=False)
        if self._client is not None:
            with suppress(OSError):  # the plain socket's own: TLS has no say in it
                socket.socket.shutdown(self._client.socket(), socket.SHUT_RDWR)

    def _let_go(self) -> None:
        """The thread's last work: by now nobody uses the socket."""
        if self._client is not None:
            with suppress(Exception):
                self._client.shutdown()


def _bytes_of(values: dict[bytes, Any], name: bytes) -> bytes:
    """A part by its name, whether the server repeats where it begins or not; what is NIL is empty."""
    for key, value in values.items():
        if key == name or key.startswith(name + b"<"):
            return bytes(value or b"")
    raise Declined(f"no {name.decode()}")
