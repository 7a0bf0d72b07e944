"""Thousands of mails in a Dovecot while it, the way to it and the gateway fail in every way.

`python -m tests.soak.mail --mails 2000 --kills 15 --store sqlite --broker-faults --seed 1`

Mails arrive by IMAP and in the Maildir, Dovecot running or not; some are larger than the gateway takes whole. It reads
through a proxy that goes half-open, also in the middle of a mail, and refuses STORE; its answers go to an SMTP peer
that now and then takes a mail and ends the connection without a word.
Settings are short (`SECTION`); the channel's own pauses, such as the half minute after a refused STORE, are not.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random

from tests.integration.mail_bench import Fault as Answer
from tests.integration.mail_bench import uids_in
from tests.services import HOST, wait_until
from tests.services.dovecot import PASSWORD, Dovecot
from tests.services.smtp import DROP
from tests.soak.conclusion import conclude
from tests.soak.dummy_phone import House, Life, house
from tests.soak.faults import Fault, FaultThread, broker_faults, freeze, settle
from tests.soak.mail_citizens import ADDRESS, LARGEST, Mail, mails
from tests.soak.mail_feed import Feeder, Mailbox
from tests.soak.mail_thread import MailThread
from tests.soak.mail_verdict import Ledger, judge_answers, judge_custody, judge_mailbox, read_ledger, too_early
from tests.soak.process import GatewayProcess, Section
from tests.soak.verdict import Verdict

CHANNEL = "email"
USER = "lapor"
SECTION: Section = {
    "type": "mail",
    "password": PASSWORD,
    "address": ADDRESS,
    "poll_seconds": 0.5,
    "timeout": 2.0,
    "read_limit": 40,
    "max_size": LARGEST,
    "per_correspondent_per_day": 1000,
    "per_day": 100_000,
}
_READ_AT_ONCE = 10
_START_SECONDS = 2.5
_WORK_SECONDS = 20.0
_AT_WORK = ("UID FETCH", "UID STORE")


@dataclass(frozen=True)
class Plan:
    """What is done. Faults follow their plan, or come at random where it is empty.

    Attributes:
        mails: How many different mails there are.
        lives: How long each gateway lives, but for the last.
        seed: Decides on all that is random.
        faults: Those of the mailbox, in this order.
        pause: Between two of them.
        broker_faults: Whether the broker is killed and frozen meanwhile.
        drain_seconds: How long the gateway may need in the end.
        tell: Told how far it is.
    """

    mails: int
    lives: Sequence[Life]
    seed: int = 1
    faults: Sequence[str] = ()
    pause: tuple[float, float] = (0.5, 4.0)
    broker_faults: bool = False
    drain_seconds: float = 600.0
    tell: Callable[[str], None] = lambda _text: None


def random_lives(kills: int, random: Random) -> tuple[Life, ...]:
    """One gateway in four dies while it starts, one at any time, the others at once after a FETCH or a STORE."""
    kinds = (
        lambda: Life(random.uniform(0.3, 2.5)),
        lambda: Life(random.uniform(2.5, 8.0)),
        lambda: Life(random.uniform(0.0, 0.02), at_work=True),
        lambda: Life(random.uniform(0.0, 0.5), at_work=True),
    )
    return tuple(random.choice(kinds)() for _ in range(kills))


class MailboxFaults:
    """What can happen to a mailbox and on the way to it; each ends with everything in order again.

    Args:
        box: The mailbox.
        thread: Proxy and SMTP peer.
        random: Decides on when and for how long.

    Attributes:
        read: The identities of the mails that a person has read, the gateway having taken them or not.
    """

    def __init__(self, box: Mailbox, thread: MailThread, random: Random) -> None:
        self._box = box
        self._thread = thread
        self._random = random
        self.read: set[str] = set()

    def all(self) -> dict[str, Fault]:
        """The faults by their names."""
        draw = self._random.uniform
        return {
            "kill": self._kill,
            "freeze": lambda: freeze(self._box.dovecot, draw(0.5, 6.0)),
            "renumber": self._renumber,
            "read and renumbered": self._read_and_renumber,
            "half-open": lambda: self._half_open(0),
            "half-open in a mail": lambda: self._half_open(self._random.randrange(1, 100_000)),
            "mute": lambda: self._while_ruled(lambda _command: "hang", draw(1.0, 6.0)),
            "STORE refused": lambda: self._while_ruled(_refuse_store, draw(1.0, 5.0)),
            "some STOREs refused": self._refuse_some,
            "one command lost": self._lose_one,
            "SMTP ends without a word": self._mute_smtp,
        }

    def _kill(self) -> None:
        self._box.dovecot.kill()
        time.sleep(self._random.uniform(0.0, 2.0))
        self._box.dovecot.restart()

    def _renumber(self) -> None:
        time.sleep(1.1)  # UIDVALIDITY is a second's number
        self._box.dovecot.kill()
        self._box.dovecot.renumber(self._box.user)
        self._box.dovecot.restart()

    def _read_and_renumber(self) -> None:
        """Mails that wait are read by somebody, and nothing but their identity is what it was."""
        self._box.read_newest(_READ_AT_ONCE, self.read.add)
        self._renumber()

    def _half_open(self, after: int) -> None:
        proxy = self._thread.proxy
        self._thread.call(lambda: proxy.cut(after))
        time.sleep(self._random.uniform(1.0, 4.0))
        self._thread.call(proxy.spare)

    def _refuse_some(self) -> None:
        """Of seven mails one cannot be flagged: it is found by halving."""
        rest = self._random.randrange(7)
        self._while_ruled(lambda command: _refuse_store(command, rest), self._random.uniform(1.0, 5.0))

    def _lose_one(self) -> None:
        word, drawn = self._random.choice(("UID FETCH", "UID STORE", "UID SEARCH", "IDLE")), itertools.count()
        answer: Answer = self._random.choice(("drop", "hang"))
        self._while_ruled(lambda command: answer if command.startswith(word) and not next(drawn) else None, 3.0)

    def _mute_smtp(self) -> None:
        faults = self._thread.smtp.faults
        self._thread.call(lambda: faults.update({"end": DROP}))
        time.sleep(self._random.uniform(0.2, 1.0))
        self._thread.call(faults.clear)

    def _while_ruled(self, rule: Callable[[str], Answer | None], seconds: float) -> None:
        def set_rule(rule: Callable[[str], Answer | None]) -> None:
            self._thread.proxy.rule = rule

        self._thread.call(lambda: set_rule(rule))
        time.sleep(seconds)
        self._thread.call(lambda: set_rule(_pass))


def _pass(_command: str) -> Answer | None:
    return None


def _refuse_store(command: str, rest: int | None = None) -> Answer | None:
    if not command.startswith("UID STORE"):
        return None
    return "refuse" if rest is None or any(uid % 7 == rest for uid in uids_in(command)) else None


def run(plan: Plan, house: House) -> Verdict:
    """Carries out the plan; returns what became of it."""
    with ExitStack() as stack:
        dovecot = stack.enter_context(Dovecot())
        thread = stack.enter_context(MailThread(dovecot))
        gateway = GatewayProcess(
            house.folder,
            store_url=house.store_url,
            queue_url=house.broker.url,
            channels={
                CHANNEL: {
                    **SECTION,
                    "mailbox": f"imap://{USER}@{HOST}:{thread.proxy.port}/INBOX",
                    "smtp": thread.smtp.url(),
                }
            },
        )
        stack.callback(gateway.close)
        return Run(plan, house, Mailbox(dovecot, USER), thread, gateway).run()


class Run:
    """One run, from the first mail to the verdict."""

    def __init__(self, plan: Plan, house: House, box: Mailbox, thread: MailThread, gateway: GatewayProcess) -> None:
        self._plan = plan
        self._house = house
        self._box = box
        self._thread = thread
        self._gateway = gateway
        self._mails: Sequence[Mail] = list(mails(plan.mails, Random(f"{plan.seed} citizens")))
        self._read = {mail.identity for mail in self._mails if mail.read}
        self._faults = MailboxFaults(box, thread, Random(f"{plan.seed} mailbox"))
        self._early: set[str] = set()
        self._looks = 0
        self._waiting = ""

    def run(self) -> Verdict:
        """The whole of it."""
        plan, gateway = self._plan, self._gateway
        begin = time.monotonic()
        gateway.start()
        gateway.wait_up()
        settle(self._house.broker)
        wait_until(self._has_opened, "the mailbox to be opened", 60)
        threads = self._fault_threads()
        seconds = sum(life.seconds + _START_SECONDS * life.at_work for life in plan.lives)
        feeder = Feeder(self._box, self._mails, seconds, Random(f"{plan.seed} feed"))
        for each in (feeder, *threads):
            each.start()
        for kill, life in enumerate(plan.lives, start=1):
            if life.at_work:
                self._await_work()
            time.sleep(life.seconds)
            gateway.kill()
            self._look()
            gateway.start()
            plan.tell(f"kill {kill}, {feeder.fed} of {plan.mails} mails fed")
        figures: dict[str, object] = {"kills of the gateway": len(plan.lives)}
        for thread in threads:
            figures |= thread.finish()
        figures |= feeder.finish(plan.drain_seconds)
        figures["seconds of faults"] = round(time.monotonic() - begin, 1)
        plan.tell("all is well again")
        self._drain()
        figures["seconds in all"] = round(time.monotonic() - begin, 1)
        return self._verdict(figures)

    def _fault_threads(self) -> list[FaultThread]:
        plan = self._plan
        random = Random(f"{plan.seed} order")
        threads = [FaultThread("mailbox", self._faults.all(), random, pause=plan.pause, plan=plan.faults)]
        if plan.broker_faults:
            random = Random(f"{plan.seed} broker")
            threads.append(FaultThread("broker", broker_faults(self._house.broker, random), random, pause=(2.0, 20.0)))
        return threads

    def _has_opened(self) -> bool:
        """A mail that is there before the first opening, and read, would rightly never be taken."""
        return any(command == "IDLE" for command in self._commands())

    def _commands(self) -> list[str]:
        return self._thread.call(lambda: list(self._thread.proxy.commands))

    def _await_work(self) -> None:
        """Waits until the gateway fetches or flags mails, or there is nothing to wait for."""
        before, give_up = len(self._commands()), time.monotonic() + _WORK_SECONDS
        while time.monotonic() < give_up:
            time.sleep(0.002)
            if any(command.startswith(_AT_WORK) for command in self._commands()[before:]):
                return

    def _look(self) -> None:
        """Holds the flags against the database: what is marked as read has to be in custody."""
        _lying, seen = self._box.look()
        self._early |= set(too_early(seen, self._ledger(), self._read | self._faults.read))
        self._looks += 1

    def _drain(self) -> None:
        """Everything is well again, and the gateway brings everything to its end."""
        self._gateway.wait_up()
        wanted = {mail.identity for mail in self._mails}
        try:
            wait_until(
                lambda: wanted <= self._ledger().decisions.keys(), "all mails in custody", self._plan.drain_seconds
            )
            self._plan.tell("all mails are in custody")
            wait_until(self._is_settled, "flags, outbox and answers to be settled", self._plan.drain_seconds)
        except RuntimeError as error:
            self._plan.tell(
                f"{error}; the channel: {self._gateway.channel(CHANNEL)}"
            )  # the verdict says what is missing
        self._look()

    def _ledger(self) -> Ledger:
        return read_ledger(self._house.store_url, CHANNEL)

    def _is_settled(self) -> bool:
        lying, seen = self._box.look()
        unsent, idle = self._ledger().unsent, self._gateway.is_idle()
        waiting = (
            f"{(lying - seen).total()} mails to let go of, about {round(unsent, -2)} answers to send, idle: {idle}"
        )
        if waiting != self._waiting:
            self._waiting = waiting
            self._plan.tell(waiting)
        return lying == seen and idle and not unsent

    def _verdict(self, figures: dict[str, object]) -> Verdict:
        reports = [mail for mail in self._mails if mail.is_report]
        lying, seen = self._box.look()
        verdict = conclude(self._gateway, self._house.broker, [mail.report for mail in reports])
        ledger = self._ledger()
        traits = [trait for mail in self._mails for trait in mail.traits]
        verdict.figures = {
            "mails sent": len(self._mails),
            "reports among them": len(reports),
            **{f"of them: {trait}": traits.count(trait) for trait in sorted(set(traits))},
            **verdict.figures,
            **figures,
            "looks at the flags": self._looks,
            "mails read by a person meanwhile": len(self._faults.read),
        }
        verdict.add("mails let go of before they were in custody", sorted(self._early))
        judge_custody(verdict, self._mails, ledger)
        judge_mailbox(verdict, self._mails, lying, seen)
        judge_answers(verdict, self._mails, ledger, self._thread.call(lambda: list(self._thread.smtp.received)))
        return verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it, prints the figures, and returns 1 when the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--broker-faults", action="store_true", help="kill and freeze RabbitMQ meanwhile")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    plan = Plan(
        options.mails,
        random_lives(options.kills, Random(f"{options.seed} kills")),
        seed=options.seed,
        broker_faults=options.broker_faults,
        tell=lambda text: print(text, file=sys.stderr, flush=True),  # noqa: T201 - how far a long run is
    )
    with house(options.store) as neighbours:
        verdict = run(plan, neighbours)
    sys.stdout.write(verdict.table() + "\n")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
