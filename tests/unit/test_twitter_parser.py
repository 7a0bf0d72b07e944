"""What the X parser makes of posts and of the channel's own notes; all posts, handles and ids are invented."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.errors import Quarantine
from gateway.model import Attachment, Keyword, Location
from gateway.parsing import Parsed, Profile, Revision, Withdrawal
from parsers import twitter, twitter_facts

OPTIONS = {"account": "LAPOR1708", "hashtag": "LAPOR", "bare_mention": "hold"}
PROFILE = Profile(own_addresses=frozenset({"900001"}), options=OPTIONS)
EAGER = Profile(options=OPTIONS | {"bare_mention": "report"})
POST_ID = "1989000000000000001"
WRITTEN = datetime(2025, 11, 13, 15, 49, 4, tzinfo=UTC)
AUTHOR = {"id": "700001", "username": "warga_0001", "name": "Warga Satu"}


def raw(text: Any = "#LAPOR Jalan rusak @LAPOR1708", *, author: dict[str, Any] | None = AUTHOR, **fields: Any) -> bytes:
    """A record as the stream sends it; ``includes`` adds to the author's account."""
    includes = {"users": [] if author is None else [author]} | fields.pop("includes", {})
    post = {"id": POST_ID, "text": text, "author_id": "700001", "created_at": "2025-11-13T15:49:04.000Z"} | fields
    rules = [{"id": "1", "tag": "strict"}]
    return json.dumps({"data": post, "includes": includes, "matching_rules": rules}).encode()


def links(**targets: str) -> dict[str, Any]:
    """The entities of t.co links: the short name and where it leads."""
    return {"urls": [{"url": f"https://t.co/{name}", "expanded_url": target} for name, target in targets.items()]}


def parse(record: bytes, profile: Profile = PROFILE) -> Parsed:
    """Parses one record."""
    return twitter.parse([record], profile)


def say(text: str, profile: Any = PROFILE, **fields: Any) -> Parsed:
    """Parses a post with a text."""
    return parse(raw(text, **fields), profile)


def test_a_post_as_the_form_says_is_a_report() -> None:
    """Everything that X tells comes out where the canonical report has it."""
    parsed = parse(
        raw(
            "#LAPOR BJN jalan di #Contoh rusak, lanjutan #1940672 &amp; belum ada kabar @LAPOR1708 https://t.co/foto",
            author=AUTHOR
            | {
                "created_at": "2015-02-01T00:00:00.000Z",
                "verified": False,
                "verified_type": "none",
                "protected": False,
                "public_metrics": {"followers_count": 12},
            },
            lang="in",
            attachments={"media_keys": ["3_1"]},
            entities=links(foto=f"https://x.com/warga_0001/status/{POST_ID}/photo/1"),
            geo={"place_id": "p1", "coordinates": {"type": "Point", "coordinates": [111.88, -7.15]}},
            includes={
                "media": [{"media_key": "3_1", "type": "photo", "url": "https://pbs.example.com/a.jpg"}],
                "places": [{"id": "p1", "full_name": "Bojonegoro, Indonesia"}],
            },
        )
    )
    assert (parsed.reporter.address, parsed.reporter.kind, parsed.reporter.handle) == ("700001", "x", "warga_0001")
    assert (parsed.reporter.name, parsed.reporter.language) == ("Warga Satu", "id")
    assert parsed.text == "BJN jalan di #Contoh rusak, lanjutan #1940672 & belum ada kabar"
    assert parsed.keyword == Keyword("BJN", "BJN")
    assert parsed.references == ("1940672",)
    assert parsed.sent_at == WRITTEN
    assert [each.url for each in parsed.attachments] == ["https://pbs.example.com/a.jpg"]
    assert parsed.location == Location(latitude=-7.15, longitude=111.88, place="Bojonegoro, Indonesia")
    assert parsed.trust == {
        "x_account_created_at": "2015-02-01T00:00:00Z",
        "x_verified": False,
        "x_verified_type": "none",
        "x_protected": False,
        "x_followers": 12,
    }
    assert (parsed.title, parsed.visibility, parsed.reply_to, parsed.revision) == (
        None,
        "public",
        None,
        Revision((POST_ID,), 1),
    )
    assert (parsed.not_a_report, parsed.held, parsed.answerable) == (None, None, True)


def test_a_post_that_a_search_found_is_the_same() -> None:
    """Stream and search differ only in what stands beside the post; and everything beside it may be missing."""
    streamed = json.loads(raw())
    searched = {"data": streamed["data"], "includes": streamed["includes"], "found_by": "search"}
    assert parse(json.dumps(searched).encode()) == parse(raw())
    bare = parse(json.dumps({"data": {"id": POST_ID, "text": "#LAPOR Jalan rusak @LAPOR1708"}}).encode())
    assert (bare.text, bare.not_a_report, bare.held) == ("Jalan rusak", None, None)
    assert (bare.reporter.address, bare.reporter.handle, bare.answerable) == ("", None, False)


