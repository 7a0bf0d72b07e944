"""Every setting of the kernel, declared once: its default, its bounds and a sentence.

The sample file and the settings page are generated from here; a channel declares its own settings in its folder.
"""

from dataclasses import dataclass
from datetime import date, timedelta, timezone, tzinfo
from ipaddress import ip_network
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, Field, InstanceOf, field_validator, model_validator

from gateway.ports import ChannelPlugin, ChannelSettings
from gateway.settings import wording

DEFAULT_RECEIPT = wording.RECEIPT
DEFAULT_RECEIPT_EN = wording.RECEIPT_EN


class Section(BaseModel, extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False):
    """A table of the settings file. Unknown keys are refused."""


def _check_address(url: str, *beginnings: str) -> None:
    if not url.startswith(beginnings):
        message = f"must begin with {', '.join(beginnings[:-1])} or {beginnings[-1]}"
        raise ValueError(message)
    try:
        _ = urlsplit(url).port
    except ValueError:
        message = "is no address: its port is a number, and special characters of a password are written as %XX"
        raise ValueError(message) from None


class StoreSettings(Section):
    """Where every message is kept."""

    url: str = Field(
        default="sqlite:///var/gateway.db",
        repr=False,  # it may hold a password
        description="The database: sqlite:///PATH, or postgresql://USER@HOST/NAME for several gateways.",
    )
    keep_days: int = Field(
        default=90,
        ge=1,
        le=3650,
        description="Days after which raw messages, texts and senders are emptied; hashed keys and decisions stay.",
    )

    files: str = Field(
        default="var/files", description="A folder for the files that came with messages, as long as those are kept."
    )

    @field_validator("url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        _check_address(url, "sqlite:///", "postgresql://")
        if url in {"sqlite:///", "sqlite:///:memory:"}:
            message = "must name a file: what is only in memory is lost"
            raise ValueError(message)
        return url


class QueueSettings(Section):
    """Where the reports go."""

    url: str = Field(
        default="journal:var/intake.jsonl",
        repr=False,  # it may hold a password
        description="amqp:// or amqps:// for RabbitMQ, or journal:PATH for a file with one event a line.",
    )
    publish_timeout: float = Field(
        default=30.0, gt=0, le=45, description="Seconds after which an unconfirmed publish counts as failed."
    )
    connect_timeout: float = Field(
        default=10.0, gt=0, le=120, description="Seconds within which a connection to the queue must stand."
    )
    heartbeat: int = Field(
        default=20,
        ge=5,
        le=600,
        description="Seconds between AMQP heartbeats; a dead connection is noticed after two.",
    )
    retry_cap: float = Field(
        default=30.0,
        gt=0,
        le=600,
        description="The longest pause in seconds between two tries to reach the queue.",
    )

    @field_validator("url")
    @classmethod
    def _known_queue(cls, url: str) -> str:
        _check_address(url, "amqp://", "amqps://", "journal:")
        return url


def _a_network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        message = "is no address and no network, such as 10.0.0.5 or 10.1.0.0/16"
        raise ValueError(message) from None
    return text


_NEVER_NAMES = frozenset(("authorization", "cookie", "host", "origin", "referer", "user-agent", "x-csrf-token"))


class ConsoleSettings(Section):
    """The page for operators."""

    listen: str = Field(
        default="127.0.0.1:8080",
        pattern=r"^.+:[0-9]{1,5}$",
        description="Address and port of the console and the API; other than loopback only once there are operators.",
    )
    https: bool = Field(
        default=False, description="Whether browsers reach the console by https, through a proxy: cookies need it then."
    )
    session_hours: float = Field(default=12.0, gt=0, le=720, description="Hours after which one has to log in again.")
    idle_minutes: float = Field(
        default=60.0, gt=0, le=10080, description="Minutes without a request after which one has to log in again."
    )
    proxy_header: str = Field(
        default="",
        pattern=r"^([A-Za-z][A-Za-z0-9-]{0,63})?$",
        description="The header by which a proxy with single sign-on names the operator, such as X-Remote-User; "
        "empty: none.",
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(_a_network)], ...] = Field(
        default=(),
        max_length=64,
        description='Addresses or networks of proxies that are believed, such as "10.0.0.5" or "10.1.0.0/16".',
    )

    @model_validator(mode="after")
    def _a_header_needs_a_proxy(self) -> Self:
        if self.proxy_header and not self.trusted_proxies:
            message = "console.proxy_header needs console.trusted_proxies: from anybody else the header is ignored"
            raise ValueError(message)
        if self.proxy_header.lower() in _NEVER_NAMES:
            message = "console.proxy_header: browsers set that header themselves"
            raise ValueError(message)
        return self


