"""When a mail came so soon after an answer of ours that a machine may have written it."""

from datetime import UTC, datetime, timedelta

import pytest

from channels.mail.answer_mail import Asked
from channels.mail.robots import suspicious_span

RECEIVED = datetime(2026, 11, 1, 8, 0, 30, 400_000, tzinfo=UTC)


def ago(**span: float) -> datetime:
    return RECEIVED - timedelta(**span)


@pytest.mark.parametrize(
    ("asked", "answered", "suspicious"),
    [
        (Asked(), ago(seconds=1), True),
        (Asked(), ago(seconds=20), True),
        (Asked(), ago(seconds=21), False),
        (Asked(), RECEIVED, False),  # it was here before the answer
        (Asked(is_reply=True), ago(hours=23), True),
        (Asked(is_reply=True), ago(hours=25), False),
        # It lay in the mailbox, and was fetched late.
        (Asked(arrived=ago(minutes=5)), ago(minutes=5, seconds=10), True),
        (Asked(arrived=ago(minutes=5)), ago(seconds=1), False),
        (Asked(arrived=RECEIVED.replace(microsecond=0)), ago(seconds=0.2), True),  # a server's stamp has no fractions
        # It was written before, on a phone without network.
        (Asked(dated=ago(minutes=10)), ago(seconds=1), False),
        (Asked(dated=ago(minutes=1)), ago(seconds=1), True),  # its clock may be slow
        # Clocks that are wrong altogether count for nothing.
        (Asked(dated=datetime(1980, 1, 1, tzinfo=UTC), arrived=datetime.min.replace(tzinfo=UTC)), ago(seconds=1), True),
        (Asked(dated=datetime.max.replace(tzinfo=UTC), arrived=ago(seconds=-5)), ago(seconds=1), True),
    ],
)
def test_an_answer_shortly_before_a_mail_makes_it_look_like_a_machines(
    asked: Asked, answered: datetime, *, suspicious: bool
) -> None:
    span = suspicious_span(asked, RECEIVED)
    assert (span.since <= answered < span.until) is suspicious
