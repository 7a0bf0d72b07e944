"""An operator's day in Debian's Chromium, by keyboard alone, over a whole gateway with a simulated modem.

The pictures land in ``build/screens/journey``.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Locator, expect
from sqlalchemy import Row, Table, select

from gateway.actions import operators
from gateway.actions.act import act
from gateway.application import Gateway
from gateway.clock import SystemClock
from gateway.console import Console
from gateway.parsing import Parsed, Profile
from gateway.plugins import channel_plugins
from gateway.settings.model import ChannelSection, ConsoleSettings
from gateway.stages.loop import Backoff
from gateway.store.tables import audit, messages, reports
from parsers.sms import parse
from tests.conftest import DEADLINE, eventually
from tests.fakes import FAKE_TYPE, RecordingPublisher, fake_message, fake_parse
from tests.integration.console_bench import password_hash
from tests.integration.kernel import settings_for
from tests.integration.pages_bench import DESKTOP, PHONE, Visitor, chromium, visitor
from tests.services import free_port
from tests.simulators.modem import Modem

CITIZEN = "+6281100000001"
POISON = "KAB NGANJUK Jembatan gantung putus"
_MOST_TABS = 80


class Mendable:
    """An SMS parser with a fault in it, until somebody mends it."""

    def __init__(self) -> None:
        self.mended = False

    def __call__(self, raws: Sequence[bytes | None], profile: Profile) -> Parsed:
        parsed = parse(raws, profile)
        if not self.mended and "Jembatan" in parsed.text:
            raise ZeroDivisionError
        return parsed


class House:
    """A gateway at work, its console's address, and what a test does to it from outside."""

    def __init__(self, gateway: Gateway, served: Console, origin: str, modem: Modem, parser: Mendable) -> None:
        self.gateway = gateway
        self.served = served
        self.origin = origin
        self.modem = modem
        self.parser = parser

    async def rows(self, table: Table) -> Sequence[Row[Any]]:
        async with self.gateway.store.read() as connection:
            return (await connection.execute(select(table))).all()


@asynccontextmanager
async def house(url: str) -> AsyncIterator[House]:
    parser = Mendable()
    with Modem() as modem:
        plugin = channel_plugins()["sms"]
        given = {"type": "sms", "device": modem.path, "number": "1708", "timeout": 20, "poll_seconds": 1}
        sections = [ChannelSection("sms-1708", plugin, plugin.settings.model_validate(given))]
        console = ConsoleSettings(listen=f"127.0.0.1:{free_port()}")
        settings = settings_for(url, channels=sections).model_copy(update={"console": console})
        gateway = Gateway(
            settings,
            clock=SystemClock(),
            publisher=RecordingPublisher(),
            parsers={"sms": parser, FAKE_TYPE: fake_parse},
        )
        served = Console(gateway)
        await gateway.start()
        try:
            async with gateway.store.write() as connection:
                await operators.add(connection, "budi", "operator", password_hash(), act("test", "terminal", 1, ""))
            yield House(gateway, served, await served.start(), modem, parser)
        finally:
            await served.stop()
            await gateway.stop()


async def tab_to(somebody: Visitor, wanted: Locator) -> None:
    """Presses Tab until the focus is where one wants to be."""
    for _ in range(_MOST_TABS):
        await somebody.page.keyboard.press("Tab")
        if await wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"Tab does not lead to {wanted}")


async def press(somebody: Visitor, wanted: Locator) -> None:
    """Goes there by Tab and presses Enter."""
    await tab_to(somebody, wanted)
    await somebody.page.keyboard.press("Enter")


async def say_why(somebody: Visitor, button: Locator) -> None:
    """Writes a reason into the first field for one, and presses a button behind it."""
    await tab_to(somebody, somebody.page.get_by_label("Alasan (tersimpan di catatan audit)").first)
    await somebody.page.keyboard.type("sudah diperiksa")
    await press(somebody, button)


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
async def test_an_operator_sees_mends_accepts_and_finds(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """Without a mouse, and without loading a page anew to see what has changed."""
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.2)
    async with house(sqlite_url) as at_home, chromium() as browser, visitor(browser, at_home, width) as budi:
        await budi.login("budi")
        await _sees_a_modem_unplugged(at_home, budi, width)
        await _replays_a_poison_message(at_home, budi, width)
        await _accepts_a_held_post(at_home, budi, width)
        await _finds_a_message(at_home, budi, width)
        acts = {(row.operator, row.action, row.reason) for row in await at_home.rows(audit)}
        assert acts >= {
            ("budi", "message.replay", "sudah diperiksa"),
            ("budi", "message.accept", "sudah diperiksa"),
        }
        assert budi.complaints == []


async def _sees_a_modem_unplugged(at_home: House, budi: Visitor, width: int) -> None:
    card = budi.page.get_by_role("article").filter(has=budi.page.get_by_role("link", name="sms-1708"))
    await expect(card.get_by_text("Berjalan")).to_be_visible()
    at_home.modem.vanish()
    await expect(card.get_by_text("Tidak bekerja")).to_be_visible()
    await expect(budi.page.get_by_role("heading", name="Ada yang tidak bekerja")).to_be_visible()
    await budi.picture("journey", f"1-unplugged-{width}")
    at_home.modem.come_back()
    await expect(card.get_by_text("Berjalan")).to_be_visible()