class DedupSettings(Section):
    """How repeats are recognised."""

    window_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="Days within which the same matter of the same reporter is a repeat.",
    )


class PipelineSettings(Section):
    """How the stages work."""

    batch: int = Field(default=400, ge=1, le=5000, description="Messages that share one transaction at most.")
    parse_timeout: float = Field(
        default=5.0, gt=0, le=60, description="Seconds after which the parsing of one message is given up."
    )
    parts_wait_minutes: float = Field(
        default=15.0,
        gt=0,
        le=10080,
        description="Minutes to wait for missing SMS parts before the report is published as incomplete.",
    )
    parts_days: int = Field(
        default=7, ge=1, le=90, description="Days within which a late SMS part still amends its report."
    )
    stop_timeout: float = Field(
        default=20.0, gt=0, le=300, description="Seconds within which everything stops when it is asked to."
    )


def _filled_with(*needed: str, optional: tuple[str, ...] = ()) -> AfterValidator:
    """Refuses a template that lacks a field, holds another one, or breaks when it is filled."""

    def check(template: str) -> str:
        values = {name: f"<{name}>" for name in (*needed, *optional)}
        try:
            filled = template.format(**values)
        except (KeyError, IndexError, ValueError, AttributeError):
            filled = ""
        if not filled.strip() or any(values[name] not in filled for name in needed):
            fields = " and ".join(f"{{{name}}}" for name in needed)
            message = f"must hold {fields} and no other field in braces" if needed else "must be a text without braces"
            raise ValueError(message)
        return template

    return AfterValidator(check)


def _known_zone(name: str) -> str:
    try:
        zone_of(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = "is no time zone that is known here; Asia/Jakarta, Asia/Makassar and Asia/Jayapura always are"
        raise ValueError(message) from None
    return name


def zone_of(name: str) -> tzinfo:
    """The time zone of a name. Indonesia's three are known without the system's files: they have no summer time.

    Raises:
        ZoneInfoNotFoundError: There is none of the name. ValueError and OSError are raised by odd names.
    """
    hours = {"Asia/Jakarta": 7, "Asia/Makassar": 8, "Asia/Jayapura": 9}.get(name)
    return ZoneInfo(name) if hours is None else timezone(timedelta(hours=hours), name)


def _a_span(hours: str) -> str:
    begin, _, end = hours.partition("-")
    if hours and begin == end:
        message = "must begin and end at different times"
        raise ValueError(message)
    return hours


_Plain = Annotated[str, _filled_with()]
_OfReport = Annotated[str, _filled_with("tracking_id")]
_OfNews = Annotated[str, _filled_with("tracking_id", optional=("date",))]
_OfState = Annotated[str, _filled_with("tracking_id", "status", optional=("date",))]
_HOUR = "([01][0-9]|2[0-3]):[0-5][0-9]"


class AnswerSettings(Section):
    """What citizens are answered, and when not."""

    enabled: bool = Field(default=True, description="Whether citizens are answered at all.")
    receipt: _OfReport = Field(
        default=DEFAULT_RECEIPT, description="The receipt; {tracking_id} stands for the report's number."
    )
    receipt_en: _OfReport = Field(
        default=DEFAULT_RECEIPT_EN, description="The receipt for a mail that is written in English."
    )
    receipt_repeat: _OfReport = Field(default=wording.REPEAT, description="The receipt for a report that we have.")
    receipt_repeat_en: _OfReport = Field(default=wording.REPEAT_EN, description="The same in English.")
    status: _OfState = Field(
        default=wording.STATUS,
        description="The answer to STATUS, with {tracking_id}, {status} and, if wanted, {date}.",
    )
    status_en: _OfState = Field(default=wording.STATUS_EN, description="The same in English.")
    status_withheld: _OfReport = Field(
        default=wording.STATUS_WITHHELD,
        description="The answer to STATUS in public for a report that is anonymous or secret.",
    )
    status_withheld_en: _OfReport = Field(default=wording.STATUS_WITHHELD_EN, description="The same in English.")
    news_withheld: _OfNews = Field(
        default=wording.NEWS_WITHHELD,
        description="What is posted in public instead of the core's words about a report that is anonymous or secret; "
        "with {date}, as X takes the same words once only.",
    )
    question_withheld: _OfNews = Field(
        default=wording.QUESTION_WITHHELD, description="The same where the core asks the citizen something."
    )
    unknown: _Plain = Field(
        default=wording.UNKNOWN, description="The answer to STATUS with a number that is no report of the sender's own."
    )
    unknown_en: _Plain = Field(default=wording.UNKNOWN_EN, description="The same in English.")
    no_report: _Plain = Field(
        default=wording.NO_REPORT, description="The answer to STATUS without a number where there is no report."
    )
    no_report_en: _Plain = Field(default=wording.NO_REPORT_EN, description="The same in English.")
    help: _Plain = Field(default=wording.HELP, description="The answer to BANTUAN.")
    help_public: _Plain = Field(
        default=wording.HELP_PUBLIC,
        description="The same in public, on X: which hashtag a report needs.",
    )
    help_en: _Plain = Field(default=wording.HELP_EN, description="The answer to HELP in an English mail.")
    stopped: _Plain = Field(default=wording.STOPPED, description="The answer to STOP or BERHENTI.")
    stopped_en: _Plain = Field(default=wording.STOPPED_EN, description="The same in English.")
    started: _Plain = Field(default=wording.STARTED, description="The answer to MULAI.")
    started_en: _Plain = Field(default=wording.STARTED_EN, description="The same in English.")
    per_reporter_per_day: int = Field(
        default=20, ge=1, le=1000, description="Answers to one reporter within 24 hours, after which receipts end."
    )
    flood_messages: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="Answers to one reporter within ten minutes; of a flood beyond that only the first is answered.",
    )
    repeat_pause_minutes: float = Field(
        default=60.0, ge=0, le=10080, description="Minutes in which a repeated report gets no second receipt."
    )
    per_channel_per_day: int = Field(
        default=10_000, ge=0, description="Answers that one channel sends within 24 hours; the rest waits. 0: no bound."
    )
    quiet_hours: Annotated[str, AfterValidator(_a_span)] = Field(
        default="21:00-06:00",
        pattern=f"^({_HOUR}-{_HOUR})?$",
        description="When no notification is sent (receipts are); empty: never quiet.",
    )
    timezone: Annotated[str, AfterValidator(_known_zone)] = Field(
        default="Asia/Jakarta", description="The time zone of quiet_hours and of the dates that citizens read."
    )
    max_age_hours: float = Field(
        default=72.0, gt=0, le=720, description="Hours after which an answer that could not be sent expires."
    )
    max_attempts: int = Field(default=8, ge=1, le=100, description="How often the sending of one answer is tried.")


