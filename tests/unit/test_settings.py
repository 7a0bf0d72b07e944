"""Settings: what is wrong is refused with the key's path, and secrets are never shown."""

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from gateway.errors import SettingsError
from gateway.ports import Channel, ChannelPlugin, ChannelSettings
from gateway.secret import Secret
from gateway.settings import Settings, load_settings, settings_from_table


class PigeonSettings(ChannelSettings):
    """A channel's own settings."""

    type: Literal["pigeon"]
    loft: str = Field(description="Where they live.")
    birds: int = Field(default=3, ge=1)
    key: Secret | None = None


def _no_channel(name: str, settings: Any) -> Channel:
    raise NotImplementedError


PLUGINS = {"pigeon": ChannelPlugin(PigeonSettings, _no_channel, False, "pigeon-post", {})}


def _load(table: dict[str, Any], **environment: str) -> Settings:
    return settings_from_table(table, environment, PLUGINS)


def _pigeon(**values: object) -> dict[str, Any]:
    return {"channels": {"post-1": {"type": "pigeon", "loft": "roof", **values}}}


@pytest.mark.parametrize(
    ("table", "key", "problem"),
    [
        ({"stor": {}}, "stor", "there is no such setting"),
        ({"store": {"keep_dayz": 3}}, "store.keep_dayz", "there is no such setting"),
        ({"store": {"keep_days": 0}}, "store.keep_days", "greater than or equal to 1"),
        ({"store": {"keep_days": "long"}}, "store.keep_days", "valid integer"),
        ({"store": {"url": "mysql://x"}}, "store.url", "must begin with sqlite:/// or postgresql://"),
        ({"queue": {"url": "kafka://x"}}, "queue.url", "must begin with amqp://"),
        ({"store": {"keep_days": 5}, "dedup": {"window_days": 30}}, "settings", "must not be less than"),
        ({"answers": {"receipt": "Terima kasih"}}, "answers.receipt", "must hold {tracking_id}"),
        ({"answers": {"receipt": "{tracking_id} {name}"}}, "answers.receipt", "must hold {tracking_id}"),
        ({"console": {"listen": "8080"}}, "console.listen", "should match pattern"),
        ({"log": {"level": "loud"}}, "log.level", "Input should be"),
        ({"channels": 3}, "channels", "must be tables"),
        ({"channels": {"Post": {"type": "pigeon"}}}, "channels.Post", "small letters"),
        ({"channels": {"post": 3}}, "channels.post", "must be a table"),
        ({"channels": {"post": {"loft": "roof"}}}, "channels.post.type", "is missing; the known types: pigeon"),
        ({"channels": {"post": {"type": "owl"}}}, "channels.post.type", "no known channel type"),
        ({"channels": {"post": {"type": "pigeon"}}}, "channels.post.loft", "is missing"),
        (_pigeon(birds=0), "channels.post-1.birds", "greater than or equal to 1"),
        (_pigeon(wings=2), "channels.post-1.wings", "there is no such setting"),
        (_pigeon(key="env:NOT_THERE"), "channels.post-1.key", "environment variable NOT_THERE is not set"),
        (_pigeon(key="file:/not/there"), "channels.post-1.key", "file /not/there cannot be read"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_path(table: dict[str, Any], key: str, problem: str) -> None:
    """The operator reads which key it is and what is wrong with it."""
    with pytest.raises(SettingsError) as refused:
        _load(table)
    assert refused.value.key == key
    assert problem in str(refused.value)


def test_without_a_file_everything_is_embedded() -> None:
    """A database and a journal in the working folder, and no channel."""
    settings = _load({})
    assert settings.store.url.startswith("sqlite:///")
    assert settings.queue.url.startswith("journal:")
    assert settings.channels == {}


@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [
        ("LAPOR_QUEUE__URL", "amqp://somewhere/", lambda settings: settings.queue.url),
        ("LAPOR_CHANNELS__POST_1__BIRDS", "7", lambda settings: str(settings.channels["post-1"].settings.birds)),
        ("LAPOR_CHANNELS__POST_1__LOFT", "tower", lambda settings: settings.channels["post-1"].settings.loft),
    ],
)
def test_the_environment_overrides_the_file(variable: str, value: str, read: Any) -> None:
    """A dash in a name is written as an underscore."""
    assert read(_load(_pigeon(), **{variable: value})) == value


def test_a_wrong_value_from_the_environment_is_refused_like_one_from_the_file() -> None:
    """The key's path is the same."""
    with pytest.raises(SettingsError, match=r"^store\.keep_days: "):
        _load({}, LAPOR_STORE__KEEP_DAYS="many")
    with pytest.raises(SettingsError, match=r"^store\.keeping: there is no such setting"):
        _load({}, LAPOR_STORE__KEEPING="1")
    with pytest.raises(SettingsError, match="url is a value, not a table"):
        _load({"queue": {"url": "journal:x"}}, LAPOR_QUEUE__URL__X="1")


def test_other_variables_are_left_alone() -> None:
    """Only those with our prefix are settings."""
    assert _load({}, PATH="/bin", LAPORAN="x") == _load({})


@pytest.mark.parametrize("kind", ["literal", "env", "file"])
def test_a_secret_is_read_and_never_shown(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is given, its value is there and its text is not."""
    secret = "tidak-untuk-dilihat"  # noqa: S105 - invented
    monkeypatch.setenv("PIGEON_KEY", secret)
    (tmp_path / "key").write_text(secret + "\n")
    given = {"literal": secret, "env": "env:PIGEON_KEY", "file": f"file:{tmp_path}/key"}[kind]
    section = _load(_pigeon(key=given)).channels["post-1"]
    assert isinstance(section.settings, PigeonSettings)
    assert section.settings.key is not None
    assert section.settings.key.get_secret_value() == secret
    assert secret not in repr(section) + str(section)


def test_a_wrong_value_is_not_repeated_in_the_error() -> None:
    """It could be a secret in the wrong place."""
    with pytest.raises(SettingsError) as refused:
        _load({"store": {"keep_days": "tidak-untuk-dilihat"}})
    assert "tidak-untuk-dilihat" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"[store", "not valid TOML"), (b"\xff\xfe", "not UTF-8"), (None, "cannot be read")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, problem: str) -> None:
    """The path stands first, so that it is clear which file is meant."""
    path = tmp_path / "gateway.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=problem) as refused:
        load_settings(path, {}, PLUGINS)
    assert refused.value.key == str(path)
