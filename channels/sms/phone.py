"""Everything that is asked of libGammu; runs in the child process, since its calls can hang or crash."""

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import gammu

from channels.sms import lock
from channels.sms.alphabet import GSM7
from channels.sms.at_line import RawSlot, delete_raw
from channels.sms.frames import Reading, Record, Slot
from channels.sms.inbox import GONE, PHONE_MEMORY, Inbox, passed_on

_SMSC_OF_SIM: Final = 1
_NO_CONNECTION: Final = "none"


class PhoneError(Exception):
    """A call failed. ``kind`` is libGammu's class, or one of ours.

    BUSY, SIM_MISSING, PIN_MISSING, PIN_WRONG, SIM_BLOCKED.
    """

    def __init__(self, kind: str, text: str = "") -> None:
        super().__init__(text)
        self.kind = kind


class Phone:
    """One modem or phone; every public method is a call that the gateway can make."""

    def __init__(self) -> None:
        self._machine = gammu.StateMachine()
        self._lock = -1
        self._device = ""
        self._connection = ""
        self._inbox: Inbox | None = None
        self._passed_on: list[Record] = []
        self._incoming: Callable[[], None] = lambda: None
        self._has_callbacks = False

    def on_incoming(self, callback: Callable[[], None]) -> None:
        """Has ``callback`` called when the phone announces a message."""
        self._incoming = callback

    def open(self, *, device: str, connection: str, model: str, pin: str | None, listing: bool) -> dict[str, Any]:
        """Connects, gives the PIN, and switches notifications on. Returns what the phone is.

        Args:
            device: The port or folder.
            connection: How Gammu talks to it.
            model: Gammu's model.
            pin: The SIM's, if it is known.
            listing: Whether messages may be listed, or each slot has to be read by itself.
        """
        self._device, self._connection = device, connection
        try:
            self._lock = lock.take(device)
        except lock.InUse as error:
            raise PhoneError("BUSY") from error
        self._configure(device, connection, model)
        self._machine.Init()
        self._unlock(pin)
        folder = Path(device) / "sms" if connection == _NO_CONNECTION else None
        self._inbox = Inbox(self._machine, folder, listing=listing, delete_raw=self._delete_raw)
        return {
            "manufacturer": self._ask(self._machine.GetManufacturer),
            "model": self._model(),
            "notifications": self._announce(),
        }

    def _model(self) -> str:
        model = self._ask(self._machine.GetModel)
        return model if isinstance(model, str) else str(model[-1])  # (libGammu's name, the modem's own)

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
        except GONE:
            raise
        except gammu.ERR_NOSIM as error:
            raise PhoneError("SIM_MISSING") from error
        except gammu.GSMError:
            return  # a modem that cannot say is not locked as far as we can tell; reading will show
        if wanted in (None, "PIN2", "PUK2"):  # the second PIN guards charges and fixed numbers, not messages
            return
        if wanted != "PIN":
            raise PhoneError("SIM_BLOCKED", str(wanted))
        if pin is None:
            raise PhoneError("PIN_MISSING")
        try:
            self._machine.EnterSecurityCode("PIN", pin)
        except gammu.GSMError as error:
            # Whatever the error is: a try may have been used up, and there are only three.
            raise PhoneError("PIN_WRONG") from error

    def _announce(self) -> bool:
        try:
            # The callback comes first: an announcement without one would crash libGammu.
            self._machine.SetIncomingCallback(self._announced)
            self._machine.SetIncomingSMS(True)
        except GONE:
            raise
        except gammu.GSMError:
            return False
        self._has_callbacks = True
        return True

    def _announced(self, _machine: object, kind: str, data: dict[str, Any]) -> None:
        if kind == "SMS" and "Text" in data:
            self._passed_on.append(passed_on(data))  # +CDS: the modem hands it over and keeps nothing
        self._incoming()

    def pump(self) -> None:
        """Lets libGammu look for announcements; called when there is nothing else to do."""
        if self._has_callbacks:
            self._machine.ReadDevice()

    def read(self, *, limit: int, again: bool) -> Reading:
        """Up to ``limit`` messages from all memories; those that could not be deleted only when ``again`` is set."""
        reading = self._messages.read(limit, again=again)
        passed, self._passed_on = self._passed_on, []
        return Reading(passed + reading.records, reading.unreadable, reading.undeletable)

    def delete(self, *, slots: Sequence[dict[str, Any]], seconds: float) -> list[str]:
        """Deletes messages, as many as fit into some seconds. Returns the error of each, empty where it is gone."""
        return self._messages.delete([Slot(**slot) for slot in slots], seconds)

    @property
    def _messages(self) -> Inbox:
        if self._inbox is None:
            raise PhoneError("ERR_NOTCONNECTED")
        return self._inbox

    def _delete_raw(self, pdus: dict[int, str]) -> list[bool]:
        """Deletes what libGammu cannot read, nor therefore delete: the connection is given up for as long."""
        speed = re.fullmatch(r"at([0-9]*)", self._connection)
        if speed is None:
            return [False] * len(pdus)
        has_sim = self._machine.GetSMSStatus()["SIMSize"] > 0
        slots = [
            RawSlot(
                "SM" if has_sim and location < PHONE_MEMORY else "ME",
                location % PHONE_MEMORY,
                pdu,
            )
            for location, pdu in pdus.items()
        ]
        self._machine.Terminate()
        lock.let_reopen(self._lock)
        self._has_callbacks = False
        try:
            return delete_raw(self._device, int(speed[1] or 0), slots)
        except OSError:
            return [False] * len(pdus)  # they stay, which health tells; whether the modem answers at all, Init shows
        finally:
            self._machine.Init()
            self._announce()

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
        except GONE:
            raise  # the phone is gone: that is no detail
        except gammu.GSMError as error:
            return type(error).__name__
