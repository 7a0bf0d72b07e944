"""Answers through real tweepy to the simulated X: each post is answered at most once, whatever X does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from channels.twitter.api import XApi
from channels.twitter.sender import Sender
from gateway.demo.x import Options, Post, Refusal, XSimulator
from gateway.errors import GatewayError, MaybeSent, Refused, Throttled
from gateway.ports import OutgoingAnswer, Sent
from tests.fakes import FakeClock
from tests.integration.x_parts import Answers, MemoryStore, settings_for


class LaggingApi(XApi):
    """X with a timeline that does not know of the newest posts yet."""

    async def own_posts(self, user_id: str, since: datetime | None = None, token: str | None = None) -> dict[str, Any]:
        return {**await super().own_posts(user_id, since, token), "data": []}


class Bench:
    """A sender on a simulated X, which has one report to be answered."""

    def __init__(self, x: XSimulator, clock: FakeClock, api: type[XApi], settings: dict[str, Any]) -> None:
        self.x = x
        self.clock = clock
        self.store = MemoryStore(clock)
        self.answers = Answers(self.store, clock)
        self._settings = settings_for(x, **settings)
        self.api = api(self._settings, clock)
        self.sender = self.restarted()
        self.report = self.post("warga_0001")

    def restarted(self) -> Sender:
        """A sender that remembers nothing."""
        return Sender(self.api, self._settings, self.store, self.clock, "twitter")

    def post(self, author: str) -> Post:
        return self.x.world.post(author, "#LAPOR Jalan rusak @LAPOR1708")

    async def send(self, answer: OutgoingAnswer) -> Sent:
        return await self.answers.send(self.sender, answer)


@asynccontextmanager
async def bench(api: type[XApi] = XApi, options: Options | None = None, **settings: Any) -> AsyncIterator[Bench]:
    clock = FakeClock()
    async with XSimulator(options, clock=clock) as x:
        made = Bench(x, clock, api, settings)
        try:
            yield made
        finally:
            await made.api.close()


async def test_a_receipt_is_a_reply_under_the_citizens_post() -> None:
    async with bench() as b:
        sent = await b.send(b.answers.to(b.report.id, "Laporan kami terima: #1234567897"))
        (made,) = b.x.answers
        assert (made.reply_to, made.text) == (b.report.id, "Laporan kami terima: #1234567897")
        assert sent == Sent((made.post.id,))


@pytest.mark.parametrize(
    ("refusal", "kind", "seconds"),
    [
        ("unauthorized", Throttled, 600),
        ("payment", Throttled, 600),
        ("forbidden", Throttled, 600),
        ("rate-limited", Throttled, 3),
        ("rate-limited-bare", Throttled, 900),
        ("unavailable", MaybeSent, None),
        ("html", MaybeSent, None),
    ],
)
async def test_whatever_x_says_the_answer_goes_out_once_in_the_end(
    refusal: Refusal, kind: type[GatewayError], seconds: float | None
) -> None:
    async with bench() as b:
        answer = b.answers.to(b.report.id)
        b.x.faults.refuse_calls(refusal, path="POST /2/tweets")
        with pytest.raises(kind) as raised:
            await b.send(answer)
        assert not b.x.answers
        if isinstance(raised.value, Throttled):
            assert raised.value.seconds == seconds
            b.clock.advance(seconds=raised.value.seconds)
        else:
            assert await b.sender.find_sent(answer) is None
        await b.send(answer)
        assert len(b.x.answers) == 1
        assert b.sender.details()["answers_wait_until"] is None


async def test_an_answer_whose_outcome_was_lost_is_found_again_by_the_next_process() -> None:
    async with bench() as b:
        answer = b.answers.to(b.report.id)
        b.x.faults.lost_answers = 1
        with pytest.raises(MaybeSent):
            await b.send(answer)
        (made,) = b.x.answers
        assert await b.restarted().find_sent(answer) == Sent((made.post.id,))


async def test_a_timeline_that_lags_behind_makes_no_second_post() -> None:
    async with bench(LaggingApi) as b:
        answer = b.answers.to(b.report.id)
        b.x.faults.lost_answers = 1
        with pytest.raises(MaybeSent):
            await b.send(answer)
        assert await b.sender.find_sent(answer) is None
        assert await b.send(answer) == Sent()
        assert (len(b.x.answers), b.x.duplicates_refused) == (1, 1)


async def test_after_a_duplicate_refusal_the_post_is_named() -> None:
    async with bench() as b:
        answer = b.answers.to(b.report.id)
        first = await b.send(answer)
        assert await b.send(answer) == first
        assert (len(b.x.answers), b.x.duplicates_refused) == (1, 1)


async def test_the_receipt_of_a_repeat_names_the_one_that_the_citizen_has_already() -> None:
    async with bench() as b:
        text = "Laporan Anda sudah kami terima: #1234567897"
        first = await b.send(b.answers.to(b.report.id, text, to=b.report.author.id))
        again = b.post("warga_0001")
        assert await b.send(b.answers.to(again.id, text, to=again.author.id)) == first
        assert len(b.x.answers) == 1


async def test_an_answer_is_found_behind_hundreds_of_others() -> None:
    async with bench() as b:
        answer = b.answers.to(b.report.id)
        sent = await b.send(answer)
        for number in range(230):
            b.x.world.post("LAPOR1708", f"Informasi {number}")
        assert await b.sender.find_sent(answer) == sent
        assert await b.sender.find_sent(b.answers.to(b.report.id, "Laporan Anda selesai.")) is None
        assert b.x.calls[f"GET /2/users/{b.x.account.id}/tweets"] == 6  # three pages each time


@pytest.mark.parametrize("what", ["deleted", "protected", "withheld", "no mention"])
async def test_a_post_that_cannot_be_answered_any_more_is_refused_for_good(what: str) -> None:
    async with bench() as b:
        post = b.report
        if what == "deleted":
            b.x.world.delete(post.id)
        elif what == "protected":
            b.x.world.protect(post.author)
        elif what == "withheld":
            b.x.world.withhold(post.id)
        else:
            post = b.x.world.post("warga_0002", "#LAPOR tanpa sebutan")
        with pytest.raises(Refused):
            await b.send(b.answers.to(post.id))
        assert b.sender.details()["answers_wait_until"] is None


async def test_an_x_that_is_away_costs_no_attempt() -> None:
    async with bench() as b:
        answer = b.answers.to(b.report.id)
        await b.x.stop()
        for seconds in (15, 30):
            with pytest.raises(Throttled) as raised:
                await b.send(answer)
            assert raised.value.seconds == seconds
            b.clock.advance(seconds=seconds)
        await b.x.start()
        await b.send(answer)
        assert len(b.x.answers) == 1


async def test_the_budget_of_a_day_is_never_exceeded() -> None:
    async with bench(daily_posts=3) as b:
        for number in range(8):
            answer = b.answers.to(b.post(f"warga_{number:04}").id, f"Nomor {number}")
            try:
                await b.send(answer)
            except Throttled as error:
                b.clock.advance(seconds=error.seconds)
                await b.send(answer)
            times = [made.post.created_at for made in b.x.answers]
            assert all((late - early).days >= 1 for early, late in zip(times, times[3:], strict=False))
        assert len(b.x.answers) == 8


async def test_x_own_limit_is_waited_for() -> None:
    async with bench(options=Options(post_limit=1)) as b:
        await b.send(b.answers.to(b.report.id, "satu"))
        with pytest.raises(Throttled) as raised:
            await b.send(b.answers.to(b.report.id, "dua"))
        b.clock.advance(seconds=raised.value.seconds)
        await b.send(b.answers.to(b.report.id, "dua"))
        assert [made.text for made in b.x.answers] == ["satu", "dua"]
