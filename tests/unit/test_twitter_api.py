"""The calls to X through tweepy, on a server that answers whatever a test says: every failure is one ApiError."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.twitter.api import ApiError, Rule, XApi, translate
from channels.twitter.settings import TwitterSettings
from gateway.errors import ChannelUnavailable, NeedsOperator
from tests.fakes import FakeClock

Answer = Callable[[web.Request], web.StreamResponse]


class World:
    """A server, what it answers, what it was asked, and the calls on it."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _: web.json_response({})
        self.asked: list[web.Request] = []
        self.clock = FakeClock()
        self.api: XApi

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        await request.read()
        return self.answer(request)

    async def fails(self) -> ApiError:
        """What a search fails with."""
        with pytest.raises(ApiError) as caught:
            await self.api.recent_search("RAHASIA")
        assert "RAHASIA" not in str(caught.value)
        assert "token-1" not in repr(caught.value)
        return caught.value


def settings(url: str, **values: Any) -> TwitterSettings:
    keys = {"consumer_key": "a", "consumer_secret": "b", "access_token": "7-c", "access_token_secret": "d"}
    usual = {"type": "twitter", "api_url": url, "bearer_token": "token-1", "timeout": 20}
    return TwitterSettings.model_validate(usual | keys | values)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.handle)
    async with TestServer(application) as server:
        made.api = XApi(settings(str(server.make_url("")).rstrip("/")), made.clock)
        yield made
        await made.api.close()


async def test_a_search_names_its_fields_and_bears_the_token(world: World) -> None:
    world.answer = lambda _: web.json_response({"data": [], "meta": {"result_count": 0}})
    await world.api.recent_search("#LAPOR", since_id="5", next_token="t")  # noqa: S106
    (request,) = world.asked
    assert request.path == "/2/tweets/search/recent"
    assert request.headers["Authorization"] == "Bearer token-1"
    assert request.query["query"] == "#LAPOR"
    assert (request.query["since_id"], request.query["next_token"]) == ("5", "t")
    assert "note_tweet" in request.query["tweet.fields"].split(",")
    assert "until_id" not in request.query


async def test_a_reply_is_signed_by_the_account(world: World) -> None:
    world.answer = lambda _: web.json_response({"data": {"id": "9", "text": "x"}}, status=201)
    assert await world.api.create_reply("Terima kasih", "5") == "9"
    (request,) = world.asked
    assert request.headers["Authorization"].startswith("OAuth ")
    assert await request.json() == {"text": "Terima kasih", "reply": {"in_reply_to_tweet_id": "5"}}


async def test_rules_go_there_and_back(world: World) -> None:
    world.answer = lambda _: web.json_response({"data": [{"id": "1", "value": "v", "tag": "t"}, {"id": "2"}]})
    assert await world.api.rules() == (Rule("v", "t", "1"), Rule("", "", "2"))
    await world.api.delete_rules(["1"])
    assert await world.asked[-1].json() == {"delete": {"ids": ["1"]}}
    await world.api.add_rules([Rule("v", "t")])
    assert await world.asked[-1].json() == {"add": [{"value": "v", "tag": "t"}]}


async def test_a_rule_that_is_there_already_will_do_and_a_refused_one_will_not(world: World) -> None:
    world.answer = lambda _: web.json_response({"errors": [{"title": "DuplicateRule"}]})
    await world.api.add_rules([Rule("v", "t")])
    world.answer = lambda _: web.json_response({"errors": [{"title": "RulesCapExceeded"}]})
    with pytest.raises(ApiError, match="RulesCapExceeded"):
        await world.api.add_rules([Rule("v", "t")])


async def test_connections_are_cleared(world: World) -> None:
    world.answer = lambda _: web.Response(status=204)
    await world.api.clear_connections()
    assert (world.asked[0].method, world.asked[0].path) == ("DELETE", "/2/connections/all")


