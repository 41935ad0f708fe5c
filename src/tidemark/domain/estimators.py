"""Estimators by name: a scaler, a regressor and, where needed, a map between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from sklearn.pipeline import Pipeline

EstimatorName = Literal["linear", "ridge", "svr", "poly2"]

REGRESSOR_STEP = "regressor"

# What a grid may vary: parameters of the last regressor, whichever form it takes.
GRID_NAMES: dict[EstimatorName, frozenset[str]] = {
    "linear": frozenset(),
    "ridge": frozenset({"alpha"}),
    "svr": frozenset({"C", "epsilon"}),
    "poly2": frozenset({"alpha"}),
}


@dataclass(frozen=True)
class Approximation:
    """When and how the kernel of support vectors is approximated."""

    exact_max_rows: int
    n_components: int


@dataclass(frozen=True)
class FittedModel:
    """A fitted estimator and how cross-validation chose it."""

    estimator: Pipeline
    best_params: dict[str, Any]
    fold_rmse: list[float]
    candidates: list[dict[str, Any]]


def describe_estimator(name: EstimatorName, n_rows: int, approximation: Approximation) -> str:
    """Say in words which estimator a name stands for at a given number of rows."""
    if name == "svr" and n_rows > approximation.exact_max_rows:
        return (
            f"linear support vectors on a Nystroem map of {approximation.n_components} RBF "
            f"components ({n_rows} rows are more than {approximation.exact_max_rows})"
        )
    return {
        "linear": "ordinary least squares",
        "ridge": "ridge regression",
        "svr": "exact RBF support vectors",
        "poly2": "ridge regression on all products of two features",
    }[name]


def make_estimator(
    name: EstimatorName, n_rows: int, approximation: Approximation, seed: int
) -> Pipeline:
    """Build an unfitted estimator: `StandardScaler`, then the regressor.

    Parameters
    ----------
    name : {"linear", "ridge", "svr", "poly2"}
        ``svr`` also standardises the target: with daily returns of a hundredth, every residual
        would fall inside the tube and the model would predict a constant.
    n_rows : int
        Rows of the whole training part; decides between exact and approximate support vectors.
    approximation : Approximation
        The bound and the size of the Nystroem map.
    seed : int
        Seed of the Nystroem map's sample.

    References
    ----------
    Williams, C. K. I. and Seeger, M. (2001), Using the Nystroem Method to Speed Up Kernel
    Machines, NIPS 13.
    """
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LinearRegression, Ridge
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler
    from sklearn.svm import SVR, LinearSVR

    steps: list[tuple[str, Any]] = [("scaler", StandardScaler())]
    if name == "linear":
        steps.append((REGRESSOR_STEP, LinearRegression()))
    elif name == "ridge":
        steps.append((REGRESSOR_STEP, Ridge(solver="cholesky")))
    elif name == "poly2":
        steps.append(("products", PolynomialFeatures(degree=2, include_bias=False)))
        steps.append(("product_scaler", StandardScaler(copy=False)))
        steps.append((REGRESSOR_STEP, Ridge(solver="cholesky", copy_X=False)))
    elif n_rows <= approximation.exact_max_rows:
        steps.append((REGRESSOR_STEP, _standardise_target(TransformedTargetRegressor, SVR())))
    else:
        machine = LinearSVR(
            loss="squared_epsilon_insensitive", dual=False, epsilon=0.1, random_state=seed
        )
        steps.append(
            ("kernel_map", Nystroem(n_components=approximation.n_components, random_state=seed))
        )
        steps.append((REGRESSOR_STEP, _standardise_target(TransformedTargetRegressor, machine)))
    return Pipeline(steps)


def fit_by_cv(
    estimator: Pipeline,
    grid: Mapping[str, Sequence[Any]],
    features: pd.DataFrame,
    target: pd.Series,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
) -> FittedModel:
    """Choose hyperparameters by the mean RMSE over folds, then fit on all rows.

    Parameters
    ----------
    estimator : Pipeline
        As `make_estimator` builds it.
    grid : mapping of str to sequence
        Values to try of each of the regressor's parameters; may be empty.
    features : DataFrame of float64, shape (rows, features)
        No missing values.
    target : Series of float64
        One label for each row.
    folds : sequence of (train, valid)
        Positions of rows. Everything that is fitted is fitted on ``train`` alone.

    Returns
    -------
    FittedModel
        ``fold_rmse`` in the target's unit, in the order of the folds.
    """
    from sklearn.model_selection import GridSearchCV

    prefix = _regressor_prefix(estimator)
    search = GridSearchCV(
        estimator,
        {f"{prefix}{name}": list(values) for name, values in grid.items()},
        scoring="neg_root_mean_squared_error",
        cv=list(folds),
        error_score="raise",
    )
    search.fit(features, target)
    results = search.cv_results_
    scores = [-results[f"split{number}_test_score"] for number in range(len(folds))]
    candidates: list[dict[str, Any]] = [
        {
            "params": {key.removeprefix(prefix): value for key, value in params.items()},
            "mean_rmse": float(-results["mean_test_score"][number]),
        }
        for number, params in enumerate(results["params"])
    ]
    best = int(search.best_index_)
    return FittedModel(
        estimator=search.best_estimator_,
        best_params=candidates[best]["params"],
        fold_rmse=[float(score[best]) for score in scores],
        candidates=candidates,
    )


def _standardise_target(wrapper: Any, regressor: Any) -> Any:
    from sklearn.preprocessing import StandardScaler

    return wrapper(regressor=regressor, transformer=StandardScaler())


def _regressor_prefix(estimator: Pipeline) -> str:
    wrapped = hasattr(estimator.named_steps[REGRESSOR_STEP], "regressor")
    return f"{REGRESSOR_STEP}__regressor__" if wrapped else f"{REGRESSOR_STEP}__"
