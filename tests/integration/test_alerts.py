"""The alert rules and the dashboard: promtool takes them, they name metrics that are there, and each alert fires."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.telemetry import Metrics

CONFIG = Path(__file__).parents[2] / "config"
ALERTS = CONFIG / "alerts.yml"
DASHBOARD = CONFIG / "grafana-dashboard.json"
LANGUAGES = ("", "_en")
_NAME = re.compile(r"\blapor_[a-z_]+\b")
_LABEL = re.compile(r"\{\{ \$labels\.(\w+) \}\}")

Case = tuple[str, Sequence[str], str, Sequence[dict[str, str]]]
"""An alert, series with their values minute by minute, a moment, and the labels that it fires with then."""

CASES: Sequence[Case] = (
    ("LaporGatewayDown", ['up{job="lapor-gateway", instance="a"} 1 0x9'], "2m", []),
    (
        "LaporGatewayDown",
        ['up{job="lapor-gateway", instance="a"} 1 0x9'],
        "4m",
        [{"job": "lapor-gateway", "instance": "a"}],
    ),
    ("LaporGatewayDown", ['up{job="another", instance="a"} 0x9'], "9m", []),
    ("LaporStepFailing", ['lapor_step_failures_total{step="process"} 0+5x40'], "40m", [{"step": "process"}]),
    ("LaporStepFailing", ['lapor_step_failures_total{step="process"} 0x10 1x30'], "40m", []),
    (
        "LaporChannelNeedsOperator",
        ['lapor_channel_state{channel="email", state="needs_operator"} 0 1x9'],
        "3m",
        [{"channel": "email"}],
    ),
    ("LaporChannelNeedsOperator", ['lapor_channel_state{channel="email", state="down"} 1x9'], "3m", []),
    ("LaporChannelDown", ['lapor_channel_state{channel="email", state="down"} 1x9'], "4m", []),
    ("LaporChannelDown", ['lapor_channel_state{channel="email", state="down"} 1x9'], "6m", [{"channel": "email"}]),
    (
        "LaporChannelDegraded",
        ['lapor_channel_state{channel="x", state="degraded"} 1x40'],
        "35m",
        [{"channel": "x"}],
    ),
    # Another gateway holds the lease and reads: this one's standing by is no pause.
    (
        "LaporChannelPaused",
        [
            'lapor_channel_state{channel="x", state="paused", instance="a"} 1x300',
            'lapor_channel_state{channel="x", state="paused", instance="b"} 0x300',
        ],
        "290m",
        [],
    ),
    ("LaporChannelPaused", ['lapor_channel_state{channel="x", state="paused"} 1x300'], "290m", [{"channel": "x"}]),
    ("LaporChannelQuiet", ['lapor_channel_quiet_odds{channel="sms-1708"} 5000x30'], "20m", [{"channel": "sms-1708"}]),
    ("LaporChannelQuiet", ['lapor_channel_quiet_odds{channel="sms-1708"} 20x30'], "20m", []),
    ("LaporGapLost", ['lapor_gaps{channel="x", state="lost"} 3x20 4x40'], "30m", [{"channel": "x"}]),
    ("LaporGapLost", ['lapor_gaps{channel="x", state="lost"} 3x60'], "30m", []),
    ("LaporProcessingLate", ['lapor_oldest_waiting_seconds{step="processed"} 0+60x30'], "20m", [{}]),
    ("LaporProcessingLate", ['lapor_oldest_waiting_seconds{step="published"} 0+60x30'], "20m", []),
    ("LaporPublishingLate", ['lapor_oldest_waiting_seconds{step="published"} 0+60x30'], "20m", [{}]),
    ("LaporQuarantined", ['lapor_messages{state="quarantined"} 1x30'], "20m", [{}]),
    ("LaporQuarantined", ['lapor_messages{state="held"} 1x30'], "20m", []),
    (
        "LaporQuarantineWave",
        [
            'lapor_messages_decided_total{channel="x", decision="quarantined"} 0+5x40',
            'lapor_messages_decided_total{channel="x", decision="report"} 0+10x40',
        ],
        "30m",
        [{"channel": "x"}],
    ),
    (
        "LaporQuarantineWave",
        [
            'lapor_messages_decided_total{channel="x", decision="quarantined"} 0+5x40',
            'lapor_messages_decided_total{channel="x", decision="report"} 0+100x40',
        ],
        "30m",
        [],
    ),
    ("LaporHeldWaiting", ['lapor_messages{state="held"} 60x300'], "250m", [{}]),
    ("LaporBrokerDown", ["lapor_broker_up 0x9"], "6m", [{}]),
    ("LaporBrokerDown", ['lapor_broker_up{instance="a"} 0x9', 'lapor_broker_up{instance="b"} 1x9'], "6m", []),
    ("LaporEventsParked", ["lapor_outbox_parked 0 1 1"], "1m", [{}]),
    ("LaporEventsRefused", ["lapor_events_refused_total 0+5x40"], "30m", [{}]),
    (
        "LaporConfirmSlow",
        [
            'lapor_confirm_seconds_bucket{le="1"} 0x40',
            'lapor_confirm_seconds_bucket{le="5"} 0+10x40',
            'lapor_confirm_seconds_bucket{le="+Inf"} 0+10x40',
        ],
        "30m",
        [{}],
    ),
    ("LaporStoreDown", ["lapor_store_up 1 0x9"], "3m", [{}]),
    ("LaporStoreSlow", ["lapor_store_answer_seconds 3x30"], "15m", [{}]),
    ("LaporStoreSlow", ["lapor_store_answer_seconds 0.01x30"], "15m", []),
    ("LaporDiskFilling", ['lapor_free_bytes{place="store"} 4000000000x60'], "40m", [{"place": "store"}]),
    ("LaporDiskFilling", ['lapor_free_bytes{place="store"} 90000000000x60'], "40m", []),
    ("LaporDiskFull", ['lapor_free_bytes{place="store"} 100000000x9'], "3m", [{"place": "store"}]),
    ("LaporAnswersLate", ['lapor_oldest_waiting_seconds{step="answered"} 50000x30'], "20m", [{}]),
    ("LaporAnswersFailing", ['lapor_answers_total{channel="x", outcome="failed"} 0+1x60'], "50m", [{"channel": "x"}]),
    ("LaporAnswersFailing", ['lapor_answers_total{channel="x", outcome="sent"} 0+9x60'], "50m", []),
    ("LaporRepliesRejected", ['lapor_replies_total{outcome="malformed"} 0 0 1 1'], "3m", [{"outcome": "malformed"}]),
    ("LaporRepliesRejected", ['lapor_replies_total{outcome="queued"} 0 0 1 1'], "3m", []),
)


def promtool(*arguments: str) -> None:
    """Runs Debian's own checker, which ``tests/services/install.sh`` installs."""
    program = shutil.which("promtool")
    assert program is not None, "promtool is missing: sh tests/services/install.sh"
    result = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def rules() -> dict[str, dict[str, Any]]:
    """The alert rules by name."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in found}) == len(found)
    return {rule["alert"]: rule for rule in found}


def exported() -> set[str]:
    """Every name that ``/metrics`` can show."""
    names: set[str] = set()
    for metric in Metrics().declared:
        names |= {metric.name}
        if metric.kind == "histogram":
            names |= {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
    return names


def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", str(ALERTS))


@pytest.mark.parametrize("name", list(rules()))
def test_an_alert_says_what_it_is_and_what_to_do_in_both_languages(name: str) -> None:
    rule = rules()[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    texts = [rule["annotations"][f"{what}{language}"] for what in ("summary", "description") for language in LANGUAGES]
    assert all(texts)
    assert len(set(texts)) == len(texts)
    assert set(_NAME.findall(rule["expr"])) <= exported()
    for text in texts[:2]:
        assert set(_LABEL.findall(text)) == set(_LABEL.findall(texts[0])), "both languages name the same"


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    assert {name for name, _, _, labels in CASES if labels} == set(rules())


def test_the_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    """As Prometheus evaluates them, with the annotations that a person reads."""
    tests = [
        {
            "name": f"{number}: {name} at {at}",
            "interval": "1m",
            "input_series": [dict(zip(("series", "values"), _split(line), strict=True)) for line in series],
            "alert_rule_test": [
                {"eval_time": at, "alertname": name, "exp_alerts": [_fired(name, of) for of in labels]}
            ],
        }
        for number, (name, series, at, labels) in enumerate(CASES)
    ]
    file = tmp_path / "cases.yml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", str(file))


def _split(line: str) -> tuple[str, str]:
    """A series and its values; only labels hold a space before the values."""
    end = line.rindex("}") + 1 if "}" in line else line.index(" ")
    return line[:end], line[end:].strip()


def _fired(name: str, labels: dict[str, str]) -> dict[str, Any]:
    rule = rules()[name]
    annotations = {key: _LABEL.sub(lambda found: labels[found[1]], text) for key, text in rule["annotations"].items()}
    return {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": annotations}


def panels() -> Iterator[dict[str, Any]]:
    """The panels of the dashboard, but for the rows' titles."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    yield from (panel for panel in dashboard["panels"] if panel["type"] != "row")


def expressions() -> list[str]:
    """Every query of the dashboard, with a value for Grafana's variables."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [each.replace("$__rate_interval", "5m").replace("$channel", ".*") for each in found]


def test_prometheus_takes_the_dashboards_queries(tmp_path: Path) -> None:
    """Each as a recording rule."""
    recorded = [{"record": f"dashboard:{number}", "expr": each} for number, each in enumerate(expressions())]
    assert all("$" not in rule["expr"] for rule in recorded)
    file = tmp_path / "dashboard.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    promtool("check", "rules", str(file))


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    shown = {name for each in expressions() for name in _NAME.findall(each)}
    assert shown <= exported()
    known = {metric.name for metric in Metrics().declared}
    assert {re.sub(r"_bucket$", "", name) for name in shown} == known


def test_the_dashboard_is_in_order() -> None:
    """Sections for what the gateway does, panels that do not overlap, each with one number of its own."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    titles = " ".join(panel["title"] for panel in dashboard["panels"] if panel["type"] == "row")
    for part in ("Channels", "pipeline", "Broker", "Answers", "Repeats"):
        assert part in titles
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = {(x, y) for x in columns for y in lines}
        assert max(columns) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
