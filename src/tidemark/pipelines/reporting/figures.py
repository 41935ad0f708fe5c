"""Node function that draws the figures of one comparison group."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from tidemark.domain.comparison_figures import draw_forest, draw_heat_map
from tidemark.domain.plotting import Quantity
from tidemark.domain.scores import SCORES, Score
from tidemark.domain.time_figures import (
    MAX_LINES,
    draw_cumulative_gain,
    draw_cumulative_r2,
    draw_loss_differential,
)
from tidemark.pipelines.drawing import MISSING, draw_twice
from tidemark.pipelines.reporting.params import ReportParams
from tidemark.pipelines.reporting.tables import RANK_BY, done_cells

GROUP_FIGURES = ("comparison", "heat_map", "cumulative_skill", "loss_differential")

Pictures = dict[str, Callable[[], Any]]


def draw(
    table: pd.DataFrame,
    daily: pd.DataFrame,
    comparisons: pd.DataFrame,
    verdicts: dict[str, Any],
    params: ReportParams,
    group: str,
) -> list[bytes]:
    """Draw the figures of a comparison group as PNG, in the order of `GROUP_FIGURES`.

    A figure that cannot be drawn is missing. So are one that would say nothing (tiles of a single
    scenario), that of two cells where there is no model or no baseline, and all of them if every
    cell has failed.
    """
    cells = table[table["group"] == group]
    if done_cells(cells).empty:
        return [MISSING] * len(GROUP_FIGURES)
    score = SCORES[str(cells["score"].iloc[0])].lead_with(params.headline)
    verdict = verdicts[group]
    best, baseline = verdict["best_model"], verdict["best_baseline"]
    metric, quantity = score.headline.metric, Quantity(**params.quantity.model_dump())
    pictures: Pictures = {"comparison": partial(draw_forest, cells, metric, baseline, quantity)}
    if has_heat_map(cells["scenario"]):
        pictures["heat_map"] = partial(draw_heat_map, cells, metric, quantity)
    pictures |= _plan_lines(cells, daily, verdict, score)
    if best is not None and baseline is not None:
        interval = _difference(comparisons, best, baseline)
        pictures["loss_differential"] = partial(
            draw_loss_differential, daily, best, baseline, *interval, quantity, score
        )
    return [
        draw_twice(pictures[name], f"{group}.{name}") if name in pictures else MISSING
        for name in GROUP_FIGURES
    ]


def has_heat_map(scenarios: Any) -> bool:
    """Say whether tiles by scenario say more than a list of cells."""
    return len(set(scenarios)) > 1


def _plan_lines(
    cells: pd.DataFrame, daily: pd.DataFrame, verdict: dict[str, Any], score: Score
) -> Pictures:
    """Choose the lines over time: the best model and baseline, and the best cell of each model."""
    # Scenarios that differ little would hide each other.
    ranked = done_cells(cells).sort_values(RANK_BY)
    leaders = [verdict["best_model"], verdict["best_baseline"]]
    names = [*filter(None, leaders), *ranked.drop_duplicates("model")["cell"]]
    title = f"{score.headline.name[0].upper()}{score.headline.name[1:]} as it grew with the test"
    if score.headline.reference is None:
        lines = list(dict.fromkeys(names))[:MAX_LINES]
        return {
            "cumulative_skill": partial(draw_cumulative_r2, daily, lines, title, score.headline)
        }
    references = ranked.loc[ranked["model"] == score.headline.reference, "cell"].tolist()
    lines = [name for name in dict.fromkeys(names) if name not in references][:MAX_LINES]
    if not references or not lines:
        return {}
    return {"cumulative_skill": partial(draw_cumulative_gain, daily, lines, references[0], title)}


def _difference(comparisons: pd.DataFrame, best: str, baseline: str) -> tuple[float, float]:
    """Read the 95 % interval of the mean difference of two cells' losses."""
    pair = comparisons[
        (comparisons["test"] == "diebold_mariano")
        & comparisons["cell"].isin([best, baseline])
        & comparisons["against"].isin([best, baseline])
    ]
    mean, error = (float(pair[name].iloc[0]) for name in ("mean_difference", "std_error"))
    mean = mean if pair["cell"].iloc[0] == best else -mean
    return mean - 1.96 * error, mean + 1.96 * error
