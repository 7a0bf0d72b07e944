"""The HTTP server of one gateway: which rooms there are, and who may enter which."""

from aiohttp import web

from gateway.application import Gateway
from gateway.console.access import Access
from gateway.console.acting import Acting
from gateway.console.front import Front
from gateway.console.health import Health
from gateway.console.latest import SNAPSHOTS, Snapshots
from gateway.console.live import Live
from gateway.console.login import Login
from gateway.console.looking import Looking
from gateway.console.pages import ACCESS, ZONE, for_people
from gateway.console.peers import is_loopback
from gateway.console.reading import Reading
from gateway.console.web import LARGEST_BODY, add_headers, finish
from gateway.console.working import Working
from gateway.errors import SettingsError
from gateway.settings.model import zone_of
from gateway.store import operators


class Console:
    """The HTTP server of one gateway.

    Args:
        gateway: What it shows.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._snapshots = Snapshots(gateway)
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Listens where ``console.listen`` says; returns the page's address.

        Raises:
            SettingsError: It cannot listen there, or must not: others could come in, and nobody would have to log in.
            StoreUnavailable: Nobody can tell whether there are operators.
        """
        listen = self._gateway.settings.console.listen
        await self._refuse_open_doors(listen)
        host, _, port = listen.rpartition(":")
        self._runner = web.AppRunner(self.application(), access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            raise SettingsError("console.listen", f"cannot listen on {listen} ({error.strerror})") from error
        bound = self._runner.addresses[0]
        return f"http://{host}:{bound[1]}"

    async def stop(self) -> None:
        """Stops listening."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self._snapshots.close()

    async def _refuse_open_doors(self, listen: str) -> None:
        if is_loopback(listen):
            return
        async with self._gateway.store.read() as connection:
            if not await operators.any_at_all(connection):
                raise SettingsError(
                    "console.listen",
                    f"{listen} can be reached by others, and the console has no operator: add one with "
                    "`lapor-gateway operator add NAME`, or listen on 127.0.0.1",
                )

    def application(self) -> web.Application:
        """All rooms, each behind its guard; a room that nobody was let into by name is closed to all."""
        gateway, access = self._gateway, Access(self._gateway)
        zone = zone_of(gateway.settings.answers.timezone)
        guards = [for_people, finish, access.deny_by_default]
        application = web.Application(middlewares=guards, client_max_size=LARGEST_BODY)
        application[SNAPSHOTS], application[ACCESS], application[ZONE] = self._snapshots, access, zone
        login, front = Login(gateway, access), Front(gateway, access)
        live = Live(gateway, self._snapshots, access, zone)
        looking, acting = Looking(gateway), Acting(gateway)
        application.add_routes(
            [
                *access.anyone([*Health(gateway).routes(), *front.open_routes(), *login.routes()]),
                *access.viewers([*front.routes(), *looking.routes()]),
                *access.viewers([*live.routes(), *login.inner_routes(), *Reading(gateway).routes()]),
                *access.operators([*acting.routes(), *Working(gateway, acting, looking).routes()]),
            ]
        )
        application.on_shutdown.append(live.close)
        application.on_response_prepare.append(add_headers)
        application.on_response_prepare.append(access.set_cookie)
        return application
