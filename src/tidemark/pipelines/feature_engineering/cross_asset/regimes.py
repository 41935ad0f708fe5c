"""Node functions of a pair whose regimes are sought: observations, rows to be scored, audit."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from tidemark.domain.density_baselines import score_baselines
from tidemark.domain.pair_observations import observe_pair, score_extremes
from tidemark.domain.splits import split_by_date
from tidemark.errors import DataError
from tidemark.pipelines.data_engineering.cross_asset.params import (
    AlignmentParams,
    PairParams,
    SeriesTable,
)
from tidemark.pipelines.data_engineering.cross_asset.treatment import preprocess
from tidemark.pipelines.data_engineering.publishing import plan_resampling
from tidemark.pipelines.feature_engineering.auditing import audit_features
from tidemark.pipelines.feature_engineering.cross_asset.correlating import correlate
from tidemark.pipelines.params import AuditParams, EvaluationParams

logger = logging.getLogger(__name__)


def featurise(
    processed: pd.DataFrame, rolling_correlation: pd.DataFrame, params: PairParams
) -> pd.DataFrame:
    """Build what is observed on each session, and what tags it.

    Returns
    -------
    DataFrame
        ``date, y``, ``x`` where the observation has a regressor, and ``zscore`` of the rolling
        correlation; only sessions on which all are known.

    Timing
    ------
    Row t uses returns up to and including session t.
    """
    returns = processed.set_index("date")
    correlation = rolling_correlation.set_index("date")["correlation"]
    observed = observe_pair(returns, correlation, params.observed, params.scale_window)
    observed["zscore"] = score_extremes(correlation, params.zscore_window)
    return observed.dropna().rename_axis("date").reset_index()


def publish(
    features: pd.DataFrame, params: PairParams, evaluation: EvaluationParams
) -> tuple[dict[str, Any], pd.DataFrame, dict[str, Any]]:
    """Publish what the pair's cells share: dates, rows to be scored, and how to resample them.

    Returns
    -------
    split : dict
        Dates of training, refits and test, their id and the key; ready for JSON.
    scoring : DataFrame
        Every observation whose density is judged: ``date, y_true``, and the log score that each
        baseline gives it, in nats.
    resampling : dict
        How all cells draw dates, so that they draw the same ones; ready for JSON.

    Raises
    ------
    DataError
        If there are too few observations.
    """
    try:
        split = split_by_date(
            pd.DatetimeIndex(features["date"]),
            test_share=params.test_share,
            n_folds=1,  # nothing is chosen by cross-validation
            horizon_days=1,
            embargo_days=0,
            refit_sessions=params.refit_sessions,
        )
    except ValueError as error:
        raise DataError(
            f"{params.left} and {params.right} have {len(features)} observations: {error}"
        ) from error
    scores = score_baselines(features, split.refits, params.window, params.autoregression)
    scoring = scores[scores["date"] >= split.test_start].reset_index(drop=True)
    bare = int(scoring.isna().any(axis=1).sum())
    if bare:
        raise DataError(
            f"{bare} observations of {params.left} and {params.right} have no baseline density. "
            f"Give data that begin earlier, or lower test_share."
        )
    # What is tested are differences of log scores; these two no method under test has touched.
    differences = (scoring["ewma"] - scoring["single"]).to_numpy()
    resampling = plan_resampling(differences, split.horizon_days, evaluation)
    logger.info(
        "split %s: %d observations to score, %d fits, blocks of %.1f dates",
        split.split_id,
        len(scoring),
        len(split.refits),
        resampling["block_length"],
    )
    return {**split.to_dict(), "keys": ["date"], "window_sessions": None}, scoring, resampling


def audit(
    levels: pd.DataFrame,
    features: pd.DataFrame,
    dates: dict[str, Any],
    series: SeriesTable,
    alignment: AlignmentParams,
    pair: PairParams,
    params: AuditParams,
) -> dict[str, Any]:
    """Look for the future in the observations and tags: levels are cut off, and altered.

    Returns
    -------
    dict
        ``passed``, one sentence for each finding, and what was looked at; ready for JSON.
    """
    own = levels[levels["series"].isin([pair.left, pair.right])]
    others = levels[~levels["series"].isin([pair.left, pair.right])]

    def build(own: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
        both = pd.concat([own, others], ignore_index=True)
        processed, _ = preprocess(both, series, alignment, pair)
        return featurise(processed, correlate(processed, pair), pair)

    sessions = features["date"].to_numpy()
    return audit_features(build, own, others, features, sessions, dates, params)
