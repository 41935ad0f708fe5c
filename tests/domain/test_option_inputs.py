"""Inputs know today's terms and yesterday's market; in a known world they are known numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

from tidemark.domain.black_scholes import price
from tidemark.domain.chains import build_chain, measure_time_years
from tidemark.domain.option_inputs import (
    BASELINES,
    HISTORICAL_VOL,
    KEYS,
    OWN_IV,
    OWN_PAST,
    SURFACE_BY_MONEYNESS,
    SURFACE_BY_STRIKE,
    InputSettings,
    build_inputs,
    name_contracts,
    price_baselines,
    read_market,
)

RATE, CARRY = 0.03, 0.012
SETTINGS = InputSettings(volatility_sessions=4)
# A Thursday is missing: the session before the Friday is the Wednesday.
DAYS = pd.DatetimeIndex(
    [
        *pd.bdate_range("2019-04-29", "2019-05-08"),
        *pd.bdate_range("2019-05-10", "2019-05-14"),
    ]
).as_unit("us")
EXPIRATIONS = {"SPX": ("2019-06-21", "2019-09-20"), "SPXW": ("2019-06-21", "2019-05-31")}
Smile = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of the session's number, and moneyness


@dataclass(frozen=True)
class World:
    """A market whose volatilities are known."""

    contracts: pd.DataFrame
    market: pd.DataFrame

    def build(self, settings: InputSettings = SETTINGS) -> pd.DataFrame:
        """Build the inputs."""
        return build_inputs(self.contracts, self.market, settings)

    def price(self) -> tuple[pd.DataFrame, np.ndarray]:
        """Price the baselines; return them, and the middles of the quotes over strikes."""
        known = read_market(self.contracts, self.market, SETTINGS)
        baselines = price_baselines(self.contracts, self.build(), known.volatilities)
        middle = (self.market["bid"] + self.market["ask"]) / 2.0
        return baselines, (middle / self.contracts["strike"]).to_numpy()


def make_world(smile: Smile, half_spread: float = 0.01) -> World:
    """Make quotes around Black-Scholes prices under a smile in standardised moneyness."""
    spots = 2900.0 * np.exp(np.cumsum(np.random.default_rng(2).normal(0.0, 0.006, len(DAYS))))
    listed = [(root, one) for root, ends in EXPIRATIONS.items() for one in ends]
    strikes = np.arange(2600.0, 3151.0, 25.0)
    keys = pd.MultiIndex.from_product(
        [range(len(DAYS)), range(len(listed)), ["call", "put"], strikes],
        names=["session", "series", "option_type", "strike"],
    ).to_frame(index=False)
    roots, ends = (np.array(part)[keys["series"]] for part in zip(*listed, strict=True))
    session = keys["session"].to_numpy()
    chain = build_chain(
        {
            "quote_date": DAYS[session],
            "underlying": "SPX",
            "root": roots,
            "settlement": np.where(roots == "SPX", "am", "pm"),
            "exercise_style": "european",
            "underlying_price": spots[session],
            "expiration": pd.to_datetime(ends),
            "option_type": keys["option_type"],
            "strike": keys["strike"],
        },
        len(keys),
    )
    time = measure_time_years(chain)
    is_call = (chain["option_type"] == "call").to_numpy()
    moneyness = (np.log(chain["strike"] / spots[session]) - CARRY * time) / np.sqrt(time)
    vol = smile(session, moneyness.to_numpy())
    fair = price(spots[session], chain["strike"], time, RATE, vol, is_call, CARRY)
    number = np.arange(len(chain), dtype="float64")
    rows = chain.rename(columns={"quote_date": "date"}).assign(
        contract=name_contracts(chain),
        time_years=time,
        bid=fair - half_spread,
        ask=fair + half_spread,
        volume=number,
        open_interest=2.0 * number,
    )
    rows = rows[rows["bid"] > 0].sort_values(list(KEYS), ignore_index=True)
    market = ["bid", "ask", "volume", "open_interest"]
    return World(rows.drop(columns=[*market, "last"]), rows[[*KEYS, *market]])


@pytest.fixture(scope="module")
def flat() -> World:
    """Make a world of one volatility."""
    return make_world(lambda session, moneyness: np.full(len(moneyness), 0.2))


@pytest.fixture(scope="module")
def tilted() -> World:
    """Make a world whose smile is a line that is higher by a point each session."""
    return make_world(lambda session, moneyness: 0.20 + 0.01 * session - 0.05 * moneyness)


def test_contracts_of_two_roots_have_two_names(flat: World) -> None:
    """SPX and SPXW of one expiration and strike are settled apart, and are no namesakes."""
    frame = pd.DataFrame(
        {
            "root": ["SPX", "SPXW", "SPX", "SPX", "SPX", "SPX"],
            "expiration": pd.to_datetime(["2019-06-21"] * 4 + ["2019-06-20", "2019-06-21"]),
            "option_type": ["call", "call", "put", "call", "call", "call"],
            "strike": [2800.0, 2800.0, 2800.0, 2802.5, 2800.0, 2800.125],
        },
        index=[5, 3, 9, 1, 0, 2],
    )
    names = name_contracts(frame)
    assert names.tolist() == [
        "SPX 2019-06-21 C 2800",
        "SPXW 2019-06-21 C 2800",
        "SPX 2019-06-21 P 2800",
        "SPX 2019-06-21 C 2802.5",
        "SPX 2019-06-20 C 2800",
        "SPX 2019-06-21 C 2800.125",
    ]
    assert names.index.tolist() == frame.index.tolist()
    terms = ["root", "expiration", "option_type", "strike"]
    assert flat.contracts["contract"].nunique() == len(flat.contracts[terms].drop_duplicates())


def test_flat_world_has_flat_smiles(flat: World) -> None:
    """Every volatility is 0.2, rates and carries are those of the prices."""
    known = read_market(flat.contracts, flat.market, SETTINGS)
    assert (known.volatilities["code"] == 0).all()
    near = known.volatilities["log_moneyness"].abs() < 0.05
    assert_allclose(known.volatilities["vol_annual"][near], 0.2, atol=1e-6)
    assert_allclose(known.smiles.vol_annual, 0.2, atol=1e-5)
    assert_allclose(known.forwards["rate_continuous"], RATE, atol=1e-6)
    assert_allclose(known.forwards["carry_continuous"], CARRY, atol=1e-6)


def test_flat_world_inputs_are_known_numbers(flat: World) -> None:
    """From the second session on; the change of the volatility from the third on."""
    inputs = flat.build()
    first, second = (inputs["date"] == DAYS[at] for at in (0, 1))
    of_market = ["carry", "rate", "strike_vol", "moneyness_vol", "atm_vol", "slope"]
    assert inputs.loc[first, [*of_market, "atm_change"]].isna().all(axis=None)
    assert inputs.loc[second, "atm_change"].isna().all()
    later = inputs[~first]
    expected = dict(zip(of_market, (CARRY, RATE, 0.2, 0.2, 0.2, 0.0), strict=True))
    for name, value in expected.items():
        assert_allclose(later[name], value, atol=1e-4 if name == "slope" else 1e-5, err_msg=name)
    assert_allclose(inputs.loc[~first & ~second, "atm_change"], 0.0, atol=1e-5)


def test_flat_world_surface_baselines_price_exactly(flat: World) -> None:
    """With yesterday's surface, at the strike and at the moneyness, and with today's own."""
    baselines, middle = flat.price()
    assert list(baselines) == [*KEYS, *BASELINES]
    known = (baselines["date"] > DAYS[0]).to_numpy()
    for name in (SURFACE_BY_STRIKE, SURFACE_BY_MONEYNESS, OWN_IV):
        assert_allclose(baselines[name][known], middle[known], atol=1e-7, err_msg=name)
        assert baselines[name][~known].isna().all()
    wrong = baselines[HISTORICAL_VOL][baselines["date"] > DAYS[4]]
    assert (np.abs(wrong - middle[-len(wrong) :]) > 1e-4).mean() > 0.5


def test_surface_is_read_at_the_strike_and_at_the_moneyness(tilted: World) -> None:
    """Of a smile that is a line, both are what the line says, a session before."""
    inputs = tilted.build()
    rows = inputs.merge(tilted.contracts, on=list(KEYS), suffixes=("", "_again"))
    spots = rows.groupby("date")["underlying_price"].first()
    session = np.searchsorted(DAYS, rows["date"])
    since = (DAYS[session] - DAYS[session - 1]).days / 365.0
    before = spots.to_numpy()[session - 1]
    time = (rows["time_years"] + since).to_numpy()
    level = 0.20 + 0.01 * (session - 1)
    log_then = np.log(rows["strike"] / before) - CARRY * time
    log_now = np.log(rows["strike"] / rows["underlying_price"]) - CARRY * rows["time_years"]
    inner = (session > 0) & (log_then.abs() < 0.04) & (log_now.abs() < 0.04)
    assert inner.sum() > 500
    expected = {
        "strike_vol": level - 0.05 * log_then / np.sqrt(time),
        "moneyness_vol": level - 0.05 * log_now / np.sqrt(time),
        "atm_vol": pd.Series(level),
        "slope": pd.Series(np.full(len(rows), -0.05)),
    }
    for name, values in expected.items():
        digits = 2e-3 if name == "slope" else 2e-5
        assert_allclose(inputs[name][inner], values[inner], atol=digits, err_msg=name)
    assert_allclose(inputs["atm_change"][inner & (session > 1)], 0.01, atol=3e-5)
    moved = (inputs["strike_vol"] - inputs["moneyness_vol"])[inner].abs()
    assert moved.max() > 1e-4  # or the two could be one


def test_historical_volatility_is_that_of_the_last_returns(flat: World) -> None:
    """The sample deviation of four log returns over 252 sessions a year, today's included."""
    inputs = flat.build()
    spots = flat.contracts.groupby("date")["underlying_price"].first().to_numpy()
    returns = np.diff(np.log(spots))
    for number, day in enumerate(DAYS):
        own = inputs[inputs["date"] == day]
        if number < 4:
            assert own["historical_vol"].isna().all()
            continue
        last = returns[number - 4 : number]
        assert_allclose(own["historical_vol"], np.std(last, ddof=1) * np.sqrt(252.0), rtol=1e-9)
        assert_allclose(own["return_1"], returns[number - 1], rtol=1e-9)
        if number >= 5:
            assert_allclose(own["return_5"], np.log(spots[number] / spots[number - 5]), rtol=1e-9)


