"""Speaks to a modem without libGammu, for the one thing that it cannot do: delete a message that it cannot read."""

import os
import select
import termios
import time
import tty
from typing import Final

ANSWER_SECONDS: Final = 10.0
_FINAL_RESULTS: Final = (b"\r\nOK\r\n", b"\r\nERROR\r\n", b"+CMS ERROR", b"+CME ERROR")


def delete_raw(device: str, index: int) -> None:
    """Deletes a slot of the SIM's memory by ``AT+CMGD`` (3GPP TS 27.005, clause 3.5.4).

    Args:
        device: The modem's port, which nobody else may have open.
        index: The slot.

    Raises:
        OSError: The port cannot be used, or the modem refuses or does not answer.
    """
    port = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        tty.setraw(port)
        termios.tcflush(port, termios.TCIOFLUSH)
        for command in (b"AT", b'AT+CPMS="SM"', b"AT+CMGD=%d" % index):
            answer = _ask(port, command)
            if b"\r\nOK\r\n" not in answer:
                message = f"the modem does not delete slot {index}"
                raise OSError(message)
    finally:
        os.close(port)


def _ask(port: int, command: bytes) -> bytes:
    """One command and everything up to its final result code."""
    os.write(port, command + b"\r")
    give_up = time.monotonic() + ANSWER_SECONDS
    answer = b""
    while not any(result in answer for result in _FINAL_RESULTS):
        readable, _, _ = select.select([port], [], [], max(0.0, give_up - time.monotonic()))
        if not readable:
            break
        answer += os.read(port, 4096)
    return answer
