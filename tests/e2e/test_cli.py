"""The commands as an operator types them: what is wrong is one line that names the key, and exit code 1."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services import free_port
from tests.services.postgresql import PostgreSQL
from tests.services.rabbitmq import RabbitMQ

SMS = '[channels.sms-1708]\ntype = "sms"\ndevice = "{device}"\nconnection = "none"\nmodel = "dummy"\nnumber = "1708"\n'


def _lapor(*arguments: str, folder: Path, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli.main", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAPOR_")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )


def _settings(folder: Path, text: str) -> str:
    path = folder / "settings.toml"
    path.write_text(f'[console]\nlisten = "127.0.0.1:{free_port()}"\n{text}', encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitMQ]:
    """A RabbitMQ for wrong passwords."""
    with RabbitMQ() as node:
        yield node


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("text", "key"),
    [
        pytest.param("[store]\nkeep_dayz = 3\n", "store.keep_dayz", id="an unknown key"),
        pytest.param('[queue]\nurl = "kafka://x"\n', "queue.url", id="a bad value"),
        pytest.param('[channels.x]\ntype = "pigeon"\n', "channels.x.type", id="an unknown channel type"),
        pytest.param(SMS.format(device="missing"), "channels.sms-1708.device", id="a missing device"),
        pytest.param('[store]\nurl = "sqlite:////proc/no/where.db"\n', "store.url", id="a store that cannot be made"),
        pytest.param('[queue]\nurl = "journal:/proc/no/where"\n', "queue.url", id="a journal that cannot be made"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_its_key(tmp_path: Path, command: str, text: str, key: str) -> None:
    """Both commands end with 1, and nothing like a traceback is shown."""
    result = _lapor(command, "--config", _settings(tmp_path, text), folder=tmp_path)
    assert result.returncode == 1
    named = [line for line in result.stderr.splitlines() if line.startswith(f"lapor-gateway: {key}")]
    assert len(named) == 1, result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_wrong_password_of_the_queue_names_the_queue(tmp_path: Path, command: str, broker: RabbitMQ) -> None:
    """The broker's refusal is a person's business, and the password is not shown."""
    url = broker.url.replace("guest:guest", "guest:wrong-secret")
    result = _lapor(command, "--config", _settings(tmp_path, f'[queue]\nurl = "{url}"\n'), folder=tmp_path)
    assert result.returncode == 1
    assert "lapor-gateway: queue.url: RabbitMQ refuses the login" in result.stderr
    assert "wrong-secret" not in result.stderr + result.stdout


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_login_that_postgresql_refuses_names_the_store(tmp_path: Path, command: str) -> None:
    """What the server says is in the line; the password is not."""
    with PostgreSQL(fsync=False) as cluster:
        url = cluster.create_database("lapor").replace("@", "-nobody:wrong-secret@")
        result = _lapor(command, "--config", _settings(tmp_path, f'[store]\nurl = "{url}"\n'), folder=tmp_path)
    assert result.returncode == 1
    assert "lapor-gateway: store.url: PostgreSQL cannot be used now" in result.stderr
    assert "wrong-secret" not in result.stderr + result.stdout


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_database_of_a_newer_schema_is_refused(tmp_path: Path, command: str) -> None:
    """An older gateway must not write into it."""
    config = _settings(tmp_path, f'[store]\nurl = "sqlite:///{tmp_path}/gateway.db"\n')
    assert _lapor("migrate", "--config", config, folder=tmp_path).returncode == 0
    with sqlite3.connect(tmp_path / "gateway.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    result = _lapor(command, "--config", config, folder=tmp_path)
    assert result.returncode == 1
    assert "lapor-gateway: store.url: the database has the schema 9999" in result.stderr


def test_check_is_content_when_all_is_well(tmp_path: Path, broker: RabbitMQ) -> None:
    """Store, queue and channel are tried for real, and the exit code is 0."""
    (tmp_path / "phone").mkdir()
    text = f'[queue]\nurl = "{broker.url}"\n' + SMS.format(device=tmp_path / "phone")
    result = _lapor("check", "--config", _settings(tmp_path, text), folder=tmp_path)
    assert result.returncode == 0, result.stderr
    for tried in ("settings", "store durability", "queue lapor.intake", "disk", "channels.sms-1708 network"):
        assert tried in result.stdout
    assert "FAILED" not in result.stdout


def test_run_without_a_file_is_embedded_and_stops_in_order(tmp_path: Path) -> None:
    """Store and queue are files in the working folder, and SIGTERM ends it with 0."""
    environment = {**os.environ, "LAPOR_CONSOLE__LISTEN": f"127.0.0.1:{free_port()}"}
    command = [sys.executable, "-m", "gateway.cli.main", "run"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "http://127.0.0.1" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(timeout=60) == 0
    assert (tmp_path / "var" / "gateway.db").exists()
    assert (tmp_path / "var" / "intake.jsonl").exists()


def _run_demo(folder: Path) -> str:
    """Twelve seconds of the demo; returns what it printed."""
    command = [sys.executable, "-m", "gateway.cli.main", "demo", "--folder", "demo", "--pace", "20", "--seconds", "12"]
    environment = os.environ | {"LAPOR_CONSOLE__LISTEN": f"127.0.0.1:{free_port()}"}
    demo = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return demo.stdout


def _exported(folder: Path, config: str, state: str) -> list[dict[str, Any]]:
    result = _lapor("messages", "export", "--state", state, "--config", config, folder=folder)
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_demo_publishes_reports_that_the_commands_can_show(tmp_path: Path) -> None:
    """A newcomer sees reports of every channel come out, and finds each with its ledger and its evidence."""
    printed = _run_demo(tmp_path)
    assert "received #" in printed
    assert "answer by mail to" in printed
    events = [json.loads(line) for line in (tmp_path / "demo/intake.jsonl").read_text().splitlines()]
    assert len({event["id"] for event in events}) == len(events) > 5
    assert {event["data"]["channel"] for event in events} == {"sms", "twitter", "mail"}
    config = _settings(tmp_path, f'[store]\nurl = "sqlite:///{tmp_path}/demo/gateway.db"\n')
    messages = _exported(tmp_path, config, "processed")
    assert {message["decision"] for message in messages} >= {"report", "repeat", "update", "ignored"}
    assert all(message.get("raw") or message.get("raw_base64") for message in messages)
    # The oldest: what came in the last moment may wait in the outbox for the next start.
    reported = next(message for message in reversed(messages) if message["decision"] == "report")
    shown = _lapor("messages", "show", reported["id"], "--config", config, folder=tmp_path)
    steps = [step["step"] for step in json.loads(shown.stdout)["steps"]]
    assert steps[0] == "committed"
    assert "event 1 confirmed by the queue" in steps
    listed = _lapor("messages", "list", "--limit", "3", "--config", config, folder=tmp_path)
    assert listed.returncode == 0
    replayed = _lapor("messages", "replay", reported["id"], "--reason", "a test", "--config", config, folder=tmp_path)
    assert "1 messages will be processed again" in replayed.stdout
    held = [message["id"] for message in _exported(tmp_path, config, "held")]
    for command, count, said in (
        ("accept", 1, "1 messages will become reports"),
        ("discard", 2, "2 messages are disc"),
    ):
        chosen, held = held[:count], held[count:]
        done = _lapor("messages", command, *chosen, "--reason", "a test", "--config", config, folder=tmp_path)
        assert said in done.stdout
    channels = _lapor("channels", "--config", config, folder=tmp_path)
    assert "sms-1708" in channels.stdout
    assert "twitter" in channels.stdout
    assert "email" in channels.stdout
    for part in ("in 24 h", "signal", "Pipeline", "held: accept or discard", "waits for the queue"):
        assert part in channels.stdout
