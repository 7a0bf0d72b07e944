"""Repeats that reach two gateways at once, and matters that another gateway commits late."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from gateway.clock import to_milliseconds
from gateway.identifiers import uuid7
from gateway.model import decode_report
from gateway.parsing import Profile
from gateway.stages.kinship import matter_row
from gateway.store import matters as matter_rows
from gateway.store.tables import messages, reports
from tests.fakes import FakeClock, fake_message, fake_parse, fake_raw
from tests.integration.kernel import Kernel, kernel_on
from tests.soak.race import race

TRIES: Final = 50
MATTER: Final = "Jembatan gantung Desa Sukamaju putus sejak banjir bandang, anak sekolah memutar jauh"
OTHERS: Final = ("Lampu jalan Merdeka padam", "Sampah pasar Mekarsari menumpuk", "Air PDAM Karangrejo keruh berbau")
WRITER: Final = "+6281100000009"


async def test_a_repeat_that_reaches_two_gateways_at_once_is_one_original_and_one_repeat(postgresql_url: str) -> None:
    assert await asyncio.to_thread(race, postgresql_url, TRIES, 1) == []


@asynccontextmanager
async def committed_late(kernel: Kernel) -> AsyncIterator[str]:
    """A report's matter in a transaction that ends with the block; its number is given at the beginning."""
    report_id, at = uuid7(), to_milliseconds(kernel.clock.now())
    async with kernel.store.write() as connection:
        row = matter_row(report_id, fake_parse([fake_raw(MATTER, WRITER)], Profile()), at)
        await matter_rows.add(connection, [row])
        yield report_id


async def similar_to(kernel: Kernel, external_id: str) -> tuple[str, ...]:
    """What the report of a message resembles."""
    message = await kernel.row(messages, external_id=external_id)
    return tuple(decode_report((await kernel.row(reports, id=message.report_id)).body).similar_to)


@pytest.mark.parametrize("index", ["had been read before", "is read meanwhile"])
async def test_a_matter_whose_number_was_passed_over_is_found_once_it_is_committed(
    postgresql_url: str, clock: FakeClock, index: str
) -> None:
    async with kernel_on(postgresql_url, clock) as kernel, kernel_on(postgresql_url, clock) as other:
        if index == "had been read before":
            await kernel.take(fake_message("0", OTHERS[0], "+6281100000001"))
        async with committed_late(other) as report_id:
            await other.take(fake_message("1", OTHERS[1], "+6281100000002"))  # a higher number, committed before
            await kernel.take(fake_message("2", OTHERS[2], "+6281100000003"))
        await kernel.take(fake_message("3", MATTER, "+6281100000004"))
        assert await similar_to(kernel, "3") == (report_id,)
