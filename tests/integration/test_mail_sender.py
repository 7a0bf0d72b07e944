"""Answers by mail, sent to a real SMTP server that takes them, refuses them, hangs, lies or vanishes."""

import asyncio
import email
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from traceback import format_exception
from typing import Any, get_args

import pytest

from channels.mail import smtp_connect, submission
from channels.mail.oauth import AccessToken
from channels.mail.sender import AWAY_FIRST, OPERATOR_SECONDS
from gateway.errors import ChannelUnavailable, GatewayError, MaybeSent, NeedsOperator, NotSent, Refused, Throttled
from gateway.ports import Sent
from tests.integration.smtp_bench import CITIZEN, OTHER, OURS, TEXT, Bench, assert_waits
from tests.services.smtp import DROP, HANG, Certificate, SmtpPeer, Stage, make_certificate

PASSWORD = "kata-sandi-rekaan"  # noqa: S105 - invented


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("smtp"))


@pytest.fixture
async def peer() -> AsyncIterator[SmtpPeer]:
    async with SmtpPeer() as running:
        yield running


@pytest.fixture
def final_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "FINAL_TIMES", 1.0)


# What works.


@pytest.mark.parametrize("tls", ["starttls", "smtps"])
async def test_an_answer_goes_out_encrypted_and_logged_in(certificate: Certificate, tls: Any) -> None:
    async with SmtpPeer(certificate, tls, users={OURS: PASSWORD}, dsn=True) as peer:
        url = peer.url("lapor%40example.go.id", host="localhost")
        bench = Bench(url, smtp_password=PASSWORD, ca_file=str(certificate.file))
        answer = bench.answer()
        sent = await bench.send(answer)
        await bench.sender.check()
    (received,) = peer.received
    assert sent == Sent((f"lapor-{answer.id}",))
    assert (received.mail_from, received.rcpt_tos, received.encrypted) == (OURS, (CITIZEN,), True)
    message = email.message_from_bytes(received.content)
    assert message["Message-ID"] == f"<lapor-{answer.id}@example.go.id>"
    assert (message["Subject"], message["In-Reply-To"]) == ("Re: Jalan rusak", "<satu@example.org>")
    assert message.get_payload(decode=True) == TEXT.encode() + b"\r\n"
    assert peer.lines("MAIL") == [f"MAIL FROM:<{OURS}> RET=HDRS ENVID=lapor-{answer.id}"]
    assert peer.lines("RCPT") == [f"RCPT TO:<{CITIZEN}> NOTIFY=FAILURE"]
    assert bench.sender.details() == {
        "answers_24h": 1,
        "answers_budget": 2000,
        "answers_encrypted": True,
        "answers_wait_until": None,
        "answers_wait_because": "",
    }


async def test_the_mailboxs_password_serves_where_there_is_no_other(certificate: Certificate) -> None:
    async with SmtpPeer(certificate, users={"lapor": PASSWORD}) as peer:
        bench = Bench(peer.url("lapor"), password=PASSWORD, mailbox="imap://lapor@127.0.0.1/INBOX")
        await bench.send()
    assert len(peer.received) == 1


async def test_a_plain_relay_on_this_machine_needs_no_log_in(peer: SmtpPeer) -> None:
    bench = Bench(peer.url())
    await bench.send()
    assert not peer.received[0].encrypted
    assert bench.sender.details()["answers_encrypted"] is False
    assert not peer.lines("AUTH")


async def test_a_text_of_dots_and_every_language_arrives_whole(peer: SmtpPeer) -> None:
    text = ".\n..\nTerima kasih 🙏\n." + "x" * 3000
    bench = Bench(peer.url())
    await bench.send(bench.answer(text=text))
    payload = email.message_from_bytes(peer.received[0].content).get_payload(decode=True)
    assert payload == (text.replace("\n", "\r\n") + "\r\n").encode()


@pytest.mark.parametrize("reply_to", ["", "sudah-dihapus"])
async def test_without_the_citizens_mail_the_answer_goes_out_all_the_same(peer: SmtpPeer, reply_to: str) -> None:
    bench = Bench(peer.url())
    await bench.send(bench.answer(reply_to=reply_to))
    message = email.message_from_bytes(peer.received[0].content)
    assert (message["Subject"], message["In-Reply-To"]) == ("Re: LAPOR!", None)


