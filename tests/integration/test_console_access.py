"""Who may enter the console: passwords, sessions, CSRF tokens, roles, single sign-on; and who may not."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select
from yarl import URL

from gateway.actions import operators as operator_acts
from gateway.actions.act import act
from gateway.console import Console, web
from gateway.console.throttle import FOR_A_NAME, WINDOW_SECONDS
from gateway.errors import SettingsError, StoreFull
from gateway.store.tables import audit, metadata, operators, sessions
from tests.conftest import DEADLINE
from tests.fakes import FakeClock, fake_message
from tests.integration.console_bench import PASSWORD, WHY, Desk, desk_on, password_hash
from tests.integration.kernel import kernel_on, settings_for

ACTS = [
    "/api/v1/messages/replay",
    "/api/v1/messages/01900000-0000-7000-8000-000000000000/accept",
    "/api/v1/messages/01900000-0000-7000-8000-000000000000/sender",
    "/api/v1/channels/fake-1/pause",
    "/api/v1/channels/fake-1/resume",
    "/api/v1/channels/fake-1/test",
    "/api/v1/senders/block",
    "/api/v1/senders/unblock",
    "/api/v1/senders/erase",
]
FORM = "application/x-www-form-urlencoded"
LOOKS = ["/", "/api/v1/channels", "/api/v1/messages", "/api/v1/audit", "/api/v1/senders/blocked", "/api/v1/session"]


async def _everything(desk: Desk) -> str:
    """Every value of every table, as text."""
    async with desk.kernel.store.read() as connection:
        rows = [row for table in metadata.sorted_tables for row in await connection.execute(select(table))]
    return repr(rows)


async def test_only_hashes_of_passwords_and_tokens_are_kept(store_url: str, clock: FakeClock) -> None:
    """Whoever reads the database can log in nowhere."""
    async with desk_on(store_url, clock) as desk:
        browser = await desk.logged_in("budi", "operator")
        (cookie,) = browser.session.cookie_jar
        kept = await _everything(desk)
        assert PASSWORD not in kept
        assert cookie.value not in kept
        assert browser.csrf not in kept
        assert (await desk.kernel.row(operators)).password.startswith("$argon2id$")
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
        assert await desk.kernel.count(audit, action="session.open", operator="budi") == 1


@pytest.mark.parametrize("path", LOOKS)
async def test_nobody_looks_without_a_login(sqlite_url: str, clock: FakeClock, path: str) -> None:
    """Pages lead to the login and back again, the API says no."""
    async with desk_on(sqlite_url, clock) as desk:
        await desk.add("budi", "viewer")
        answer = await desk.browser().get(path)
        if path == "/":
            assert (answer.status, answer.headers["Location"]) == (303, "/login?next=/")
        else:
            assert answer.status == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/login", "/style.css"])
async def test_probes_and_the_login_are_open(sqlite_url: str, clock: FakeClock, path: str) -> None:
    """Kubernetes and Prometheus log in nowhere."""
    async with desk_on(sqlite_url, clock) as desk:
        await desk.add("budi", "viewer")
        assert (await desk.browser().get(path)).status in (200, 503)


@pytest.mark.parametrize("path", ACTS)
async def test_a_viewer_looks_and_does_not_act(sqlite_url: str, clock: FakeClock, path: str) -> None:
    """Whatever the body says, and nothing is written down."""
    async with desk_on(sqlite_url, clock) as desk:
        browser = await desk.logged_in("siti", "viewer")
        assert (await browser.get("/api/v1/channels")).status == 200
        assert (await browser.post(path)).status == 403
        assert await desk.audit() == []


@pytest.mark.parametrize("path", [*ACTS, "/logout"])
@pytest.mark.parametrize("token", ["", "0" * 64, "ñ"], ids=["missing", "wrong", "not even ASCII"])
async def test_what_no_page_of_ours_sends_is_refused(sqlite_url: str, clock: FakeClock, path: str, token: str) -> None:
    """The cookie alone is not enough for anything that changes something."""
    async with desk_on(sqlite_url, clock) as desk:
        browser = desk.browser()
        await browser.enter()  # nobody has to log in here: the guard is the same
        headers = {"X-CSRF-Token": token} if token else {}
        answer = await browser._ask("POST", path, json=WHY, headers=headers)  # noqa: SLF001 - without the token
        assert answer.status == 403


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["another origin", "no origin", "another site"],
)
async def test_another_site_is_refused_even_with_the_token(
    sqlite_url: str, clock: FakeClock, headers: dict[str, str]
) -> None:
    """A second lock behind the first."""
    async with desk_on(sqlite_url, clock) as desk:
        browser = await desk.logged_in("budi", "operator")
        assert (await browser.post("/api/v1/channels/fake-1/pause", headers=headers)).status == 403
        same = {"Origin": desk.origin}
        assert (await browser.post("/api/v1/channels/fake-1/pause", headers=same)).status == 404


async def test_a_token_is_of_one_session_only(sqlite_url: str, clock: FakeClock) -> None:
    """Neither another operator's nor one's own of before the login."""
    async with desk_on(sqlite_url, clock) as desk:
        budi, siti = await desk.logged_in("budi", "operator"), await desk.logged_in("siti", "operator")
        own, budi.csrf = budi.csrf, siti.csrf
        assert (await budi.post("/api/v1/channels/fake-1/pause")).status == 403
        budi.csrf = own
        assert (await budi.post("/api/v1/channels/fake-1/pause")).status == 404


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        pytest.param([50.0] * 10, 200, id="used again and again"),
        pytest.param([61.0], 401, id="unused for too long"),
        pytest.param([50.0] * 15, 401, id="used again and again, but too old"),
    ],
)
async def test_a_session_ends_by_itself(store_url: str, clock: FakeClock, steps: list[float], status: int) -> None:
    """After an hour without a request, and after twelve hours in any case; ``steps`` in minutes."""
    async with desk_on(store_url, clock) as desk:
        browser = await desk.logged_in("budi", "viewer")
        answered = 0
        for minutes in steps:
            clock.advance(minutes=minutes)
            answered = (await browser.get("/api/v1/session")).status
        assert answered == status


async def test_a_session_ends_with_the_logout_a_new_password_and_the_removal(store_url: str, clock: FakeClock) -> None:
    """At once; and another role holds from the next request on."""
    async with desk_on(store_url, clock) as desk:
        browser = await desk.logged_in("budi", "operator")
        await desk.add("siti", "operator")  # else nobody had to log in at the end
        await desk.kernel.change(operators, operators.c.name == "budi", role="viewer")
        assert (await browser.enter())["role"] == "viewer"
        stolen = {cookie.key: cookie.value for cookie in browser.session.cookie_jar}
        assert (await browser.post("/logout")).status == 303
        assert (await desk.browser().get("/api/v1/session", cookies=stolen)).status == 401
        assert await desk.kernel.count(sessions) == 0
        what = act("test", "terminal", 1, "")
        assert await browser.login("budi") == 303
        async with desk.kernel.store.write() as connection:
            await operator_acts.set_password(connection, "budi", password_hash(), what)
        assert (await browser.enter())["status"] == 401
        assert await browser.login("budi") == 303
        async with desk.kernel.store.write() as connection:
            await operator_acts.remove(connection, "budi", what)
        assert (await browser.enter())["status"] == 401


async def test_the_eleventh_session_ends_the_first(sqlite_url: str, clock: FakeClock) -> None:
    """The table stays small whoever logs in how often."""
    async with desk_on(sqlite_url, clock) as desk:
        first = await desk.logged_in("budi", "viewer")
        for _ in range(10):
            clock.advance(seconds=1)
            assert await desk.browser().login("budi") == 303
        assert await desk.kernel.count(sessions) == 10
        assert (await first.get("/api/v1/session")).status == 401


@pytest.mark.parametrize("name", ["budi", "nobody", "lokal", "", "x\u0000y", "sso"])
async def test_a_wrong_login_says_the_same_whatever_was_wrong(sqlite_url: str, clock: FakeClock, name: str) -> None:
    """A known name, an unknown one, none at all, and one that has no password."""
    async with desk_on(sqlite_url, clock) as desk:
        await desk.add("budi", "viewer")
        await desk.add("sso", "viewer", None)
        browser = desk.browser()
        assert await browser.login(name, "a-wrong-password") == 401
        assert await desk.kernel.count(sessions) == 0


async def test_guessing_is_slowed_down_and_the_right_password_waits_too(sqlite_url: str, clock: FakeClock) -> None:
    """By name, wherever the tries come from; ten minutes later all is well."""
    async with desk_on(sqlite_url, clock) as desk:
        await desk.add("budi", "viewer")
        guesser = desk.browser()
        tried = [await guesser.login("budi", f"guess number {number}") for number in range(FOR_A_NAME)]
        assert set(tried) == {401}
        assert await desk.browser("127.0.0.9").login("budi") == 429
        clock.advance(seconds=WINDOW_SECONDS)
        assert await desk.browser().login("budi") == 303


async def test_the_login_leads_nowhere_else(sqlite_url: str, clock: FakeClock) -> None:
    """What was wanted is a page of ours, or the first page."""
    async with desk_on(sqlite_url, clock) as desk:
        await desk.add("budi", "viewer")
        for wanted, led in [
            ("/api/v1/audit?limit=3", "/api/v1/audit?limit=3"),
            ("//evil.example/", "/"),
            ("/\\evil.example/", "/"),
            ("https://evil.example/", "/"),
            ("javascript:alert(1)", "/"),
        ]:
            browser = desk.browser()
            page = await (await browser.get("/login")).text()
            form = {"csrf": page.partition('name="csrf" value="')[2].partition('"')[0], "name": "budi"}
            form |= {"password": PASSWORD, "next": wanted}
            answer = await browser._ask("POST", "/login", data=form)  # noqa: SLF001 - with another goal
            assert (answer.status, answer.headers["Location"]) == (303, led)


@pytest.mark.parametrize(
    ("local", "named", "status"),
    [
        pytest.param("127.0.0.3", "Budi", 200, id="the proxy"),
        pytest.param("127.0.0.3", "nobody", 403, id="the proxy, with an unknown name"),
        pytest.param("127.0.0.3", "", 403, id="the proxy, without a name"),
        pytest.param("127.0.0.4", "budi", 401, id="somebody who pretends"),
    ],
)
async def test_single_sign_on_is_believed_from_the_proxy_only(
    sqlite_url: str, clock: FakeClock, local: str, named: str, status: int
) -> None:
    """From any other address the header means nothing."""
    proxy: dict[str, Any] = {"proxy_header": "X-Remote-User", "trusted_proxies": ("127.0.0.3",)}
    async with desk_on(sqlite_url, clock, **proxy) as desk:
        await desk.add("budi", "operator", None)
        browser = desk.browser(local, {"X-Remote-User": named})
        told = await browser.enter()
        assert told["status"] == status
        if status == 200:
            assert (told["name"], told["via"]) == ("budi", "proxy")
            assert (await browser.post("/api/v1/channels/fake-1/pause")).status == 404
            browser.csrf = ""
            assert (await browser.post("/api/v1/channels/fake-1/pause")).status == 403


async def test_a_name_that_is_told_twice_is_no_name(sqlite_url: str, clock: FakeClock) -> None:
    """A proxy that adds its header to the client's own lets the client choose."""
    proxy: dict[str, Any] = {"proxy_header": "X-Remote-User", "trusted_proxies": ("127.0.0.1",)}
    async with desk_on(sqlite_url, clock, **proxy) as desk:
        await desk.add("budi", "operator", None)
        twice = [("X-Remote-User", "budi"), ("X-Remote-User", "siti")]
        assert (await desk.browser().get("/api/v1/session", headers=twice)).status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 200, id="this machine"),
        pytest.param({"Host": "localhost:8080"}, 200, id="by its name"),
        pytest.param({"Host": "evil.example"}, 401, id="by a name that was made to point here"),
        pytest.param({"X-Forwarded-For": "203.0.113.7"}, 401, id="through a proxy"),
    ],
)
async def test_without_operators_only_this_machine_comes_in(
    sqlite_url: str, clock: FakeClock, headers: dict[str, str], status: int
) -> None:
    """And the page says that everybody here may."""
    async with desk_on(sqlite_url, clock) as desk:
        answer = await desk.browser().get("/api/v1/session", headers=headers)
        assert answer.status == status
        if status == 200:
            assert (await answer.json())["name"] == "lokal"
            assert "Belum ada operator" in await (await desk.browser().get("/")).text()


