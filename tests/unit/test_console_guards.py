"""The small guards of the console: who is at the other end, how often one may guess, what is seen of an address."""

import ipaddress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from multidict import CIMultiDict

from gateway.actions.act import LONGEST_REASON, act
from gateway.console.peers import Peers, is_here, is_loopback
from gateway.console.throttle import FOR_A_NAME, FROM_AN_ADDRESS, MOST_REMEMBERED, WINDOW_SECONDS, Throttle
from gateway.masking import masked
from gateway.model import Reporter, ReporterKind
from gateway.passwords import NOBODYS, hashed, is_outdated, matches, problem_of
from tests.fakes import FakeClock


def _request(peer: str, host: str = "127.0.0.1:8080", **headers: str) -> web.BaseRequest:
    transport = SimpleNamespace(get_extra_info=lambda _name: (peer, 1234))
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return cast("web.BaseRequest", SimpleNamespace(transport=transport, host=host, headers=named))


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1:8080", True),
        ("127.8.9.1", True),
        ("[::1]:8080", True),
        ("::1", True),
        ("localhost:80", True),
        ("LOCALHOST", True),
        ("0.0.0.0:8080", False),
        ("[::]:8080", False),
        ("192.168.1.5:8080", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:80", False),
        ("", False),
    ],
)
def test_only_this_very_machine_is_loopback(host: str, loopback: bool) -> None:  # noqa: FBT001
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("request_", "here"),
    [
        (_request("127.0.0.1"), True),
        (_request("::1", "[::1]:8080"), True),
        (_request("::ffff:127.0.0.1"), True),
        (_request("192.168.1.5"), False),
        (_request("127.0.0.1", "evil.example"), False),
        (_request("127.0.0.1", X_Forwarded_For="203.0.113.7"), False),
        (_request("127.0.0.1", Forwarded="for=203.0.113.7"), False),
    ],
)
def test_here_is_a_program_that_asks_this_machine_for_itself(request_: web.BaseRequest, here: bool) -> None:  # noqa: FBT001
    assert is_here(request_) is here


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        pytest.param("203.0.113.7", "198.51.100.1", "203.0.113.7", id="nobody whom we trust says so"),
        pytest.param("10.1.0.5", "198.51.100.1", "198.51.100.1", id="our proxy says so"),
        pytest.param("10.1.0.5", "6.6.6.6, 198.51.100.1", "198.51.100.1", id="the client has added one before"),
        pytest.param("10.1.0.5", "198.51.100.1, 10.1.0.9", "198.51.100.1", id="through two of our proxies"),
        pytest.param("10.1.0.5", "odd", "10.1.0.5", id="no address"),
        pytest.param("10.1.0.5", "", "10.1.0.5", id="nothing"),
    ],
)
def test_the_client_is_the_last_hop_that_we_do_not_trust(peer: str, forwarded: str, client: str) -> None:
    assert Peers(["10.1.0.0/16"]).client(_request(peer, X_Forwarded_For=forwarded)) == client


def test_guessing_from_one_address_ends_whatever_the_names() -> None:
    """And begins anew when the window is over."""
    throttle = Throttle(clock := FakeClock())
    tried = [throttle.wait(f"name{number}", "203.0.113.7") for number in range(FROM_AN_ADDRESS + 1)]
    assert [wait for wait in tried if wait > 0] == [WINDOW_SECONDS]
    assert throttle.wait("other", "203.0.113.8") == 0
    clock.advance(seconds=WINDOW_SECONDS)
    assert throttle.wait("name0", "203.0.113.7") == 0


def test_a_network_of_ipv6_counts_as_one() -> None:
    """One machine has all of it."""
    throttle = Throttle(FakeClock())
    tried = [throttle.wait(f"n{n}", f"2001:db8::{n:x}") for n in range(FROM_AN_ADDRESS + 1)]
    assert tried[-1] > 0
    assert throttle.wait("n", "2001:db8:0:1::1") == 0


def test_a_right_password_is_forgiven_and_does_not_free_the_address() -> None:
    """Whoever has one account may not guess at others for it."""
    throttle = Throttle(FakeClock())
    for _ in range(FOR_A_NAME * 3):
        assert throttle.wait("budi", "203.0.113.7") == 0
        throttle.forgive("budi", "203.0.113.7")
    tried = [throttle.wait(f"n{n}", "203.0.113.7") for n in range(FROM_AN_ADDRESS + 1)]
    assert (tried[-2], tried[-1]) == (0, WINDOW_SECONDS)


def test_what_is_remembered_of_guesses_is_bounded() -> None:
    """A million names cost no more than ten thousand."""
    throttle = Throttle(FakeClock())
    first = int(ipaddress.ip_address("10.0.0.0"))
    for number in range(MOST_REMEMBERED + 50):
        throttle.wait(f"name{number}", str(ipaddress.ip_address(first + number)))
    held: Any = throttle
    assert len(held._names) == len(held._addresses) == MOST_REMEMBERED  # noqa: SLF001


@pytest.mark.parametrize(
    ("kind", "address", "handle", "seen"),
    [
        ("phone", "+6281234567890", None, "+6281•••890"),
        ("phone", "1708", None, "1708"),
        ("email", "budi@example.org", None, "b•••@example.org"),
        ("x", "1234567890123", "budi_s", "@b•••"),
        ("x", "1234567890123", None, "•••123"),
        ("partner", "NIK-3201", None, "•••201"),
        ("phone", "", None, "–"),
    ],
)
def test_of_an_address_only_so_much_is_seen(kind: ReporterKind, address: str, handle: str | None, seen: str) -> None:
    assert masked(Reporter(address=address, kind=kind, handle=handle)) == seen


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("salah nomor 0811 0000 0001", "salah nomor …"),
        ("+62 811-0000-0001 marah", "… marah"),
        ("6281100000001", "…"),
        ("surat dari budi.s@example.go.id.", "surat dari …"),
        ("lihat #1234567897, part 2 of 3, 17-08-2026", "lihat #1234567897, part 2 of 3, 17-08-2026"),
        ("x\x00\ny", "x y"),
        ("x" * 600, "x" * LONGEST_REASON),
    ],
)
def test_a_reason_is_fit_to_be_kept(reason: str, kept: str) -> None:
    assert act("budi", "console", 1, reason).reason == kept


def test_passwords_are_hashed_with_a_salt_and_nobodys_matches_none() -> None:
    """The hash that unknown names are checked against costs what a real one costs."""
    known = hashed("rahasia-yang-panjang")
    assert known.startswith("$argon2id$")
    assert hashed("rahasia-yang-panjang") != known
    assert matches("rahasia-yang-panjang", known)
    assert not matches("rahasia-yang-pendek", known)
    assert not matches("", NOBODYS)
    assert not matches("x", "no hash at all")
    assert not is_outdated(known)
    assert not is_outdated(NOBODYS)
    assert is_outdated(known.replace("t=3", "t=1"))


@pytest.mark.parametrize(
    ("password", "problem"),
    [("x" * 11, "fewer than 12"), ("x" * 257, "more than 256"), ("x" * 20 + "\0", "NUL"), ("kuda naik sepeda", None)],
)
def test_a_new_password_has_to_be_long_and_nothing_else(password: str, problem: str | None) -> None:
    found = problem_of(password)
    assert found is None if problem is None else problem in (found or "")