def test_terms_are_those_of_the_date(flat: World) -> None:
    """Strike over the underlying, the time that is left, and whether it is a call."""
    inputs, rows = flat.build(), flat.contracts
    assert_frame_equal(inputs[list(KEYS)], rows[list(KEYS)])
    assert_allclose(inputs["log_strike"], np.log(rows["strike"] / rows["underlying_price"]))
    assert_array_equal(inputs["time_years"], rows["time_years"])
    assert_allclose(inputs["sqrt_time"] ** 2, rows["time_years"])
    assert_array_equal(inputs["is_call"], rows["option_type"] == "call")


def test_own_past_is_of_the_last_session_there_was(flat: World) -> None:
    """Across a missing Thursday it is Wednesday's; a session further back counts for nothing."""
    gone = "SPXW 2019-06-21 P 2800"
    wednesday, friday = pd.Timestamp("2019-05-08"), pd.Timestamp("2019-05-10")
    is_out = (flat.contracts["date"] == wednesday) & (flat.contracts["contract"] == gone)
    assert is_out.sum() == 1
    world = World(flat.contracts[~is_out], flat.market[~is_out])
    inputs = world.build().set_index(list(KEYS))
    held = world.market.set_index(list(KEYS))
    own = inputs.loc[friday]
    assert own.index[own["own_volume"].isna()].tolist() == [gone]
    assert own.loc[gone, list(OWN_PAST)].isna().all()
    rest = own.drop(index=gone)
    before = held.loc[wednesday].loc[rest.index]
    assert_allclose(rest["own_volume"], np.log1p(before["volume"]))
    assert_allclose(rest["own_open_interest"], np.log1p(before["open_interest"]))
    middle = (before["bid"] + before["ask"]) / 2.0
    assert_allclose(rest["own_spread"], (before["ask"] - before["bid"]) / middle)
    assert_allclose(rest["own_vol"], 0.2, atol=2e-3)
    assert inputs.loc[wednesday].drop(index=gone, errors="ignore")["own_vol"].notna().all()


