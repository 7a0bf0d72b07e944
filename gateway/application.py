"""The composition root: wires settings, store, stages, channels and publisher into one running gateway."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from gateway.clock import Clock, SystemClock
from gateway.parsing import Parser
from gateway.plugins import parsers as installed_parsers
from gateway.ports import Channel, OutboxEvent, Publisher
from gateway.publishers import make_publisher, make_replies
from gateway.settings import ChannelSection, Settings
from gateway.stages.answer import AnswerStage
from gateway.stages.handover import BATCH_BYTES, Handover
from gateway.stages.loop import Board, repeat
from gateway.stages.process import ProcessStage
from gateway.stages.publish import LANES, PublishStage
from gateway.stages.pulse import Pulse
from gateway.stages.quiet import SilenceStage
from gateway.stages.rates import RateStage
from gateway.stages.receive import Custody
from gateway.stages.replies import ReplyStage
from gateway.stages.retain import RetainStage
from gateway.stages.understand import Understanding
from gateway.store import Store
from gateway.store import messages as message_rows
from gateway.store import outbox as outbox_rows
from gateway.store.leases import Lease
from gateway.store.messages import StoredMessage
from gateway.store.migrate import ensure_schema
from gateway.supervisor import ChannelRunner
from gateway.telemetry import Log, Metrics, logger

HANDOVER_BATCHES = 8
"""Batches that one stage may be ahead of the next in memory."""

LAST_MOMENT = 2.0
"""Seconds for whatever is cut off to let go of the database."""

_CHANNEL = "channel "
"""How the names of the channels' tasks begin."""


