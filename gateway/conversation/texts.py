"""What citizens are told: fills the templates of the settings, Indonesian or English.

No text holds a name, a title or a word of a report: a receipt on X is public, and its reporter may have asked for
secrecy. The one thing from elsewhere is a report's state in the core's words, and that is withheld in public for
reports that are not.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.model import ReplyKind, Visibility
from gateway.settings.model import AnswerSettings

LONGEST_STATUS: Final = 100
"""Characters of the core's words that fit one SMS together with the rest."""

_RECEIVED: Final = ("sudah diterima", "received")
_WITHDRAWN: Final = ("ditarik kembali", "withdrawn")
_STATES: Final[dict[ReplyKind, tuple[str, str]]] = {
    "progress": ("sedang ditindaklanjuti", "in progress"),
    "question": ("menunggu jawaban Anda", "waiting for your answer"),
    "closed": ("selesai", "closed"),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a report stands.

    Attributes:
        at: When that was heard, in the time zone of those who read it.
        reply: What the core's newest reply was; None before the first.
        status: The state in the core's own words, if it said any.
    """

    tracking_id: str
    visibility: Visibility
    at: datetime
    withdrawn: bool = False
    reply: ReplyKind | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Texts:
    """What one citizen is told.

    Attributes:
        settings: The templates.
        english: Whether the citizen reads English.
        public: Whether everybody can read the answer.
    """

    settings: AnswerSettings
    english: bool = False
    public: bool = False

    def receipt(self, tracking_id: str, *, repeats: bool = False) -> str:
        """The receipt for a report; ``repeats``: it was received before."""
        each = self.settings
        if repeats:
            return self._chosen(each.receipt_repeat, each.receipt_repeat_en).format(tracking_id=tracking_id)
        return self._chosen(each.receipt, each.receipt_en).format(tracking_id=tracking_id)

    def status(self, standing: Standing) -> str:
        """How a report of the citizen's own stands."""
        each = self.settings
        if self.public and standing.visibility != "public":
            template = self._chosen(each.status_withheld, each.status_withheld_en)
            return template.format(tracking_id=standing.tracking_id)
        return self._chosen(each.status, each.status_en).format(
            tracking_id=standing.tracking_id, status=self._state(standing), date=f"{standing.at:%d-%m-%Y}"
        )

    def unknown(self) -> str:
        """There is no such report, or it is somebody else's: nobody can tell which."""
        return self._chosen(self.settings.unknown, self.settings.unknown_en)

    def no_report(self) -> str:
        """Nothing is known of this reporter."""
        return self._chosen(self.settings.no_report, self.settings.no_report_en)

    def help(self) -> str:
        """How to report."""
        if self.public:
            return self.settings.help_public
        return self._chosen(self.settings.help, self.settings.help_en)

    def stopped(self) -> str:
        """There will be no more notifications."""
        return self._chosen(self.settings.stopped, self.settings.stopped_en)

    def started(self) -> str:
        """There will be notifications again."""
        return self._chosen(self.settings.started, self.settings.started_en)

    def _state(self, standing: Standing) -> str:
        if standing.withdrawn:
            return self._chosen(*_WITHDRAWN)
        said = shortened(standing.status or "")
        return said or self._chosen(*(_RECEIVED if standing.reply is None else _STATES[standing.reply]))

    def _chosen(self, indonesian: str, english: str) -> str:
        return english if self.english else indonesian


def shortened(words: str, most: int = LONGEST_STATUS) -> str:
    """The core's words on one line, without the full stop that the template has, cut between two words if too long."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in words).split()).rstrip(". ")
    if len(line) <= most:
        return line
    cut = line[: most - 3]
    return (cut.rpartition(" ")[0] or cut).rstrip(",.;: ") + "..."
