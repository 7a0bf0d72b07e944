"""Keeps everything running: each channel restarted with a back-off, and apart from all others."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gateway.clock import to_milliseconds
from gateway.errors import ChannelUnavailable, StoreFull, StoreUnavailable
from gateway.ports import Channel, Health
from gateway.settings import ChannelSection
from gateway.stages.answer import AnswerStage
from gateway.stages.loop import Backoff, Board, repeat, report_failure
from gateway.stages.receive import Custody, ReceiveStage
from gateway.store import Store, channel_states
from gateway.store.channel_states import ChannelRow
from gateway.telemetry import Log, logger

HEALTH_SECONDS: Final = 5.0
OPEN_TIMEOUT: Final = 180.0
CLOSE_TIMEOUT: Final = 10.0
_STORE_TROUBLE: Final = (StoreUnavailable, StoreFull)


class ChannelRunner:
    """Opens one channel, runs its stages, and opens it anew when it fails.

    Args:
        section: The channel's name, plug-in and settings.
        custody: Where it delivers.
        answers: Makes the stage that sends its answers.
        store: Where its state is kept for the console and the command line.
        board: Where its condition is shown.
    """

    def __init__(
        self,
        section: ChannelSection,
        custody: Custody,
        answers: Callable[[Channel], AnswerStage],
        store: Store,
        board: Board,
    ) -> None:
        self._section = section
        self._custody = custody
        self._answers = answers
        self._store = store
        self._board = board
        self._name = section.name
        self._backoff = Backoff(first=0.5)
        self._last_health: Health | None = None

    async def run(self) -> None:
        """Runs until cancelled."""
        health = asyncio.create_task(repeat(f"health {self._name}", self._save_health, self._board))
        try:
            while True:
                await self._run_once()
                await asyncio.sleep(self._backoff.next())
        finally:
            health.cancel()
            with suppress(asyncio.CancelledError):
                await health

    async def _run_once(self) -> None:
        self._channel = self._section.plugin.create(self._name, self._section.settings)
        try:
            if self._component not in self._board.conditions:  # else the reason of the last failure stays
                self._show(Health("down", "Opening."))
            await self._open(self._channel)
            await self._work(self._channel)
        except* Exception as group:  # noqa: BLE001 - whatever a channel does, it is opened anew
            self._fail(group)
        finally:
            with suppress(Exception):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._channel.close()

    async def _open(self, channel: Channel) -> None:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                await channel.open()
        except TimeoutError as error:
            message = f"The channel did not open within {OPEN_TIMEOUT:g} s."
            raise ChannelUnavailable(message) from error

    async def _work(self, channel: Channel) -> None:
        receive = ReceiveStage(self._name, self._section.settings.type, channel, self._custody)
        answers = self._answers(channel)

        async def receive_step() -> None:
            await receive.step()
            self._backoff.reset()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(repeat(f"receive {self._name}", receive_step, self._board, only=_STORE_TROUBLE))
            tasks.create_task(repeat(f"answer {self._name}", answers.step, self._board, only=_STORE_TROUBLE))
            tasks.create_task(self._watch(channel))

    async def _watch(self, channel: Channel) -> None:
        while True:
            self._show(await channel.health())
            await asyncio.sleep(HEALTH_SECONDS / 5)

    def _fail(self, group: BaseExceptionGroup[Exception]) -> None:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, Exception):
            report_failure(self._component, error, self._board)
        condition = self._board.conditions[self._component]
        self._last_health = Health(condition.state, condition.reason, {})

    @property
    def _component(self) -> str:
        return f"channel {self._name}"

    def _show(self, health: Health) -> None:
        receiving = self._board.conditions.get(f"receive {self._name}")
        if receiving is not None and receiving.state != "up":
            health = Health(receiving.state, receiving.reason, health.details)
        self._last_health = health
        self._board.metrics.channel_up.labels(self._name).set(health.state == "up")
        if self._board.report(self._component, health.state, health.reason):
            logger.info(Log.CHANNEL_STATE, channel=self._name, state=health.state, reason=health.reason)

    async def _save_health(self) -> None:
        condition = self._board.conditions.get(self._component)
        if condition is not None and self._last_health is not None:
            row = ChannelRow(
                name=self._name,
                type=self._section.settings.type,
                state=condition.state,
                reason=condition.reason,
                since=to_milliseconds(condition.since),
                last_message_at=self._custody.last_message_at.get(self._name),
                details=self._last_health.details,
                updated_at=to_milliseconds(self._board.clock.now()),
            )
            async with self._store.write() as connection:
                await channel_states.save(connection, row)
        await asyncio.sleep(HEALTH_SECONDS)
