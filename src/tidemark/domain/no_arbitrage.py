"""What prices of options must satisfy whatever the model: bounds, strikes, maturities, parity.

Every condition follows from a portfolio that can only gain. Quotes violate it when the portfolio
can be bought at the ask, sold at the bid, and pays at once; a single price is its own bid and ask.

References
----------
Merton, R. C. (1973), Theory of rational option pricing, Bell Journal of Economics 4, 141-183.
Carr, P. and Madan, D. (2005), A note on sufficient conditions for no arbitrage, Finance Research
Letters 2, 125-130.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tidemark.domain.chain_keys import ChainKeys, number_keys, pair_calls_and_puts
from tidemark.domain.chains import KEY, Flags, Floats, Integers, require_columns

CHECKS = (
    "lower_bound",
    "upper_bound",
    "monotonicity",
    "slope",
    "convexity",
    "calendar",
    "parity",
)
NEEDED = (
    *KEY,
    "exercise_style",
    "underlying_price",
    "time_years",
    "rate_continuous",
    "carry_continuous",
)


@dataclass(frozen=True)
class Quotes:
    """Contracts, and what they can be sold and bought for; arrays of one shape.

    Attributes
    ----------
    bid, ask, spot, strike : ndarray
        In the currency of the underlying.
    discount : ndarray
        Price of one unit of currency paid at settlement.
    forward : ndarray
        Forward price of the underlying for settlement.
    is_call, is_american : ndarray of bool
    """

    bid: Floats
    ask: Floats
    spot: Floats
    strike: Floats
    discount: Floats
    forward: Floats
    is_call: Flags
    is_american: Flags

    def take(self, rows: Integers | Flags) -> Quotes:
        """Choose rows."""
        return Quotes(**{name: values[rows] for name, values in vars(self).items()})

    def at(self, discount: Floats, forward: Floats) -> Quotes:
        """Keep the contracts and their quotes; change discount and forward."""
        return replace(self, discount=discount, forward=forward)


def measure_violations(chain: pd.DataFrame, bid: str = "bid", ask: str = "ask") -> pd.DataFrame:
    """Measure by how much each quote violates each condition.

    Parameters
    ----------
    chain : DataFrame
        The columns of ``NEEDED``: ``rate_continuous`` discounts, and the forward price is
        ``underlying_price * exp(carry_continuous * time_years)``, both per year. Spot, rates and
        times are the same for all quotes of one date, root and expiration.
    bid, ask : str
        The columns of what is received and paid; the same column for a single price.

    Returns
    -------
    DataFrame
        The chain's index by ``CHECKS``: the amount in currency beyond the condition, 0 where it
        holds, NaN where it cannot be tested. Of neighbouring strikes the amount stands in the row
        of the upper one, of three strikes in the middle one's, of two maturities in the nearer
        one's, and for parity in those of the call and the put.

    Raises
    ------
    ValueError
        If a column is missing.

    Notes
    -----
    ``slope``: a vertical spread costs at most the discounted difference of its strikes, for
    American style the difference itself. ``calendar``: for American style a later expiration
    costs no less at the same strike; for European style the price over discounted forward costs
    no less at the same strike over forward, which needs dividends and rates that are known in
    advance and dividends that are proportional. Where the later expiration lacks the strike, its
    asks are interpolated, which convexity makes an upper bound. Only neighbours are compared.
    """
    require_columns(chain.columns, (*NEEDED, bid, ask), "The chain")
    numbers = {
        name: chain[name].to_numpy(dtype="float64")
        for name in dict.fromkeys((*NEEDED[-4:], "strike", bid, ask))
    }
    with np.errstate(invalid="ignore", over="ignore"):
        discount = np.exp(-numbers["rate_continuous"] * numbers["time_years"])
        growth = np.exp(numbers["carry_continuous"] * numbers["time_years"])
    keys = number_keys(chain)
    quotes = Quotes(
        bid=numbers[bid],
        ask=numbers[ask],
        spot=numbers["underlying_price"],
        strike=numbers["strike"],
        discount=discount,
        forward=numbers["underlying_price"] * growth,
        is_call=keys.is_call,
        is_american=(chain["exercise_style"] == "american").to_numpy(dtype=bool),
    )
    lower, upper = find_bounds(quotes)
    amounts = {"lower_bound": lower - quotes.ask, "upper_bound": quotes.bid - upper}
    amounts |= measure_curve_violations(quotes, keys)
    amounts["parity"] = measure_parity_violations(quotes, keys)
    table = pd.DataFrame({name: amounts[name] for name in CHECKS}, index=chain.index)
    return table.clip(lower=0.0)


def summarise_violations(amounts: pd.DataFrame, tolerance: float = 1e-6) -> pd.DataFrame:
    """Count the violations of each condition.

    Parameters
    ----------
    amounts : DataFrame
        What `measure_violations` gives.
    tolerance : float
        The amount, in currency, up to which a condition counts as held.

    Returns
    -------
    DataFrame
        ``check``, ``tested``, ``violations``, ``share`` of the tested (0 if none was), and the
        ``median`` and ``largest`` amount of the violations (0 without one).
    """
    rows = []
    for check in amounts:
        values = amounts[check].to_numpy()
        bad = values[values > tolerance]
        tested = int(np.isfinite(values).sum())
        rows.append(
            {
                "check": str(check),
                "tested": tested,
                "violations": len(bad),
                "share": len(bad) / max(tested, 1),
                "median": float(np.median(bad)) if len(bad) else 0.0,
                "largest": float(bad.max(initial=0.0)),
            }
        )
    return pd.DataFrame(rows)


def count_violations(
    frame: pd.DataFrame, price: str = "price", tolerance: float = 1e-6
) -> dict[str, float]:
    """Compute the share of prices that violate each condition.

    Parameters
    ----------
    frame : DataFrame
        The columns of ``NEEDED`` and ``price``.
    price : str
        One price for each contract, such as what a model predicts.
    tolerance : float
        In currency; a model that is written in single precision needs more than the default.

    Returns
    -------
    dict of str to float
        For each of ``CHECKS`` the share of the tested prices, and ``any``, the share of all
        prices that violate one at least.
    """
    amounts = measure_violations(frame, price, price)
    summary = summarise_violations(amounts, tolerance)
    shares = dict(zip(summary["check"], summary["share"].astype(float), strict=True))
    violated = (amounts > tolerance).any(axis=1)
    return {**shares, "any": float(violated.mean()) if len(violated) else 0.0}


def list_violations(
    chain: pd.DataFrame, amounts: pd.DataFrame, tolerance: float = 1e-6
) -> pd.DataFrame:
    """List every violation: ``check``, the contract's key, and ``amount``; the largest first."""
    parts = [
        chain[bad][list(KEY)].assign(check=check, amount=amounts[check][bad])
        for check in amounts.columns.astype(str)
        for bad in [(amounts[check] > tolerance).to_numpy()]
    ]
    listed: pd.DataFrame = pd.concat(parts)[["check", *KEY, "amount"]]
    return listed.sort_values("amount", ascending=False, kind="stable")


