"""Estimators fit what was planted, are what their names say, and learn from the past alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal, assert_series_equal

from tidemark.domain.estimators import Approximation, describe_estimator, make_estimator
from tidemark.domain.fitting import FittedModel, fit_by_cv

NAMES = ("linear", "ridge", "svr", "poly2")
SMALL = Approximation(exact_max_rows=300, n_components=20)
GRIDS: dict[str, dict[str, list[float]]] = {
    "linear": {},
    "ridge": {"alpha": [0.1, 10.0]},
    "svr": {"C": [0.1, 1.0]},
    "poly2": {"alpha": [1.0, 100.0]},
}


def planted(n_rows: int, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Make features of differing scales and a target of the size of daily returns."""
    rng = np.random.default_rng(seed)
    features = pd.DataFrame(rng.normal(size=(n_rows, 3)), columns=["a", "b", "c"])
    target = 0.01 * features["a"] + 0.003 * rng.normal(size=n_rows)
    scales = pd.Series({"a": 0.01, "b": 100.0, "c": 1.0})
    return features * scales, target.rename("target")


def halves(n_rows: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Make two expanding folds."""
    rows = np.arange(n_rows)
    third = n_rows // 3
    return [(rows[:third], rows[third : 2 * third]), (rows[: 2 * third], rows[2 * third :])]


def fit(name: str, n_rows: int, seed: int = 1) -> tuple[FittedModel, pd.DataFrame, pd.Series]:
    """Fit an estimator to planted data; warnings, of convergence too, are errors."""
    features, target = planted(n_rows)
    estimator = make_estimator(name, n_rows, SMALL, seed)
    return fit_by_cv(estimator, GRIDS[name], features, target, halves(n_rows)), features, target


def signs(n_rows: int) -> tuple[pd.DataFrame, pd.Series]:
    """Make a feature of 1 and -1 in turn, and a target of 5 plus twice the feature."""
    feature = np.tile([1.0, -1.0], n_rows // 2)
    return pd.DataFrame({"x": feature}), pd.Series(5.0 + 2.0 * feature, name="target")


def test_fit_by_cv_ridge_known_data_gives_known_errors_and_coefficient() -> None:
    """With n rows of 1 and -1, ridge shrinks a slope of 2 to 2 n / (n + alpha)."""
    features, target = signs(40)
    rows = np.arange(40)
    folds = [(rows[:20], rows[20:30]), (rows[:30], rows[30:])]
    ridge = make_estimator("ridge", 40, SMALL, 0)
    fitted = fit_by_cv(ridge, {"alpha": [20.0, 10.0, 60.0]}, features, target, folds)
    assert fitted.best_params == {"alpha": 10.0}
    assert_allclose(fitted.fold_rmse, [2 * 10 / 30, 2 * 10 / 40])
    assert [candidate["params"]["alpha"] for candidate in fitted.candidates] == [20.0, 10.0, 60.0]
    means = [candidate["mean_rmse"] for candidate in fitted.candidates]
    assert_allclose(means, [(1.0 + 0.8) / 2, (2 / 3 + 0.5) / 2, (1.5 + 4 / 3) / 2])
    assert_allclose(fitted.estimator.predict(features.head(2)), [5.0 + 1.6, 5.0 - 1.6])


def test_fit_by_cv_linear_exact_data_is_reproduced() -> None:
    """Least squares finds a plane without noise, whatever the features' scales."""
    rng = np.random.default_rng(4)
    features = pd.DataFrame({"a": rng.normal(5.0, 0.01, 60), "b": rng.normal(0.0, 1000.0, 60)})
    target = 0.001 + 3.0 * features["a"] - 0.002 * features["b"]
    linear = make_estimator("linear", 60, SMALL, 0)
    fitted = fit_by_cv(linear, {}, features, target, halves(60))
    assert fitted.best_params == {}
    assert len(fitted.candidates) == 1
    assert_allclose(fitted.fold_rmse, [0.0, 0.0], atol=1e-9)
    assert_allclose(fitted.estimator.predict(features), target, atol=1e-9)


def test_fit_by_cv_poly2_finds_a_product_that_least_squares_cannot() -> None:
    """The product of two features is nothing to a plane and all to products of two."""
    rng = np.random.default_rng(5)
    features = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    target = 0.01 * features["a"] * features["b"]
    errors = {}
    for name in ("linear", "poly2"):
        estimator = make_estimator(name, 300, SMALL, 0)
        grid = {"alpha": [0.01]} if name == "poly2" else {}
        errors[name] = np.mean(fit_by_cv(estimator, grid, features, target, halves(300)).fold_rmse)
    assert errors["poly2"] < 0.01 * errors["linear"]


@pytest.mark.parametrize(("n_rows", "machine"), [(300, "SVR"), (301, "LinearSVR")])
def test_make_estimator_svr_bound_decides_which_machine_is_used(n_rows: int, machine: str) -> None:
    """Up to the bound the kernel is exact, beyond it a Nystroem map stands in."""
    steps = make_estimator("svr", n_rows, SMALL, 7).named_steps
    assert type(steps["regressor"].regressor).__name__ == machine
    kinds = [type(step).__name__ for step in steps.values()]
    assert ("Nystroem" in kinds) == (machine == "LinearSVR")
    assert kinds[0] == "StandardScaler"
    words = describe_estimator("svr", n_rows, SMALL)
    assert ("Nystroem map of 20" in words) == (machine == "LinearSVR")
    assert ("exact" in words) == (machine == "SVR")


def test_make_estimator_nystroem_takes_size_and_seed() -> None:
    """The map has as many components as asked for, and its sample depends on the seed alone."""
    kernel_map = make_estimator("svr", 301, SMALL, 7).named_steps["kernel_map"]
    assert (kernel_map.n_components, kernel_map.random_state) == (20, 7)
    first, second, other = (fit("svr", 330, seed)[0] for seed in (1, 1, 2))
    features, _ = planted(50, seed=9)
    assert (first.estimator.predict(features) == second.estimator.predict(features)).all()
    assert (first.estimator.predict(features) != other.estimator.predict(features)).any()


@pytest.mark.parametrize("n_rows", [240, 330])
@pytest.mark.parametrize("name", NAMES)
def test_fit_by_cv_planted_signal_of_return_size_is_found(name: str, n_rows: int) -> None:
    """Predictions of unseen rows vary as the planted signal does; none is a constant."""
    fitted, _, target = fit(name, n_rows)
    unseen, _ = planted(200, seed=9)
    predictions = fitted.estimator.predict(unseen)
    assert predictions.std() > 0.5 * 0.01
    assert np.corrcoef(predictions, unseen["a"])[0, 1] > 0.9
    assert np.mean(fitted.fold_rmse) < 0.8 * target.std()


@pytest.mark.parametrize("n_rows", [240, 330])
def test_fit_by_cv_svr_weakest_penalty_still_predicts_no_constant(n_rows: int) -> None:
    """Even strongly regularised, the machine sees past its tube of insensitivity."""
    features, target = planted(n_rows)
    machine = make_estimator("svr", n_rows, SMALL, 1)
    fitted = fit_by_cv(machine, {"C": [0.0001, 0.001]}, features, target, halves(n_rows))
    predictions = fitted.estimator.predict(features)
    assert fitted.best_params == {"C": 0.001}
    assert predictions.std() > 0.0
    assert np.corrcoef(predictions, target)[0, 1] > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_fit_by_cv_later_rows_leave_an_earlier_fold_bit_identical(name: str) -> None:
    """Scaling, kernel map and regressor of a fold are fitted on its training rows alone."""
    features, target = planted(330)
    folds = halves(330)
    wild_features, wild_target = features.copy(), target.copy()
    wild_features.iloc[220:] *= 1000.0
    wild_target.iloc[220:] += 1.0
    grid = {key: values[:1] for key, values in GRIDS[name].items()}
    estimator = make_estimator(name, 330, SMALL, 1)
    calm = fit_by_cv(estimator, grid, features, target, folds)
    wild = fit_by_cv(estimator, grid, wild_features, wild_target, folds)
    assert calm.fold_rmse[0] == wild.fold_rmse[0]
    assert calm.fold_rmse[1] != wild.fold_rmse[1]


@pytest.mark.parametrize("name", NAMES)
def test_fit_by_cv_final_model_is_fitted_on_every_row(name: str) -> None:
    """The model that is handed back equals one fitted at once with the chosen parameters."""
    fitted, features, target = fit(name, 240)
    alone = make_estimator(name, 240, SMALL, 1)
    wrapped = "regressor__regressor__" if name == "svr" else "regressor__"
    alone.set_params(**{wrapped + key: value for key, value in fitted.best_params.items()})
    alone.fit(features, target)
    assert_allclose(fitted.estimator.predict(features), alone.predict(features), rtol=1e-12)
    assert list(fitted.estimator.feature_names_in_) == ["a", "b", "c"]


@pytest.mark.parametrize("n_rows", [240, 330])
@pytest.mark.parametrize("name", NAMES)
def test_fit_by_cv_leaves_inputs_unchanged(name: str, n_rows: int) -> None:
    """Steps that work in place work on copies: neither fitting nor predicting writes."""
    fitted, features, target = fit(name, n_rows)
    fitted.estimator.predict(features)
    untouched_features, untouched_target = planted(n_rows)
    assert_frame_equal(features, untouched_features)
    assert_series_equal(target, untouched_target)


def test_fit_by_cv_unknown_parameter_raises() -> None:
    """A grid that names what the regressor does not have is not ignored."""
    features, target = signs(40)
    with pytest.raises(ValueError, match="gamma"):
        fit_by_cv(
            make_estimator("ridge", 40, SMALL, 0), {"gamma": [1.0]}, features, target, halves(40)
        )
