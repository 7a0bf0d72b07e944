"""A console with something to show, and people who sit before it in Debian's Chromium."""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, async_playwright, expect

from gateway.actions import channels as channel_acts
from gateway.actions.act import act
from gateway.clock import to_milliseconds
from gateway.identifiers import uuid7
from gateway.settings.model import ChannelSection
from gateway.store import channel_states, rates
from gateway.store.channel_states import ChannelRow
from gateway.store.tables import answers, gaps
from tests.conftest import DEADLINE
from tests.fakes import FakeChannels, FakeClock, FakeSettings, fake_message
from tests.integration.console_bench import PASSWORD, Desk, desk_on
from tests.integration.kernel import Kernel

SCREENS: Final = Path(__file__).parents[2] / "build" / "screens"
"""Where the pictures land; not committed."""

PHONE, DESKTOP = 375, 1440
NUMBERS: Final = "+62811000000"
expect.set_options(timeout=DEADLINE * 1000)
_CHROMIUM: Final = ("chromium", "chromium-browser")
_AXE: Final = Axe()
_RULES: Final = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

CHANNELS: Final[tuple[tuple[str, str, str, str, Mapping[str, Any]], ...]] = (
    ("sms-1708", "sms", "up", "", {"signal_percent": 71, "operator": "Telkomsel", "sim_used": 3, "sim_size": 50}),
    (
        "sms-1709",
        "sms",
        "down",
        "The modem /dev/lapor-1709 does not answer: look at its cable and its power.",
        {"signal_percent": 6, "operator": "Indosat", "sim_used": 47, "sim_size": 50},
    ),
    (
        "twitter",
        "twitter",
        "degraded",
        "Tidak ada pesan selama 3 jam; biasanya ±40 pesan (peluang kebetulan 1 : 100.000).",
        {
            "stream": "open",
            "stream_age_seconds": 12,
            "connects_15_minutes": 2,
            "waiting_posts": 0,
            "search_lag_seconds": 65,
            "answers_wait_until": "2026-11-01T08:30:00+00:00",
            "silence": {
                "odds": 100000,
                "expected": 40,
                "count": 0,
                "id": "Tidak ada pesan selama 3 jam; biasanya ±40 pesan (peluang kebetulan 1 : 100.000).",
                "en": "No message for 3 hours; usually about 40 (odds 1 : 100,000).",
            },
        },
    ),
    ("email", "mail", "up", "", {"waiting_mails": 4, "oldest_waiting_seconds": 190, "skipped_mails": 0}),
)


def chromium_path() -> str:
    """Debian's Chromium."""
    for name in _CHROMIUM:
        if found := shutil.which(name):
            return found
    pytest.fail("Chromium is missing: sh tests/services/install.sh")


@asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    """One browser; nothing is downloaded, nothing is asked of the network."""
    options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
    async with async_playwright() as player:
        browser = await player.chromium.launch(executable_path=chromium_path(), args=options)
        try:
            yield browser
        finally:
            await browser.close()


class HasOrigin(Protocol):
    """Where a console is."""

    origin: str


