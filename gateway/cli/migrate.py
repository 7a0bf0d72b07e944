"""``lapor-gateway migrate``: brings the database to this version's schema."""

import typer

from gateway.cli.common import ConfigOption, run_async, settings_from
from gateway.store import Store
from gateway.store.migrate import migrate as migrate_store


def migrate(config: ConfigOption = None) -> None:
    """Bring the database to the schema of this version, in one transaction."""
    settings = settings_from(config)

    async def work() -> tuple[str | None, str]:
        store = Store(settings.store.url)
        try:
            return await migrate_store(store)
        finally:
            await store.close()

    before, after = run_async(work())
    if before == after:
        typer.echo(f"The database has the schema {after} already.")
    else:
        typer.echo(f"The database went from schema {before or 'none'} to {after}.")
