"""Private servers for the tests: what RabbitMQ and PostgreSQL have in common.

Each server runs as this test run's own child, on loopback, in a temporary folder. A small guard process
(this file run as a script) holds the other end of a pipe: when the test run ends in any way, `kill -9`
included, the pipe closes, and the guard kills the server and removes its folder. (Linux's "signal at the
parent's death" would end a server as soon as the *thread* that started it ends, which is wrong for a server
started through `to_thread`.)
"""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
_POLL_SECONDS = 0.02
_GONE_SECONDS = 10.0
_HALT_SECONDS = 10.0
_PORT_TRIES = 200


class ServiceError(RuntimeError):
    """A test server could not be started, reached or ended."""


def free_port() -> int:
    """A free loopback port below the range the kernel gives to outgoing connections.

    A port from that range may be taken by somebody's outgoing connection while a killed server is down; a
    client that keeps reconnecting can even end up connected to itself.
    """
    first, last = 10_240, _first_ephemeral_port()
    for _ in range(_PORT_TRIES):
        port = random.SystemRandom().randrange(first, last)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise ServiceError(f"no free port found between {first} and {last} on {HOST}")


def _first_ephemeral_port() -> int:
    with suppress(OSError, ValueError):
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        return max(first, 11_000)
    return 32_768


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Poll `condition` until it holds; say `what` was awaited when the deadline passes first."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ServiceError(f"waited {seconds:g} s in vain for: {what}")
        time.sleep(_POLL_SECONDS)


def _parent_and_state(pid: int) -> tuple[int, str] | None:
    """The parent's pid and the state letter of a process, or None when it is gone."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[1]), fields[0]
    return None


def _is_halted(pid: int) -> bool:
    """Whether every thread of a process stands still, or it is gone."""
    states: list[str] = []
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):
            states.append(stat.read_text().rpartition(")")[2].split()[0])
    return all(state in "TtZX" for state in states)


def _descendants(root: int) -> list[int]:
    """The pids of all children, grandchildren and so on.

    Not the process group: PostgreSQL's and Erlang's children leave it.
    """
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := _parent_and_state(int(entry.name))) is not None:
            children.setdefault(found[0], []).append(int(entry.name))
    family, queue = [], [root]
    while queue:
        offspring = children.get(queue.pop(), [])
        family += offspring
        queue += offspring
    return family


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _is_gone(pid: int) -> bool:
    # A zombie holds nothing any more; in a container nobody may ever collect it.
    found = _parent_and_state(pid)
    return found is None or found[1] in "ZX"


def _kill_family(root: int) -> None:
    """Kill a process first, so that it cannot react, then all that came from it; wait until they are gone."""
    family = [root, *_descendants(root)]
    _signal_all(family, signal.SIGKILL)
    wait_until(lambda: all(map(_is_gone, family)), f"end of process {root} and its children", _GONE_SECONDS)


def _remove_shared_memory(folder: Path) -> None:
    """Give back the few bytes of System V memory which a killed PostgreSQL leaves in the kernel."""
    for lock in folder.glob("*/postmaster.pid"):
        lines = lock.read_text().splitlines()
        if len(lines) > 6 and len(words := lines[6].split()) == 2 and (ipcrm := shutil.which("ipcrm")):
            subprocess.run([ipcrm, "-m", words[1]], stderr=subprocess.DEVNULL, check=False)


def _remove_folder(folder: Path) -> None:
    _remove_shared_memory(folder)
    shutil.rmtree(folder, ignore_errors=True)


class _Guard:
    """The process that cleans up when this one ends without doing so."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C at a terminal must not end the guard before the tests
            cwd="/",
        )

    def note(self, pids: Iterable[int]) -> None:
        """Tell the guard which processes are alive now; the last word counts."""
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(BrokenPipeError):
            pipe.write((" ".join(map(str, pids)) + "\n").encode())
            pipe.flush()

    def close(self) -> None:
        """Let the guard do its work and end."""
        if (pipe := self._process.stdin) is not None:
            with suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()


