"""What ``lapor-gateway check`` finds: one line for each thing that was tried, with what to do."""

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from gateway.errors import GatewayError

FindingState = Literal["ok", "weak", "failed"]

CLOCK_TOLERANCE: Final = 5.0
CLOCK_LIMIT: Final = 60.0
"""Seconds between two clocks that are noteworthy, and that are a fault: X refuses signatures five minutes off, and a
citizen's report gets a wrong time long before."""

_DATE = re.compile(r"(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (?:[+-]\d{4}|GMT|UTC)")
_LONGEST_GREETING: Final = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried.

    Attributes:
        subject: What it was: the setting's path, and a word where several things are tried of it.
        state: *weak* works, and should be looked at; *failed* does not work.
        sentence: What was found, and what to do about it. Holds no secret and no citizen's data.
    """

    subject: str
    state: FindingState
    sentence: str


async def tried(subject: str, work: Awaitable[str]) -> Finding:
    """What came of a piece of work that returns a sentence, or raises an error that has one."""
    try:
        return Finding(subject, "ok", await work)
    except GatewayError as error:
        return Finding(subject, "failed", str(error))


def clock_finding(subject: str, ours: datetime, theirs: datetime, whose: str) -> Finding:
    """How far two clocks are apart.

    Args:
        subject: What the finding is about.
        ours: The time here.
        theirs: The time there, at the same moment; a date header has whole seconds.
        whose: Whose clock the other one is, for the sentence.
    """
    seconds = (ours - theirs).total_seconds()
    if abs(seconds) <= CLOCK_TOLERANCE:
        return Finding(subject, "ok", f"The clock agrees with that of {whose}.")
    how = f"The clock here is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} that of {whose}"
    state: FindingState = "failed" if abs(seconds) > CLOCK_LIMIT else "weak"
    return Finding(subject, state, f"{how}: see that both are set by a time server (timedatectl).")


def time_in(text: str) -> datetime | None:
    """The time that a header or a server's greeting names in the form of mails, or None."""
    found = _DATE.search(text[:_LONGEST_GREETING])
    if found is None:
        return None
    try:
        moment = parsedate_to_datetime(found[0])
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
