"""What ``lapor-gateway check`` tries of X once the channel is open: the keys for answers, and the clock."""

from collections.abc import Sequence
from typing import Final

from channels.twitter.api import ApiError, XApi, translate
from channels.twitter.settings import TwitterSettings
from gateway.clock import Clock
from gateway.findings import Finding, clock_finding

_REFUSED: Final = (401, 403)


async def check_lines(api: XApi, settings: TwitterSettings, clock: Clock, name: str) -> Sequence[Finding]:
    """The bearer token was tried by opening the channel; the four keys are tried here.

    Args:
        api: X.
        settings: The channel's section.
        clock: Ours, to compare with X's: it refuses signatures whose time is minutes off.
        name: The channel's name.
    """
    label = f"channels.{name}"
    found = [Finding(f"{label} bearer_token", "ok", "X accepts it."), await _answering(api, settings, name)]
    if api.server_time is not None:
        found.append(clock_finding(f"{label} clock", clock.now(), api.server_time, "X"))
    return found


async def _answering(api: XApi, settings: TwitterSettings, channel_name: str) -> Finding:
    label = f"channels.{channel_name}"
    subject = f"{label} answers"
    if not settings.can_answer:
        sentence = (
            f"{label}.consumer_key is not set, nor the three keys beside it: posts are received and not answered."
        )
        return Finding(subject, "weak", sentence)
    try:
        _, name = await api.me()
    except ApiError as error:
        if error.status in _REFUSED:
            sentence = (
                f"{label}.consumer_key and the three keys beside it: X does not accept them ({error.status}); correct "
                "them, and see that they may write and that the clock is right."
            )
        else:
            sentence = str(translate(error, channel_name))
        return Finding(subject, "failed", sentence)
    if name.lower() != settings.account.lower():
        sentence = f"{label}.access_token is that of @{name}, not of @{settings.account}: make one with that account."
        return Finding(subject, "failed", sentence)
    return Finding(subject, "ok", f"X accepts the four keys; answers come from @{name}.")
