"""Every page as people see it: on a telephone and on a desk, light and dark, in both languages; axe-core finds nothing.

The pictures land in ``build/screens/pages``; look at them after every change of the style.
"""

from typing import Any

import pytest

from gateway.actions import senders
from gateway.actions.act import act
from gateway.clock import to_milliseconds
from tests.fakes import FakeClock
from tests.integration.pages_bench import (
    DESKTOP,
    PHONE,
    busy_desk,
    chromium,
    visitor,
    with_messages,
)

PAGES = {
    "overview": "/",
    "messages": "/messages",
    "held": "/messages?state=held",
    "quarantined": "/messages?state=quarantined&channel=sms-1708",
    "message": "/messages/{report}",
    "message-held": "/messages/{held}",
    "message-quarantined": "/messages/{quarantined}",
    "channel": "/channels/twitter",
    "channel-paused": "/channels/email",
    "answers": "/answers",
    "parked": "/answers?state=parked",
    "senders": "/senders?message={report}",
    "audit": "/audit",
    "error": "/messages?cursor=none",
}


@pytest.mark.parametrize("language", ["id", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_accessible_and_fits(sqlite_url: str, clock: FakeClock, language: str, scheme: str) -> None:
    """On a narrow and on a wide screen; no page is wider than it, and none runs a script that fails."""
    async with busy_desk(sqlite_url, clock) as desk, chromium() as browser:
        ids = await with_messages(desk)
        await _block(desk, ids["ignored"])
        await desk.add("budi", "operator")
        faults: list[str] = []
        for width in (PHONE, DESKTOP):
            async with visitor(browser, desk, width, scheme) as somebody:
                await somebody.go("/login")
                faults += await _faults(somebody, f"login-{width}")
                await somebody.login("budi")
                if language == "en":
                    await somebody.page.get_by_role("button", name="English").click()
                    await somebody.page.get_by_role("heading", name="Channels", exact=True).wait_for()
                for name, path in PAGES.items():
                    await somebody.go(path.format(**ids))
                    assert await somebody.page.locator("html").get_attribute("lang") == language
                    await somebody.picture("pages", f"{name}-{width}-{scheme}-{language}")
                    faults += await _faults(somebody, f"{name}-{width}")
        assert faults == []


async def _faults(somebody: Any, name: str) -> list[str]:
    found = [f"{name}: {violation}" for violation in await somebody.violations()]
    if wider := await somebody.overflow():
        found.append(f"{name}: {wider} pixels wider than the screen")
    failed = [line for line in somebody.complaints if "status of 400" not in line]
    somebody.complaints.clear()
    return found + [f"{name}: {line}" for line in failed]


async def _block(desk: Any, message_id: str) -> None:
    kernel = desk.kernel
    async with kernel.store.write() as connection:
        sender = await senders.sender_of_message(connection, kernel.gateway.understanding, message_id)
        assert sender is not None
        what = act("budi", "console", to_milliseconds(kernel.clock.now()), "advertisements again and again")
        await senders.block(connection, sender, what)
