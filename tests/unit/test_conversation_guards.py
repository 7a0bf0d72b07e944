"""When citizens get no answer, and until when the night is quiet."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.conversation.guards import Limits, Told, allowed, quiet_until

LIMITS = Limits(per_day=20, flood=5)
ME, YOU = "+6281100000001", "+6281100000002"
WIB = timezone(timedelta(hours=7))


@pytest.mark.parametrize(
    ("recipients", "told", "goes"),
    [
        pytest.param([], {}, "", id="nobody"),
        pytest.param([ME], {}, "y", id="the first"),
        pytest.param([ME] * 5, {}, "yyyyy", id="as many as are no flood"),
        pytest.param([ME] * 6, {}, "ynnnnn", id="a flood is answered once"),
        pytest.param([ME] * 300, {}, "y" + "n" * 299, id="a large one too"),
        pytest.param([ME] * 3, {ME: Told(2, 2)}, "yyy", id="those before count"),
        pytest.param([ME] * 3, {ME: Told(3, 3)}, "nnn", id="a flood that was answered"),
        pytest.param([ME], {ME: Told(5, 5)}, "n", id="the sixth"),
        pytest.param([ME], {ME: Told(5, 0)}, "y", id="calm again"),
        pytest.param([ME], {ME: Told(19, 0)}, "y", id="the last of the day"),
        pytest.param([ME], {ME: Told(20, 0)}, "n", id="the day's are used up"),
        pytest.param([ME] * 3, {ME: Told(18, 0)}, "yyn", id="used up in a batch"),
        pytest.param([ME, YOU, ME], {ME: Told(20, 0)}, "nyn", id="nobody pays for another"),
        pytest.param([ME] * 6 + [YOU], {}, "ynnnnny", id="nobody is a flood for another"),
    ],
)
def test_which_answers_of_a_batch_go_out(recipients: list[str], told: dict[str, Told], goes: str) -> None:
    """By what each reporter was told before, and what the batch would add."""
    assert allowed(recipients, told, LIMITS) == [each == "y" for each in goes]


@pytest.mark.parametrize(
    ("local", "hours", "until"),
    [
        ("2026-11-01 20:59", "21:00-06:00", None),
        ("2026-11-01 21:00", "21:00-06:00", "2026-11-02 06:00"),
        ("2026-11-01 23:59", "21:00-06:00", "2026-11-02 06:00"),
        ("2026-11-02 00:00", "21:00-06:00", "2026-11-02 06:00"),
        ("2026-11-02 05:59", "21:00-06:00", "2026-11-02 06:00"),
        ("2026-11-02 06:00", "21:00-06:00", None),
        ("2026-12-31 22:00", "21:00-06:00", "2027-01-01 06:00"),
        ("2026-11-01 12:30", "12:00-13:00", "2026-11-01 13:00"),
        ("2026-11-01 13:00", "12:00-13:00", None),
        ("2026-11-01 23:00", "", None),
    ],
)
def test_the_night_is_quiet_where_citizens_sleep(local: str, hours: str, until: str | None) -> None:
    """By their own time; the end is told in UTC and is itself no longer quiet."""
    now = datetime.fromisoformat(local).replace(tzinfo=WIB).astimezone(UTC)
    expected = datetime.fromisoformat(until).replace(tzinfo=WIB) if until else None
    found = quiet_until(now, hours, WIB)
    assert found == expected
    assert found is None or found.tzinfo is UTC
