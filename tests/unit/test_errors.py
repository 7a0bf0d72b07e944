"""The class of an error is the decision that it calls for."""

import pytest

from gateway import errors


@pytest.mark.parametrize(
    ("error", "calls_for"),
    [
        (errors.StoreUnavailable("x"), errors.Retry),
        (errors.BrokerUnavailable("x"), errors.Retry),
        (errors.ChannelUnavailable("x"), errors.Retry),
        (errors.MaybeSent("x"), errors.ChannelUnavailable),
        (errors.NotSent("x"), errors.Retry),
        (errors.SettingsError("a.b", "is missing"), errors.NeedsOperator),
        (errors.SchemaMismatch("x"), errors.NeedsOperator),
        (errors.StoreFull("x"), errors.NeedsOperator),
        (errors.Quarantine("x"), errors.GatewayError),
        (errors.Refused("x"), errors.GatewayError),
    ],
)
def test_each_error_calls_for_one_decision(error: errors.GatewayError, calls_for: type[errors.GatewayError]) -> None:
    """To try again or to ask an operator, never both; each is an error of the gateway."""
    assert isinstance(error, calls_for)
    assert isinstance(error, errors.GatewayError)
    assert not (isinstance(error, errors.Retry) and isinstance(error, errors.NeedsOperator))


def test_an_answer_that_was_not_sent_is_no_fault_of_its_channel() -> None:
    """The channel is not opened anew for it."""
    assert not isinstance(errors.NotSent("x"), errors.ChannelUnavailable)


def test_an_error_of_the_settings_reads_as_key_and_problem() -> None:
    """And keeps both apart for whoever wants them."""
    error = errors.SettingsError("store.url", "is missing")
    assert (str(error), error.key, error.problem) == ("store.url: is missing", "store.url", "is missing")
