"""One modem as a channel: polls and listens, releases after the commit, sends answers, tells its health."""

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from channels.sms.alphabet import GSM7
from channels.sms.condition import check_lines, judge, plain_status
from channels.sms.frames import Reading, Slot
from channels.sms.modem import CallFailed, Died, ModemProcess, NotRunning
from channels.sms.settings import SmsSettings
from gateway.errors import ChannelUnavailable, GatewayError, MaybeSent, NeedsOperator, NotSent
from gateway.findings import Finding
from gateway.ports import Delivery, Health, OutgoingAnswer, RawMessage, Sent

DELETE_AT_ONCE: Final = 20
STATUS_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 30.0
"""How often, at most and at least, what the phone would not delete is deleted again."""

CONNECT_SECONDS: Final = 15.0
"""What libGammu may need on top to connect: the first commands to an unknown modem are slow."""

SEND_SECONDS_PER_PART: Final = 20.0

_GONE: Final = frozenset(
    {"ERR_TIMEOUT", "ERR_DEVICEWRITEERROR", "ERR_DEVICEREADERROR", "ERR_DEVICENOTEXIST", "ERR_DEVICEOPENERROR",
     "ERR_NOTCONNECTED", "ERR_ABORTED"}
)  # fmt: skip
_CANNOT_OPEN: Final[tuple[tuple[frozenset[str], type[GatewayError], str], ...]] = (
    (frozenset({"SIM_MISSING"}), NeedsOperator, "has no SIM; put it in."),
    (frozenset({"SIM_BLOCKED"}), NeedsOperator, "has a SIM that asks for its {}; unblock it in a phone."),
    (frozenset({"PermissionError"}), NeedsOperator, "may not be opened; add the gateway's user to the group dialout."),
    (
        frozenset({"FileNotFoundError", "ERR_DEVICENOTEXIST"}),
        ChannelUnavailable,
        "does not exist; plug the modem in, or correct the setting.",
    ),
    (
        frozenset({"BUSY", "ERR_DEVICELOCKED", "ERR_DEVICEBUSY", "ERR_DEVICEOPENERROR"}),
        ChannelUnavailable,
        "is in use by another process, or is no modem's port.",
    ),
)
"""What stands in the way of a phone, whom it takes to change that, and the end of the sentence."""

_refused_pins: set[str] = set()
"""PINs that a SIM has refused since this process started: the third wrong one would lock it."""

