"""The conversation with citizens on both databases: receipts within bounds, STATUS for one's own, STOP and MULAI."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from gateway.clock import to_milliseconds
from gateway.conversation.commands import command_of
from gateway.conversation.guards import Told
from gateway.decisions import Identity, new_report
from gateway.identifiers import luhn_digit, reporter_key, uuid7
from gateway.model import Report, Reporter
from gateway.parsing import Parsed
from gateway.settings.model import AnswerSettings, Settings
from gateway.stages.budget import CLOSED_SECONDS, ChannelBudget
from gateway.stages.converse import CommandItem, Conversation, ReceiptWanted
from gateway.stages.writes import Writes
from gateway.store import Store
from gateway.store import answers as answer_rows
from gateway.store import conversation as rows
from gateway.store import reports as report_rows
from gateway.store.answers import NewAnswer
from gateway.store.messages import StoredMessage
from gateway.store.tables import answers, replies, reports
from tests.fakes import FakeClock

ME, YOU = "+6281100000001", "+6281100000002"
CHANNEL = "sms-1708"


def number(count: int) -> str:
    """A tracking ID."""
    digits = f"1{count:08}"
    return digits + luhn_digit(digits)


def message() -> StoredMessage:
    """A message in custody."""
    return StoredMessage(uuid7(), CHANNEL, "sms", uuid7(), "key", b"", 0)


def said(text: str, by: str = ME, **fields: Any) -> Parsed:
    """What a citizen wrote by SMS."""
    return Parsed(reporter=Reporter(address=by, kind=fields.pop("kind", "phone")), text=text, sent_at=None, **fields)


class House:
    """A store with a conversation on it; each call is a transaction of its own."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.settings = Settings(answers=AnswerSettings())
        self.reports = 0

    def set(self, **changes: Any) -> None:
        """Changes the settings of answers."""
        self.settings = Settings(answers=AnswerSettings(**changes))

    def report(self, parsed: Parsed, tracking_id: str = "", **changes: Any) -> Report:
        """A new report of somebody."""
        self.reports += 1
        identity = Identity(
            id=uuid7(),
            tracking_id=tracking_id or number(self.reports),
            channel=CHANNEL,
            channel_type="sms",
            external_id=uuid7(),
            received_at=self.clock.now(),
            raw_sha256="c" * 64,
        )
        made = new_report(parsed, identity)
        return type(made)(**({name: getattr(made, name) for name in made.__struct_fields__} | changes))

    async def receive(self, *wanted: tuple[Parsed, Report]) -> list[str]:
        """Keeps reports in one transaction and wants a receipt for each; returns what is said."""
        async with self.store.write() as connection:
            writes = Writes(self.clock.now())
            await report_rows.add(connection, [report for _parsed, report in wanted])
            items = [ReceiptWanted(message(), p, report, report.duplicate_of is not None) for p, report in wanted]
            await Conversation(self.settings, writes).receipts(connection, items)
            queued = [answer.text for answer in writes.answers]
            await writes.flush(connection)
        return queued

    async def reported(self, text: str = "Jalan rusak", by: str = ME, **fields: Any) -> Report:
        """A report that was received and answered."""
        parsed = said(text, by, **fields)
        report = self.report(parsed)
        await self.receive((parsed, report))
        return report

    async def command(self, *parsed: Parsed) -> tuple[list[str], int]:
        """Commands in one transaction: what is said, and how many were none after all."""
        async with self.store.write() as connection:
            writes = Writes(self.clock.now())
            items = [CommandItem(message(), each, command) for each in parsed if (command := command_of(each))]
            assert len(items) == len(parsed)
            rest = await Conversation(self.settings, writes).commands(connection, items)
            queued = [answer.text for answer in writes.answers]
            await writes.flush(connection)
        return queued, len(rest)

    async def core_says(self, report: Report, kind: str, status: str | None = None) -> None:
        """A reply of the core, as its consumer keeps it."""
        async with self.store.write() as connection:
            await connection.execute(
                insert(replies).values(
                    id=uuid7(), report_id=report.id, kind=kind, status=status, received_at=self.now()
                )
            )

    async def is_silenced(self, by: str = ME) -> bool:
        """Whether somebody wants no notifications."""
        async with self.store.read() as connection:
            return await rows.is_silenced(connection, reporter_key("phone", by))

    def now(self) -> int:
        """The clock in milliseconds."""
        return to_milliseconds(self.clock.now())


