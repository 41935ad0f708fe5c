"""An outbox, a real MLflow store on SQLite, and a run of two cells to send."""

from __future__ import annotations

import json
import pickle
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from tidemark.checkpoints.store import NodeRecord
from tidemark.config import Cell
from tidemark.tracking.outbox import Outbox, OutboxRun
from tidemark.tracking.records import TrackingRecord
from tidemark.tracking.settings import TrackingSettings

RUN_ID = "2019-01-03T10.00.00.000Z"
FEATURES = ["ret_lag_1", "ret_lag_2"]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Make MLflow's tables once for all tests and workers: it takes seconds."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "empty_mlflow"
    with FileLock(f"{shared}.lock"), warnings.catch_warnings():
        # While it is loaded, MLflow warns of its own type hints and of what its tables still use.
        warnings.simplefilter("ignore")
        import mlflow.pyfunc
        import mlflow.sklearn  # noqa: F401
        from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine
        from sqlalchemy.orm import configure_mappers

        configure_mappers()
        if not shared.exists():
            engine = create_sqlalchemy_engine(f"sqlite:///{base}/mlflow.db")
            _initialize_tables(engine)
            engine.dispose()
            shutil.copy(base / "mlflow.db", shared)
    return shared


@pytest.fixture
def new_store(tmp_path: Path, empty_database: Path) -> Iterator[Callable[[str], TrackingSettings]]:
    """Make stores of a given name below the test's folder."""
    made = []

    def make(name: str) -> TrackingSettings:
        (tmp_path / name).mkdir()
        shutil.copy(empty_database, tmp_path / name / "mlflow.db")
        made.append(f"sqlite:///{tmp_path / name / 'mlflow.db'}")
        place = (tmp_path / name / "artifacts").as_uri()
        section = {"enabled": True, "required": False, "tracking_uri": made[-1]}
        return TrackingSettings.model_validate({**section, "artifact_location": place})

    yield make
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for uri in made:
        if engine := SqlAlchemyStore._engine_map.pop(uri, None):
            engine.dispose()


@pytest.fixture
def store(new_store: Callable[[str], TrackingSettings]) -> TrackingSettings:
    """Return an empty store."""
    return new_store("store")


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    """Return an outbox whose folder does not exist yet."""
    return Outbox(tmp_path / "data" / "outbox")


@pytest.fixture(scope="session")
def model() -> Pipeline:
    """Fit a tiny model on seeded numbers."""
    numbers = np.random.default_rng(7).normal(size=(40, 2))
    steps = [("scaler", StandardScaler()), ("regressor", Ridge(alpha=2.0))]
    return Pipeline(steps).fit(pd.DataFrame(numbers, columns=FEATURES), numbers @ [0.3, -0.1])


@pytest.fixture
def facts() -> dict[str, Any]:
    """Return the facts of a run of two cells, one of them beside a scenario's own node."""
    cells = {}
    for name in ("ridge", "linear"):
        nodes = [f"median_impute.{name}.{step}" for step in ("train", "evaluate")]
        params = {"model": name, "estimator": name}
        cells[f"median_impute.{name}"] = {"nodes": nodes, "params": params}
    params = {"as_of": "2019-01-03", "returns.split.n_folds": 5}
    return {
        "run_id": RUN_ID,
        "started": "2019-01-03T10:00:00.000+00:00",
        "tags": {"tidemark.runner": "SequentialRunner"},
        "code_hash": "c0de" * 4,
        "studies": {"returns": {"params": params, "params_hash": "fab5" * 4, "cells": cells}},
    }


@pytest.fixture
def put(tmp_path: Path, model: Pipeline) -> Callable[..., None]:
    """Record a node into a run as the hooks do: its outputs, saved below the test's folder."""

    def put_node(
        run: OutboxRun, node: str, second: int, error: str | None = None, status: str = "ok"
    ) -> None:
        namespace, _, step = node.rpartition(".")
        scenario, _, name = namespace.partition(".")
        cell = Cell("returns", scenario, name) if name else None
        tracked = TrackingRecord()
        outputs = _outputs(step, namespace, model, status) if error is None else []
        for kind, dataset, data in outputs:
            path = tmp_path / f"{dataset}{'.pkl' if kind == 'model' else '.json'}"
            path.write_bytes(pickle.dumps(data) if kind == "model" else json.dumps(data).encode())
            tracked.add(kind, dataset, data, path, run.keep)
        moment = f"2019-01-03T10:00:{second:02}"
        record = NodeRecord(node, "f", namespace, run.run_id, f"{moment}.000+00:00")
        record.ended, record.seconds = f"{moment}.500+00:00", 0.5
        record.status, record.error = "failed" if error else "finished", error
        run.put(node, tracked.to_dict(record, cell, "returns"))

    return put_node


