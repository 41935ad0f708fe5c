"""The columns of the reports' tables: those that a study shows, and that are not empty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tidemark.domain.plotting import Quantity
from tidemark.domain.scores import HEADLINES, LOG_SCORE, Headline, Score

Rows = Sequence[dict[str, Any]]

# Head, power of the target's unit, factor of what has another unit, and digits.
_COLUMNS: dict[str, tuple[str, int, float, int]] = {
    "mae": ("MAE", 1, 1.0, 4),
    "mse": ("MSE", 2, 1.0, 4),
    "rmse": ("RMSE", 1, 1.0, 4),
    "r2": ("R2 against the mean of the same rows (%)", 0, 100.0, 2),
    "hit_rate": ("hit rate (%)", 0, 100.0, 1),
    "auc": ("AUC", 0, 1.0, 3),
    "ic": ("IC (t)", 0, 1.0, 3),
    "rank_ic": ("rank IC (t)", 0, 1.0, 3),
    "log_score": ("log score (nats)", 0, 1.0, 4),
    **{
        one.metric: (f"{one.short} ({one.unit})", 0, one.scale, one.digits)
        for one in (*HEADLINES.values(), LOG_SCORE.headline)
    },
}
_ERRORS = ("mae", "mse", "rmse", "r2")  # what the memo holds beside what a study shows
# Figures without an interval: the metric that each belongs to, and its words.
_STATISTICS = {
    "ic_t": ("ic", "IC t"),
    "rank_ic_t": ("rank_ic", "rank IC t"),
    "cv_rmse_mean": ("rmse", "CV RMSE"),
}
_TESTS = ("dm_p", "cw_p")


def choose_columns(
    score: Score, shown: Iterable[str], rows: Rows, quantity: Quantity
) -> list[dict[str, Any]]:
    """Choose the columns of a group's table, in the order in which the study shows them.

    Parameters
    ----------
    shown : iterable of str
        Metrics of squared errors; of densities all are shown.

    Returns
    -------
    list of dict
        ``metric`` and ``head``; ``scale``, which stored values are multiplied with, and
        ``digits``; ``statistic``, the column of the t-statistic that is shown in the place of an
        interval, or None.
    """
    names = [name for name in (shown if score.is_squared else score.metrics) if _has(rows, name)]
    columns = []
    for name in names:
        head, power, scale, digits = _COLUMNS[name]
        if power:
            scale = quantity.scale**power
            head += f" ({quantity.unit if power == 1 else quantity.squared_unit})"
        statistic = f"{name}_t" if f"{name}_t" in score.statistics else None
        column = {"metric": name, "head": head, "scale": scale, "digits": digits}
        columns.append({**column, "statistic": statistic})
    return columns


def choose_metrics(score: Score, shown: Iterable[str], rows: Rows) -> list[str]:
    """Choose the metrics of the memo: all errors, and what else the study shows."""
    wanted = {*_ERRORS, *shown} if score.is_squared else set(score.metrics)
    return [name for name in score.metrics if name in wanted and _has(rows, name)]


def choose_statistics(metrics: Sequence[str], rows: Rows) -> dict[str, str]:
    """Choose the figures without an interval that stand beside the memo's metrics, with words."""
    return {
        name: words
        for name, (metric, words) in _STATISTICS.items()
        if metric in metrics and _has(rows, name)
    }


def choose_tests(rows: Rows) -> list[str]:
    """Choose the tests of single cells that were made of any."""
    return [name for name in _TESTS if any(row[name] is not None for row in rows)]


def _has(rows: Rows, name: str) -> bool:
    """Tell whether a column says something of any cell; if there are none, it says that."""
    done = [row for row in rows if row["is_done"]]
    return not done or any(row[name] is not None for row in done)


def lay_out_names(best: dict[str, Any], rows: Rows, headline: Headline) -> dict[str, Any] | None:
    """Lay out the skill of the best model and of the baselines name by name.

    Returns
    -------
    dict or None
        The ``key`` that names are of, the ``cells`` and the ``rows``: ``name``, how many
        rows ``n`` it has, the best model's ``rmse`` and each cell's ``values`` of the headline.
        None where names are too many, or none.
    """
    if not best["by_name"]:
        return None
    ((key, scores),) = best["by_name"].items()
    baselines = [row for row in rows if row["is_baseline"] and row["by_name"]]
    cells = [best, *baselines]
    return {
        "key": key,
        "cells": [row["cell"] for row in cells],
        "rows": [
            {
                "name": name,
                "n": one["n"],
                "rmse": one["rmse"],
                "values": [row["by_name"][key][name][headline.metric] for row in cells],
            }
            for name, one in scores.items()
        ],
    }
