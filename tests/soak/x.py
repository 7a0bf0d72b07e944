"""Thousands of posts on X while the stream, the searches, the answers and the gateway fail in every way.

`python -m tests.soak.x --posts 3000 --kills 20 --store sqlite --broker-faults --seed 1`

The gateway is the real one, with real tweepy; the simulated X runs here on a thread of its own, with X's own window
and number of connects. What is scaled, since X's pauses are minutes: see `PACE` and `CHANNEL`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from gateway.clock import to_milliseconds
from gateway.console.snapshot import GAPS_SHOWN, rfc3339
from gateway.demo.x import Credentials, Options
from gateway.demo.x.options import QUARTER_HOUR
from gateway.demo.x.world import first_id_at
from gateway.ports import Gap
from gateway.store import Store
from gateway.store.channel_store import StoredChannel
from tests.services import wait_until
from tests.soak.conclusion import conclude
from tests.soak.dummy_phone import House, house
from tests.soak.faults import FaultThread, broker_faults, settle
from tests.soak.paced_gateway import paced
from tests.soak.process import GatewayProcess, Section
from tests.soak.verdict import Verdict
from tests.soak.x_citizens import ACCOUNT, Crowd
from tests.soak.x_steps import Steps
from tests.soak.x_thread import XThread
from tests.soak.x_verdict import (
    StreamTruth,
    expected_reports,
    judge_answers,
    judge_custody,
    judge_gaps,
    judge_times_without,
    read_ledger,
)

CHANNEL = "twitter"
MOST_CONNECTS = 50
"""Within a quarter of an hour: X's limit."""

KEEP_ALIVE = 0.5
PACE = {
    "http_first": 1.0,  # of 5 s
    "limit_first": 4.0,  # of 60 s, after a 429 that names no reset
    "operator": 4.0,  # of 300 s, after 401, 402 and 403
    "lateness": 4.0,  # of 60 s
    "apart": 4.0,  # of 60 s
    "alive": 1.0,  # of 10 s
    "patience": 5.0,  # of 30 s
    "rules": 20.0,  # of 600 s
}
"""Of `channels.twitter.backoff.Pace`; what is not named is X's own. `paced_gateway` shortens some more."""

SECTION: Section = {
    "type": "twitter",
    "account": ACCOUNT,
    "search_minutes": 0.1,
    "rewind_minutes": 0.5,
    "search_delay_seconds": 0.0,
    "silence_seconds": 2.0,
    "connect_timeout": 5.0,
    "timeout": 10.0,
    "daily_posts": 2400,
    "recheck_hours": 0.005,
}
"""The stream's limits are X's; the searches, and the looks at what is deleted, come fifty times as often as usual."""

LIMITS = Options(
    keep_alive_seconds=KEEP_ALIVE,
    search_delay_seconds=0.0,
    connect_limit=MOST_CONNECTS,
    window_seconds=QUARTER_HOUR,
    search_limit=5000,
    read_limit=20_000,
    post_limit=100_000,
)
"""The connects are counted as X counts them. The searches, look-ups and answers of a day go into some minutes."""

# Eighteen kills; each further one is a step of its own.
STEPS = (
    "close", "reset", "mute", "half a line", "announced end", "ghost + kill", "401 + kill", "402 + kill", "403 + kill",
    "429 with reset + kill", "429 without reset + kill", "503 with HTML + kill", "200 with HTML + kill", "away",
    "away + kill", "blackout", "blackout", "blackout + kill in the search", "duplicates and disorder", "byte by byte",
    "malformed lines", "malformed lines", "search refused", "search forbidden", "answers refused",
    "rules refused + kill", "answers lost", "answers lost + kill", "kill at the start", "kill at the start",
    "kill at the start", "nothing",
)  # fmt: skip
_KILLS_IN = {"kill at the start": 2, "blackout + kill in the search": 1, "kill": 1}
_DELETED_AT_THE_END = 12
_WITHHELD_AT_THE_END = 3
_HALF_HOUR_SHARE = 25
_DOWN_SECONDS = 1.0


@dataclass(frozen=True)
class Plan:
    """What is done.

    Attributes:
        posts: How many there are to be, about.
        steps: What happens, in this order.
        seed: Decides on all that is random.
        half_hour: Whether the run begins with a stream that was silent for half an hour.
        broker_faults: Whether the broker is killed and frozen meanwhile.
        pace: Shorter pauses of the channel.
        section: Further settings of the channel.
        crowd_pace: Posts a second.
        drain_seconds: How long the gateway may need in the end.
        tell: Told how far it is.
    """

    posts: int
    steps: Sequence[str]
    seed: int = 1
    half_hour: bool = True
    broker_faults: bool = False
    pace: dict[str, float] = field(default_factory=lambda: dict(PACE))
    section: Section = field(default_factory=dict)
    crowd_pace: float = 20.0
    drain_seconds: float = 300.0
    tell: Callable[[str], None] = lambda _text: None


