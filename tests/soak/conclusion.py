"""The end of a run: what the console, the log, the exit code and the queue say, in one verdict."""

from __future__ import annotations

from collections.abc import Sequence

from tests.services.rabbitmq import RabbitMQ
from tests.soak.citizens import Sms
from tests.soak.intake import INTAKE, read_intake
from tests.soak.process import GatewayProcess
from tests.soak.verdict import Verdict, judge

_ASIDE = ("quarantined", "held", "discarded")


def conclude(gateway: GatewayProcess, broker: RabbitMQ, fed: Sequence[Sms]) -> Verdict:
    """Ends a gateway that has nothing left to do, reads the queue, and judges."""
    aside = [f"{count} {state}" for state in _ASIDE if (count := gateway.count_in_state(state))]
    exit_code = gateway.stop()
    dead = broker.queue_depth(f"{INTAKE}.dead")
    verdict = judge(fed, read_intake(broker))
    verdict.add("set aside", aside)
    verdict.add("dead letters", [dead] if dead else [])
    verdict.add("crashes of a stage", [f"{line['component']} {line['error']}" for line in gateway.crashes()])
    verdict.add("exit codes other than 0", [exit_code] if exit_code else [])
    return verdict
