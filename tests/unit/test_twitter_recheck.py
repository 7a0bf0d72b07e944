"""What the re-look-up makes of X's answers: which posts are gone, why, and which are not believed to be."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from channels.twitter.api import ApiError
from channels.twitter.recheck import Recheck
from channels.twitter.settings import TwitterSettings
from gateway.ports import RawMessage
from tests.conftest import eventually
from tests.fakes import FakeClock
from tests.integration.x_parts import MemoryStore

POST = "1984000000000000000"
NEWER = "1984000000000000009"
PROBLEMS = "https://api.twitter.com/2/problems/"


class ScriptedApi:
    """X as a list of answers to look-ups; the last one stays."""

    def __init__(self, *answers: dict[str, Any] | ApiError) -> None:
        self.answers = list(answers)
        self.asked: list[Sequence[str]] = []

    async def lookup(self, ids: Sequence[str]) -> dict[str, Any]:
        self.asked.append(list(ids))
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, ApiError):
            raise answer
        return answer


def record(post_id: str = POST, **fields: Any) -> RawMessage:
    """A post as it was received."""
    return RawMessage(post_id, json.dumps({"data": {"id": post_id, "author_id": "44"} | fields}).encode(), "44")


def problem(kind: str, **fields: Any) -> dict[str, Any]:
    """An answer that names the post as missing."""
    entry = {"resource_id": POST, "value": POST, "parameter": "ids", "resource_type": "tweet", "type": PROBLEMS + kind}
    return {"errors": [{key: value for key, value in (entry | fields).items() if value is not None}]}


async def walk(api: Any, *kept: RawMessage, saved: str | None = None) -> MemoryStore:
    """One whole walk over what is kept."""
    clock = FakeClock()
    store = MemoryStore(clock)
    store.take(*(kept or (record(),)))
    if saved is not None:
        store.values["recheck"] = saved
    settings = TwitterSettings.model_validate({"type": "twitter", "bearer_token": "t"})
    recheck = Recheck(api, settings, store, clock, pace_seconds=0, poll_seconds=0.001)
    task = asyncio.create_task(recheck.run(store.deliver))

    def complete() -> bool:
        clock.advance(seconds=1)
        return task.done() or recheck.details()["recheck_completed_at"] is not None

    await eventually(complete, "the walk to be complete")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return store


SHOWN = {"data": [{"id": POST, "text": "x", "author_id": "44"}]}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (problem("resource-not-found"), "deleted"),
        (problem("not-authorized-for-resource"), "protected"),
        (problem("not-authorized-for-resource", detail="The account is suspended."), "suspended"),
        (problem("resource-unavailable"), "unavailable"),
        (problem("resource-not-found", type="https://api.x.com/2/problems/resource-not-found"), "deleted"),
        (problem("resource-not-found", resource_id=None), "deleted"),
        (problem("resource-not-found", parameter=None), "deleted"),
        (problem("resource-not-found", parameter="referenced_tweets.id"), None),
        (problem("resource-not-found", parameter="author_id", resource_type="user"), None),
        (problem("resource-not-found", resource_id="77", value="77"), None),
        (problem("internal-error"), None),
        (problem("resource-not-found", type=None), None),
        ({}, None),
        ({"meta": {}}, None),
        ({"errors": "x", "data": {"id": POST}}, None),
        ({"errors": [None, 7, {}], "data": [None, {"id": 5}]}, None),
        (SHOWN | problem("resource-not-found"), None),
        ({"data": [SHOWN["data"][0] | {"withheld": {"country_codes": ["ID"]}}]}, "withheld"),
        ({"data": [SHOWN["data"][0] | {"withheld": {"country_codes": ["xx"]}}]}, "withheld"),
        ({"data": [SHOWN["data"][0] | {"withheld": {"copyright": True}}]}, "withheld"),
        ({"data": [SHOWN["data"][0] | {"withheld": {"country_codes": ["DE", "FR"]}}]}, None),
        ({"data": [SHOWN["data"][0] | {"withheld": None}]}, None),
    ],
)
async def test_only_what_x_names_as_gone_is_withdrawn(answer: dict[str, Any], reason: str | None) -> None:
    store = await walk(ScriptedApi(answer))
    expected = [] if reason is None else [{"author_id": "44", "lapor": "withdrawal", "post_id": POST, "reason": reason}]
    assert store.raws("withdrawal:") == expected


async def test_a_post_that_was_missing_once_and_is_there_again_is_not_withdrawn() -> None:
    api = ScriptedApi(problem("resource-not-found"), SHOWN)
    assert (await walk(api)).raws("withdrawal:") == []
    assert api.asked == [[POST], [POST]]


async def test_the_reason_of_the_second_look_counts() -> None:
    api = ScriptedApi(problem("resource-not-found"), problem("not-authorized-for-resource"))
    assert [note["reason"] for note in (await walk(api)).raws("withdrawal:")] == ["protected"]


@pytest.mark.parametrize("raw", [b"\xff", b"[]", b'{"data":7}', b'{"data":{"id":"1"}}', b'{"data":{"author_id":9}}'])
async def test_a_record_without_an_author_is_withdrawn_without_one(raw: bytes) -> None:
    store = await walk(ScriptedApi(problem("resource-not-found")), RawMessage(POST, raw, POST))
    assert [note["author_id"] for note in store.raws("withdrawal:")] == [None]


@pytest.mark.parametrize("naming", ["edit_history_tweet_ids", "edit_history_post_ids"])
async def test_a_newer_version_is_fetched_under_either_name(naming: str) -> None:
    first = {"data": [{"id": POST, "text": "x", "author_id": "44", naming: [POST, NEWER]}]}
    second = {"data": [{"id": NEWER, "text": "y", "author_id": "44", naming: [POST, NEWER]}]}
    api = ScriptedApi(first, second)
    (found,) = (await walk(api)).raws(NEWER)
    assert (found["data"]["text"], found["found_by"]) == ("y", "lookup")
    assert api.asked == [[POST], [NEWER]]


async def test_a_newer_version_that_x_does_not_give_is_no_reason_to_stop() -> None:
    shown = {"data": [{"id": POST, "text": "x", "edit_history_tweet_ids": [POST, NEWER, "x", 7]}]}
    assert [kept.external_id for kept in (await walk(ScriptedApi(shown, {}))).messages] == [POST]


async def test_a_page_that_x_rejects_again_and_again_is_skipped() -> None:
    api = ScriptedApi(*[ApiError(400, "Invalid Request")] * 3, SHOWN)
    await walk(api)
    assert len(api.asked) == 3


@pytest.mark.parametrize(
    "saved",
    ["", "x", "[]", '{"started":"yesterday","cursor":"z"}', '{"last_started":"2999-01-01T00:00:00+00:00"}', '{"a":1}'],
)
async def test_a_place_that_cannot_be_read_begins_a_new_walk(saved: str) -> None:
    api = ScriptedApi(problem("resource-not-found"))
    store = await walk(api, record(), saved=saved)
    assert len(store.raws("withdrawal:")) == 1
    assert json.loads(store.values["recheck"])["last_started"].startswith("2026-11-01")
