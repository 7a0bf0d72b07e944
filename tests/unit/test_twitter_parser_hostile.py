"""What anybody could send to the X parser: nothing but a Parsed or a Quarantine comes out, and soon."""

import json
import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Quarantine
from gateway.model import Attachment
from gateway.parsing import Parsed, Profile
from parsers import twitter, twitter_text

PROFILE = Profile(own_addresses=frozenset({"900001"}), options={"account": "LAPOR1708", "hashtag": "LAPOR"})
VALID: dict[str, Any] = {
    "data": {
        "id": "1989000000000000001",
        "text": "#LAPOR Jalan rusak &amp; @pejabat_1 diam #1946469 https://t.co/a @LAPOR1708 https://t.co/b",
        "author_id": "700001",
        "created_at": "2025-11-13T15:49:04.000Z",
        "lang": "in",
        "in_reply_to_user_id": "700002",
        "note_tweet": {"text": "#LAPOR Jalan rusak sekali @LAPOR1708", "entities": {"hashtags": [{"tag": "LAPOR"}]}},
        "referenced_tweets": [{"type": "replied_to", "id": "5"}, {"type": "quoted", "id": "6"}],
        "edit_history_tweet_ids": ["1988000000000000001", "1989000000000000001"],
        "entities": {
            "urls": [{"start": 1, "end": 2, "url": "https://t.co/a", "expanded_url": "https://e.com/?utm_id=1&b"}],
            "mentions": [{"start": 1, "end": 2, "username": "LAPOR1708", "id": "900001"}],
            "hashtags": [{"start": 0, "end": 6, "tag": "LAPOR"}],
        },
        "attachments": {"media_keys": ["7_1"]},
        "geo": {"place_id": "p1", "coordinates": {"type": "Point", "coordinates": [106.8, -6.2]}},
    },
    "includes": {
        "users": [
            {
                "id": "700001",
                "username": "warga_0001",
                "name": "Warga",
                "created_at": "2015-02-01T00:00:00Z",
                "verified": True,
                "verified_type": "blue",
                "protected": False,
                "public_metrics": {"followers_count": 3},
            }
        ],
        "media": [
            {
                "media_key": "7_1",
                "type": "video",
                "preview_image_url": "https://e.com/a.jpg",
                "alt_text": "x",
                "variants": [{"content_type": "video/mp4", "url": "https://e.com/a.mp4", "bit_rate": 5}],
            }
        ],
        "places": [{"id": "p1", "full_name": "Contoh"}],
    },
}


def check(raw: bytes) -> Parsed | None:
    """Parses, and holds what comes out to what every consumer relies on; None for a quarantined one."""
    try:
        parsed = twitter.parse([raw], PROFILE)
    except Quarantine:
        return None
    assert isinstance(parsed, Parsed)
    json.dumps(dict(parsed.trust), allow_nan=False)
    f"{parsed.text}{parsed.reporter}{parsed.references}{parsed.attachments}{parsed.location}{parsed.trust}".encode()
    assert parsed.not_a_report is None or parsed.held is None
    for attachment in parsed.attachments:
        assert isinstance(attachment, Attachment)
        assert attachment.size >= 0
    if parsed.location is not None and parsed.location.latitude is not None:
        assert math.isfinite(parsed.location.latitude)
    return parsed


def within(seconds: float, raw: bytes) -> Parsed | None:
    """Checks a record, and that the work on it is bounded."""
    start = time.process_time()
    parsed = check(raw)
    assert time.process_time() - start < seconds
    return parsed


def test_the_valid_record_is_a_report() -> None:
    """What the other tests here spoil."""
    parsed = check(json.dumps(VALID).encode())
    assert parsed is not None
    assert (parsed.text, parsed.not_a_report, parsed.held) == ("Jalan rusak sekali", None, None)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside of one."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(way for key, each in inner for way in paths(each, (*at, key)))]


