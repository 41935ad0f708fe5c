"""One parent run and its cells arrive in MLflow: all of it, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from tidemark.tracking.outbox import Outbox, OutboxRun
from tidemark.tracking.settings import TrackingSettings
from tidemark.tracking.sync import sync_outbox
from tidemark.tracking.writer import Writer

Fill = Callable[..., OutboxRun]
Read = Callable[[TrackingSettings], dict[str, dict[str, Any]]]

PARENT = "returns 2019-01-03T10.00.00.000Z"
TEN_O_CLOCK_MS = 1_546_509_600_000  # 2019-01-03 10:00 UTC


def test_sync_of_a_finished_run_makes_one_parent_and_its_children(
    filled: Fill, outbox: Outbox, store: TrackingSettings, runs_of: Read
) -> None:
    """A run becomes a parent and a child for each cell, with the run's id on all of them."""
    filled()

    done = sync_outbox(outbox, store)
    runs = runs_of(store)

    assert done == 1
    assert set(runs) == {PARENT, "median_impute.ridge", "median_impute.linear"}
    assert {run["tags"]["tidemark.run_id"] for run in runs.values()} == {"2019-01-03T10.00.00.000Z"}
    assert {run["status"] for run in runs.values()} == {"FINISHED"}
    parent = runs[PARENT]["tags"]
    assert "mlflow.parentRunId" not in parent
    assert (parent["tidemark.level"], parent["tidemark.study"]) == ("run", "returns")
    child = runs["median_impute.ridge"]["tags"]
    assert child["mlflow.parentRunId"] == PARENT
    expected = {"level": "cell", "study": "returns", "scenario": "median_impute", "model": "ridge"}
    assert {key: child[f"tidemark.{key}"] for key in expected} == expected
    assert child["tidemark.data_hash"] == parent["tidemark.data_hash"] == "ab" * 32
    assert child["tidemark.code_hash"] == parent["tidemark.code_hash"] == "c0de" * 4
    assert child["tidemark.params_hash"] == parent["tidemark.params_hash"] == "fab5" * 4
    assert child["tidemark.runner"] == parent["tidemark.runner"] == "SequentialRunner"


def test_sync_of_a_run_that_an_older_version_has_left_bears_no_hashes(
    filled: Fill, outbox: Outbox, facts: dict[str, Any], store: TrackingSettings, runs_of: Read
) -> None:
    """What an older version did not note is left out; all else arrives."""
    del facts["code_hash"], facts["studies"]["returns"]["params_hash"]
    filled()

    assert sync_outbox(outbox, store) == 1
    for run in runs_of(store).values():
        assert {"tidemark.code_hash", "tidemark.params_hash"}.isdisjoint(run["tags"])
        assert "tidemark.study" in run["tags"]


def test_sync_of_a_cell_brings_params_metrics_and_steps(
    filled: Fill, outbox: Outbox, store: TrackingSettings, runs_of: Read
) -> None:
    """A child holds its settings, each fold as a step, the metrics and the ends of intervals."""
    filled()

    sync_outbox(outbox, store)
    runs = runs_of(store)

    child = runs["median_impute.ridge"]
    assert child["params"] == {
        "model": "ridge",
        "estimator": "ridge",
        "chosen.alpha": "2.0",
        "used": "ridge regression",
    }
    assert child["metrics"] == {
        "cv_rmse_by_fold": [(1, 0.02), (2, 0.03)],
        "cv_rmse_mean": [(0, 0.025)],
        "rmse": [(0, 0.02)],
        "rmse_low": [(0, 0.018)],
        "rmse_high": [(0, 0.022)],
        "r2": [(0, -0.001)],
        "seconds.train": [(0, 0.5)],
        "seconds.evaluate": [(0, 0.5)],
    }
    assert child["times"] == (TEN_O_CLOCK_MS + 2000, TEN_O_CLOCK_MS + 9000)
    assert len(child["artifacts"]) == 1
    parent = runs[PARENT]
    assert parent["params"] == {"as_of": "2019-01-03", "returns.split.n_folds": "5"}
    assert parent["times"] == (TEN_O_CLOCK_MS, TEN_O_CLOCK_MS + 9000)
    assert [Path(name).name for name in parent["artifacts"]] == [
        "median_impute.preprocess_report.json"
    ]


