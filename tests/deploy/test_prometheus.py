"""The rules for Prometheus ask for series that the programs write, and stand when they should."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # ships no types
from prometheus_client.parser import text_string_to_metric_families

from api import metrics
from edge import metrics as edge_metrics
from edge.clockwatch import ClockState, Doubt, Trust
from edge.health import Device, Health, Link
from edge.outbox import Outbox

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
RULES = FOLDER / "danhao-rules.yml"
NAME = re.compile(r"\bdanhao_[a-z0-9_]+")
COUNTED = re.compile(r"\b(?:increase|rate)\((danhao_[a-z0-9_]+)")


def edge_names() -> set[str]:
    """Return the name of every series that an agent with a device and a link writes."""
    outbox = Outbox(None, most_bytes=1 << 20, keep_us=10**12)
    try:
        health = Health(
            ill=(),
            findings=(),
            readings=0,
            kept=0,
            dropped=0,
            disk_errors=0,
            reloads=0,
            refused_reloads=0,
            devices=(Device("m-1", "here", "well", None, 0.1, 0, 0, 0, 0, 0, ""),),
            links=(Link("main", True, 0, 0, 0, 0, 0, 0, 0, 0),),  # noqa: FBT003 - connected
            outbox=outbox.state(),
            clock=ClockState(Trust.RIGHT, Doubt.NONE, 1.0, None, True, 0),  # noqa: FBT003 - in step
        )
        text = edge_metrics.text(health).decode()
    finally:
        outbox.close()
    families = text_string_to_metric_families(text)
    return {sample.name for family in families for sample in family.samples}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_series_that_a_rule_asks_for_is_one_that_a_program_writes() -> None:
    written = set(metrics._HELP) | edge_names()
    asked = {name for rule in rules() for name in NAME.findall(rule["expr"])}
    assert asked - written == set()
    assert len(asked) > 20


def test_growth_is_asked_of_counters_only() -> None:
    for rule in rules():
        for name in COUNTED.findall(rule["expr"]):
            assert name.endswith("_total"), rule["alert"]
            kind = metrics._HELP.get(name, ("counter", ""))[0]
            assert kind == "counter", rule["alert"]


def test_every_rule_says_what_is_wrong_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["action"]


def test_the_scrape_names_the_jobs_and_rules_that_are_there() -> None:
    scrape = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))
    jobs = {job["job_name"]: job for job in scrape["scrape_configs"]}
    assert jobs["danhao"]["metrics_path"] == "/metrics"
    assert all((FOLDER / name).is_file() for name in scrape["rule_files"])
    asked = {job for rule in rules() for job in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert asked <= jobs.keys()


def test_promtool_finds_the_rules_right_and_the_alerts_standing_when_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: it comes with Prometheus")
    for words in (["check", "rules", RULES.name], ["test", "rules", "danhao-rules-test.yml"]):
        done = subprocess.run(
            [promtool, *words], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout + done.stderr
