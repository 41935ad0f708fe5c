"""What a run says of itself before its first node, wherever it is started."""

from __future__ import annotations

import getpass
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from tidemark.checkpoints.fingerprints import code_fingerprint, parameters_fingerprint
from tidemark.config import RunInfo
from tidemark.tracking.facts import describe_run, hash_data

TREE: dict[str, Any] = {
    "as_of": "2019-01-03",
    "modelling": {"seed": 7},
    "evaluation": {"level": 0.95},
    "returns": {
        "validation": {"checks": {"no_rows": "refuse"}},
        "split": {"n_folds": 5},
        "report": {"title": "Returns"},
    },
    "scenarios": {
        "returns": {"low": {"group": "g", "preprocess": {"impute": "mean"}, "models": ["ridge"]}}
    },
    "models": {"returns": {"ridge": {"estimator": "ridge", "grid": {"alpha": [1.0, 2.0]}}}},
}
RUN = {"run_id": "run-1", "runner": "<kedro.runner.SequentialRunner object at 0x7f00>"}


def fit(table: Any) -> Any:
    """Stand for a node function."""
    return table


@pytest.fixture
def info(tmp_path: Path) -> RunInfo:
    """Return what a run knows of itself."""
    return RunInfo(
        project_path=tmp_path,
        data_root=tmp_path,
        scenarios={"low": "returns"},
        mlflow={},
        retries={},
    )


@pytest.fixture
def pipeline() -> Pipeline:
    """Return a data node, a scenario's node, two nodes of a cell, and one outside the study."""
    places = [
        ("returns_data", "a"),
        ("low", "b"),
        ("low.ridge", "c"),
        ("low.ridge", "d"),
        (None, "e"),
    ]
    return Pipeline(
        [
            Node(fit, f"{name}_in", f"{name}_out", name=name, namespace=place)
            for place, name in places
        ]
    )


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    """Return a catalog of a study's data, none of which has been saved."""
    entries = {
        "returns_data.profile": ("json.JSONDataset", "profile.json", True, "artifact"),
        "returns_data.prices": ("pandas.ParquetDataset", "prices.parquet", False, "data"),
        "other_data.prices": ("pandas.ParquetDataset", "other.parquet", False, "data"),
        "low.features": ("pandas.ParquetDataset", "features.parquet", False, None),
    }
    config = {
        name: {
            "type": kind,
            "filepath": str(tmp_path / file),
            "versioned": versioned,
            "metadata": {"tidemark": {"track": track}},
        }
        for name, (kind, file, versioned, track) in entries.items()
    }
    catalog = DataCatalog.from_config(config)
    catalog["parameters"] = TREE
    return catalog


def test_describe_run_lists_studies_cells_and_their_nodes(
    pipeline: Pipeline, catalog: DataCatalog, info: RunInfo
) -> None:
    """A study's cells hold the nodes that this run will execute; what is no study's is left out."""
    facts = describe_run(RUN, pipeline, catalog, info)

    assert facts["run_id"] == "run-1"
    assert set(facts["studies"]) == {"returns"}
    cells = facts["studies"]["returns"]["cells"]
    assert {name: sorted(cell["nodes"]) for name, cell in cells.items()} == {
        "low.ridge": ["low.ridge.c", "low.ridge.d"]
    }


def test_describe_run_cell_holds_the_settings_that_shape_it(
    pipeline: Pipeline, catalog: DataCatalog, info: RunInfo
) -> None:
    """A cell's parameters are resolved and flat; the report's prose and the checks are left out."""
    facts = describe_run(RUN, pipeline, catalog, info)

    params = facts["studies"]["returns"]["cells"]["low.ridge"]["params"]
    assert params == {
        "as_of": "2019-01-03",
        "scenario": "low",
        "model": "ridge",
        "preprocess.impute": "mean",
        "estimator": "ridge",
        "grid.alpha": [1.0, 2.0],
        "modelling.seed": 7,
        "evaluation.level": 0.95,
        "split.n_folds": 5,
    }


def test_describe_run_says_which_code_and_parameters_it_had(
    pipeline: Pipeline, catalog: DataCatalog, info: RunInfo
) -> None:
    """The hashes are those that any part of the project can make for itself."""
    facts = describe_run(RUN, pipeline, catalog, info)

    assert facts["code_hash"] == code_fingerprint()
    assert facts["studies"]["returns"]["params_hash"] == parameters_fingerprint(TREE, "returns")


def test_describe_run_of_a_baseline_has_no_treatment(
    pipeline: Pipeline, catalog: DataCatalog, info: RunInfo
) -> None:
    """A scenario that treats nothing is described like any other, but for its treatment."""
    scenarios = {"returns": {"low": {"group": "g", "models": ["ridge"]}}}
    catalog["parameters"] = {**TREE, "scenarios": scenarios}

    facts = describe_run(RUN, pipeline, catalog, info)

    params = facts["studies"]["returns"]["cells"]["low.ridge"]["params"]
    assert params["scenario"] == "low"
    assert not any(key.startswith("preprocess") for key in params)


def test_describe_run_without_a_repository_has_no_commit(
    pipeline: Pipeline, catalog: DataCatalog, info: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside a repository, or where there is no git, the run goes on without a commit."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(info.project_path.parent))
    outside = describe_run(RUN, pipeline, catalog, info)["tags"]
    monkeypatch.setenv("PATH", os.devnull)
    without = describe_run(RUN, pipeline, catalog, info)["tags"]

    for tags in (outside, without):
        assert "mlflow.source.git.commit" not in tags
        assert tags["tidemark.runner"] == "SequentialRunner"


def test_describe_run_in_a_repository_names_commit_and_cleanness(
    pipeline: Pipeline, catalog: DataCatalog, info: RunInfo
) -> None:
    """The commit is the one that is checked out; a file that it does not hold makes it dirty."""
    folder = info.project_path
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *words], cwd=folder, check=True, timeout=30)
    clean = describe_run(RUN, pipeline, catalog, info)["tags"]
    (folder / "new.py").write_text("", encoding="utf-8")
    dirty = describe_run(RUN, pipeline, catalog, info)["tags"]

    words = ["git", "rev-parse", "HEAD"]
    head = subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True, timeout=30)
    assert clean["mlflow.source.git.commit"] == head.stdout.strip()
    assert (clean["tidemark.git_dirty"], dirty["tidemark.git_dirty"]) == ("false", "true")


def test_describe_run_without_a_user_name_goes_on(
    pipeline: Pipeline, catalog: DataCatalog, info: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container whose user has no name, tracking costs nothing but that tag."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nobody)

    assert describe_run(RUN, pipeline, catalog, info)["run_id"] == "run-1"


def test_hash_data_is_what_each_study_publishes(catalog: DataCatalog) -> None:
    """The data of a run is told by the hash that its own studies publish, and by no other's."""
    for study, told in (("returns", "ab12"), ("other", "cd34")):
        catalog[f"{study}_data.fingerprint"] = MemoryDataset({"data_hash": told})

    assert hash_data(catalog, ["returns"]) == {"returns": "ab12"}


def test_hash_data_before_anything_was_saved_is_empty(catalog: DataCatalog) -> None:
    """A run that fails at its very first node is still closed: there is no data, and no error."""
    assert hash_data(catalog, {"returns": {}}) == {}
