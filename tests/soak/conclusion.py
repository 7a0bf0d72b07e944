"""The end of a run: what the console, the log, the exit code and the queue say, in one verdict."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tests.services.rabbitmq import RabbitMQ
from tests.soak.intake import INTAKE, read_intake
from tests.soak.process import GatewayProcess
from tests.soak.verdict import Expected, Verdict, judge

_ASIDE = ("quarantined", "held", "discarded")


def conclude(
    gateway: GatewayProcess, broker: RabbitMQ, expected: Sequence[Expected], *, aside: Collection[str] = ()
) -> Verdict:
    """Ends a gateway that has nothing left to do, reads the queue, and judges.

    Args:
        gateway: The gateway, idle.
        broker: Holds the queue.
        expected: The reports that there have to be.
        aside: States in which messages may stand; the caller judges those.
    """
    states = [state for state in _ASIDE if state not in aside]
    set_aside = [f"{count} {state}" for state in states if (count := gateway.count_in_state(state))]
    exit_code = gateway.stop()
    dead = broker.queue_depth(f"{INTAKE}.dead")
    verdict = judge(expected, read_intake(broker))
    verdict.add("set aside", set_aside)
    verdict.add("dead letters", [dead] if dead else [])
    verdict.add("crashes of a stage", [f"{line['component']} {line['error']}" for line in gateway.crashes()])
    verdict.add("exit codes other than 0", [exit_code] if exit_code else [])
    return verdict
