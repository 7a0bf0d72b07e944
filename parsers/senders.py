"""Who sent an SMS: the number in one form, and whether there can be a person behind it."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from parsers import citizen_text

SenderKind = Literal["phone", "name", "short code", "nobody"]

_SEPARATORS: Final = str.maketrans("", "", " \t\u00a0-\u2010\u2011.()/")
_NUMBER: Final = re.compile(r"\+?[0-9]+")
# Service numbers in Indonesia have three to six digits; a subscriber's, with the area code, has more.
_LONGEST_SHORT_CODE: Final = 6
# 62 and a subscriber's number of at least seven digits; a shorter run that begins with 62 is a local number.
_SHORTEST_WITH_COUNTRY: Final = 9


def identify(number: str) -> tuple[str, SenderKind]:
    """The sender's address in one form, and what it is.

    A phone number becomes E.164 where its country can be told: ``0811…``, ``62811…`` and ``0062811…`` are
    ``+62811…``, by Google's metadata of each country's numbers (``phonenumbers``), which know the trunk zeros of other
    countries, too. Anything else stays as it was written, but for separators.
    """
    if number.startswith("+628") and len(number) > _LONGEST_SHORT_CODE and number.isascii() and number[1:].isdigit():
        return number, "phone"  # what nearly every message brings
    digits = number.translate(_SEPARATORS)
    if not digits:
        return "", "nobody"
    if not _NUMBER.fullmatch(digits):
        name = citizen_text.clean(number)
        return (name, "name") if name else ("", "nobody")
    if len(digits) <= _LONGEST_SHORT_CODE:
        return digits, "short code"
    address = _international(digits)
    return address, "phone" if len(address) > _LONGEST_SHORT_CODE else "short code"


def _international(digits: str) -> str:
    """The number in E.164 where its country can be told; never raises, and what it returns stays what it is."""
    if not digits.strip("+0"):
        return digits
    if digits.startswith("00"):
        digits = "+" + digits[2:].lstrip("0")
    elif digits.startswith("0"):
        digits = "+62" + digits[1:]
    elif digits.startswith("62") and len(digits) >= _SHORTEST_WITH_COUNTRY:
        digits = "+" + digits
    # Some phone books keep the trunk zero behind the country's code; nobody can be called that way.
    if digits.startswith("+620"):
        digits = "+62" + digits[4:].lstrip("0")
    if not digits.startswith("+"):
        return digits
    while (form := _e164(digits)) != digits:
        digits = form  # one trunk zero fewer
    return digits


def _e164(digits: str) -> str:
    try:
        number = phonenumbers.parse(digits)
    except NumberParseException:  # no country has such numbers
        return digits
    # What no country can have given out, a part of a number or two in one, is not made to look like another.
    if not phonenumbers.is_possible_number(number):
        return digits
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


@lru_cache(maxsize=64)
def _own_form(address: str) -> str:
    """The one form of an address of ours; there are few, and every message is compared with them."""
    return identify(address)[0]


def is_own(address: str, own_addresses: Iterable[str]) -> bool:
    """Whether an address in its one form is one of ours, however the settings write it."""
    last = address[-1:]
    for own in own_addresses:  # noqa: SIM110 - every message passes here, and a generator costs as much as the rest
        # Nearly all that differ do so in their last digit already.
        if own == address or (own.rstrip()[-1:] == last and _own_form(own) == address):
            return True
    return False
