"""What is done to X and to the gateway, one step after the other; each ends with the fault over."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import TypeVar

from gateway.demo.x import OPERATIONAL_DISCONNECT, Refusal, XSimulator
from tests.services import ServiceError, wait_until
from tests.soak.process import GatewayProcess
from tests.soak.x_citizens import Crowd, record_of
from tests.soak.x_thread import XThread

PATIENCE = 180.0
"""Seconds; the budget of connects makes the gateway wait 22.5 of them for its next connect."""

SEARCH = "/2/tweets/search/recent"
ANSWER = "POST /2/tweets"
RULES = "GET /2/tweets/search/stream/rules"
HUGE = 1_200_000
_ANSWER_SECONDS = 20.0

Step = Callable[[], None]
T = TypeVar("T")


class Steps:
    """Everything that can happen, by name. Used on the thread that starts the gateway.

    Args:
        thread: The simulator.
        gateway: The gateway, running.
        crowd: Who posts; used through ``thread`` only.
        random: Decides on moments.
        share: How many posts are made during one step.

    Attributes:
        kills: How often the gateway was killed.
        done: How often each step was made.
        malformed: The external ids of the broken lines that were put into the stream.
    """

    def __init__(self, thread: XThread, gateway: GatewayProcess, crowd: Crowd, random: Random, share: int) -> None:
        self._thread = thread
        self._gateway = gateway
        self._crowd = crowd
        self._random = random
        self._share = share
        self._left = 0
        self.kills = 0
        self.done: Counter[str] = Counter()
        self.malformed: set[str] = set()
        self._steps: dict[str, Step] = {
            "close": lambda: self._end_stream(lambda x: x.faults.close()),
            "reset": lambda: self._end_stream(lambda x: x.faults.reset()),
            "mute": lambda: self._end_stream(lambda x: x.faults.mute()),
            "half a line": lambda: self._end_stream(lambda x: setattr(x.faults, "half_lines", 1)),
            "announced end": lambda: self._end_stream(lambda x: x.faults.inject(OPERATIONAL_DISCONNECT)),
            "ghost + kill": self._ghost,
            "401 + kill": lambda: self._refuse("unauthorized"),
            "402 + kill": lambda: self._refuse("payment"),
            "403 + kill": lambda: self._refuse("forbidden"),
            "429 with reset + kill": lambda: self._refuse("rate-limited"),
            "429 without reset + kill": lambda: self._refuse("rate-limited-bare"),
            "503 with HTML + kill": lambda: self._refuse("unavailable"),
            "200 with HTML + kill": lambda: self._refuse("html"),
            "503 with HTML": lambda: self._refuse("unavailable", kill=False),
            "429 with reset": lambda: self._refuse("rate-limited", kill=False),
            "away": self._away,
            "away + kill": lambda: self._away(kill=True),
            "blackout": self._blackout,
            "blackout + kill in the search": lambda: self._blackout(kill=True),
            "duplicates and disorder": lambda: self._with_faults(duplicates=2, disorder=5),
            "byte by byte": lambda: self._with_faults(byte_by_byte=True),
            "malformed lines": self._inject,
            "search refused": lambda: self._refuse_calls(
                SEARCH, "rate-limited", "unavailable", "html", "unauthorized", "rate-limited-bare"
            ),
            "search forbidden": lambda: self._refuse_calls(SEARCH, "payment", "forbidden"),
            "answers refused": lambda: self._refuse_calls(
                ANSWER, "rate-limited", "unavailable", "html", "unauthorized", "payment", "forbidden"
            ),
            "rules refused + kill": self._refuse_rules,
            "answers lost": self._lose_answers,
            "answers lost + kill": lambda: self._lose_answers(kill=True),
            "kill": self._kill_at_work,
            "kill at the start": self._kill_at_start,
            "nothing": lambda: None,
        }

    def run(self, plan: Sequence[str], tell: Callable[[str], None]) -> None:
        """Does all steps of a plan; during each of them a share of the posts is made.

        Half of it is kept until the stream is connected, should the step wait for that.
        """
        for number, name in enumerate(plan, start=1):
            begin = time.monotonic()
            self._left = self._share
            self._pour(self._share // 2)
            self._steps[name]()
            self._pour(self._left)
            self.done[name] += 1
            self._await_crowd()
            seconds = time.monotonic() - begin
            connects = self._of(lambda x: len(x.stream.connect_attempts))
            tell(f"{number}/{len(plan)} {name}: {seconds:.1f} s, {connects} connects, {self._crowd.posted} posts")

    def _await_crowd(self) -> None:
        """Until this step's share of the posts is made."""
        wait_until(lambda: self._crowd.posted >= self._crowd.goal, "the crowd", PATIENCE)

    def kill(self) -> None:
        """`kill -9`, and the next life."""
        self._gateway.kill()
        self.kills += 1
        self._gateway.start()

    def connected(self) -> None:
        """Waits until the stream delivers."""
        wait_until(lambda: self._of(lambda _x: self._thread.truth.delivers()), "the stream to be connected", PATIENCE)
        self._pour(self._left)

    def _pour(self, posts: int) -> None:
        """Has so many more posts made."""
        self._left -= posts
        self._crowd.goal += posts

    def _of(self, look: Callable[[XSimulator], T]) -> T:
        return self._thread.call(lambda: look(self._thread.x))

    def _do(self, act: Callable[[XSimulator], object]) -> None:
        self._thread.call(lambda: act(self._thread.x))

    def _pause(self, shortest: float, longest: float) -> None:
        time.sleep(self._random.uniform(shortest, longest))

    def _attempts(self) -> int:
        return self._of(lambda x: len(x.stream.connect_attempts))

    def _await_attempts(self, count: int) -> None:
        wait_until(lambda: self._attempts() >= count, "the next connect", PATIENCE)

    def _end_stream(self, strike: Callable[[XSimulator], object]) -> None:
        self.connected()
        self._pause(0.0, 0.5)
        self._do(strike)
        wait_until(
            lambda: (
                not self._of(lambda x: x.faults.half_lines > 0 or x.stream.open_connections > 0)
                or self._of(lambda _x: self._thread.truth.delivers())
            ),
            "the stream to have ended",
            PATIENCE,
        )

    def _refuse(self, refusal: Refusal, *, kill: bool = True) -> None:
        """The next connect is refused: that of the next life, or that after a clean close."""
        if not kill:
            self.connected()
        before = self._attempts()
        self._do(lambda x: x.faults.refuse_connects(refusal))
        if kill:
            self._pause(0.0, 1.0)
            self.kill()
        else:
            self._do(lambda x: x.faults.close())
        self._await_attempts(before + 1)

    def _ghost(self) -> None:
        self.connected()
        self._do(lambda x: setattr(x.faults, "ghosts", True))
        before = self._attempts()
        self.kill()
        self._await_attempts(before + 1)
        self._do(lambda x: setattr(x.faults, "ghosts", False))
        wait_until(lambda: self._of(lambda x: not x.stream.ghosts), "the ghost to be laid", PATIENCE)

    def _away(self, *, kill: bool = False) -> None:
        self.connected()
        self._thread.stop()
        if kill:
            self._pause(0.0, 0.5)
            self.kill()
            self._pause(2.0, 5.0)
        else:
            self._pause(0.5, 1.5)
        self._thread.start()

    def _blackout(self, *, kill: bool = False) -> None:
        """The stream is alive and empty. With a kill right after a search has begun to bring what it left out."""
        self.connected()
        self._do(lambda x: setattr(x.faults, "blackout", True))
        self._await_crowd()
        self._pause(0.5, 2.0)
        self._do(lambda x: setattr(x.faults, "blackout", False))
        if kill:
            searches = self._of(lambda x: x.calls[f"GET {SEARCH}"])
            wait_until(lambda: self._of(lambda x: x.calls[f"GET {SEARCH}"]) > searches, "a search", PATIENCE)
            self._pause(0.0, 0.1)
            self.kill()

    def _with_faults(self, **values: bool | int) -> None:
        self.connected()
        for name, value in values.items():
            self._do(lambda x, name=name, value=value: setattr(x.faults, name, value))  # type: ignore[misc]
        self._await_crowd()
        for name, value in values.items():
            self._do(lambda x, name=name, value=value: setattr(x.faults, name, type(value)(0)))  # type: ignore[misc]

    def _inject(self) -> None:
        """Broken lines, and whole posts in forms that X has not promised. Nobody is killed before they are safe."""
        self._gateway.wait_up()
        self.connected()
        number = len(self.malformed)
        lines = malformed_lines(number)
        self._do(lambda x: _inject_all(x, lines))
        self._do(lambda x: _inject_all(x, self._odd_records()))
        self.malformed |= {external_id(line) for line in lines}
        wanted = len(self.malformed)
        wait_until(
            lambda: self._gateway.count_in_state("quarantined") == wanted, f"{wanted} lines in quarantine", PATIENCE
        )

    def _odd_records(self) -> list[bytes]:
        rules = [{"id": "1", "tag": "another"}]
        more: tuple[dict[str, object], ...] = (
            {},
            {"matching_rules": [{"id": "1"}]},
            {"matching_rules": rules, "padding": "x" * HUGE},
            {"matching_rules": rules, "errors": [{"title": "Not Found Error", "resource_type": "user"}]},
        )
        return [record_of(self._crowd.unseen_report().current, **fields) for fields in more]

    def _refuse_calls(self, path: str, *refusals: Refusal) -> None:
        for refusal in refusals:
            self._do(lambda x, refusal=refusal: x.faults.refuse_calls(refusal, 1, path))  # type: ignore[misc]

    def _refuse_rules(self) -> None:
        self._refuse_calls(RULES, "forbidden", "unavailable", "html")
        self._pause(0.0, 1.0)
        self.kill()

    def _lose_answers(self, *, kill: bool = False) -> None:
        self._gateway.wait_up()
        self.connected()
        answers = self._of(lambda x: len(x.answers))
        self._do(lambda x: setattr(x.faults, "lost_answers", 4))
        if kill:
            with suppress(ServiceError):  # there may be nobody left to answer
                wait_until(lambda: self._of(lambda x: len(x.answers)) > answers, "an answer", _ANSWER_SECONDS)
            self.kill()

    def _kill_at_work(self) -> None:
        """While posts come in, which they do in bursts."""
        self.connected()
        before = self._of(lambda x: x.stream.sent)
        wait_until(
            lambda: self._of(lambda x: x.stream.sent) > before or self._crowd.posted >= self._crowd.goal,
            "a post",
            PATIENCE,
        )
        self._pause(0.0, 0.3)
        self.kill()

    def _kill_at_start(self) -> None:
        """Twice: the second time while it starts."""
        self.kill()
        self._pause(0.05, 2.5)
        self.kill()


