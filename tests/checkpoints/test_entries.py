"""Where a dataset's bytes lie is known from its entry alone, exactly as the dataset knows it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog

from tidemark.checkpoints.entries import Entries, stored_path
from tidemark.config import RunInfo

OLD, NEW, NEWEST = "2019-01-01T10.00.00.000Z", "2019-01-02T10.00.00.000Z", "2019-01-03"

# Locates and describes entries of every kind, and says which libraries that has loaded.
LOCATOR = """
import json, sys
from pathlib import Path
from tidemark.checkpoints.entries import Entries
from tidemark.datasets.catalog import TidemarkCatalog

entries = Entries(TidemarkCatalog.from_config(json.loads(sys.argv[1])), None)
places = {name: str(entries.locate(name)) for name in entries.catalog}
described = [entries.describe(name) and entries.get(name) for name in entries.catalog]
loaded = {name.partition(".")[0] for name in sys.modules}
print(json.dumps([places, all(described), sorted(loaded & {"pandas", "matplotlib", "pyarrow"})]))
"""


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Entries]:
    """Make the entries of a catalog; ``DIR`` stands for the test's folder."""

    def make_entries(config: dict[str, Any], **options: Any) -> Entries:
        text = json.dumps(config).replace("DIR", str(tmp_path))
        info = RunInfo(
            project_path=tmp_path, data_root=tmp_path / "data", scenarios={}, mlflow={}, retries={}
        )
        return Entries(DataCatalog.from_config(json.loads(text), **options), info)

    return make_entries


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


