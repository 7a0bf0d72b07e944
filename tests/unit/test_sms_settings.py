"""Tests of a modem's settings."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from channels.sms.settings import SmsSettings
from gateway.errors import SettingsError

LEAST = {"type": "sms", "device": "/dev/ttyUSB0", "number": "1708"}


def test_a_device_and_a_number_are_enough() -> None:
    """Everything else has a default that fits a USB modem."""
    settings = SmsSettings.model_validate(LEAST)
    assert (settings.connection, settings.model, settings.pin) == ("at115200", "at", None)
    assert settings.profile().own_addresses == {"1708"}


@pytest.mark.parametrize(
    "change",
    [
        {"device": None},
        {"number": "seventeen"},
        {"number": "17"},
        {"connection": "at 115200\nlogfile = x"},
        {"model": "at\n"},
        {"smsc": "12"},
        {"poll_seconds": 0},
        {"poll_seconds": 601},
        {"timeout": 0.5},
        {"read_limit": 0},
        {"read_limit": 1001},
        {"baud": 9600},
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any]) -> None:
    """Unknown keys, numbers out of bounds, and whatever would smuggle a line into Gammu's own settings."""
    with pytest.raises(ValidationError):
        SmsSettings.model_validate(LEAST | change)


def test_the_pin_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret may come from the environment, and no representation holds it."""
    monkeypatch.setenv("SIM_PIN", "4711")
    settings = SmsSettings.model_validate(LEAST | {"pin": "env:SIM_PIN"})
    assert settings.pin is not None
    assert settings.pin.get_secret_value() == "4711"
    assert "4711" not in repr(settings)
    assert "4711" not in settings.model_dump_json()


def test_the_preflight_misses_the_device(tmp_path: Path) -> None:
    """`check` says which setting names what is not there."""
    SmsSettings.model_validate(LEAST | {"device": str(tmp_path)}).preflight()
    with pytest.raises(SettingsError, match="does not exist") as caught:
        SmsSettings.model_validate(LEAST | {"device": str(tmp_path / "missing")}).preflight()
    assert caught.value.key == "device"
