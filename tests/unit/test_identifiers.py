"""The identifiers that leave the house: their layout, their order, their check digits."""

import re
import uuid
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identifiers import Uuid7Factory, first_uuid7, is_tracking_id, luhn_digit, new_tracking_id, uuid7

MOMENT = 0x017F22E279B0
"""Tuesday, 22 February 2022 14:22:22 UTC: the moment of the example in RFC 9562, appendix A.6."""


def test_an_identifier_has_the_layout_of_rfc_9562() -> None:
    """48 bits of milliseconds, version 7, variant 10, in the usual text form."""
    made = Uuid7Factory(lambda: MOMENT)()
    assert made.startswith("017f22e2-79b0-7")
    parsed = uuid.UUID(made)
    assert (parsed.version, parsed.variant, parsed.int >> 80) == (7, uuid.RFC_4122, MOMENT)
    assert str(parsed) == made
    assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made)


def test_identifiers_of_one_millisecond_sort_in_the_order_of_their_making() -> None:
    """More than the 14 low bits of the counter hold, all in one millisecond."""
    make = Uuid7Factory(lambda: MOMENT)
    made = [make() for _ in range(50_000)]
    assert made == sorted(set(made))


def test_a_counter_that_is_used_up_borrows_the_next_millisecond() -> None:
    """After 2**26 identifiers the time field goes ahead of the clock, and the order stays."""
    make = Uuid7Factory(lambda: MOMENT)
    first = make()
    make._counter = (1 << 26) - 1  # noqa: SLF001 - 67 million calls would do the same
    last_of_counter = make()
    assert first < last_of_counter
    assert uuid.UUID(last_of_counter).int >> 80 == MOMENT + 1


@given(st.lists(st.integers(MOMENT - 5, MOMENT + 5), min_size=2, max_size=200))
def test_identifiers_rise_even_when_the_clock_goes_back(moments: list[int]) -> None:
    """Whatever the clock says, each identifier is greater than the one before."""
    times = iter(moments)
    make = Uuid7Factory(lambda: next(times))
    made = [make() for _ in moments]
    assert made == sorted(set(made))


def test_two_processes_in_the_same_millisecond_make_different_identifiers() -> None:
    """The random bits tell them apart."""
    one, other = (Uuid7Factory(lambda: MOMENT, Random(seed).getrandbits) for seed in (1, 2))
    assert not {one() for _ in range(1000)} & {other() for _ in range(1000)}


def test_the_process_has_a_factory_of_its_own() -> None:
    """It tells the real time."""
    first, second = uuid7(), uuid7()
    assert first < second
    assert uuid.UUID(first).version == 7


@pytest.mark.parametrize(
    ("digits", "check"),
    [
        ("7992739871", "3"),  # the example of many textbooks
        ("123456789", "7"),
        ("0", "0"),
        ("1", "8"),
        ("411111111111111", "1"),  # a well-known test card
        ("37828224631000", "5"),
    ],
)
def test_the_check_digit_is_luhns(digits: str, check: str) -> None:
    """Known numbers from elsewhere."""
    assert luhn_digit(digits) == check


@given(st.text("0123456789", min_size=9, max_size=9).filter(lambda body: body[0] != "0"), st.data())
def test_one_wrong_digit_is_always_noticed(body: str, data: st.DataObject) -> None:
    """Any single digit mistyped makes it no tracking ID."""
    tracking_id = body + luhn_digit(body)
    assert is_tracking_id(tracking_id)
    at = data.draw(st.integers(0, 9))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != tracking_id[at]]))
    assert not is_tracking_id(tracking_id[:at] + digit + tracking_id[at + 1 :])


@given(st.integers(0, 9 * 10**8 - 1))
def test_a_fresh_tracking_id_is_ten_digits_and_checks(number: int) -> None:
    """Whatever the random number, the first digit is not 0 and the last one is right."""
    tracking_id = new_tracking_id(lambda _below: number)
    assert re.fullmatch("[1-9][0-9]{9}", tracking_id)
    assert is_tracking_id(tracking_id)
    assert tracking_id[:-1] == str(10**8 + number)


def test_fresh_tracking_ids_are_not_in_sequence() -> None:
    """Nobody can enumerate them: hundreds differ, and neighbours are far apart."""
    made = [int(new_tracking_id()) for _ in range(300)]
    assert len(set(made)) == 300
    assert min(abs(a - b) for a, b in pairwise(made)) > 10


@pytest.mark.parametrize(
    "text",
    ["", "123456789", "12345678901", "0234567893", "1234567890", "12345678 7", "１２３４５６７８９７", "+234567897"],
)
def test_what_only_looks_like_a_tracking_id_is_none(text: str) -> None:
    """Other lengths, a leading zero, a wrong check digit, other characters, digits of other scripts."""
    assert not is_tracking_id(text)


def test_the_first_identifier_of_a_moment_sorts_before_all_of_it() -> None:
    """A bound for what is older."""
    assert first_uuid7(MOMENT) <= Uuid7Factory(lambda: MOMENT, lambda _bits: 0)() < first_uuid7(MOMENT + 1)


def test_tracking_ids_span_the_whole_range() -> None:
    """From the first to the last, so that none can be guessed from another."""
    assert new_tracking_id(lambda _below: 0) == "1000000008"
    assert new_tracking_id(lambda below: below - 1).startswith("999999999")
