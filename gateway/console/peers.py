"""Who is at the other end of a connection: an address, a trusted proxy, or somebody on this very machine."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from aiohttp import web

Address = IPv4Address | IPv6Address
_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
_MOST_HOPS: Final = 20


class Peers:
    """Knows which proxies are believed.

    Args:
        trusted: As in ``console.trusted_proxies``.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted: list[IPv4Network | IPv6Network] = [ip_network(text) for text in trusted]

    def is_proxy(self, request: web.BaseRequest) -> bool:
        """Whether a trusted proxy asks on somebody's behalf."""
        peer = _peer(request)
        return peer is not None and self._trusts(peer)

    def client(self, request: web.BaseRequest) -> str:
        """The address of whoever asks: of the last hop that no trusted proxy is."""
        peer = _peer(request)
        if peer is None or not self._trusts(peer):
            return "" if peer is None else str(peer)
        hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")[-_MOST_HOPS:]
        for hop in reversed(hops):
            address = _parsed(hop.strip())
            if address is None:
                break
            if not self._trusts(address):
                return str(address)
        return str(peer)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def is_here(request: web.BaseRequest) -> bool:
    """Whether a program on this machine asks this machine, by its own name, and for nobody else.

    The Host tells a page of another site whose name was made to point here; the other headers, a proxy.
    """
    peer = _peer(request)
    return (
        peer is not None
        and peer.is_loopback
        and is_loopback(request.host)
        and not any(name in request.headers for name in _FORWARDED)
    )


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine and nothing else."""
    name = host
    if host.startswith("["):
        name = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        name = host.partition(":")[0]
    address = _parsed(name)
    return name.lower() == "localhost" if address is None else address.is_loopback


def _peer(request: web.BaseRequest) -> Address | None:
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    return _parsed(str(peer[0])) if isinstance(peer, tuple) and peer else None


def _parsed(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
