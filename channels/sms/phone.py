"""Everything that is asked of libGammu; runs in the child process, since its calls can hang or crash."""

import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import gammu

from channels.sms.at_line import delete_raw
from channels.sms.frames import Record, Slot
from channels.sms.record import encode_record, external_id

_SMSC_OF_SIM: Final = 1
_UNREADABLE: Final = (gammu.ERR_CORRUPTED, gammu.ERR_FILENOTSUPPORTED, gammu.ERR_UNKNOWN, gammu.ERR_NOTSUPPORTED)
_MISSING: Final = (gammu.ERR_EMPTY, gammu.ERR_INVALIDLOCATION)
_GONE: Final = (gammu.ERR_TIMEOUT, gammu.ERR_DEVICEWRITEERROR, gammu.ERR_DEVICEREADERROR)
_PHONE_MEMORY: Final = 100_000
"""Locations from here on are in the phone's own memory."""

_NO_SLOT: Final = 0
"""The location of a delivery report that was never stored."""

_STEPS_OVER: Final = 300
"""Slots that are stepped over in one pass to get past what cannot be read."""

GSM7: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€"
)
"""3GPP TS 23.038, clause 6.2.1: the default alphabet and its extension table."""


class PhoneError(Exception):
    """A call failed. ``kind`` is libGammu's class, or one of ours: BUSY, PIN_MISSING, PIN_WRONG."""

    def __init__(self, kind: str, text: str = "") -> None:
        super().__init__(text)
        self.kind = kind


class _Torn:
    """A file of the dummy phone that is still being written: left for the next pass."""


