"""Recent posts are looked up again on the simulated X: what is gone is withdrawn, and a missed edit comes in."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from channels.twitter.api import XApi
from channels.twitter.recheck import Recheck
from channels.twitter.settings import TwitterSettings
from gateway.demo.x import Media, Options, Post, Refusal, XSimulator
from gateway.errors import LeaseLost
from gateway.ports import RawMessage
from tests.conftest import eventually
from tests.fakes import FakeClock
from tests.integration.x_parts import MemoryStore, keep, settings_for


class CountingApi(XApi):
    """X, a list of the ids of every look-up, and what happens after so many of them."""

    def __init__(self, settings: TwitterSettings, clock: FakeClock) -> None:
        super().__init__(settings, clock)
        self.looked_up: list[list[str]] = []
        self.after: dict[int, Callable[[], None]] = {}

    async def lookup(self, ids: Sequence[str]) -> dict[str, Any]:
        self.looked_up.append(list(ids))
        answer = await super().lookup(ids)
        self.after.pop(len(self.looked_up), lambda: None)()
        return answer


class Bench:
    """A walk over the posts that a store in memory holds."""

    def __init__(self, x: XSimulator, clock: FakeClock, settings: dict[str, Any]) -> None:
        self.x = x
        self.clock = clock
        self.store = MemoryStore(clock)
        self.offered: list[bytes] = []
        self._settings = settings_for(x, **({"recheck_hours": 6} | settings))
        self.api = CountingApi(self._settings, clock)
        self.recheck: Recheck
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """A process begins, which knows nothing but what is in the store."""
        self.recheck = Recheck(
            self.api, self._settings, self.store, self.clock, self.offered.append, pace_seconds=0, poll_seconds=0.01
        )
        self._task = asyncio.create_task(self.recheck.run(self.store.deliver))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError, LeaseLost):
                await self._task
            self._task = None

    async def keep(self, *posts: Post) -> None:
        """Takes posts into custody as they are now."""
        await keep(self.api, self.store, *(post.id for post in posts))
        self.api.looked_up.clear()

    async def walk(self) -> None:
        """Waits for a walk to be completed that begins now."""
        before = self.recheck.details()["recheck_completed_at"]
        if before is not None:
            self.clock.advance(hours=6)
        await self.until(lambda: self.recheck.details()["recheck_completed_at"] != before, "the walk to be complete")

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        await eventually(lambda: self._fine() and condition(), what)

    def _fine(self) -> bool:
        if self._task is not None and self._task.done():
            self._task.result()
        return True

    def post(self, author: str = "warga_0001", text: str = "Jalan rusak", **details: Any) -> Post:
        return self.x.world.post(author, f"#LAPOR {text} @LAPOR1708", **details)

    def withdrawals(self) -> list[tuple[str, str]]:
        """Which posts were withdrawn and why."""
        return [(note["post_id"], note["reason"]) for note in self.store.raws("withdrawal:")]


@asynccontextmanager
async def bench(options: Options | None = None, **settings: Any) -> AsyncIterator[Bench]:
    clock = FakeClock()
    async with XSimulator(options, clock=clock) as x:
        made = Bench(x, clock, settings)
        try:
            yield made
        finally:
            await made.stop()
            await made.api.close()


async def test_what_is_gone_is_withdrawn_with_its_reason_and_the_rest_is_left_alone() -> None:
    async with bench() as b:
        deleted, protected, nowhere, here, elsewhere, fine = (b.post(f"warga_{n:04}") for n in range(6))
        await b.keep(deleted, protected, nowhere, here, elsewhere, fine)
        b.x.world.delete(deleted.id)
        b.x.world.protect(protected.author)
        b.x.world.withhold(nowhere.id)
        b.x.world.withhold(here.id, "ID", "DE")
        b.x.world.withhold(elsewhere.id, "DE")
        b.start()
        await b.walk()
        assert sorted(b.withdrawals()) == sorted(
            [(deleted.id, "deleted"), (protected.id, "protected"), (nowhere.id, "protected"), (here.id, "withheld")]
        )


async def test_a_withdrawal_is_the_same_bytes_whenever_it_is_found() -> None:
    async with bench() as b:
        gone = b.post()
        await b.keep(gone)
        b.x.world.delete(gone.id)
        b.start()
        await b.walk()
        (note,) = [kept for kept in b.store.messages if kept.external_id == f"withdrawal:{gone.id}"]
        assert note.raw == json.dumps(
            {"author_id": gone.author.id, "lapor": "withdrawal", "post_id": gone.id, "reason": "deleted"},
            separators=(",", ":"),
        ).encode()  # fmt: skip


async def test_the_loss_of_a_quoted_post_withdraws_nothing() -> None:
    async with bench() as b:
        quoted = b.post("warga_0002")
        quoting = b.post("warga_0001", quote=quoted)
        await b.keep(quoting)
        b.x.world.delete(quoted.id)
        b.start()
        await b.walk()
        assert b.withdrawals() == []


async def test_an_edit_that_the_stream_missed_comes_in_as_a_post_of_its_own() -> None:
    async with bench() as b:
        first = b.post(text="Jalan rusk")
        await b.keep(first)
        b.post(text="Jalan rusak", edit_of=first)
        newest = b.post(text="Jalan rusak parah", edit_of=first)
        b.start()
        await b.walk()
        (record,) = b.store.raws(newest.id)
        assert record["data"]["text"] == newest.shown.text
        assert record["includes"]["users"][0]["id"] == first.author.id
        assert record["found_by"] == "lookup"
        await b.walk()
        assert b.recheck.details()["recheck_edited"] == 1


async def test_an_edit_that_is_in_custody_is_not_looked_for() -> None:
    async with bench() as b:
        first = b.post(text="Jalan rusk")
        second = b.post(text="Jalan rusak", edit_of=first)
        await b.keep(first, second)
        b.start()
        await b.walk()
        assert b.api.looked_up == [[first.id, second.id]]


async def test_an_edit_on_another_page_is_looked_for_once_in_the_life_of_a_process() -> None:
    async with bench() as b:
        first = b.post(text="Jalan rusk")
        others = [b.post(f"warga_{n:04}") for n in range(2, 102)]
        second = b.post(text="Jalan rusak", edit_of=first)
        await b.keep(first, *others, second)
        b.start()
        await b.walk()
        await b.walk()
        assert [len(ids) for ids in b.api.looked_up] == [100, 1, 2, 100, 2]


async def test_many_posts_are_looked_up_a_hundred_at_a_time_and_only_those_of_the_last_days() -> None:
    async with bench(recheck_days=2) as b:
        old = b.post()
        await b.keep(old)
        b.clock.advance(days=3)
        posts = [b.post(f"warga_{n:04}") for n in range(230)]
        await b.keep(*posts)
        b.start()
        await b.walk()
        assert [len(ids) for ids in b.api.looked_up] == [100, 100, 30]
        assert [post_id for ids in b.api.looked_up for post_id in ids] == [post.id for post in posts]


async def test_a_restart_goes_on_where_the_walk_was() -> None:
    async with bench() as b:
        posts = [b.post(f"warga_{n:04}") for n in range(300)]
        await b.keep(*posts)
        b.api.after[1] = lambda: b.x.faults.refuse_calls("unavailable", 100, path="/2/tweets")
        b.start()
        await b.until(lambda: "503" in b.recheck.details()["recheck_reason"], "the second page to fail")
        await b.stop()
        b.api.looked_up.clear()
        b.x.faults.clear()
        b.start()
        await b.walk()
        assert [post_id for ids in b.api.looked_up for post_id in ids] == [post.id for post in posts[100:]]


async def test_a_completed_walk_is_not_begun_again_before_its_time_even_by_a_new_process() -> None:
    async with bench() as b:
        await b.keep(b.post())
        b.start()
        await b.walk()
        await b.stop()
        b.start()
        b.clock.advance(hours=5, minutes=59)
        await b.until(lambda: b.recheck.details()["recheck_completed_at"] is not None, "the state to be read")
        for _ in range(5):
            await asyncio.sleep(0.01)
        assert len(b.api.looked_up) == 1
        b.clock.advance(minutes=1)
        await b.until(lambda: len(b.api.looked_up) == 2, "the second walk")


@pytest.mark.parametrize(
    ("refusal", "seconds", "word"),
    [
        ("unauthorized", 600, "401"),
        ("payment", 600, "402"),
        ("forbidden", 600, "403"),
        ("rate-limited", 3, "429"),
        ("rate-limited-bare", 900, "429"),
        ("unavailable", 5, "503"),
        ("html", 5, "JSON"),
    ],
)
async def test_a_refusal_is_shown_and_waited_for_and_then_the_walk_goes_on(
    refusal: Refusal, seconds: float, word: str
) -> None:
    async with bench() as b:
        gone = b.post()
        await b.keep(gone)
        b.x.world.delete(gone.id)
        b.x.faults.refuse_calls(refusal, path="/2/tweets")
        b.start()
        await b.until(lambda: word in b.recheck.details()["recheck_reason"], "the reason to be shown")
        b.clock.advance(seconds=seconds - 1)
        for _ in range(5):
            await asyncio.sleep(0.01)
        assert len(b.api.looked_up) == 1
        b.clock.advance(seconds=1)
        await b.walk()
        assert b.withdrawals() == [(gone.id, "deleted")]
        assert b.recheck.details()["recheck_reason"] == ""


async def test_an_x_or_a_database_that_is_away_loses_nothing() -> None:
    async with bench() as b:
        gone = b.post()
        await b.keep(gone)
        b.x.world.delete(gone.id)
        await b.x.stop()
        b.start()
        await b.until(lambda: "no connection" in b.recheck.details()["recheck_reason"], "X to be missed")
        b.store.away = True
        await b.x.start()
        b.clock.advance(seconds=5)
        await b.until(lambda: "database" in b.recheck.details()["recheck_reason"], "the database to be missed")
        b.store.away = False
        b.clock.advance(seconds=10)
        await b.walk()
        assert b.withdrawals() == [(gone.id, "deleted")]


async def test_a_lost_lease_ends_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench() as b:
        await b.keep(b.post())

        async def lost(_values: object) -> None:
            raise LeaseLost("Another process has it.")

        monkeypatch.setattr(b.store, "save", lost)
        b.start()
        with pytest.raises(LeaseLost):
            await b.walk()


async def test_media_that_are_not_in_custody_are_offered_again_and_only_those() -> None:
    async with bench() as b:
        missing = b.post("warga_0001", media=[Media("a.jpg")])
        there = b.post("warga_0002", media=[Media("b.jpg")])
        gone = b.post("warga_0003", media=[Media("c.jpg")])
        await b.keep(missing, there, gone, b.post("warga_0004"))
        (key,) = there.media_keys
        b.store.take(RawMessage(f"media:{there.id}:{key}", b"{}", "1"))
        b.x.world.delete(gone.id)
        b.start()
        await b.walk()
        assert [json.loads(raw)["data"]["id"] for raw in b.offered] == [missing.id]


async def test_zero_hours_turn_it_off() -> None:
    async with bench(recheck_hours=0) as b:
        await b.keep(b.post())
        b.start()
        b.clock.advance(days=3)
        for _ in range(5):
            await asyncio.sleep(0.01)
        assert b.api.looked_up == []


async def test_records_that_are_no_posts_are_walked_over() -> None:
    async with bench() as b:
        gone = b.post()
        await b.keep(gone)
        b.store.take(*(RawMessage(name, b"\xff", "1") for name in ("sha256:ab", "12:incomplete", "withdrawal:7", "5")))
        b.x.world.delete(gone.id)
        b.start()
        await b.walk()
        assert sorted(b.withdrawals()) == sorted([("5", "deleted"), (gone.id, "deleted")])
        assert [kept.external_id for kept in b.store.messages if b'"post_id":"5"' in kept.raw] == ["withdrawal:5"]
