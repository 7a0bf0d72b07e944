"""The mail channel: a mailbox on an IMAP server or a Maildir, and answers by SMTP."""

from channels.mail.channel import MailChannel
from channels.mail.composed import compose
from channels.mail.settings import MailSettings
from gateway.ports import ChannelPlugin

CHANNEL = ChannelPlugin(
    settings=MailSettings,
    create=MailChannel,
    after_crash="unknown",
    sample_name="email",
    sample={
        "mailbox": "imaps://lapor%40example.go.id@imap.example.go.id/INBOX",
        "password": "file:/run/secrets/imap",
        "smtp": "smtps://lapor%40example.go.id@smtp.example.go.id",
        "smtp_password": "file:/run/secrets/smtp",
        "ca_file": "/etc/ssl/own-ca.pem",
        "address": "lapor@example.go.id",
    },
    one_reader=True,
    compose=compose,
)
"""What the entry point names. A mail that was being sent at a crash is not sent again: it shows as *unknown*."""

__all__ = ["CHANNEL"]
