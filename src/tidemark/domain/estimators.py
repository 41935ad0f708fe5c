"""Estimators by name: a scaler, a regressor and, where needed, a map between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

EstimatorName = Literal["baseline", "linear", "ridge", "svr", "poly2", "hist_gradient_boosting"]

REGRESSOR_STEP = "regressor"

# What a grid may vary: parameters of the last regressor, whichever form it takes.
GRID_NAMES: dict[EstimatorName, frozenset[str]] = {
    "baseline": frozenset(),
    "linear": frozenset(),
    "ridge": frozenset({"alpha"}),
    "svr": frozenset({"C", "epsilon"}),
    "poly2": frozenset({"alpha"}),
    "hist_gradient_boosting": frozenset(
        {"learning_rate", "max_iter", "max_leaf_nodes", "min_samples_leaf", "l2_regularization"}
    ),
}


@dataclass(frozen=True)
class Approximation:
    """When and how the kernel of support vectors is approximated."""

    exact_max_rows: int
    n_components: int


@dataclass(frozen=True)
class Trial:
    """One attempt to fit an estimator; ``error`` says why it was given up, if it was."""

    estimator: str
    seed: int
    error: str | None


@dataclass(frozen=True)
class FailedModel:
    """What is stored in the place of a model when no estimator could be fitted."""

    trials: tuple[Trial, ...]


def describe_estimator(name: str, n_rows: int, approximation: Approximation) -> str:
    """Say in words which estimator a name stands for at a given number of rows."""
    if name == "svr" and n_rows > approximation.exact_max_rows:
        return (
            f"linear support vectors on a Nystroem map of {approximation.n_components} RBF "
            f"components ({n_rows} rows are more than {approximation.exact_max_rows})"
        )
    return {
        "baseline": "a forecast that is not fitted",
        "linear": "ordinary least squares",
        "ridge": "ridge regression",
        "svr": "exact RBF support vectors",
        "poly2": "ridge regression on all products of two features",
        "hist_gradient_boosting": "gradient boosting of trees on binned features",
    }[name]


def make_estimator(
    name: EstimatorName, n_rows: int, approximation: Approximation, seed: int
) -> Pipeline:
    """Build an unfitted estimator: `StandardScaler`, then the regressor.

    Parameters
    ----------
    name : {"linear", "ridge", "svr", "poly2", "hist_gradient_boosting"}
        A baseline is not fitted and has no estimator. ``svr`` also standardises the target: with
        daily returns of a hundredth, every residual would fall inside the tube and the model
        would predict a constant.
    n_rows : int
        Rows of the whole training part; decides between exact and approximate support vectors.
    approximation : Approximation
        The bound and the size of the Nystroem map.
    seed : int
        Seed of the Nystroem map's sample, and of the features' bins.

    References
    ----------
    Williams, C. K. I. and Seeger, M. (2001), Using the Nystroem Method to Speed Up Kernel
    Machines, NIPS 13.
    """
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.ensemble import HistGradientBoostingRegressor
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
    elif name == "hist_gradient_boosting":
        # It would stop early by rows drawn at random, and those of one date know each other.
        steps.append(
            (
                REGRESSOR_STEP,
                HistGradientBoostingRegressor(early_stopping=False, random_state=seed),
            )
        )
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


def _standardise_target(wrapper: Any, regressor: Any) -> Any:
    from sklearn.preprocessing import StandardScaler

    return wrapper(regressor=regressor, transformer=StandardScaler())
