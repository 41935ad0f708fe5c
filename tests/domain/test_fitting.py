"""Whether a solver has converged is told by the solver itself, not by a warning."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from tidemark.domain.estimators import Approximation, EstimatorName, make_estimator
from tidemark.domain.fitting import FittedModel, check_convergence, fit_by_cv

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
