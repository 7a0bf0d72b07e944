"""The pages speak both languages wholly: every text that a template asks for is there, and none is left over."""

import re
import string
from pathlib import Path
from typing import get_args

import pytest

from gateway.actions.messages import Verb
from gateway.console import language
from gateway.console.language import LANGUAGES, TEXTS, step_text, text, word
from gateway.console.looking import ANSWER_STATES
from gateway.console.reading import MESSAGE_STATES

CONSOLE = Path(language.__file__).parent
SAME_IN_BOTH = {"role.operator"}
GROUPS = ("attention.", "pipeline.", "nav.", "which.", "act.", "error.", "done", "decision.", "answerkind.", "role.")
"""Keys that are put together in a template or in code."""

STATES = ("up", "degraded", "down", "needs_operator", "paused")


def _asked() -> tuple[set[str], str]:
    """Keys that stand as such in a template or in the code; and all of that."""
    sources = [*CONSOLE.glob("templates/*.html"), *CONSOLE.glob("*.py")]
    texts = "".join(path.read_text(encoding="utf-8") for path in sources if path.name != "language.py")
    return set(re.findall(r"\bt\(\"([a-z_.0-9]*[a-z0-9])\"", texts)), texts


def test_every_text_is_there_in_both_languages() -> None:
    for key, found in TEXTS.items():
        assert len(found) == len(LANGUAGES), key
        assert all(found), key
        assert key in SAME_IN_BOTH or found[0] != found[1], key


def test_both_languages_fill_in_the_same_values() -> None:
    for key, found in TEXTS.items():
        first, second = ({name for _, name, _, _ in string.Formatter().parse(one) if name} for one in found)
        assert first == second, key


def test_what_the_pages_ask_for_is_in_the_catalogue() -> None:
    keys, _ = _asked()
    assert keys - set(TEXTS) == set()


def test_nothing_in_the_catalogue_is_left_over() -> None:
    keys, texts = _asked()
    left = {key for key in TEXTS if key not in keys and f'"{key}"' not in texts and not key.startswith(GROUPS)}
    groups = {"message", "gap", "answer", "free", "verdict", "fact"}
    assert {key for key in left if key.partition(".")[0] not in groups and key not in STATES} == set()


@pytest.mark.parametrize(
    ("group", "names"),
    [("message", MESSAGE_STATES), ("answer", ANSWER_STATES), ("act", get_args(Verb)), ("", STATES)],
)
def test_every_state_has_its_word(group: str, names: tuple[str, ...]) -> None:
    for name in names:
        assert word("id", group, name) != name


@pytest.mark.parametrize(
    ("step", "indonesian"),
    [
        ("committed", "disimpan dengan aman"),
        ("processed: report", "diolah: laporan"),
        ("processed: something new", "diolah: something new"),
        ("event 2 confirmed by the queue", "peristiwa 2 dikonfirmasi antrean"),
        ("receipt failed", "tanda terima: gagal"),
        ("a step of tomorrow", "a step of tomorrow"),
    ],
)
def test_the_ledger_is_told_in_indonesian(step: str, indonesian: str) -> None:
    assert step_text("id", step) == indonesian
    assert step_text("en", step) == step


def test_a_text_that_is_missing_is_a_bug() -> None:
    with pytest.raises(KeyError):
        text("id", "no.such.key")
