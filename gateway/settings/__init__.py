"""Settings: one TOML file, overridable by environment, refused at start when anything in it is wrong."""

from gateway.settings.load import load_settings, settings_from_table
from gateway.settings.model import ChannelSection, Settings

__all__ = ["ChannelSection", "Settings", "load_settings", "settings_from_table"]
