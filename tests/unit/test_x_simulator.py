"""Tests of what the simulated X knows without a network: texts, ids, rules, JSON, pictures, invented citizens."""

import struct
import zlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import Any

import pytest

from gateway.demo.x import Media, Place, Post, World
from gateway.demo.x.citizens import ACCOUNT, CROWD, invent_posts, put
from gateway.demo.x.media import SIDE, jpeg, png
from gateway.demo.x.problems import Problem, RateLimit
from gateway.demo.x.render import Naming, Renderer, Shape
from gateway.demo.x.rules import RuleError, Rules, compile_rule
from gateway.demo.x.text import POST_LENGTH, weigh
from gateway.demo.x.world import EPOCH_MILLISECONDS, moment_of
from tests.fakes import FakeClock

EVERYTHING = {
    "expansions": "author_id,in_reply_to_user_id,referenced_tweets.id,attachments.media_keys,geo.place_id",
    "media.fields": "url,preview_image_url,variants,alt_text,width,height",
    "place.fields": "geo",
    "user.fields": "created_at,verified,description",
}
POST_FIELDS = (
    "author_id,created_at,lang,conversation_id,in_reply_to_user_id,referenced_tweets,entities,attachments,geo,"
    "withheld,possibly_sensitive,note_tweet"
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world(clock: FakeClock) -> World:
    return World(clock)


def written(world: World, post: Post, naming: Naming = "classic", **query: str) -> dict[str, Any]:
    """The post as a client that asks for everything gets it."""
    shape = Shape.of(EVERYTHING | {"tweet.fields": POST_FIELDS} | query, naming)
    return Renderer(world, "http://x").record(post, shape)


def entity(post: Post, kind: str, key: str) -> list[str]:
    """The values of one kind of entity, after a look whether each stands where it says."""
    found = list(post.shown.entities.get(kind, ()))
    for item in found:
        there = post.shown.text[item["start"] : item["end"]].lstrip("#@")
        assert there == (item["url"] if kind == "urls" else item[key])
    return [item[key] for item in found]


# -- texts


@pytest.mark.parametrize(
    ("text", "tags", "mentions"),
    [
        ("#LAPOR jalan rusak @LAPOR1708", ["LAPOR"], ["LAPOR1708"]),
        ("#LAPOR! ada #lapor, @lapor1708: tolong", ["LAPOR", "lapor"], ["lapor1708"]),
        ("#LAPORkan saja", ["LAPORkan"], []),
        ("tolong#LAPOR dan #LAPOR@LAPOR1708", [], []),
        ("surat@example.com bukan sebutan, #123 bukan tagar", [], []),
        ("🙏🏽🕳️ #LAPOR é @warga_0001", ["LAPOR"], ["warga_0001"]),
        ("a & b < c #LAPOR (@LAPOR1708)", ["LAPOR"], ["LAPOR1708"]),
    ],
)
def test_entities_are_found_as_x_finds_them_and_counted_in_code_points(
    world: World, text: str, tags: list[str], mentions: list[str]
) -> None:
    post = world.post("warga_0001", text)

    assert entity(post, "hashtags", "tag") == tags
    assert entity(post, "mentions", "username") == mentions


def test_links_are_shortened_and_their_targets_kept(world: World) -> None:
    post = world.post("warga_0001", "lihat https://lapor.go.id/id/1234567?a=1&b=2, juga lapor.go.id.")

    assert entity(post, "urls", "expanded_url") == ["https://lapor.go.id/id/1234567?a=1&b=2", "http://lapor.go.id"]
    assert "lapor.go.id" not in post.shown.text


def test_the_text_is_handed_out_escaped(world: World) -> None:
    assert world.post("warga_0001", "a & b < c").shown.text == "a &amp; b &lt; c"


@pytest.mark.parametrize(
    ("text", "weight"), [("abc", 3), ("é", 1), ("日本", 4), ("https://example.com/a/very/long/address/of/a/page", 23)]
)
def test_lengths_are_weighed_as_x_does(text: str, weight: int) -> None:
    assert weigh(text) == weight


def test_a_long_post_is_cut_and_its_whole_text_is_in_the_note(world: World) -> None:
    post = world.post("warga_0001", "#LAPOR " + "panjang " * 50 + "@LAPOR1708")
    data = written(world, post)["data"]

    assert data["text"].endswith("…")
    assert weigh(data["text"]) <= POST_LENGTH
    assert "mentions" not in data["entities"]
    assert data["note_tweet"]["text"].endswith("@LAPOR1708")
    assert [mention["username"] for mention in data["note_tweet"]["entities"]["mentions"]] == ["LAPOR1708"]


# -- ids and the world


def test_an_id_tells_the_time_and_no_two_are_the_same(world: World, clock: FakeClock) -> None:
    posts = [world.post("warga_0001", f"{n}") for n in range(3)]
    clock.advance(seconds=1)
    posts.append(world.post("warga_0001", "3"))

    ids = [int(post.id) for post in posts]
    assert ids == sorted(set(ids))
    assert moment_of(ids[-1]) == clock.now()
    assert (ids[0] >> 22) + EPOCH_MILLISECONDS == int(posts[0].created_at.timestamp() * 1000)


def test_a_post_of_the_past_takes_its_place_there(world: World, clock: FakeClock) -> None:
    new = world.post("warga_0001", "baru")
    old = world.post("warga_0001", "lama", at=clock.now() - timedelta(minutes=30))

    assert list(world.newest_first()) == [new, old]


def test_the_oldest_posts_are_forgotten_beyond_the_limit(clock: FakeClock) -> None:
    world = World(clock, keep=10)
    posts = [world.post("warga_0001", f"{n}") for n in range(30)]

    assert len(world) == 10
    assert list(world.newest_first()) == posts[:19:-1]
    assert world.get(posts[0].id) is None


def test_an_edit_is_a_post_of_its_own_that_names_all_versions_and_replaces_the_others_in_searches(
    world: World, clock: FakeClock
) -> None:
    first = world.post("warga_0001", "satu")
    clock.advance(minutes=1)
    second = world.post("warga_0001", "dua", edit_of=first)
    third = world.post("warga_0001", "tiga", edit_of=second.id)

    for post in (first, second, third):
        assert written(world, post)["data"]["edit_history_tweet_ids"] == [first.id, second.id, third.id]
    assert list(world.newest_first()) == [third]
    world.delete(third.id)
    assert world.get(first.id) is None


def test_what_is_hidden_is_not_found(world: World) -> None:
    shown = world.post("warga_0001", "satu")
    partly = world.post("warga_0001", "dua")
    hidden = world.post("warga_0001", "tiga")
    world.post("warga_0002", "empat")
    world.withhold(partly.id, "ID")
    world.withhold(hidden.id)
    world.protect("warga_0002")

    assert list(world.newest_first()) == [partly, shown]
    assert written(world, partly)["data"]["withheld"] == {"copyright": False, "country_codes": ["ID"]}


# -- JSON


def test_a_reply_names_its_conversation_its_parent_and_brings_both_people(world: World) -> None:
    parent = world.post("warga_0001", "#LAPOR jalan rusak @LAPOR1708")
    reply = world.post("warga_0002", "di sini juga", reply_to=parent)
    record = written(world, world.post("warga_0003", "sama", reply_to=reply))

    assert record["data"]["conversation_id"] == parent.id
    assert record["data"]["in_reply_to_user_id"] == reply.author.id
    assert record["data"]["referenced_tweets"] == [{"type": "replied_to", "id": reply.id}]
    assert {user["username"] for user in record["includes"]["users"]} == {"warga_0002", "warga_0003"}
    assert [post["id"] for post in record["includes"]["tweets"]] == [reply.id]


def test_media_and_place_come_with_the_post(world: World) -> None:
    place = Place("07d9", "Sukamaju, Indonesia", (106.0, -7.0, 106.1, -6.9))
    media = (Media("a.jpg", alt_text="Foto"), Media("b.mp4", "video"))
    post = world.post("warga_0001", "#LAPOR", media=media, place=place, coordinates=(106.05, -6.95))
    record = written(world, post)

    picture, video = record["includes"]["media"]
    assert record["data"]["attachments"]["media_keys"] == [picture["media_key"], video["media_key"]]
    assert (picture["url"], picture["alt_text"]) == ("http://x/media/a.jpg", "Foto")
    assert video["variants"][0]["url"] == "http://x/media/b.mp4"
    assert record["data"]["geo"]["coordinates"]["coordinates"] == [106.05, -6.95]
    assert record["includes"]["places"][0]["geo"]["bbox"] == [106.0, -7.0, 106.1, -6.9]
    assert entity(post, "urls", "display_url")[0].startswith("pic.x.com/")


def test_only_what_was_asked_for_is_sent(world: World) -> None:
    post = world.post("warga_0001", "#LAPOR")

    assert Renderer(world).record(post, Shape.of({})) == {
        "data": {"id": post.id, "text": "#LAPOR", "edit_history_tweet_ids": [post.id]}
    }


@pytest.mark.parametrize(("naming", "asked"), [("new", "tweet.fields"), ("auto", "post.fields")])
def test_the_newer_naming_calls_everything_a_post(world: World, naming: Naming, asked: str) -> None:
    parent = world.post("warga_0001", "satu")
    post = world.post("warga_0002", "panjang " * 60, reply_to=parent)
    record = written(world, post, naming, **{asked: "note_tweet", "expansions": "referenced_posts.id"})

    assert {"note_post", "referenced_posts"} <= record["data"].keys()
    assert [each["id"] for each in record["includes"]["posts"]] == [parent.id]


def test_a_reference_to_a_deleted_post_is_an_error_entry(world: World) -> None:
    parent = world.post("warga_0001", "satu")
    reply = world.post("warga_0002", "dua", reply_to=parent)
    world.delete(parent.id)

    assert [error["resource_id"] for error in written(world, reply)["errors"]] == [parent.id]


# -- rules


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ("#LAPOR @LAPOR1708", "#lapor jalan @lapor1708", True),
        ("#LAPOR @LAPOR1708", "#LAPORkan jalan @LAPOR1708", False),
        ("#LAPOR @LAPOR1708", "#LAPOR jalan @LAPOR17080", False),
        ("#LAPOR OR @LAPOR1708", "hanya @LAPOR1708", True),
        ("(@LAPOR1708 OR LAPOR1708) -is:retweet", "lapor1708 tolong", True),
        ("LAPOR1708", "LAPOR17081", False),
        ('"jalan rusak"', "di Jalan, Rusak semua", True),
        ('"jalan rusak"', "jalan yang rusak", False),
        ("jalan -rusak", "jalan rusak", False),
        ('jalan -(rusak OR "putus total")', "jalan putus total", False),
        ("from:warga_0001 jalan", "jalan", True),
        ("jalan -from:WARGA_0001", "jalan", False),
        ("a b OR c", "c", True),
        ("a (b OR c)", "c", False),
        ("jalan has:media", "jalan", False),
    ],
)
def test_rules_match_as_x_matches_them(world: World, rule: str, text: str, expected: bool) -> None:  # noqa: FBT001
    assert compile_rule(rule)(world.post("warga_0001", text)) is expected


