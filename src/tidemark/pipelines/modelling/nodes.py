"""Node functions of one cell: train, evaluate, plot, conclude."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemark import incidents
from tidemark.config import Cell
from tidemark.domain.bootstrap import bootstrap_intervals
from tidemark.domain.estimators import FailedModel, describe_estimator, make_estimator
from tidemark.domain.figures import CELL_FIGURES, draw_cell_figure
from tidemark.domain.fitting import FittedModel, fit_by_cv
from tidemark.domain.metrics import score_predictions
from tidemark.domain.splits import Fold, fold_positions
from tidemark.pipelines.drawing import MISSING, draw_twice
from tidemark.pipelines.modelling.fallback import (
    Candidate,
    fit_first_that_converges,
    judge_trials,
    list_candidates,
)
from tidemark.pipelines.modelling.params import EvaluationParams, ModelParams, TrainParams

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline as Estimator
else:
    # Kedro reads the hints at run time; the real type would import scikit-learn at start.
    Estimator = Any

logger = logging.getLogger(__name__)


def train(
    train: pd.DataFrame,
    folds: dict[str, Any],
    model_params: ModelParams,
    params: TrainParams,
    cell: Cell,
) -> tuple[Estimator | FailedModel, dict[str, Any]]:
    """Choose hyperparameters by walk-forward cross-validation, then fit on all training rows.

    A model that cannot be fitted is tried with another seed, then a simpler one stands in.

    Returns
    -------
    model : Pipeline or FailedModel
        Fitted on the feature columns, by their names.
    cv_scores : dict
        RMSE of each fold in the target's unit, their mean, every candidate's mean, the chosen
        parameters, in words which estimator was used, and what was tried before; ready for JSON.
        Of a failed model the mean is None and the lists are empty.
    """
    approximation = params.approximation
    dated = [Fold(**fold) for fold in folds["folds"]]
    positions = list(fold_positions(train["date"], tuple(dated)))

    def fit(candidate: Candidate) -> FittedModel:
        name = candidate.model.estimator
        logger.info("%s: %s", name, describe_estimator(name, len(train), approximation))
        return fit_by_cv(
            make_estimator(name, len(train), approximation, candidate.seed),
            candidate.model.grid,
            train[folds["features"]],
            train["target"],
            positions,
        )

    fitted, trials = fit_first_that_converges(list_candidates(model_params, params), fit)
    status, note = judge_trials(trials)
    cv_scores = {
        "estimator": model_params.estimator,
        "status": status,
        "note": note,
        "trials": [asdict(trial) for trial in trials],
        "train_rows": len(train),
        "split_id": folds["split_id"],
    }
    if status != "ok":
        kind: incidents.Kind = "failed_cell" if status == "failed" else "fallback"
        incidents.report(kind, f"{cell.namespace}: {note}", trials=cv_scores["trials"])
    if fitted is None:
        nothing: dict[str, Any] = {"best_params": {}, "rmse_mean": None, "folds": []}
        return FailedModel(trials), {**cv_scores, "used": note, **nothing, "candidates": []}
    return fitted.estimator, {
        **cv_scores,
        "used": describe_estimator(trials[-1].estimator, len(train), approximation),
        "best_params": fitted.best_params,
        "rmse_mean": sum(fitted.fold_rmse) / len(fitted.fold_rmse),
        "folds": _score_folds(dated, fitted.fold_rmse),
        "candidates": fitted.candidates,
    }


def _score_folds(folds: Iterable[Fold], fold_rmse: Iterable[float]) -> list[dict[str, Any]]:
    return [
        {
            "fold": fold.number,
            "valid_start": fold.valid_start,
            "valid_end": fold.valid_end,
            "rmse": rmse,
        }
        for fold, rmse in zip(folds, fold_rmse, strict=True)
    ]


def evaluate(
    model: Estimator | FailedModel,
    test: pd.DataFrame,
    folds: dict[str, Any],
    params: EvaluationParams,
) -> tuple[pd.DataFrame, dict[str, float], dict[str, Any]]:
    """Predict every test row and judge the predictions.

    Returns
    -------
    predictions : DataFrame
        The keys, ``y_true`` and ``y_pred``, in the target's unit. No rows for a failed model.
    metrics : dict of str to float
        MAE, MSE, RMSE and R2; empty for a failed model.
    bootstrap : dict
        An interval for each metric, and how it was made.
    """
    about = {**params.model_dump(), "method": "stationary, whole dates"}
    if isinstance(model, FailedModel):
        none = test[folds["keys"]].assign(y_true=test["target"], y_pred=test["target"]).head(0)
        return none, {}, {**about, "intervals": {}}
    predictions = test[folds["keys"]].assign(
        y_true=test["target"], y_pred=model.predict(test[folds["features"]])
    )
    intervals = bootstrap_intervals(
        predictions, params.block_length_days, params.n_replicates, params.level, params.seed
    )
    return predictions, score_predictions(predictions), {**about, "intervals": intervals}


def plot(predictions: pd.DataFrame, params: EvaluationParams, cell: Cell) -> list[bytes]:
    """Draw the cell's four figures as PNG, in the order of `CELL_FIGURES`.

    A figure that cannot be drawn is missing, and so are all of a cell without predictions.
    """
    if predictions.empty:
        return [MISSING] * len(CELL_FIGURES)
    title = cell.namespace
    draw = partial(draw_cell_figure, predictions=predictions, title=title, seed=params.seed)
    return [draw_twice(partial(draw, name), f"{title}.{name}") for name in CELL_FIGURES]


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
        The cell's figures as PNG, in the order of `CELL_FIGURES`; empty where one is missing.
    """
    scored = pd.util.hash_pandas_object(predictions.drop(columns="y_pred"), index=False)
    return {
        "study": cell.study,
        "scenario": cell.scenario,
        "model": cell.model,
        "group": group,
        "status": cv_scores["status"],
        "note": cv_scores["note"],
        "trials": cv_scores["trials"],
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
            name: hashlib.sha256(content).hexdigest() if content != MISSING else None
            for name, content in zip(CELL_FIGURES, figures, strict=True)
        },
    }