class Visitor:
    """Somebody before a screen. What the page's scripts complain of is kept, and what they try is watched."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.complaints: list[str] = []
        page.set_default_timeout(DEADLINE * 1000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))

    async def go(self, path: str) -> None:
        """Opens a page."""
        await self.page.goto(self.origin + path, wait_until="domcontentloaded")

    async def login(self, name: str) -> None:
        """As a person does it, with the keyboard."""
        await self.go("/login")
        await self.page.get_by_label("Nama").fill(name)
        await self.page.get_by_label("Kata sandi").fill(PASSWORD)
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_url(f"{self.origin}/")

    async def violations(self) -> list[str]:
        """What axe-core finds on the page: the rule and the element."""
        found = (await _AXE.run(self.page, options=_RULES)).response["violations"]
        return [
            f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')}"
            for one in found
            for node in one["nodes"]
        ]

    async def overflow(self) -> int:
        """Pixels by which the page is wider than the screen."""
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(await self.page.evaluate(wider))

    async def picture(self, folder: str, name: str) -> None:
        """Keeps what is seen."""
        path = SCREENS / folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=path, full_page=True)


@asynccontextmanager
async def visitor(
    browser: Chromium, desk: HasOrigin, width: int = DESKTOP, scheme: Any = "light", **more: Any
) -> AsyncIterator[Visitor]:
    """A fresh profile on a screen of this width."""
    size: Any = {"width": width, "height": 900 if width > 600 else 720}
    context = await browser.new_context(viewport=size, color_scheme=scheme, locale="id-ID", **more)
    try:
        yield Visitor(await context.new_page(), desk.origin)
    finally:
        await context.close()


@asynccontextmanager
async def busy_desk(url: str, clock: FakeClock, **console: Any) -> AsyncIterator[Desk]:
    """Four channels, a day's figures, and a few messages of each kind."""
    plugin = FakeChannels().plugin(writes_to=r"\+[0-9]+")
    sections = [ChannelSection(name, plugin, FakeSettings()) for name, *_ in CHANNELS]
    async with desk_on(url, clock, channels=sections, **console) as desk:
        await _show_channels(desk.kernel)
        await _fill_rates(desk.kernel)
        yield desk


async def _show_channels(kernel: Kernel) -> None:
    now = to_milliseconds(kernel.clock.now())
    async with kernel.store.write() as connection:
        for name, kind, state, reason, details in CHANNELS:
            row = ChannelRow(name, kind, state, reason, now - 3_600_000, now - 90_000, details, now)
            await channel_states.save(connection, row)
        lost = {"since": now - 7_200_000, "until": now - 6_900_000, "state": "lost", "found": 2}
        reason = "The stream was cut; the search found what it could."
        await connection.execute(gaps.insert().values(channel="twitter", path="stream", reason=reason, **lost))


async def show_channel(kernel: Kernel, name: str, state: Any, reason: str) -> None:
    """Has a channel be in this state from now on, as the process that runs it would."""
    kind, details = next((kind, details) for each, kind, _, _, details in CHANNELS if each == name)
    now = to_milliseconds(kernel.clock.now())
    async with kernel.store.write() as connection:
        await channel_states.save(connection, ChannelRow(name, kind, state, reason, now, now, details, now))


async def _fill_rates(kernel: Kernel) -> None:
    """A day with a morning and an afternoon."""
    now = kernel.clock.now()
    async with kernel.store.write() as connection:
        for five in range(288):
            moment = now - timedelta(minutes=5 * five)
            busy = max(0, 14 - abs(moment.hour - 3) * 2) + max(0, 11 - abs(moment.hour - 8) * 2)
            counted: dict[tuple[str, str], int] = {
                (name, step): (busy * (place + 1) + five * 7 % 5) // 2
                for place, (name, *_) in enumerate(CHANNELS)
                for step in rates.STEPS
            }
            await rates.add(connection, counted, to_milliseconds(moment))


async def with_messages(desk: Desk) -> dict[str, str]:
    """One message of each kind, by what it is."""
    kernel = desk.kernel
    kinds = {
        "report": fake_message("m1", "KAB NGANJUK Jalan di depan pasar rusak sejak Senin.", f"{NUMBERS}1", name="Budi"),
        "held": fake_message(
            "m2", "@lapor1708 lampu jalan mati tiga malam", f"{NUMBERS}2", held="It only mentions us."
        ),
        "quarantined": fake_message("m3", "Rusak", f"{NUMBERS}3", quarantine="The text is no known alphabet."),
        "ignored": fake_message("m4", "Kode OTP Anda 4711", f"{NUMBERS}4", not_a_report="A one-time code."),
    }
    ids = await kernel.take(*kinds.values(), channel="sms-1708")
    now = to_milliseconds(kernel.clock.now())
    failed = {"id": uuid7(), "message_id": ids[0], "channel": "sms-1708", "kind": "reply", "state": "failed"}
    times = {"created_at": now, "next_at": now, "reason": "The network refused it (38)."}
    async with kernel.store.write() as connection:
        await connection.execute(answers.insert().values(**failed, **times))
        what = act("budi", "console", now, "the cable is being replaced")
        await channel_acts.pause(connection, "email", what)
    return dict(zip(kinds, ids, strict=True))
