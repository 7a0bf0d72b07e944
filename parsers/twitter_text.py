"""What the text of a post says: whom it addresses, and the citizen's own words without what X's forms add.

The rules for hashtags and mentions are those of X's own library twitter-text (github.com/twitter/twitter-text:
``validHashtag``, ``hashtagBoundary``, ``endHashtagMatch``, ``validMentionOrList``, ``validMentionPrecedingChars``,
``endMentionMatch``, and the cases of ``conformance/extract.yml``). No Python port of it is kept up, so the few that
matter are written here. Signs and letters that merely look different (＃ＬＡＰＯＲ, letters of mathematics) are read as
what they stand for, by Unicode's NFKC; the text that is shown stays as it was written.

X's offsets are never used: they count code points of a text that may or may not have its ``&`` escaped, and belong
to the short text where there is a long one. Links are found by their address instead.

What is taken off: our own handles and hashtag wherever they stand, runs of handles at both ends, and the links that
X adds for media and for the quoted post, or that lead to nothing but a page of a form (share, search, our own
profile). Handles and other hashtags within a sentence carry meaning and stay. Other links are written out in full,
without the parameters that only track.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from parsers import citizen_text

LIMIT: Final = 30_000
"""How many characters are looked into: more than the 25,000 of X's longest posts. What is behind stays as it is."""

MOST_LINKS: Final = 50
"""How many links are written out; each may be as long as the longest address."""

_UNESCAPED: Final = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_ESCAPE: Final = re.compile("&(?:amp|lt|gt);")

# All branches begin with one of a few signs, which is what makes the search fast.
_ACCENTS: Final = "\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0300-\u036f\u1e00-\u1eff"
_WIDE: Final = "０-９Ａ-Ｚａ-ｚ＿\U0001d400-\U0001d7ff"
_TOKEN: Final = re.compile(
    r"[#＃@＠hH](?:"
    r"(?<=[hH])(?<![A-Za-z0-9]h)(?<![A-Za-z0-9]H)(?P<link>[tT]{2}[pP][sS]?://"
    r"(?:[tT]\.[cC][oO]/[A-Za-z0-9]++|[^\s<>\"]++))"
    r"|(?<=[#＃])(?<![\w&][#＃])(?![\ufe0f\u20e3])(?P<tag>[\w\u0300-\u036f\u200c\u200d\u00b7]++)(?![#＃@＠]|://)"
    rf"|(?<=[@＠])(?<![A-Za-z0-9_!#$%&*@＠][@＠])(?P<handle>[A-Za-z0-9_{_WIDE}]{{1,20}}+)(?![@＠{_ACCENTS}]|://))"
)
_LINK_ENDS: Final = ".,;:!?)]}'\"…”’"
_ZERO_WIDTH: Final = "\u200b\u200c\u200d\u2060\ufeff"

# What may stand between handles that only address, and beside them at the ends of a text.
_FILLERS: Final = " \t\n\u00a0,;:/&|+.\u2026\u2013\u2014\\-\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufe0f\ufeff"
_FILLER: Final = re.compile(rf"[{_FILLERS}]*+(?:(?:dan|and|cc|via)(?![A-Za-z0-9_])[{_FILLERS}]*+)?", re.IGNORECASE)
_LEADING_FILLER: Final = re.compile(
    r"(?:[\s:;,.=>|/\u2013\u2014-]|[!?](?![0-9])|[(\[<]\s{0,3}spasi\s{0,3}[)\]>])++", re.IGNORECASE
)
_BLANK_FILLER: Final = re.compile(rf"[{_FILLERS}]*+")
_DANGLING: Final = re.compile(r"(?:^|(?<=[\s,;|(]))(?:cc|via)\s{0,3}:?\s{0,3}$", re.IGNORECASE)
_DANGLING_WITHIN: Final = 16
_END_SIGNS: Final = " \t\n\u00a0,&|"
_TIGHT: Final = (",", ".", ";", ":", "!", "?", ")", "\n")
_BLANKS: Final = " \t\u00a0"
_CUT: Final = "\0"

