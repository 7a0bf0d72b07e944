"""Numbers, names and texts of citizens never reach the log, the metrics or an error's sentence."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from io import StringIO

import pytest
import structlog
from prometheus_client import generate_latest

from gateway.application import Gateway
from gateway.console.snapshot import take_snapshot
from gateway.demo.x import Options, XSimulator
from gateway.errors import ChannelUnavailable, MaybeSent, NotSent
from gateway.plugins import channel_plugins
from gateway.ports import RawMessage
from gateway.settings.model import ChannelSection
from gateway.stages.loop import Backoff
from gateway.telemetry import configure_logging
from tests.conftest import eventually
from tests.fakes import FakeChannels, FakeSettings, RecordingPublisher, fake_message
from tests.integration.kernel import PARSERS, settings_for

NUMBER, NAME, TEXT = "+6281100007777", "Budi-Rahasia", "jalan-rahasia"
MARKS = (NUMBER, NUMBER[3:], NAME, TEXT)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    """Everything that is logged, at the level that shows most."""
    written = StringIO()
    configure_logging("debug", "json")
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.01)
    config = structlog.get_config()
    structlog.configure(**config | {"logger_factory": structlog.PrintLoggerFactory(written)})
    yield written
    structlog.reset_defaults()


def _messages() -> list[RawMessage]:
    said = {"text": TEXT, "sender": NUMBER, "name": NAME}
    return [
        fake_message("good", **said),
        fake_message("quarantined", **said, quarantine="8-bit data that is no text"),
        fake_message("poison", **said, poison=True),
        fake_message("promo", **said, not_a_report="a promotion"),
        fake_message("part", **said, part=[NUMBER, 1, 2]),
        fake_message("delivery", **said, delivery=["17", "failed"]),
        fake_message("surrogate", text=TEXT + "\ud800", sender=NUMBER, name=NAME),
    ]


async def test_marked_messages_leave_no_mark(log: StringIO, store_url: str) -> None:
    """Good, bad and half messages, answers that fail in every way, a queue that refuses, and a bug in a channel."""
    channels, publisher = FakeChannels(), RecordingPublisher()
    source = channels.create("fake-1", FakeSettings())
    section = ChannelSection("fake-1", channels.plugin(), FakeSettings())
    gateway = Gateway(settings_for(store_url, channels=[section]), publisher=publisher, parsers=PARSERS)
    source.faults["send"].extend([NotSent("busy"), MaybeSent("gone"), ChannelUnavailable("gone"), ValueError(TEXT)])
    source.faults["receive"].append(KeyError(NUMBER))
    publisher.verdict = lambda event: "refuse" if b"surrogate" in event.body else "confirm"
    source.put(*_messages())
    await gateway.start()
    try:
        await eventually(lambda: not source.inbox, "all messages to be in custody")
        await eventually(lambda: bool(publisher.confirmed), "a report to be published")
        await eventually(lambda: bool(source.sent), "an answer to be tried")
        snapshot = await take_snapshot(gateway)
        shown = json.dumps([repr(component) for component in snapshot.components])
        metrics = generate_latest(gateway.metrics.registry).decode()
    finally:
        await gateway.stop()
    _assert_unmarked(MARKS, log=log.getvalue(), metrics=metrics, board=shown)


def _assert_unmarked(marks: Iterable[str], **places: str) -> None:
    for place, content in places.items():
        assert content, place
        for mark in marks:
            assert mark not in content, place


async def test_posts_and_keys_of_x_leave_no_mark(log: StringIO, store_url: str) -> None:
    """Real tweepy on a simulated X: posts of all kinds, broken lines, refusals; neither people nor keys are told."""
    async with XSimulator(Options(search_delay_seconds=0)) as x:
        keys = asdict(x.options.credentials)
        table = {"type": "twitter", "api_url": x.origin, "search_minutes": 0.01, "search_delay_seconds": 0, **keys}
        plugin = channel_plugins()["twitter"]
        section = ChannelSection("twitter", plugin, plugin.settings.model_validate(table))
        gateway = Gateway(settings_for(store_url, channels=[section]), publisher=(queue := RecordingPublisher()))
        x.faults.refuse_calls("unavailable", path="POST /2/tweets")
        x.faults.refuse_calls("payment", path="/2/tweets/search/recent")
        await gateway.start()
        try:
            await eventually(lambda: bool(x.stream.open_connections), "the stream to be connected")
            x.world.post("budi_rahasia", f"#LAPOR {TEXT} {NUMBER} @LAPOR1708")
            x.world.post("budi_rahasia", f"@LAPOR1708 {TEXT}")
            x.faults.inject(f'{{"data": {{"text": "{TEXT}", "username": "budi_rahasia"}}'.encode())
            await eventually(lambda: bool(queue.confirmed), "a report to be published")
            await eventually(lambda: x.calls["POST /2/tweets"] > 0, "an answer to be tried")
            metrics = generate_latest(gateway.metrics.registry).decode()
            shown = json.dumps([repr(component) for component in (await take_snapshot(gateway)).components])
        finally:
            await gateway.stop()
    _assert_unmarked((TEXT, NUMBER, "budi_rahasia", *keys.values()), log=log.getvalue(), metrics=metrics, board=shown)