def spoilt(way: tuple[Any, ...], value: Any) -> Any:
    """A copy of the valid record with another value at one place."""
    record = json.loads(json.dumps(VALID))
    if not way:
        return value
    holder = record
    for key in way[:-1]:
        holder = holder[key]
    holder[way[-1]] = value
    return record


REQUIRED = {(), ("data",), ("data", "id"), ("data", "text")}


@pytest.mark.parametrize("value", [None, True, 7, -1.5, 10**30, "x", "\ud800", [], [[]], {}, {"a": [1]}], ids=repr)
def test_no_optional_field_of_another_form_costs_a_report(value: Any) -> None:
    """Only the id and the text are needed; all else is as if it were not there."""
    for way in paths(VALID):
        parsed = check(json.dumps(spoilt(way, value)).encode())
        if way not in REQUIRED:
            assert parsed is not None, way
            assert parsed.text.startswith("Jalan rusak") or way[:2] == ("data", "note_tweet"), way


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('"lang": "in"', '"lang": "\\ud800"', id="half a sign in an escape"),
        pytest.param('"lang": "in"', '"lang": NaN', id="NaN"),
        pytest.param('"lang": "in"', '"lang": -Infinity', id="Infinity"),
        pytest.param('"lang": "in"', '"lang": ' + "9" * 10_000, id="a huge number"),
        pytest.param('"lang": "in"', '"lang": 1e999', id="a huge exponent"),
        pytest.param("[106.8, -6.2]", "[1e999, NaN]", id="coordinates that are none"),
        pytest.param('"followers_count": 3', '"followers_count": ' + "9" * 5000, id="very popular"),
        pytest.param('"lang": "in"', '"lang": "in", "lang": ["in"]', id="a key twice"),
        pytest.param('"name": "Warga"', '"name": "\\udc00Warga\\ud800"', id="halves in a name"),
        pytest.param('"alt_text": "x"', '"alt_text": "\\ud83d"', id="half a sign in a description"),
    ],
)
def test_json_that_others_would_refuse(old: str, new: str) -> None:
    """Python's own encoder writes such things, and so may any proxy between X and us."""
    text = json.dumps(VALID)
    assert old in text
    parsed = check(text.replace(old, new).encode())
    assert parsed is not None
    assert parsed.text == "Jalan rusak sekali"


def test_the_last_of_two_keys_counts() -> None:
    """As in every JSON parser that is around."""
    parsed = check(b'{"data":{"id":"7","text":"#LAPOR a @LAPOR1708","text":"#LAPOR b @LAPOR1708"}}')
    assert parsed is not None
    assert parsed.text == "b"


def post(text: str, **fields: Any) -> bytes:
    return json.dumps({"data": {"id": "7", "author_id": "1", "text": text} | fields}).encode()


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        " ",
        "@a ",
        "@LAPOR1708 ",
        "@LAPOR1708",
        "#LAPOR ",
        "#LAPOR#",
        "#LAPOR\u200d",
        "https://t.co/a ",
        "https://",
        "h",
        "&amp;",
        "&",
        "via @LAPOR1708 ",
        "https://t.co/a via @LAPOR1708 ",
        "(spasi) ",
        "#LAPOR (spasi) ",
        ": ",
        "dan ",
        "cc ",
        "cc: @a ",
        "\n",
        "\u200d",
        "\ufdfa",
        "𝐋",
        "yuk ",
        "#AyoLAPOR yuk ",
        "#1946469 ",
        "\ud800",
        "! ",
        "(@LAPOR1708) ",
    ],
)
def test_a_text_of_more_than_a_million_characters_costs_little_time(piece: str) -> None:
    """No pattern goes back over what it has eaten, and only the beginning is looked into."""
    body = (piece * 1_200_000)[:300_000]
    for text in (body, f"#LAPOR jalan {body} @LAPOR1708", f"{body}x{body}", f"@LAPOR1708 {body}"):
        within(1.0, post(text))
    within(1.0, post("a", note_tweet={"text": body}))


