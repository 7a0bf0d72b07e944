"""A full mailbox is drained: at least 300 mails a second in custody, released and published; what the limit is.

`python -m tests.soak.mail_drain --mails 20000`

The gateway is the real process, with the settings that it ships with, but for the answers, which are off; Dovecot and
RabbitMQ are real; the store is SQLite. A second run has the same mails in a Maildir, without Dovecot; Dovecot and the
parser are measured alone, too. The clock runs from the start of the gateway's process to the moment when every mail is
confirmed by the queue and marked as read; a consumer reads the queue only afterwards.
"""

from __future__ import annotations

import argparse
import imaplib
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from channels.mail.identity import external_id
from gateway.parsing import Profile
from parsers.mail import parse
from tests.services import wait_until
from tests.services.dovecot import PASSWORD, Dovecot
from tests.services.rabbitmq import RabbitMQ
from tests.soak.arrivals import read_arrivals
from tests.soak.citizens import invented_text, token_of
from tests.soak.intake import INTAKE
from tests.soak.process import GatewayProcess, Section
from tests.soak.verdict import Verdict
from tests.soak.x_rate import consumer

CHANNEL = "email"
ADDRESS = "lapor@example.go.id"
EVENT_LOOP = "gateway, event loop"
LEAST_RATE = 300.0
"""Mails a second."""

_USER = "lapor"
_MAIL_BYTES = 2048
_AUTHORS = 3000
_BATCH = 400
_PARSED = 2000
_POLL_SECONDS = 0.25
_LOOKS_UNTIL_TOLD = 16
_RSS_EACH = 5000
_RSS_SETTLES = 10_000
_END_SECONDS = 1800.0
_TICK = os.sysconf("SC_CLK_TCK")
_MIB = 1 << 20


@dataclass(frozen=True)
class Sample:
    """One look at the gateway."""

    at: float
    received: float
    rss_mb: float


@dataclass
class Drain:
    """What one run has shown.

    Attributes:
        first: When the first mails were in custody.
        received: When all were.
        published: When the queue had confirmed all.
        released: When all were marked as read.
        start_cpu: Seconds of the processor that the gateway's event loop had used before the first mails came.
        cpu: Seconds of the processors, by who has used them.
        commits: Seconds within which a transaction was open, by stage.
    """

    begun: float
    first: float = 0.0
    received: float = 0.0
    published: float = 0.0
    released: float = 0.0
    start_cpu: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    commits: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """From the start of the process until everything was done."""
        return max(self.published, self.released) - self.begun


def invented_mails(count: int) -> Iterator[bytes]:
    """Plain mails of 2 KB, each a report of its own."""
    random = Random(1)
    for number in range(count):
        token, author = token_of(number), number % _AUTHORS
        lines = [
            f"Return-Path: <warga{author}@example.org>",
            f"Delivered-To: {ADDRESS}",
            f"Received: from mx{number % 4}.example.org (mx.example.org [192.0.2.{number % 250}])",
            f"\tby mail.example.go.id (Postfix) with ESMTPS id {number:010X} for <{ADDRESS}>;",
            "\tSun, 1 Nov 2026 08:00:00 +0700 (WIB)",
            f"From: Warga {author} <warga{author}@example.org>",
            f"To: LAPOR! <{ADDRESS}>",
            f"Subject: Laporan {token}",
            f"Date: Sun, 01 Nov 2026 {number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02} +0700",
            f"Message-ID: <{number}.{token}@example.org>",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit",
            "",
            "Selamat pagi,",
        ]
        mail = "\r\n".join(lines).encode() + b"\r\n"
        while len(mail) < _MAIL_BYTES:
            mail += invented_text(token, random, long=True).encode() + b"\r\n"
        yield mail


def fill(maildir: Path, mails: Sequence[bytes]) -> None:
    """Puts mails where an MTA does, as the folder's owner."""
    owner = maildir.stat()
    for number, mail in enumerate(mails):
        place = maildir / "new" / f"{1_700_000_000 + number}.M{number}.uji"
        place.write_bytes(mail)
        if os.geteuid() == 0:
            os.chown(place, owner.st_uid, owner.st_gid)


