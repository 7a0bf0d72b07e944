"""Tests of the simulated X over HTTP: the stream with its faults, the searches, posting, and the control endpoint."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any

import aiohttp
import pytest
from tweepy.asynchronous import AsyncClient
from tweepy.errors import Forbidden, TooManyRequests
from yarl import URL

from gateway.demo.x import OPERATIONAL_DISCONNECT, Credentials, Media, Options, Refusal, XSimulator
from gateway.demo.x.citizens import keep_posting
from tests.conftest import DEADLINE, eventually
from tests.fakes import FakeClock

STREAM = "/2/tweets/search/stream"
RULES = f"{STREAM}/rules"
RECENT = "/2/tweets/search/recent"
BEARER = {"Authorization": f"Bearer {Credentials().bearer_token}"}
OPTIONS = Options(keep_alive_seconds=0.05, search_delay_seconds=0)
MENTION = "@LAPOR1708 -is:retweet"


class Client:
    """A bare client: reads streams line by line, and everything else as JSON."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def get(self, path: str, **parameters: str | int) -> dict[str, Any]:
        """The body of an answer that must be right."""
        async with self.session.get(path, params=parameters) as response:
            assert response.status == 200, await response.text()
            body: dict[str, Any] = await response.json()
            return body

    async def refused(self, path: str, **parameters: str | int) -> tuple[int, dict[str, Any]]:
        """The status and body of an answer that may be a refusal."""
        async with self.session.get(path, params=parameters) as response:
            return response.status, await response.json()

    async def control(self, **wanted: object) -> dict[str, Any]:
        """Uses the control endpoint."""
        async with self.session.post("/_control", json=wanted) as response:
            assert response.status == 200, await response.text()
            body: dict[str, Any] = await response.json()
            return body

    @asynccontextmanager
    async def stream(self) -> AsyncIterator["Listener"]:
        """An open stream."""
        async with self.session.get(STREAM, params={"expansions": "author_id"}) as response:
            assert response.status == 200, await response.text()
            yield Listener(response)


