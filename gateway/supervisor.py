"""Keeps everything running: each channel restarted with a back-off, and apart from all others."""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gateway.clock import to_milliseconds
from gateway.errors import ChannelUnavailable, StoreFull, StoreUnavailable
from gateway.ports import Channel, Health
from gateway.settings import ChannelSection
from gateway.silence import Quiet
from gateway.stages.answer import AnswerStage
from gateway.stages.loop import Backoff, Board, repeat, report_failure
from gateway.stages.receive import Custody, ReceiveStage
from gateway.store import Store, channel_states, leases, orders
from gateway.store.channel_states import ChannelRow
from gateway.store.channel_store import StoredChannel
from gateway.store.leases import Lease
from gateway.store.orders import Order
from gateway.telemetry import Log, logger

HEALTH_SECONDS: Final = 5.0
OPEN_TIMEOUT: Final = 180.0
CLOSE_TIMEOUT: Final = 10.0
LEASE_SECONDS: Final = 15.0
"""How long a source stays with a process that no longer says that it lives."""

PAUSE_SECONDS: Final = 1.0
"""How often is looked whether an operator has paused a channel, or resumed it."""

SEND_GRACE: Final = 60.0
"""Seconds that an answer under way may take before a pause cuts it off."""

_STORE_TROUBLE: Final = (StoreUnavailable, StoreFull)


def with_silence(health: Health, quiet: Quiet | None) -> Health:
    """How a channel is, given that it brings improbably little: a fault that it knows itself explains more."""
    if quiet is None or health.state not in ("up", "degraded"):
        return health
    told = {"odds": quiet.odds, "expected": round(quiet.expected), "count": quiet.count, "en": quiet.sentence_en}
    details = {**health.details, "silence": told | {"id": quiet.sentence}}
    return Health("degraded", health.reason if health.state == "degraded" else quiet.sentence, details)


class _Paused(Exception):
    """An operator has paused the channel."""


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
        answers: Callable[[Channel, Lease | None], AnswerStage],
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
        self._standby = False
        self._answering: AnswerStage | None = None
        self._holder = f"{socket.gethostname()[:32]}:{os.getpid()}:{secrets.token_hex(4)}"

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
        """Runs the channel in a task of its own: a task group can lose a cancellation that comes with an error."""
        work = asyncio.create_task(self._acquire_and_run())
        try:
            await asyncio.wait({work})
        finally:
            work.cancel()
            await asyncio.wait({work})
        error = None if work.cancelled() else work.exception()
        if error is not None:
            self._fail(error)  # whatever a channel does, it is opened anew

    async def _acquire_and_run(self) -> None:
        await self._run_held(await self._admitted())

    async def _run_held(self, lease: Lease | None) -> None:
        state = StoredChannel(self._store, self._name, lease)
        channel: Channel | None = None
        try:
            channel = self._section.plugin.create(self._name, self._section.settings, state)
            if self._component not in self._board.conditions:  # else the reason of the last failure stays
                self._show(Health("down", "Opening."))
            async with asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(self._keep(lease)), tasks.create_task(self._until_paused())]
                await self._open(channel)
                await self._work(channel, lease)
                for task in beside:
                    task.cancel()
        except* _Paused:
            self._backoff.reset()
        finally:
            self._answering = None
            if channel is not None:
                with suppress(Exception):
                    async with asyncio.timeout(CLOSE_TIMEOUT):
                        await channel.close()
            if lease is not None:
                with suppress(Exception):
                    async with asyncio.timeout(CLOSE_TIMEOUT), self._store.write() as connection:
                        await leases.release(connection, lease)

    async def _admitted(self) -> Lease | None:
        """Waits until no operator wants the channel to rest, and this process may read the source."""
        while True:
            async with self._store.read() as connection:
                order = await orders.paused(connection, self._name)
            if order is not None:
                self._standby = False
                self._show_paused(order)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if not self._section.plugin.one_reader:
                return None
            async with self._store.write() as connection:
                lease = await leases.acquire(connection, self._name, self._holder, LEASE_SECONDS)
            self._standby = lease is None
            if lease is not None:
                return lease
            self._show(Health("paused", "Another gateway reads this source; this one takes over when that one dies."))
            await asyncio.sleep(LEASE_SECONDS / 3)

    async def _until_paused(self) -> None:
        """Ends with _Paused once an operator wants the channel to rest, and no answer is under way."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            with suppress(*_STORE_TROUBLE):  # nobody can tell, and the channel goes on
                async with self._store.read() as connection:
                    order = await orders.paused(connection, self._name)
                if order is not None:
                    break
        with suppress(TimeoutError, *_STORE_TROUBLE):
            async with asyncio.timeout(SEND_GRACE):
                if self._answering is not None:
                    await self._answering.rest()
        raise _Paused

    async def _keep(self, lease: Lease | None) -> None:
        """Says again and again that this process lives. Ends with LeaseLost when another one took over."""
        while lease is not None:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(*_STORE_TROUBLE):  # what is written meanwhile fails as well, and says why
                async with self._store.write() as connection:
                    await leases.renew(connection, lease, LEASE_SECONDS)

    async def _open(self, channel: Channel) -> None:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                await channel.open()
        except TimeoutError as error:
            message = f"The channel did not open within {OPEN_TIMEOUT:g} s."
            raise ChannelUnavailable(message) from error

    async def _work(self, channel: Channel, lease: Lease | None) -> None:
        receive = ReceiveStage(self._name, self._section.settings.type, channel, self._custody, lease)
        answers = self._answering = self._answers(channel, lease)

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

    def _fail(self, error: BaseException) -> None:
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
        health = with_silence(health, self._board.quiet.get(self._name))
        self._last_health = health
        self._board.metrics.channel_up.labels(self._name).set(health.state == "up")
        if self._board.report(self._component, health.state, health.reason):
            logger.info(Log.CHANNEL_STATE, channel=self._name, state=health.state, reason=health.reason)

    def _show_paused(self, order: Order) -> None:
        reason = f"Paused by {order.operator}" + (f": {order.reason}" if order.reason else ".")
        self._last_health = Health("paused", reason, {})
        self._board.metrics.channel_up.labels(self._name).set(0)
        if self._board.report(self._component, "paused", reason):
            logger.info(Log.CHANNEL_STATE, channel=self._name, state="paused", reason=reason)

    async def _save_health(self) -> None:
        condition = self._board.conditions.get(self._component)
        if condition is not None and self._last_health is not None and not self._standby:
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
