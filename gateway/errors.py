"""The one tree of errors; the class of an error is the decision that it calls for.

GatewayError
├── Retry                the outside world failed; the same step is tried again after a back-off
│   ├── StoreUnavailable
│   ├── BrokerUnavailable
│   ├── ChannelUnavailable
│   │   ├── MaybeSent    … while an answer was being sent; nobody knows whether it went out
│   │   └── LeaseLost    another process has taken the channel over
│   ├── NotSent          one answer could not be sent now; the channel itself works
│   └── Throttled        the other side takes nothing more before a moment; nothing was tried
├── NeedsOperator        nothing gets better without a person; the sentence says what to do
│   ├── SettingsError
│   ├── SchemaMismatch
│   └── StoreFull
├── Quarantine           this one message cannot be understood; it is set aside with its reason
└── Refused              the other side has said no to this one answer for good
"""


class GatewayError(Exception):
    """Anything that the gateway raises on purpose. Its text is a sentence for an operator."""


class Retry(GatewayError):
    """The outside world failed for now. Nothing is lost; the step is tried again."""


class StoreUnavailable(Retry):
    """The database does not answer. What has not been committed stays at its source."""


class BrokerUnavailable(Retry):
    """The queue does not take events. They wait in the outbox."""


class ChannelUnavailable(Retry):
    """A modem, an API or a mailbox does not answer. Its messages wait there."""


class MaybeSent(ChannelUnavailable):
    """The answer may have gone out, or not.

    Args:
        reason: A sentence for operators.
        channel_works: Whether the outcome of this one answer is all that is unknown. Otherwise the channel failed
            while it was sending, and is opened anew.
    """

    def __init__(self, reason: str, *, channel_works: bool = False) -> None:
        super().__init__(reason)
        self.channel_works = channel_works


class NotSent(Retry):
    """This answer could not be sent now, while the channel works; it is tried again later."""


class LeaseLost(ChannelUnavailable):
    """Another process reads this channel's source now; nothing is written for it here any more."""


class Throttled(Retry):
    """No answer can be sent before a moment: a budget is used up. It counts as no attempt.

    Args:
        reason: A sentence for operators.
        seconds: How long to wait.
    """

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


class NeedsOperator(GatewayError):
    """Trying again cannot help; the sentence says what a person has to do."""


class SettingsError(NeedsOperator):
    """A setting is unknown or wrong.

    Args:
        key: The path of the setting, such as ``channels.sms-1708.device``.
        problem: What is wrong with it, as the end of a sentence.
    """

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem


class SchemaMismatch(NeedsOperator):
    """The database was made by another version of the gateway."""


class StoreFull(NeedsOperator):
    """There is no room left for the database. Receiving stops before anything is released."""


class Quarantine(GatewayError):
    """The message cannot be parsed. Its text is the reason that an operator reads."""


class Refused(GatewayError):
    """The other side refuses this answer for good; trying again would only be refused again.

    Args:
        reason: A sentence for operators.
        by_settings: Whether it is our own side that holds the answer back: a guard, or settings that answer nobody.
    """

    def __init__(self, reason: str, *, by_settings: bool = False) -> None:
        super().__init__(reason)
        self.by_settings = by_settings
