"""Runs ``lapor-gateway`` with shorter pauses towards X: `python -m tests.soak.paced_gateway run --config FILE`.

Only the pauses that are the channel's own are shortened, those that no setting reaches: an operator who corrects a
key is not waited for five minutes, and so on. X's limits are not: the window of the connects is X's quarter of an hour.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import partial

from channels.twitter import channel, recheck, sender
from channels.twitter.backoff import Pace
from gateway.cli.main import main
from gateway.stages import answer
from tests.soak.process import Module

VARIABLE = "SOAK_PACE"


def paced(pace: Mapping[str, float]) -> Module:
    """Runs the gateway with these attributes of `Pace`, and the other pauses to match."""
    return Module("tests.soak.paced_gateway", {VARIABLE: json.dumps(pace)})


def shorten(pace: Mapping[str, float]) -> None:
    """Puts the pauses in force, before the gateway is made."""
    constants = (
        (channel, {"Pace": partial(Pace, **pace), "Recheck": _HastyRecheck}),
        (recheck, {"RETRY_FIRST": 0.5, "RETRY_CAP": 3.0, "RATE_LIMIT_SECONDS": 3.0, "OPERATOR_SECONDS": 3.0}),
        (sender, {"RATE_LIMIT_SECONDS": 3.0, "OPERATOR_SECONDS": 3.0, "UNREACHED_FIRST": 1.0}),
        (answer, {"RETRY_FIRST": 1.0, "RETRY_CAP": 5.0, "POLL_SECONDS": 0.5}),
    )
    for module, values in constants:
        for name, value in values.items():
            setattr(module, name, value)


_HastyRecheck = partial(recheck.Recheck, pace_seconds=0.2, poll_seconds=0.5)


if __name__ == "__main__":
    shorten(json.loads(os.environ[VARIABLE]))
    main()
