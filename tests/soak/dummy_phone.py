"""Thousands of SMS through Gammu's dummy phone while the gateway is killed again and again.

`python -m tests.soak.dummy_phone --messages 5000 --kills 20 --store sqlite --broker-faults --seed 1`
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.services import wait_until
from tests.services.postgresql import PostgreSQL
from tests.services.rabbitmq import RabbitMQ
from tests.soak import watch
from tests.soak.citizens import citizens, sms_figures
from tests.soak.conclusion import conclude
from tests.soak.faults import FaultThread, broker_faults, database_faults, settle
from tests.soak.feed import DummyPhone, Feeder
from tests.soak.process import GatewayProcess, Section
from tests.soak.verdict import Verdict

CHANNEL = "sms-1708"
_START_SECONDS = 2.5
"""What a gateway needs about until the first message leaves the phone; only spreads the feeding."""

_WORK_SECONDS = 20.0
_CHANNEL: Section = {
    "type": "sms", "number": "1708", "connection": "none", "model": "dummy", "poll_seconds": 0.3,
}  # fmt: skip


@dataclass(frozen=True)
class Life:
    """How long a gateway lives: so many seconds, counted from its start or from when it is seen to work."""

    seconds: float
    at_work: bool = False


@dataclass(frozen=True)
class Plan:
    """What is done to the gateway. Broker faults follow their plan, or come at random where it is empty."""

    messages: int
    kills: int
    seed: int = 1
    broker_faults: bool = True
    broker_plan: Sequence[str] = ()
    broker_pause: tuple[float, float] = (0.5, 5.0)
    database_faults: bool = False
    watched: bool = False
    drain_seconds: float = 900.0
    lives: tuple[Life, ...] = ()
    tell: Callable[[str], None] = lambda _text: None


@dataclass(frozen=True)
class House:
    """The neighbours of one run."""

    folder: Path
    broker: RabbitMQ
    store_url: str
    database: PostgreSQL | None = None


@contextmanager
def house(store: str) -> Iterator[House]:
    """A broker, a database and a folder of their own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lapor-soak-")))
        broker = stack.enter_context(RabbitMQ())
        if store == "sqlite":
            yield House(folder, broker, f"sqlite:///{folder / 'gateway.db'}")
        else:
            database = stack.enter_context(PostgreSQL())
            yield House(folder, broker, database.create_database("lapor"), database)


def run(plan: Plan, house: House) -> Verdict:
    """Carries out the plan; returns what became of it."""
    phone = DummyPhone(house.folder / "phone")
    gateway = GatewayProcess(
        house.folder,
        store_url=house.store_url,
        queue_url=house.broker.url,
        channels={CHANNEL: {**_CHANNEL, "device": str(phone.folder)}},
        module=watch.watched(house.folder) if plan.watched else None,
    )
    try:
        return _run(plan, house, phone, gateway)
    finally:
        gateway.close()


def _run(plan: Plan, house: House, phone: DummyPhone, gateway: GatewayProcess) -> Verdict:
    lives = plan.lives or _lives(plan.kills, Random(f"{plan.seed} kills"))
    begin = time.monotonic()
    gateway.start()
    gateway.wait_up()
    settle(house.broker)
    messages = citizens(plan.messages, Random(f"{plan.seed} citizens"))
    seconds = sum(life.seconds + _START_SECONDS * life.at_work for life in lives)
    feeder = Feeder(phone, messages, plan.messages, seconds, Random(f"{plan.seed} feed"))
    threads = _fault_threads(plan, house)
    for thread in (feeder, *threads):
        thread.start()
    for kill, life in enumerate(lives, start=1):
        if life.at_work:
            _await_work(phone)
        time.sleep(life.seconds)
        gateway.kill()
        gateway.start()
        plan.tell(f"kill {kill}, {len(feeder.fed)} messages fed, {phone.waiting()} SMS in the phone")
    figures: dict[str, object] = {"kills of the gateway": len(lives)}
    for thread in threads:
        figures |= thread.finish()
    fed = feeder.finish(plan.drain_seconds)
    figures["seconds of kills"] = round(time.monotonic() - begin, 1)
    gateway.wait_up()
    wait_until(lambda: not phone.waiting() and gateway.is_idle(), "phone and outbox to be empty", plan.drain_seconds)
    figures["seconds in all"] = round(time.monotonic() - begin, 1)
    verdict = conclude(gateway, house.broker, [sms.report for sms in fed])
    verdict.figures = {**sms_figures(fed), **verdict.figures, **figures}
    if plan.watched:
        verdict.figures |= watch.read_watch(house.folder / watch.FILE).figures()
    return verdict


def _lives(kills: int, random: Random) -> tuple[Life, ...]:
    """One gateway in four dies while it starts, one at any time, the others just after they were seen to work."""
    kinds = (
        lambda: Life(random.uniform(0.3, 2.5)),
        lambda: Life(random.uniform(2.5, 6.0)),
        lambda: Life(random.uniform(0.0, 0.2), at_work=True),
        lambda: Life(random.uniform(0.0, 1.5), at_work=True),
    )
    return tuple(random.choice(kinds)() for _ in range(kills))


def _await_work(phone: DummyPhone) -> None:
    """Waits until messages leave the phone, or there is nothing to wait for."""
    before, give_up = phone.waiting(), time.monotonic() + _WORK_SECONDS
    while time.monotonic() < give_up:
        time.sleep(0.005)
        now = phone.waiting()
        if now < before:
            return
        before = now


def _fault_threads(plan: Plan, house: House) -> list[FaultThread]:
    threads: list[FaultThread] = []
    if plan.broker_faults:
        random = Random(f"{plan.seed} broker")
        faults = broker_faults(house.broker, random)
        threads.append(FaultThread("broker", faults, random, pause=plan.broker_pause, plan=plan.broker_plan))
    if plan.database_faults and house.database is not None:
        random = Random(f"{plan.seed} database")
        faults = database_faults(house.database, random)
        threads.append(FaultThread("database", faults, random, pause=(2.0, 12.0)))
    return threads


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the loop, prints the figures, and returns 1 when the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--broker-faults", action="store_true", help="kill and freeze RabbitMQ meanwhile")
    parser.add_argument("--database-faults", action="store_true", help="kill and freeze PostgreSQL meanwhile")
    parser.add_argument("--watched", action="store_true", help="measure the event loop's callbacks (plain asyncio)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    plan = Plan(
        messages=options.messages,
        kills=options.kills,
        seed=options.seed,
        broker_faults=options.broker_faults,
        database_faults=options.database_faults,
        watched=options.watched,
        tell=lambda text: print(text, file=sys.stderr, flush=True),  # noqa: T201 - how far a long run is
    )
    with house(options.store) as neighbours:
        verdict = run(plan, neighbours)
    sys.stdout.write(verdict.table() + "\n")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
