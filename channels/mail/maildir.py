"""The files of a Maildir: which mails lie there, their bytes, and how one is let go of. Blocks; used in a thread.

A mail is one file. The MTA writes it below ``tmp`` and renames it into ``new``, so that it is complete from the first
moment; whoever has looked at it renames it into ``cur`` and appends ``:2,`` and its flags in ASCII order, S for seen.
Other programs may move mails from ``new`` to ``cur`` without the S: those count as not seen.
"""

import errno
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from channels.mail.identity import KEPT_OF_LARGE, body_start, truncated

FOLDERS: Final = ("tmp", "new", "cur")
_FLAGS: Final = ":2,"
_TIME: Final = re.compile(r"[0-9]{1,12}")
_PIECE: Final = 1 << 20


class Maildir:
    """One Maildir.

    Args:
        path: Its folder.
        release: The setting: ``seen`` or ``move:FOLDER``; the latter is a Maildir++ folder beside the inbox.
    """

    def __init__(self, path: Path, release: str) -> None:
        self.path = path
        folder = release.removeprefix("move:") if release.startswith("move:") else ""
        self._target = path / f".{folder.replace('/', '.')}" if folder else path
        self._moves = bool(folder)

    def make(self) -> None:
        """Makes what is missing. Raises OSError, also where mails could not be moved later."""
        for root in dict.fromkeys((self.path, self._target)):
            root.mkdir(mode=0o700, exist_ok=True)
            for name in FOLDERS:
                (root / name).mkdir(mode=0o700, exist_ok=True)
        for folder in (self.path / "new", self.path / "cur", self._target / "cur"):
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    def changed_at(self) -> tuple[int, ...]:
        """When names in it were changed last, in nanoseconds."""
        return tuple((self.path / name).stat().st_mtime_ns for name in ("new", "cur"))

    def waiting(self) -> list[str]:
        """The names of all mails that were not let go of, oldest first."""
        found: list[str] = []
        for folder in ("new", "cur"):
            with os.scandir(self.path / folder) as entries:
                for entry in entries:
                    seen = folder == "cur" and "S" in entry.name.partition(_FLAGS)[2]
                    if not entry.name.startswith(".") and (self._moves or not seen):
                        found.append(f"{folder}/{entry.name}")
        return sorted(found, key=_age_of)

    def read(self, name: str, max_size: int) -> bytes | None:
        """A mail's bytes, or the first part of a large one's; None when it is gone. Raises OSError if it is none."""
        try:
            descriptor = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            if state.st_size <= max_size:
                return file.read(max_size)
            raw = file.read(KEPT_OF_LARGE)
            start = body_start(raw)
            return truncated(raw[:start], raw[start:] + file.read(start), state.st_size)

    def release(self, name: str) -> None:
        """Lets go of a mail; of one that is gone there is nothing to do. Raises OSError."""
        source = self.path / name
        base, _, flags = source.name.partition(_FLAGS)
        flags = "".join(sorted({*flags, "S"}))
        for number in range(100):
            suffix = f",lapor={number}" if number else ""
            target = self._target / "cur" / f"{base}{suffix}{_FLAGS}{flags}"
            if target == source or _renamed(source, target):
                return
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _renamed(source: Path, target: Path) -> bool:
    """Renames without ever writing over another mail. Whether it is done; False when the name is taken."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileNotFoundError:
        return True
    except FileExistsError:
        with suppress(FileNotFoundError):
            if not target.samefile(source):
                return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV):
            raise
        if target.exists():  # a file system without hard links
            return False
        with suppress(FileNotFoundError):
            source.rename(target)
        return True
    with suppress(FileNotFoundError):
        source.unlink()
    return True


def _age_of(name: str) -> tuple[int, str]:
    """Names begin with the second of their delivery."""
    own = name.partition("/")[2]
    found = _TIME.match(own)
    return int(found[0]) if found else 0, own
