"""Node functions of one cell: train, evaluate, plot, conclude."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemark.config import Cell
from tidemark.domain.bootstrap import bootstrap_intervals
from tidemark.domain.estimators import (
    Approximation,
    describe_estimator,
    fit_by_cv,
    make_estimator,
)
from tidemark.domain.figures import CELL_FIGURES, draw_cell
from tidemark.domain.metrics import score_predictions
from tidemark.domain.splits import Fold, fold_positions
from tidemark.pipelines.modelling.params import EvaluationParams, ModelParams, TrainParams

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from sklearn.pipeline import Pipeline as Estimator
else:
    # Kedro reads the hints at run time; the real types would import heavy libraries at start.
    Figure = Estimator = Any

logger = logging.getLogger(__name__)


def train(
    train: pd.DataFrame, folds: dict[str, Any], model_params: ModelParams, params: TrainParams
) -> tuple[Estimator, dict[str, Any]]:
    """Choose hyperparameters by walk-forward cross-validation, then fit on all training rows.

    Returns
    -------
    model : Pipeline
        Fitted on the feature columns, by their names.
    cv_scores : dict
        RMSE of each fold in the target's unit, their mean, every candidate's mean, the chosen
        parameters, and in words which estimator was used; ready for JSON.
    """
    approximation = Approximation(params.exact_svr_max_rows, params.nystroem_components)
    used = describe_estimator(model_params.estimator, len(train), approximation)
    logger.info("%s: %s", model_params.estimator, used)
    estimator = make_estimator(model_params.estimator, len(train), approximation, params.seed)
    dated = [Fold(**fold) for fold in folds["folds"]]
    fitted = fit_by_cv(
        estimator,
        model_params.grid,
        train[folds["features"]],
        train["target"],
        list(fold_positions(train["date"], tuple(dated))),
    )
    scores = [
        {
            "fold": fold.number,
            "valid_start": fold.valid_start,
            "valid_end": fold.valid_end,
            "rmse": rmse,
        }
        for fold, rmse in zip(dated, fitted.fold_rmse, strict=True)
    ]
    cv_scores = {
        "estimator": model_params.estimator,
        "used": used,
        "best_params": fitted.best_params,
        "rmse_mean": sum(fitted.fold_rmse) / len(fitted.fold_rmse),
        "folds": scores,
        "candidates": fitted.candidates,
        "train_rows": len(train),
        "split_id": folds["split_id"],
    }
    return fitted.estimator, cv_scores


def evaluate(
    model: Estimator, test: pd.DataFrame, folds: dict[str, Any], params: EvaluationParams
) -> tuple[pd.DataFrame, dict[str, float], dict[str, Any]]:
    """Predict every test row and judge the predictions.

    Returns
    -------
    predictions : DataFrame
        The keys, ``y_true`` and ``y_pred``, in the target's unit.
    metrics : dict of str to float
        MAE, MSE, RMSE and R2.
    bootstrap : dict
        An interval for each metric, and how it was made.
    """
    predictions = test[folds["keys"]].assign(
        y_true=test["target"], y_pred=model.predict(test[folds["features"]])
    )
    intervals = bootstrap_intervals(
        predictions, params.block_length_days, params.n_replicates, params.level, params.seed
    )
    bootstrap = {**params.model_dump(), "method": "stationary, whole dates", "intervals": intervals}
    return predictions, score_predictions(predictions), bootstrap


def plot(predictions: pd.DataFrame, params: EvaluationParams, cell: Cell) -> list[Figure]:
    """Draw the cell's four figures, in the order of `CELL_FIGURES`."""
    drawn = draw_cell(predictions, cell.namespace, params.seed)
    return [drawn[name] for name in CELL_FIGURES]


def conclude(
    metrics: dict[str, float],
    bootstrap: dict[str, Any],
    cv_scores: dict[str, Any],
    predictions: pd.DataFrame,
    group: str,
    cell: Cell,
    *figures: bytes,
) -> dict[str, Any]:
    """Gather what the comparison needs to know of a cell: one outcome, whatever happened.

    Parameters
    ----------
    figures : bytes
        The cell's figures as PNG, in the order of `CELL_FIGURES`.
    """
    scored = pd.util.hash_pandas_object(predictions.drop(columns="y_pred"), index=False)
    return {
        "study": cell.study,
        "scenario": cell.scenario,
        "model": cell.model,
        "group": group,
        "status": "ok",
        "used": cv_scores["used"],
        "best_params": cv_scores["best_params"],
        "cv_rmse_mean": cv_scores["rmse_mean"],
        "split_id": cv_scores["split_id"],
        "train_rows": cv_scores["train_rows"],
        "scored_rows": len(predictions),
        "scored_dates": int(predictions["date"].nunique()),
        "scored_hash": hashlib.sha256(scored.to_numpy().tobytes()).hexdigest()[:16],
        "metrics": metrics,
        "intervals": bootstrap["intervals"],
        "level": bootstrap["level"],
        "block_length_days": bootstrap["block_length_days"],
        "figures": {
            name: hashlib.sha256(content).hexdigest()
            for name, content in zip(CELL_FIGURES, figures, strict=True)
        },
    }