class Watch:
    """Follows one gateway until everything is drained.

    Args:
        gateway: The process, not started yet.
        count: How many mails there are.
        unreleased: How many of them are not marked as read.
        neighbours: The main processes of the servers beside it, by name.
        tell: Called with a line now and then.
    """

    def __init__(
        self,
        gateway: GatewayProcess,
        count: int,
        unreleased: Callable[[], int],
        neighbours: Mapping[str, int],
        tell: Callable[[str], None],
    ) -> None:
        self._gateway = gateway
        self._count = count
        self._unreleased = unreleased
        self._neighbours = neighbours
        self._tell = tell
        self._used: dict[str, dict[int, tuple[float, float]]] = {}

    def follow(self) -> Drain:
        """Starts the gateway and watches it until everything is done."""
        for name, pid in self._neighbours.items():
            self._note(name, _family(pid))
        drain = Drain(time.monotonic())
        self._gateway.start()
        while not (drain.released and drain.published):
            self._look(drain)
            if time.monotonic() > drain.begun + _END_SECONDS:
                message = f"not drained after {_END_SECONDS:g} s; the last sample: {drain.samples[-1:]}"
                raise TimeoutError(message)
            time.sleep(_POLL_SECONDS)
        for name, used in self._used.items():
            drain.cpu[name] = sum(last - first for first, last in used.values())
        return drain

    def _look(self, drain: Drain) -> None:
        metrics = self._gateway.ask("/metrics") or ""
        now = time.monotonic()
        received = _total(metrics, "lapor_messages_received_total")
        if received and not drain.first:
            drain.first = now
            drain.start_cpu = _cpu_seconds(self._pid)
        if received >= self._count and not drain.received:
            drain.received = now
        if _total(metrics, "lapor_events_confirmed_total") >= self._count and not drain.published:
            drain.published = now
        if drain.received and not drain.released and not self._unreleased():
            drain.released = time.monotonic()
        if metrics:
            stages = ("receive", "process", "publish")
            drain.commits = {stage: _total(metrics, f'lapor_commit_seconds_sum{{stage="{stage}"}}') for stage in stages}
        self._account()
        drain.samples.append(Sample(now, received, _rss_mb(self._pid)))
        if len(drain.samples) % _LOOKS_UNTIL_TOLD == 0:
            self._tell(f"{received:.0f} in custody after {now - drain.begun:.0f} s, {drain.samples[-1].rss_mb:.0f} MB")

    def _account(self) -> None:
        for name, pid in self._neighbours.items():
            self._note(name, _family(pid))
        threads = {int(path.name) for path in Path(f"/proc/{self._pid}/task").iterdir()}
        self._note(EVENT_LOOP, [self._pid], new=True)
        self._note("gateway, other threads (SQLite's, the Maildir's)", threads - {self._pid}, new=True)

    def _note(self, name: str, tasks: Sequence[int] | set[int], *, new: bool = False) -> None:
        """What threads and processes have used; one that was not there before has begun with nothing."""
        known = self._used.get(name)
        used = self._used.setdefault(name, {})
        for task in tasks:
            now = _cpu_seconds(task)
            begun = used[task][0] if task in used else 0.0 if new or known is not None else now
            used[task] = (begun, max(now, used[task][1] if task in used else 0.0))

    @property
    def _pid(self) -> int:
        return self._gateway._running().pid  # noqa: SLF001 - nobody else looks into /proc


def _total(metrics: str, name: str) -> float:
    """The sum of a metric over its labels."""
    return sum(float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith(name))