class Service:
    """One private server: its folder, its processes, and the ways to end, freeze and bring it back."""

    title = "server"
    start_seconds = 90.0
    stop_seconds = 30.0
    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"lapor-{self.title.lower()}-"))
        self.port = free_port()
        self.log_file = self.folder / "output.log"
        self._guard = _Guard(self.folder)
        self._server: subprocess.Popen[bytes] | None = None
        self._helpers: list[subprocess.Popen[bytes]] = []
        self._closed = False

    # What a kind of server must say.

    def _launch(self) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    # What all can do.

    @property
    def pid(self) -> int:
        """The pid of the running server's main process."""
        return self._running().pid

    @property
    def running(self) -> bool:
        """Whether the server's main process is alive (it may be frozen)."""
        return self._server is not None and self._server.poll() is None

    def start(self) -> None:
        """Start the server on its ports and data, and return when it answers."""
        if self._closed:
            raise ServiceError(f"this {self.title} was closed and its data removed")
        if self.running:
            raise ServiceError(f"{self.title} is running already")
        self._server = self._launch()
        self._tell_guard()
        self.wait_ready()

    def wait_ready(self, seconds: float | None = None) -> None:
        """Return when the server answers in its own protocol; fail at once when it has ended."""
        try:
            wait_until(self._answers_or_ended, f"{self.title} to answer", seconds or self.start_seconds)
        except ServiceError as error:
            raise ServiceError(f"{error}\n{self._output()}") from None

    def stop(self) -> None:
        """End the server in its orderly way; ports and data are kept for `start`."""
        if self._server is not None and self.running:
            self.thaw()
            self._server.send_signal(self.stop_signal)
            try:
                self._server.wait(self.stop_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self._tell_guard()

    def kill(self) -> None:
        """`kill -9` the server and all its children; ports and data are kept for `restart`."""
        server = self._running()
        _kill_family(server.pid)
        server.wait()
        self._tell_guard()

    def restart(self) -> None:
        """Bring the server back on the same ports and data, after `kill` or in its orderly way."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Halt the server with all connections open: it takes no more bytes and gives no answers."""
        root = self._running().pid
        _signal_all([root], signal.SIGSTOP)  # first, so that it starts no more children
        family = _descendants(root)
        _signal_all(family, signal.SIGSTOP)
        # The signal is only sent: on a busy machine a thread may still answer for a moment.
        wait_until(lambda: all(map(_is_halted, [root, *family])), f"{self.title} to halt", _HALT_SECONDS)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        root = self._running().pid
        _signal_all([*_descendants(root), root], signal.SIGCONT)

    def close(self) -> None:
        """End everything at once and remove the data."""
        if self._closed:
            return
        self._closed = True
        if self.running:
            self.kill()
        self._end_helpers()
        _remove_folder(self.folder)
        self._guard.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Tools for the kinds of server.

    def _running(self) -> subprocess.Popen[bytes]:
        if self._server is None or self._server.poll() is not None:
            raise ServiceError(f"{self.title} is not running")
        return self._server

    def _spawn(
        self, command: Sequence[str], environment: Mapping[str, str], account: str | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a child in a session of its own, its output going to the log file."""
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=dict(environment),
                start_new_session=True,
                user=account,
                group=account and _group_of(account),
                extra_groups=account and [],
            )

    def _end_helpers(self) -> None:
        for helper in self._helpers:
            helper.kill()
            helper.wait()
        self._helpers.clear()
        self._tell_guard()

    def _tell_guard(self) -> None:
        processes = [*self._helpers, *([self._server] if self._server else [])]
        self._guard.note(process.pid for process in processes if process.poll() is None)

    def _answers_or_ended(self) -> bool:
        if not self.running:
            raise ServiceError(f"{self.title} ended instead of answering")
        return self._answers()

    def _output(self) -> str:
        """The end of what the server said, for error messages."""
        with suppress(OSError):
            return self.log_file.read_text(errors="replace")[-3000:]
        return ""


def _group_of(account: str) -> int:
    return pwd.getpwnam(account).pw_gid


def plain_environment(folder: Path) -> dict[str, str]:
    """An environment without this shell's settings for RabbitMQ, Erlang or PostgreSQL."""
    path = os.environ.get("PATH", "/usr/bin:/bin")
    return {"PATH": f"{path}:/usr/sbin:/sbin", "HOME": str(folder), "LANG": "C.UTF-8", "TZ": "UTC"}


def _guard_main(folder: Path) -> None:
    """Wait for the end of the test run, then kill what it said last to be alive, and remove the folder."""
    alive: list[int] = []
    for line in sys.stdin:
        alive = [int(word) for word in line.split()]
    for pid in alive:
        with suppress(ServiceError):
            _kill_family(pid)
    _remove_folder(folder)


if __name__ == "__main__":
    _guard_main(Path(sys.argv[1]))
