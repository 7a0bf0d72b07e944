"""The world behind the simulated X: invented people and what they post. Used on the event loop's thread only."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Final, Literal, TypedDict, Unpack

from gateway.clock import Clock, from_milliseconds, to_milliseconds
from gateway.demo.x.text import POST_LENGTH, Link, Shown, cut, haystack, short_link, shorten_links, show, weigh

EPOCH_MILLISECONDS: Final = 1288834974657
"""When X's ids begin: an id is the milliseconds since then, shifted by 22 bits, and a sequence number."""

SEQUENCE_BITS: Final = 22
KEEP_POSTS: Final = 200_000
_FIRST_USER: Final = 1_500_000_000_000_000_000
_MEDIA_PREFIXES: Final = {"photo": "3", "video": "7", "animated_gif": "16"}

MediaKind = Literal["photo", "video", "animated_gif"]
ReferenceKind = Literal["replied_to", "quoted", "retweeted"]


@dataclass(frozen=True, slots=True)
class User:
    """An invented account. ``created_at`` is what a gateway may trust it by."""

    id: str
    username: str
    name: str
    created_at: datetime
    verified: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """A picture or video of a post; ``name`` is served below ``/media/`` unless there is a ``url``."""

    name: str
    kind: MediaKind = "photo"
    alt_text: str | None = None
    width: int = 64
    height: int = 64
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A place that a post names; ``bbox`` is west, south, east, north."""

    id: str
    full_name: str
    bbox: tuple[float, float, float, float]
    place_type: str = "city"


@dataclass(frozen=True, slots=True)
class Reference:
    """The post that another one answers, quotes or repeats."""

    kind: ReferenceKind
    id: str


@dataclass(frozen=True, slots=True)
class Post:
    """A post as it was written; only the world makes them.

    ``shown`` is the text of up to 280 characters and ``full`` the whole of it; they differ for long posts.
    ``first_id`` is the id of the first version. ``words`` is what rules look for words in.
    """

    id: str
    author: User
    written: str
    shown: Shown
    full: Shown
    created_at: datetime
    conversation_id: str
    first_id: str
    words: str
    hashtags: frozenset[str]
    mentions: frozenset[str]
    in_reply_to_user_id: str | None = None
    references: tuple[Reference, ...] = ()
    media: tuple[Media, ...] = ()
    place: Place | None = None
    coordinates: tuple[float, float] | None = None
    lang: str = "in"
    sensitive: bool = False

    @property
    def is_long(self) -> bool:
        """Whether the whole text is longer than what X shows in ``text``."""
        return self.full is not self.shown

    @property
    def media_keys(self) -> list[str]:
        """X's keys of the media, in their order."""
        return [f"{_MEDIA_PREFIXES[media.kind]}_{int(self.id) + n}" for n, media in enumerate(self.media, 1)]

    def refers(self, kind: ReferenceKind) -> str | None:
        """The id of the post that it refers to in this way."""
        return next((reference.id for reference in self.references if reference.kind == kind), None)


class PostDetails(TypedDict, total=False):
    """What may be said of a post beside author and text; ``coordinates`` are longitude, latitude."""

    at: datetime
    reply_to: Post | str
    quote: Post | str
    retweet: Post | str
    edit_of: Post | str
    media: Sequence[Media]
    place: Place
    coordinates: tuple[float, float]
    lang: str
    sensitive: bool


@dataclass(frozen=True, slots=True)
class _Texts:
    shown: Shown
    full: Shown


@dataclass(slots=True)
class _Sequence:
    """Where the ids of one millisecond stand, so that many posts of one moment cost no search."""

    base: int = -1
    next: int = 0


def first_id_at(moment: datetime) -> int:
    """The smallest id that a post of this moment can have."""
    return max(0, to_milliseconds(moment) - EPOCH_MILLISECONDS) << SEQUENCE_BITS


def moment_of(number: int) -> datetime:
    """When the post with this id was written."""
    return from_milliseconds((number >> SEQUENCE_BITS) + EPOCH_MILLISECONDS)


