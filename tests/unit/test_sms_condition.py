"""Tests of what a modem's figures mean, of what is read from libGammu's log, and of the lock on a phone."""

import os
from pathlib import Path
from typing import Any

import pytest

from channels.sms import lock
from channels.sms.condition import judge, plain_status
from channels.sms.debug_log import listed_locations, pdu_read

WELL: dict[str, Any] = {
    "signal_percent": 63,
    "network_state": "HomeNetwork",
    "sim_used": 8,
    "sim_size": 10,
    "unreadable_slots": 0,
    "undeletable_messages": 0,
}
LISTING = """Parsing +CMGL: 9,0,,1 with +CMGL: @i, @0
ATGEN folder 1 & location 9 -> SMS folder 0 & location 9
SMS listing received
Parsing +CMGL: 1,0,,4 with +CMGL: @i, @0
Parsed int 1
ATGEN folder 2 & location 1 -> SMS folder 0 & location 100001
Parsing +CMGL: 1,0,,4 with +CMGL: @i, @i, @0
Parsed int 1
Parsed int 0
Parsing +CMGL: 7,1,,25 with +CMGL: @i, @0
Parsed int 7
ATGEN folder 2 & location 7 -> SMS folder 0 & location 100007
Read 2 SMS locations
ATGEN folder 1 & location 3 -> SMS folder 0 & location 3
"""


@pytest.mark.parametrize("details", [WELL, {}, WELL | {"network_state": "RoamingNetwork", "signal_percent": -1}])
def test_a_modem_without_trouble_is_up(details: dict[str, Any]) -> None:
    """What a modem does not tell is no trouble."""
    health = judge(details)
    assert (health.state, health.reason, health.details) == ("up", "", details)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network_state": "RegistrationDenied"}, "not in a network (RegistrationDenied)"),
        ({"undeletable_messages": 3}, "does not delete 3 messages"),
        ({"unreadable_slots": 2}, "2 messages in the phone cannot be read"),
        ({"sim_used": 9}, "nearly full: 9 of 10"),
        ({"signal_percent": 9}, "signal is weak (9 %)"),
    ],
)
def test_each_trouble_has_its_sentence(change: dict[str, Any], words: str) -> None:
    """A degraded modem says why."""
    health = judge(WELL | change)
    assert health.state == "degraded"
    assert words in health.reason


def test_a_status_that_the_phone_would_not_tell_leaves_no_figure() -> None:
    """The name of an error stands where the figures would be."""
    assert plain_status({"signal": "ERR_NOTSUPPORTED", "network": "ERR_UNKNOWN", "memory": "ERR_SECURITYERROR"}) == {}
    assert plain_status({"signal": {"SignalPercent": 42}}) == {"signal_percent": 42}


def test_the_slots_of_the_last_listing_are_found() -> None:
    """Announcements and earlier listings name slots too; only what stands in the last listing counts."""
    assert listed_locations(LISTING) == [100001, 100007]
    assert listed_locations("SMS listing received\nRead 0 SMS locations\n") == []
    assert listed_locations("Getting message from cache\n") is None


@pytest.mark.parametrize(
    ("said", "pdu"),
    [
        ('1 "AT+CMGR=2"\n2 "+CMGR: 1,,0"\n3 "00"\n4 "OK"\n', "00"),
        ('1 "AT+CMGR=2"\n2 "+CMGR: 1,"a",2"\n3 "07"x"\n4 "OK"\n', '07"x'),
        ('1 "AT+CMGR=2"\n2 "+CMGR: 1,,0"\n3 "OK"\n', None),
        ('1 "AT+CMGR=2"\n2 "+CMS ERROR: 321"\n', None),
        ("", None),
    ],
)
def test_the_pdu_of_one_slot_is_found(said: str, pdu: str | None) -> None:
    """It is the line behind the modem's answer, whatever it holds, unless there is none."""
    assert pdu_read(said) == pdu


def test_a_phone_is_locked_once(tmp_path: Path) -> None:
    """A port and a dummy phone's folder alike; closing the descriptor, as any death does, lets go."""
    port = tmp_path / "port"
    port.touch()
    for device in (str(port), str(tmp_path)):
        held = lock.take(device)
        with pytest.raises(lock.InUse):
            lock.take(device)
        os.close(held)
        os.close(lock.take(device))
    with pytest.raises(FileNotFoundError):
        lock.take(str(tmp_path / "nothing"))