async def test_an_address_that_is_not_ascii_needs_a_server_that_takes_it(peer: SmtpPeer) -> None:
    bench = Bench(peer.url())
    assert "5.6.7" in await bench.refused(Refused, bench.answer("büdi@example.org"))
    peer.smtputf8 = True
    await bench.sender.close()
    await bench.send(bench.answer("büdi@example.org"))
    assert peer.received[0].rcpt_tos == ("büdi@example.org",)


async def test_a_token_logs_in_and_a_refused_one_is_an_operators_matter(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[str] = []
    monkeypatch.setattr(AccessToken, "forget", lambda _self: forgotten.append("once"))
    (tmp_path / "token").write_text("token-rekaan\n")
    async with SmtpPeer(certificate, users={"lapor": PASSWORD}) as peer:
        settings = {"mailbox": "imap://lapor@127.0.0.1/INBOX", "oauth_token_file": str(tmp_path / "token")}
        bench = Bench(peer.url("lapor"), **settings)
        assert "XOAUTH2" in await bench.refused(Throttled)
        peer.xoauth2 = "token-rekaan"
        bench.clock.advance(seconds=OPERATOR_SECONDS)
        await bench.send()
        peer.xoauth2 = "token-lain"
        await bench.sender.close()
        assert "channels.email.oauth_token_file: " in await bench.refused(Throttled)
    assert (len(peer.received), forgotten) == (1, ["once"])


# What is known to have failed.


async def test_a_server_that_is_away_is_asked_more_and_more_seldom() -> None:
    async with SmtpPeer() as peer:
        url = peer.url()
    bench = Bench(url)
    for times in range(8):
        reason = await bench.refused(Throttled)
        assert "channels.email.smtp: the server cannot be reached" in reason
        wait = min(OPERATOR_SECONDS, AWAY_FIRST * 2**times)
        assert_waits(bench, wait, "cannot be reached")
        bench.clock.advance(seconds=wait)
    await peer.start()
    try:
        await bench.send()
        assert bench.sender.details()["answers_wait_until"] is None
        await peer.stop()
        await bench.refused(Throttled)
        assert_waits(bench, AWAY_FIRST, "cannot be reached")  # and begins anew
    finally:
        await peer.stop()


async def test_nothing_is_tried_while_answers_wait(peer: SmtpPeer) -> None:
    bench = Bench(peer.url())
    peer.faults["connect"] = "421 4.3.2 Not now"
    await bench.refused(Throttled)
    peer.faults.clear()
    assert "421 4.3.2" in await bench.refused(Throttled)
    assert peer.connections == 1


async def test_a_name_that_does_not_exist_is_a_server_that_is_away() -> None:
    bench = Bench("smtps://tidak-ada.invalid")
    assert "channels.email.smtp: " in await bench.refused(Throttled)
    with pytest.raises(ChannelUnavailable):
        await bench.sender.check()


@pytest.mark.parametrize(
    ("stage", "reply", "seconds", "words"),
    [
        ("connect", "554 5.7.1 No service for warga@example.org", OPERATOR_SECONDS, "turns us away (554 5.7.1)"),
        ("connect", "421 4.3.2 Shutting down", AWAY_FIRST, "turns us away (421 4.3.2)"),
        ("connect", "bukan SMTP", AWAY_FIRST, "channels.email.smtp"),
        ("connect", DROP, AWAY_FIRST, "cannot be reached"),
        ("EHLO", "550 5.7.1 Go away", OPERATOR_SECONDS, "turns us away (550 5.7.1)"),
        ("EHLO", DROP, AWAY_FIRST, "cannot be reached"),
        ("STARTTLS", "454 4.7.0 TLS not available", AWAY_FIRST, "turns us away (454 4.7.0)"),
        ("STARTTLS", DROP, AWAY_FIRST, "cannot be reached"),
        ("AUTH", "535 5.7.8 Wrong for lapor@example.go.id", OPERATOR_SECONDS, "smtp_password: "),
        ("AUTH", "454 4.7.0 Later", AWAY_FIRST, "cannot log anybody in for now (454 4.7.0)"),
        ("AUTH", DROP, AWAY_FIRST, "cannot be reached"),
        ("MAIL", "451 4.3.0 Later", AWAY_FIRST, "channels.email.smtp: the server takes no mail (451 4.3.0)"),
        ("MAIL", "530 5.7.0 Log in", OPERATOR_SECONDS, "wants a log-in first (530 5.7.0)"),
        ("MAIL", "553 5.7.1 Not your address", OPERATOR_SECONDS, "channels.email.address: "),
        ("RCPT", "451 4.3.0 Lookup failed", AWAY_FIRST, "(451 4.3.0)"),
    ],
)
async def test_before_the_mail_every_failure_holds_all_answers_up(
    certificate: Certificate, stage: Stage, reply: str, seconds: float, words: str
) -> None:
    async with SmtpPeer(certificate, users={"lapor": PASSWORD}, faults={stage: reply}) as peer:
        bench = Bench(peer.url("lapor"), smtp_password=PASSWORD)
        assert "example" not in await bench.refused(Throttled)
        assert_waits(bench, seconds, words)
        peer.faults.clear()
        bench.clock.advance(seconds=seconds)
        await bench.send()
        assert bench.sender.details()["answers_wait_because"] == ""


@pytest.mark.parametrize("stage", ["connect", "EHLO", "AUTH"])
async def test_a_server_that_hangs_before_the_mail_is_away(certificate: Certificate, stage: Stage) -> None:
    async with SmtpPeer(certificate, users={"lapor": PASSWORD}, faults={stage: HANG}) as peer:
        bench = Bench(peer.url("lapor"), smtp_password=PASSWORD, timeout=1)
        await bench.refused(Throttled)
        assert_waits(bench, AWAY_FIRST, "cannot be reached")


async def test_a_wrong_password_is_tried_once_and_then_at_an_operators_pace(certificate: Certificate) -> None:
    async with SmtpPeer(certificate, users={"lapor": "lain"}) as peer:
        bench = Bench(peer.url("lapor"), smtp_password=PASSWORD)
        reason = await bench.refused(Throttled)
        assert reason == "channels.email.smtp_password: the server does not accept the log-in (535 5.7.8)."
        assert_waits(bench, OPERATOR_SECONDS, "smtp_password")
        assert peer.logins == 1
        with pytest.raises(NeedsOperator, match="smtp_password"):
            await bench.sender.check()


async def test_a_strange_certificate_is_not_trusted(certificate: Certificate, tmp_path: Path) -> None:
    stranger = make_certificate(tmp_path)
    async with SmtpPeer(certificate, "smtps") as smtps, SmtpPeer(certificate) as starttls:
        benches = [Bench(smtps.url()), Bench(smtps.url(), ca_file=str(stranger.file))]
        benches.append(Bench(starttls.url(), ca_file=str(stranger.file)))
        for bench in benches:
            assert "channels.email.ca_file: the server's certificate is not trusted" in await bench.refused(Throttled)
            assert_waits(bench, OPERATOR_SECONDS, "ca_file")
            with pytest.raises(NeedsOperator, match="ca_file"):
                await bench.sender.check()
    assert not smtps.received + starttls.received


async def test_a_certificate_for_another_name_is_not_trusted(tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "lain.example.org", address=None)
    async with SmtpPeer(other, "smtps") as peer:
        bench = Bench(peer.url(), ca_file=str(other.file))
        assert "ca_file: the server's certificate is not trusted" in await bench.refused(Throttled)


async def test_a_file_without_certificates_is_an_operators_matter(peer: SmtpPeer, tmp_path: Path) -> None:
    (tmp_path / "kosong.pem").write_text("bukan sertifikat")
    bench = Bench(peer.url().replace("smtp:", "smtps:"), ca_file=str(tmp_path / "kosong.pem"))
    assert "channels.email.ca_file: it holds no certificate" in await bench.refused(Throttled)
    assert peer.connections == 0


async def test_no_password_leaves_this_machine_in_the_clear(peer: SmtpPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_connect, "_is_near", lambda _smtp: False)
    peer.users = {"lapor": PASSWORD}
    bench = Bench(peer.url("lapor"), smtp_password=PASSWORD)
    assert "offers no STARTTLS" in await bench.refused(Throttled)
    assert_waits(bench, OPERATOR_SECONDS, "STARTTLS")
    assert not peer.lines("AUTH")
    peer.users = {}
    await Bench(peer.url(), password=PASSWORD, mailbox="imap://lapor@127.0.0.1/INBOX").send()  # a relay, no log-in
    strict = Bench(peer.url(), require_tls=True)
    assert "offers no STARTTLS" in await strict.refused(Throttled)
    assert len(peer.received) == 1


async def test_a_server_elsewhere_is_verified_with_starttls_too(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_connect, "_is_near", lambda _smtp: False)
    async with SmtpPeer(certificate) as peer:
        assert "not trusted" in await Bench(peer.url()).refused(Throttled)
        await Bench(peer.url(), ca_file=str(certificate.file)).send()


async def test_a_server_without_log_in_and_a_log_in_without_password(peer: SmtpPeer) -> None:
    assert "channels.email.smtp_password is not set" in await Bench(peer.url("lapor")).refused(Throttled)
    peer.auth = False
    bench = Bench(peer.url("lapor"), smtp_password=PASSWORD)
    assert "offers no log-in with a password" in await bench.refused(Throttled)


# What the server says of one mail.


@pytest.mark.parametrize(
    ("stage", "reply", "kind", "words"),
    [
        ("RCPT", "450 4.2.1 <warga@example.org> busy", NotSent, "the citizen's address now (450 4.2.1)"),
        ("RCPT", "450 <warga@example.org> greylisted", NotSent, "the citizen's address now (450)"),
        ("RCPT", "550 5.1.1 <warga@example.org> unknown", Refused, "the citizen's address for good (550 5.1.1)"),
        ("RCPT", "550 5.7.1 <warga@example.org> denied", Refused, "the citizen's address (550 5.7.1)"),
        ("DATA", "451 Later, warga@example.org", NotSent, "the mail now (451)"),
        ("DATA", "554 5.6.0 No, warga@example.org", Refused, "the mail for good (554 5.6.0)"),
        ("DATA", "250 Sent already, I think", NotSent, "(250)"),
        ("end", "452 4.2.2 warga@example.org is full", NotSent, "the mail now (452 4.2.2)"),
        ("end", "552 5.2.2 warga@example.org is full", Refused, "the mail for good (552 5.2.2)"),
        ("end", "554 5.7.1 Spam from lapor@example.go.id", Refused, "the mail (554 5.7.1)"),
        ("RCPT", DROP, NotSent, "the connection was lost before the mail was handed over"),
        ("DATA", DROP, NotSent, "the connection was lost before the mail was handed over"),
    ],
)
async def test_a_refused_mail_says_the_code_and_nothing_of_the_citizen(
    peer: SmtpPeer, stage: Stage, reply: str, kind: type[GatewayError], words: str
) -> None:
    peer.faults[stage] = reply
    bench = Bench(peer.url())
    reason = await bench.refused(kind)
    assert words in reason
    assert "@" not in reason
    peer.faults.clear()
    await bench.send()  # the next is not held up


async def test_each_recipient_has_a_fate_of_its_own(peer: SmtpPeer) -> None:
    peer.recipients = {CITIZEN: "450 4.2.1 Busy", OTHER: "550 5.1.1 Unknown"}
    bench = Bench(peer.url())
    await bench.refused(NotSent)
    await bench.refused(Refused, bench.answer(OTHER))
    await bench.send(bench.answer("ketiga@example.org"))
    await bench.refused(NotSent)
    assert [mail.rcpt_tos for mail in peer.received] == [("ketiga@example.org",)]


@pytest.mark.parametrize(
    ("stage", "reply", "first", "seconds"),
    [
        ("RCPT", "450 4.7.1 Slow down", NotSent, AWAY_FIRST),
        ("end", "451 Later", NotSent, AWAY_FIRST),
        ("DATA", DROP, NotSent, AWAY_FIRST),
        ("RCPT", "554 5.7.1 Relay access denied", Refused, OPERATOR_SECONDS),
    ],
)
async def test_what_befalls_one_mail_after_another_is_the_servers_fault(
    peer: SmtpPeer, stage: Stage, reply: str, first: type[GatewayError], seconds: float
) -> None:
    peer.faults[stage] = reply
    bench = Bench(peer.url())
    answer = bench.answer()
    await bench.refused(first, answer)
    await bench.refused(first, answer)
    await bench.refused(Throttled, bench.answer(OTHER))
    assert_waits(bench, seconds, "channels.email.smtp: ")
    peer.faults.clear()
    bench.clock.advance(seconds=seconds)
    await bench.send(bench.answer(OTHER))
    peer.faults[stage] = reply
    await bench.refused(first, answer)


async def test_a_hang_before_the_mail_is_written_is_no_attempt_that_counts_as_sent(peer: SmtpPeer) -> None:
    peer.faults["DATA"] = HANG
    await Bench(peer.url(), timeout=1).refused(NotSent)
    assert not peer.received


# What nobody knows.


@pytest.mark.usefixtures("final_is_short")
@pytest.mark.parametrize("fault", [DROP, HANG, "tidak jelas", "354 Go on"])
async def test_a_mail_written_whole_whose_reply_is_missing_may_have_been_sent(peer: SmtpPeer, fault: str) -> None:
    peer.faults["end"] = fault
    bench = Bench(peer.url(), timeout=1)
    assert "before it said whether it takes the mail" in await bench.refused(MaybeSent)
    assert len(peer.received) == 1  # the server has it, as it were
    assert bench.sender.details()["answers_wait_until"] is None


async def test_a_lost_reply_is_no_fault_of_the_channel(peer: SmtpPeer) -> None:
    """The mailbox is not opened anew for it."""
    peer.faults["end"] = DROP
    bench = Bench(peer.url())
    with pytest.raises(MaybeSent) as caught:
        await bench.send()
    assert caught.value.channel_works


@pytest.mark.parametrize("fault", [DROP, HANG, "500 Eh?"])
async def test_a_server_that_cannot_say_goodbye_has_taken_the_mail(peer: SmtpPeer, fault: str) -> None:
    peer.faults["QUIT"] = fault
    bench = Bench(peer.url(), timeout=1)
    answer = bench.answer()
    assert await bench.send(answer) == Sent((f"lapor-{answer.id}",))
    await bench.sender.close()
    await bench.sender.check()


async def test_being_ended_in_the_middle_leaves_no_connection_behind(peer: SmtpPeer) -> None:
    peer.faults["RCPT"] = HANG
    bench = Bench(peer.url())
    sending = asyncio.create_task(bench.send())
    async with asyncio.timeout(20):
        while not peer.lines("RCPT"):
            await asyncio.sleep(0.01)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        while peer.open_connections:
            await asyncio.sleep(0.01)


async def test_neither_errors_nor_logs_hold_an_address_a_text_or_a_password(
    certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    private = (CITIZEN, TEXT, PASSWORD, "isi rahasia", "Jalan rusak")
    async with SmtpPeer(certificate, users={"lapor": PASSWORD}) as peer:
        for stage in get_args(Stage)[3:-2]:
            for reply in (f"450 4.2.1 {CITIZEN} {TEXT}", f"550 5.1.1 {CITIZEN} {TEXT}", f"{CITIZEN} {TEXT}"):
                peer.faults = {stage: reply}
                with pytest.raises(GatewayError) as caught:
                    await Bench(peer.url("lapor"), smtp_password=PASSWORD).send()
                assert caught.value.__cause__ is None
                assert caught.value.__suppress_context__
                assert not [word for word in private if word in "".join(format_exception(caught.value))]
    logged = [record.getMessage() for record in caplog.records if not record.name.startswith("mail.")]  # aiosmtpd's
    assert not [word for word in private for line in logged if word in line]
