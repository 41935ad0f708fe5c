"""A small study of four tickers, and the nodes of its cells run one after the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tidemark import incidents
from tidemark.config import Cell
from tidemark.domain.splits import split_by_date
from tidemark.pipelines.modelling import nodes
from tidemark.pipelines.modelling.params import EvaluationParams, ModelParams, TrainParams

FEATURES = ["a", "b", "c"]
MODELS: dict[str, dict[str, Any]] = {
    "linear": {"estimator": "linear"},
    "ridge": {"estimator": "ridge", "grid": {"alpha": [1.0, 10.0]}},
    # The kernel map has nearly as many components as the first fold has rows, and C leaves no
    # regularisation: Liblinear does not converge, whatever the seed.
    "svr": {"estimator": "svr", "grid": {"C": [1e14]}},
}
SIMPLER = {"svr": MODELS["ridge"], "ridge": MODELS["linear"]}
EVALUATION = EvaluationParams(seed=3, n_replicates=100, block_length_days=5, level=0.9)


@dataclass(frozen=True)
class CellRun:
    """What the nodes of one cell have made."""

    model: Any
    cv_scores: dict[str, Any]
    predictions: pd.DataFrame
    outcome: dict[str, Any]
    figures: list[bytes]
    incidents: list[incidents.Incident]


@dataclass(frozen=True)
class SmallStudy:
    """What the cells of a scenario are given."""

    train: pd.DataFrame
    test: pd.DataFrame
    folds: dict[str, Any]

    def run_cell(
        self, name: str, simpler: Mapping[str, Any] = SIMPLER, *, is_spoilt: bool = False
    ) -> CellRun:
        """Train, evaluate, plot and conclude; what is JSON in the catalog goes through JSON.

        Spoilt, plots are given one prediction that is missing: axes of predicted values have no
        limits then, and only the histogram of residuals can still be drawn.
        """
        cell = Cell("returns", *name.split("."))
        asked = ModelParams.model_validate(MODELS[cell.model])
        seeds = {"seed": 1, "fallback_seed": 2}
        sizes = {"exact_svr_max_rows": 1, "nystroem_components": 90}
        params = TrainParams.model_validate({**seeds, **sizes, "simpler": simpler})

        collector = incidents.collect()
        fitted, scores = nodes.train(self.train, self.folds, asked, params, cell)
        predictions, *judged = nodes.evaluate(fitted, self.test, self.folds, EVALUATION)
        metrics, bootstrap, scores = json.loads(json.dumps([*judged, scores]))
        shown = predictions.copy()
        if is_spoilt:
            shown.loc[3, "y_pred"] = np.nan
        figures = nodes.plot(shown, EVALUATION, cell)
        outcome = nodes.conclude(metrics, bootstrap, scores, predictions, "group", cell, *figures)
        outcome = json.loads(json.dumps(outcome))
        return CellRun(fitted, scores, predictions, outcome, figures, collector.found)


@pytest.fixture(scope="session")
def study() -> SmallStudy:
    """Make 100 sessions of four tickers whose target follows the first feature."""
    rng = np.random.default_rng(0)
    sessions = pd.bdate_range("2018-01-01", periods=100)
    keys = pd.MultiIndex.from_product([sessions, ["A", "B", "C", "D"]], names=["date", "ticker"])
    rows = pd.DataFrame(rng.normal(size=(len(keys), 3)), columns=FEATURES, index=keys)
    rows["target"] = 0.01 * rows["a"] + 0.003 * rng.normal(size=len(rows))
    rows = rows.reset_index()
    split = split_by_date(pd.DatetimeIndex(rows["date"]), 0.25, 2, 1, 0)
    return SmallStudy(
        rows[rows["date"] <= split.train_end].reset_index(drop=True),
        rows[rows["date"] >= split.test_start].reset_index(drop=True),
        {**split.to_dict(), "keys": ["date", "ticker"], "features": FEATURES},
    )
