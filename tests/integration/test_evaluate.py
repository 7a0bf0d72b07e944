"""``evaluate`` and ``classify`` as they are typed: what they print, and what becomes of bad lines."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.evaluation import Judged, judge, prepare, read_pairs

CORPUS = Path(__file__).parents[1] / "corpus" / "pairs"
AT = "2026-11-21T08:00:00Z"
TEXT = "Jembatan bambu di Kampung Cirangkong sudah lapuk, kemarin anak SD hampir jatuh ke kali"


def _message(text: str = TEXT, reporter: str = "+628110000001", channel: str = "sms", at: str = AT) -> dict[str, str]:
    return {"channel": channel, "reporter": reporter, "text": text, "at": at}


def _pair(expect: str, a: dict[str, str], b: dict[str, str], **more: Any) -> str:
    return json.dumps({"a": a, "b": b, "expect": expect} | more)


def _lapor(*arguments: str, folder: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAPOR_")}
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", *arguments],
        cwd=folder,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def _file(folder: Path, *lines: str) -> str:
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


async def _judged(folder: Path, lines: Sequence[str]) -> list[Judged]:
    await prepare(folder)
    return await judge(list(read_pairs(line.encode() for line in lines)), folder)


async def test_each_pair_is_judged_in_an_empty_store(tmp_path: Path) -> None:
    """Were anything left of the pair before, its reporter's matter would make a repeat of both messages."""
    different = _pair("different", _message(), _message("Harga pupuk di kios Desa Gandasari dua kali lipat"))
    repeat = _pair("repeat", _message(), _message(at="2026-11-22T08:00:00Z"))
    judged = await _judged(tmp_path, [repeat, different, repeat, repeat])
    assert [each.got for each in judged] == ["repeat", "different", "repeat", "repeat"]
    assert [each.a.decision for each in judged] == ["report"] * 4


async def test_the_moments_of_a_pair_are_those_of_its_lines(tmp_path: Path) -> None:
    """The window is reckoned from them, and not from the time of the evaluation."""
    within = _pair("repeat", _message(), _message(at="2026-12-19T08:00:00Z"))
    beyond = _pair("different", _message(), _message(at="2026-12-23T08:00:00Z"))
    assert [each.got for each in await _judged(tmp_path, [within, beyond])] == ["repeat", "different"]


async def test_the_three_classes_across_channels(tmp_path: Path) -> None:
    post = _message(f"#LAPOR {TEXT} @LAPOR1708", "@warga", "twitter")
    mail = _message(f"Subject: Jembatan\n\n{TEXT}", "warga@example.net", "mail")
    bare = _message(f"@LAPOR1708 {TEXT}", "@warga", "twitter")
    lines = [
        _pair("similar", _message(), post),
        _pair("similar", post, mail),
        _pair("repeat", post, bare),
        _pair("repeat", mail, mail),
        _pair("different", _message(), _message("Bibit padi bantuan tidak tumbuh", "warga@example.net", "mail")),
    ]
    assert [each.got for each in await _judged(tmp_path, lines)] == [
        "similar",
        "similar",
        "repeat",  # an operator accepts a bare mention; it is a report then
        "repeat",
        "different",
    ]


async def test_what_becomes_no_report_is_like_nothing_and_says_why(tmp_path: Path) -> None:
    retweet = _message("RT @tetangga: #LAPOR jalan rusak @LAPOR1708", "@warga", "twitter")
    named = _message(reporter="BANKKU")
    (first, second) = await _judged(tmp_path, [_pair("repeat", retweet, retweet), _pair("repeat", named, named)])
    assert (first.got, first.b.decision, first.b.reason) == ("different", "ignored", "a retweet")
    assert (second.got, second.a.decision, second.b.decision) == ("different", "ignored", "ignored")


def test_json_holds_two_classes_and_the_wrong_pairs_and_nothing_else(tmp_path: Path) -> None:
    right = _pair("repeat", _message(), _message())
    wrong = _pair("similar", _message(), _message(), id="x-1", kind="a wrong label", more=1)
    result = _lapor("evaluate", _file(tmp_path, right, "", wrong), "--json", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["classes"] == {
        "repeat": {"precision": 0.5, "recall": 1.0},
        "similar": {"precision": None, "recall": 0.0},
    }
    assert set(printed) == {"classes", "wrong"}
    (shown,) = printed["wrong"]
    assert {name: shown[name] for name in ("line", "id", "kind", "expect", "got")} == {
        "line": 3,
        "id": "x-1",
        "kind": "a wrong label",
        "expect": "similar",
        "got": "repeat",
    }
    assert shown["a"]["text"] == shown["b"]["text"] == TEXT


def test_people_read_a_table_and_the_wrong_pairs(tmp_path: Path) -> None:
    wrong = _pair("similar", _message(), _message("RT @x: jalan", "@warga", "twitter"))
    result = _lapor("evaluate", _file(tmp_path, wrong), folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "precision" in result.stdout
    assert "line 1: expected similar, got different" in result.stdout
    assert "(no report, ignored: a retweet)" in result.stdout
    assert "1 of 1 pairs are wrong." in result.stdout


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param([_pair("repeat", _message(), _message()), "nonsense"], "line 2: JSON is malformed", id="no JSON"),
        pytest.param([_pair("often", _message(), _message())], "line 1: Invalid enum value", id="no such label"),
    ],
)
def test_a_malformed_line_ends_it_with_one_sentence(tmp_path: Path, lines: list[str], said: str) -> None:
    result = _lapor("evaluate", _file(tmp_path, *lines), folder=tmp_path)
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not result.stdout


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = _lapor("evaluate", "missing.jsonl", folder=tmp_path)
    assert result.returncode == 1
    assert "missing.jsonl: cannot be read" in result.stderr


def test_many_pairs_are_judged_in_several_processes(tmp_path: Path) -> None:
    """More than one chunk; the order stays that of the file."""
    lines = [_pair("different", _message(), _message(), id=number) for number in range(201)]
    result = _lapor("evaluate", _file(tmp_path, *lines), "--json", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert [each["id"] for each in json.loads(result.stdout)["wrong"]] == list(range(201))


def test_classify_answers_every_line_and_ends_with_1_for_a_bad_one(tmp_path: Path) -> None:
    good = json.dumps(_message("TANGKAB jalan rusak. KIP AB12C3"))
    result = _lapor("classify", folder=tmp_path, given=f"{good}\nnonsense\n\n{good}\n")
    assert result.returncode == 1
    first, second, third = map(json.loads, result.stdout.splitlines())
    assert list(second) == ["error"]
    assert first == third
    assert (first["decision"], first["references"]) == ("report", ["KIPAB12C3"])
    fine = _lapor("classify", folder=tmp_path, given=good)
    assert fine.returncode == 0
    assert not list(tmp_path.iterdir()), "it makes no database and no file"


@pytest.mark.parametrize(
    ("name", "precision", "recall"),
    [
        pytest.param("by_hand.jsonl", 0.95, 0.80, id="written by hand"),
        pytest.param("sample.jsonl", 0.95, 0.75, id="generated"),
    ],
)
def test_the_labelled_files_are_judged_well(tmp_path: Path, name: str, precision: float, recall: float) -> None:
    """A floor against falling back, well below what is reached: the figures themselves are in the corpus' README."""
    result = _lapor("evaluate", str(CORPUS / name), "--json", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    for label, score in json.loads(result.stdout)["classes"].items():
        assert score["precision"] >= precision, label
        assert score["recall"] >= recall, label