_crashed_devices: set[str] = set()
"""Phones whose process died while it read: libGammu lists no messages there the next time, as that may be why."""


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
        self._status_at = 0.0
        self._retry_at = 0.0
        self._opened = False
        self._empty = False

    async def open(self) -> None:
        """Starts the modem's process and connects."""
        pin = self._settings.pin.get_secret_value() if self._settings.pin else None
        known_wrong = pin is not None and self._pin_key(pin) in _refused_pins
        await self._modem.start()
        try:
            info = await self._modem.call(
                "open",
                self._settings.timeout + CONNECT_SECONDS,
                device=self._settings.device,
                connection=self._settings.connection,
                model=self._settings.model,
                pin=None if known_wrong else pin,
                listing=self._settings.device not in _crashed_devices,
            )
        except CallFailed as error:
            raise self._cannot_open(error, pin) from error
        _crashed_devices.discard(self._settings.device)
        self._details.update(info)
        await self._refresh_status()
        self._opened = True

    def _pin_key(self, pin: str) -> str:
        return hashlib.sha256(f"{self._settings.device}\0{pin}".encode()).hexdigest()

    def _cannot_open(self, error: CallFailed, pin: str | None) -> GatewayError:
        if error.kind == "PIN_WRONG" and pin is not None:
            _refused_pins.add(self._pin_key(pin))
        if error.kind in ("PIN_WRONG", "PIN_MISSING"):
            return self._pin_trouble(pin)
        device = f"channels.{self._name}.device: {self._settings.device}"
        for kinds, kind_of_error, sentence in _CANNOT_OPEN:
            if error.kind in kinds:
                return kind_of_error(f"{device} {sentence.format(error)}")
        return ChannelUnavailable(f"{device} gives no answer as a modem ({error.kind}).")

    def _pin_trouble(self, pin: str | None) -> NeedsOperator:
        setting = f"channels.{self._name}.pin"
        if pin is None:
            return NeedsOperator(f"{setting}: the SIM asks for its PIN; set it.")
        return NeedsOperator(
            f"{setting}: the SIM refused this PIN; it is not tried again before a restart, since the "
            "third wrong one locks the SIM. Correct the setting."
        )

    async def receive(self) -> Delivery:
        """The messages in the phone; waits for an announcement or the next poll when there are none."""
        if asyncio.get_running_loop().time() >= self._status_at:
            await self._refresh_status()
        if self._empty:
            await self._wait()
        reading = await self._read()
        self._empty = not reading.records
        messages = tuple(
            RawMessage(record.slot.external_id, record.raw, record.sender or record.slot.external_id)
            for record in reading.records
        )
        return Delivery(messages, [record.slot for record in reading.records])

    async def _read(self) -> Reading:
        """One look; what could not be deleted is taken up again at its time, and until then it hinders nothing."""
        self._look_now.clear()
        now = asyncio.get_running_loop().time()
        again = now >= self._retry_at
        if again:
            self._retry_at = now + min(self._settings.poll_seconds, RETRY_SECONDS)
        try:
            result = await self._call("read", limit=self._settings.read_limit, again=again)
        except Died:
            _crashed_devices.add(self._settings.device)
            raise
        reading = msgspec.convert(result, Reading)
        self._details["unreadable_slots"] = reading.unreadable
        self._details["undeletable_messages"] = reading.undeletable
        return reading

    async def _wait(self) -> None:
        until = self._settings.poll_seconds
        if self._details["undeletable_messages"]:
            until = min(until, RETRY_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(until):
                await self._look_now.wait()

    async def release(self, delivery: Delivery, _new: Collection[str]) -> None:
        """Deletes a batch from the phone. What cannot be deleted is read again, known again, and tried again."""
        slots: list[Slot] = list(delivery.handle)
        done = 0
        while done < len(slots):
            batch = slots[done : done + DELETE_AT_ONCE]
            extra = CONNECT_SECONDS if any(slot.undecoded for slot in batch) else 0.0
            outcomes = await self._call(
                "delete",
                extra,
                slots=[msgspec.to_builtins(slot) for slot in batch],
                seconds=self._settings.timeout / 3,
            )
            done += len(outcomes)
        if self._judge().state != "up":
            self._status_at = 0.0  # a full SIM has room now, perhaps

    async def send(self, answer: OutgoingAnswer) -> Sent:
        """Sends one SMS in as many parts as it needs; the inbox is looked into before the next one."""
        parts = 1 + len(answer.text) // (153 if GSM7.issuperset(answer.text) else 67)
        try:
            references = await self._modem.call(
                "send",
                self._settings.timeout + SEND_SECONDS_PER_PART * parts,
                number=answer.to,
                text=answer.text,
                smsc=self._settings.smsc,
                report=self._settings.delivery_reports,
            )
        except NotRunning:
            raise
        except ChannelUnavailable as error:
            raise MaybeSent(str(error)) from error
        except CallFailed as error:
            if error.kind in _GONE:
                raise MaybeSent(str(self._failed(error))) from error
            raise NotSent(f"The network or the SIM did not take the SMS ({error.kind}).") from error
        finally:
            self._look_now.set()
        return Sent(tuple(references) if self._settings.delivery_reports else ())

    async def health(self) -> Health:
        """What the last look at the modem has shown."""
        if not self._opened:
            return Health("down", "The modem has not answered yet.")
        return self._judge()

    async def check(self) -> Sequence[Finding]:
        """What the modem has said of itself, its SIM and its signal when it was opened."""
        return check_lines(f"channels.{self._name}", self._details)

    def _judge(self) -> Health:
        return judge(dict(self._details))

    async def _refresh_status(self) -> None:
        status = await self._call("status")
        self._status_at = asyncio.get_running_loop().time() + STATUS_SECONDS
        self._details.update(plain_status(status))

    async def _call(self, method: str, extra: float = 0.0, **arguments: Any) -> Any:  # noqa: ANN401 - the method's own
        try:
            return await self._modem.call(method, self._settings.timeout + extra, **arguments)
        except CallFailed as error:
            raise self._failed(error) from error

    def _failed(self, error: CallFailed) -> ChannelUnavailable:
        return ChannelUnavailable(f"The modem at {self._settings.device} fails ({error.kind}); it is opened anew.")

    async def close(self) -> None:
        """Ends the modem's process."""
        await self._modem.kill()