class Listener:
    """One open stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def line(self) -> bytes:
        """The next line whatever it is; nothing at the end of the stream."""
        async with asyncio.timeout(DEADLINE):
            return await self._response.content.readline()

    async def end(self) -> None:
        """Reads keep-alives until the stream ends."""
        while line := await self.line():
            assert line == b"\r\n"

    async def records(self, count: int) -> list[str]:
        """The texts of the next posts, keep-alives left out."""
        found: list[str] = []
        while len(found) < count:
            line = await self.line()
            assert line.endswith(b"\r\n")
            if line.strip():
                found.append(json.loads(line)["data"]["text"])
        return found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def x(clock: FakeClock) -> AsyncIterator[XSimulator]:
    """X with one rule."""
    async with XSimulator(OPTIONS, clock=clock) as simulator:
        simulator.rules.add([{"value": MENTION, "tag": "wide"}])
        yield simulator


@pytest.fixture
async def client(x: XSimulator) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(x.origin, headers=BEARER, read_bufsize=4 << 20) as session:
        yield Client(session)


# -- the stream


async def test_a_post_that_fulfils_a_rule_arrives_with_its_author_and_the_rule(x: XSimulator, client: Client) -> None:
    async with client.stream() as stream:
        x.world.post("warga_0001", "bukan urusan kami")
        x.world.post("warga_0002", "tolong @LAPOR1708")
        record = json.loads(await stream.line())

    assert record["data"]["text"] == "tolong @LAPOR1708"
    assert [user["username"] for user in record["includes"]["users"]] == ["warga_0002"]
    assert [rule["tag"] for rule in record["matching_rules"]] == ["wide"]


async def test_a_stream_without_posts_sends_empty_lines(x: XSimulator, client: Client) -> None:
    async with client.stream() as stream:
        assert [await stream.line() for _ in range(2)] == [b"\r\n"] * 2
        assert x.stream.open_connections == 1
    await eventually(lambda: x.stream.open_connections == 0, "the slot is free again")


async def test_a_second_connection_is_refused_as_is_one_without_rules_or_token(x: XSimulator, client: Client) -> None:
    async with client.stream():
        status, body = await client.refused(STREAM)
        assert (status, body["connection_issue"]) == (429, "TooManyConnections")
        async with client.session.get(STREAM, headers={"Authorization": "Bearer wrong"}) as response:
            assert response.status == 401
    x.rules.delete([rule.id for rule in x.rules])

    status, body = await client.refused(STREAM)

    assert (status, body["connection_issue"]) == (409, "RuleConfigurationIssue")


async def test_connects_are_limited_and_all_of_them_counted(clock: FakeClock) -> None:
    async with (
        XSimulator(Options(connect_limit=3, window_seconds=900), clock=clock) as x,
        aiohttp.ClientSession(x.origin, headers=BEARER) as session,
    ):
        answers = []
        for _ in range(4):
            async with session.get(STREAM) as response:
                answers.append((response.status, response.headers.get("x-rate-limit-remaining")))
        clock.advance(minutes=15)
        async with session.get(STREAM) as response:
            answers.append((response.status, None))

        assert answers == [(409, None)] * 3 + [(429, "0"), (409, None)]
        assert len(x.stream.connect_attempts) == 5
        assert x.stream.most_connects_within(900) == 4


@pytest.mark.parametrize(
    ("refusal", "status", "kind"),
    [
        ("unauthorized", 401, "application/json"),
        ("payment", 402, "application/json"),
        ("forbidden", 403, "application/json"),
        ("rate-limited", 429, "application/json"),
        ("rate-limited-bare", 429, "application/json"),
        ("too-many-connections", 429, "application/json"),
        ("unavailable", 503, "text/html"),
        ("html", 200, "text/html"),
    ],
)
async def test_the_next_connect_and_the_next_call_can_be_refused(
    x: XSimulator, client: Client, refusal: Refusal, status: int, kind: str
) -> None:
    x.faults.refuse_connects(refusal)
    x.faults.refuse_calls(refusal, path=f"GET {RECENT}")

    assert (await client.get("/2/users/me"))["data"]["username"] == "LAPOR1708"
    for path in (STREAM, RECENT):
        async with client.session.get(path, params={"query": "a"}) as response:
            assert (response.status, response.content_type) == (status, kind)
            assert ("x-rate-limit-reset" in response.headers) == (refusal == "rate-limited")
    async with client.stream():
        assert (await client.get(RECENT, query="a"))["meta"] == {"result_count": 0}


async def test_a_closed_stream_ends_and_a_reset_one_breaks(x: XSimulator, client: Client) -> None:
    async with client.stream() as stream:
        x.faults.inject(OPERATIONAL_DISCONNECT)
        assert json.loads(await stream.line())["errors"][0]["title"] == "operational-disconnect"
        x.faults.close()
        await stream.end()
    async with client.stream() as stream:
        x.faults.reset()
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await stream.end()


async def test_a_muted_connection_says_nothing_and_a_new_one_works(x: XSimulator, client: Client) -> None:
    async with client.stream():
        x.faults.mute()
        x.world.post("warga_0001", "satu @LAPOR1708")
        await eventually(lambda: x.stream.dropped == 1, "the post was lost")
        assert x.stream.open_connections == 1
    await eventually(lambda: not x.stream.open_connections, "the client is gone")
    async with client.stream() as stream:
        x.world.post("warga_0001", "dua @LAPOR1708")
        assert await stream.records(1) == ["dua @LAPOR1708"]


async def test_half_a_line_comes_and_the_stream_ends(x: XSimulator, client: Client) -> None:
    x.faults.half_lines = 1
    async with client.stream() as stream:
        x.world.post("warga_0001", "satu @LAPOR1708")
        while (line := await stream.line()) == b"\r\n":
            pass
        assert line.startswith(b'{"data"')
        assert not line.endswith(b"\n")
        assert await stream.line() == b""


async def test_posts_arrive_byte_by_byte_twice_and_in_disorder(x: XSimulator, client: Client) -> None:
    x.faults.byte_by_byte = True
    x.faults.duplicates = 1
    x.faults.disorder = 5
    async with client.stream() as stream:
        texts = [f"{n} @LAPOR1708" for n in range(7)]
        for text in texts:
            x.world.post("warga_0001", text)
        arrived = await stream.records(14)

    assert sorted(arrived) == sorted(texts * 2)
    assert arrived[::2] != texts


async def test_a_ghost_keeps_its_slot_until_connections_are_cleared(x: XSimulator, client: Client) -> None:
    x.faults.ghosts = True
    async with client.stream():
        pass
    await eventually(lambda: x.stream.ghosts == 1, "the ghost stays")
    assert (await client.refused(STREAM))[0] == 429

    async with client.session.delete("/2/connections/all") as response:
        assert (await response.json())["data"]["successful_kills"] == 1
    async with client.stream():
        pass


async def test_what_is_posted_in_a_blackout_is_found_by_search_alone(x: XSimulator, client: Client) -> None:
    async with client.stream() as stream:
        x.faults.blackout = True
        x.world.post("warga_0001", "satu @LAPOR1708")
        assert await stream.line() == b"\r\n"
        x.faults.blackout = False
        x.world.post("warga_0001", "dua @LAPOR1708")
        assert await stream.records(1) == ["dua @LAPOR1708"]

    found = await client.get(RECENT, query=MENTION)

    assert [post["text"] for post in found["data"]] == ["dua @LAPOR1708", "satu @LAPOR1708"]


async def test_any_bytes_can_be_put_into_the_stream(x: XSimulator, client: Client) -> None:
    lines = [b'{"data": {', b"\xff\xfe", b'{"unknown": 1}', b"x" * 1_200_000]
    async with client.stream() as stream:
        for line in lines:
            x.faults.inject(line)
        arrived: list[bytes] = []
        while len(arrived) < len(lines):
            line = await stream.line()
            arrived += [line.removesuffix(b"\r\n")] if line.strip() else []

    assert arrived == lines


async def test_a_slow_client_loses_posts_and_memory_stays_bounded(clock: FakeClock) -> None:
    async with XSimulator(Options(queue_length=3), clock=clock) as x:
        x.rules.add([{"value": MENTION}])
        async with aiohttp.ClientSession(x.origin, headers=BEARER) as session, Client(session).stream() as stream:
            for n in range(10):
                x.world.post("warga_0001", f"{n} @LAPOR1708")
            assert await stream.records(3) == [f"{n} @LAPOR1708" for n in range(3)]
            assert (x.stream.sent, x.stream.dropped) == (3, 7)


async def test_x_can_be_away_and_come_back_at_the_same_address(x: XSimulator, client: Client) -> None:
    x.world.post("warga_0001", "@LAPOR1708")
    await x.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.get(RECENT, query=MENTION)

    await x.start()

    assert (await client.get(RECENT, query=MENTION))["meta"]["result_count"] == 1


# -- rules over HTTP


async def test_rules_are_listed_added_and_deleted(client: Client) -> None:
    async with client.session.post(RULES, json={"add": [{"value": "#LAPOR", "tag": "strict"}]}) as response:
        assert response.status == 201
        added = (await response.json())["data"][0]
    assert added in (await client.get(RULES))["data"]

    async with client.session.post(RULES, json={"delete": {"ids": [added["id"]]}}) as response:
        assert (await response.json())["meta"]["summary"] == {"deleted": 1, "not_deleted": 0}
    assert [rule["tag"] for rule in (await client.get(RULES))["data"]] == ["wide"]


# -- search and look-up


async def test_all_pages_of_a_search_give_every_post_once_newest_first(x: XSimulator, client: Client) -> None:
    posts = [x.world.post("warga_0001", f"{n} @LAPOR1708") for n in range(25)]
    found: list[str] = []
    token: dict[str, str] = {}
    for size in (10, 10, 5):
        page = await client.get(RECENT, query=MENTION, max_results=10, **token)
        assert page["meta"]["result_count"] == size
        assert page["meta"]["newest_id"] == page["data"][0]["id"]
        found += [post["id"] for post in page["data"]]
        token = {"next_token": page["meta"].get("next_token", "")}

    assert token == {"next_token": ""}
    assert found == [post.id for post in reversed(posts)]


async def test_a_search_is_bounded_by_ids_or_times(x: XSimulator, client: Client, clock: FakeClock) -> None:
    now = clock.now()
    first, second, third = (
        x.world.post("warga_0001", f"{n} @LAPOR1708", at=now - timedelta(minutes=n)) for n in (30, 20, 10)
    )

    async def ids(**bounds: str) -> list[str]:
        return [post["id"] for post in (await client.get(RECENT, query=MENTION, **bounds)).get("data", [])]

    assert await ids(since_id=first.id, until_id=third.id) == [second.id]
    assert await ids(start_time=f"{now - timedelta(minutes=20):%Y-%m-%dT%H:%M:%SZ}") == [third.id, second.id]
    assert await ids(end_time=f"{now - timedelta(minutes=15):%Y-%m-%dT%H:%M:%SZ}") == [second.id, first.id]


async def test_a_search_ends_a_while_before_now(clock: FakeClock) -> None:
    async with XSimulator(Options(), clock=clock) as x, aiohttp.ClientSession(x.origin, headers=BEARER) as session:
        x.world.post("warga_0001", "@LAPOR1708")
        assert (await Client(session).get(RECENT, query=MENTION))["meta"]["result_count"] == 0

        clock.advance(seconds=31)

        assert (await Client(session).get(RECENT, query=MENTION))["meta"]["result_count"] == 1


@pytest.mark.parametrize(
    "bounds",
    [
        {"since_id": "1"},
        {"start_time": "2026-10-01T00:00:00Z"},
        {"start_time": "yesterday"},
        {"since_id": "1", "start_time": "2026-10-31T00:00:00Z"},
        {"max_results": "101"},
        {"max_results": "9"},
        {"query": "(("},
        {"next_token": "!"},
    ],
)
async def test_searches_that_x_refuses_are_refused(client: Client, bounds: dict[str, str]) -> None:
    status, body = await client.refused(RECENT, **{"query": "a", **bounds})

    assert (status, body["title"]) == (400, "Invalid Request")


async def test_a_look_up_shows_what_it_can_and_says_why_not_for_the_rest(x: XSimulator, client: Client) -> None:
    shown, deleted, withheld = (x.world.post("warga_0001", f"{n}") for n in range(3))
    protected = x.world.post("warga_0002", "3")
    x.world.delete(deleted.id)
    x.world.withhold(withheld.id)
    x.world.protect("warga_0002")
    ids = [post.id for post in (shown, deleted, withheld, protected)]

    body = await client.get("/2/tweets", ids=",".join(ids))

    assert [post["id"] for post in body["data"]] == ids[:1]
    assert [(error["resource_id"], error["type"].rpartition("/")[2]) for error in body["errors"]] == [
        (deleted.id, "resource-not-found"),
        (withheld.id, "not-authorized-for-resource"),
        (protected.id, "not-authorized-for-resource"),
    ]
    assert (await client.refused("/2/tweets", ids=",".join(["1"] * 101)))[0] == 400


async def test_mentions_timelines_and_accounts_are_read(x: XSimulator, client: Client) -> None:
    author = x.world.user("warga_0001")
    posts = [x.world.post(author, f"{n} @LAPOR1708") for n in range(6)]

    mentions = await client.get(f"/2/users/{x.account.id}/mentions", max_results=5)
    timeline = await client.get(f"/2/users/{author.id}/tweets", since_id=posts[3].id)
    found = await client.get("/2/users/by/username/WARGA_0001")
    missing = await client.get("/2/users/by/username/nobody")

    assert mentions["meta"]["newest_id"] == posts[5].id
    assert "next_token" in mentions["meta"]
    assert [post["id"] for post in timeline["data"]] == [posts[5].id, posts[4].id]
    assert found["data"]["id"] == author.id
    assert missing["errors"][0]["title"] == "Not Found Error"


# -- posting, with tweepy's own signature


class Elsewhere:
    """A session that leads tweepy to the simulator, though it calls and signs for the real X."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def request(self, method: str, address: object, **details: Any) -> Any:
        path = URL(str(address), encoded=True).raw_path_qs
        return self._session.request(method, URL(path, encoded=True), **details)


