"""The X parser: the record of one post as what its author wrote to us, or why it is nothing that was written to us.

A post that mentions us and bears our hashtag is a report, as the published form says ("#LAPOR … @LAPOR1708"). A post
that does one of the two is held for an operator, unless it names a tracking ID or a number of the core, and so
continues something. Both are decided here, not by X's stream rules: those match what X has found, which differs
from what can be read ("tolong#LAPOR", letters of mathematics), and a search matches otherwise than the stream.

**Quoted posts.** Their words are somebody else's: they are not added to the text, not searched for keywords and IDs,
and their media are not attached. The link to them is taken off the text, as X's own apps do. A post that says
nothing itself but quotes another is held: an operator sees the raw record, which holds the quoted post's id.

**Answers.** X lets a machine answer only whoever mentioned it ("Automation rules"), so a post with nothing but our
hashtag can be a report and still not be answered.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from gateway.errors import Quarantine
from gateway.model import Attachment, Reporter
from gateway.parsing import Parsed, Profile, Withdrawal
from parsers import citizen_text, twitter_facts, twitter_record, twitter_text
from parsers.moments import moment
from parsers.twitter_record import MOST_ENTRIES, Entities, Post, Record, User, is_id, is_web_address
from parsers.twitter_text import Names, Reading

# Reasons may be logged: they never hold a handle or a text.
OWN_POST: Final = "our own post"
RETWEET: Final = "a retweet"
SHARE: Final = "a post that shares a report of our site"
PROMOTION: Final = "promotion of the service"
NOT_ADDRESSED: Final = "it neither mentions us nor bears our hashtag"
NO_WORDS: Final = "nothing but handles, links and hashtags"
WITHDRAWN: Final = "a note that a post is gone"
FETCHED: Final = "a note that a post's file was fetched"

BARE_MENTION: Final = "it mentions us without the hashtag"
ONLY_HASHTAG: Final = "it bears the hashtag without a mention of us"
GLUED: Final = "it names us in a form that X does not read as a mention or hashtag"
ONLY_MEDIA: Final = "it has a picture or a video and no words"
ONLY_QUOTE: Final = "it quotes another post and has no words"
ONLY_SIGNS: Final = "it has signs and no words"
ONLY_TAGS: Final = "it has hashtags of its own and no words"

WITHDRAWALS: Final = {
    "deleted": "was deleted on X",
    "withheld": "is withheld on X",
    "protected": "is no longer public on X: its author's posts are protected",
    "suspended": "is gone from X: its author's account is suspended",
    "unavailable": "is no longer available on X",
}
"""What has happened to a post, by the word in the channel's note: the end of a sentence."""

DEFAULT_ACCOUNT: Final = "LAPOR1708"
DEFAULT_HASHTAG: Final = "LAPOR"

