"""How improbable a silence is: rhythms by hour and weekday, nights, sparse channels, holidays, the first weeks."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from gateway.settings.model import zone_of
from gateway.silence import HOUR, Calendar, Hour, Quiet, chance_of, judge, learn

WIB = zone_of("Asia/Jakarta")
CALENDAR = Calendar(WIB, frozenset({date(2026, 8, 17)}))
NO_HOLIDAYS_KNOWN = Calendar(WIB)
TWO_WEEKS = timedelta(days=14)
ODDS = 10_000

Usual = Callable[[datetime], float]


def at(text: str) -> datetime:
    """A moment in Jakarta."""
    return datetime.fromisoformat(text).replace(tzinfo=WIB)


def office(moment: datetime) -> float:
    """Busy by day, almost nothing by night, less on Sundays."""
    by_day = 40.0 if 7 <= moment.hour < 21 else 0.2
    return by_day * (0.4 if moment.weekday() == 6 else 1.0)


def weekdays_only(moment: datetime) -> float:
    return 40.0 if moment.weekday() < 5 and 8 <= moment.hour < 17 else 0.0


def round_the_clock(_moment: datetime) -> float:
    return 30.0


def sparse(_moment: datetime) -> float:
    return 0.15


def nothing(_moment: datetime) -> float:
    return 0.0


def poisson(random: Random, mean: float) -> int:
    """A count by Knuth's method."""
    limit, product, count = math.exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count


def weeks(usual: Usual, until: datetime, *, days: int = 35, seed: int = 1, differ: float = 0.2) -> list[Hour]:
    """A history that ends with the hour of a moment: each day is busier or calmer than usual by chance."""
    random = Random(seed)
    hours: list[Hour] = []
    moment = until.replace(minute=0) - timedelta(days=days)
    factor, day = 1.0, None
    while moment <= until:
        if moment.date() != day:
            factor, day = random.gammavariate(1 / differ**2, differ**2), moment.date()
        hours.append(Hour(moment.astimezone(UTC), poisson(random, usual(moment) * factor), 1.0))
        moment += HOUR
    return hours


def silenced(history: Sequence[Hour], since: datetime, now: datetime) -> list[Hour]:
    """The same history, in which nothing has come since."""
    return [
        Hour(hour.since, 0 if hour.since >= since else hour.count, min(1.0, max(0.0, (now - hour.since) / HOUR)))
        for hour in history
    ]


def quiet(
    usual: Usual,
    now: datetime,
    since: datetime,
    *,
    days: int = 35,
    calendar: Calendar = CALENDAR,
    odds: float = ODDS,
) -> Quiet | None:
    """The judgement on a channel from which nothing has come since."""
    history = silenced(weeks(usual, now, days=days), since, now)
    rhythm = learn(history, now, calendar, TWO_WEEKS)
    return None if rhythm is None else judge(rhythm, history, since, now, calendar, odds)


@pytest.mark.parametrize(
    ("usual", "now", "since", "improbable"),
    [
        pytest.param(office, "2026-11-18 13:00", "2026-11-18 10:00", True, id="three hours of a working day"),
        pytest.param(office, "2026-11-18 10:05", "2026-11-18 10:00", False, id="five minutes"),
        pytest.param(office, "2026-11-18 06:00", "2026-11-17 20:58", False, id="a night"),
        pytest.param(office, "2026-11-18 07:10", "2026-11-17 20:58", False, id="the first minutes of the morning"),
        pytest.param(office, "2026-11-18 09:30", "2026-11-17 20:58", True, id="a morning on which nothing begins"),
        pytest.param(office, "2026-11-15 13:00", "2026-11-15 12:30", False, id="half an hour of a Sunday"),
        pytest.param(office, "2026-11-15 16:00", "2026-11-15 10:00", True, id="six hours of a Sunday"),
        pytest.param(weekdays_only, "2026-11-15 16:00", "2026-11-13 16:50", False, id="a free weekend"),
        pytest.param(weekdays_only, "2026-11-18 12:00", "2026-11-18 08:00", True, id="a busy weekday"),
        pytest.param(round_the_clock, "2026-11-18 04:00", "2026-11-18 01:00", True, id="a night that is not quiet"),
        pytest.param(sparse, "2026-11-18 13:00", "2026-11-17 13:00", False, id="a day of a sparse channel"),
        pytest.param(sparse, "2026-11-18 13:00", "2026-11-16 13:00", False, id="two days of a sparse channel"),
        pytest.param(nothing, "2026-11-18 13:00", "2026-11-01 13:00", False, id="a channel that never brings a thing"),
    ],
)
def test_a_silence_is_held_against_the_usual_rhythm(usual: Usual, now: str, since: str, *, improbable: bool) -> None:
    """By hour and weekday; where little is expected nothing is missed."""
    assert (quiet(usual, at(now), at(since)) is not None) is improbable


