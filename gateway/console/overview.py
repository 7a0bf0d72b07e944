"""The first page as five sections of HTML, made from one snapshot: for the page itself and for those who watch it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

from markupsafe import Markup

from gateway.console.language import Language
from gateway.console.pages import templates, vocabulary
from gateway.console.snapshot import Snapshot
from gateway.store.backlog import Count

SECTIONS: Final = ("verdict", "channels", "pipeline", "systems", "gaps")
"""Their names, which are their templates' and the ids of their elements."""

_GAPS_SHOWN: Final = 12
_WIDTH, _HEIGHT = 190.0, 36.0
_WORST: Final = {"up": 0, "paused": 0, "degraded": 1, "needs_operator": 2, "down": 3}
_CHANNEL_PARTS: Final = ("channel ", "receive ", "answer ")


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person: a key of the catalogue, a count or a name, and where to mend it."""

    key: str
    shown: str
    link: str
    pressing: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure of a channel: a key of the catalogue, the value, and how it is to be written.

    Attributes:
        form: *text*, *number*, *span* (seconds), *percent*, *moment*.
        part: From 0 to 1 where it is part of a whole.
        bad: Whether it asks for attention.
    """

    key: str
    value: Any
    form: str = "text"
    part: float | None = None
    bad: bool = False


def sections(snapshot: Snapshot, language: Language, zone: tzinfo) -> dict[str, str]:
    """Each section's inner HTML, by name. The same snapshot gives the same bytes, whoever looks."""
    values = vocabulary(language, zone) | {
        "snapshot": snapshot,
        "verdict": verdict(snapshot),
        "needs": needs(snapshot),
        "facts": facts,
        "spark": spark,
        "parts": [part for part in snapshot.components if not part.name.startswith(_CHANNEL_PARTS)],
        "gaps": snapshot.gaps[:_GAPS_SHOWN],
    }
    return {name: Markup(templates.get_template(f"_{name}.html").render(values)) for name in SECTIONS}  # noqa: S704


def verdict(snapshot: Snapshot) -> str:
    """The whole in one word: up, attention, degraded, down."""
    states = [channel["state"] for channel in snapshot.channels] + [part.state for part in snapshot.components]
    worst = max((_WORST.get(state, 1) for state in states), default=0)
    if worst == _WORST["down"] or not snapshot.store.reachable:
        return "down"
    if worst == _WORST["needs_operator"] or snapshot.attention.total:
        return "attention"
    return "degraded" if worst else "up"


def needs(snapshot: Snapshot) -> Sequence[Need]:
    """What waits for a person, the most pressing first."""
    waits = snapshot.attention
    counted: tuple[tuple[str, Count, str], ...] = (
        ("attention.held", waits.held, "/messages?state=held"),
        ("attention.quarantined", waits.quarantined, "/messages?state=quarantined"),
        ("attention.parked", waits.parked, "/answers?state=parked"),
        ("attention.failed", waits.answers_failed, "/answers?state=failed"),
        ("attention.unknown", waits.answers_unknown, "/answers?state=unknown"),
    )
    broken = {"needs_operator": "attention.channel", "down": "attention.down"}
    channels = [
        Need(broken[channel["state"]], channel["name"], f"/channels/{channel['name']}", pressing=True)
        for channel in snapshot.channels
        if channel["state"] in broken
    ]
    return channels + [Need(key, str(count), link) for key, count, link in counted if count]


def facts(channel: Mapping[str, Any]) -> Sequence[Fact]:
    """What a channel tells of itself that an operator looks at; figures that it does not have are left out."""
    told: Mapping[str, Any] = channel["details"]
    found = [*_phone(told), *_stream(told), *_mailbox(told)]
    gaps = channel["gap_counts"]
    if gaps["open"] or gaps["lost"]:
        found.append(Fact("fact.gaps", f"{gaps['open']} / {gaps['lost']}", bad=True))
    if told.get("answers_wait_until"):
        found.append(Fact("fact.limit", told["answers_wait_until"], "moment", bad=True))
    waiting = channel["answers_waiting"]
    if waiting["number"]:
        found.append(Fact("fact.answers", str(Count(waiting["number"], waiting["more"]))))
    return found


def _phone(told: Mapping[str, Any]) -> list[Fact]:
    found: list[Fact] = []
    signal, used, room = told.get("signal_percent"), told.get("sim_used"), told.get("sim_size")
    if isinstance(signal, int) and 0 <= signal <= 100:  # noqa: PLR2004 - per cent
        found.append(Fact("fact.signal", signal, "percent", signal / 100, bad=signal < 10))  # noqa: PLR2004
    if told.get("operator"):
        found.append(Fact("fact.network", told["operator"]))
    if isinstance(used, int) and isinstance(room, int) and room > 0:
        part = min(1.0, used / room)
        found.append(Fact("fact.sim", f"{used} / {room}", part=part, bad=part >= 0.9))  # noqa: PLR2004
    return found


def _stream(told: Mapping[str, Any]) -> list[Fact]:
    found: list[Fact] = []
    if told.get("stream"):
        found.append(Fact("fact.stream", told["stream"]))
    for key, name, form in (
        ("fact.stream_age", "stream_age_seconds", "span"),
        ("fact.search_lag", "search_lag_seconds", "span"),
        ("fact.connects", "connects_15_minutes", "number"),
        ("fact.waiting_posts", "waiting_posts", "number"),
    ):
        if isinstance(told.get(name), int | float):
            found.append(Fact(key, told[name], form))
    return found


def _mailbox(told: Mapping[str, Any]) -> list[Fact]:
    found: list[Fact] = []
    if isinstance(told.get("waiting_mails"), int):
        found.append(Fact("fact.waiting_mails", told["waiting_mails"], "number"))
        found.append(Fact("fact.mail_lag", told.get("oldest_waiting_seconds"), "span"))
    if told.get("skipped_mails"):
        found.append(Fact("fact.skipped", told["skipped_mails"], "number", bad=True))
    return found


def spark(series: Sequence[int]) -> str:
    """The outline of a series as an SVG path in a box of 190 by 36."""
    most = max(max(series, default=0), 1)
    step = _WIDTH / max(len(series) - 1, 1)
    points = " ".join(
        f"{place * step:.1f},{_HEIGHT - 1 - count / most * (_HEIGHT - 3):.1f}" for place, count in enumerate(series)
    )
    return f"M0,{_HEIGHT:g} L{points} L{_WIDTH:g},{_HEIGHT:g} Z"
