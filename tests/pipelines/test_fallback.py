"""A model that cannot be fitted is tried with another seed, then a simpler one stands in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.linalg import LinAlgError
from pydantic import ValidationError
from sklearn.exceptions import ConvergenceWarning

from tidemark.domain.estimators import FailedModel, Trial
from tidemark.domain.fitting import FittedModel
from tidemark.domain.schemas import Predictions
from tidemark.pipelines.modelling.fallback import (
    Candidate,
    fit_first_that_converges,
    list_candidates,
)
from tidemark.pipelines.modelling.params import ModelParams, TrainParams

RIDGE = {"estimator": "ridge", "grid": {"alpha": [1.0]}}
CHAIN = {"svr": RIDGE, "poly2": RIDGE, "ridge": {"estimator": "linear"}}
FITTED = FittedModel(estimator=None, best_params={}, fold_rmse=[0.5], candidates=[])
LOST = "ConvergenceWarning: LinearSVR stopped at its limit of 1000 iterations."


def params_of(simpler: dict[str, Any]) -> TrainParams:
    """Make training parameters whose seeds are 1 and 2."""
    rest = {"fallback_seed": 2, "exact_svr_max_rows": 1, "nystroem_components": 90}
    return TrainParams.model_validate({"seed": 1, **rest, "simpler": simpler})


def candidates_of(name: str, simpler: dict[str, Any]) -> list[Candidate]:
    """List what is tried of a model without a grid of its own."""
    return list_candidates(ModelParams(estimator=name), params_of(simpler))


@pytest.mark.parametrize(
    ("name", "tried"),
    [
        ("svr", [("svr", 1), ("svr", 2), ("ridge", 1), ("linear", 1)]),
        ("poly2", [("poly2", 1), ("poly2", 2), ("ridge", 1), ("linear", 1)]),
        ("ridge", [("ridge", 1), ("ridge", 2), ("linear", 1)]),
        ("linear", [("linear", 1), ("linear", 2)]),
    ],
)
def test_candidates_are_both_seeds_then_each_simpler_model(
    name: str, tried: list[tuple[str, int]]
) -> None:
    """The simpler models come in their order, each with the usual seed and its own grid."""
    candidates = candidates_of(name, CHAIN)
    assert [(one.model.estimator, one.seed) for one in candidates] == tried
    grids = {one.model.estimator: one.model.grid for one in candidates[2:]}
    assert grids.get("ridge", {"alpha": (1.0,)}) == {"alpha": (1.0,)}


def test_candidates_without_simpler_models_are_the_seeds_alone() -> None:
    """An empty table of simpler models switches them off."""
    assert [one.seed for one in candidates_of("svr", {})] == [1, 2]


@pytest.mark.parametrize(
    ("simpler", "words"),
    [
        ({"ridge": RIDGE}, "ridge -> ridge"),
        ({"svr": RIDGE, "ridge": {"estimator": "svr"}}, "svr -> ridge -> svr"),
        (
            {"poly2": {"estimator": "svr"}, "svr": RIDGE, "ridge": {"estimator": "svr"}},
            "poly2 -> svr -> ridge -> svr",
        ),
    ],
)
def test_params_chain_that_never_ends_is_refused(simpler: dict[str, Any], words: str) -> None:
    """A chain that comes back to itself is named."""
    with pytest.raises(ValidationError, match=f"simpler never ends: {words}; leave one of them"):
        params_of(simpler)


def test_params_simpler_model_with_a_foreign_grid_is_refused() -> None:
    """A stand-in's grid is checked as any model's is."""
    with pytest.raises(ValidationError, match="linear has no 'alpha' to vary"):
        params_of({"ridge": {"estimator": "linear", "grid": {"alpha": [1.0]}}})


def test_params_baseline_cannot_stand_in() -> None:
    """A forecast that is not fitted has no place in a chain of models."""
    with pytest.raises(ValidationError, match="baseline, which is not fitted"):
        params_of({"svr": {"estimator": "baseline"}})


@pytest.mark.parametrize("fault", [ConvergenceWarning("slow"), LinAlgError("Singular matrix")])
def test_fit_moves_on_where_a_solver_gives_up(fault: Exception) -> None:
    """Both kinds of failure lead to the next candidate; the first that converges ends it."""

    def fit(candidate: Candidate) -> FittedModel:
        if candidate.model.estimator == "svr":
            raise fault
        return FITTED

    fitted, trials = fit_first_that_converges(candidates_of("svr", CHAIN), fit)
    words = f"{type(fault).__name__}: {fault}"
    assert fitted is FITTED
    assert trials == (Trial("svr", 1, words), Trial("svr", 2, words), Trial("ridge", 1, None))


def test_fit_solver_of_numpy_gives_up_and_every_candidate_is_tried() -> None:
    """A matrix that NumPy cannot invert exhausts the chain."""

    def fit(_: Candidate) -> FittedModel:
        np.linalg.inv(np.zeros((2, 2)))
        return FITTED

    fitted, trials = fit_first_that_converges(candidates_of("poly2", CHAIN), fit)
    assert fitted is None
    assert [trial.estimator for trial in trials] == ["poly2", "poly2", "ridge", "linear"]
    assert {trial.error for trial in trials} == {"LinAlgError: Singular matrix"}


def test_fit_any_other_error_ends_the_search() -> None:
    """A fault of the code or the data is not answered with a simpler model."""

    def fit(_: Candidate) -> FittedModel:
        raise ValueError("Input X contains NaN.")

    with pytest.raises(ValueError, match="contains NaN"):
        fit_first_that_converges(candidates_of("svr", CHAIN), fit)


@pytest.mark.filterwarnings("ignore:Liblinear failed to converge")
def test_train_svr_that_does_not_converge_is_replaced_by_ridge(study: Any) -> None:
    """Scores, outcome and incident name what was tried; the model in place is the simpler one."""
    run = study.run_cell("mean.svr")
    alone = study.run_cell("mean.ridge")

    trials = [
        {"estimator": "svr", "seed": 1, "error": LOST},
        {"estimator": "svr", "seed": 2, "error": LOST},
        {"estimator": "ridge", "seed": 1, "error": None},
    ]
    note = "ridge stood in: svr did not converge"
    for told in (run.cv_scores, run.outcome):
        assert (told["status"], told["note"], told["trials"]) == ("fallback", note, trials)
        assert told["used"] == "ridge regression"
    assert run.cv_scores["estimator"] == "svr"
    assert run.cv_scores["folds"] == alone.cv_scores["folds"]
    assert run.cv_scores["refits"] == alone.cv_scores["refits"]
    assert run.outcome["metrics"] == alone.outcome["metrics"]
    pd.testing.assert_frame_equal(run.predictions, alone.predictions)
    (incident,) = run.incidents
    assert (incident.kind, incident.message) == ("fallback", f"mean.svr: {note}")
    assert incident.facts == {"trials": trials}


def test_train_where_warnings_are_errors_falls_back_too(study: Any) -> None:
    """A warning that scikit-learn is made to raise counts as the failure that it tells of."""
    run = study.run_cell_anew("mean.svr")
    assert run.outcome["status"] == "fallback"
    assert run.cv_scores["trials"][0]["error"].startswith("ConvergenceWarning: Liblinear failed")


@pytest.mark.filterwarnings("ignore:Liblinear failed to converge")
def test_train_without_a_simpler_model_fails_the_cell(study: Any) -> None:
    """The outcome is a failure with its diagnostics, the predictions are empty and valid."""
    run = study.run_cell("mean.svr", simpler={})

    trials = (Trial("svr", 1, LOST), Trial("svr", 2, LOST))
    note = "svr did not converge; no simpler model is left"
    assert run.model == FailedModel(trials)
    assert run.cv_scores == {
        "estimator": "svr",
        "status": "failed",
        "note": note,
        "trials": [vars(trial) for trial in trials],
        "train_rows": 296,
        "split_id": study.dates["split_id"],
        "used": note,
        "best_params": {},
        "rmse_mean": None,
        "folds": [],
        "candidates": [],
        "refits": [],
    }
    assert (run.forecasts.columns.tolist(), len(run.forecasts)) == (["date", "ticker", "y_pred"], 0)
    assert (run.outcome["status"], run.outcome["scored_rows"]) == ("failed", 0)
    assert (run.outcome["metrics"], run.outcome["intervals"]) == ({}, {})
    assert set(run.outcome["figures"].values()) == {None}
    assert run.figures == [b"", b"", b"", b""]
    assert [(one.kind, one.message) for one in run.incidents] == [
        ("failed_cell", f"mean.svr: {note}")
    ]


@pytest.mark.filterwarnings("ignore:Liblinear failed to converge")
def test_evaluate_failed_model_gives_a_table_like_any_other(study: Any, tmp_path: Any) -> None:
    """Without rows the tables have the usual columns and types, in memory and read back."""
    failed, usual = study.run_cell("mean.svr", simpler={}), study.run_cell("mean.linear")
    for name in ("predictions", "daily"):
        empty, whole = getattr(failed, name), getattr(usual, name)
        assert len(empty) == 0
        assert empty.dtypes.to_dict() == whole.dtypes.to_dict()
        places = tmp_path / f"empty_{name}.parquet", tmp_path / f"whole_{name}.parquet"
        for table, place in zip((empty, whole), places, strict=True):
            table.to_parquet(place, index=False)
        read, other = (pd.read_parquet(place) for place in places)
        assert read.dtypes.to_dict() == other.dtypes.to_dict()
    assert Predictions.validate(failed.predictions).empty


def test_train_that_converges_tells_of_one_trial(study: Any) -> None:
    """Nothing is reported and nothing is noted of a model that is fitted at once."""
    run = study.run_cell("mean.ridge")
    assert run.outcome["trials"] == [{"estimator": "ridge", "seed": 1, "error": None}]
    assert (run.outcome["status"], run.outcome["note"]) == ("ok", "-")
    assert run.incidents == []
