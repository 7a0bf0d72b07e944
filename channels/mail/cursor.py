"""How far an IMAP mailbox was read, as it is kept in the store, and what to search for; pure values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

import msgspec

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
Backlog = Literal["unseen", "all", "since"]


class Cursor(msgspec.Struct, frozen=True):
    """How far a mailbox was read. Written in the transaction that takes the mails into custody.

    UIDs ascend for as long as UIDVALIDITY stays (RFC 9051, 2.3.1.1). When it changes, or when the mailbox was put back
    from a backup, a new life of it begins: it is read again, and the messages' own identities drop what is known.

    Attributes:
        validity: The mailbox's UIDVALIDITY.
        uid: The highest UID taken; all below it are in custody, but for the skipped.
        floor: The highest UID that was there when this life began. Up to it the backlog is taken, behind it all.
        backlog: How the backlog was chosen: *unseen* or *all* at the first opening; *since* in a later life: what is
            unread, and what arrived since the first opening, read or not.
        since: The day of the first opening; of an older mail that was waiting when a life ended, if there was one.
        skipped: UIDs that the server would not hand out; they are tried again.
        last: The highest UID of the backlog.
        oldest: The day on which the oldest mail of the backlog had arrived.
        known: The UID of a mail that was taken, and when that had arrived, in seconds since 1970; 0 where the server
            does not say. Another mail in its place means another life.
    """

    validity: int
    uid: int
    floor: int
    backlog: Backlog
    since: date
    skipped: tuple[int, ...] = ()
    last: int = 0
    oldest: date | None = None
    known: tuple[int, int] = (0, 0)

    def dump(self) -> str:
        """As the store keeps it."""
        return msgspec.json.encode(self).decode()


def load(text: str | None) -> Cursor | None:
    """The inverse of :meth:`Cursor.dump`; None before the first opening."""
    return None if text is None else msgspec.json.decode(text, type=Cursor)


def is_another_life(before: Cursor, validity: int, next_uid: int | None, arrived: int | None) -> bool:
    """Whether a mailbox is no longer the one that was read.

    A backup that is put back brings its old UIDVALIDITY and its old UIDNEXT with it, against RFC 9051, 2.3.1.1: the
    next mails get UIDs that others had.

    Args:
        before: How far it was read.
        validity: Its UIDVALIDITY now.
        next_uid: Its UIDNEXT now; None where the server does not say.
        arrived: When the mail had arrived that has the UID which ``before`` knows; None where there is none.
    """
    if before.validity != validity or (next_uid is not None and next_uid <= before.uid):
        return True
    return bool(arrived and before.known[1]) and arrived != before.known[1]


def at_opening(
    before: Cursor | None, validity: int, floor: int, backlog: Literal["unseen", "all"], today: date
) -> Cursor:
    """Where a life of the mailbox begins: at its first UID.

    A mail that was waiting when the last life ended may have been read by somebody meanwhile: if it had arrived before
    the first opening, the new backlog reaches back to its day.
    """
    if before is None:
        return Cursor(validity, 0, floor, backlog, today)
    since = before.since
    if before.oldest is not None and (before.uid < before.last or before.skipped):
        since = min(since, before.oldest)
    return Cursor(validity, 0, floor, "all" if backlog == "all" else "since", since)


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


def backlog_search(cursor: Cursor, release: str) -> Search:
    """What the backlog is. Asked once in a life, and kept: afterwards it does not matter who reads which mail."""
    first = unreleased(release) if cursor.backlog == "unseen" else []
    return _between(1, cursor.floor, *first, *_backlog(cursor))


def searches(cursor: Cursor, release: str, *, below: bool) -> list[Search]:
    """What is new and, if wanted, what lies below the cursor and was not let go of.

    Mails behind the floor are new whatever their flags say: people read mails too.
    """
    found = [_between(max(cursor.uid, cursor.floor) + 1, "*")]
    if below and cursor.uid:
        found.insert(0, _between(1, cursor.uid, *unreleased(release)))
    return found


def waiting(cursor: Cursor, backlog: frozenset[int], found: Iterable[int]) -> set[int]:
    """The UIDs that are to be taken: what was found, and what is left of the backlog; nothing else up to the floor."""
    left = {uid for uid in backlog if uid > cursor.uid} if cursor.uid < cursor.last else set()
    return left | {uid for uid in found if uid > cursor.floor or uid in backlog}


def behind(
    cursor: Cursor, passed: Sequence[int], skipped: tuple[int, ...], known: tuple[int, int] | None = None
) -> Cursor:
    """The cursor behind some more mails; ``known`` is one of them, and when it had arrived."""
    if not passed:
        return cursor
    return msgspec.structs.replace(
        cursor, uid=max(cursor.uid, *passed), skipped=skipped, known=max(cursor.known, known or cursor.known)
    )


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


def uids_of(text: str) -> frozenset[int]:
    """The inverse of :func:`uid_set`."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition(":")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)
