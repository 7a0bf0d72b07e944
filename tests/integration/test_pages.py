"""The operators' pages by themselves: who sees what, what the search finds, what the forms do."""

import re
from typing import Any

import pytest
from sqlalchemy import event

from gateway.console import searching
from gateway.console.pages import visible
from gateway.identifiers import reporter_key
from gateway.settings.model import ChannelSection
from gateway.store import listings
from gateway.store.tables import answers, messages, reports
from tests.fakes import FakeChannels, FakeClock, FakeSettings, fake_message
from tests.integration.console_bench import Browser, Desk, desk_on
from tests.integration.pages_bench import NUMBERS, busy_desk, with_messages

SENDER = f"{NUMBERS}1"
PAGES = [
    "/",
    "/messages",
    "/messages?state=held",
    "/messages?state=&channel=",
    "/answers",
    "/senders",
    "/audit",
    "/channels/sms-1708",
]
FORMS = ["/messages/act", "/channels/sms-1708/act", "/channels/sms-1708/test", "/senders/act"]


async def _page(browser: Browser, path: str, status: int = 200) -> str:
    response = await browser.get(path, headers={"Accept": "text/html"})
    assert response.status == status, path
    return await response.text()


async def _send(browser: Browser, path: str, **fields: Any) -> Any:
    """A form, with the token and as a browser posts it."""
    form = [(name, each) for name, value in fields.items() for each in (value if isinstance(value, list) else [value])]
    return await browser._ask(  # noqa: SLF001 - a form instead of JSON
        "POST", path, data=[("csrf", browser.csrf), ("reason", "a test"), *form], headers={"Accept": "text/html"}
    )


async def _operator(desk: Desk) -> Browser:
    browser = desk.browser()
    await browser.enter()
    return browser


@pytest.mark.parametrize("path", PAGES)
async def test_pages_want_a_login(sqlite_url: str, clock: FakeClock, path: str) -> None:
    """And lead there, and back."""
    async with busy_desk(sqlite_url, clock) as desk:
        await desk.add("budi", "viewer")
        response = await desk.browser().get(path)
        assert (response.status, response.headers["Location"][:12]) == (303, "/login?next=")
        assert (await desk.browser().get("/api/v1/events")).status == 401


async def test_viewers_look_and_do_not_act(sqlite_url: str, clock: FakeClock) -> None:
    """They see no form that acts, no raw evidence, no sender; and what they send is refused."""
    async with busy_desk(sqlite_url, clock) as desk:
        ids = await with_messages(desk)
        (told,) = await desk.kernel.take(fake_message("m9", f"Hubungi saya di {NUMBERS}7 segera", SENDER, name="Budi"))
        viewer = await desk.logged_in("siti", "viewer")
        for path in [*PAGES, f"/messages/{ids['held']}", f"/messages/{told}"]:
            page = await _page(viewer, path)
            acts = set(re.findall(r'<form method="post" action="([^"]*)"', page))
            assert acts <= {"/language", "/logout", "/search"}, path
            assert NUMBERS not in page
            assert "Budi" not in page
        assert "Hubungi saya di ••• segera" in page
        assert "Hanya operator yang melihat bukti asli" in page
        for path in [*FORMS, f"/messages/{told}/sender"]:
            assert (await _send(viewer, path, act="replay", ids=told)).status == 403
        assert [row[0] for row in await desk.audit()] == ["budi"]


@pytest.mark.parametrize("path", [*FORMS, "/search", "/language"])
async def test_forms_want_the_token(sqlite_url: str, clock: FakeClock, path: str) -> None:
    """Another site's form is refused."""
    async with busy_desk(sqlite_url, clock) as desk:
        operator = await _operator(desk)
        operator.csrf = "0" * 64
        assert (await _send(operator, path, act="pause", q="x", language="en")).status == 403


