"""The rows of a cell: what is learnt from, what is forecast, and what a model adds to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.features import feature_columns
from tidemark.domain.splits import Fold, fold_positions
from tidemark.errors import ModelError


@dataclass(frozen=True, eq=False)
class CellRows:
    """The rows of training and test below each other, and which of them serve what.

    Attributes
    ----------
    table : DataFrame
        Keys, features and labels.
    features : list of str
    target : Series
        What a model learns, less what it only corrects.
    offset : ndarray
        What it corrects; zeros if it corrects nothing.
    first : ndarray of int
        Positions of the rows that the first fit and cross-validation learn from.
    folds : list of (known, judged)
        Positions among ``first``.
    blocks : list of (known, block)
        Positions of rows: what is learnt from for each block of the test, and the block.
    is_forecast : ndarray of bool
        Rows of a block.
    """

    table: pd.DataFrame
    features: list[str]
    target: pd.Series
    offset: np.ndarray
    first: np.ndarray
    folds: list[tuple[np.ndarray, np.ndarray]]
    blocks: list[tuple[np.ndarray, np.ndarray]]
    is_forecast: np.ndarray

    def list_fits(self, dates: dict[str, Any]) -> list[dict[str, Any]]:
        """List the fits that forecast anything: their dates, and how many rows they learnt from."""
        return [
            {**refit, "train_rows": len(known)}
            for refit, (known, block) in zip(dates["refits"], self.blocks, strict=True)
            if len(block)
        ]

    def list_forecasts(self, keys: list[str], values: np.ndarray) -> pd.DataFrame:
        """Lay out forecasts of all rows: keys and ``y_pred`` of those of a block."""
        forecasts = self.table[keys].assign(y_pred=values + self.offset)
        return forecasts[self.is_forecast].reset_index(drop=True)


def lay_out_rows(
    train: pd.DataFrame, test: pd.DataFrame, dates: dict[str, Any], *, corrects_offset: bool
) -> CellRows:
    """Find what serves what, by the dates of the split and by the labels of the rows.

    Raises
    ------
    ModelError
        If a model is to correct an offset and the study publishes none, or no row is left to learn
        from.
    """
    rows = pd.concat([train, test], ignore_index=True)
    if corrects_offset and "offset" not in rows:
        raise ModelError(
            "A model is asked to correct a baseline (residual), and the study publishes none. "
            "Take 'residual' out of the model."
        )
    offset = rows["offset"].to_numpy(dtype="float64") if corrects_offset else np.zeros(len(rows))
    is_learnt, is_scored = (_read_flags(rows, name) for name in ("is_learnt", "is_scored"))
    blocks = [
        (known[is_learnt[known]], block[is_scored[block]])
        for known, block in fold_positions(rows["date"], _read_folds(dates, "refits"))
    ]
    is_early = (rows["date"] <= dates["train_end"]).to_numpy()
    first = np.flatnonzero(is_early & is_learnt)
    if not len(first) or not all(len(known) for known, block in blocks if len(block)):
        raise ModelError(
            f"Of {int(is_early.sum())} rows up to {dates['train_end']}, and those of a later fit, "
            f"none may be learnt from. "
            f"Loosen the scenario's treatment, or its group's bounds."
        )
    is_forecast = np.zeros(len(rows), dtype=bool)
    for _, block in blocks:
        is_forecast[block] = True
    return CellRows(
        table=rows,
        features=feature_columns(train, dates["keys"]),
        target=rows["target"] - offset,
        offset=offset,
        first=first,
        folds=list(fold_positions(rows["date"].iloc[first], _read_folds(dates, "folds"))),
        blocks=blocks,
        is_forecast=is_forecast,
    )


def _read_folds(dates: dict[str, Any], name: str) -> tuple[Fold, ...]:
    return tuple(Fold(**fold) for fold in dates[name])


def _read_flags(rows: pd.DataFrame, name: str) -> np.ndarray:
    return rows[name].to_numpy(dtype=bool) if name in rows else np.ones(len(rows), dtype=bool)
