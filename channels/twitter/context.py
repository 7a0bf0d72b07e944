"""What the two paths to X stand on."""

from dataclasses import dataclass

from channels.twitter.api import XApi
from channels.twitter.backoff import Pace
from channels.twitter.gaps import GapBook
from channels.twitter.inbox import Inbox
from channels.twitter.settings import TwitterSettings
from gateway.clock import Clock
from gateway.ports import ChannelStore


@dataclass(frozen=True, slots=True)
class Context:
    """One channel's own.

    Attributes:
        name: The channel's name.
        settings: Its section of the settings.
        api: X.
        store: What is kept from one life to the next.
        clock: Tells the time.
        inbox: Takes what was found.
        gaps: Takes the gaps.
        pace: How long everything takes.
    """

    name: str
    settings: TwitterSettings
    api: XApi
    store: ChannelStore
    clock: Clock
    inbox: Inbox
    gaps: GapBook
    pace: Pace
