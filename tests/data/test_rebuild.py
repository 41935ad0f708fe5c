"""The script that rebuilds the embedded data finds every difference and refuses other sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "data" / "rebuild.py"
RAW = ROOT / "data" / "01_raw"
EXIT_NO_DOWNLOAD = 3


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Copy the embedded data of both studies into a folder that a test may damage."""
    for name in ("returns", "cross_asset"):
        (tmp_path / name).mkdir()
        for path in (*(RAW / name).glob("*.parquet"), RAW / name / "SHA256SUMS"):
            shutil.copy(path, tmp_path / name)
    return tmp_path


def test_comparison_of_equal_files_finds_nothing(
    tables: ModuleType, returns: ModuleType, cross_asset: ModuleType, copied: Path
) -> None:
    """A folder that equals the embedded data has no differences, for either study."""
    for study in (returns.RETURNS, cross_asset.CROSS_ASSET):
        assert tables.compare(study, RAW / study.name, copied / study.name) == []


def test_comparison_of_changed_value_names_file_and_checksums(
    tables: ModuleType, returns: ModuleType, copied: Path
) -> None:
    """One changed close is found, and so is the checksum that no longer fits."""
    changed = pd.read_parquet(RAW / "returns" / "prices.parquet")
    changed.loc[0, "close"] = 0.314
    tables.write_table(changed, copied / "returns" / "prices.parquet")

    assert tables.compare(returns.RETURNS, RAW / "returns", copied / "returns") == [
        "prices.parquet has other content (rows: 1), first in row 0: close 0.314 (rebuilt: 0.313).",
        "SHA256SUMS does not match the files beside it.",
    ]


def test_comparison_of_shorter_table_gives_both_counts(
    tables: ModuleType, cross_asset: ModuleType, copied: Path
) -> None:
    """A table that lost its last row is found."""
    study, folder = cross_asset.CROSS_ASSET, RAW / "cross_asset"
    whole = pd.read_parquet(folder / "series.parquet")
    tables.write_table(whole.iloc[:-1], copied / "cross_asset" / "series.parquet")

    assert tables.compare(study, folder, copied / "cross_asset")[0] == (
        "series.parquet has 40795 rows, the rebuilt table has 40796."
    )


def test_comparison_of_absent_file_names_it(
    tables: ModuleType, cross_asset: ModuleType, copied: Path
) -> None:
    """A file that is not there is found."""
    (copied / "cross_asset" / "SHA256SUMS").unlink()

    assert tables.compare(cross_asset.CROSS_ASSET, RAW / "cross_asset", copied / "cross_asset") == [
        "SHA256SUMS is missing."
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("2018-12-31", "a", 1.0), ("2018-12-31", "a", 2.0)], "is there twice"),
        ([("2018-12-31", "a", float("nan"))], "missing, infinite or not positive"),
        ([("2018-12-31", "a", float("inf"))], "missing, infinite or not positive"),
        ([("2018-12-31", "a", 0.0)], "missing, infinite or not positive"),
    ],
)
def test_table_that_breaks_a_promise_is_refused(
    tables: ModuleType, rows: list[tuple[str, str, float]], message: str
) -> None:
    """A key that is there twice, and a number that cannot be a price, are refused."""
    table = pd.DataFrame(rows, columns=["date", "series", "value"])

    with pytest.raises(tables.RebuildError, match=message):
        tables.require_sound("series.parquet", table)


def test_series_that_begins_late_is_refused(cross_asset: ModuleType) -> None:
    """A series without its first day is refused, and its span is named."""
    whole = pd.read_parquet(RAW / "cross_asset" / "series.parquet")
    first = (whole["series"] == "vix") & (whole["date"] == pd.Timestamp("2014-01-03"))

    cross_asset.require_spans(whole)
    with pytest.raises(cross_asset.RebuildError, match=r"found .*'vix': \('2014-01-06'"):
        cross_asset.require_spans(whole[~first])


def test_package_with_other_content_is_refused(tmp_path: Path) -> None:
    """A package whose member is not the expected file ends the script with status 1."""
    with ZipFile(tmp_path / "skfolio-1.12.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("skfolio/datasets/data/sp500_dataset.csv.gz", b"other content")

    done = run_script("--wheels", tmp_path, "--out", tmp_path / "out")

    assert done.returncode == 1
    assert "is not the expected file" in done.stderr
    assert not (tmp_path / "out").exists()


def test_folder_without_packages_is_refused(tmp_path: Path) -> None:
    """A folder of packages that lacks one ends the script with status 1 and the package's name."""
    done = run_script("--wheels", tmp_path, "--check")

    assert done.returncode == 1
    assert "no wheel or sdist of skfolio==1.12.2" in done.stderr


def test_unknown_study_is_refused(tmp_path: Path) -> None:
    """A study that the script does not know ends it with status 2."""
    done = run_script("--wheels", tmp_path, "--study", "options")

    assert done.returncode == 2
    assert "'returns', 'cross_asset'" in done.stderr


@pytest.mark.network
def test_check_of_committed_files_finds_no_difference() -> None:
    """The sources, downloaded anew, give the committed files of both studies."""
    done = run_script("--check")
    if done.returncode == EXIT_NO_DOWNLOAD:
        pytest.skip("no download of the source packages: " + " ".join(done.stderr.split()))

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("are what the packages give.") == 2


@pytest.mark.network
def test_check_of_one_changed_study_ends_with_status_1(
    tables: ModuleType, copied: Path, tmp_path: Path
) -> None:
    """One changed value in one study is found, and the other study is still compared."""
    changed = pd.read_parquet(RAW / "cross_asset" / "series.parquet")
    changed.loc[0, "value"] = 5.36
    tables.write_table(changed, copied / "cross_asset" / "series.parquet")

    done = run_script("--check", "--out", tmp_path)
    if done.returncode == EXIT_NO_DOWNLOAD:
        pytest.skip("no download of the source packages: " + " ".join(done.stderr.split()))

    assert done.returncode == 1
    assert f"The files in {tmp_path / 'returns'} are what the packages give." in done.stdout
    assert "cross_asset: series.parquet has other content (rows: 1)" in done.stderr


def run_script(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the script in a process of its own; pip tries a failed download once more only."""
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PIP_RETRIES": "1"},
    )
