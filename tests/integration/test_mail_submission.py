"""Connections to the SMTP server: kept for the next mail, never a mail's death, and logged in as the settings say."""

import email
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from aiohttp import web

from channels.mail import submission
from channels.mail.sender import OPERATOR_SECONDS
from gateway.errors import MaybeSent, NeedsOperator, NotSent, Refused, Throttled
from tests.conftest import eventually
from tests.integration.smtp_bench import CITIZEN, OTHER, OURS, Bench
from tests.services import HOST
from tests.services.smtp import DROP, Certificate, SmtpPeer, Stage, make_certificate

PASSWORD = "kata-sandi-rekaan"  # noqa: S105 - invented
TOKEN = "token-rekaan"  # noqa: S105 - invented
USER = "lapor%40example.go.id"

Tls = Literal["starttls", "smtps"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("smtp"))


@pytest.fixture
async def peer() -> AsyncIterator[SmtpPeer]:
    async with SmtpPeer() as running:
        yield running


def whose(peer: SmtpPeer) -> list[str | None]:
    """The Message-IDs of what has come, in that order."""
    return [email.message_from_bytes(mail.content)["Message-ID"] for mail in peer.received]


async def send(bench: Bench, count: int) -> None:
    """Sends so many answers, each to somebody else."""
    for number in range(count):
        await bench.send(bench.answer(f"warga{number}@example.org"))


async def no_connection(peer: SmtpPeer) -> None:
    await eventually(lambda: peer.open_connections == 0, "the connections to end")


# A connection is kept.


@pytest.mark.parametrize("tls", ["starttls", "smtps"])
async def test_answers_share_a_connection_and_a_log_in(certificate: Certificate, tls: Tls) -> None:
    async with SmtpPeer(certificate, tls, users={OURS: PASSWORD}) as peer:
        bench = Bench(peer.url(USER), smtp_password=PASSWORD, ca_file=str(certificate.file))
        await send(bench, 5)
        assert (len(peer.received), peer.connections, peer.logins) == (5, 1, 1)
        await bench.sender.close()
        await no_connection(peer)
        assert len(peer.lines("QUIT")) == 1


async def test_a_connection_that_no_answer_needs_is_ended(peer: SmtpPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "IDLE_SECONDS", 0.01)
    bench = Bench(peer.url())
    await send(bench, 1)
    await no_connection(peer)
    assert len(peer.lines("QUIT")) == 1
    await send(bench, 1)
    assert (len(peer.received), peer.connections) == (2, 2)


async def test_a_connection_has_so_many_mails_and_no_more(peer: SmtpPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "MOST_MAILS", 2)
    bench = Bench(peer.url())
    await send(bench, 5)
    assert (len(peer.received), peer.connections) == (5, 3)
    await bench.sender.close()
    await no_connection(peer)
    assert len(peer.lines("QUIT")) == 3


async def test_a_closed_sender_keeps_none(peer: SmtpPeer) -> None:
    bench = Bench(peer.url())
    await bench.sender.close()
    await send(bench, 1)
    await no_connection(peer)
    await bench.sender.close()


async def test_a_refused_mail_leaves_the_connection_to_the_next(peer: SmtpPeer) -> None:
    """RFC 5321, 4.1.1.5: RSET forgets what was said of it."""
    peer.recipients = {CITIZEN: "550 5.1.1 Unknown", OTHER: "450 4.2.1 Busy"}
    bench = Bench(peer.url())
    await bench.refused(Refused)
    await bench.refused(NotSent, bench.answer(OTHER))
    await send(bench, 1)
    assert (len(peer.received), peer.connections, len(peer.lines("RSET"))) == (1, 1, 2)
    assert peer.received[0].rcpt_tos == ("warga0@example.org",)


# A connection that has ended costs nothing.


@pytest.mark.parametrize(
    "befalls",
    [SmtpPeer.cut_all, SmtpPeer.forsake_all, lambda peer: setattr(peer, "mails_each", 1)],
    ids=["it ends", "it says nothing any more", "the server wants a new one for each mail"],
)
async def test_a_connection_that_died_while_idle_is_no_failed_attempt(
    peer: SmtpPeer, befalls: Callable[[SmtpPeer], None]
) -> None:
    """The next mail goes out on a new one, at once and once."""
    bench = Bench(peer.url(), timeout=1)
    await send(bench, 1)
    befalls(peer)
    await send(bench, 3)
    assert len(peer.received) == len(set(whose(peer))) == 4
    assert peer.connections > 1
    assert bench.sender.details()["answers_wait_until"] is None


async def test_a_server_that_was_started_anew_is_asked_anew(peer: SmtpPeer) -> None:
    bench = Bench(peer.url())
    await send(bench, 1)
    await peer.stop()
    await peer.start()
    await send(bench, 1)
    assert (len(peer.received), peer.connections) == (2, 2)


