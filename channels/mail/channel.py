"""One mailbox as a channel: mails are taken, committed by the kernel and only then let go of; answers go by SMTP."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from channels.mail.box import Batch, Box, Pace
from channels.mail.identity import external_id, order_key
from channels.mail.imap_box import ImapBox
from channels.mail.maildir_box import MaildirBox
from channels.mail.sender import Sender
from channels.mail.settings import MailSettings
from gateway.clock import Clock, SystemClock
from gateway.errors import ChannelUnavailable
from gateway.findings import Finding
from gateway.ports import ChannelStore, Delivery, Health, OutgoingAnswer, RawMessage, Sent


class MailChannel:
    """Implements :class:`gateway.ports.Channel` for one mailbox.

    Args:
        name: The channel's name.
        settings: Its section of the settings.
        store: What it keeps from one life to the next.
        clock: Tells the time.
        pace: How long everything takes.
    """

    def __init__(
        self,
        name: str,
        settings: MailSettings,
        store: ChannelStore,
        clock: Clock | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._label = f"channels.{name}"
        self._clock = clock or SystemClock()
        self._pace = pace or Pace()
        self._box: Box
        if settings.maildir is not None:
            self._box = MaildirBox(self._label, settings, settings.maildir, self._clock, self._pace)
        else:
            self._box = ImapBox(self._label, settings, store, self._clock, self._pace)
        self._sender = Sender(name, settings, store, self._clock)
        self._state = "new"
        self._last_mail_at: datetime | None = None

    async def open(self) -> None:
        """Connects to the mailbox; answers connect when they are sent."""
        if self._state == "closed":
            raise self._closed()
        await self._box.open()
        self._state = "open"

    async def receive(self) -> Delivery:
        """A batch of mails; waits for them."""
        self._need_open()
        batch = await self._box.next()
        self._need_open()
        messages: dict[str, RawMessage] = {}
        for raw in batch.raws:
            identity = external_id(raw)
            messages.setdefault(identity, RawMessage(identity, raw, order_key(raw, identity)))
        return Delivery(tuple(messages.values()), batch, batch.values)

    async def release(self, delivery: Delivery, new: Collection[str]) -> None:
        """Flags or moves the mails of a batch."""
        batch: Batch = delivery.handle
        if not batch.keys:
            return
        if new:
            self._last_mail_at = self._clock.now()
        await self._box.release(batch)

    async def send(self, answer: OutgoingAnswer) -> Sent:
        """Sends one mail."""
        self._need_open()
        return await self._sender.send(answer)

    async def check(self) -> Sequence[Finding]:
        """Tells what waits in the mailbox, and tries the server that answers go to."""
        waiting = self._box.details().get("waiting_mails") or 0
        mailbox = Finding(f"{self._label} mailbox", "ok", f"It opens; {waiting} mails were found at the first look.")
        return [mailbox, *await self._sender.check()]

    async def health(self) -> Health:
        """How the mailbox is, and the sending of answers."""
        details = self._details()
        if self._state == "new":
            return Health("down", "The mailbox has not been opened yet.", details)
        if self._state == "closed":
            return Health("down", "The channel is closed.", details)
        state, reason = self._box.condition.judge(self._box.skipped, self._clock.monotonic(), self._pace.patience)
        waits_because = details.get("answers_wait_because")
        if state == "up" and waits_because:
            return Health("degraded", waits_because, details)
        return Health(state, reason, details)

    def _details(self) -> dict[str, Any]:
        last = self._last_mail_at
        return {
            **self._box.details(),
            "last_mail_at": last.isoformat() if last else None,
            **self._sender.details(),
        }

    async def close(self) -> None:
        """Ends every connection."""
        self._state = "closed"
        await self._box.close()
        await self._sender.close()

    def _need_open(self) -> None:
        if self._state != "open":
            raise self._closed()

    def _closed(self) -> ChannelUnavailable:
        return ChannelUnavailable(f"{self._label}: the channel is not open.")
