"""The settings of an X channel: what is refused, and what the parser is told."""

from typing import Any

import pytest
from pydantic import ValidationError

from channels.twitter.settings import TwitterSettings

KEYS = {"consumer_key": "a", "consumer_secret": "b", "access_token": "c", "access_token_secret": "d"}


def settings(**values: Any) -> TwitterSettings:
    return TwitterSettings.model_validate({"type": "twitter", "bearer_token": "t"} | values)


def test_the_defaults_are_those_of_lapor() -> None:
    profile = settings().profile()
    assert profile.own_addresses == {"LAPOR1708"}
    assert profile.options == {"account": "LAPOR1708", "hashtag": "LAPOR", "bare_mention": "hold"}


def test_answers_need_all_four_keys() -> None:
    assert not settings().can_answer
    assert settings(**KEYS).can_answer
    with pytest.raises(ValidationError, match="access_token_secret is missing"):
        settings(**{name: value for name, value in KEYS.items() if name != "access_token_secret"})


@pytest.mark.parametrize(
    "url",
    [
        "api.x.com", "ftp://api.x.com", "https://", "https://api.x.com/2", "https://api.x.com?a=b",
        "https://user@api.x.com", "https://api.x.com#a", "https://api.x.com:99999", "https://[::1",
    ],
)  # fmt: skip
def test_only_an_origin_is_taken(url: str) -> None:
    with pytest.raises(ValidationError, match="must be an origin"):
        settings(api_url=url)


def test_a_slash_at_the_end_does_no_harm() -> None:
    assert settings(api_url="http://127.0.0.1:8000/").api_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize("token", ["", "two words", "a\nb", "é"])
def test_a_token_that_fits_no_header_is_refused_unseen(token: str) -> None:
    with pytest.raises(ValidationError, match="no key of X has"):
        settings(bearer_token=token)


@pytest.mark.parametrize(
    "values",
    [
        {"account": "@LAPOR1708"}, {"account": "x" * 16}, {"hashtag": "#LAPOR"}, {"hashtag": "1708"},
        {"connects_per_window": 51}, {"mode": "poll"}, {"recheck_hours": 25}, {"unknown": 1},
    ],
)  # fmt: skip
def test_other_bad_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**values)
