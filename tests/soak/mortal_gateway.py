"""Runs ``lapor-gateway`` so that it kills itself at an answer: `python -m tests.soak.mortal_gateway run --config FILE`.

The file that the environment names holds one moment; at the first answer that comes to it the process is gone, by
SIGKILL and between two instructions. Nothing of what is measured runs differently before that.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Literal, get_args

from channels.mail.channel import MailChannel
from channels.sms.channel import SmsChannel
from channels.twitter.channel import TwitterChannel
from gateway.cli.main import main
from gateway.stages.answer import AnswerStage
from tests.soak.paced_gateway import shorten

VARIABLE: Final = "SOAK_DIES"

Moment = Literal["before sending", "after sending", "after looking", "after the commit"]
"""*Sending* is the channel's whole call: nothing is committed between its beginning and its return."""

MOMENTS: Final[tuple[Moment, ...]] = get_args(Moment)

Call = Callable[..., Awaitable[Any]]


class Mortality:
    """Ends the process when a moment has come.

    Args:
        moment: Which; empty for never.
    """

    def __init__(self, moment: str) -> None:
        self._moment = moment

    def install(self) -> None:
        """Puts itself around the calls, before any object is made."""
        for channel in (SmsChannel, TwitterChannel, MailChannel):
            self._wrap(channel, "send", "before sending", "after sending")
        self._wrap(TwitterChannel, "find_sent", "", "after looking")
        self._wrap(AnswerStage, "_record", "", "after the commit")

    def _wrap(self, owner: type, name: str, before: str, after: str) -> None:
        call: Call = getattr(owner, name)

        async def mortal(*arguments: Any) -> Any:
            self._come(before)
            result = await call(*arguments)
            self._come(after)
            return result

        setattr(owner, name, mortal)

    def _come(self, moment: str) -> None:
        if moment and moment == self._moment:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    shorten({"http_first": 0.5, "limit_first": 1.0, "operator": 1.0, "lateness": 0.5, "alive": 0.5, "patience": 1.0})
    Mortality(Path(os.environ[VARIABLE]).read_text()).install()
    main()
