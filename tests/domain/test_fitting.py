"""Whether a solver has converged is told by the solver itself, not by a warning."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from tidemark.domain.estimators import Approximation, EstimatorName, make_estimator
from tidemark.domain.fitting import FittedModel, check_convergence, fit_by_cv, walk_forward

EXACT, APPROXIMATE = Approximation(300, 90), Approximation(1, 90)
STUBBORN = {"C": [1e14]}  # no regularisation: Liblinear gives up after 1,000 iterations
ROWS = np.arange(300)
FOLDS = [(ROWS[:100], ROWS[100:200]), (ROWS[:200], ROWS[200:])]

silent = pytest.mark.filterwarnings("ignore:Liblinear failed to converge")


def planted() -> tuple[pd.DataFrame, pd.Series]:
    """Make 300 rows whose target follows the first of three features."""
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    return features, (0.01 * features["a"] + 0.003 * rng.normal(size=300)).rename("target")


def fit(grid: dict[str, list[float]], folds: list[tuple[np.ndarray, np.ndarray]]) -> FittedModel:
    """Fit approximate support vectors."""
    machine = make_estimator("svr", 300, APPROXIMATE, 1)
    return fit_by_cv(machine, grid, *planted(), folds)


@silent
@pytest.mark.parametrize(
    "grid", [STUBBORN, {"C": [0.01, 1e14]}], ids=["the only value", "one of two values"]
)
def test_fit_by_cv_solver_at_its_limit_raises(grid: dict[str, list[float]]) -> None:
    """Though the warning is ignored, no fit that stopped early is scored."""
    with pytest.raises(ConvergenceWarning, match="LinearSVR stopped at its limit of 1000"):
        fit(grid, FOLDS)


@silent
def test_fit_by_cv_last_fit_at_its_limit_raises() -> None:
    """The fit on all rows is checked as those of the folds are."""
    features, target = planted()
    features.iloc[250:] *= 100.0  # no fold trains on them; beside them all others are one point
    machine = make_estimator("svr", 300, Approximation(1, 40), 1)
    machine.set_params(regressor__regressor__C=1e14)
    for rows, _ in FOLDS:
        check_convergence(machine.fit(features.iloc[rows], target.iloc[rows]))
    with pytest.raises(ConvergenceWarning, match="stopped at its limit"):
        fit_by_cv(machine, STUBBORN, features, target, FOLDS)


@silent
def test_fit_by_cv_is_not_fooled_by_what_other_threads_do_to_warnings() -> None:
    """Eight fits in four threads, while a fifth plays with the filters: each is judged aright."""
    stop = threading.Event()

    def play() -> None:
        while not stop.is_set():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")

    def converges(strength: float) -> bool:
        try:
            fit({"C": [strength]}, FOLDS)
        except ConvergenceWarning:
            return False
        return True

    player = threading.Thread(target=play)
    player.start()
    with ThreadPoolExecutor(4) as pool:
        judged = list(pool.map(converges, [1e14, 0.01] * 4))
    stop.set()
    player.join()
    assert judged == [False, True] * 4


@pytest.mark.parametrize("name", ["linear", "ridge", "svr", "poly2"])
@pytest.mark.parametrize("approximation", [EXACT, APPROXIMATE])
def test_check_convergence_accepts_what_converged(
    name: EstimatorName, approximation: Approximation
) -> None:
    """Solvers without iterations, without a limit or below it have nothing to answer for."""
    check_convergence(make_estimator(name, 300, approximation, 1).fit(*planted()))


@pytest.mark.filterwarnings("ignore:Solver terminated early")
def test_check_convergence_refuses_exact_support_vectors_at_a_limit() -> None:
    """Exact support vectors have no limit of iterations here; with one they are checked too."""
    machine = make_estimator("svr", 300, EXACT, 1).set_params(regressor__regressor__max_iter=5)
    with pytest.raises(ConvergenceWarning, match=r"^SVR stopped at its limit of 5 iterations\.$"):
        check_convergence(machine.fit(*planted()))


BLOCKS = [(ROWS[:200], ROWS[205:240]), (ROWS[:238], ROWS[240:290])]


def first_fit() -> Pipeline:
    """Fit ridge on the rows of the first block."""
    features, target = planted()
    machine = make_estimator("ridge", 300, EXACT, 1).set_params(regressor__alpha=7.0)
    return machine.fit(features.iloc[:200], target.iloc[:200])


def walk(
    first: Pipeline,
    features: pd.DataFrame,
    target: pd.Series,
    blocks: Sequence[tuple[np.ndarray, np.ndarray]] = BLOCKS,
) -> np.ndarray:
    """Forecast the blocks, the first one by the first model."""
    return walk_forward(first, features, target, blocks, 200)[1]


def test_walk_forward_forecasts_each_block_with_its_own_fit() -> None:
    """The first model is taken as it is; each later one is fitted alone, with its parameters."""
    features, target = planted()
    first = first_fit()
    last, forecasts = walk_forward(first, features, target, BLOCKS, 200)

    again = clone(first).fit(features.iloc[:238], target.iloc[:238])
    expected = np.full(300, np.nan)
    expected[205:240] = first.predict(features.iloc[205:240])
    expected[240:290] = again.predict(features.iloc[240:290])
    np.testing.assert_array_equal(forecasts, expected)
    assert last is not first
    assert last.get_params()["regressor__alpha"] == 7.0
    np.testing.assert_array_equal(last.predict(features), again.predict(features))


def test_walk_forward_of_one_block_hands_on_the_first_model() -> None:
    """Without later blocks nothing is fitted."""
    first = first_fit()
    last, forecasts = walk_forward(first, *planted(), BLOCKS[:1], 200)
    assert last is first
    assert np.isfinite(forecasts).sum() == 35


def test_walk_forward_with_a_window_fits_the_first_block_anew() -> None:
    """A model of all rows does not forecast for one of the last rows alone."""
    features, target = planted()
    first = first_fit()
    window = [(ROWS[150:200], ROWS[205:240])]
    last, forecasts = walk_forward(first, features, target, window, 200)
    alone = clone(first).fit(features.iloc[150:200], target.iloc[150:200])
    np.testing.assert_array_equal(forecasts[205:240], alone.predict(features.iloc[205:240]))
    assert last.get_params()["regressor__alpha"] == 7.0
    assert (forecasts[205:240] != first.predict(features.iloc[205:240])).all()


def test_walk_forward_never_reads_a_label_of_a_block_or_after_it() -> None:
    """Labels that come after a fit, however wild, change none of its forecasts."""
    features, target = planted()
    wild = target.copy()
    wild.iloc[238:] = 1e9
    usual, changed = (walk(first_fit(), features, one) for one in (target, wild))
    np.testing.assert_array_equal(usual, changed)
    wild.iloc[237] = 1e9
    assert (walk(first_fit(), features, wild)[240:290] != usual[240:290]).all()


@pytest.mark.parametrize("at", [0, 1, 2])
def test_walk_forward_block_without_rows_is_not_forecast_and_not_fitted(at: int) -> None:
    """It may even have nothing to learn from; the others are forecast as without it."""
    features, target = planted()
    empty = (ROWS[:0], ROWS[:0])
    blocks = [*BLOCKS[:at], empty, *BLOCKS[at:]]
    last, usual = walk_forward(first_fit(), features, target, BLOCKS, 200)
    again, found = walk_forward(first_fit(), features, target, blocks, 200)
    np.testing.assert_array_equal(found, usual)
    assert np.isfinite(found).sum() == 85
    np.testing.assert_array_equal(again.predict(features), last.predict(features))


def test_walk_forward_later_block_never_has_the_model_of_an_empty_first_one() -> None:
    """As many rows as the first fit had are others in a window that moves on."""
    features, target = planted()
    first = first_fit()
    blocks = [(ROWS[:200], ROWS[:0]), (ROWS[40:240], ROWS[240:290])]
    last, forecasts = walk_forward(first, features, target, blocks, 200)
    own = clone(first).fit(features.iloc[40:240], target.iloc[40:240])
    np.testing.assert_array_equal(forecasts[240:290], own.predict(features.iloc[240:290]))
    assert (forecasts[240:290] != first.predict(features.iloc[240:290])).any()
    assert last is not first


@silent
def test_walk_forward_fit_at_its_limit_raises() -> None:
    """A solver that stops early on its way is found out at whichever refit it happens."""
    features, target = planted()
    features.iloc[250:] *= 100.0  # beside them all others are one point
    machine = make_estimator("svr", 300, Approximation(1, 40), 1)
    machine.set_params(regressor__regressor__C=1e14)
    first = machine.fit(features.iloc[:200], target.iloc[:200])
    check_convergence(first)
    walk(first, features, target)
    with pytest.raises(ConvergenceWarning, match="stopped at its limit"):
        walk(first, features, target, [BLOCKS[0], (ROWS[:280], ROWS[280:])])


class Diverged:
    """A model that forecasts what no float can hold."""

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Forecast infinity for the last row."""
        return np.append(np.zeros(len(features) - 1), np.inf)


def test_walk_forward_forecast_that_is_not_finite_is_refused() -> None:
    """What overflows is no forecast: the model counts as one that cannot be solved."""
    with pytest.raises(np.linalg.LinAlgError, match="not finite"):
        walk_forward(Diverged(), *planted(), BLOCKS[:1], 200)