def long_plan(posts: int, kills: int, seed: int) -> Plan:
    """All steps in an order of the seed's, with so many kills, and no fewer than belong to the steps."""
    contained = sum(_kills(name) for name in STEPS)
    steps = [*STEPS, *["kill"] * max(0, kills - contained)]
    Random(f"{seed} steps").shuffle(steps)
    return Plan(posts, steps, seed)


def _kills(step: str) -> int:
    return _KILLS_IN.get(step, int(step.endswith("+ kill")))


def run(plan: Plan, house: House) -> Verdict:
    """Carries out the plan; returns what became of it."""
    with XThread(LIMITS) as thread:
        keys = Credentials()
        names = ("bearer_token", "consumer_key", "consumer_secret", "access_token", "access_token_secret")
        section = {
            **SECTION, **plan.section, "api_url": thread.x.origin, **{name: getattr(keys, name) for name in names},
        }  # fmt: skip
        gateway = GatewayProcess(
            house.folder,
            store_url=house.store_url,
            queue_url=house.broker.url,
            channels={CHANNEL: section},
            module=paced(plan.pace),
        )
        try:
            return Run(plan, house, thread, gateway).run()
        finally:
            gateway.close()


class Run:
    """One run, from the first connect to the verdict."""

    def __init__(self, plan: Plan, house: House, thread: XThread, gateway: GatewayProcess) -> None:
        self._plan = plan
        self._house = house
        self._thread = thread
        self._gateway = gateway
        random = Random(f"{plan.seed} crowd")
        self._crowd = Crowd(thread.x, random, thread.truth.delivers, plan.crowd_pace)
        share = plan.posts // (len(plan.steps) + plan.half_hour)
        self._share = share
        self._steps = Steps(thread, gateway, self._crowd, Random(f"{plan.seed} steps"), share)
        self._begin = time.monotonic()
        self._first_connect = datetime.now(UTC)
        self._half_hour: list[tuple[datetime, datetime]] = []

    def run(self) -> Verdict:
        """The whole of it."""
        gateway, plan = self._gateway, self._plan
        gateway.start()
        gateway.wait_up()
        settle(self._house.broker)
        self._steps.connected()
        self._first_connect = datetime.now(UTC)
        faults = None
        if plan.half_hour:
            self._silent_half_hour()
        if plan.broker_faults:
            random = Random(f"{plan.seed} broker")
            faults = FaultThread("broker", broker_faults(self._house.broker, random), random, pause=(5.0, 40.0))
            faults.start()
        self._thread.spawn(self._crowd.run)
        self._steps.run(plan.steps, plan.tell)
        figures: dict[str, object] = {"kills of the gateway": self._steps.kills}
        if faults is not None:
            figures |= faults.finish()
        figures |= {f"step: {name}": count for name, count in sorted(self._steps.done.items())}
        figures["seconds of faults"] = round(time.monotonic() - self._begin, 1)
        self._drain()
        self._delete_some()
        figures["seconds in all"] = round(time.monotonic() - self._begin, 1)
        return self._verdict(figures)

    def _silent_half_hour(self) -> None:
        """The gateway wakes up to a stream that has been alive and empty for half an hour, with search away as well.

        Half an hour is too long to wait for: so the store is made to say that search last knew everything then.
        """
        self._gateway.wait_up()
        wait_until(lambda: self._has_searched_beyond(self._first_connect), "a first search", 60)
        assert self._gateway.stop() == 0
        span = self._thread.call(lambda: self._crowd.silent_half_hour(self._share))
        self._half_hour = [(span[0] - timedelta(seconds=1), datetime.now(UTC))]
        asyncio.run(_age(self._house.store_url, timedelta(minutes=31)))
        self._gateway.start()
        self._steps.connected()
        self._plan.tell("the silent half hour is over")

    def _drain(self) -> None:
        """Everything is well again, and the gateway brings everything to its end."""
        faults = self._thread.x.faults
        self._thread.call(faults.clear)
        wait_until(lambda: self._thread.call(self._crowd.is_done), "the crowd to be done", 60)
        done = datetime.now(UTC)
        self._gateway.wait_up()
        self._steps.connected()
        self._plan.tell("all is well again")
        wait_until(lambda: self._has_searched_beyond(done), "search to have seen everything", self._plan.drain_seconds)
        self._plan.tell("search has seen everything")
        wait_until(self._is_settled, "gaps, outbox and answers to be settled", self._plan.drain_seconds)

    def _delete_some(self) -> None:
        """Citizens delete reports, and X withholds some; the gateway has to notice by looking them up again."""

        def delete() -> None:
            plain = self._crowd.plain(0.0)
            chosen = Random(f"{self._plan.seed} deleted").sample(plain, min(len(plain), _DELETED_AT_THE_END))
            for number, matter in enumerate(chosen):
                self._crowd.delete(matter, withhold=number < _WITHHELD_AT_THE_END)

        self._thread.call(delete)
        self._plan.tell("some are deleted")
        wait_until(self._are_all_withdrawn, "what is deleted to be withdrawn", self._plan.drain_seconds)
        wait_until(self._is_settled, "gaps, outbox and answers to be settled", self._plan.drain_seconds)

    def _details(self) -> dict[str, object]:
        channel = self._gateway.channel(CHANNEL)
        return _details_of(channel)

    def _has_searched_beyond(self, moment: datetime) -> bool:
        lag = self._details().get("search_lag_seconds")
        return isinstance(lag, int) and datetime.now(UTC) - timedelta(seconds=lag + 1) > moment

    def _is_settled(self) -> bool:
        if not self._gateway.is_idle():
            return False
        ledger = read_ledger(self._house.store_url, CHANNEL)
        waiting = sum(ledger.answers.get(state, 0) for state in ("queued", "sending", "unsure"))
        return not waiting and all(gap.state not in ("open", "closed") for gap in ledger.gaps)

    def _are_all_withdrawn(self) -> bool:
        ledger = read_ledger(self._house.store_url, CHANNEL)
        gone = {post.id for matter in self._crowd.matters if matter.is_gone for post in matter.posts}
        return all(ledger.messages[name].decision == "withdrawn" for name in gone & ledger.messages.keys())

    def _verdict(self, figures: dict[str, object]) -> Verdict:
        plan, x, truth, crowd = self._plan, self._thread.x, self._thread.truth, self._crowd
        matters = crowd.matters
        shown = {_as_known(gap) for gap in (self._gateway.channel(CHANNEL) or {}).get("gaps", ())}
        ledger = read_ledger(self._house.store_url, CHANNEL)
        newest = {
            (rfc3339(to_milliseconds(gap.since)) or "", gap.state, gap.found) for gap in ledger.gaps[-GAPS_SHOWN:]
        }
        expected = expected_reports(matters, ledger)
        verdict = conclude(self._gateway, self._house.broker, expected, aside=("held", "quarantined"))
        connects = x.stream.most_connects_within(QUARTER_HOUR)
        verdict.figures = {
            **crowd.figures(),
            **verdict.figures,
            **figures,
            "connects in all": len(x.stream.connect_attempts),
            "connects within 15 minutes": connects,
            "gaps that the console shows": len(shown),
            "searches": x.calls["GET /2/tweets/search/recent"],
            "posts streamed": x.stream.sent,
        }
        verdict.add(f"more than {MOST_CONNECTS} connects", [connects] if connects > MOST_CONNECTS else [])
        verdict.add("gaps that the console does not show", sorted(newest - shown))
        verdict.add("gaps that the console alone shows", sorted(shown - newest))
        judge_custody(verdict, matters, ledger, self._steps.malformed)
        judge_answers(verdict, matters, ledger, x.answers, x.duplicates_refused)
        delivered = [*self._half_hour, *_since(truth.without_delivery.spans(), self._first_connect)]
        judge_gaps(
            verdict,
            ledger,
            StreamTruth(delivered, dict(crowd.only_search), plan.pace["lateness"], plan.pace["alive"]),
        )
        down = _since(truth.without_stream.spans(), self._first_connect)
        judge_times_without(verdict, ledger, down[:-1] if _lasts(down) else down, _DOWN_SECONDS)
        return verdict


