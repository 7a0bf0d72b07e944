"""What X makes of a text: links shortened, hashtags and mentions found, the length weighed, long texts cut."""

import hashlib
import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

POST_LENGTH: Final = 280
LINK_LENGTH: Final = 23
ELLIPSIS: Final = "…"

_LINK = re.compile(
    r"(?<![\w@.#$/-])(?:https?://[^\s<>\"]*[^\s<>\".,;:!?)'…]"
    r"|(?:[a-z0-9-]+\.)+(?:id|com|org|net|info)\b(?:/[^\s<>\"]*[^\s<>\".,;:!?)'…])?)",
    re.IGNORECASE,
)
# Facts: `#LAPOR!` is LAPOR, `#LAPORkan` is another tag, `tolong#LAPOR` and `#LAPOR@LAPOR1708` are none.
_HASHTAG = re.compile(r"(?<![\w&])[#＃](?=\w*[^\W\d_])(?P<tag>\w++)(?![#＃@＠]|://)")
_MENTION = re.compile(r"(?<![A-Za-z0-9_!#$%&*@＠])[@＠](?P<username>[A-Za-z0-9_]{1,15}+)(?![A-Za-z0-9_@＠À-ÿ]|://)")
_WORD = re.compile(r"\w+")
# The ranges of code points that weigh one; all others weigh two.
_LIGHT: Final = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))


@dataclass(frozen=True, slots=True)
class Link:
    """A link as X shows it: the short form that stands in the text, and where it leads."""

    short: str
    expanded: str
    display: str
    media_key: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A text as X hands it out, and the entities in it, positions counted in code points."""

    text: str
    entities: Mapping[str, Sequence[Mapping[str, Any]]]

    def names(self, kind: str, key: str) -> frozenset[str]:
        """The lower-case values of one kind of entity: ``names("hashtags", "tag")``."""
        return frozenset(str(entity[key]).lower() for entity in self.entities.get(kind, ()))


def short_link(expanded: str, media_key: str | None = None) -> Link:
    """The short form of a link, the same for the same target; with a media key it is the link to a picture."""
    target = expanded if "://" in expanded else f"http://{expanded}"
    digest = hashlib.blake2b(target.encode(), digest_size=5).hexdigest()
    display = target.partition("://")[2]
    if media_key:
        display = f"pic.x.com/{digest}"
    elif len(display) > LINK_LENGTH:
        display = display[:LINK_LENGTH] + ELLIPSIS
    return Link(f"https://t.co/{digest}", target, display, media_key)


def shorten_links(text: str) -> tuple[str, list[Link]]:
    """The text with every link in its short form, and the links."""
    links: list[Link] = []

    def replace(found: re.Match[str]) -> str:
        links.append(short_link(found[0]))
        return links[-1].short

    return _LINK.sub(replace, text), links


def show(text: str, links: Sequence[Link], id_of: Callable[[str], str]) -> Shown:
    """A text with short links as X hands it out: with ``&``, ``<`` and ``>`` escaped, and its entities.

    Args:
        text: With short links in it.
        links: The links that may stand in it, in their order.
        id_of: The id of the account with a username.
    """
    shown = html.escape(text, quote=False)
    entities = {
        "urls": list(_url_entities(shown, links)),
        "hashtags": [_entity(match, "tag") for match in _HASHTAG.finditer(shown)],
        "mentions": [
            _entity(match, "username") | {"id": id_of(match["username"])} for match in _MENTION.finditer(shown)
        ],
    }
    return Shown(shown, {name: found for name, found in entities.items() if found})


def weigh(text: str) -> int:
    """The length of a text as X counts it: a link is 23, most scripts one a letter, the others two."""
    shortened, links = shorten_links(text)
    weight = sum(_weight(letter) for letter in shortened)
    return weight + sum(LINK_LENGTH - len(link.short) for link in links)


def cut(text: str) -> str:
    """The text shortened to what a post may weigh, with an ellipsis at the end."""
    weight = _weight(ELLIPSIS)
    for position, letter in enumerate(text):
        weight += _weight(letter)
        if weight > POST_LENGTH:
            return text[:position].rstrip() + ELLIPSIS
    return text


def haystack(text: str) -> str:
    """The words of a text in lower case with one space around each, so that a phrase is found by ``in``."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def _weight(letter: str) -> int:
    return 1 if any(first <= ord(letter) <= last for first, last in _LIGHT) else 2


def _entity(match: re.Match[str], group: str) -> dict[str, Any]:
    return {"start": match.start(), "end": match.end(), group: match[group]}


def _url_entities(text: str, links: Sequence[Link]) -> Iterator[dict[str, Any]]:
    position = 0
    for link in links:
        start = text.find(link.short, position)
        if start < 0:
            continue  # it stood in the part that was cut off
        position = start + len(link.short)
        entity = {"start": start, "end": position, "url": link.short, "expanded_url": link.expanded}
        entity["display_url"] = link.display
        if link.media_key:
            entity["media_key"] = link.media_key
        yield entity
