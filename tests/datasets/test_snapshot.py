"""A snapshot is stored once, named by what it holds, and whole or absent."""

from __future__ import annotations

import glob
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from tidemark.datasets.snapshot import SnapshotDataset

AS_OF = "2019-01-03"

# Saves a second table, and is killed when the given number of files have been moved into place.
KILLED_WRITER = """
import os, signal, sys
import pandas as pd
from tidemark.datasets.snapshot import SnapshotDataset

folder, as_of, survives = sys.argv[1], sys.argv[2], int(sys.argv[3])
really_replace, moved = os.replace, []

def replace(source, target):
    if len(moved) == survives:
        os.kill(os.getpid(), signal.SIGKILL)
    really_replace(source, target)
    moved.append(target)

os.replace = replace
SnapshotDataset(folder, as_of).save(pd.DataFrame({"ticker": ["KO"], "close": [99.0]}))
"""


@pytest.fixture
def table() -> pd.DataFrame:
    """Hold two rows of prices."""
    days = pd.to_datetime(["2018-12-31", "2019-01-02"]).astype("datetime64[ns]")
    return pd.DataFrame({"date": days, "ticker": ["KO", "KO"], "close": [47.35, 46.93]})


@pytest.fixture
def snapshot(tmp_path: Path) -> SnapshotDataset:
    """Return a dataset whose folder does not exist yet."""
    return SnapshotDataset(str(tmp_path / "prices"), AS_OF)


def _stored(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def test_snapshot_saved_and_loaded_is_unchanged(
    snapshot: SnapshotDataset, table: pd.DataFrame
) -> None:
    """What was fetched is what is read: values, types and order."""
    snapshot.save(table)

    pd.testing.assert_frame_equal(snapshot.load(), table)


def test_snapshot_of_the_same_data_twice_leaves_one_file(
    snapshot: SnapshotDataset, table: pd.DataFrame, tmp_path: Path
) -> None:
    """Fetching the same data again neither adds a file nor changes the one that is there."""
    snapshot.save(table)
    first = [(path.name, path.read_bytes()) for path in _stored(tmp_path / "prices")]
    snapshot.save(table.copy())

    assert [(path.name, path.read_bytes()) for path in _stored(tmp_path / "prices")] == first
    assert len(first) == 1


def test_snapshot_name_holds_as_of_and_hash_of_the_bytes(
    snapshot: SnapshotDataset, table: pd.DataFrame, tmp_path: Path
) -> None:
    """The name is the as-of date and the first 16 digits of the SHA-256 of the file."""
    snapshot.save(table)
    (path,) = _stored(tmp_path / "prices")

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.name == f"2019-01-03-{digest[:16]}.parquet"
    assert snapshot.current_path == path


def test_snapshot_of_other_data_keeps_both_and_loads_the_newest(
    snapshot: SnapshotDataset, table: pd.DataFrame, tmp_path: Path
) -> None:
    """A correction of the source becomes current; what was used before stays on disk."""
    snapshot.save(table)
    corrected = table.assign(close=[47.35, 46.94])
    snapshot.save(corrected)

    assert len(_stored(tmp_path / "prices")) == 2
    pd.testing.assert_frame_equal(snapshot.load(), corrected)


def test_snapshot_of_another_as_of_date_stays_apart(
    snapshot: SnapshotDataset, table: pd.DataFrame, tmp_path: Path
) -> None:
    """Each as-of date has its own current snapshot, even with equal data."""
    later = SnapshotDataset(str(tmp_path / "prices"), "2019-01-04")
    snapshot.save(table)
    before = later.exists()
    later.save(table.iloc[:1])

    assert not before
    assert len(snapshot.load()) == 2
    assert len(later.load()) == 1


def test_snapshot_altered_on_disk_is_refused_by_name(
    snapshot: SnapshotDataset, table: pd.DataFrame, tmp_path: Path
) -> None:
    """A whole, readable table under a name that promises other bytes is not loaded."""
    snapshot.save(table)
    (path,) = _stored(tmp_path / "prices")
    table.assign(close=[1.0, 2.0]).to_parquet(path, index=False)

    with pytest.raises(DatasetError, match="was altered after it was fetched") as caught:
        snapshot.load()

    assert str(path) in str(caught.value)


@pytest.mark.parametrize("gone", ["everything", "file"])
def test_snapshot_absent_says_to_fetch(
    snapshot: SnapshotDataset, table: pd.DataFrame, tmp_path: Path, gone: str
) -> None:
    """Without a snapshot, or with a pointer to one that was removed, the remedy is named."""
    if gone == "file":
        snapshot.save(table)
        _stored(tmp_path / "prices")[0].unlink()

    assert not snapshot.exists()
    with pytest.raises(DatasetError, match=r"No snapshot of 2019-01-03 .*Run the fetch node"):
        snapshot.load()


@pytest.mark.parametrize("survives", [0, 1])
def test_snapshot_writer_killed_before_the_pointer_leaves_the_old_one_current(
    snapshot: SnapshotDataset, table: pd.DataFrame, tmp_path: Path, survives: int
) -> None:
    """A kill before or between the two writes leaves the older snapshot current and valid."""
    snapshot.save(table)
    folder = tmp_path / "prices"

    command = [sys.executable, "-c", KILLED_WRITER, str(folder), AS_OF, str(survives)]
    killed = subprocess.run(command, check=False, timeout=60)

    assert killed.returncode == -signal.SIGKILL
    pd.testing.assert_frame_equal(snapshot.load(), table)
    for path in _stored(folder):
        assert hashlib.sha256(path.read_bytes()).hexdigest()[:16] in path.name
    # What the kill left half-done is hidden, and bears the name of no snapshot or pointer.
    left = {path.name for path in folder.iterdir()} - set(glob.glob("*", root_dir=folder))
    assert [name.split("-")[0] for name in left] == [".aside"]


def test_snapshot_write_that_fails_leaves_nothing_behind(
    snapshot: SnapshotDataset,
    table: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the disk refuses the file, neither a part of it nor a pointer stays."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)

    with pytest.raises(DatasetError, match="No space left"):
        snapshot.save(table)

    assert list((tmp_path / "prices").iterdir()) == []


def test_snapshot_file_has_the_rights_of_any_other_file(
    snapshot: SnapshotDataset, table: pd.DataFrame, tmp_path: Path
) -> None:
    """Whoever may read what the run writes may read its raw data too: the umask decides."""
    (tmp_path / "ordinary").write_text("", encoding="utf-8")
    snapshot.save(table)

    rights = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "prices").iterdir()}

    ordinary = (tmp_path / "ordinary").stat().st_mode & 0o777
    assert set(rights.values()) == {ordinary}, rights
