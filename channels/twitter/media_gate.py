"""Where pictures and videos are fetched from: the hosts of the settings, and never our own network."""

import contextlib
import errno
import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

from channels.twitter.settings import TwitterSettings


class RefusedFile(Exception):
    """It is not fetched, now or later. The text says why, without the address."""


class Gate:
    """Decides about addresses: https only, and every hop of a redirect anew.

    The API's own origin may be http where it is on loopback: a simulator.
    """

    def __init__(self, settings: TwitterSettings) -> None:
        self._hosts = frozenset(host.lower().removesuffix(":443") for host in settings.media_hosts)
        origin = URL(settings.api_url)
        self._local = origin.origin() if origin.scheme == "http" and _is_loopback(origin.host or "") else None

    def passed(self, address: str, base: URL | None = None) -> URL:
        """The address, if it may be fetched.

        Args:
            address: An absolute address, or one that is relative to ``base``.
            base: Where a redirect came from.
        """
        try:
            url = base.join(URL(address)) if base else URL(address)
            host, origin = url.host, url.origin()
        except ValueError as error:
            raise RefusedFile("its address is none") from error
        if url.user is not None or url.password is not None or not host:
            raise RefusedFile("its address is none")
        if url.scheme != "https" and origin != self._local:
            raise RefusedFile("its address is not https")
        if (host if url.is_default_port() else f"{host}:{url.port}").lower() not in self._hosts:
            raise RefusedFile("its host is not among media_hosts")
        with contextlib.suppress(ValueError):
            if not self.allows(host, url.port or 0, ipaddress.ip_address(host)):
                raise RefusedFile("its host has a private address")
        return url

    def allows(self, host: str, port: int, ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        """Whether a connection to this address may be made for this host."""
        inner = getattr(ip, "ipv4_mapped", None) or ip
        if inner.is_global and not inner.is_multicast:
            return True
        local = self._local
        return local is not None and inner.is_loopback and (host, port) == (local.host, local.port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Resolver(AbstractResolver):
    """Names as the system resolves them, without the addresses that the gate does not allow."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._inner = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The allowed addresses of a name."""
        found = await self._inner.resolve(host, port, family)
        allowed = [one for one in found if self._gate.allows(host, port, ipaddress.ip_address(one["host"]))]
        if not allowed:
            raise OSError(errno.EACCES, "The host has no public address.")
        return allowed

    async def close(self) -> None:
        """Lets go of the system's resolver."""
        await self._inner.close()