def tweepy_client(session: aiohttp.ClientSession, keys: Credentials) -> Any:
    made = AsyncClient(
        keys.bearer_token, keys.consumer_key, keys.consumer_secret, keys.access_token, keys.access_token_secret
    )
    made.session = Elsewhere(session)
    return made


@pytest.fixture
async def ours(x: XSimulator) -> AsyncIterator[Any]:
    """Our account's own client."""
    async with aiohttp.ClientSession(x.origin) as session:
        yield tweepy_client(session, x.options.credentials)


async def test_an_answer_appears_in_the_world_and_is_remembered(x: XSimulator, ours: Any) -> None:
    asked = x.world.post("warga_0001", "#LAPOR jalan rusak @LAPOR1708")
    made = await ours.create_tweet(text="Terima kasih & salam: #1234567890", in_reply_to_tweet_id=asked.id)

    found = await ours.get_users_tweets(x.account.id, user_auth=True, start_time="2026-10-31T00:00:00Z")

    assert [(answer.reply_to, answer.text) for answer in x.answers] == [(asked.id, "Terima kasih & salam: #1234567890")]
    assert [post.id for post in found.data] == [int(made.data["id"])]
    assert found.data[0].text == "@warga_0001 Terima kasih &amp; salam: #1234567890"


async def test_what_x_refuses_to_post_is_refused(x: XSimulator, ours: Any) -> None:
    asked = x.world.post("warga_0001", "@LAPOR1708")
    silent = x.world.post("warga_0002", "tanpa sebutan")
    deleted = x.world.post("warga_0003", "@LAPOR1708")
    x.world.delete(deleted.id)
    await ours.create_tweet(text="satu", in_reply_to_tweet_id=asked.id)

    for text, parent in (("satu", asked), ("dua", silent), ("tiga", deleted), ("empat" * 60, asked)):
        with pytest.raises(Forbidden):
            await ours.create_tweet(text=text, in_reply_to_tweet_id=parent.id)
    assert len(x.answers) == 1
    assert x.duplicates_refused == 1


