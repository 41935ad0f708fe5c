"""The simulated chain is read like a recorded one, says what it is, and is the same each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError
from pandas.testing import assert_frame_equal

from tidemark.datasets.chain_file import UnreadableChain
from tidemark.datasets.simulated_chain import SimulatedChainDataset
from tidemark.domain.chain_simulation import SimulationSettings, simulate_chain
from tidemark.domain.chains import COLUMNS, KEY
from tidemark.domain.sessions import list_sessions

START, END, SEED = "2016-08-01", "2017-02-15", 3
SETTINGS: dict[str, Any] = {
    "n_warmup_sessions": 20,
    "listing": {"n_weeklies": 1, "n_monthlies": 1, "n_quarterlies": 1, "strike_step": 50.0},
    "defects": {"n_missing_sessions": 0, "n_stale_holidays": 0},
}


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two series of random walks; the one lacks a day."""
    days = list_sessions("XNYS", pd.Timestamp("2016-07-01"), pd.Timestamp("2017-03-31"))
    rng = np.random.default_rng(0)
    tables = []
    for number, name in enumerate(("sp500", "ftse")):
        values = 2000.0 * np.exp(np.cumsum(0.008 * rng.standard_normal(len(days))))
        values[1 + number] = np.nan
        tables.append(pd.DataFrame({"date": days.as_unit("us"), "series": name, "value": values}))
    path = tmp_path_factory.mktemp("series") / "series.parquet"
    pd.concat(tables).sample(frac=1, random_state=1).to_parquet(path, index=False)
    return path


def make(path: Path, **changes: Any) -> SimulatedChainDataset:
    """Make a dataset that differs in some of its arguments."""
    given = {"series": "sp500", "start": START, "end": END, "seed": SEED, "settings": SETTINGS}
    return SimulatedChainDataset(str(path), **{**given, **changes})


def hash_rows(chain: pd.DataFrame) -> bytes:
    """Hash every cell of a chain."""
    return pd.util.hash_pandas_object(chain, index=False).to_numpy().tobytes()


def test_chain_is_that_of_the_simulator_in_the_settings(series: Path) -> None:
    """Closes of the one series between two dates, sorted; what is not set has its default."""
    found = make(series).load().load_whole()
    table = pd.read_parquet(series)
    closes = table[table["series"] == "sp500"].set_index("date")["value"].sort_index()
    made = SimulationSettings()
    settings = SimulationSettings(
        listing=type(made.listing)(1, 1, 1, strike_step=50.0),
        defects=type(made.defects)(n_missing_sessions=0, n_stale_holidays=0),
        n_warmup_sessions=20,
    )
    expected = simulate_chain(closes.loc[START:END], settings, SEED).quotes
    assert_frame_equal(found, expected.reset_index(drop=True), check_exact=True)
    assert found["strike"].mod(50.0).eq(0.0).mean() > 0.5
    assert found["expiration"].groupby(found["quote_date"]).nunique().max() <= 4


def test_same_seed_same_bytes_and_another_seed_others(series: Path) -> None:
    """Each time that somebody iterates, and in a dataset of its own."""
    chain = make(series).load()
    first = hash_rows(chain.load_whole())
    assert hash_rows(chain.load_whole()) == first
    assert hash_rows(make(series).load().load_whole()) == first
    assert hash_rows(make(series, seed=SEED + 1).load().load_whole()) != first
    assert hash_rows(make(series, series="ftse").load().load_whole()) != first


def test_every_row_says_that_it_is_simulated(series: Path) -> None:
    """In every chunk, beside the canonical columns."""
    for chunk in make(series).load():
        assert list(chunk) == [*COLUMNS, "source"]
        assert set(chunk["source"]) == {"simulated"}


