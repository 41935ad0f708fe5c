"""A catalog of files of every kind that the project writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog

from tidemark.datasets.catalog import SharedTidemarkCatalog, TidemarkCatalog

# Kedro's own datasets, by the ending of their file.
TYPES = {
    "pkl": "pickle.PickleDataset",
    "json": "json.JSONDataset",
    "txt": "text.TextDataset",
    "csv": "pandas.CSVDataset",
    "parquet": "pandas.ParquetDataset",
}


@pytest.fixture(params=[TidemarkCatalog, SharedTidemarkCatalog])
def new_catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., DataCatalog]:
    """Make a catalog of one file of each type, of either class."""

    def make(**options: Any) -> DataCatalog:
        config = {
            kind: {"type": name, "filepath": str(tmp_path / f"x.{kind}")}
            for kind, name in TYPES.items()
        }
        for kind in ("json", "pkl"):
            config[f"versioned_{kind}"] = {
                "type": TYPES[kind],
                "filepath": str(tmp_path / f"v.{kind}"),
                "versioned": True,
            }
        schema = "tidemark.domain.schemas.Exogenous"
        config["checked"] = {
            "type": TYPES["parquet"],
            "filepath": str(tmp_path / "checked.parquet"),
            "validator": schema,
        }
        made: DataCatalog = request.param.from_config(config, **options)
        return made

    return make
