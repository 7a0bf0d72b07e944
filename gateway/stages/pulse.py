"""Whether the gateway makes progress: its event loop, and every stage that all channels need."""

import asyncio
from collections.abc import Sequence
from typing import Final

from gateway.stages.loop import Board

BEAT_SECONDS: Final = 1.0
LOOP_SECONDS: Final = 15.0
"""How long the event loop may stand still: a batch's longest computation takes a tenth of a second."""

TURN_SECONDS: Final = 300.0
"""How long one step of a stage may take without progress. A transaction and a publish are given up after a minute at
most; what lasts longer waits for something that will not come."""

_SHARED: Final = ("custody", "process", "assemble", "publish", "replies")
"""The stages that all channels need. A channel that stands still is its own business: the others go on."""


class Pulse:
    """Feels the gateway's pulse.

    Args:
        board: The steps under way.
        tasks: Everything that runs until it is stopped.
    """

    def __init__(self, board: Board, tasks: Sequence[asyncio.Task[None]]) -> None:
        self._board = board
        self._tasks = tasks
        self._clock = board.clock
        self._beat_at = board.clock.monotonic()

    async def run(self) -> None:
        """Beats until cancelled."""
        while True:
            self._beat_at = self._clock.monotonic()
            await asyncio.sleep(BEAT_SECONDS)

    def problem(self) -> str:
        """What stands still, as a sentence that says what to do; empty while everything moves."""
        if not self._tasks:
            return "The gateway has not started yet."
        ended = next((task.get_name() for task in self._tasks if task.done()), None)
        if ended is not None:
            return f"The task {ended!r} has ended; restart the gateway."
        now = self._clock.monotonic()
        late = now - self._beat_at
        if late > LOOP_SECONDS:
            return f"The event loop stood still for {late:.0f} s; restart the gateway if this lasts."
        for name, turn in self._board.turns.items():
            still = now - turn.moved_at
            if still > TURN_SECONDS and name.partition(" ")[0] in _SHARED:
                return f"The stage {name!r} has stood still for {still:.0f} s; restart the gateway."
        return ""