KINDS: dict[str, dict[str, Any]] = {
    "csv": {"type": "pandas.CSVDataset", "filepath": "DIR/x.csv"},
    "local address": {"type": "pandas.CSVDataset", "filepath": "file://DIR/x.csv"},
    "relative": {"type": "pandas.CSVDataset", "filepath": "./a//x.csv"},
    "parts": {
        "type": "partitions.PartitionedDataset",
        "path": "DIR/p",
        "dataset": "json.JSONDataset",
    },
    "remote": {"type": "json.JSONDataset", "filepath": "memory://bucket/x.json"},
    "version": {"type": "json.JSONDataset", "filepath": "DIR/v.json", "versioned": True},
    "absent version": {"type": "json.JSONDataset", "filepath": "DIR/w.json", "versioned": True},
    "memory": {"type": "MemoryDataset"},
    "long memory": {"type": "kedro.io.MemoryDataset"},
    "figure": {"type": "tidemark.datasets.figure.FigureDataset", "filepath": "DIR/f.png"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_locate_of_any_kind_of_entry_agrees_with_the_dataset_itself(
    make: Callable[..., Entries], tmp_path: Path, kind: str
) -> None:
    """Files, folders, versions, addresses and memory: two routes, one answer."""
    for version in (OLD, NEW):
        _touch(tmp_path / "v.json" / version / "v.json")
    (tmp_path / "v.json" / NEWEST).mkdir()  # a version whose file was never written
    entries = make({kind: KINDS[kind]})

    place = entries.locate(kind)

    assert place == stored_path(entries.catalog[kind], saved=False)
    assert (place is None) == (kind in {"remote", "absent version", "memory", "long memory"})


def test_entry_in_memory_or_of_nobody_is_none(make: Callable[..., Entries]) -> None:
    """What dies with its process has no entry, no description and no place."""
    entries = make({"memory": {"type": "MemoryDataset"}})
    entries.catalog["added"] = pd.DataFrame()

    for name in ("memory", "unheard_of"):
        assert (entries.get(name), entries.describe(name), entries.locate(name)) == (None,) * 3
    assert entries.locate("added") is None


def test_describe_leaves_out_metadata_and_credentials_at_any_depth(
    make: Callable[..., Entries],
) -> None:
    """What people look at decides nothing, and a secret is never written into a checkpoint."""
    inner = {"type": "pandas.CSVDataset", "credentials": "me", "load_args": {"sep": ";"}}
    parts = {"type": "partitions.PartitionedDataset", "path": "DIR/p", "dataset": inner}
    config = {"parts": {**parts, "credentials": "me", "metadata": {"kedro-viz": {"layer": "raw"}}}}
    entries = make(config, credentials={"me": {"key": "s3cret"}})

    assert "s3cret" in json.dumps(entries.get("parts"))
    assert entries.describe("parts") == {
        "type": "partitions.PartitionedDataset",
        "path": "<project>/p",
        "dataset": {"type": "pandas.CSVDataset", "load_args": {"sep": ";"}},
    }


def test_describe_of_an_address_hides_its_secrets_and_sees_their_change(
    make: Callable[..., Entries],
) -> None:
    """Another key may give other data; which key it is nobody reads out of a checkpoint."""
    described = [
        make(
            {"x": {"type": "json.JSONDataset", "filepath": f"https://{user}host/x.json{query}"}}
        ).describe("x")
        for user, query in [("", ""), ("bob:s3cret@", ""), ("", "?key=s3cret"), ("", "?key=other")]
    ]
    places = [str(one and one["filepath"]) for one in described]

    assert places[0] == "https://host/x.json"
    assert len(set(places)) == 4
    assert "s3cret" not in str(described)
    assert places[2].startswith("https://host/x.json?*** ")


def test_describe_replaces_data_root_before_the_project_that_it_may_lie_in(
    make: Callable[..., Entries],
) -> None:
    """Places become words inside lists and mappings too; what is no text stays what it is."""
    about = {"a": ["DIR/data/x", {"b": "DIR/docs"}], "c": 1.5, "d": None, "e": True, "f": "text"}
    entries = make({"x": {"type": "text.TextDataset", "filepath": "DIR/data/x", "fs_args": about}})

    described = entries.describe("x")

    assert described is not None
    expected = {"a": ["<data_root>/x", {"b": "<project>/docs"}]}
    assert described["fs_args"] == {**expected, "c": 1.5, "d": None, "e": True, "f": "text"}


@pytest.mark.parametrize("told", [set(), {OLD}, {OLD, NEW}, {"2018-01-01"}, {"..", ".", ""}])
def test_remove_versions_removes_what_it_is_told_and_nothing_else(
    make: Callable[..., Entries], tmp_path: Path, told: set[str]
) -> None:
    """Versions that are not named stay, as does everything that is no version."""
    for version in (OLD, NEW, NEWEST):
        _touch(tmp_path / "v.json" / version / "v.json")
    _touch(tmp_path / "v.json" / ".hidden" / "v.json")
    make({"v": {**KINDS["version"]}}).remove_versions("v", told)

    left = {path.name for path in (tmp_path / "v.json").iterdir()}
    assert left == {OLD, NEW, NEWEST, ".hidden"} - told


def test_remove_versions_of_what_has_none_does_nothing(
    make: Callable[..., Entries], tmp_path: Path
) -> None:
    """A plain file, a folder of parts, an address and memory have no versions to remove."""
    _touch(tmp_path / "x.csv")
    _touch(tmp_path / "p" / OLD / "a")
    remote = {**KINDS["remote"], "versioned": True}
    entries = make({**KINDS, "remote": remote})
    for name in (*KINDS, "unheard_of"):
        entries.remove_versions(name, {OLD, "x.csv", "p"})

    assert (tmp_path / "x.csv").exists()
    assert (tmp_path / "p" / OLD / "a").exists()


def test_locate_and_describe_load_no_library(tmp_path: Path) -> None:
    """To say that nothing is to be done costs no import of what would read or draw it."""
    config = {
        "table": {"type": "pandas.ParquetDataset", "filepath": "DIR/x.parquet"},
        "version": {"type": "pandas.CSVDataset", "filepath": "DIR/v.csv", "versioned": True},
        "parts": {
            "type": "partitions.PartitionedDataset",
            "path": "DIR/p",
            "dataset": "pandas.CSVDataset",
        },
        "figure": {"type": "tidemark.datasets.figure.FigureDataset", "filepath": "DIR/f.png"},
        "snapshot": {
            "type": "tidemark.datasets.snapshot.SnapshotDataset",
            "filepath": "DIR/s",
            "as_of": "2019-01-03",
        },
        "source": {
            "type": "tidemark.datasets.table_file.TableFileDataset",
            "filepath": "DIR/s.csv",
            "columns": ["date"],
        },
    }
    _touch(tmp_path / "v.csv" / OLD / "v.csv")
    text = json.dumps(config).replace("DIR", str(tmp_path))
    command = [sys.executable, "-c", LOCATOR, text]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    places, described, loaded = json.loads(shown.stdout)

    assert loaded == []
    assert described
    assert places["table"] == str(tmp_path / "x.parquet")
    assert places["version"] == str(tmp_path / "v.csv" / OLD / "v.csv")
