"""Multi-part SMS: in any order, twice, never, late, mixed with others and over restarts, each is one report."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.plugins import parsers
from gateway.ports import RawMessage
from gateway.store.tables import fragment_groups, messages
from tests.fakes import FakeClock, RecordingPublisher
from tests.integration.kernel import Kernel, kernel_on

SENDER = "+6281100000001"
OTHER_SENDER = "+6281100000002"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class LongSms:
    """A message in several parts, as a modem hands them over."""

    texts: Sequence[str]
    sender: str = SENDER
    reference: int = 59
    width: int = 8
    name: str = field(default_factory=lambda: f"sms-{next(_numbers)}")

    @property
    def total(self) -> int:
        """How many parts it has."""
        return len(self.texts)

    def part(self, number: int, *, copy: str = "") -> RawMessage:
        """One part; a ``copy`` is the same part under another identity, as the network delivers it twice."""
        if self.width == 8:
            octets = f"050003{self.reference:02x}{self.total:02x}{number:02x}"
        else:
            octets = f"060804{self.reference:04x}{self.total:02x}{number:02x}"
        udh = {"Type": "ConcatenatedMessages", "Text": {"hex": octets}}
        fields = {
            "Coding": "Default_No_Compression",
            "DateTime": "2026-11-01T08:00:00+07:00",
            "Number": self.sender,
            "Text": self.texts[number - 1],
            "Type": "Deliver",
            "UDH": udh,
        }
        return RawMessage(f"{self.name}-{number}{copy}", json.dumps(fields).encode(), self.sender)

    def parts(self, *numbers: int) -> list[RawMessage]:
        """These parts, or all in order."""
        return [self.part(number) for number in numbers or range(1, self.total + 1)]

    @property
    def whole(self) -> str:
        """What the citizen wrote."""
        return "".join(self.texts)


def three_parts(letter: str = "a", **fields: object) -> LongSms:
    """A message in three parts whose texts tell them apart."""
    return LongSms([f"{letter}{n} jalan rusak " for n in "12"] + [f"{letter}3 sekali"], **fields)  # type: ignore[arg-type]


class House:
    """A database and a queue that outlive the gateways on them."""

    def __init__(self, url: str, clock: FakeClock) -> None:
        self._url = url
        self.clock = clock
        self.queue = RecordingPublisher()

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[Kernel]:
        """A gateway that has just been started."""
        async with kernel_on(self._url, self.clock, self.queue, parsers()) as kernel:
            yield kernel

    async def take(self, *batches: Sequence[RawMessage]) -> None:
        """Takes batches through, each by a gateway of its own: nothing may depend on what a process remembers."""
        for batch in batches:
            async with self.gateway() as kernel:
                await take(kernel, *batch)

    async def wait_over(self) -> None:
        """Lets the time for missing parts pass."""
        self.clock.advance(minutes=1)
        async with self.gateway() as kernel:
            await kernel.assemble_due()
            await kernel.publish()

    def told(self) -> list[tuple[str, int, bool, str]]:
        """Kind, sequence, completeness and text of each event, in order."""
        kinds = [kind for kind, _sequence in self.queue.seen()]
        return [
            (kind, body["sequence"], body["data"]["complete"], body["data"]["text"])
            for kind, body in zip(kinds, self.queue.bodies, strict=True)
        ]


async def take(kernel: Kernel, *batch: RawMessage) -> None:
    """Custody, decision and publication."""
    await kernel.receive(*batch, channel="sms-1708", channel_type="sms")
    await kernel.process()
    await kernel.publish()


@pytest.fixture
def house(store_url: str, clock: FakeClock) -> House:
    """One on each kind of database."""
    return House(store_url, clock)


@pytest.mark.parametrize("cut", [(3,), (1, 2), (2, 1), (1, 1, 1)])
async def test_parts_become_one_report_in_any_order_over_any_batches_and_restarts(
    house: House, cut: tuple[int, ...]
) -> None:
    """Every order of three parts, six messages at once, in one, two or three batches with a restart between them."""
    orders = list(itertools.permutations((1, 2, 3)))
    every = [three_parts(f"m{n}-", sender=f"+62811000000{n:02d}") for n in range(len(orders))]
    left = [iter(sms.parts(*order)) for sms, order in zip(every, orders, strict=True)]
    await house.take(*([next(parts) for parts in left for _ in range(size)] for size in cut))
    assert sorted(house.told()) == [("received", 1, True, sms.whole) for sms in every]
    for body in house.queue.bodies:
        assert body["data"]["parts"] == {"total": 3, "present": [1, 2, 3]}
        assert body["data"]["external_id"].endswith("-1")
    async with house.gateway() as kernel:
        rows = await kernel.rows(messages)
        assert {(row.state, row.decision) for row in rows} == {("processed", "report")}
        assert len({row.report_id for row in rows}) == len(every)


async def test_a_part_waits_in_the_state_assembling(house: House) -> None:
    """It is in custody, undecided, and nothing is published before the time is over."""
    async with house.gateway() as kernel:
        await take(kernel, *three_parts().parts(1, 3))
        await kernel.assemble_due()
        await kernel.publish()
        assert {(row.state, row.decision) for row in await kernel.rows(messages)} == {("assembling", None)}
    assert house.told() == []


async def test_a_doubled_part_is_passed_over(house: House) -> None:
    """The same part under another identity belongs to the same message and changes nothing."""
    sms = three_parts()
    await house.take([sms.part(1), sms.part(1, copy="'")], sms.parts(2), [sms.part(2, copy="'")], sms.parts(3))
    await house.take([sms.part(3, copy="'")])
    assert house.told() == [("received", 1, True, sms.whole)]
    async with house.gateway() as kernel:
        copies = [row for row in await kernel.rows(messages) if row.external_id.endswith("'")]
        assert [(row.state, row.decision) for row in copies] == [("processed", "ignored")] * 3
        assert "here already" in copies[0].reason


async def test_other_content_under_the_same_number_opens_a_group_of_its_own(house: House) -> None:
    """A phone that always uses one reference sends two messages: neither gets the other's parts."""
    first, second = three_parts("a"), three_parts("b")
    await house.take(first.parts(), second.parts())
    assert [text for *_rest, text in house.told()] == [first.whole, second.whole]


