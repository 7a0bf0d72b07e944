"""What everybody may see of an address: enough to tell two senders apart, too little to reach one."""

import re
from typing import Final

from gateway.model import Reporter

PERSONAL: Final = re.compile(
    r"\+\d[\d .-]{6,18}\d|\b0\d[\d .-]{6,13}\d|\b62\d[\d .-]{7,13}\d|[^\s@<>]{1,64}@[^\s@<>]{1,255}\.[^\s@<>]{1,63}"
)
"""What looks like a telephone number or a mail address."""

_HIDDEN = "•••"
_SHORTEST_NAME = 3
_SHORTEST_DIGITS = 7


def masked(reporter: Reporter) -> str:
    """A sender without what identifies a person.

    ``+6281234567890`` becomes ``+6281•••890``, ``budi@example.org`` becomes ``b•••@example.org``, and X's
    ``@budi`` becomes ``@b•••``. Nobody is a dash.
    """
    if not reporter.address:
        return "–"
    match reporter.kind:
        case "phone" if len(reporter.address) > 9:  # noqa: PLR2004 - else nothing would be hidden
            return f"{reporter.address[:5]}{_HIDDEN}{reporter.address[-3:]}"
        case "phone":
            return reporter.address  # a service number of a few digits is no person's
        case "email":
            local, _, domain = reporter.address.rpartition("@")
            return f"{local[:1]}{_HIDDEN}@{domain}"
        case "x" if reporter.handle:
            return f"@{reporter.handle.removeprefix('@')[:1]}{_HIDDEN}"
        case _:
            return f"{_HIDDEN}{reporter.address[-3:]}"


def hidden(text: str, reporter: Reporter | None) -> str:
    """A text in which telephone numbers, mail addresses, and the sender's address, name and handle are not seen."""
    for known in sorted(_ways_to_write(reporter) if reporter is not None else (), key=len, reverse=True):
        text = re.sub(re.escape(known), _HIDDEN, text, flags=re.IGNORECASE)
    return PERSONAL.sub(_HIDDEN, text)


def _ways_to_write(reporter: Reporter) -> set[str]:
    names = {reporter.name or "", (reporter.handle or "").removeprefix("@")}
    found = {name for name in names if len(name) >= _SHORTEST_NAME}
    if reporter.kind == "phone":
        digits = reporter.address.removeprefix("+").removeprefix("62")
        return found | ({reporter.address, f"0{digits}", digits} if len(digits) >= _SHORTEST_DIGITS else set())
    return found | ({reporter.address} if len(reporter.address) >= _SHORTEST_NAME else set())
