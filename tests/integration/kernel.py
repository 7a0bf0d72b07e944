"""Drives the kernel's stages by hand: each step is taken when a test says so, so nothing depends on time."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Row, Table, func, select, update

from gateway.application import Gateway
from gateway.parsing import Parser
from gateway.ports import Publisher, RawMessage
from gateway.settings.model import (
    AnswerSettings,
    ChannelSection,
    PipelineSettings,
    QueueSettings,
    Settings,
    StoreSettings,
)
from gateway.store.migrate import ensure_schema
from gateway.store.tables import answers, messages, outbox, reports
from tests.fakes import FAKE_TYPE, FakeClock, RecordingPublisher, fake_parse

CHANNEL = "fake-1"
PARSERS: Mapping[str, Parser] = {FAKE_TYPE: fake_parse}
PARTS_WAIT_MINUTES = 0.01
"""Of the fake clock. The stage also pauses for a tenth of that in real time."""


def settings_for(
    url: str,
    *,
    batch: int = 400,
    queue: str = "journal:unused",
    channels: Sequence[ChannelSection] = (),
    answers_enabled: bool = True,
    files: str = "/nowhere",
) -> Settings:
    """Settings with short deadlines."""
    return Settings(
        store=StoreSettings(url=url, files=files),
        queue=QueueSettings(url=queue, publish_timeout=2, connect_timeout=5, retry_cap=0.2),
        pipeline=PipelineSettings(
            batch=batch, parts_wait_minutes=PARTS_WAIT_MINUTES, parse_timeout=0.5, stop_timeout=5
        ),
        answers=AnswerSettings(enabled=answers_enabled),
        channels={section.name: section for section in channels},
    )


class Kernel:
    """A gateway whose stages are stepped by hand."""

    def __init__(self, gateway: Gateway, clock: FakeClock) -> None:
        self.gateway = gateway
        self.clock = clock
        self.store = gateway.store

    async def receive(self, *batch: RawMessage, channel: str = CHANNEL, channel_type: str = FAKE_TYPE) -> list[str]:
        """Takes one batch into custody; returns the ids of its messages."""
        commit = asyncio.create_task(self.gateway.custody.commit(channel, channel_type, batch))
        await asyncio.sleep(0)
        await self.gateway.custody.step()
        return list((await commit).ids)

    async def process(self) -> None:
        """Processes until nothing waits."""
        while await self.count(messages, state="received"):
            self.clock.sweep()  # nothing may wait in real time for rows that another gateway wrote
            await self.gateway.process.step()

    async def assemble_due(self) -> None:
        """Publishes incomplete messages that are due."""
        await self.gateway.process.assemble_due()

    async def publish(self) -> None:
        """Publishes until the outbox has nothing left to publish."""
        while await self.count(outbox, confirmed_at=None, parked_at=None):
            self.clock.sweep()  # an event may wait for an earlier one of its report
            await self.gateway.publish.step()

    async def take(self, *batch: RawMessage, channel: str = CHANNEL, channel_type: str = FAKE_TYPE) -> list[str]:
        """Custody, decision and publication of one batch."""
        ids = await self.receive(*batch, channel=channel, channel_type=channel_type)
        await self.process()
        await self.publish()
        return ids

    async def replay(self, *ids: str) -> None:
        """What the operator's command does: the messages are to be processed once more."""
        await self.change(messages, messages.c.id.in_(ids), state="received")
        self.gateway.process._inbox.fall_behind()  # noqa: SLF001 - another process wrote
        await self.process()

    async def rows(self, table: Table, **where: Any) -> Sequence[Row[Any]]:
        """Rows by equality, oldest first."""
        query = select(table).filter_by(**where).order_by(*table.primary_key)
        async with self.store.read() as connection:
            return (await connection.execute(query)).all()

    async def row(self, table: Table, **where: Any) -> Row[Any]:
        """The only such row."""
        (found,) = await self.rows(table, **where)
        return found

    async def count(self, table: Table, **where: Any) -> int:
        """How many rows there are."""
        query = select(func.count()).select_from(table).filter_by(**where)
        async with self.store.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def change(self, table: Table, where: Any, **values: Any) -> None:
        """Changes rows behind the gateway's back."""
        async with self.store.write() as connection:
            await connection.execute(update(table).where(where).values(**values))

    async def totals(self) -> dict[str, int]:
        """How many rows each table of the happy path holds."""
        return {table.name: await self.count(table) for table in (messages, reports, outbox, answers)}


@asynccontextmanager
async def kernel_on(
    url: str,
    clock: FakeClock,
    publisher: Publisher | None = None,
    parsers: Mapping[str, Parser] = PARSERS,
    settings: Settings | None = None,
) -> AsyncIterator[Kernel]:
    """A gateway on a database, not started; closed at the end as a killed one would be: nothing is finished."""
    gateway = Gateway(
        settings or settings_for(url), clock=clock, publisher=publisher or RecordingPublisher(), parsers=parsers
    )
    await ensure_schema(gateway.store)
    try:
        yield Kernel(gateway, clock)
    finally:
        await gateway._publisher.close()  # noqa: SLF001 - stop() would finish the work
        await gateway.store.close()