async def test_posting_is_limited(clock: FakeClock) -> None:
    async with XSimulator(Options(post_limit=1), clock=clock) as x, aiohttp.ClientSession(x.origin) as session:
        ours = tweepy_client(session, x.options.credentials)
        await ours.create_tweet(text="satu")
        with pytest.raises(TooManyRequests):
            await ours.create_tweet(text="dua")
        clock.advance(minutes=15)
        await ours.create_tweet(text="tiga")


async def test_a_post_needs_the_right_signature(x: XSimulator, client: Client) -> None:
    wrong = Credentials(consumer_secret="wrong")  # noqa: S106 - opens nothing
    async with aiohttp.ClientSession(x.origin) as session:
        with pytest.raises(Exception, match="Unauthorized"):
            await tweepy_client(session, wrong).create_tweet(text="satu")
    async with client.session.post("/2/tweets", json={"text": "satu"}) as response:
        assert response.status == 403
    assert not x.answers


async def test_an_answer_can_be_posted_and_the_confirmation_lost(x: XSimulator, ours: Any) -> None:
    x.faults.lost_answers = 1
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await ours.create_tweet(text="satu")

    with pytest.raises(Forbidden, match="duplicate"):
        await ours.create_tweet(text="satu")
    assert len(x.answers) == 1