async def test_the_first_operator_closes_the_door(sqlite_url: str, clock: FakeClock) -> None:
    """Without a restart."""
    async with desk_on(sqlite_url, clock) as desk:
        browser = desk.browser()
        assert (await browser.enter())["status"] == 200
        await desk.add("budi", "viewer")
        assert (await browser.enter())["status"] == 401


async def test_a_console_that_others_reach_needs_an_operator(sqlite_url: str, clock: FakeClock) -> None:
    """It says so in a sentence that names the setting and the command."""
    console = settings_for(sqlite_url).console.model_copy(update={"listen": "0.0.0.0:0"})
    settings = settings_for(sqlite_url).model_copy(update={"console": console})
    async with kernel_on(sqlite_url, clock, settings=settings) as kernel:
        served = Console(kernel.gateway)
        with pytest.raises(SettingsError, match="lapor-gateway operator add NAME") as refused:
            await served.start()
        assert refused.value.key == "console.listen"
        await Desk(kernel, "").add("budi", "viewer")
        try:
            assert (await served.start()).startswith("http://")
        finally:
            await served.stop()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/messages/..%2f..%2fetc%2fpasswd",
        "/api/v1/messages/%00",
        "/api/v1/messages/01900000-0000-7000-8000-00000000000%00",
        "/../../etc/passwd",
        "/static/../server.py",
        "/style.css/..%2fserver.py",
        "/API/v1/messages",
        "//api/v1/messages",
    ],
)
async def test_path_tricks_lead_nowhere(store_url: str, clock: FakeClock, path: str) -> None:
    """Nothing but 404, whoever asks."""
    async with desk_on(store_url, clock) as desk:
        browser = desk.browser()
        async with browser.session.get(URL(desk.origin + path, encoded=True), allow_redirects=False) as answer:
            assert answer.status == 404
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "query", ["cursor=%00", "channel=%00", "state=%00", "limit=%00", "cursor='--", "channel=" + "x" * 99]
)
async def test_queries_that_mean_nothing_break_nothing(store_url: str, clock: FakeClock, query: str) -> None:
    """A database never sees what it cannot hold."""
    async with desk_on(store_url, clock) as desk:
        answer = await desk.browser().get(f"/api/v1/messages?{query}")
        assert answer.status in (200, 400)


