"""Stage 2, PROCESS: parse, decide, and write report, outbox and receipt in one transaction."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from gateway.clock import Clock
from gateway.errors import NeedsOperator
from gateway.parsing import Parsed
from gateway.ports import OutboxEvent
from gateway.settings import Settings
from gateway.stages import assembly
from gateway.stages.decide import BatchDecision, Understood
from gateway.stages.handover import Handover
from gateway.stages.kinship import Kinship
from gateway.stages.loop import frames, progressed
from gateway.stages.renewal import renew_matters
from gateway.stages.understand import Understanding, Unparsable
from gateway.stages.writes import Writes
from gateway.store import Store
from gateway.store import messages as message_rows
from gateway.store.engine import blames_a_value
from gateway.store.messages import StoredMessage
from gateway.telemetry import Log, Metrics, logger

DEATHS_TO_QUARANTINE = 3
"""Deaths of the process with one message alone in hand, after which that message is quarantined."""


class ProcessStage:
    """Decides what each message is.

    Args:
        store: The database.
        settings: For batches, parts and receipts.
        understanding: The parsers.
        inbox: Messages in custody.
        to_publish: Where events are handed on.
        answer_wanted: Set for a channel's name when it has something to send.
        clock: Tells the time of the decision.
        metrics: Counts.
    """

    def __init__(  # noqa: PLR0913 - each is a part of the machine, wired once
        self,
        *,
        store: Store,
        settings: Settings,
        understanding: Understanding,
        inbox: Handover[StoredMessage],
        to_publish: Handover[OutboxEvent],
        answer_wanted: dict[str, asyncio.Event],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._settings = settings
        self._understanding = understanding
        self._inbox = inbox
        self._to_publish = to_publish
        self._answer_wanted = answer_wanted
        self._clock = clock
        self._metrics = metrics
        self._first_batch = True
        self._alone: str | None = None
        self._broken_groups: dict[str, str] = {}
        self._renewed = False
        self._kinship = Kinship(timedelta(days=settings.dedup.window_days), clock)

    async def step(self) -> None:
        """Takes one batch through."""
        await self._take_back_death()
        batch = await self._inbox.take(self._settings.pipeline.batch)
        try:
            if self._first_batch:
                # A process that died may have died of one of these: each is taken alone, with its attempt on record.
                for message in batch:
                    await self._process_alone(message)
                    progressed()
                self._first_batch = False
            elif batch:
                await self._process_together(batch)
        except BaseException:
            self._inbox.fall_behind()
            raise

    async def _process_alone(self, message: StoredMessage) -> None:
        async with self._store.write() as connection:
            if not await message_rows.claim(connection, [message]):
                return  # another gateway has it in hand, or an older one that it has to wait for
            await message_rows.count_death(connection, message.id, +1)
        self._alone = message.id
        try:
            await self._process_by_itself(message)
        except (Exception, asyncio.CancelledError):  # the process lives: whatever failed, it was no death
            await self._take_back_death()
            raise
        self._alone = None

    async def _take_back_death(self) -> None:
        """What was counted before a message was taken in hand alone; kept in mind while the database is away."""
        if self._alone is not None:
            async with self._store.write() as connection:
                await message_rows.count_death(connection, self._alone, -1)
            self._alone = None

    async def _process_together(self, batch: Sequence[StoredMessage]) -> None:
        try:
            await self.process(batch)
        except Exception as error:
            if not blames_a_value(error):
                raise
            for message in batch:
                await self._process_by_itself(message)
                progressed()

    async def _process_by_itself(self, message: StoredMessage) -> None:
        """What the decision about one message raises is held against that message alone."""
        try:
            await self.process([message])
        except Exception as error:
            if not blames_a_value(error):
                raise
            await self._write([(message, Unparsable(_blame(error, message=message.id)))])

    async def process(self, batch: Sequence[StoredMessage]) -> None:
        """Decides a batch in one transaction and wakes the stages behind."""
        await self._write([(message, self._understand(message)) for message in batch])

    async def _write(self, understood: Sequence[Understood]) -> None:
        batch = [message for message, _parsed in understood]
        await self._keep_files(understood)
        await self._prepare()
        writes = Writes(self._clock.now())
        with self._metrics.commit_seconds.labels("process").time():
            async with self._store.write() as connection:
                claimed = {message.id for message in await message_rows.claim(connection, batch)}
                await self._decision(writes).decide(connection, [pair for pair in understood if pair[0].id in claimed])
                await writes.flush(connection)
        self._hand_on(writes)

    async def _prepare(self) -> None:
        """Everything that a decision looks at is there, and of this version."""
        if not self._renewed:
            await renew_matters(self._store)
            self._renewed = True
        await self._kinship.prepare(self._store)

    async def _keep_files(self, understood: Sequence[Understood]) -> None:
        """Files are there before anything speaks of them."""
        for _message, parsed in understood:
            if isinstance(parsed, Parsed) and parsed.files:
                try:
                    await asyncio.to_thread(self._store.files.put, parsed.files)
                except OSError as error:
                    message = f"store.files: the folder cannot be written to ({error.strerror}); make room, or mend it."
                    raise NeedsOperator(message) from error

    async def assemble_due(self) -> None:
        """Publishes what has come of messages whose other parts stay away."""
        try:
            await self._assemble(self._settings.pipeline.batch, [])
        except Exception as error:
            if not blames_a_value(error):
                raise
            await self._assemble_one_by_one()
        await asyncio.sleep(min(1.0, self._settings.pipeline.parts_wait_minutes * 6))

    async def _assemble(self, limit: int, taken: list[str]) -> None:
        """Decides groups that are due; ``taken`` gets their ids, even when it fails."""
        await self._prepare()
        writes = Writes(self._clock.now())
        async with self._store.write() as connection:
            groups = await assembly.due(connection, writes.at, limit)
            taken += [each.group.id for each in groups]
            if groups:
                await self._decision(writes).decide_groups(connection, groups)
                await writes.flush(connection)
        self._hand_on(writes)

    async def _assemble_one_by_one(self) -> None:
        """Sets the group aside whose decision raises, and decides the others."""
        blamed: set[str] = set()
        while True:
            taken: list[str] = []
            try:
                await self._assemble(1, taken)
            except Exception as error:
                if not blames_a_value(error) or taken[0] in blamed:
                    raise
                blamed.add(taken[0])
                self._broken_groups[taken[0]] = _blame(error, group=taken[0])
            if not taken:
                return
            progressed()

    def _understand(self, message: StoredMessage) -> Parsed | Unparsable:
        if message.deaths >= DEATHS_TO_QUARANTINE:
            return Unparsable(f"The gateway died {message.deaths} times with this message in hand.")
        return self._understanding.parse(message.channel, message.channel_type, [message.raw], message.id)

    def _decision(self, writes: Writes) -> BatchDecision:
        return BatchDecision(self._settings, self._understanding, writes, self._broken_groups, self._kinship)

    def _hand_on(self, writes: Writes) -> None:
        for group_id in writes.settled:
            self._broken_groups.pop(group_id, None)
        for (channel, decision), count in writes.decided.items():
            self._metrics.decided.labels(channel, decision).inc(count)
        self._metrics.similar.inc(writes.similar)
        self._metrics.index.set(len(self._kinship.index))
        first = writes.first_events()
        self._to_publish.offer(first)
        if len(writes.published) > len(first):
            self._to_publish.fall_behind()
        for channel in writes.answering:
            if channel in self._answer_wanted:
                self._answer_wanted[channel].set()


def _blame(error: Exception, **about: str) -> str:
    """Logs a failure of ours on one message, or on one group of parts; returns the reason for its quarantine."""
    name = type(error).__name__
    logger.warning(Log.STAGE_CRASHED, **about, component="process", error=name, frames=frames(error))
    return f"The gateway failed on this message ({name}); send the raw message to the developers."
