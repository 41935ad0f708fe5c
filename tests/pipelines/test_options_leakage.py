"""No quote of a day reaches that day's features: quotes change places, and features do not move."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal

from tidemark import incidents
from tidemark.domain.features import feature_columns
from tidemark.domain.option_baselines import OWN_IV
from tidemark.domain.option_features import build_option_features, build_same_day_features
from tidemark.domain.option_inputs import build_inputs, read_market
from tidemark.pipelines.data_engineering.options import pricing
from tidemark.pipelines.data_engineering.options.params import (
    GroupParams,
    OptionPreprocessParams,
)
from tidemark.pipelines.data_engineering.options.treatment import preprocess, take_same_day
from tidemark.pipelines.data_engineering.publishing import publish
from tidemark.pipelines.feature_engineering.auditing import audit_features
from tidemark.pipelines.feature_engineering.options import nodes as features
from tidemark.pipelines.feature_engineering.splitting import split

sys.path.insert(0, str(Path(__file__).parent))

import options_world as world

TREATMENTS = ["drop", "surface"]
KEYS = world.KEYS


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> world.Accepted:
    """Accept the simulated chain."""
    return world.accept(world.simulate_quotes(), tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="module")
def priced(accepted: world.Accepted) -> world.Priced:
    """Price it."""
    return world.price(accepted.contracts, accepted.market)


@pytest.fixture(scope="module")
def sessions(accepted: world.Accepted) -> np.ndarray:
    """List its sessions."""
    return np.unique(accepted.contracts["date"].to_numpy())


def featurise(priced: world.Priced, missing: str) -> pd.DataFrame:
    """Treat and build the features of a scenario that is not circular."""
    params = OptionPreprocessParams.model_validate({"missing": missing})
    return features.featurise(preprocess(priced.inputs, params)[0])


def make_study(
    accepted: world.Accepted, priced: world.Priced, built: pd.DataFrame, **group: Any
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Cut features into train and test as the study does, and give the dates."""
    chosen = pricing.choose(
        priced.targets, priced.inputs, priced.baselines, GroupParams.model_validate(group)
    )
    dates, _, _ = publish(*chosen, world.SPLIT, world.EVALUATION)
    dates = json.loads(json.dumps(dates))
    return *split(built, chosen[0], dates), dates


Permute = Callable[[pd.DataFrame, Any], pd.DataFrame]


@pytest.mark.parametrize("at", [40, 60])
@pytest.mark.parametrize("permute", [world.permute_quotes, world.swap_neighbours])
def test_permuted_quotes_of_a_day_change_no_feature_of_that_day(
    accepted: world.Accepted,
    priced: world.Priced,
    sessions: np.ndarray,
    permute: Permute,
    at: int,
) -> None:
    """Not a bit of features and baselines up to the day, of any treatment that is honest."""
    day = sessions[at]
    market = permute(accepted.market, day)
    own = accepted.market["date"] == day
    assert (market.loc[own, "bid"] != accepted.market.loc[own, "bid"]).mean() > 0.1
    for name in world.QUOTED:
        assert_array_equal(*(np.sort(one.loc[own, name]) for one in (market, accepted.market)))
    assert_frame_equal(market[~own], accepted.market[~own])
    other = world.price(accepted.contracts, market)

    honest = [name for name in priced.baselines if name != OWN_IV]
    pairs = [(featurise(priced, one), featurise(other, one)) for one in TREATMENTS]
    for tables in (*pairs, (priced.baselines[honest], other.baselines[honest])):
        past = [table[table["date"] <= day] for table in tables]
        assert (past[0]["date"] == day).sum() > 100
        assert_frame_equal(*past, check_exact=True)
    targets = [one.targets[one.targets["date"] == day] for one in (priced, other)]
    assert_series_equal(targets[0]["offset"], targets[1]["offset"], check_exact=True)
    assert (targets[0]["target"] != targets[1]["target"]).mean() > 0.1


