"""What the catalog saves is whole or absent, and what it ships to a worker is small."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DataCatalog, DatasetError, DatasetNotFoundError
from kedro.validation.exceptions import DataValidationError

from tidemark.config import Cell
from tidemark.datasets.catalog import TidemarkCatalog

OLD, NEW = "2019-01-02T10.00.00.000Z", "2019-01-03T10.00.00.000Z"


def _asides(folder: Path) -> list[Path]:
    return list(folder.rglob(".aside*"))


def test_save_and_load_of_every_type_is_as_with_kedro(
    new_catalog: Callable[..., DataCatalog], tmp_path: Path
) -> None:
    """The way through another name changes neither the file nor what is read from it."""
    table = pd.DataFrame({"x": [1.5, 2.5]})
    data = {"pkl": {"a": 1}, "json": {"a": 1}, "txt": "a", "csv": table, "parquet": table}
    catalog = new_catalog()
    for kind, value in data.items():
        catalog.save(kind, value)
        own = (tmp_path / f"x.{kind}").read_bytes()
        (tmp_path / f"x.{kind}").unlink()
        DataCatalog.save(catalog, kind, value)
        assert (tmp_path / f"x.{kind}").read_bytes() == own

    assert [catalog.load(kind) for kind in ("pkl", "json", "txt")] == [{"a": 1}, {"a": 1}, "a"]
    assert _asides(tmp_path) == []


@pytest.mark.parametrize("kind", ["json", "pkl"])
def test_save_of_a_version_lands_in_its_folder_and_is_the_newest_at_once(
    new_catalog: Callable[..., DataCatalog], tmp_path: Path, kind: str
) -> None:
    """A process that has loaded the newest version before reads its own afterwards."""
    name = f"versioned_{kind}"
    new_catalog(save_version=OLD).save(name, "old")
    catalog = new_catalog(save_version=NEW)
    before = catalog.load(name)
    catalog.save(name, "new")

    assert (before, catalog.load(name)) == ("old", "new")
    assert new_catalog(load_versions={name: OLD}).load(name) == "old"
    found = sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob(f"v.{kind}/*/*")
    )
    assert found == [f"v.{kind}/{OLD}/v.{kind}", f"v.{kind}/{NEW}/v.{kind}"]


def test_save_of_one_version_twice_is_an_error(
    new_catalog: Callable[..., DataCatalog], tmp_path: Path
) -> None:
    """A version is what a run made; nothing rewrites it."""
    catalog = new_catalog(save_version=NEW)
    catalog.save("versioned_json", "first")

    with pytest.raises(DatasetError, match="must not exist if versioning is enabled"):
        catalog.save("versioned_json", "second")
    assert catalog.load("versioned_json") == "first"
    assert _asides(tmp_path) == []


def test_save_of_a_version_where_a_plain_file_lies_is_an_error_that_says_so(
    new_catalog: Callable[..., DataCatalog], tmp_path: Path
) -> None:
    """An entry that became versioned meets its old file; Kedro's words for it stay."""
    (tmp_path / "v.json").write_text("{}", encoding="utf-8")

    with pytest.raises(DatasetError, match="a file with the same name already exists"):
        new_catalog(save_version=NEW).save("versioned_json", "new")
    assert (tmp_path / "v.json").read_text(encoding="utf-8") == "{}"


def test_save_applies_validators(new_catalog: Callable[..., DataCatalog], tmp_path: Path) -> None:
    """A table that breaks its schema is refused, and the accepted one stays."""
    day = pd.to_datetime(["2019-01-02"]).astype("datetime64[ns]")
    table = pd.DataFrame({"date": day, "series": ["vix"], "value": [25.45]})
    catalog = new_catalog()
    catalog.save("checked", table)
    accepted = (tmp_path / "checked.parquet").read_bytes()

    with pytest.raises(DataValidationError, match="checked"):
        catalog.save("checked", table.drop(columns="value"))

    assert (tmp_path / "checked.parquet").read_bytes() == accepted
    assert _asides(tmp_path) == []
    pd.testing.assert_frame_equal(catalog.load("checked"), table)


def test_save_to_memory_and_elsewhere_goes_kedros_way(
    new_catalog: Callable[..., DataCatalog],
) -> None:
    """What is no single file of this disk is saved as it always was."""
    catalog = new_catalog()
    remote = {"type": "json.JSONDataset", "filepath": "memory://bucket/x.json"}
    shared = type(catalog).from_config({"remote": remote})
    shared.save("remote", {"a": 1})
    catalog["held"] = pd.DataFrame()
    catalog.save("held", {"a": 2})

    assert (shared.load("remote"), catalog.load("held")) == ({"a": 1}, {"a": 2})


def test_pickled_catalog_leaves_frames_behind_and_keeps_what_a_worker_needs(tmp_path: Path) -> None:
    """Entries, parameters and validators travel; what lies in memory does not weigh."""
    entry = {
        "type": "pandas.ParquetDataset",
        "filepath": str(tmp_path / "checked.parquet"),
        "validator": "tidemark.domain.schemas.Exogenous",
    }
    catalog = TidemarkCatalog.from_config(
        {
            "checked": entry,
            "{name}.json": {"type": "json.JSONDataset", "filepath": f"{tmp_path}/{{name}}"},
        }
    )
    catalog["frame"] = pd.DataFrame({"x": range(1_000_000)})
    catalog["parameters"] = {"a": {"b": 1}}
    catalog["params:cell"] = Cell("returns", "median_impute", "ridge")
    sent = pickle.dumps(catalog)
    received = pickle.loads(sent)  # noqa: S301 - ours

    assert len(sent) < 20_000
    assert received.load("parameters") == {"a": {"b": 1}}
    assert received.load("params:cell") == Cell("returns", "median_impute", "ridge")
    with pytest.raises(DatasetNotFoundError):
        received.load("frame")
    with pytest.raises(DataValidationError, match="checked"):
        received.save("checked", pd.DataFrame({"x": [1]}))
    received.save("a.json", "found by its family")
    assert catalog.load("a.json") == "found by its family"
    assert len(catalog.load("frame")) == 1_000_000
