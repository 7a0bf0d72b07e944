"""The demo's live table in the terminal: channels, the pipeline, and the reports as they come out."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.console.snapshot import Snapshot
from gateway.demo.smtp import DemoMailServer, TakenMail
from gateway.model import ReportEvent, decode_event
from gateway.ports import OutboxEvent, PublishResult
from gateway.publishers import JournalPublisher

REPORTS_SHOWN: Final = 10
_TEXT_SHOWN: Final = 72
_SUBJECT_SHOWN: Final = 48
_DETAILS: Final = {
    "signal_percent": "signal %",
    "sim_used": "SIM slots used",
    "stream": "stream",
    "search_lag_seconds": "search lag s",
}
"""What of a channel's details is shown, and as what."""
_COLOURS: Final = {"up": "green", "degraded": "yellow", "down": "red", "needs_operator": "red", "paused": "dim"}


class ObservedJournal(JournalPublisher):
    """A journal that remembers its newest events for the screen."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.newest: deque[ReportEvent] = deque(maxlen=REPORTS_SHOWN)
        self.count = 0

    async def publish(self, events: Sequence[OutboxEvent]) -> PublishResult:
        """Publishes, and remembers what was confirmed."""
        result = await super().publish(events)
        confirmed = set(result.confirmed)
        for event in events:
            if event.id in confirmed:
                self.count += 1
                self.newest.append(decode_event(event.body))
        return result


def line(event: ReportEvent) -> str:
    """One report as a line of text, for a terminal that cannot be redrawn."""
    report = event.data
    parts = f" [{report.parts.total} parts]" if report.parts else ""
    kind = event.type.split(".")[4]
    text = repr(report.text[:_TEXT_SHOWN])
    return f"{event.time:%H:%M:%S} {kind} #{report.tracking_id} {report.channel}{parts} {text}"


def answer_line(mail: TakenMail) -> str:
    """One answer that a citizen got by mail, as a line of text."""
    return f"answer by mail to {mail.recipient} {mail.subject[:_SUBJECT_SHOWN]!r} {_first_line(mail)[:_TEXT_SHOWN]!r}"


def draw(snapshot: Snapshot, journal: ObservedJournal, post: DemoMailServer, address: str) -> RenderableType:
    """The whole screen."""
    return Group(
        Text.from_markup(f"[b]LAPOR Gateway[/] · demo · [link={address}]{address}[/] · Ctrl-C ends it\n"),
        _channels(snapshot),
        _pipeline(snapshot, journal),
        _reports(journal),
        mails_table(post),
    )


def _channels(snapshot: Snapshot) -> Table:
    table = Table("channel", "state", "how it is", "last message", title="Kanal · Channels", expand=True)
    for channel in snapshot.channels:
        details = channel["details"]
        state = Text(channel["state"], style=_COLOURS[channel["state"]])
        known = [f"{title} {details[name]}" for name, title in _DETAILS.items() if details.get(name) is not None]
        table.add_row(channel["name"], state, ", ".join(known), channel["last_message_at"] or "–")
    return table


def _pipeline(snapshot: Snapshot, journal: ObservedJournal) -> Table:
    table = Table("to process", "assembling", "outbox", "published", "quarantined", "answers", expand=True)
    answers = ", ".join(f"{state} {count}" for state, count in snapshot.answers.items()) or "–"
    waiting = (snapshot.messages[state] for state in ("received", "assembling"))
    table.add_row(
        *map(str, waiting),
        str(snapshot.broker.waiting),
        str(journal.count),
        str(snapshot.messages["quarantined"]),
        answers,
    )
    return table


def _reports(journal: ObservedJournal) -> Table:
    table = Table("time", "tracking ID", "keyword", "channel", "parts", "text", title="Laporan · Reports", expand=True)
    for event in reversed(journal.newest):
        report = event.data
        table.add_row(
            f"{event.time:%H:%M:%S}",
            f"#{report.tracking_id}",
            report.keyword.normalised if report.keyword else "",
            report.channel,
            str(report.parts.total) if report.parts else "1",
            Text(report.text[:_TEXT_SHOWN], no_wrap=True, overflow="ellipsis"),
        )
    return table


def mails_table(post: DemoMailServer) -> Table:
    """The newest answers that citizens got by mail."""
    title = f"Jawaban lewat surel · Answers by mail ({post.count})"
    table = Table("to", "subject", "text", title=title, expand=True)
    for mail in reversed(post.newest):
        cells = mail.subject[:_SUBJECT_SHOWN], _first_line(mail)[:_TEXT_SHOWN]
        table.add_row(mail.recipient, *(Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells))
    return table


def _first_line(mail: TakenMail) -> str:
    return next((line for line in mail.text.splitlines() if line.strip()), "")
