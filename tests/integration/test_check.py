"""What ``lapor-gateway check`` tries: store, queue, disks, clocks, and each channel with the way out of its answers."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.mail.settings import MailSettings
from channels.sms.condition import check_lines
from gateway.checks import check_everything
from gateway.checks import disk as disk_check
from gateway.demo.x import XSimulator
from gateway.errors import ChannelUnavailable, NeedsOperator
from gateway.findings import CLOCK_LIMIT, CLOCK_TOLERANCE, Finding, clock_finding, time_in
from gateway.plugins import channel_plugins
from gateway.settings.model import ChannelSection
from gateway.store import engine
from tests.fakes import FakeChannel, FakeChannels, FakeClock, FakeSettings, fake_message
from tests.integration.kernel import kernel_on, settings_for
from tests.services.rabbitmq import RabbitMQ
from tests.services.smtp import HANG, Certificate, SmtpPeer, make_certificate

PASSWORD = "kata-sandi-rekaan"  # noqa: S105 - invented


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
async def peer(certificate: Certificate) -> AsyncIterator[SmtpPeer]:
    async with SmtpPeer(certificate, "smtps", users={"lapor": PASSWORD}) as running:
        yield running


async def checked(folder: Path, section: ChannelSection) -> list[Finding]:
    """What was found of the channel; store and queue work."""
    settings = settings_for(f"sqlite:///{folder}/gateway.db", queue=f"journal:{folder}/intake", channels=[section])
    found = await check_everything(settings)
    others = [finding for finding in found if not finding.subject.startswith("channels.")]
    assert {finding.subject for finding in others} >= {"store", "queue", "disk"}
    assert all(finding.state != "failed" for finding in others)
    return [finding for finding in found if finding not in others]


def states(found: list[Finding]) -> dict[str, str]:
    """The state of each thing that was tried."""
    return {finding.subject: finding.state for finding in found}


def problem(found: list[Finding]) -> str | None:
    """The sentence of what failed, or None."""
    sentences = [finding.sentence for finding in found if finding.state == "failed"]
    assert len(sentences) < 2
    return sentences[0] if sentences else None


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
    found = await checked(tmp_path, mail_section(tmp_path, peer))
    assert states(found) == {
        "channels.email": "ok",
        "channels.email mailbox": "ok",
        "channels.email answers": "ok",
    }
    assert (peer.logins, len(peer.lines("MAIL")), len(peer.lines("QUIT"))) == (1, 0, 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
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
    tmp_path: Path, peer: SmtpPeer, changes: dict[str, Any], sentence: str
) -> None:
    """The sentence names the setting."""
    found = problem(await checked(tmp_path, mail_section(tmp_path, peer, **changes)))
    assert found is not None
    assert found.startswith(sentence)


async def test_a_server_that_hangs_is_given_up_in_time(tmp_path: Path, peer: SmtpPeer) -> None:
    """Within the channel's own ``timeout``."""
    peer.faults["EHLO"] = HANG
    found = problem(await checked(tmp_path, mail_section(tmp_path, peer)))
    assert found == "channels.email.smtp: the server cannot be reached (TimeoutError)."


class Checked(FakeChannel):
    """A channel of somebody else's with something more to try."""

    def __init__(self, fault: Exception | None) -> None:
        super().__init__()
        self.fault = fault

    async def check(self) -> list[Finding]:
        self.calls.append("check")
        if self.fault is not None:
            raise self.fault
        return [Finding("channels.fake-1 more", "weak", "It could be better.")]


@pytest.mark.parametrize(
    "fault", [None, NeedsOperator("fake: the key is wrong."), ChannelUnavailable("fake: it does not answer.")]
)
async def test_every_channel_can_have_more_tried_than_its_opening(tmp_path: Path, fault: Exception | None) -> None:
    """Once it is open; it is closed whatever came of it."""
    channel = Checked(fault)
    plugin = FakeChannels({"fake-1": channel}).plugin()
    found = await checked(tmp_path, ChannelSection("fake-1", plugin, FakeSettings()))
    assert problem(found) == (None if fault is None else str(fault))
    assert found[0] == Finding("channels.fake-1", "ok", "fake: it opens and answers.")
    assert (states(found).get("channels.fake-1 more") == "weak") is (fault is None)
    assert channel.calls == ["open", "health", "check", "close"]