async def _replays_a_poison_message(at_home: House, budi: Visitor, width: int) -> None:
    at_home.modem.deliver(CITIZEN, POISON)
    need = budi.page.get_by_role("link", name="pesan di karantina")
    await expect(need).to_be_visible()
    await press(budi, need)
    await expect(budi.page.get_by_text("The parser failed")).to_be_visible()
    await budi.picture("journey", f"2-quarantine-{width}")
    at_home.parser.mended = True
    await say_why(
        budi, budi.page.get_by_role("group", name="Semua di halaman ini").get_by_role("button", name="Proses ulang")
    )
    await expect(budi.page.get_by_role("status")).to_contain_text("Selesai: 1")
    await eventually(lambda: _has_report(at_home), "the report of the poison message")


async def _has_report(at_home: House) -> bool:
    return any(row.body and b"Jembatan" in row.body for row in await at_home.rows(reports))


async def _accepts_a_held_post(at_home: House, budi: Visitor, width: int) -> None:
    post = fake_message("p1", "@lapor1708 lampu jalan mati", "+6281100000009", held="It only mentions us.")
    async with asyncio.timeout(DEADLINE):
        await at_home.gateway.custody.commit("x", FAKE_TYPE, [post])
    await press(budi, budi.page.get_by_role("link", name="Ringkasan"))
    need = budi.page.get_by_role("link", name="pesan ditahan")
    await expect(need).to_be_visible()
    await press(budi, need)
    await tab_to(budi, budi.page.get_by_role("row").get_by_role("link"))
    await budi.page.keyboard.press("Enter")
    await expect(budi.page.get_by_role("definition").filter(has_text="It only mentions us.")).to_be_visible()
    await expect(budi.page.get_by_text("+6281•••009")).to_be_visible()
    await budi.picture("journey", f"3-held-{width}")
    await say_why(budi, budi.page.get_by_role("button", name="Terima"))
    await expect(budi.page.get_by_role("status")).to_contain_text("Selesai: 1")


async def _finds_a_message(at_home: House, budi: Visitor, width: int) -> None:
    found = next(row for row in await at_home.rows(reports) if row.body and b"Jembatan" in row.body)
    await tab_to(budi, budi.page.get_by_role("searchbox"))
    await budi.page.keyboard.type(found.tracking_id)
    await budi.page.keyboard.press("Enter")
    await expect(budi.page.get_by_role("heading", level=1)).to_contain_text(found.tracking_id)
    await press(budi, budi.page.get_by_role("row").get_by_role("link"))
    steps = budi.page.get_by_role("region", name="Perjalanan pesan").get_by_role("listitem")
    for step in (
        "dikirim warga",
        "disimpan dengan aman",
        "dilepas dari sumbernya",
        "diproses ulang",
        "diolah: laporan",
    ):
        await expect(steps.filter(has_text=step)).to_have_count(1)
    await budi.picture("journey", f"4-timeline-{width}")
    await press(budi, budi.page.get_by_role("button", name="English"))
    await expect(budi.page.get_by_role("region", name="Custody ledger")).to_be_visible()
    await expect(budi.page.locator("html")).to_have_attribute("lang", "en")
    await expect(budi.page).to_have_url(f"{at_home.origin}/messages/{await _message_of(at_home, found)}")


async def _message_of(at_home: House, report: Row[Any]) -> str:
    rows = await at_home.rows(messages)
    return next(str(row.id) for row in rows if row.report_id == report.id)


async def test_a_gateway_that_is_gone_is_said_to_be_gone(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a banner that says since when, and greyed figures."""
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.2)
    async with chromium() as browser, house(sqlite_url) as at_home, visitor(browser, at_home) as budi:
        await budi.login("budi")
        await expect(budi.page.get_by_role("link", name="sms-1708", exact=True)).to_be_visible()
        await at_home.served.stop()
        await expect(budi.page.get_by_role("alert")).to_contain_text("terputus sejak")
        await budi.picture("journey", "5-lost")
        assert await budi.page.locator("[data-live].stale").count() == 1
        await at_home.served.start()
        await expect(budi.page.get_by_role("alert")).to_be_hidden()


async def test_everything_works_without_scripts(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logging in, looking, acting, another language."""
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.2)
    async with (
        house(sqlite_url) as at_home,
        chromium() as browser,
        visitor(browser, at_home, java_script_enabled=False) as budi,
    ):
        await budi.login("budi")
        await budi.go("/channels/sms-1708")
        await budi.page.get_by_label("Alasan (tersimpan di catatan audit)").first.fill("kartu diganti")
        await budi.page.get_by_role("button", name="Jeda kanal").click()
        await expect(budi.page.get_by_text("Dijeda oleh budi")).to_be_visible()
        await budi.page.get_by_role("button", name="English").click()
        await expect(budi.page.get_by_text("Paused by budi")).to_be_visible()
        await budi.go("/")
        await expect(budi.page.get_by_role("heading", name="Pipeline")).to_be_visible()