@pytest.mark.parametrize(
    ("usual", "calendar", "improbable"),
    [
        pytest.param(weekdays_only, CALENDAR, False, id="listed, and Sundays bring nothing"),
        pytest.param(weekdays_only, NO_HOLIDAYS_KNOWN, False, id="nobody listed any: it may be one"),
        pytest.param(weekdays_only, Calendar(WIB, {date(2026, 1, 1)}), True, id="others are listed: it is none"),
        pytest.param(office, CALENDAR, True, id="listed, and Sundays bring something"),
        pytest.param(office, NO_HOLIDAYS_KNOWN, True, id="nobody listed any, and Sundays bring something"),
    ],
)
def test_a_holiday_is_a_sunday(usual: Usual, calendar: Calendar, *, improbable: bool) -> None:
    """The 17th of August 2026 is a Monday."""
    found = quiet(usual, at("2026-08-17 16:00"), at("2026-08-17 08:00"), calendar=calendar)
    assert (found is not None) is improbable


@pytest.mark.parametrize(("days", "judged"), [(0, False), (6, False), (13, False), (15, True), (35, True)])
def test_without_enough_history_nothing_is_said(days: int, *, judged: bool) -> None:
    """A channel that is new is not called silent."""
    now = at("2026-11-18 13:00")
    assert (quiet(office, now, at("2026-11-18 08:00"), days=days) is not None) is judged


def test_hours_in_which_nobody_listened_prove_nothing() -> None:
    """After a restart, a pause, or a modem that was away, the silence begins when the channel is back."""
    now = at("2026-11-18 13:05")
    history = silenced(weeks(office, now), at("2026-11-18 08:00"), now)
    rhythm = learn(history, now, CALENDAR, TWO_WEEKS)
    assert rhythm is not None
    away = [
        Hour(hour.since, hour.count, 0.0 if hour.since >= at("2026-11-18 08:00") else hour.listened) for hour in history
    ]
    assert judge(rhythm, history, at("2026-11-18 08:00"), now, CALENDAR, ODDS) is not None
    assert judge(rhythm, away, at("2026-11-18 08:00"), now, CALENDAR, ODDS) is None


def test_a_history_full_of_holes_teaches_nothing() -> None:
    """A gateway that ran for an hour now and then knows no rhythm."""
    now = at("2026-11-18 13:00")
    history = [hour for number, hour in enumerate(weeks(office, now)) if number % 10 == 0]
    assert learn(history, now, CALENDAR, TWO_WEEKS) is None


def test_one_odd_day_changes_little() -> None:
    """Neither what a day of catching up brought, nor a day on which the channel was dead unnoticed."""
    now = at("2026-11-18 13:00")
    history = weeks(office, now)
    odd = [
        Hour(hour.since, hour.count * 50 if hour.since.day == 4 else 0 if hour.since.day == 11 else hour.count, 1.0)
        for hour in history
    ]
    rhythm, skewed = learn(history, now, CALENDAR, TWO_WEEKS), learn(odd, now, CALENDAR, TWO_WEEKS)
    assert rhythm is not None
    assert skewed is not None
    moment = at("2026-11-18 10:00")
    assert 0.5 < skewed.expected(moment, CALENDAR) / rhythm.expected(moment, CALENDAR) < 1.2


def test_too_few_messages_are_noticed_as_well() -> None:
    """One of several senders is gone: something comes, but next to nothing of what usually does."""
    now = at("2026-11-18 19:00")
    history = [
        Hour(hour.since, min(hour.count, 1) if hour.since >= at("2026-11-18 07:00") else hour.count, 1.0)
        for hour in weeks(office, now)
    ]
    rhythm = learn(history, now, CALENDAR, TWO_WEEKS)
    assert rhythm is not None
    found = judge(rhythm, history, now - timedelta(minutes=1), now, CALENDAR, ODDS)
    assert found is not None
    assert 0 < found.count <= 13
    assert found.expected > 200