async def test_a_channel_that_is_down_is_not_tried_further(tmp_path: Path) -> None:
    """Its own sentence is the one that helps."""
    channel = Checked(None)
    channel.always["open"] = NeedsOperator("fake: the device is missing.")
    plugin = FakeChannels({"fake-1": channel}).plugin()
    found = await checked(tmp_path, ChannelSection("fake-1", plugin, FakeSettings()))
    assert (problem(found), channel.calls) == ("fake: the device is missing.", ["open", "close"])


def x_section(x: XSimulator, **changes: Any) -> ChannelSection:
    """The account of the simulated X."""
    keys = asdict(x.options.credentials)
    table = {"type": "twitter", "account": x.options.account, "api_url": x.origin, **keys} | changes
    given = {key: value for key, value in table.items() if value is not None}
    plugin = channel_plugins()["twitter"]
    return ChannelSection("twitter", plugin, plugin.settings.model_validate(given))


_NO_KEYS = dict.fromkeys(("consumer_key", "consumer_secret", "access_token", "access_token_secret"))


@pytest.mark.parametrize(
    ("changes", "state", "part"),
    [
        ({}, "ok", "answers come from @LAPOR1708"),
        (_NO_KEYS, "weak", "not answered"),
        ({"access_token_secret": "salah"}, "failed", "channels.twitter.consumer_key and the three keys beside it"),
        ({"account": "LAPOR_lain"}, "failed", "channels.twitter.access_token is that of @LAPOR1708"),
    ],
)
async def test_the_keys_for_answers_on_x_are_tried_without_a_post(
    tmp_path: Path, changes: dict[str, Any], state: str, part: str
) -> None:
    """X is asked whose they are; the clock is compared with the time in its answers, and no stream is opened."""
    async with XSimulator() as x:
        found = {finding.subject: finding for finding in await checked(tmp_path, x_section(x, **changes))}
        assert found["channels.twitter bearer_token"].state == "ok"
        assert found["channels.twitter clock"].state == "ok"
        answers = found["channels.twitter answers"]
        assert answers.state == state
        assert part in answers.sentence
        assert (x.calls["POST /2/tweets"], len(x.stream.connect_attempts)) == (0, 0)
        assert "salah" not in answers.sentence


async def test_a_bearer_token_that_x_refuses_is_the_only_line(tmp_path: Path) -> None:
    async with XSimulator() as x:
        (found,) = await checked(tmp_path, x_section(x, bearer_token="salah"))  # noqa: S106 - the fault
        assert found.state == "failed"
        assert found.sentence.startswith("channels.twitter: ") or "bearer_token" in found.sentence


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (
            {"network_state": "HomeNetwork", "operator": "51010", "signal_percent": 60, "sim_used": 1, "sim_size": 20},
            {"network": "ok", "signal": "ok", "SIM": "ok"},
        ),
        ({"network_state": "RequestingNetwork"}, {"network": "failed", "signal": "weak", "SIM": "ok"}),
        (
            {"network_state": "RoamingNetwork", "signal_percent": 5, "sim_used": 19, "sim_size": 20},
            {"network": "ok", "signal": "weak", "SIM": "weak"},
        ),
        ({}, {"network": "weak", "signal": "weak", "SIM": "ok"}),
        ({"network_state": "HomeNetwork", "signal_percent": -1}, {"network": "ok", "signal": "weak", "SIM": "ok"}),
    ],
)
def test_a_modem_tells_of_its_network_its_signal_and_its_sim(details: dict[str, Any], expected: dict[str, str]) -> None:
    found = check_lines("channels.sms-1708", details)
    assert {finding.subject.split()[-1]: finding.state for finding in found} == expected


async def test_the_dummy_phone_passes_like_a_modem(tmp_path: Path) -> None:
    """Through its child process, as in operation."""
    (tmp_path / "phone").mkdir()
    plugin = channel_plugins()["sms"]
    table = {"type": "sms", "device": f"{tmp_path}/phone", "connection": "none", "model": "dummy", "number": "1708"}
    found = await checked(tmp_path, ChannelSection("sms-1708", plugin, plugin.settings.model_validate(table)))
    assert problem(found) is None
    assert [finding.subject for finding in found] == [
        f"channels.sms-1708{what}" for what in ("", " network", " signal", " SIM")
    ]


async def test_a_store_of_either_kind_is_written_to_and_left_as_it_was(store_url: str, tmp_path: Path) -> None:
    """Each thing is a line; the tests' PostgreSQL runs without fsync, and that is said."""
    settings = settings_for(store_url, queue=f"journal:{tmp_path}/intake")
    for _ in range(2):
        found = states(await check_everything(settings))
        assert {name: found[name] for name in ("store", "store writing", "store clock")} == {
            "store": "ok",
            "store writing": "ok",
            "store clock": "ok",
        }
        assert found["store durability"] == ("ok" if store_url.startswith("sqlite") else "failed")


