"""How wrong predicted option prices are: in currency, in volatility points, against the spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from tidemark.domain.chain_keys import number_keys
from tidemark.domain.chains import KEY, Flags, Floats, Integers, require_columns
from tidemark.domain.implied_volatility import implied_volatility
from tidemark.domain.no_arbitrage import CHECKS, NEEDED, measure_violations, summarise_violations
from tidemark.errors import describe_examples

MONEYNESS_EDGES = (0.9, 0.97, 1.03, 1.1)
MATURITY_EDGES = (7.0, 30.0, 90.0, 180.0)
COLUMNS = (*NEEDED, "bid", "ask", "mid", "predicted")
BUCKET_METRICS = ("mae_price", "rmse_price", "mape", "mae_vol_points", "within_spread")

# One cent; prices in cents that differ by one do so up to the rounding of their floats.
TOLERANCE = 0.01 + 1e-8


@dataclass(frozen=True)
class BucketSettings:
    """Where buckets of contracts begin and end.

    Attributes
    ----------
    moneyness : tuple of float
        Edges of strike over forward, two or more, ascending. The outer buckets are strictly below
        and above them all; an edge between two others belongs to the lower one.
    maturity_days : tuple of float
        The last day of each bucket but the open last one: whole calendar days from quote date to
        expiration, ascending.

    Examples
    --------
    >>> BucketSettings(maturity_days=(7, 30)).maturity_labels
    ('up to 7 days', '8 to 30 days', 'above 30 days')
    """

    moneyness: tuple[float, ...] = MONEYNESS_EDGES
    maturity_days: tuple[float, ...] = MATURITY_EDGES

    def __post_init__(self) -> None:
        """Keep edges as floats, so that settings from a file compare as the defaults do."""
        for name, least in (("moneyness", 2), ("maturity_days", 1)):
            object.__setattr__(self, name, _read_edges(name, getattr(self, name), least))
        if any(edge % 1 for edge in self.maturity_days):
            found = describe_examples(self.maturity_days)
            raise ValueError(f"The edges maturity_days are {found}. Give whole days.")

    @property
    def moneyness_labels(self) -> tuple[str, ...]:
        """Names of the buckets by moneyness, ascending."""
        edges = [_write(edge) for edge in self.moneyness]
        inner = (f"{low} to {high}" for low, high in pairwise(edges))
        return (f"below {edges[0]}", *inner, f"above {edges[-1]}")

    @property
    def maturity_labels(self) -> tuple[str, ...]:
        """Names of the buckets by days to expiry, ascending."""
        edges = self.maturity_days
        inner = (
            _write_days(f"{_write(low + 1)} to " if low + 1 < high else "", high)
            for low, high in pairwise(edges)
        )
        return (_write_days("up to ", edges[0]), *inner, _write_days("above ", edges[-1]))


@dataclass(frozen=True)
class OptionErrors:
    """Errors of predicted prices.

    Attributes
    ----------
    metrics : dict of str to float
        By name; NaN where undefined. See `measure_option_errors`.
    by_bucket : DataFrame
        A row for every combination of the ordered categoricals ``moneyness`` and ``maturity``:
        ``n``, the quotes in it, and ``BUCKET_METRICS``, NaN where it is empty.
    """

    metrics: dict[str, float]
    by_bucket: pd.DataFrame


def measure_option_errors(
    rows: pd.DataFrame, settings: BucketSettings | None = None
) -> OptionErrors:
    """Measure how wrong predicted option prices are.

    Parameters
    ----------
    rows : DataFrame
        One row for each quote that is scored, in any order; the columns of ``COLUMNS``. Prices
        are in currency; `rate_continuous` and `carry_continuous` are annual, NaN where parity
        implies none, and the same for all quotes of one date, root and expiration. `bid` and
        `ask` may be NaN.
    settings : BucketSettings, optional

    Returns
    -------
    OptionErrors
        Its metrics, where an error is the predicted price less the mid:

        - ``mae_price``, ``rmse_price``, ``bias_price``: mean absolute, root mean squared and mean
          error, in currency;
        - ``mape``, ``mdape``: mean and median absolute error as a share of the mid, over the mids
          above 0;
        - ``within_spread``: share of predictions from bid to ask, both included, over the quotes
          that have both;
        - ``mae_vol_points``: mean absolute difference of the volatilities that prediction and mid
          imply with the same forward and discount, times 100, over the rows where both exist;
          ``vol_share``: the share of all rows that these are;
        - ``negative_share``: share of predictions below 0;
        - ``violations``: of the rows with rate and carry, the share of predictions that violate
          one condition of `tidemark.domain.no_arbitrage` at least by more than ``TOLERANCE``, all
          predictions of a date being one chain; ``violations_<check>`` for each of its checks:
          the share among those that can be tested; ``mid_violations``: as ``violations``, of mids.

    Raises
    ------
    ValueError
        If a column is missing, there is no row, a part of a key is missing, a prediction or a mid
        is not finite, a strike or underlying price not above 0, or two rows have one key.

    Notes
    -----
    Volatilities are those of European options, for American style too. Deep in the money a cent
    is many volatility points, or the price implies none: read ``mae_vol_points`` with
    ``vol_share``, and by bucket. Nobody trades at mids, and many miss a condition by more than a
    cent, parity above all. Where carry is NaN, moneyness is strike over spot.
    """
    table = _arrange(rows)
    errors = _score_rows(table)
    metrics = {
        "mae_price": _mean(errors["mae_price"]),
        "rmse_price": float(np.sqrt(_mean(errors["mse_price"]))),
        "bias_price": _mean(errors["bias_price"]),
        "mape": _mean(errors["mape"]),
        "mdape": float(pd.Series(errors["mape"]).median()),
        "within_spread": _mean(errors["within_spread"]),
        "mae_vol_points": _mean(errors["mae_vol_points"]),
        "vol_share": _mean(np.isfinite(errors["mae_vol_points"])),
        "negative_share": _mean((table["predicted"] < 0.0).to_numpy()),
        **_count_violations(table),
    }
    return OptionErrors(metrics, _average_by_bucket(table, errors, settings or BucketSettings()))


def _read_edges(name: str, edges: Sequence[float], least: int) -> tuple[float, ...]:
    values = tuple(float(edge) for edge in edges)
    is_sound = len(values) >= least and all(0.0 < edge < np.inf for edge in values)
    if not is_sound or any(high <= low for low, high in pairwise(values)):
        raise ValueError(
            f"The edges {name} are {describe_examples(values) or 'none'}. Give {least} or more, "
            "above 0 and each larger than the one before."
        )
    return values


def _write(number: float) -> str:
    """Write the shortest digits that tell a number from all others."""
    return str(np.format_float_positional(number, trim="-"))


def _write_days(before: str, days: float) -> str:
    return f"{before}{_write(days)} {'day' if days == 1 else 'days'}"


def _arrange(rows: pd.DataFrame) -> pd.DataFrame:
    """Check rows and put them in the order of their keys, so that sums do not depend on theirs."""
    require_columns(rows.columns, COLUMNS, "The table of scored quotes")
    if rows.empty:
        raise ValueError("There is no quote to score. Give one row for each, with its prediction.")
    for name in KEY:
        _refuse(rows, rows[name].isna().to_numpy(), f"lack {name}")
    for name in ("predicted", "mid"):
        _refuse(rows, ~np.isfinite(_read(rows, name)), f"have a {name} that is not a finite number")
    for name in ("strike", "underlying_price"):
        is_sound = (_read(rows, name) > 0.0) & (_read(rows, name) < np.inf)
        _refuse(rows, ~is_sound, f"have no finite {name} above 0")
    quote = number_keys(rows).quote
    order = np.argsort(quote, kind="stable")
    repeated = np.zeros(len(rows), dtype=bool)
    repeated[order[1:]] = np.diff(quote[order]) == 0
    _refuse(rows, repeated, "repeat the key of another")
    return rows[list(COLUMNS)].iloc[order]


def _refuse(rows: pd.DataFrame, faulty: Flags, fault: str) -> None:
    """Refuse a table with faulty rows, and show some."""
    if faulty.any():
        shown = rows.loc[faulty, list(KEY)].head(3).astype(str)
        keys = (f"({', '.join(map(str, key))})" for key in shown.itertuples(index=False, name=None))
        raise ValueError(
            f"Of {len(rows)} scored quotes, {int(faulty.sum())} {fault}, such as "
            f"{describe_examples(keys)}. Mend them or leave them out."
        )


def _score_rows(table: pd.DataFrame) -> dict[str, Floats]:
    """Compute the errors of each row, by the metric that is their mean; NaN where undefined."""
    predicted, mid = _read(table, "predicted"), _read(table, "mid")
    bid, ask = _read(table, "bid"), _read(table, "ask")
    error = predicted - mid
    is_inside = ((predicted >= bid) & (predicted <= ask)).astype("float64")
    volatilities = _imply(table, predicted) - _imply(table, mid)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(mid > 0.0, np.abs(error) / mid, np.nan)
    return {
        "mae_price": np.abs(error),
        "mse_price": np.square(error),
        "bias_price": error,
        "mape": share,
        "within_spread": np.where(np.isnan(bid + ask), np.nan, is_inside),
        "mae_vol_points": 100.0 * np.abs(volatilities),
    }


def _read(table: pd.DataFrame, name: str) -> Floats:
    return table[name].to_numpy(dtype="float64")


def _imply(table: pd.DataFrame, price: Floats) -> Floats:
    names = ("underlying_price", "strike", "time_years", "rate_continuous", "carry_continuous")
    spot, strike, time, rate, carry = (_read(table, name) for name in names)
    is_call = (table["option_type"] == "call").to_numpy(dtype=bool)
    return implied_volatility(price, spot, strike, time, rate, is_call, carry)


def _mean(values: Floats | Flags) -> float:
    """Average what is a number."""
    known = values[~np.isnan(values)]
    return float(np.mean(known)) if known.size else float("nan")


def _count_violations(table: pd.DataFrame) -> dict[str, float]:
    """Compute the shares of predictions and of mids that violate conditions."""
    names = ("time_years", "rate_continuous", "carry_continuous")
    chain = table[np.isfinite(sum(_read(table, name) for name in names))]
    amounts = measure_violations(chain, "predicted", "predicted")
    counts = summarise_violations(amounts, TOLERANCE).set_index("check")
    shares = counts["share"].where(counts["tested"] > 0)
    of_mids = measure_violations(chain, "mid", "mid")
    return {
        "violations": _mean((amounts > TOLERANCE).any(axis=1).to_numpy()),
        **{f"violations_{check}": float(shares[check]) for check in CHECKS},
        "mid_violations": _mean((of_mids > TOLERANCE).any(axis=1).to_numpy()),
    }


def _average_by_bucket(
    table: pd.DataFrame, errors: dict[str, Floats], settings: BucketSettings
) -> pd.DataFrame:
    """Average the rows' errors in every combination of moneyness and maturity."""
    stride = len(settings.maturity_labels)
    n_cells = len(settings.moneyness_labels) * stride
    cell = _number_moneyness(table, settings) * stride + _number_maturity(table, settings)
    moneyness, maturity = np.divmod(np.arange(n_cells), stride)
    means = {name: _average(values, cell, n_cells) for name, values in errors.items()}
    means["rmse_price"] = np.sqrt(means["mse_price"])
    return pd.DataFrame(
        {
            "moneyness": _name(moneyness, settings.moneyness_labels),
            "maturity": _name(maturity, settings.maturity_labels),
            "n": np.bincount(cell, minlength=n_cells),
            **{name: means[name] for name in BUCKET_METRICS},
        }
    )


def _name(codes: Integers, labels: tuple[str, ...]) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, pd.Index(labels, dtype="str"), ordered=True)


def _number_moneyness(table: pd.DataFrame, settings: BucketSettings) -> Integers:
    spot, strike = _read(table, "underlying_price"), _read(table, "strike")
    growth = np.exp(_read(table, "carry_continuous") * _read(table, "time_years"))
    moneyness = strike / (spot * np.where(np.isfinite(growth), growth, 1.0))
    bucket = np.searchsorted(settings.moneyness, moneyness, side="left")
    return np.where(moneyness == settings.moneyness[0], 1, bucket)


def _number_maturity(table: pd.DataFrame, settings: BucketSettings) -> Integers:
    days = (table["expiration"] - table["quote_date"]).to_numpy() / np.timedelta64(1, "D")
    return np.searchsorted(settings.maturity_days, days, side="left").astype("int64")


def _average(values: Floats, cell: Integers, n_cells: int) -> Floats:
    """Average what is a number in each cell; NaN where nothing is."""
    known = ~np.isnan(values)
    counts = np.bincount(cell[known], minlength=n_cells)
    sums = np.bincount(cell[known], values[known], n_cells)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts)
