"""Node functions of the comparison: scoreboards, the table of the study, tests of its cells."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from tidemark import incidents
from tidemark.domain.comparison import ForecastTest, is_too_good
from tidemark.domain.scores import SCORES
from tidemark.domain.scoring import UNDONE
from tidemark.errors import ModelError
from tidemark.pipelines.params import EvaluationParams
from tidemark.pipelines.reporting.groups import (
    DATES_PREFIX,
    RESAMPLING_PREFIX,
    ComparisonGroup,
    common_value,
    no_verdict,
)

DATA_PREFIX = "data_"
NONE = "-"  # not an empty text, which a CSV file gives back as NaN
AUDIT_PASSED, AUDIT_CIRCULAR = "passed", "circular by design"
RANK_BY = "loss"  # as every test ranks
_ALARM_METRIC = "r2_oos_zero"  # whatever the headline is


def tabulate(
    treatment: dict[str, Any], audit: dict[str, Any], *outcomes: dict[str, Any]
) -> pd.DataFrame:
    """Lay the outcomes of one scenario's cells side by side.

    Parameters
    ----------
    treatment : dict
        What the scenario did to the data, flat; becomes columns with the prefix ``data_``.
    audit : dict
        The verdict of the leakage audit.
    outcomes : dict
        One for each cell.

    Returns
    -------
    DataFrame
        One row for each cell: ``scenario, model, group, status, score``, the mean ``loss``, each
        metric of the score with ``_low`` and ``_high``, the mean RMSE of the folds, how many rows
        and dates were scored, a hash that stands for those rows and their targets, how dates were
        resampled and which they are, what the audit found, what stood in for the model, the
        errors of each name as JSON, and the names of figures and of those that are missing. Of a
        failed cell all numbers of errors are NaN.
    """
    verdict = AUDIT_PASSED if audit["passed"] else "; ".join(audit["findings"])
    if "circular" in audit:
        verdict = AUDIT_CIRCULAR
    done = {f"{DATA_PREFIX}{key}": value for key, value in treatment.items()}
    return pd.DataFrame([{**_row(outcome), "audit": verdict, **done} for outcome in outcomes])


def tabulate_baselines(audit: dict[str, Any], *outcomes: dict[str, Any]) -> pd.DataFrame:
    """Lay the outcomes of the baselines side by side, as `tabulate` does.

    Parameters
    ----------
    audit : dict
        The verdict of the audit of the study's data: baselines are a part of it.
    """
    return tabulate({}, audit, *outcomes)


def gather(*dailies: pd.DataFrame) -> pd.DataFrame:
    """Put the sums by date of one scenario's cells below each other."""
    return pd.concat(dailies, ignore_index=True)


