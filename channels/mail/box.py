"""What the channel sees of a mailbox, whichever kind it is, and what the two kinds share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from gateway.clock import Clock
from gateway.errors import GatewayError, NeedsOperator
from gateway.ports import ChannelState

MOST_SKIPPED: Final = 100
"""So many mails may be passed over before it is the mailbox that is broken, and not they."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds that no setting names.

    Attributes:
        first_pause: After a lost connection, doubling ...
        last_pause: ... up to this.
        patience: A mailbox may be away so long before the channel calls itself down.
        skip_first: A mail that cannot be read is tried again after this, doubling ...
        skip_last: ... up to this.
        release_again: What could not be let go of is tried again so often.
        glance: A Maildir's folders are glanced at so often.
    """

    first_pause: float = 0.5
    last_pause: float = 60.0
    patience: float = 30.0
    skip_first: float = 30.0
    skip_last: float = 3600.0
    release_again: float = 30.0
    glance: float = 0.5


@dataclass(frozen=True, slots=True)
class Batch:
    """Mails in the order of their arrival.

    Attributes:
        raws: Their bytes.
        keys: What the mailbox knows each by: what is to be let go of.
        passed: What the batch disposes of besides: mails that are gone, or that cannot be read for now.
        values: What the channel's store keeps from now on.
        life: Which life of the mailbox the keys belong to: they mean nothing in another one.
    """

    raws: tuple[bytes, ...] = ()
    keys: tuple[Any, ...] = ()
    passed: tuple[Any, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    life: int = 0


NOTHING: Final = Batch()


class Box(Protocol):
    """A mailbox. The methods are called as those of the channel of the same names."""

    @property
    def condition(self) -> "Condition":
        """How it is."""
        ...

    @property
    def skipped(self) -> int:
        """How many mails cannot be read for now."""
        ...

    async def open(self) -> None:
        """Connects."""
        ...

    async def next(self) -> Batch:
        """Waits for mails; returns a batch, or an empty one now and then."""
        ...

    async def release(self, batch: Batch) -> None:
        """The batch is committed."""
        ...

    def details(self) -> dict[str, Any]:
        """What operators see."""
        ...

    async def close(self) -> None:
        """Lets go. Never raises."""
        ...


@dataclass(slots=True)
class Condition:
    """How a mailbox is.

    Attributes:
        trouble: Why it does not work, or nothing.
        lasting: Whether only a person can mend that.
        since: The monotonic time of the first failure.
        unreleased: Why mails cannot be let go of, or nothing.
    """

    trouble: str = ""
    lasting: bool = False
    since: float = 0.0
    unreleased: str = ""

    def works(self) -> None:
        """It works."""
        self.trouble, self.lasting = "", False

    def fails(self, error: GatewayError, now: float) -> None:
        """It does not."""
        if not self.trouble:
            self.since = now
        self.trouble, self.lasting = str(error), isinstance(error, NeedsOperator)

    def judge(self, skipped: int, now: float, patience: float) -> tuple[ChannelState, str]:
        """The channel's state and the reason of it."""
        if self.trouble and self.lasting:
            return "needs_operator", self.trouble
        if self.trouble and now - self.since > patience:
            return "down", self.trouble
        if self.unreleased:
            return "degraded", self.unreleased
        if skipped:
            mails = "One mail" if skipped == 1 else f"{skipped} mails"
            return "degraded", f"{mails} in the mailbox cannot be read; look there. The others are not held up."
        return "up", ""


@dataclass(slots=True)
class _Skip:
    tries: int
    again_at: float


class Skipped:
    """Mails that could not be read: each is tried again, alone, ever less often; it stays where it is.

    Args:
        pace: How often.
        clock: Tells the time.
    """

    def __init__(self, pace: Pace, clock: Clock) -> None:
        self._pace = pace
        self._clock = clock
        self._all: dict[Any, _Skip] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, key: object) -> bool:
        return key in self._all

    @property
    def full(self) -> bool:
        """Whether no more may be passed over."""
        return len(self._all) >= MOST_SKIPPED

    def remember(self, keys: Sequence[Any]) -> None:
        """An earlier life has skipped these; they are due."""
        self._all = {key: _Skip(0, 0.0) for key in keys}

    def add(self, key: Any) -> None:  # noqa: ANN401 - a UID or a name
        """It could not be read, for the first time or again."""
        tries = self._all[key].tries + 1 if key in self._all else 1
        pause = min(self._pace.skip_last, self._pace.skip_first * 2.0 ** min(tries - 1, 16))
        self._all[key] = _Skip(tries, self._clock.monotonic() + pause)

    def drop(self, keys: Sequence[Any]) -> None:
        """They were read, or are gone."""
        for key in keys:
            self._all.pop(key, None)

    def due(self) -> Any | None:  # noqa: ANN401 - a UID or a name
        """One that is to be tried now."""
        now = self._clock.monotonic()
        return next((key for key, skip in self._all.items() if skip.again_at <= now), None)

    def names(self) -> tuple[Any, ...]:
        """All of them."""
        return tuple(self._all)


def age(moment: datetime | None, clock: Clock) -> int | None:
    """Whole seconds since a moment."""
    return None if moment is None else max(0, round((clock.now() - moment).total_seconds()))
