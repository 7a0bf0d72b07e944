"""A private RabbitMQ node for tests, from the system's rabbitmq-server package."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.services import HOST, Service, ServiceError, free_port, plain_environment, wait_until

_DEBIAN_PROGRAMS = Path("/usr/lib/rabbitmq/bin")
_AMQP_HELLO = b"AMQP\x00\x00\x09\x01"
# The answer's first octets: method frame, channel 0, then (after the length) class 10, method 10, which is
# connection.start.
_CONNECTION_START = (b"\x01\x00\x00", b"\x00\x0a\x00\x0a")
_ANSWER_SECONDS = 2.0
_CALL_SECONDS = 60.0
# At boot RabbitMQ loads some 700 modules, and looks for each in the code path's hundred folders in turn.
# These hold the most modules; put in front, they spare tens of thousands of failing look-ups.
_RABBIT_APPLICATIONS = ("rabbit", "rabbit_common", "ra", "osiris", "rabbitmq_prelaunch")
_ERLANG_APPLICATIONS = ("compiler", "inets", "ssl", "mnesia", "xmerl", "syntax_tools", "public_key", "tools")
# The threads of the Erlang VM wait awake for a moment before they sleep: without this a start can take three
# times as long, as nearly all of it goes into waking sleeping threads.
_AWAKE = "+sbwt medium +sbwtdio medium"


class RabbitMQ(Service):
    """One broker on free loopback ports, with its own Erlang port mapper, cookie, folders and name.

    `definitions` are loaded at each boot, as `load_definitions` does; the user "guest" is added to them when
    missing, as RabbitMQ itself then makes no default user. `settings` are further Erlang terms for the
    application `rabbit`, such as "{channel_max, 16}".
    """

    title = "RabbitMQ"

    def __init__(
        self,
        definitions: Mapping[str, Any] | Path | None = None,
        settings: Sequence[str] = (),
        schedulers: int = 2,
    ) -> None:
        self._programs = _programs()
        super().__init__()
        self._schedulers = schedulers
        self._epmd_port = free_port()
        self._distribution_port = free_port()
        self.node = f"lapor-{os.getpid()}-{secrets.token_hex(4)}@localhost"
        self.server_log = self.folder / "log" / "node.log"
        self._write_cookie()
        self._write_configuration(definitions, settings)

    @property
    def url(self) -> str:
        """The AMQP address of the default virtual host."""
        return f"amqp://guest:guest@{HOST}:{self.port}/"

    def stop(self) -> None:
        """End the node in its orderly way, and its port mapper."""
        super().stop()
        self._end_helpers()

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node and give what it prints; `evaluate` is ten times faster."""
        return self._run([str(self._programs / "rabbitmqctl"), "--quiet", "--node", self.node, *arguments])

    def evaluate(self, erlang: str) -> str:
        """Evaluate Erlang in the node, as `rabbitmqctl eval` does but in some 50 ms."""
        command = ["erl_call", "-sname", self.node, "-c", self._cookie, "-e"]
        answer = self._run(command, f"{erlang.rstrip().rstrip('.')}.\n")
        if not answer.startswith("{ok, ") or not answer.endswith("}"):
            raise ServiceError(f"RabbitMQ could not evaluate: {erlang}\n{answer}")
        return answer[len("{ok, ") : -1]

    def settle(self, queue: str, virtual_host: str = "/", seconds: float = 30.0) -> None:
        """Return when a `kill -9` of the broker can no longer break this new queue.

        RabbitMQ 3.10 answers "declared" while the queue's record and a quorum queue's registration still
        wait in the VM's memory to be written. This waits until the queue lives (a quorum queue: can store),
        then has the waiting tables written. After a restart it waits until the queue has caught up.
        """
        name = f"rabbit_misc:r({_binary(virtual_host)}, queue, {_binary(queue)})"
        wait_until(lambda: self.evaluate(_QUEUE_LIVES % name) == "true", f"queue {queue} to live", seconds)
        self.evaluate(_WRITE_TABLES)

    def queue_depth(self, queue: str, virtual_host: str = "/") -> int:
        """How many messages the queue holds, ready or unacknowledged, without a connection.

        Asks the queue itself. The number a client gets from a passive declare comes from a table that may
        still say 0 after a restart, with all messages there.
        """
        name = f"rabbit_misc:r({_binary(virtual_host)}, queue, {_binary(queue)})"
        return int(self.evaluate(_QUEUE_DEPTH % name))

    def _launch(self) -> subprocess.Popen[bytes]:
        if not self._helpers:
            self._start_epmd()
        return self._spawn([str(self._programs / "rabbitmq-server")], self._environment())

    def _start_epmd(self) -> None:
        """Run the Erlang port mapper as a child: one which the VM starts would outlive it."""
        command = ["epmd", "-port", str(self._epmd_port), "-address", HOST]
        self._helpers.append(self._spawn(command, self._environment()))
        self._tell_guard()
        wait_until(lambda: _listens(self._epmd_port), "the Erlang port mapper to listen", _CALL_SECONDS)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((HOST, self.port), _ANSWER_SECONDS) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            connection.sendall(_AMQP_HELLO)
            answer = connection.recv(11, socket.MSG_WAITALL)
            return answer[:3] == _CONNECTION_START[0] and answer[7:] == _CONNECTION_START[1]
        return False

    def _output(self) -> str:
        with suppress(OSError):
            return super()._output() + self.server_log.read_text(errors="replace")[-3000:]
        return super()._output()

    def _environment(self) -> dict[str, str]:
        folder = self.folder
        return plain_environment(folder) | {
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": str(self.server_log),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.config"),
            # These must not be the machine's own, and there are none here.
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": HOST,
            # Makes the start script become the VM, so that the child's pid is the VM's.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": self._vm_arguments(),
            "RABBITMQ_CTL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def _vm_arguments(self) -> str:
        folders = " ".join(map(str, _busy_code_folders(self._programs)))
        schedulers = f"+S {self._schedulers}:{self._schedulers}"
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        return f"{schedulers} {_AWAKE} {loopback} -start_epmd false" + (f" -pa {folders}" if folders else "")

    def _write_cookie(self) -> None:
        self._cookie = secrets.token_hex(16)
        path = self.folder / ".erlang.cookie"
        path.write_text(self._cookie)
        path.chmod(0o400)

    def _write_configuration(self, definitions: Mapping[str, Any] | Path | None, settings: Sequence[str]) -> None:
        terms = [
            f"{{tcp_listeners, [{{{_text(HOST)}, {self.port}}}]}}",
            "{disk_free_limit, 1000000}",
            "{vm_memory_high_watermark, 0.9}",
            *settings,
        ]
        if definitions is not None:
            path = self.folder / "definitions.json"
            path.write_text(json.dumps(_with_guest(definitions)))
            terms.append(f"{{load_definitions, {_text(str(path))}}}")
        # Erlang terms, as the newer format needs a second for being read.
        (self.folder / "rabbitmq.config").write_text(f"[{{rabbit, [{', '.join(terms)}]}}].\n")
        (self.folder / "enabled_plugins").write_text("[].\n")

    def _run(self, command: Sequence[str], text: str | None = None) -> str:
        done = subprocess.run(
            command,
            input=text if text is not None else "",
            env=self._environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=_CALL_SECONDS,
            check=False,
        )
        if done.returncode:
            raise ServiceError(f"{Path(command[0]).name} failed: {done.stdout}{done.stderr}")
        return done.stdout.strip()


