"""The verdict on a run with mail: custody, flags and answers against what was sent."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from gateway.store import Store
from gateway.store.tables import answers, messages
from tests.services.smtp import ReceivedMail
from tests.soak.mail_citizens import Mail
from tests.soak.verdict import TOKEN, Verdict


@dataclass(frozen=True)
class Ledger:
    """What the database says.

    Attributes:
        decisions: Of each mail in custody, by its identity; None before it is decided.
        answers: How many answers are in each state.
    """

    decisions: Mapping[str, str | None]
    answers: Mapping[str, int]

    @property
    def unsent(self) -> int:
        """Answers that are still under way."""
        return sum(self.answers.get(state, 0) for state in ("queued", "sending", "unsure"))


def read_ledger(store_url: str, channel: str) -> Ledger:
    """Reads it; the gateway may be running or dead."""
    return asyncio.run(_read(store_url, channel))


async def _read(store_url: str, channel: str) -> Ledger:
    store = Store(store_url)
    try:
        async with store.read() as connection:
            kept = messages.c
            query = select(kept.external_id, kept.decision).where(kept.channel == channel)
            rows = (await connection.execute(query)).all()
            counted = await connection.execute(select(answers.c.state, func.count()).group_by(answers.c.state))
            states = {str(state): int(count) for state, count in counted.all()}
    finally:
        await store.close()
    return Ledger({str(name): decision for name, decision in rows}, states)


def too_early(seen: Collection[str], ledger: Ledger, read: Collection[str]) -> list[str]:
    """Mails that were let go of without being in custody; what a person has read is no fault of the gateway's."""
    return sorted(set(seen) - ledger.decisions.keys() - set(read))


def judge_custody(verdict: Verdict, mails: Sequence[Mail], ledger: Ledger) -> None:
    """Every mail is in custody, decided as it should be, and nothing else is."""
    wanted = {mail.identity: mail for mail in mails}
    found = ledger.decisions
    verdict.add("mails that are not in custody", [_shown(wanted[name]) for name in wanted.keys() - found.keys()])
    verdict.add("mails in custody that nobody sent", sorted(found.keys() - wanted.keys()))
    wrong = [
        f"{_shown(mail)}: {found[name]}"
        for name, mail in wanted.items()
        if name in found and found[name] != ("report" if mail.is_report else "ignored")
    ]
    verdict.add("mails decided otherwise than they should be", wrong)


def judge_mailbox(verdict: Verdict, mails: Sequence[Mail], lying: Counter[str], seen: Counter[str]) -> None:
    """Nothing was removed, and everything is let go of in the end."""
    copies = Counter({mail.identity: len(mail.copies) for mail in mails})
    verdict.figures["mails in the mailbox"] = lying.total()
    verdict.add("mails that are gone from the mailbox", sorted((copies - lying).elements()))
    verdict.add("mails that are not let go of in the end", sorted((lying - seen).elements()))


def judge_answers(verdict: Verdict, mails: Sequence[Mail], ledger: Ledger, sent: Sequence[ReceivedMail]) -> None:
    """At most one answer a mail, none to a machine, and none to anybody else."""
    by_token = {mail.token: mail for mail in mails}
    by_id: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    astray: list[str] = []
    for answer in sent:
        message = email.message_from_bytes(answer.content, policy=email.policy.default)
        by_id[str(message["Message-ID"])] += 1
        named = set(TOKEN.findall(str(message["Subject"])))
        tokens.update(named)
        mail = by_token.get(next(iter(named), ""))
        right = mail is not None and mail.is_report and answer.rcpt_tos == (mail.sender,)
        if len(named) != 1 or not right:
            astray.append(f"{named} to {answer.rcpt_tos}")
    verdict.figures |= {"answers at the SMTP peer": len(sent)}
    verdict.figures |= {f"answers {state}": count for state, count in sorted(ledger.answers.items())}
    verdict.add("answers that came twice", sorted(name for name, count in by_id.items() if count > 1))
    verdict.add("mails with more than one answer", sorted(token for token, count in tokens.items() if count > 1))
    verdict.add("answers to machines or to strangers", astray)


def _shown(mail: Mail) -> str:
    return f"{mail.token} {mail.kind} ({', '.join(mail.traits)})"
