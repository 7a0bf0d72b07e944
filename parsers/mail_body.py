"""Divides a mail into its text and its files: which parts are read, which are alternatives, which are attachments."""

from dataclasses import dataclass, field
from typing import Final

from parsers import citizen_text, mail_charset, mail_headers, mail_html, mail_quotes
from parsers.mail_message import DEEPEST, Part

LONGEST_TEXT: Final = 100_000
"""Characters of a report's text: 30 pages. Whoever writes more has it attached as a file instead."""
MOST_OCTETS: Final = 1 << 20
"""Octets of a part that are read as text; of a longer one the whole is a file."""
MOST_TEXTS: Final = 20
"""Parts that are joined to one text; further ones are files."""

_TEXTS: Final = frozenset({"text/plain", "text/html"})
_FORWARDED: Final = "---------- Pesan yang diteruskan ----------"
_FORWARDED_FIELDS: Final = (("Dari", "from"), ("Tanggal", "date"), ("Perihal", "subject"))
_LONGEST_FIELD: Final = 500


@dataclass(slots=True)
class Content:
    """What a mail holds.

    Attributes:
        texts: The texts in their order; those of forwarded mails with who wrote them.
        files: The parts that are attachments.
        pictures: Pictures that stand inside the HTML itself: type and octets.
        goes_on: Whether a text is longer than what is read of it; then its part is among the files.
        last: The last part of the mail that holds octets: a cut mail ends in it.
    """

    texts: list[str] = field(default_factory=list)
    files: list[Part] = field(default_factory=list)
    pictures: list[tuple[str, bytes]] = field(default_factory=list)
    goes_on: bool = False
    last: Part | None = None

    def add(self, inner: "Content") -> None:
        """Takes over what belongs to parts inside, but for their texts."""
        self.files += inner.files
        self.pictures += inner.pictures
        self.goes_on = self.goes_on or inner.goes_on
        self.last = inner.last or self.last


def content(mail: Part, *, replying: bool) -> Content:
    """Reads all parts of a mail."""
    found = Content()
    _read(mail, found, replying=replying)
    return found


def text(found: Content) -> str:
    """The texts of a mail in one."""
    return "\n\n".join(each for each in found.texts if not citizen_text.is_blank(each))


def _read(part: Part, found: Content, *, replying: bool) -> None:
    kind = part.get_content_type()
    children = part.children
    if kind.startswith("multipart/") and children:
        if kind == "multipart/alternative":
            _read_alternatives(children, found, replying=replying)
        else:
            for child in children:
                _read(child, found, replying=replying)
    elif kind.startswith("message/") and children:
        if part.get_content_disposition() == "attachment" or part.depth:
            _read_forwarded(children, found)
        else:
            _read(children[0], found, replying=replying)
    else:
        found.last = part
        if kind.startswith("multipart/") and part.depth < DEEPEST:
            kind = "text/plain"  # no boundary was found; RFC 2045, section 5.2, would have it read as text
        if kind not in _TEXTS or len(found.texts) >= MOST_TEXTS or _is_file(part):
            found.files.append(part)
        else:
            found.texts.append(_text_of(part, kind, found, replying=replying))


def _read_alternatives(children: list[Part], found: Content, *, replying: bool) -> None:
    """One text of those that say the same: the plain one unless it is blank. Files of all of them are kept."""
    chosen: list[str] = []
    for kind in ("text/plain", None, "text/html"):
        for child in children:
            own = child.get_content_type()
            is_text = own in _TEXTS and not _is_file(child)
            if kind != (own if is_text else None):
                continue
            if is_text and (chosen or len(found.texts) >= MOST_TEXTS):
                found.last = child
                _text_of(child, own, found, replying=replying, wanted=False)
                continue
            inner = Content(texts=[])
            _read(child, inner, replying=replying)
            found.add(inner)
            if not chosen:
                chosen = [each for each in inner.texts if not citizen_text.is_blank(each)]
    found.texts += chosen
    if children:
        found.last = _last_leaf(children[-1])


def _last_leaf(part: Part) -> Part:
    while part.children:
        part = part.children[-1]
    return part


def _read_forwarded(children: list[Part], found: Content) -> None:
    """A mail inside the mail: who wrote it and what, as one text; its files are files."""
    for child in children:
        inner = Content()
        _read(child, inner, replying=False)
        fields = [
            f"{label}: {value}"
            for label, name in _FORWARDED_FIELDS
            if (value := mail_headers.readable(child.first(name))[:_LONGEST_FIELD])
        ]
        if fields or text(inner):
            found.texts.append("\n".join([_FORWARDED, *fields, "", text(inner)]).rstrip())
        found.last = child
        found.add(inner)


def _is_file(part: Part) -> bool:
    """RFC 2183. A text that has a name is a file, but for what programs show in place ("inline")."""
    disposition = part.get_content_disposition()
    if disposition == "attachment":
        return True
    named = mail_headers.parameter(part, "filename", "content-disposition") or mail_headers.parameter(part, "name")
    return bool(named) and disposition != "inline"


def _text_of(part: Part, kind: str, found: Content, *, replying: bool, wanted: bool = True) -> str:
    """A part's text without quotes and signature."""
    if kind == "text/html":
        return _text_of_html(part, found, replying=replying, wanted=wanted)
    if not wanted:
        return ""
    octets = part.octets()
    if len(octets) > MOST_OCTETS:
        octets = octets[:MOST_OCTETS]
        _keep_whole(part, found)
    written = citizen_text.clean(mail_charset.text_of(octets, _charset(part), guess=True))
    if mail_headers.parameter(part, "format").lower() == "flowed":
        written = _unflowed(written, del_sp=mail_headers.parameter(part, "delsp").lower() == "yes")
    return mail_quotes.own_words(written, replying=replying)


def _text_of_html(part: Part, found: Content, *, replying: bool, wanted: bool) -> str:
    octets = part.octets()
    if not wanted and mail_html.DATA.encode() not in octets:
        return ""
    html, pictures = mail_html.without_pictures(mail_charset.text_of(octets, _charset(part), guess=True))
    found.pictures += pictures
    if not wanted:
        return ""
    if len(html) > mail_html.LONGEST_HTML:
        _keep_whole(part, found)
    html = citizen_text.clean(html[: mail_html.LONGEST_HTML])
    own = mail_quotes.own_words(mail_html.text_of(html, quotes=not replying), replying=replying)
    if replying and not own.strip("> …\n"):
        return mail_html.text_of(html)  # nothing but a quote: that is what was meant to be sent
    return own


def _keep_whole(part: Part, found: Content) -> None:
    found.files.append(part)
    found.goes_on = True


def _charset(part: Part) -> str | None:
    return mail_headers.parameter(part, "charset") or None


def _unflowed(written: str, *, del_sp: bool) -> str:
    """Lines that end in a blank go on in the next one: RFC 3676, section 4. Quoted lines stay as they are."""
    pieces: list[str] = []
    joining = False
    for line in written.split("\n"):
        stuffed = line.removeprefix(" ")
        quoted = stuffed.startswith(">")
        if joining and not quoted and stuffed != "-- ":
            pieces[-1] = (pieces[-1][:-1] if del_sp else pieces[-1]) + stuffed
        else:
            pieces.append(stuffed)
        joining = not quoted and stuffed.endswith(" ") and stuffed != "-- "
    return "\n".join(pieces)
