"""One modem as a channel: polls and listens, releases after the commit, sends answers, tells its health."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from channels.sms.frames import Record
from channels.sms.modem import CallFailed, ModemProcess
from channels.sms.settings import SmsSettings
from gateway.errors import ChannelUnavailable, MaybeSent, NeedsOperator, NotSent
from gateway.ports import Delivery, Health, OutgoingAnswer, RawMessage, Sent

DELETE_AT_ONCE: Final = 20
STATUS_SECONDS: Final = 30.0
_SEND_EXTRA_PER_PART: Final = 20.0
_WEAK_SIGNAL: Final = 10
_NEARLY_FULL: Final = 0.9

_GONE: Final = frozenset(
    {"ERR_DEVICEWRITEERROR", "ERR_DEVICEREADERROR", "ERR_DEVICENOTEXIST", "ERR_DEVICEOPENERROR",
     "ERR_NOTCONNECTED", "ERR_ABORTED", "FileNotFoundError", "OSError"}
)  # fmt: skip

_refused_pins: set[str] = set()
"""PINs that a SIM has refused since this process started: the third wrong one would lock it."""


class SmsChannel:
    """Implements :class:`gateway.ports.Channel` for one modem.

    Args:
        name: The channel's name.
        settings: Its section of the settings.
    """

    def __init__(self, name: str, settings: SmsSettings) -> None:
        self._name = name
        self._settings = settings
        self._look_now = asyncio.Event()
        self._modem = ModemProcess(name, self._look_now.set)
        self._details: dict[str, Any] = {}
        self._undeleted = ""
        self._status_at = 0.0
        self._health = Health("down", "The modem has not answered yet.")

    async def open(self) -> None:
        """Starts the modem's process and connects."""
        pin = self._settings.pin.get_secret_value() if self._settings.pin else None
        if pin is not None and self._pin_key(pin) in _refused_pins:
            raise self._wrong_pin()
        await self._modem.start()
        try:
            info = await self._modem.call(
                "open",
                self._settings.timeout + 15,
                device=self._settings.device,
                connection=self._settings.connection,
                model=self._settings.model,
                pin=pin,
            )
        except CallFailed as error:
            raise self._cannot_open(error, pin) from error
        self._details.update(info)
        await self._refresh_status()

    def _pin_key(self, pin: str) -> str:
        return hashlib.sha256(f"{self._settings.device}\0{pin}".encode()).hexdigest()

    def _wrong_pin(self) -> NeedsOperator:
        return NeedsOperator(
            f"channels.{self._name}.pin: the SIM refused this PIN; it is not tried again before a restart, since the "
            "third wrong one locks the SIM. Correct the setting."
        )

    def _cannot_open(self, error: CallFailed, pin: str | None) -> Exception:
        if error.kind == "PIN_WRONG":
            if pin is not None:
                _refused_pins.add(self._pin_key(pin))
            return self._wrong_pin()
        if error.kind == "PIN_MISSING":
            return NeedsOperator(f"channels.{self._name}.pin: the SIM asks for its PIN; set it.")
        device = f"channels.{self._name}.device: {self._settings.device}"
        if error.kind in ("FileNotFoundError", "ERR_DEVICENOTEXIST"):
            return ChannelUnavailable(f"{device} does not exist; plug the modem in, or correct the setting.")
        if error.kind == "PermissionError":
            return NeedsOperator(f"{device} may not be opened; add the gateway's user to the group dialout.")
        if error.kind == "BUSY":
            return ChannelUnavailable(f"{device} is in use by another process.")
        return ChannelUnavailable(f"{device} gives no answer as a modem ({error.kind}).")

    async def receive(self) -> Delivery:
        """The messages in the phone; waits for an announcement or the next poll when there are none."""
        records = await self._read()
        if not records:
            await self._wait()
            if asyncio.get_running_loop().time() >= self._status_at:
                await self._refresh_status()
            records = await self._read()
        messages = tuple(RawMessage(record.external_id, record.raw, record.sender) for record in records)
        return Delivery(messages, [record.slot for record in records])

    async def _read(self) -> Sequence[Record]:
        self._look_now.clear()
        result = await self._call("read", limit=self._settings.read_limit)
        self._details["unreadable_slots"] = result["unreadable"]
        return msgspec.convert(result["records"], list[Record])

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.poll_seconds):
                await self._look_now.wait()

    async def release(self, delivery: Delivery) -> None:
        """Deletes a batch from the phone. What cannot be deleted is read again, known again, and tried again."""
        failed: list[str] = []
        slots = [{"folder": slot.folder, "location": slot.location} for slot in delivery.handle]
        for start in range(0, len(slots), DELETE_AT_ONCE):
            outcomes = await self._call("delete", slots=slots[start : start + DELETE_AT_ONCE])
            failed += [outcome for outcome in outcomes if outcome]
        self._undeleted = ""
        if failed:
            self._undeleted = f"{len(failed)} messages cannot be deleted from the SIM ({failed[0]}); check the SIM."
            await self._refresh_status()
            await asyncio.sleep(min(self._settings.poll_seconds, 5.0))

    async def send(self, answer: OutgoingAnswer) -> Sent:
        """Sends one SMS in as many parts as it needs; the inbox is looked into before the next one."""
        parts = 1 + len(answer.text) // 67
        try:
            references = await self._modem.call(
                "send",
                self._settings.timeout + _SEND_EXTRA_PER_PART * parts,
                number=answer.to,
                text=answer.text,
                smsc=self._settings.smsc,
                report=self._settings.delivery_reports,
            )
        except ChannelUnavailable as error:
            raise MaybeSent(str(error)) from error
        except CallFailed as error:
            if error.kind == "ERR_TIMEOUT":
                raise MaybeSent(str(self._gone(error))) from error
            if error.kind in _GONE:
                raise self._gone(error) from error
            raise NotSent(f"The network or the SIM did not take the SMS ({error.kind}).") from error
        finally:
            self._look_now.set()
        return Sent(tuple(references) if self._settings.delivery_reports else ())

    async def health(self) -> Health:
        """What the last look at the modem has shown."""
        if self._undeleted:
            return Health("degraded", self._undeleted, self._details)
        if self._details.get("unreadable_slots"):
            reason = f"{self._details['unreadable_slots']} messages in the phone cannot be read; look at the SIM."
            return Health("degraded", reason, self._details)
        return self._health

    async def _refresh_status(self) -> None:
        status: Mapping[str, Any] = await self._call("status")
        self._status_at = asyncio.get_running_loop().time() + STATUS_SECONDS
        self._details.update(_plain_status(status))
        self._health = self._judge()

    def _judge(self) -> Health:
        details = self._details
        if details.get("network_state") not in ("HomeNetwork", "RoamingNetwork", None):
            reason = f"The SIM is not in a network ({details['network_state']}): check antenna, SIM and contract."
            return Health("degraded", reason, details)
        used, size = details.get("sim_used"), details.get("sim_size")
        if isinstance(used, int) and isinstance(size, int) and size and used / size >= _NEARLY_FULL:
            return Health("degraded", f"The SIM is nearly full: {used} of {size} slots.", details)
        signal = details.get("signal_percent")
        if isinstance(signal, int) and 0 <= signal < _WEAK_SIGNAL:
            return Health("degraded", f"The signal is weak ({signal} %): move the antenna.", details)
        return Health("up", "", details)

    async def _call(self, method: str, **arguments: Any) -> Any:  # noqa: ANN401 - the method's own
        try:
            return await self._modem.call(method, self._settings.timeout, **arguments)
        except CallFailed as error:
            raise self._gone(error) from error

    def _gone(self, error: CallFailed) -> ChannelUnavailable:
        return ChannelUnavailable(f"The modem at {self._settings.device} fails ({error.kind}); it is opened anew.")

    async def close(self) -> None:
        """Ends the modem's process."""
        await self._modem.kill()


def _plain_status(status: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that operators look at, by names that do not change with the phone."""
    signal, network, memory = (status.get(name) for name in ("signal", "network", "memory"))
    plain: dict[str, Any] = {}
    if isinstance(signal, Mapping):
        plain["signal_percent"] = signal.get("SignalPercent")
    if isinstance(network, Mapping):
        plain["network_state"] = network.get("State")
        plain["operator"] = network.get("NetworkName") or network.get("NetworkCode")
    if isinstance(memory, Mapping):
        plain["sim_used"] = memory.get("SIMUsed")
        plain["sim_size"] = memory.get("SIMSize")
        plain["phone_used"] = memory.get("PhoneUsed")
        plain["phone_size"] = memory.get("PhoneSize")
    return plain