def _cpu_seconds(task: int) -> float:
    """What a thread has used; of a main thread that alone, not its process's other threads."""
    try:
        fields = Path(f"/proc/{task}/task/{task}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        try:
            fields = Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def _family(pid: int) -> list[int]:
    """All threads of a process and of those that it has started."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    family = [pid]
    for one in family:
        family += [child for child, parent in parents.items() if parent == one]
    return [int(task.name) for one in family for task in _tasks(one)]


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def _unseen(dovecot: Dovecot) -> int:
    with dovecot.client(_USER) as client:
        client.select("INBOX", readonly=True)
        found = client.uid("search", "UNSEEN")[1][0]
        return len(found.split()) if isinstance(found, bytes) else 0


def _not_seen(maildir: Path) -> int:
    read = [entry.name.partition(":2,")[2] for entry in (maildir / "cur").iterdir()]
    return sum(1 for _ in (maildir / "new").iterdir()) + sum("S" not in flags for flags in read)


@dataclass(frozen=True)
class House:
    """What both runs share."""

    folder: Path
    broker: RabbitMQ
    mails: Sequence[bytes]
    tell: Callable[[str], None]

    def drain(self, title: str, section: Section, unreleased: Callable[[], int], dovecot: Dovecot | None) -> Verdict:
        """One run on an empty queue and a new database, and what it comes to."""
        folder = self.folder / title
        folder.mkdir()
        database = folder / "gateway.db"
        gateway = GatewayProcess(
            folder,
            store_url=f"sqlite:///{database}",
            queue_url=self.broker.url,
            channels={CHANNEL: {"type": "mail", "address": ADDRESS, **section}},
            answers=False,
        )
        neighbours = {"RabbitMQ": self.broker.pid} | ({"Dovecot": dovecot.pid} if dovecot else {})
        try:
            drain = Watch(gateway, len(self.mails), unreleased, neighbours, self.tell).follow()
            crashes = gateway.crashes()
            code = gateway.stop()
        finally:
            gateway.close()
        verdict = Verdict()
        verdict.figures |= _figures(title, drain, len(self.mails))
        verdict.figures[f"{title}: database, MB"] = round(database.stat().st_size / _MIB)
        verdict.add(f"{title}: errors of the gateway", [*crashes, *([f"exit code {code}"] if code else [])])
        self._count(title, folder, database, verdict)
        rate = len(self.mails) / drain.seconds
        verdict.add(f"{title}: below {LEAST_RATE:g} mails/s", [f"{rate:.0f} mails/s"] if rate < LEAST_RATE else [])
        return verdict

    def _count(self, title: str, folder: Path, database: Path, verdict: Verdict) -> None:
        """Every mail is in the database once and on the queue once."""
        expected = {external_id(mail) for mail in self.mails}
        depth = self.broker.queue_depth(INTAKE)
        with consumer(self.broker.url, folder / "arrivals.jsonl") as file:
            wait_until(lambda: file.exists() and len(list(read_arrivals(file))) >= depth, "the queue to be read", 300)
            arrivals = list(read_arrivals(file))
        with sqlite3.connect(database) as connection:
            kept = Counter(name for (name,) in connection.execute("SELECT external_id FROM messages"))
        connection.close()
        queued = Counter(arrival.external_id for arrival in arrivals)
        for place, found in (("database", kept), ("queue", queued)):
            verdict.add(f"{title}: mails lost, {place}", sorted(expected - found.keys()))
            verdict.add(f"{title}: mails doubled, {place}", [name for name, number in found.items() if number > 1])
            verdict.add(f"{title}: mails of nobody, {place}", sorted(found.keys() - expected))


def _figures(title: str, drain: Drain, count: int) -> dict[str, object]:
    at = {received: _rss_when(drain, received) for received in range(_RSS_EACH, count + 1, _RSS_EACH)}
    early = _rss_when(drain, min(count, _RSS_SETTLES))
    later = max(sample.rss_mb for sample in drain.samples if sample.received >= min(count, _RSS_SETTLES))
    figures: dict[str, object] = {
        "mails/s, from the start of the process to the end": round(count / drain.seconds),
        "mails/s, from the first one in custody to the end": round(count / (drain.seconds + drain.begun - drain.first)),
        "seconds until the first mails are in custody": round(drain.first - drain.begun, 1),
        "seconds until all are in custody": round(drain.received - drain.begun, 1),
        "seconds until all are released": round(drain.released - drain.begun, 1),
        "seconds until all are published": round(drain.published - drain.begun, 1),
        "RSS before the first mail, MB": round(
            next((each.rss_mb for each in drain.samples[::-1] if not each.received), 0)
        ),
        f"RSS after each {_RSS_EACH} mails, MB": " ".join(f"{rss:.0f}" for rss in at.values()),
        "RSS at most, MB": round(later),
        f"RSS grew after {_RSS_SETTLES} mails by, MB": round(later - early),
    }
    working = drain.cpu.get(EVENT_LOOP, 0.0) - drain.start_cpu
    figures["CPU of the gateway's event loop for a mail, ms"] = round(working * 1000 / count, 2)
    figures |= {f"CPU seconds, {name}": round(seconds, 1) for name, seconds in drain.cpu.items()}
    figures |= {f"seconds in transactions, {stage}": round(seconds, 1) for stage, seconds in drain.commits.items()}
    return {f"{title}: {name}": figure for name, figure in figures.items()}


def _rss_when(drain: Drain, received: float) -> float:
    """The memory when so many mails were in custody."""
    return next((each.rss_mb for each in drain.samples if each.received >= received), drain.samples[-1].rss_mb)


def dovecot_alone(dovecot: Dovecot, count: int) -> float:
    """Seconds for fetching everything and flagging it, in batches, by a client that does nothing else with it."""
    with dovecot.client(_USER) as client:
        client.select("INBOX")
        client.uid("store", f"1:{count}", "-FLAGS.SILENT", "(\\Seen)")
        begin = time.monotonic()
        for first in range(1, count + 1, _BATCH):
            batch = f"{first}:{min(count, first + _BATCH - 1)}"
            if client.uid("fetch", batch, "(FLAGS BODY.PEEK[])")[0] != "OK":
                raise imaplib.IMAP4.error(batch)
            client.uid("store", batch, "+FLAGS.SILENT", "(\\Seen)")
        return time.monotonic() - begin


def parser_alone(mails: Sequence[bytes]) -> float:
    """Seconds of the processor for a mail, in this process."""
    profile = Profile(own_addresses=frozenset({ADDRESS}))
    begin = time.process_time()
    for mail in mails:
        parse([mail], profile)
    return (time.process_time() - begin) / len(mails)


def run(count: int, folder: Path, broker: RabbitMQ, tell: Callable[[str], None]) -> Verdict:
    """Both runs."""
    mails = list(invented_mails(count))
    house = House(folder, broker, mails, tell)
    whole = Verdict({"mails": count, "bytes of a mail": round(sum(map(len, mails)) / count)})
    with Dovecot() as dovecot:
        fill(dovecot.add_user(_USER), mails)
        tell("the mailbox is full")
        section: Section = {"mailbox": dovecot.url_for(_USER), "password": PASSWORD}
        _join(whole, house.drain("IMAP", section, lambda: _unseen(dovecot), dovecot))
        alone = dovecot_alone(dovecot, count)
    maildir = folder / "maildir"
    for name in ("tmp", "new", "cur"):
        (maildir / name).mkdir(parents=True)
    fill(maildir, mails)
    _join(whole, house.drain("Maildir", {"mailbox": f"maildir:{maildir}"}, lambda: _not_seen(maildir), None))
    parsing = parser_alone(mails[:_PARSED])
    whole.figures |= {
        "Dovecot alone (fetch, flag; a bare client), mails/s": round(count / alone),
        "the parser alone, mails/s": round(1 / parsing),
        "the parser alone, ms for a mail": round(parsing * 1000, 2),
        "the parser's seconds for all": round(parsing * count, 1),
    }
    return whole


def _join(whole: Verdict, part: Verdict) -> None:
    whole.figures |= part.figures
    whole.faults += part.faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it, prints the figures, and returns 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mails", type=int, default=20_000)
    options = parser.parse_args(arguments)

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - how far a long run is

    with tempfile.TemporaryDirectory(prefix="lapor-soak-") as folder, RabbitMQ() as broker:
        verdict = run(options.mails, Path(folder), broker, tell)
    sys.stdout.write(verdict.table() + "\n")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
