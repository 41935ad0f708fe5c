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
from tidemark.domain.option_baselines import (
    BASELINES,
    HISTORICAL_VOL,
    OWN_IV,
    SURFACE_BY_MONEYNESS,
    SURFACE_BY_STRIKE,
    price_baselines,
)
from tidemark.domain.option_inputs import (
    KEYS,
    OWN_PAST,
    InputSettings,
    build_inputs,
    name_contracts,
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
# Of the session's number, standardised moneyness and time.
Smile = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


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
    vol = smile(session, moneyness.to_numpy(), time)
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


def shift_closes(world: World, days: list[pd.Timestamp], by: float = 0.005) -> World:
    """Take closes of another moment than the quotes."""
    closes = world.contracts["underlying_price"].copy()
    closes[world.contracts["date"].isin(days)] *= 1.0 + by
    return World(world.contracts.assign(underlying_price=closes), world.market)


def keep_puts(world: World, day: pd.Timestamp) -> World:
    """Lose all calls of a day: without pairs it has no forwards, and no volatility."""
    kept = (world.contracts["option_type"] == "put") | (world.contracts["date"] != day)
    return World(
        world.contracts[kept].reset_index(drop=True), world.market[kept].reset_index(drop=True)
    )


@pytest.fixture(scope="module")
def flat() -> World:
    """Make a world of one volatility."""
    return make_world(lambda session, moneyness, time: np.full(len(moneyness), 0.2))


@pytest.fixture(scope="module")
def tilted() -> World:
    """Make a world whose smile is a line that is higher by a point each session."""
    return make_world(lambda session, moneyness, time: 0.20 + 0.01 * session - 0.05 * moneyness)


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
    # On the first day there is no surface yet, and today's own volatility.
    early = baselines[~known]
    assert early[[SURFACE_BY_STRIKE, SURFACE_BY_MONEYNESS]].isna().all(axis=None)
    assert_allclose(early[OWN_IV], middle[~known], atol=1e-12)
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


def test_change_of_volatility_is_that_of_the_same_expiration() -> None:
    """It had more time the session before, and still more the one before that."""
    world = make_world(lambda session, moneyness, time: 0.20 + 0.01 * session + 0.5 * time)
    inputs = world.build()
    session = np.searchsorted(DAYS, inputs["date"])
    later = session > 1
    since = (DAYS[session - 1] - DAYS[session - 2]).days / 365.0
    assert_allclose(inputs["atm_change"][later], (0.01 - 0.5 * since)[later], atol=5e-5)


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


def test_own_volatility_gives_the_middle_back(tilted: World) -> None:
    """To rounding, wherever one is implied; elsewhere it is what no volatility gives.

    A close that is of another moment than the quotes takes nothing away from it.
    """
    gone = DAYS[4]
    for world in (tilted, shift_closes(tilted, [DAYS[0], DAYS[5]]), keep_puts(tilted, gone)):
        known = read_market(world.contracts, world.market, SETTINGS).volatilities
        baselines, middle = world.price()
        assert_frame_equal(baselines[list(KEYS)], known[list(KEYS)])
        implied = known["vol_annual"].notna().to_numpy()
        assert implied.mean() > 0.85
        assert_allclose(baselines[OWN_IV][implied], middle[implied], rtol=1e-9, atol=1e-12)
    assert_array_equal(~implied, known["date"] == gone)  # of the last world
    inputs = world.build()[~implied]
    discount = np.exp(-inputs["rate"] * inputs["time_years"])
    forward = np.exp(inputs["carry"] * inputs["time_years"] - inputs["log_strike"])
    held = discount * (1.0 - forward).clip(lower=0.0)  # all of them are puts
    assert (held > 0).any()
    assert_allclose(baselines[OWN_IV][~implied], held, atol=1e-12)


def test_shifted_close_does_not_shift_the_carry_of_later_sessions(tilted: World) -> None:
    """A close of another moment than the quotes is half a percent off; its quotes are not.

    Carry, rate and surface of what comes after are as they were: they are medians over sessions,
    and a surface is read with the close and the carry of its own session.
    """
    usual = tilted.build()
    expected = ["carry", "rate", "strike_vol", "moneyness_vol", "atm_vol", "slope", "atm_change"]
    for at in (3, 4, 6):
        shifted = shift_closes(tilted, [DAYS[at]])
        known = read_market(shifted.contracts, shifted.market, SETTINGS)
        own = known.forwards.loc[known.forwards["quote_date"] == DAYS[at], "carry_continuous"]
        assert (np.abs(own - CARRY) > 0.01).all()  # or nothing was shifted
        inputs = shifted.build()
        later = (inputs["date"] > DAYS[at]).to_numpy()
        assert later.any()
        assert_allclose(inputs["carry"], np.where(usual["carry"].isna(), np.nan, CARRY), atol=1e-5)
        for name in expected:
            found, wanted = inputs[name][later], usual[name][later]
            assert_allclose(found, wanted, rtol=1e-5, atol=1e-5, err_msg=name)
        assert_allclose(inputs["own_vol"][later], usual["own_vol"][later], atol=1e-5)
        # The session before alone would have had it.
        alone = shifted.build(replace(SETTINGS, carry_sessions=1))
        following = alone["date"] == DAYS[at + 1]
        assert (np.abs(alone["carry"][following] - CARRY) > 0.01).all()


@pytest.mark.parametrize("n_sessions", [1, 2, 3, 5])
def test_carry_and_rate_are_medians_over_the_last_sessions(n_sessions: int) -> None:
    """Of as many as there are, up to the number; each is a known one of its session."""
    world = make_world(lambda session, moneyness, time: np.full(len(moneyness), 0.2))
    steps = np.random.default_rng(5).permutation(len(DAYS)) * 0.001
    offset = steps[np.searchsorted(DAYS, world.contracts["date"])]
    # A close that is lower by so much a year of the time left raises the carry by as much.
    closes = world.contracts["underlying_price"] * np.exp(-offset * world.contracts["time_years"])
    moved = World(world.contracts.assign(underlying_price=closes), world.market)
    known = read_market(moved.contracts, moved.market, SETTINGS).forwards
    inputs = moved.build(replace(SETTINGS, carry_sessions=n_sessions))
    found = known.groupby("quote_date")["carry_continuous"].agg(["min", "max"])
    assert_allclose(found["min"], CARRY + steps, atol=1e-6)
    assert_allclose(found["max"], CARRY + steps, atol=1e-6)
    session = np.searchsorted(DAYS, inputs["date"])
    for number in range(1, len(DAYS)):
        past = steps[max(number - n_sessions, 0) : number]
        own = inputs[session == number]
        assert_allclose(own["carry"], CARRY + np.median(past), atol=1e-6)
        assert_allclose(own["rate"], RATE, atol=1e-6)


@pytest.mark.parametrize("at", [1, 4, 5, 7])
def test_date_without_forwards_costs_later_sessions_nothing_but_own_past(
    tilted: World, at: int
) -> None:
    """Its calls are gone: the next session reads the surface of the one before it."""
    day = DAYS[at]
    world = keep_puts(tilted, day)
    known = read_market(world.contracts, world.market, SETTINGS)
    assert day not in set(known.smiles.day)
    assert not (known.forwards["quote_date"] == day).any()
    inputs = world.build().set_index(list(KEYS))
    usual = tilted.build().set_index(list(KEYS)).loc[inputs.index]
    date = inputs.index.get_level_values("date")
    own = list(OWN_PAST)
    others = [name for name in inputs if name not in (*own, "market_spread")]
    far = 2 if at == 1 else 0  # before, nothing is known from which the change could come
    blank = inputs[others].isna() & ~usual[others].isna()
    assert blank[others].drop(columns="atm_change").sum().sum() == 0
    assert set(date[blank["atm_change"]]) <= {DAYS[far]} if far else not blank.any(axis=None)
    # Of the contracts' own past, what was not quoted is missing, and the volatility.
    following = date == DAYS[at + 1]
    assert inputs.loc[following, "own_vol"].isna().all()
    is_put = inputs["is_call"] == 0.0
    assert inputs.loc[following & is_put, own[1:]].notna().all(axis=None)
    assert inputs.loc[following & ~is_put, own[1:]].isna().all(axis=None)
    assert inputs.loc[following, "market_spread"].notna().all()
    later = date > DAYS[at + 1]
    assert_frame_equal(inputs.loc[later, own], usual.loc[later, own])
    # The surface is that of the session before the day, a point lower than it would have been.
    assert_allclose(inputs.loc[following, "carry"], CARRY, atol=1e-5)
    level = 0.20 + 0.01 * (at - 1)
    assert_allclose(inputs.loc[following, "atm_vol"], level, atol=2e-5)
    if at > 1:
        assert_allclose(inputs.loc[following, "atm_change"], 0.01, atol=3e-5)


def test_market_without_any_forward_knows_nothing_of_it(flat: World) -> None:
    """No pair on any day: the terms and the underlying's past are left, and nothing fails."""
    is_put = flat.contracts["option_type"] == "put"
    world = World(flat.contracts[is_put], flat.market[is_put])
    inputs = world.build()
    of_market = ["carry", "rate", "strike_vol", "moneyness_vol", "atm_vol", "slope", "atm_change"]
    assert inputs[of_market].isna().all(axis=None)
    assert inputs["own_vol"].isna().all()
    assert inputs.loc[inputs["date"] > DAYS[0], "market_spread"].notna().all()
    assert inputs[["log_strike", "time_years"]].notna().all(axis=None)
    baselines, _ = world.price()
    assert baselines[list(BASELINES)].isna().all(axis=None)


def test_market_spread_is_the_median_of_all_quotes_of_the_session_before(flat: World) -> None:
    """Of those that nobody quotes today too."""
    middle = (flat.market["bid"] + flat.market["ask"]) / 2.0
    spreads = (flat.market["ask"] - flat.market["bid"]) / middle
    usual = spreads.groupby(flat.market["date"]).median().to_numpy()
    # On one day only calls far out of the money are quoted, whose spreads are wide.
    far = flat.contracts["option_type"].eq("call") & (flat.contracts["strike"] >= 3000.0)
    kept = far | (flat.contracts["date"] != DAYS[3])
    inputs = World(flat.contracts[kept], flat.market[kept]).build()
    by_date = inputs.groupby("date")["market_spread"]
    found = by_date.first().to_numpy()
    assert_array_equal(found, by_date.max())
    assert_array_equal(found, by_date.min())
    assert np.isnan(found[0])
    assert_allclose(found[[1, 2, 3, 5, 6]], usual[[0, 1, 2, 4, 5]])
    own = spreads[far & (flat.contracts["date"] == DAYS[3])].median()
    assert own > 2.0 * usual[3]
    assert found[4] == pytest.approx(own)


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