@pytest.mark.parametrize("missing", TREATMENTS)
def test_permuted_quotes_of_a_day_change_the_features_of_the_next(
    accepted: world.Accepted, priced: world.Priced, sessions: np.ndarray, missing: str
) -> None:
    """All that come from the market move; of a day that is all nonsense, the surface is skipped."""
    day, following = sessions[40], sessions[41]
    built = featurise(priced, missing)
    names = feature_columns(built, KEYS)
    of_today = {
        *("log_strike", "sqrt_time", "is_call", "return_1", "return_5", "historical_vol"),
        "intrinsic",
    }
    swapped = world.price(accepted.contracts, world.swap_neighbours(accepted.market, day))
    first, second = (
        table[table["date"] == following].reset_index(drop=True)
        for table in (built, featurise(swapped, missing))
    )
    assert len(first) > 100
    assert_frame_equal(first[KEYS], second[KEYS])
    moved = {name for name in names if not first[name].equals(second[name])}
    assert moved | {"was_missing"} == set(names) - of_today

    anywhere = world.price(accepted.contracts, world.permute_quotes(accepted.market, day))
    again = featurise(anywhere, missing)
    again = again[again["date"] == following].reset_index(drop=True)
    assert_frame_equal(first[KEYS], again[KEYS])
    # What is read off a surface, or over sessions, is as if the day had never been quoted.
    without = accepted.market[accepted.market["date"] != day]
    settings = world.PRICING.settings()
    inputs = build_inputs(accepted.contracts, without, settings)
    inputs = again[KEYS].merge(inputs, on=KEYS, validate="one_to_one")
    read = ["carry", "rate", "strike_vol", "moneyness_vol", "atm_vol", "slope", "atm_change"]
    assert_frame_equal(again[read], inputs[read], check_exact=True)
    assert (again[read] != first[read]).mean().min() > 0.5
    assert day in set(read_market(accepted.contracts, accepted.market, settings).smiles.day)


@pytest.mark.parametrize("missing", TREATMENTS)
def test_permuted_quotes_of_a_day_do_change_what_is_circular(
    accepted: world.Accepted, priced: world.Priced, sessions: np.ndarray, missing: str
) -> None:
    """Today's own volatility is of today's quotes, as a feature and as a baseline."""
    day = sessions[40]
    other = world.price(accepted.contracts, world.permute_quotes(accepted.market, day))
    params = OptionPreprocessParams.model_validate({"missing": missing, "same_day": True})
    built = [
        build_same_day_features(take_same_day(one.inputs, one.volatilities, params)[0])
        for one in (priced, other)
    ]
    before, own = ([table[table["date"] == one] for table in built] for one in (sessions[39], day))
    assert_frame_equal(*before, check_exact=True)
    joined = own[0].merge(own[1], on=KEYS)
    assert (joined["implied_vol_x"] != joined["implied_vol_y"]).mean() > 0.9
    assert (joined["moneyness_x"] == joined["moneyness_y"]).all()
    priced_today = [
        one.baselines.loc[one.baselines["date"] == day, OWN_IV] for one in (priced, other)
    ]
    assert (priced_today[0] != priced_today[1]).mean() > 0.9


def test_permuted_quotes_of_a_source_change_no_feature_of_contracts_with_a_past(
    accepted: world.Accepted, sessions: np.ndarray, tmp_path: Path
) -> None:
    """Before the checks: others are quarantined then, and those that stay know nothing of it."""
    day = sessions[50]
    quotes = world.permute_quotes(world.simulate_quotes(), day, "quote_date")
    again = world.accept(quotes, tmp_path)
    own = [(one.contracts["date"] == day).sum() for one in (accepted, again)]
    assert own[0] != own[1]  # or the checks have not seen the permutation
    found = []
    for one in (accepted, again):
        inputs = build_inputs(one.contracts, one.market, world.PRICING.settings())
        built = build_option_features(preprocess(inputs, OptionPreprocessParams())[0])
        found.append(built[(built["date"] == day) & (built["was_missing"] == 0.0)])
    both = found[0][KEYS].merge(found[1][KEYS])
    assert len(both) > 100
    first, second = (both.merge(one, how="left") for one in found)
    assert_frame_equal(first, second, check_exact=True)


def test_truncated_and_altered_future_changes_nothing_before(
    accepted: world.Accepted, priced: world.Priced, sessions: np.ndarray
) -> None:
    """Quotes and terms end on a day, or are wild after it: not a bit of what was before moves."""
    rng = np.random.default_rng(1)
    for at in (2, 25, 45, 70):
        cut = sessions[at]
        later = (accepted.contracts["date"] > cut).to_numpy()
        wild = accepted.market.copy()
        spots = accepted.contracts.copy()
        wild.loc[later, world.QUOTED] *= rng.uniform(0.5, 2.0, (later.sum(), 4))
        spots.loc[later, "underlying_price"] *= 1.5
        for contracts, market in (
            (accepted.contracts[~later], accepted.market[~later]),
            (spots, wild),
        ):
            again = world.price(contracts, market)
            for name in ("inputs", "targets", "baselines", "volatilities"):
                first, second = (getattr(one, name) for one in (priced, again))
                past = [one[one["date"] <= cut].reset_index(drop=True) for one in (first, second)]
                assert_frame_equal(*past, check_exact=True)
            if len(contracts) == len(later):
                moved = priced.inputs["date"] > cut
                assert not priced.inputs[moved].equals(again.inputs[moved])


