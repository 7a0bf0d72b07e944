"""Parsers behind their deadline: whatever they do, a message gets a reason and the next one flows."""

import re
from collections.abc import Sequence

import pytest

from gateway.errors import Quarantine
from gateway.model import Reporter
from gateway.ports import Parsed, Parser, Profile
from gateway.stages.understand import Understanding, Unparsable

PARSED = Parsed(reporter=Reporter(address="+628110000001", kind="phone"), text="Jalan rusak", sent_at=None)


def _good(_raws: Sequence[bytes | None], _profile: Profile) -> Parsed:
    return PARSED


def _quarantines(_raws: Sequence[bytes | None], _profile: Profile) -> Parsed:
    raise Quarantine("8-bit data that is no text")


def _raises(_raws: Sequence[bytes | None], _profile: Profile) -> Parsed:
    raise KeyError("+628110000001")


def _recurses(raws: Sequence[bytes | None], profile: Profile) -> Parsed:
    return _recurses(raws, profile)


def _spins(_raws: Sequence[bytes | None], _profile: Profile) -> Parsed:
    while True:
        pass


def _spins_and_swallows(_raws: Sequence[bytes | None], _profile: Profile) -> Parsed:
    while True:
        try:
            while True:
                pass
        except Exception:  # noqa: BLE001, S110 - what a careless parser does
            pass


def _backtracks(_raws: Sequence[bytes | None], _profile: Profile) -> Parsed:
    re.match(r"(a+)+$", "a" * 40 + "b")
    return PARSED


def _understanding(parser: Parser, timeout: float = 0.2) -> Understanding:
    return Understanding({"sms": parser}, {"sms-1708": Profile()}, timeout)


@pytest.mark.parametrize(
    ("parser", "reason"),
    [
        (_quarantines, "8-bit data that is no text"),
        (_raises, "The parser failed (KeyError)"),
        (_recurses, "The parser failed (RecursionError)"),
        (_spins, "more than 0.2 s"),
        (_spins_and_swallows, "more than 0.2 s"),
        (_backtracks, "more than 0.2 s"),
    ],
)
def test_a_parser_that_fails_leaves_a_reason(parser: Parser, reason: str) -> None:
    """And nothing of the message stands in it."""
    understanding = _understanding(parser)
    found = understanding.parse("sms-1708", "sms", [b"raw"])
    assert isinstance(found, Unparsable)
    assert reason in found.reason
    assert "0811" not in found.reason


def test_the_next_message_is_parsed_after_one_that_overran() -> None:
    """The interruption ends with the message that earned it."""
    assert isinstance(_understanding(_spins).parse("sms-1708", "sms", [b"raw"]), Unparsable)
    assert _understanding(_good).parse("sms-1708", "sms", [b"raw"]) is PARSED


def test_a_channel_that_left_the_settings_is_still_parsed() -> None:
    """Its messages are in custody, and have to come out."""
    assert _understanding(_good).parse("sms-gone", "sms", [b"raw"]) is PARSED


def test_a_type_without_a_parser_is_a_reason() -> None:
    """The plug-in was removed; the message waits for it in quarantine."""
    found = _understanding(_good).parse("post", "pigeon", [b"raw"])
    assert found == Unparsable("No parser for channels of type pigeon is installed.")
