"""Node functions of a cell that finds regimes: train, evaluate."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tidemark import incidents
from tidemark.config import Cell
from tidemark.domain.bootstrap import draw_counts, interval_means
from tidemark.domain.regime_labels import find_likeliest
from tidemark.domain.regime_methods import (
    Detection,
    FittedMethod,
    MethodSettings,
    fit_method,
)
from tidemark.domain.scores import LOG_SCORE
from tidemark.domain.splits import Fold, fold_positions
from tidemark.pipelines.data_engineering.cross_asset.params import PairParams
from tidemark.pipelines.modelling.fallback import (
    Candidate,
    fit_first_that_converges,
    judge_trials,
    list_candidates,
)
from tidemark.pipelines.modelling.params import RegimeParams, TrainParams
from tidemark.pipelines.modelling.quoting import blank_infinite, quote_dates
from tidemark.pipelines.modelling.unfitted import NOTHING_FITTED, describe_baseline

logger = logging.getLogger(__name__)


def train(
    features: pd.DataFrame,
    dates: dict[str, Any],
    model_params: RegimeParams,
    params: TrainParams,
    pair: PairParams,
    cell: Cell,
) -> tuple[dict[str, Any], dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Find regimes in the past, and walk through the test with what was known by then.

    Before the test, labels come from parameters that have seen those very observations; from its
    start on each block's come from parameters of its past. Labels themselves never look ahead.

    Returns
    -------
    model : dict
        The parameters of every fit, its dates, and the regimes' names; ready for JSON.
    cv_scores : dict
        As of any cell, without folds: nothing is chosen by cross-validation.
    regimes : DataFrame
        ``date, regime`` (the likeliest), ``p_0``, ``p_1`` and so on: probabilities given all up
        to the date; ``is_in_sample`` where the parameters have seen the observation. Empty if
        nothing could be fitted.
    densities : DataFrame
        ``date, log_score`` of the test's observations, in nats.
    """
    refits = [Fold(**fold) for fold in dates["refits"]]
    blocks = list(fold_positions(features["date"], tuple(refits)))

    def fit(candidate: Candidate[RegimeParams], known: np.ndarray) -> FittedMethod:
        settings = _settings(candidate.model, pair)
        return fit_method(candidate.model.estimator, features.iloc[known], settings, candidate.seed)

    candidates = list_candidates(model_params, params)
    logger.info("fit 1 of %d, on %d observations", len(blocks), len(blocks[0][0]))
    first, trials = fit_first_that_converges(candidates, partial(fit, known=blocks[0][0]))
    status, note = judge_trials(trials)
    fits: list[FittedMethod] = []
    if first is not None:
        chosen = [one for one in candidates if one.model.estimator == trials[-1].estimator]
        fits, n_kept = _refit(first, blocks, partial(_fit_any, chosen, fit))
        if n_kept:
            kept = f"{n_kept} of {len(blocks)} fits did not converge and kept the one before"
            note = kept if status == "ok" else f"{note}; {kept}"
            status = "fallback"
    cv_scores = {
        "estimator": model_params.estimator,
        "status": status,
        "note": note,
        "trials": [asdict(trial) for trial in trials],
        "train_rows": len(blocks[0][0]),
        "split_id": dates["split_id"],
        **NOTHING_FITTED,
    }
    if status != "ok":
        kind: incidents.Kind = "failed_cell" if status == "failed" else "fallback"
        incidents.report(kind, f"{cell.namespace}: {note}", trials=cv_scores["trials"])
    if not fits:
        nothing = pd.DataFrame({"date": features["date"].head(0), "log_score": []})
        return {}, {**cv_scores, "used": note}, _no_regimes(features), nothing
    regimes, densities = _walk(features, blocks, fits)
    marked, words = fits[-1].marked
    model = {
        "names": fits[-1].names,
        "marked": marked,
        "marked_words": words,
        "unit": pair.unit,
        "fits": [
            {**asdict(refit), "observations": len(known), **one.to_dict()}
            for refit, (known, _), one in zip(refits, blocks, fits, strict=True)
        ],
    }
    used = {
        "single_regime": "one Gaussian regression",
        "zscore": "one Gaussian regression for each tag of the z-score",
        "markov": "Markov switching",
    }[trials[-1].estimator]
    about = [
        {**asdict(refit), "train_rows": len(known)}
        for refit, (known, _) in zip(refits, blocks, strict=True)
    ]
    return model, {**cv_scores, "used": used, "refits": about}, regimes, densities


def _fit_any(
    candidates: list[Candidate[RegimeParams]],
    fit: Callable[[Candidate[RegimeParams], np.ndarray], FittedMethod],
    known: np.ndarray,
) -> FittedMethod | None:
    return fit_first_that_converges(candidates, lambda candidate: fit(candidate, known))[0]


