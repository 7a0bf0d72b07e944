"""The gateway as systemd's unit runs it: it says that it is ready, lives and stops, and needs no writable code."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services import free_port

# What the unit's MemoryDenyWriteExecute= asks of the kernel, inherited by every program started from here; a kernel
# before 6.3 does not know the request, and the gateway then simply runs. (PR_SET_MDWE is 65.)
_HARDENED = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"


@contextmanager
def under_a_manager(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", socket.socket]]:
    """``lapor-gateway run`` with a dummy phone, and the socket that it was told to notify."""
    (folder / "phone").mkdir()
    phone = f'type = "sms"\ndevice = "{folder}/phone"\nconnection = "none"\nmodel = "dummy"\nnumber = "1708"\n'
    listen = f'[console]\nlisten = "127.0.0.1:{free_port()}"\n'
    (folder / "gateway.toml").write_text(f"{listen}[channels.sms-1708]\n{phone}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(folder / "notify"))
        listening.settimeout(60)
        program = str(Path(sys.executable).with_name("lapor-gateway"))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LAPOR_")}
        environment |= {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "2000000"}
        command = [sys.executable, "-c", _HARDENED, program, "run"]
        with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as process:
            try:
                yield process, listening
            finally:
                process.kill()


def wait_for(listening: socket.socket, beginning: str, part: str = "") -> str:
    """The first message of its kind."""
    while True:
        message = listening.recv(4096).decode()
        if message.startswith(beginning) and part in message:
            return message


def test_the_manager_is_told_of_each_state(tmp_path: Path) -> None:
    """Ready, alive with its channel, stopping; and it ends with 0."""
    with under_a_manager(tmp_path) as (process, listening):
        assert wait_for(listening, "READY=1").startswith("READY=1\nSTATUS=")
        wait_for(listening, "WATCHDOG=1", "1 of 1 channels up")
        process.send_signal(signal.SIGTERM)
        wait_for(listening, "STOPPING=1")
        assert process.wait(60) == 0
