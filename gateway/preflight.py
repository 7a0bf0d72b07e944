"""Looks, before ``run``, at what only a person could mend, and what makes a start pointless."""

from gateway.errors import GatewayError, NeedsOperator, SettingsError
from gateway.publishers import make_publisher
from gateway.settings import ChannelSection, Settings


async def refuse_hopeless(settings: Settings) -> None:
    """Raises what makes a start pointless: a queue that refuses us, or not one channel that could be opened.

    One channel that is missing beside others that are there does not keep those waiting: it shows on the console.

    Raises:
        NeedsOperator: The sentence names the setting.
    """
    problems = [problem for section in settings.channels.values() if (problem := missing(section))]
    if problems and len(problems) == len(settings.channels):
        raise problems[0]
    publisher = make_publisher(settings.queue)
    try:
        await publisher.open()
    except NeedsOperator:
        raise
    except GatewayError:
        pass  # a queue that is away for now: the outbox holds what comes until it is back
    finally:
        await publisher.close()


def missing(section: ChannelSection) -> SettingsError | None:
    """What a channel's settings name and is not there, or None."""
    try:
        section.settings.preflight()
    except SettingsError as error:
        return SettingsError(f"channels.{section.name}.{error.key}", error.problem)
    return None