MANY = " ".join(f"@warga_{number:04}" for number in range(20))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("#LAPOR Jalan rusak @LAPOR1708", "Jalan rusak", id="the published form"),
        pytest.param("#LAPOR (spasi) jalan rusak @LAPOR1708", "jalan rusak", id="the form with its spasi"),
        pytest.param("#LAPOR KAB NGANJUK (spasi) jalan @LAPOR1708", "KAB NGANJUK jalan", id="a keyword and spasi"),
        pytest.param("#LAPOR: jalan rusak @LAPOR1708", "jalan rusak", id="a colon behind the hashtag"),
        pytest.param("#LAPOR!!! jalan rusak @LAPOR1708", "jalan rusak", id="signs behind the hashtag"),
        pytest.param("#LAPOR !1948147 belum @LAPOR1708", "!1948147 belum", id="a number's mark behind the hashtag"),
        pytest.param("@LAPOR1708 LAPOR: jalan rusak #lapor", "jalan rusak", id="the service word, too"),
        pytest.param("Lapor pak @LAPOR1708 jalan rusak #lapor", "Lapor pak jalan rusak", id="LAPOR as a verb"),
        pytest.param(f"{MANY} @LAPOR1708 #LAPOR jalan rusak", "jalan rusak", id="twenty handles in front"),
        pytest.param(f"jalan rusak #LAPOR @LAPOR1708 {MANY}", "jalan rusak", id="twenty handles behind"),
        pytest.param("@a, @b & @c: jalan #LAPOR @LAPOR1708", "jalan", id="handles in a list"),
        pytest.param("@a dan @LAPOR1708 #LAPOR jalan", "jalan", id="handles and a word between"),
        pytest.param("jalan rusak. cc: @a @LAPOR1708 #LAPOR", "jalan rusak.", id="cc"),
        pytest.param("cc", "cc", id="the word cc alone"),
        pytest.param(".@LAPOR1708 jalan rusak #LAPOR", "jalan rusak", id="a dot, so that all followers see it"),
        pytest.param("jalan rusak @LAPOR1708.", "jalan rusak", id="a full stop behind the handle"),
        pytest.param("Pak @LAPOR1708, tolong #LAPOR ya", "Pak, tolong ya", id="a comma behind our handle"),
        pytest.param("jalan (@LAPOR1708) rusak #LAPOR", "jalan rusak", id="our handle in brackets"),
        pytest.param("janji @pejabat_1 mana? #LAPOR @LAPOR1708", "janji @pejabat_1 mana?", id="a handle inside stays"),
        pytest.param("satu\n#LAPOR dua\ntiga @LAPOR1708", "satu\ndua\ntiga", id="lines stay"),
        pytest.param("#LAPOR #JalanRusak di desa @LAPOR1708", "#JalanRusak di desa", id="other hashtags stay"),
        pytest.param("#LAPORkan @LAPOR1708 jalan", "#LAPORkan jalan", id="a longer hashtag stays"),
        pytest.param("#LAPOR a &lt;b&gt; &amp;amp; c @LAPOR1708", "a <b> &amp; c", id="X's escapes, once"),
        pytest.param("#LAPOR &quot;a&quot; &#39; @LAPOR1708", "&quot;a&quot; &#39;", id="what X does not escape"),
        pytest.param("#LAPOR surat ke a@LAPOR1708.id @LAPOR1708", "surat ke a@LAPOR1708.id", id="a mail address"),
        pytest.param("#LAPOR الطريق مكسور @LAPOR1708", "الطريق مكسور", id="right to left"),
        pytest.param("\u200f@LAPOR1708\u200f #LAPOR الطريق", "الطريق", id="with direction marks"),
        pytest.param("#LAPOR 👨‍👩‍👧‍👦 banjir 🏴‍☠️ @LAPOR1708", "👨‍👩‍👧‍👦 banjir 🏴‍☠️", id="joined emoji"),
        pytest.param("#LAPOR 道路@LAPOR1708に穴", "道路 に穴", id="no blanks around a handle"),
        pytest.param(
            "＃ＬＡＰＯＲ ＫＫＰ jalan ＠ＬＡＰＯＲ１７０８", "ＫＫＰ jalan", id="full width, shown as written"
        ),
        pytest.param("#𝐋𝐀𝐏𝐎𝐑 jalan @LAPOR1708", "jalan", id="letters of mathematics"),
        pytest.param("#LAPOR halo \ud83d pak @LAPOR1708", "halo \ufffd pak", id="half a sign"),
        pytest.param("#LAPOR a\x00b\u0007 @LAPOR1708", "ab", id="control characters"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_the_text_is_the_citizens_own(written: str, read: str) -> None:
    """What the forms of X and of the service add is taken off, and nothing else."""
    parsed = say(written)
    assert parsed.text == read
    parsed.text.encode()


STATUS = "https://x.com/warga_0002/status/1980000000000000001"


@pytest.mark.parametrize(
    ("target", "read"),
    [
        pytest.param(f"https://x.com/warga_0001/status/{POST_ID}/photo/1", "lihat ini", id="own photo"),
        pytest.param(f"https://twitter.com/warga_0001/status/{POST_ID}/video/1", "lihat ini", id="own video"),
        pytest.param(f"https://x.com/i/web/status/{POST_ID}", "lihat ini", id="the rest of itself"),
        pytest.param(STATUS, "lihat ini", id="the quoted post"),
        pytest.param("https://twitter.com/intent/tweet?text=x", "lihat ini", id="a form"),
        pytest.param("https://x.com/hashtag/LAPOR", "lihat ini", id="a search"),
        pytest.param("https://x.com/LAPOR1708", "lihat ini", id="our profile"),
        pytest.param("https://x.com/lapor1708/?s=1", "lihat ini", id="our profile, with parameters"),
        pytest.param(
            "https://x.com/lapor1708/likes", "lihat https://x.com/lapor1708/likes ini", id="below our profile"
        ),
        pytest.param(STATUS + "0", f"lihat {STATUS}0 ini", id="another post"),
        pytest.param("https://example.com/a?b=1", "lihat https://example.com/a?b=1 ini", id="a page"),
        pytest.param("https://example.com/a?utm_source=x&b=1#c", "lihat https://example.com/a?b=1#c ini", id="tracked"),
        pytest.param("https://example.com/a?fbclid=x", "lihat https://example.com/a ini", id="only tracked"),
        pytest.param("https://example.com/jälan", "lihat https://example.com/jälan ini", id="other letters"),
        pytest.param("javascript:alert(1)", "lihat https://t.co/aB1 ini", id="no web address"),
        pytest.param("https://a b", "lihat https://t.co/aB1 ini", id="a blank inside"),
        pytest.param("https://a\ud83d", "lihat https://t.co/aB1 ini", id="half a sign inside"),
        pytest.param("https://e.com/" + "a" * 3000, "lihat https://t.co/aB1 ini", id="too long"),
    ],
)
def test_links_are_written_out_or_taken_off(target: str, read: str) -> None:
    """A reader sees where a link leads; what only the form adds is gone. Offsets are not needed for it."""
    entities = links(aB1=target)
    fields: dict[str, Any] = {"referenced_tweets": [{"type": "quoted", "id": "1980000000000000001"}]}
    assert say("#LAPOR lihat https://t.co/aB1 ini @LAPOR1708", entities=entities, **fields).text == read
    entities["urls"][0] |= {"start": -5, "end": 10**30}
    assert say("#LAPOR lihat https://t.co/aB1 ini @LAPOR1708", entities=entities, **fields).text == read


def test_links_at_the_ends_of_a_text() -> None:
    """Handles around the link of a photo are still at the end; punctuation is no part of a link."""
    entities = links(
        p=f"https://x.com/warga_0001/status/{POST_ID}/photo/1", q="https://example.com/q", app="https://a.example/"
    )
    assert say("#LAPOR rusak @LAPOR1708 @a https://t.co/p", entities=entities).text == "rusak"
    assert say("#LAPOR (https://t.co/q). @LAPOR1708", entities=entities).text == "(https://example.com/q)."
    assert say("#LAPOR rusak @LAPOR1708 via https://t.co/app", entities=entities).text == "rusak"
    assert say("#LAPOR rusak @LAPOR1708 via https://t.co/q", entities=entities).text.endswith("https://example.com/q")
    assert say("#LAPOR lihat HTTPS://T.CO/zz @LAPOR1708").text == "lihat HTTPS://T.CO/zz"


def test_emoji_and_escapes_before_a_link_shift_nothing() -> None:
    """X's offsets count otherwise in each kind of text; links are found by their address."""
    entities = links(q="https://example.com/q")
    entities["urls"][0] |= {"start": 3, "end": 9}
    assert (
        say("#LAPOR 👨‍👩‍👧 &amp; &lt; https://t.co/q @LAPOR1708", entities=entities).text
        == "👨‍👩‍👧 & < https://example.com/q"
    )


@pytest.mark.parametrize("note_name", ["note_tweet", "note_post"])
def test_a_long_post_is_read_whole(note_name: str) -> None:
    """The text beside it is only its beginning; the handles of a reply may stand only there."""
    long = "Jalan rusak parah. " * 300 + "#LAPOR lihat https://t.co/q"
    note: dict[str, Any] = {"text": long, "entities": links(q="https://www.lapor.go.id/id/1946469")}
    parsed = say("@LAPOR1708 Jalan rusak parah. Jalan r… https://t.co/x", **{note_name: note})
    assert parsed.text.endswith("Jalan rusak parah. lihat https://www.lapor.go.id/id/1946469")
    assert parsed.text.startswith("Jalan rusak parah.")
    assert parsed.references == ("1946469",)
    assert (parsed.held, parsed.not_a_report, parsed.answerable) == (None, None, True)
    assert say("#LAPOR jalan @LAPOR1708", **{note_name: {"text": " "}}).text == "jalan"


@pytest.mark.parametrize(("references", "history"), [("referenced_tweets", "tweet"), ("referenced_posts", "post")])
def test_both_namings_are_understood(references: str, history: str) -> None:
    """X renames its fields from 2026 on."""
    fields: dict[str, Any] = {
        references: [{"type": "replied_to", "id": "55"}],
        f"edit_history_{history}_ids": ["11", POST_ID],
    }
    parsed = say("@LAPOR1708 #LAPOR jalan", **fields)
    assert parsed.reply_to == "55"
    assert parsed.revision == Revision(("11", POST_ID), 2)
    assert say("#LAPOR @LAPOR1708 x", **{references: [{"type": "retweeted", "id": "5"}]}).not_a_report == "a retweet"


@pytest.mark.parametrize(
    ("post_id", "history", "revision"),
    [
        pytest.param("30", None, Revision(("30",), 1), id="no history"),
        pytest.param("30", ["30"], Revision(("30",), 1), id="never edited"),
        pytest.param("10", ["10", "30"], Revision(("10",), 1), id="the first, seen after an edit"),
        pytest.param("30", ["10", "20", "30", "40"], Revision(("10", "20", "30"), 3), id="the third of four"),
        pytest.param("30", ["20", "100", "30", "9"], Revision(("9", "20", "30"), 3), id="out of order"),
        pytest.param("30", ["10"], Revision(("10", "30"), 2), id="itself missing"),
        pytest.param("30", ["10", "10", "x", 7, None, "30"], Revision(("10", "30"), 2), id="with nonsense"),
        pytest.param("30", "30", Revision(("30",), 1), id="no list"),
    ],
)
def test_a_version_knows_those_before_it(post_id: str, history: Any, revision: Revision) -> None:
    """Every edit has an id of its own; the first one's is the post's."""
    assert say("#LAPOR @LAPOR1708 x", id=post_id, edit_history_tweet_ids=history).revision == revision


@pytest.mark.parametrize(
    ("text", "ignored", "held"),
    [
        pytest.param("#LAPOR jalan rusak @LAPOR1708", None, None, id="both"),
        pytest.param("@lapor1708 jalan rusak #lapor", None, None, id="in small letters"),
        pytest.param("jalan rusak #LAPOR! @LAPOR1708?", None, None, id="signs behind both"),
        pytest.param("#ＬＡＰＯＲ jalan rusak ＠LAPOR1708", None, None, id="full width"),
        pytest.param("#LAPOR\u200d jalan rusak @LAPOR1708", None, None, id="an invisible sign in the hashtag"),
        pytest.param("@LAPOR1708 jalan rusak", None, twitter.BARE_MENTION, id="a bare mention"),
        pytest.param("@LAPOR1708 #LAPORkan jalan", None, twitter.BARE_MENTION, id="another hashtag"),
        pytest.param("@LAPOR1708 tolong#LAPOR jalan", None, twitter.BARE_MENTION, id="a hashtag glued to a word"),
        pytest.param("#LAPOR jalan rusak", None, twitter.ONLY_HASHTAG, id="the hashtag alone"),
        pytest.param("#LAPOR x@LAPOR1708 jalan", None, twitter.ONLY_HASHTAG, id="a handle glued to a word"),
        pytest.param("#LAPOR @LAPOR1708é jalan", None, twitter.ONLY_HASHTAG, id="a handle with an accent"),
        pytest.param("#LAPOR @LAPOR1708@x jalan", None, twitter.ONLY_HASHTAG, id="a handle and an at sign"),
        pytest.param("#LAPOR@LAPOR1708 jalan", None, twitter.GLUED, id="both in one"),
        pytest.param("tolong#LAPOR jalan", None, twitter.GLUED, id="neither by itself"),
        pytest.param("#LAPOR1708 jalan", None, twitter.GLUED, id="our name as a hashtag"),
        pytest.param("lapor1708 jalan", None, twitter.GLUED, id="our name as a word"),
        pytest.param("ⓁⒶⓅⓄⓇ①⑦⓪⑧ jalan", None, twitter.GLUED, id="our name in circles"),
        pytest.param("jalan rusak", twitter.NOT_ADDRESSED, None, id="nothing of us"),
        pytest.param("#LAPORkan jalan rusak", twitter.NOT_ADDRESSED, None, id="only another hashtag"),
        pytest.param("@LAPOR170 jalan rusak", twitter.NOT_ADDRESSED, None, id="another account"),
        pytest.param("", twitter.NOT_ADDRESSED, None, id="no text"),
        pytest.param("@LAPOR1708 tracking ID #1946469 salah disposisi", None, None, id="a status chaser"),
        pytest.param("@LAPOR1708 #1946469", None, None, id="a number alone"),
        pytest.param("@LAPOR1708 #1234567897 mana?", None, None, id="one of our tracking IDs"),
        pytest.param("@LAPOR1708 #1234567890 mana?", None, twitter.BARE_MENTION, id="ten digits that are none"),
        pytest.param("@LAPOR1708 kartu 3200000000000001", None, twitter.BARE_MENTION, id="a card's number"),
        pytest.param("#LAPOR kapan #1946469 selesai", None, None, id="a chaser with the hashtag alone"),
        pytest.param(f"{MANY} @LAPOR1708 #LAPOR", twitter.NO_WORDS, None, id="nothing but handles"),
        pytest.param("@LAPOR1708 #LAPOR https://t.co/a", twitter.NO_WORDS, None, id="links and the hashtag"),
        pytest.param("@LAPOR1708 #LAPOR #JalanRusak", None, twitter.ONLY_TAGS, id="hashtags of its own"),
        pytest.param("@LAPOR1708 #LAPOR ...", twitter.NO_WORDS, None, id="dots"),
        pytest.param("@LAPOR1708 #LAPOR 🙏🏽", None, twitter.ONLY_SIGNS, id="an emoji"),
        pytest.param("@LAPOR1708 ???", None, twitter.ONLY_SIGNS, id="question marks"),
        pytest.param("RT @warga_0002: #LAPOR jalan @LAPOR1708", twitter.RETWEET, None, id="a retweet by hand"),
        pytest.param("RT 05 RW 02 banjir #LAPOR @LAPOR1708", None, None, id="RT is a neighbourhood"),
        pytest.param("Silakan dukung @LAPOR1708 #216750 Jalan https://t.co/a", twitter.SHARE, None, id="a share post"),
        pytest.param("Jalan rusak https://t.co/a via @LAPOR1708", twitter.SHARE, None, id="the share button"),
        pytest.param("Jalan rusak https://t.co/a via @LAPOR1708 @a", twitter.SHARE, None, id="shared to somebody"),
        pytest.param(
            "Silakan dukung @LAPOR1708 agar berani", None, twitter.BARE_MENTION, id="support without a report"
        ),
        pytest.param("Jalan https://t.co/a via @LAPOR1708 #LAPOR", None, None, id="the share button and the hashtag"),
        pytest.param("sudah via @LAPOR1708 https://t.co/a", None, twitter.BARE_MENTION, id="a sentence with via"),
        pytest.param("https://t.co/a via @LAPOR1708 kok lama", None, twitter.BARE_MENTION, id="words behind via"),
        pytest.param("Yuk sampaikan aspirasi! #AyoLAPOR @LAPOR1708", twitter.PROMOTION, None, id="promotion"),
        pytest.param(
            "#AyoLAPOR yuk kunjungi stan #LAPOR @LAPOR1708", twitter.PROMOTION, None, id="promotion with both"
        ),
        pytest.param("#AyoLAPOR kami mohon jalan diperbaiki #LAPOR @LAPOR1708", None, None, id="a complaint in it"),
        pytest.param(
            "#AyoLAPOR lampu padam @LAPOR1708", None, twitter.BARE_MENTION, id="a campaign's tag, no invitation"
        ),
        pytest.param("Yuk sampaikan aspirasi @LAPOR1708", None, twitter.BARE_MENTION, id="an invitation, no tag"),
    ],
)
def test_what_is_decided(text: str, ignored: str | None, held: str | None) -> None:
    """A citizen who may mean us is never ignored; what machines and campaigns send is."""
    parsed = say(text)
    assert (parsed.not_a_report, parsed.held) == (ignored, held)


def test_a_bare_mention_is_a_report_where_the_settings_say_so() -> None:
    """Only that: a lone hashtag is still held, and words are needed."""
    assert say("@LAPOR1708 jalan rusak", EAGER).held is None
    assert say("#LAPOR jalan rusak", EAGER).held == twitter.ONLY_HASHTAG
    assert say("@LAPOR1708 🙏", EAGER).held == twitter.ONLY_SIGNS


def test_share_posts_are_known_by_their_link() -> None:
    """A link to our site makes one; a link elsewhere is somebody's evidence."""
    ours, other = links(a="https://www.lapor.go.id/laporan/1946469"), links(a="https://example.com/berita")
    assert say("Jalan https://t.co/a via @LAPOR1708", entities=ours).not_a_report == twitter.SHARE
    assert say("Jalan https://t.co/a via @LAPOR1708", entities=other).held == twitter.BARE_MENTION
    fake = links(a="https://lapor.go.id.example.com/laporan/1946469")
    assert say("Jalan https://t.co/a via @LAPOR1708", entities=fake).references == ()


def test_media_and_quotes_without_words_are_held() -> None:
    """They are not nothing: an operator looks at what they show."""
    assert say("@LAPOR1708 #LAPOR", attachments={"media_keys": ["3_9"]}).held == twitter.ONLY_MEDIA
    quoting = say("@LAPOR1708 #LAPOR https://t.co/q", referenced_tweets=[{"type": "quoted", "id": "5"}])
    assert (quoting.held, quoting.not_a_report) == (twitter.ONLY_QUOTE, None)


def test_what_a_quoted_post_says_is_not_the_citizens() -> None:
    """Neither its words nor its numbers nor its media."""
    quoted = {"id": "5", "text": "#1946469 Tracking ID : 1946470", "author_id": "700009"}
    parsed = say(
        "#LAPOR seperti ini @LAPOR1708 https://t.co/q",
        referenced_tweets=[{"type": "quoted", "id": "5"}],
        entities=links(q="https://x.com/warga_0009/status/5"),
        includes={"tweets": [quoted], "media": [{"media_key": "3_5", "type": "photo", "url": "https://e.com/a.jpg"}]},
    )
    assert (parsed.text, parsed.references, parsed.attachments, parsed.reply_to) == ("seperti ini", (), (), None)


def test_ids_are_not_read_out_of_handles_and_links() -> None:
    """The number of another post, or of an account, would match somebody's card."""
    parsed = say(
        "#LAPOR lihat @warga_123456789 dan https://t.co/s serta https://t.co/d juga @LAPOR1708",
        entities=links(s=STATUS, d="https://example.com/id/1946469"),
    )
    assert parsed.references == ()
    assert "@warga_123456789" in parsed.text


@pytest.mark.parametrize(
    ("profile", "author"),
    [
        pytest.param(PROFILE, AUTHOR | {"id": "900001"}, id="our id among the addresses"),
        pytest.param(PROFILE, AUTHOR | {"username": "lapor1708"}, id="our handle"),
        pytest.param(Profile(options={"account_id": "900001"}), AUTHOR | {"id": "900001"}, id="our id, an option"),
        pytest.param(Profile(own_addresses=frozenset({"@Pusat_1"})), AUTHOR | {"username": "pusat_1"}, id="another"),
    ],
)
def test_our_own_posts_are_no_reports(profile: Profile, author: dict[str, Any]) -> None:
    """And nobody is answered for them."""
    parsed = parse(raw(author=author, author_id=author["id"]), profile)
    assert (parsed.not_a_report, parsed.held, parsed.answerable) == (twitter.OWN_POST, None, False)


def test_the_channel_is_known_by_its_settings() -> None:
    """Another account and hashtag, and the defaults where there are none."""
    other = Profile(options={"account": "@Uji_1", "hashtag": "#Uji"})
    assert say("#UJI jalan @uji_1", other).held is None
    assert say("#LAPOR jalan @LAPOR1708", other).not_a_report == twitter.NOT_ADDRESSED
    assert say("#LAPOR jalan @LAPOR1708", Profile()).held is None


def test_what_x_found_counts_as_well() -> None:
    """Its entities may know more than the text shows: a reply to us, a handle that was left out."""
    mention = {"mentions": [{"username": "Lapor1708", "id": "900001"}]}
    assert say("#LAPOR jalan", entities=mention).held is None
    assert say("#LAPOR jalan", entities=mention).answerable
    assert say("#LAPOR jalan", entities={"mentions": [{"id": "900001"}]}).held is None
    assert say("@LAPOR1708 jalan", entities={"hashtags": [{"tag": "Lapor"}]}).held is None
    assert say("jalan", in_reply_to_user_id="900001").held == twitter.BARE_MENTION


@pytest.mark.parametrize(
    ("text", "fields", "answerable"),
    [
        pytest.param("#LAPOR jalan @LAPOR1708", {}, True, id="whoever mentions us"),
        pytest.param("#LAPOR jalan #1946469", {}, False, id="the hashtag alone"),
        pytest.param("#LAPOR jalan ＠ＬＡＰＯＲ１７０８", {}, False, id="a mention that X does not see"),
        pytest.param("#LAPOR jalan @LAPOR1708/daftar", {}, False, id="a list of ours"),
        pytest.param("#LAPOR jalan @LAPOR1708", {"author_id": None}, False, id="no author"),
        pytest.param("#LAPOR jalan @LAPOR1708", {"author": AUTHOR | {"protected": True}}, False, id="protected"),
        pytest.param("RT @a: jalan @LAPOR1708", {}, False, id="a retweet"),
    ],
)
def test_only_whoever_mentioned_us_is_answered(text: str, fields: dict[str, Any], answerable: bool) -> None:  # noqa: FBT001
    """X's rules for machines: no mention, no answer."""
    assert say(text, **fields).answerable is answerable


@pytest.mark.parametrize(
    ("post_id", "created_at", "sent_at"),
    [
        pytest.param(POST_ID, "2025-11-13T15:49:04.000Z", WRITTEN, id="as X says"),
        pytest.param(POST_ID, "2025-11-13T22:49:04+07:00", WRITTEN, id="in another zone"),
        pytest.param("1212092628029698048", None, datetime(2019, 12, 31, 19, 26, 16, 771000, tzinfo=UTC), id="by id"),
        pytest.param(
            "1212092628029698048", "kemarin", datetime(2019, 12, 31, 19, 26, 16, 771000, tzinfo=UTC), id="bad"
        ),
        pytest.param(
            "1212092628029698048",
            "2031-01-01T00:00:00Z",
            datetime(2019, 12, 31, 19, 26, 16, 771000, tzinfo=UTC),
            id="absurd",
        ),
        pytest.param("1001", "2006-05-01T00:00:00Z", datetime(2006, 5, 1, tzinfo=UTC), id="from before such ids"),
        pytest.param("1001", None, None, id="no way to tell"),
        pytest.param("1001", "1970-01-01T00:00:00Z", None, id="before X"),
        pytest.param("1001", "2025-11-13T15:49:04", None, id="no zone"),
        pytest.param("1001", "0001-01-01T00:00:00+07:00", None, id="before all years"),
        pytest.param("1001", 1763048944, None, id="a number"),
    ],
)
def test_the_time_is_xs_or_the_ids(post_id: str, created_at: Any, sent_at: datetime | None) -> None:
    """An id holds its millisecond; no clock is asked."""
    assert say("#LAPOR x @LAPOR1708", id=post_id, created_at=created_at).sent_at == sent_at


@pytest.mark.parametrize(
    ("code", "language"),
    [("in", "id"), ("iw", "he"), ("en", "en"), ("zh-TW", "zh-TW"), ("jv", "jv")]
    + [(code, None) for code in ("und", "qme", "qht", "qam", "zxx", "art", "", "IN DO", "x" * 99, None)],
)
def test_the_language_is_bcp_47(code: str | None, language: str | None) -> None:
    """X has codes of its own for no language, and old ones for Indonesian and two more."""
    assert twitter_facts.language(code) == language


@pytest.mark.parametrize(
    ("media", "url", "media_type"),
    [
        pytest.param({"url": "https://e.com/a.jpg"}, "https://e.com/a.jpg", "image/jpeg", id="a photo"),
        pytest.param({"url": "https://e.com/a.PNG:large"}, "https://e.com/a.PNG:large", "image/png", id="a picture"),
        pytest.param(
            {"url": "https://e.com/a?format=webp"}, "https://e.com/a?format=webp", "image/webp", id="by query"
        ),
        pytest.param({"preview_image_url": "https://e.com/v.jpg"}, "https://e.com/v.jpg", "image/jpeg", id="a preview"),
        pytest.param(
            {
                "type": "video",
                "preview_image_url": "https://e.com/v.jpg",
                "variants": [
                    {"content_type": "application/x-mpegURL", "url": "https://e.com/v.m3u8"},
                    {"content_type": "video/mp4", "url": "https://e.com/1.mp4", "bit_rate": 256000},
                    {"content_type": "video/mp4", "url": "https://e.com/2.mp4", "bit_rate": 832000},
                    {"content_type": "video/mp4", "url": "ftp://e.com/3.mp4", "bit_rate": 999000},
                ],
            },
            "https://e.com/2.mp4",
            "video/mp4",
            id="the best of a video",
        ),
        pytest.param({"url": "https://e.com/a b.jpg"}, None, None, id="no address"),
        pytest.param({}, None, None, id="nothing"),
    ],
)
def test_media_become_attachments(media: dict[str, Any], url: str | None, media_type: str | None) -> None:
    """Their bytes are not here yet: size and hash are unknown."""
    media = {"media_key": "3_1", "alt_text": "lubang besar"} | media
    parsed = say("#LAPOR x @LAPOR1708", attachments={"media_keys": ["3_1"]}, includes={"media": [media]})
    wanted = Attachment(name="lubang besar", media_type=media_type or "", size=0, sha256=None, url=url)
    assert parsed.attachments == ((wanted,) if url else ())


def test_media_come_in_the_order_of_the_post() -> None:
    """X sends them in any order, and those of other posts among them."""
    media = [{"media_key": f"3_{number}", "url": f"https://e.com/{number}.jpg"} for number in (3, 1, 2)]
    keys = {"media_keys": ["3_1", "3_2", "3_1", "3_8"]}
    parsed = say("#LAPOR x @LAPOR1708", attachments=keys, includes={"media": media})
    assert [each.url for each in parsed.attachments] == ["https://e.com/1.jpg", "https://e.com/2.jpg"]


@pytest.mark.parametrize(
    ("geo", "location"),
    [
        pytest.param({"place_id": "p1"}, Location(place="Contoh"), id="a place only"),
        pytest.param({"place_id": "p2"}, None, id="a place without a name"),
        pytest.param(
            {"coordinates": {"coordinates": [106.8, -6.2]}}, Location(latitude=-6.2, longitude=106.8), id="a point"
        ),
        pytest.param({"coordinates": {"coordinates": [-6.2, 106.8]}}, None, id="a latitude beyond the pole"),
        pytest.param({"coordinates": {"coordinates": [0, 0]}}, None, id="the point that means nothing"),
        pytest.param({"coordinates": {"coordinates": [106.8]}}, None, id="half a point"),
        pytest.param({"coordinates": {"coordinates": [106.8, "x", -6.2]}}, None, id="three halves"),
        pytest.param({"coordinates": {"type": "Polygon", "coordinates": [1, 2]}}, None, id="no point"),
        pytest.param({"coordinates": [106.8, -6.2], "place_id": "p1"}, Location(place="Contoh"), id="of another form"),
        pytest.param("Jakarta", None, id="a text"),
        pytest.param(None, None, id="none"),
    ],
)
def test_the_location_is_a_point_or_a_name(geo: Any, location: Location | None) -> None:
    """Longitude stands first there; the box around a place is nobody's location."""
    places = [{"id": "p1", "full_name": "Contoh", "geo": {"bbox": [1, 2, 3, 4]}}, {"id": "p2"}]
    assert say("#LAPOR x @LAPOR1708", geo=geo, includes={"places": places}).location == location


def test_a_note_that_a_post_is_gone() -> None:
    """It says which, and why, as the end of a sentence."""
    note = {
        "lapor": "withdrawal",
        "post_id": "55",
        "author_id": None,
        "reason": "deleted",
        "seen_at": "2025-11-13T15:49:04Z",
    }
    parsed = parse(json.dumps(note).encode())
    assert parsed.withdrawal == Withdrawal("55", "was deleted on X")
    assert (parsed.reporter.address, parsed.sent_at) == ("", WRITTEN)
    assert (parsed.not_a_report, parsed.held, parsed.answerable) == (twitter.WITHDRAWN, None, False)
    for reason, words in twitter.WITHDRAWALS.items():
        again = parse(json.dumps(note | {"reason": reason, "author_id": "700001"}).encode())
        assert again.withdrawal == Withdrawal("55", words)
        assert again.reporter.address == "700001"


MEDIA_NOTE: dict[str, Any] = {
    "lapor": "media",
    "post_id": "55",
    "author_id": "700001",
    "media_key": "3_1",
    "url": "https://e.com/a.jpg",
    "sha256": "ab" * 32,
    "size": 123,
    "media_type": "image/jpeg",
    "name": None,
}


def test_a_note_that_a_file_was_fetched() -> None:
    """It completes its post with the size and the hash."""
    parsed = parse(json.dumps(MEDIA_NOTE).encode())
    file = Attachment(name=None, media_type="image/jpeg", size=123, sha256="ab" * 32, url="https://e.com/a.jpg")
    assert (parsed.completes, parsed.attachments) == ("55", (file,))
    assert (parsed.reporter.address, parsed.not_a_report, parsed.answerable) == ("700001", twitter.FETCHED, False)
    named = parse(json.dumps(MEDIA_NOTE | {"name": " lubang\ud83d "}).encode())
    assert named.attachments[0].name == "lubang\ufffd"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        pytest.param(b"", "no JSON", id="no bytes"),
        pytest.param(b"\xff\xfe{}", "no JSON", id="broken UTF-8"),
        pytest.param('{"data":{"id":"1","text":"rahasia"}}'.encode("utf-16"), "no JSON", id="another encoding"),
        pytest.param(b'{"data":{"id":"1","text":"rahasia', "no JSON", id="cut off"),
        pytest.param(b"<html><body>rahasia</body></html>", "no JSON", id="HTML"),
        pytest.param(b'["rahasia"]', "no record", id="a list"),
        pytest.param(b'"rahasia"', "no record", id="a text"),
        pytest.param(b"null", "no record", id="null"),
        pytest.param(b"NaN", "no record", id="not a number"),
        pytest.param(b"{}", "holds no post", id="empty"),
        pytest.param(b'{"errors":[{"title":"rahasia"}]}', "holds no post", id="an error of X"),
        pytest.param(b'{"data":[{"id":"1","text":"rahasia"}]}', "holds no post", id="a page of posts"),
        pytest.param(raw("rahasia", id=None), "holds no post", id="no id"),
        pytest.param(raw("rahasia", id=1), "holds no post", id="the id a number"),
        pytest.param(raw("rahasia", id="1" * 20), "holds no post", id="an id of too many digits"),
        pytest.param(raw("rahasia", id="١٢٣"), "holds no post", id="digits of another script"),
        pytest.param(raw(None), "no text", id="no text"),
        pytest.param(raw({"rahasia": 1}), "no text", id="no text but an object"),
        pytest.param(b"[" * 100_000, "nested too deep", id="deep"),
        pytest.param(b'{"data":' * 50_000, "nested too deep", id="deep in the post"),
        pytest.param(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep", id="deep beside it"),
        pytest.param(b" " * 2_000_001, "longer than", id="too long"),
        pytest.param(b'{"lapor":"rahasia"}', "no known kind", id="an unknown note"),
        pytest.param(
            b'{"lapor":"withdrawal","post_id":"1","reason":"rahasia"}', "is not complete", id="no such reason"
        ),
        pytest.param(b'{"lapor":"withdrawal","reason":"deleted"}', "is not complete", id="nothing withdrawn"),
        *(
            pytest.param(json.dumps(MEDIA_NOTE | wrong).encode(), "is not complete", id=f"a file: {wrong}")
            for wrong in (
                {"post_id": None},
                {"url": "file:///rahasia"},
                {"sha256": "AB" * 32},
                {"sha256": None},
                {"size": -1},
                {"size": "123"},
                {"size": 10**30},
                {"media_type": "rahasia"},
            )
        ),
    ],
)
def test_what_cannot_be_read_is_quarantined_with_a_reason(record: bytes, reason: str) -> None:
    """The reason is a sentence for an operator and never repeats what was written or who wrote."""
    with pytest.raises(Quarantine, match=reason) as caught:
        parse(record)
    assert "rahasia" not in str(caught.value)
    assert "warga" not in str(caught.value)


@pytest.mark.parametrize("raws", [(), (None,), (raw(), raw()), (raw(), None)])
def test_a_post_never_has_parts(raws: tuple[bytes | None, ...]) -> None:
    """Unlike an SMS."""
    with pytest.raises(Quarantine, match="never several parts"):
        twitter.parse(raws, PROFILE)
