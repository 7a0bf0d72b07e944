"""Settings: every mistake is refused at start, names its key's path, and shows no secret."""

import json
import traceback
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, SecretStr

from gateway.errors import SettingsError
from gateway.plugins import channel_plugins
from gateway.ports import Channel, ChannelPlugin, ChannelSettings, ChannelStore
from gateway.secret import Secret
from gateway.settings import Settings, load_settings
from tests.fakes import FakeChannel

SECRET = "s3cret-0000"  # noqa: S105 - invented


class ModemSettings(ChannelSettings):
    """The settings of an invented channel."""

    type: Literal["modem"]
    device: str
    pin: Secret | None = None
    speed: int = Field(default=1, ge=1)


def create(name: str, settings: Any, _store: ChannelStore) -> Channel:  # noqa: ARG001 - a factory's signature
    """Never called here."""
    return FakeChannel()


PLUGINS = {"modem": ChannelPlugin(ModemSettings, create, after_crash="unknown", sample_name="modem", sample={})}
MODEM = '[channels.sms-1708]\ntype = "modem"\ndevice = "/dev/null"\n'


def load(folder: Path, text: str = "", environment: dict[str, str] | None = None) -> Settings:
    """The settings from a file with this text."""
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environment or {}, PLUGINS)


def modem(settings: Settings, name: str = "sms-1708") -> ModemSettings:
    """The settings of the invented channel."""
    found = settings.channels[name].settings
    assert isinstance(found, ModemSettings)
    return found


def test_without_a_file_everything_has_its_default() -> None:
    """Store and queue are embedded, and no channel is open."""
    settings = load_settings(None, {}, PLUGINS)
    assert settings.store.url == "sqlite:///var/gateway.db"
    assert settings.queue.url == "journal:var/intake.jsonl"
    assert settings.console.listen == "127.0.0.1:8080"
    assert settings.dedup.window_days == 30
    assert settings.channels == {}


