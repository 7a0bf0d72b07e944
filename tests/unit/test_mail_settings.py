"""The settings of a mailbox: what is refused at start, and what the rest of the gateway is told."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from channels.mail import CHANNEL
from channels.mail.settings import IMAP_PORTS, MailSettings, Server, parse_server
from gateway.errors import SettingsError
from gateway.parsing import Profile


def settings(**changes: Any) -> MailSettings:
    """Settings that are in order, but for the changes."""
    usual = {
        "type": "mail",
        "mailbox": "imaps://lapor%40example.go.id@imap.example.go.id",
        "password": "rahasia",
        "address": "lapor@example.go.id",
    }
    return MailSettings.model_validate(usual | changes)


@pytest.mark.parametrize(
    ("mailbox", "server"),
    [
        (
            "imaps://lapor%40example.go.id@imap.example.go.id/INBOX",
            Server("imaps", "imap.example.go.id", 993, "lapor@example.go.id", "INBOX"),
        ),
        ("imap://lapor@localhost:1143", Server("imap", "localhost", 1143, "lapor", "INBOX")),
        ("imap://lapor@[::1]/", Server("imap", "::1", 143, "lapor", "INBOX")),
        ("imaps://lapor@h/Kotak%20masuk/2026", Server("imaps", "h", 993, "lapor", "Kotak masuk/2026")),
    ],
)
def test_a_mailbox_on_a_server(mailbox: str, server: Server) -> None:
    """User, host, port and folder, with what was percent-encoded."""
    found = settings(mailbox=mailbox)
    assert found.imap == server
    assert found.maildir is None
    assert found.imap.implicit_tls == mailbox.startswith("imaps")


def test_a_maildir_needs_no_password() -> None:
    """It lies on this machine."""
    found = settings(mailbox="maildir:/var/mail/lapor", password=None)
    assert found.maildir == Path("/var/mail/lapor")
    with pytest.raises(SettingsError):
        _ = found.imap


@pytest.mark.parametrize(
    "changes",
    [
        {"mailbox": "pop3://lapor@example.go.id"},
        {"mailbox": "imaps://imap.example.go.id/INBOX"},
        {"mailbox": "imaps://lapor:rahasia@imap.example.go.id/INBOX"},
        {"mailbox": "imaps://lapor@imap.example.go.id:99999/INBOX"},
        {"mailbox": "imaps://lapor@imap.example.go.id:0/INBOX"},
        {"mailbox": "imaps://lapor%0aLOGOUT@imap.example.go.id/INBOX"},
        {"mailbox": "imaps://lapor@imap.example.go.id/INBOX\r\nA1 DELETE x"},
        {"mailbox": "imaps://lapor@imap.example.go.id/INBOX?a=b"},
        {"mailbox": "imaps://[lapor@imap.example.go.id"},
        {"mailbox": "maildir:mail/lapor"},
        {"password": None},
        {"oauth_token_file": "/run/token"},
        {"password": None, "oauth_token_url": "https://example.go.id/token"},
        {"password": None, "oauth_token_url": "https://example.go.id/token", "oauth_client_id": "gateway"},
        {
            "password": None,
            "oauth_token_url": "ftp://example.go.id",
            "oauth_client_id": "a",
            "oauth_client_secret": "b",
        },
        {"smtp": "http://smtp.example.go.id"},
        {"smtp": "smtp://smtp.example.go.id/path"},
        {"address": "lapor"},
        {"address": "LAPOR <lapor@example.go.id>"},
        {"address": "lapor@example.go.id\r\nBcc: semua@example.go.id"},
        {"name": "LAPOR!\r\nBcc: semua@example.go.id"},
        {"trusted_authserv": "mx example"},
        {"release": "delete"},
        {"release": "flag:a b"},
        {"release": "flag:a)\r\nA1 LOGOUT"},
        {"release": "move:"},
        {"release": "move:INBOX"},
        {"release": "flag:$Lapor", "mailbox": "maildir:/var/mail/lapor", "password": None},
        {"poll_seconds": 0},
        {"poll_seconds": 1741},
        {"timeout": 0},
        {"read_limit": 601},
        {"unknown": 1},
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any]) -> None:
    """At start, and not when the first mail comes."""
    with pytest.raises(ValidationError):
        settings(**changes)


@pytest.mark.parametrize("release", ["seen", "flag:$Lapor", "flag:\\Flagged", "move:Diambil", "move:Arsip/2026"])
def test_ways_to_let_go_of_a_mail(release: str) -> None:
    """Each is taken as it is written."""
    assert settings(release=release).release == release


def test_what_the_settings_name_has_to_be_there(tmp_path: Path) -> None:
    """Before anything is opened, by the key of the setting."""
    settings().preflight()
    settings(mailbox=f"maildir:{tmp_path}/mail", password=None).preflight()
    missing = str(tmp_path / "none" / "file")
    for changes in (
        {"ca_file": missing},
        {"oauth_token_file": missing, "password": None},
        {"mailbox": f"maildir:{missing}", "password": None},
    ):
        with pytest.raises(SettingsError) as caught:
            settings(**changes).preflight()
        assert caught.value.key in changes


def test_the_parser_is_told_the_address_and_whose_word_counts() -> None:
    """The address in lower case: mails are compared with it."""
    assert settings(address="Lapor@Example.go.id").profile() == Profile(frozenset({"lapor@example.go.id"}))
    assert settings(trusted_authserv="mx.example.go.id").profile().options == {"trusted_authserv": "mx.example.go.id"}


def test_the_sample_is_in_order(tmp_path: Path) -> None:
    """It is what an operator copies."""
    secret = tmp_path / "secret"
    secret.write_text("rahasia")
    sample = {
        key: f"file:{secret}" if str(value).startswith("file:") else value for key, value in CHANNEL.sample.items()
    }
    found = CHANNEL.settings.model_validate({"type": "mail"} | sample)
    assert isinstance(found, MailSettings)
    assert found.smtp_server == Server("smtps", "smtp.example.go.id", 465, "lapor@example.go.id", "")
    assert CHANNEL.one_reader
    assert CHANNEL.after_crash == "unknown"


def test_every_setting_says_what_it_is_for() -> None:
    """The sample file and the settings page are made of these sentences."""
    for name, field in MailSettings.model_fields.items():
        assert name == "type" or (field.description or "").endswith("."), name


def test_an_address_of_another_scheme_is_no_server() -> None:
    """Neither is one without a host."""
    assert parse_server("smtp://a@b", IMAP_PORTS) is None
    assert parse_server("imap://a@/", IMAP_PORTS) is None
