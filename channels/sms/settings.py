"""The settings of one modem or phone: a ``[channels.NAME]`` table with ``type = "sms"``."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from gateway.errors import SettingsError
from gateway.parsing import Profile
from gateway.ports import ChannelSettings
from gateway.secret import Secret


class SmsSettings(ChannelSettings):
    """One modem. Several modems are several tables."""

    type: Literal["sms"]
    device: str = Field(description="The modem's port, such as /dev/ttyUSB0; or a folder, for the dummy phone.")
    connection: str = Field(
        default="at115200",
        pattern=r"^[a-z0-9]+$",
        description="How Gammu talks to it; none for the dummy phone.",
    )
    model: str = Field(default="at", pattern=r"^[A-Za-z0-9]+$", description="Gammu's model; dummy for the dummy phone.")
    number: str = Field(
        pattern=r"^\+?[0-9]{3,15}$",
        description="The number that citizens write to: never answered, never a reporter.",
    )
    pin: Secret | None = Field(default=None, description="The SIM's PIN, if it asks for one.")
    smsc: str | None = Field(
        default=None,
        pattern=r"^\+?[0-9]{5,15}$",
        description="The service centre; the SIM's own where left out.",
    )
    poll_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="Seconds between two looks into the inbox when nothing was announced.",
    )
    timeout: float = Field(
        default=45.0,
        ge=1,
        le=600,
        description="Seconds after which a call to the modem counts as hanging, and its process is ended.",
    )
    read_limit: int = Field(default=100, ge=1, le=1000, description="Messages taken from the phone at once, at most.")
    delivery_reports: bool = Field(default=True, description="Whether the network is asked to report the delivery.")

    def preflight(self) -> None:
        """Raises SettingsError when there is no such device."""
        if not Path(self.device).exists():
            raise SettingsError("device", f"{self.device} does not exist; plug the modem in, or correct the setting")

    def profile(self) -> Profile:
        """The number that this modem answers from."""
        return Profile(own_addresses=frozenset({self.number}))
