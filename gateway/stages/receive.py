"""Stage 1, RECEIVE: raw bytes are committed, and only then does the source let go of them."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock, to_milliseconds
from gateway.identifiers import uuid7
from gateway.ports import Channel, Delivery, RawMessage
from gateway.stages.handover import Handover
from gateway.stages.loop import progressed
from gateway.store import Store, leases
from gateway.store import messages as message_rows
from gateway.store.channel_store import save_values
from gateway.store.engine import blames_a_value
from gateway.store.leases import Lease
from gateway.store.messages import StoredMessage
from gateway.telemetry import Metrics

EXTERNAL_ID_LENGTH: Final = 255
IDLE_SECONDS: Final = 5.0
"""How long a step waits for messages, so that one which waits can be told from one which stands still."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A batch in custody: the ids of its messages in the store, and the external ids of those that are new."""

    ids: tuple[str, ...]
    new: frozenset[str]


@dataclass(slots=True, eq=False)
class _Submission:
    messages: tuple[StoredMessage, ...]
    lease: Lease | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    committed: asyncio.Future[Committed] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Custody:
    """Commits what the channels receive: everything that waits goes into one transaction (group commit).

    Args:
        store: The database.
        to_process: Where committed messages are handed on.
        limit: Messages in one transaction at most.
        clock: Stamps ``received_at``.
        metrics: Counts.
    """

    def __init__(
        self, store: Store, to_process: Handover[StoredMessage], limit: int, clock: Clock, metrics: Metrics
    ) -> None:
        self._store = store
        self._to_process = to_process
        self._limit = limit
        self._clock = clock
        self._metrics = metrics
        self._waiting: deque[_Submission] = deque()
        self._released: list[str] = []
        self._wake = asyncio.Event()
        self.last_message_at: dict[str, int] = {}
        """When each channel last brought a new message, in milliseconds; only what this process has seen."""

    async def commit(
        self,
        channel: str,
        channel_type: str,
        batch: Sequence[RawMessage],
        lease: Lease | None = None,
        values: Mapping[str, str] = MappingProxyType({}),
    ) -> Committed:
        """Takes messages into custody, and what the channel keeps from now on; returns once they are committed.

        Raises:
            StoreUnavailable: They are not committed; the source has to keep them.
            StoreFull: Likewise, until there is room.
            LeaseLost: Likewise; another process reads this source now.
        """
        now = to_milliseconds(self._clock.now())
        submission = _Submission(
            tuple(_stored(channel, channel_type, message, now) for message in batch), lease, values
        )
        self._waiting.append(submission)
        self._wake.set()
        return await submission.committed

    def note_released(self, ids: Sequence[str]) -> None:
        """The source has let go of these; written down together with the next commit."""
        self._released.extend(ids)
        self._wake.set()

    async def step(self) -> None:
        """Commits once what waits now, as far as it fits one transaction; or nothing, where nothing came."""
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS):
                await self._wake.wait()
        self._wake.clear()
        group = self._next_group()
        released, self._released = self._released, []
        if not group and not released:
            return
        try:
            await self._commit_together(group, released)
        except Exception as error:
            if released:
                self.note_released(released)
            if not group or not blames_a_value(error):
                self._refuse(group, error)
                raise
            await self._commit_singly(group, error)
        except BaseException:
            self._refuse(group, asyncio.CancelledError())
            raise

    async def _commit_together(self, group: Sequence[_Submission], released: Sequence[str]) -> None:
        """Commits a group, but for those whose lease another process has taken over."""
        with self._metrics.commit_seconds.labels("receive").time():
            async with self._store.write() as connection:
                held = await self._with_their_lease(connection, group)
                batch = [message for submission in held for message in submission.messages]
                known = await message_rows.add(connection, batch) if batch else {}
                for submission in held:
                    if submission.values:
                        await save_values(connection, submission.messages[0].channel, submission.values)
                if released:
                    await message_rows.mark_released(connection, released, to_milliseconds(self._clock.now()))
        self._settle(held, known)
        for submission in group:
            if submission not in held and submission.lease is not None:
                self._refuse([submission], leases.lost(submission.lease.channel))

    async def _with_their_lease(
        self, connection: AsyncConnection, group: Sequence[_Submission]
    ) -> Sequence[_Submission]:
        needed = {submission.lease for submission in group if submission.lease is not None}
        if not needed:
            return group
        held = await leases.still_held(connection, needed)
        return [submission for submission in group if submission.lease is None or submission.lease in held]

    async def _commit_singly(self, group: Sequence[_Submission], error: Exception) -> None:
        """Something in a group cannot be stored: its own channel hears of it, and the others' messages are kept."""
        if len(group) == 1:
            self._refuse(group, error)
            return
        for submission in group:
            try:
                await self._commit_together([submission], [])
            except Exception as its_own:  # noqa: BLE001 - handed to the channel that waits for it
                self._refuse([submission], its_own)
            progressed()

    def _refuse(self, group: Sequence[_Submission], error: BaseException) -> None:
        for submission in group:
            if not submission.committed.done():
                submission.committed.set_exception(error)

    def _next_group(self) -> list[_Submission]:
        group: list[_Submission] = []
        size = 0
        while self._waiting and (not group or size + len(self._waiting[0].messages) <= self._limit):
            submission = self._waiting.popleft()
            if submission.committed.cancelled():
                continue
            group.append(submission)
            size += len(submission.messages)
        if self._waiting:
            self._wake.set()
        return group

    def _settle(self, group: Sequence[_Submission], known: dict[str, str]) -> None:
        fresh: list[StoredMessage] = []
        for submission in group:
            ids = tuple(known[f"{message.channel}\0{message.external_id}"] for message in submission.messages)
            new = [message for message, id_ in zip(submission.messages, ids, strict=True) if id_ == message.id]
            channel = submission.messages[0].channel
            self._metrics.received.labels(channel).inc(len(new))
            self._metrics.redelivered.labels(channel).inc(len(ids) - len(new))
            if new:
                self.last_message_at[channel] = new[-1].received_at
            fresh += new
            if not submission.committed.done():
                submission.committed.set_result(Committed(ids, frozenset(message.external_id for message in new)))
        self._to_process.offer(fresh)


