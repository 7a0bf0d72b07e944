"""Sampled posts, as the stream and as search bring them, are decided the same way when they are replayed."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from channels.twitter.api import Rule, XApi
from channels.twitter.connection import read_stream
from channels.twitter.posts import from_line, from_page, next_token
from channels.twitter.rules import search_query, wanted_rules
from channels.twitter.settings import TwitterSettings
from gateway.clock import SystemClock
from gateway.demo.x import Credentials, Options, Post, XSimulator
from gateway.demo.x.citizens import ACCOUNT, invent_posts, put
from gateway.plugins import channel_plugins, parsers
from gateway.ports import RawMessage
from gateway.settings.model import ChannelSection
from gateway.store import messages as message_rows
from gateway.store.tables import answers, messages, outbox, reports
from tests.conftest import eventually
from tests.fakes import FakeClock
from tests.integration.kernel import Kernel, kernel_on, settings_for
from tests.soak.x_steps import malformed_lines

CHANNEL = "twitter"
SAMPLES = 250
"""Posts of each of the two ways, about a tenth of which matches no rule."""

_BATCH = 50


async def test_replayed_posts_are_decided_as_before_and_nothing_is_published(store_url: str) -> None:
    """The parser is pure: what `lapor-gateway messages replay` does a second time changes nothing."""
    options = Options(keep_alive_seconds=0.1, search_delay_seconds=0)
    async with XSimulator(options) as x:
        settings = x_settings(x)
        streamed, searched = await sampled(x, settings)
    broken = [from_line(line) for line in malformed_lines(1)]
    sample = [*streamed, *searched, *broken]
    assert min(len(streamed), len(searched)) >= 150
    section = ChannelSection(CHANNEL, channel_plugins()[CHANNEL], settings)
    kernel_settings = settings_for(store_url, channels=[section])
    async with kernel_on(store_url, FakeClock(), parsers=parsers(), settings=kernel_settings) as kernel:
        ids: list[str] = []
        for start in range(0, len(sample), _BATCH):
            batch = sample[start : start + _BATCH]
            ids += await kernel.take(*batch, channel=CHANNEL, channel_type="twitter")
        before = await state_of(kernel)
        decisions = Counter(row["decision"] for row in before["messages"].values())

        async with kernel.store.write() as connection:
            assert len(await message_rows.replay(connection, ids, 1, "a test")) == len(sample)
        kernel.gateway.process._inbox.fall_behind()  # noqa: SLF001 - the command is another process
        await kernel.process()
        await kernel.publish()

        after = await state_of(kernel)
        assert {name for name in before if before[name] != after[name]} == set()
        assert decisions["quarantined"] == len(broken)
        assert min(decisions["report"], decisions["held"], decisions["ignored"], decisions["update"]) > 0


def x_settings(x: XSimulator) -> TwitterSettings:
    """A section that leads to the simulator."""
    keys = Credentials()
    names = ("bearer_token", "consumer_key", "consumer_secret", "access_token", "access_token_secret")
    table = {"type": "twitter", "api_url": x.origin, **{name: getattr(keys, name) for name in names}}
    return TwitterSettings.model_validate(table)


async def sampled(x: XSimulator, settings: TwitterSettings) -> tuple[list[RawMessage], list[RawMessage]]:
    """Invented posts as the channel would take them into custody: some by the stream, the others by search."""
    api = XApi(settings)
    random = Random(1)
    lines: list[bytes] = []
    connected = asyncio.Event()
    try:
        await api.add_rules([Rule(rule.value, rule.tag) for rule in wanted_rules(CHANNEL, ACCOUNT, "LAPOR")])
        reading = asyncio.create_task(
            read_stream(
                settings, SystemClock(), on_connect=connected.set, on_bytes=lambda: None, on_line=lines.append
            )
        )  # fmt: skip
        await connected.wait()
        last = post_some(x, random)[-1]
        await eventually(lambda: len([line for line in lines if line.strip()]) >= x.stream.sent, "all lines")
        reading.cancel()
        await asyncio.wait({reading})
        post_some(x, random)
        searched = await all_pages(api, last.id)
    finally:
        await api.close()
    return [from_line(line) for line in lines if line.strip()], searched


def post_some(x: XSimulator, random: Random) -> Sequence[Post]:
    """Citizens post, with all that they come up with."""
    made: list[Post] = []
    for invented, _ in zip(invent_posts(random), range(SAMPLES), strict=False):
        made.append(put(x.world, invented, made[-30:], random))
    return made


async def all_pages(api: XApi, since_id: str) -> list[RawMessage]:
    """What search knows of the posts since, page by page."""
    found: list[RawMessage] = []
    token: str | None = None
    while True:
        page = await api.recent_search(search_query(ACCOUNT), since_id=since_id, next_token=token)
        found += from_page(page, "search")
        token = next_token(page)
        if token is None:
            return found


async def state_of(kernel: Kernel) -> dict[str, Any]:
    """Everything that a replay could change, but the time of the decision."""
    kept = ("external_id", "state", "decision", "reason", "report_id")
    return {
        "messages": {
            row.id: {name: getattr(row, name) for name in kept} for row in await kernel.rows(messages)
        },
        "reports": await kernel.rows(reports),
        "outbox": await kernel.rows(outbox),
        "answers": await kernel.rows(answers),
    }  # fmt: skip
