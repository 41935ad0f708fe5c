"""Bad data is refused with status 2 and a message that names the fault; single rows leave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest


def _rename_column(prices: pd.DataFrame) -> pd.DataFrame:
    return prices.rename(columns={"close": "closing"})


def _contradict_one_close(prices: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([prices, prices.iloc[[500]].assign(close=1.0)])


def _put_text_into_a_tenth(prices: pd.DataFrame) -> pd.DataFrame:
    rows = np.random.default_rng(1).choice(len(prices), len(prices) // 10, replace=False)
    close = prices["close"].astype("object")
    close.iloc[rows] = "n.a."
    return prices.assign(close=close)


def _add_a_later_date(prices: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([prices, prices.iloc[[-1]].assign(date="2019-01-04")])


def _blank_half(prices: pd.DataFrame) -> pd.DataFrame:
    blank = np.random.default_rng(2).random(len(prices)) < 0.5
    return prices.assign(close=prices["close"].mask(blank))


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (_rename_column, ["column close is missing", "closing"]),
        (_contradict_one_close, ["different values for one date and ticker", "(1)"]),
        (_put_text_into_a_tenth, ["column close", "'n.a.'", "10.0%"]),
        (_add_a_later_date, ["after the as-of date 2019-01-03", "2019-01-04", "as_of="]),
        (_blank_half, ["have no close", "20.0% allowed"]),
    ],
)
def test_run_on_bad_prices_exits_2_and_names_the_fault(
    spoil: Callable[[pd.DataFrame], pd.DataFrame],
    fault: list[str],
    workplace: Any,
    tmp_path: Path,
) -> None:
    """Data that the checks refuse ends the run with status 2; nothing downstream has run."""
    path = tmp_path / "bad.csv"
    spoil(pd.read_csv(workplace.prices)).to_csv(path, index=False)
    done = workplace.kedro(prices=path)
    assert done.returncode == 2, done.stderr
    for words in fault:
        assert words in done.stderr
    assert "Traceback" not in done.stderr

    finished = {path.stem for path in (workplace.data / "checkpoints").glob("*.ok")}
    assert finished == {"returns_data.fetch", "returns_data.validate"}
    assert list((workplace.data / "08_reporting/returns/validation_report.json").iterdir())
    assert not (workplace.data / "03_primary").exists()
    assert [run.info.status for run in workplace.mlflow_runs()] == ["FAILED"]


def test_run_on_one_negative_close_quarantines_it_and_goes_on(
    workplace: Any, tmp_path: Path
) -> None:
    """One bad row among thousands leaves the flow with its reason, and the run says so."""
    prices = pd.read_csv(workplace.prices)
    prices.loc[700, "close"] = -3.0
    path = tmp_path / "negative.csv"
    prices.to_csv(path, index=False)
    done = workplace.kedro("--namespace", "returns_data", prices=path)
    assert done.returncode == 0, done.stderr
    assert "close of zero or less" in done.stderr
    assert "quarantined prices" in done.stdout
    rows = pd.read_parquet(workplace.data / "quarantine/returns/rows.parquet")
    assert rows[["table", "row", "reason"]].to_numpy().tolist() == [
        ["prices", "700", "non_positive_price"]
    ]
    assert '"close": "-3.0"' in rows.loc[0, "record"]
    kept = pd.read_parquet(workplace.data / "02_intermediate/returns/prices.parquet")
    assert len(kept) == len(prices) - 1
