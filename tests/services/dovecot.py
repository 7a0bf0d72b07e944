"""A private Dovecot for tests, from the system's dovecot-imapd package."""

from __future__ import annotations

import grp
import imaplib
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.services import HOST, Service, ServiceError, free_port, plain_environment

PASSWORD = "rahasia-uji"  # noqa: S105 - of invented users, on loopback
_ANSWER_SECONDS = 2.0
_COMMAND_SECONDS = 60.0
_LIBRARY = Path("/usr/lib/dovecot")
_TOKENS = "passdb {{\n driver = oauth2\n mechanisms = xoauth2\n args = {}/oauth2.conf\n}}"


class Dovecot(Service):
    """One server on loopback, and a Maildir for each user; with `tls` it offers STARTTLS, and a TLS port beside it.

    Users are made by `add_user`; their mailboxes are Maildirs below the service's folder that tests may write to as an
    MTA does. With a `token_info_url` it takes access tokens too (XOAUTH2): it asks there whose a token is. `settings`
    are lines of its configuration; with `rights` users may do in their folders what these letters allow (RFC 4314).
    """

    title = "Dovecot"
    stop_seconds = 10.0

    def __init__(
        self,
        *,
        tls: bool = False,
        token_info_url: str | None = None,
        settings: Mapping[str, str] | None = None,
        rights: str | None = None,
    ) -> None:
        self._program = _program()
        self._login_user, self._internal_user, self._mail_user = _accounts()
        super().__init__()
        self.folder.chmod(0o755)
        self.tls_port = free_port()
        self.ca_file = self.folder / "certificate.pem"
        self._tls = tls
        self._token_info_url = token_info_url
        self._settings = dict(settings or {})
        self._rights = rights

    def url_for(self, user: str) -> str:
        """The address of a user's INBOX on the plain port."""
        return f"imap://{user}@{HOST}:{self.port}/INBOX"

    def tls_url_for(self, user: str) -> str:
        """The address of a user's INBOX on the TLS port, by the name that the certificate is for."""
        return f"imaps://{user}@localhost:{self.tls_port}/INBOX"

    def maildir(self, user: str) -> Path:
        """A user's Maildir."""
        return self.folder / "mail" / user

    def add_user(self, user: str) -> Path:
        """Makes an empty mailbox for a user, who gets in with `PASSWORD`."""
        root = self.maildir(user)
        for name in ("tmp", "new", "cur"):
            (root / name).mkdir(parents=True)
        self._give(root)
        return root

    def snapshot(self, user: str) -> Path:
        """A backup of a mailbox, its UIDs with it."""
        copy = self.folder / f"backup-{user}"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.maildir(user), copy)
        return copy

    def restore(self, user: str, copy: Path) -> None:
        """Puts a backup in the place of a mailbox. Dovecot must not run."""
        shutil.rmtree(self.maildir(user))
        shutil.copytree(copy, self.maildir(user))
        self._give(self.maildir(user))

    def mails(self, user: str, folder: str = "INBOX") -> dict[int, tuple[set[str], bytes]]:
        """Flags and bytes of what lies in a folder, by UID, as another client sees it."""
        with self.client(user) as client:
            if client.select(f'"{folder}"', readonly=True)[0] != "OK":
                return {}
            found: dict[int, tuple[set[str], bytes]] = {}
            for part in client.uid("fetch", "1:*", "(FLAGS BODY.PEEK[])")[1]:
                if isinstance(part, tuple):
                    words = part[0].decode()
                    uid = int(words.partition("UID ")[2].split()[0])
                    flags = words.partition("FLAGS (")[2].partition(")")[0].split()
                    found[uid] = (set(flags), part[1])
            return found

    @contextmanager
    def client(self, user: str) -> Iterator[imaplib.IMAP4]:
        """Another client of the mailbox, logged in."""
        client = imaplib.IMAP4(HOST, self.port, timeout=_COMMAND_SECONDS)
        try:
            client.login(user, PASSWORD)
            yield client
        finally:
            with suppress(OSError, imaplib.IMAP4.error):
                client.logout()

    def deliver(self, user: str, *mails: bytes, flags: str = "") -> None:
        """Lets mails arrive in an INBOX."""
        with self.client(user) as client:
            for mail in mails:
                client.append("INBOX", flags, "", mail)

    def renumber(self, user: str) -> None:
        """Gives a mailbox a new UIDVALIDITY, as a restored or moved one has; flags and mails stay."""
        root = self.maildir(user)
        for name in ("dovecot-uidlist", "dovecot.index", "dovecot.index.log", "dovecot.index.cache"):
            (root / name).unlink(missing_ok=True)

    def kill(self) -> None:
        """Kills it, and takes away the locks that it leaves: it might wait two minutes for them."""
        super().kill()
        for lock in (self.folder / "mail").rglob("*.lock"):
            lock.unlink(missing_ok=True)

    def _launch(self) -> subprocess.Popen[bytes]:
        if not self.ca_file.exists():
            self._prepare()
        (self.folder / "run" / "master.pid").unlink(missing_ok=True)
        command = [str(self._program), "-F", "-c", str(self.folder / "dovecot.conf")]
        return self._spawn(command, plain_environment(self.folder))

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((HOST, self.port), _ANSWER_SECONDS) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            return connection.recv(4) == b"* OK"
        return False

    def _prepare(self) -> None:
        for name in ("mail", "run", "state"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "oauth2.conf").write_text(
            f"tokeninfo_url = {self._token_info_url}\nusername_attribute = email\n"
        )
        self._give(self.folder / "mail")
        self._certify()
        (self.folder / "acl").write_text(f"* owner {self._rights}\n")
        (self.folder / "dovecot.conf").write_text(self._configuration())

    def _certify(self) -> None:
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(self.folder / "key.pem")]
        done = subprocess.run(
            [*command, "-out", str(self.ca_file)], capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
        )
        if done.returncode:
            raise ServiceError(f"openssl failed: {done.stderr}")

    def _configuration(self) -> str:
        folder = self.folder
        mechanisms = "plain login xoauth2" if self._token_info_url else "plain login"
        plain = {
            "base_dir": folder / "run", "state_dir": folder / "state", "log_path": folder / "dovecot.log",
            "protocols": "imap", "listen": HOST, "ssl": "yes" if self._tls else "no", "ssl_cert": f"<{self.ca_file}",
            "ssl_key": f"<{folder / 'key.pem'}", "disable_plaintext_auth": "no", "auth_mechanisms": mechanisms,
            "mail_location": f"maildir:{folder}/mail/%u", "first_valid_uid": "1",
            "default_login_user": self._login_user, "default_internal_user": self._internal_user,
            "default_internal_group": _group_of(self._internal_user), "mail_max_userip_connections": "100",
            "auth_failure_delay": "0", "maildir_copy_with_hardlinks": "yes", **self._settings,
        }  # fmt: skip
        lines = [f"{key} = {value}" for key, value in plain.items()]
        owner = f"uid={self._mail_user} gid={_group_of(self._mail_user)} home={folder}/mail/%u"
        chroot = "chroot =" if os.geteuid() == 0 else "chroot =\n  user = $default_internal_user"
        return "\n".join(
            [
                *lines,
                *([f"mail_plugins = acl\nplugin {{\n acl = vfile:{folder}/acl\n}}"] if self._rights else []),
                *([_TOKENS.format(self.folder)] if self._token_info_url else []),
                f"passdb {{\n driver = static\n args = password={PASSWORD}\n}}",
                f"userdb {{\n driver = static\n args = {owner}\n}}",
                f"service imap-login {{\n {chroot}\n inet_listener imap {{\n  port = {self.port}\n }}",
                f" inet_listener imaps {{\n  port = {self.tls_port if self._tls else 0}\n  ssl = yes\n }}\n}}",
                # No growing pause for an address that has failed to log in: tests do so on purpose.
                f"service anvil {{\n {chroot}\n unix_listener anvil-auth-penalty {{\n  mode = 0\n }}\n}}",
                "service stats {\n unix_listener stats-writer {\n  mode = 0666\n }\n}",
                "",
            ]
        )

    def _give(self, path: Path) -> None:
        """What Dovecot's mail user writes to belongs to it."""
        if os.geteuid() == 0:
            entry = pwd.getpwnam(self._mail_user)
            for place in (path, *path.rglob("*")):
                os.chown(place, entry.pw_uid, entry.pw_gid)


def _program() -> Path:
    for place in (shutil.which("dovecot"), "/usr/sbin/dovecot"):
        if place is not None and Path(place).exists() and (_LIBRARY / "imap").exists():
            return Path(place)
    raise ServiceError("Dovecot is not installed; tests/services/install.sh installs it")


def _accounts() -> tuple[str, str, str]:
    """The accounts for the log-in, for Dovecot itself, and for the mails: without root all are this one."""
    if os.geteuid() != 0:
        own = pwd.getpwuid(os.geteuid()).pw_name
        return own, own, own
    return "dovenull", "dovecot", "nobody"


def _group_of(account: str) -> str:
    return grp.getgrgid(pwd.getpwnam(account).pw_gid).gr_name
