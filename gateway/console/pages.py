"""Renders the console's pages: in one language, in the operators' time zone, with what citizens wrote made harmless."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gateway.clock import from_milliseconds
from gateway.console.access import IDENTITY, Access
from gateway.console.language import LANGUAGES, Language, language_of, step_text, text, word
from gateway.console.web import Handler, is_api

ACCESS: Final = web.AppKey("ACCESS", Access)
ZONE: Final = web.AppKey("ZONE", tzinfo)

_MONTHS: Final[dict[Language, tuple[str, ...]]] = {
    "id": ("Jan", "Feb", "Mar", "Apr", "Mei", "Jun", "Jul", "Agu", "Sep", "Okt", "Nov", "Des"),
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
}
_UNITS: Final[dict[Language, tuple[str, ...]]] = {"id": ("dtk", "mnt", "jam", "hari"), "en": ("s", "min", "h", "days")}
_LENGTHS: Final = (1, 60, 3600, 86_400)
_HIDDEN: Final = re.compile(r"[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_GIB: Final = 1024**3

templates: Final = Environment(
    loader=PackageLoader("gateway.console", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(request: web.Request, name: str, /, *, status: int = 200, **values: Any) -> web.Response:  # noqa: ANN401
    """A page of a template, in the browser's language."""
    language = language_of(request)
    identity = request.get(IDENTITY)
    frame = {
        "identity": identity,
        "csrf": identity.csrf if identity is not None else request.app[ACCESS].csrf_for(request),
        "here": request.path if request.method == "GET" else "/",
        "here_query": request.path_qs if request.method == "GET" else "/",
    }
    body = templates.get_template(name).render(vocabulary(language, request.app[ZONE]) | frame | values)
    return web.Response(text=body, status=status, content_type="text/html")


def vocabulary(language: Language, zone: tzinfo) -> dict[str, Any]:
    """What every template can say: texts, words, times, numbers."""
    return {
        "lang": language,
        "languages": LANGUAGES,
        "t": partial(text, language),
        "word": partial(word, language),
        "step": partial(step_text, language),
        "at": partial(shown_time, language, zone),
        "number": partial(number, language),
        "span": partial(span, language),
        "size": partial(size, language),
    }


def shown_time(language: Language, zone: tzinfo, moment: datetime | str | int | None) -> Markup:
    """A time for people and for machines; whole milliseconds, RFC 3339 or a datetime go in."""
    if moment is None:
        return Markup("–")
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    elif isinstance(moment, int):
        moment = from_milliseconds(moment)
    there = moment.astimezone(zone)
    shown = f"{there.day} {_MONTHS[language][there.month - 1]} {there:%H:%M:%S}"
    return Markup('<time datetime="{}">{}</time>').format(moment.astimezone(UTC).isoformat(timespec="seconds"), shown)


def number(language: Language, value: float) -> str:
    """A number as it is written: 1.234,5 or 1,234.5; a fraction only below a hundred."""
    digits = f"{value:,.1f}" if isinstance(value, float) and value < 100 and value % 1 else f"{value:,.0f}"  # noqa: PLR2004
    return digits.translate(str.maketrans(",.", ".,")) if language == "id" else digits


def span(language: Language, seconds: float | None) -> str:
    """How long something lasts, in its largest unit."""
    if seconds is None:
        return "–"
    place = max((place for place, length in enumerate(_LENGTHS) if seconds >= length), default=0)
    return f"{number(language, int(seconds // _LENGTHS[place]))} {_UNITS[language][place]}"


def size(language: Language, count: int) -> str:
    """Room on a disk."""
    return f"{number(language, round(count / _GIB, 1))} GiB"


def visible(value: str) -> str:
    """A text of a citizen with the characters shown that are there to be unseen or to turn others round."""
    value = _HIDDEN.sub(lambda found: f"‹U+{ord(found[0]):04X}›", value)
    return "".join(_picture(c) for c in value)


def _picture(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs"):
        return character
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"‹U+{code:04X}›"  # noqa: PLR2004 - where control pictures end


def merged(query: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """A page's query with other values; those that are None are left out."""
    return {name: value for name, value in {**query, **changes}.items() if value is not None}


templates.filters |= {"visible": visible, "merged": merged}


@web.middleware
async def for_people(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns the sentence of an error into a page for a browser that asked for one."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        if error.status < 400 or not _wants_page(request):  # noqa: PLR2004
            raise
        return _error_page(request, error.status, error.text or "", error.headers.get("Retry-After"))
    if isinstance(response, web.Response) and response.status >= 400 and _wants_page(request):  # noqa: PLR2004
        if response.content_type == "text/html":
            return response
        return _error_page(request, response.status, response.text or "", response.headers.get("Retry-After"))
    return response


def _wants_page(request: web.Request) -> bool:
    return not is_api(request) and "text/html" in request.headers.get("Accept", "")


def _error_page(request: web.Request, status: int, sentence: str, retry: str | None) -> web.Response:
    found = re.search(r'"error": "((?:[^"\\]|\\.)*)"', sentence)
    page = render(request, "error.html", status=status, code=status, sentence=found[1] if found else "")
    if retry:
        page.headers["Retry-After"] = retry
    return page
