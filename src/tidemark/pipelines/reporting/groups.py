"""The cells of one comparison group against each other, and all tries counted."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pandas as pd

from tidemark.domain.baselines import NESTED
from tidemark.domain.comparison import ForecastTest, clark_west, diebold_mariano
from tidemark.domain.multiple_comparison import confidence_set, superior_predictive_ability
from tidemark.domain.scores import SCORES
from tidemark.errors import ModelError
from tidemark.pipelines.params import EvaluationParams

RESAMPLING_PREFIX, DATES_PREFIX = "resampling_", "dates_"


class ComparisonGroup:
    """The cells of one comparison group that have not failed, and their losses by date."""

    def __init__(
        self, name: str, cells: pd.DataFrame, daily: pd.DataFrame, params: EvaluationParams
    ) -> None:
        self._name, self._params = name, params
        self._score = SCORES[common_value(cells, "score")]
        self._resampling = read_resampling(cells)
        self._horizon: int = self._resampling["horizon_days"]
        self._cells = cells.sort_values(["loss", "cell"], ignore_index=True)
        baselines = self._cells[self._cells["is_baseline"]]
        self._baselines: dict[str, str] = dict(
            zip(baselines["cell"].tolist(), baselines["model"].tolist(), strict=True)
        )
        rows = daily[daily["cell"].isin(self._cells["cell"])]
        self._losses = _by_date(rows, self._score.loss_column)
        self._distances = {
            name: _by_date(rows, f"sq_distance_{name}")
            for name in NESTED
            if self._score.has_nested_test and f"sq_distance_{name}" in rows
        }
        self.confidence = confidence_set(
            self._losses, params.confidence_set_size, *self._plan_draws()
        )

    def test_pairs(self) -> list[dict[str, Any]]:
        """Test every cell against every other, and against the baselines nested in it."""
        rows = []
        for cell, other in combinations(self._cells["cell"], 2):
            one = diebold_mariano(self._loss(cell), self._loss(other), self._horizon)
            rows.append(self._say(cell, other, "diebold_mariano", one))
        for against, baseline in self._baselines.items():
            if baseline in self._distances:
                for cell in self._models():
                    distance = self._distances[baseline][cell].to_numpy()
                    nested = clark_west(
                        self._loss(cell), self._loss(against), distance, self._horizon
                    )
                    rows.append(self._say(cell, against, "clark_west", nested))
        return rows

    def judge(self) -> dict[str, Any]:
        """Say whether anything beats the baselines once all tries are counted."""
        models = self._models()
        ability = {
            baseline: superior_predictive_ability(
                self._losses[models], self._losses[baseline], *self._plan_draws()
            )
            for baseline in self._baselines
            if models
        }
        best = next(iter(self._baselines), None)
        p_value = ability[best].p_consistent if best in ability else None
        members = self.confidence.index[self.confidence["in_confidence_set"]]
        return {
            "score": self._score.name,
            "n_cells": len(self._cells),
            "n_models": len(models),
            "best_baseline": best,
            "best_model": models[0] if models else None,
            "superior_predictive_ability": {name: vars(one) for name, one in ability.items()},
            "p_value": p_value,
            "beats_baseline": p_value is not None and p_value < 1.0 - self._params.level,
            "confidence_set": sorted(members),
            "confidence_set_size": self._params.confidence_set_size,
            "alarms": list(self._cells.loc[self._cells["alarm"], "cell"]),
        }

    def _models(self) -> list[str]:
        return list(self._cells.loc[~self._cells["is_baseline"], "cell"])

    def _loss(self, cell: str) -> Any:
        return self._losses[cell].to_numpy()

    def _plan_draws(self) -> tuple[float, int, int]:
        plan = self._resampling
        return plan["block_length"], plan["n_replicates"], plan["seed"]

    def _say(self, cell: str, against: str, test: str, found: ForecastTest) -> dict[str, Any]:
        return {"group": self._name, "cell": cell, "against": against, "test": test, **vars(found)}


def no_verdict(score: str, params: EvaluationParams) -> dict[str, Any]:
    """Say of a group in which every cell has failed that there is nothing to say."""
    return {
        "score": score,
        "n_cells": 0,
        "n_models": 0,
        "best_baseline": None,
        "best_model": None,
        "superior_predictive_ability": {},
        "p_value": None,
        "beats_baseline": False,
        "confidence_set": [],
        "confidence_set_size": params.confidence_set_size,
        "alarms": [],
    }


def read_resampling(cells: pd.DataFrame) -> dict[str, Any]:
    """Read how the dates of a group are resampled.

    Raises
    ------
    ModelError
        If its cells differ in it.
    """
    return _read_prefixed(cells, RESAMPLING_PREFIX)


def read_dates(cells: pd.DataFrame) -> dict[str, Any]:
    """Read when a group's cells were trained and tested.

    Raises
    ------
    ModelError
        If they differ in it.
    """
    return _read_prefixed(cells, DATES_PREFIX)


def _read_prefixed(cells: pd.DataFrame, prefix: str) -> dict[str, Any]:
    columns = [name for name in map(str, cells) if name.startswith(prefix)]
    return {name.removeprefix(prefix): common_value(cells, name) for name in columns}


def common_value(cells: pd.DataFrame, column: str) -> Any:
    """Read what all cells of a group share; None where it is missing.

    Raises
    ------
    ModelError
        If they do not share it.
    """
    values = cells[column].drop_duplicates()
    if len(values) > 1:
        told = cells[["group", "scenario", "model", column]].to_string(index=False)
        raise ModelError(
            f"The cells of one group were not judged alike, so they cannot be compared:\n{told}\n"
            f"Run the study whole."
        )
    value = values.iloc[0]
    value = value.item() if hasattr(value, "item") else value
    return None if pd.isna(value) else value


def _by_date(daily: pd.DataFrame, column: str) -> pd.DataFrame:
    """Average a sum over the rows of each date: dates by cells, in the order of names."""
    mean = daily[["date", "cell"]].assign(mean=daily[column] / daily["n"])
    wide = mean.pivot(index="date", columns="cell", values="mean")  # noqa: PD010
    return wide.sort_index(axis=1)
