"""Every setting of the kernel, declared once: its default, its bounds and a sentence.

The sample file and the settings page are generated from here; a channel declares its own settings in its folder.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, InstanceOf, field_validator, model_validator

from gateway.ports import ChannelPlugin, ChannelSettings

DEFAULT_RECEIPT = (
    "Terima kasih. Laporan Anda kami terima dengan Tracking ID #{tracking_id}. "
    "Simpan nomor ini untuk memantau tindak lanjutnya."
)

DEFAULT_RECEIPT_EN = (
    "Thank you. We have received your report; its tracking ID is #{tracking_id}. "
    "Please keep this number to follow what is done about it."
)


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


class ConsoleSettings(Section):
    """The page for operators."""

    listen: str = Field(
        default="127.0.0.1:8080",
        pattern=r"^.+:[0-9]{1,5}$",
        description="Address and port of the console and the API.",
    )


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


def _names_the_tracking_id(template: str) -> str:
    try:
        filled = template.format(tracking_id="1234567897")
    except (KeyError, IndexError, ValueError):
        filled = ""
    if "1234567897" not in filled:
        message = "must hold {tracking_id} and no other field in braces"
        raise ValueError(message)
    return template


class AnswerSettings(Section):
    """What citizens are answered."""

    enabled: bool = Field(default=True, description="Whether citizens are answered at all.")
    receipt: Annotated[str, AfterValidator(_names_the_tracking_id)] = Field(
        default=DEFAULT_RECEIPT, description="The receipt; {tracking_id} stands for the report's number."
    )
    receipt_en: Annotated[str, AfterValidator(_names_the_tracking_id)] = Field(
        default=DEFAULT_RECEIPT_EN, description="The receipt for a mail that is written in English."
    )
    max_age_hours: float = Field(
        default=72.0, gt=0, le=720, description="Hours after which an answer that could not be sent expires."
    )
    max_attempts: int = Field(default=8, ge=1, le=100, description="How often the sending of one answer is tried.")


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
    log: LogSettings = LogSettings()
    channels: dict[str, InstanceOf[ChannelSection]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _kept_as_long_as_compared(self) -> Self:
        if self.store.keep_days < self.dedup.window_days:
            message = "store.keep_days must not be less than dedup.window_days"
            raise ValueError(message)
        return self
