"""The closing table of a run, read from what its nodes have left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from tidemark.checkpoints.store import CheckpointStore, NodeRecord
from tidemark.config import RunInfo
from tidemark.domain.scoring import UNDONE
from tidemark.errors import mask
from tidemark.tracking.settings import TrackingSettings


def print_summary(info: RunInfo, run_id: str, seconds: float) -> None:
    """Print what a run did: nodes, time, best model of each scenario, where to look."""
    store = CheckpointStore(info.data_root / "checkpoints")
    everything = list(store.finished())
    records = [record for record in everything if record.run_id == run_id]
    if not records:
        return
    from rich.console import Console
    from rich.table import Table

    from tidemark.domain.scores import SCORES

    table = Table(title=f"Run {run_id}", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("nodes run", str(len(records)))
    table.add_row("time", f"{seconds:.1f} s")
    for record in records:
        if record.attempts:
            table.add_row("tried again", f"{record.node}: {len(record.attempts) + 1} tries")
        for one in record.incidents:
            is_named = (record.namespace or record.node) in one["message"]
            place = "" if is_named else f"{record.node}: "
            table.add_row(one["kind"].replace("_", " "), f"{place}{one['message']}")
        if record.stale_inputs:
            table.add_row("stale inputs", f"{record.node}: {', '.join(record.stale_inputs)}")
    touched = {(record.namespace or "").partition(".")[0] for record in records}
    for scenario, best in _best_by_scenario(everything).items():
        if scenario not in touched:
            continue
        score = SCORES[best["score"]]
        interval = best["intervals"][score.measure]
        table.add_row(
            f"best of {scenario}",
            f"{best['model']}: {score.measure_words} {best['metrics'][score.measure]:.6f} "
            f"({100 * best['level']:g} % interval {interval['low']:.6f} to {interval['high']:.6f})",
        )
    for answer in _answers(records):
        table.add_row("answer", answer)
    pages = (_outputs(records, name) for name in ("report_page", "market_page", "price_page"))
    for path in chain.from_iterable(pages):
        table.add_row("report", _short(path, info.project_path))
    for path in _outputs(records, "validation_report"):
        for name, count in _quarantined(path).items():
            table.add_row(
                f"quarantined {name}", f"{count} rows, see {info.data_root / 'quarantine'}"
            )
    if info.mlflow["enabled"]:
        table.add_row("compare runs", _say_where_runs_are(info))
    table.add_row("see the DAG", "kedro viz run")
    console = Console()
    console.print(table) if console.is_terminal else Console(width=120).print(table)


def _say_where_runs_are(info: RunInfo) -> str:
    tracked = TrackingSettings.resolve(info.mlflow, info.project_path)
    if tracked.is_server:
        return mask(tracked.tracking_uri)
    return "make mlflow, then http://127.0.0.1:5000"


def _outputs(records: Sequence[NodeRecord], name: str) -> list[Path]:
    return [
        Path(one.path)
        for record in records
        for one in record.outputs
        if one.name.rpartition(".")[2] == name and one.path
    ]


def _answers(records: Sequence[NodeRecord]) -> list[str]:
    found = []
    for path in _outputs(records, "findings"):
        answers = json.loads(path.read_text(encoding="utf-8"))["answers"]
        for answer in answers:
            group = f"{answer['group']}: " if len(answers) > 1 else ""
            found.append(f"{group}{answer['word']}. {answer['text']}")
    return found


def _best_by_scenario(records: Sequence[NodeRecord]) -> dict[str, dict[str, Any]]:
    best: dict[str, dict[str, Any]] = {}
    for path in _outputs(records, "outcome"):
        if not path.exists():  # the data root was moved since
            continue
        outcome = json.loads(path.read_text(encoding="utf-8"))
        if outcome["status"] in UNDONE:
            continue
        held = best.get(outcome["scenario"])
        if held is None or outcome["loss"] < held["loss"]:
            best[outcome["scenario"]] = outcome
    return best


def _quarantined(path: Path) -> dict[str, int]:
    report = json.loads(path.read_text(encoding="utf-8"))
    counts = {
        name: sum(table["rows_quarantined"].values()) for name, table in report["tables"].items()
    }
    return {name: count for name, count in counts.items() if count}


def _short(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
