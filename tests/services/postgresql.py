"""A private PostgreSQL cluster for tests, from the system's postgresql package."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.services import HOST, Service, ServiceError, plain_environment

_USER = "lapor"
_ANSWER_SECONDS = 2.0
_COMMAND_SECONDS = 60.0
_SETTINGS = {
    "listen_addresses": HOST,
    "synchronous_commit": "on",
    "shared_buffers": "32MB",
    "max_connections": "60",
    # Kept in the data folder, so that a kill leaves nothing in /dev/shm.
    "dynamic_shared_memory_type": "mmap",
    "logging_collector": "off",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgreSQL(Service):
    """One cluster on a free loopback port, trusting whoever connects.

    A `kill` here is a crash of the server, not of the machine, so `fsync=False` loses nothing in it; it is on
    by default to be as slow as in service.
    """

    title = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast shutdown": does not wait for clients to leave

    def __init__(self, *, fsync: bool = True, settings: Mapping[str, str] | None = None) -> None:
        self._programs = _programs()
        self._account = _account()
        super().__init__()
        self.data = self.folder / "data"
        self._settings = {
            **_SETTINGS,
            "fsync": "on" if fsync else "off",
            "full_page_writes": "on" if fsync else "off",
            "unix_socket_directories": str(self.folder),
            **(settings or {}),
        }

    def url(self, database: str = "postgres") -> str:
        """The address of one of the cluster's databases."""
        return f"postgresql://{_USER}@{HOST}:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Make an empty database and give its address."""
        self._client("createdb", name)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, ending the sessions that use it."""
        self._client("dropdb", "--force", name)

    def _launch(self) -> subprocess.Popen[bytes]:
        if not self.data.exists():
            self._initialise()
        options = [word for key, value in self._settings.items() for word in ("-c", f"{key}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]
        return self._spawn(command, plain_environment(self.folder), self._account)

    def _initialise(self) -> None:
        if self._account is not None:
            entry = pwd.getpwnam(self._account)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        command = [
            str(self._programs / "initdb"),
            "-D",
            str(self.data),
            "-U",
            _USER,
            "--auth=trust",
            "--no-sync",
        ]
        command += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
        child = self._spawn(command, plain_environment(self.folder), self._account)
        self._helpers.append(child)
        self._tell_guard()
        code = child.wait(_COMMAND_SECONDS)
        self._helpers.clear()
        if code:
            raise ServiceError(f"initdb failed\n{self._output()}")

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((HOST, self.port), _ANSWER_SECONDS) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            words = b"\0".join([b"user", _USER.encode(), b"database", b"postgres", b"", b""])
            connection.sendall(struct.pack("!II", 8 + len(words), 3 << 16) + words)
            # "R" (authentication done); while starting up or recovering it is "E" with "not now".
            return connection.recv(1) == b"R"
        return False

    def _client(self, program: str, *arguments: str) -> None:
        where: Sequence[str] = ("-h", HOST, "-p", str(self.port), "-U", _USER)
        done = subprocess.run(
            [str(self._programs / program), *where, *arguments],
            env=plain_environment(self.folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            raise ServiceError(f"{program} failed: {done.stderr}")


def _programs() -> Path:
    """The folder with initdb and postgres.

    On Debian they are outside PATH, in one folder for each major version; the newest is used.
    """
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("[0-9]*/bin/initdb")]
    if versions:
        return max(versions, key=lambda path: int(path.parent.name))
    with suppress(OSError, subprocess.CalledProcessError):
        folder = Path(subprocess.check_output(["pg_config", "--bindir"], text=True).strip())
        if (folder / "initdb").exists():
            return folder
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    raise ServiceError("PostgreSQL is not installed; tests/services/install.sh installs it")


def _account() -> str | None:
    """The account for the server: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise ServiceError("PostgreSQL refuses to run as root, and there is no account 'postgres' or 'nobody'")
