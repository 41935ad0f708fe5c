"""Forwards and discount factors that European options imply by put-call parity.

On each expiry, a call less the put of the same strike is worth ``D * (F - K)`` whatever the model:
a line in the strike, with minus the discount factor as its slope and the forward where it crosses
zero. Quotes of a call and a put allow anything between ``call bid - put ask`` and
``call ask - put bid``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.chain_keys import number_keys, pair_calls_and_puts
from tidemark.domain.chains import KEY, Flags, Floats, Integers, measure_time_years, require_columns
from tidemark.domain.robust_lines import fit_lines, median_by_group

EXPIRY = ["quote_date", "root", "expiration"]
NEEDED = (*KEY, "settlement", "exercise_style", "underlying_price", "bid", "ask")


class NoPairsError(ValueError):
    """No call and put of one strike are quoted on both sides near the money."""


@dataclass(frozen=True)
class ParitySettings:
    """Which pairs of a call and a put count, and which discount factors are plausible.

    Attributes
    ----------
    max_log_moneyness : float
        Strikes are fitted within this distance of the underlying's price, in logs.
    max_spread : float
        Each quote's spread, as a share of the underlying's price, is at most this.
    min_pairs : int
        An expiry with fewer pairs has no line.
    min_rate, max_rate : float
        Continuous annual rates outside these are flagged.
    """

    max_log_moneyness: float = 0.25
    max_spread: float = 0.01
    min_pairs: int = 5
    min_rate: float = -0.05
    max_rate: float = 0.25

    def __post_init__(self) -> None:
        """Refuse bounds that nothing can meet."""
        if self.min_pairs < 3 or self.max_log_moneyness <= 0 or self.max_spread <= 0:
            raise ValueError(
                f"{self} leaves no line to fit: give min_pairs of at least 3, and a distance and "
                "a spread above 0"
            )
        if self.min_rate >= self.max_rate:
            raise ValueError(f"min_rate {self.min_rate} is not below max_rate {self.max_rate}")


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs of two-sided quotes: the call's row, call less put, and half of both spreads."""

    row: Integers
    strike: Floats
    middle: Floats
    half_spread: Floats


def fit_forwards(
    chain: pd.DataFrame, rows: Flags | None = None, settings: ParitySettings | None = None
) -> pd.DataFrame:
    """Fit the forward and the discount factor of each quote date, root and expiration.

    A robust line through call less put over the strike, each pair in units of its half-spread
    (`tidemark.domain.robust_lines`). Usable are quotes with a bid above 0 and an ask above the bid.

    Parameters
    ----------
    chain : DataFrame
        Canonical, European options.
    rows : ndarray of bool, shape (rows,), optional
        Which rows may be used; all if not given. A pair needs both of its rows.
    settings : ParitySettings, optional

    Returns
    -------
    DataFrame
        One row for each expiry that has a usable pair, sorted by its key:

        - quote_date, root, expiration, time_years, underlying_price (median of the fitted rows);
        - forward, discount_factor; rate_continuous and carry_continuous, annual, NaN at expiry;
        - n_pairs fitted, residual_median (of absolute residuals, in currency) and share_within
          (of the fitted pairs that the line meets within their spreads);
        - flag: ``few_pairs`` (and NaN for what is fitted), ``not_decreasing`` (the slope gives no
          positive discount factor, or the forward is not positive; NaN in the same way),
          ``rate_out_of_bounds`` (kept as fitted: on the last days a slope says little about a
          rate), ``no_time`` (nothing is left to settlement), or ``ok``.

    Raises
    ------
    ValueError
        If a column is missing, `rows` has another length, or an option is American.
    NoPairsError
        If no expiry has a usable pair; it is a ValueError too.

    References
    ----------
    Stoll, H. R. (1969). "The relationship between put and call option prices." Journal of Finance
    24(5), 801-824.
    """
    settings = settings or ParitySettings()
    pairs = _pair_quotes(chain, rows, settings)
    spot = chain["underlying_price"].to_numpy(dtype=float)[pairs.row]
    with np.errstate(divide="ignore", invalid="ignore"):
        is_near = np.abs(np.log(pairs.strike / spot)) <= settings.max_log_moneyness
    if not is_near.any():
        raise NoPairsError(
            f"None of {len(is_near)} pairs of usable quotes is near the money, so that no line can "
            f"be fitted: look at bid, ask and underlying_price, or widen {settings}"
        )
    pairs = _Pairs(**{name: values[is_near] for name, values in vars(pairs).items()})
    keys = chain.iloc[pairs.row][[*EXPIRY, "underlying_price"]]
    keys = keys.assign(time_years=measure_time_years(chain.iloc[pairs.row]))
    groups = keys.groupby(EXPIRY, sort=True)
    group = groups.ngroup().to_numpy().astype(np.int64)
    fitted = groups.agg(
        time_years=("time_years", "first"), underlying_price=("underlying_price", "median")
    )
    return _describe_lines(fitted.reset_index(), pairs, group, settings)