_LINK: Final = re.compile(r"https?://\S{1,2000}", re.IGNORECASE)
_STATUS: Final = re.compile(
    r"https?://(?:(?:www|mobile|m)\.)?(?:twitter|x)\.com/(?:i/web|[A-Za-z0-9_]{1,20})/status(?:es)?/([0-9]{1,19}+)(?![0-9])",
    re.IGNORECASE,
)
_PAGE: Final = re.compile(
    r"https?://(?:(?:www|mobile|m)\.)?(?:twitter|x)\.com/([A-Za-z0-9_]{1,20})(/?(?:[?#]|$))?", re.IGNORECASE
)
_FORM_PAGES: Final = frozenset({"intent", "share", "search", "hashtag", "home", "explore"})
_SUPPORT: Final = re.compile(
    r"\W{0,5}(?:sila(?:h)?kan|mari|ayo|yuk)\s{1,3}(?:kita\s{1,3})?dukung\s{1,3}[@＠](\S{1,20}?)\s{1,3}#?[0-9]{5,10}\b",
    re.IGNORECASE,
)
_SHORT_LINK: Final = re.compile(r"https?://t\.co/", re.IGNORECASE)
_BARE_HOST: Final = re.compile(r"https?://[^/?#\s]++/?")
_TRACKING: Final = re.compile(r"(?:utm_[a-z]+|fbclid|gclid|igshid|igsh|mibextid|ref_src|ref_url)=", re.IGNORECASE)
_OUR_SITE: Final = re.compile(
    r"https?://(?:[a-z0-9-]{1,63}\.){0,5}lapor\.(?:go|ukp\.go)\.id(?:[/:?#]|$)", re.IGNORECASE
)
_WORDS: Final = re.compile(r"[^\W_]")


class Names(NamedTuple):
    """What this channel is known as, in small letters: handles without @, user ids, and the hashtag without #."""

    handles: frozenset[str]
    ids: frozenset[str]
    tag: str


class Token(NamedTuple):
    """A link, a hashtag or a handle in a text. ``name``: where the link leads, or the folded tag or handle."""

    start: int
    end: int
    kind: Literal["link", "tag", "handle"]
    name: str
    cut: bool


class Reading(NamedTuple):
    """What a text says.

    Attributes:
        text: The citizen's own words.
        searchable: The same for the search of ID-like tokens: without handles, and of links only those to our site.
        mentioned: Whether a mention of ours stands in it.
        plainly: Whether X sees that mention, too.
        tagged: Whether our hashtag stands in it.
        named: Whether our handle or hashtag stands in it in any form, even glued to a word.
        tags: All hashtags, folded.
        words: Whether there is a letter or a digit besides links, hashtags and handles.
        signs: Whether anything is left to see, such as an emoji.
        shared: Whether the form of our site's share button made it: a link to our site "via" our handle.
    """

    text: str
    searchable: str
    mentioned: bool
    plainly: bool
    tagged: bool
    named: bool
    tags: frozenset[str]
    words: bool
    signs: bool
    shared: bool


def unescaped(text: str) -> str:
    """The text without the three escapes that X writes; each is undone once."""
    return _ESCAPE.sub(lambda match: _UNESCAPED[match[0]], text) if "&" in text else text


def fold(name: str) -> str:
    """A handle or hashtag in the form in which two of them are compared."""
    return (name if name.isascii() else unicodedata.normalize("NFKC", name).strip(_ZERO_WIDTH)).casefold()


def link_target(url: str, own_posts: Sequence[str], quoted: str | None, names: Names) -> str:
    """Where a link leads, without what only tracks; empty for one that says nothing to a reader."""
    if (status := _STATUS.match(url)) is not None:
        return "" if status[1] == quoted or status[1] in own_posts else _untracked(url)
    if (page := _PAGE.match(url)) is not None:
        name = page[1].lower()
        if name in _FORM_PAGES or (name in names.handles and page[2] is not None):
            return ""
    return _untracked(url)


def is_link(url: str) -> bool:
    """Whether this can be written into a text for a link: one word of sensible length, of whatever letters."""
    return _LINK.fullmatch(url) is not None and url.isprintable()


