"""Node functions of one cell: train, evaluate, plot, conclude."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemark import incidents
from tidemark.config import BASELINE, Cell
from tidemark.domain.baselines import NESTED
from tidemark.domain.bootstrap import draw_counts, interval_metrics
from tidemark.domain.estimators import FailedModel, describe_estimator, make_estimator
from tidemark.domain.figures import CELL_FIGURES, draw_cell_figure
from tidemark.domain.fitting import FittedModel, fit_by_cv, walk_forward
from tidemark.domain.metrics import metrics_from_sums, score_predictions, sum_by_date
from tidemark.domain.plotting import Quantity
from tidemark.domain.scores import HEADLINES, SCORES, SQUARED_ERROR
from tidemark.domain.scoring import UNDONE
from tidemark.pipelines.drawing import MISSING, draw_twice
from tidemark.pipelines.modelling.fallback import (
    Candidate,
    fit_first_that_converges,
    judge_trials,
    list_candidates,
)
from tidemark.pipelines.modelling.params import ModelParams, TrainParams
from tidemark.pipelines.modelling.quoting import blank_infinite, quote_dates, quote_resampling
from tidemark.pipelines.modelling.rows import lay_out_rows
from tidemark.pipelines.modelling.unfitted import NOTHING_FITTED, describe_baseline
from tidemark.pipelines.params import QuantityParams

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline as Estimator
else:
    # Kedro reads the hints at run time; the real type would import scikit-learn at start.
    Estimator = Any

logger = logging.getLogger(__name__)

_SAMPLE_SEED = 0  # of the points that scatter plots show; no number depends on it
_MAX_NAMES = 12  # whose errors are told one by one


def train(
    train: pd.DataFrame,
    test: pd.DataFrame,
    dates: dict[str, Any],
    model_params: ModelParams,
    params: TrainParams,
    cell: Cell,
) -> tuple[Estimator | FailedModel, dict[str, Any], pd.DataFrame]:
    """Choose hyperparameters by walk-forward cross-validation, then walk through the test.

    The test part is forecast block by block, each by a model that is fitted on all rows whose
    labels were known before the block. A model that cannot be fitted, anywhere on its way, is
    tried with another seed, then a simpler one stands in for all of it.

    Returns
    -------
    model : Pipeline or FailedModel
        The last fit, on the feature columns, by their names.
    cv_scores : dict
        RMSE of each fold in the target's unit, their mean, every candidate's mean, the chosen
        parameters, the refits, in words which estimator was used, and what was tried before;
        ready for JSON. Of a failed model the mean is None and the lists are empty.
    forecasts : DataFrame
        The keys of the test rows and ``y_pred``; no rows for a failed model.
    """
    approximation = params.approximation
    rows = lay_out_rows(train, test, dates, corrects_offset=model_params.residual)
    features, n_first = rows.table[rows.features], len(rows.first)

    def fit(candidate: Candidate[ModelParams]) -> tuple[FittedModel, Estimator, Any]:
        name = candidate.model.estimator
        logger.info("%s: %s", name, describe_estimator(name, n_first, approximation))
        first = fit_by_cv(
            make_estimator(name, n_first, approximation, candidate.seed),
            candidate.model.grid,
            features.iloc[rows.first],
            rows.target.iloc[rows.first],
            rows.folds,
        )
        return first, *walk_forward(first.estimator, features, rows.target, rows.blocks, n_first)

    fitted, trials = fit_first_that_converges(list_candidates(model_params, params), fit)
    status, note = judge_trials(trials)
    cv_scores = {
        "estimator": model_params.estimator,
        "status": status,
        "note": note,
        "trials": [asdict(trial) for trial in trials],
        "train_rows": n_first,
        "split_id": dates["split_id"],
    }
    if status != "ok":
        kind: incidents.Kind = "failed_cell" if status == "failed" else "fallback"
        incidents.report(kind, f"{cell.namespace}: {note}", trials=cv_scores["trials"])
    if fitted is None:
        nothing = {**cv_scores, "used": note, **NOTHING_FITTED}
        none = test[dates["keys"]].assign(y_pred=math.nan).head(0)
        return FailedModel(trials), nothing, none
    first, last, predicted = fitted
    used = describe_estimator(trials[-1].estimator, n_first, approximation)
    return (
        last,
        {
            **cv_scores,
            "used": f"{used}, of what the baseline leaves" if model_params.residual else used,
            "best_params": first.best_params,
            "rmse_mean": sum(first.fold_rmse) / len(first.fold_rmse),
            "folds": _score_folds(dates["folds"], first.fold_rmse),
            "candidates": first.candidates,
            "refits": rows.list_fits(dates),
        },
        rows.list_forecasts(dates["keys"], predicted),
    )


def take_baseline(
    scoring: pd.DataFrame, dates: dict[str, Any], cell: Cell
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Take the forecasts of a baseline from the rows to be scored, in place of training.

    Returns
    -------
    forecasts : DataFrame
        As `train` returns them.
    cv_scores : dict
        As `train` returns them, with nothing fitted.
    """
    used = f"the {cell.model.replace('_', ' ')}, known at the decision"
    about = describe_baseline(used, dates)
    return scoring[dates["keys"]].assign(y_pred=scoring[cell.model]), about


