"""Numbers, names and texts of citizens never reach the log, the metrics or an error's sentence."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from io import StringIO

import pytest
import structlog
from prometheus_client import generate_latest
from sqlalchemy import select

from gateway.application import Gateway
from gateway.console.snapshot import take_snapshot
from gateway.demo.x import Options, XSimulator
from gateway.errors import ChannelUnavailable, MaybeSent, NotSent, Refused
from gateway.plugins import channel_plugins
from gateway.ports import RawMessage
from gateway.settings.model import ChannelSection
from gateway.stages.loop import Backoff
from gateway.store import Store
from gateway.store.outbox import PARKED_AFTER
from gateway.store.tables import messages
from gateway.telemetry import Log, configure_logging
from tests.conftest import eventually
from tests.fakes import FakeChannels, FakeClock, FakeSettings, RecordingPublisher, fake_message
from tests.integration.kernel import PARSERS, kernel_on, settings_for

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
    await _assert_correlated(log.getvalue(), store_url)


OF_A_MESSAGE = {Log.MESSAGE_QUARANTINED, Log.ANSWER_FAILED, Log.EVENT_PARKED}
"""Log events that are about one message each; so are crashes of a parser or of a decision."""


async def _assert_correlated(log: str, store_url: str) -> None:
    """Whatever is about a message names it: with its id an operator finds the ledger, and nothing else is needed."""
    store = Store(store_url)
    async with store.read() as connection:
        known = set((await connection.scalars(select(messages.c.id))).all())
    await store.close()
    lines = [json.loads(line) for line in log.splitlines()]
    about = [line for line in lines if line["event"] in OF_A_MESSAGE or line.get("component") in ("parser", "process")]
    about = [line for line in about if line["event"] not in (Log.STAGE_FAILED, Log.STAGE_RECOVERED)]
    assert {line["event"] for line in about} >= {Log.MESSAGE_QUARANTINED, Log.STAGE_CRASHED}
    for line in about:
        assert line.get("message") in known or line.get("group"), line


async def test_an_answer_that_fails_is_told_with_its_message(log: StringIO, store_url: str) -> None:
    channels = FakeChannels()
    source = channels.create("fake-1", FakeSettings())
    section = ChannelSection("fake-1", channels.plugin(), FakeSettings())
    settings = settings_for(store_url, channels=[section])
    gateway = Gateway(settings, publisher=RecordingPublisher(), parsers=PARSERS)
    source.faults["send"].append(Refused("The number does not exist."))
    source.put(fake_message("a", text=TEXT, sender=NUMBER, name=NAME))
    await gateway.start()
    try:
        await eventually(lambda: Log.ANSWER_FAILED in log.getvalue(), "an answer to fail")
        async with gateway.store.read() as connection:
            message_id = (await connection.scalars(select(messages.c.id))).one()
    finally:
        await gateway.stop()
    assert _named_by(log, Log.ANSWER_FAILED) == [message_id]
    _assert_unmarked(MARKS, log=log.getvalue())


async def test_an_event_that_is_parked_is_told_with_its_message(
    log: StringIO, store_url: str, clock: FakeClock
) -> None:
    """The queue refuses it five times while it takes others."""
    publisher = RecordingPublisher()
    publisher.verdict = lambda event: "refuse" if b"tertolak" in event.body else "confirm"
    async with kernel_on(store_url, clock, publisher) as kernel:
        (message_id,) = await kernel.receive(fake_message("bad", text=f"{TEXT} tertolak", sender=NUMBER))
        for number in range(PARKED_AFTER):
            await kernel.receive(fake_message(f"{number}", text=f"Lampu nomor {number} padam"))
            await kernel.process()
            clock.sweep()
            await kernel.gateway.publish.step()
    assert _named_by(log, Log.EVENT_PARKED) == [message_id]
    _assert_unmarked(MARKS, log=log.getvalue())


def _named_by(log: StringIO, event: Log) -> list[str]:
    """The messages that the lines of an event name."""
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line["message"] for line in lines if line["event"] == event]


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
