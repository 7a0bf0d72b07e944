"""Plays the mobile network of the demo: puts invented SMS into the folder of Gammu's dummy phone."""

import asyncio
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import gammu

from gateway.demo.citizens import InventedSms, invent_sms


class DummyNetwork:
    """Delivers SMS to one dummy phone.

    Args:
        phone: The phone's folder.
    """

    def __init__(self, phone: Path) -> None:
        phone.mkdir(parents=True, exist_ok=True)
        self._machine = gammu.StateMachine()
        with tempfile.NamedTemporaryFile("w", suffix=".gammurc") as file:
            file.write(f"[gammu]\ndevice = {phone}\nconnection = none\nmodel = dummy\n")
            file.flush()
            self._machine.ReadConfig(Filename=file.name)
        self._machine.Init()

    def deliver(self, sms: InventedSms, sent_at: datetime) -> int:
        """Puts one SMS into the phone's inbox, in as many parts as it needs. Returns how many."""
        details = {
            "Class": -1,
            "Unicode": not sms.text.isascii(),
            "Entries": [{"ID": "ConcatenatedTextLong", "Buffer": sms.text}],
        }
        parts: list[dict[str, Any]] = gammu.EncodeSMS(details)
        for part in parts:
            part.update(Number=sms.sender, Type="Deliver", Folder=1, State="UnRead", DateTime=sent_at)
            part["SMSC"] = {"Location": 1}
            self._machine.AddSMS(part)
        return len(parts)


async def keep_texting(network: DummyNetwork, random: Random, a_second: float) -> None:
    """Has invented citizens text at about this pace until cancelled."""
    citizens: Iterator[InventedSms] = invent_sms(random)
    while True:
        await asyncio.to_thread(network.deliver, next(citizens), datetime.now(UTC))
        await asyncio.sleep(random.uniform(0.5, 1.5) / a_second)
