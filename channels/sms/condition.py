"""What a modem's figures mean: the channel's health, as a sentence that says what to do."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.findings import Finding
from gateway.ports import Health

_WEAK_SIGNAL: Final = 10
_NEARLY_FULL: Final = 0.9
_REGISTERED: Final = ("HomeNetwork", "RoamingNetwork")


def plain_status(status: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that operators look at, by names that do not change with the phone."""
    signal, network, memory = (status.get(name) for name in ("signal", "network", "memory"))
    plain: dict[str, Any] = {}
    if isinstance(signal, Mapping):
        plain["signal_percent"] = signal.get("SignalPercent")
    if isinstance(network, Mapping):
        plain["network_state"] = network.get("State")
        plain["operator"] = network.get("NetworkName") or network.get("NetworkCode")
    if isinstance(memory, Mapping):
        plain["sim_used"] = memory.get("SIMUsed")
        plain["sim_size"] = memory.get("SIMSize")
        plain["phone_used"] = memory.get("PhoneUsed")
        plain["phone_size"] = memory.get("PhoneSize")
    return plain


def judge(details: Mapping[str, Any]) -> Health:
    """The worst of what the figures say."""
    reason = _trouble(details)
    return Health("degraded" if reason else "up", reason, details)


def check_lines(label: str, details: Mapping[str, Any]) -> Sequence[Finding]:
    """What an operator would look at by hand, for ``lapor-gateway check``: network, signal, room on the SIM."""
    return [_network(label, details), _signal(label, details), _room(label, details)]


def _network(label: str, details: Mapping[str, Any]) -> Finding:
    subject, state = f"{label} network", details.get("network_state")
    if state is None:
        return Finding(subject, "weak", "The modem does not say whether the SIM is in a network: send a test SMS.")
    if state not in _REGISTERED:
        return Finding(
            subject, "failed", f"{label}: the SIM is not in a network ({state}): check antenna and contract."
        )
    roaming = " by roaming" if state == "RoamingNetwork" else ""
    return Finding(subject, "ok", f"The SIM is in the network {details.get('operator') or 'without a name'}{roaming}.")


def _signal(label: str, details: Mapping[str, Any]) -> Finding:
    subject, signal = f"{label} signal", details.get("signal_percent")
    if not isinstance(signal, int) or signal < 0:
        return Finding(subject, "weak", "The modem does not say how strong the signal is: look at it in a phone.")
    if signal < _WEAK_SIGNAL:
        return Finding(subject, "weak", f"The signal is weak ({signal} %): move the antenna.")
    return Finding(subject, "ok", f"The signal is {signal} %.")


def _room(label: str, details: Mapping[str, Any]) -> Finding:
    subject, used, size = f"{label} SIM", details.get("sim_used"), details.get("sim_size")
    if not isinstance(used, int) or not isinstance(size, int) or not size:
        return Finding(subject, "ok", "The modem does not count the messages on the SIM.")
    if used / size >= _NEARLY_FULL:
        return Finding(subject, "weak", f"The SIM is nearly full: {used} of {size} slots; the gateway clears it.")
    return Finding(subject, "ok", f"{used} of {size} slots of the SIM are used.")


def _trouble(details: Mapping[str, Any]) -> str:
    if (state := details.get("network_state")) not in (*_REGISTERED, None):
        return f"The SIM is not in a network ({state}): check antenna, SIM and contract."
    if stuck := details.get("undeletable_messages"):
        return f"The phone does not delete {stuck} messages that are in safe keeping: look at the SIM."
    if unreadable := details.get("unreadable_slots"):
        return f"{unreadable} messages in the phone cannot be read: look at the SIM."
    used, size = details.get("sim_used"), details.get("sim_size")
    if isinstance(used, int) and isinstance(size, int) and size and used / size >= _NEARLY_FULL:
        return f"The SIM is nearly full: {used} of {size} slots."
    signal = details.get("signal_percent")
    if isinstance(signal, int) and 0 <= signal < _WEAK_SIGNAL:
        return f"The signal is weak ({signal} %): move the antenna."
    return ""
