"""Brings the numbers of a text into one form each: phones, amounts, RT and RW, dates, number plates, cards. Pure."""

import re
from typing import Final

from gateway.dedup.spellings import ABBREVIATIONS
from gateway.dedup.words import AMOUNTS, PLATES, WEIGHTLESS

_DECIMAL: Final = re.compile(r"(?<![0-9.,])([0-9]{1,3})[.,]([0-9]{1,2}) ?(juta|jt|ribu|rb|miliar)\b")
_NUMBER_OF_A_PHONE: Final = re.compile(r"(?<![0-9])(?:\+ ?62|0)[ .-]?8[0-9]{1,3}(?:[ .-][0-9]{3,4}){2,3}(?![0-9])")
_MONEY: Final = re.compile(r"\brp\.? ?(?=[0-9])|(?<=[0-9])(?:,-|[.,:]00)(?![0-9.])")
_NEIGHBOURHOOD: Final = re.compile(
    r"\brt(?: ?[/.] ?rw)?[ .:]{0,2}([0-9]{1,3}) ?[/,-]? ?(?:rw[ .:]{0,2})?/? ?(?<=[/w :.])([0-9]{1,3})(?![0-9/])"
)
_DATE: Final = re.compile(r"(?<![0-9/.-])([0-3]?[0-9])[/-]([01]?[0-9])(?:[/-](?:20)?[0-9]{2})?(?![0-9/-])")
_DATE_WITH_DOTS: Final = re.compile(r"(?<![0-9.])([0-3]?[0-9])\. ?([01]?[0-9])\. ?20[0-9]{2}(?![0-9])")
_PLATE: Final = re.compile(r"\b([a-z]{1,2})[ .]?([0-9]{1,4})[ .]?([a-z]{1,3})\b")
_CARD: Final = re.compile(r"(?<![^\W_])[0-9]{4}(?:[ .-][0-9]{4}){1,4}(?:[ .-][0-9]{1,6})?(?![0-9])")
_DIGITS: Final = re.compile("[0-9](?:[^0-9]{0,40}[0-9])*")
"""Digits that stand near each other; a number's parts, its unit and what it belongs to stand nearer than _MARGIN."""

_MARGIN: Final = 16
_NO_DIGIT: Final = re.compile("[^0-9]")


def with_plain_numbers(text: str) -> str:
    """A text in lower case with its numbers in one form each; what stands far from any digit is not looked at."""
    parts: list[str] = []
    done = 0
    for match in _DIGITS.finditer(text):
        start = max(done, text.rfind(" ", 0, max(0, match.start() - _MARGIN)))
        end = text.find(" ", match.end() + _MARGIN)
        end = len(text) if end < 0 else end
        parts += (text[done:start], _numbered(text[start:end]))
        done = end
    return "".join([*parts, text[done:]]) if parts else text


def _numbered(text: str) -> str:
    """A piece of a text with its numbers in one form each."""
    text = _NUMBER_OF_A_PHONE.sub(_digits, text).replace("%", " persen ")
    text = _NEIGHBOURHOOD.sub(r"rt \1 rw \2 ", _MONEY.sub(" ", _DECIMAL.sub(_amount, text)))
    text = _PLATE.sub(_plate, _DATE_WITH_DOTS.sub(_date, _DATE.sub(_date, text)))
    return _CARD.sub(_digits, text)


def _date(match: re.Match[str]) -> str:
    day, month = match[1], match[2]
    return f" {int(day)}d{int(month)} "


def _amount(match: re.Match[str]) -> str:
    whole, part, unit = match.groups()
    (name,) = ABBREVIATIONS.get(unit, (unit,))
    return f" {int(whole + part) * AMOUNTS[name] // 10 ** len(part)} "


def _digits(match: re.Match[str]) -> str:
    return f"{digits_of(match[0])} "


def digits_of(text: str) -> str:
    """The digits of a text, and nothing else of it."""
    return _NO_DIGIT.sub("", text)


def _plate(match: re.Match[str]) -> str:
    region, number, series = match.groups()
    if region not in PLATES or series in WEIGHTLESS or series in ABBREVIATIONS:
        return match[0]
    return f" {region}{int(number)}{series} "
