"""The demo's mail server takes what the gateway's own SMTP client sends, and the screen shows it."""

import asyncio
from email.message import EmailMessage

import pytest
from aiosmtplib import SMTP, SMTPRecipientsRefused, SMTPServerDisconnected
from rich.console import Console

from channels.mail.settings import SMTP_PORTS, parse_server
from gateway.demo.screen import answer_line, mails_table
from gateway.demo.smtp import KEPT, DemoMailServer, TakenMail

RECIPIENT = "warga0001@example.org"


def client_of(server: DemoMailServer) -> SMTP:
    """A client of a running server."""
    found = parse_server(server.url, SMTP_PORTS)
    assert found is not None
    return SMTP(hostname=found.host, port=found.port, start_tls=False)


def receipt(text: str = "Terima kasih.", subject: str = "Re: Jalan rusak") -> EmailMessage:
    """An answer."""
    mail = EmailMessage()
    mail["From"] = "LAPOR! <lapor@example.go.id>"
    mail["To"] = RECIPIENT
    mail["Subject"] = subject
    mail.set_content(text)
    return mail


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Re: Jalan rusak", "Terima kasih.\nNomor Anda #1234567890."),
        ("Re: Lampu padam – RT 05 🙏", "Terima kasih 🙏"),
        ("Re: titik", ".satu\n..dua\n.\ntiga"),
    ],
)
async def test_a_receipt_arrives_as_it_was_sent(subject: str, text: str) -> None:
    """Subject and text are what the citizen reads, whatever their letters; a dot at a line's beginning stays."""
    async with DemoMailServer() as server:
        async with client_of(server) as client:
            await client.send_message(receipt(text, subject))
        assert list(server.newest) == [TakenMail(RECIPIENT, subject, text)]


async def test_one_connection_may_bring_several_and_only_the_newest_are_kept() -> None:
    """All are counted."""
    async with DemoMailServer() as server:
        async with client_of(server) as client:
            for number in range(KEPT + 2):
                await client.send_message(receipt(subject=f"Re: {number}"))
        assert server.count == KEPT + 2
        assert [mail.subject for mail in server.newest] == [f"Re: {number}" for number in range(2, KEPT + 2)]


async def test_whoever_breaks_off_or_talks_nonsense_harms_nobody() -> None:
    """The next one is served."""
    async with DemoMailServer() as server:
        broken = client_of(server)
        await broken.connect()
        await broken.execute_command(b"RCPT", b"TO:nobody")
        assert (await broken.execute_command(b"VRFY", b"root")).code == 502
        assert (await broken.execute_command(b"DATA")).code == 503
        broken.close()
        async with client_of(server) as client:
            await client.send_message(receipt())
        assert server.count == 1


async def test_leaving_ends_every_session() -> None:
    """The demo stops at once, whoever is connected."""
    async with DemoMailServer() as server:
        client = client_of(server)
        await client.connect()
    with pytest.raises((SMTPServerDisconnected, SMTPRecipientsRefused, ConnectionError)):
        async with asyncio.timeout(5):
            await client.send_message(receipt())


async def test_the_screen_shows_whom_the_answers_went_to() -> None:
    """As a table, and as a line where the terminal cannot be redrawn."""
    async with DemoMailServer() as server:
        async with client_of(server) as client:
            await client.send_message(receipt())
        terminal = Console(width=160, record=True, file=None)
        with terminal.capture() as shown:
            terminal.print(mails_table(server))
        assert RECIPIENT in shown.get()
        assert "(1)" in shown.get()
        assert answer_line(server.newest[0]) == f"answer by mail to {RECIPIENT} 'Re: Jalan rusak' 'Terima kasih.'"
