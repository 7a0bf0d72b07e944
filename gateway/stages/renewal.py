"""Makes what is kept of matters anew after the normaliser has changed: keys of two versions never meet."""

from typing import Final

from gateway.dedup.normalise import VERSION, normalise
from gateway.model import decode_report
from gateway.stages.kinship import NewMatter, matter_rows_of
from gateway.stages.loop import progressed
from gateway.store import Store
from gateway.store import matters as matter_rows
from gateway.store.matters import MatterRow, Outdated

ROWS_AT_ONCE: Final = 500


async def renew_matters(store: Store) -> int:
    """Normalises the reports of the window again whose matters another version has made; returns how many.

    A report whose text is gone is forgotten: nothing can be like it any more.
    """
    total = 0
    async with store.read() as connection:
        if await matter_rows.made_by(connection) == VERSION:
            return total
    more = True
    while more:
        async with store.write() as connection:
            outdated = await matter_rows.outdated(connection, VERSION, ROWS_AT_ONCE)
            await matter_rows.change(connection, {row.report_id: _renewed(row) for row in outdated})
            more = len(outdated) == ROWS_AT_ONCE
            if not more:
                await matter_rows.set_made_by(connection, VERSION)
        total += len(outdated)
        progressed()
    return total


def _renewed(row: Outdated) -> MatterRow | None:
    if row.body is None:
        return None
    report = decode_report(row.body)
    matter = normalise(report.text or report.title or "", report.keyword.normalised if report.keyword else "")
    (renewed,) = matter_rows_of([NewMatter(row.report_id, row.reporter, row.at, matter)])
    return renewed
