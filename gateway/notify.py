"""Tells the service manager how the process is: systemd's notification protocol, sd_notify(3), in one datagram each."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

STATUS_LENGTH: Final = 400
"""Characters of a status; ``systemctl status`` shows one line."""

_MICROSECONDS: Final = 1_000_000


class ServiceManager:
    """The socket that the service manager has named; without one, every call does nothing.

    Args:
        environment: Where ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` stand.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_seconds = _watchdog(environment) if self._address else None
        """Within how many seconds the manager wants a sign of life each time; None where it wants none."""

    def ready(self, status: str) -> None:
        """Everything has started."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        self._send(f"STATUS={_line(status)}")

    def alive(self, status: str) -> None:
        """The sign of life that the watchdog waits for."""
        self._send(f"WATCHDOG=1\nSTATUS={_line(status)}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1\nSTATUS=Stopping.")

    def _send(self, message: str) -> None:
        """One datagram. A manager that does not listen is no reason to stop receiving messages."""
        if not self._address.startswith(("/", "@")):
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagrams:
            datagrams.setblocking(False)
            datagrams.sendto(message.encode(), address)


def _watchdog(environment: Mapping[str, str]) -> float | None:
    """The interval, unless it is meant for another process than this one."""
    text, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (text.isascii() and text.isdigit()) or int(text) == 0 or process not in ("", str(os.getpid())):
        return None
    return int(text) / _MICROSECONDS


def _line(status: str) -> str:
    return " ".join(status.split())[:STATUS_LENGTH]
