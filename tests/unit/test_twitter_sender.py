"""What the sender of the X channel decides: lengths, sameness of words, and what X's refusals mean."""

from datetime import UTC, datetime
from typing import Any

import pytest

from channels.twitter.api import ApiError
from channels.twitter.sender import LET_OTHERS_PASS, LONGEST, Sender, same_words, weight
from channels.twitter.settings import TwitterSettings
from gateway.errors import GatewayError, MaybeSent, NotSent, Refused, Throttled
from gateway.ports import Sent
from tests.fakes import FakeClock
from tests.integration.x_parts import Answers, MemoryStore

POST = "1984000000000000000"
DUPLICATE = "You are not allowed to create a Tweet with duplicate content."
KEYS = {"consumer_key": "a", "consumer_secret": "b", "access_token": "c", "access_token_secret": "d"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("Jalan rusak", 11),
        ("“Terima kasih” – kami", 21),
        ("é", 1),
        ("e\u0301", 1),
        ("報告", 4),
        ("🙏", 2),
        ("👨‍👩‍👧", 8),  # X counts 2; more is never cut off
        ("lihat https://www.lapor.go.id/laporan/detil/jalan-rusak-di-desa-saya?lang=id.", 6 + 23 + 1),
        ("lapor.go.id", 23),
        ("surat ke a@lapor.go.id", 22),
        ("versi 1.2.3", 11),
    ],
)
def test_a_text_is_weighed_as_x_does_or_a_little_heavier(text: str, expected: int) -> None:
    assert weight(text) == expected


@pytest.mark.parametrize(
    ("shown", "written", "same"),
    [
        ("Nomor #1234567897", "Nomor #1234567897", True),
        ("@warga_1 @lain Nomor #1234567897", "Nomor #1234567897", True),
        ("@warga_1 Air &amp; jalan &lt;3", "Air & jalan <3", True),
        ("Lihat https://t.co/abcdefghij ya", "Lihat https://lapor.go.id/1 ya", True),
        ("Nomor\n #1234567897 ", "Nomor #1234567897", True),
        ("Nomor #１２", "Nomor #12", True),
        ("Nomor #1234567897", "Nomor #1234567905", False),
        ("Halo Nomor #1234567897", "Nomor #1234567897", False),
    ],
)
def test_our_own_post_is_known_again_in_the_form_in_which_x_shows_it(shown: str, written: str, *, same: bool) -> None:
    assert same_words(shown, written) is same


class ScriptedApi:
    """X as a list of what the next calls to post do; None takes the post."""

    def __init__(self, *outcomes: ApiError | None) -> None:
        self.outcomes = list(outcomes)
        self.posted: list[tuple[str, str]] = []
        self.timeline: list[dict[str, Any]] = []
        self.asked_since: datetime | None = None
        self.timeline_error: ApiError | None = None

    async def create_reply(self, text: str, in_reply_to: str) -> str:
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        self.posted.append((text, in_reply_to))
        return str(9000 + len(self.posted))

    async def me(self) -> tuple[str, str]:
        return "17", "LAPOR1708"

    async def own_posts(self, _user_id: str, since: datetime, _token: str | None) -> dict[str, Any]:
        self.asked_since = since
        if self.timeline_error is not None:
            raise self.timeline_error
        return {"data": self.timeline}


class Bench:
    """A sender over a scripted X."""

    def __init__(self, *outcomes: ApiError | None, **settings: Any) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.answers = Answers(self.store, self.clock)
        self.api = ScriptedApi(*outcomes)
        api: Any = self.api
        section = TwitterSettings(type="twitter", **({"bearer_token": "t"} | KEYS | settings))
        self.sender = Sender(api, section, self.store, self.clock, "twitter")


def refusal(status: int, detail: str = "") -> ApiError:
    return ApiError(status, "Forbidden", detail=detail)