async def test_a_reference_that_wraps_belongs_to_the_newer_message(house: House) -> None:
    """After 256 messages the reference comes again; each of them is one report with its own text."""
    all_of_them = [three_parts(f"m{n}", reference=n % 256) for n in range(0, 520, 26)] + [
        three_parts("again", reference=0)
    ]
    async with house.gateway() as kernel:
        for sms in all_of_them:
            await take(kernel, *sms.parts(3, 1, 2))
    assert [text for *_rest, text in house.told()] == [sms.whole for sms in all_of_them]


async def test_16_bit_and_8_bit_references_are_apart(house: House) -> None:
    """The same number in another width is another message."""
    narrow, wide = three_parts("a"), three_parts("b", width=16)
    await house.take(narrow.parts(1), wide.parts(1), narrow.parts(2), wide.parts(3, 2), narrow.parts(3))
    assert sorted(text for *_rest, text in house.told()) == [narrow.whole, wide.whole]


async def test_two_senders_with_the_same_reference_are_apart(house: House) -> None:
    """Citizens are never mixed, however their parts interleave."""
    one, two = three_parts("a"), three_parts("b", sender=OTHER_SENDER)
    await house.take([one.part(1), two.part(1), two.part(2), one.part(2), two.part(3), one.part(3)])
    told = {body["data"]["reporter"]["address"]: body["data"]["text"] for body in house.queue.bodies}
    assert told == {SENDER: one.whole, OTHER_SENDER: two.whole}


async def test_another_total_is_another_message(house: House) -> None:
    """Sender and reference agree, the number of parts does not."""
    three, two = three_parts("a"), LongSms(["b1 ", "b2"])
    await house.take([three.part(1), two.part(1), three.part(2), two.part(2), three.part(3)])
    assert sorted(text for *_rest, text in house.told()) == [three.whole, two.whole]


async def test_a_missing_part_is_told_after_the_wait_and_a_late_one_amends_the_report(house: House) -> None:
    """First ``complete: false`` with a gap, then ``report.updated`` with sequence 2 and the whole text."""
    sms = three_parts()
    await house.take(sms.parts(1), sms.parts(3))
    await house.wait_over()
    assert house.told() == [("received", 1, False, "a1 jalan rusak  … a3 sekali")]
    assert house.queue.bodies[0]["data"]["parts"] == {"total": 3, "present": [1, 3]}
    await house.take(sms.parts(2))
    assert house.told()[1:] == [("updated", 2, True, sms.whole)]
    first, second = house.queue.bodies
    assert (first["data"]["id"], first["subject"]) == (second["data"]["id"], second["subject"])
    async with house.gateway() as kernel:
        decisions = {row.external_id: row.decision for row in await kernel.rows(messages)}
        assert decisions == {f"{sms.name}-1": "report", f"{sms.name}-3": "report", f"{sms.name}-2": "update"}


async def test_the_first_part_may_be_the_late_one(house: House) -> None:
    """Report and tracking ID stay; the text begins where it should."""
    sms = three_parts()
    await house.take(sms.parts(2, 3))
    await house.wait_over()
    await house.take(sms.parts(1))
    assert house.told() == [
        ("received", 1, False, "… a2 jalan rusak a3 sekali"),
        ("updated", 2, True, sms.whole),
    ]
    assert house.queue.bodies[0]["subject"] == house.queue.bodies[1]["subject"]


async def test_each_late_part_amends_the_report_anew(house: House) -> None:
    """Two late parts on two days are two updates, in order."""
    sms = three_parts()
    await house.take(sms.parts(2))
    await house.wait_over()
    house.clock.advance(days=1)
    await house.take(sms.parts(3))
    house.clock.advance(days=1)
    await house.take(sms.parts(1))
    assert [(kind, sequence, complete) for kind, sequence, complete, _text in house.told()] == [
        ("received", 1, False),
        ("updated", 2, False),
        ("updated", 3, True),
    ]


