"""How well repeats are recognised: labelled pairs through the real process stage, each in an empty store."""

import hashlib
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import select

from gateway.application import Gateway
from gateway.clock import to_milliseconds
from gateway.errors import NeedsOperator
from gateway.identifiers import uuid7
from gateway.model import Report, decode_report
from gateway.plugins import channel_plugins
from gateway.ports import Compose, OutboxEvent, PublishResult, RawMessage
from gateway.settings.model import DedupSettings, QueueSettings, Settings, StoreSettings
from gateway.store import Store
from gateway.store import messages as message_rows
from gateway.store.messages import StoredMessage
from gateway.store.migrate import ensure_schema
from gateway.store.tables import messages, metadata, reports

Likeness = Literal["repeat", "similar", "different"]
_EMPTY: Final = "empty.db"
LIKENESSES: Final[tuple[Likeness, ...]] = ("repeat", "similar", "different")


class Written(Struct, frozen=True):
    """One message as a citizen wrote it.

    Attributes:
        channel: The type of the channel that it came through.
        reporter: A phone number, a handle, an address.
        at: When it came; with a time zone.
    """

    channel: str
    reporter: str
    text: str
    at: datetime


class Pair(Struct, frozen=True):
    """Two messages, and what the second is to the first. Further keys of a line are ignored."""

    a: Written
    b: Written
    expect: Likeness
    id: str | int | None = None
    kind: str | None = None


class Numbered(NamedTuple):
    """A pair, the number of its line, and its messages as their channels would bring them."""

    line: int
    pair: Pair
    a: RawMessage
    b: RawMessage


@dataclass(frozen=True, slots=True)
class Decided:
    """What the gateway made of one message."""

    decision: str | None
    reason: str | None
    report_id: str | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair, and what the second message is to the first in the gateway's eyes."""

    numbered: Numbered
    got: Likeness
    a: Decided
    b: Decided

    @property
    def is_wrong(self) -> bool:
        """Whether the gateway sees something else in it than its label says."""
        return self.got != self.numbered.pair.expect


@dataclass(frozen=True, slots=True)
class Score:
    """How one class was met.

    Attributes:
        expected: How many pairs bear the label.
        predicted: How many the gateway put into the class.
        right: How many of those bear the label.
    """

    expected: int
    predicted: int
    right: int

    @property
    def precision(self) -> float | None:
        """What part of the predictions is right; None where there are none."""
        return self.right / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """What part of the labelled pairs was found; None where there are none."""
        return self.right / self.expected if self.expected else None


def scores(verdicts: Iterable[tuple[Likeness, Likeness]]) -> dict[Likeness, Score]:
    """The score of each class.

    Args:
        verdicts: What was expected of each pair, and what was predicted.
    """
    known = list(verdicts)
    return {
        name: Score(
            expected=sum(expect == name for expect, _got in known),
            predicted=sum(got == name for _expect, got in known),
            right=sum(expect == got == name for expect, got in known),
        )
        for name in LIKENESSES
    }


def composer(channel: str) -> Compose:
    """What makes messages of a channel type. Raises ValueError where no installed channel does."""
    plugins = channel_plugins()
    able = sorted(name for name, plugin in plugins.items() if plugin.compose is not None)
    compose = plugins[channel].compose if channel in plugins else None
    if compose is None:
        message = f"channel: {channel!r} is none of {', '.join(able)}"
        raise ValueError(message)
    return compose


_decode: Final = msgspec.json.Decoder(Pair).decode


def read_pairs(lines: Iterable[bytes]) -> Iterator[Numbered]:
    """The pairs of a file, one JSON object a line; blank lines are passed over.

    Raises:
        NeedsOperator: A line holds no pair; the sentence names its number, and says nothing of its text.
    """
    for number, line in enumerate(lines, 1):
        written = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not written.strip():
            continue
        try:
            pair = _decode(written)
            first, second = (_composed(message, str(place)) for place, message in enumerate((pair.a, pair.b), 1))
        except (msgspec.DecodeError, ValueError) as error:
            message = f"line {number}: {error}"
            raise NeedsOperator(message) from None
        yield Numbered(number, pair, first, second)


