"""Machines that answer our answers, on every channel: each exchange ends by itself, and this says after how many.

The clock is the real one, so all of it lies within the ten minutes in which ``answers.flood_messages`` counts; the
bound of a day, ``per_reporter_per_day``, ends what is slower. Mail has more guards: see test_mail_loop.py.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from channels.mail import robots
from gateway.application import Gateway
from gateway.settings.model import AnswerSettings
from tests.conftest import eventually
from tests.fakes import RecordingPublisher
from tests.integration.kernel import settings_for
from tests.integration.talk_bench import SmsLine, Talk, talking
from tests.services.rabbitmq import RabbitMQ
from tests.simulators.modem import Modem

FLOOD = 5
PER_DAY = 7
MATTER = "Jalan di depan sekolah Sukamaju berlubang besar sejak Senin"
ROBOTS = {"sms": "+6281100000099", "twitter": "mesin_99", "email": "mesin@warga.example.org"}
GATEWAYS = ("+628110000170", "+628110000171")
QUICK = AnswerSettings(quiet_hours="", flood_messages=FLOOD)
SLOW = AnswerSettings(quiet_hours="", flood_messages=1000, per_reporter_per_day=PER_DAY)
"""As if the machine took its time: no ten minutes hold more than a few."""

Compose = Callable[[str, int], str]
"""What a machine says to an answer, which is its how manieth."""

MACHINES: dict[str, Compose] = {
    "thanks": lambda _heard, _number: "Terima kasih atas pesan Anda.",
    "numbers its answers": lambda _heard, number: f"Pesan Anda sudah masuk antrean kami, nomor {number}.",
    "echo": lambda heard, _number: heard,
    "asks for help": lambda _heard, _number: "BANTUAN",
    "asks for the status": lambda _heard, _number: "STATUS",
    "goes on and off": lambda _heard, number: "STOP" if number % 2 else "MULAI",
}
"""Machines that bear no mark."""

# A reply on X or in a mail's thread adds to the report, and an addition has no receipt. X takes the same words to the
# same account once only, whatever we would say. On a phone nothing says what is answered.
ANSWERED = {
    "thanks": {"sms": 2, "twitter": 1, "email": 1},
    "numbers its answers": {"sms": FLOOD, "twitter": 1, "email": 1},
    "echo": {"sms": 1, "twitter": 1, "email": 1},
    "asks for help": {"sms": FLOOD, "twitter": 2, "email": FLOOD},
    "asks for the status": {"sms": FLOOD, "twitter": 2, "email": FLOOD},
    "goes on and off": {"sms": FLOOD, "twitter": 3, "email": FLOOD},
}
"""How many answers each of them gets, the first receipt among them, until it hears no more."""


class Robot:
    """Answers every answer, by the channel's own means.

    Args:
        talk: The gateway.
        name: Its address.
        compose: What it says.
        anew: Whether it says that in a message of its own, in no thread.
    """

    def __init__(self, talk: Talk, name: str, compose: Compose, *, anew: bool = False) -> None:
        self._say = talk.line.write if anew else talk.line.answer
        self._talk = talk
        self._name = name
        self._compose = compose
        self._written = 0

    async def converse(self) -> int:
        """Writes first, and then to whatever it hears until it hears no more; returns how many answers it got."""
        await self._talk.line.write(self._name, MATTER)
        await eventually(self._is_over, "the exchange to end")
        return self._written

    async def _is_over(self) -> bool:
        heard = self._talk.line.heard(self._name)
        for text in heard[self._written :]:
            self._written += 1
            await self._say(self._name, self._compose(text, self._written))
            return False
        decided = len(await self._talk.decisions())
        return (
            decided == self._written + 1
            and await self._talk.is_idle()
            and len(self._talk.line.heard(self._name)) == self._written
        )


@pytest.mark.parametrize("channel", ROBOTS)
@pytest.mark.parametrize("machine", MACHINES)
async def test_a_machine_that_answers_every_answer_is_soon_alone(
    channel: str, machine: str, sqlite_url: str, rabbitmq: RabbitMQ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but its words can tell it from a person."""
    monkeypatch.setattr(robots, "ROBOT_SECONDS", -10.0)
    async with talking(sqlite_url, rabbitmq, channel, tmp_path, QUICK) as talk:
        assert await Robot(talk, ROBOTS[channel], MACHINES[machine]).converse() == ANSWERED[machine][channel]


@pytest.mark.parametrize(("told", "answers"), [(QUICK, FLOOD), (SLOW, PER_DAY)], ids=["quick", "slow"])
async def test_a_machine_that_writes_anew_ends_at_the_bounds(
    told: AnswerSettings, answers: int, sqlite_url: str, rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    """Nothing says that its posts answer ours: each is a report, and the last one is not answered."""
    async with talking(sqlite_url, rabbitmq, "twitter", tmp_path, told) as talk:
        robot = Robot(talk, ROBOTS["twitter"], MACHINES["numbers its answers"], anew=True)
        assert await robot.converse() == answers
        assert await talk.decisions() == ["report"] * (answers + 1)


class Carrier:
    """The network between two modems: what one sends to the other's number arrives there."""

    def __init__(self, *modems: Modem) -> None:
        self._modems = modems
        self.carried: list[tuple[str, str]] = []
        """Whom each SMS went to, and what it said."""
        self._taken = [0] * len(modems)

    def carry(self) -> bool:
        """Brings what was sent; returns whether there was anything."""
        before = len(self.carried)
        for place, modem in enumerate(self._modems):
            for sent in modem.sent[self._taken[place] :]:
                self._taken[place] += 1
                self.carried.append((sent.message.destination, sent.message.text))
                for other in self._modems:
                    if other.number == sent.message.destination:
                        other.deliver(modem.number, sent.message.text)
        return len(self.carried) > before


async def _texting(folder: Path, first: str) -> list[str]:
    """Two gateways with modems; the second one's number is said to write first. Returns who was answered, in order."""
    async with AsyncExitStack() as stack:
        modems = [stack.enter_context(Modem(slots=10, number=number)) for number in GATEWAYS]
        talks = []
        for modem in modems:
            line = SmsLine(modem)
            url = f"sqlite:///{folder}/{modem.number}.db"
            settings = settings_for(url, channels=[line.section], files=str(folder / "files"))
            gateway = Gateway(settings.model_copy(update={"answers": QUICK}), publisher=RecordingPublisher())
            await gateway.start()
            stack.push_async_callback(gateway.stop)
            talks.append(Talk(line, gateway))
        carrier = Carrier(*modems)
        modems[0].deliver(GATEWAYS[1], first)

        async def is_over() -> bool:
            idle = [await talk.is_idle() for talk in talks]
            decided = [len(await talk.decisions()) for talk in talks]
            return not carrier.carry() and all(idle) and sum(decided) == len(carrier.carried) + 1

        await eventually(is_over, "the exchange to end")
        return [to for to, _text in carrier.carried]


@pytest.mark.parametrize("first", [MATTER, "BANTUAN"])
async def test_two_gateways_text_each_other_until_the_flood_is_noticed(tmp_path: Path, first: str) -> None:
    """The first answers the second's number, and each takes the other's answers for reports of a citizen."""
    assert await _texting(tmp_path, first) == [GATEWAYS[1], GATEWAYS[0]] * FLOOD