@dataclass
class World:
    """People and posts. The oldest posts are forgotten beyond ``keep``.

    Args:
        clock: Says when a post without ``at`` was written.
        keep: How many posts, and how many people, it remembers.
    """

    clock: Clock
    keep: int = KEEP_POSTS
    _posts: dict[int, Post] = field(default_factory=dict)
    _ids: list[int] = field(default_factory=list)
    _versions: dict[str, list[str]] = field(default_factory=dict)
    _users: dict[str, User] = field(default_factory=dict)
    _withheld: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _protected: set[str] = field(default_factory=set)
    _listeners: list[Callable[[Post], None]] = field(default_factory=list)
    _sequence: _Sequence = field(default_factory=_Sequence)
    _user_count: int = 0

    def __len__(self) -> int:
        return len(self._ids)

    def subscribe(self, listener: Callable[[Post], None]) -> None:
        """Has every new post handed to the listener at once."""
        self._listeners.append(listener)

    def user(
        self,
        username: str,
        *,
        name: str | None = None,
        created_at: datetime | None = None,
        verified: bool = False,
        description: str = "",
    ) -> User:
        """The account of this name; it is made if there is none yet, and what is said of it then stays."""
        known = self._users.get(username.lower())
        if known is not None:
            return known
        self._user_count += 1
        made = User(
            id=str(_FIRST_USER + self._user_count),
            username=username,
            name=name or username.replace("_", " ").title(),
            created_at=created_at or datetime(2019, 5, 4, 3, 2, 1, tzinfo=UTC),
            verified=verified,
            description=description,
        )
        self._users[username.lower()] = made
        if len(self._users) > self.keep:
            del self._users[next(islice(self._users, 1, None))]  # the first is the account that answers
        return made

    def find_user(self, username: str) -> User | None:
        """The account of this name, whatever the case."""
        return self._users.get(username.lower())

    def find_user_by_id(self, user_id: str) -> User | None:
        """The account with this id."""
        return next((user for user in self._users.values() if user.id == user_id), None)

    def post(self, author: User | str, text: str, **details: Unpack[PostDetails]) -> Post:
        """Somebody posts: the stream and the searches show it from now on.

        Args:
            author: Who posts; a username makes the account if need be.
            text: The whole text. Above 280 weighted characters it becomes a long post by itself.
            **details: See `PostDetails`; ``at`` may lie in the past.
        """
        who = author if isinstance(author, User) else self.user(author)
        number = self._new_id(details.get("at") or self.clock.now())
        retweeted = self._resolve(details.get("retweet"))
        if retweeted is not None and not text:
            text = f"RT @{retweeted.author.username}: {retweeted.written}"
        texts = self._texts(str(number), who, text, details)
        parent = self._resolve(details.get("reply_to"))
        made = Post(
            id=str(number),
            author=who,
            written=text,
            shown=texts.shown,
            full=texts.full,
            created_at=moment_of(number),
            conversation_id=parent.conversation_id if parent else str(number),
            first_id=self._first_id(details.get("edit_of"), str(number)),
            words=haystack(texts.full.text),
            hashtags=texts.full.names("hashtags", "tag"),
            mentions=texts.full.names("mentions", "username"),
            in_reply_to_user_id=parent.author.id if parent else None,
            references=_references(details),
            media=tuple(details.get("media", ())),
            place=details.get("place"),
            coordinates=details.get("coordinates"),
            lang=details.get("lang", "in"),
            sensitive=details.get("sensitive", False),
        )
        self._add(number, made)
        return made

    def get(self, post_id: str) -> Post | None:
        """The post with this id; none if it was deleted, forgotten or never written."""
        return self._posts.get(int(post_id)) if post_id.isascii() and post_id.isdigit() else None

    def delete(self, post_id: str) -> None:
        """The author deletes a post, and with it all its versions."""
        found = self.get(post_id)
        for version in self.versions(found) if found else ():
            self._forget(int(version))

    def withhold(self, post_id: str, *countries: str) -> None:
        """X withholds a post: in these countries (the post then says so), or without any everywhere."""
        self._withheld[post_id] = countries

    def withheld_in(self, post: Post) -> tuple[str, ...] | None:
        """The countries in which a post is withheld, none of them if it is everywhere; None if it is not."""
        return self._withheld.get(post.id)

    def protect(self, user: User | str, *, protected: bool = True) -> None:
        """An account hides its posts from all but its followers, or shows them again."""
        found = user if isinstance(user, User) else self.user(user)
        (self._protected.add if protected else self._protected.discard)(found.id)

    def is_protected(self, user: User) -> bool:
        """Whether an account hides its posts."""
        return user.id in self._protected

    def is_public(self, post: Post) -> bool:
        """Whether searches and the stream may show it."""
        return not self.is_protected(post.author) and self._withheld.get(post.id) != ()

    def versions(self, post: Post) -> list[str]:
        """The ids of all versions of a post, the oldest first."""
        return self._versions.get(post.first_id, [post.id])

    def newest_first(self, above: int = 0, below: int | None = None) -> Iterator[Post]:
        """The public posts with ids between these two, in their newest versions."""
        start = bisect_right(self._ids, above)
        end = len(self._ids) if below is None else bisect_left(self._ids, below)
        for position in range(end - 1, start - 1, -1):
            found = self._posts[self._ids[position]]
            if self.is_public(found) and self.versions(found)[-1] == found.id:
                yield found

    def _new_id(self, at: datetime) -> int:
        base = first_id_at(at)
        if base != self._sequence.base:
            self._sequence = _Sequence(base)
        number = base + self._sequence.next
        while number in self._posts:
            number += 1
        self._sequence.next = number - base + 1
        return number

    def _id_of(self, username: str) -> str:
        return self.user(username).id

    def _resolve(self, post: Post | str | None) -> Post | None:
        return self.get(post) if isinstance(post, str) else post

    def _first_id(self, edit_of: Post | str | None, own: str) -> str:
        before = self._resolve(edit_of)
        return before.first_id if before else own

    def _texts(self, own_id: str, author: User, text: str, details: PostDetails) -> _Texts:
        written, links = shorten_links(text)
        if "retweet" in details:
            shown = show(cut(written), links, self._id_of)
            return _Texts(shown, shown)  # the rest of it is in the post that is repeated only
        tail = self._tail(own_id, author, details)
        suffix = "".join(f" {link.short}" for link in tail)
        full = show((written + suffix).strip(), [*links, *tail], self._id_of)
        if weigh(text) <= POST_LENGTH:
            return _Texts(full, full)
        return _Texts(
            shown=show(cut(written) + suffix, [*links, *tail], self._id_of), full=show(written, links, self._id_of)
        )

    def _tail(self, own_id: str, author: User, details: PostDetails) -> list[Link]:
        """The links that X itself puts at the end: to the media, and to the post that is quoted."""
        tail = []
        quoted = self._resolve(details.get("quote"))
        if quoted is not None:
            tail.append(short_link(f"https://x.com/{quoted.author.username}/status/{quoted.id}"))
        media = details.get("media")
        if media:
            key = f"{_MEDIA_PREFIXES[media[0].kind]}_{int(own_id) + 1}"
            address = f"https://x.com/{author.username}/status/{own_id}/{media[0].kind}/1"
            tail.append(short_link(address, key))
        return tail

    def _add(self, number: int, post: Post) -> None:
        self._posts[number] = post
        insort(self._ids, number)
        if post.first_id != post.id:
            self._versions.setdefault(post.first_id, [post.first_id]).append(post.id)
        while len(self._ids) > self.keep:
            self._forget(self._ids[0])
        for listener in self._listeners:
            listener(post)

    def _forget(self, number: int) -> None:
        gone = self._posts.pop(number, None)
        if gone is None:
            return
        del self._ids[bisect_left(self._ids, number)]
        self._withheld.pop(gone.id, None)
        if self.versions(gone)[-1] == gone.id:
            self._versions.pop(gone.first_id, None)


def _references(details: PostDetails) -> tuple[Reference, ...]:
    pairs: tuple[tuple[ReferenceKind, Post | str | None], ...] = (
        ("retweeted", details.get("retweet")),
        ("quoted", details.get("quote")),
        ("replied_to", details.get("reply_to")),
    )
    return tuple(Reference(kind, post if isinstance(post, str) else post.id) for kind, post in pairs if post)
