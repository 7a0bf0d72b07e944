"""Whatever citizens write stays text: in SMS, posts, mails, names, reasons; nothing runs, nothing breaks the page."""

import json

import pytest

from gateway.ports import RawMessage
from tests.fakes import FakeClock, fake_message
from tests.integration.pages_bench import NUMBERS, PHONE, busy_desk, chromium, show_channel, visitor

SCRIPT = "<script>document.title='pwned';alert(1)</script>"
HOSTILE = {
    "a script": SCRIPT,
    "an image": '<img src=x onerror="alert(1)">',
    "an attribute breaker": "\"'><svg onload=alert(1)><a href='javascript:alert(1)'>",
    "a closed comment and textarea": "--></textarea></pre></title></script><script>alert(1)</script>",
    "a template": "{{ 7*7 }}{% raw %}${alert(1)}",
    "right to left": "abc\u202egnp.exe\u2066\u200f tail",
    "a very long word": "Z" * 5000,
    "control characters": "bel\x07 esc\x1b[31m nul\x00 del\x7f nel\x85",
    "many marks on one letter": "Z" + "\u0301" * 2000,
    "half a character": "\ud800 alone",
    "an event stream's line": "x\n\nevent: page\ndata: {}\n\n",
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_hostile_text_stays_text(sqlite_url: str, clock: FakeClock, what: str) -> None:
    """On the message's page, in the lists, in the audit log and on the first page."""
    text = HOSTILE[what]
    storable = text.replace("\x00", "").encode("utf-8", "replace").decode()
    async with busy_desk(sqlite_url, clock) as desk, chromium() as browser:
        (report,) = await desk.kernel.take(fake_message("m1", text, f"{NUMBERS}1", name=text))
        (held,) = await desk.kernel.take(fake_message("m2", text, f"{NUMBERS}2", held=storable, name=text))
        mail = f"From: {storable}\r\nSubject: {storable}\r\n\r\n{storable}".encode()
        post = json.dumps({"data": {"text": text, "author": {"name": text}}, text: text}).encode()
        odd = [RawMessage(name, raw, name) for name, raw in (("m3", mail), ("m4", post))]
        ids = [report, held, *await desk.kernel.take(*odd)]
        await show_channel(desk.kernel, "sms-1709", "degraded", storable)
        async with visitor(browser, desk, PHONE) as somebody:
            await somebody.go(f"/messages/{held}")
            await somebody.page.get_by_label("Alasan (tersimpan di catatan audit)").first.fill(storable[:400])
            await somebody.page.get_by_role("button", name="Buang").click()
            await somebody.page.get_by_role("status").wait_for()
            for path in ("/", *(f"/messages/{each}" for each in ids), "/messages", "/audit", "/channels/sms-1709"):
                await somebody.go(path)
                assert await somebody.overflow() == 0, path
                assert "pwned" not in await somebody.page.title()
                assert await somebody.page.locator("main script, main img, main svg[onload]").count() == 0
                assert await somebody.page.evaluate("getComputedStyle(document.querySelector('h1')).direction") == "ltr"
            assert somebody.complaints == []


async def test_what_is_unseen_is_shown(sqlite_url: str, clock: FakeClock) -> None:
    """Characters that turn others round or hide are written out."""
    async with busy_desk(sqlite_url, clock) as desk:
        (message_id,) = await desk.kernel.take(fake_message("m1", HOSTILE["right to left"]))
        page = await (await desk.browser().get(f"/messages/{message_id}")).text()
        assert "abc‹U+202E›gnp.exe‹U+2066›‹U+200F› tail" in page
        assert "\u202e" not in page


@pytest.mark.parametrize("text", [HOSTILE["a script"], HOSTILE["an attribute breaker"]])
async def test_a_search_that_is_code_is_only_a_text(sqlite_url: str, clock: FakeClock, text: str) -> None:
    """It finds what holds it; and what an address says is never believed."""
    async with busy_desk(sqlite_url, clock) as desk, chromium() as browser:
        await desk.kernel.take(fake_message("m1", text, f"{NUMBERS}1"))
        async with visitor(browser, desk) as somebody:
            await somebody.go("/")
            await somebody.page.get_by_role("searchbox").fill(text)
            await somebody.page.keyboard.press("Enter")
            await somebody.page.get_by_role("heading", name="Hasil pencarian").wait_for()
            assert await somebody.page.locator("tbody tr a").count() == 1
            for path in ("/senders?message=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "/?note=%3Cscript%3E"):
                await somebody.go(path)
            assert somebody.complaints == []