@pytest.mark.parametrize("missing", TREATMENTS)
def test_audit_passes_on_honest_features(
    accepted: world.Accepted, priced: world.Priced, missing: str
) -> None:
    """And so does the audit of the baselines; nobody hears of an incident."""
    collector = incidents.collect()
    train, test, dates = make_study(accepted, priced, featurise(priced, missing))
    params = OptionPreprocessParams.model_validate({"missing": missing})
    found = features.audit(
        accepted.contracts,
        accepted.market,
        train,
        test,
        dates,
        params,
        world.PRICING,
        world.AUDIT,
    )
    assert (found["passed"], found["findings"]) == (True, [])
    assert len(found["cuts"]) == 2
    assert found["training_periods"] == len(dates["folds"]) + len(dates["refits"])
    prices = pricing.audit(accepted.contracts, accepted.market, dates, world.PRICING, world.AUDIT)
    assert prices == {"passed": True, "findings": []}
    assert json.loads(json.dumps(found)) == found
    assert collector.found == []


def test_audit_finds_features_of_the_same_day(
    accepted: world.Accepted, priced: world.Priced, sessions: np.ndarray
) -> None:
    """What take_same_day gives models is found, feature by feature; moneyness is honest."""
    params = OptionPreprocessParams(same_day=True)
    settings = world.PRICING.settings()

    def build(contracts: pd.DataFrame, market: pd.DataFrame) -> pd.DataFrame:
        volatilities = read_market(contracts, market, settings).volatilities
        inputs = build_inputs(contracts, market, settings)
        processed, _ = take_same_day(inputs, volatilities, params)
        return build_same_day_features(processed).drop(columns="is_learnt")

    processed, _ = take_same_day(priced.inputs, priced.volatilities, params)
    train, test, dates = make_study(
        accepted, priced, build_same_day_features(processed), is_circular=True
    )
    names = [*KEYS, *feature_columns(train, KEYS)]
    read = pd.concat([train, test])[names]
    collector = incidents.collect()
    found = audit_features(
        build, accepted.contracts, accepted.market, read, sessions, dates, world.AUDIT
    )
    assert not found["passed"]
    assert found["features"] == ["implied_vol", "vol_time"]
    assert all("changes with the future" in one for one in found["findings"])
    assert [one.kind for one in collector.found] == ["leak"]


def test_audit_finds_a_feature_of_tomorrow_and_one_that_is_not_as_built(
    accepted: world.Accepted, priced: world.Priced
) -> None:
    """Spreads that were today's in what models read, and nowhere else."""
    built = featurise(priced, "surface")
    today = accepted.market.assign(
        own_spread=(accepted.market["ask"] - accepted.market["bid"])
        / (accepted.market["ask"] + accepted.market["bid"])
    )
    foreign = built.drop(columns="own_spread").merge(today[[*KEYS, "own_spread"]], on=KEYS)
    train, test, dates = make_study(accepted, priced, foreign)
    found = features.audit(
        accepted.contracts,
        accepted.market,
        train,
        test,
        dates,
        OptionPreprocessParams(),
        world.PRICING,
        world.AUDIT,
    )
    assert found["findings"] == ["feature own_spread is not what building it gives"]


def test_audit_finds_prices_of_the_same_day_among_baselines(
    accepted: world.Accepted,
    priced: world.Priced,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A baseline that reads the surface of its own day is told of."""

    def peek(contracts: pd.DataFrame, market: pd.DataFrame, settings: Any) -> pd.DataFrame:
        inputs = build_inputs(contracts, market, settings)
        own = read_market(contracts, market, settings).volatilities[[*KEYS, "vol_annual"]]
        today = inputs[KEYS].merge(own, on=KEYS, how="left")["vol_annual"]
        return inputs.assign(strike_vol=today.fillna(inputs["strike_vol"]))

    _, _, dates = make_study(accepted, priced, featurise(priced, "surface"))
    monkeypatch.setattr(pricing, "build_inputs", peek)
    found = pricing.audit(accepted.contracts, accepted.market, dates, world.PRICING, world.AUDIT)
    assert not found["passed"]
    assert [one.split()[:2] for one in found["findings"]] == [["baseline", "surface_by_strike"]]


def test_declaration_of_what_is_circular_names_its_features(
    accepted: world.Accepted, priced: world.Priced
) -> None:
    """It stands in the place of an audit, passes, and says why."""
    params = OptionPreprocessParams(same_day=True)
    processed, _ = take_same_day(priced.inputs, priced.volatilities, params)
    built = features.featurise_same_day(processed)
    train, _, dates = make_study(accepted, priced, built, is_circular=True)
    found = features.declare_circular(train, dates)
    assert (found["passed"], found["findings"], found["cuts"]) == (True, [], [])
    assert found["features"] == ["implied_vol", "moneyness", "vol_time"]
    assert found["circular"].startswith("circular by design")