async def test_the_evidence_is_masked_until_somebody_asks(sqlite_url: str, clock: FakeClock) -> None:
    """Operators see it without who wrote it; the whole of it is written down before it is shown."""
    async with busy_desk(sqlite_url, clock) as desk:
        text = f"Jalan rusak, hubungi Budi di {SENDER.replace('+62', '0')}"
        (message_id,) = await desk.kernel.take(fake_message("m1", text, SENDER, name="Budi"))
        (poison,) = await desk.kernel.take(fake_message("m2", "x", SENDER, quarantine="odd"))
        operator = await _operator(desk)
        page = await _page(operator, f"/messages/{message_id}")
        assert "+6281•••001" in page
        assert SENDER not in page
        assert await desk.audit() == []
        opened = await (await _send(operator, f"/messages/{message_id}/sender")).text()
        assert SENDER in opened
        assert "tercatat di catatan audit" in opened
        assert SENDER not in await _page(operator, f"/messages/{poison}")
        assert SENDER in await (await _send(operator, f"/messages/{poison}/sender")).text()
        assert [row[1:3] for row in await desk.audit()] == [("sender.unmask", message_id), ("sender.unmask", poison)]


async def test_many_are_settled_with_one_reason(store_url: str, clock: FakeClock) -> None:
    """Those that are ticked, or all that the page shows; and it says how many were left."""
    async with busy_desk(store_url, clock) as desk:
        held = await desk.kernel.take(*(fake_message(f"m{n}", held="a mention") for n in range(4)))
        (done,) = await desk.kernel.take(fake_message("m9"))
        operator = await _operator(desk)
        back = "/messages?state=held&note=x"
        answer = await _send(operator, "/messages/act", act="accept", ids=[held[0], done], back=back)
        assert answer.headers["Location"] == "/messages?state=held&done=1&left=1"
        assert "Selesai: 1. Tidak berubah: 1." in await _page(operator, answer.headers["Location"])
        answer = await _send(
            operator, "/messages/act", act="discard:all", ids=[], shown=held[1:], back="//evil.example"
        )
        assert answer.headers["Location"] == "/?done=3&left=0"
        states = [(await desk.kernel.row(messages, id=each)).state for each in held]
        assert states == ["received", "discarded", "discarded", "discarded"]
        for wrong in ({"act": "replay", "ids": []}, {"act": "erase", "ids": held}, {"act": "replay", "ids": ["x"]}):
            assert (await _send(operator, "/messages/act", **wrong)).status in (400, 422)


