"""Times as sources write them."""

from datetime import UTC, datetime


def moment(written: str | None) -> datetime | None:
    """A time in UTC; None where it is missing, malformed or without a zone: better unknown than hours off."""
    if written is None:
        return None
    try:
        time = datetime.fromisoformat(written)
        return None if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