def _inject_all(x: XSimulator, lines: Sequence[bytes]) -> None:
    for line in lines:
        x.faults.inject(line)


def malformed_lines(number: int) -> list[bytes]:
    """Lines that hold no post; each is another one for each number."""
    note = f"z{number}"
    rules = [{"id": "1", "tag": "lapor"}]
    objects: list[object] = [
        {"matching_rules": rules, "note": note},
        {"data": {"author_id": "1", "text": "tolong", "note": note}, "matching_rules": rules},
        {"data": {"id": str(1_000_000 + number), "author_id": "1", "note": note}, "matching_rules": rules},
        {"data": {"id": str(2_000_000 + number), "text": 7, "note": note}, "matching_rules": rules},
        {"data": {"id": "x1", "text": "tolong @LAPOR1708", "note": note}},
        {"data": [note]},
        {"data": note},
        {"delete": {"status": {"id": "7", "note": note}}},
        {"info": {"message": note}},
        [1, note],
        note,
    ]
    return [
        *(json.dumps(each).encode() for each in objects),
        f'{{"data":{{"id":"12345","text":"tolong #LAPOR {note}'.encode(),
        f'{{"data":{{"id":"12346","text":"tolong {note} '.encode() + b'\xff\xfe\x80"}}',
        b"<html>" + note.encode() + b"</html>",
        b"\x00\x01" + note.encode(),
        note.encode() + b"x" * HUGE,
    ]


def external_id(line: bytes) -> str:
    """The name under which the channel takes a broken line into custody: by its bytes, unless it has a post's id."""
    try:
        data = json.loads(line)["data"]
    except (ValueError, TypeError, KeyError):
        data = None
    if isinstance(data, dict) and data.get("id", "x").isdigit():
        return f"{data['id']}:incomplete"
    return f"sha256:{hashlib.sha256(line.rstrip()).hexdigest()}"
