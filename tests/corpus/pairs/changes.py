"""What a text undergoes when its author, or somebody else, sends the same matter once more."""

import re
from collections.abc import Callable
from random import Random
from typing import Final

from tests.corpus.pairs.matters import ABBREVIATIONS, ENDINGS, KEYWORDS, OPENINGS, PLEAS, SERVICE_WORDS

Change = Callable[[Random, str], str]

_NEIGHBOURS: Final = {
    "a": "sq",
    "b": "vn",
    "d": "sf",
    "e": "wr",
    "g": "fh",
    "h": "gj",
    "i": "uo",
    "j": "hk",
    "k": "jl",
    "l": "k",
    "m": "n",
    "n": "bm",
    "o": "ip",
    "p": "o",
    "r": "et",
    "s": "ad",
    "t": "ry",
    "u": "yi",
    "w": "qe",
    "y": "tu",
}
_LOOK_ALIKE: Final = str.maketrans({"a": "а", "e": "е", "o": "о", "c": "с", "p": "р", "i": "і"})  # noqa: RUF100 - Cyrillic
_EMOJI: Final = ("🙏", "😭", "😡", "🙏🙏🙏", "😢", "⚠️", "🚧", "👎")
_FULL: Final = {short: full for full, shorts in ABBREVIATIONS.items() for short in shorts if short.isalpha()}
_WORD: Final = re.compile(r"[^\W\d_]+")
_PLACES_FOR_TYPOS: Final = re.compile(r"(?<![\w@#])[^\W\d_]{4,}(?![\w])")
_SENTENCES: Final = re.compile(r"(?<=[a-z!?])[.!?]\s+(?=[A-Z])")


def nothing(_random: Random, text: str) -> str:
    """Exactly the same."""
    return text


def typos(random: Random, text: str) -> str:
    """One to four slips of the finger, each in a word of four letters at least and never in one with a digit."""
    for _ in range(random.randint(1, 4)):
        words = list(_PLACES_FOR_TYPOS.finditer(text))
        if not words:
            break
        word = random.choice(words)
        at = random.randrange(word.start() + 1, word.end() - 1)
        text = text[:at] + _slip(random, text[at], text[at + 1]) + text[at + 2 :]
    return text


def _slip(random: Random, letter: str, following: str) -> str:
    match random.randrange(4):
        case 0:
            return following + letter
        case 1:
            return following
        case 2:
            return letter + letter + following
        case _:
            return random.choice(_NEIGHBOURS.get(letter.lower(), letter)) + following


def shortened(random: Random, text: str, share: float = 0.7) -> str:
    """Words abbreviated as in an SMS."""

    def one(found: re.Match[str]) -> str:
        shorts = ABBREVIATIONS.get(found[0].lower())
        return random.choice(shorts) if shorts and random.random() < share else found[0]

    return _WORD.sub(one, text)


def spelt_out(random: Random, text: str) -> str:
    """Abbreviations written in full."""
    return _WORD.sub(lambda found: _FULL.get(found[0], found[0]) if random.random() < 0.9 else found[0], text)


def other_case(random: Random, text: str) -> str:
    """All in capitals, all in small letters, or every word with a capital."""
    return random.choice((str.upper, str.lower, str.title))(text)


def other_punctuation(random: Random, text: str) -> str:
    """Without it, with more of it, or with other signs. Signs between digits stay."""
    match random.randrange(4):
        case 0:
            return re.sub(r"(?<!\d)[.,!?]+|[.,!?]+(?!\d)", "", text)
        case 1:
            return re.sub(r"(?<!\d)[.,](?=\s|$)", lambda _found: random.choice(("...", ",,,", "..", "!!")), text)
        case 2:
            return re.sub(r"(?<=[a-z])[.,] ", lambda found: found[0].strip(), text)
        case _:
            return re.sub(r"(?<=[a-z])\. ", "\n", text)


def drawn_out(random: Random, text: str) -> str:
    """One or two words drawn out: toloooong."""
    for _ in range(random.randint(1, 2)):
        spots = [found.start() for found in re.finditer(r"(?<=[b-z])[aiueo](?=[a-z]?\b)", text)]
        if spots:
            at = random.choice(spots)
            text = text[:at] + text[at] * random.randint(3, 6) + text[at + 1 :]
    return text


def with_emoji(random: Random, text: str) -> str:
    """One to three emoji, anywhere between words."""
    words = text.split(" ")
    for _ in range(random.randint(1, 3)):
        words.insert(random.randrange(1, len(words) + 1), random.choice(_EMOJI))
    return " ".join(words)


