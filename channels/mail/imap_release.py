"""Lets go of committed mails on an IMAP server: flags or moves them, and tries again what is refused."""

from collections.abc import Sequence
from typing import Final

from channels.mail.box import Condition, Pace
from channels.mail.imap import Connection, Declined
from channels.mail.imap_folder import Opened
from gateway.clock import Clock
from gateway.errors import NeedsOperator

_AT_ONCE: Final = 500
_MOST_REFUSALS: Final = 16
"""So many STOREs may fail before the rest waits: enough to find a single mail among thousands by halving."""


class Release:
    """What is to be let go of and has not been, by UID. All of it is in custody.

    Args:
        label: The channel's path in the settings, for sentences.
        setting: ``seen``, ``flag:NAME`` or ``move:FOLDER``.
        clock: Tells when what was refused is due again.
        pace: How soon that is.
        condition: Is told why mails cannot be let go of.
    """

    def __init__(self, label: str, setting: str, clock: Clock, pace: Pace, condition: Condition) -> None:
        self._label = label
        self._folder = setting.removeprefix("move:") if setting.startswith("move:") else ""
        self._flag = "\\Seen" if setting == "seen" else setting.removeprefix("flag:")
        self._clock = clock
        self._pace = pace
        self._condition = condition
        self._pending: set[int] = set()
        self._again_at = 0.0

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, uid: object) -> bool:
        return uid in self._pending

    @property
    def is_due(self) -> bool:
        """Whether something is to be tried again now."""
        return bool(self._pending) and self._clock.monotonic() >= self._again_at

    async def need(self, connection: Connection, opened: Opened) -> None:
        """Finds out, before the first mail is taken, whether mails can be let go of; makes the folder for it.

        Raises:
            NeedsOperator: They cannot: each would come again for ever.
        """
        setting = f"{self._label}.release"
        if not self._folder:
            if not self._is_kept(opened.flags):
                raise NeedsOperator(f"{setting}: the server does not keep this flag; use another, or move:FOLDER.")
            return
        if not connection.can("MOVE", "UIDPLUS"):
            raise NeedsOperator(f"{setting}: the server cannot move single mails; use seen or flag:NAME.")
        try:
            await connection.need_folder(self._folder)
        except Declined as error:
            raise NeedsOperator(f"{setting}: the folder cannot be made; correct the name.") from error

    def _is_kept(self, flags: frozenset[str]) -> bool:
        """Whether a server that keeps these flags keeps the one that is given (RFC 9051, 7.1)."""
        return self._flag.lower() in flags or ("\\*" in flags and not self._flag.startswith("\\"))

    def forget(self) -> None:
        """The UIDs mean nothing any more: the mailbox has got new ones."""
        self._pending.clear()

    async def these(self, connection: Connection | None, uids: Sequence[int]) -> None:
        """Lets go of committed mails, and of what is due besides; later, where there is no connection.

        Raises:
            Lost: The connection broke meanwhile.
        """
        if connection is None or not connection.alive:
            self._pending.update(uids)
        elif self._again_at > self._clock.monotonic():
            await self._store(connection, list(uids), [_MOST_REFUSALS])
        else:
            self._pending.update(uids)
            await self.again(connection)

    async def again(self, connection: Connection) -> None:
        """Tries everything that waits. Raises Lost."""
        uids = sorted(self._pending)
        self._again_at = 0.0
        refusals = [_MOST_REFUSALS]
        for start in range(0, len(uids), _AT_ONCE):
            await self._store(connection, uids[start : start + _AT_ONCE], refusals)
        if not self._pending:
            self._condition.unreleased = ""

    async def _store(self, connection: Connection, uids: list[int], refusals: list[int]) -> None:
        """Lets go of some, halving what is refused; the rest stays pending."""
        self._pending.update(uids)
        if refusals[0] <= 0:
            return
        try:
            if self._folder:
                await connection.move(uids, self._folder)
            else:
                await connection.flag(uids, self._flag)
        except Declined:
            refusals[0] -= 1
            self._again_at = self._clock.monotonic() + self._pace.release_again
            self._condition.unreleased = (
                f"{self._label}.release: the server does not let mails be flagged or moved; they are in custody and "
                "this is tried again. Look at the user's rights and quota there."
            )
            if len(uids) > 1:
                middle = len(uids) // 2
                await self._store(connection, uids[:middle], refusals)
                await self._store(connection, uids[middle:], refusals)
        else:
            self._pending.difference_update(uids)