@pytest.fixture
def house(store: Store, clock: FakeClock) -> House:
    """A conversation on each database in turn."""
    return House(store, clock)


# Receipts.


async def test_each_new_report_gets_a_receipt_with_its_number(house: House) -> None:
    """Each reporter for each report; not who cannot be answered by a machine, nor who is nobody."""
    citizens = [said("Satu"), said("Dua", YOU), said("Promo", answerable=False), said("Rahasia", "")]
    pairs = [(each, house.report(each)) for each in citizens]
    queued = await house.receive(*pairs)
    assert [report.tracking_id in text for text, (_, report) in zip(queued, pairs, strict=False)] == [True, True]
    assert len(queued) == 2


async def test_nobody_is_answered_where_the_settings_say_so(house: House) -> None:
    """A STOP is kept all the same."""
    house.set(enabled=False)
    parsed = said("Satu")
    assert await house.receive((parsed, house.report(parsed))) == []
    assert await house.command(said("STOP")) == ([], 0)
    assert await house.is_silenced()


async def test_a_repeat_is_told_its_number_once_in_a_while(house: House) -> None:
    """Not so soon after the last receipt, again after the pause; another's repeat has its own."""
    report = await house.reported()

    async def repeat(by: str = ME) -> list[str]:
        parsed = said("Jalan rusak", by)
        return await house.receive((parsed, house.report(parsed, report.tracking_id, duplicate_of=report.id)))

    assert await repeat() == []
    house.clock.advance(minutes=59)
    assert await repeat() == []
    house.clock.advance(minutes=2)
    (text,) = await repeat()
    assert text.startswith(f"Laporan ini sudah kami terima dengan Tracking ID #{report.tracking_id}")
    assert await repeat() == []
    assert len(await repeat(YOU)) == 1


async def test_repeats_in_one_batch_get_one_receipt(house: House) -> None:
    """The original's, or that of the first repeat."""
    parsed = said("Jalan rusak")
    first = house.report(parsed)
    again = [house.report(parsed, first.tracking_id, duplicate_of=first.id) for _ in range(3)]
    assert len(await house.receive((parsed, first), *((parsed, each) for each in again))) == 1


async def test_a_flood_is_kept_and_answered_once(house: House) -> None:
    """In one batch; others are answered; after ten calm minutes the citizen is, too."""
    mine = [(parsed, house.report(parsed)) for parsed in [said("Halo")] * 50]
    yours = said("Jalan rusak", YOU)
    assert len(await house.receive(*mine, (yours, house.report(yours)))) == 2
    assert len(await house.receive(*((parsed, house.report(parsed)) for parsed in [said("Halo")] * 50))) == 0
    async with house.store.read() as connection:
        assert len((await connection.execute(select(reports.c.id))).all()) == 101
    house.clock.advance(minutes=11)
    assert len(await house.receive((said("Jalan"), house.report(said("Jalan"))))) == 1


async def test_one_after_the_other_five_are_answered_in_ten_minutes(house: House) -> None:
    """The sixth is not."""
    told = [await house.receive((said("Halo"), house.report(said("Halo")))) for _ in range(7)]
    assert [len(each) for each in told] == [1, 1, 1, 1, 1, 0, 0]


