"""How improbable a channel's silence is, judged by its own rhythm: pure, the time and the history come in.

Each hour of the week has its usual number of messages. What came in a span of time is held against what usually comes
in it by a negative binomial distribution: a Poisson whose mean itself differs from day to day, as much as it did in
the history. Wherever there is doubt the judgement errs on the side of saying nothing: an hour without enough history
expects nothing, the best week of each hour does not count, and a weekday may always be a holiday.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

HOUR: Final = timedelta(hours=1)
WEEK_HOURS: Final = 168
SUNDAY: Final = 6
LEARNED_UNTIL: Final = timedelta(days=1)
"""The last day is judged, not learned from."""

LEVEL_DAYS: Final = timedelta(days=7)
LOOKED_BACK: Final = timedelta(days=8)
"""How much of the newest history a judgement looks at."""

LOW_COUNT_HOURS: Final = (3, 6, 12, 24)
"""Spans in which too few messages are noticed, besides the time since the last one."""

_LEAST_VALUES: Final = 2
_LEAST_LISTENED: Final = 0.5
_MOST_ALIKE: Final = 25.0
"""The shape of a channel whose days are all alike: no history of five weeks proves more."""
_LEAST_ALIKE: Final = 0.5
_LARGEST_MEAN: Final = 2000.0
_CALM_AGAIN: Final = 10.0
"""A judgement stands until the chance is so many times what it takes to begin one."""


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of a channel's history.

    Attributes:
        since: Its first moment, with a time zone.
        count: Messages that came.
        listened: The part of the hour in which the channel was there to receive, 0 to 1.
    """

    since: datetime
    count: int
    listened: float


