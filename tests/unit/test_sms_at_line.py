"""Tests of deleting without libGammu, against the simulated modem on its pseudo-terminal."""

from collections.abc import Iterator

import pytest

from channels.sms import at_line
from channels.sms.at_line import RawSlot, delete_raw
from tests.simulators.modem import Effect, Fault, Memory, Modem

BROKEN = "07912618"


@pytest.fixture
def modem() -> Iterator[Modem]:
    with Modem() as plugged:
        yield plugged


def slots(modem: Modem) -> list[tuple[Memory, int]]:
    return [(stored.memory, stored.slot) for stored in modem.stored()]


def test_slots_of_both_memories_are_deleted(modem: Modem) -> None:
    """Each memory counts its slots from one; what was not named stays."""
    for memory in ("SM", "ME"):
        for pdu in (BROKEN, "00", "0791"):
            modem.deliver_pdu(pdu, memory=memory)
    wanted = [RawSlot("SM", 2, "00"), RawSlot("ME", 1, BROKEN)]
    assert delete_raw(modem.path, 115200, wanted) == [True, True]
    assert slots(modem) == [("SM", 1), ("SM", 3), ("ME", 2), ("ME", 3)]


@pytest.mark.parametrize("there", ["AA", None])
def test_what_lies_there_instead_is_not_deleted(modem: Modem, there: str | None) -> None:
    """Another message in the slot, or none: ours is gone from it, and nothing is to be done."""
    if there is not None:
        modem.deliver_pdu(there)
    assert delete_raw(modem.path, 0, [RawSlot("SM", 1, BROKEN)]) == [True]
    assert modem.commands.count("AT+CMGD") == 0


def test_a_pdu_that_another_one_begins_with_is_another_message(modem: Modem) -> None:
    """The whole line has to be the same."""
    modem.deliver_pdu(BROKEN + "00")
    assert delete_raw(modem.path, 0, [RawSlot("SM", 1, BROKEN)]) == [True]
    assert slots(modem) == [("SM", 1)]


@pytest.mark.parametrize("command", ["AT+CPMS", "AT+CMGD"])
def test_a_refusal_concerns_one_slot(modem: Modem, command: str) -> None:
    """The modem's error leaves the slot as it is, and the next one is tried."""
    modem.deliver_pdu(BROKEN)
    modem.deliver_pdu("00")
    modem.fault(Fault("refuse", command))
    assert delete_raw(modem.path, 9600, [RawSlot("SM", 1, BROKEN), RawSlot("SM", 2, "00")]) == [False, True]
    assert slots(modem) == [("SM", 1)]


def test_a_memory_that_the_modem_does_not_have_is_a_refusal(modem: Modem) -> None:
    """Nothing is deleted in another one instead."""
    modem.deliver_pdu(BROKEN)
    assert delete_raw(modem.path, 0, [RawSlot("MT", 1, BROKEN)]) == [False]
    assert slots(modem) == [("SM", 1)]


def test_a_silent_modem_is_given_up(modem: Modem, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer within the bound is an error, and nothing is deleted."""
    monkeypatch.setattr(at_line, "ANSWER_SECONDS", 0.2)
    modem.deliver_pdu(BROKEN)
    modem.hang()
    with pytest.raises(OSError, match="does not answer"):
        delete_raw(modem.path, 0, [RawSlot("SM", 1, BROKEN)])
    modem.release()
    assert slots(modem) == [("SM", 1)]


@pytest.mark.parametrize("effect", ["vanish", "lose", "half"])
def test_an_unanswered_deletion_is_not_taken_for_a_success(
    modem: Modem, monkeypatch: pytest.MonkeyPatch, effect: Effect
) -> None:
    """Unplugged, silent or cut short: whether it is gone is left to the next reading."""
    monkeypatch.setattr(at_line, "ANSWER_SECONDS", 0.2)
    modem.deliver_pdu(BROKEN)
    modem.fault(Fault(effect, "AT+CMGD"))
    if effect == "vanish":
        with pytest.raises(OSError, match=r"port|error"):
            delete_raw(modem.path, 0, [RawSlot("SM", 1, BROKEN)])
    else:
        assert delete_raw(modem.path, 0, [RawSlot("SM", 1, BROKEN)]) == [False]
