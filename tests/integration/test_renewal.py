"""A new version of the normaliser makes what is kept of matters anew, once."""

from collections.abc import AsyncIterator

import pytest

from gateway.dedup.normalise import VERSION
from gateway.stages.renewal import renew_matters
from gateway.store.matters import made_by
from gateway.store.tables import matters, messages, reports
from tests.fakes import FakeClock, fake_message
from tests.integration.kernel import Kernel, kernel_on

_ROAD = "Jalan rusak di depan pasar Mekarsari RT 05"


@pytest.fixture
async def kernel(store_url: str) -> AsyncIterator[Kernel]:
    """A gateway without channels, on both databases."""
    async with kernel_on(store_url, FakeClock()) as kernel:
        yield kernel


async def test_matters_of_another_version_are_made_anew(kernel: Kernel) -> None:
    """What was reported before the upgrade is still recognised after it."""
    await kernel.take(fake_message("a", _ROAD))
    await kernel.change(matters, matters.c.number > 0, version=VERSION - 1, words="", sketch=b"")
    async with kernel.store.write() as connection:
        await connection.exec_driver_sql("DELETE FROM watermarks WHERE name = 'matters version'")
    assert await renew_matters(kernel.store) == 1
    row = await kernel.row(matters)
    assert (row.version, row.words) == (VERSION, "jalan rusak di depan pasar mekarsari rt5")
    assert await renew_matters(kernel.store) == 0
    await kernel.take(fake_message("b", _ROAD))
    assert {each.decision for each in await kernel.rows(messages)} == {"report", "repeat"}


async def test_a_report_whose_text_is_gone_is_forgotten(kernel: Kernel) -> None:
    """Nothing can be like it any more."""
    await kernel.take(fake_message("a", _ROAD))
    await kernel.change(matters, matters.c.number > 0, version=VERSION - 1)
    await kernel.change(reports, reports.c.sequence > 0, body=None)
    async with kernel.store.write() as connection:
        await connection.exec_driver_sql("DELETE FROM watermarks WHERE name = 'matters version'")
    assert await renew_matters(kernel.store) == 1
    assert await kernel.count(matters) == 0
    async with kernel.store.read() as connection:
        assert await made_by(connection) == VERSION
