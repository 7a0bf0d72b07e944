"""Invents labelled pairs of messages: ``python -m tests.corpus.pairs.generate --pairs 6000 --seed 1 > FILE``."""

import argparse
import json
import math
import re
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from tests.corpus.pairs.changes import chosen, led, shortened
from tests.corpus.pairs.matters import ENDINGS, HANDLES, KEYWORDS, LONG, MATTERS, OPENINGS, SUBJECTS, TAGS
from tests.corpus.pairs.values import MAKERS, OTHER, Forms, digits, kind_of, near

SHARES: Final = {"repeat": 0.30, "similar": 0.27, "different": 0.43}
WINDOW: Final = timedelta(days=30)
_START: Final = datetime(2026, 6, 1, tzinfo=UTC)
_PLACES: Final = frozenset({"desa", "dusun", "kel", "kec", "kab", "jalan", "rt", "km"})
_SLOTS: Final = {
    name: tuple(dict.fromkeys(slot for _, slot, _, _ in string.Formatter().parse(text) if slot))
    for name, text in MATTERS.items()
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a text is made of, so that it can be made again with one thing changed.

    Attributes:
        forms: Which of its forms each value is written in.
        style: Seeds what is abbreviated.
    """

    matter: str
    values: dict[str, Forms]
    forms: dict[str, int]
    style: int
    terse: bool
    small: bool
    keyword: str = ""
    opening: str = ""
    more: tuple[str, ...] = ()
    ending: str = ""

    def text(self) -> str:
        """The text, without what a channel adds."""
        filled = {name: forms[self.forms[name] % len(forms)] for name, forms in self.values.items()}
        body = ". ".join([MATTERS[self.matter].format(**filled), *self.more])
        if self.terse:
            body = shortened(Random(self.style), body)
        if self.small:
            body = body.lower()
        return f"{self.keyword}{self.opening}{body}{self.ending}"


@dataclass(frozen=True, slots=True)
class Citizen:
    """Who writes, and through which channel."""

    channel: str
    reporter: str
    style: int = field(default=0)


def plan(random: Random, matter: str | None = None, values: dict[str, Forms] | None = None) -> Plan:
    """A message about a matter; values that are given are used where it has such slots."""
    matter = matter or random.choice(list(MATTERS))
    known = values or {}
    slots = _SLOTS[matter]
    drawn = random.random()
    count = 0 if drawn < 0.76 else 1 if drawn < 0.86 else random.randint(2, 4) if drawn < 0.96 else random.randint(6, 9)
    filled: dict[str, Forms] = {}
    for slot in slots:
        value = known.get(slot) or MAKERS[kind_of(slot)](random)
        while any(value == other for other in filled.values()):
            value = MAKERS[kind_of(slot)](random)
        filled[slot] = value
    terse = random.random() < 0.4
    return Plan(
        matter=matter,
        values=filled,
        forms={slot: random.choice((0, 0, 0, 1, 2, 3, 4)) for slot in slots},
        style=random.getrandbits(32),
        terse=terse,
        small=terse and random.random() < 0.4,
        keyword=random.choice(KEYWORDS) if random.random() < 0.2 else "",
        opening=random.choice(OPENINGS) if random.random() < 0.3 else "",
        more=tuple(random.sample(LONG, k=count)),
        ending=random.choice(ENDINGS) if random.random() < 0.45 else "",
    )


def citizen(random: Random, channel: str | None = None) -> Citizen:
    """Somebody invented."""
    channel = channel or random.choices(("sms", "twitter", "mail"), weights=(60, 22, 18))[0]
    if channel == "sms":
        reporter = f"+628110{digits(random, 6)}"
    elif channel == "twitter":
        reporter = f"@warga_{digits(random, 6)}"
    else:
        reporter = f"warga.{digits(random, 6)}@example.net"
    return Citizen(channel, reporter, random.getrandbits(32))


def sent(who: Citizen, text: str, *, again: Random | None = None) -> str:
    """The text as it goes out through a channel; ``again`` lets the channel's additions differ from the first time."""
    random = again or Random(who.style)
    if who.channel == "sms":
        return text
    text = led(text)[1]  # keywords are of the published form of an SMS
    if who.channel == "twitter":
        form = random.choice(
            (
                "#LAPOR {} @LAPOR1708",
                "@LAPOR1708 #LAPOR {}",
                "{} @LAPOR1708 #lapor",
                "Min @LAPOR1708 {} #LAPOR",
                "@lapor1708 {handle} #lapor {}",
                "{} cc @LAPOR1708 {handle} #LAPOR {tag}",
            )
        )
        return form.format(text, handle=random.choice(HANDLES), tag=random.choice(TAGS))
    subject = random.choice((*SUBJECTS, " ".join(text.split()[:6])))
    form = random.choice(("{}", "{}", "Dengan hormat,\n\n{}", "{}\n\nHormat saya,\nseorang warga"))
    return f"Subject: {subject}\n\n{form.format(text)}"


def retweeted(random: Random, first: str) -> str:
    """A post that repeats another by hand, with some words of its own before it."""
    words = random.choice(("Tolong ini min", "Bantu up", "Mohon perhatian", "Ini gimana pak", "Sampai kapan begini"))
    return f"{words} RT @warga_{digits(random, 6)}: {first}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A pair before it has a number."""

    kind: str
    a: tuple[Citizen, str]
    b: tuple[Citizen, str]
    later: timedelta


def _soon(random: Random) -> timedelta:
    """Between two minutes and 29 days: short spans are as frequent as long ones."""
    return timedelta(seconds=round(math.exp(random.uniform(math.log(120), math.log(29 * 86_400)))))


def _changed(random: Random, first: Plan) -> tuple[str, str]:
    """What was done to a text, and how it reads then."""
    if random.random() < 0.12:
        for _ in range(20):
            other = replace(first, forms={slot: random.randrange(5) for slot in first.forms})
            if other.text() != first.text():
                return "other form", other.text()
    return chosen(random, first.text())


def _same_matter(random: Random, other: Callable[[Random, Citizen], Citizen]) -> Draft:
    first, who = plan(random), citizen(random)
    whom = other(random, who)
    text = sent(who, first.text())
    if whom.channel == "twitter" and who.channel == "twitter" and random.random() < 0.15:
        return Draft("rt", (who, text), (whom, retweeted(random, text)), _soon(random))
    kind, changed = _changed(random, first)
    if kind == "exact" and whom.channel == who.channel:
        second = text
    else:
        second = sent(whom, changed, again=random if random.random() < 0.5 else Random(who.style))
    if whom.channel != who.channel:
        kind = f"{who.channel} to {whom.channel}, {kind}"
    return Draft(kind, (who, text), (whom, second), _soon(random))


def repeat(random: Random) -> Draft:
    """The same reporter, the same matter, within the window."""
    return _same_matter(random, lambda _random, who: who)


def similar(random: Random) -> Draft:
    """Another reporter, nearly the same text: a campaign."""
    return _same_matter(random, lambda random, who: citizen(random, who.channel if random.random() < 0.5 else None))


def one_thing_else(random: Random) -> Draft:
    """One template, and one thing in it that makes it another matter."""
    while True:
        first = plan(random)
        slots = [slot for slot in first.values if kind_of(slot) in OTHER]
        if slots:
            break
    slot = random.choice(slots)
    second = replace(first, values=first.values | {slot: _other(random, slot, first.values)})
    return _on_one_template(random, OTHER[kind_of(slot)], first, second)


def _other(random: Random, slot: str, values: dict[str, Forms]) -> Forms:
    if random.random() < 0.4 and (value := near(random, slot, values[slot])) != values[slot]:
        return value
    while True:
        value = MAKERS[kind_of(slot)](random)
        if _bare(value) not in {_bare(known) for known in values.values()}:
            return value


def _bare(forms: Forms) -> str:
    return re.sub(r"\W", "", forms[0]).casefold()


def everything_else(random: Random) -> Draft:
    """One template, and every place, name and number in it another."""
    first = plan(random)
    values = dict(first.values)
    for slot in values:
        values[slot] = _other(random, slot, values)
    return _on_one_template(random, "one template", first, replace(first, values=values))


def _on_one_template(random: Random, kind: str, first: Plan, second: Plan) -> Draft:
    who = citizen(random)
    same = random.random() < 0.5
    whom = who if same else citizen(random, who.channel if random.random() < 0.7 else None)
    text = second.text()
    if random.random() < 0.35:
        while True:
            done, text = chosen(random, second.text())
            if "cut" not in done:  # what differs must still be there
                break
        kind = f"{kind}, {done}"
    style = Random(who.style) if whom.channel == who.channel else None
    kind = f"{kind} ({'same' if same else 'other'} reporter)"
    return Draft(kind, (who, sent(who, first.text())), (whom, sent(whom, text, again=style)), _soon(random))


def same_place(random: Random) -> Draft:
    """Two matters at one place."""
    while True:
        first = plan(random)
        shared = {slot for slot in first.values if kind_of(slot) in _PLACES}
        others = [name for name, slots in _SLOTS.items() if name != first.matter and shared & set(slots)]
        if others:
            break
    second = plan(random, random.choice(others), first.values)
    return _two(random, "same place, other matter", first, second, same=random.random() < 0.6)


def two_matters(random: Random) -> Draft:
    """One reporter with two matters, in the same manner of writing."""
    first = plan(random)
    second = plan(random, random.choice([name for name in MATTERS if name != first.matter]))
    second = replace(second, keyword=first.keyword, opening=first.opening, ending=first.ending)
    return _two(random, "two matters", first, second, same=True)


def only_boilerplate(random: Random) -> Draft:
    """Two matters between the same polite sentences."""
    first = plan(random)
    first = replace(
        first,
        opening=random.choice(OPENINGS),
        more=tuple(random.sample(LONG, k=random.randint(1, 3))),
        ending=random.choice(ENDINGS),
    )
    second = plan(random, random.choice([name for name in MATTERS if name != first.matter]))
    second = replace(second, keyword=first.keyword, opening=first.opening, more=first.more, ending=first.ending)
    return _two(random, "only boilerplate", first, second, same=random.random() < 0.5)


def unrelated(random: Random) -> Draft:
    """Two citizens with nothing in common."""
    first = plan(random)
    second = plan(random, random.choice([name for name in MATTERS if name != first.matter]))
    return _two(random, "unrelated", first, second, same=False)


def _two(random: Random, kind: str, first: Plan, second: Plan, *, same: bool) -> Draft:
    who = citizen(random)
    whom = who if same else citizen(random)
    kind = f"{kind} ({'same' if same else 'other'} reporter)"
    return Draft(kind, (who, sent(who, first.text())), (whom, sent(whom, second.text(), again=random)), _soon(random))


def too_late(random: Random) -> Draft:
    """The same reporter and the same text, but after the window."""
    draft = repeat(random)
    return replace(draft, kind=f"too late, {draft.kind}", later=WINDOW + timedelta(hours=random.randint(24, 60 * 24)))


DIFFERENT: Final[Sequence[tuple[Callable[[Random], Draft], int]]] = (
    (one_thing_else, 46),
    (everything_else, 12),
    (same_place, 12),
    (two_matters, 10),
    (too_late, 8),
    (only_boilerplate, 7),
    (unrelated, 5),
)


def drafts(random: Random) -> Iterator[tuple[str, Draft]]:
    """Labels and pairs without end."""
    makers, weights = zip(*DIFFERENT, strict=True)
    while True:
        label = random.choices(list(SHARES), weights=list(SHARES.values()))[0]
        if label == "repeat":
            yield label, repeat(random)
        elif label == "similar":
            yield label, similar(random)
        else:
            yield label, random.choices(makers, weights=weights)[0](random)


def pairs(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """So many pairs as the lines of the file hold them; the same seed invents the same."""
    random = Random(seed)
    source = drafts(random)
    for number in range(count):
        label, draft = next(source)
        at = _START + timedelta(seconds=random.randrange(90 * 86_400))
        yield {
            "id": f"{seed}-{number:05d}",
            "kind": draft.kind,
            "expect": label,
            "a": _message(draft.a, at),
            "b": _message(draft.b, at + draft.later),
        }


def _message(written: tuple[Citizen, str], at: datetime) -> dict[str, str]:
    who, text = written
    return {
        "channel": who.channel,
        "reporter": who.reporter,
        "text": text,
        "at": at.isoformat().removesuffix("+00:00") + "Z",
    }


def main() -> None:
    """Prints pairs as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for pair in pairs(options.pairs, options.seed):
        print(json.dumps(pair, ensure_ascii=False))  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    main()
