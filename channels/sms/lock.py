"""Keeps a second process off a phone: one that outlived its gateway could still be deleting messages."""

import errno
import fcntl
import os
import struct
import termios
from pathlib import Path
from typing import Final

_WHOLE_FILE: Final = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class InUse(Exception):
    """Another process has the phone."""


def take(device: str) -> int:
    """Locks a phone for as long as the returned descriptor is open.

    A port is locked by the open file description (``F_OFD_SETLK``): libGammu takes ``flock`` on it itself, and a
    plain POSIX lock would be lost as soon as libGammu closes the port. A folder cannot be opened for writing, which
    that lock needs, and nobody else takes ``flock`` on it.

    Raises:
        InUse: Another process has it.
        OSError: It cannot be opened.
    """
    is_folder = Path(device).is_dir()
    access = os.O_RDONLY if is_folder else os.O_RDWR
    try:
        lock = os.open(device, access | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.EBUSY:  # opened exclusively, as libGammu does
            raise InUse from error
        raise
    try:
        if is_folder:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            fcntl.fcntl(lock, fcntl.F_OFD_SETLK, _WHOLE_FILE)
    except BlockingIOError as error:
        os.close(lock)
        raise InUse from error
    return lock


def let_reopen(lock: int) -> None:
    """Has the port opened again: libGammu's claim to it alone stays as long as anybody has it open, which is us."""
    fcntl.ioctl(lock, termios.TIOCNXCL)