async def test_a_body_has_its_limits(sqlite_url: str, clock: FakeClock) -> None:
    """In size, in kind, in shape; each with a sentence, and none with what was sent."""
    async with desk_on(sqlite_url, clock) as desk:
        ids = await desk.kernel.take(fake_message("m1", quarantine="odd"))
        browser = desk.browser()
        await browser.enter()
        path = f"/api/v1/messages/{ids[0]}/discard"
        assert (await browser.post(path, {"reason": "x" * 70_000})).status == 413
        token = {"X-CSRF-Token": browser.csrf}
        plain = await browser._ask("POST", path, data=b"{}", headers=token | {"Content-Type": "text/plain"})  # noqa: SLF001
        assert plain.status == 415
        for body, status, field in [
            (b"{", 400, ""),
            (b"[" * 30_000, 400, ""),
            (b'{"reason": ""}', 422, "reason"),
            (b'{"reason": 7}', 422, "reason"),
            (b'{"reason": "x", "colour": "RAHASIA"}', 422, "colour"),
            (b"{}", 422, "reason"),
            (b"[]", 422, ""),
        ]:
            headers = token | {"Content-Type": "application/json"}
            answer = await browser._ask("POST", path, data=body, headers=headers)  # noqa: SLF001 - raw bytes
            told = await answer.json()
            assert (answer.status, told.get("field", "")) == (status, field), body
            assert "RAHASIA" not in str(told)
        many = {"ids": [ids[0]] * 501, "reason": "x"}
        assert (await browser.post("/api/v1/messages/discard", many)).status == 422
        assert await desk.audit() == []


