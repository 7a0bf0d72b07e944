"""Fills a database with the reports of a whole window, in bulk: real texts, real sketches, every table that grows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from itertools import islice
from multiprocessing import get_context
from random import Random
from typing import Final

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from gateway.clock import from_milliseconds
from gateway.identifiers import Uuid7Factory, luhn_digit
from gateway.model import encode, event_for, routing_key
from gateway.parsing import Profile
from gateway.plugins import parsers
from gateway.stages.kinship import matter_rows_of, new_matter
from gateway.stages.ready import Ready
from gateway.store.matters import MatterRow
from gateway.store.messages import StoredMessage
from tests.soak.window_texts import invented, record

CHANNEL: Final = "sms-window"
TYPE: Final = "sms"
SPAN: Final = timedelta(days=10)
"""Over which the reports are spread, up to now: a database that is kept stays within the window for weeks."""

_CHUNK: Final = 5000
_AT_ONCE: Final = 8
_FIRST_TRACKING_ID: Final = 10**8
_TRACKING_IDS: Final = 9 * 10**8
_STRIDE: Final = 477_218_437
"""Prime to the number of tracking IDs: multiples of it are all different, and stand in no order."""

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "messages": (
        *("id", "channel", "channel_type", "external_id", "order_key", "raw", "received_at", "released_at", "state"),
        *("decision", "report_id", "processed_at", "deaths"),
    ),
    "reports": ("id", "tracking_id", "body", "sequence", "created_at"),
    "matters": ("report_id", "reporter", "at", "version", "sketch", "words", "keyword", "length"),
    "outbox": ("id", "report_id", "sequence", "routing_key", "body", "created_at", "confirmed_at"),
    "answers": (
        *("id", "message_id", "report_id", "channel", "kind", "recipient", "text", "state", "attempts"),
        *("created_at", "next_at", "sent_at"),
    ),
}

Row = tuple[object, ...]
Rows = dict[str, list[Row]]


def fill(url: URL, count: int, now: int, tell: Callable[[str], None]) -> None:
    """Fills an empty database.

    Args:
        url: The database, with its tables.
        count: How many reports.
        now: When the window ends, in milliseconds.
        tell: Called with a line now and then.
    """
    step = SPAN / timedelta(milliseconds=1) / count
    chunks = iter(
        [(first, min(_CHUNK, count - first), now - (count - first) * step, step) for first in range(0, count, _CHUNK)]
    )
    write = _into_sqlite if url.get_backend_name() == "sqlite" else _into_postgresql
    with ProcessPoolExecutor(2, get_context("spawn")) as workers:
        rounds = iter(lambda: list(islice(chunks, _AT_ONCE)), [])
        write(url, _told((rows for some in rounds for rows in workers.map(_made, some)), count, tell))


def _told(chunks: Iterator[Rows], count: int, tell: Callable[[str], None]) -> Iterator[Rows]:
    done = 0
    for rows in chunks:
        yield rows
        done += len(rows["reports"])
        if done % (20 * _CHUNK) == 0:
            tell(f"{done} of {count} reports filled in")


def _made(chunk: tuple[int, int, float, float]) -> Rows:
    """The rows of some reports that follow each other."""
    first, count, begin, step = chunk
    random = Random(first)
    parse = parsers()[TYPE]
    rows: Rows = {table: [] for table in _COLUMNS}
    at = int(begin)
    new_id = Uuid7Factory(lambda: at)
    items: list[Ready] = []
    for number in range(count):
        at = int(begin + number * step)
        raw = record(invented(random), f"window-{random.getrandbits(128):032x}")
        order_key = f"{random.getrandbits(128):032x}"
        message = StoredMessage(new_id(), CHANNEL, TYPE, raw.external_id, order_key, raw.raw, at)
        items.append(Ready(message, parse([raw.raw], Profile())))
    about = [new_matter(new_id(), item.parsed, item.message.received_at) for item in items]
    for number, (item, matter) in enumerate(zip(items, matter_rows_of(about), strict=True), first):
        for table, row in _rows_of(item, number, new_id, matter).items():
            rows[table].append(row)
    return rows


def _rows_of(item: Ready, number: int, new_id: Callable[[], str], matter: MatterRow) -> dict[str, Row]:
    """What a report leaves behind once it is published and its reporter has heard of it."""
    message, at = item.message, item.message.received_at
    body = str(_FIRST_TRACKING_ID + number * _STRIDE % _TRACKING_IDS)
    report = item.report(matter.report_id, body + luhn_digit(body))
    event = event_for(report, "received", event_id=new_id(), sequence=1, time=from_milliseconds(at))
    text = f"Laporan Anda diterima dengan tracking ID {report.tracking_id}. Terima kasih."
    return {
        "messages": (
            *(message.id, CHANNEL, TYPE, message.external_id, message.order_key, message.raw, at, at, "processed"),
            *("report", report.id, at, 0),
        ),
        "reports": (report.id, report.tracking_id, encode(report), 1, at),
        "matters": tuple(getattr(matter, name) for name in _COLUMNS["matters"]),
        "outbox": (event.id, report.id, 1, routing_key("received", TYPE), encode(event), at, at),
        "answers": (
            *(new_id(), message.id, report.id, CHANNEL, "receipt", item.parsed.reporter.address, text, "sent", 1),
            *(at, at, at),
        ),
    }


def _into_sqlite(url: URL, chunks: Iterator[Rows]) -> None:
    connection = sqlite3.connect(str(url.database), isolation_level=None)
    for pragma in ("synchronous=OFF", "journal_mode=MEMORY", "cache_size=-2000000"):
        connection.execute(f"PRAGMA {pragma}")
    for rows in chunks:
        connection.execute("BEGIN")
        for table, columns in _COLUMNS.items():
            places = ", ".join("?" * len(columns))
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - our own names
            connection.executemany(statement, rows[table])
        connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def _into_postgresql(url: URL, chunks: Iterator[Rows]) -> None:
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        for rows in chunks:
            with connection.transaction(), connection.cursor() as cursor:
                for table, columns in _COLUMNS.items():
                    _copy(cursor, table, columns, rows[table])
        connection.execute("VACUUM ANALYZE")


def _copy(cursor: psycopg.Cursor[Row], table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