class Gateway:
    """One gateway process: everything that ``lapor-gateway run`` starts, but for the console.

    Args:
        settings: The validated settings.
        clock: What time it is.
        publisher: The queue; made from the settings where left out.
        parsers: By channel type; the installed ones where left out.
        store: The database; opened by the settings where left out.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        publisher: Publisher | None = None,
        parsers: Mapping[str, Parser] | None = None,
        store: Store | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.metrics = Metrics()
        self.board = Board(self.clock, self.metrics)
        self.store = store or Store(settings.store.url, settings.store.files)
        self._publisher = publisher or make_publisher(settings.queue)
        self._replies = make_replies(settings.queue)
        self._tasks: list[asyncio.Task[None]] = []
        self.pulse = Pulse(self.board, self._tasks)
        self._wire(dict(parsers if parsers is not None else installed_parsers()))

    def _wire(self, parsers: Mapping[str, Parser]) -> None:
        settings, batch = self.settings, self.settings.pipeline.batch
        profiles = {name: section.settings.profile() for name, section in settings.channels.items()}
        self._answer_wanted = {name: asyncio.Event() for name in settings.channels}
        self._events = Handover[OutboxEvent](self._read_outbox, batch * HANDOVER_BATCHES, self.clock)
        self._inbox = Handover[StoredMessage](
            self._read_inbox, batch * HANDOVER_BATCHES, self.clock, lambda message: len(message.raw)
        )
        self.understanding = Understanding(parsers, profiles, settings.pipeline.parse_timeout)
        self.custody = Custody(self.store, self._inbox, batch, self.clock, self.metrics)
        self.process = ProcessStage(
            store=self.store,
            settings=settings,
            understanding=self.understanding,
            inbox=self._inbox,
            to_publish=self._events,
            answer_wanted=self._answer_wanted,
            clock=self.clock,
            metrics=self.metrics,
        )
        keep, window = timedelta(days=settings.store.keep_days), timedelta(days=settings.dedup.window_days)
        self.retain = RetainStage(self.store, keep, window, self.clock)
        self.publish = PublishStage(self.store, self._publisher, self._events, batch, self.clock, self.metrics)
        self.replies = self._reply_stage()
        self.rates = RateStage(self.store, self.board, self.clock, list(settings.channels))
        self.silence = SilenceStage(self.store, settings, self.board, self.clock)

    def _reply_stage(self) -> ReplyStage | None:
        """What answers citizens for the core; None where the queue is a journal, by which nobody can reply."""
        if self._replies is None:
            return None
        return ReplyStage(
            store=self.store,
            queue=self._replies,
            settings=self.settings,
            answer_wanted=self._answer_wanted,
            to_publish=self._events,
            clock=self.clock,
            metrics=self.metrics,
        )

    async def _read_inbox(self, limit: int, besides: Any) -> list[StoredMessage]:  # noqa: ANN401 - a collection
        async with self.store.read() as connection:
            return await message_rows.unprocessed(connection, limit, BATCH_BYTES, besides=besides)

    async def _read_outbox(self, limit: int, besides: Any) -> list[OutboxEvent]:  # noqa: ANN401 - a collection
        async with self.store.read() as connection:
            return await outbox_rows.pending(connection, limit, besides)

    async def start(self) -> None:
        """Starts everything, the last stage first, so that nothing is handed to a stage that is not there.

        Raises:
            NeedsOperator: The database is in use, of another schema, or not durable.
            StoreUnavailable: The database does not answer.
        """
        self.store.own()
        await ensure_schema(self.store)
        await self.store.check_durability()
        cap = self.settings.queue.retry_cap
        for lane in range(LANES):
            self._run(f"publish {lane + 1}", repeat(f"publish {lane + 1}", self.publish.step, self.board, cap=cap))
        self._run("process", repeat("process", self.process.step, self.board))
        self._run("assemble", repeat("assemble", self.process.assemble_due, self.board))
        self._run("retention", repeat("retention", self.retain.step, self.board))
        self._run("rates", repeat("rates", self.rates.step, self.board))
        self._run("silence", repeat("silence", self.silence.step, self.board))
        self._run("custody", repeat("custody", self.custody.step, self.board))
        if self.replies is not None:
            self._run("replies", repeat("replies", self.replies.step, self.board, cap=cap))
        for section in self.settings.channels.values():
            self._run(f"{_CHANNEL}{section.name}", self._runner(section).run())
        self._run("pulse", self.pulse.run())
        logger.info(Log.STARTED, channels=len(self.settings.channels))

    def _run(self, name: str, work: Any) -> None:  # noqa: ANN401 - a coroutine
        self._tasks.append(asyncio.create_task(work, name=name))

    def _runner(self, section: ChannelSection) -> ChannelRunner:
        answers = partial(
            _answer_stage,
            section=section,
            gateway=self,
            wanted=self._answer_wanted[section.name],
        )
        return ChannelRunner(section, self.custody, answers, self.store, self.board)

    def look_again(self, channel: str | None = None) -> None:
        """Somebody else wrote to the database: messages to process, or answers for a channel. It is read at once."""
        self._inbox.fall_behind()
        if channel in self._answer_wanted:
            self._answer_wanted[channel].set()

    async def stop(self) -> None:
        """Stops everything in reverse, within ``pipeline.stop_timeout``. What is undone is done at the next start."""
        channels = [task for task in self._tasks if task.get_name().startswith(_CHANNEL)]
        stages = [task for task in self._tasks[LANES:] if task not in channels]
        try:
            async with asyncio.timeout(self.settings.pipeline.stop_timeout):
                await _cancel(channels)
                await _cancel(stages)
                await self.publish.finish()
                await _cancel(self._tasks[:LANES])
                await self.rates.finish()
        except TimeoutError:
            logger.warning(Log.STOP_TIMEOUT)
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=LAST_MOMENT)
        await self._publisher.close()
        if self._replies is not None:
            await self._replies.close()
        await self.store.close()
        logger.info(Log.STOPPED)


def _answer_stage(
    channel: Channel, lease: Lease | None, *, section: ChannelSection, gateway: Gateway, wanted: asyncio.Event
) -> AnswerStage:
    return AnswerStage(
        section.name,
        channel,
        after_crash=section.plugin.after_crash,
        wanted=wanted,
        store=gateway.store,
        settings=gateway.settings.answers,
        clock=gateway.clock,
        metrics=gateway.metrics,
        lease=lease,
    )


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancels tasks together and waits for their end, however they end."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
