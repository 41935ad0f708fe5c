"""Features that know the future, and forecasts that are missing, from command to report."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
LEAK = Path(__file__).with_name("leak")
PAGES = (
    "scenario_summary.md",
    "model_communication_report.md",
    "model_evaluation_memo.md",
    "reflection.md",
    "report.html",
)


def _read(data: Path, name: str) -> str:
    """Read the newest version of something that the report has stored."""
    (*_, newest) = sorted((data / "08_reporting/returns" / name).glob(f"*/{name}"))
    return newest.read_text(encoding="utf-8")


def _cell_of(done: subprocess.CompletedProcess[str], name: str) -> str:
    """Read the lines of the closing table that bear a name, in one line."""
    found, is_own = [], False
    for line in done.stdout.splitlines():
        if line.startswith("│"):
            own, text = (part.strip() for part in line.strip("│").split("│"))
            is_own = own == name or (is_own and not own)
            found += [text] if is_own else []
    return " ".join(found)


@dataclass(frozen=True)
class Leak:
    """A study with the return to be forecast among the features, run twice, then mended."""

    place: Any
    nodes: set[str]
    first: subprocess.CompletedProcess[str]
    pages: dict[str, str]
    findings: dict[str, Any]
    certificate: dict[str, Any]
    done: set[str]
    second: subprocess.CompletedProcess[str]
    mended: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def leak(new_workplace: Callable[[], Any], make_conf: Callable[..., Any]) -> Leak:
    """Run one model beside one baseline, with an environment that holds the fault."""
    conf = make_conf(returns_baseline=["zero"], mean_impute=["linear"])
    shutil.copytree(LEAK, conf.folder / "leak")
    place = new_workplace()
    first = place.kedro(*conf.words, "--env", "leak")
    pages = {name: _read(place.data, name) for name in PAGES}
    findings = json.loads(_read(place.data, "findings.json"))
    certificate = json.loads(_read(place.data, "certificate.json"))
    done = {path.stem for path in (place.data / "checkpoints").glob("*.ok")}
    second = place.kedro(*conf.words, "--env", "leak")
    mended = place.kedro(*conf.words)
    return Leak(place, conf.nodes, first, pages, findings, certificate, done, second, mended)


def test_run_with_lag_zero_is_refused_and_names_the_feature(leak: Leak) -> None:
    """The status is that of refused data; the message says what leaks and what to do."""
    assert leak.first.returncode == 2, leak.first.stderr
    told = leak.first.stderr.partition("The leakage audit of study 'returns' failed")[2]
    assert "mean_impute: feature ret_lag_0 changes with the future" in told
    assert "Leak: mean_impute.audit: feature ret_lag_0 changes with the future" in told
    assert "ret_lag_1" not in told
    assert "Take these features out" in told
    assert "Traceback" not in leak.first.stderr


def test_run_with_lag_zero_tells_of_leak_and_alarm_in_the_closing_table(leak: Leak) -> None:
    """Both are incidents, with the node or the cell that they concern."""
    assert "mean_impute.audit" in _cell_of(leak.first, "leak")
    assert "ret_lag_0" in _cell_of(leak.first, "leak")
    alarm = _cell_of(leak.first, "alarm")
    assert "mean_impute.linear: out-of-sample R2 of" in alarm
    assert "above 1 %" in alarm


def test_run_with_lag_zero_writes_every_report_and_each_says_so(leak: Leak) -> None:
    """All is made but the gate is shut; no text claims a result, and the certificate says no."""
    assert leak.nodes - leak.done == {"returns_report.gate"}
    assert leak.certificate["passed"] is False
    assert len(leak.certificate["leaks"]) == 1
    assert "ret_lag_0" in leak.certificate["leaks"][0]
    (answer,) = leak.findings["answers"]
    assert answer["word"] == "Void"
    for name, text in leak.pages.items():
        assert "The leakage audit failed, so none of these numbers" in text, name
        assert "forecasts better than" not in text, name
        if name != "reflection.md":  # it counts remarks
            assert "ret_lag_0" in text, name


def test_run_with_lag_zero_stays_refused(leak: Leak) -> None:
    """Nothing but the audit and the gate runs again, and it is as shut as before."""
    assert leak.second.returncode == 2, leak.second.stderr
    assert "feature ret_lag_0 changes with the future" in leak.second.stderr
    ended = [line for line in leak.second.stderr.splitlines() if "INFO" in line and "[" in line]
    assert len(ended) == 1
    assert "mean_impute.audit" in ended[0]
    assert "Failed: returns_report.gate: " in leak.second.stderr


def test_run_with_lag_zero_taken_out_is_certified(leak: Leak) -> None:
    """The remedy works: with honest features the same data root comes to a certificate."""
    assert leak.mended.returncode == 0, leak.mended.stderr
    assert _cell_of(leak.mended, "leak") == _cell_of(leak.mended, "alarm") == ""
    certificate = json.loads(_read(leak.place.data, "certificate.json"))
    assert (certificate["passed"], certificate["leaks"]) == (True, [])
    assert certificate["verdicts"]["next_day"]["alarms"] == []


def test_run_with_lag_zero_is_told_to_mlflow(leak: Leak) -> None:
    """Refused runs are FAILED there, and how many features leak is a metric of theirs."""
    runs = [run for run in leak.place.mlflow_runs() if run.data.tags["tidemark.level"] == "run"]
    statuses = [run.info.status for run in sorted(runs, key=lambda run: run.info.start_time)]
    assert statuses == ["FAILED", "FAILED", "FINISHED"]
    leaks = sorted(
        run.data.metrics["leaks.mean_impute"]
        for run in runs
        if "leaks.mean_impute" in run.data.metrics
    )
    assert leaks == [0.0, 1.0, 1.0]


# Loses the last forecast of every ridge, and is ``kedro`` otherwise.
LOSE_ONE = """
import math
from tidemark.pipelines.modelling import nodes

walk = nodes.walk_forward

def lose(first, features, target, refits, *others):
    last, forecasts = walk(first, features, target, refits, *others)
    if type(first[-1]).__name__ == "Ridge":
        forecasts[refits[-1][1][-1]] = math.nan
    return last, forecasts

nodes.walk_forward = lose
from kedro.framework.cli.cli import main
main()
"""


def test_run_with_a_cell_that_lacks_one_forecast_reports_it_and_exits_1(
    workplace: Any, make_conf: Callable[..., Any]
) -> None:
    """The cell has failed, with a note; the others are compared, and reports are written."""
    conf = make_conf(returns_baseline=["zero"], mean_impute=["linear", "ridge"])
    words = workplace.run_words(*conf.words)
    done = subprocess.run(
        [sys.executable, "-c", LOSE_ONE, *words[3:]],
        cwd=PROJECT,
        env=workplace.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    note = "1 of the rows have no forecast"
    assert done.returncode == 1, done.stderr
    assert f"Failed cell: mean_impute.ridge: {note}" in done.stderr
    assert f"mean_impute.ridge: {note}" in _cell_of(done, "failed cell")
    assert {path.stem for path in (workplace.data / "checkpoints").glob("*.ok")} == conf.nodes
    verdict = json.loads(_read(workplace.data, "verdicts.json"))["next_day"]
    assert (verdict["n_models"], verdict["best_model"]) == (1, "mean_impute.linear")
    for name in PAGES[:3]:
        assert f"mean_impute.ridge failed: {note}" in _read(workplace.data, name)
    statuses = {run.info.run_name: run.info.status for run in workplace.mlflow_runs()}
    assert statuses["mean_impute.ridge"] == "FAILED"
    assert statuses["mean_impute.linear"] == "FINISHED"
