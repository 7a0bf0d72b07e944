"""What the service manager is told, on a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.notify import STATUS_LENGTH, ServiceManager


@pytest.fixture
def manager_socket(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of a service manager, in the file system."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def told(listening: socket.socket) -> str:
    """The next datagram."""
    return listening.recv(4096).decode()


def test_each_state_is_one_datagram(manager_socket: socket.socket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": manager_socket.getsockname()})
    manager.ready("1 of 1 channels up")
    manager.status("0 of 1 channels up")
    manager.alive("all is well")
    manager.stopping()
    assert [told(manager_socket) for _ in range(4)] == [
        "READY=1\nSTATUS=1 of 1 channels up",
        "STATUS=0 of 1 channels up",
        "WATCHDOG=1\nSTATUS=all is well",
        "STOPPING=1\nSTATUS=Stopping.",
    ]


def test_an_abstract_socket_is_found_as_well() -> None:
    """The manager writes its first byte as ``@``."""
    name = f"lapor-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(5)
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).stopping()
        assert told(listening).startswith("STOPPING=1")


def test_a_status_cannot_become_another_message(manager_socket: socket.socket) -> None:
    """It is one line of a bounded length, whatever a reason holds."""
    ServiceManager({"NOTIFY_SOCKET": manager_socket.getsockname()}).status("a\nMAINPID=1\r\n" + "x" * 1000)
    message = told(manager_socket)
    assert message.startswith("STATUS=a MAINPID=1 xxx")
    assert len(message) == len("STATUS=") + STATUS_LENGTH


@pytest.mark.parametrize("address", ["", "relative", "/nobody/listens/here", "@nobody-listens-here", "vsock:2:1"])
def test_without_a_manager_nothing_happens(address: str) -> None:
    ServiceManager({"NOTIFY_SOCKET": address}).ready("up")


@pytest.mark.parametrize(
    ("microseconds", "process", "seconds"),
    [
        ("60000000", None, 60.0),
        pytest.param("500000", str(os.getpid()), 0.5, id="its own number"),
        ("60000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        ("", None, None),
    ],
)
def test_the_watchdogs_interval_counts_for_this_process_only(
    microseconds: str, process: str | None, seconds: float | None
) -> None:
    environment = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": microseconds}
    if process is not None:
        environment["WATCHDOG_PID"] = process
    assert ServiceManager(environment).watchdog_seconds == seconds
