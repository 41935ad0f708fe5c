"""The forward and the discount that calls and puts agree on, without rates or dividends."""

from __future__ import annotations

import numpy as np

from tidemark.domain.chain_keys import ChainKeys, pair_calls_and_puts
from tidemark.domain.chain_rows import find_runs
from tidemark.domain.chains import Flags, Floats, Integers
from tidemark.domain.no_arbitrage import Quotes
from tidemark.domain.robust_lines import fit_weighted_lines

# Fewer pairs leave nothing to check a line by.
_MIN_PAIRS = 6
_NEAREST = 7
# Pairs with a larger difference, as a share of the forward, are not looked at: it saves time.
_NEAR_SHARE = 0.25
# The nearest pairs are mostly within this share, where there are enough of them.
_NEARER_SHARE = 0.05
# What a discount can be in any market that these chains come from.
_DISCOUNTS = (0.5, 1.1)
_PASSES = 4


def imply_parity(
    quotes: Quotes, keys: ChainKeys, pairs: tuple[Integers, Integers] | None = None
) -> tuple[Floats, Floats]:
    """Imply discounted forward and discount of each date, root and expiration.

    European style: the line through call less put over strikes, weighted by the inverse square of
    both spreads; pairs that the line misses by more than their costs weigh less, in a few passes.
    American style: the discount is the one given, and the discounted forward is the median over
    the pairs with the smallest difference of call and put, where early exercise matters least.

    Parameters
    ----------
    quotes : Quotes
        Its forward is not read.
    keys : ChainKeys
        The keys of the same rows.
    pairs : tuple of ndarray, optional
        What `pair_calls_and_puts` finds, if that is known already.

    Returns
    -------
    discounted_forward, discount : ndarray, shape (rows,)
        NaN where fewer than six pairs are quoted on both sides, or no sensible line is found.

    References
    ----------
    Stoll, H. R. (1969), The relationship between put and call option prices, Journal of Finance
    24, 801-824.
    """
    calls, puts = pair_calls_and_puts(keys) if pairs is None else pairs
    call_bid, call_ask = quotes.bid[calls], quotes.ask[calls]
    put_bid, put_ask = quotes.bid[puts], quotes.ask[puts]
    middle = (call_bid + call_ask - put_bid - put_ask) / 2.0
    cost = (call_ask - call_bid + put_ask - put_bid) / 2.0
    good = (call_bid > 0) & (put_bid > 0) & (call_ask >= call_bid) & (put_ask >= put_bid)
    group, n = _number_runs(keys.expiry)
    calls, middle, cost = calls[good], middle[good], cost[good]
    of_pair, strike = group[calls], quotes.strike[calls]
    american = quotes.is_american[calls]
    forward, discount = np.full((2, n), np.nan)
    if not american.all():
        chosen = ~american
        forward, discount = _fit_lines(
            of_pair[chosen], middle[chosen], cost[chosen], strike[chosen], n
        )
    if american.any():
        rate = quotes.discount[calls[american]]
        median, given = _find_medians(
            of_pair[american], middle[american], strike[american] * rate, rate, n
        )
        is_new = np.isnan(forward)
        forward, discount = np.where(is_new, median, forward), np.where(is_new, given, discount)
    return forward[group], discount[group]


def _number_runs(expiry: Integers) -> tuple[Integers, int]:
    """Count expirations from 0, whatever the order of their rows."""
    runs = find_runs(expiry)
    found, number = np.unique(expiry[runs.first], return_inverse=True)
    group: Integers = runs.spread(number)
    return group, len(found)


def _fit_lines(
    group: Integers, middle: Floats, cost: Floats, strike: Floats, n: int
) -> tuple[Floats, Floats]:
    """Fit ``middle = forward - discount * strike`` in each group; give both, NaN without sense.

    The unit of a residual is what a pair costs, and the passes are few: a line only has to tell
    violations, whatever is among the quotes. `tidemark.domain.robust_lines.fit_lines`, which
    estimates its unit and goes on until nothing moves, is nearer where errors are smaller than
    costs, further where they are gross, and takes ten times as long.
    """
    least = np.maximum(cost, 1e-4 * strike)
    weight = 1.0 / np.square(least)
    for _ in range(_PASSES):
        level, slope = fit_weighted_lines(strike, middle, weight, group, n)
        missed = np.abs(middle - level[group] - slope[group] * strike) / least
        # Cauchy's weights: a pair that is missed by ten times its costs hardly counts.
        weight = 1.0 / (np.square(least) * (1.0 + np.square(missed)))
    discount = -slope
    pairs = np.bincount(group, minlength=n)
    sensible = (pairs >= _MIN_PAIRS) & (discount > _DISCOUNTS[0]) & (discount < _DISCOUNTS[1])
    return np.where(sensible, level, np.nan), np.where(sensible, discount, np.nan)


def _find_medians(
    group: Integers, middle: Floats, paid: Floats, discount: Floats, n: int
) -> tuple[Floats, Floats]:
    """Take the median of ``middle + paid`` over the pairs of each group nearest to the money."""
    held = middle + paid
    near = np.flatnonzero(np.abs(middle) < _NEAR_SHARE * held)
    near = near[_may_be_nearest(np.abs(middle[near]), held[near], group[near], n)]
    near = near[np.lexsort((np.abs(middle[near]), group[near]))]
    rank = _rank_within(group[near])
    near = near[rank < _NEAREST]
    ordered = near[np.lexsort((held[near], group[near]))]
    groups, first, counts = np.unique(group[ordered], return_index=True, return_counts=True)
    enough: Flags = counts >= _MIN_PAIRS
    groups, first, counts = groups[enough], first[enough], counts[enough]
    low, high = ordered[first + (counts - 1) // 2], ordered[first + counts // 2]
    median, given = np.full((2, n), np.nan)
    median[groups] = (held[low] + held[high]) / 2.0
    given[groups] = discount[low]
    return median, given


def _may_be_nearest(distance: Floats, held: Floats, group: Integers, n: int) -> Flags:
    """Leave out what cannot be among the nearest of its group, so that little is sorted."""
    limit = np.zeros(n)
    limit[group] = _NEARER_SHARE * held  # of any one pair
    is_nearer: Flags = distance <= limit[group]
    has_enough = np.bincount(group[is_nearer], minlength=n) >= _NEAREST
    return is_nearer | ~has_enough[group]


def _rank_within(group: Integers) -> Integers:
    """Count from 0 within each run of equal numbers."""
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    lengths = np.diff(np.append(begins, len(group)))
    ranks: Integers = np.arange(len(group)) - np.repeat(begins, lengths)
    return ranks
