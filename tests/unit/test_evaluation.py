"""Labelled pairs: how they are read, how precision and recall are reckoned, and what the generator invents."""

import collections
import json
import re
import statistics
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway.cli.classify import classified
from gateway.errors import NeedsOperator
from gateway.evaluation import Likeness, Score, composer, read_pairs, scores
from tests.corpus.pairs.changes import CHANGES, chosen
from tests.corpus.pairs.generate import pairs
from tests.corpus.pairs.matters import MATTERS

CORPUS = Path(__file__).parents[1] / "corpus" / "pairs"
SMS = {
    "channel": "sms",
    "reporter": "+628110000001",
    "text": "Jalan rusak di Desa Sukamaju",
    "at": "2026-11-21T08:00:00Z",
}


def _line(**changed: Any) -> bytes:
    return json.dumps({"a": SMS, "b": SMS, "expect": "repeat"} | changed).encode()


# Precision and recall.

R, S, D = "repeat", "similar", "different"


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        pytest.param([], {R: (None, None), S: (None, None), D: (None, None)}, id="nothing was judged"),
        pytest.param([(R, R), (S, S), (D, D)], {R: (1, 1), S: (1, 1), D: (1, 1)}, id="all is right"),
        pytest.param([(R, D), (S, D)], {R: (None, 0), S: (None, 0), D: (0, None)}, id="a class never predicted"),
        pytest.param(
            [(R, R), (R, R), (R, D), (S, R)],
            {R: (2 / 3, 2 / 3), S: (None, 0), D: (0, None)},
            id="some of each",
        ),
        pytest.param([(R, S), (S, S), (D, S), (D, S)], {S: (1 / 4, 1), R: (None, 0)}, id="everything is similar"),
    ],
)
def test_precision_is_of_the_predictions_and_recall_of_the_labels(
    verdicts: list[tuple[Likeness, Likeness]], expected: dict[Likeness, tuple[float | None, float | None]]
) -> None:
    found = scores(verdicts)
    assert {name: (found[name].precision, found[name].recall) for name in expected} == expected


def test_a_score_keeps_what_it_was_reckoned_from() -> None:
    assert scores([("repeat", "repeat"), ("repeat", "different")])["repeat"] == Score(expected=2, predicted=1, right=1)


# Reading.


def test_a_pair_is_read_whatever_else_its_line_says() -> None:
    lines = [_line(id=7, kind="typos", note={"any": "thing"}), b"\n", _line(expect="different")]
    read = list(read_pairs(lines))
    assert [(each.line, each.pair.id, each.pair.kind, each.pair.expect) for each in read] == [
        (1, 7, "typos", "repeat"),
        (3, None, None, "different"),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param(b"nonsense", "line 2: JSON is malformed", id="no JSON"),
        pytest.param(b"[]", "line 2: Expected `object`", id="no object"),
        pytest.param(_line(expect="maybe"), "line 2: Invalid enum value 'maybe'", id="no such label"),
        pytest.param(b'{"a": {}, "b": {}, "expect": "repeat"}', "line 2: Object missing required field", id="no text"),
        pytest.param(
            _line(b=SMS | {"channel": "pigeon"}), "line 2: channel: 'pigeon' is none of", id="no such channel"
        ),
        pytest.param(_line(a=SMS | {"at": "2026-11-21T08:00:00"}), "line 2: at: has no time zone", id="no time zone"),
        pytest.param(_line(a=SMS | {"at": "yesterday"}), "line 2: Invalid RFC3339", id="no time"),
        pytest.param(
            _line(a=SMS | {"channel": "mail", "reporter": "a\nb"}), "line 2: the reporter cannot be", id="no address"
        ),
    ],
)
def test_a_malformed_line_is_named_by_its_number(line: bytes, said: str) -> None:
    with pytest.raises(NeedsOperator, match=re.escape(said)):
        list(read_pairs([_line(), line]))


# Messages as their sources would bring them.


@pytest.mark.parametrize(
    ("channel", "reporter", "text", "expected"),
    [
        pytest.param("sms", "08110000001", "LAPOR jalan rusak", ("report", "jalan rusak"), id="an SMS"),
        pytest.param(
            "sms", "+628110000001", "jalan – rusak 🙏" + "x" * 500, ("report", None), id="a long one in Unicode"
        ),
        pytest.param("sms", "BANKKU", "promo", ("ignored", "promo"), id="a sender that is a name"),
        pytest.param("twitter", "@warga", "#LAPOR jalan @LAPOR1708", ("report", None), id="a post"),
        pytest.param("twitter", "1234", "@LAPOR1708 & <jalan>", ("held", None), id="a bare mention"),
        pytest.param("twitter", "@warga", "jalan rusak", ("ignored", None), id="a post to nobody"),
        pytest.param("twitter", "@warga", "#LAPOR @LAPOR1708 " + "jalan " * 90, ("report", None), id="a long post"),
        pytest.param("mail", "a@example.net", "Subject: Jalan\n\nrusak", ("report", "rusak"), id="a mail"),
        pytest.param(
            "mail", "W <a@example.net>", "jalan rusak 🙏", ("report", "jalan rusak 🙏"), id="without a subject"
        ),
    ],
)
def test_what_a_citizen_wrote_comes_through_the_real_parser(
    channel: str, reporter: str, text: str, expected: tuple[str, str | None]
) -> None:
    (answer,) = classified([json.dumps({"channel": channel, "reporter": reporter, "text": text}).encode()])
    decision, said = expected
    assert answer["decision"] == decision
    assert said is None or answer["text"] == said