def test_a_retweet_is_told_from_a_post(world: World) -> None:
    matches = compile_rule("@LAPOR1708 -is:retweet")
    post = world.post("warga_0001", "@LAPOR1708 tolong")
    retweet = world.post("warga_0002", "", retweet=post)

    assert matches(post)
    assert not matches(retweet)
    assert retweet.shown.text == "RT @warga_0001: @LAPOR1708 tolong"


@pytest.mark.parametrize("rule", ["", "(", "a)", "a OR", "-is:retweet", "foo:bar", '"open', "!!!", "a" * 1025])
def test_rules_that_x_refuses_are_refused(rule: str) -> None:
    with pytest.raises(RuleError):
        compile_rule(rule)


def test_a_rule_that_is_there_already_is_reported_with_its_id() -> None:
    rules = Rules()
    _, first = rules.add([{"value": "#LAPOR", "tag": "strict"}])
    status, again = rules.add([{"value": "#LAPOR", "tag": "strict"}, {"value": "("}])

    assert status == 200
    assert [error["title"] for error in again["errors"]] == ["DuplicateRule", "UnprocessableEntity"]
    assert again["errors"][0]["id"] == first["data"][0]["id"]
    assert again["meta"]["summary"] == {"created": 0, "not_created": 2, "valid": 0, "invalid": 2}
    assert rules.delete([first["data"][0]["id"], "1"])[1]["meta"]["summary"] == {"deleted": 1, "not_deleted": 1}
    assert not len(rules)