def _since(spans: Sequence[tuple[datetime, datetime]], moment: datetime) -> list[tuple[datetime, datetime]]:
    return [span for span in spans if span[1] > moment]


def _lasts(spans: Sequence[tuple[datetime, datetime]]) -> bool:
    """Whether the last of them is the one after the gateway was ended for good."""
    return bool(spans) and datetime.now(UTC) - spans[-1][1] < timedelta(seconds=1)


def _as_shown(gap: Gap) -> tuple[str, str, int]:
    return rfc3339(to_milliseconds(gap.since)) or "", gap.state, gap.found


def _as_known(gap: dict[str, object]) -> tuple[str, str, int]:
    return str(gap["since"]), str(gap["state"]), int(str(gap["found"]))


def _details_of(channel: dict[str, object] | None) -> dict[str, object]:
    details = (channel or {}).get("details")
    return details if isinstance(details, dict) else {}


async def _age(store_url: str, by: timedelta) -> None:
    """Has the store say that the stream is known for long, and that search last knew everything so long ago."""
    store = Store(store_url)
    try:
        then = datetime.now(UTC) - by
        watermark = f'{{"id":{first_id_at(then)},"until":{to_milliseconds(then)}}}'
        since = str(to_milliseconds(then - timedelta(hours=2)))
        await StoredChannel(store, CHANNEL).save({"search": watermark, "stream_since": since})
    finally:
        await store.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it, prints the figures, and returns 1 when the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--posts", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--broker-faults", action="store_true", help="kill and freeze RabbitMQ meanwhile")
    parser.add_argument("--steps", help="only these, by name, with commas between them")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    plan = long_plan(options.posts, options.kills, options.seed)
    if options.steps:
        plan = replace(plan, steps=[name.strip() for name in options.steps.split(",")])
    plan = replace(
        plan,
        broker_faults=options.broker_faults,
        tell=lambda text: print(text, file=sys.stderr, flush=True),  # noqa: T201 - how far a long run is
    )
    with house(options.store) as neighbours:
        verdict = run(plan, neighbours)
    sys.stdout.write(verdict.table() + "\n")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