async def test_messages_from_the_future_tell_of_a_clock_that_was_set_back(
    sqlite_url: str, clock: FakeClock, tmp_path: Path
) -> None:
    settings = settings_for(sqlite_url, queue=f"journal:{tmp_path}/intake")
    async with kernel_on(sqlite_url, clock) as kernel:
        await kernel.receive(fake_message("a"))
    clock.advance(hours=-1)
    (found,) = [each for each in await check_everything(settings, clock) if each.subject == "store clock"]
    assert found.state == "weak"
    assert "set back" in found.sentence


async def test_a_database_that_may_not_be_written_to_is_found(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It opens, and every write fails."""
    settings = settings_for(sqlite_url, queue=f"journal:{tmp_path}/intake")
    monkeypatch.setattr(engine, "_SQLITE_PRAGMAS", (*engine._SQLITE_PRAGMAS, "PRAGMA query_only=ON"))  # noqa: SLF001
    found = {each.subject: each for each in await check_everything(settings)}
    assert found["store writing"].state == "failed"
    assert found["store writing"].sentence.startswith("store.url: ")


async def test_the_brokers_queues_are_counted(rabbitmq: RabbitMQ, sqlite_url: str, tmp_path: Path) -> None:
    """Exchanges and queues are there; that nobody reads the reports is worth a look."""
    settings = settings_for(sqlite_url, queue=rabbitmq.url, files=str(tmp_path))
    found = {each.subject: each for each in await check_everything(settings)}
    assert found["queue"].state == "ok"
    assert "lapor.intake" in found["queue"].sentence
    assert found["queue lapor.intake"].state == "weak"
    assert "Nobody reads the reports" in found["queue lapor.intake"].sentence
    assert found["queue lapor.gateway.replies"].state == "ok"
    assert "guest:guest" not in " ".join(each.sentence for each in found.values())


@pytest.mark.parametrize(
    ("bound", "state"), [(("ENOUGH", 0), "ok"), (("ENOUGH", 1 << 70), "weak"), (("TOO_LITTLE", 1 << 70), "failed")]
)
def test_a_disk_without_room_is_told_before_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: tuple[str, int], state: str
) -> None:
    """One line for each disk, with the settings that lead to it; folders that are not there yet count as well."""
    monkeypatch.setattr(disk_check, "ENOUGH", 0)
    monkeypatch.setattr(disk_check, "TOO_LITTLE", 0)
    if bound[0] == "TOO_LITTLE":
        monkeypatch.setattr(disk_check, "ENOUGH", bound[1])
    monkeypatch.setattr(disk_check, *bound)
    settings = settings_for(
        f"sqlite:///{tmp_path}/a/gateway.db", queue=f"journal:{tmp_path}/b/c", files=f"{tmp_path}/d"
    )
    (found,) = disk_check.check_disks(settings)
    assert found.state == state
    assert "store.url, store.files, queue.url" in found.sentence


@pytest.mark.parametrize(
    ("seconds", "state", "part"),
    [
        (0.0, "ok", "agrees"),
        (CLOCK_TOLERANCE, "ok", "agrees"),
        (-CLOCK_TOLERANCE - 1, "weak", "6 s behind that of X"),
        (CLOCK_LIMIT + 1, "failed", "61 s ahead of that of X"),
    ],
)
def test_two_clocks_may_be_a_little_apart(clock: FakeClock, seconds: float, state: str, part: str) -> None:
    theirs = clock.now() - timedelta(seconds=seconds)
    found = clock_finding("channels.twitter clock", clock.now(), theirs, "X")
    assert found.state == state
    assert part in found.sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sun, 22 Nov 2026 06:21:07 GMT", "2026-11-22T06:21:07+00:00"),
        ("mx.example.go.id ESMTP Exim 4.96 Sun, 22 Nov 2026 13:21:07 +0700", "2026-11-22T13:21:07+07:00"),
        ("mail.example.go.id ESMTP Postfix", None),
        ("31 Foo 2026 06:21:07 GMT", None),
        ("99 Nov 2026 06:21:07 GMT", None),
        ("x" * 2000 + " 22 Nov 2026 06:21:07 GMT", None),
        ("", None),
    ],
)
def test_a_servers_time_is_read_where_it_says_one(text: str, expected: str | None) -> None:
    found = time_in(text)
    assert (found.isoformat() if found else None) == expected
