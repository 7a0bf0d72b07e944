"""How the two paths are, and what that means for the channel: a sentence that says what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.errors import GatewayError, NeedsOperator
from gateway.ports import Health

PathState = Literal["idle", "up", "away", "needs_operator"]


@dataclass(slots=True)
class Path:
    """One way to X. ``since`` is the monotonic time at which it stopped working."""

    state: PathState = "idle"
    reason: str = ""
    since: float = 0.0

    def works(self) -> None:
        """It works."""
        self.state = "up"
        self.reason = ""

    def fails(self, why: GatewayError | str, now: float) -> None:
        """It does not work; trying again may help, or not."""
        if self.state in ("idle", "up"):
            self.since = now
        self.state = "needs_operator" if isinstance(why, NeedsOperator) else "away"
        self.reason = str(why)

    def away_for(self, now: float) -> float:
        """Seconds since it stopped working; 0 while it works."""
        return now - self.since if self.state in ("away", "needs_operator") else 0.0


def judge(stream: Path | None, search: Path, now: float, patience: float, details: Mapping[str, Any]) -> Health:
    """The health of an open channel. ``stream`` is None where search is the only way."""
    paths = [path for path in (stream, search) if path is not None]
    stuck = next((path for path in paths if path.state == "needs_operator"), None)
    if stuck is not None:
        return Health("needs_operator", f"{stuck.reason}{_still_works(stuck, stream, search)}", details)
    late = [path for path in paths if path.away_for(now) > patience]
    if len(late) == len(paths):
        return Health("down", late[0].reason, details)
    if late:
        return Health("degraded", f"{late[0].reason}{_still_works(late[0], stream, search)}", details)
    return Health("up", "", details)


def _still_works(broken: Path, stream: Path | None, search: Path) -> str:
    if broken is stream and search.state == "up":
        return " Meanwhile posts come by search."
    if broken is search and stream is not None and stream.state == "up":
        return " Meanwhile posts come by the stream, and what it leaves out waits."
    return ""