def led(text: str) -> tuple[str, str]:
    """A leading keyword, or nothing, and the rest."""
    for keyword in sorted(KEYWORDS, key=len, reverse=True):
        if text.startswith(keyword):
            return keyword, text[len(keyword) :]
    return "", text


def other_keyword(random: Random, text: str) -> str:
    """The leading keyword lost; the service word put before it where there was none.

    Never the word of a region: it might be another one than the text names.
    """
    keyword, rest = led(text)
    return rest if keyword else random.choice(SERVICE_WORDS) + text


def other_ending(random: Random, text: str) -> str:
    """Another polite ending, or none."""
    for ending in ENDINGS:
        if text.endswith(ending):
            text = text[: -len(ending)]
            break
    return text if random.random() < 0.2 else text + random.choice(ENDINGS)


def other_opening(random: Random, text: str) -> str:
    """Another polite opening, or none; a keyword stays before it."""
    keyword, text = led(text)
    for opening in OPENINGS:
        if text.startswith(opening):
            text = text[len(opening) :]
            return keyword + (text if random.random() < 0.5 else random.choice(OPENINGS) + text)
    return keyword + random.choice(OPENINGS) + text


def pleading(random: Random, text: str) -> str:
    """A plea before or behind; some count how often one has reported, or for how long."""
    plea = random.choice(PLEAS)
    keyword, rest = led(text)
    return f"{keyword}{plea}. {rest}" if random.random() < 0.4 else f"{text.rstrip('.')}. {plea}"


def reordered(random: Random, text: str) -> str:
    """Its sentences in another order."""
    sentences = [each.strip().rstrip(".") for each in _SENTENCES.split(text) if each.strip()]
    turn = random.randrange(1, max(2, len(sentences)))
    return ". ".join(sentences[turn:] + sentences[:turn])


def cut(random: Random, text: str) -> str:
    """Only what fits one SMS, or an old post."""
    return text[: random.choice((160, 153, 140))].rstrip()


def disguised(random: Random, text: str) -> str:
    """Letters that look alike, or signs that cannot be seen."""
    if random.random() < 0.5:
        words = text.split(" ")
        for at in random.sample(range(len(words)), k=min(len(words), random.randint(1, 4))):
            if not any(sign.isdigit() for sign in words[at]) and words[at][:1] not in {"@", "#"}:
                words[at] = words[at].translate(_LOOK_ALIKE)
        return " ".join(words)
    spots = sorted(random.sample(range(1, len(text)), k=3), reverse=True)
    for at in spots:
        if text[at - 1].isalpha() and text[at].isalpha():
            text = text[:at] + random.choice(("\u200b", "\u00ad", "\u200d")) + text[at:]
    return text.replace(" ", "\u00a0", 2)


def other_spaces(random: Random, text: str) -> str:
    """One to three blanks lost between words, and some doubled."""
    for _ in range(random.randint(1, 3)):
        spots = [found.start() + 1 for found in re.finditer(r"[a-z,.] [a-z]", text)]
        if spots:
            at = random.choice(spots)
            text = text[:at] + random.choice(("", "", "  ")) + text[at + 1 :]
    return text


CHANGES: Final[dict[str, Change]] = {
    "exact": nothing,
    "typos": typos,
    "abbreviated": shortened,
    "spelt out": spelt_out,
    "case": other_case,
    "punctuation": other_punctuation,
    "drawn out": drawn_out,
    "emoji": with_emoji,
    "keyword": other_keyword,
    "ending": other_ending,
    "opening": other_opening,
    "plea": pleading,
    "reordered": reordered,
    "cut": cut,
    "disguised": disguised,
    "spaces": other_spaces,
}
"""By the name under which a pair says what was done to it."""

LONGER_THAN: Final = {"cut": 175}
"""Characters that a text must have for a change to be one."""

_SINGLE: Final = tuple(CHANGES)
_MIXED: Final = tuple(name for name in CHANGES if name not in {"exact", "reordered", "cut"})


def chosen(random: Random, text: str) -> tuple[str, str]:
    """What is done to a text, and the text after it: one change, or two or three at once.

    A change that changes nothing is another one instead, unless it is *exact*.
    """
    while True:
        if random.random() < 0.3:
            names = random.sample(_MIXED, k=random.randint(2, 3))
            if {"abbreviated", "spelt out"} <= set(names):
                continue
        else:
            names = [random.choice(_SINGLE)]
        changed = text
        if any(len(text) < LONGER_THAN.get(name, 0) for name in names):
            continue
        for name in sorted(names, key=_SINGLE.index):
            changed = CHANGES[name](random, changed)
        if changed != text or names == ["exact"]:
            return " + ".join(sorted(names, key=_SINGLE.index)), changed
