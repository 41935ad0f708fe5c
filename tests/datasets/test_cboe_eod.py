"""End-of-day files of the CBOE, as text and as Parquet, become one canonical table."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from tidemark.datasets.cboe_eod import CboeEodDataset
from tidemark.datasets.chain_file import ChainFileDataset, UnreadableChain
from tidemark.domain.chains import COLUMNS, KEY

OPTIONS = Path(__file__).resolve().parents[3] / "shared" / "data" / "options"
HEADER = (
    "underlying,underlying_last,exchange,optionroot,type,expiration,quotedate,strike,last,net,bid,"
    "ask,volume,openinterest,impliedvol,delta,gamma"
)


def _row(symbol: str = "SPXW190528C01700000", date: str = "05/24/2019") -> str:
    return f"SPX,2826.06,CBOE,{symbol},call,05/28/2019,{date},1700.0,0,0,1120.8,1140,0,5,0,1,0"


def _write(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_text_is_read_with_american_dates(tmp_path: Path) -> None:
    """The fifth month comes first."""
    file = _write(tmp_path / "x.csv", _row())

    chain = CboeEodDataset(str(file)).load().load_whole()

    row = chain.iloc[0]
    assert [row[name] for name in KEY] == [
        pd.Timestamp("2019-05-24"),
        "SPXW",
        pd.Timestamp("2019-05-28"),
        "call",
        1700.0,
    ]
    assert (row["bid"], row["ask"], row["open_interest"]) == (1120.8, 1140.0, 5.0)
    assert (row["settlement"], row["exercise_style"]) == ("pm", "european")


def test_terms_of_other_roots_come_from_the_catalog(tmp_path: Path) -> None:
    """A root without terms is refused, with exit status 2."""
    file = _write(tmp_path / "x.csv", _row("OEX190528C01700000"))
    terms = {"OEX": {"settlement": "pm", "exercise_style": "american"}}

    chain = CboeEodDataset(str(file), terms).load().load_whole()

    assert chain["exercise_style"].tolist() == ["american"]
    with pytest.raises(UnreadableChain, match="root OEX are not known"):
        CboeEodDataset(str(file)).load().load_whole()


def test_folder_of_days_is_one_chain(tmp_path: Path) -> None:
    """One file a day, packed or not."""
    _write(tmp_path / "20190524.csv", _row())
    text = f"{HEADER}\n{_row(date='05/27/2019')}\n"
    (tmp_path / "20190527.csv.gz").write_bytes(gzip.compress(text.encode()))

    source = CboeEodDataset(str(tmp_path)).load()

    assert [f"{day:%Y-%m-%d}" for day, _ in source.days()] == ["2019-05-24", "2019-05-27"]


def test_renamed_column_is_refused_in_either_format(tmp_path: Path) -> None:
    """The second file of a folder too, before the first is read."""
    _write(tmp_path / "a.csv", _row())
    renamed = HEADER.replace("openinterest", "open_interest")
    file = _write(tmp_path / "b.csv", _row(), header=renamed)
    parquet = tmp_path / "other" / "b.parquet"
    parquet.parent.mkdir()
    pd.read_csv(file).to_parquet(parquet)

    for place in (tmp_path, parquet):
        with pytest.raises(UnreadableChain, match=r"'openinterest' \(is it 'open_interest'\?\)"):
            CboeEodDataset(str(place)).load()


def test_canonical_parquet_is_read_as_it_is(tmp_path: Path) -> None:
    """What is written canonical comes back, vendor columns included; others are left out."""
    chain = CboeEodDataset(str(_write(tmp_path / "x.csv", _row()))).load().load_whole()
    chain.assign(note="x", source="simulated").to_parquet(tmp_path / "x.parquet")

    again = ChainFileDataset(str(tmp_path / "x.parquet")).load().load_whole()

    pd.testing.assert_frame_equal(again, chain.assign(source="simulated"), check_like=True)
    assert list(again)[: len(COLUMNS)] == list(COLUMNS)
    chain.drop(columns="bid").to_parquet(tmp_path / "x.parquet")
    with pytest.raises(UnreadableChain, match="lacks column 'bid'"):
        ChainFileDataset(str(tmp_path / "x.parquet")).load()


@pytest.mark.skipif(not OPTIONS.is_dir(), reason=f"needs the recorded chains in '{OPTIONS}'")
def test_recorded_days_are_the_same_in_both_formats() -> None:
    """The table holds the days as the vendor sent them."""
    whole = CboeEodDataset(str(OPTIONS / "spx_cboe_eod_20190425_20190531.parquet")).load()
    days = CboeEodDataset(str(OPTIONS / "raw_days")).load().load_whole()

    chain = whole.load_whole()

    assert len(chain) == 339_352
    assert chain["root"].value_counts().to_dict() == {"SPXW": 245_928, "SPX": 93_424}
    same = chain[chain["quote_date"].isin(days["quote_date"])]
    pd.testing.assert_frame_equal(
        same.sort_values(list(KEY), ignore_index=True),
        days.sort_values(list(KEY), ignore_index=True),
    )
