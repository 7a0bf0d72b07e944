"""The messages in one phone: read from all memories, each deleted only where it was last seen."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import gammu

from channels.sms.debug_log import DebugLog, listed_locations, pdu_read, ucs2_text
from channels.sms.frames import Reading, Record, Slot
from channels.sms.record import encode_record, evidence, external_id

GONE: Final = (gammu.ERR_TIMEOUT, gammu.ERR_DEVICEWRITEERROR, gammu.ERR_DEVICEREADERROR)
"""The phone no longer answers: whatever is asked next would only be spoilt."""

_MISSING: Final = (gammu.ERR_EMPTY, gammu.ERR_INVALIDLOCATION)
_UNREADABLE: Final = (
    *(gammu.ERR_CORRUPTED, gammu.ERR_UNKNOWN, gammu.ERR_NOTSUPPORTED, gammu.ERR_FILENOTSUPPORTED),
    ValueError,  # python-gammu's: the 0th of a month
)
_NO_SLOT: Final = -1
"""The location of a delivery report that was never stored."""

PHONE_MEMORY: Final = 100_000
"""libGammu counts the phone's own memory from here on where there is a SIM too."""

_DUMMY_FOLDER: Final = 10_000
"""The dummy phone counts the messages of its n-th folder from n times this on."""


