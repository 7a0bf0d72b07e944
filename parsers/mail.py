"""The mail parser: the bytes of one mail as what its author wrote to us, or why it is nobody's report.

The subject is the title; where the body is blank it is the text, too. Keyword and ID-like tokens are looked for in
both. What the gateway has to say about a mail that it could not read whole stands at the end of the text, in square
brackets and in Indonesian, since the people who work on the report see nothing else; and in ``trust``.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gateway.errors import Quarantine
from gateway.model import Reporter
from gateway.parsing import Parsed, Profile
from parsers import citizen_text, mail_body, mail_files, mail_headers, mail_kinds, mail_language, mail_message
from parsers.mail_files import Files
from parsers.mail_message import Part

LONGEST_TITLE: Final = 300
"""Characters of a title; a longer subject stands whole at the start of the text."""
MOST_OCTETS: Final = 64 << 20
"""Bytes that are read of one mail; the channel's ``max_size`` is far below."""

_PREFIX: Final = re.compile(
    r"\s*(?:re|bls|balas|balasan|fwd?|trs|terusan|teruskan|aw|sv|antw|rv|tr|wg)\s{0,2}(?:\[[0-9]{1,3}\]|\([0-9]{1,3}\))?"
    r"\s{0,2}[:：]\s*",
    re.IGNORECASE,
)
_ANSWERING: Final = re.compile(r"\s*(?:re|bls|balas|balasan|aw|sv|antw)\b", re.IGNORECASE)
_FORWARDING: Final = re.compile(r"\s*(?:fwd?|trs|terusan|teruskan|wg|rv)\b", re.IGNORECASE)
_FULL_TEXT: Final = "isi-surat.txt"


class _Letter(NamedTuple):
    """What a mail says, once read."""

    title: str | None
    text: str
    files: Files


def parse(raws: Sequence[bytes | None], profile: Profile, /) -> Parsed:
    """Parses one mail.

    Raises:
        Quarantine: The bytes hold no mail.
    """
    if len(raws) != 1 or raws[0] is None:
        raise Quarantine("a mail is one message, never several parts")
    if len(raws[0]) > MOST_OCTETS:
        raise Quarantine("the mail is larger than any that is read")
    mail = mail_message.read(raws[0])
    option = profile.options.get
    author = mail_headers.sender(mail)
    subject = mail_headers.readable(mail.first("subject"))
    letter = _letter(mail, subject)
    own = {mail_kinds.plain(each) for each in (*profile.own_addresses, option("address") or "") if "@" in each}
    delivery = mail_kinds.delivery_notice(mail)
    reason = mail_kinds.DELIVERY_REPORT if delivery is not None else None
    reason = reason or mail_kinds.no_report(mail, author.address, letter.title or "", own)
    if reason is None and _is_empty(letter):
        reason = mail_kinds.EMPTY
    text = citizen_text.without_service_word(letter.text)
    searched = text if letter.title is None or letter.title == text else f"{letter.title}\n{text}"
    keyword = citizen_text.leading_keyword(letter.title) if letter.title else None
    return Parsed(
        reporter=Reporter(address=author.address, kind="email", name=author.name, language=mail_language.of(searched)),
        text=_with_notes(text, mail, letter.files),
        sent_at=mail_headers.sent_at(mail),
        title=letter.title,
        keyword=keyword or citizen_text.leading_keyword(text),
        references=citizen_text.references(searched),
        attachments=tuple(letter.files.listed),
        trust=_trust(mail, letter.files, option("trusted_authserv") or ""),
        not_a_report=reason,
        reply_to=None if delivery is not None else mail_headers.answered(mail),
        files=letter.files.octets,
        answerable=(
            reason is None
            and mail_kinds.may_answer(author.address)
            and not (_is_reply(mail, subject) and _has_no_own_words(letter))
        ),
        delivery=delivery,
    )


def _letter(mail: Part, subject: str) -> _Letter:
    content = mail_body.content(mail, replying=_is_reply(mail, subject))
    files = mail_files.collect(
        content.files, content.pictures, broken=content.last if mail.bounds.truncated is not None else None
    )
    title: str | None = citizen_text.without_service_word(_without_prefixes(subject))
    text = mail_body.text(content).strip()
    if title is None or citizen_text.is_blank(title):
        title = None
    elif citizen_text.is_blank(text):
        text = title
    elif len(title) > LONGEST_TITLE:
        text = f"{title}\n\n{text}"
    if title is not None and len(title) > LONGEST_TITLE:
        title = title[: LONGEST_TITLE - 1].rstrip() + "…"
    if len(text) > mail_body.LONGEST_TEXT:
        if not content.goes_on:
            files.add(text.encode("utf-8", "replace"), _FULL_TEXT, "text/plain")
        text = text[: mail_body.LONGEST_TEXT].rstrip()
        content.goes_on = True
    if content.goes_on:
        text += "\n\n[Isi surat selengkapnya ada di lampiran.]"
    return _Letter(title, text, files)


def _is_reply(mail: Part, subject: str) -> bool:
    """Whether a mail answers one. A forwarded mail has such headers, too, but what it repeats is its content."""
    if _FORWARDING.match(subject):
        return False
    return mail.has("in-reply-to") or mail.has("references") or _ANSWERING.match(subject) is not None


def _without_prefixes(subject: str) -> str:
    """The subject without "Re:", "Fwd:", "Bls:" and "Trs:", however many."""
    at = 0
    while (prefix := _PREFIX.match(subject, at)) is not None:
        at = prefix.end()
    return subject[at:].strip()


def _is_empty(letter: _Letter) -> bool:
    return citizen_text.is_blank(letter.text) and not letter.files.listed and not letter.files.left_out


def _has_no_own_words(letter: _Letter) -> bool:
    """Whether there is nothing but the subject, or what is quoted: so robots answer that bear no other mark of one."""
    if letter.files.listed or letter.files.left_out:
        return False
    lines = [line for line in letter.text.split("\n") if line.strip()]
    return letter.text == letter.title or all(line.startswith(">") for line in lines)


def _with_notes(text: str, mail: Part, files: Files) -> str:
    """The text with what could not be read of the mail, if anything."""
    notes: list[str] = []
    if (total := mail.bounds.truncated) is not None:
        missing = "lampiran selebihnya" if files.listed else "lampiran"
        notes.append(f"[Surat ini terpotong: {_size(total)}; {missing} tidak diambil.]")
    elif files.left_out:
        count = len(files.listed) + files.left_out
        notes.append(f"[Surat ini punya {count} lampiran; {files.left_out} di antaranya tidak diambil.]")
    if mail.bounds.cut:
        notes.append("[Susunan surat ini terlalu besar; sebagian isinya tidak dibaca.]")
    return "\n\n".join([text, *notes] if text else notes)


def _size(octets: int) -> str:
    if octets >= 1_000_000:  # noqa: PLR2004 - a million bytes
        return f"{round(octets / 1_000_000)} MB"
    return f"{max(1, round(octets / 1_000))} kB"


def _trust(mail: Part, files: Files, trusted: str) -> dict[str, Any]:
    """What the trusted server says of the sender, and what is missing of the mail."""
    trust: dict[str, Any] = dict(mail_headers.authentication(mail, trusted))
    if mail.bounds.truncated is not None:
        trust["mail_truncated_bytes"] = mail.bounds.truncated
    if files.left_out:
        trust["mail_attachments_left_out"] = files.left_out
    if mail.bounds.cut:
        trust["mail_partly_read"] = True
    return trust
