"""The places that the gateway writes to, and the folders by which their disks are found."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from gateway.settings import Settings

_JOURNAL: Final = "journal:"


@dataclass(frozen=True, slots=True)
class Place:
    """A place on a disk. ``name`` is what the console and the metrics call it, ``setting`` what says where it is."""

    name: str
    setting: str
    path: Path

    def folder(self) -> Path:
        """The path itself, or the nearest folder above it that is there."""
        path = self.path.absolute()
        return next((each for each in (path, *path.parents) if each.is_dir()), Path("/"))


def places(settings: Settings) -> Iterator[Place]:
    """The database and the journal where they are embedded, and the files."""
    url = make_url(settings.store.url)
    if url.get_backend_name() == "sqlite" and url.database:
        yield Place("database", "store.url", Path(url.database))
    yield Place("files", "store.files", Path(settings.store.files))
    if settings.queue.url.startswith(_JOURNAL):
        yield Place("journal", "queue.url", Path(settings.queue.url.removeprefix(_JOURNAL)))
