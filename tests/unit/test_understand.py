"""Parsers behind their deadline: whatever one does, the message gets a reason and the next one its turn."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

import pytest
import structlog
from structlog.testing import LogCapture

from gateway.errors import Quarantine
from gateway.model import Reporter
from gateway.parsing import Parsed, Profile
from gateway.stages.understand import Understanding, Unparsable

MARK = "+6281100000099"
PARSED = Parsed(reporter=Reporter(address="x", kind="phone"), text="Jalan rusak", sent_at=None)
Parse = Callable[[Sequence[bytes | None], Profile], Parsed]


@pytest.fixture(autouse=True)
def logs() -> Iterator[LogCapture]:
    """Everything that is logged."""
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture
    structlog.reset_defaults()


def understanding(parse: Parse, timeout: float = 0.2) -> Understanding:
    """One parser behind a short deadline."""
    profiles = {"c": Profile(own_addresses=frozenset({"1708"}))}
    return Understanding({"fake": parse}, profiles, timeout)


def fine(_raws: Sequence[bytes | None], _profile: Profile) -> Parsed:
    """A parser that works."""
    return PARSED


def says_why(_raws: Sequence[bytes | None], _profile: Profile) -> NoReturn:
    """A parser that cannot read the message and knows why."""
    raise Quarantine("the record holds no message")


def breaks(_raws: Sequence[bytes | None], _profile: Profile) -> NoReturn:
    """A parser with a bug."""
    raise KeyError(MARK)


def recurses(raws: Sequence[bytes | None], profile: Profile) -> Parsed:
    """A parser that descends without end."""
    return recurses(raws, profile)


def eats_memory(_raws: Sequence[bytes | None], _profile: Profile) -> Parsed:
    """A parser that wants more than there is."""
    bytearray(1 << 62)
    return PARSED


def spins(_raws: Sequence[bytes | None], _profile: Profile) -> NoReturn:
    """A parser that goes round in circles, and would hold any ordinary exception."""
    while True:
        try:
            while True:
                pass
        except Exception:  # noqa: BLE001, S110 - as careless parsers do
            pass


def backtracks(_raws: Sequence[bytes | None], _profile: Profile) -> Parsed:
    """A parser whose regular expression takes for ever."""
    re.match(r"(a+)+b", "a" * 60)
    return PARSED


@pytest.mark.parametrize(
    ("parse", "reason"),
    [
        (says_why, "the record holds no message"),
        (breaks, "The parser failed (KeyError); send the raw message to the developers."),
        (recurses, "The parser failed (RecursionError); send the raw message to the developers."),
        (eats_memory, "The parser failed (MemoryError); send the raw message to the developers."),
        (spins, "The parser took more than 0.2 s; send the raw message to the developers."),
        (backtracks, "The parser took more than 0.2 s; send the raw message to the developers."),
    ],
)
def test_whatever_a_parser_does_the_message_gets_a_reason(parse: Parse, reason: str) -> None:
    """And a sound parser afterwards is not disturbed."""
    assert understanding(parse).parse("c", "fake", [b"raw"]) == Unparsable(reason)
    assert understanding(fine).parse("c", "fake", [b"raw"]) == PARSED


def test_a_bug_is_logged_with_its_place_and_without_its_text(logs: LogCapture) -> None:
    """The text of the error could be the message's."""
    found = understanding(breaks).parse("c", "fake", [MARK.encode()])
    assert isinstance(found, Unparsable)
    assert [entry["event"] for entry in logs.entries] == ["stage.crashed"]
    assert any(frame.startswith("breaks:") for frame in logs.entries[0]["frames"])
    assert MARK not in f"{logs.entries}{found}"


def test_a_type_without_a_parser_is_named() -> None:
    """The operator learns what to install."""
    found = understanding(fine).parse("c", "pigeon", [b"raw"])
    assert found == Unparsable("No parser for channels of type pigeon is installed.")


@pytest.mark.parametrize(("channel", "own"), [("c", {"1708"}), ("gone", set())])
def test_a_parser_learns_the_addresses_of_its_channel(channel: str, own: set[str]) -> None:
    """A channel that is no longer in the settings has none."""
    seen: list[Profile] = []

    def look(_raws: Sequence[bytes | None], profile: Profile) -> Parsed:
        seen.append(profile)
        return PARSED

    understanding(look).parse(channel, "fake", [b"raw"])
    assert seen == [Profile(own_addresses=frozenset(own))]


def test_the_deadline_is_of_the_processor_and_of_each_message_anew() -> None:
    """Many messages, each short of the limit, are all parsed."""

    def works(_raws: Sequence[bytes | None], _profile: Profile) -> Parsed:
        sum(range(20_000))
        return PARSED

    parser = understanding(works, timeout=0.05)
    assert {type(parser.parse("c", "fake", [b"raw"])) for _ in range(300)} == {Parsed}


def test_outside_the_main_thread_there_is_no_deadline_but_it_works() -> None:
    """Python delivers signals to the main thread only."""
    found: list[object] = []

    def work() -> None:
        found.append(understanding(fine).parse("c", "fake", [b"raw"]))
        found.append(understanding(breaks).parse("c", "fake", [b"raw"]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[0] == PARSED
    assert isinstance(found[1], Unparsable)