def is_ours(url: str) -> bool:
    """Whether a link leads to the service's own site."""
    return _OUR_SITE.match(url) is not None


def _untracked(url: str) -> str:
    base, mark, rest = url.partition("?")
    if not mark:
        return url
    query, hash_sign, fragment = rest.partition("#")
    kept = "&".join(each for each in query.split("&") if not _TRACKING.match(each))
    return base + ("?" + kept if kept else "") + hash_sign + fragment


def read(text: str, links: Mapping[str, str], names: Names) -> Reading:
    """Reads a text.

    Args:
        text: The text, cleaned and unescaped.
        links: Where links lead, by their address in the text; empty for those that say nothing.
        names: What this channel is known as.
    """
    rest = ""
    if len(text) > LIMIT:
        text, rest = text[:LIMIT], text[LIMIT:]
    tokens = scan(text, links, names)
    mentioned = plainly = tagged = False
    for token in tokens:
        if token.kind == "handle" and token.name in names.handles:
            mentioned = True
            plainly = plainly or _is_plain(text, token)
        elif token.kind == "tag" and token.name == names.tag:
            tagged = True
    shared = mentioned and not tagged and _is_shared(text, tokens, names)
    shown, searchable, prose = _assembled(text, *_trimmed(text, tokens))
    if rest:
        shown, searchable, prose = shown + rest, searchable + rest, prose + rest
    return Reading(
        shown,
        searchable,
        mentioned,
        plainly,
        tagged,
        mentioned or tagged or _is_named(text, names),
        frozenset(token.name for token in tokens if token.kind == "tag"),
        _WORDS.search(prose) is not None,
        not citizen_text.is_blank(prose.strip(_END_SIGNS + ".:-")),
        shared,
    )


def scan(text: str, links: Mapping[str, str], names: Names) -> list[Token]:
    """The links, hashtags and handles of a text in their order."""
    tokens: list[Token] = []
    expanded = 0
    for match in _TOKEN.finditer(text):
        kind, written = match.lastgroup, match[0]
        start, end = match.span()
        if kind == "handle":
            name = fold(written[1:])
            tokens.append(Token(start, end, "handle", name, name in names.handles))
        elif kind == "tag":
            name = fold(written[1:])
            if not name.isdigit():  # "#1234567" is a number that is marked as an ID
                tokens.append(Token(start, end, "tag", name, name == names.tag))
        else:
            link = written.rstrip(_LINK_ENDS)
            target = links.get(link)
            if target and (expanded := expanded + 1) > MOST_LINKS:
                target = None
            tokens.append(Token(start, start + len(link), "link", link if target is None else target, target == ""))
    return tokens


def _is_plain(text: str, token: Token) -> bool:
    """Whether X takes a handle for a mention: in plain letters, and no list of that account's ("@handle/list")."""
    after = text[token.end : token.end + 2]
    return text[token.start : token.end].isascii() and not (after[:1] == "/" and after[1:].isalpha())


