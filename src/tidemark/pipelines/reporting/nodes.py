"""Node functions of the comparison: scoreboards, the table of the study, its reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemark.domain.figures import draw_intervals
from tidemark.domain.metrics import METRICS
from tidemark.errors import ModelError
from tidemark.pipelines.reporting.params import ReportParams

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    # Kedro reads the hints at run time; the real type would import matplotlib at start.
    Figure = Any


DATA_PREFIX = "data_"


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
        ``_high``, the mean RMSE of the folds, how many rows and dates were scored, and a hash
        that stands for those rows and their targets.
    """
    done = {f"{DATA_PREFIX}{key}": value for key, value in treatment.items()}
    return pd.DataFrame([{**_row(outcome), **done} for outcome in outcomes])


def compare(params: ReportParams, *scoreboards: pd.DataFrame) -> pd.DataFrame:
    """Put every scenario's scoreboard into one table.

    Raises
    ------
    ModelError
        If two cells of one comparison group were not scored on the same rows and targets.
    """
    table = pd.concat(scoreboards, ignore_index=True)
    for group, cells in table.groupby("group"):
        if len(set(cells["scored_hash"])) > 1:
            counts = cells[["scenario", "model", "scored_rows", "scored_hash"]].to_string(
                index=False
            )
            raise ModelError(
                f"The cells of group '{group}' were not scored on the same rows and targets, so "
                f"they cannot be compared:\n{counts}\nRun the study whole."
            )
    return table.sort_values(["group", params.rank_by, "scenario", "model"], ignore_index=True)


def draw_comparison(table: pd.DataFrame, params: ReportParams) -> Figure:
    """Draw every cell's ranking metric with its interval."""
    return draw_intervals(table, params.rank_by)


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
        The figure that the reports point to, as PNG.
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
    context = {
        "params": params,
        "table": table.to_dict(orient="records"),
        "metrics": METRICS,
        "best": _best_by_scenario(table, params.rank_by),
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
    for metric in METRICS:
        row[metric] = outcome["metrics"][metric]
        row[f"{metric}_low"] = outcome["intervals"][metric]["low"]
        row[f"{metric}_high"] = outcome["intervals"][metric]["high"]
    for key in ("cv_rmse_mean", "train_rows", "scored_rows", "scored_dates", "level"):
        row[key] = outcome[key]
    row["block_length_days"] = outcome["block_length_days"]
    chosen = [f"{key}={value}" for key, value in outcome["best_params"].items()]
    row["best_params"] = ", ".join(chosen) or "-"
    row["used"] = outcome["used"]
    row["split_id"] = outcome["split_id"]
    row["scored_hash"] = outcome["scored_hash"]
    return row


def _best_by_scenario(table: pd.DataFrame, metric: str) -> list[dict[str, Any]]:
    rows = table.loc[table.groupby("scenario")[metric].idxmin()]
    return [
        {str(key): value for key, value in row.items()}
        for row in rows.sort_values(metric).to_dict(orient="records")
    ]