_RETWEETED: Final = re.compile(r"RT\s{1,3}[@＠][A-Za-z0-9_]{1,20}\s?:")
_KEPT: Final = re.compile(r"[0-9]{1,19}|media:[0-9]{1,19}:[A-Za-z0-9_-]{1,64}")
"""What can be gone: a post, or a file of one."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_LARGEST_FILE: Final = 1 << 53

# The sizes of IDs that continue something: our own tracking IDs, and the core's numbers.
_TRACKING_DIGITS: Final = 10
_CORE_DIGITS: Final = range(6, 9)

# A promotion bears the tag of a campaign, invites, and has not one word of somebody who complains or asks. Those
# words are many rather than few: whoever uses one is heard.
_CAMPAIGN_TAG: Final = re.compile(
    r"(?:ayo|yuk|mari|yok|kuy|berani|bisa|jangantakut|sosialisasi|kampanye|gerakan|hari)lapor"
)
_INVITES: Final = re.compile(
    r"\b(?:ayo|yuk|mari|sosialisasi|kunjungi|klik|unduh|download|ikuti|follow|saksikan|simak|sampaikan|salurkan"
    r"|laporkan|gunakan|manfaatkan|bersama|dukung|kampanye|peluncuran|hadir|hadirilah|acara|talkshow|webinar|live)\b"
)
_COMPLAINS: Final = re.compile(
    r"\b(?:saya|sy|aku|ku|kami|mohon|mhn|tolong|tlg|minta|kenapa|knp|mengapa|kapan|gimana|bagaimana|apakah|padahal"
    r"|tidak|tdk|tak|gak|ga|gk|nggak|ngga|belum|blm|blom|bukan|jangan|susah|sulit|lama|lambat|rusak|hancur|parah"
    r"|bolong|berlubang|lubang|longsor|banjir|macet|mati|padam|bocor|kotor|sampah|bau|bahaya|roboh|putus|hilang"
    r"|pungli|pungutan|korupsi|suap|tipu|penipuan|calo|liar|ilegal|palsu|mahal|antri|antre|kecewa|keluhan|mengeluh"
    r"|rumah|jl|jln|jalan|rt|rw)\b|\?"
)


def parse(raws: Sequence[bytes | None], profile: Profile, /) -> Parsed:
    """Parses the record of one post, or a note of the channel's own.

    Raises:
        Quarantine: The bytes hold neither.
    """
    if len(raws) != 1 or raws[0] is None:
        raise Quarantine("a record of X is one message, never several parts")
    record = twitter_record.decode(raws[0])
    if record.lapor == "withdrawal":
        return _withdrawal(record)
    if record.lapor == "media":
        return _fetched_media(record)
    if record.lapor is not None:
        raise Quarantine("the channel's own note is of no known kind")
    post = record.data
    if post is None or not is_id(post.id):
        raise Quarantine("the record holds no post")
    if post.text is None:
        raise Quarantine("the post has no text")
    return _post(record, post, profile)


def _post(record: Record, post: Post, profile: Profile) -> Parsed:
    option = profile.options.get
    names = _names(
        option("account") or DEFAULT_ACCOUNT,
        option("account_id") or "",
        option("hashtag") or DEFAULT_HASHTAG,
        profile.own_addresses,
    )
    author = twitter_facts.author_of(record, post)
    reading = _reading(post, names)
    text = citizen_text.without_service_word(reading.text)
    references = citizen_text.references(reading.searchable)
    own = _is_own(post, author, names)
    ignored = _no_report(post, reading, own=own)
    held = None
    if ignored is None:
        ignored, held = _judged(post, reading, references, profile)
    return Parsed(
        reporter=twitter_facts.reporter(post, author),
        text=text,
        sent_at=twitter_facts.sent_at(post),
        keyword=citizen_text.leading_keyword(text),
        references=references,
        attachments=twitter_facts.attachments(record, post),
        location=twitter_facts.location(record, post),
        trust=twitter_facts.trust(author),
        not_a_report=ignored,
        held=held,
        reply_to=post.referenced("replied_to"),
        revision=twitter_facts.revision(post),
        answerable=(
            reading.plainly
            and is_id(post.author_id)
            and not own
            and ignored != RETWEET
            and not (author is not None and author.protected)
        ),
    )


@lru_cache(maxsize=16)
def _names(account: str, account_id: str, hashtag: str, own_addresses: frozenset[str]) -> Names:
    bare = {each.strip().lstrip("@").casefold() for each in (account, account_id, *own_addresses)} - {""}
    ids = frozenset(each for each in bare if is_id(each))
    return Names(frozenset(bare - ids), ids, hashtag.strip().lstrip("#").casefold())


def _is_own(post: Post, author: User | None, names: Names) -> bool:
    if post.author_id in names.ids:
        return True
    return author is not None and author.username is not None and author.username.casefold() in names.handles


def _reading(post: Post, names: Names) -> Reading:
    """What the post's text says; the whole text where it is a long one, and what X has found in it besides."""
    note = post.note
    entities = [each for each in (note.entities if note is not None else None, post.entities) if each is not None]
    links = _links(post, entities, names)
    short = citizen_text.clean(twitter_text.unescaped(post.text or ""))
    long = None if note is None else citizen_text.clean(twitter_text.unescaped(note.text or ""))
    reading = twitter_text.read(short if long is None else long, links, names)
    if not reading.mentioned and (_mentions_us(entities, names) or post.in_reply_to_user_id in names.ids):
        reading = reading._replace(mentioned=True, plainly=True, named=True)
    if not reading.tagged and any(_has_tag(each, names) for each in entities):
        reading = reading._replace(tagged=True, named=True)
    if long is not None and not (reading.mentioned and reading.tagged):
        beginning = twitter_text.read(short, links, names)  # the handles of a reply may stand only here
        reading = reading._replace(
            mentioned=reading.mentioned or beginning.mentioned,
            plainly=reading.plainly or beginning.plainly,
            tagged=reading.tagged or beginning.tagged,
            named=reading.named or beginning.named,
        )
    return reading


def _links(post: Post, entities: Iterable[Entities], names: Names) -> dict[str, str]:
    """Where the links in the text lead, by their address there."""
    own = (post.id or "", *(post.edit_history_tweet_ids or post.edit_history_post_ids or ())[:MOST_ENTRIES])
    quoted = post.referenced("quoted")
    links: dict[str, str] = {}
    for each in entities:
        for link in (each.urls or ())[:MOST_ENTRIES]:
            if link.url is None:
                continue
            if link.media_key is not None:
                links[link.url] = ""
            elif link.expanded_url is not None and twitter_text.is_link(link.expanded_url):
                links[link.url] = twitter_text.link_target(link.expanded_url, own, quoted, names)
    return links