def test_sync_of_a_run_removes_it_and_a_second_one_does_nothing(
    filled: Fill, outbox: Outbox, store: TrackingSettings, runs_of: Read, tmp_path: Path
) -> None:
    """What MLflow has whole is forgotten here; sending again leaves the store as it is."""
    filled()
    sync_outbox(outbox, store)
    before = runs_of(store)

    assert list((tmp_path / "data" / "outbox").iterdir()) == []
    assert sync_outbox(outbox, store) == 0
    assert runs_of(store) == before


def test_sync_of_a_run_whose_state_was_lost_duplicates_nothing(
    filled: Fill, outbox: Outbox, store: TrackingSettings, runs_of: Read
) -> None:
    """The same records sent by a writer that knows of no earlier one leave the same runs."""
    filled()
    (run,) = outbox.waiting()
    (run.folder / "end.json").rename(run.folder / "end")
    sync_outbox(outbox, store, current=run.run_id)
    before = runs_of(store)
    run.save_state({"runs": {}, "sent": []})

    sync_outbox(outbox, store, current=run.run_id)

    assert set(before) == {PARENT, "median_impute.ridge", "median_impute.linear"}
    assert runs_of(store) == before


def test_sync_in_parts_ends_as_sync_at_once(
    filled: Fill,
    outbox: Outbox,
    new_store: Callable[[str], TrackingSettings],
    runs_of: Read,
    facts: dict[str, Any],
    put: Callable[..., None],
    tmp_path: Path,
) -> None:
    """A parent sent before its first node, then one node at a time, ends as if sent whole."""
    at_once, in_parts = new_store("at_once"), new_store("in_parts")
    filled()
    sync_outbox(outbox, at_once)

    other = Outbox(tmp_path / "other")
    run = other.open("2019-01-03T10.00.00.000Z", facts)
    sync_outbox(other, in_parts, run.run_id)
    first = runs_of(in_parts)
    put(run, "median_impute.preprocess", 1)
    for second, name in ((2, "ridge"), (4, "linear")):
        for offset, step in enumerate(("train", "evaluate")):
            put(run, f"median_impute.{name}.{step}", second + offset)
            sync_outbox(other, in_parts, run.run_id)
    run.close("FINISHED", "2019-01-03T10:00:09.000+00:00", None, {"returns": "ab" * 32})
    sync_outbox(other, in_parts, run.run_id)

    assert {name: one["status"] for name, one in first.items()} == {PARENT: "RUNNING"}
    assert runs_of(in_parts) == runs_of(at_once)


def test_writer_with_many_and_long_values_keeps_to_mlflows_limits(
    outbox: Outbox, facts: dict[str, Any], store: TrackingSettings, runs_of: Read
) -> None:
    """More parameters than a batch holds all arrive, and a long one is cut, not refused."""
    facts["studies"]["returns"]["params"] = {f"key.{n}": "x" * 20_000 for n in range(250)}
    run = outbox.open("2019-01-03T10.00.00.000Z", facts)

    Writer(store).send(run)
    run.release()

    params = runs_of(store)[PARENT]["params"]
    assert len(params) == 250
    assert {len(value) for value in params.values()} == {5000}


@pytest.mark.parametrize("flavour", ["sklearn", "pyfunc"])
def test_logged_model_loaded_again_predicts_the_same(
    filled: Fill, outbox: Outbox, store: TrackingSettings, model: Pipeline, flavour: str
) -> None:
    """The model that MLflow keeps is ready, signed, linked to its run, and bit for bit the same."""
    import mlflow

    filled()
    sync_outbox(outbox, store)
    client = mlflow.MlflowClient(store.tracking_uri)
    experiment = client.get_experiment_by_name("returns")
    assert experiment is not None
    logged = {one.name: one for one in client.search_logged_models([experiment.experiment_id])}
    assert set(logged) == {"median_impute_ridge", "median_impute_linear"}
    assert str(logged["median_impute_ridge"].status) == "READY"
    place = logged["median_impute_ridge"].artifact_location
    numbers = np.random.default_rng(11).normal(size=(9, 2))
    features = pd.DataFrame(numbers, columns=["ret_lag_1", "ret_lag_2"])

    loaded = (mlflow.sklearn if flavour == "sklearn" else mlflow.pyfunc).load_model(place)

    np.testing.assert_array_equal(loaded.predict(features), model.predict(features))
    if flavour == "pyfunc":
        assert loaded.metadata.get_input_schema().input_names() == ["ret_lag_1", "ret_lag_2"]
    run = client.get_run(logged["median_impute_ridge"].source_run_id)
    assert run.data.tags["mlflow.runName"] == "median_impute.ridge"
    (output,) = run.outputs.model_outputs
    assert output.model_id == logged["median_impute_ridge"].model_id