def compare(
    params: EvaluationParams,
    too_good_r2: float | None,
    *parts: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any], pd.DataFrame]:
    """Compare all cells, group by group, and count every try.

    Each group is compared by its own score, on dates that are resampled as its cells say.

    Parameters
    ----------
    too_good_r2 : float or None
        An out-of-sample R2 above it raises an alarm.
    parts : DataFrame
        Every scenario's scoreboard, then every scenario's sums by date, in the same order.

    Returns
    -------
    table : DataFrame
        All scoreboards, groups in the order in which scoreboards first name them, failed cells at
        the end of their group; further ``in_confidence_set``,
        ``confidence_p``, ``dm_p`` and ``cw_p`` (against the best baseline of the group, NaN where
        there is no such test) and ``alarm``.
    comparisons : DataFrame
        One row for each test: ``group, cell, against, test`` and its figures. Differences of
        Diebold-Mariano are positive where the first cell is better; those of Clark-West are
        adjusted for what a larger model pays for its estimates.
    verdicts : dict
        For each group the best baseline and model, the tests of the whole grid, the confidence
        set and the alarms; ready for JSON.
    daily : DataFrame
        All sums by date.

    Raises
    ------
    ModelError
        If two cells of one comparison group were not scored on the same rows and targets, by the
        same score, or their dates are not resampled alike.
    """
    boards, dailies = parts[: len(parts) // 2], parts[len(parts) // 2 :]
    table, daily = pd.concat(boards, ignore_index=True), pd.concat(dailies, ignore_index=True)
    _check_rows(table)
    table["cell"] = table["scenario"] + "." + table["model"]
    table["alarm"] = _find_alarms(table, too_good_r2)
    tests: list[dict[str, Any]] = []
    verdicts: dict[str, Any] = {}
    members: list[pd.DataFrame] = []
    for group, everyone in table.groupby("group", sort=False):
        n_tried = int((~everyone["is_baseline"]).sum())
        cells = done_cells(everyone)
        if cells.empty:
            score = common_value(everyone, "score")
            verdicts[str(group)] = {**no_verdict(score, params), "n_tried": n_tried}
            continue
        one = ComparisonGroup(str(group), cells, daily, params)
        tests += one.test_pairs()
        verdicts[str(group)] = {**one.judge(), "n_tried": n_tried}
        members.append(one.confidence)
    columns = ["group", "cell", "against", "test", *ForecastTest.__dataclass_fields__]
    comparisons = pd.DataFrame(tests, columns=columns)
    table = _join_tests(table, comparisons, verdicts, members)
    ordered = table.sort_values([RANK_BY, "scenario", "model"])
    table = pd.concat([ordered[ordered["group"] == group] for group in verdicts], ignore_index=True)
    return table, comparisons, verdicts, daily


def _find_alarms(table: pd.DataFrame, bound: float | None) -> list[bool]:
    """Say which cells are too good to be believed; tell it once, the best with its figure."""
    if bound is None or _ALARM_METRIC not in table:
        return [False] * len(table)
    alarms = [is_too_good(one, bound) for one in table[_ALARM_METRIC]]
    cells = table[alarms].sort_values(_ALARM_METRIC, ascending=False)
    if len(cells):
        best = cells.iloc[0]
        others = f" and {len(cells) - 1} more cells" if len(cells) > 1 else ""
        incidents.report(
            "alarm",
            f"{best['cell']}{others}: out-of-sample R2 of up to {100 * best[_ALARM_METRIC]:.2f} %, "
            f"above {100 * bound:g} %, is too good to be believed",
        )
    return alarms


def _join_tests(
    table: pd.DataFrame,
    comparisons: pd.DataFrame,
    verdicts: dict[str, Any],
    members: Iterable[pd.DataFrame],
) -> pd.DataFrame:
    """Add to each cell its place in the confidence set and its tests against the best baseline."""
    sets = {cell: one for member in members for cell, one in member.to_dict("index").items()}
    apart = {"p_value": math.nan, "in_confidence_set": False}
    about = [sets.get(cell, apart) for cell in table["cell"].tolist()]
    table["in_confidence_set"] = [bool(one["in_confidence_set"]) for one in about]
    table["confidence_p"] = [float(one["p_value"]) for one in about]
    found: dict[tuple[str, str, str], float] = {}
    for one in comparisons.to_dict(orient="records"):
        found[one["cell"], one["against"], one["test"]] = one["p_value"]
        if one["test"] == "diebold_mariano":  # a pair stands under the better of the two
            found[one["against"], one["cell"], one["test"]] = one["p_value"]
    best = {group: str(verdict["best_baseline"]) for group, verdict in verdicts.items()}
    pairs = list(zip(table["cell"].tolist(), table["group"].tolist(), strict=True))
    for column, test in (("dm_p", "diebold_mariano"), ("cw_p", "clark_west")):
        table[column] = [
            found.get((cell, best.get(group, NONE), test), math.nan) for cell, group in pairs
        ]
    return table


def _check_rows(table: pd.DataFrame) -> None:
    for group, cells in done_cells(table).groupby("group"):
        if len(set(cells["scored_hash"])) > 1:
            counts = cells[["scenario", "model", "scored_rows", "scored_hash"]].to_string(
                index=False
            )
            raise ModelError(
                f"The cells of group '{group}' were not scored on the same rows and targets, so "
                f"they cannot be compared:\n{counts}\nRun the study whole."
            )


def _row(outcome: dict[str, Any]) -> dict[str, Any]:
    kinds = ("scenario", "model", "group", "is_baseline", "status", "score")
    row = {key: outcome[key] for key in kinds}
    row["loss"] = _number(outcome["loss"])
    metrics, intervals = outcome["metrics"], outcome["intervals"]
    score = SCORES[outcome["score"]]
    for metric in score.metrics:
        row[metric] = _number(metrics.get(metric))
        row[f"{metric}_low"] = _number(intervals.get(metric, {}).get("low"))
        row[f"{metric}_high"] = _number(intervals.get(metric, {}).get("high"))
    row |= {metric: _number(metrics.get(metric)) for metric in score.statistics}
    row["cv_rmse_mean"] = _number(outcome["cv_rmse_mean"])
    for key in ("n_fits", "train_rows", "scored_rows", "scored_dates"):
        row[key] = outcome[key]
    row |= {f"{RESAMPLING_PREFIX}{key}": one for key, one in outcome["resampling"].items()}
    row |= {f"{DATES_PREFIX}{key}": one for key, one in outcome["dates"].items()}
    chosen = [f"{key}={value}" for key, value in outcome["best_params"].items()]
    row["best_params"] = ", ".join(chosen) or NONE
    for key in ("used", "split_id", "scored_hash", "note"):
        row[key] = outcome[key]
    row["by_name"] = json.dumps(outcome["by_name"])
    missing = [name for name, digest in outcome["figures"].items() if digest is None]
    row["figures"] = " ".join(outcome["figures"]) or NONE
    row["missing_figures"] = " ".join(missing) or NONE
    return row


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def done_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the cells without forecasts: those that have failed, or are not installed."""
    return table[~table["status"].isin(UNDONE)]
