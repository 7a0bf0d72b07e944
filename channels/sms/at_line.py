"""Speaks to a modem without libGammu, for the one thing that it cannot do: delete a message that it cannot read."""

import os
import re
import select
import termios
import time
import tty
from collections.abc import Sequence
from typing import Final, NamedTuple

ANSWER_SECONDS: Final = 10.0
_FINAL_RESULT: Final = re.compile(rb"\r\n(?:OK|ERROR|\+CM[ES] ERROR:[^\r\n]*)\r\n")
_DONE: Final = b"\r\nOK\r\n"


class RawSlot(NamedTuple):
    """A slot by the modem's own names, and the PDU that it must still hold."""

    memory: str
    number: int
    pdu: str


def delete_raw(device: str, speed: int, slots: Sequence[RawSlot]) -> list[bool]:
    """Deletes slots by ``AT+CMGD`` (3GPP TS 27.005, clause 3.5.4), each only if it still holds its PDU.

    Args:
        device: The modem's port, which nobody else may have open.
        speed: Bits per second; 0 leaves the port as it is.
        slots: What to delete.

    Returns:
        For each slot whether its PDU is gone from it.

    Raises:
        OSError: The port cannot be used, or the modem does not answer as one.
    """
    port = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _make_raw(port, speed)
        for command in (b"AT", b"AT+CMGF=0"):
            if _DONE not in _ask(port, command):
                message = f"the modem does not answer {command.decode()} with OK"
                raise OSError(message)
        return [_delete(port, slot) for slot in slots]
    finally:
        os.close(port)


def _make_raw(port: int, speed: int) -> None:
    tty.setraw(port)
    # libGammu puts the port's old speed back when it closes it.
    rate = getattr(termios, f"B{speed}", None) if speed else None
    if rate is not None:
        attributes = termios.tcgetattr(port)
        attributes[4] = attributes[5] = rate
        termios.tcsetattr(port, termios.TCSANOW, attributes)
    termios.tcflush(port, termios.TCIOFLUSH)


def _delete(port: int, slot: RawSlot) -> bool:
    if _DONE not in _ask(port, f'AT+CPMS="{slot.memory}"'.encode("ascii")):
        return False
    lines = [line.strip() for line in _ask(port, b"AT+CMGR=%d" % slot.number).splitlines()]
    if slot.pdu.encode("utf-8", "surrogatepass") not in lines:
        return True  # another message, or none: not ours to delete
    return _DONE in _ask(port, b"AT+CMGD=%d" % slot.number)


def _ask(port: int, command: bytes) -> bytes:
    """One command, and everything up to its final result code or the end of patience."""
    os.write(port, command + b"\r")
    give_up = time.monotonic() + ANSWER_SECONDS
    answer = b""
    while _FINAL_RESULT.search(answer) is None:
        readable, _, _ = select.select([port], [], [], max(0.0, give_up - time.monotonic()))
        if not readable:
            break
        chunk = os.read(port, 4096)
        if not chunk:
            message = "the modem's port was closed"
            raise OSError(message)
        answer += chunk
    return answer
