"""Parses messages under a deadline; what cannot be parsed becomes a reason, never an error."""

import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from gateway.errors import Quarantine
from gateway.parsing import Parsed, Parser, Profile
from gateway.stages.loop import frames
from gateway.telemetry import Log, logger


@dataclass(frozen=True, slots=True)
class Unparsable:
    """Why a message is quarantined."""

    reason: str


class _Overrun(BaseException):
    """The parser has used up its time. No ``except Exception`` inside a parser can hold it."""


class _TimeLimit:
    """Interrupts a block once it has used so much processor time; a machine that merely stalls interrupts nothing.

    Works in the main thread only, since that is where Python runs signal handlers; elsewhere there is no limit.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._works = threading.current_thread() is threading.main_thread()
        if self._works:
            signal.signal(signal.SIGVTALRM, _overrun)

    def __enter__(self) -> None:
        if self._works:
            signal.setitimer(signal.ITIMER_VIRTUAL, self._seconds)

    def __exit__(self, *_error: object) -> None:
        if self._works:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _overrun(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _Overrun


class Understanding:
    """The parsers, each behind a deadline.

    Args:
        parsers: By channel type.
        profiles: By channel name; a channel that is no longer in the settings has an empty one.
        timeout: Seconds of processor time for one message.
    """

    def __init__(self, parsers: Mapping[str, Parser], profiles: Mapping[str, Profile], timeout: float) -> None:
        self._parsers = parsers
        self._profiles = profiles
        self._timeout = timeout
        self._limit = _TimeLimit(timeout)

    def parse(
        self, channel: str, channel_type: str, raws: Sequence[bytes | None], message_id: str = ""
    ) -> Parsed | Unparsable:
        """Parses one message, or all parts of one.

        Args:
            channel: Its name.
            channel_type: Decides on the parser.
            raws: Its bytes; None for a part that is missing or emptied.
            message_id: For the log, should the parser fail on it.
        """
        parser = self._parsers.get(channel_type)
        if parser is None:
            return Unparsable(f"No parser for channels of type {channel_type} is installed.")
        profile = self._profiles.get(channel) or Profile()
        try:
            with self._limit:
                return parser(raws, profile)
        except Quarantine as error:
            return Unparsable(str(error))
        except _Overrun:
            return Unparsable(f"The parser took more than {self._timeout:g} s; send the raw message to the developers.")
        except (Exception, RecursionError) as error:  # noqa: BLE001 - no input may stop the flow
            name = type(error).__name__
            logger.warning(Log.STAGE_CRASHED, message=message_id, component="parser", error=name, frames=frames(error))
            return Unparsable(f"The parser failed ({name}); send the raw message to the developers.")