def test_own_past_counts_unknown_and_negative_volume_as_none(flat: World) -> None:
    """They say that nothing is known to have been traded."""
    market = flat.market.copy()
    day = market["date"] == DAYS[2]
    first, second = market.index[day][:2]
    market.loc[first, ["volume", "open_interest"]] = np.nan
    market.loc[second, ["volume", "open_interest"]] = -5.0
    inputs = World(flat.contracts, market).build().set_index(list(KEYS))
    for row in (first, second):
        own = inputs.loc[(DAYS[3], market.loc[row, "contract"])]
        assert (own["own_volume"], own["own_open_interest"]) == (0.0, 0.0)


def test_quotes_of_a_day_change_nothing_up_to_it(tilted: World) -> None:
    """Inputs and all baselines but the circular one; those of the next session change."""
    day, following = DAYS[5], DAYS[6]
    rng = np.random.default_rng(4)
    market = tilted.market.copy()
    own = (market["date"] == day).to_numpy()
    for name in ("bid", "ask", "volume", "open_interest"):
        market.loc[own, name] *= rng.uniform(0.5, 2.0, own.sum())
    other = World(tilted.contracts, market)
    for first, second in zip(
        (tilted.build(), tilted.price()[0]), (other.build(), other.price()[0]), strict=True
    ):
        honest = [name for name in first if name != OWN_IV]
        kept = first["date"] <= day
        assert_frame_equal(first.loc[kept, honest], second.loc[kept, honest], rtol=1e-9)
        later = first["date"] == following
        moved = [
            name for name in honest if not first.loc[later, name].equals(second.loc[later, name])
        ]
        assert set(moved) >= ({"own_vol", "strike_vol"} & set(first)) | (
            {SURFACE_BY_STRIKE, SURFACE_BY_MONEYNESS} & set(first)
        )
    own_iv = [world.price()[0].loc[own, OWN_IV] for world in (tilted, other)]
    assert not own_iv[0].equals(own_iv[1])


def test_order_of_rows_is_of_no_account_and_tables_stay_as_they_were(flat: World) -> None:
    """Rows come back sorted by their keys."""
    shuffled = World(
        flat.contracts.sample(frac=1, random_state=1), flat.market.sample(frac=1, random_state=2)
    )
    before = World(shuffled.contracts.copy(), shuffled.market.copy())
    assert_frame_equal(shuffled.build(), flat.build())
    assert_frame_equal(shuffled.price()[0], flat.price()[0])
    assert_frame_equal(shuffled.contracts, before.contracts)
    assert_frame_equal(shuffled.market, before.market)


def test_contract_that_is_there_twice_is_refused(flat: World) -> None:
    """Its past would be anybody's guess."""
    twice = pd.concat([flat.market, flat.market.iloc[-1:]])
    with pytest.raises(pd.errors.MergeError):
        replace(flat, market=twice).build()