class Phone:
    """One modem or phone; every public method is a call that the gateway can make."""

    def __init__(self) -> None:
        self._machine = gammu.StateMachine()
        self._lock: int | None = None
        self._device = ""
        self._is_dummy = False
        self._unreadable: set[int] = set()
        self._direct: list[Record] = []
        self._incoming: Callable[[], None] = lambda: None
        self._has_callbacks = False

    def on_incoming(self, callback: Callable[[], None]) -> None:
        """Has ``callback`` called when the phone announces a message."""
        self._incoming = callback

    def open(self, *, device: str, connection: str, model: str, pin: str | None) -> dict[str, Any]:
        """Connects, gives the PIN, and switches notifications on. Returns what the phone is."""
        self._device = device
        self._is_dummy = model == "dummy"
        self._own(device)
        self._configure(device, connection, model)
        self._machine.Init()
        self._unlock(pin)
        return {
            "manufacturer": self._ask(self._machine.GetManufacturer),
            "model": self._ask(self._machine.GetModel),
            "notifications": self._announce(),
        }

    def _own(self, device: str) -> None:
        """Keeps a second process off the phone: one that outlived its gateway could still be deleting messages."""
        self._lock = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise PhoneError("BUSY", "Another process uses this phone.") from error

    def _configure(self, device: str, connection: str, model: str) -> None:
        # ReadConfig, not SetConfig: the latter leaves the notification parameters at zero (libGammu 1.45).
        lines = f"[gammu]\ndevice = {device}\nconnection = {connection}\nmodel = {model}\nsynchronizetime = no\n"
        with tempfile.NamedTemporaryFile("w", suffix=".gammurc") as file:
            file.write(lines)
            file.flush()
            self._machine.ReadConfig(Filename=file.name)

    def _unlock(self, pin: str | None) -> None:
        try:
            wanted = self._machine.GetSecurityStatus()
        except gammu.GSMError:
            return  # a modem that cannot say is not locked as far as we can tell; reading will show
        if wanted is None:
            return
        if wanted != "PIN":
            raise PhoneError("PIN_WRONG", f"The SIM asks for {wanted}.")
        if pin is None:
            raise PhoneError("PIN_MISSING")
        try:
            self._machine.EnterSecurityCode("PIN", pin)
        except gammu.GSMError as error:
            raise PhoneError("PIN_WRONG") from error

    def _announce(self) -> bool:
        try:
            # The callback comes first: an announcement without one would crash libGammu.
            self._machine.SetIncomingCallback(self._announced)
            self._machine.SetIncomingSMS(True)
        except gammu.GSMError:
            return False
        self._has_callbacks = True
        return True

    def _announced(self, _machine: object, kind: str, data: dict[str, Any]) -> None:
        if kind == "SMS" and data.get("Type") == "Status_Report":
            self._direct.append(_record(data))  # +CDS: the modem hands it over and keeps nothing
        self._incoming()

    def pump(self) -> None:
        """Lets libGammu look for announcements; called when there is nothing else to do."""
        if self._has_callbacks:
            self._machine.ReadDevice()

    def read(self, *, limit: int) -> dict[str, Any]:
        """Up to ``limit`` messages from all memories, and how many slots could not be read at all."""
        records, self._direct = self._direct, []
        unreadable = 0
        for found in self._walk():
            if isinstance(found, Record):
                records.append(found)
            else:
                unreadable += 1
            if len(records) >= limit:
                break
        return {"records": records, "unreadable": unreadable}

    def _walk(self) -> Iterator[Record | None]:
        """Every message in turn; None for a slot that cannot be read and was stepped over.

        libGammu stops at the first slot that it cannot read, or takes it for the end; behind such a slot the walk
        goes on one location further, until as many were met as the phone says it holds.
        """
        location: int | None = None
        stored: int | None = None
        met = steps = 0
        while steps <= _STEPS_OVER:
            found = self._look_behind(location)
            if found is None:
                # Counted once a pass: what came meanwhile is for the next one. The dummy phone hides nothing, and to
                # count it opens ten thousand files.
                if stored is None:
                    stored = met if self._is_dummy else self._stored()
                if met >= stored:
                    return
            if isinstance(found, Record) and found.slot.location not in self._unreadable:
                location = found.slot.location
            else:
                steps += 1
                location = _location_behind(location)
            if found is not None:
                met += 1
                yield found if isinstance(found, Record) else None

    def _look_behind(self, location: int | None) -> Record | _Torn | None:
        """The message behind a location; None where libGammu sees none."""
        try:
            entry = self._next(location)
        except _MISSING:
            return None
        except _UNREADABLE as error:
            return self._evidence(_location_behind(location), error)
        return _record(entry[0]) if entry else _Torn()

    def _stored(self) -> int:
        """How many messages the phone says it holds."""
        status = self._machine.GetSMSStatus()
        return int(status["SIMUsed"]) + int(status["PhoneUsed"])

    def _next(self, location: int | None) -> list[dict[str, Any]]:
        if location is None:
            return list(self._machine.GetNextSMS(Start=True, Folder=0))
        return list(self._machine.GetNextSMS(Start=False, Folder=0, Location=location))

    def _evidence(self, location: int, error: gammu.GSMError) -> Record | None:
        """What the modem says about a message that libGammu cannot decode: the PDU as it went over the wire."""
        exchange = self._exchange(lambda: self._machine.GetSMS(0, location))
        pdus = re.findall(rb"\b(?:[0-9A-Fa-f]{2}){8,}\b", exchange)
        if not pdus:
            return None
        fields = {
            "error": type(error).__name__,
            "Location": location,
            "PDU": [pdu.decode("ascii").upper() for pdu in dict.fromkeys(pdus)],
        }
        self._unreadable.add(location)
        return Record(Slot(0, location), external_id({"Text": repr(fields["PDU"])}), "", encode_record(fields))

    def _exchange(self, call: Callable[[], object]) -> bytes:
        with tempfile.NamedTemporaryFile() as log:
            self._machine.SetDebugFile(log.name)
            self._machine.SetDebugLevel("textall")
            try:
                call()
            except gammu.GSMError:
                pass  # it is known to fail; what counts is what the modem said
            finally:
                self._machine.SetDebugLevel("nothing")
            return Path(log.name).read_bytes()

    def delete(self, *, slots: Sequence[dict[str, int]]) -> list[str]:
        """Deletes messages; each once and never blindly again. Returns the error of each, empty where it went well."""
        outcomes: list[str] = []
        for slot in slots:
            if slot["location"] == _NO_SLOT:
                outcomes.append("")
                continue
            try:
                self._machine.DeleteSMS(slot["folder"], slot["location"])
                outcomes.append("")
            except _GONE:
                raise  # what follows would only be spoilt
            except gammu.GSMError as error:
                outcomes.append(self._delete_unreadable(slot["location"], error))
        return outcomes

    def _delete_unreadable(self, location: int, error: gammu.GSMError) -> str:
        """LibGammu reads a slot before it deletes it, and gives up on what it cannot read: that one is deleted raw."""
        if location not in self._unreadable:
            return "" if isinstance(error, _MISSING) else type(error).__name__
        self._unreadable.discard(location)
        if location >= _PHONE_MEMORY:
            return type(error).__name__
        self._machine.Terminate()
        try:
            delete_raw(self._device, location)
        finally:
            self._machine.Init()
            self._announce()
        return ""

    def send(self, *, number: str, text: str, smsc: str | None, report: bool) -> list[str]:
        """Sends a text in as many parts as it needs. Returns the network's reference of each part."""
        details = {
            "Class": -1,
            "Unicode": not GSM7.issuperset(text),
            "Entries": [{"ID": "ConcatenatedTextLong", "Buffer": text}],
        }
        references: list[str] = []
        for part in gammu.EncodeSMS(details):
            part["Number"] = number
            part["SMSC"] = {"Number": smsc} if smsc else {"Location": _SMSC_OF_SIM}
            part["Type"] = "Status_Report" if report else "Submit"
            references.append(str(self._machine.SendSMS(part)))
        return references

    def status(self) -> dict[str, Any]:
        """Signal, network and memory, as far as the phone tells; an error's name where it does not."""
        return {
            "signal": self._ask(self._machine.GetSignalQuality),
            "network": self._ask(self._machine.GetNetworkInfo),
            "memory": self._ask(self._machine.GetSMSStatus),
        }

    def _ask(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever libGammu returns
        try:
            return call()
        except _GONE:
            raise  # the phone is gone: that is no detail
        except gammu.GSMError as error:
            return type(error).__name__


def _location_behind(location: int | None) -> int:
    return (location or 0) + 1


def _record(fields: dict[str, Any]) -> Record:
    return Record(
        slot=Slot(0, int(fields["Location"])),
        external_id=external_id(fields),
        sender=str(fields.get("Number", "")),
        raw=encode_record(fields),
    )
