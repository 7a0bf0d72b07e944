"""Tells mails that a machine has sent from those of people, and reads what became of an answer of ours.

A mail is never answered by us that could answer us in turn. The sources are RFC 3834 (Auto-Submitted; section 2: what
must not be answered), RFC 2369 and RFC 2919 (lists), RFC 6522 and RFC 3464 (reports on deliveries), and for what
programs of old do, Microsoft's MS-OXCMAIL 2.2.3.2.14 (X-Auto-Response-Suppress) and the habits of Zammad.
"""

import re
from collections.abc import Collection
from typing import Final, Literal

from gateway.parsing import DeliveryNotice
from parsers import mail_charset, mail_headers
from parsers.mail_message import Part

# Reasons may be logged: they never hold an address or a text.
OWN_ADDRESS: Final = "our own address"
LOOP: Final = "it has been here before (X-Loop)"
DELIVERY_REPORT: Final = "a report on the delivery of an answer of ours"
BOUNCE: Final = "a report of a mail server"
AUTO_SUBMITTED: Final = "an automatic mail (Auto-Submitted)"
AUTO_REPLY: Final = "an automatic reply"
BULK: Final = "bulk mail (Precedence)"
MAILING_LIST: Final = "mail of a list"
OUT_OF_OFFICE: Final = "an out-of-office reply by its subject"
EMPTY: Final = "empty mail"

_SYSTEMS: Final = re.compile(r"(?:mailer-daemon|postmaster|mail-daemon|mailerdaemon)(?:[+=-].*)?@", re.IGNORECASE)
_NO_REPLY: Final = re.compile(
    r"(?:.*[._+-])?(?:no|not|do-?not|dont)[._-]?(?:reply|respon[ds]e?|balas)(?:[._+-].*)?@"
    r"|(?:jangan|tidak)[._-]?(?:di)?balas@|(?:bounces?|notifications?|notifikasi|listserv|majordomo|root|daemon)"
    r"(?:[._+=-].*)?@",
    re.IGNORECASE,
)
_BULK: Final = frozenset({"bulk", "junk", "list", "auto_reply", "auto-reply"})
_SUPPRESSES: Final = frozenset({"all", "oof", "autoreply"})
_LIST_FIELDS: Final = ("list-id", "list-post", "list-unsubscribe", "mailing-list", "x-mailing-list")
_AUTO_FIELDS: Final = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-autoreply-from", "x-mail-autoreply")
_OUT_OF_OFFICE: Final = re.compile(
    r"\s*(?:\[?(?:auto(?:matic|mated)?[ -]?(?:reply|response|respon)|autoreply|autosvar|balasan (?:pesan )?otomatis"
    r"|jawaban otomatis|respon otomatis|pesan otomatis|otomatis membalas)\b"
    r"|(?:i am |i'm )?(?:currently )?out[ -]of[ -](?:the[ -])?office\b|ooo\s?:"
    r"|(?:saya )?(?:sedang )?(?:di luar kantor|tidak (?:ada )?di kantor|tidak berada di kantor|sedang cuti|cuti)"
    r"(?:\s(?:sampai|hingga|s/d|sd|sementara)\b.{0,40}|\s?[:.-].{0,60})?\s*$)",
    re.IGNORECASE,
)
_ADDRESS_IN: Final = re.compile(r"[^\s<>,;:()\"]{1,64}@[^\s<>,;:()\"]{1,255}")
_MOST_LOOPS: Final = 50

_FIELD: Final = re.compile(r"^([A-Za-z-]{1,40})[ \t]*:[ \t]*([^\r\n]*+(?:\r?\n[ \t]+[^\r\n]*+)*+)", re.MULTILINE)
_LONGEST_STATUS: Final = 20_000
_LONGEST_ORIGINAL: Final = 100_000
_OUTCOMES: Final[dict[str, Literal["delivered", "failed", "pending"]]] = {
    "failed": "failed",
    "delayed": "pending",
    "delivered": "delivered",
    "relayed": "delivered",
    "expanded": "delivered",
}
_CLASSES: Final[dict[str, Literal["delivered", "failed", "pending"]]] = {
    "2": "delivered",
    "4": "pending",
    "5": "failed",
}


