"""Keeps the service manager informed while the gateway runs, and silent once it stands still: then it is restarted."""

import asyncio
from typing import Final

from gateway.application import Gateway
from gateway.notify import ServiceManager

STATUS_SECONDS: Final = 10.0
"""How often the status is told where no watchdog waits."""

SIGNS_IN_AN_INTERVAL: Final = 4
"""How many signs of life each interval of the watchdog gets: one that is late must not end the process."""


async def keep_informed(gateway: Gateway, manager: ServiceManager) -> None:
    """Runs until cancelled.

    Args:
        gateway: Whose pulse is told: a sign of life goes out only while everything moves.
        manager: Who is told.
    """
    interval = manager.watchdog_seconds
    pause = STATUS_SECONDS if interval is None else min(STATUS_SECONDS, interval / SIGNS_IN_AN_INTERVAL)
    while True:
        problem = gateway.pulse.problem()
        if problem or interval is None:
            manager.status(problem or status_of(gateway))
        else:
            manager.alive(status_of(gateway))
        await asyncio.sleep(pause)


def status_of(gateway: Gateway) -> str:
    """How the gateway is, in one line: how many channels are up, and what is wrong with the first that is not."""
    conditions = gateway.board.conditions
    names = list(gateway.settings.channels)
    wrong = [
        (name, condition)
        for name in names
        if (condition := conditions.get(f"channel {name}")) is None or condition.state != "up"
    ]
    line = f"{len(names) - len(wrong)} of {len(names)} channels up"
    for name, condition in wrong[:1]:
        line += f"; {name}: {condition.state} ({condition.reason})" if condition else f"; {name}: opening"
    for name, condition in conditions.items():
        if not name.startswith(("channel ", "receive ", "answer ", "health ")) and condition.state != "up":
            return f"{line}; {name}: {condition.state} ({condition.reason})"
    return line