def find_bounds(quotes: Quotes) -> tuple[Floats, Floats]:
    """Find the lowest and the highest price that an option can have.

    Returns
    -------
    lower, upper : ndarray
        European: the discounted intrinsic value of the forward; the discounted forward for a call,
        the discounted strike for a put. American: also today's intrinsic value; the larger of
        spot and discounted forward, and of the strike and the discounted strike.
    """
    sign = np.where(quotes.is_call, 1.0, -1.0)
    paid, received = quotes.discount * quotes.strike, quotes.discount * quotes.forward
    lower = np.maximum(sign * (received - paid), 0.0)
    upper = np.where(quotes.is_call, received, paid)
    exercised = np.maximum(lower, sign * (quotes.spot - quotes.strike))
    dearest = np.where(
        quotes.is_call, np.maximum(quotes.spot, received), np.maximum(quotes.strike, paid)
    )
    american = quotes.is_american
    return np.where(american, exercised, lower), np.where(american, dearest, upper)


def measure_curve_violations(quotes: Quotes, keys: ChainKeys) -> dict[str, Floats]:
    """Measure violations between quotes of one date, root and type: strikes, then maturities.

    Returns
    -------
    dict of str to ndarray
        ``monotonicity``, ``slope``, ``convexity`` and ``calendar``; negative where there is room.
    """
    found = {
        name: np.full(len(quotes.bid), np.nan)
        for name in ("monotonicity", "slope", "convexity", "calendar")
    }
    usable = np.flatnonzero(
        np.isfinite(quotes.bid + quotes.ask + quotes.strike) & (quotes.strike > 0)
    )
    rank = np.lexsort((keys.strike[usable], keys.expiry[usable], keys.surface[usable]))
    rows = usable[rank]
    chosen = quotes.take(rows)
    # In this order, a new curve begins wherever surface or expiration change.
    begins = np.ones(len(rows), dtype=bool)
    begins[1:] = (np.diff(keys.surface[rows]) != 0) | (np.diff(keys.expiry[rows]) != 0)
    curve = np.cumsum(begins) - 1
    for name, values in _compare_strikes(chosen, curve).items():
        found[name][rows] = values
    found["calendar"][rows] = _compare_maturities(chosen, curve, keys.surface[rows])
    return found


