"""What a failure, a full disk or a kill leave of a save: the old file or none, never half."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from kedro.io import DataCatalog, DatasetError

from tidemark.files import sweep_aside

OLD, NEW = "2019-01-02T10.00.00.000Z", "2019-01-03T10.00.00.000Z"

# Kedro's own datasets, by the ending of their file.
TYPES = {
    "pkl": "pickle.PickleDataset",
    "json": "json.JSONDataset",
    "txt": "text.TextDataset",
    "csv": "pandas.CSVDataset",
    "parquet": "pandas.ParquetDataset",
}

# Saves something large of every type where no file may grow beyond 4 kB, as on a full disk.
FULL_DISK = """
import resource, sys
import numpy as np
import pandas as pd
from kedro.io import DatasetError
from tidemark.datasets.catalog import TidemarkCatalog

types = dict(pair.split("=") for pair in sys.argv[2:])
config = {kind: {"type": types[kind], "filepath": f"{sys.argv[1]}/x.{kind}"} for kind in types}
catalog = TidemarkCatalog.from_config(config)
table = pd.DataFrame({"x": np.random.default_rng(1).normal(size=10_000)})
large = {"pkl": b"x" * 100_000, "json": ["x"] * 10_000, "txt": "x" * 100_000}
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for kind in types:
    try:
        catalog.save(kind, large.get(kind, table))
    except DatasetError as error:
        print(kind, "File too large" in str(error) or "size limit" in str(error))
"""

# Kills itself while its third part is pickled; the first two have been written.
KILLED = """
import os, signal, sys
from tidemark.datasets.catalog import TidemarkCatalog

class Killer:
    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)

entry = {"type": "pickle.PickleDataset", "filepath": sys.argv[1], "versioned": sys.argv[2] == "v"}
catalog = TidemarkCatalog.from_config({"x": entry}, save_version="2019-01-03T10.00.00.000Z")
catalog.save("x", [b"x" * 1_000_000, b"y" * 1_000_000, Killer()])
"""


class _Unpicklable:
    """What breaks a pickle off in the middle."""

    def __reduce__(self) -> NoReturn:
        raise RuntimeError("no way")


class _Interrupting:
    """What a person who gives up does to a pickle."""

    def __reduce__(self) -> NoReturn:
        raise KeyboardInterrupt


def _asides(folder: Path) -> list[Path]:
    return list(folder.rglob(".aside*"))


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("pkl", [b"x" * 1_000_000, _Unpicklable()]),
        ("pkl", [b"x" * 1_000_000, _Interrupting()]),
        ("json", ["x" * 100_000, {1, 2}]),
        ("txt", b"bytes are no text"),
    ],
    ids=["pickle", "interrupt", "json", "text"],
)
def test_save_that_fails_midway_leaves_the_old_file_or_none(
    new_catalog: Callable[..., DataCatalog], tmp_path: Path, kind: str, data: Any, is_there: bool
) -> None:
    """Half a file is never seen, not in the place of a whole one and not where there was none."""
    catalog = new_catalog()
    if is_there:
        catalog.save(kind, "old")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    with pytest.raises((DatasetError, KeyboardInterrupt)):
        catalog.save(kind, data)

    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    catalog.save(kind, "new")
    assert catalog.load(kind) == "new"


def test_save_that_fails_midway_leaves_no_version(
    new_catalog: Callable[..., DataCatalog], tmp_path: Path
) -> None:
    """A version appears when it is whole; until then the same one can be saved again."""
    new_catalog(save_version=OLD).save("versioned_json", "old")
    catalog = new_catalog(save_version=NEW)
    with pytest.raises(DatasetError, match="not JSON serializable"):
        catalog.save("versioned_json", ["x" * 100_000, {1}])

    assert [path.name for path in (tmp_path / "v.json").iterdir()] == [OLD]
    assert catalog.load("versioned_json") == "old"
    catalog.save("versioned_json", "new")
    assert catalog.load("versioned_json") == "new"
    assert _asides(tmp_path) == []


def test_save_on_a_full_disk_leaves_the_old_files(tmp_path: Path) -> None:
    """When the system refuses to write on, every type keeps what it had, and no more."""
    for kind in TYPES:
        (tmp_path / f"x.{kind}").write_bytes(b"old")

    pairs = [f"{kind}={name}" for kind, name in TYPES.items()]
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), *pairs]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)

    assert shown.stdout.splitlines() == [f"{kind} True" for kind in TYPES]
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == {f"x.{kind}": b"old" for kind in TYPES}


@pytest.mark.parametrize("versioned", ["", "v"])
def test_save_killed_midway_leaves_the_old_file_and_something_to_sweep(
    tmp_path: Path, versioned: str
) -> None:
    """Nobody can clean up after a kill; the next run does, and the old file is as it was."""
    path = tmp_path / "x.pkl"
    old = path / OLD / "x.pkl" if versioned else path
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_bytes(pickle.dumps("old"))

    command = [sys.executable, "-c", KILLED, str(path), versioned]
    killed = subprocess.run(command, check=False, timeout=60)

    assert killed.returncode == -signal.SIGKILL
    (aside,) = _asides(tmp_path)
    assert aside.stat().st_size > 1_000_000
    files = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert sorted(files) == sorted([aside, old])
    assert sweep_aside(tmp_path) == 1
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [old]
    assert old.read_bytes() == pickle.dumps("old")


def test_sweep_aside_removes_files_of_dead_processes_only(tmp_path: Path) -> None:
    """What a living process is writing stays, in whatever folder, and so do other names."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait(timeout=60)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    dead = [f".aside-{process.pid}-1-x.json", f"deep/er/.aside-{process.pid}-2-.aside-1-x"]
    others = [f".aside-{os.getpid()}-1-x.json", ".aside-me-1-x", "aside-1-1-x", ".aside", "x"]
    for name in (*dead, *others):
        (tmp_path / name).write_bytes(b"")

    assert sweep_aside(tmp_path) == 2
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == set(others)
    assert list((tmp_path / "deep" / "er").iterdir()) == []
    assert sweep_aside(tmp_path / "absent") == 0
