"""Where a dataset's bytes lie, and what they hash to, whatever happened before."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import ParquetDataset
from kedro_datasets.partitions import PartitionedDataset
from kedro_datasets.text import TextDataset

from tidemark.checkpoints.entries import stored_path
from tidemark.checkpoints.files import hash_path
from tidemark.datasets.snapshot import SnapshotDataset
from tidemark.datasets.table_file import TableFileDataset

OLD, NEW = "2019-01-02T10.00.00.000Z", "2019-01-03T10.00.00.000Z"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_hash_path_of_a_file_is_sha256_of_its_bytes(tmp_path: Path, size: int) -> None:
    """Files around the size of one read have the hash that hashlib gives their whole content."""
    content = bytes(range(251)) * (size // 251 + 1)
    (tmp_path / "f").write_bytes(content[:size])

    assert hash_path(tmp_path / "f") == _sha256(content[:size])


def test_hash_path_after_rewriting_with_the_same_size_is_new(tmp_path: Path) -> None:
    """Other bytes of the same length, with the old modification time put back, are hashed anew."""
    path = tmp_path / "f"
    path.write_bytes(b"first")
    before = path.stat()
    first = hash_path(path)
    path.write_bytes(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    second = hash_path(path)
    path.write_bytes(b"third")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert [first, second, hash_path(path)] == [
        _sha256(b"first"),
        _sha256(b"other"),
        _sha256(b"third"),
    ]


def test_hash_path_after_replacing_the_file_is_new(tmp_path: Path) -> None:
    """A file moved into another's place, with its size and time, is hashed anew."""
    path, other = tmp_path / "f", tmp_path / "g"
    path.write_bytes(b"first")
    other.write_bytes(b"other")
    hash_path(path)
    stat = path.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)

    assert hash_path(path) == _sha256(b"other")


@pytest.mark.parametrize(
    "change", ["content", "name", "place", "added", "removed", "swapped", "none", "order"]
)
def test_hash_path_of_a_folder_changes_with_names_and_content(tmp_path: Path, change: str) -> None:
    """Any difference in names, places or bytes shows; the order of writing does not."""
    parts = {"a.txt": b"one", "b.txt": b"two", "sub/c.txt": b"three"}
    changed = {
        "content": {**parts, "a.txt": b"One"},
        "name": {"A.txt": b"one", "b.txt": b"two", "sub/c.txt": b"three"},
        "place": {"a.txt": b"one", "b.txt": b"two", "other/c.txt": b"three"},
        "added": {**parts, "d.txt": b""},
        "removed": {"a.txt": b"one", "b.txt": b"two"},
        "swapped": {"a.txt": b"two", "b.txt": b"one", "sub/c.txt": b"three"},
        "none": parts,
        "order": dict(reversed(parts.items())),
    }[change]
    for folder, files in (("left", parts), ("right", changed)):
        for name, content in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    same = hash_path(tmp_path / "left") == hash_path(tmp_path / "right")

    assert same == (change in ("none", "order"))


def test_hash_path_of_folders_with_deceiving_names_differs(tmp_path: Path) -> None:
    """Two files are not one file whose name holds the hash of the first."""
    for folder in ("two", "one"):
        (tmp_path / folder).mkdir()
    (tmp_path / "two" / "a").write_bytes(b"first")
    (tmp_path / "two" / "b").write_bytes(b"second")
    (tmp_path / "one" / f"a{_sha256(b'first')}b").write_bytes(b"second")

    assert hash_path(tmp_path / "two") != hash_path(tmp_path / "one")


def test_stored_path_of_an_unversioned_dataset_is_its_file(tmp_path: Path) -> None:
    """Before and after saving, the path is the one that configuration gives."""
    dataset = ParquetDataset(filepath=str(tmp_path / "t.parquet"))
    dataset.save(pd.DataFrame({"x": [1]}))

    assert stored_path(dataset, saved=True) == tmp_path / "t.parquet"
    assert stored_path(dataset, saved=False) == tmp_path / "t.parquet"


def test_stored_path_of_a_versioned_dataset_is_the_version_in_use(tmp_path: Path) -> None:
    """Loading reads a given or else the newest version; saving writes the run's own."""
    config = {
        "x": {"type": "json.JSONDataset", "filepath": str(tmp_path / "x.json"), "versioned": True}
    }
    for version in (OLD, NEW):
        DataCatalog.from_config(config, save_version=version).save("x", {"version": version})
    newest = DataCatalog.from_config(config, save_version="2019-01-04T10.00.00.000Z")
    older = DataCatalog.from_config(config, load_versions={"x": OLD})
    saving = DataCatalog.from_config(config, save_version="2019-01-04T10.00.00.000Z")
    saving.save("x", {})

    base = tmp_path / "x.json"
    assert stored_path(older["x"], saved=False) == base / OLD / "x.json"
    assert stored_path(saving["x"], saved=True) == base / "2019-01-04T10.00.00.000Z" / "x.json"
    assert newest.load("x") == {}
    assert stored_path(newest["x"], saved=False) == base / "2019-01-04T10.00.00.000Z" / "x.json"


def test_stored_path_of_a_versioned_dataset_without_versions_is_none(tmp_path: Path) -> None:
    """What was never saved lies nowhere; asking for it is no error."""
    config = {
        "x": {"type": "json.JSONDataset", "filepath": str(tmp_path / "x.json"), "versioned": True}
    }

    assert stored_path(DataCatalog.from_config(config)["x"], saved=False) is None


def test_stored_path_of_a_partitioned_dataset_is_its_folder(tmp_path: Path) -> None:
    """A dataset of many files is a folder, whose hash follows its files."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.txt").write_text("one", encoding="utf-8")
    dataset = PartitionedDataset(path=str(tmp_path / "parts"), dataset=TextDataset)

    assert stored_path(dataset, saved=False) == tmp_path / "parts"


def test_stored_path_of_a_snapshot_is_the_current_file(tmp_path: Path) -> None:
    """A snapshot's path is the file that its pointer names, not its folder."""
    dataset = SnapshotDataset(str(tmp_path), "2019-01-03")
    dataset.save(pd.DataFrame({"x": [1]}))

    path = stored_path(dataset, saved=True)

    assert path is not None
    assert path.suffix == ".parquet"
    assert _sha256(path.read_bytes())[:16] in path.name


@pytest.mark.parametrize(
    "dataset",
    [
        MemoryDataset({"x": 1}),
        TableFileDataset(None, columns=["x"]),
        JSONDataset(filepath="memory://bucket/x.json"),
    ],
)
def test_stored_path_of_a_dataset_off_the_disk_is_none(dataset: object) -> None:
    """Memory, a table without a file, and a remote store have no place on this machine's disk."""
    assert stored_path(dataset, saved=False) is None