@pytest.mark.parametrize(
    ("status", "body", "title"),
    [
        (200, b"<html>", "not JSON"), (200, b"[]", "unknown form"), (200, b'{"a":', "not JSON"),
        (200, b"[" * 100_000, "not JSON"), (200, b"\xff", "not JSON"), (200, b'"' + b"x" * 11_000_000, "too large"),
        (503, b"<html>", "not JSON"), (500, b"", "not JSON"), (400, b"7", "unknown form"), (404, b"{}", "refused"),
        (401, b'{"title":"Unauthorized"}', "Unauthorized"), (302, b"", "not JSON"),
        (429, b'{"errors":[{"message":"x","code":88}]}', "refused"), (418, b'{"errors":["RAHASIA"]}', "refused"),
        (403, b'{"title":"\\nRAHASIA","detail":7}', "refused"),
    ],
)  # fmt: skip
async def test_every_answer_that_is_none_is_one_error(world: World, status: int, body: bytes, title: str) -> None:
    world.answer = lambda _: web.Response(status=status, body=body, headers={"Location": "/2/elsewhere"})
    error = await world.fails()
    assert error.status == status
    assert title in error.title
    assert len(world.asked) == 1


@pytest.mark.parametrize(
    ("reset", "wait"),
    [
        (lambda now: str(now + 33), 33.0),
        (lambda now: str(now - 5), 0.0),
        (lambda _: "soon", None),
        (lambda _: "", None),
    ],
)
async def test_xs_reset_time_is_heeded(world: World, reset: Callable[[int], str], wait: float | None) -> None:
    value = reset(int(world.clock.now().timestamp()))
    world.answer = lambda _: web.json_response({"title": "Too Many"}, status=429, headers={"x-rate-limit-reset": value})
    assert (await world.fails()).wait == wait


async def test_the_cause_is_told_apart_from_the_title(world: World) -> None:
    body = {"title": "ConnectionException", "connection_issue": "TooManyConnections", "detail": "At the limit."}
    world.answer = lambda _: web.json_response(body, status=429)
    error = await world.fails()
    assert (error.title, error.issue, error.detail) == ("ConnectionException", "TooManyConnections", "At the limit.")


@pytest.mark.parametrize("body", [{}, {"data": []}, {"data": {"id": 7}}, {"data": "x"}])
async def test_an_answer_without_what_was_asked_for_is_an_error(world: World, body: Any) -> None:
    world.answer = lambda _: web.json_response(body)
    with pytest.raises(ApiError):
        await world.api.create_reply("x", "5")
    with pytest.raises(ApiError):
        await world.api.me()


async def test_no_answer_in_time_may_have_reached_x(world: World) -> None:
    def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport
        request.transport.abort()
        return web.Response()

    world.answer = drop
    error = await world.fails()
    assert (error.status, error.reached) == (None, True)


async def test_no_connection_has_not_reached_x() -> None:
    api = XApi(settings("http://127.0.0.1:1"))
    with pytest.raises(ApiError) as caught:
        await api.lookup(["1"])
    assert (caught.value.status, caught.value.reached) == (None, False)
    await api.close()
    with pytest.raises(ApiError, match="closed"):
        await api.lookup(["1"])


@pytest.mark.parametrize(
    ("status", "kind", "part"),
    [
        (401, NeedsOperator, "bearer_token"), (402, NeedsOperator, "top up"), (403, NeedsOperator, "plan"),
        (429, ChannelUnavailable, "by themselves"), (503, ChannelUnavailable, "503"),
        (None, ChannelUnavailable, "cannot be reached"),
    ],
)  # fmt: skip
def test_a_failure_is_a_sentence_for_operators(status: int | None, kind: type[Exception], part: str) -> None:
    error = translate(ApiError(status, "Title"), "twitter")
    assert type(error) is kind
    assert part in str(error)
    assert str(error).startswith("channels.twitter: X ")
