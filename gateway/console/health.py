"""What probes ask: ``/healthz``, whether a restart would help; ``/readyz``, whether messages are taken in."""

import asyncio
from typing import Final

from aiohttp import web

from gateway.application import Gateway
from gateway.console.snapshot import is_ready
from gateway.errors import GatewayError

READY_SECONDS: Final = 3.0
"""How long the store may take to answer a probe; who probes waits a few seconds at most."""


class Health:
    """The two rooms that probes visit. Their answers hold no personal data and need no login.

    Args:
        gateway: Whose pulse is felt.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[web.RouteDef]:
        """Where they are."""
        return [web.get("/healthz", self.healthz), web.get("/readyz", self.readyz)]

    async def healthz(self, _request: web.Request) -> web.Response:
        """200 while the event loop and every shared stage move, else 503: a restart helps.

        A store or a queue that is away is no reason for a restart; readyz tells of it.
        """
        problem = self._gateway.pulse.problem()
        return _answer("alive", problem)

    async def readyz(self, _request: web.Request) -> web.Response:
        """200 while messages are taken in, else 503: the store is away, or a stage fails."""
        return _answer("ready", self._gateway.pulse.problem() or await self._unready())

    async def _unready(self) -> str:
        try:
            async with asyncio.timeout(READY_SECONDS):
                if await is_ready(self._gateway):
                    return ""
        except TimeoutError:
            return f"The store has not answered within {READY_SECONDS:g} s."
        except GatewayError:
            return "The store cannot be used; the console and the log say why."  # its own sentence may name hosts
        return "Taking messages in fails; the console and the log say why."


def _answer(name: str, problem: str) -> web.Response:
    body = {name: not problem} | ({"reason": problem} if problem else {})
    return web.json_response(body, status=503 if problem else 200)
