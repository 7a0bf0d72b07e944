"""What the demo writes to its log: JSON, in the closed vocabulary, and nothing of its citizens."""

import json
import os
import subprocess
import sys
from pathlib import Path

from gateway.telemetry import Log
from tests.services import free_port


def test_the_demos_citizens_leave_nothing_in_the_log(tmp_path: Path) -> None:
    """At the level that shows most: no number, address, name, handle or text of anybody whose report was published."""
    command = [sys.executable, "-m", "gateway.cli.main", "demo", "--folder", "demo", "--pace", "20", "--seconds", "8"]
    environment = os.environ | {
        "LAPOR_CONSOLE__LISTEN": f"127.0.0.1:{free_port()}",
        "LAPOR_LOG__FORMAT": "json",
        "LAPOR_LOG__LEVEL": "debug",
    }
    demo = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    lines = [json.loads(line) for line in demo.stderr.splitlines()]
    vocabulary = {str(event) for event in Log}
    assert {line["event"] for line in lines} <= vocabulary
    assert {line["event"] for line in lines} >= {Log.STARTED, Log.CHANNEL_STATE, Log.STOPPED}
    events = (tmp_path / "demo" / "intake.jsonl").read_text(encoding="utf-8").splitlines()
    reports = [json.loads(event)["data"] for event in events]
    assert {report["channel"] for report in reports} == {"sms", "twitter", "mail"}
    decoded = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    for report in reports:
        who = report["reporter"]
        marks = [who["address"], who["name"], who["handle"], report["title"], report["tracking_id"]]
        marks += [line for line in report["text"].splitlines() if len(line) > len("LAPOR Gateway")]
        for mark in filter(None, marks):
            assert mark not in decoded