def _compare_strikes(quotes: Quotes, curve: Integers) -> dict[str, Floats]:
    """Compare each strike of a curve with its neighbours."""
    n = len(curve)
    order, slope, convexity = (np.full(n, np.nan) for _ in range(3))
    if n > 1:
        width = np.diff(quotes.strike)
        is_step = (np.diff(curve) == 0) & (width > 0)
        dear_low, cheap_high = quotes.bid[:-1] - quotes.ask[1:], quotes.bid[1:] - quotes.ask[:-1]
        is_call = quotes.is_call[1:]
        rising = np.where(is_call, cheap_high, dear_low)
        falling = np.where(is_call, dear_low, cheap_high)
        unit = np.where(
            quotes.is_american[1:], np.maximum(quotes.discount[1:], 1.0), quotes.discount[1:]
        )
        order[1:] = np.where(is_step, rising, np.nan)
        slope[1:] = np.where(is_step, falling - unit * width, np.nan)
    if n > 2:
        is_middle = is_step[:-1] & is_step[1:]
        with np.errstate(invalid="ignore", divide="ignore"):
            weight = width[1:] / (width[:-1] + width[1:])
            chord = weight * quotes.ask[:-2] + (1.0 - weight) * quotes.ask[2:]
        convexity[1:-1] = np.where(is_middle, quotes.bid[1:-1] - chord, np.nan)
    return {"monotonicity": order, "slope": slope, "convexity": convexity}


def _compare_maturities(quotes: Quotes, curve: Integers, surface: Integers) -> Floats:
    """Compare each quote with the asks of the next expiration, interpolated between its strikes."""
    amount = np.full(len(curve), np.nan)
    if not len(curve):
        return amount
    first = np.flatnonzero(np.diff(curve, prepend=-1))
    has_next = np.append(surface[first][1:] == surface[first][:-1], False)[curve]
    scale = np.where(quotes.is_american, 1.0, quotes.forward)[first][curve]
    unit = np.where(quotes.is_american, 1.0, quotes.discount * quotes.forward)[first][curve]
    with np.errstate(invalid="ignore", divide="ignore"):
        x, bid, ask = quotes.strike / scale, quotes.bid / unit, quotes.ask / unit
    good = np.isfinite(x)
    x = np.where(good, x, 0.0)
    stride = 2.0 * x.max() + 1.0
    place = curve * stride + x
    near = np.flatnonzero(has_next & good)
    target = (curve[near] + 1) * stride + x[near]
    right = np.minimum(np.searchsorted(place, target), len(place) - 1)
    left = np.where(place[right] == target, right, right - 1)
    inside = (curve[left] == curve[near] + 1) & (curve[right] == curve[near] + 1)
    inside &= good[left] & good[right] & (place[right] >= target)
    near, left, right = near[inside], left[inside], right[inside]
    gap = x[right] - x[left]
    weight = np.where(gap > 0, (x[near] - x[left]) / np.where(gap > 0, gap, 1.0), 0.0)
    later = (1.0 - weight) * ask[left] + weight * ask[right]
    amount[near] = (bid[near] - later) * unit[near]
    return amount


def measure_parity_violations(
    quotes: Quotes, keys: ChainKeys, pairs: tuple[Integers, Integers] | None = None
) -> Floats:
    """Measure by how much a call less its put lies outside what parity allows.

    European: exactly the discounted difference of forward and strike. American: between the
    smaller of spot and discounted forward less the strike, and the larger less the discounted
    strike; for negative rates the two strikes change places. ``pairs`` are what
    `pair_calls_and_puts` finds, if that is known already.
    """
    amount = np.full(len(quotes.bid), np.nan)
    calls, puts = pair_calls_and_puts(keys) if pairs is None else pairs
    strike, discount = quotes.strike[calls], quotes.discount[calls]
    held, paid = discount * quotes.forward[calls], discount * strike
    lowest = highest = held - paid
    american = quotes.is_american[calls]
    if american.any():
        spot = quotes.spot[calls]
        low = np.minimum(spot, held) - np.maximum(strike, paid)
        high = np.maximum(spot, held) - np.minimum(strike, paid)
        lowest, highest = np.where(american, low, lowest), np.where(american, high, highest)
    dearest = quotes.ask[calls] - quotes.bid[puts]
    cheapest = quotes.bid[calls] - quotes.ask[puts]
    excess = np.maximum(cheapest - highest, lowest - dearest)
    amount[calls] = amount[puts] = excess
    return amount
