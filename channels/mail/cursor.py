"""How far an IMAP mailbox was read, as it is kept in the store, and what to search for; pure values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

import msgspec

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
Backlog = Literal["unseen", "all", "since"]


class Cursor(msgspec.Struct, frozen=True):
    """How far a mailbox was read. Written in the transaction that takes the mails into custody.

    UIDs ascend for as long as UIDVALIDITY stays (RFC 9051, 2.3.1.1); when it changes everything is read again, and
    the messages' own identities drop what is known.

    Attributes:
        validity: The mailbox's UIDVALIDITY.
        uid: The highest UID taken; all below it are in custody, but for the skipped.
        floor: The highest UID that was there when the reading began: up to it the backlog's rule decides.
        backlog: That rule: *unseen* or *all* at the first opening; *since* when a mailbox that was read before has
            got new UIDs: what is unread, and what arrived since the first opening, read or not.
        since: The day of the first opening.
        skipped: UIDs that the server would not hand out; they are tried again.
    """

    validity: int
    uid: int
    floor: int
    backlog: Backlog
    since: date
    skipped: tuple[int, ...] = ()

    def dump(self) -> str:
        """As the store keeps it."""
        return msgspec.json.encode(self).decode()


def load(text: str | None) -> Cursor | None:
    """The inverse of :meth:`Cursor.dump`; None before the first opening."""
    return None if text is None else msgspec.json.decode(text, type=Cursor)


def at_opening(
    before: Cursor | None, validity: int, next_uid: int, backlog: Literal["unseen", "all"], today: date
) -> Cursor:
    """Where reading begins: where it stopped, or from the first UID in a mailbox with new UIDs."""
    floor = max(0, next_uid - 1)
    if before is None:
        return Cursor(validity, 0, floor, backlog, today)
    if before.validity != validity:
        return Cursor(validity, 0, floor, "all" if backlog == "all" else "since", before.since)
    return before


def unreleased(release: str) -> list[str]:
    """The search keys (RFC 9051, 6.4.4) of mails that were not let go of."""
    if release == "seen":
        return ["UNSEEN"]
    if release.startswith("move:"):
        return ["UNDELETED"]
    flag = release.removeprefix("flag:")
    if flag.startswith("\\"):
        return ["UN" + flag[1:].upper()]
    return ["UNKEYWORD", flag]


@dataclass(frozen=True, slots=True)
class Search:
    """Search keys, and the lowest UID that may come of them: ``7:*`` always finds the last mail, too."""

    keys: tuple[str, ...]
    least: int


def searches(cursor: Cursor, release: str, *, below: bool) -> list[Search]:
    """What to search for: what is new and, if wanted, what lies below the cursor and was not let go of.

    Mails above the cursor are new whatever their flags say: people read mails too. Up to the floor the backlog's rule
    comes on top.
    """
    found: list[Search] = []
    if below and cursor.uid:
        known = unreleased(release)
        old, new = min(cursor.uid, cursor.floor), cursor.floor + 1
        if old:
            found.append(_between(1, old, *known, *_backlog(cursor)))
        if new <= cursor.uid:
            found.append(_between(new, cursor.uid, *known))
    if cursor.uid < cursor.floor:
        first = unreleased(release) if cursor.backlog == "unseen" else []
        found.append(_between(cursor.uid + 1, cursor.floor, *first, *_backlog(cursor)))
    found.append(_between(max(cursor.uid, cursor.floor) + 1, "*"))
    return found


def behind(cursor: Cursor, passed: Sequence[int], skipped: tuple[int, ...]) -> Cursor:
    """The cursor behind some more mails."""
    if not passed:
        return cursor
    return msgspec.structs.replace(cursor, uid=max(cursor.uid, *passed), skipped=skipped)


def _between(first: int, last: int | str, *keys: str) -> Search:
    return Search(("UID", f"{first}:{last}", *keys), first)


def _backlog(cursor: Cursor) -> list[str]:
    if cursor.backlog == "all":
        return []
    if cursor.backlog == "unseen":
        return ["UNSEEN"]
    since = cursor.since - timedelta(days=1)  # a server goes by its own time zone
    return ["OR", "UNSEEN", "SINCE", f"{since.day}-{MONTHS[since.month - 1]}-{since.year}"]


def uid_set(uids: Sequence[int]) -> str:
    """Ascending UIDs as a sequence set with ranges (RFC 9051, 9): ``1:3,7``."""
    runs: list[list[int]] = []
    for uid in uids:
        if runs and uid == runs[-1][1] + 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in runs)
