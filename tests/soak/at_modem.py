"""A thousand SMS through libGammu's AT driver and a ten-slot SIM, while modem and gateway fail in every way.

`python -m tests.soak.at_modem --messages 1000 --kills 20 --seed 1`
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from tests.services import ServiceError, wait_until
from tests.simulators import tpdu
from tests.simulators.modem import SUBMIT, Fault, Modem
from tests.soak import watch
from tests.soak.citizens import Sms, citizens, sms_figures
from tests.soak.conclusion import conclude
from tests.soak.dummy_phone import CHANNEL, House, house
from tests.soak.faults import Fault as Strike
from tests.soak.faults import FaultThread, settle
from tests.soak.process import GatewayProcess, Section
from tests.soak.verdict import Verdict

SLOTS = 10
TIMEOUT = 6.0
"""The channel's deadline for one call; a hang of the modem is longer."""

_CHANNEL: Section = {
    "type": "sms", "number": "1708", "connection": "at115200", "model": "at", "timeout": TIMEOUT, "poll_seconds": 1.0,
}  # fmt: skip

_RECOVERY_SECONDS = 240.0
"""One hang in the middle of a send is waited out for a minute, and a kill may come on top."""

_NUMBER_IN_ANSWER = re.compile(r"#([0-9]{10})")
_MOST_ANSWERS = 2
"""An answer that was under way at a crash may go once more (an SMS cannot be asked for)."""


@dataclass(frozen=True)
class Plan:
    """What is done to modem and gateway. Modem faults follow their plan, or come at random where it is empty.

    `pause` is in seconds; after a fault at least as many SMS go through as `flow` says, at random between the two.
    """

    messages: int
    kills: int
    seed: int = 1
    plan: Sequence[str] = ()
    pause: tuple[float, float] = (0.5, 3.0)
    flow: tuple[int, int] = (5, 60)
    answers: bool = True
    watched: bool = True
    limit_ms: float = watch.LIMIT_MS
    drain_seconds: float = 3600.0
    tell: Callable[[str], None] = lambda _text: None