def test_a_handle_is_the_same_account_each_time_and_the_post_keeps_its_number() -> None:
    compose = composer("twitter")
    at = next(read_pairs([_line()])).pair.a.at
    first, second = compose("@Warga", "a", at, "1"), compose("warga", "b", at, "2")
    assert (first.external_id, second.external_id) == ("1", "2")
    assert first.order_key == second.order_key
    assert compose("@tetangga", "a", at, "1").order_key != first.order_key


# What classify answers.


def test_a_message_is_described_without_a_database() -> None:
    text = "TANGKAB jln rusak. KIP AB12C3, rahasiakan nama saya"
    (answer,) = classified([json.dumps({"channel": "sms", "reporter": "+628110000001", "text": text}).encode()])
    assert list(answer) == ["decision", "reason", "keyword", "references", "text", "normalised", "visibility"]
    assert (answer["decision"], answer["reason"], answer["text"]) == ("report", None, text)
    assert answer["keyword"] == {"written": "TANGKAB", "normalised": "TANGKAB"}
    assert answer["references"] == ["KIPAB12C3"]
    assert answer["normalised"]
    assert answer["visibility"] in {"anonymous", "secret"}


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("STATUS 1234567897", "command"),
        ("BANTUAN", "command"),
        ("Laporan #1234567 belum selesai", "update"),
        ("Bantuan beras kami belum datang", "report"),
    ],
)
def test_the_decision_is_that_of_the_gateway(text: str, decision: str) -> None:
    (answer,) = classified([json.dumps({"channel": "sms", "reporter": "+628110000001", "text": text}).encode()])
    assert answer["decision"] == decision


def test_a_bad_line_is_an_error_of_its_own_and_the_others_are_answered() -> None:
    good = json.dumps(SMS).encode()
    answers = list(classified([b"nonsense", good, b'{"channel": "sms"}', b"", b'{"channel": 1}', good]))
    assert ["error" in answer for answer in answers] == [True, False, True, True, False]


# The generator.


def test_the_same_seed_invents_the_same_pairs() -> None:
    assert list(pairs(50, 3)) == list(pairs(50, 3))
    assert list(pairs(50, 3)) != list(pairs(50, 4))


def test_the_sample_in_the_repository_is_what_the_generator_makes() -> None:
    written = (CORPUS / "sample.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in written] == list(pairs(200, 1708))


def test_the_invented_pairs_are_spread_as_the_promise_says() -> None:
    """Two fifths are different, half of those on one template; lengths as the published sample has them."""
    made = list(pairs(3000, 5))
    labels = collections.Counter(pair["expect"] for pair in made)
    assert labels["different"] >= 0.4 * len(made)
    assert min(labels["repeat"], labels["similar"]) >= 0.2 * len(made)
    kinds = [pair["kind"] for pair in made if pair["expect"] == "different"]
    assert sum(kind.startswith(("other ", "one template")) for kind in kinds) >= len(kinds) / 2
    lengths = sorted(len(pair["a"]["text"]) for pair in made)
    assert 130 <= statistics.median(lengths) <= 180
    assert 330 <= lengths[int(len(lengths) * 0.9)] <= 480
    assert lengths[-1] > 1000
    assert len(MATTERS) >= 40


def test_the_reporters_and_times_of_a_pair_are_what_its_label_needs() -> None:
    for pair in pairs(2000, 6):
        a, b = pair["a"], pair["b"]
        same = (a["channel"], a["reporter"]) == (b["channel"], b["reporter"])
        days = (_moment(b) - _moment(a)) / 86_400
        assert days > 0
        if pair["expect"] == "repeat":
            assert same, pair["id"]
            assert days < 30
        elif pair["expect"] == "similar":
            assert not same, pair["id"]
            assert days < 30
        elif pair["kind"].startswith("too late"):
            assert same
            assert days > 30
        else:
            assert a["text"] != b["text"], pair["id"]


def _moment(message: dict[str, Any]) -> float:
    pair = next(read_pairs([_line(a=message)])).pair
    return pair.a.at.timestamp()


def test_no_change_touches_a_number_or_an_id() -> None:
    """What tells two people on one template apart must survive whatever is done to the words around it."""
    cards = re.compile(r"\d{13,16}")
    for pair in pairs(2000, 7):
        if pair["expect"] == "different" or "cut" in pair["kind"] or "other form" in pair["kind"]:
            continue
        assert set(cards.findall(pair["a"]["text"])) == set(cards.findall(pair["b"]["text"])), pair["id"]


def test_a_change_changes_the_text_unless_it_is_called_exact() -> None:
    made = list(pairs(300, 8))
    for number, pair in enumerate(made):
        name, changed = chosen(Random(number), pair["a"]["text"])
        assert (changed == pair["a"]["text"]) == (name == "exact")
        assert set(name.split(" + ")) <= set(CHANGES)


@pytest.mark.parametrize("name", ["sample.jsonl", "by_hand.jsonl"])
def test_the_files_of_the_repository_can_be_read(name: str) -> None:
    with (CORPUS / name).open("rb") as file:
        read = list(read_pairs(file))
    assert len(read) >= 150
    assert len({each.pair.id for each in read}) == len(read)
    assert all(each.pair.kind for each in read)
