"""Regimes that are there are found, and fat tails or noise are not taken for regimes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tidemark.config import Cell
from tidemark.pipelines.data_engineering.cross_asset.params import PairParams
from tidemark.pipelines.feature_engineering.cross_asset import regimes as features_nodes
from tidemark.pipelines.modelling.nodes import conclude
from tidemark.pipelines.modelling.params import RegimeParams, TrainParams
from tidemark.pipelines.modelling.regimes import nodes
from tidemark.pipelines.params import EvaluationParams
from tidemark.pipelines.reporting.tables import compare, tabulate

pytestmark = pytest.mark.slow

N = 700
N_SEEDS = 12
PAIR = PairParams(left="one", right="other", window=60, test_share=0.5, refit_sessions=350)
EVALUATION = EvaluationParams(
    seed=42,
    n_replicates=300,
    bootstrap="stationary",
    block_length_days=5,
    interval="percentile",
    level=0.95,
    confidence_set_size=0.1,
)
TRAINING = TrainParams(
    seed=1, fallback_seed=2, exact_svr_max_rows=10, nystroem_components=10, simpler={}
)
MARKOV = RegimeParams(estimator="markov", n_starts=2)


def simulate(kind: str, seed: int) -> pd.DataFrame:
    """Draw observations of a pair of unit variances.

    ``switching``: the correlation is 0.8 or -0.8, and changes once in 60 rows on average.
    ``gaussian`` and ``student``: it is 0.3 throughout, with Gaussian errors, or of Student's t with
    four degrees of freedom in one of the two.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(N)
    correlation = np.full(N, 0.3)
    if kind == "switching":
        changes = rng.random(N) < 1.0 / 60.0
        correlation = np.where(np.cumsum(changes) % 2, 0.8, -0.8)
    errors = rng.standard_normal(N)
    if kind == "student":
        errors = rng.standard_t(4, N) / np.sqrt(2.0)
    y = correlation * x + np.sqrt(1.0 - correlation**2) * errors
    dates = pd.bdate_range("2010-01-04", periods=N)
    return pd.DataFrame({"date": dates, "y": y, "x": x, "zscore": 0.0})


@cache
def judge(kind: str, seed: int) -> tuple[float, float, float]:
    """Take one sample through the nodes of a pair's cells and of the comparison.

    Returns
    -------
    float, float
        Hansen's consistent p-value of Markov switching against ``single`` and ``student``.
    float
        Its gain in log score over ``student``, in nats an observation.
    """
    features = simulate(kind, seed)
    dates, scoring, resampling = features_nodes.publish(features, PAIR, EVALUATION)
    outcomes, dailies, means = [], [], {}
    for name in ("single", "student", "markov"):
        cell = Cell("cross_asset", "pair", name)
        if name == "markov":
            _, scores, _, densities = nodes.train(features, dates, MARKOV, TRAINING, PAIR, cell)
            assert scores["status"] in ("ok", "fallback")
        else:
            densities, scores = nodes.take_baseline(scoring, dates, cell)
        scored, daily, metrics, about = nodes.evaluate(densities, scoring, dates, resampling, cell)
        outcomes.append(conclude(metrics, about, scores, scored, "pair", cell))
        dailies.append(daily)
        means[name] = float(scored["log_score"].mean())
    board = tabulate({}, {"passed": True, "findings": []}, *outcomes)
    _, _, verdicts, _ = compare(EVALUATION, None, board, pd.concat(dailies, ignore_index=True))
    ability: dict[str, dict[str, Any]] = verdicts["pair"]["superior_predictive_ability"]
    against = {name.partition(".")[2]: one["p_consistent"] for name, one in ability.items()}
    return against["single"], against["student"], means["markov"] - means["student"]


def judge_all(kind: str) -> np.ndarray:
    """Judge all samples of a kind: one row each."""
    return np.array([judge(kind, seed) for seed in range(N_SEEDS)])


def test_correlation_that_switches_is_found() -> None:
    """Against one regime and against fat tails, in most samples."""
    single, student, gain = judge_all("switching").T
    assert (single < 0.05).sum() >= N_SEEDS - 2
    assert (student < 0.05).sum() >= N_SEEDS - 2
    assert gain.mean() > 0.05


def test_constant_correlation_with_gaussian_errors_is_rarely_taken_for_regimes() -> None:
    """About as often as the test's size allows."""
    single, student, gain = judge_all("gaussian").T
    # Of 12 at 5 %: more has a probability of two percent.
    assert (single < 0.05).sum() <= 2
    assert (student < 0.05).sum() <= 2
    assert gain.mean() < 0.0


def test_fat_tails_alone_are_not_taken_for_regimes() -> None:
    """A mixture of two variances has fat tails, and so does the baseline that it must beat."""
    _, student, gain = judge_all("student").T
    assert (student < 0.05).sum() <= 2
    assert gain.mean() < 0.0


def test_gaussian_baseline_alone_would_take_fat_tails_for_regimes() -> None:
    """Why ``student`` is there: against one Gaussian regime the mixture wins by its tails."""
    single, student, _ = judge_all("student").T
    assert (single < 0.05).sum() > (student < 0.05).sum() + 2
