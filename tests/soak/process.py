"""The real gateway process: its settings file, its start, its end by SIGKILL, and what its console says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services import HOST, free_port, wait_until

UP_SECONDS = 60.0
STOP_SECONDS = 60.0
_HTTP_SECONDS = 10.0
_CHILD = "channels.sms.child"
_ROOT = Path(__file__).resolve().parents[2]

# Makes the kernel end the gateway when the harness dies, and then becomes the gateway: the request outlives exec.
# (PR_SET_PDEATHSIG is 1. The signal comes when the starting *thread* ends, so the main thread has to start it.)
_TETHER = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"


Section = Mapping[str, str | float | bool]

# Short deadlines towards the broker, so that a freeze of some seconds meets every one of them.
_IMPATIENT: Section = {"publish_timeout": 4.0, "connect_timeout": 5.0, "heartbeat": 5, "retry_cap": 2.0}


@dataclass(frozen=True)
class Module:
    """A module of the soaks that runs ``lapor-gateway`` in its own way, and what it is told by its environment."""

    name: str
    environment: Mapping[str, str]


class GatewayProcess:
    """One ``lapor-gateway run`` after the other, on the same settings, store and source.

    Args:
        folder: Where settings and log go.
        store_url: The database.
        queue_url: The broker.
        channels: The channels' sections, by their names.
        answers: Whether citizens are answered.
        module: Run instead of ``lapor-gateway`` itself: one that measures the event loop, or shortens X's pauses.
    """

    def __init__(
        self,
        folder: Path,
        *,
        store_url: str,
        queue_url: str,
        channels: Mapping[str, Section],
        answers: bool = True,
        module: Module | None = None,
    ) -> None:
        self.port = free_port()
        self.log_file = folder / "gateway.log"
        self.starts = 0
        self._settings = folder / "gateway.toml"
        sections: dict[str, Section] = {
            "store": {"url": store_url},
            "queue": {"url": queue_url, **_IMPATIENT},
            "console": {"listen": f"{HOST}:{self.port}"},
            "answers": {"enabled": answers},
            "log": {"level": "info", "format": "json"},
            **{f"channels.{name}": section for name, section in channels.items()},
        }
        self._settings.write_text(_toml(sections))
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it; returns before it is up."""
        run = ["run", "--config", str(self._settings)]
        command = [str(Path(sys.executable).with_name("lapor-gateway")), *run]
        if self._module is not None:
            command = [sys.executable, "-m", self._module.name, *run]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _TETHER, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._settings.parent,
                env=self._environment(),
            )
        self.starts += 1

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LAPOR_")}
        if self._module is not None:
            paths = [path for path in (environment.get("PYTHONPATH"), str(_ROOT)) if path]
            environment |= {**self._module.environment, "PYTHONPATH": os.pathsep.join(paths)}
        return environment

    def kill(self) -> None:
        """`kill -9`, wherever it is."""
        process = self._running()
        process.kill()
        process.wait()

    def stop(self) -> int:
        """Asks it to end, and returns its exit code; 137 when it had to be killed."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return 137

    def exit_code(self) -> int | None:
        """How it ended by itself; None while it runs."""
        return self._running().poll()

    def close(self) -> None:
        """Ends it if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def wait_up(self, seconds: float = UP_SECONDS) -> None:
        """Waits until its console answers."""
        wait_until(lambda: self.ask("/healthz") is not None, "the gateway's console to answer", seconds)

    def ask(self, path: str) -> str | None:
        """What the console answers, or None while it does not."""
        if self._running().poll() is not None:
            message = f"the gateway ended by itself, see {self.log_file}\n{self._log_end()}"
            raise RuntimeError(message)
        address = f"http://{HOST}:{self.port}{path}"
        with suppress(OSError), urllib.request.urlopen(address, timeout=_HTTP_SECONDS) as answer:
            return str(answer.read().decode())
        return None

    def channel(self, name: str) -> dict[str, Any] | None:
        """What the console says of a channel; None while it says nothing."""
        listed = json.loads(self.ask("/api/v1/channels") or '{"items": []}')["items"]
        return next((each for each in listed if each["name"] == name), None)

    def count_in_state(self, state: str) -> int | None:
        """How many messages are in a state, 500 at most; None while the console does not answer."""
        answer = self.ask(f"/api/v1/messages?state={state}&limit=500")
        return None if answer is None else len(json.loads(answer)["items"])

    def metric(self, name: str) -> float | None:
        """A gauge or counter without labels; None while the console does not answer."""
        for line in (self.ask("/metrics") or "").splitlines():
            if line.startswith(f"{name} "):
                return float(line.partition(" ")[2])
        return None

    def is_idle(self) -> bool:
        """Whether everything it took in is decided and on the queue."""
        undecided = [self.count_in_state(state) for state in ("received", "assembling")]
        return undecided == [0, 0] and self.metric("lapor_outbox_pending") == 0

    def memory_mb(self) -> tuple[float, float]:
        """The memory that it holds now, and the most that it has held."""
        lines = Path(f"/proc/{self._running().pid}/status").read_text().splitlines()
        found = dict(line.split(":", 1) for line in lines)
        now, peak = (float(found[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return now, peak

    def child(self) -> int | None:
        """The pid of the modem's child process, if there is one now."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and self._is_our_child(int(entry.name)):
                return int(entry.name)
        return None

    def _is_our_child(self, pid: int) -> bool:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == self._running().pid and fields[0] not in "ZX":
                return _CHILD in Path(f"/proc/{pid}/cmdline").read_text()
        return False

    def crashes(self) -> list[dict[str, Any]]:
        """Errors of the gateway itself: no fault of a neighbour may cause one."""
        return self.logged("stage.crashed")

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of one kind of event."""
        found = []
        for line in self.log_file.read_text(errors="replace").splitlines():
            with suppress(json.JSONDecodeError):
                record = json.loads(line)
                if isinstance(record, dict) and record.get("event") == event:
                    found.append(record)
        return found

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the gateway was never started"
        return self._process

    def _log_end(self) -> str:
        return self.log_file.read_text(errors="replace")[-3000:]


def _toml(sections: Mapping[str, Section]) -> str:
    lines: list[str] = []
    for name, section in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items()), ""]
    return "\n".join(lines)
