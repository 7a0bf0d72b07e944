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