def _stored(channel: str, channel_type: str, message: RawMessage, now: int) -> StoredMessage:
    order_key = hashlib.blake2b(message.order_key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return StoredMessage(
        id=uuid7(),
        channel=channel,
        channel_type=channel_type,
        external_id=_storable(message.external_id),
        order_key=order_key,
        raw=message.raw,
        received_at=now,
    )


def _storable(external_id: str) -> str:
    """The id itself, or a hash of one that a column cannot hold: whoever chose it must not block the channel."""
    plain = external_id.isprintable() and external_id.isascii()
    if plain and len(external_id) <= EXTERNAL_ID_LENGTH:
        return external_id
    return "sha256:" + hashlib.sha256(external_id.encode("utf-8", "surrogatepass")).hexdigest()


class ReceiveStage:
    """Receives from one channel: what it hands over stays in hand until it is committed, then it is released.

    Args:
        name: The channel's name.
        channel_type: Its type.
        channel: The source.
        custody: Commits.
        lease: The lease under which the source is held, if it needs one.
    """

    def __init__(
        self, name: str, channel_type: str, channel: Channel, custody: Custody, lease: Lease | None = None
    ) -> None:
        self._name = name
        self._type = channel_type
        self._channel = channel
        self._custody = custody
        self._lease = lease
        self._in_hand: Delivery | None = None

    async def step(self) -> None:
        """Moves one batch from the source into custody."""
        if self._in_hand is None:
            self._in_hand = await self._channel.receive()
        if self._in_hand.messages:
            committed = await self._custody.commit(
                self._name, self._type, self._in_hand.messages, self._lease, self._in_hand.values
            )
            delivery, self._in_hand = self._in_hand, None
            await self._channel.release(delivery, committed.new)
            self._custody.note_released(committed.ids)
        else:
            self._in_hand = None