@pytest.mark.parametrize(
    ("error", "kind", "seconds"),
    [
        (ApiError(401, "Unauthorized"), Throttled, 600),
        (ApiError(402, "CreditsDepleted"), Throttled, 600),
        (ApiError(403, "Client Forbidden"), Throttled, 600),
        (ApiError(429, "Too Many Requests", 120.0), Throttled, 121),
        (ApiError(429, "Too Many Requests"), Throttled, 900),
        (ApiError(429, "Too Many Requests", 10.0**9), Throttled, 86_460),
        (ApiError(None, "no connection", reached=False), Throttled, 15),
        (ApiError(None, "no answer in time"), MaybeSent, None),
        (ApiError(500, "refused"), MaybeSent, None),
        (ApiError(503, "refused"), MaybeSent, None),
        (ApiError(200, "an answer that is not JSON"), MaybeSent, None),
        (ApiError(201, "an answer of an unknown form"), MaybeSent, None),
        (ApiError(408, "refused"), MaybeSent, None),
        (ApiError(400, "Invalid Request"), NotSent, None),
        (ApiError(404, "Not Found"), NotSent, None),
        (refusal(403, "You attempted to reply to a Tweet that is deleted or not visible to you."), Refused, None),
        (refusal(400, "You attempted to reply to a Tweet that is deleted or not visible to you."), Refused, None),
        (refusal(403, "Reply to this conversation is not allowed because you have not been mentioned."), Refused, None),
        (refusal(403, "You have been blocked from the author of this tweet."), Refused, None),
        (refusal(403, "Your Tweet text is too long."), Refused, None),
    ],
)
async def test_each_failure_of_x_has_its_own_decision(
    error: ApiError, kind: type[GatewayError], seconds: float | None
) -> None:
    bench = Bench(error)
    with pytest.raises(kind) as raised:
        await bench.answers.send(bench.sender, bench.answers.to(POST))
    if isinstance(raised.value, Throttled):
        assert raised.value.seconds == seconds
        assert bench.sender.details()["answers_wait_because"] == str(raised.value)
    else:
        assert bench.sender.details()["answers_wait_until"] is None
    assert not isinstance(raised.value, MaybeSent) or raised.value.channel_works
    assert not bench.api.posted


async def test_an_answer_that_fits_no_post_is_refused_before_x_is_asked() -> None:
    bench = Bench()
    for answer in (
        bench.answers.to(POST, "a" * (LONGEST + 1)),
        bench.answers.to("withdrawal:12"),
        bench.answers.to(""),
    ):
        with pytest.raises(Refused):
            await bench.answers.send(bench.sender, answer)
    await bench.answers.send(bench.sender, bench.answers.to(POST, "a" * LONGEST))
    assert len(bench.api.posted) == 1


async def test_without_keys_answers_are_refused_and_the_sentence_names_the_setting() -> None:
    bench = Bench(**dict.fromkeys(KEYS))
    for attempt in (bench.sender.send, bench.sender.find_sent):
        with pytest.raises(Refused, match=r"channels\.twitter\.consumer_key"):
            await attempt(bench.answers.to(POST))


async def test_what_was_never_queued_for_a_post_was_never_sent() -> None:
    assert await Bench().sender.find_sent(Bench().answers.to("")) is None


async def test_the_wait_grows_while_x_cannot_be_reached_and_starts_anew_afterwards() -> None:
    away = ApiError(None, "no connection", reached=False)
    bench = Bench(*[away] * 8, None, away)
    waits = []
    for _ in range(8):
        with pytest.raises(Throttled) as raised:
            await bench.answers.send(bench.sender, bench.answers.to(POST))
        waits.append(raised.value.seconds)
        bench.clock.advance(seconds=raised.value.seconds)
    assert waits == [15, 30, 60, 120, 240, 480, 600, 600]
    await bench.answers.send(bench.sender, bench.answers.to(POST))
    with pytest.raises(Throttled) as raised:
        await bench.answers.send(bench.sender, bench.answers.to(POST))
    assert raised.value.seconds == 15


async def test_x_is_left_alone_until_the_wait_is_over() -> None:
    bench = Bench(ApiError(401, "Unauthorized"))
    with pytest.raises(Throttled):
        await bench.answers.send(bench.sender, bench.answers.to(POST))
    bench.clock.advance(seconds=599)
    with pytest.raises(Throttled) as raised:
        await bench.answers.send(bench.sender, bench.answers.to(POST))
    assert raised.value.seconds == 1
    bench.clock.advance(seconds=1)
    assert await bench.answers.send(bench.sender, bench.answers.to(POST)) == Sent(("9001",))


async def test_one_answer_that_x_forbids_without_a_reason_does_not_hold_the_others_up_for_good() -> None:
    forbidden = refusal(403, "You are not permitted to perform this action.")
    bench = Bench(*[forbidden] * LET_OTHERS_PASS, None, forbidden)
    odd = bench.answers.to(POST)
    for _ in range(LET_OTHERS_PASS - 1):
        with pytest.raises(Throttled):
            await bench.answers.send(bench.sender, odd)
        bench.clock.advance(seconds=600)
    with pytest.raises(NotSent):
        await bench.answers.send(bench.sender, odd)
    await bench.answers.send(bench.sender, bench.answers.to(POST, "lain"))
    bench.clock.advance(hours=2)
    with pytest.raises(NotSent):  # the others go, so it is this one
        await bench.answers.send(bench.sender, odd)
    assert bench.sender.details()["answers_wait_until"] is None


async def test_a_forbidden_answer_right_after_a_good_one_holds_nothing_up() -> None:
    bench = Bench(None, refusal(403))
    await bench.answers.send(bench.sender, bench.answers.to(POST))
    with pytest.raises(NotSent):
        await bench.answers.send(bench.sender, bench.answers.to(POST, "lain"))


