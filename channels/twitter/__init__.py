"""The X (Twitter) channel: the filtered stream, reconciled by recent search, and answers as replies."""

from channels.twitter.channel import TwitterChannel
from channels.twitter.composed import compose
from channels.twitter.settings import TwitterSettings
from gateway.ports import ChannelPlugin

CHANNEL = ChannelPlugin(
    settings=TwitterSettings,
    create=TwitterChannel,
    after_crash="look",
    sample_name="twitter",
    sample={
        "account": "LAPOR1708",
        "hashtag": "LAPOR",
        "api_url": "https://api.x.com",
        "bearer_token": "env:X_BEARER_TOKEN",
        "consumer_key": "env:X_CONSUMER_KEY",
        "consumer_secret": "env:X_CONSUMER_SECRET",
        "access_token": "env:X_ACCESS_TOKEN",
        "access_token_secret": "env:X_ACCESS_TOKEN_SECRET",
    },
    one_reader=True,
    compose=compose,
)
"""What the entry point names. Before an answer goes a second time the account's own posts are looked through."""

__all__ = ["CHANNEL"]
