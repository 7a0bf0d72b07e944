"""How the simulated X is set up: limits, patience, keys. The defaults are X's own, the keys are the demo's."""

from dataclasses import dataclass, field
from typing import Final

from gateway.demo.x.render import Naming
from gateway.demo.x.world import KEEP_POSTS

QUARTER_HOUR: Final = 900.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys that the simulator accepts. They open nothing but the simulator."""

    bearer_token: str = "demo-bearer-token"  # noqa: S105 - opens the simulator only, as all of these
    consumer_key: str = "demo-consumer-key"
    consumer_secret: str = "demo-consumer-secret"  # noqa: S105
    access_token: str = "demo-access-token"  # noqa: S105
    access_token_secret: str = "demo-access-secret"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that can be set before the start.

    Attributes:
        account: The username of the account that answers, and of ``/2/users/me``.
        credentials: The keys that are accepted.
        port: Where to listen on loopback; 0 takes a free port, and keeps it after `XSimulator.stop`.
        naming: How posts are written, see `render.Naming`.
        keep_alive_seconds: After how long without a post the stream sends an empty line.
        max_connections: How many streams may be open at once.
        queue_length: How many lines wait for a slow client before posts are dropped for good.
        connect_limit: How many streams may be opened in a window, refused ones included.
        window_seconds: How long the window of all limits is.
        search_limit: How many searches in a window.
        read_limit: How many calls of each other kind of reading in a window.
        post_limit: How many posts in a window.
        search_delay_seconds: How long before now a search without an end stops.
        replies_need_mention: Whether only authors who mentioned the account may be answered, X's rule for machines.
        huge_bytes: The size of the oversized picture.
        keep_posts: How many posts the world remembers.
    """

    account: str = "LAPOR1708"
    credentials: Credentials = field(default_factory=Credentials)
    port: int = 0
    naming: Naming = "auto"
    keep_alive_seconds: float = 20.0
    max_connections: int = 1
    queue_length: int = 10_000
    connect_limit: int = 50
    window_seconds: float = QUARTER_HOUR
    search_limit: int = 450
    read_limit: int = 900
    post_limit: int = 100
    search_delay_seconds: float = 30.0
    replies_need_mention: bool = True
    huge_bytes: int = 30_000_000
    keep_posts: int = KEEP_POSTS