def test_the_longest_record_is_read_in_time() -> None:
    """1.2 MB of words, and lists as long as that."""
    words = within(1.0, post("#LAPOR jalan @LAPOR1708 " + "kata " * 240_000))
    assert words is not None
    assert len(words.text) > 1_000_000
    mentions = [{"username": f"warga_{number}", "id": str(number)} for number in range(20_000)]
    links = [{"url": f"https://t.co/{number}", "expanded_url": "https://e.com/" + "a" * 30} for number in range(9_000)]
    assert within(1.0, post("#LAPOR x @LAPOR1708", entities={"mentions": mentions, "urls": links})) is not None
    assert within(1.0, post("#LAPOR x @LAPOR1708", edit_history_tweet_ids=[str(each) for each in range(100_000)]))
    assert within(1.0, post("#LAPOR x @LAPOR1708", geo=[[1]] * 200_000)) is not None
    assert within(1.0, post("#LAPOR x @LAPOR1708", referenced_tweets=[{"type": 1}] * 90_000)) is not None


def test_links_never_make_a_text_explode() -> None:
    """A short link may stand a thousand times for the longest address there is."""
    entities = {"urls": [{"url": "https://t.co/a", "expanded_url": "https://e.com/" + "a" * 1_900}]}
    parsed = within(1.0, post("#LAPOR @LAPOR1708 x " + "https://t.co/a " * 60_000, entities=entities))
    assert parsed is not None
    assert len(parsed.text) < 60_000 * 15 + twitter_text.MOST_LINKS * 2_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
posts = st.lists(
    st.sampled_from(
        [
            "#LAPOR",
            "@LAPOR1708",
            " ",
            "@a",
            "#b",
            "https://t.co/a",
            "&amp;",
            "via",
            "RT",
            ":",
            "(spasi)",
            "\n",
            ",",
            "\ud800",
        ]
    )
    | st.text(st.characters(), max_size=6),
    max_size=14,
).map("".join)


@given(st.binary(max_size=80))
def test_any_bytes_are_parsed_or_quarantined(raw: bytes) -> None:
    """The store may hold what no version of the channel ever wrote."""
    check(raw)


@given(json_values)
def test_any_json_is_parsed_or_quarantined(value: Any) -> None:
    """So may X send what it has never sent."""
    check(json.dumps(value).encode())
    check(json.dumps({"data": value}).encode())
    check(json.dumps({"lapor": "media", "post_id": "1", "url": value, "size": value}).encode())


@given(st.lists(st.tuples(st.sampled_from(paths(VALID)), json_values), max_size=1), posts)
def test_any_spoilt_record_is_parsed_or_quarantined(changes: list[tuple[Any, Any]], text: str) -> None:
    """One field of any other value, and any text."""
    record = spoilt(*changes[0]) if changes else json.loads(json.dumps(VALID))
    if isinstance(record, dict) and isinstance(record.get("data"), dict):
        record["data"]["text"] = text
    check(json.dumps(record).encode())


@given(posts)
def test_what_is_between_handles_and_links_is_kept(text: str) -> None:
    """Every word of a post is in the report, but for the names, the links and the words of the form."""
    parsed = check(post(f"{text} KATASATU {text} @LAPOR1708 #LAPOR katadua"))
    assert parsed is not None
    assert "KATASATU" in parsed.text
    assert "katadua" in parsed.text


@given(st.data())
def test_any_cut_or_swapped_bytes(data: st.DataObject) -> None:
    """A torn line of the stream."""
    raw = bytearray(json.dumps(VALID).encode())
    change: Callable[[], int] = lambda: data.draw(st.integers(0, len(raw) - 1))  # noqa: E731 - a name for the draw
    raw[change()] = data.draw(st.integers(0, 255))
    check(bytes(raw))
    check(bytes(raw[: change()]))