@dataclass(frozen=True, slots=True)
class Calendar:
    """How days are told apart.

    Attributes:
        zone: The time zone of the people who write.
        holidays: Days that are like Sundays. In a year of which none is known every weekday may be one.
    """

    zone: tzinfo
    holidays: Collection[date] = ()

    def slot(self, moment: datetime) -> int:
        """The hour of the week, from Monday midnight on; all of a holiday's are Sunday's."""
        local = moment.astimezone(self.zone)
        weekday = SUNDAY if local.date() in self.holidays else local.weekday()
        return weekday * 24 + local.hour

    def may_be_a_holiday(self, moment: datetime) -> bool:
        """Whether nobody has said which days of that year are holidays."""
        return moment.astimezone(self.zone).year not in {day.year for day in self.holidays}


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What a channel usually brings.

    Attributes:
        by_slot: Messages expected in each hour of the week.
        shape: Of the negative binomial: the smaller, the more its days differ.
        level: What part of that came within the last week; at most 1.
    """

    by_slot: tuple[float, ...]
    shape: float
    level: float

    def expected(self, moment: datetime, calendar: Calendar) -> float:
        """Messages expected in the hour of a moment."""
        slot = calendar.slot(moment)
        usual = self._calm(slot)
        if calendar.may_be_a_holiday(moment):
            usual = min(usual, self._calm(SUNDAY * 24 + slot % 24))
        return usual * self.level

    def _calm(self, slot: int) -> float:
        """The hour itself or the mean with its neighbours: a rhythm that rises does not do so at the full hour."""
        around = [self.by_slot[(slot + step) % WEEK_HOURS] for step in (-1, 0, 1)]
        return min(self.by_slot[slot], sum(around) / 3)


@dataclass(frozen=True, slots=True)
class Quiet:
    """A silence, or a low count, that is improbable.

    Attributes:
        span: How long it has lasted.
        count: Messages that came in that time.
        expected: How many usually come in it.
        chance: The probability of so few, at most 1.
    """

    span: timedelta
    count: int
    expected: float
    chance: float

    @property
    def odds(self) -> int:
        """One in how many; one significant digit, a million at most."""
        exact = round(min(1e6, 1 / max(self.chance, 1e-9)))
        digit = int("1".ljust(len(str(exact)), "0"))
        return exact // digit * digit

    @property
    def sentence(self) -> str:
        """For operators, in Indonesian."""
        odds = f"{self.odds:,}".replace(",", ".")
        usual = f"biasanya ±{_number(self.expected, '.')} pesan (peluang kebetulan 1 : {odds})"
        span = _span(self.span, ("menit", "menit"), ("jam", "jam"), ("hari", "hari"))
        seen = f"Tidak ada pesan selama {span}" if not self.count else f"Hanya {self.count} pesan dalam {span}"
        return f"{seen}; {usual}. Kirim pesan percobaan lewat kanal ini."

    @property
    def sentence_en(self) -> str:
        """The same in English."""
        usual = f"usually ±{_number(self.expected, ',')} messages (by chance 1 in {self.odds:,})"
        span = _span(self.span, ("minute", "minutes"), ("hour", "hours"), ("day", "days"))
        some = f"Only {self.count} message{'s' if self.count > 1 else ''} in"
        return f"{some if self.count else 'No message for'} {span}; {usual}. Send a test message by this channel."


def learn(history: Sequence[Hour], now: datetime, calendar: Calendar, least: timedelta) -> Rhythm | None:
    """A channel's rhythm.

    Args:
        history: The hours that are known, in any order; those of the last day are left out.
        now: The time of day.
        calendar: Which hours are alike.
        least: How far the history has to reach back.

    Returns:
        None while there is less history than that, or it is full of holes.
    """
    known = [hour for hour in history if hour.listened >= _LEAST_LISTENED and hour.since <= now - LEARNED_UNTIL]
    if not known or min(hour.since for hour in known) > now - least or len(known) < least / HOUR / 2:
        return None
    values: dict[int, list[float]] = {}
    for hour in known:
        values.setdefault(calendar.slot(hour.since), []).append(hour.count / hour.listened)
    by_slot = tuple(_usual(values.get(slot, ())) for slot in range(WEEK_HOURS))
    means = {slot: sum(some) / len(some) for slot, some in values.items() if len(some) >= _LEAST_VALUES}
    return Rhythm(by_slot, _shape(known, means, values, calendar), _level(known, by_slot, now, calendar))


def _usual(values: Sequence[float]) -> float:
    """The mean without the highest value: what a day of catching up brought is no rhythm."""
    return 0.0 if len(values) < _LEAST_VALUES else sum(sorted(values)[:-1]) / (len(values) - 1)


def _shape(
    known: Sequence[Hour], means: Mapping[int, float], values: Mapping[int, Sequence[float]], calendar: Calendar
) -> float:
    """From how far the quiet hours of the history stayed below their mean; bursts say nothing about silence."""
    below = poisson = squares = 0.0
    for hour in known:
        slot = calendar.slot(hour.since)
        if slot not in means:
            continue
        mean = means[slot] * hour.listened
        unbiased = len(values[slot]) / (len(values[slot]) - 1)  # the hour itself is part of its mean
        below += max(0.0, mean - hour.count) ** 2 * 2 * unbiased
        poisson += mean
        squares += mean * mean
    scatter = max(0.0, (below - poisson) / squares) if squares else 0.0
    return max(_LEAST_ALIKE, 1 / (scatter + 1 / _MOST_ALIKE))


def _level(known: Sequence[Hour], by_slot: Sequence[float], now: datetime, calendar: Calendar) -> float:
    lately = [hour for hour in known if hour.since > now - LEARNED_UNTIL - LEVEL_DAYS]
    expected = sum(by_slot[calendar.slot(hour.since)] * hour.listened for hour in lately)
    return min(1.0, sum(hour.count for hour in lately) / expected) if expected else 1.0


def judge(
    rhythm: Rhythm,
    recent: Sequence[Hour],
    last_message_at: datetime | None,
    now: datetime,
    calendar: Calendar,
    odds: float,
    *,
    already: bool = False,
) -> Quiet | None:
    """Says how improbable it is that so little came, if it is.

    Args:
        rhythm: What usually comes.
        recent: The newest hours that are known, the present one included.
        last_message_at: When the last message came; None when that is not known.
        now: The time of day.
        calendar: As in :func:`learn`.
        odds: It is improbable when it would come about by chance less than once in so many times.
        already: Whether it was found quiet the last time: that ends only when it has become clearly more probable.

    Returns:
        The most improbable span, or None if none is improbable enough.
    """
    found = [quiet for quiet in _spans(rhythm, recent, last_message_at, now, calendar) if quiet.expected > quiet.count]
    tried = 1 + len(LOW_COUNT_HOURS)  # with each look at another span something improbable is more easily found
    limit = (_CALM_AGAIN if already else 1.0) / odds
    quiet = min(found, key=lambda each: each.chance, default=None)
    if quiet is None or quiet.chance * tried > limit:
        return None
    return Quiet(quiet.span, quiet.count, quiet.expected, quiet.chance * tried)


def _spans(
    rhythm: Rhythm, recent: Sequence[Hour], last_message_at: datetime | None, now: datetime, calendar: Calendar
) -> Iterator[Quiet]:
    if last_message_at is not None and last_message_at < now:
        since = max(last_message_at, now - LOOKED_BACK)
        expected = 0.0
        for hour in recent:
            begin, end = max(hour.since, since), min(hour.since + HOUR, now)
            if begin < end:
                expected += rhythm.expected(hour.since, calendar) * min((end - begin) / HOUR, hour.listened)
        yield Quiet(now - since, 0, expected, chance_of(0, expected, rhythm.shape))
    for hours in LOW_COUNT_HOURS:
        some = [hour for hour in recent if now - hours * HOUR <= hour.since <= now]
        expected = sum(rhythm.expected(hour.since, calendar) * hour.listened for hour in some)
        count = sum(hour.count for hour in some)
        if count:  # else the time since the last message says it better
            yield Quiet(hours * HOUR, count, expected, chance_of(count, expected, rhythm.shape))


def chance_of(count: int, mean: float, shape: float) -> float:
    """The probability of so many messages or fewer, by a negative binomial distribution of this mean and shape."""
    if count >= mean / 2:
        return 1.0  # whatever it is exactly, nobody calls that silence
    if mean > _LARGEST_MEAN:  # the same proportion of fewer messages is never less probable
        count, mean = math.ceil(count * _LARGEST_MEAN / mean), _LARGEST_MEAN
    share = mean / (shape + mean)
    term = total = math.pow(1 - share, shape)
    for number in range(count):
        term *= (number + shape) / (number + 1) * share
        total += term
    return min(1.0, total)


def _number(value: float, separator: str) -> str:
    return f"{max(1, round(value)):,}".replace(",", separator)


def _span(span: timedelta, minutes: tuple[str, str], hours: tuple[str, str], days: tuple[str, str]) -> str:
    """A span of time in the largest unit that it holds twice, as words."""
    for unit, words in ((timedelta(days=1), days), (HOUR, hours)):
        if span >= 2 * unit:
            return f"{round(span / unit)} {words[1]}"
    number = max(1, round(span / timedelta(minutes=1)))
    return f"{number} {minutes[number != 1]}"