async def test_lists_are_paged_by_key(store_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message once, newest first; one channel's are looked for a window at a time."""
    monkeypatch.setattr("gateway.console.looking.ON_A_PAGE", 3)
    monkeypatch.setattr(listings, "WINDOW", 5)
    async with busy_desk(store_url, clock) as desk:
        ids = await desk.kernel.take(*(fake_message(f"m{n}", f"Lampu {n} mati") for n in range(7)), channel="sms-1708")
        others = await desk.kernel.take(*(fake_message(f"n{n}", f"Pohon {n} tumbang") for n in range(6)))
        browser = await _operator(desk)
        assert await _walk(browser, "/messages") == [*reversed(others), *reversed(ids)]
        assert await _walk(browser, "/messages?channel=sms-1708") == [*reversed(ids)]
        assert await _walk(browser, "/messages?state=processed&channel=email") == []
        key = reporter_key("phone", "+6281100000001")
        assert await _walk(browser, f"/messages?sender={key}") == [*reversed(others), *reversed(ids)]


async def _walk(browser: Browser, path: str) -> list[str]:
    """The ids of all pages from here on."""
    seen: list[str] = []
    while True:
        page = await _page(browser, path)
        seen += re.findall(r'name="shown" value="([^"]*)"', page)
        older = re.search(r'href="([^"]*)" rel="next"', page)
        if older is None:
            return seen
        path = path.partition("?")[0] + older[1].replace("&amp;", "&")


async def test_lists_of_what_is_open_are_read_from_an_index(sqlite_url: str, clock: FakeClock) -> None:
    """However many messages are done."""
    async with busy_desk(sqlite_url, clock) as desk:
        plans: list[str] = []

        def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
            if statement.startswith("SELECT messages.id") and "EXPLAIN" not in statement:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.append(" ".join(str(row[-1]) for row in plan))

        async with desk.kernel.store.read() as connection:
            event.listen(connection.sync_connection, "before_cursor_execute", explain)
            for state in ("held", "quarantined", "received", "discarded"):
                await listings.page(connection, state=state, channel=None, before="f", limit=50)
            await listings.of_sender(connection, "0" * 32, "f", 50)
            await listings.of_tracking_id(connection, "1234567897", "f", 50)
        assert plans
        for plan in plans:
            assert re.search(r"USING INDEX ix_messages_(open|reporter|report|unprocessed)", plan), plan


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("{tracking_id}", id="tracking ID"),
        pytest.param("{message_id}", id="message"),
        pytest.param("{key}", id="hashed key"),
        pytest.param("+62 811-0000-001", id="number"),
        pytest.param("08110000001", id="number as it is dialled"),
        pytest.param("jembatan GANTUNG", id="text"),
        pytest.param('kata "sakti"', id="text with quotes"),
    ],
)
async def test_the_search_finds(store_url: str, clock: FakeClock, query: str) -> None:
    """By what one knows of a message; an address never stands in the page's address."""
    async with busy_desk(store_url, clock) as desk:
        text = 'Jembatan gantung putus, kata "sakti"'
        (message_id,) = await desk.kernel.take(fake_message("m1", text, SENDER))
        await desk.kernel.take(fake_message("m2", "Lampu mati", f"{NUMBERS}2"))
        tracking_id = next(row.tracking_id for row in await desk.kernel.rows(reports) if b"Jembatan" in row.body)
        browser = await _operator(desk)
        known = {"tracking_id": tracking_id, "message_id": message_id, "key": reporter_key("phone", SENDER)}
        answer = await _send(browser, "/search", q=query.format(**known))
        if answer.status == 303:
            place = answer.headers["Location"]
            assert "811" not in place or place.startswith("/messages/")
            page = await _page(browser, place)
        else:
            page = await answer.text()
            assert "2 pesan terbaru" in page
        assert message_id in page
        assert page.count("<tr>") <= 2


