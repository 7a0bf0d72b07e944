"""What others read under ``queue/``, ``config/`` and ``docs/`` is what the code says."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from gateway.model import decode_event
from gateway.plugins import channel_plugins
from gateway.schema import generated_files
from gateway.settings import load_settings

ROOT = Path(__file__).parents[2]
FILES = generated_files()
EXAMPLES = sorted(path for path in FILES if path.startswith("queue/examples/"))


@pytest.mark.parametrize("path", FILES)
def test_a_generated_file_equals_the_code(path: str) -> None:
    """A file that is stale is written anew by ``make generate``."""
    assert (ROOT / path).read_text(encoding="utf-8") == FILES[path]


def test_no_generated_file_is_left_over() -> None:
    """A schema or example that the code no longer makes would still be read by somebody."""
    kept = {str(path.relative_to(ROOT)) for path in (ROOT / "queue").rglob("*.json")}
    assert kept == {path for path in FILES if path.startswith("queue/")}


@pytest.mark.parametrize("path", EXAMPLES)
def test_an_example_keeps_the_schema(path: str) -> None:
    """Consumers test against the examples, so they must be valid."""
    schema = json.loads(FILES["queue/event.schema.json"])
    jsonschema.Draft202012Validator(schema).validate(json.loads(FILES[path]))
    decode_event(FILES[path].encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [("subject", "123"), ("sequence", 0), ("id", "no-uuid"), ("type", "report"), ("data", {})],
)
def test_the_schema_refuses_what_is_wrong(field: str, value: object) -> None:
    """A schema that lets everything pass would promise nothing."""
    event = json.loads(FILES["queue/examples/received.json"]) | {field: value}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json.loads(FILES["queue/event.schema.json"])).validate(event)


def test_the_asyncapi_names_only_what_it_defines() -> None:
    """Every reference in the AsyncAPI document leads somewhere in it."""
    document = json.loads(FILES["queue/asyncapi.json"])
    references = re.findall(r'"\$ref": "#/([^"]+)"', FILES["queue/asyncapi.json"])
    assert references
    for reference in references:
        place = document
        for step in reference.split("/"):
            place = place[step]


def test_the_sample_settings_are_the_defaults(tmp_path: Path) -> None:
    """An operator who copies the sample file and changes nothing gets the defaults."""
    path = tmp_path / "gateway.toml"
    path.write_text(FILES["config/gateway.sample.toml"], encoding="utf-8")
    assert load_settings(path, {}, channel_plugins()) == load_settings(None, {}, channel_plugins())


def test_the_sample_channels_are_valid_once_uncommented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The channel sections are comments; without the marks they are settings."""
    secret = tmp_path / "pin"
    secret.write_text("1234\n")
    text = re.sub(r"file:/run/secrets/\w+", f"file:{secret}", FILES["config/gateway.sample.toml"])
    for name in re.findall(r'"env:(\w+)"', text):
        monkeypatch.setenv(name, "a-secret")
    text = re.sub(r"^# (?=[a-z_]+ = |\[channels)", "", text, flags=re.MULTILINE)
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    assert set(load_settings(path, {}, channel_plugins()).channels) == {"sms-1708", "twitter", "email"}
