"""Files of OptionsDX come in whole days, whatever their size, or not at all."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from tidemark.datasets import chain_file, optionsdx
from tidemark.datasets.chain_file import UnreadableChain
from tidemark.datasets.optionsdx import OptionsDXDataset
from tidemark.domain.chains import KEY
from tidemark.domain.optionsdx_layout import COLUMNS

AAPL = Path(__file__).resolve().parents[3] / "shared" / "data" / "options" / "optionsdx_raw"
HEADER = ", ".join(f"[{name}]" for name in COLUMNS)


def _row(date: str, strike: float, **cells: str) -> str:
    values = {
        **dict.fromkeys(COLUMNS, "1.000000"),
        "QUOTE_DATE": date,
        "EXPIRE_DATE": "2016-05-20",
        "UNDERLYING_LAST": "109.990000",
        "STRIKE": f"{strike:f}",
        "C_SIZE": "59 x 60",
        "P_SIZE": "0 x 113",
        "C_IV": "",
        "P_VOLUME": "",
    }
    return ", ".join((values | cells).values())


def _write(path: Path, rows: list[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def _dates(chunks: list[pd.DataFrame]) -> list[list[str]]:
    return [sorted({f"{day:%m-%d}" for day in chunk["quote_date"]}) for chunk in chunks]


def test_load_reads_brackets_blanks_and_sizes(tmp_path: Path) -> None:
    """One row is a call and a put."""
    file = _write(tmp_path / "x.txt", [_row("2016-04-01", 100.0, P_BID="2.5", P_IV="-0.1")])

    chain = OptionsDXDataset(str(file), "AAPL").load().load_whole()

    assert chain["option_type"].tolist() == ["call", "put"]
    assert chain["quote_date"].tolist() == [pd.Timestamp("2016-04-01")] * 2
    assert chain["bid"].tolist() == [1.0, 2.5]
    assert chain["vendor_iv"].isna().tolist() == [True, False]
    assert chain["volume"].isna().tolist() == [False, True]
    assert chain["vendor_ask_size"].tolist() == [60.0, 113.0]
    assert set(chain["root"]) == set(chain["underlying"]) == {"AAPL"}
    assert set(chain["exercise_style"]) == {"american"}


@pytest.mark.parametrize(
    ("block", "min_rows", "chunks"),
    [(400, 1, 4), (1_000, 1, None), (4_000, 1, None), (400, 8, 3), (1 << 20, 1, 2)],
)
def test_days_are_whole_wherever_blocks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, min_rows: int, chunks: int | None
) -> None:
    """Blocks of the text end in the midst of days and rows; chunks do not."""
    rows = [
        _row(f"2016-04-{day:02d}", 90.0 + number)
        for day, count in ((1, 7), (4, 1), (5, 12), (6, 2))
        for number in range(count)
    ]
    file = _write(tmp_path / "x.txt", rows)
    monkeypatch.setattr(optionsdx, "_BLOCK_BYTES", block)
    monkeypatch.setattr(OptionsDXDataset, "min_rows", min_rows)
    source = OptionsDXDataset(str(file), "AAPL").load()

    days = [day for chunk in _dates(list(source.chunks())) for day in chunk]

    assert days == ["04-01", "04-04", "04-05", "04-06"]
    assert [len(rows) for _, rows in source.days()] == [14, 2, 24, 4]
    assert not source.load_whole().duplicated(list(KEY)).any()
    if chunks is not None:
        assert len(list(source)) == chunks


def test_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    """A day that two files share is one; packed files are read too."""
    _write(tmp_path / "b.txt", [_row("2016-04-05", 100.0), _row("2016-04-06", 100.0)])
    packed = "\n".join([HEADER, _row("2016-04-04", 100.0), _row("2016-04-05", 95.0)])
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(packed.encode()))

    source = OptionsDXDataset(str(tmp_path), "AAPL").load()

    assert [len(rows) for _, rows in source.days()] == [2, 4, 2]
    assert [day for chunk in _dates(list(source)) for day in chunk] == ["04-04", "04-05", "04-06"]


def test_days_out_of_order_are_refused(tmp_path: Path) -> None:
    """A day of an earlier file comes after that of a later one."""
    _write(tmp_path / "a.txt", [_row("2016-04-05", 100.0)])
    _write(tmp_path / "b.txt", [_row("2016-04-04", 100.0)])

    with pytest.raises(UnreadableChain, match="2016-04-04 follows 2016-04-05"):
        OptionsDXDataset(str(tmp_path), "AAPL").load().load_whole()


def test_days_out_of_order_within_a_block_are_sorted(tmp_path: Path) -> None:
    """A small file may be in any order."""
    file = _write(tmp_path / "a.txt", [_row("2016-04-05", 100.0), _row("2016-04-04", 100.0)])

    chain = OptionsDXDataset(str(file), "AAPL").load().load_whole()

    assert chain["quote_date"].is_monotonic_increasing


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("[P_IV]", "[P_IMPLIED]"), r"lacks column 'P_IV'"),
        (HEADER.replace("[C_BID]", "[C_BIDD]"), r"'C_BID' \(is it 'C_BIDD'\?\)"),
        ("a,b", "It has: a, b"),
    ],
)
def test_renamed_column_is_refused_at_once(tmp_path: Path, header: str, message: str) -> None:
    """Before anything is read, with the process's status for refused data."""
    file = _write(tmp_path / "x.txt", [_row("2016-04-01", 100.0)], header)

    with pytest.raises(UnreadableChain, match=message) as caught:
        OptionsDXDataset(str(file), "AAPL").load()
    assert caught.value.exit_status == 2
    assert isinstance(caught.value, DatasetError)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"C_BID": "n/a"}, "n/a"),
        ({"QUOTE_DATE": "04/01/2016"}, "04/01/2016"),
        ({"QUOTE_DATE": ""}, "1 rows have no QUOTE_DATE"),
        ({"P_SIZE": "0.25"}, "no 'BID x ASK'"),
    ],
)
def test_cell_that_cannot_be_read_is_refused(
    tmp_path: Path, cells: dict[str, str], message: str
) -> None:
    """A type that drifts is a refusal, not a column of texts."""
    file = _write(tmp_path / "x.txt", [_row("2016-04-01", 100.0, **cells)])

    with pytest.raises(UnreadableChain, match=message):
        OptionsDXDataset(str(file), "AAPL").load().load_whole()