# -- pictures, citizens, the control endpoint


@pytest.mark.parametrize(
    ("name", "kind", "start"),
    [
        ("foto.png", "image/png", b"\x89PNG"),
        ("foto.jpg", "image/jpeg", b"\xff\xd8\xff"),
        ("redirect-foto.jpg", "image/jpeg", b"\xff\xd8\xff"),
        ("film.mp4", "video/mp4", b"\0\0\0\x1cftyp"),
        ("impostor.jpg", "image/jpeg", b"<!doctype html>"),
    ],
)
async def test_pictures_are_served(client: Client, name: str, kind: str, start: bytes) -> None:
    async with client.session.get(f"/media/{name}") as response:
        assert response.content_type == kind
        assert (await response.read()).startswith(start)


async def test_an_oversized_and_a_missing_picture(clock: FakeClock) -> None:
    async with (
        XSimulator(Options(huge_bytes=1_000_000), clock=clock) as x,
        aiohttp.ClientSession(x.origin) as session,
    ):
        async with session.get("/media/huge.jpg") as response:
            assert len(await response.read()) == 1_000_000
        async with session.get("/media/missing.jpg") as response:
            assert response.status == 404


async def test_citizens_post_into_the_stream_until_they_are_stopped(x: XSimulator, client: Client) -> None:
    async with client.stream() as stream:
        citizens = asyncio.create_task(keep_posting(x.world, Random(1), 1000.0))
        assert len(await stream.records(20)) == 20
        citizens.cancel()


