"""Tells by time whether a mail may be a machine's answer to an answer of ours: pure.

The parser knows machines by their marks. This is for those that bear none: free text, no thread, no tracking ID.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from channels.mail.answer_mail import Asked

ROBOT_SECONDS: Final = 20.0
"""A mail that arrives so soon after an answer to its author gets no receipt of its own. Nobody reads a receipt and
writes another report in that time; a machine has answered long before. RFC 3834, 2 leaves the rate to the responder."""

REPLY_HOURS: Final = 24.0
"""The same for a mail whose subject says that it is a reply, to whatever: its author has a receipt of that day."""

_STAMPS_APART: Final = timedelta(seconds=2)
"""By how much a mail server's stamp, in whole seconds, may lie before our own clock."""

_CLOCKS_APART: Final = timedelta(minutes=2)
"""By how much the clock of whoever wrote may be slow."""

_OLDEST: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Span:
    """Moments from ``since`` up to, not including, ``until``; none where that is not later."""

    since: datetime
    until: datetime


def suspicious_span(asked: Asked, received_at: datetime) -> Span:
    """When an answer of ours to the author must have been begun to let this mail look like a machine's answer to it.

    What was written before our answer, and lay in a phone or a mailbox, looks like nothing: its *Date*, or the stamp of
    our mail server (the topmost *Received*) is older.

    Args:
        asked: The mail.
        received_at: When it came into custody.
    """
    arrived = min(received_at, _plausible(asked.arrived, received_at))
    until = min(received_at, arrived + _STAMPS_APART, _plausible(asked.dated, received_at) + _CLOCKS_APART)
    before = timedelta(hours=REPLY_HOURS) if asked.is_reply else timedelta(seconds=ROBOT_SECONDS)
    return Span(arrived - before, until)


def _plausible(moment: datetime | None, received_at: datetime) -> datetime:
    """The moment that a mail names; that of its custody where it names none, or one that cannot be."""
    if moment is None or not received_at - _OLDEST < moment <= received_at:
        return received_at
    return moment
