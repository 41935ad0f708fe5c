"""Node function that judges predicted prices in the units that traders read."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tidemark.domain.option_errors import measure_option_errors
from tidemark.pipelines.data_engineering.options.params import BucketParams
from tidemark.pipelines.modelling.quoting import blank_infinite


def measure(
    predictions: pd.DataFrame, facts: pd.DataFrame, buckets: BucketParams
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Measure errors in price, in percent of it and in volatility, and what arbitrage allows.

    Parameters
    ----------
    predictions : DataFrame
        Keys, ``y_true`` and ``y_pred``: prices over strike.
    facts : DataFrame
        Terms and quotes, by the same keys.

    Returns
    -------
    option_errors : dict of str to float
        As `tidemark.domain.option_errors.measure_option_errors`, and how much of the squared errors
        the worst date and the worst expiration have; None where undefined, and empty for a cell
        without predictions.
    option_buckets : DataFrame
        The same by moneyness and maturity.
    """
    if predictions.empty:
        return {}, pd.DataFrame()
    rows = predictions.merge(facts, on=["date", "contract"], how="left", validate="one_to_one")
    rows = rows.assign(predicted=rows["y_pred"] * rows["strike"])
    found = measure_option_errors(rows.rename(columns={"date": "quote_date"}), buckets.settings())
    shares = {f"worst_{key}_share": _share_of_worst(rows, key) for key in ("date", "expiration")}
    errors = {**found.metrics, **shares}
    told = {name: blank_infinite(float(value)) for name, value in errors.items()}
    return told, found.by_bucket


def _share_of_worst(rows: pd.DataFrame, key: str) -> float:
    """Measure how much of all squared errors, of prices over strike, one date or expiration has."""
    squares = ((rows["y_pred"] - rows["y_true"]) ** 2).groupby(rows[key]).sum()
    total = float(squares.sum())
    return float(squares.max()) / total if total > 0 else float("nan")