def _refit(
    first: FittedMethod,
    blocks: list[tuple[np.ndarray, np.ndarray]],
    fit: Callable[[np.ndarray], FittedMethod | None],
) -> tuple[list[FittedMethod], int]:
    """Fit again for each later block; one that does not converge keeps the fit before.

    What stands in is decided by what was known then: a simpler method for all blocks because a
    later one failed would be chosen with the future.
    """
    fits, n_kept = [first], 0
    for number, (known, _) in enumerate(blocks[1:], start=2):
        logger.info("fit %d of %d, on %d observations", number, len(blocks), len(known))
        one = fit(known)
        n_kept += one is None
        fits.append(fits[-1] if one is None else one)
    return fits, n_kept


def _settings(model: Any, pair: PairParams) -> MethodSettings:
    return MethodSettings(
        autoregression=pair.autoregression, **model.model_dump(exclude={"estimator"})
    )


def _walk(
    features: pd.DataFrame, blocks: list[tuple[np.ndarray, np.ndarray]], fits: list[FittedMethod]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Label all observations and score the test's, each by the parameters of its block."""
    first = blocks[0][1][0]
    parts: list[tuple[slice, Detection]] = []
    for (_, block), one in zip(blocks, fits, strict=True):
        start = 0 if block[0] == first else int(block[0])
        part = slice(start, int(block[-1]) + 1)
        parts.append((part, one.detect(features.iloc[: part.stop])))
    probabilities = np.vstack([found.probabilities[part] for part, found in parts])
    scores = np.concatenate([found.log_scores[part] for part, found in parts])
    rows = features["date"].iloc[: len(scores)]
    regimes = pd.DataFrame({"date": rows, "regime": find_likeliest(probabilities)})
    for number, column in enumerate(probabilities.T):
        regimes[f"p_{number}"] = column
    regimes["is_in_sample"] = np.arange(len(rows)) < first
    known = np.isfinite(probabilities).all(axis=1)
    densities = pd.DataFrame({"date": rows, "log_score": scores})
    return regimes[known].reset_index(drop=True), densities[first:].reset_index(drop=True)


def _no_regimes(features: pd.DataFrame) -> pd.DataFrame:
    empty = {"date": features["date"].head(0), "regime": np.array([], dtype="int64")}
    return pd.DataFrame({**empty, "is_in_sample": np.array([], dtype="bool")})


def take_baseline(
    scoring: pd.DataFrame, dates: dict[str, Any], cell: Cell
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Take the densities of a baseline from the rows to be scored, in place of training.

    Returns
    -------
    densities : DataFrame
        As `train` returns them.
    cv_scores : dict
        As `train` returns them.
    """
    used = {
        "single": "one Gaussian regression, fitted to all that was known",
        "student": "one regression with Student's t, fitted to all that was known",
        "ewma": "one regression with Student's t, recent observations weighing most",
    }[cell.model]
    densities = scoring[["date"]].assign(log_score=scoring[cell.model])
    return densities, describe_baseline(used, dates)


def evaluate(
    densities: pd.DataFrame,
    scoring: pd.DataFrame,
    dates: dict[str, Any],
    resampling: dict[str, Any],
    cell: Cell,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float | None], dict[str, Any]]:
    """Judge the densities of every observation that is to be scored, by their logarithm.

    Returns
    -------
    scored : DataFrame
        ``date, y_true, log_score``.
    daily : DataFrame
        ``date, cell, n, neg_log_score, horizon_days``.
    metrics : dict of str to float
        ``log_score``, the mean in nats an observation, and ``log_score_gain``, less that of the
        baseline ``single``. Empty for a failed cell, as are all other results.
    bootstrap : dict
        An interval for each metric, how it was made, and how many rows have no density.

    References
    ----------
    Good, I. J. (1952), Rational Decisions, Journal of the Royal Statistical Society B 14, 107-114.

    Gneiting, T. and Raftery, A. E. (2007), Strictly Proper Scoring Rules, Prediction, and
    Estimation, Journal of the American Statistical Association 102, 359-378.
    """
    judged = scoring.merge(densities, on="date", how="left", validate="one_to_one")
    absent = int((~np.isfinite(judged["log_score"])).sum())
    about = {
        **resampling,
        "score": LOG_SCORE.name,
        "absent_rows": absent,
        "dates": quote_dates(dates),
    }
    scored = judged[["date", "y_true", "log_score"]]
    daily = pd.DataFrame(
        {
            "date": judged["date"],
            "cell": pd.Series(cell.namespace, index=judged.index, dtype="str"),
            "n": 1.0,
            LOG_SCORE.loss_column: -judged["log_score"],
            "horizon_days": resampling["horizon_days"],
        }
    )
    if absent:
        return scored.head(0), daily.head(0), {}, {**about, "intervals": {}}
    counts = draw_counts(
        resampling["n_dates"],
        resampling["block_length"],
        resampling["n_replicates"],
        resampling["seed"],
        resampling["method"],
    )
    values = {
        "log_score": judged["log_score"].to_numpy(),
        "log_score_gain": (judged["log_score"] - judged["single"]).to_numpy(),
    }
    found = interval_means(values, counts, resampling["level"], resampling["interval"])
    about["intervals"] = {
        name: {key: blank_infinite(value) for key, value in one.items()}
        for name, one in found.items()
    }
    return scored, daily, {name: float(one.mean()) for name, one in values.items()}, about
