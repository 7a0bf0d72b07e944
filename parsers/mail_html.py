"""HTML mails as text: what a reader sees, with the addresses of links, and with quotes marked as in plain mails."""

import re
from typing import Final

from turbohtml import Element, PlainText, parse

from parsers.mail_message import undone_base64

LONGEST_HTML: Final = 500_000
"""Characters of HTML that are read. Programs write 50,000 around a long mail; the parser's memory is 100 times that."""

_MOST_LINKS: Final = 1_000
_LONGEST_LINK: Final = 2_000
_STYLE: Final = PlainText(layout="strict", links="inline")
_BLANK_LINES: Final = re.compile(r"\n(?:[ \t\u00a0]*+\n){2,}")
_LINE_END: Final = re.compile(r"[ \t\u00a0]++$", re.MULTILINE)
_SCHEMES: Final = ("http://", "https://")
_UNSEEN: Final = "script, style, head, title, template, noscript"
# Tables in mails set out pages. Drawn as columns they would cost memory by the width of the widest cell in each row.
_ROWS: Final = re.compile(r"<(/?)(?:table|thead|tbody|tfoot|tr|caption)(?=[\s/>])", re.IGNORECASE)
_CELL: Final = re.compile(r"<(?:td|th)(?=[\s/>])", re.IGNORECASE)
_CELL_END: Final = re.compile(r"</(?:td|th)(?=[\s/>])", re.IGNORECASE)
QUOTE: Final = "&gt; &hellip;"
DATA: Final = ";base64,"
_PICTURE: Final = re.compile(rf"\bdata:(image/[a-z0-9.+-]{{1,40}}){DATA}([A-Za-z0-9+/]*+)={{0,2}}", re.IGNORECASE)
_MOST_PICTURES: Final = 100


def without_pictures(html: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The page without the pictures that are written into it (RFC 2397), and these: type and octets."""
    found: list[tuple[str, bytes]] = []
    if DATA not in html:
        return html, found

    def take(match: re.Match[str]) -> str:
        if match[2] and len(found) < _MOST_PICTURES:
            found.append((match[1].lower(), undone_base64(match[2].encode())))
        return ""

    return _PICTURE.sub(take, html), found


def text_of(html: str, *, quotes: bool = True) -> str:
    """The text of an HTML page.

    Args:
        html: The page, or a piece of one.
        quotes: Whether to keep what is quoted; else each quote is one line that begins with ``>``.
    """
    tree = parse(_without_tables(html[:LONGEST_HTML]))
    for unseen in tree.select(_UNSEEN):
        unseen.decompose()
    if not quotes:
        for quote in tree.select("blockquote"):
            quote.set_inner_html(f"<p>{QUOTE}</p>")
    for link in tree.select("a[href]")[:_MOST_LINKS]:
        _shorten(link)
    text = tree.to_text(_STYLE)
    return _BLANK_LINES.sub("\n\n", _LINE_END.sub("", text)).strip("\n")


def _without_tables(html: str) -> str:
    """The page with each row as a line and each cell as a word or more of it."""
    if "<t" not in html and "<T" not in html:
        return html
    html = _CELL_END.sub("</span", _CELL.sub(" <span", html))
    return _ROWS.sub(r"<\1div", html)


def _shorten(link: Element) -> None:
    """Takes off the address of a link that says no more than its text does."""
    target = str(link.attrs.get("href") or "").strip()
    if not target.lower().startswith(_SCHEMES) or len(target) > _LONGEST_LINK:
        link.unwrap()
        return
    shown = link.text.strip()
    if not shown or _bare(shown) == _bare(target) or (shown.startswith(_SCHEMES) and shown.rstrip("/….") in target):
        link.unwrap()


def _bare(address: str) -> str:
    return address.rpartition("//")[2].removeprefix("www.").rstrip("/").lower()