def _score_folds(
    folds: Iterable[dict[str, Any]], fold_rmse: Iterable[float]
) -> list[dict[str, Any]]:
    return [
        {
            "fold": fold["number"],
            "valid_start": fold["valid_start"],
            "valid_end": fold["valid_end"],
            "rmse": rmse,
        }
        for fold, rmse in zip(folds, fold_rmse, strict=True)
    ]


def evaluate(
    forecasts: pd.DataFrame,
    scoring: pd.DataFrame,
    dates: dict[str, Any],
    resampling: dict[str, Any],
    cell: Cell,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float | None], dict[str, Any]]:
    """Judge the forecasts of every row that is to be scored.

    A cell that does not forecast all of them has failed: it would be judged on easier rows.

    Returns
    -------
    predictions : DataFrame
        The keys, ``y_true`` and ``y_pred``, in the target's unit.
    daily : DataFrame
        One row for each date: the sums that metrics are functions of, the squared distances to
        the baselines that are nested in a regression, and how far ahead was forecast.
    metrics : dict of str to float
        None where a metric is not defined. Empty for a failed cell, as are all other results.
    bootstrap : dict
        An interval for each metric, how it was made, how many rows have no forecast, the score and
        the dates that reports quote; ``by_name``, the errors of each name if there are few.
    """
    judged = scoring.merge(forecasts, on=dates["keys"], how="left", validate="one_to_one")
    columns = [*dates["keys"], "y_true", "y_pred"]
    absent = int(judged["y_pred"].isna().sum())
    judged_by = {"score": SQUARED_ERROR.name, "dates": quote_dates(dates)}
    about = {**resampling, **judged_by, "absent_rows": absent}
    if absent:
        perfect = scoring.assign(y_pred=scoring["y_true"])  # for the columns of its sums
        sums = _sum_by_date(perfect, resampling["horizon_days"], cell)
        return judged[columns].head(0), sums.head(0), {}, {**about, "intervals": {}}
    counts = draw_counts(
        resampling["n_dates"],
        resampling["block_length"],
        resampling["n_replicates"],
        resampling["seed"],
        resampling["method"],
    )
    intervals = interval_metrics(judged, counts, resampling["level"], resampling["interval"])
    metrics = {name: blank_infinite(value) for name, value in score_predictions(judged).items()}
    about["intervals"] = {
        name: {key: blank_infinite(value) for key, value in interval.items()}
        for name, interval in intervals.items()
    }
    about["by_name"] = _score_by_name(judged, dates["keys"])
    return judged[columns], _sum_by_date(judged, resampling["horizon_days"], cell), metrics, about