def test_chunks_are_of_whole_days_in_their_order(series: Path) -> None:
    """Half a year each: no day is in two of them, and none comes back."""
    chunks = list(make(series, start="2016-07-01", end="2017-03-31").load())
    days = [chunk["quote_date"] for chunk in chunks]
    assert [(one.min().strftime("%Y-%m"), one.max().strftime("%Y-%m")) for one in days] == [
        ("2016-08", "2016-11"),
        ("2016-12", "2017-03"),
    ]
    for chunk in chunks:
        assert chunk.index.equals(pd.RangeIndex(len(chunk)))
        order = chunk[list(KEY[:3])].drop_duplicates()
        assert_frame_equal(order, order.sort_values(list(KEY[:3])))
    whole = make(series, start="2016-07-01", end="2017-03-31").load().load_whole()
    assert_frame_equal(pd.concat(chunks, ignore_index=True), whole)


def test_nothing_is_read_before_somebody_iterates(series: Path, tmp_path: Path) -> None:
    """The file is looked for at once, and what it holds is nobody's business yet."""
    path = tmp_path / "later.parquet"
    dataset = make(path)
    path.write_bytes(b"unfinished")
    assert dataset.exists()
    chain = dataset.load()
    assert chain.name == "simulated on sp500"
    path.write_bytes(series.read_bytes())
    assert_frame_equal(chain.load_whole(), make(series).load().load_whole())


def test_file_that_is_absent_is_refused_at_once(tmp_path: Path) -> None:
    """Before anything iterates, with its name and where it is looked for."""
    dataset = make(tmp_path / "absent.parquet")
    assert not dataset.exists()
    words = r"no file '.*absent\.parquet' with closes .* counts from the project's root"
    with pytest.raises(UnreadableChain, match=words):
        dataset.load()
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnreadableChain, match=r"no file '.*folder'"):
        make(tmp_path / "folder").load()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"series": "sp501"}, r"no level of 'sp501' from 2016-08-01 to 2017-02-15"),
        ({"start": "2030-01-01", "end": "2031-01-01"}, "no level of 'sp500' from 2030-01-01"),
    ],
)
def test_series_that_is_absent_is_refused(
    series: Path, changes: dict[str, Any], words: str
) -> None:
    """A name that the file does not have, and years in which it has none."""
    with pytest.raises(UnreadableChain, match=f"{words}.* Correct the catalog"):
        make(series, **changes).load().load_whole()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lisitng": {"n_weeklies": 1}}, r"settings takes .*listing, .*, not \{'lisitng': "),
        ({"listing": {"n_weekly": 1}}, r"settings\.listing takes n_weeklies, .*'n_weekly': 1\}"),
        ({"n_warmup": 3}, r"settings takes .*n_warmup_sessions.*, not \{'n_warmup': 3\}"),
        ({"listing": {"n_weeklies": 1, "n_weekly": 1}}, r"settings\.listing takes .*'n_weekly'"),
        ({"listing": 3}, r"settings\.listing takes n_weeklies, .*, not 3\. Correct the catalog"),
        ({"quotes": None}, r"settings\.quotes takes .*, not None\. Correct the catalog"),
        ({"quotes": {"shift": 1.5}}, "shift is 1.5: choose"),
        ({"listing": {"strike_step": 7.0}}, "Strikes every 7.0 and near ones every 5.0"),
    ],
)
def test_settings_that_are_unknown_or_senseless_are_refused_at_once(
    series: Path, settings: dict[str, Any], words: str
) -> None:
    """Before anything iterates, with a name of what is wrong; nothing of it is passed over."""
    with pytest.raises(UnreadableChain, match=words):
        make(series, settings=settings).load()


def test_settings_that_the_closes_do_not_suffice_for_are_refused(series: Path) -> None:
    """Which is known once they are read."""
    chain = make(series, settings={"n_warmup_sessions": 5000}).load()
    with pytest.raises(UnreadableChain, match="give more closes"):
        chain.load_whole()


def test_simulated_chain_is_never_written(series: Path) -> None:
    """It is an input."""
    with pytest.raises(DatasetError, match="is never written"):
        make(series).save(pd.DataFrame({"bid": [1.0]}))
