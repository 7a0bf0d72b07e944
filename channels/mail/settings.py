"""The settings of one mailbox: a ``[channels.NAME]`` table with ``type = "mail"``."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator, model_validator

from gateway.errors import SettingsError
from gateway.parsing import Profile
from gateway.ports import ChannelSettings
from gateway.secret import Secret

IMAP_PORTS: Final = {"imap": 143, "imaps": 993}
SMTP_PORTS: Final = {"smtp": 587, "smtps": 465}
_ENDPOINT: Final = ("oauth_token_url", "oauth_client_id")
_MAILBOX_FORMS: Final = "must be imaps://USER@HOST/FOLDER, imap://USER@HOST/FOLDER or maildir:/PATH"


@dataclass(frozen=True, slots=True)
class Server:
    """A server and the user to log in as; ``folder`` is empty where the address names none."""

    scheme: str
    host: str
    port: int
    user: str
    folder: str

    @property
    def implicit_tls(self) -> bool:
        """Whether the connection is encrypted from its first byte (RFC 8314, 3)."""
        return self.scheme.endswith("s")


class MailSettings(ChannelSettings):
    """One mailbox that citizens write to. Several mailboxes are several tables."""

    type: Literal["mail"]
    mailbox: str = Field(
        description="imaps://USER@HOST[:PORT]/FOLDER, imap:// (STARTTLS where offered), or maildir:/PATH. Signs such "
        "as the @ of a user are written %40; the folder is INBOX where left out."
    )
    password: Secret | None = Field(default=None, description="The mailbox's password.")
    oauth_token_file: str | None = Field(
        default=None,
        description="A file with an access token, instead of a password; read anew at each log-in (XOAUTH2), so that "
        "another program can keep it fresh.",
    )
    oauth_token_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]",
        description="Where the provider gives out access tokens, instead of a password; the next four belong to it.",
    )
    oauth_client_id: str | None = Field(default=None, description="The gateway's client id at the provider.")
    oauth_client_secret: Secret | None = Field(default=None, description="The secret of that client.")
    oauth_refresh_token: Secret | None = Field(
        default=None, description="The mailbox's refresh token; where left out the client's own credentials must do."
    )
    oauth_scope: str | None = Field(default=None, description="The scope to ask for, where the provider wants one.")
    smtp: str | None = Field(
        default=None,
        description="smtps://USER@HOST[:PORT] or smtp:// (STARTTLS where offered); no answers where left out.",
    )
    smtp_password: Secret | None = Field(
        default=None, description="The password for sending; the mailbox's where left out."
    )
    ca_file: str | None = Field(
        default=None, description="Certificates to trust beside the system's, for a server with one of its own."
    )
    require_tls: bool = Field(
        default=False,
        description="Whether nothing is sent unencrypted to imap:// and smtp:// servers without STARTTLS. A password "
        "never is, unless the server is on this machine.",
    )
    address: str = Field(
        max_length=254,
        pattern=r"^[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+$",
        description="The address that citizens write to: answers come from it; never answered, never a reporter.",
    )
    name: str = Field(
        default="LAPOR!",
        max_length=60,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="The name shown beside the address in answers.",
    )
    trusted_authserv: str | None = Field(
        default=None,
        pattern=r"^[^\s;()]+$",
        description="The name that our own mail server signs its Authentication-Results with; nobody else's count.",
    )
    release: str = Field(
        default="seen",
        description="What becomes of a mail in custody: seen marks it as read, flag:NAME gives it a flag or keyword, "
        "move:FOLDER moves it there.",
    )
    backlog: Literal["unseen", "all"] = Field(
        default="unseen",
        description="Which mails that lie in the mailbox before its first opening are taken: only those that nobody "
        "has read, or all. A Maildir has none: there all but the released are taken.",
    )
    idle: bool = Field(default=True, description="Whether IDLE is used where offered; else the mailbox is only polled.")
    poll_seconds: float = Field(
        default=60.0,
        gt=0,
        le=1740,
        description="Seconds between two looks into the mailbox, whatever was announced; IDLE is renewed then. A dead "
        "connection is noticed within these and timeout together.",
    )
    timeout: float = Field(
        default=60.0, ge=0.5, le=600, description="Seconds that a server may be silent when it ought to answer."
    )
    max_size: int = Field(
        default=25_000_000,
        ge=1_000,
        le=200_000_000,
        description="Bytes of a mail that is taken whole; of a larger one the headers and the first megabyte are.",
    )
    read_limit: int = Field(default=400, ge=1, le=600, description="Mails taken at once, at most.")
    read_bytes: int = Field(
        default=8_000_000, ge=1_000, le=200_000_000, description="Bytes taken at once; a larger mail is taken alone."
    )
    per_correspondent_per_day: int = Field(
        default=10, ge=0, le=1000, description="Answers to one address within 24 hours, at most."
    )
    per_day: int = Field(default=2000, ge=0, le=1_000_000, description="Answers within 24 hours in all, at most.")

    @field_validator("mailbox")
    @classmethod
    def _is_mailbox(cls, value: str) -> str:
        if value.startswith("maildir:"):
            if not Path(value.removeprefix("maildir:")).is_absolute():
                raise ValueError("must name an absolute path, such as maildir:/var/mail/lapor")
            return value
        server = parse_server(value, IMAP_PORTS)
        if server is None or not server.user:
            raise ValueError(_MAILBOX_FORMS)
        return value

    @field_validator("smtp")
    @classmethod
    def _is_smtp(cls, value: str | None) -> str | None:
        server = None if value is None else parse_server(value, SMTP_PORTS)
        if value is not None and (server is None or server.folder):
            raise ValueError("must be smtps://USER@HOST or smtp://USER@HOST, without a path")
        return value

    @field_validator("release")
    @classmethod
    def _is_release(cls, value: str) -> str:
        if not re.fullmatch(r"seen|flag:[\\$]?[A-Za-z0-9_.-]{1,60}|move:[^\x00-\x1f\x7f*%]{1,200}", value):
            raise ValueError("must be seen, flag:NAME or move:FOLDER")
        return value

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        given = [key for key in _ENDPOINT if getattr(self, key) is not None]
        if given and len(given) < len(_ENDPOINT):
            raise ValueError("oauth_token_url and oauth_client_id are given together or not at all")
        if given and self.oauth_client_secret is None and self.oauth_refresh_token is None:
            raise ValueError("oauth_token_url needs oauth_client_secret or oauth_refresh_token")
        ways = [self.password is not None, self.oauth_token_file is not None, bool(given)]
        if self.maildir is None and sum(ways) != 1:
            raise ValueError("needs exactly one of password, oauth_token_file and oauth_token_url")
        if self.maildir is not None and self.release.startswith("flag:"):
            raise ValueError("a Maildir knows no keywords: release is seen or move:FOLDER there")
        target = self.release.removeprefix("move:")
        if self.maildir is None and self.release.startswith("move:") and target == self.imap.folder:
            raise ValueError("release moves mails into the very folder that they are read from")
        return self

    @property
    def maildir(self) -> Path | None:
        """The folder, where the mailbox is a Maildir."""
        return Path(self.mailbox.removeprefix("maildir:")) if self.mailbox.startswith("maildir:") else None

    @property
    def imap(self) -> Server:
        """The IMAP server, where the mailbox lies on one."""
        server = parse_server(self.mailbox, IMAP_PORTS)
        if server is None:
            raise SettingsError("mailbox", _MAILBOX_FORMS)
        return server

    @property
    def smtp_server(self) -> Server | None:
        """The SMTP server; None where no answers are sent."""
        return None if self.smtp is None else parse_server(self.smtp, SMTP_PORTS)

    @property
    def uses_oauth(self) -> bool:
        """Whether an access token stands in the place of a password."""
        return self.oauth_token_file is not None or self.oauth_token_url is not None

    def preflight(self) -> None:
        """Raises SettingsError when a file or the Maildir's parent folder is not there."""
        for key in ("ca_file", "oauth_token_file"):
            path = getattr(self, key)
            if path is not None and not Path(path).is_file():
                raise SettingsError(key, f"{path} does not exist; put the file there, or correct the setting")
        if self.maildir is not None and not self.maildir.parent.is_dir():
            raise SettingsError("mailbox", f"{self.maildir.parent} does not exist; make it, or correct the setting")

    def profile(self) -> Profile:
        """The address, and whose word about a sender's authenticity counts."""
        options = {"trusted_authserv": self.trusted_authserv} if self.trusted_authserv else {}
        return Profile(own_addresses=frozenset({self.address.lower()}), options=options)


def parse_server(url: str, ports: dict[str, int]) -> Server | None:
    """Takes ``scheme://user@host:port/folder`` apart; None where it is anything else, a password in it included."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ports or not parts.hostname or parts.password is not None or port == 0:
        return None
    if parts.query or parts.fragment or re.search(r"[\x00-\x20\x7f]", url):
        return None
    user, folder = unquote(parts.username or ""), unquote(parts.path.removeprefix("/"))
    if re.search(r"[\x00-\x1f\x7f]", user + folder):
        return None
    if parts.scheme in IMAP_PORTS:
        folder = folder or "INBOX"
    return Server(parts.scheme, parts.hostname, port or ports[parts.scheme], user, folder)