def _mentions_us(entities: Iterable[Entities], names: Names) -> bool:
    return any(
        mention.id in names.ids or (mention.username or "").casefold() in names.handles
        for each in entities
        for mention in (each.mentions or ())[:MOST_ENTRIES]
    )


def _has_tag(entities: Entities, names: Names) -> bool:
    return any(tag.tag and twitter_text.fold(tag.tag) == names.tag for tag in (entities.hashtags or ())[:MOST_ENTRIES])


def _no_report(post: Post, reading: Reading, *, own: bool) -> str | None:
    """Why the post is nothing that a citizen wrote to us, whatever it says."""
    if own:
        return OWN_POST
    if post.referenced("retweeted") is not None or _RETWEETED.match(post.text or "") is not None:
        return RETWEET
    if reading.shared:
        return SHARE
    if any(_CAMPAIGN_TAG.match(tag) for tag in reading.tags) and _is_promotion(reading.text):
        return PROMOTION
    return None if reading.named else NOT_ADDRESSED


def _is_promotion(text: str) -> bool:
    folded = text[: twitter_text.LIMIT].lower()
    return _INVITES.search(folded) is not None and _COMPLAINS.search(folded) is None


def _judged(post: Post, reading: Reading, references: Sequence[str], profile: Profile) -> tuple[str | None, str | None]:
    """Why a post that is meant for us is no report, or why an operator has to decide."""
    if any(_continues(each) for each in references):
        return None, None
    if not reading.words:
        return _wordless(post, reading)
    if reading.mentioned:
        if reading.tagged or profile.options.get("bare_mention") == "report":
            return None, None
        return None, BARE_MENTION
    return None, ONLY_HASHTAG if reading.tagged else GLUED


def _wordless(post: Post, reading: Reading) -> tuple[str | None, str | None]:
    """The same for a post without words: whatever it shows instead, a person has sent it."""
    if twitter_facts.media_keys(post):
        return None, ONLY_MEDIA
    if post.referenced("quoted") is not None:
        return None, ONLY_QUOTE
    if len(reading.tags) > reading.tagged:
        return None, ONLY_TAGS  # "#JalanRusakDiSukamaju" says something
    return (None, ONLY_SIGNS) if reading.signs else (NO_WORDS, None)


def _continues(reference: str) -> bool:
    """Whether an ID-like token is a number of the core, or can be one of our tracking IDs (the last digit by Luhn)."""
    if not reference.isdigit():
        return False
    if len(reference) in _CORE_DIGITS:
        return True
    if len(reference) != _TRACKING_DIGITS or reference.startswith("0"):
        return False
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in reference[-2::-2])
    return (sum(doubled) + sum(map(int, reference[-1::-2]))) % 10 == 0


def _withdrawal(record: Record) -> Parsed:
    what = WITHDRAWALS.get(record.reason or "")
    if record.post_id is None or not _KEPT.fullmatch(record.post_id) or what is None:
        raise Quarantine("the channel's note that a post is gone is not complete")
    return Parsed(
        reporter=_reporter(record),
        text="",
        sent_at=moment(record.seen_at),
        not_a_report=WITHDRAWN,
        withdrawal=Withdrawal(record.post_id, what),
        answerable=False,
    )


def _fetched_media(record: Record) -> Parsed:
    url, sha256, size, media_type = record.url, record.sha256, record.size, record.media_type
    if (
        record.post_id is None
        or not is_id(record.post_id)
        or not is_web_address(url)
        or sha256 is None
        or not _SHA256.fullmatch(sha256)
        or size is None
        or not 0 <= size <= _LARGEST_FILE
        or media_type is None
        or not twitter_facts.is_media_type(media_type)
    ):
        raise Quarantine("the channel's note about a file is not complete")
    name = twitter_facts.short(record.name, twitter_facts.LONGEST_DESCRIPTION)
    return Parsed(
        reporter=_reporter(record),
        text="",
        sent_at=None,
        attachments=(Attachment(name=name, media_type=media_type, size=size, sha256=sha256, url=url),),
        not_a_report=FETCHED,
        completes=record.post_id,
        answerable=False,
    )


def _reporter(record: Record) -> Reporter:
    return Reporter(address=record.author_id if record.author_id and is_id(record.author_id) else "", kind="x")
