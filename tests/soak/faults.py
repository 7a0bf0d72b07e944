"""Faults of neighbours: a thread that kills, freezes and brings back a server while the gateway works."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from tests.services import Service
from tests.services.rabbitmq import RabbitMQ
from tests.soak.intake import QUEUES

_SETTLE_SECONDS = 120.0
Fault = Callable[[], None]


class FaultThread(threading.Thread):
    """Does one fault after another until it is stopped; leaves the server running.

    Args:
        name: What the figures call it.
        faults: By name; each ends with everything in order again.
        random: Shuffles the faults, and decides on the pauses between them.
        pause: The shortest and the longest pause in seconds.
        plan: The order of the faults; where left out, all of them in turn, each time in another order.
    """

    def __init__(
        self,
        name: str,
        faults: dict[str, Fault],
        random: Random,
        *,
        pause: tuple[float, float],
        plan: Sequence[str] = (),
    ) -> None:
        super().__init__(name=f"faults of {name}", daemon=True)
        self.done: Counter[str] = Counter()
        self.error: Exception | None = None
        self._title = name
        self._faults = faults
        self._random = random
        self._pause = pause
        self._plan = list(plan)
        self._planned = bool(plan)
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """Strikes until asked to stop, or until the plan is done."""
        try:
            while not self._stop_asked.wait(self._random.uniform(*self._pause)):
                if not self._plan:
                    if self._planned:
                        return
                    self._plan = self._random.sample(sorted(self._faults), len(self._faults))
                name = self._plan.pop(0)
                self._faults[name]()
                self.done[name] += 1
        except Exception as error:  # noqa: BLE001 - a thread's error has to reach the verdict
            self.error = error

    def check(self) -> bool:
        """True as long as nothing went wrong; raises what did."""
        if self.error is not None:
            raise self.error
        return True

    def finish(self, seconds: float = 300.0) -> dict[str, object]:
        """Lets the current fault end (and the plan, if there is one); returns figures for the verdict."""
        if not self._planned:
            self._stop_asked.set()
        self.join(seconds)
        self.check()
        if self.is_alive():
            message = f"{self.name} did not end within {seconds:g} s"
            raise TimeoutError(message)
        return {f"{self._title}: {name}": count for name, count in sorted(self.done.items())}


def broker_faults(broker: RabbitMQ, random: Random) -> dict[str, Fault]:
    """SIGKILL and a freeze that is longer than every deadline which the gateway has towards a broker."""

    def kill() -> None:
        broker.kill()
        time.sleep(random.uniform(0.0, 3.0))
        broker.restart()
        settle(broker)

    return {"kill": kill, "freeze": lambda: freeze(broker, random.uniform(2.0, 14.0))}


def database_faults(database: Service, random: Random) -> dict[str, Fault]:
    """SIGKILL, an orderly restart under load, and a freeze."""

    def kill() -> None:
        database.kill()
        time.sleep(random.uniform(0.0, 3.0))
        database.restart()

    return {"kill": kill, "restart": database.restart, "freeze": lambda: freeze(database, random.uniform(1.0, 8.0))}


def freeze(service: Service, seconds: float) -> None:
    """Halts a server for a while, its connections open."""
    service.freeze()
    try:
        time.sleep(seconds)
    finally:
        service.thaw()


def settle(broker: RabbitMQ) -> None:
    """Returns when the gateway's queues stand and a kill of the broker can no longer break them."""
    for queue in QUEUES:
        broker.settle(queue, seconds=_SETTLE_SECONDS)