def test_a_file_sets_what_it_names(tmp_path: Path) -> None:
    """Kernel and channel alike."""
    settings = load(tmp_path, '[store]\nkeep_days = 365\n[queue]\nurl = "amqp://localhost/"\n' + MODEM + "speed = 3\n")
    assert (settings.store.keep_days, settings.queue.url) == (365, "amqp://localhost/")
    assert (modem(settings).device, modem(settings).speed) == ("/dev/null", 3)


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        # unknown keys, at every depth
        ("colour = 1", "colour", "no such setting"),
        ("[stor]\nurl = ''", "stor", "no such setting"),
        ("[store]\nurll = ''", "store.urll", "no such setting"),
        (MODEM + "baud = 9600", "channels.sms-1708.baud", "no such setting"),
        # bad values
        ("[store]\nurl = 'mysql://host/x'", "store.url", "must begin with sqlite:/// or postgresql://"),
        ("[store]\nurl = 'sqlite://'", "store.url", "must begin with"),
        ("[store]\nurl = 'sqlite:///'", "store.url", "file"),
        ("[store]\nurl = 'sqlite:///:memory:'", "store.url", "file"),
        ("[store]\nurl = 'postgresql://lapor@host:many/x'", "store.url", "port"),
        ("[store]\nkeep_days = 0", "store.keep_days", "greater than or equal to 1"),
        ("[store]\nkeep_days = 99999", "store.keep_days", "less than or equal to"),
        ("[queue]\nurl = 'kafka://host'", "queue.url", "must begin with amqp://, amqps:// or journal:"),
        ("[queue]\nurl = 'amqp://host:many/'", "queue.url", "port"),
        ("[queue]\npublish_timeout = nan", "queue.publish_timeout", "finite number"),
        ("[queue]\npublish_timeout = inf", "queue.publish_timeout", "finite number"),
        ("[console]\nlisten = 'nowhere'", "console.listen", "pattern"),
        ("[answers]\nreceipt = 'Terima kasih.'", "answers.receipt", "must hold {tracking_id}"),
        ("[answers]\nreceipt = '{tracking_id} {name}'", "answers.receipt", "no other field in braces"),
        ("[answers]\nreceipt = '{tracking_id} {'", "answers.receipt", "no other field in braces"),
        ("[log]\nlevel = 'loud'", "log.level", "'debug', 'info', 'warning' or 'error'"),
        (MODEM + "speed = 0", "channels.sms-1708.speed", "greater than or equal to 1"),
        # wrong types
        ("store = 1", "store", "valid dictionary"),
        ("[store]\nkeep_days = 'many'", "store.keep_days", "valid integer"),
        ("[pipeline]\nbatch = 1.5", "pipeline.batch", "valid integer"),
        ("[answers]\nenabled = 'perhaps'", "answers.enabled", "valid boolean"),
        ("channels = 1", "channels", "must be tables"),
        ("[channels]\nsms = 1", "channels.sms", "must be a table"),
        (MODEM + "pin = 1234", "channels.sms-1708.pin", "valid string"),
        # what is missing
        ("[channels.sms]\ndevice = 'x'", "channels.sms.type", "is missing; the known types: modem"),
        ("[channels.sms]\ntype = 'modem'", "channels.sms.device", "is missing"),
        # channel types and names
        ("[channels.sms]\ntype = 'pigeon'", "channels.sms.type", "'pigeon' is no known channel type"),
        ("[channels.sms]\ntype = ['modem']", "channels.sms.type", "no known channel type"),
        ("[channels.SMS]\ntype = 'modem'", "channels.SMS", "small letters, digits and dashes"),
        ("[channels.sms_1]\ntype = 'modem'", "channels.sms_1", "small letters, digits and dashes"),
        (f"[channels.{'x' * 64}]\ntype = 'modem'", f"channels.{'x' * 64}", "63 at most"),
        # what only goes wrong together
        ("[store]\nkeep_days = 7", "settings", "store.keep_days must not be less than dedup.window_days"),
    ],
)
def test_a_mistake_is_refused_with_its_keys_path(tmp_path: Path, text: str, key: str, problem: str) -> None:
    """The error names the key as an operator would write it, and what is wrong with it."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert caught.value.key == key
    assert problem in caught.value.problem
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep_days", [30, 31])
def test_what_is_kept_as_long_as_it_is_compared_is_accepted(tmp_path: Path, keep_days: int) -> None:
    """``keep_days`` equal to ``window_days`` or above."""
    assert load(tmp_path, f"[store]\nkeep_days = {keep_days}").store.keep_days == keep_days


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[store", "not valid TOML"),
        (b"[store]\n[store]", "not valid TOML"),
        (b"a = 1\na = 2", "not valid TOML"),
        (b'name = "\xff"', "not UTF-8"),
    ],
)
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    """The path stands where a key would."""
    path = tmp_path / "gateway.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=problem) as caught:
        load_settings(path, {}, PLUGINS)
    assert caught.value.key == str(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the reason of the system."""
    with pytest.raises(SettingsError, match="No such file") as caught:
        load_settings(tmp_path / "missing.toml", {}, PLUGINS)
    assert caught.value.key.endswith("missing.toml")


@pytest.mark.parametrize(
    ("variable", "value", "path"),
    [
        ("LAPOR_QUEUE__URL", "amqp://elsewhere/", "queue.url"),
        ("LAPOR_STORE__KEEP_DAYS", "60", "store.keep_days"),
        ("LAPOR_ANSWERS__ENABLED", "false", "answers.enabled"),
        ("LAPOR_PIPELINE__PARSE_TIMEOUT", "2.5", "pipeline.parse_timeout"),
        ("LAPOR_LOG__LEVEL", "debug", "log.level"),
    ],
)
def test_the_environment_overrides_the_file(tmp_path: Path, variable: str, value: str, path: str) -> None:
    """Text becomes a number or a truth where the setting is one."""
    settings = load(tmp_path, "[store]\nkeep_days = 90\n[queue]\nurl = 'amqp://here/'\n", {variable: value})
    section, name = path.split(".")
    assert json.dumps(getattr(getattr(settings, section), name)).strip('"') == value