async def test_a_day_has_so_many_answers_and_no_more(house: House) -> None:
    """However slowly they come; commands count with receipts; 24 hours later there are more."""
    house.set(per_reporter_per_day=6)
    told = 0
    for _ in range(6):
        house.clock.advance(minutes=11)
        told += len(await house.receive((said("Halo"), house.report(said("Halo")))))
        told += len((await house.command(said("BANTUAN")))[0])
    assert told == 6
    house.clock.advance(hours=24)
    assert len(await house.receive((said("Halo"), house.report(said("Halo"))))) == 1


async def test_two_machines_never_loop_through_help(house: House) -> None:
    """A machine that answers HELP to whatever we say is soon talking to itself."""
    told = [len((await house.command(said("HELP")))[0]) for _ in range(100)]
    assert (sum(told), sum(told[5:])) == (5, 0)


# Commands.


async def test_status_tells_the_last_known_state_to_the_reporter(house: House) -> None:
    """Received; then what the core said last; withdrawn at the end."""
    report = await house.reported()
    house.clock.advance(hours=1)
    ask = said(f"STATUS {report.tracking_id}")
    expected = [
        "sudah diterima",
        "Diteruskan ke Dinas PU",
        "Diteruskan ke Dinas PU",
        "menunggu jawaban Anda",
        "selesai",
    ]
    steps: list[tuple[str, str | None]] = [("progress", "Diteruskan ke Dinas PU"), ("progress", None)]
    steps += [("question", None), ("closed", None)]
    house.set(flood_messages=100)
    heard = [(await house.command(ask))[0]]
    for kind, status in steps:
        house.clock.advance(minutes=1)
        await house.core_says(report, kind, status)
        heard.append((await house.command(ask))[0])
    assert heard == [[f"Laporan #{report.tracking_id} per 01-11-2026: {each}."] for each in expected]
    async with house.store.write() as connection:
        await connection.execute(update(reports).values(withdrawn_at=house.now()))
    assert "ditarik kembali" in (await house.command(ask))[0][0]


async def test_anothers_number_is_as_unknown_as_one_that_is_none(house: House) -> None:
    """Nobody learns by asking which numbers there are; neither by another channel's address of the same digits."""
    report = await house.reported()
    house.set(flood_messages=100)
    (mistyped,), _ = await house.command(said(f"STATUS {number(77)}"))
    assert "tidak menemukan" in mistyped
    assert await house.command(said(f"STATUS {report.tracking_id}", YOU)) == ([mistyped], 0)
    assert await house.command(said(f"STATUS {report.tracking_id}", kind="partner")) == ([mistyped], 0)
    async with house.store.write() as connection:
        await connection.execute(update(reports).values(body=None))
    assert await house.command(said(f"STATUS {report.tracking_id}")) == ([mistyped], 0)


async def test_a_bare_number_is_a_question_only_from_its_reporter(house: House) -> None:
    """From anyone else it goes on as what it was."""
    report = await house.reported()
    queued, rest = await house.command(said(report.tracking_id), said(report.tracking_id, YOU), said(number(77)))
    assert (len(queued), rest) == (1, 2)
    assert report.tracking_id in queued[0]


async def test_status_without_a_number_tells_of_the_newest(house: House) -> None:
    """Of two; of a repeat its original; of nothing of anybody else's."""
    (none,), _ = await house.command(said("STATUS"))
    assert "belum menerima" in none
    made = []
    for _ in range(3):
        made.append(await house.reported())
        house.clock.advance(minutes=11)
    await house.reported(by=YOU)
    parsed = said("Jalan rusak")
    await house.receive((parsed, house.report(parsed, made[2].tracking_id, duplicate_of=made[2].id)))
    (text,), _ = await house.command(said("status laporan saya"))
    assert [line[9:19] for line in text.split("\n")] == [made[2].tracking_id, made[1].tracking_id]


