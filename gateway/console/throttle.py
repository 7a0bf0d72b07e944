"""Slows down those who guess passwords: so many failed logins for one name and from one address in ten minutes."""

from ipaddress import IPv6Address, ip_address
from typing import Final

from gateway.clock import Clock

WINDOW_SECONDS: Final = 600.0
FOR_A_NAME: Final = 10
FROM_AN_ADDRESS: Final = 30
MOST_REMEMBERED: Final = 10_000
"""Names and addresses that are remembered at once; beyond that the oldest is forgotten."""

_NETWORK_BITS: Final = 64


class Throttle:
    """Counts tries. Each gateway process counts for itself: several allow several times as many.

    Args:
        clock: Tells when a window ends.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._names: dict[str, tuple[int, float]] = {}
        self._addresses: dict[str, tuple[int, float]] = {}

    def wait(self, name: str, address: str) -> float:
        """Seconds until the next try is allowed; 0 for at once, and then the try counts as failed until forgiven."""
        now, place = self._clock.monotonic(), _place(address)
        waits = (
            _left(self._names, name, FOR_A_NAME, now),
            _left(self._addresses, place, FROM_AN_ADDRESS, now),
        )
        if max(waits) > 0:
            return max(waits)
        _count(self._names, name, now)
        _count(self._addresses, place, now)
        return 0.0

    def forgive(self, name: str, address: str) -> None:
        """The password was right: that try does not count, and neither do those before it for this name."""
        self._names.pop(name, None)
        place = _place(address)
        if place in self._addresses:
            count, until = self._addresses[place]
            self._addresses[place] = (count - 1, until)


def _left(counts: dict[str, tuple[int, float]], key: str, limit: int, now: float) -> float:
    count, until = counts.get(key, (0, 0.0))
    return until - now if count >= limit and until > now else 0.0


def _count(counts: dict[str, tuple[int, float]], key: str, now: float) -> None:
    count, until = counts.get(key, (0, 0.0))
    if until <= now:
        counts.pop(key, None)  # windows are told in the order of their ends
        count, until = 0, now + WINDOW_SECONDS
    counts[key] = (count + 1, until)
    while len(counts) > MOST_REMEMBERED:
        del counts[next(iter(counts))]


def _place(address: str) -> str:
    """An address; of IPv6 the network, since one machine has all of that."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return hex(int(parsed) >> (128 - _NETWORK_BITS))
    return str(parsed)
