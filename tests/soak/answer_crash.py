"""`kill -9` around the sending of answers, at exact moments, many times in a row: who is told twice, who never?

`python -m tests.soak.answer_crash --channel twitter --kills 20`

The gateway kills itself at the moment that it is told (`mortal_gateway`); a new one takes over at once, and so on.
X's simulator, the mail server and the simulated modem count what really went out.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from tests.integration.talk_bench import Line, line_of
from tests.services.rabbitmq import RabbitMQ
from tests.soak.mortal_gateway import VARIABLE, Moment
from tests.soak.process import GatewayProcess, Module, Section

PLACES: Final = (
    "pasar",
    "sekolah",
    "masjid",
    "terminal",
    "puskesmas",
    "balai desa",
    "jembatan",
    "stasiun",
    "kantor pos",
)
CYCLES: Final[dict[str, tuple[Moment, ...]]] = {
    "sms": ("after sending", "after sending", "before sending", "after the commit"),
    "twitter": ("after sending", "before sending", "after looking", "after sending", "after the commit"),
    "email": ("after sending", "before sending", "after the commit"),
}
"""At which moments gateways die, one after the other."""

_NUMBER: Final = re.compile(r"#([0-9]{10})")
_SECONDS: Final = 90.0


@dataclass
class Outcome:
    """What became of the answers of one run.

    Attributes:
        deaths: The moments at which gateways died, in order.
        told: How often each citizen was told of a tracking ID.
        states: The answers' states in the end.
    """

    deaths: list[Moment] = field(default_factory=list)
    told: dict[str, Counter[str]] = field(default_factory=dict)
    states: Counter[str] = field(default_factory=Counter)

    @property
    def times(self) -> list[int]:
        """How often each citizen got the receipt, in the order in which they wrote."""
        return [sum(told.values()) for told in self.told.values()]

    @property
    def doubled(self) -> int:
        """How many receipts went out more than once."""
        return sum(times > 1 for told in self.told.values() for times in told.values())


def citizens(channel: str, count: int) -> list[str]:
    """Invented addresses."""
    pattern = {"sms": "+62811000002{:02}", "twitter": "warga_{:03}", "email": "warga{:02}@warga.example.org"}[channel]
    return [pattern.format(number) for number in range(1, count + 1)]


async def run(channel: str, moments: Sequence[Moment], folder: Path, broker: RabbitMQ) -> Outcome:
    """Has a gateway die at each of these moments in turn, and the last one finish."""
    outcome = Outcome()
    order, store = folder / "moment", f"sqlite:///{folder}/gateway.db"
    async with line_of(channel, folder) as line:
        section = line.section
        gateway = GatewayProcess(
            folder,
            store_url=store,
            queue_url=broker.url,
            channels={section.name: _table(line)},
            module=Module("tests.soak.mortal_gateway", {VARIABLE: str(order)}),
        )
        people = citizens(channel, len(moments) + 2)
        try:
            for place, citizen in enumerate(people):
                await line.write(citizen, f"Lampu jalan padam di depan {PLACES[place % len(PLACES)]} {place}")
            for moment in moments:
                order.write_text(moment)
                gateway.start()
                await _until(lambda: gateway.exit_code() is not None, f"the gateway to die {moment}")
                assert gateway.exit_code() == -9, gateway.log_file.read_text()[-3000:]
                outcome.deaths.append(moment)
            order.write_text("")
            gateway.start()
            await _until(lambda: _settled(folder / "gateway.db", len(people)), "every answer to be settled")
            gateway.stop()
        finally:
            gateway.close()
        outcome.told = {citizen: Counter(_numbers(line.heard(citizen))) for citizen in people}
        outcome.states = Counter(_states(folder / "gateway.db"))
    return outcome


def _table(line: Line) -> Section:
    """The section as the settings file has it."""
    settings = line.section.settings
    table = settings.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        if hasattr(value, "get_secret_value"):
            table[name] = value.get_secret_value()
    return table


def _numbers(texts: Sequence[str]) -> Iterator[str]:
    return (match[1] for text in texts if (match := _NUMBER.search(text)))


def _states(database: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT state FROM answers")]


def _settled(database: Path, count: int) -> bool:
    states = _states(database)
    return len(states) == count and not {"queued", "sending", "unsure"} & set(states)


async def _until(condition: object, what: str) -> None:
    assert callable(condition)
    try:
        async with asyncio.timeout(_SECONDS):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        message = f"waited {_SECONDS:g} s in vain for {what}"
        raise RuntimeError(message) from None


def faults(channel: str, outcome: Outcome) -> list[str]:
    """What of the promise is broken.

    X and mail: nobody is told twice. SMS: at most twice, and not more of them than gateways that died after sending.
    On X everybody is told; of mails and SMS those may be missing that were under way at a death.
    """
    found: list[str] = []
    most = 2 if channel == "sms" else 1
    if max(outcome.times) > most:
        found.append(f"told more often than {most} times: {outcome.times}")
    if outcome.doubled > outcome.deaths.count("after sending"):
        found.append(f"{outcome.doubled} doubled, {outcome.deaths.count('after sending')} deaths after sending")
    missing = outcome.times.count(0)
    if missing > (0 if channel == "twitter" else outcome.deaths.count("before sending")):
        found.append(f"{missing} citizens were told nothing")
    if any(len(told) > 1 for told in outcome.told.values()):
        found.append("a citizen was told two tracking IDs")
    under_way = outcome.states["unknown"]
    if under_way > sum(each != "after the commit" for each in outcome.deaths) or (channel == "twitter" and under_way):
        found.append(f"{under_way} answers are unknown")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it, prints the figures, and returns 1 when the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--channel", choices=tuple(CYCLES), action="append")
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args(arguments)
    broken = 0
    with RabbitMQ() as broker:
        for channel in options.channel or CYCLES:
            with tempfile.TemporaryDirectory(prefix="lapor-soak-") as folder:
                moments = list(islice(cycle(CYCLES[channel]), options.kills))
                outcome = asyncio.run(run(channel, moments, Path(folder), broker))
            found = faults(channel, outcome)
            broken += len(found)
            figures = f"{len(outcome.deaths)} kills, {len(outcome.times)} citizens, told {sorted(outcome.times)}"
            sys.stdout.write(f"{channel}: {figures}, {dict(outcome.states)}, faults: {found}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