def _outputs(step: str, box: str, model: Pipeline, status: str) -> list[tuple[str, str, Any]]:
    folds = [{"fold": 1, "rmse": 0.02}, {"fold": 2, "rmse": 0.03}]
    chosen = {"best_params": {"alpha": 2.0}, "used": "ridge regression"}
    scores = {"status": "ok", "folds": folds, "rmse_mean": 0.025, **chosen}
    intervals = {"intervals": {"rmse": {"low": 0.018, "high": 0.022}}}
    metrics = {"rmse": 0.02, "r2": -0.001}
    about = {"status": status, "note": "svr did not converge", "group": "next_day"}
    judged = {**intervals, "level": 0.95, "block_length": 10.0}
    outcome = {**about, "split_id": "ab12", "scored_rows": 7, "metrics": metrics, **judged}
    return {
        "conclude": [("outcome", f"{box}.outcome", outcome)],
        "preprocess": [("artifact", f"{box}.preprocess_report", {"cells_filled": 3})],
        "train": [("model", f"{box}.model", model), ("cv_scores", f"{box}.cv_scores", scores)],
        "evaluate": [("metrics", f"{box}.metrics", metrics), ("intervals", f"{box}.b", intervals)],
    }[step]


@pytest.fixture
def filled(
    outbox: Outbox, facts: dict[str, Any], put: Callable[..., None]
) -> Callable[[], OutboxRun]:
    """Open a run and record all of its nodes."""

    def fill() -> OutboxRun:
        run = outbox.open(RUN_ID, facts)
        put(run, "median_impute.preprocess", 1)
        for second, name in ((2, "ridge"), (4, "linear")):
            put(run, f"median_impute.{name}.train", second)
            put(run, f"median_impute.{name}.evaluate", second + 1)
        run.close("FINISHED", "2019-01-03T10:00:09.000+00:00", None, {"returns": "ab" * 32})
        run.release()
        return run

    return fill


@pytest.fixture
def runs_of() -> Callable[[TrackingSettings], dict[str, dict[str, Any]]]:
    """Read all that a store holds, by the names of its runs; ids are left out."""

    def read_runs(settings: TrackingSettings) -> dict[str, dict[str, Any]]:
        from mlflow import MlflowClient

        client = MlflowClient(settings.tracking_uri)
        experiments = [one.experiment_id for one in client.search_experiments()]
        found = client.search_runs(experiments)
        names = {run.info.run_id: run.info.run_name for run in found}
        models = client.search_logged_models(experiments) if found else []
        assert len(set(names.values())) == len(names), f"more than one run of a name: {names}"
        read = {}
        for run in found:
            id_, data = run.info.run_id, run.data
            history = {key: client.get_metric_history(id_, key) for key in data.metrics}
            own = [one for one in models if one.source_run_id == id_]
            read[run.info.run_name] = {
                "status": run.info.status,
                "times": (run.info.start_time, run.info.end_time),
                "params": data.params,
                "metrics": {k: sorted((m.step, m.value) for m in v) for k, v in history.items()},
                "tags": {key: names.get(value, value) for key, value in data.tags.items()},
                "artifacts": _artifacts(client, id_, ""),
                "models": sorted((m.name, str(m.status), *sorted(m.params.items())) for m in own),
                "outputs": len(run.outputs.model_outputs) if run.outputs else 0,
            }
        return read

    return read_runs


def _artifacts(client: Any, run_id: str, folder: str) -> list[str]:
    found = client.list_artifacts(run_id, folder)
    inner = [name for one in found if one.is_dir for name in _artifacts(client, run_id, one.path)]
    return sorted([one.path for one in found if not one.is_dir] + inner)
