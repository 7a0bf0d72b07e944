"""The rules of the filtered stream that are ours, and the query of search."""

from collections.abc import Sequence

from channels.twitter.api import Rule


def wanted_rules(channel: str, account: str, hashtag: str) -> tuple[Rule, Rule]:
    """What the stream is to match: strictly a report, and whatever names the account.

    The server matches widely and the parser decides: a filter there drops posts that nobody ever sees.
    """
    strict = f"#{hashtag} @{account} -is:retweet"
    return Rule(strict, f"{_prefix(channel)}strict"), Rule(search_query(account), f"{_prefix(channel)}wide")


def search_query(account: str) -> str:
    """What search asks for; the strict rule's posts are among these."""
    return f"(@{account} OR {account} OR #{account}) -is:retweet -from:{account}"


def difference(channel: str, wanted: Sequence[Rule], existing: Sequence[Rule]) -> tuple[list[Rule], list[str]]:
    """The rules to add, and the ids of those to delete: only ours, told by their tags.

    X refuses a value that is there already, whatever its tag; so a rule of others with the same value will do.
    """
    values = {rule.value for rule in wanted}
    kept: set[str] = {rule.value for rule in existing if not rule.tag.startswith(_prefix(channel))}
    delete: list[str] = []
    for rule in existing:
        if not rule.tag.startswith(_prefix(channel)):
            continue
        if rule.value in values and rule.value not in kept:
            kept.add(rule.value)
        else:
            delete.append(rule.id)
    return [rule for rule in wanted if rule.value not in kept], delete


def _prefix(channel: str) -> str:
    return f"lapor-gateway:{channel}:"
