"""The identifiers: UUIDv7 for reports and events, ten digits for citizens, hashes for who wrote."""

import hashlib
import random
import secrets
import time
from collections.abc import Callable

_TRACKING_DIGITS = 10

RandomBelow = Callable[[int], int]
"""Returns a whole number from 0 up to, but not including, its argument."""


RandomBits = Callable[[int], int]
"""Returns a whole number of so many random bits."""


class Uuid7Factory:
    """Makes UUIDv7 identifiers that sort in the order in which one process made them.

    RFC 9562, section 5.7, with the 12 bits of ``rand_a`` and 14 of ``rand_b`` as a counter (section 6.2, method 1):
    rows that are committed together keep the order in which they were received.

    They need not be hard to guess, so a fast generator serves.

    Args:
        milliseconds: Tells the time in milliseconds since 1970.
        random_bits: The source of randomness.
    """

    def __init__(
        self,
        milliseconds: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        random_bits: RandomBits = random.Random(secrets.randbits(128)).getrandbits,  # noqa: B008, S311 - no secret
    ) -> None:
        self._milliseconds = milliseconds
        self._random_bits = random_bits
        self._last = 0
        self._counter = 0

    def __call__(self) -> str:
        """The next identifier, in the usual form of 36 characters."""
        now = self._milliseconds()
        if now > self._last:
            self._last = now
            self._counter = self._random_bits(16)
        else:
            self._counter += 1
            if self._counter >= 1 << 26:
                self._last += 1
                self._counter = 0
        high, low = divmod(self._counter, 1 << 14)
        tail = (2 << 62) | (low << 48) | self._random_bits(48)
        value = (self._last << 80) | (7 << 76) | (high << 64) | tail
        return _as_text(value)


def first_uuid7(milliseconds: int) -> str:
    """The lowest UUIDv7 of a moment: every identifier that was made before sorts before it."""
    return _as_text((milliseconds << 80) | (7 << 76) | (2 << 62))


def _as_text(value: int) -> str:
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


uuid7 = Uuid7Factory()
"""The process's own factory. Parsers and decisions never call it; stages do."""


def luhn_digit(digits: str) -> str:
    """The check digit that makes ``digits`` plus itself pass the Luhn test (ISO/IEC 7812-1, annex B)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * 2 if position % 2 == 0 else int(digit)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - the sum of a two-digit number's digits
    return str(-total % 10)


def new_tracking_id(random_below: RandomBelow = secrets.randbelow) -> str:
    """A fresh tracking ID: ten digits, the first 1 to 9, the last a Luhn check digit, the rest random."""
    body = str(10 ** (_TRACKING_DIGITS - 2) + random_below(9 * 10 ** (_TRACKING_DIGITS - 2)))
    return body + luhn_digit(body)


def is_tracking_id(digits: str) -> bool:
    """Whether ``digits`` has the form of a tracking ID of ours, its check digit included."""
    return (
        len(digits) == _TRACKING_DIGITS
        and digits.isascii()
        and digits.isdigit()
        and digits[0] != "0"
        and luhn_digit(digits[:-1]) == digits[-1]
    )


def reporter_key(kind: str, address: str) -> str:
    """By what rows name a reporter without saying who it is: 32 hexadecimal digits.

    Args:
        kind: Of the address: phone, x, email or partner.
        address: In its one form, as :class:`gateway.model.Reporter` has it.
    """
    return hashlib.blake2b(f"{kind}:{address}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