def own(post_id: str, text: str, reply_to: str | None, to: str | None = None) -> dict[str, Any]:
    """A post of ours as the timeline shows it."""
    references = [] if reply_to is None else [{"type": "replied_to", "id": reply_to}]
    return {"id": post_id, "text": text, "referenced_tweets": references, "in_reply_to_user_id": to}


@pytest.mark.parametrize(
    ("timeline", "expected"),
    [
        ([], Sent()),  # the timeline lags behind
        ([own("5", "@w Nomor 1", POST, "1")], Sent(("5",))),
        ([own("5", "@w Nomor 1", None)], Sent(("5",))),
        ([own("5", "@w Nomor 1", "77", "1")], Sent(("5",))),  # the same person has the same words already
        ([own("6", "@w Nomor 1", "77", "1"), own("5", "@w Nomor 1", POST, "1")], Sent(("5",))),
        ([own("5", "@w Nomor 2", POST, "1")], Sent()),
        ([own("5", "@x Nomor 1", "77", "2")], None),  # somebody else was told; this person was not
    ],
)
async def test_a_refusal_of_the_same_words_means_that_they_were_posted(
    timeline: list[dict[str, Any]], expected: Sent | None
) -> None:
    bench = Bench(refusal(403, DUPLICATE))
    bench.api.timeline = timeline
    answer = bench.answers.to(POST, "Nomor 1")
    if expected is None:
        with pytest.raises(Refused):
            await bench.answers.send(bench.sender, answer)
    else:
        assert await bench.answers.send(bench.sender, answer) == expected


async def test_the_same_words_count_as_posted_even_if_x_does_not_let_us_look() -> None:
    bench = Bench(refusal(403, DUPLICATE))
    bench.api.timeline_error = ApiError(503, "refused")
    assert await bench.answers.send(bench.sender, bench.answers.to(POST)) == Sent()


@pytest.mark.parametrize(
    ("timeline", "found"),
    [
        ([], None),
        ([own("5", "@w Nomor 1", POST)], "5"),
        ([own("5", "@w Nomor 2", POST)], None),  # another answer to the same post
        ([own("5", "@w Nomor 1", "77")], None),  # the same words, to another post
        ([own("6", "Halo", None), own("5", "@w Nomor 1", POST)], "5"),
        ([{"text": "Nomor 1"}, {"id": "5"}, {"id": "4", "text": 3, "referenced_tweets": [7]}], None),
    ],
)
async def test_only_the_very_answer_counts_as_sent(timeline: list[Any], found: str | None) -> None:
    bench = Bench()
    bench.api.timeline = timeline
    expected = None if found is None else Sent((found,))
    assert await bench.sender.find_sent(bench.answers.to(POST, "Nomor 1")) == expected


async def test_our_posts_are_looked_through_from_just_before_the_answer_was_queued() -> None:
    bench = Bench()
    await bench.sender.find_sent(bench.answers.to(POST))
    assert bench.api.asked_since == datetime(2026, 11, 1, 7, 55, tzinfo=UTC)
    await bench.sender.find_sent(bench.answers.to(POST, id="no-time-in-it"))
    assert bench.api.asked_since < datetime(2025, 10, 31, tzinfo=UTC)  # from the post's own id


async def test_a_look_that_x_does_not_allow_is_put_off() -> None:
    bench = Bench()
    for error in (ApiError(403, "Forbidden"), ApiError(429, "Too Many Requests"), ApiError(None, "no answer in time")):
        bench.api.timeline_error = error
        with pytest.raises(Throttled):
            await bench.sender.find_sent(bench.answers.to(POST))


async def test_a_budget_that_is_used_up_names_its_end() -> None:
    bench = Bench(daily_posts=2)
    for hour in (0, 6):
        await bench.answers.send(bench.sender, bench.answers.to(POST, f"Nomor {hour}"))
        bench.clock.advance(hours=6)
    with pytest.raises(Throttled, match="daily_posts") as raised:
        await bench.answers.send(bench.sender, bench.answers.to(POST))
    assert raised.value.seconds == 12 * 3600 + 1
    bench.clock.advance(seconds=raised.value.seconds)
    await bench.answers.send(bench.sender, bench.answers.to(POST))
    assert len(bench.api.posted) == 3
    assert bench.sender.details()["posts_24h"] == 2


async def test_a_database_that_is_away_puts_the_answer_off() -> None:
    bench = Bench()
    bench.store.away = True
    with pytest.raises(Throttled, match="database"):
        await bench.sender.send(bench.answers.to(POST))
    assert not bench.api.posted


async def test_no_sentence_repeats_what_was_to_be_said() -> None:
    secret = "rahasia"  # noqa: S105 - a word to look for
    for error in (
        refusal(403, f"{secret} is bad"),
        ApiError(500, "x", detail=secret),
        ApiError(400, "x", detail=secret),
    ):
        bench = Bench(error)
        with pytest.raises(GatewayError) as raised:
            await bench.answers.send(bench.sender, bench.answers.to(POST, secret))
        assert secret not in f"{raised.value}{bench.sender.details()}"