def _is_named(text: str, names: Names) -> bool:
    """Whether our handle or hashtag stands in a text in any form: "tolong#LAPOR", "#LAPOR1708", "lapor1708"."""
    folded = (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()
    if any(handle in folded for handle in names.handles):
        return True
    return f"#{names.tag}" in folded and re.search(rf"#{re.escape(names.tag)}(?!\w)", folded) is not None


def _is_shared(text: str, tokens: Sequence[Token], names: Names) -> bool:
    """Whether a share button made the text: "Silakan dukung @… #216750 …", or "… <link> via @…" at its end."""
    ours = [token.kind == "link" and _may_be_ours(token.name) for token in tokens]
    if not any(ours):
        return False
    support = _SUPPORT.match(text)
    if support is not None and fold(support[1]) in names.handles:
        return True
    for at, token in enumerate(tokens[1:], 1):
        if token.kind == "handle" and token.name in names.handles and ours[at - 1]:
            between = text[tokens[at - 1].end : token.start]
            if between.strip().lower() == "via" and not _has_words(text, token.end, tokens[at + 1 :]):
                return True
    return False


def _may_be_ours(target: str) -> bool:
    return is_ours(target) or _SHORT_LINK.match(target) is not None


def _has_words(text: str, start: int, tokens: Sequence[Token]) -> bool:
    """Whether there is a letter or digit behind a place, besides the tokens there."""
    for token in tokens:
        if _WORDS.search(text, start, token.start) is not None:
            return True
        start = token.end
    return _WORDS.search(text, start) is not None


def _trimmed(text: str, tokens: Sequence[Token]) -> tuple[int, int, Sequence[Token]]:
    """Where the citizen's words begin and end between the runs of handles, and the tokens among them."""
    start, first, filler = 0, 0, _BLANK_FILLER
    for token in tokens:
        if not (token.cut or token.kind == "handle") or filler.fullmatch(text, start, token.start) is None:
            break
        start, first, filler = token.end, first + 1, _FILLER
    end, last, filler = len(text), len(tokens), _BLANK_FILLER
    while last > first:
        token = tokens[last - 1]
        if not (token.cut or token.kind == "handle" or _is_sign_off(text, token)):
            break
        if filler.fullmatch(text, token.end, end) is None:
            break
        end, last, filler = token.start, last - 1, _FILLER
    body = tokens[first:last]
    if first and (leading := _LEADING_FILLER.match(text, start, end)) is not None and leading.end() < end:
        start = leading.end()
    if last < len(tokens):
        end = _without_dangling(text, body[-1].end if body else start, end)
    return start, end, body


def _is_sign_off(text: str, token: Token) -> bool:
    """Whether this is the "via <the app's home page>" that an app puts at the end."""
    if token.kind != "link" or _BARE_HOST.fullmatch(token.name) is None:
        return False
    return _DANGLING.search(text[max(0, token.start - _DANGLING_WITHIN) : token.start]) is not None


def _without_dangling(text: str, start: int, end: int) -> int:
    """Where the text ends without the "cc:" or "via" that led to the handles behind it."""
    tail = text[max(start, end - _DANGLING_WITHIN) : end]
    kept = tail.rstrip(_END_SIGNS)
    if (dangling := _DANGLING.search(kept)) is not None:
        kept = kept[: dangling.start()].rstrip(_END_SIGNS + "(")
    return end - len(tail) + len(kept)


def _assembled(text: str, start: int, end: int, tokens: Sequence[Token]) -> tuple[str, str, str]:
    """The text that is shown, the one that is searched for IDs, and what of it are words and signs."""
    if not tokens:
        text = text[start:end].strip()
        return text, text, text
    shown: list[str] = []
    searchable: list[str] = []
    prose: list[str] = []
    for token in tokens:
        before, written = text[start : token.start], text[token.start : token.end]
        start = token.end
        prose += (before, " ")
        if token.cut:
            shown += (before, _CUT)
            searchable += (before, " ")
        elif token.kind == "link":
            shown += (before, token.name)
            searchable += (before, token.name if is_ours(token.name) else " ")
        else:
            shown += (before, written)
            searchable += (before, written if token.kind == "tag" else " ")
    tail = text[start:end]
    return _closed("".join(shown) + tail), "".join(searchable) + tail, "".join(prose) + tail


def _closed(text: str) -> str:
    """The text with its cuts closed: one blank where there were two, none before a comma."""
    if _CUT not in text:
        return text.strip()
    pieces: list[str] = []
    for part in text.split(_CUT):
        if pieces:
            pieces[-1] = pieces[-1].rstrip(_BLANKS)
            part = part.lstrip(_BLANKS)  # noqa: PLW2901 - the same part, trimmed
            if pieces[-1].endswith("(") and part.startswith(")"):
                pieces[-1], part = pieces[-1][:-1].rstrip(_BLANKS), part[1:].lstrip(_BLANKS)  # noqa: PLW2901
            if pieces[-1] and part and not pieces[-1].endswith("\n") and not part.startswith(_TIGHT):
                pieces.append(" ")
        if part:
            pieces.append(part)
    return "".join(pieces).strip()