class Inbox:
    """What lies in a phone, what was read of it, and what cannot be deleted.

    Args:
        machine: The connection.
        folder: Where the dummy phone keeps its messages; None for a modem.
        listing: Whether libGammu may list a modem's messages; there are listings that it crashes on.
        delete_raw: Deletes slots without libGammu, given their PDUs; returns which of them are free now.
    """

    def __init__(
        self,
        machine: gammu.StateMachine,
        folder: Path | None,
        *,
        listing: bool,
        delete_raw: Callable[[dict[int, str]], list[bool]],
    ) -> None:
        self._machine = machine
        self._folder = folder
        self._listing = listing
        self._delete_raw = delete_raw
        self._log = DebugLog(machine)
        self._listed: list[int] | None = None
        self._seen: dict[int, str] = {}
        self._deleted: dict[int, str] = {}
        self._stuck: dict[int, str] = {}
        self._pdus: dict[int, str] = {}
        self._tried_raw: dict[int, str] = {}

    def read(self, limit: int, *, again: bool) -> Reading:
        """Up to ``limit`` messages; with those that could not be deleted only when ``again`` is set."""
        records: list[Record] = []
        unreadable = 0
        said_to_be_gone, self._deleted = self._deleted, {}
        self._seen = {}
        try:
            for found in self._slots():
                if found is None:
                    unreadable += 1
                elif self._is_wanted(found.slot, said_to_be_gone) or again:
                    records.append(found)
                if len(records) >= limit:
                    break
            else:
                self._forget_unseen()
        except GONE:
            raise
        except gammu.GSMError:
            if not records:  # what was read is worth handing over; the next reading meets the failure first
                raise
        return Reading(records, unreadable, len(self._stuck))

    def _is_wanted(self, slot: Slot, said_to_be_gone: Mapping[int, str]) -> bool:
        """Remembers what lies where; a message that cannot be deleted is not wanted at every reading."""
        self._seen[slot.location] = slot.external_id
        if said_to_be_gone.get(slot.location) == slot.external_id:
            self._stuck[slot.location] = slot.external_id
        return self._stuck.get(slot.location) != slot.external_id

    def _forget_unseen(self) -> None:
        for remembered in (self._stuck, self._pdus, self._tried_raw):
            for location in remembered.keys() - self._seen.keys():
                del remembered[location]

    def _slots(self) -> Iterator[Record | None]:
        if self._folder is not None:
            return self._folder_slots(self._folder)
        return self._listed_slots() if self._listing else self._every_slot()

    def _listed_slots(self) -> Iterator[Record | None]:
        """LibGammu lists a memory and hands out its messages; at one that it cannot read it fails, or sees the end.

        The listing says which slot that was: it is read alone, and the walk goes on behind it.
        """
        location: int | None = None
        met: set[int] = set()
        self._listed = None
        while True:
            try:
                entry = self._next(location)
            except (*_MISSING, *_UNREADABLE) as error:
                location = self._listed_behind(location)
                if location is not None:
                    yield self._alone(location)
                elif isinstance(error, _MISSING):
                    return
                elif self._listed is not None:
                    raise
                else:
                    yield from self._every_slot()
                    return
            else:
                location = int(entry["Location"])
                if location in met:
                    return  # listed twice: libGammu would never get past it; it does once these are deleted
                met.add(location)
                yield self._alone(location) if _is_spoilt(entry) else _record(entry)

    def _next(self, location: int | None) -> dict[str, Any]:
        where = {"Start": True} if location is None else {"Start": False, "Location": location}
        with self._log.capture() as said:
            try:
                entries: list[dict[str, Any]] = self._machine.GetNextSMS(Folder=0, **where)
            finally:
                listed = listed_locations(said())
                self._listed = self._listed if listed is None else listed
        return entries[0]

    def _listed_behind(self, location: int | None) -> int | None:
        listed = self._listed or []
        index = listed.index(location) + 1 if location in listed else 0
        return listed[index] if index < len(listed) else None

    def _every_slot(self) -> Iterator[Record | None]:
        """For a modem that cannot list: libGammu tries each slot too, but for ever behind an unreadable one."""
        status = self._machine.GetSMSStatus()
        phone_base = PHONE_MEMORY if status["SIMSize"] else 0
        for memory, base in (("SIM", 0), ("Phone", phone_base)):
            size = status[f"{memory}Size"] if status[f"{memory}Used"] else 0
            for location in range(base + 1, base + 1 + size):
                with suppress(*_MISSING):
                    yield self._alone(location, listed=False)

    def _folder_slots(self, folder: Path) -> Iterator[Record | None]:
        """The dummy phone's messages are files: a look into the folder is faster than trying all of 10,000 names."""
        for number in range(1, 6):
            names = [path.name for path in folder.glob(f"{number}/*")]
            for name in sorted(int(name) for name in names if name.isdecimal()):
                yield self._alone(number * _DUMMY_FOLDER + name)

    def _alone(self, location: int, *, listed: bool = True) -> Record | None:
        """One slot by itself: its message, else the PDU that the modem answers with, else nothing."""
        if self._folder is not None:
            return self._from_file(location)
        with self._log.capture() as said:
            try:
                fields: dict[str, Any] = self._machine.GetSMS(0, location)[0]
                _mend_text(fields, said)
                return _record(fields)
            except (*_MISSING, *_UNREADABLE) as error:
                pdu, name = pdu_read(said()), type(error).__name__
                if pdu is None and isinstance(error, _MISSING) and not listed:
                    raise
        if pdu is None:
            return None
        self._pdus[location] = pdu
        identity, raw = evidence(location, name, pdu)
        return Record(Slot(location, identity, undecoded=True), "", raw)

    def _from_file(self, location: int) -> Record | None:
        """A file that cannot be read may still be in the making: it stays."""
        try:
            entries = self._machine.GetSMS(0, location)
        except (*_MISSING, *_UNREADABLE):
            return None
        return _record(entries[0]) if entries else None

    def delete(self, slots: Sequence[Slot], seconds: float) -> list[str]:
        """Deletes messages, as many as fit into some seconds; each once and never blindly again.

        Returns:
            For each of them the name of an error, or nothing where it is gone.
        """
        give_up = time.monotonic() + seconds
        outcomes: list[str] = []
        raw: dict[int, str] = {}
        for slot in slots:
            outcomes.append(self._delete_one(slot, raw))
            if time.monotonic() > give_up:
                break
        freed = dict(zip(raw, self._delete_raw(raw), strict=True)) if raw else {}
        for place, (slot, outcome) in enumerate(zip(slots, outcomes, strict=False)):  # time may have been up
            outcomes[place] = "" if freed.get(slot.location) else outcome
            self._remember(slot, outcomes[place])
        return outcomes

    def _delete_one(self, slot: Slot, raw: dict[int, str]) -> str:
        if slot.location == _NO_SLOT or self._seen.get(slot.location) != slot.external_id:
            return ""  # it lies there no longer, as far as we have seen: what does is not ours to delete
        try:
            self._machine.DeleteSMS(0, slot.location)
        except GONE:
            raise
        except gammu.GSMError as error:
            if slot.location in self._pdus:  # libGammu reads a slot first, and gives up on what it cannot read
                if self._tried_raw.get(slot.location) != slot.external_id:  # once: it costs a new connection
                    raw[slot.location] = self._pdus[slot.location]
                    self._tried_raw[slot.location] = slot.external_id
            elif isinstance(error, _MISSING):
                return ""
            return type(error).__name__
        return ""

    def _remember(self, slot: Slot, outcome: str) -> None:
        if self._seen.get(slot.location) != slot.external_id:
            return
        del self._seen[slot.location]
        if outcome:
            self._stuck[slot.location] = slot.external_id
        else:
            self._stuck.pop(slot.location, None)
            self._deleted[slot.location] = slot.external_id


def _is_spoilt(fields: Mapping[str, Any]) -> bool:
    """Whether libGammu has spoilt a text: it takes a tilde in UCS-2 for a Nokia's way of writing U+0001.

    Each comes out twice, and the text loses as many characters at its end (libGammu 1.45, any modem's PDUs).
    """
    text = fields.get("Text")
    return isinstance(text, str) and "~" in text and str(fields.get("Coding")).startswith("Unicode")


def _mend_text(fields: dict[str, Any], said: Callable[[], str]) -> None:
    """Takes a spoilt text from the PDU."""
    if _is_spoilt(fields):
        pdu = pdu_read(said())
        text = None if pdu is None else ucs2_text(pdu)
        fields["Text"] = fields["Text"].replace("~~", "~") if text is None else text


def _record(fields: dict[str, Any]) -> Record:
    return Record(
        slot=Slot(int(fields["Location"]), external_id(fields)),
        sender=str(fields.get("Number") or "").encode("utf-8", "replace").decode(),
        raw=encode_record(fields),
    )


def passed_on(fields: dict[str, Any]) -> Record:
    """A message that the phone hands over without keeping it."""
    record = _record(fields)
    return Record(Slot(_NO_SLOT, record.slot.external_id), record.sender, record.raw)