# A quorum queue still reading its log after a restart names a leader, and answers questions even
# "consistently", with the messages missing. So an entry without effect is sent through the log first: when
# it is applied, all before it are.
_CAUGHT_UP = "ra:process_command(amqqueue:get_pid(Q), rabbit_fifo:make_garbage_collection(), 2000)"
_QUEUE_LIVES = f"""
case rabbit_amqqueue:lookup(%s) of
    {{ok, Q}} ->
        case amqqueue:get_type(Q) of
            rabbit_quorum_queue -> case {_CAUGHT_UP} of {{ok, _, _}} -> true; _ -> false end;
            _ -> is_process_alive(amqqueue:get_pid(Q))
        end;
    _ -> false
end
"""
_QUEUE_DEPTH = f"""
{{ok, Q}} = rabbit_amqqueue:lookup(%s),
case amqqueue:get_type(Q) of
    rabbit_quorum_queue ->
        {{ok, _, _}} = {_CAUGHT_UP},
        {{ok, {{_, N}}, _}} = ra:leader_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1), N;
    _ -> {{messages, N}} = lists:keyfind(messages, 1, rabbit_amqqueue:info(Q, [messages])), N
end
"""
_WRITE_TABLES = "ok = mnesia:sync_log(), [ok = dets:sync(T) || T <- dets:all()], ok"


def _programs() -> Path:
    """The folder of RabbitMQ's scripts: not Debian's wrappers, which change the user when root calls them."""
    if (_DEBIAN_PROGRAMS / "rabbitmq-server").exists():
        return _DEBIAN_PROGRAMS
    if found := shutil.which("rabbitmq-server"):
        return Path(found).resolve().parent
    raise ServiceError("rabbitmq-server is not installed; tests/services/install.sh installs it")


def _busy_code_folders(programs: Path) -> list[Path]:
    """The folders with most of the modules that a boot loads, where exactly one version is installed."""
    home = programs.resolve().parent
    erlang = Path(shutil.which("erl") or "/usr/bin/erl").resolve().parent.parent / "lib"
    candidates = [list(home.glob(f"**/plugins/{name}-[0-9]*/ebin")) for name in _RABBIT_APPLICATIONS]
    candidates += [list(erlang.glob(f"{name}-[0-9]*/ebin")) for name in _ERLANG_APPLICATIONS]
    return [found[0] for found in candidates if len(found) == 1 and " " not in str(found[0])]


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), _ANSWER_SECONDS):
        return True
    return False


def _text(value: str) -> str:
    """A Python string as an Erlang string."""
    return json.dumps(value, ensure_ascii=False)


def _binary(value: str) -> str:
    return f"<<{_text(value)}/utf8>>"


def _with_guest(definitions: Mapping[str, Any] | Path) -> dict[str, Any]:
    """The definitions, with the user "guest" and the virtual host "/" where they have none."""
    loaded = json.loads(definitions.read_text()) if isinstance(definitions, Path) else definitions
    wanted: dict[str, Any] = dict(loaded)
    hosts = [*wanted.get("vhosts", [])]
    if all(host["name"] != "/" for host in hosts):
        hosts.append({"name": "/"})
    wanted["vhosts"] = hosts
    if all(user["name"] != "guest" for user in wanted.get("users", [])):
        everything = {"user": "guest", "configure": ".*", "write": ".*", "read": ".*"}
        wanted["users"] = [*wanted.get("users", []), _guest()]
        wanted["permissions"] = [
            *wanted.get("permissions", []),
            *({"vhost": host["name"], **everything} for host in hosts),
        ]
    return wanted


def _guest() -> dict[str, str]:
    salt = secrets.token_bytes(4)
    return {
        "name": "guest",
        "password_hash": base64.b64encode(salt + hashlib.sha256(salt + b"guest").digest()).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "administrator",
    }
