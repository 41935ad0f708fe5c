"""Node function of the figures of a cell that finds regimes: a change here fits nothing again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tidemark.config import Cell
from tidemark.domain.calendar_figures import draw_stress_calendar
from tidemark.domain.correlation_figures import draw_rolling_correlation
from tidemark.domain.regime_figures import draw_regime_history
from tidemark.domain.regime_labels import count_transitions
from tidemark.domain.regimes import describe_spells, expected_durations
from tidemark.domain.scores import LOG_SCORE
from tidemark.pipelines.data_engineering.cross_asset.params import PairParams, SeriesTable
from tidemark.pipelines.drawing import MISSING, draw_twice

REGIME_FIGURES = LOG_SCORE.cell_figures


def plot(
    regimes: pd.DataFrame,
    model: dict[str, Any],
    rolling_correlation: pd.DataFrame,
    series: SeriesTable,
    pair: PairParams,
    cell: Cell,
) -> list[bytes]:
    """Draw the cell's figures as PNG, in the order of `REGIME_FIGURES`.

    A figure that cannot be drawn is missing, and so are all of a cell without regimes.
    """
    if regimes.empty:
        return [MISSING] * len(REGIME_FIGURES)
    names = (series.label(pair.left), series.label(pair.right))
    window = f"{pair.window}-{pair.unit}"
    words = model["names"]
    pictures: dict[str, Callable[[], Any]] = {
        "correlation_regimes": partial(
            draw_rolling_correlation, rolling_correlation, regimes, names, window, words
        ),
        "regime_history": partial(_draw_history, regimes, model, " and ".join(names)),
        "stress_calendar": partial(
            draw_stress_calendar,
            regimes[["date"]].assign(is_stress=regimes["regime"].isin(model["marked"])),
            " and ".join(names),
            what=model["marked_words"],
        ),
    }
    return [draw_twice(pictures[name], f"{cell.namespace}.{name}") for name in REGIME_FIGURES]


def _draw_history(regimes: pd.DataFrame, model: dict[str, Any], subject: str) -> Any:
    labels = regimes.set_index("date")["regime"]
    n_regimes = len(model["names"])
    last = model["fits"][-1]
    transition = (
        np.array(last["transition"])
        if "transition" in last
        else count_transitions(labels.to_numpy(), n_regimes)
    )
    return draw_regime_history(
        regimes,
        describe_spells(labels),
        pd.DataFrame(transition),
        pd.Series(expected_durations(transition)),
        model["names"],
        subject,
        f"{model['unit']}s",
    )
