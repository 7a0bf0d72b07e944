"""Posts as messages, the lines that they come in, and the rules that they match."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.twitter.api import Rule
from channels.twitter.posts import (
    control_problem,
    from_line,
    from_page,
    id_at,
    id_span,
    is_post_id,
    newest_id,
    next_token,
    time_of,
)  # fmt: skip
from channels.twitter.rules import difference, search_query, wanted_rules
from channels.twitter.session import KEPT_OF_A_LONG_LINE, LineSplitter

POST = {"id": "1900000000000000001", "text": "#LAPOR jalan rusak @LAPOR1708", "author_id": "7"}


def line(**changes: Any) -> bytes:
    return json.dumps({"data": POST | changes, "includes": {}}).encode()


def test_a_post_bears_its_id_and_its_authors_order() -> None:
    message = from_line(line())
    assert (message.external_id, message.order_key, message.raw) == (POST["id"], "7", line())


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"null", b'{"data":[]}', b'{"data":{}}', b'{"data":{"id":5,"text":"a"}}', b"[" * 100_000,
        line(id="1; DROP"), line(id="9" * 20), line(id="\u0661"), line()[:-1], line().replace(b"jalan", b"\xff\xfe"),
        b"<!doctype html>",
    ],
)  # fmt: skip
def test_what_is_damaged_never_takes_the_place_of_a_post(raw: bytes) -> None:
    message = from_line(raw)
    assert message.external_id.startswith("sha256:")
    assert message.external_id == message.order_key
    assert message.raw == raw


def test_a_record_without_a_text_stands_beside_the_post() -> None:
    assert from_line(line(text=None)).external_id == f"{POST['id']}:incomplete"
    assert from_line(line(author_id=None)).external_id == POST["id"]


@given(st.binary(max_size=200))
def test_any_line_becomes_a_message(raw: bytes) -> None:
    message = from_line(raw)
    assert message.external_id
    assert message.order_key
    assert control_problem(raw) is None


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b'{"errors":[{"title":"operational-disconnect"}]}', "operational-disconnect"),
        (b'{ "errors" : [] }', "an error without a name"),
        (b'{"errors":[{"title":"a\\nb"}]}', "an error without a name"),
        (b'{"errors":[{"title":"x"}],"data":{"id":"1"}}', None),
        (b'{"errors":', None),
        (line(), None),
    ],
)
def test_only_errors_alone_end_the_stream(raw: bytes, problem: str | None) -> None:
    assert control_problem(raw) == problem


def test_a_page_is_taken_apart_oldest_first() -> None:
    quoted = {"id": "5", "author_id": "9", "attachments": {"media_keys": ["3_5"]}}
    page = {
        "data": [
            POST | {"id": "30", "referenced_tweets": [{"type": "quoted", "id": "5"}], "geo": {"place_id": "p"}},
            POST | {"id": "20", "author_id": "8"},
        ],
        "includes": {
            "users": [{"id": "7"}, {"id": "8"}, {"id": "9"}, {"id": "10"}], "tweets": [quoted, {"id": "6"}],
            "media": [{"media_key": "3_5"}, {"media_key": "3_6"}], "places": [{"id": "p"}], "odd": 5,
        },
    }  # fmt: skip
    older, newer = from_page(page, "search")
    assert (older.external_id, newer.external_id) == ("20", "30")
    record = json.loads(newer.raw)
    assert record["found_by"] == "search"
    assert record["includes"] == {
        "users": [{"id": "7"}, {"id": "9"}], "tweets": [quoted], "media": [{"media_key": "3_5"}],
        "places": [{"id": "p"}],
    }  # fmt: skip
    assert json.loads(older.raw)["includes"] == {"users": [{"id": "8"}]}
    assert newest_id(page) == 30


@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["data", "includes", "id", "users", "meta", "next_token", "media"]), inner))
)  # fmt: skip
def test_no_page_is_too_odd(odd: Any) -> None:
    for page in (odd if isinstance(odd, dict) else {}, {"data": odd}, {"data": [odd], "includes": odd, "meta": odd}):
        assert all(message.external_id for message in from_page(page, "search"))
        newest_id(page)
        next_token(page)


def test_an_odd_item_keeps_its_name_from_search_to_search() -> None:
    first, second = ({"data": [{"id": "x"}], "includes": {"users": [{"id": n}]}} for n in "12")
    assert [m.external_id for m in from_page(first, "search")] == [m.external_id for m in from_page(second, "search")]


def test_ids_tell_the_time() -> None:
    moment = int(datetime(2026, 11, 1, 8, tzinfo=UTC).timestamp() * 1000)
    assert time_of(id_at(moment)) == moment
    assert id_at(moment) - id_span(timedelta(minutes=10)) == id_at(moment - 600_000)
    assert is_post_id("123")
    assert not is_post_id("123:incomplete")


@given(st.lists(st.binary(max_size=20).filter(lambda raw: b"\n" not in raw), max_size=20), st.data())
def test_lines_are_the_same_however_they_arrive(lines: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(each + b"\n" for each in lines) + b"cut off"
    splitter, start = LineSplitter(), 0
    found: list[bytes] = []
    while start < len(whole):
        size = data.draw(st.integers(1, 30))
        found += splitter.feed(whole[start : start + size])
        start += size
    assert found == lines


def test_of_a_line_that_is_too_long_the_beginning_is_kept() -> None:
    splitter = LineSplitter(limit=100_000)
    found = [
        line for chunk in [b"x" * 60_000, b"y" * 60_000, b"z" * 60_000, b"\nnext\n"] for line in splitter.feed(chunk)
    ]
    assert [len(each) for each in found] == [KEPT_OF_A_LONG_LINE, 4]
    assert found[1] == b"next"


def test_our_rules_are_put_in_force_and_those_of_others_left_alone() -> None:
    wanted = wanted_rules("twitter", "LAPOR1708", "LAPOR")
    assert wanted[0].value == "#LAPOR @LAPOR1708 -is:retweet"
    assert wanted[1].value == search_query("LAPOR1708")
    strict = Rule(wanted[0].value, wanted[0].tag, "1")
    existing = [
        strict,
        Rule(strict.value, strict.tag, "2"),
        Rule("old", "lapor-gateway:twitter:wide", "3"),
        Rule("kucing", "", "4"),
        Rule("old", "lapor-gateway:twitter-2:wide", "5"),
    ]
    assert difference("twitter", wanted, existing) == ([wanted[1]], ["2", "3"])
    assert difference("twitter", wanted, wanted) == ([], [])


def test_a_rule_of_others_with_our_value_will_do() -> None:
    wanted = wanted_rules("twitter", "LAPOR1708", "LAPOR")
    existing = [Rule(wanted[0].value, "theirs", "1"), Rule(wanted[1].value, wanted[1].tag, "2")]
    assert difference("twitter", wanted, existing) == ([], [])
