"""A checked chain is stored whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from tidemark.datasets.chain_file import UnreadableChain
from tidemark.datasets.chain_folder import ChainFolderDataset
from tidemark.domain.chain_checks import CheckedChain, IntakeSettings
from tidemark.domain.chains import build_chain

DATES = ("2020-01-02", "2020-01-03", "2020-01-06")


def _day(date: str, bid: float = 1.0) -> pd.DataFrame:
    return build_chain(
        {
            "quote_date": pd.Series([pd.Timestamp(date)] * 2),
            "underlying": "X",
            "root": "X",
            "settlement": "pm",
            "exercise_style": "european",
            "underlying_price": 100.0,
            "expiration": pd.Series([pd.Timestamp("2020-02-21")] * 2),
            "option_type": pd.Series(["call", "put"]),
            "strike": 100.0,
            "bid": pd.Series([bid, 1.0]),
            "ask": 2.0,
        },
        2,
    )


class _Source:
    """Days that end in an error, if asked."""

    def __init__(self, error: BaseException | None = None, bid: float = 1.0) -> None:
        self.error, self.bid = error, bid

    def __iter__(self) -> Iterator[pd.DataFrame]:
        for number, date in enumerate(DATES):
            yield _day(date, self.bid + number / 10)
        if self.error is not None:
            raise self.error


def _chain(source: _Source) -> CheckedChain:
    return CheckedChain(source, IntakeSettings(), ("crossed",))


def test_saved_chain_is_read_in_parts(tmp_path: Path) -> None:
    """Facts, what left and what stayed are read apart."""
    dataset = ChainFolderDataset(str(tmp_path / "chain"))

    dataset.save(_chain(_Source(bid=1.9)))  # from the second day on the call is crossed or even
    loaded = dataset.load()

    assert loaded.days["contracts"].tolist() == [2, 2, 2]
    assert loaded.days["quarantined"].tolist() == [0, 0, 1]
    assert loaded.quarantine["reason"].tolist() == ["crossed"]
    chunks = list(loaded.kept())
    assert sum(len(chunk) for chunk in chunks) == 5
    pd.testing.assert_series_equal(chunks[0].dtypes, _day(DATES[0]).assign(zero_day=True).dtypes)
    assert [len(rows) for _, rows in loaded.kept(["quote_date", "bid"]).days()] == [2, 2, 1]
    with pytest.raises(ValueError, match="Add it to the columns"):
        loaded.kept(["bid"])


def test_two_saves_give_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the clock or of threads gets into the files."""
    for name in "ab":
        ChainFolderDataset(str(tmp_path / name)).save(_chain(_Source()))

    first, second = (sorted((tmp_path / name).iterdir()) for name in "ab")
    assert [one.read_bytes() for one in first] == [one.read_bytes() for one in second]
    assert [one.name for one in first] == ["days.parquet", "kept.parquet", "quarantine.parquet"]


@pytest.mark.parametrize("error", [OSError("no space"), KeyboardInterrupt(), ValueError("bad")])
def test_failure_in_the_midst_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    """All chunks have come but the end, and nothing of them is to be seen."""
    dataset = ChainFolderDataset(str(tmp_path))
    with pytest.raises((DatasetError, KeyboardInterrupt)):
        dataset.save(_chain(_Source(error)))
    assert not dataset.exists()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DatasetError, match="no whole chain"):
        dataset.load()

    dataset.save(_chain(_Source()))
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    with pytest.raises((DatasetError, KeyboardInterrupt)):
        dataset.save(_chain(_Source(error, bid=5.0)))
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before


def test_moving_that_breaks_off_leaves_no_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends between two files must not leave one of each kind."""
    dataset = ChainFolderDataset(str(tmp_path))
    dataset.save(_chain(_Source()))
    real = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if target.name == "quarantine.parquet":
            raise OSError("gone")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(DatasetError, match="gone"):
        dataset.save(_chain(_Source(bid=1.5)))

    assert not dataset.exists()


def test_unreadable_source_ends_with_status_2(tmp_path: Path) -> None:
    """Kedro wraps most errors; this one tells a refusal of data."""
    dataset = ChainFolderDataset(str(tmp_path))

    with pytest.raises(UnreadableChain, match="cannot be checked: bad") as caught:
        dataset.save(_chain(_Source(ValueError("bad"))))

    assert caught.value.exit_status == 2
    with pytest.raises(UnreadableChain, match="no quote"):
        dataset.save([])


def test_parts_of_other_columns_are_refused(tmp_path: Path) -> None:
    """A vendor that adds a column in the midst of a file."""
    parts = [_day(DATES[0]), _day(DATES[1]).assign(vendor_iv=0.2)]

    with pytest.raises(UnreadableChain, match="Give the parts the same columns"):
        ChainFolderDataset(str(tmp_path)).save(CheckedChain(parts, IntakeSettings(), ()))
