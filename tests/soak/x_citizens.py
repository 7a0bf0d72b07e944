"""Citizens on the simulated X: what they post, edit, continue and delete, and what has to become of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Literal

from gateway.demo.x import Post, World, XSimulator
from gateway.demo.x.world import PostDetails
from tests.soak.citizens import invented_text, token_of

ACCOUNT = "LAPOR1708"
_AUTHORS = 400
_BURSTS = (1, 1, 5, 30)
_FOLLOWS_AFTER = (0.2, 6.0)
_DELETED_AFTER = 10.0
_FORMS = ("#LAPOR {0} @LAPOR1708", "@LAPOR1708 {0} #lapor", "{0} #Lapor @lapor1708", "#LAPOR, {0} cc @LAPOR1708")
_PROMOTION = "#AyoLAPOR! Sampaikan laporan lewat @LAPOR1708 atau SMS 1708, {0}"

Kind = Literal["report", "chaser", "mention", "share", "promotion", "repost"]
_KINDS: tuple[tuple[Kind, int], ...] = (
    ("report", 65),
    ("chaser", 5),
    ("mention", 12),
    ("share", 8),
    ("promotion", 4),
    ("repost", 6),
)
DECISIONS: dict[Kind, str] = {
    "report": "report",
    "chaser": "update",
    "mention": "held",
    "share": "ignored",
    "promotion": "ignored",
}


@dataclass
class Matter:
    """What one citizen wrote about one thing: a post, its later versions, and what was added as a reply to it."""

    kind: Kind
    author: str
    tokens: list[str]
    text: str
    posts: list[Post]
    addition: Post | None = None
    addition_text: str = ""
    addition_tagged: bool = False
    is_gone: bool = False

    @property
    def current(self) -> Post:
        """The newest version."""
        return self.posts[-1]


@dataclass
class Crowd:
    """Everybody who posts. Used on the thread of the simulator's loop.

    Args:
        x: The simulator.
        random: Decides on everything.
        is_streamed: Whether the stream delivers what is posted now.
        pace: Posts a second, about.

    Attributes:
        goal: How many posts there are to be; raised step by step.
        posted: How many there are.
        matters: What was posted, the oldest first.
        only_search: When the posts were made that the stream cannot have delivered, by their ids.
        reposts: How many retweets there are.
        deleted: How many reports were deleted or withheld.
    """

    x: XSimulator
    random: Random
    is_streamed: Callable[[], bool]
    pace: float = 12.0
    goal: int = 0
    posted: int = 0
    matters: list[Matter] = field(default_factory=list)
    only_search: dict[str, datetime] = field(default_factory=dict)
    reposts: int = 0
    deleted: int = 0
    _tokens: int = 0
    _recent: deque[Matter] = field(default_factory=lambda: deque(maxlen=50))
    _later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    @property
    def world(self) -> World:
        """Where they post."""
        return self.x.world

    def is_done(self) -> bool:
        """Whether everything is posted that is to be, and continued."""
        return self.posted >= self.goal and not self._later

    async def run(self) -> None:
        """Posts at a varying pace, for ever."""
        while True:
            for _ in range(self.random.choice(_BURSTS)):
                if self.posted < self.goal:
                    self._post_something()
            self._follow_up()
            await asyncio.sleep(self.random.uniform(0.1, 2.0) * sum(_BURSTS) / len(_BURSTS) / self.pace)

    def silent_half_hour(self, count: int) -> tuple[datetime, datetime]:
        """Posts of the last thirty minutes that only search knows; returns when the first and the last were made."""
        until = datetime.now(UTC) - timedelta(seconds=30)
        since = until - timedelta(minutes=30)
        times = sorted([since, until, *(since + timedelta(seconds=self.random.uniform(0, 1800)) for _ in range(count))])
        with_stream, self.x.faults.blackout = self.x.faults.blackout, True
        for at in times[:count]:
            self.report(at=at)
        self.x.faults.blackout = with_stream
        self.goal += count
        return times[0], times[count - 1]

    def report(self, *, short: bool = False, **details: object) -> Matter:
        """Somebody reports something."""
        token = self._token()
        text = invented_text(token, self.random, long=not short and self.random.random() < 0.1)
        matter = Matter("report", self._author(), [token], text, [])
        self._write(matter, self.random.choice(_FORMS).format(text), details)
        self.matters.append(matter)
        return matter

    def unseen_report(self) -> Matter:
        """Somebody reports something that the stream is to get from the caller, in another form."""
        before, self.x.faults.blackout = self.x.faults.blackout, True
        matter = self.report(short=True)
        self.x.faults.blackout = before
        del self.only_search[matter.current.id]
        return matter

    def delete(self, matter: Matter, *, withhold: bool = False) -> None:
        """Its author deletes it, or X withholds it in Indonesia."""
        matter.is_gone = True
        self.deleted += 1
        if withhold:
            self.world.withhold(matter.current.id, "ID")
        else:
            self.world.delete(matter.current.id)

    def plain(self, seconds: float) -> list[Matter]:
        """Reports of a single post that are older than this."""
        limit = datetime.now(UTC) - timedelta(seconds=seconds)
        return [
            matter
            for matter in self.matters
            if matter.kind == "report"
            and not matter.is_gone
            and len(matter.posts) == 1
            and matter.addition is None
            and matter.current.created_at < limit
        ]

    def figures(self) -> dict[str, object]:
        """How much of what was posted."""
        kinds = Counter(matter.kind for matter in self.matters)
        return {
            "posts": self.posted,
            **{f"matters: {kind}": kinds[kind] for kind, _ in _KINDS if kind != "repost"},
            "retweets": self.reposts,
            "of the reports edited": sum(len(matter.posts) > 1 for matter in self.matters),
            "of the reports continued in a thread": sum(matter.addition is not None for matter in self.matters),
            "of the reports deleted or withheld": self.deleted,
            "posts that the stream did not deliver": len(self.only_search),
        }

    def _post_something(self) -> None:
        kind = self.random.choices([kind for kind, _ in _KINDS], [share for _, share in _KINDS])[0]
        if kind == "report":
            matter = self.report()
            self._recent.append(matter)
            chance = self.random.random()
            if chance < 0.06:
                self._schedule(lambda: self._edit(matter))
            elif chance < 0.12:
                self._schedule(lambda: self._add(matter))
            elif chance < 0.14 and (old := self.plain(_DELETED_AFTER)):
                self.delete(self.random.choice(old))
        elif kind == "repost":
            if self._recent:
                target = self.random.choice(self._recent).current
                self.world.post(self._author(), "", retweet=target)
                self.reposts += 1
                self.posted += 1
        else:
            token = self._token()
            text = invented_text(token, self.random)
            told = f"laporan #1234567 {text}" if kind == "chaser" else text
            matter = Matter(kind, self._author(), [token], told, [])
            forms = {
                "chaser": "@LAPOR1708 laporan #1234567 {0}",
                "mention": "@LAPOR1708 {0}",
                "share": "{0} https://lapor.go.id/id/1234567 via @LAPOR1708",
                "promotion": _PROMOTION,
            }
            self._write(matter, forms[kind].format("" if kind == "promotion" else text), {})
            self.matters.append(matter)

    def _write(self, matter: Matter, text: str, details: dict[str, object]) -> None:
        streamed = self.is_streamed()
        given: PostDetails = details  # type: ignore[assignment]
        post = self.world.post(matter.author, text, **given)
        self.posted += 1
        matter.posts.append(post)
        if not streamed:
            self.only_search[post.id] = post.created_at

    def _edit(self, matter: Matter) -> None:
        if matter.is_gone:
            return
        token = self._token()
        matter.tokens.append(token)
        matter.text = f"{matter.text} ralat {token}"
        before = matter.current
        self._write(matter, f"#LAPOR {matter.text} @LAPOR1708", {"edit_of": before})

    def _add(self, matter: Matter) -> None:
        if matter.is_gone:
            return
        token = self._token()
        matter.addition_text = invented_text(token, self.random)
        matter.addition_tagged = self.random.random() < 0.5
        matter.tokens.append(token)
        form = "#LAPOR {0} @LAPOR1708" if matter.addition_tagged else "{0} @LAPOR1708"
        shell = Matter("report", matter.author, [], "", [])
        self._write(shell, form.format(matter.addition_text), {"reply_to": matter.current})
        matter.addition = shell.current

    def _schedule(self, action: Callable[[], None]) -> None:
        due = asyncio.get_running_loop().time() + self.random.uniform(*_FOLLOWS_AFTER)
        self._later.append((due, action))

    def _follow_up(self) -> None:
        now = asyncio.get_running_loop().time()
        due = [action for at, action in self._later if at <= now]
        self._later = [(at, action) for at, action in self._later if at > now]
        for action in due:
            action()

    def _token(self) -> str:
        self._tokens += 1
        return token_of(self._tokens)

    def _author(self) -> str:
        return f"warga_{self.random.randrange(_AUTHORS):04d}"


def record_of(post: Post, **more: object) -> bytes:
    """A short post as the stream could write it, with further fields."""
    data = {
        "id": post.id,
        "text": post.shown.text,
        "author_id": post.author.id,
        "edit_history_tweet_ids": [post.id],
        "created_at": f"{post.created_at:%Y-%m-%dT%H:%M:%S}.000Z",
        "entities": post.shown.entities,
    }
    users = [{"id": post.author.id, "username": post.author.username, "name": post.author.name}]
    return json.dumps({"data": data, "includes": {"users": users}, **more}).encode()