async def test_the_search_for_a_text_is_bounded(
    sqlite_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how far it looked; words of our own making are not found; quarantined bytes are."""
    monkeypatch.setattr(searching, "NEWEST", 4)
    monkeypatch.setattr(searching, "_CHUNK", 2)
    async with desk_on(sqlite_url, clock) as desk:
        await desk.kernel.take(*(fake_message(f"m{n}", f"Pohon {n} tumbang", f"{NUMBERS}{n}") for n in range(5)))
        await desk.kernel.take(fake_message("odd", "Tiang roboh", quarantine="odd"))
        browser = await _operator(desk)
        page = await (await _send(browser, "/search", q="Pohon")).text()
        assert "4 pesan terbaru" in page
        assert page.count('name="shown"') == 3
        assert 'name="shown"' not in await (await _send(browser, "/search", q="tracking_id")).text()
        assert (await (await _send(browser, "/search", q="roboh")).text()).count('name="shown"') == 1


async def test_a_channel_is_paused_resumed_and_tested(sqlite_url: str, clock: FakeClock) -> None:
    """Each with its reason; and a number that is none is refused."""
    async with busy_desk(sqlite_url, clock) as desk:
        operator = await _operator(desk)
        paused = await _send(operator, "/channels/sms-1708/act", act="pause")
        assert "Dijeda oleh lokal" in await _page(operator, paused.headers["Location"])
        assert (await _send(operator, "/channels/sms-1708/act", act="pause")).headers["Location"].endswith("unchanged")
        await _send(operator, "/channels/sms-1708/act", act="resume")
        sent = await _send(operator, "/channels/sms-1708/test", to=SENDER, text="uji")
        assert "masuk antrean kirim" in await _page(operator, sent.headers["Location"])
        assert (await desk.kernel.row(answers)).recipient == SENDER
        assert (await _send(operator, "/channels/sms-1708/test", to="0811", text="uji")).status == 422
        assert (await _send(operator, "/channels/nowhere/act", act="pause")).status == 404
        assert [row[1] for row in await desk.audit()] == ["channel.pause", "channel.resume", "channel.test"]


async def test_an_erasure_wants_to_be_meant(store_url: str, clock: FakeClock) -> None:
    """Without the tick nothing is erased; with it the page says how much."""
    async with busy_desk(store_url, clock) as desk:
        (message_id,) = await desk.kernel.take(fake_message("m1", "Jalan rusak", SENDER))
        operator = await _operator(desk)
        assert message_id in await _page(operator, f"/senders?message={message_id}")
        how = {"act": "erase", "how": "message", "which": message_id}
        refused = await _send(operator, "/senders/act", **how)
        assert (refused.status, "belum ada yang dihapus" in await refused.text()) == (422, True)
        assert (await desk.kernel.row(messages, id=message_id)).raw is not None
        erased = await _send(operator, "/senders/act", sure="yes", **how)
        assert "Dikosongkan: 1 pesan, 1 laporan" in await erased.text()
        assert (await desk.kernel.row(messages, id=message_id)).raw is None
        assert "Sudah dikosongkan" in await _page(operator, f"/messages/{message_id}")


async def test_a_sender_is_blocked_from_the_message(sqlite_url: str, clock: FakeClock) -> None:
    """And unblocked there; the list names the key only."""
    async with busy_desk(sqlite_url, clock) as desk:
        (message_id,) = await desk.kernel.take(fake_message("m1", "Jalan rusak", SENDER))
        operator = await _operator(desk)
        key, back = reporter_key("phone", SENDER), f"/messages/{message_id}"
        form = {"how": "reporter", "which": key, "back": back}
        answer = await _send(operator, "/senders/act", act="block", **form)
        assert answer.headers["Location"].startswith(back)
        assert "Cabut blokir" in await _page(operator, back)
        assert key[:12] in await _page(operator, "/senders")
        await _send(operator, "/senders/act", act="unblock", **form)
        assert "Blokir pengirim" in await _page(operator, back)


async def test_a_language_is_kept_and_whole(sqlite_url: str, clock: FakeClock) -> None:
    """By a cookie; an unknown one is refused, and it leads to no other site."""
    async with busy_desk(sqlite_url, clock) as desk:
        browser = await _operator(desk)
        assert 'lang="id"' in await _page(browser, "/audit")
        answer = await _send(browser, "/language", language="en", next="/audit")
        assert (answer.status, answer.headers["Location"]) == (303, "/audit")
        assert "Audit log" in await _page(browser, "/audit")
        assert (await _send(browser, "/language", language="en", next="//evil.example")).headers["Location"] == "/"
        assert (await _send(browser, "/language", language="xx")).status == 400


async def test_errors_are_pages_for_people_and_json_for_programs(sqlite_url: str, clock: FakeClock) -> None:
    """Both with a sentence."""
    async with desk_on(sqlite_url, clock) as desk:
        nobody = "/messages/01900000-0000-7000-8000-000000000000"
        page = await _page(desk.browser(), nobody, 404)
        assert "Tidak ditemukan" in page
        assert "there is no such message" in page
        assert "application/json" in (await desk.browser().get(nobody)).headers["Content-Type"]
        assert "Tidak ditemukan" in await _page(desk.browser(), "/nowhere", 404)


async def test_a_note_cannot_be_put_into_somebodys_mouth(sqlite_url: str, clock: FakeClock) -> None:
    """A link says nothing on the page but what the catalogue has."""
    async with desk_on(
        sqlite_url, clock, channels=[ChannelSection("a", FakeChannels().plugin(), FakeSettings())]
    ) as desk:
        for query in ("note=Your+account", "done=1&left=%3Cb%3E", "done=99999&left=99999", "note=one%00"):
            page = await _page(desk.browser(), f"/messages?{query}")
            assert 'role="status"' not in page, query


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ntext\t.", "plain\ntext\t."),
        ("\u202e", "‹U+202E›"),
        ("\x00\x1b", "␀␛"),
        ("\x7f\x85", "‹U+007F›‹U+0085›"),
        ("\ud800", "‹U+D800›"),
    ],
)
def test_unseen_characters_are_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
