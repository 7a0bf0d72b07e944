"""Machines that answer our answers, on every channel: each exchange ends by itself, and this says after how many.

The clock is the real one, so all of it lies within the ten minutes in which ``answers.flood_messages`` counts; the
bound of a day, ``per_reporter_per_day``, ends what is slower. Mail has more guards: see test_mail_loop.py.
"""

from __future__ import annotations

import asyncio
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
from tests.simulators.modem import Modem, Network

FLOOD = 5
PER_DAY = 7
MATTER = "Jalan di depan sekolah Sukamaju berlubang besar sejak Senin"
ROBOTS = {"sms": "+6281100000099", "twitter": "mesin_99", "email": "mesin@warga.example.org"}
QUICK = AnswerSettings(quiet_hours="", flood_messages=FLOOD)
SLOW = AnswerSettings(quiet_hours="", flood_messages=1000, per_reporter_per_day=PER_DAY)
"""As if the machine took its time: no ten minutes hold more than a few."""

Compose = Callable[[str, int], str]
"""What a machine says to an answer, which is its how manieth."""

MACHINES: dict[str, tuple[Compose, int]] = {
    "thanks": (lambda _heard, _number: "Terima kasih atas pesan Anda.", 2),
    "numbers its answers": (lambda _heard, number: f"Pesan Anda sudah masuk antrean kami, nomor {number}.", FLOOD),
    "echo": (lambda heard, _number: heard, 1),
    "asks for help": (lambda _heard, _number: "BANTUAN", FLOOD),
    "asks for the status": (lambda _heard, _number: "STATUS", FLOOD),
    "goes on and off": (lambda _heard, number: "STOP" if number % 2 else "MULAI", FLOOD),
}
"""Machines that bear no mark, and how many answers they get at most."""


class Robot:
    """Answers every answer, by the channel's own means.

    Args:
        talk: The gateway.
        name: Its address.
        compose: What it says.
    """

    def __init__(self, talk: Talk, name: str, compose: Compose) -> None:
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
            await self._talk.line.answer(self._name, self._compose(text, self._written))
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
    compose, most = MACHINES[machine]
    async with talking(sqlite_url, rabbitmq, channel, tmp_path, QUICK) as talk:
        answers = await Robot(talk, ROBOTS[channel], compose).converse()
        print(channel, machine, answers, await talk.decisions(), talk.line.heard(ROBOTS[channel]))
    assert 1 <= answers <= most


async def test_the_bound_of_a_day_ends_what_is_slow(sqlite_url: str, rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    """Every message is a report all the same."""
    compose, _ = MACHINES["numbers its answers"]
    async with talking(sqlite_url, rabbitmq, "twitter", tmp_path, SLOW) as talk:
        assert await Robot(talk, ROBOTS["twitter"], compose).converse() == PER_DAY
