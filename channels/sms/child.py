"""The child process of one modem: does what the gateway asks, one call at a time, until the gateway is gone.

Run as ``python -m channels.sms.child PID``; requests come on standard input, replies go to what was standard output.
"""

import ctypes
import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import Any, BinaryIO, Final

import gammu

from channels.sms.frames import Reply, Request, pack, read_request
from channels.sms.phone import Phone, PhoneError

PUMP_SECONDS: Final = 0.3
"""How often libGammu looks for announcements while nothing is asked."""

_PR_SET_PDEATHSIG: Final = 1
_WAIT_FOR_PHONE: Final = 15.0
"""Seconds to wait for a phone that another process still holds: one that is just being ended."""


def main() -> None:
    """Serves until standard input is closed. The argument is the gateway's process id."""
    _die_with_parent(int(sys.argv[1]))
    # libGammu and its drivers may print: keep that out of the replies.
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    phone = Phone()
    phone.on_incoming(lambda: _write(replies, Reply(0, result="incoming")))
    while True:
        readable, _, _ = select.select([requests], [], [], PUMP_SECONDS)
        if not readable:
            _pump(phone)
            continue
        request = read_request(requests)
        if request is None:
            os._exit(0)  # freeing a phone that hangs can take minutes
        _write(replies, _answer(phone, request))


def _die_with_parent(parent: int) -> None:
    """Linux: the kernel ends this process when the gateway dies, even by SIGKILL."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it died before the kernel knew
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the gateway, which then closes us


def _pump(phone: Phone) -> None:
    # A phone that is gone fails the next call too, and that one is answered; ValueError is a report's odd date.
    with suppress(gammu.GSMError, ValueError):
        phone.pump()


def _answer(phone: Phone, request: Request) -> Reply:
    try:
        return Reply(request.id, result=_call(phone, request))
    except PhoneError as error:
        return Reply(request.id, error=error.kind, text=str(error))
    except gammu.GSMError as error:
        return Reply(request.id, error=type(error).__name__)
    except Exception as error:  # noqa: BLE001 - one message must not end the process; its text stays out of the logs
        return Reply(request.id, error=type(error).__name__)


def _call(phone: Phone, request: Request) -> Any:  # noqa: ANN401 - whatever the method returns
    method = getattr(phone, request.method)
    if request.method != "open":
        return method(**request.arguments)
    give_up = time.monotonic() + _WAIT_FOR_PHONE
    while True:
        try:
            return method(**request.arguments)
        except PhoneError as error:
            if error.kind != "BUSY" or time.monotonic() > give_up:
                raise
            time.sleep(0.2)


def _write(pipe: BinaryIO, reply: Reply) -> None:
    view = memoryview(pack(reply))
    while view:
        view = view[pipe.write(view) :]


if __name__ == "__main__":
    main()