class SilenceSettings(Section):
    """When a channel that brings nothing is called improbably quiet."""

    enabled: bool = Field(default=True, description="Whether channels are compared with their usual rhythm.")
    odds: int = Field(
        default=10_000,
        ge=100,
        le=10**9,
        description="A channel is degraded when so few messages come by chance less than once in so many times; "
        "raise it where false alarms come, lower it to hear sooner.",
    )
    history_days: int = Field(
        default=14, ge=7, le=35, description="Days of history without which nothing is said about a channel."
    )
    holidays: tuple[date, ...] = Field(
        default=(),
        max_length=400,
        description='Days that are like Sundays, as "2026-08-17". In a year of which none is listed any weekday may '
        "be one, and a channel is quiet only where that would be odd on a Sunday, too.",
    )


class LogSettings(Section):
    """What the gateway writes to its log (standard error)."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="The least level shown.")
    format: Literal["json", "text"] = Field(default="text", description="json for machines, text for people.")


@dataclass(frozen=True, slots=True)
class ChannelSection:
    """One ``[channels.NAME]`` table, validated by its channel's own settings class."""

    name: str
    plugin: ChannelPlugin
    settings: ChannelSettings


class Settings(Section):
    """The whole file, without the channels: those are validated by their plug-ins."""

    store: StoreSettings = StoreSettings()
    queue: QueueSettings = QueueSettings()
    console: ConsoleSettings = ConsoleSettings()
    dedup: DedupSettings = DedupSettings()
    pipeline: PipelineSettings = PipelineSettings()
    answers: AnswerSettings = AnswerSettings()
    silence: SilenceSettings = SilenceSettings()
    log: LogSettings = LogSettings()
    channels: dict[str, InstanceOf[ChannelSection]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _kept_as_long_as_compared(self) -> Self:
        if self.store.keep_days < self.dedup.window_days:
            message = "store.keep_days must not be less than dedup.window_days"
            raise ValueError(message)
        return self
