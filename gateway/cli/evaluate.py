"""``lapor-gateway evaluate``: how well repeats are recognised, by a file of labelled pairs."""

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from gateway.cli.common import run_async
from gateway.errors import NeedsOperator
from gateway.evaluation import Decided, Judged, Likeness, Numbered, Score, Written, judge, prepare, read_pairs, scores
from gateway.telemetry import configure_logging

_SHOWN: Final = 200
_CHUNK: Final = 200
"""Pairs that one process judges on one database before it takes another."""
_IN_JSON: Final[tuple[Likeness, ...]] = ("repeat", "similar")


def evaluate_pairs(
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS.jsonl", help="One labelled pair a line.", dir_okay=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,  # noqa: FBT002 - a flag
    window_days: Annotated[int, typer.Option(min=1, max=3650, help="As dedup.window_days in the settings.")] = 30,
) -> None:
    """Run labelled pairs of messages through the gateway, each in an empty store; print precision and recall."""
    configure_logging("error", "text")
    numbered = _read(pairs)
    judged = _judged(numbered, window_days, Console(stderr=True))
    found = scores((each.numbered.pair.expect, each.got) for each in judged)
    wrong = [each for each in judged if each.is_wrong]
    if as_json:
        typer.echo(json.dumps(_as_json(found, wrong), ensure_ascii=False, indent=2))
    else:
        _print(found, wrong)


def _judged(numbered: Sequence[Numbered], window_days: int, console: Console) -> list[Judged]:
    """Judges pairs in chunks, as many at a time as there are processors; a single chunk in this process."""
    chunks = [numbered[at : at + _CHUNK] for at in range(0, len(numbered), _CHUNK)]
    judged: list[Judged] = []
    with (
        tempfile.TemporaryDirectory(prefix="lapor-evaluate-") as folder,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
        ExitStack() as stack,
    ):
        task = progress.add_task("pairs", total=len(numbered))
        run_async(prepare(Path(folder)))
        work = partial(_judge_chunk, folder=Path(folder), window_days=window_days)
        results: Iterable[list[Judged]] = map(work, chunks)
        if len(chunks) > 1:
            pool = ProcessPoolExecutor(min(len(chunks), os.cpu_count() or 1), get_context("spawn"))
            results = stack.enter_context(pool).map(work, chunks)
        for done in results:
            judged += done
            progress.advance(task, len(done))
    return judged


def _judge_chunk(chunk: Sequence[Numbered], folder: Path, window_days: int) -> list[Judged]:
    configure_logging("error", "text")
    return run_async(judge(chunk, folder, window_days))


def _read(path: Path) -> list[Numbered]:
    try:
        with path.open("rb") as file:
            return list(read_pairs(file))
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror})"
        raise NeedsOperator(message) from error
    except NeedsOperator as error:
        message = f"{path}: {error}"
        raise NeedsOperator(message) from None


def _as_json(found: dict[Likeness, Score], wrong: list[Judged]) -> dict[str, Any]:
    return {
        "classes": {name: {"precision": found[name].precision, "recall": found[name].recall} for name in _IN_JSON},
        "wrong": [_wrong_json(each) for each in wrong],
    }


def _wrong_json(judged: Judged) -> dict[str, Any]:
    pair = judged.numbered.pair
    named = {name: value for name, value in (("id", pair.id), ("kind", pair.kind)) if value is not None}
    return {
        "line": judged.numbered.line,
        **named,
        "expect": pair.expect,
        "got": judged.got,
        "a": _message_json(pair.a, judged.a),
        "b": _message_json(pair.b, judged.b),
    }


def _message_json(written: Written, decided: Decided) -> dict[str, Any]:
    return {
        "channel": written.channel,
        "text": written.text,
        "decision": decided.decision,
        "reason": decided.reason,
    }


def _print(found: dict[Likeness, Score], wrong: list[Judged]) -> None:
    console = Console(soft_wrap=True)
    table = Table("class", "pairs", "predicted", "right", "precision", "recall")
    for name, score in found.items():
        counts = map(str, (score.expected, score.predicted, score.right))
        table.add_row(name, *counts, _share(score.precision), _share(score.recall))
    console.print(table)
    for judged in wrong:
        pair = judged.numbered.pair
        kind = f", {pair.kind}" if pair.kind else ""
        console.print(
            Text(f"line {judged.numbered.line}{kind}: expected {pair.expect}, got {judged.got}"), highlight=False
        )
        console.print(Text(f"  a  {_line(pair.a, judged.a)}"), highlight=False)
        console.print(Text(f"  b  {_line(pair.b, judged.b)}"), highlight=False)
    total = sum(score.expected for score in found.values())
    console.print(f"{len(wrong)} of {total} pairs are wrong.", highlight=False)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _line(written: Written, decided: Decided) -> str:
    text = repr(written.text if len(written.text) <= _SHOWN else written.text[: _SHOWN - 1] + "…")
    if decided.report_id is not None:
        return f"{written.channel}: {text}"
    reason = f": {decided.reason}" if decided.reason else ""
    return f"{written.channel}: {text} (no report, {decided.decision}{reason})"