class Supply:
    """What citizens send: a share of it before each planned fault, or all of it at once where nothing is planned."""

    def __init__(self, modem: Modem, messages: Sequence[Sms], shares: int) -> None:
        self._modem = modem
        self._left = deque(messages)
        self._share = -(-len(messages) // shares)
        self.total = sum(len(sms.parts) for sms in messages)

    def more(self) -> None:
        """Hands the next share to the network, which keeps what the SIM has no room for."""
        for _ in range(min(self._share, len(self._left))):
            deliver(self._modem, self._left.popleft())

    def is_used_up(self) -> bool:
        """Whether the modem has got everything."""
        return not self._left and not self._modem.waiting()


class Air(threading.Thread):
    """The network: brings a delivery report for every other answer that goes out."""

    def __init__(self, modem: Modem) -> None:
        super().__init__(name="network", daemon=True)
        self._modem = modem
        self._stopped = threading.Event()

    def run(self) -> None:
        """Watches what is sent until it is stopped."""
        reported = 0
        while not self._stopped.wait(0.2):
            for sent in self._modem.sent[reported:]:
                reported += 1
                if reported % 2:
                    self._modem.report(sent)

    def stop(self) -> None:
        """Brings no more."""
        self._stopped.set()
        self.join()


def run(plan: Plan, house: House) -> Verdict:
    """Carries out the plan; returns what became of it."""
    with Modem(slots=SLOTS, phone_slots=0, seed=plan.seed) as modem:
        gateway = GatewayProcess(
            house.folder,
            store_url=house.store_url,
            queue_url=house.broker.url,
            channels={CHANNEL: {**_CHANNEL, "device": modem.path}},
            answers=plan.answers,
            module=watch.watched(house.folder) if plan.watched else None,
        )
        air = Air(modem)
        try:
            air.start()
            return _run(plan, house, modem, gateway, air)
        finally:
            gateway.close()
            air.stop()


def _run(plan: Plan, house: House, modem: Modem, gateway: GatewayProcess, air: Air) -> Verdict:
    begin = time.monotonic()
    gateway.start()
    gateway.wait_up()
    settle(house.broker)
    fed = list(citizens(plan.messages, Random(f"{plan.seed} citizens")))
    supply = Supply(modem, fed, len(plan.plan) + 1)
    supply.more()
    random = Random(f"{plan.seed} modem")
    strikes = {
        name: _recovering(strike, modem, supply, lambda: random.randint(*plan.flow))
        for name, strike in modem_faults(modem, gateway, random).items()
    }
    faults = FaultThread("modem", strikes, random, pause=plan.pause, plan=plan.plan)
    faults.start()
    _kill_along(plan, modem, gateway, supply.total, faults)
    plan.tell("the last kill is done")
    wait_until(
        lambda: faults.check() and supply.is_used_up(), "the network to have delivered everything", plan.drain_seconds
    )
    figures = {"kills of the gateway": plan.kills, **faults.finish()}
    plan.tell("the last fault is done")
    air.stop()
    modem.clear_faults()
    gateway.wait_up()
    wait_until(lambda: _is_done(modem, gateway), "SIM and outbox to be empty", plan.drain_seconds)
    figures["seconds in all"] = round(time.monotonic() - begin, 1)
    verdict = conclude(gateway, house.broker, [sms.report for sms in fed])
    verdict.figures = {**sms_figures(fed), **verdict.figures, **figures, **_modem_figures(modem)}
    judge_answers(verdict, modem)
    if plan.watched:
        seen = watch.read_watch(house.folder / watch.FILE)
        verdict.figures |= seen.figures()
        verdict.add(f"callbacks over {plan.limit_ms:g} ms", seen.longer_than(plan.limit_ms))
    return verdict


def deliver(modem: Modem, sms: Sms) -> None:
    """Hands all parts of a message to the network, which keeps what the SIM has no room for."""
    for part in sms.parts:
        message = tpdu.Deliver(sms.sender, sms.sent_at, part)
        pdu = tpdu.encode_smsc(modem.identity.smsc) + tpdu.encode_deliver(message)
        modem.deliver_pdu(pdu.hex().upper())


def _kill_along(plan: Plan, modem: Modem, gateway: GatewayProcess, total: int, faults: FaultThread) -> None:
    """Kills the gateway again and again while messages go through: one kill in three hits it while it starts."""
    random = Random(f"{plan.seed} kills")
    for kill in range(plan.kills):
        if kill % 3 != 2:
            _await_deleted(modem, total * (kill + 1) // (plan.kills + 1), faults, plan.drain_seconds)
        time.sleep(random.uniform(0.0, 5.0))
        gateway.kill()
        gateway.start()
        plan.tell(f"kill {kill + 1}, {len(modem.deleted)} of {total} SMS gone through, {len(modem.sent)} answers")


def _await_deleted(modem: Modem, count: int, faults: FaultThread, seconds: float) -> None:
    wait_until(lambda: faults.check() and len(modem.deleted) >= count, "messages to go through", seconds)


def _is_done(modem: Modem, gateway: GatewayProcess) -> bool:
    return not modem.waiting() and not modem.stored() and gateway.is_idle()


def modem_faults(modem: Modem, gateway: GatewayProcess, random: Random) -> dict[str, Strike]:
    """Every way in which this modem can misbehave, and the death of the process that drives it."""

    def hang() -> None:
        modem.hang()
        time.sleep(TIMEOUT + random.uniform(0.5, 4.0))
        modem.release()

    def vanish() -> None:
        modem.vanish()
        time.sleep(random.uniform(0.2, 4.0))
        modem.come_back()

    def kill_child() -> None:
        with suppress(ProcessLookupError):
            if (pid := gateway.child()) is not None:
                os.kill(pid, signal.SIGKILL)

    def arm(fault: Fault) -> Strike:
        return lambda: modem.fault(fault)

    return {
        "hang": hang,
        "vanish": vanish,
        "kill child": kill_child,
        "noise": modem.noise,
        "fail deletes": lambda: modem.fail_deletes(random.randrange(1, 4)),
        "lie on deletes": lambda: modem.lie_on_deletes(random.randrange(1, 4)),
        "lose a delete's answer": lambda: modem.lose_delete_answers(1),
        "vanish at a delete": lambda: _vanish_at(modem, "AT+CMGD", random),
        "vanish at a send": lambda: _vanish_at(modem, SUBMIT, random),
        "refuse a send": lambda: modem.refuse_sends(1),
        "lose a send's answer": lambda: modem.lose_send_answers(1),
        "noise in an answer": arm(Fault("noise", "AT+CMG")),
        "half an answer": arm(Fault("half", "AT+CMG")),
        "slow answers": arm(Fault("slow", "AT+CMG", times=3, seconds=1.5)),
    }


def _recovering(strike: Strike, modem: Modem, supply: Supply, flow: Callable[[], int]) -> Strike:
    """The same, returning when messages flow again: else faults would pile up until nothing else happens."""

    def struck() -> None:
        wanted = len(modem.deleted) + flow()
        supply.more()
        strike()
        wait_until(
            lambda: len(modem.deleted) >= wanted or not (modem.waiting() or modem.stored()),
            "messages to flow again",
            _RECOVERY_SECONDS,
        )

    return struck


def _vanish_at(modem: Modem, command: str, random: Random) -> None:
    """Unplugs the modem in the middle of a command; waits a while for such a command to come."""
    modem.fault(Fault(random.choice(("vanish", "vanish-after")), command))
    with suppress(ServiceError):  # there may be nothing left to send
        wait_until(lambda: not os.path.lexists(modem.path), "the modem to vanish", 20.0)
    modem.clear_faults()
    time.sleep(random.uniform(0.2, 2.0))
    modem.come_back()


def _modem_figures(modem: Modem) -> dict[str, object]:
    return {"SMS deleted from the SIM": len(modem.deleted), "answers sent": len(modem.sent)}


def judge_answers(verdict: Verdict, modem: Modem) -> None:
    """No citizen is answered more often than a crash allows."""
    texts = [sent.message.user_data.text for sent in list(modem.sent)]
    counts = Counter(number for text in texts for number in _NUMBER_IN_ANSWER.findall(text))
    verdict.figures["answers sent twice"] = sum(count > 1 for count in counts.values())
    verdict.add("answers sent too often", sorted(n for n, count in counts.items() if count > _MOST_ANSWERS))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the loop, prints the figures, and returns 1 when the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--unwatched", action="store_true", help="run on uvloop, without measuring callbacks")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    plan = Plan(
        messages=options.messages,
        kills=options.kills,
        seed=options.seed,
        watched=not options.unwatched,
        tell=lambda text: print(text, file=sys.stderr, flush=True),  # noqa: T201 - how far a long run is
    )
    with house(options.store) as neighbours:
        verdict = run(plan, neighbours)
    sys.stdout.write(verdict.table() + "\n")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
