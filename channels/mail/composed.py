"""A mail as a mailbox would hold it, made from what a citizen wrote: for tools that have no mailbox."""

import hashlib
import re
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from channels.mail import identity
from gateway.ports import RawMessage

_SUBJECT: Final = re.compile(r"subject:[ \t]*([^\r\n]*)(?:\r?\n|$)\s*", re.IGNORECASE)


def compose(reporter: str, text: str, moment: datetime, external_id: str) -> RawMessage:
    """One mail in the channel's raw form.

    Args:
        reporter: The author's address, or a name and the address in angle brackets.
        text: What was written; a first line ``Subject: …`` is the subject.
        moment: When it was sent.
        external_id: The mail's identity.

    Raises:
        ValueError: No mail can come from such an address.
    """
    mail = EmailMessage(policy=SMTP)
    try:
        mail["From"] = reporter
    except (ValueError, IndexError, AttributeError):  # what the library says of it holds the address
        raise ValueError("the reporter cannot be the author of a mail") from None
    mail["To"] = "lapor@example.go.id"
    mail["Date"] = format_datetime(moment)
    mail["Message-ID"] = f"<{hashlib.sha256(external_id.encode()).hexdigest()[:32]}@composed.example>"
    subject = _SUBJECT.match(text)
    if subject is not None and subject[1].strip():
        mail["Subject"] = " ".join(subject[1].split())
    mail.set_content(text if subject is None else text[subject.end() :])
    raw = mail.as_bytes()
    return RawMessage(external_id, raw, identity.order_key(raw, external_id))