async def test_every_answer_bears_the_security_headers(sqlite_url: str, clock: FakeClock) -> None:
    """Pages, errors and redirects alike; scripts, streams and images from our own origin only."""
    async with desk_on(sqlite_url, clock) as desk:
        await desk.add("budi", "viewer")
        for path in ("/", "/login", "/nowhere", "/healthz", "/api/v1/audit"):
            headers = (await desk.browser().get(path)).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'; script-src 'self';" in policy
            assert "unsafe" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"


async def test_behind_https_the_cookie_never_goes_plain(sqlite_url: str, clock: FakeClock) -> None:
    """And no other host of the domain can set it."""
    async with desk_on(sqlite_url, clock, https=True) as desk:
        cookie = (await desk.browser().get("/login")).headers["Set-Cookie"]
        assert cookie.startswith("__Host-lapor=")
        assert "Secure" in cookie


async def test_a_client_that_sends_its_body_slowly_is_let_go(
    sqlite_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told so, and holds nothing up meanwhile."""
    monkeypatch.setattr(web, "BODY_SECONDS", 0.05)
    async with desk_on(sqlite_url, clock) as desk:
        browser = desk.browser()
        await browser.enter()
        (cookie,) = browser.session.cookie_jar
        origin = URL(desk.origin)
        reader, writer = await asyncio.open_connection(origin.host, origin.port)
        head = f"POST /api/v1/senders/block HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie.key}={cookie.value}\r\n"
        head += f"X-CSRF-Token: {browser.csrf}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{{"
        writer.write(head.encode())
        async with asyncio.timeout(DEADLINE):
            answered = await reader.readline()
        assert answered.split()[1] == b"408"
        writer.close()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(b"name=x", {"Content-Type": FORM, "Origin": "http://["}, id="an origin that is no URL"),
        pytest.param(b"name=x", {"Content-Type": f"{FORM}; charset=odd"}, id="an unknown character set"),
        pytest.param(b"name=x", {"Content-Type": f"{FORM}; charset=rot13"}, id="one that is none"),
        pytest.param(b"name=\xff", {"Content-Type": FORM}, id="no UTF-8"),
        pytest.param(b"name=x", {"Content-Type": "multipart/form-data"}, id="parts without a boundary"),
        pytest.param(b"name=x", {"Content-Type": "multipart/form-data; boundary=x"}, id="parts that are none"),
        pytest.param(b"x" * 99, {"Content-Type": FORM, "Content-Encoding": "gzip"}, id="not packed as it says"),
    ],
)
@pytest.mark.parametrize("token", [True, False], ids=["with a token", "without"])
async def test_a_form_that_cannot_be_read_is_the_senders_fault(
    sqlite_url: str,
    clock: FakeClock,
    body: bytes,
    headers: dict[str, str],
    token: bool,  # noqa: FBT001
) -> None:
    """Whoever sends it, before any login: it is no failure of the gateway, and writes nothing into its log."""
    async with desk_on(sqlite_url, clock) as desk:
        browser = desk.browser()
        await browser.enter()
        shown = {"X-CSRF-Token": browser.csrf} if token else {}
        answer = await browser._ask("POST", "/login", data=body, headers=shown | headers)  # noqa: SLF001 - raw bytes
        assert answer.status in (400, 401, 403)


@pytest.mark.parametrize("wanted", ["//[", "http://[::1", "/[", "/%0d%0aX:%20y", "/\\[", "/a?b=//["])
async def test_an_odd_goal_leads_to_the_form_all_the_same(sqlite_url: str, clock: FakeClock, wanted: str) -> None:
    """Whatever stands behind next."""
    async with desk_on(sqlite_url, clock) as desk:
        assert (await desk.browser().get("/login", params={"next": wanted})).status == 200


async def test_while_the_disk_is_full_operators_can_still_look(
    sqlite_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That a session is in use cannot be written down then, and need not be."""

    def full() -> None:
        message = "there is no room left"
        raise StoreFull(message)

    async with desk_on(sqlite_url, clock) as desk:
        browser = await desk.logged_in("budi", "operator")
        clock.advance(minutes=2)
        monkeypatch.setattr(desk.kernel.store, "write", full)
        assert (await browser.get("/api/v1/session")).status == 200