@pytest.mark.parametrize(
    ("stage", "fault", "kind", "connections"),
    [
        ("MAIL", "421 4.3.2 Closing", Throttled, 2),
        ("MAIL", "451 4.3.0 Later", Throttled, 2),
        ("MAIL", DROP, NotSent, 2),
        ("RCPT", DROP, NotSent, 2),
        ("RCPT", "421 4.4.2 Closing", NotSent, 2),
        ("DATA", DROP, NotSent, 2),
        ("DATA", "250 Out of step", NotSent, 2),
        ("RCPT", "450 4.2.1 Busy", NotSent, 1),
        ("end", "451 4.3.0 Later", Throttled, 1),
        ("end", "554 5.6.0 No", Refused, 1),
    ],
)
async def test_a_fault_on_a_kept_connection_counts_once_a_new_one_has_it_too(
    peer: SmtpPeer, stage: Stage, fault: str, kind: Any, connections: int
) -> None:
    """Where it lies in the mail and not in the connection, the first word counts."""
    bench = Bench(peer.url())
    await send(bench, 1)
    peer.faults[stage] = fault
    await bench.refused(kind)
    assert peer.connections == connections


@pytest.mark.parametrize("fault", [DROP, "tidak jelas", "354 Go on"])
async def test_a_mail_that_was_written_whole_is_never_written_again(peer: SmtpPeer, fault: str) -> None:
    """On a kept connection neither: the end of its text is the point of no return."""
    bench = Bench(peer.url())
    await send(bench, 1)
    peer.faults["end"] = fault
    await bench.refused(MaybeSent)
    peer.faults.clear()
    await send(bench, 1)
    assert len(peer.received) == len(set(whose(peer))) == 3
    assert peer.connections == 2


# Logged in by a token, over a connection that is verified.


@pytest.fixture
async def provider() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Gives out tokens; its address, and what it was asked."""
    asked: list[dict[str, Any]] = []

    async def give(request: web.Request) -> web.Response:
        asked.append(dict(await request.post()))
        return web.json_response({"access_token": f"{TOKEN}-{len(asked)}", "expires_in": 3600})

    app = web.Application()
    app.router.add_post("/token", give)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    yield f"http://{HOST}:{runner.addresses[0][1]}/token", asked
    await runner.cleanup()


@pytest.mark.parametrize("tls", ["starttls", "smtps"])
async def test_a_token_of_the_provider_logs_in_and_a_refused_one_is_renewed(
    certificate: Certificate, tls: Tls, provider: tuple[str, list[dict[str, Any]]]
) -> None:
    """One that the server refuses, as Google does with a challenge, is given up; the next log-in asks for another."""
    url, asked = provider
    oauth = {"oauth_token_url": url, "oauth_client_id": "gerbang", "oauth_refresh_token": "abadi"}
    async with SmtpPeer(certificate, tls, users={OURS: PASSWORD}, xoauth2=f"{TOKEN}-1") as peer:
        mailbox = f"imaps://{USER}@{HOST}/INBOX"
        bench = Bench(peer.url(USER), mailbox=mailbox, ca_file=str(certificate.file), **oauth)
        await send(bench, 2)
        await bench.sender.check()
        assert [mail.encrypted for mail in peer.received] == [True, True]
        assert (len(asked), peer.logins) == (1, 2)
        assert asked[0]["grant_type"] == "refresh_token"
        await bench.sender.close()
        peer.xoauth2 = f"{TOKEN}-2"
        reason = await bench.refused(Throttled)
        assert reason == "channels.email.oauth_token_url: the server does not accept the log-in (535 5.7.8)."
        bench.clock.advance(seconds=OPERATOR_SECONDS)
        await send(bench, 1)
        assert (len(peer.received), len(asked)) == (3, 2)


@pytest.mark.parametrize("tls", ["starttls", "smtps"])
async def test_a_server_without_xoauth2_is_told_from_a_refused_token(
    certificate: Certificate, tls: Tls, tmp_path: Path
) -> None:
    """The token is not shown to it."""
    (tmp_path / "token").write_text(TOKEN)
    async with SmtpPeer(certificate, tls, users={OURS: PASSWORD}) as peer:
        mailbox = {"mailbox": f"imaps://{USER}@{HOST}/INBOX", "oauth_token_file": str(tmp_path / "token")}
        bench = Bench(peer.url(USER), ca_file=str(certificate.file), **mailbox)
        assert "offers no log-in with a token (XOAUTH2)" in await bench.refused(Throttled)
        assert not peer.lines("AUTH")


@pytest.mark.parametrize("tls", ["starttls", "smtps"])
@pytest.mark.parametrize("named", [False, True])
async def test_a_certificate_of_its_own_is_trusted_once_the_settings_name_it(
    certificate: Certificate, tmp_path: Path, *, tls: Tls, named: bool
) -> None:
    """Another one that is named does not vouch for it; nothing is said to a server that is not trusted."""
    file = certificate.file if named else make_certificate(tmp_path).file
    async with SmtpPeer(certificate, tls, users={OURS: PASSWORD}) as peer:
        bench = Bench(peer.url(USER, host="localhost"), smtp_password=PASSWORD, ca_file=str(file))
        if named:
            await bench.sender.check()
            await send(bench, 1)
            return
        with pytest.raises(NeedsOperator) as caught:
            await bench.sender.check()
        reason = await bench.refused(Throttled)
        assert str(caught.value) == reason
        assert reason == (
            "channels.email.ca_file: the server's certificate is not trusted (18); name the certificate that vouches "
            "for it, or correct the host in smtp."
        )
        assert not peer.lines("AUTH") + peer.lines("MAIL")