def no_report(mail: Part, address: str, title: str, own: Collection[str]) -> str | None:
    """Why a mail is nobody's report by its headers, or None.

    Args:
        mail: The mail.
        address: Its author's.
        title: Its subject, without prefixes.
        own: Our addresses in small letters, as :func:`plain` writes them.
    """
    if address and plain(address) in own:
        return OWN_ADDRESS
    looped = [each for value in mail.all("x-loop")[:_MOST_LOOPS] for each in _ADDRESS_IN.findall(value)]
    if any(plain(each) in own for each in looped):
        return LOOP
    if mail.get_content_type() == "multipart/report" or is_null_sender(mail) or _SYSTEMS.match(address):
        return BOUNCE
    return _automatic(mail) or (OUT_OF_OFFICE if _OUT_OF_OFFICE.match(title) else None)


def _automatic(mail: Part) -> str | None:
    submitted = _word(mail.first("auto-submitted"))
    if submitted not in {"", "no"}:
        return AUTO_SUBMITTED
    if mail.has_any(_AUTO_FIELDS) and any(mail.has(name) and _word(mail.first(name)) != "no" for name in _AUTO_FIELDS):
        return AUTO_REPLY
    if mail.has("x-auto-response-suppress") and _SUPPRESSES & {
        each.strip().lower() for each in mail.first("x-auto-response-suppress")[:200].split(",")
    }:
        return AUTO_REPLY
    if _word(mail.first("precedence")) in _BULK:
        return BULK
    return MAILING_LIST if mail.has_any(_LIST_FIELDS) else None


def _word(value: str) -> str:
    """The first word of a value, without the parameters and comments behind it."""
    return re.split(r"[\s;(]", value[:100].strip(), maxsplit=1)[0].lower() if value else ""


def is_null_sender(mail: Part) -> bool:
    """Whether the envelope's sender is empty, as in every report of a server: RFC 5321, section 4.5.5."""
    return mail.has("return-path") and mail.first("return-path").replace(" ", "") in {"<>", ""}


def may_answer(address: str) -> bool:
    """Whether somebody could read an answer there."""
    return bool(address) and _SYSTEMS.match(address) is None and _NO_REPLY.match(address[:100]) is None


def plain(address: str) -> str:
    """An address in small letters and without the detail behind a plus sign (RFC 5233): for comparing with ours."""
    local, _, domain = address.strip().lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain.rstrip('.')}"


def delivery_notice(mail: Part) -> DeliveryNotice | None:
    """What a server reports of an answer of ours; None for any other mail.

    The report (RFC 6522) holds the status (RFC 3464) and what it is about: our mail, or its headers.
    """
    if mail.get_content_type() != "multipart/report":
        return None
    status: dict[str, str] = {}
    reference = None
    for part in mail.children:
        kind = part.get_content_type()
        if kind in {"message/delivery-status", "message/global-delivery-status"}:
            status |= _status(part)
        elif kind.startswith("message/") and part.children:
            reference = reference or mail_headers.ours(part.children[0].first("message-id"))
        elif kind in {"text/rfc822-headers", "message/rfc822", "message/global-headers"} or part.depth:
            reference = reference or _named(part)
    outcome = _OUTCOMES.get(_word(status.get("action", ""))) or _CLASSES.get(status.get("status", "")[:1])
    if reference is None or outcome is None:
        return None
    recipient = status.get("original-recipient") or status.get("final-recipient") or ""
    at = mail_headers.date(status.get("last-attempt-date", "")) or mail_headers.date(mail.first("date"))
    return DeliveryNotice(reference, mail_headers.normal(recipient.rpartition(";")[2]), outcome, at)


def _status(part: Part) -> dict[str, str]:
    """The fields of a status, those of the first recipient whom the mail did not reach before any other's."""
    blocks = [{name: block.first(name) for name in _NAMES if block.has(name)} for block in part.children]
    if not blocks:
        written = mail_charset.text_of(part.octets()[:_LONGEST_STATUS])
        blocks = [{match[1].lower(): match[2].strip() for match in _FIELD.finditer(written)}]
    recipients = [block for block in blocks if "action" in block or "status" in block]
    failed = [block for block in recipients if _word(block.get("action", "")) == "failed"]
    return next(iter(failed or recipients), {})


_NAMES: Final = ("action", "status", "original-recipient", "final-recipient", "last-attempt-date")


def _named(part: Part) -> str | None:
    """The answer of ours whose Message-ID stands in the headers that were sent back as a text."""
    written = mail_charset.text_of(part.octets()[:_LONGEST_ORIGINAL])
    for match in _FIELD.finditer(written):
        if match[1].lower() == "message-id":
            return mail_headers.ours(match[2])
    return None
