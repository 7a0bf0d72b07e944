"""Invented SMS for a full window: a third on templates of programmes with an ID each, places by the thousand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from gateway.ports import RawMessage
from tests.corpus.pairs.changes import chosen
from tests.corpus.pairs.generate import plan
from tests.corpus.pairs.values import Forms, digits

TEMPLATES: Final = ("kip cair", "kip sekolah", "kks", "sl")
"""What thousands of people send word for word, but for their own number."""

_PROGRAMME_SHARE: Final = 1 / 3
_DESK_SHARE: Final = 0.01
_DESKS: Final = 50
"""Numbers that pass on what others told them: the desks of regents and agencies, with thousands of reports each."""

REPEATS: Final = 0.07
SIMILAR: Final = 0.03
_REMEMBERED: Final = 2000

_STARTS: Final = (
    "Suka",
    "Karang",
    "Wono",
    "Sido",
    "Banjar",
    "Kedung",
    "Tegal",
    "Cipa",
    "Muara",
    "Rejo",
    "Gunung",
    "Pasir",
)
_MIDDLES: Final = ("ba", "ke", "lo", "mi", "nu", "ra", "se", "ta", "wi", "yu", "ga", "di", "pa", "ru", "sa")
_ENDS: Final = ("jaya", "rang", "man", "ndi", "sari", "tih", "lam", "wetan", "kidul", "mpok", "gung", "ntan")
_NAMES: Final = {
    "desa": ("Desa ", "desa ", "Ds. "),
    "dusun": ("Dusun ", "dusun ", "Dsn "),
    "kel": ("Kelurahan ", "Kel. ", "kel "),
    "kec": ("Kecamatan ", "Kec. ", "kec "),
    "jalan": ("Jalan ", "Jl. ", "jln "),
    "nama": ("",),
}
_SMS: Final = (
    '{"Class":-1,"Coding":"%s","DateTime":"2026-11-01T08:00:00+00:00","Folder":1,"Location":1,"Memory":"SM",'
    '"Number":"%s","State":"UnRead","Text":%s,"Type":"Deliver","UDH":{"AllParts":-1,"ID16bit":-1,"ID8bit":-1,'
    '"PartNumber":-1,"Text":{"hex":""},"Type":"NoUDH"}}'
)
"""The raw form of the SMS channel; written out, since a million of them are made."""


@dataclass(frozen=True, slots=True)
class Sms:
    """Who writes what."""

    sender: str
    text: str


def invented(random: Random) -> Sms:
    """One complaint that nobody else has, or nearly nobody."""
    matter = random.choice(TEMPLATES) if random.random() < _PROGRAMME_SHARE else None
    values = {kind: _place(random, before) for kind, before in _NAMES.items()}
    text = plan(random, matter, values).text()
    if random.random() < _DESK_SHARE:
        return Sms(f"+6281109{random.randrange(_DESKS):06d}", text)
    return Sms(f"+628110{digits(random, 7, '1')[1:]}{random.randrange(5)}", text)


def stream(random: Random) -> Iterator[Sms]:
    """Messages without end: new ones, 7 % repeats of earlier ones and 3 % that resemble those of others."""
    earlier: list[Sms] = []
    while True:
        drawn = random.random()
        if earlier and drawn < REPEATS + SIMILAR:
            known = random.choice(earlier)
            text = chosen(random, known.text)[1]
            yield Sms(known.sender if drawn < REPEATS else invented(random).sender, text)
            continue
        new = invented(random)
        if len(earlier) < _REMEMBERED:
            earlier.append(new)
        else:
            earlier[random.randrange(_REMEMBERED)] = new
        yield new


def record(sms: Sms, external_id: str) -> RawMessage:
    """An SMS in the raw form of the SMS channel."""
    coding = "Default_No_Compression" if sms.text.isascii() else "Unicode_No_Compression"
    raw = _SMS % (coding, sms.sender, json.dumps(sms.text))
    return RawMessage(external_id, raw.encode("ascii"), sms.sender)


def _place_names() -> tuple[str, ...]:
    return tuple(
        f"{start}{one}{two}{end}" for start in _STARTS for one in _MIDDLES for two in _MIDDLES for end in _ENDS
    )


_PLACES: Final = _place_names()


def _place(random: Random, before: tuple[str, ...]) -> Forms:
    name = _PLACES[int(random.random() * len(_PLACES))]
    return tuple(f"{each}{name}" for each in before)
