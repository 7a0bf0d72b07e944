"""The settings of one account on X: a ``[channels.NAME]`` table with ``type = "twitter"``."""

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.parsing import Profile
from gateway.ports import ChannelSettings
from gateway.secret import Secret

_KEYS = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")


class TwitterSettings(ChannelSettings):
    """One account and its hashtag. Two accounts are two tables."""

    type: Literal["twitter"]
    account: str = Field(
        default="LAPOR1708",
        pattern=r"^[A-Za-z0-9_]{1,15}$",
        description="The account that citizens mention, without the @: never answered, never a reporter.",
    )
    hashtag: str = Field(
        default="LAPOR",
        pattern=r"^[0-9_]*[A-Za-z][A-Za-z0-9_]{0,99}$",
        description="The hashtag of a report, without the #.",
    )
    api_url: str = Field(default="https://api.x.com", description="An origin that serves the X API v2.")
    bearer_token: Secret = Field(description="The app's bearer token: for the stream, its rules, and search.")
    consumer_key: Secret | None = Field(
        default=None, description="The app's API key; these four send the answers, and without them none is sent."
    )
    consumer_secret: Secret | None = Field(default=None, description="The app's API key secret.")
    access_token: Secret | None = Field(
        default=None, description="The answering account's access token, made with the permission to write."
    )
    access_token_secret: Secret | None = Field(default=None, description="The secret of that access token.")
    mode: Literal["stream", "search"] = Field(
        default="stream",
        description="stream where the plan has one, with search to find what it leaves out; search for search alone.",
    )
    bare_mention: Literal["hold", "report"] = Field(
        default="hold",
        description="What a mention without the hashtag becomes: hold lets an operator decide, report takes it.",
    )
    search_minutes: float = Field(
        default=5.0, gt=0, le=60, description="Minutes between two searches for what the stream did not bring."
    )
    rewind_minutes: float = Field(
        default=10.0, ge=0, le=120, description="Minutes that each search goes back behind what is confirmed already."
    )
    search_delay_seconds: float = Field(
        default=30.0, ge=0, le=600, description="Seconds that X's search needs to know of a new post."
    )
    max_pages: int = Field(
        default=400, ge=1, le=10_000, description="Pages of 100 posts that one search reads before it takes a break."
    )
    read_limit: int = Field(default=500, ge=1, le=5000, description="Posts handed over at once, at most.")
    silence_seconds: float = Field(
        default=30.0,
        gt=0,
        le=300,
        description="Seconds without a byte after which the stream counts as dead; X sends a sign of life every 20.",
    )
    connect_timeout: float = Field(default=20.0, gt=0, le=120, description="Seconds that connecting to X may take.")
    timeout: float = Field(default=30.0, gt=0, le=300, description="Seconds that any other call to X may take.")
    connects_per_window: int = Field(
        default=40, ge=1, le=50, description="Connects to the stream within 15 minutes; X refuses more than 50."
    )
    backfill_minutes: int = Field(
        default=0, ge=0, le=5, description="Minutes that X sends again after a reconnect; Enterprise only."
    )
    daily_posts: int = Field(
        default=1000, ge=0, le=2400, description="Answers posted within 24 hours, at most; later ones wait."
    )
    recheck_hours: float = Field(
        default=24.0, ge=0, le=24, description="Hours between two looks whether a post is still public; 0 for never."
    )
    recheck_days: float = Field(default=7.0, gt=0, le=90, description="Days after which a post is looked up no more.")
    media: bool = Field(
        default=False, description="Whether the pictures and videos of posts are fetched, into store.files."
    )
    media_max_bytes: int = Field(
        default=20_000_000, ge=1, le=1_000_000_000, description="Bytes of one picture or video, at most."
    )
    media_hosts: tuple[str, ...] = Field(
        default=("pbs.twimg.com", "video.twimg.com"),
        description="Hosts that pictures and videos are fetched from, and no others; a port may follow.",
    )

    @field_validator("api_url")
    @classmethod
    def _is_origin(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good or "@" in value or parts.path.strip("/") or parts.query or parts.fragment:
            message = "must be an origin such as https://api.x.com, without a path"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("bearer_token", *_KEYS)
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        text = "-" if value is None else value.get_secret_value()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            message = "is empty, or holds a blank or a character that no key of X has"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _four_keys_or_none(self) -> Self:
        given = [key for key in _KEYS if getattr(self, key) is not None]
        if given and len(given) < len(_KEYS):
            missing = ", ".join(key for key in _KEYS if key not in given)
            message = f"the keys for answers are given in part; {missing} is missing"
            raise ValueError(message)
        return self

    @property
    def can_answer(self) -> bool:
        """Whether the keys are there that an answer is signed with."""
        return self.consumer_key is not None

    def profile(self) -> Profile:
        """The account, and what the parser tells reports by."""
        options = {"account": self.account, "hashtag": self.hashtag, "bare_mention": self.bare_mention}
        return Profile(own_addresses=frozenset({self.account}), options=options)