def _score_by_name(judged: pd.DataFrame, keys: list[str]) -> dict[str, Any]:
    """Score each name's rows apart: ``{key: {name: metrics}}``, empty if names are many or none."""
    names = [key for key in keys if key != "date"]
    if len(names) != 1 or judged[names[0]].nunique() > _MAX_NAMES:
        return {}
    scores: dict[str, dict[str, float | None]] = {}
    for name, rows in judged.groupby(names[0], sort=True, observed=True):
        metrics = metrics_from_sums(sum_by_date(rows).to_numpy().sum(axis=0))
        shown = ("rmse", *HEADLINES)
        errors = {metric: blank_infinite(float(metrics[metric])) for metric in shown}
        scores[str(name)] = {"n": len(rows), **errors}
    return {names[0]: scores}


def _sum_by_date(judged: pd.DataFrame, horizon_days: int, cell: Cell) -> pd.DataFrame:
    daily = sum_by_date(judged)
    for name in NESTED:
        if name in judged:
            distance = (judged["y_pred"] - judged[name]) ** 2
            daily[f"sq_distance_{name}"] = distance.groupby(judged["date"], sort=True).sum()
    daily = daily.reset_index()
    daily.insert(1, "cell", pd.Series(cell.namespace, index=daily.index, dtype="str"))
    return daily.assign(horizon_days=horizon_days)


def plot(predictions: pd.DataFrame, quantity: QuantityParams, cell: Cell) -> list[bytes]:
    """Draw the cell's four figures as PNG, in the order of `CELL_FIGURES`.

    A figure that cannot be drawn is missing, and so are all of a cell without predictions.
    """
    if predictions.empty:
        return [MISSING] * len(CELL_FIGURES)
    title = cell.namespace
    draw = partial(
        draw_cell_figure,
        predictions=predictions,
        title=title,
        quantity=Quantity(**quantity.model_dump()),
        seed=_SAMPLE_SEED,
    )
    return [draw_twice(partial(draw, name), f"{title}.{name}") for name in CELL_FIGURES]


def conclude(
    metrics: dict[str, float | None],
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
        The cell's figures as PNG, in the order of its score's `cell_figures`; empty where one is
        missing. None at all of a cell of which there is nothing to draw.
    """
    score = SCORES[bootstrap["score"]]
    given = predictions.drop(columns=score.forecast_column)
    scored = pd.util.hash_pandas_object(given, index=False)
    status, note = cv_scores["status"], cv_scores["note"]
    if status not in UNDONE and bootstrap["absent_rows"]:
        status, note = "failed", f"{bootstrap['absent_rows']:,} of the rows have no forecast"
        incidents.report("failed_cell", f"{cell.namespace}: {note}")
    return {
        "study": cell.study,
        "scenario": cell.scenario,
        "model": cell.model,
        "group": group,
        "is_baseline": cv_scores["estimator"] == BASELINE,
        "status": status,
        "note": note,
        "trials": cv_scores["trials"],
        "used": cv_scores["used"],
        "best_params": cv_scores["best_params"],
        "cv_rmse_mean": cv_scores["rmse_mean"],
        "n_fits": len(cv_scores["refits"]),
        "split_id": cv_scores["split_id"],
        "train_rows": cv_scores["train_rows"],
        "scored_rows": len(predictions),
        "scored_dates": int(predictions["date"].nunique()),
        "scored_hash": hashlib.sha256(scored.to_numpy().tobytes()).hexdigest()[:16],
        "score": score.name,
        "loss": score.mean_loss(metrics),
        "metrics": metrics,
        "intervals": bootstrap["intervals"],
        "by_name": bootstrap.get("by_name", {}),
        "level": bootstrap["level"],
        "block_length": bootstrap["block_length"],
        "resampling": quote_resampling(bootstrap),
        "dates": bootstrap["dates"],
        "figures": {
            name: hashlib.sha256(content).hexdigest() if content != MISSING else None
            for name, content in zip(score.cell_figures if figures else (), figures, strict=True)
        },
    }