def _composed(message: Written, external_id: str) -> RawMessage:
    if message.at.tzinfo is None:
        raise ValueError("at: has no time zone")
    return composer(message.channel)(message.reporter, message.text, message.at, external_id)


class _PairClock:
    """A clock that shows when the message in hand came."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return time.monotonic()


class _Nowhere:
    """A queue for events that nobody publishes."""

    async def open(self) -> None:
        """Nothing to open."""

    async def publish(self, events: Sequence[OutboxEvent]) -> PublishResult:
        """Takes everything."""
        return PublishResult(tuple(event.id for event in events), {}, None)

    async def close(self) -> None:
        """Nothing to close."""


async def prepare(folder: Path) -> None:
    """Makes the empty database of which each :func:`judge` takes a copy."""
    store = Store(f"sqlite:///{folder / _EMPTY}")
    try:
        await ensure_schema(store)
    finally:
        await store.close()


async def judge(pairs: Sequence[Numbered], folder: Path, window_days: int = 30) -> list[Judged]:
    """Runs pairs through the process stage, each as if the gateway had been installed a moment ago.

    For each pair the tables are emptied and the stages made anew, so that neither the database nor a process
    remembers the pair before. A message that an operator would have to accept counts as accepted: what is asked is
    how like two reports are.

    Args:
        pairs: What to judge.
        folder: Where :func:`prepare` has been, and a database is kept meanwhile; several processes may share it.
        window_days: As in ``dedup.window_days``.
    """
    database = folder / f"{uuid7()}.db"
    shutil.copyfile(folder / _EMPTY, database)
    settings = Settings(
        store=StoreSettings(url=f"sqlite:///{database}", files=str(folder / "files"), keep_days=3650),
        queue=QueueSettings(url=f"journal:{folder / 'unused.jsonl'}"),
        dedup=DedupSettings(window_days=window_days),
    )
    store = Store(settings.store.url, settings.store.files)
    try:
        return [await _judge(numbered, store, settings) for numbered in pairs]
    finally:
        await store.close()


async def _judge(numbered: Numbered, store: Store, settings: Settings) -> Judged:
    clock = _PairClock()
    gateway = Gateway(settings, clock=clock, publisher=_Nowhere(), store=store)
    pair = numbered.pair
    both = [_in_custody(pair.a, numbered.a), _in_custody(pair.b, numbered.b)]
    _empty(store)
    async with store.write() as connection:
        await message_rows.add(connection, both)
    for written, message in zip((pair.a, pair.b), both, strict=True):
        clock.moment = written.at.astimezone(UTC)
        await gateway.process.process([message])
    async with store.read() as connection:
        query = select(
            messages.c.id, messages.c.decision, messages.c.reason, messages.c.report_id, reports.c.body
        ).outerjoin(reports, reports.c.id == messages.c.report_id)
        rows = {id_: (Decided(*decided), body) for id_, *decided, body in await connection.execute(query)}
    (first, _), (second, body) = (rows[message.id] for message in both)
    report = None if body is None else decode_report(body)
    return Judged(numbered, _likeness(first, second, report), first, second)


def _empty(store: Store) -> None:
    """Empties every table, at once and without a thread: statement by statement it would take half of all the time."""
    connection = sqlite3.connect(store.url.database or "", isolation_level=None)
    try:
        deletions = "".join(f'DELETE FROM "{table.name}";' for table in reversed(metadata.sorted_tables))  # noqa: S608 - our own names
        connection.executescript(f"PRAGMA synchronous=OFF; BEGIN IMMEDIATE; {deletions} COMMIT;")
    finally:
        connection.close()


def _likeness(first: Decided, second: Decided, report: Report | None) -> Likeness:
    """What the second message's report says of the first one's."""
    if report is None or first.report_id is None or first.report_id == second.report_id:
        return "different"
    if report.duplicate_of == first.report_id:
        return "repeat"
    return "similar" if first.report_id in report.similar_to else "different"


def _in_custody(written: Written, message: RawMessage) -> StoredMessage:
    return StoredMessage(
        id=uuid7(),
        channel=written.channel,
        channel_type=written.channel,
        external_id=message.external_id,
        order_key=hashlib.blake2b(message.order_key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest(),
        raw=message.raw,
        received_at=to_milliseconds(written.at),
        accepted=True,
    )