async def test_a_late_part_that_comes_twice_amends_once(house: House) -> None:
    """The copy of a late part is passed over like any other."""
    sms = three_parts()
    await house.take(sms.parts(1, 2))
    await house.wait_over()
    await house.take([sms.part(3), sms.part(3, copy="'")], [sms.part(3, copy='"')])
    assert [sequence for _kind, sequence, *_rest in house.told()] == [1, 2]


async def test_a_part_that_is_later_than_days_is_a_message_of_its_own(house: House) -> None:
    """After ``parts_days`` the same reference is another message: it is told as incomplete, not mixed in."""
    sms = three_parts()
    await house.take(sms.parts(1, 2))
    await house.wait_over()
    house.clock.advance(days=8)
    await house.take(sms.parts(3))
    await house.wait_over()
    assert [(kind, sequence) for kind, sequence, *_rest in house.told()] == [("received", 1), ("received", 1)]
    async with house.gateway() as kernel:
        assert await kernel.count(fragment_groups) == 2


async def test_an_incomplete_message_does_not_hold_up_another(house: House) -> None:
    """While one waits for a part, what came after it is published."""
    incomplete, whole = three_parts("a"), three_parts("b", sender=OTHER_SENDER)
    await house.take(incomplete.parts(1), whole.parts())
    assert [text for *_rest, text in house.told()] == [whole.whole]


async def test_a_report_is_received_from_the_arrival_of_its_first_part(house: House) -> None:
    """``received_at`` is when the gateway first held a part of it."""
    sms = three_parts()
    await house.take(sms.parts(3))
    house.clock.advance(hours=2)
    await house.take(sms.parts(1, 2))
    assert house.queue.bodies[0]["data"]["received_at"] == "2026-11-01T08:00:00Z"


async def test_a_citizen_is_answered_once_for_a_message_in_parts(house: House) -> None:
    """One receipt, with or without a late part."""
    sms = three_parts()
    await house.take(sms.parts(1, 2))
    await house.wait_over()
    await house.take(sms.parts(3))
    async with house.gateway() as kernel:
        assert (await kernel.totals())["answers"] == 1


@pytest.mark.parametrize(("total", "restarts"), [(54, True), (255, False)])
async def test_a_message_of_very_many_parts_is_one_report(house: House, total: int, *, restarts: bool) -> None:
    """Shuffled, doubled and over several batches, with restarts between them or without."""
    sms = LongSms([f"bagian {n} " for n in range(1, total)] + ["habis"], width=16, reference=4711)
    shuffled = [*sms.parts(), sms.part(7, copy="'"), sms.part(total, copy="'")]
    random.Random(total).shuffle(shuffled)
    batches = [shuffled[:1], shuffled[1:30], shuffled[30:]]
    if restarts:
        await house.take(*batches)
    else:
        async with house.gateway() as kernel:
            for batch in batches:
                await take(kernel, *batch)
    assert house.told() == [("received", 1, True, sms.whole)]


async def test_replaying_a_part_changes_nothing(house: House) -> None:
    """A part of a published message that is processed again publishes nothing."""
    sms = three_parts()
    await house.take(sms.parts())
    async with house.gateway() as kernel:
        await kernel.replay((await kernel.row(messages, external_id=f"{sms.name}-2")).id)
        await kernel.publish()
    assert house.told() == [("received", 1, True, sms.whole)]


async def test_parts_that_together_cannot_be_read_are_quarantined_and_replayed_whole(store_url: str) -> None:
    """All parts keep their bytes; one replay after the fix makes the one report."""
    clock, queue = FakeClock(), RecordingPublisher()
    sms = three_parts()
    mended = parsers()
    broken = dict(mended)
    broken["sms"] = lambda raws, profile: (
        mended["sms"](raws, profile) if len(raws) == 1 else mended["sms"]([b"nonsense"], profile)
    )
    async with kernel_on(store_url, clock, queue, broken) as kernel:
        await take(kernel, *sms.parts())
        rows = await kernel.rows(messages)
        assert {row.state for row in rows} == {"quarantined"}
        assert None not in {row.raw for row in rows}
    async with kernel_on(store_url, clock, queue, mended) as kernel:
        await kernel.replay(rows[1].id)
        await kernel.publish()
        assert {row.state for row in await kernel.rows(messages)} == {"processed"}
    assert [body["data"]["text"] for body in queue.bodies] == [sms.whole]


async def test_groups_that_are_due_are_told_once_by_two_gateways(postgresql_url: str, clock: FakeClock) -> None:
    """Two processes on one PostgreSQL find the same groups due; each message is one report."""
    one, two = House(postgresql_url, clock), House(postgresql_url, clock)
    senders = [f"+62811000001{n:02d}" for n in range(20)]
    await one.take([three_parts(sender=sender).part(1) for sender in senders])
    clock.advance(minutes=1)
    async with one.gateway() as first, two.gateway() as second:
        await asyncio.gather(*(kernel.assemble_due() for kernel in (first, second, first, second)))
        await asyncio.gather(first.publish(), second.publish())
    told = [body["data"]["reporter"]["address"] for body in one.queue.bodies + two.queue.bodies]
    assert sorted(told) == senders
