"""What the metrics store is told of a run: one row for each cell and metric.

Everything is read out of the outbox, so that rows can be made long after a run has ended.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tidemark.checkpoints.store import FAILED, FINISHED, CheckpointStore
from tidemark.tracking.outbox import OutboxRun

SCORED_ROWS = "scored_rows"


@dataclass(frozen=True)
class MetricRow:
    """One metric of one cell in one run.

    ``low`` and ``high`` are the ends of the metric's interval, ``level`` its level and
    ``block_length`` that of the bootstrap, in dates; all four are None for a metric without an
    interval. ``daily`` is a path that counts from the data root. Times are in UTC.
    """

    run_id: str
    study: str
    scenario: str
    model: str
    metric: str
    value: float
    status: str
    started: datetime
    low: float | None = None
    high: float | None = None
    level: float | None = None
    block_length: float | None = None
    data_hash: str | None = None
    code_hash: str | None = None
    params_hash: str | None = None
    as_of: date | None = None
    mlflow_run_id: str | None = None
    ended: datetime | None = None
    daily: str | None = None


def read_rows(run: OutboxRun) -> list[MetricRow]:
    """Make the rows of a run that has ended.

    Every cell that came to an outcome has its metrics and ``scored_rows``. A cell that failed
    has one row: no scored rows. Of a cell that the run did not bring to its end there is none.

    Raises
    ------
    ValueError, KeyError, TypeError, FileNotFoundError
        If what the outbox holds is damaged.
    """
    outcomes: dict[str, dict[str, Any]] = {}
    studies: dict[str, str] = {}
    failed: set[str] = set()
    for _, record in run.records():
        cell = record["cell"]
        if cell is None:
            continue
        studies[cell] = record["study"]
        if record["status"] == FAILED:
            failed.add(cell)
        for artifact in record["artifacts"]:
            if artifact["file"] == f"{cell}.outcome.json":
                outcomes[cell] = json.loads(run.file(artifact["file"]).read_text(encoding="utf-8"))
    failed |= {cell for cell, outcome in outcomes.items() if outcome["status"] == FAILED}
    facts, end, ids = run.facts, run.end or {}, run.state["runs"]
    rows: list[MetricRow] = []
    for cell in sorted(outcomes.keys() | failed):
        row = _failed_row(run.run_id, facts, end, studies[cell], cell)
        row = replace(row, mlflow_run_id=ids.get(f"{row.study}/{cell}"))
        if cell in failed:
            rows.append(row)
        else:
            daily = end.get("daily", {}).get(cell)
            rows += _outcome_rows(replace(row, daily=daily), outcomes[cell])
    return rows


def _failed_row(
    run_id: str, facts: Mapping[str, Any], end: Mapping[str, Any], study: str, cell: str
) -> MetricRow:
    """Make the one row of a cell that failed."""
    about = facts["studies"][study]
    as_of = about["params"].get("as_of")
    scenario, _, model = cell.partition(".")
    return MetricRow(
        run_id,
        study,
        scenario,
        model,
        metric=SCORED_ROWS,
        value=0.0,
        status=FAILED,
        data_hash=end.get("data_hash", {}).get(study),
        code_hash=facts.get("code_hash"),
        params_hash=about.get("params_hash"),
        as_of=date.fromisoformat(as_of) if as_of else None,
        started=_moment(facts["started"]),
        ended=_moment(end["ended"]) if end else None,
    )


def _outcome_rows(row: MetricRow, outcome: Mapping[str, Any]) -> Iterator[MetricRow]:
    """Make the rows of a cell out of its outcome; figures that are not finite are left out."""
    row = replace(row, status=outcome["status"])
    level = _finite(outcome.get("level"))
    length = _finite(outcome.get("block_length", outcome.get("block_length_days")))
    intervals = outcome.get("intervals", {})
    for metric, raw in {**outcome.get("metrics", {}), SCORED_ROWS: outcome[SCORED_ROWS]}.items():
        value = _finite(raw)
        if value is None:
            continue
        row = replace(row, metric=metric, value=value)
        if metric not in intervals:
            yield row
            continue
        low, high = (_finite(intervals[metric][end]) for end in ("low", "high"))
        yield replace(row, low=low, high=high, level=level, block_length=length)


def find_daily(run: OutboxRun, data_root: Path) -> dict[str, str]:
    """Find where the losses by date lie of the cells that a run worked on.

    The checkpoint of a cell's ``evaluate`` says it, unless that node has run again after this run.

    Returns
    -------
    dict of str to str
        For each cell the path of a file, counted from the data root.
    """
    records = [record for _, record in run.records()]
    last = max((_moment(record["ended"]) for record in records), default=None)
    checkpoints, found = CheckpointStore(data_root / "checkpoints"), {}
    for cell in {record["cell"] for record in records} - {None}:
        made = checkpoints.read(f"{cell}.evaluate")
        if made is None or made.status != FINISHED or last is None or _moment(made.ended) > last:
            continue
        for output in made.outputs:
            if output.name == f"{cell}.daily" and output.path is not None:
                found[cell] = _count_from(data_root, Path(output.path))
    return found


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _count_from(root: Path, path: Path) -> str:
    """Count a path from the root; one that lies elsewhere stays whole."""
    root, path = root.resolve(), path.resolve()
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