def test_a_dash_in_a_name_is_an_underscore_in_the_environment(tmp_path: Path) -> None:
    """``LAPOR_CHANNELS__SMS_1708__DEVICE`` means ``channels.sms-1708.device``, and no other channel."""
    text = MODEM + MODEM.replace("1708", "1709")
    settings = load(tmp_path, text, {"LAPOR_CHANNELS__SMS_1708__DEVICE": "/dev/zero"})
    assert modem(settings).device == "/dev/zero"
    assert modem(settings, "sms-1709").device == "/dev/null"


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("LAPOR_STORE__KEEP_DAYS", "many", "store.keep_days"),
        ("LAPOR_STORE__COLOUR", "red", "store.colour"),
        ("LAPOR_HOME", "/srv", "home"),
        ("LAPOR_CHANNELS__SMS_1708__SPEED", "0", "channels.sms-1708.speed"),
        ("LAPOR_CHANNELS__SMS_1708__DEVICE__X", "0", "LAPOR_CHANNELS__SMS_1708__DEVICE__X"),
    ],
)
def test_a_mistake_in_the_environment_is_refused_like_one_in_the_file(
    tmp_path: Path, variable: str, value: str, key: str
) -> None:
    """By the key that it means, or by its own name where it means none."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, MODEM, {variable: value})
    assert caught.value.key == key


def test_other_variables_are_left_alone(tmp_path: Path) -> None:
    """Only the prefix makes a variable ours."""
    assert load(tmp_path, "", {"PATH": "/bin", "LAPORAN": "x", "QUEUE__URL": "y"}) == load(tmp_path)


def pin(settings: Settings) -> str:
    """The secret itself."""
    found = modem(settings).pin
    assert isinstance(found, SecretStr)
    return found.get_secret_value()


def test_a_secret_is_a_literal_a_variable_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All three ways, and a file's last line end is not part of it."""
    monkeypatch.setenv("TEST_PIN", SECRET)
    (tmp_path / "pin").write_text(SECRET + "\n", encoding="utf-8")
    for written in (SECRET, "env:TEST_PIN", f"file:{tmp_path}/pin"):
        assert pin(load(tmp_path, MODEM + f'pin = "{written}"')) == SECRET
    overriding = {"LAPOR_CHANNELS__SMS_1708__PIN": f"file:{tmp_path}/pin"}
    assert pin(load(tmp_path, MODEM, overriding)) == SECRET


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("env:TEST_NOT_SET", "the environment variable TEST_NOT_SET is not set"),
        ("file:/nonexistent/pin", "the file /nonexistent/pin cannot be read (FileNotFoundError)"),
        ("file:/", "the file / cannot be read (IsADirectoryError)"),
    ],
)
def test_a_secret_that_cannot_be_had_is_refused(tmp_path: Path, written: str, problem: str) -> None:
    """The key and the name of the variable or file are told."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, MODEM + f'pin = "{written}"')
    assert (caught.value.key, caught.value.problem) == ("channels.sms-1708.pin", problem)


def test_a_secret_is_in_no_text_of_the_settings(tmp_path: Path) -> None:
    """Neither ``repr`` nor ``str`` nor JSON shows one, the passwords inside addresses included."""
    text = (
        f"[store]\nurl = 'postgresql://lapor:{SECRET}@host/lapor'\n[queue]\nurl = 'amqp://lapor:{SECRET}@host/'\n"
        + MODEM
        + f'pin = "{SECRET}"'
    )
    settings = load(tmp_path, text)
    shown = [repr(settings), str(settings), f"{settings.store} {settings.queue!r}", modem(settings).model_dump_json()]
    assert not [each for each in shown if SECRET in each]


@pytest.mark.parametrize(
    "text",
    [
        MODEM + f'pin = "{SECRET}"\ncolour = "{SECRET}"',
        MODEM + f"pin = ['{SECRET}']",
        f"[store]\nurl = 'mysql://lapor:{SECRET}@host/x'",
        f"[queue]\nurl = 'kafka://lapor:{SECRET}@host/x'",
        f"[queue]\nurl = 'amqp://lapor:{SECRET}@host:x/'",
        f"[store]\nurl = 'postgresql://lapor:{SECRET}@host:x/'",
    ],
)
def test_a_secret_is_in_no_error(tmp_path: Path, text: str) -> None:
    """Not in the sentence, and not in the traceback that somebody may print."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_the_installed_channels_are_found_by_their_entry_points() -> None:
    """The SMS channel is one of them, under the type that settings name."""
    assert "sms" in channel_plugins()