async def test_another_process_posts_sets_faults_and_reads_counters(x: XSimulator, client: Client) -> None:
    media = [{"name": "foto.jpg", "kind": "photo", "alt_text": "Foto"}]
    place = {"id": "07d9", "full_name": "Sukamaju", "bbox": [106.0, -7.0, 106.1, -6.9]}
    first = await client.control(
        user={"username": "warga_0001", "verified": True, "created_at": "2012-01-01T00:00:00Z"},
        post={"author": "warga_0001", "text": "@LAPOR1708", "at": "2026-11-01T07:30:00Z", "media": media},
    )
    more = await client.control(
        posts=[
            {"author": "warga_0002", "text": "dua", "reply_to": first["posts"][0], "place": place},
            {"author": "warga_0003", "text": "tiga", "coordinates": [106.0, -7.0]},
        ],
        refuse_calls={"refusal": "unavailable", "times": 2},
        set={"duplicates": 2},
    )
    await client.control(delete=[more["posts"][1]], protect=["warga_0002"], withhold_in={first["posts"][0]: ["ID"]})
    async with client.session.get(RECENT, params={"query": "a"}) as response:
        assert response.status == 503
    await client.control(clear=True)

    counters = await client.get("/_control")
    post = x.world.get(first["posts"][0])

    assert post is not None
    assert post.media == (Media("foto.jpg", alt_text="Foto"),)
    assert post.author.verified
    assert x.world.withheld_in(post) == ("ID",)
    assert counters["posts"] == 2
    assert counters["calls"][f"GET {RECENT}"] == 1
    assert (await client.get(RECENT, query="@LAPOR1708"))["meta"]["result_count"] == 1


async def test_another_process_strikes_the_stream(client: Client) -> None:
    async with client.stream() as stream:
        await client.control(inject="bukan json", operational_disconnect=True)
        assert await stream.line() == b"bukan json\r\n"
        assert await stream.line() == OPERATIONAL_DISCONNECT + b"\r\n"
        await client.control(close=True)
        await stream.end()


@pytest.mark.parametrize(
    "wanted", [{"set": {"nonsense": 1}}, {"refuse_calls": {"refusal": "maybe"}}, {"post": {"text": "siapa?"}}]
)
async def test_what_the_control_endpoint_does_not_understand_it_says(client: Client, wanted: dict[str, Any]) -> None:
    async with client.session.post("/_control", json=wanted) as response:
        assert response.status == 400
        assert (await response.json())["error"]
