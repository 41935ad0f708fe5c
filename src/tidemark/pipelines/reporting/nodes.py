"""Node functions of the comparison: scoreboards, the table of the study, its reports."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from tidemark.domain.figures import draw_intervals
from tidemark.domain.metrics import METRICS
from tidemark.errors import ModelError
from tidemark.pipelines.drawing import MISSING, draw_twice
from tidemark.pipelines.reporting.params import ReportParams

DATA_PREFIX = "data_"
NONE = "-"  # not an empty text, which a CSV file gives back as NaN


def tabulate(treatment: dict[str, Any], *outcomes: dict[str, Any]) -> pd.DataFrame:
    """Lay the outcomes of one scenario's cells side by side.

    Parameters
    ----------
    treatment : dict
        What the scenario did to the data, flat; becomes columns with the prefix ``data_``.
    outcomes : dict
        One for each cell.

    Returns
    -------
    DataFrame
        One row for each cell: ``scenario, model, group, status``, each metric with ``_low`` and
        ``_high``, the mean RMSE of the folds, how many rows and dates were scored, a hash that
        stands for those rows and their targets, what stood in for the model, and the names of
        figures that are missing. Of a failed cell all numbers of errors are NaN.
    """
    done = {f"{DATA_PREFIX}{key}": value for key, value in treatment.items()}
    return pd.DataFrame([{**_row(outcome), **done} for outcome in outcomes])


def compare(params: ReportParams, *scoreboards: pd.DataFrame) -> pd.DataFrame:
    """Put every scenario's scoreboard into one table, failed cells at the end of their group.

    Raises
    ------
    ModelError
        If two cells of one comparison group were not scored on the same rows and targets.
    """
    table = pd.concat(scoreboards, ignore_index=True)
    for group, cells in _done(table).groupby("group"):
        if len(set(cells["scored_hash"])) > 1:
            counts = cells[["scenario", "model", "scored_rows", "scored_hash"]].to_string(
                index=False
            )
            raise ModelError(
                f"The cells of group '{group}' were not scored on the same rows and targets, so "
                f"they cannot be compared:\n{counts}\nRun the study whole."
            )
    return table.sort_values(["group", params.rank_by, "scenario", "model"], ignore_index=True)


def draw_comparison(table: pd.DataFrame, params: ReportParams) -> bytes:
    """Draw every cell's ranking metric with its interval, as PNG.

    The figure is missing if it cannot be drawn, and if every cell has failed.
    """
    if _done(table).empty:
        return MISSING
    return draw_twice(partial(draw_intervals, table, params.rank_by), "comparison")


def report(
    table: pd.DataFrame,
    comparison: bytes,
    validation_report: dict[str, Any],
    profile: dict[str, Any],
    templates: dict[str, Callable[[], str]],
    notes: str,
    params: ReportParams,
) -> tuple[str, str, str, str]:
    """Write the summary, the communication report, the memo and the reflection.

    Parameters
    ----------
    comparison : bytes
        The figure that the reports point to, as PNG; empty if it is missing.
    templates : dict of str to callable
        Each returns the text of one Jinja template.
    notes : str
        A person's words, copied as they are.
    """
    from jinja2 import DictLoader, Environment, StrictUndefined

    environment = Environment(
        loader=DictLoader({name: load() for name, load in templates.items()}),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the output is Markdown for people, not a page of a site
    )
    rows = _read_rows(table)
    done = [row for row in rows if row["status"] != "failed"]
    best = _best_by_scenario(done, params.rank_by)
    context = {
        "params": params,
        "table": rows,
        "done": done,
        "first": (done or rows)[0],
        "metrics": METRICS,
        "best": best,
        "without_best": sorted(set(table["scenario"]) - {row["scenario"] for row in best}),
        "beats_mean": table.loc[table["r2_low"] > 0, ["scenario", "model"]].to_dict(
            orient="records"
        ),
        "validation": validation_report,
        "profile": profile,
        "treatments": _treatments(table),
        "has_comparison": bool(comparison),
        "quarantined": sum(
            sum(one["rows_quarantined"].values()) for one in validation_report["tables"].values()
        ),
        "notes": notes.strip(),
    }
    names = (
        "scenario_summary",
        "model_communication_report",
        "model_evaluation_memo",
        "reflection",
    )
    first, second, third, fourth = (
        environment.get_template(name).render(context) for name in names
    )
    return first, second, third, fourth


def _treatments(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Read back, for each scenario in order, what it did to the data."""
    columns = [name for name in map(str, table) if name.startswith(DATA_PREFIX)]
    firsts = table.sort_values("scenario").groupby("scenario")[columns].first()
    return {
        str(scenario): {
            name.removeprefix(DATA_PREFIX).replace("_", " "): row[name] for name in columns
        }
        for scenario, row in firsts.to_dict(orient="index").items()
    }


def _row(outcome: dict[str, Any]) -> dict[str, Any]:
    row = {key: outcome[key] for key in ("scenario", "model", "group", "status")}
    failed = outcome["status"] == "failed"
    for metric in METRICS:
        row[metric] = math.nan if failed else outcome["metrics"][metric]
        row[f"{metric}_low"] = math.nan if failed else outcome["intervals"][metric]["low"]
        row[f"{metric}_high"] = math.nan if failed else outcome["intervals"][metric]["high"]
    row["cv_rmse_mean"] = math.nan if failed else outcome["cv_rmse_mean"]
    for key in ("train_rows", "scored_rows", "scored_dates", "level", "block_length_days"):
        row[key] = outcome[key]
    chosen = [f"{key}={value}" for key, value in outcome["best_params"].items()]
    row["best_params"] = ", ".join(chosen) or NONE
    for key in ("used", "split_id", "scored_hash", "note"):
        row[key] = outcome[key]
    missing = [name for name, digest in outcome["figures"].items() if digest is None]
    row["missing_figures"] = " ".join(missing) or NONE
    return row


def _done(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the cells that have failed."""
    return table[table["status"] != "failed"]


def _read_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Read the table's rows, each with its mark and a list of the figures that it lacks."""
    rows: list[dict[str, Any]] = []
    for row in table.to_dict(orient="records"):
        missing = [] if row["missing_figures"] == NONE else row["missing_figures"].split()
        mark = " *" if row["status"] == "fallback" else ""
        rows.append(
            {**{str(key): value for key, value in row.items()}, "mark": mark, "missing": missing}
        )
    return rows


def _best_by_scenario(done: list[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    best: dict[str, dict[str, Any]] = {}
    for row in sorted(done, key=lambda row: row[metric]):
        best.setdefault(row["scenario"], row)
    return list(best.values())
