"""What the sender of the mail channel decides before a server is asked, and what it makes of a server's words."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from channels.mail.sender import AWAY_FIRST, OPERATOR_SECONDS
from channels.mail.smtp_connect import Unreached, enhanced_code
from channels.mail.submission import NoReply, Rejected, Submission
from gateway.errors import GatewayError, MaybeSent, NotSent, Refused, Throttled
from gateway.ports import Kept, OutgoingAnswer
from tests.integration.smtp_bench import OTHER, OURS, Bench, assert_waits


class Server:
    """Takes mails, or raises what a test wants."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.fault: Exception | None = None

    async def hand_over(self, envelope_id: str, recipient: str, content: bytes) -> None:
        del content
        if self.fault is not None:
            raise self.fault
        self.taken.append((envelope_id, recipient))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    one = Server()
    monkeypatch.setattr(Submission, "hand_over", lambda _self, *words: one.hand_over(*words))
    return one


Fault = Callable[[], Exception]


@pytest.mark.parametrize(
    ("fault", "kind", "seconds"),
    [
        (lambda: Unreached("away"), Throttled, AWAY_FIRST),
        (lambda: Unreached("wrong", lasting=True), Throttled, OPERATOR_SECONDS),
        (lambda: Unreached("lost", underway=True), NotSent, None),
        (lambda: Rejected("MAIL", 452, "4.3.1"), Throttled, AWAY_FIRST),
        (lambda: Rejected("MAIL", 550, "5.1.8"), Throttled, OPERATOR_SECONDS),
        (lambda: Rejected("RCPT", 530), Throttled, OPERATOR_SECONDS),
        (lambda: Rejected("RCPT", 450, "4.2.0"), NotSent, None),
        (lambda: Rejected("RCPT", 452, "4.3.1"), Throttled, AWAY_FIRST),
        (lambda: Rejected("RCPT", 550, "5.1.1"), Refused, None),
        (lambda: Rejected("RCPT", 550), Refused, None),
        (lambda: Rejected("DATA", 421), NotSent, None),
        (lambda: Rejected("DATA", 554, "5.7.1"), Refused, None),
        (NoReply, MaybeSent, None),
    ],
)
async def test_each_failure_of_a_first_mail_has_its_meaning(
    server: Server, fault: Fault, kind: type[GatewayError], seconds: float | None
) -> None:
    bench = Bench("smtp://mail.example.org")
    server.fault = fault()
    await bench.refused(kind)
    if seconds is None:
        assert bench.sender.details()["answers_wait_until"] is None
    else:
        assert_waits(bench, seconds, bench.sender.details()["answers_wait_because"])


async def test_a_plain_refusal_shows_that_the_server_works(server: Server) -> None:
    bench = Bench("smtp://mail.example.org")
    server.fault = Rejected("RCPT", 450)
    await bench.refused(NotSent, bench.answer(OTHER))
    server.fault = Rejected("RCPT", 550, "5.1.1")
    await bench.refused(Refused)
    server.fault = Rejected("RCPT", 450)
    await bench.refused(NotSent)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("5.1.1 Unknown", "5.1.1"),
        ("5.1.1", "5.1.1"),
        ("Unknown 5.1.1", ""),
        ("192.0.2.1 is bad", ""),
        ("5.1.1.1 x", ""),
    ],
)
def test_only_a_real_enhanced_status_code_is_shown(message: str, code: str) -> None:
    assert enhanced_code(message) == code


async def test_an_address_has_so_many_answers_a_day_and_no_more(server: Server) -> None:
    bench = Bench("smtp://mail.example.org", per_correspondent_per_day=2)
    await bench.send()
    await bench.send()
    reason = await bench.refused(Refused)
    assert "2 answers within 24 hours (per_correspondent_per_day)" in reason
    assert len(server.taken) == 2
    await bench.send(bench.answer(OTHER))
    bench.clock.advance(hours=24, seconds=1)
    await bench.send()


async def test_the_days_mails_are_counted_and_the_rest_wait_until_there_is_room(server: Server) -> None:
    bench = Bench("smtp://mail.example.org", per_day=2)
    await bench.send()
    bench.clock.advance(hours=6)
    await bench.send(bench.answer(OTHER))
    assert "per_day" in await bench.refused(Throttled, bench.answer("ketiga@example.org"))
    until = datetime.fromisoformat(bench.sender.details()["answers_wait_until"])
    room_at = bench.clock.now() + timedelta(hours=18)
    assert until == room_at + timedelta(seconds=1)
    assert len(server.taken) == 2
    bench.clock.advance(hours=18, seconds=1)
    await bench.send(bench.answer("ketiga@example.org"))


@pytest.mark.parametrize(
    "to", ["bukan alamat", "a@example.org>\r\nRCPT TO:<b@example.org", OURS, "LAPOR@Example.go.id"]
)
async def test_some_addresses_are_never_written_to(server: Server, to: str) -> None:
    bench = Bench("smtp://mail.example.org")
    await bench.refused(Refused, bench.answer(to))
    assert len(server.taken) == 0


async def test_without_a_server_nothing_is_answered() -> None:
    bench = Bench(None)
    assert "channels.email.smtp is not set" in await bench.refused(Refused)
    await bench.sender.check()


async def test_a_store_that_is_away_lets_answers_wait(server: Server) -> None:
    bench = Bench("smtp://mail.example.org")
    bench.store.away = True
    await bench.refused(Throttled)
    bench.store.away = False
    bench.clock.advance(seconds=AWAY_FIRST)
    await bench.send()
    assert len(server.taken) == 1


def _arrives(bench: Bench, external_id: str, header: str = "Subject: Lampu padam") -> OutgoingAnswer:
    """Another mail of the citizen's comes in now; the answer to it."""
    bench.store.messages.append(Kept(external_id, external_id, f"{header}\r\n\r\n".encode(), bench.clock.now()))
    return bench.answer(reply_to=external_id)


@pytest.mark.parametrize(
    ("header", "seconds", "answered"),
    [
        ("Subject: Lampu padam", 2, False),
        ("Subject: Lampu padam", 21, True),
        ("Subject: Re: Jalan rusak", 3600, False),
        ("Subject: Re: Jalan rusak", 25 * 3600, True),
    ],
)
async def test_a_mail_that_comes_right_behind_an_answer_has_none_of_its_own(
    server: Server, header: str, seconds: float, *, answered: bool
) -> None:
    """A machine may have written it; a mail that says it is a reply is answered once a day."""
    bench = Bench("smtp://mail.example.org")
    await bench.send()
    bench.clock.advance(seconds=seconds)
    answer = _arrives(bench, "surel-2", header)
    bench.clock.advance(minutes=10)  # whenever its turn comes
    if answered:
        await bench.send(answer)
    else:
        assert "a machine may have written it" in await bench.refused(Refused, answer)
    assert len(server.taken) == 1 + answered


async def test_two_mails_that_came_together_are_both_answered(server: Server) -> None:
    """The first answer was not there yet; and another citizen's is nobody's business."""
    bench = Bench("smtp://mail.example.org")
    answers = [bench.answer(), _arrives(bench, "surel-2")]
    for answer in answers:
        bench.clock.advance(seconds=1)
        await bench.send(answer)
    other = bench.answer(OTHER, reply_to=_arrives(bench, "surel-3").reply_to)
    bench.clock.advance(seconds=1)
    await bench.send(other)
    assert len(server.taken) == 3
