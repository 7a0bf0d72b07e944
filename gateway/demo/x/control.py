"""The control endpoint: what a test in another process can do to the simulated X, in JSON."""

import base64
from collections import Counter
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec
from aiohttp import web

from gateway.demo.x.faults import OPERATIONAL_DISCONNECT, REFUSALS, Faults
from gateway.demo.x.options import Options
from gateway.demo.x.problems import Json, answer
from gateway.demo.x.rules import Rules
from gateway.demo.x.stream import Stream
from gateway.demo.x.world import Media, Place, PostDetails, World
from gateway.demo.x.writing import Answer

_SWITCHES: Final = (
    "silent", "blackout", "byte_by_byte", "duplicates", "disorder", "ghosts", "half_lines", "lost_answers",
    "reset_seconds",
)  # fmt: skip
_IDS: Final = ("reply_to", "quote", "retweet", "edit_of")
_SAME: Final = ("lang", "sensitive")


class Controlled(Protocol):
    """What the endpoint needs of the simulator."""

    options: Options
    world: World
    faults: Faults
    stream: Stream
    rules: Rules
    calls: Counter[str]

    @property
    def answers(self) -> list[Answer]:
        """Everything that our account posted."""
        ...

    @property
    def duplicates_refused(self) -> int:
        """How often our account tried to post the same text again."""
        ...


class Control:
    """``POST /_control`` acts, ``GET /_control`` counts.

    A request may hold several of these; they are done in this order::

        {"clear": true,                                          all is well again
         "set": {"silent": true, "duplicates": 2, …},            attributes of `Faults`
         "refuse_connects": {"refusal": "unavailable", "times": 3},
         "refuse_calls": {"refusal": "html", "times": 1, "path": "/2/tweets/search/recent"},
         "user": {"username": …, "name": …, "verified": …, "created_at": …, "description": …},
         "post": {"author": …, "text": …, "at": "2026-11-01T08:00:00Z", "reply_to": id, "quote": id,
                  "retweet": id, "edit_of": id, "lang": …, "sensitive": …, "coordinates": [longitude, latitude],
                  "media": [{"name": …, "kind": …, "alt_text": …}],
                  "place": {"id": …, "full_name": …, "bbox": [w, s, e, n]}},
         "posts": [{…}, …],
         "delete": [ids], "withhold": [ids], "withhold_in": {id: ["ID"]}, "protect": [usernames],
         "inject": "a line", "inject_base64": "…", "operational_disconnect": true,
         "mute": true, "close": true, "reset": true}

    The answer is ``{"posts": [ids of the new posts]}``.
    """

    def __init__(self, simulator: Controlled) -> None:
        self._x = simulator

    async def counters(self, _request: web.Request) -> web.Response:
        """What happened so far."""
        x = self._x
        answers = [{"id": sent.post.id, "text": sent.text, "reply_to": sent.reply_to} for sent in x.answers]
        return answer(
            {
                "posts": len(x.world),
                "connections": x.stream.open_connections,
                "ghosts": x.stream.ghosts,
                "connect_attempts": list(x.stream.connect_attempts),
                "most_connects_in_window": x.stream.most_connects_within(x.options.window_seconds),
                "streamed": x.stream.sent,
                "dropped": x.stream.dropped,
                "calls": dict(x.calls),
                "rules": [rule.shown() for rule in x.rules],
                "answers": answers,
                "duplicates_refused": x.duplicates_refused,
            }
        )

    async def act(self, request: web.Request) -> web.Response:
        """Does what the request says."""
        try:
            wanted: Json = msgspec.json.decode(await request.read(), type=dict[str, Any])
            self._set_faults(wanted)
            posts = self._write(wanted)
            self._strike(wanted)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as problem:
            return answer({"error": f"{type(problem).__name__}: {problem}"}, 400)
        return answer({"posts": posts})

    def _set_faults(self, wanted: Json) -> None:
        faults = self._x.faults
        if wanted.get("clear"):
            faults.clear()
        for name, value in wanted.get("set", {}).items():
            if name not in _SWITCHES:
                raise ValueError(f"there is no fault named {name!r}")
            setattr(faults, name, value)
        for name, plan in (("refuse_connects", faults.refuse_connects), ("refuse_calls", faults.refuse_calls)):
            if name in wanted:
                if wanted[name].get("refusal") not in REFUSALS:
                    raise ValueError(f"a refusal is one of {', '.join(REFUSALS)}")
                plan(**wanted[name])

    def _write(self, wanted: Json) -> list[str]:
        world = self._x.world
        if "user" in wanted:
            given = dict(wanted["user"])
            if "created_at" in given:
                given["created_at"] = datetime.fromisoformat(given["created_at"])
            world.user(**given)
        items = [*([wanted["post"]] if "post" in wanted else []), *wanted.get("posts", ())]
        made = [world.post(item["author"], item.get("text", ""), **_details(item)).id for item in items]
        for post_id in wanted.get("delete", ()):
            world.delete(post_id)
        for post_id in wanted.get("withhold", ()):
            world.withhold(post_id)
        for post_id, countries in wanted.get("withhold_in", {}).items():
            world.withhold(post_id, *countries)
        for username in wanted.get("protect", ()):
            world.protect(username)
        return made

    def _strike(self, wanted: Json) -> None:
        faults = self._x.faults
        if "inject" in wanted:
            faults.inject(wanted["inject"].encode())
        if "inject_base64" in wanted:
            faults.inject(base64.b64decode(wanted["inject_base64"]))
        if wanted.get("operational_disconnect"):
            faults.inject(OPERATIONAL_DISCONNECT)
        for name, action in (("mute", faults.mute), ("close", faults.close), ("reset", faults.reset)):
            if wanted.get(name):
                action()


def _details(item: Json) -> PostDetails:
    details: PostDetails = {}
    if "at" in item:
        details["at"] = datetime.fromisoformat(item["at"])
    for name in (*_IDS, *_SAME):
        if name in item:
            details[name] = item[name]
    if "media" in item:
        details["media"] = [Media(**media) for media in item["media"]]
    if "place" in item:
        details["place"] = Place(**(item["place"] | {"bbox": tuple(item["place"]["bbox"])}))
    if "coordinates" in item:
        longitude, latitude = item["coordinates"]
        details["coordinates"] = (longitude, latitude)
    return details
