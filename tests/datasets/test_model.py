"""A stored model is the model: it predicts the same, version by version, for any reader."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError, Version
from numpy.testing import assert_array_equal

from tidemark.datasets.catalog import TidemarkCatalog
from tidemark.datasets.model import ModelDataset
from tidemark.domain.estimators import (
    Approximation,
    EstimatorName,
    FailedModel,
    Trial,
    make_estimator,
)

NAMES = ["linear", "ridge", "svr", "poly2"]
FEATURES = ["ret_lag_1", "ret_lag_2"]


def fitted(name: EstimatorName, exact_rows: int = 1000) -> Any:
    """Fit an estimator to seeded numbers."""
    rng = np.random.default_rng(7)
    features = pd.DataFrame(rng.normal(size=(60, 2)), columns=FEATURES)
    model = make_estimator(name, 60, Approximation(exact_rows, 20), 1)
    return model.fit(features, 0.3 * features["ret_lag_1"] ** 2)


@pytest.mark.parametrize("exact_rows", [1000, 1])
@pytest.mark.parametrize("name", NAMES)
def test_dataset_round_trip_predicts_bit_identically(
    tmp_path: Path, name: EstimatorName, exact_rows: int
) -> None:
    """What is loaded, by the dataset or by plain pickle, predicts what was saved."""
    model = fitted(name, exact_rows)
    dataset = ModelDataset(str(tmp_path / "deep" / "model.pkl"))
    assert not dataset.exists()
    dataset.save(model)
    assert dataset.exists()
    unseen = pd.DataFrame(np.random.default_rng(8).normal(size=(9, 2)), columns=FEATURES)
    by_pickle = pickle.loads((tmp_path / "deep" / "model.pkl").read_bytes())  # noqa: S301
    for loaded in (dataset.load(), by_pickle):
        assert_array_equal(loaded.predict(unseen), model.predict(unseen))
        assert list(loaded.feature_names_in_) == FEATURES


def test_dataset_failed_model_round_trip(tmp_path: Path) -> None:
    """What stands for a model that could not be fitted is stored as a model is."""
    failed = FailedModel((Trial("svr", 1, "ConvergenceWarning: slow"), Trial("svr", 2, "again")))
    dataset = ModelDataset(str(tmp_path / "model.pkl"))
    dataset.save(failed)
    assert dataset.load() == failed


def test_dataset_versions_are_kept_apart(tmp_path: Path) -> None:
    """Each run's version has its folder; without a wish the newest is loaded."""
    place = str(tmp_path / "model.pkl")
    for number, version in enumerate(("2019-01-02T00.00.00.000Z", "2019-01-03T00.00.00.000Z")):
        ModelDataset(place, Version(None, version)).save({"run": number})
    assert ModelDataset(place, Version(None, None)).load() == {"run": 1}
    older = Version("2019-01-02T00.00.00.000Z", None)
    assert ModelDataset(place, older).load() == {"run": 0}
    with pytest.raises(DatasetError, match="must not exist if versioning is enabled"):
        ModelDataset(place, Version(None, "2019-01-03T00.00.00.000Z")).save({})


def test_dataset_in_the_projects_catalog_is_whole_or_absent(tmp_path: Path) -> None:
    """The catalog moves the file into place; what cannot be pickled leaves nothing behind."""
    config = {
        "type": "tidemark.datasets.model.ModelDataset",
        "filepath": str(tmp_path / "model.pkl"),
        "versioned": True,
        "metadata": {"tidemark": {"track": "model"}},
    }
    catalog = TidemarkCatalog.from_config({"m": config}, save_version="2019-01-03T00.00.00.000Z")
    with pytest.raises(DatasetError, match="pickle"):
        catalog.save("m", lambda: None)
    assert not catalog.exists("m")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    catalog.save("m", {"alpha": 1.0})
    assert catalog.load("m") == {"alpha": 1.0}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [tmp_path / "model.pkl" / "2019-01-03T00.00.00.000Z" / "model.pkl"]
    assert catalog["m"].metadata == {"tidemark": {"track": "model"}}


def test_dataset_absent_file_raises_and_does_not_exist(tmp_path: Path) -> None:
    """Nothing is loaded from where nothing lies."""
    dataset = ModelDataset(str(tmp_path / "model.pkl"), Version(None, None))
    assert not dataset.exists()
    with pytest.raises(DatasetError, match=r"model\.pkl"):
        dataset.load()
