"""Citizens' mails arrive: a thread that appends by IMAP or drops files into the Maildir, and a look at that Maildir."""

from __future__ import annotations

import imaplib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

from channels.mail.identity import external_id
from tests.services.dovecot import Dovecot
from tests.soak.mail_citizens import Mail

_LATER_SHARE = 0.5
"""So many redeliveries come some time after the mail itself, the others with it."""


class Mailbox:
    """A user's mailbox from outside: what arrives, and what lies there with which flag.

    Args:
        dovecot: The server.
        user: The user.
    """

    def __init__(self, dovecot: Dovecot, user: str) -> None:
        self.dovecot = dovecot
        self.user = user
        self.root = dovecot.add_user(user)
        self._identities: dict[str, str] = {}
        self._dropped = 0

    def drop(self, raw: bytes, *, read: bool) -> None:
        """Puts a mail into the Maildir as an MTA does, whether or not Dovecot runs."""
        self._dropped += 1
        name = f"{int(time.time())}.M{self._dropped:06d}P{os.getpid()}.mta"
        draft = self.root / "tmp" / name
        draft.write_bytes(raw)
        owner = self.root.stat()
        os.chown(draft, owner.st_uid, owner.st_gid)
        draft.rename(self.root / "cur" / f"{name}:2,S" if read else self.root / "new" / name)

    def append(self, raws: Sequence[bytes], *, read: bool) -> int:
        """Appends mails by IMAP; returns how many of them Dovecot has taken for certain."""
        taken = 0
        try:
            with self.dovecot.client(self.user) as client:
                for raw in raws:
                    if client.append("INBOX", "\\Seen" if read else "", "", raw)[0] != "OK":
                        break
                    taken += 1
        except (OSError, imaplib.IMAP4.error):
            pass  # killed under our hands
        return taken

    def read_newest(self, count: int, note: Callable[[str], None]) -> None:
        """A person reads the newest unread mails in a mail program; whose they are is noted before."""
        with suppress(OSError, imaplib.IMAP4.error), self.dovecot.client(self.user) as client:
            client.select("INBOX")
            uids = (client.uid("search", "UNSEEN")[1][0] or b"").split()[-count:]
            for uid in uids:
                for part in client.uid("fetch", uid.decode(), "(BODY.PEEK[])")[1]:
                    if isinstance(part, tuple):
                        note(external_id(part[1]))
                        client.uid("store", uid.decode(), "+FLAGS.SILENT", "(\\Seen)")

    def look(self) -> tuple[Counter[str], Counter[str]]:
        """The identities of all mails that lie there, and of those among them that are marked as read."""
        lying: Counter[str] = Counter()
        seen: Counter[str] = Counter()
        for folder in ("new", "cur"):
            for entry in list(os.scandir(self.root / folder)):
                name, _, flags = entry.name.partition(":2,")
                identity = self._identity(name, Path(entry.path))
                if identity is not None:
                    lying[identity] += 1
                    seen[identity] += "S" in flags
        return lying, +seen

    def _identity(self, name: str, path: Path) -> str | None:
        name = name.partition(",")[0]
        if name not in self._identities:
            try:
                self._identities[name] = external_id(path.read_bytes())
            except FileNotFoundError:
                return None  # renamed at this moment; the next look finds it
        return self._identities[name]


class Feeder(threading.Thread):
    """Feeds in bursts, spread evenly over the time that it is given.

    Args:
        box: Where mails arrive.
        mails: What is fed.
        seconds: Within which they arrive, if the server is quick enough.
        random: Decides on bursts and ways.
    """

    def __init__(self, box: Mailbox, mails: Sequence[Mail], seconds: float, random: Random) -> None:
        super().__init__(name="mail feeder", daemon=True)
        self.ways: Counter[str] = Counter()
        self.fed = 0
        self.error: Exception | None = None
        self._box = box
        self._mails = list(mails)
        self._pause = seconds / max(1, len(mails))
        self._random = random
        self._later: list[bytes] = []

    def run(self) -> None:
        """Feeds until there is nothing left."""
        begin = time.monotonic()
        try:
            while self.fed < len(self._mails):
                size = self._random.choice((1, 5, 25, 60))
                burst = self._mails[self.fed : self.fed + size]
                time.sleep(max(0.0, begin + self.fed * self._pause - time.monotonic()))
                self._feed(burst)
                self.fed += len(burst)
            for raw in self._later:
                self._drop(raw, read=False)
        except Exception as error:  # noqa: BLE001 - a thread's error has to reach the verdict
            self.error = error

    def _feed(self, burst: Sequence[Mail]) -> None:
        due, self._later = self._later, []
        raws = list(due)
        for mail in burst:
            first, *more = mail.copies
            if mail.read:
                self._deliver([first], read=True)
            else:
                raws.append(first)
            for raw in more:
                (self._later if self._random.random() < _LATER_SHARE else raws).append(raw)
        self._deliver(raws, read=False)

    def _deliver(self, raws: Sequence[bytes], *, read: bool) -> None:
        """What Dovecot has not taken for certain goes into the Maildir: some mails come twice by that."""
        taken = self._box.append(raws, read=read) if raws and self._random.random() < 0.5 else 0
        self.ways["mails appended by IMAP"] += taken
        for raw in raws[taken:]:
            self._drop(raw, read=read)

    def _drop(self, raw: bytes, *, read: bool) -> None:
        self._box.drop(raw, read=read)
        self.ways["mails dropped into the Maildir"] += 1

    def finish(self, seconds: float) -> dict[str, object]:
        """Waits for the end; returns figures for the verdict."""
        self.join(seconds)
        if self.error is not None:
            raise self.error
        if self.is_alive():
            message = f"the feeder is not done after {seconds:g} s"
            raise TimeoutError(message)
        return dict(sorted(self.ways.items()))
