"""The SMS channel: modems and phones, driven by libGammu in a child process of their own."""

from channels.sms.channel import SmsChannel
from channels.sms.composed import compose
from channels.sms.settings import SmsSettings
from gateway.ports import ChannelPlugin

CHANNEL = ChannelPlugin(
    settings=SmsSettings,
    create=lambda name, settings, _store: SmsChannel(name, settings),
    after_crash="resend",
    sample_name="sms-1708",
    sample={"device": "/dev/ttyUSB0", "number": "1708", "pin": "file:/run/secrets/pin"},
    writes_to=r"\+[1-9][0-9]{7,14}",
    compose=compose,
)
"""What the entry point names. An SMS that was being sent at a crash may go once more: silence would be worse."""

__all__ = ["CHANNEL"]