async def test_in_public_a_secret_reports_state_is_withheld(house: House) -> None:
    """X shows the answer to everybody."""
    report = await house.reported("Pungli", "99", kind="x", visibility="secret")
    await house.core_says(report, "progress", "Diteruskan ke Polres")
    (text,), _ = await house.command(said(f"STATUS {report.tracking_id}", "99", kind="x"))
    assert "Polres" not in text
    assert report.tracking_id in text


async def test_stop_and_start_are_kept_for_one_reporter(house: House) -> None:
    """Twice is once; who stopped still gets receipts and answers."""
    for text, silent in (("STOP", True), ("BERHENTI", True), ("MULAI", False), ("MULAI", False)):
        queued, _ = await house.command(said(text))
        assert len(queued) == 1
        assert (await house.is_silenced(), await house.is_silenced(YOU)) == (silent, False)
    assert await house.command(said("STOP", "", answerable=False)) == ([], 0)
    await house.command(said("STOP", YOU))
    assert len(await house.receive((said("Halo", YOU), house.report(said("Halo", YOU))))) == 1


async def test_an_english_mail_is_answered_in_english(house: House) -> None:
    """Everybody else in Indonesian."""
    reporter = Reporter(address="warga@example.org", kind="email", language="en")
    parsed = Parsed(reporter=reporter, text="HELP", sent_at=None)
    assert (await house.command(parsed))[0][0].startswith("Write your report")
    assert (await house.command(said("HELP")))[0][0].startswith("Kirim laporan")


# What is counted.


async def queue(house: House, kinds: Sequence[Any], to: str = ME, state: str = "queued") -> None:
    """Answers as they stand in the store."""
    async with house.store.write() as connection:
        new = [NewAnswer(uuid7(), uuid7(), None, CHANNEL, kind, to, "x", reply_id=uuid7()) for kind in kinds]
        await answer_rows.add(connection, new, house.now())
        ids = [each.id for each in new]
        await connection.execute(update(answers).where(answers.c.id.in_(ids)).values(state=state))


async def test_answers_are_counted_for_many_reporters_at_once(house: House) -> None:
    """All kinds for the day; receipts and commands for a flood; nothing that is older."""
    await queue(house, ["receipt", "reply"])
    house.clock.advance(hours=2)
    await queue(house, ["receipt", "command", "reply"])
    await queue(house, ["reply"], YOU)
    async with house.store.read() as connection:
        for hours, lately, expected in (
            (1, 10, {ME: Told(3, 2), YOU: Told(1, 0)}),
            (24, 10, {ME: Told(5, 2), YOU: Told(1, 0)}),
            (24, 180, {ME: Told(5, 3), YOU: Told(1, 0)}),
        ):
            since, late = (to_milliseconds(house.clock.now() - timedelta(minutes=m)) for m in (60 * hours, lately))
            assert await rows.answered(connection, [ME, YOU, "+6281100000003"], since, late) == expected


async def test_a_channels_day_is_bounded(house: House) -> None:
    """What was sent or may have been counts; the rest waits for the next day; 0 is no bound."""
    await queue(house, ["receipt"] * 3, state="sent")
    await queue(house, ["receipt"] * 4, state="queued")
    await queue(house, ["receipt"] * 2, state="failed")

    async def room(budget: ChannelBudget) -> int:
        for sent in range(10):
            async with house.store.read() as connection:
                if not await budget.has_room(connection, house.clock.now(), house.clock.monotonic()):
                    return sent
            budget.spend()
            await queue(house, ["receipt"], state="sent")
        return 10

    tight = ChannelBudget(CHANNEL, 5, timedelta(hours=72))
    assert await room(tight) == 2
    assert await room(tight) == 0
    assert await room(ChannelBudget("another", 5, timedelta(hours=72))) == 10
    assert await room(ChannelBudget(CHANNEL, 0, timedelta(hours=72))) == 10
    house.clock.advance(hours=24, seconds=CLOSED_SECONDS)
    assert await room(tight) == 5
