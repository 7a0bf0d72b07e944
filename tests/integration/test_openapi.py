"""The API is what its OpenAPI description says: schemathesis asks a real gateway for everything in it."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import checks

from gateway.application import Gateway
from gateway.console import Console
from gateway.console.access import CSRF_HEADER
from gateway.console.openapi import openapi
from tests.integration.kernel import settings_for
from tests.services import free_port, wait_until

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
EXAMPLES = 12
"""Requests of chance for each operation, besides those at every bound; more of them find little more here."""

ENDLESS = ["/api/v1/events"]
HELD = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway's address, and what a browser that is in shows it."""

    address: str
    headers: dict[str, str]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """``lapor-gateway run`` on SQLite with a dummy phone, one session open."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "phone").mkdir()
    address = f"127.0.0.1:{free_port()}"
    phone = f'type = "sms"\ndevice = "{folder}/phone"\nconnection = "none"\nmodel = "dummy"\nnumber = "1708"\n'
    (folder / "gateway.toml").write_text(f'[console]\nlisten = "{address}"\n[channels.sms-1708]\n{phone}')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAPOR_")}
    command = [sys.executable, "-m", "gateway.cli.main", "run"]
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: _ready(f"http://{address}"), "the gateway to be ready", 60)
            yield Running(f"http://{address}", _session(f"http://{address}"))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _ready(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{address}/readyz", timeout=5) as response:  # noqa: S310 - ours
        return bool(response.status == 200)
    return False


def _session(address: str) -> dict[str, str]:
    """The cookie and the CSRF token that this browser is given."""
    with urllib.request.urlopen(f"{address}/api/v1/session", timeout=10) as response:  # noqa: S310 - ours
        cookie: SimpleCookie = SimpleCookie(response.headers["Set-Cookie"])
        token = json.load(response)["csrf"]
    name, morsel = next(iter(cookie.items()))
    return {"Cookie": f"{name}={morsel.value}", CSRF_HEADER: token}


schema = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text(encoding="utf-8")))


@schema.exclude(path=ENDLESS).parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
)
def test_every_answer_is_as_described(case: schemathesis.Case[Any], running: Running) -> None:
    """Requests that are right and wrong, at every bound and by chance: no bug shows, and nothing undescribed."""
    response = case.call(base_url=running.address, headers=running.headers, timeout=20)
    case.validate_response(response, checks=_checks())


def _checks() -> list[Any]:
    known: dict[str, Any] = {check.__name__: check for check in checks.CHECKS.get_all()}
    return [known[name] for name in HELD]


def test_the_document_is_the_codes() -> None:
    """``lapor-gateway schema --write .`` writes it."""
    assert json.loads(DOCUMENT.read_text(encoding="utf-8")) == openapi()


def test_every_room_of_the_api_is_described_and_every_described_room_is_there(tmp_path: Path) -> None:
    gateway = Gateway(settings_for(f"sqlite:///{tmp_path}/gateway.db", queue=f"journal:{tmp_path}/intake"))
    rooms = {
        (route.method, path)
        for route in Console(gateway).application().router.routes()
        for path in _paths(route.resource.canonical if route.resource else "")
        if path.startswith("/api/v1/") and route.method != "HEAD"
    }
    described = {
        (method.upper(), path)
        for path, operations in openapi()["paths"].items()
        if path.startswith("/api/v1/")
        for method in operations
    }
    assert rooms - described == set()
    assert {path for _, path in described - rooms} <= set(ENDLESS)


def _paths(canonical: str) -> list[str]:
    """A path of the router as OpenAPI writes it; one that stands for several verbs is several."""
    return (
        [canonical.replace("{verb}", verb) for verb in ("replay", "accept", "discard")]
        if "{verb}" in canonical
        else [canonical]
    )
