"""Fitting: hyperparameters by cross-validation, and whether a solver has converged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemark.domain.estimators import REGRESSOR_STEP

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from sklearn.pipeline import Pipeline


@dataclass(frozen=True)
class FittedModel:
    """A fitted estimator and how cross-validation chose it."""

    estimator: Pipeline
    best_params: dict[str, Any]
    fold_rmse: list[float]
    candidates: list[dict[str, Any]]


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

    Raises
    ------
    ConvergenceWarning
        If one of the fits, of a fold or of all rows, does not converge.
    """
    from sklearn.metrics import get_scorer
    from sklearn.model_selection import GridSearchCV

    score = get_scorer("neg_root_mean_squared_error")

    def score_converged(fitted: Pipeline, features: pd.DataFrame, target: pd.Series) -> float:
        check_convergence(fitted)
        return float(score(fitted, features, target))

    prefix = _regressor_prefix(estimator)
    search = GridSearchCV(
        estimator,
        {f"{prefix}{name}": list(values) for name, values in grid.items()},
        scoring=score_converged,
        cv=list(folds),
        error_score="raise",
    )
    search.fit(features, target)
    check_convergence(search.best_estimator_)
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


def walk_forward(
    first: Pipeline,
    features: pd.DataFrame,
    target: pd.Series,
    refits: Sequence[tuple[np.ndarray, np.ndarray]],
    n_fitted: int,
) -> tuple[Pipeline, np.ndarray]:
    """Forecast block after block, each by a model fitted on what was known before it.

    Parameters
    ----------
    first : Pipeline
        Fitted on the first ``n_fitted`` rows; its hyperparameters are those of all later fits.
    features : DataFrame of float64, shape (rows, features)
        No missing values.
    target : Series of float64
        One label for each row.
    refits : sequence of (train, test)
        Positions of rows; the tests of two refits share none. One without a test is not made.
    n_fitted : int
        Where the first refit learns from as many rows, ``first`` is its model.

    Returns
    -------
    last : Pipeline
        The model of the last block.
    forecasts : ndarray of float64, shape (rows,)
        In the target's unit; NaN for rows of no block.

    Raises
    ------
    ConvergenceWarning
        If a fit does not converge.
    LinAlgError
        If a model forecasts what is not finite.
    """
    import numpy as np
    from sklearn.base import clone

    forecasts = np.full(len(features), np.nan)
    fitted = first
    for number, (train, test) in enumerate(refits):
        if not len(test):
            continue
        if number or len(train) != n_fitted:
            fitted = clone(first).fit(features.iloc[train], target.iloc[train])
            check_convergence(fitted)
        forecasts[test] = fitted.predict(features.iloc[test])
        if not np.isfinite(forecasts[test]).all():
            raise np.linalg.LinAlgError("forecasts are not finite")
    return fitted, forecasts


def check_convergence(fitted: Pipeline) -> None:
    """Refuse an estimator whose solver has stopped at its limit of iterations.

    The state is read because the warning can be missed: its filters are one list for the whole
    process, which scikit-learn empties and fills again around the fit of every fold, whatever
    other threads are fitting meanwhile.

    Raises
    ------
    ConvergenceWarning
        scikit-learn's own, under the condition under which it warns.
    """
    from sklearn.exceptions import ConvergenceWarning

    regressor = fitted.named_steps[REGRESSOR_STEP]
    machine = getattr(regressor, "regressor_", regressor)
    if hasattr(machine, "do_early_stopping_"):  # as many trees as were asked for is no failure
        return
    limit, done = getattr(machine, "max_iter", None), getattr(machine, "n_iter_", None)
    # Solvers without iterations have no limit; exact support vectors say -1 for none.
    if limit is not None and done is not None and done >= limit > 0:
        raise ConvergenceWarning(
            f"{type(machine).__name__} stopped at its limit of {limit} iterations."
        )


def _regressor_prefix(estimator: Pipeline) -> str:
    wrapped = hasattr(estimator.named_steps[REGRESSOR_STEP], "regressor")
    return f"{REGRESSOR_STEP}__regressor__" if wrapped else f"{REGRESSOR_STEP}__"
