"""A table that somebody else has written is read as it is, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from tidemark.datasets.table_file import TableFileDataset

TEXT = "date,ticker,close\n2018-12-31,KO,47.35\n2019-01-02,KO,46.93\n"


@pytest.fixture
def table() -> pd.DataFrame:
    """Hold two rows with dates as text, as a CSV file gives them."""
    return pd.DataFrame(
        {"date": ["2018-12-31", "2019-01-02"], "ticker": ["KO", "KO"], "close": [47.35, 46.93]}
    )


@pytest.mark.parametrize("name", ["prices.csv", "prices.csv.gz", "prices.parquet"])
def test_table_file_known_ending_loads_every_row(
    tmp_path: Path, table: pd.DataFrame, name: str
) -> None:
    """The ending says the format, and the rows come as they were written."""
    path = tmp_path / name
    if path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        table.to_csv(path, index=False)

    loaded = TableFileDataset(str(path)).load()

    pd.testing.assert_frame_equal(loaded, table)


def test_table_file_csv_with_one_stray_word_keeps_the_column_readable(tmp_path: Path) -> None:
    """A word among numbers is left for the checks to find: loading neither fails nor drops it."""
    path = tmp_path / "prices.csv"
    rows = "".join(f"2019-01-02,T{number},1.5\n" for number in range(600_000))
    path.write_text(f"date,ticker,close\n{rows}2019-01-02,KO,n.a. today\n", encoding="utf-8")

    loaded = TableFileDataset(str(path)).load()

    assert len(loaded) == 600_001
    assert loaded["close"].iloc[-1] == "n.a. today"
    assert {type(value) for value in loaded["close"]} == {str}


def test_table_file_absent_names_path_and_remedy(tmp_path: Path) -> None:
    """The message says which file is missing and from where a relative path counts."""
    path = tmp_path / "nowhere" / "prices.csv"

    with pytest.raises(DatasetError) as caught:
        TableFileDataset(str(path)).load()

    assert str(path) in str(caught.value)
    assert "relative path counts from the project's root" in str(caught.value)


def test_table_file_that_is_a_folder_is_refused_as_absent(tmp_path: Path) -> None:
    """A folder with the ending of a file is not read part by part."""
    folder = tmp_path / "prices.parquet"
    folder.mkdir()

    with pytest.raises(DatasetError, match="There is no file"):
        TableFileDataset(str(folder)).load()


@pytest.mark.parametrize("name", ["prices.xlsx", "prices", "prices.csv.zip", "prices.json"])
def test_table_file_unknown_ending_names_the_known_ones(tmp_path: Path, name: str) -> None:
    """A file of another kind is refused with the endings that can be read."""
    path = tmp_path / name
    path.write_text(TEXT, encoding="utf-8")

    with pytest.raises(DatasetError) as caught:
        TableFileDataset(str(path)).load()

    assert str(path) in str(caught.value)
    assert ".csv, .csv.gz, .parquet" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.parquet", b"PAR1 and then no footer"),
        ("empty.parquet", b""),
        ("empty.csv", b""),
        ("ragged.csv", b"a,b\n1,2\n1,2,3,4\n"),
        ("latin.csv", b"date,ticker,close\n2019-01-02,\xe9\xff,1\n"),
        ("plain.csv.gz", TEXT.encode()),
    ],
)
def test_table_file_unreadable_content_names_the_path(
    tmp_path: Path, name: str, content: bytes
) -> None:
    """Broken content is an error of the dataset that names the file, not a reader's own error."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(DatasetError, match=r"cannot be read as") as caught:
        TableFileDataset(str(path)).load()

    assert str(path) in str(caught.value)


@pytest.mark.parametrize("fault", ["broken off", "one byte altered"])
def test_table_file_damaged_gzip_is_refused(
    tmp_path: Path, table: pd.DataFrame, fault: str
) -> None:
    """A damaged download is refused by name; its first rows do not pass for the whole."""
    path = tmp_path / "prices.csv.gz"
    pd.concat([table] * 500).to_csv(path, index=False)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(path.read_bytes()[:-40] if fault == "broken off" else bytes(content))

    with pytest.raises(DatasetError, match=r"cannot be read as") as caught:
        TableFileDataset(str(path)).load()

    assert str(path) in str(caught.value)


def test_table_file_without_a_path_has_its_columns_and_no_rows() -> None:
    """None stands for a table without rows, which exists and can be joined to."""
    dataset = TableFileDataset(None, columns=["date", "series", "value"])

    loaded = dataset.load()

    assert list(loaded.columns) == ["date", "series", "value"]
    assert len(loaded) == 0
    assert dataset.exists()


def test_table_file_save_is_refused_and_leaves_the_file(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    """An input is never written: the bytes stay what they were."""
    path = tmp_path / "prices.csv"
    path.write_text(TEXT, encoding="utf-8")

    with pytest.raises(DatasetError, match="is an input and is never written"):
        TableFileDataset(str(path)).save(table)

    assert path.read_text(encoding="utf-8") == TEXT


def test_table_file_exists_follows_the_disk(tmp_path: Path) -> None:
    """A path exists as soon as the file does, and not before."""
    dataset = TableFileDataset(str(tmp_path / "prices.csv"))
    before = dataset.exists()
    (tmp_path / "prices.csv").write_text(TEXT, encoding="utf-8")

    assert (before, dataset.exists()) == (False, True)
