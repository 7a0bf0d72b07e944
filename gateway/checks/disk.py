"""Looks at the room on every disk that the gateway writes to."""

import os
from pathlib import Path
from typing import Final

from gateway.disks import places
from gateway.findings import Finding, FindingState
from gateway.settings import Settings

_GIB: Final = 1024**3
ENOUGH: Final = 5 * _GIB
TOO_LITTLE: Final = _GIB // 2
"""Bytes: a busy day of mails with pictures is about a gibibyte; with half of one left receiving soon stops."""

ENOUGH_FILES: Final = 10_000


def check_disks(settings: Settings) -> list[Finding]:
    """One line for each disk."""
    disks: dict[int, tuple[Path, list[str]]] = {}
    for place in places(settings):
        folder = place.folder()
        if os.statvfs(folder).f_blocks:  # else it is no disk, and whoever could not write there has said so
            disks.setdefault(folder.stat().st_dev, (folder, []))[1].append(place.setting)
    return [_look(folder, settings_there) for folder, settings_there in disks.values()]


def _look(folder: Path, settings_there: list[str]) -> Finding:
    figures = os.statvfs(folder)
    free = figures.f_bavail * figures.f_frsize
    names = ", ".join(settings_there)
    room = f"{free / _GIB:.1f} GiB are free at {folder}"
    state: FindingState = "ok" if free >= ENOUGH else "weak" if free >= TOO_LITTLE else "failed"
    if state != "ok":
        return Finding("disk", state, f"{names}: {room}: free some space; when it is full, receiving stops.")
    if figures.f_files and figures.f_favail < ENOUGH_FILES:
        return Finding("disk", "weak", f"{names}: {room}, but for {figures.f_favail} files only: remove some.")
    return Finding("disk", "ok", f"{room} ({names}).")