def check_parity(
    chain: pd.DataFrame,
    forwards: pd.DataFrame,
    rows: Flags | None = None,
    settings: ParitySettings | None = None,
) -> pd.DataFrame:
    """Measure how far call less put is from fitted lines, for each pair of two-sided quotes.

    Parameters
    ----------
    chain : DataFrame
        Canonical, European options.
    forwards : DataFrame
        As from `fit_forwards`.
    rows : ndarray of bool, shape (rows,), optional
        Which rows to check; all if not given.
    settings : ParitySettings, optional
        Its `max_spread` chooses the quotes; strikes are checked at any distance.

    Returns
    -------
    DataFrame
        One row for each pair, in the order of the chain's calls: quote_date, root, expiration,
        strike, residual (call less put less the line, in currency), half_spread (of both quotes
        together) and is_within (no arbitrage at the quotes). Expiries without a line are left out.

    Raises
    ------
    ValueError
        If a column is missing, `rows` has another length, or an option is American.
    """
    require_columns(forwards.columns, [*EXPIRY, "forward", "discount_factor"], "The forwards")
    pairs = _pair_quotes(chain, rows, settings or ParitySettings())
    checked = chain.iloc[pairs.row][[*EXPIRY, "strike"]].reset_index(drop=True)
    line = checked[EXPIRY].merge(forwards, on=EXPIRY, how="left", validate="many_to_one")
    expected = line["discount_factor"] * (line["forward"] - checked["strike"])
    checked["residual"] = pairs.middle - expected.to_numpy()
    checked["half_spread"] = pairs.half_spread
    checked["is_within"] = checked["residual"].abs() <= checked["half_spread"]
    return checked[checked["residual"].notna()].reset_index(drop=True)


def take_alternate_strikes(chain: pd.DataFrame) -> Flags:
    """Choose every second strike of each expiry, calls and puts alike, so that lines can be tested.

    Returns
    -------
    ndarray of bool, shape (rows,)
        False for the lowest strike of each quote date, root and expiration.
    """
    require_columns(chain.columns, KEY, "The chain")
    rank = chain.groupby(EXPIRY)["strike"].rank(method="dense")
    chosen: Flags = (rank % 2 == 0).to_numpy()
    return chosen


def _pair_quotes(chain: pd.DataFrame, rows: Flags | None, settings: ParitySettings) -> _Pairs:
    """Pair the usable quotes of calls and puts."""
    require_columns(chain.columns, NEEDED, "The chain")
    usable = np.ones(len(chain), dtype=bool) if rows is None else np.asarray(rows)
    if usable.dtype != np.bool_ or usable.shape != (len(chain),):
        raise ValueError(
            f"rows is {usable.dtype} of shape {usable.shape}: give one boolean for each of the "
            f"chain's {len(chain)} rows"
        )
    n_others = int((chain["exercise_style"].to_numpy()[usable] != "european").sum())
    if n_others:
        raise ValueError(
            f"{n_others} of {int(usable.sum())} options are not European: parity is an inequality "
            "for them. Leave them out by rows"
        )
    bid, ask = chain["bid"].to_numpy(dtype=float), chain["ask"].to_numpy(dtype=float)
    largest = settings.max_spread * chain["underlying_price"].to_numpy(dtype=float)
    usable = (
        usable
        & chain[list(KEY)].notna().all(axis=1).to_numpy()
        & (bid > 0.0)
        & (ask > bid)
        & (ask - bid <= largest)
    )
    calls, puts = pair_calls_and_puts(number_keys(chain))
    both = usable[calls] & usable[puts]
    order = np.argsort(calls[both], kind="stable")
    calls, puts = calls[both][order], puts[both][order]
    return _Pairs(
        row=calls,
        strike=chain["strike"].to_numpy(dtype=float)[calls],
        middle=0.5 * (bid[calls] + ask[calls] - bid[puts] - ask[puts]),
        half_spread=0.5 * (ask[calls] - bid[calls] + ask[puts] - bid[puts]),
    )


def _describe_lines(
    fitted: pd.DataFrame, pairs: _Pairs, group: Integers, settings: ParitySettings
) -> pd.DataFrame:
    """Fit one line for each group, and describe it beside the group's key."""
    n = len(fitted)
    reference = fitted["underlying_price"].to_numpy(dtype=float)
    level, slope = fit_lines(
        pairs.strike - reference[group], pairs.middle, pairs.half_spread, group, n
    )
    counts = np.bincount(group, minlength=n)
    with np.errstate(divide="ignore", invalid="ignore"):
        forward = reference - level / slope
    few = counts < settings.min_pairs
    senseless = ~few & ~((slope < 0.0) & (forward > 0.0))
    forward[few | senseless] = slope[few | senseless] = np.nan
    residual = np.abs(pairs.middle - slope[group] * (pairs.strike - forward[group]))
    time_years = fitted["time_years"].to_numpy(dtype=float)
    years = np.where(time_years > 0.0, time_years, np.nan)
    rate = -np.log(-slope) / years
    within = np.bincount(group, residual <= pairs.half_spread, n) / counts
    strange = (rate < settings.min_rate) | (rate > settings.max_rate)
    return fitted.assign(
        forward=forward,
        discount_factor=-slope,
        rate_continuous=rate,
        carry_continuous=np.log(forward / reference) / years,
        n_pairs=counts,
        residual_median=median_by_group(residual, group, n),
        share_within=np.where(few | senseless, np.nan, within),
        flag=np.select(
            [few, senseless, np.isnan(years), strange],
            ["few_pairs", "not_decreasing", "no_time", "rate_out_of_bounds"],
            "ok",
        ),
    )