def test_what_was_called_quiet_ends_with_a_message_and_not_by_a_hair() -> None:
    """The limit to go on is lower than that to begin, and a message ends it."""
    now, since = at("2026-11-18 13:00"), at("2026-11-18 10:00")
    history = silenced(weeks(office, now), since, now)
    rhythm = learn(history, now, CALENDAR, TWO_WEEKS)
    assert rhythm is not None
    found = judge(rhythm, history, since, now, CALENDAR, ODDS)
    assert found is not None
    stricter = 3 / found.chance
    assert judge(rhythm, history, since, now, CALENDAR, stricter) is None
    assert judge(rhythm, history, since, now, CALENDAR, stricter, already=True) is not None
    alive = [Hour(hour.since, 20 if hour.since >= since else hour.count, hour.listened) for hour in history]
    assert judge(rhythm, alive, now - timedelta(minutes=1), now, CALENDAR, ODDS, already=True) is None


@pytest.mark.parametrize("usual", [office, weekdays_only, round_the_clock, sparse])
@pytest.mark.parametrize("differ", [0.1, 0.3, 0.5])
def test_a_healthy_channel_raises_no_alarm(usual: Usual, differ: float) -> None:
    """Two weeks, looked at every half an hour, on days that differ by a tenth to a half."""
    end = at("2026-11-18 00:00")
    history = weeks(usual, end, days=49, seed=7, differ=differ)
    random, alarms, last = Random(3), 0, None
    for number in range(35 * 24, len(history) - 1):
        hour = history[number]
        arrivals = sorted(hour.since + HOUR * random.random() for _ in range(hour.count))
        if number % 24 == 0:
            rhythm = learn(history[number - 35 * 24 : number], hour.since, CALENDAR, TWO_WEEKS)
        for part in (0.5, 1.0):
            now = hour.since + HOUR * part
            here = [each for each in arrivals if each <= now]
            last = here[-1] if here else last
            recent = [*history[number - 192 : number], Hour(hour.since, len(here), part)]
            assert rhythm is not None
            alarms += judge(rhythm, recent, last, now, CALENDAR, ODDS) is not None
    assert alarms == 0


@pytest.mark.parametrize(
    ("count", "mean", "shape", "expected"),
    [
        (0, 0.0, 5.0, 1.0),
        (0, 10.0, 1.0, 1 / 11),
        (0, 10.0, 1e9, math.exp(-10)),
        (2, 10.0, 1e9, math.exp(-10) * 61),
        (5, 10.0, 5.0, 1.0),
        (0, 1e6, 25.0, (25 / 2025) ** 25),
    ],
)
def test_the_chance_is_that_of_a_negative_binomial(count: int, mean: float, shape: float, expected: float) -> None:
    """Between Poisson's (a large shape) and a much wider one; half of what is usual and more is never a silence."""
    assert chance_of(count, mean, shape) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("found", "sentence", "in_english"),
    [
        (
            Quiet(timedelta(hours=3), 0, 40.4, 1e-5),
            "Tidak ada pesan selama 3 jam; biasanya ±40 pesan (peluang kebetulan 1 : 100.000).",
            "No message for 3 hours; usually ±40 messages (by chance 1 in 100,000).",
        ),
        (
            Quiet(timedelta(minutes=35), 0, 25.0, 1 / 23_456),
            "Tidak ada pesan selama 35 menit; biasanya ±25 pesan (peluang kebetulan 1 : 20.000).",
            "No message for 35 minutes; usually ±25 messages (by chance 1 in 20,000).",
        ),
        (
            Quiet(timedelta(hours=24), 12, 4321.0, 1e-30),
            "Hanya 12 pesan dalam 24 jam; biasanya ±4.321 pesan (peluang kebetulan 1 : 1.000.000).",
            "Only 12 messages in 24 hours; usually ±4,321 messages (by chance 1 in 1,000,000).",
        ),
    ],
)
def test_the_sentence_says_what_is_odd_and_how_odd(found: Quiet, sentence: str, in_english: str) -> None:
    """In both languages, with what to do; the odds are rounded down, and never more than one in a million."""
    assert found.sentence == f"{sentence} Kirim pesan percobaan lewat kanal ini."
    assert found.sentence_en == f"{in_english} Send a test message by this channel."
