"""The rules of the stream and the queries of the search: one language, and the list of rules that X keeps."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.demo.x.problems import Json, kind
from gateway.demo.x.text import haystack
from gateway.demo.x.world import Post

LONGEST_RULE: Final = 1024
MOST_RULES: Final = 1000

Predicate = Callable[[Post], bool]

_TOKEN = re.compile(r"\s*(-?\(|\)|-?\"[^\"]*\"|[^\s()\"]+)")
_STATES: Final[dict[str, Predicate]] = {
    "is:retweet": lambda post: post.refers("retweeted") is not None,
    "is:reply": lambda post: post.refers("replied_to") is not None,
    "is:quote": lambda post: post.refers("quoted") is not None,
    "is:verified": lambda post: post.author.verified,
    "has:media": lambda post: bool(post.media),
    "has:links": lambda post: "urls" in post.full.entities,
    "has:hashtags": lambda post: bool(post.hashtags),
    "has:mentions": lambda post: bool(post.mentions),
    "has:geo": lambda post: post.place is not None or post.coordinates is not None,
}


class RuleError(ValueError):
    """A rule that X would not accept; the text says why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the stream."""

    id: str
    value: str
    tag: str | None
    matches: Predicate

    def shown(self) -> Json:
        """As X lists it."""
        return {"id": self.id, "value": self.value} | ({"tag": self.tag} if self.tag is not None else {})


def compile_rule(value: str, longest: int = LONGEST_RULE) -> Predicate:
    """A rule or query as a question to a post; RuleError where it cannot be understood."""
    if not value.strip():
        raise RuleError("the rule is empty")
    if len(value) > longest:
        raise RuleError(f"the rule has {len(value)} characters, more than {longest}")
    parser = _Parser(list(_tokens(value)))
    found = parser.either()
    if parser.rest:
        raise RuleError(f"no viable alternative at {parser.rest[0]!r}")
    if not parser.positive:
        raise RuleError("a rule must contain at least one positive, standalone operator")
    return found


class Rules:
    """The rules that are in force, and X's answers when they are changed."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}
        self._last_id = 1_700_000_000_000_000_000

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules.values())

    def matching(self, post: Post) -> list[Rule]:
        """The rules that a post fulfils."""
        return [rule for rule in self._rules.values() if rule.matches(post)]

    def add(self, wanted: Sequence[Json], *, dry_run: bool = False) -> tuple[int, Json]:
        """Adds rules. Returns X's status and answer: what was created, and an error for each that was not."""
        created: list[Rule] = []
        errors: list[Json] = []
        for item in wanted:
            value, tag = str(item.get("value", "")), item.get("tag")
            known = next((rule for rule in (*self, *created) if rule.value == value and rule.tag == tag), None)
            if known is not None:
                title, about = "DuplicateRule", {"id": known.id, "type": kind("duplicate-rules")}
                errors.append({"value": value, "title": title, **about})
                continue
            try:
                created.append(self._make(value, tag, len(created)))
            except RuleError as problem:
                title, about = "UnprocessableEntity", {"type": kind("invalid-rules")}
                errors.append({"value": value, "title": title, "details": [str(problem)], **about})
        if not dry_run:
            self._rules.update((rule.id, rule) for rule in created)
        summary = {"created": len(created), "not_created": len(errors)}
        answer: Json = {"meta": {"summary": summary | {"valid": len(created), "invalid": len(errors)}}}
        if created:
            answer["data"] = [rule.shown() for rule in created]
        if errors:
            answer["errors"] = errors
        return 201 if created else 200, answer

    def delete(self, ids: Sequence[str], values: Sequence[str] = (), *, dry_run: bool = False) -> tuple[int, Json]:
        """Removes rules by their ids or values. Returns X's status and answer."""
        by_value = {rule.value: rule.id for rule in self}
        wanted = [*map(str, ids), *(by_value.get(value, value) for value in values)]
        found = [rule_id for rule_id in wanted if rule_id in self._rules]
        if not dry_run:
            for rule_id in found:
                self._rules.pop(rule_id, None)
        missing = len(wanted) - len(found)
        answer: Json = {"meta": {"summary": {"deleted": len(found), "not_deleted": missing}}}
        if missing:
            error = {"errors": [{"message": "Rule does not exist", "parameters": {}}], "title": "Invalid Request"}
            detail = "One or more parameters to your request was invalid."
            answer["errors"] = [error | {"detail": detail, "type": kind("invalid-request")}] * missing
        return 200, answer

    def _make(self, value: str, tag: str | None, more: int) -> Rule:
        if len(self._rules) + more >= MOST_RULES:
            raise RuleError(f"there are {MOST_RULES} rules already")
        self._last_id += 1
        return Rule(str(self._last_id), value, tag, compile_rule(value))


def _tokens(value: str) -> Iterator[str]:
    position = 0
    text = value.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise RuleError(f"a quotation mark or parenthesis is wrong at position {position + 1}")
        yield found[1]
        position = found.end()


class _Parser:
    """Reads a rule by recursive descent: OR binds less than AND, which is not written."""

    def __init__(self, tokens: list[str]) -> None:
        self.rest = tokens
        self.positive = False

    def either(self) -> Predicate:
        choices = [self._all()]
        while self.rest and self.rest[0] == "OR":
            self.rest.pop(0)
            choices.append(self._all())
        return choices[0] if len(choices) == 1 else lambda post: any(choice(post) for choice in choices)

    def _all(self) -> Predicate:
        needed: list[Predicate] = []
        while self.rest and self.rest[0] not in (")", "OR"):
            needed.append(self._one())
        if not needed:
            raise RuleError("an operator is missing")
        return needed[0] if len(needed) == 1 else lambda post: all(each(post) for each in needed)

    def _one(self) -> Predicate:
        word = self.rest.pop(0)
        negated = word.startswith("-")
        word = word.removeprefix("-")
        if word == "(":
            inner = self.either()
            if not self.rest or self.rest.pop(0) != ")":
                raise RuleError("missing ')'")
        else:
            inner = _term(word)
            self.positive |= not negated and not word.startswith(("is:", "has:", "lang:"))
        return (lambda post: not inner(post)) if negated else inner


def _term(token: str) -> Predicate:
    lowered = token.lower()
    state = _STATES.get(lowered)
    if state is not None:
        return state
    operator, colon, value = lowered.partition(":")
    if lowered.startswith(("#", "@")):
        name = lowered[1:]
        return (lambda post: name in post.hashtags) if lowered[0] == "#" else (lambda post: name in post.mentions)
    if colon and not lowered.startswith('"'):
        return _operator(operator, value)
    phrase = haystack(token)
    if not phrase.strip():
        raise RuleError(f"there is no word in {token!r}")
    return lambda post: phrase in post.words


def _operator(operator: str, value: str) -> Predicate:
    match operator:
        case "from":
            name = value.removeprefix("@")
            return lambda post: name in (post.author.username.lower(), post.author.id)
        case "conversation_id":
            return lambda post: post.conversation_id == value
        case "lang":
            return lambda post: post.lang == value
    raise RuleError(f"reference to invalid operator '{operator}'")
