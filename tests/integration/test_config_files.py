"""What an operator copies for the machine itself: the systemd unit and the udev rule are valid, and fit the gateway."""

import re
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from gateway.cli.watchdog import SIGNS_IN_AN_INTERVAL
from gateway.settings.model import PipelineSettings

CONFIG = Path(__file__).parents[2] / "config"
UNIT = CONFIG / "lapor-gateway.service"
RULES = CONFIG / "99-lapor-modems.rules"
EXPOSURE = 20
"""Tenths of systemd's own measure from 0 (safe) to 10; it calls less than 2 *OK*."""

_TERM = re.compile(r'(?P<key>[A-Z]+(\{[A-Za-z_]+\})?)(?P<operator>==|!=|\+=|=)"(?P<value>[^"]*)"')
_MATCHES = {"ACTION", "SUBSYSTEM", "KERNEL"}
_ASSIGNED = {"GOTO", "LABEL", "SYMLINK", "GROUP", "MODE", "IMPORT{builtin}"}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Asks systemd's own checker; it needs no systemd that runs."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here (Debian: apt-get install systemd)")
    return run("systemd-analyze", *arguments)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists: verify looks for it."""
    copy = tmp_path / UNIT.name
    program = shutil.which("true") or "/bin/true"
    copy.write_text(UNIT.read_text().replace("/opt/lapor-gateway/bin/lapor-gateway", program))
    return copy


@pytest.fixture
def service() -> dict[str, str]:
    """The unit's section about the process; of a key that comes several times the last value."""
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # systemd tells capitals apart
    parser.read_string(UNIT.read_text())
    return dict(parser["Service"])


def test_systemd_finds_no_fault_in_the_unit(unit: Path) -> None:
    result = systemd_analyze("verify", "--man=no", str(unit))
    assert (result.returncode, result.stderr) == (0, "")


def test_the_unit_leaves_little_open(unit: Path) -> None:
    """A modem, the network and its own folder: nothing else of the machine can be reached."""
    result = systemd_analyze("security", "--offline=yes", f"--threshold={EXPOSURE}", str(unit))
    assert result.returncode == 0, result.stdout


def test_the_unit_waits_for_what_the_gateway_tells(service: dict[str, str]) -> None:
    """Ready once it says so; killed only after several signs of life stayed out; given the time that stopping takes."""
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 10 * SIGNS_IN_AN_INTERVAL
    assert int(service["TimeoutStopSec"]) > PipelineSettings().stop_timeout


def test_udev_finds_no_fault_in_the_rule() -> None:
    if shutil.which("udevadm") is None:
        pytest.skip("udevadm is not here (Debian: apt-get install udev)")
    if run("udevadm", "verify", "--help").returncode != 0:
        pytest.skip("this udevadm has no verify; it came with systemd 254")
    result = run("udevadm", "verify", "--resolve-names=never", str(RULES))
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_line_of_the_rule_is_made_of_known_terms() -> None:
    """What udev's grammar asks for: terms in a row, jumps that end somewhere, names that need what they use."""
    lines = [line for line in RULES.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[-1] == 'LABEL="lapor_modems_end"'
    targets: set[str] = set()
    for line in lines:
        terms = [_TERM.fullmatch(term) for term in re.split(r", (?=[A-Z])", line)]
        assert all(terms), line
        found = {(term["key"], term["operator"]): term["value"] for term in terms if term}
        for key, operator in found:
            known = _MATCHES if operator in ("==", "!=") else _ASSIGNED
            assert key in known or key.startswith("ENV{"), line
        targets |= {value for (key, _), value in found.items() if key == "GOTO"}
        for name in re.findall(r"\$env\{(\w+)\}", line):
            assert (f"ENV{{{name}}}", "==") in found, f"{name} may be empty: {line}"
    assert targets == {"lapor_modems_end"}