def test_absent_and_empty_files_are_refused(tmp_path: Path) -> None:
    """The message says where was looked."""
    with pytest.raises(UnreadableChain, match="There is no file"):
        OptionsDXDataset(str(tmp_path / "absent.txt"), "AAPL").load()
    with pytest.raises(UnreadableChain, match=r"cannot be read|has no row"):
        OptionsDXDataset(str(_write(tmp_path / "x.txt", [])), "AAPL").load().load_whole()


def test_inputs_are_never_written(tmp_path: Path) -> None:
    """They belong to somebody else."""
    with pytest.raises(DatasetError, match="never written"):
        OptionsDXDataset(str(tmp_path / "x.txt"), "AAPL").save("x")  # type: ignore[arg-type]


@pytest.mark.skipif(not AAPL.is_dir(), reason=f"needs the recorded chain in '{AAPL}'")
def test_recorded_chain_reads_as_pandas_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are those of an independent reader, whatever the size of blocks."""
    (file,) = AAPL.iterdir()
    raw = pd.read_csv(file, skipinitialspace=True)
    raw.columns = raw.columns.str.strip("[] ")
    monkeypatch.setattr(optionsdx, "_BLOCK_BYTES", 1 << 19)
    monkeypatch.setattr(OptionsDXDataset, "min_rows", 1)
    monkeypatch.setattr(chain_file, "_REPORT_EVERY", 1)

    chunks = list(OptionsDXDataset(str(AAPL), "AAPL").load())

    assert len(chunks) > 3
    chain = pd.concat(chunks, ignore_index=True)
    assert chain["quote_date"].is_monotonic_increasing
    for side, kind in (("C", "call"), ("P", "put")):
        ours = chain[chain["option_type"] == kind].reset_index(drop=True)
        for name, column in (("bid", "BID"), ("volume", "VOLUME"), ("vendor_iv", "IV")):
            theirs = raw[f"{side}_{column}"].astype("float64")
            pd.testing.assert_series_equal(ours[name], theirs, check_names=False)
        pd.testing.assert_series_equal(ours["strike"], raw["STRIKE"], check_names=False)
