"""UUIDv7 and tracking IDs."""

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identifiers import Uuid7Factory, first_uuid7, is_tracking_id, luhn_digit, new_tracking_id

NOW = 1_793_347_200_000


def _ticking(moments: list[int]) -> Uuid7Factory:
    ticks: Iterator[int] = iter(moments)
    return Uuid7Factory(milliseconds=lambda: next(ticks), random_bits=lambda bits: (1 << bits) - 1)


def test_an_identifier_is_a_uuid_of_version_7_with_its_time() -> None:
    """RFC 9562, section 5.7: 48 bits of milliseconds, the version, and the variant."""
    made = uuid.UUID(_ticking([NOW])())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == NOW


@given(st.lists(st.integers(min_value=NOW - 5, max_value=NOW + 5), min_size=2, max_size=50))
def test_identifiers_sort_as_they_were_made(moments: list[int]) -> None:
    """Even when the clock stands still or goes back."""
    factory = _ticking(moments)
    made = [factory() for _ in moments]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_a_counter_that_is_used_up_borrows_the_next_millisecond() -> None:
    """More than 67 million identifiers in a millisecond still differ."""
    factory = Uuid7Factory(milliseconds=lambda: NOW, random_bits=lambda _bits: 0)
    factory()
    factory._counter = (1 << 26) - 1  # noqa: SLF001 - 67 million calls would take a minute
    assert uuid.UUID(factory()).int >> 80 == NOW + 1


def test_the_first_identifier_of_a_moment_sorts_before_all_of_it() -> None:
    """A bound for what is older."""
    assert first_uuid7(NOW) <= Uuid7Factory(lambda: NOW, lambda _bits: 0)() < first_uuid7(NOW + 1)


@pytest.mark.parametrize(("digits", "check"), [("7992739871", "3"), ("123456789", "7"), ("0", "0"), ("18", "2")])
def test_the_luhn_digit_is_that_of_the_standard(digits: str, check: str) -> None:
    """ISO/IEC 7812-1, annex B; the first is its usual example."""
    assert luhn_digit(digits) == check


@given(st.integers(min_value=0, max_value=9 * 10**8 - 1))
def test_a_new_tracking_id_is_one(number: int) -> None:
    """Whatever the dice say, it has ten digits, begins with 1 to 9, and passes its own test."""
    made = new_tracking_id(lambda _below: number)
    assert is_tracking_id(made)


def test_tracking_ids_span_the_whole_range() -> None:
    """From the first to the last, so that none can be guessed from another."""
    assert new_tracking_id(lambda _below: 0) == "1000000008"
    assert new_tracking_id(lambda below: below - 1).startswith("999999999")


@pytest.mark.parametrize(
    "text", ["1234567890", "0234567893", "123456789", "12345678970", "123456789a", "１２３４５６７８９７", ""]
)
def test_what_is_no_tracking_id_is_refused(text: str) -> None:
    """A wrong check digit, a leading zero, another length, letters, digits of other scripts."""
    assert not is_tracking_id(text)


@given(st.integers(min_value=0, max_value=9 * 10**8 - 1), st.integers(0, 9), st.integers(1, 9))
def test_one_wrong_digit_is_noticed(number: int, position: int, change: int) -> None:
    """That is what the check digit is for."""
    made = new_tracking_id(lambda _below: number)
    wrong = made[:position] + str((int(made[position]) + change) % 10) + made[position + 1 :]
    assert not is_tracking_id(wrong)
