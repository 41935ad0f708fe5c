"""Node functions from accepted quotes to inputs, baselines, targets and the rows of each group."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd

from tidemark import incidents
from tidemark.domain.audit import describe_leaks, find_leaks, list_cuts
from tidemark.domain.greeks import DAYS_PER_YEAR
from tidemark.domain.option_baselines import OWN_IV, SURFACE_BY_STRIKE, price_baselines
from tidemark.domain.option_inputs import (
    KEYS,
    OWN_PAST,
    build_inputs,
    combine_inputs,
    read_market,
)
from tidemark.errors import DataError
from tidemark.pipelines.data_engineering.options.params import (
    GroupParams,
    PricingParams,
    UniverseParams,
)
from tidemark.pipelines.params import AuditParams

logger = logging.getLogger(__name__)


def price(
    contracts: pd.DataFrame, market: pd.DataFrame, params: PricingParams, universe: UniverseParams
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Read the market of every date, and price every contract without looking at its quote.

    Returns
    -------
    inputs : DataFrame
        As `tidemark.domain.option_inputs.build_inputs`.
    volatilities : DataFrame
        What today's quotes imply, for what is circular, and for errors in volatility.
    baselines : DataFrame
        As `tidemark.domain.option_baselines.price_baselines`.
    targets : DataFrame
        ``date, contract, target`` (the middle of the quote over the strike), ``offset`` (the
        baseline that models may correct: Black-Scholes with the surface of the session before, at
        the same strike) and ``eligible``, the rows of the universe.
    facts : DataFrame
        What errors are judged with: terms, quote, and today's ``carry`` and ``rate``.
    """
    settings = params.settings()
    known = read_market(contracts, market, settings)
    inputs = combine_inputs(contracts, market, known, settings)
    baselines = price_baselines(contracts, inputs, known.volatilities)
    rows = contracts.merge(market, on=list(KEYS), validate="one_to_one")
    carry, rate = known.curves.read(rows["date"].to_numpy(), rows["time_years"].to_numpy())
    facts = rows.assign(
        mid=(rows["bid"] + rows["ask"]) / 2.0, carry_continuous=carry, rate_continuous=rate
    )
    # All tables have the same rows in the same order: those of the contracts, by key.
    targets = facts[list(KEYS)].assign(
        target=facts["mid"] / facts["strike"],
        offset=baselines[SURFACE_BY_STRIKE].to_numpy(),
        eligible=_find_eligible(facts, inputs, baselines, universe),
    )
    logger.info("%d of %d quotes are in the universe", targets["eligible"].sum(), len(targets))
    return inputs, known.volatilities, baselines, targets, facts


def _find_eligible(
    facts: pd.DataFrame,
    inputs: pd.DataFrame,
    baselines: pd.DataFrame,
    universe: UniverseParams,
) -> np.ndarray:
    days = (facts["time_years"] * DAYS_PER_YEAR).round(6)  # a year of 365 days is no whole number
    sessions = np.unique(facts["date"].to_numpy())
    number = np.searchsorted(sessions, facts["date"].to_numpy())
    needed = inputs.drop(columns=[*KEYS, *OWN_PAST])
    prices = baselines.drop(columns=list(KEYS))
    is_known = (needed.notna().all(axis=1) & prices.notna().all(axis=1)).to_numpy()
    is_inside = (
        (days >= universe.min_days)
        & (days <= universe.max_days)
        & (inputs["log_strike"].abs() <= universe.max_log_strike)
        & (facts["mid"] >= universe.min_price)
        & ~facts["zero_day"]
    )
    return np.asarray(is_inside.to_numpy() & is_known & (number >= universe.warm_up_sessions))


def choose(
    targets: pd.DataFrame,
    inputs: pd.DataFrame,
    baselines: pd.DataFrame,
    params: GroupParams,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Choose the quotes that a comparison group scores, and those that its models learn from.

    Returns
    -------
    targets : DataFrame
        Of the eligible rows, with ``is_scored`` and ``is_learnt``; what is neither is not eligible.
    baselines : DataFrame
        Without the one that knows today's price, unless the group is circular.

    Raises
    ------
    DataError
        If nothing is left to score or to learn from.
    """
    eligible = targets["eligible"].to_numpy()
    if params.max_spread is not None:
        eligible = eligible & (inputs["own_spread"] <= params.max_spread).to_numpy()
    if params.min_volume is not None:
        eligible = eligible & (inputs["own_volume"] >= np.log1p(params.min_volume)).to_numpy()
    is_scored = is_learnt = eligible
    if params.hold_out_every is not None:
        held_out = _hold_out(targets["contract"], params.hold_out_every)
        is_scored, is_learnt = eligible & held_out, eligible & ~held_out
    if not (is_scored.any() and is_learnt.any()):
        raise DataError(
            f"{int(is_scored.sum())} quotes are left to score and {int(is_learnt.sum())} to learn "
            f"from. Loosen the group's bounds ({params}) or those of the universe."
        )
    chosen = targets.assign(eligible=eligible, is_scored=is_scored, is_learnt=is_learnt)
    return chosen, baselines if params.is_circular else baselines.drop(columns=OWN_IV)


def _hold_out(contracts: pd.Series, every: int) -> np.ndarray:
    """Choose every n-th expiration among those that have the same roots, in the order of dates.

    Months and weeks are chosen apart: one month has as many quotes as many weeks. An expiration
    is held out whole, whichever root its contracts have.
    """
    parts = contracts.str.rsplit(" ", n=3)
    table = pd.DataFrame({"root": parts.str[0], "expiration": parts.str[1]})
    roots = table.drop_duplicates().sort_values(["expiration", "root"])
    kinds = roots.groupby("expiration")["root"].agg(" ".join)
    number = kinds.groupby(kinds).cumcount()
    chosen = number.index[number % every == every - 1]
    return table["expiration"].isin(chosen).to_numpy()


def audit(
    contracts: pd.DataFrame,
    market: pd.DataFrame,
    dates: dict[str, Any],
    pricing: PricingParams,
    params: AuditParams,
) -> dict[str, Any]:
    """Look for the future, and for quotes of the same day, in the baselines that are not circular.

    Returns
    -------
    dict
        ``passed``, and one sentence for each finding; ready for JSON.
    """
    settings = pricing.settings()

    def build(contracts: pd.DataFrame, market: pd.DataFrame) -> pd.DataFrame:
        inputs = build_inputs(contracts, market, settings)
        nothing = market[list(KEYS)].assign(
            vol_annual=np.nan, carry_today=np.nan, rate_today=np.nan
        )
        return price_baselines(contracts, inputs, nothing).drop(columns=OWN_IV)

    sessions = np.unique(contracts["date"].to_numpy())
    cuts = list_cuts(sessions, dates["train_end"], params.n_cuts)
    delay = params.exogenous_delay_days
    leaks = find_leaks(build, contracts, market, list(KEYS), cuts, delay, params.seed)
    findings = describe_leaks(leaks, "baseline")
    if findings:
        incidents.report("leak", "; ".join(findings))
    return {"passed": not findings, "findings": findings}
