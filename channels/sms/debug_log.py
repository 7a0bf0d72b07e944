"""What libGammu hides: the modem's own words, read from its debug log, which is kept in memory and never on disk."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import gammu

_LISTING: Final = "SMS listing received"
_LISTED: Final = re.compile(
    r"^Parsing \+CMGL: .*\n(?:Parsed int .*\n)?ATGEN folder \d+ & location -?\d+ -> SMS folder \d+ & location (\d+)$",
    re.MULTILINE,
)
_READ: Final = re.compile(r'^\d+ "\+CMGR:.*"\n\d+ "(?!OK"$)(.+)"$', re.MULTILINE)


class DebugLog:
    """The debug log of one connection.

    Args:
        machine: The connection.
    """

    def __init__(self, machine: gammu.StateMachine) -> None:
        self._machine = machine
        self._file = os.memfd_create("libgammu", os.MFD_CLOEXEC)

    @contextmanager
    def capture(self) -> Iterator[Callable[[], str]]:
        """What is said meanwhile can be asked for afterwards, before the next capture begins."""
        self._machine.SetDebugFile(f"/proc/self/fd/{self._file}")  # opened anew, which empties it
        self._machine.SetDebugLevel("textall")
        try:
            yield self._text
        finally:
            self._machine.SetDebugLevel("nothing")

    def _text(self) -> str:
        return os.pread(self._file, os.fstat(self._file).st_size, 0).decode("utf-8", "replace")


def listed_locations(said: str) -> list[int] | None:
    """The slots that a listing named, in its order; None where nothing was listed."""
    start = said.rfind(_LISTING)
    return None if start < 0 else [int(location) for location in _LISTED.findall(said, start)]


def pdu_read(said: str) -> str | None:
    """The PDU that the modem answered with when one slot was read, as it came over the wire."""
    found = _READ.search(said)
    return None if found is None else found[1]


_HAS_HEADER: Final = 0x40
_BEHIND_THE_ADDRESS: Final = 2 + 7
"""TP-PID, TP-DCS and TP-SCTS."""


def ucs2_text(pdu: str) -> str | None:
    """The text of an SMS-DELIVER in UCS-2 (3GPP TS 23.040, clause 9.2.2.1); None where there is none."""
    try:
        octets = bytes.fromhex(pdu)
        first = 1 + octets[0]
        data = first + 2 + 1 + (octets[first + 1] + 1) // 2 + _BEHIND_THE_ADDRESS
        user_data = octets[data + 1 : data + 1 + octets[data]]
        start = user_data[0] + 1 if octets[first] & _HAS_HEADER else 0
        return user_data[start:].decode("utf-16-be", "surrogatepass")
    except (ValueError, IndexError):
        return None
