"""What ``lapor-gateway check`` tries of a channel: that it opens, and the way out of its answers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channels.mail.settings import MailSettings
from gateway.errors import ChannelUnavailable, NeedsOperator
from gateway.plugins import channel_plugins
from gateway.preflight import Result, check_everything
from gateway.settings.model import ChannelSection
from tests.fakes import FakeChannel, FakeChannels, FakeSettings
from tests.integration.kernel import settings_for
from tests.services.smtp import HANG, Certificate, SmtpPeer, make_certificate

PASSWORD = "kata-sandi-rekaan"  # noqa: S105 - invented


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
async def peer(certificate: Certificate) -> AsyncIterator[SmtpPeer]:
    async with SmtpPeer(certificate, "smtps", users={"lapor": PASSWORD}) as running:
        yield running


async def checked(folder: Path, section: ChannelSection) -> Result:
    """What became of the channel; store and queue work."""
    settings = settings_for(f"sqlite:///{folder}/gateway.db", queue=f"journal:{folder}/intake", channels=[section])
    store, queue, channel = await check_everything(settings)
    assert (store.problem, queue.problem, channel.subject) == (None, None, f"channels.{section.name}")
    return channel


def mail_section(folder: Path, peer: SmtpPeer, **changes: Any) -> ChannelSection:
    """A Maildir that can be read, and answers by the peer."""
    for name in ("tmp", "new", "cur"):
        (folder / "surat" / name).mkdir(parents=True)
    table = {
        "type": "mail",
        "mailbox": f"maildir:{folder}/surat",
        "address": "lapor@example.go.id",
        "smtp": peer.url("lapor"),
        "smtp_password": PASSWORD,
        "ca_file": str(peer.certificate.file) if peer.certificate else None,
        "timeout": 1,
    }
    return ChannelSection("email", channel_plugins()["mail"], MailSettings.model_validate(table | changes))


async def test_a_mailbox_whose_answers_can_go_out_is_fine(tmp_path: Path, peer: SmtpPeer) -> None:
    """It has logged in, sent nothing, and left no connection behind."""
    assert (await checked(tmp_path, mail_section(tmp_path, peer))).problem is None
    assert (peer.logins, len(peer.lines("MAIL")), len(peer.lines("QUIT"))) == (1, 0, 1)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"smtp_password": "salah"},
            "channels.email.smtp_password: the server does not accept the log-in (535 5.7.8).",
        ),
        ({"ca_file": None}, "channels.email.ca_file: the server's certificate is not trusted"),
        ({"smtp": "smtps://lapor@127.0.0.1:1"}, "channels.email.smtp: the server cannot be reached"),
    ],
)
async def test_a_mailbox_that_could_be_read_but_not_answered_is_a_problem(
    tmp_path: Path, peer: SmtpPeer, changes: dict[str, Any], problem: str
) -> None:
    """The sentence names the setting."""
    found = (await checked(tmp_path, mail_section(tmp_path, peer, **changes))).problem
    assert found is not None
    assert found.startswith(problem)


async def test_a_server_that_hangs_is_given_up_in_time(tmp_path: Path, peer: SmtpPeer) -> None:
    """Within the channel's own ``timeout``."""
    peer.faults["EHLO"] = HANG
    found = (await checked(tmp_path, mail_section(tmp_path, peer))).problem
    assert found == "channels.email.smtp: the server cannot be reached (TimeoutError)."


class Checked(FakeChannel):
    """A channel of somebody else's with something more to try."""

    def __init__(self, fault: Exception | None) -> None:
        super().__init__()
        self.fault = fault

    async def check(self) -> None:
        self.calls.append("check")
        if self.fault is not None:
            raise self.fault


@pytest.mark.parametrize(
    "fault", [None, NeedsOperator("fake: the key is wrong."), ChannelUnavailable("fake: it does not answer.")]
)
async def test_every_channel_can_have_more_tried_than_its_opening(tmp_path: Path, fault: Exception | None) -> None:
    """Once it is open; it is closed whatever came of it."""
    channel = Checked(fault)
    plugin = FakeChannels({"fake-1": channel}).plugin()
    result = await checked(tmp_path, ChannelSection("fake-1", plugin, FakeSettings()))
    assert result.problem == (None if fault is None else str(fault))
    assert channel.calls == ["open", "health", "check", "close"]


async def test_a_channel_that_is_down_is_not_tried_further(tmp_path: Path) -> None:
    """Its own sentence is the one that helps."""
    channel = Checked(None)
    channel.always["open"] = NeedsOperator("fake: the device is missing.")
    plugin = FakeChannels({"fake-1": channel}).plugin()
    result = await checked(tmp_path, ChannelSection("fake-1", plugin, FakeSettings()))
    assert (result.problem, channel.calls) == ("fake: the device is missing.", ["open", "close"])
