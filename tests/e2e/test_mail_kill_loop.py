"""Promise 1 for mail in short: Dovecot, the way to it and the gateway fail, and every mail is one report, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from random import Random

import pytest

from tests.services.smtp import ReceivedMail
from tests.soak.dummy_phone import House, Life, house
from tests.soak.mail import Plan, run
from tests.soak.mail_citizens import Mail, mails
from tests.soak.mail_verdict import Ledger, judge_answers, judge_custody, judge_mailbox, too_early
from tests.soak.verdict import Verdict

# STORE is refused early: what was refused waits for half a minute, or for the next gateway.
FAULTS = (
    "STORE refused",
    "kill",
    "read and renumbered",
    "half-open",
    "half-open in a mail",
    "SMTP ends without a word",
)
PLAN = Plan(
    mails=250,
    lives=(Life(1.0, at_work=True), Life(0.01, at_work=True), Life(4.0), Life(0.0, at_work=True)),
    seed=4,
    faults=FAULTS,
    pause=(0.2, 0.8),
    drain_seconds=120.0,
)


@pytest.fixture(scope="module")
def neighbours() -> Iterator[House]:
    """A broker, a database and a folder."""
    with house("sqlite") as opened:
        yield opened


def test_every_mail_is_one_report_and_none_is_let_go_of_before_its_commit(neighbours: House) -> None:
    verdict = run(PLAN, neighbours)

    assert verdict.faults == [], verdict.table()
    assert verdict.figures["kills of the gateway"] == 4
    assert all(verdict.figures[f"mailbox: {name}"] == 1 for name in FAULTS)


# -- the judges themselves: those that find nothing prove nothing

MAILS = list(mails(200, Random("judges")))
REPORTS = [mail for mail in MAILS if mail.is_report]
MACHINE = next(mail for mail in MAILS if not mail.is_report)
LEDGER = Ledger({mail.identity: "report" if mail.is_report else "ignored" for mail in MAILS}, {})
LYING = Counter({mail.identity: len(mail.copies) for mail in MAILS})


def answer_to(mail: Mail, number: int = 0) -> ReceivedMail:
    """The answer to a mail as the peer keeps it."""
    content = (
        f"Message-ID: <lapor-{mail.token}-{number}@example.go.id>\r\nSubject: Re: {mail.token}\r\n\r\nTerima kasih"
    )
    return ReceivedMail("lapor@example.go.id", (mail.sender,), content.encode(), encrypted=False)


def faults_of(judge: Callable[[Verdict], None]) -> list[str]:
    """What a judge finds."""
    verdict = Verdict()
    judge(verdict)
    return verdict.faults


def test_redeliveries_are_the_same_mail_and_forgeries_are_not() -> None:
    names = {mail.identity for mail in MAILS}
    again = [replace(mail, copies=(copy,)).identity for mail in MAILS for copy in mail.copies]

    assert len(names) == len(MAILS)
    assert set(again) == names
    assert len(again) > len(names)


def test_a_good_run_is_not_blamed() -> None:
    sent = [answer_to(mail) for mail in REPORTS]

    assert faults_of(lambda verdict: judge_custody(verdict, MAILS, LEDGER)) == []
    assert faults_of(lambda verdict: judge_mailbox(verdict, MAILS, LYING, LYING)) == []
    assert faults_of(lambda verdict: judge_answers(verdict, MAILS, LEDGER, sent)) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({REPORTS[0].identity: "ignored"}, "mails decided otherwise than they should be: "),
        ({MACHINE.identity: "report"}, "mails decided otherwise than they should be: "),
        ({"0" * 64: "report"}, "mails in custody that nobody sent: "),
    ],
)
def test_a_wrong_custody_is_noticed(changes: Mapping[str, str], fault: str) -> None:
    ledger = Ledger({**LEDGER.decisions, **changes}, {})

    assert [found.startswith(fault) for found in faults_of(lambda v: judge_custody(v, MAILS, ledger))] == [True]


def test_a_lost_mail_is_noticed() -> None:
    one = REPORTS[0].identity
    ledger = Ledger({name: decision for name, decision in LEDGER.decisions.items() if name != one}, {})

    assert len(faults_of(lambda verdict: judge_custody(verdict, MAILS, ledger))) == 1
    assert too_early(LYING, ledger, ()) == [one]
    assert too_early(LYING, ledger, {one}) == []


def test_a_mail_that_is_gone_or_not_let_go_of_is_noticed() -> None:
    one = Counter({REPORTS[0].identity: 1})

    assert len(faults_of(lambda verdict: judge_mailbox(verdict, MAILS, LYING - one, LYING - one))) == 1
    assert len(faults_of(lambda verdict: judge_mailbox(verdict, MAILS, LYING, LYING - one))) == 1


@pytest.mark.parametrize(
    "sent",
    [
        [answer_to(REPORTS[0]), answer_to(REPORTS[0], 1)],
        [answer_to(MACHINE)],
        [replace(answer_to(REPORTS[0]), rcpt_tos=("orang.lain@example.org",))],
    ],
)
def test_an_answer_too_many_or_astray_is_noticed(sent: list[ReceivedMail]) -> None:
    assert len(faults_of(lambda verdict: judge_answers(verdict, MAILS, LEDGER, sent))) == 1
