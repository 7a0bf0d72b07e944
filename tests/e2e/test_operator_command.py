"""``lapor-gateway operator`` as it is typed: a password comes from the terminal or a pipe, never as an argument."""

import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

PASSWORD = "rahasia-yang-panjang"  # noqa: S105 - invented


def _operator(folder: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli.main", "operator", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAPOR_")}
    return subprocess.run(
        command, cwd=folder, env=environment, input=given, capture_output=True, text=True, timeout=60, check=False
    )


def _rows(folder: Path, query: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(folder / "var/gateway.db")) as database:
        return list(database.execute(query))


def test_operators_come_change_and_go(tmp_path: Path) -> None:
    """Each change is in the audit log, under the name of whoever typed it."""
    assert _operator(tmp_path, "add", "Budi", given=f"{PASSWORD}\n").returncode == 0
    assert _operator(tmp_path, "add", "siti@example.go.id", "--role", "viewer", "--single-sign-on").returncode == 0
    listed = _operator(tmp_path, "list").stdout
    assert "budi" in listed
    assert "single sign-on" in listed
    assert _operator(tmp_path, "role", "budi", "viewer").returncode == 0
    assert _operator(tmp_path, "password", "budi", given="another-long-secret\n").returncode == 0
    assert _operator(tmp_path, "remove", "siti@example.go.id").returncode == 0
    assert [row[:2] for row in _rows(tmp_path, "SELECT name, role, password FROM operators")] == [("budi", "viewer")]
    assert _rows(tmp_path, "SELECT action, subject, via FROM audit ORDER BY id") == [
        ("operator.add", "budi", "terminal"),
        ("operator.add", "siti@example.go.id", "terminal"),
        ("operator.role", "budi", "terminal"),
        ("operator.password", "budi", "terminal"),
        ("operator.remove", "siti@example.go.id", "terminal"),
    ]
    assert PASSWORD not in repr(_rows(tmp_path, "SELECT * FROM operators"))


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        pytest.param(["add", "budi"], "short\n", "fewer than 12 characters", id="a short password"),
        pytest.param(["add", "bu di"], f"{PASSWORD}\n", "An operator's name", id="a name that is none"),
        pytest.param(["add", "lokal"], f"{PASSWORD}\n", "is not lokal", id="a name that is taken by us"),
        pytest.param(["remove", "nobody"], "", "There is no operator nobody", id="an unknown operator"),
        pytest.param(["role", "nobody", "viewer"], "", "There is no operator nobody", id="likewise"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path: Path, arguments: list[str], given: str, said: str) -> None:
    """With exit code 1, and without the password in it."""
    result = _operator(tmp_path, *arguments, given=given)
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not given.strip() or given.strip() not in result.stderr + result.stdout


def test_at_a_terminal_the_password_is_asked_for_twice_and_never_shown(tmp_path: Path) -> None:
    """What the terminal shows is the two questions and the outcome."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "gateway.cli.main", "operator", "add", "budi"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=follower, stdout=follower, stderr=follower, start_new_session=True
    ) as process:
        os.close(follower)
        shown = b""
        for question in (b"Password: ", b"once more: "):
            while question not in shown:
                shown += os.read(leader, 1000)
            os.write(leader, f"{PASSWORD}\n".encode())
        try:
            while piece := os.read(leader, 1000):
                shown += piece
        except OSError:  # Linux says so when the other end is closed
            pass
        assert process.wait(timeout=60) == 0
    os.close(leader)
    assert b"budi may use the console as operator." in shown
    assert PASSWORD.encode() not in shown