# -- limits


def test_a_limit_opens_again_when_its_window_is_over(clock: FakeClock) -> None:
    limit = RateLimit(2, 900, clock)
    assert [limit.take()["x-rate-limit-remaining"] for _ in range(2)] == ["1", "0"]
    with pytest.raises(Problem) as refusal:
        limit.take()
    assert refusal.value.headers["x-rate-limit-reset"] == str(int(clock.now().timestamp()) + 900)

    clock.advance(seconds=900)

    assert limit.take()["x-rate-limit-remaining"] == "1"


# -- pictures


def test_a_png_is_whole() -> None:
    picture = png("a.png")
    start = picture.index(b"IDAT")
    (length,) = struct.unpack(">I", picture[start - 4 : start])

    assert picture.startswith(b"\x89PNG")
    assert len(zlib.decompress(picture[start + 4 : start + 4 + length])) == (3 * SIDE + 1) * SIDE


def test_a_jpeg_begins_and_ends_as_one_and_no_two_are_the_same() -> None:
    assert jpeg("a.jpg").startswith(b"\xff\xd8\xff\xe0")
    assert jpeg("a.jpg").endswith(b"\xff\xd9")
    assert jpeg("a.jpg") != jpeg("b.jpg")


# -- citizens


def test_citizens_post_in_all_the_ways_that_are_known() -> None:
    posts = list(islice(invent_posts(Random(1)), 1000))
    kinds = Counter(post.kind for post in posts)

    assert kinds["report"] > kinds["untagged"] > kinds["chaser"] > 0
    assert min(kinds.values()) > 5
    assert len(kinds) == 11
    assert all(post.author.startswith("warga_") for post in posts)


def test_the_same_seed_invents_the_same_posts() -> None:
    first, second = (list(islice(invent_posts(Random(7)), 50)) for _ in range(2))
    assert first == second


def test_what_citizens_post_is_matched_and_shown(world: World) -> None:
    random = Random(3)
    account = ACCOUNT.lower()
    posts: list[Post] = []
    for invented in islice(invent_posts(random), 500):
        post = put(world, invented, posts, random)
        posts.append(post)
        assert (account in post.mentions) or invented.kind in ("unaddressed", "repost")
        assert post.is_long == (invented.kind == "long")
        if invented.kind == "crowd":
            assert len(post.shown.entities["mentions"]) == CROWD
        if invented.kind == "report":
            assert compile_rule("#LAPOR @LAPOR1708 -is:retweet")(post)


def test_an_account_is_as_old_as_it_says(world: World) -> None:
    old = datetime(2012, 1, 1, tzinfo=UTC)
    user = world.user("warga_0001", created_at=old, verified=True, description="warga biasa")
    data = written(world, world.post(user, "satu"))["includes"]["users"][0]

    assert data["created_at"] == "2012-01-01T00:00:00.000Z"
    assert (data["verified"], data["description"]) == (True, "warga biasa")
