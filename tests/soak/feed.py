"""Citizens texting: a thread that puts messages into Gammu's dummy phone while the gateway lives and dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import gammu

from tests.simulators.tpdu import UserData
from tests.soak.citizens import Sms

_CODINGS = {"gsm7": "Default_No_Compression", "ucs2": "Unicode_No_Compression"}
_FULL_AT = 9_000
"""The phone has room for 10,000; a message of several parts must find room for all of them."""


class DummyPhone:
    """The folder of a dummy phone, and the network's side of it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._machine: Any = gammu.StateMachine()
        self._machine.SetConfig(0, {"Device": str(folder), "Connection": "none", "Model": "dummy"})
        self._machine.Init()

    def deliver(self, sms: Sms) -> None:
        """Puts all parts of a message into the inbox."""
        while self.waiting() > _FULL_AT:
            time.sleep(0.1)
        for part in sms.parts:
            self._machine.AddSMS(_fields(sms, part))

    def waiting(self) -> int:
        """How many SMS are in the inbox."""
        return sum(1 for _ in (self.folder / "sms" / "1").iterdir())


def _fields(sms: Sms, part: UserData) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "Type": "Deliver",
        "Folder": 1,
        "State": "UnRead",
        "SMSC": {"Number": "+628110000900"},
        "Number": sms.sender,
        "DateTime": sms.sent_at,
        "Coding": _CODINGS[part.coding],
        "Class": -1,
        "Text": part.text,
    }
    if part.udh:
        reference, total, number = part.udh[2:5]
        fields["UDH"] = {
            "Type": "ConcatenatedMessages",
            "ID8bit": reference,
            "ID16bit": -1,
            "AllParts": total,
            "PartNumber": number,
            "Text": bytes((len(part.udh), *part.udh)),
        }
    return fields


class Feeder(threading.Thread):
    """Feeds in bursts, spread evenly over the time that it is given.

    Args:
        phone: Where messages go.
        messages: What is fed.
        count: How many those are.
        seconds: Within which they go in, if the phone is quick enough.
        random: Decides on the bursts.
    """

    def __init__(self, phone: DummyPhone, messages: Iterator[Sms], count: int, seconds: float, random: Random) -> None:
        super().__init__(name="feeder", daemon=True)
        self.fed: list[Sms] = []
        self.error: Exception | None = None
        self._phone = phone
        self._messages = messages
        self._pause = seconds / count
        self._random = random

    def run(self) -> None:
        """Feeds until there is nothing left."""
        begin = time.monotonic()
        burst = 0
        try:
            for sms in self._messages:
                burst = burst or self._random.choice((1, 10, 100))
                burst -= 1
                if not burst:
                    time.sleep(max(0.0, begin + len(self.fed) * self._pause - time.monotonic()))
                self._phone.deliver(sms)
                self.fed.append(sms)
        except Exception as error:  # noqa: BLE001 - a thread's error has to reach the verdict
            self.error = error

    def finish(self, seconds: float) -> list[Sms]:
        """Waits for the end and returns what was fed."""
        self.join(seconds)
        if self.error is not None:
            raise self.error
        if self.is_alive():
            message = f"the feeder is not done after {seconds:g} s"
            raise TimeoutError(message)
        return self.fed
