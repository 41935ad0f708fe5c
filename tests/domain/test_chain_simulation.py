"""The simulated chain is lawful where it should be, and wrong where it says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from tidemark.domain.black_scholes import implied_volatility, price
from tidemark.domain.chain_simulation import (
    DEFECTS,
    DefectSettings,
    ListingSettings,
    QuoteSettings,
    SimulatedChain,
    SimulationSettings,
    compute_fair_values,
    simulate_chain,
)
from tidemark.domain.chains import COLUMNS, KEY, measure_time_years
from tidemark.domain.sessions import list_sessions
from tidemark.domain.surface_simulation import (
    SurfaceSettings,
    VarianceFactor,
    compute_atm_variance,
    compute_max_eta,
    compute_total_variance,
    simulate_surface,
)

PROJECT = Path(__file__).resolve().parents[2]
CLOSES = PROJECT / "data/01_raw/cross_asset/series.parquet"
RECORDED = PROJECT.parent / "shared/data/options/spx_cboe_eod_20190425_20190531.parquet"

SETTINGS = SimulationSettings()
SOUND = replace(SETTINGS, defects=DefectSettings(0, 0, 0, 0, 0, 0, 0))
SEED = 7


def read_closes(start: str, end: str) -> pd.Series:
    """Read closes of the S&P 500 that the project carries."""
    if not CLOSES.exists():
        pytest.skip("the embedded series are absent: data/rebuild.py makes them")
    table = pd.read_parquet(CLOSES)
    return table[table["series"] == "sp500"].set_index("date")["value"].loc[start:end]


def make_closes(start: str = "2015-06-01", end: str = "2016-12-30") -> pd.Series:
    """Make a random walk on New York's sessions."""
    days = list_sessions("XNYS", pd.Timestamp(start), pd.Timestamp(end)).as_unit("us")
    steps = 0.008 * np.random.default_rng(0).standard_normal(len(days))
    return pd.Series(2000 * np.exp(np.cumsum(steps)), index=days)


@pytest.fixture(scope="module")
def spoilt() -> SimulatedChain:
    """Simulate 2016 and 2017 as the study does."""
    return simulate_chain(read_closes("2015-01-05", "2017-12-31"), SETTINGS, SEED)


@pytest.fixture(scope="module")
def sound() -> SimulatedChain:
    """Simulate the same without defects."""
    return simulate_chain(read_closes("2015-01-05", "2017-12-31"), SOUND, SEED)


# The surface.


def test_total_variance_hand_worked_values_agree() -> None:
    """A surface with theta 0.04, rho -0.6, eta 1 and gamma 1/2, worked out by hand."""
    settings = SurfaceSettings(gamma=0.5)
    flat = dict.fromkeys(("short_variance", "medium_variance", "long_variance"), 0.04)
    surface = pd.DataFrame({**flat, "rho": -0.6, "eta": np.sqrt(1.04)}, index=range(3))
    k = np.array([0.0, 0.12, -0.16])
    time = np.ones(3)
    assert compute_atm_variance(surface, time, settings) == pytest.approx(0.04)
    # phi is 1 / 0.2 = 5: scaled strikes 0, 0.6 and -0.8, roots 1, 0.8 and sqrt(2.6).
    expected = 0.02 * np.array([2.0, 1 - 0.36 + 0.8, 1 + 0.48 + np.sqrt(1.96 + 0.64)])
    assert compute_total_variance(surface, k, time, settings) == pytest.approx(expected)


@given(gamma=st.floats(0.01, 0.5), rho=st.floats(0.0, 0.999), log_theta=st.floats(-18.0, 4.0))
def test_max_eta_any_surface_meets_both_conditions_of_no_butterfly(
    gamma: float, rho: float, log_theta: float
) -> None:
    """Theorem 4.2 of Gatheral and Jacquier (2014) holds at the greatest eta."""
    theta = np.exp(log_theta)
    phi = compute_max_eta(gamma) * theta**-gamma * (1 + theta) ** (gamma - 1)
    assert theta * phi * (1 + rho) < 4
    assert theta * phi**2 * (1 + rho) <= 4 * (1 + 1e-12)


def measure_density(surface: pd.DataFrame, time_years: float, settings: SurfaceSettings) -> float:
    """Find the lowest of Durrleman's g over dates and log strikes: a density, but for a factor."""
    k = np.linspace(-1.2, 0.8, 401)
    repeated = surface.loc[surface.index.repeat(len(k))]
    time = np.full(len(repeated), time_years)
    total = compute_total_variance(repeated, np.tile(k, len(surface)), time, settings)
    w = total.reshape(len(surface), len(k))
    slope, bend = np.gradient(w, k, axis=1), np.gradient(np.gradient(w, k, axis=1), k, axis=1)
    g = (1 - k * slope / (2 * w)) ** 2 - slope**2 / 4 * (1 / w + 0.25) + bend / 2
    return float(g[:, 3:-3].min())


@pytest.mark.parametrize("time_years", [2 / 365, 0.05, 0.25, 1.0, 3.0])
def test_surface_all_dates_have_a_positive_density(
    sound: SimulatedChain, time_years: float
) -> None:
    """No butterfly pays for nothing, on any date and expiration."""
    assert measure_density(sound.surface, time_years, SETTINGS.surface) > 0


def test_surface_eta_beyond_its_bound_has_a_negative_density(sound: SimulatedChain) -> None:
    """The measure of the test above sees arbitrage where there is some."""
    bent = sound.surface.assign(eta=4 * compute_max_eta(SETTINGS.surface.gamma))
    assert measure_density(bent, 0.25, SETTINGS.surface) < 0


def test_surface_total_variance_never_falls_with_time(sound: SimulatedChain) -> None:
    """No calendar spread pays for nothing, at any multiple of the forward."""
    times = np.linspace(0.002, 3.0, 60)
    dates = sound.surface.iloc[::5]
    repeated = dates.loc[dates.index.repeat(len(times))]
    for k in (-0.8, -0.3, -0.1, -0.02, 0.0, 0.02, 0.1, 0.3):
        total = compute_total_variance(
            repeated, np.full(len(repeated), k), np.tile(times, len(dates)), SETTINGS.surface
        )
        assert (np.diff(total.reshape(len(dates), -1), axis=1) > 0).all()


def test_surface_shocks_follow_returns_with_the_sign_of_leverage() -> None:
    """Variance rises when the index falls; without leverage it does not care."""
    closes = make_closes("2005-01-03", "2016-12-30")
    returns = np.log(closes).diff()
    surface = simulate_surface(closes, SETTINGS.surface, SEED)
    for name in ("short", "medium", "long"):
        moves = np.log(surface[f"{name}_variance"]).diff()
        assert moves.corr(returns) < -0.6
    free = VarianceFactor(0.15, 0.0, 0.9, 0.2, 0.0)
    calm = simulate_surface(closes, replace(SETTINGS.surface, short=free), SEED)
    assert abs(np.log(calm["short_variance"]).diff().corr(returns)) < 0.06


def test_surface_factors_return_to_their_level_at_their_speed() -> None:
    """Without realised variance, logs of a factor are an AR(1) with the moments of its settings."""
    factor = VarianceFactor(0.20, 0.0, 0.9, 0.1, 0.0)
    settings = replace(SETTINGS.surface, short=factor)
    surface = simulate_surface(make_closes("1991-01-02", "2016-12-30"), settings, SEED)
    logs = np.log(surface["short_variance"])
    assert logs.autocorr() == pytest.approx(0.9, abs=0.02)
    assert logs.std() == pytest.approx(0.1 / np.sqrt(1 - 0.81), rel=0.1)
    assert np.exp(logs.mean() / 2) == pytest.approx(0.20, rel=0.03)


def test_surface_follows_realised_volatility() -> None:
    """Where the index moves twice as much, the anchor of volatility is higher by its share."""
    closes = make_closes()
    wild = closes.iloc[0] * (closes / closes.iloc[0]) ** 2
    surfaces = [simulate_surface(one, SETTINGS.surface, SEED) for one in (closes, wild)]
    ratio = surfaces[1]["short_variance"] / surfaces[0]["short_variance"]
    weight = SETTINGS.surface.short.realised_weight
    assert ratio.iloc[200:].median() == pytest.approx(4**weight, rel=1e-3)


# Determinism and time.


def test_simulate_same_seed_same_bits_other_seed_others() -> None:
    """Two runs agree in every bit, and leave the closes as they were."""
    closes = make_closes()
    kept = closes.copy()
    one, two = (simulate_chain(closes, SETTINGS, SEED) for _ in range(2))
    for name in ("quotes", "defects", "surface"):
        assert_frame_equal(getattr(one, name), getattr(two, name), check_exact=True)
    pd.testing.assert_series_equal(closes, kept)
    other = simulate_chain(closes, SETTINGS, SEED + 1).surface
    assert not np.isclose(one.surface["short_variance"], other["short_variance"]).any()


def test_simulate_later_closes_change_nothing_before() -> None:
    """Rows of a date are the same bits if the closes end there, or go on otherwise."""
    closes = make_closes()
    settings = replace(
        SETTINGS,
        defects=replace(SETTINGS.defects, n_missing_sessions=0, n_stale_holidays=0),
    )
    # Expiry-day rows exist, so that they cannot move others unseen.
    settings = replace(settings, defects=replace(settings.defects, expiry_day_share=0.5))
    end = closes.index[-40]
    whole = simulate_chain(closes, settings, SEED)
    ended = simulate_chain(closes[:end], settings, SEED)
    bent = closes.where(closes.index <= end, closes * 1.2)
    turned = simulate_chain(bent, settings, SEED)
    assert (ended.defects["defect"] == "expiry_day").any()
    for chain in (whole, turned):
        past = chain.quotes[chain.quotes["quote_date"] <= end]
        assert_frame_equal(past, ended.quotes, check_exact=True)
        assert_frame_equal(chain.surface[:end], ended.surface, check_exact=True)
        known = chain.defects[chain.defects["quote_date"] <= end]
        assert_frame_equal(known, ended.defects, check_exact=True)


# What is listed.


def test_chain_has_the_canonical_columns_and_says_that_it_is_simulated(
    spoilt: SimulatedChain,
) -> None:
    """Types and order are those of every chain; the source is in each row."""
    quotes = spoilt.quotes
    assert {name: str(kind) for name, kind in quotes.dtypes.items()} == {
        **COLUMNS,
        "source": "str",
    }
    assert (quotes["source"] == "simulated").all()
    assert (quotes["exercise_style"] == "european").all()
    assert quotes.equals(quotes.sort_values(list(KEY), kind="stable", ignore_index=True))
    assert 60_000 <= len(quotes) <= 120_000


def test_chain_monthly_expirations_are_the_third_fridays_of_the_exchange(
    sound: SimulatedChain,
) -> None:
    """The exchange's own list of 2016, in full."""
    monthly = sound.quotes.loc[sound.quotes["root"] == "SPX", "expiration"]
    days = monthly[monthly.dt.year == 2016].dt.strftime("%m-%d").unique()
    assert sorted(days) == [
        *("01-15", "02-19", "03-18", "04-15", "05-20", "06-17"),
        *("07-15", "08-19", "09-16", "10-21", "11-18", "12-16"),
    ]


def test_chain_weekly_expirations_on_good_friday_move_to_thursday(sound: SimulatedChain) -> None:
    """All others are Fridays."""
    weekly = sound.quotes.loc[sound.quotes["root"] == "SPXW", "expiration"]
    days = pd.DatetimeIndex(weekly.unique())
    moved = days[days.day_of_week != 4]
    assert [f"{day:%Y-%m-%d}" for day in sorted(moved)] == ["2016-03-24", "2017-04-13"]


def test_chain_third_friday_on_a_holiday_moves_to_thursday() -> None:
    """Good Friday of 2014 was the third Friday of April."""
    quotes = simulate_chain(make_closes("2013-01-02", "2014-06-30"), SOUND, SEED).quotes
    monthly = quotes.loc[quotes["root"] == "SPX", "expiration"].unique()
    assert pd.Timestamp("2014-04-17") in monthly
    assert pd.Timestamp("2014-04-18") not in monthly


def test_chain_roots_share_dates_expirations_and_strikes_and_differ_in_settlement(
    sound: SimulatedChain,
) -> None:
    """Contracts of SPX and SPXW with one expiration and strike are two, with two prices."""
    sides = {root: rows for root, rows in sound.quotes.groupby("root")}
    assert set(sides["SPX"]["settlement"]) == {"am"}
    assert set(sides["SPXW"]["settlement"]) == {"pm"}
    shared = sides["SPX"].merge(
        sides["SPXW"], on=["quote_date", "expiration", "option_type", "strike"]
    )
    assert len(shared) > 1000
    assert (shared["ask_y"] >= shared["bid_x"]).all()


def test_chain_contracts_are_quoted_from_listing_to_the_session_before_expiry(
    sound: SimulatedChain,
) -> None:
    """No gaps between the first and the last quote of a contract, which is on the last session."""
    quotes = sound.quotes
    days = pd.DatetimeIndex(sound.surface.index)
    position = pd.Series(days.get_indexer(pd.DatetimeIndex(quotes["quote_date"])))
    lives = position.groupby([quotes[name] for name in KEY[1:]]).agg(["min", "max", "size"])
    assert (lives["max"] - lives["min"] + 1 == lives["size"]).all()
    past = days.searchsorted(pd.DatetimeIndex(lives.index.get_level_values("expiration")))
    assert (lives["max"] == past - 1).all()


def test_chain_near_strikes_are_every_five_points_in_the_last_week(sound: SimulatedChain) -> None:
    """They are near the close on the day of their listing, and stay."""
    quotes = sound.quotes
    assert (quotes["strike"] % 5 == 0).all()
    near = quotes[quotes["strike"] % 25 != 0]
    days = (near["expiration"] - near["quote_date"]).dt.days
    assert days.max() == SETTINGS.listing.near_days
    firsts = near.drop_duplicates(list(KEY[1:]))
    distance = (firsts["strike"] / firsts["underlying_price"] - 1).abs()
    assert distance.max() <= SETTINGS.listing.near_band


def test_chain_bands_of_strikes_grow_with_time_and_have_no_holes(sound: SimulatedChain) -> None:
    """On the day of its listing an expiration has each 25 points of its band, and no others."""
    listing, quotes = SETTINGS.listing, sound.quotes
    quotes = quotes[quotes["option_type"] == "put"]
    expiration = ["root", "expiration"]
    listed = quotes.groupby(expiration)["quote_date"].transform("min")
    new = quotes[(quotes["quote_date"] == listed) & (listed > sound.surface.index[0])]
    grid = 25.0 * np.arange(200)
    widths = {}
    for (root, end), rows in new.groupby(expiration):
        spot = rows["underlying_price"].iloc[0]
        days = (end - rows["quote_date"].iloc[0]).days
        low = 1 - listing.band_below - listing.band_growth_below * np.sqrt(days / 365)
        high = 1 + listing.band_above + listing.band_growth_above * np.sqrt(days / 365)
        assert (
            rows["strike"].tolist() == grid[(grid >= low * spot) & (grid <= high * spot)].tolist()
        )
        widths[root, days] = np.ptp(rows["strike"]) / spot
    weekly, *_, quarterly = sorted(widths, key=lambda key: key[1])
    assert weekly[1] <= 21
    assert quarterly[1] > 150
    assert widths[quarterly] > 2 * widths[weekly]


# Quotes.


def test_chain_sound_quotes_hold_the_fair_value_on_ticks(sound: SimulatedChain) -> None:
    """Bids are below asks, both multiples of 0.05 below three points and of 0.10 above."""
    quotes = sound.quotes
    fair = compute_fair_values(quotes, sound.surface, SETTINGS.surface)
    assert (quotes["bid"] <= fair).all()
    assert (fair <= quotes["ask"]).all()
    for side in ("bid", "ask"):
        cents = np.round(quotes[side].to_numpy() * 100, 6)
        tick = np.where(quotes[side] < 3, 5, 10)
        assert (cents % tick == 0).all()
    assert (quotes["ask"] > quotes["bid"]).all()
    assert (quotes["bid"] >= 0).all()


def test_chain_fair_values_keep_put_call_parity(sound: SimulatedChain) -> None:
    """Call less put is the discounted forward less the discounted strike."""
    quotes = sound.quotes.assign(
        fair=compute_fair_values(sound.quotes, sound.surface, SETTINGS.surface),
        time=measure_time_years(sound.quotes),
    )
    keys = ["quote_date", "root", "expiration", "strike"]
    call, put = (quotes[quotes["option_type"] == kind].set_index(keys) for kind in ("call", "put"))
    market = sound.surface.loc[call.index.get_level_values("quote_date")]
    rate, carry = market["rate_continuous"].to_numpy(), market["carry_continuous"].to_numpy()
    strike, time = call.index.get_level_values("strike").to_numpy(), call["time"].to_numpy()
    forward = call["underlying_price"].to_numpy() * np.exp(carry * time)
    expected = np.exp(-rate * time) * (forward - strike)
    assert (call["fair"] - put["fair"]).to_numpy() == pytest.approx(expected, abs=1e-8)
    assert ((call["bid"] - put["ask"]).to_numpy() <= expected + 1e-9).all()
    assert ((call["ask"] - put["bid"]).to_numpy() >= expected - 1e-9).all()


def test_fair_values_have_the_volatility_of_the_surface_at_their_strike_over_forward() -> None:
    """With a growth of 10 per cent a year the forward is not the close."""
    day = pd.Timestamp("2016-06-01")
    flat = dict.fromkeys(("short_variance", "medium_variance", "long_variance"), 0.04)
    market = {"rho": -0.6, "eta": 1.2, "rate_continuous": 0.03, "carry_continuous": 0.10}
    surface = pd.DataFrame({**flat, **market}, index=pd.DatetimeIndex([day]))
    strikes = np.array([1600.0, 2000.0, 2400.0])
    quotes = pd.DataFrame(
        {
            "quote_date": day,
            "expiration": pd.Timestamp("2017-06-01"),
            "settlement": "pm",
            "underlying_price": 2000.0,
            "option_type": ["put", "call", "call"],
            "strike": strikes,
        }
    )
    fair = compute_fair_values(quotes, surface, SETTINGS.surface)
    found = implied_volatility(
        fair, 2000.0, strikes, 1.0, 0.03, np.array([False, True, True]), carry_continuous=0.10
    )
    total = compute_total_variance(
        surface.loc[[day] * 3], np.log(strikes / 2000) - 0.10, np.ones(3), SETTINGS.surface
    )
    assert found == pytest.approx(np.sqrt(total))
    absent = compute_fair_values(
        quotes, surface.set_axis([pd.Timestamp("2016-06-02")]), SETTINGS.surface
    )
    assert np.isnan(absent).all()


def test_chain_spreads_widen_in_the_wings_and_with_volatility(sound: SimulatedChain) -> None:
    """Relative to the price, and in points; far wings have no bid."""
    quotes = sound.quotes.assign(
        middle=(sound.quotes["bid"] + sound.quotes["ask"]) / 2,
        width=sound.quotes["ask"] - sound.quotes["bid"],
        moneyness=sound.quotes["strike"] / sound.quotes["underlying_price"],
    )
    puts = quotes[(quotes["option_type"] == "put") & (quotes["root"] == "SPX")]
    relative = (puts["width"] / puts["middle"]).groupby(
        pd.cut(puts["moneyness"], [0.8, 0.9, 0.95, 0.98, 1.0]), observed=True
    )
    assert relative.median().is_monotonic_decreasing
    days = (puts["expiration"] - puts["quote_date"]).dt.days
    money = puts[puts["moneyness"].between(0.995, 1.0) & days.between(20, 60)]
    vol = sound.surface["short_variance"].reindex(money["quote_date"]).to_numpy()
    is_calm, is_wild = vol < np.quantile(vol, 0.25), vol > np.quantile(vol, 0.75)
    share = money["width"] / money["underlying_price"]
    assert share[is_wild].mean() > 1.5 * share[is_calm].mean()
    bare = quotes["bid"] == 0
    assert 0.02 < bare.mean() < 0.15
    assert quotes.loc[bare, "ask"].median() <= 0.10


def test_chain_trades_are_near_the_money_and_interest_grows_by_yesterdays(
    sound: SimulatedChain,
) -> None:
    """Open interest is that before the session; a last price is of a trade, within its quote."""
    quotes = sound.quotes
    contract = [quotes[name] for name in KEY[1:]]
    assert (quotes["open_interest"].groupby(contract).diff().dropna() >= 0).all()
    firsts = quotes[quotes["quote_date"] > sound.surface.index[0]].groupby(list(KEY[1:])).first()
    fresh = firsts.index.isin(quotes.groupby(list(KEY[1:])).first().index)
    assert fresh.all()
    grown = quotes["open_interest"].groupby(contract).diff().fillna(0)
    before = quotes["volume"].groupby(contract).shift().fillna(0)
    assert (grown[before == 0] == 0).all()
    traded = quotes[quotes["volume"] > 0]
    assert traded["last"].between(traded["bid"], traded["ask"]).all()
    assert (quotes["last"].dropna() > 0).all()
    # Nobody has traded what has no last price.
    never = quotes[quotes["last"].isna()]
    assert (never["volume"] == 0).all()
    near = (quotes["strike"] / quotes["underlying_price"] - 1).abs() < 0.02
    assert quotes.loc[near, "volume"].mean() > 3 * quotes.loc[~near, "volume"].mean()


# Defects.


def test_chain_defects_found_are_those_of_the_list(spoilt: SimulatedChain) -> None:
    """Each kind is found by its mark alone, as often as the list says."""
    quotes, listed = spoilt.quotes, spoilt.defects["defect"].value_counts()
    days = pd.DatetimeIndex(quotes["quote_date"])
    sessions = pd.DatetimeIndex(spoilt.surface.index)
    found = {
        "crossed": (quotes["bid"] > quotes["ask"]).sum(),
        "duplicate": quotes.duplicated().sum(),
        "blank_volume": quotes["volume"].isna().sum(),
        "expiry_day": (quotes["quote_date"] >= quotes["expiration"]).sum(),
        "stale_session": (~days.isin(sessions)).sum(),
    }
    assert found == {name: listed[name] for name in found}
    # Repeated keys are all alike: no two rows contradict each other.
    assert quotes.duplicated(list(KEY)).sum() == listed["duplicate"]
    assert len(sessions.difference(days)) == SETTINGS.defects.n_missing_sessions
    assert set(listed.index) == set(DEFECTS)


def test_chain_rows_that_are_not_listed_are_those_of_the_sound_chain() -> None:
    """Defects change what they name, and nothing else."""
    closes = make_closes()
    settings = replace(SETTINGS, defects=replace(SETTINGS.defects, expiry_day_share=0.2))
    bare = DefectSettings(0, 0, 0, 0, 0.2, 0, 0)
    spoilt = simulate_chain(closes, settings, SEED)
    sound = simulate_chain(closes, replace(SETTINGS, defects=bare), SEED).quotes
    key = list(KEY)
    kinds = spoilt.defects.set_index(key)["defect"]
    truth = sound.set_index(key)
    quotes = spoilt.quotes.set_index(key)

    left_out = kinds[kinds.isin(["missing_row", "missing_session"])].index
    assert truth.index.difference(quotes.index).equals(left_out.sort_values())
    stale = kinds[kinds == "stale_session"].index
    assert quotes.index.difference(truth.index).equals(stale.sort_values())

    changed = kinds[kinds.isin(["crossed", "blank_volume"])]
    same = quotes.loc[~quotes.index.isin(stale.append(changed.index))]
    same = same[~same.index.duplicated()]
    assert_frame_equal(same, truth.loc[same.index], check_exact=True)
    crossed = changed[changed == "crossed"].index
    assert (quotes.loc[crossed, "bid"] == truth.loc[crossed, "ask"]).all()
    assert (quotes.loc[crossed, "ask"] == truth.loc[crossed, "bid"]).all()


def test_chain_stale_session_is_a_copy_of_the_one_before_on_a_holiday(
    spoilt: SimulatedChain,
) -> None:
    """A weekday on which the exchange was closed shows all contracts of the session before."""
    quotes = spoilt.quotes
    days = pd.DatetimeIndex(quotes["quote_date"].unique())
    (holiday,) = days.difference(spoilt.surface.index)
    assert holiday.day_of_week < 5
    assert not len(list_sessions("XNYS", holiday, holiday))
    source = days[days < holiday].max()
    copy = quotes[quotes["quote_date"] == holiday].drop(columns="quote_date")
    first = quotes[(quotes["quote_date"] == source) & (quotes["expiration"] > source)]
    assert_frame_equal(
        copy.reset_index(drop=True),
        first.drop(columns="quote_date").reset_index(drop=True),
        check_exact=True,
    )


def test_chain_shares_of_defects_are_those_asked_for(
    spoilt: SimulatedChain, sound: SimulatedChain
) -> None:
    """Within four standard errors of a binomial share."""
    listed, n = spoilt.defects["defect"].value_counts(), len(sound.quotes)
    bids = (sound.quotes["bid"] > 0).mean()
    for kind, share in (
        ("crossed", SETTINGS.defects.crossed_share * bids),
        ("duplicate", SETTINGS.defects.duplicate_share),
        ("blank_volume", SETTINGS.defects.blank_volume_share),
        ("missing_row", SETTINGS.defects.missing_row_share),
    ):
        assert listed[kind] == pytest.approx(n * share, abs=4 * np.sqrt(n * share))


# Stylised facts.


def test_chain_implied_volatility_leans_to_low_strikes_most_where_time_is_short(
    sound: SimulatedChain,
) -> None:
    """Skew is negative on every date; per unit of log strike it decays with time."""
    slopes = {}
    for days in (7, 30, 120):
        time, k = np.full(len(sound.surface), days / 365), 0.01
        low, high = (
            np.sqrt(
                compute_total_variance(
                    sound.surface, np.full(len(time), side), time, SETTINGS.surface
                )
                / time
            )
            for side in (-k, k)
        )
        slopes[days] = (high - low) / (2 * k)
        assert (slopes[days] < 0).all()
    assert np.median(slopes[7]) < 1.5 * np.median(slopes[30]) < 2 * np.median(slopes[120])


def test_chain_term_structure_falls_when_volatility_is_high(sound: SimulatedChain) -> None:
    """Volatility reverts: what is far moves less, and less than what is near."""
    dates = sound.surface
    vols = {}
    for days in (10, 30, 150):
        time = np.full(len(dates), days / 365)
        vols[days] = np.sqrt(compute_atm_variance(dates, time, SETTINGS.surface) / time)
    slope = vols[150] - vols[10]
    assert np.corrcoef(slope, vols[10])[0, 1] < -0.5
    assert slope[np.argmax(vols[10])] < 0 < np.median(slope)
    moves = [np.diff(np.log(vols[days])).std() for days in (10, 30, 150)]
    assert moves[0] > moves[1] > moves[2]
    assert 0.5 < pd.Series(vols[30]).autocorr(lag=5) < 0.98


def test_chain_plain_black_scholes_fails_where_yesterdays_surface_does_well(
    sound: SimulatedChain,
) -> None:
    """One volatility for all misprices low strikes one way; yesterday's surface hardly errs."""
    quotes, surface = sound.quotes, sound.surface
    quotes = quotes[quotes["quote_date"] > surface.index[0]]
    time = measure_time_years(quotes)
    # An option that is about to end is all but its payoff under any model.
    quotes, time = quotes[time > 5 / 365], time[time > 5 / 365]
    fair = compute_fair_values(quotes, surface, SETTINGS.surface)
    yesterday = surface.shift().iloc[1:]
    held = compute_fair_values(quotes, yesterday, SETTINGS.surface)
    market = surface.reindex(quotes["quote_date"])

    def plain(vol: np.ndarray) -> np.ndarray:
        return price(
            quotes["underlying_price"].to_numpy(),
            quotes["strike"].to_numpy(),
            time,
            market["rate_continuous"].to_numpy(),
            vol,
            (quotes["option_type"] == "call").to_numpy(),
            carry_continuous=market["carry_continuous"].to_numpy(),
        )

    historical = plain(yesterday["realised_vol_annual"].reindex(quotes["quote_date"]).to_numpy())
    level = plain(np.sqrt(compute_atm_variance(market, time, SETTINGS.surface) / time))
    errors = {
        name: np.sqrt(np.mean((model - fair) ** 2))
        for name, model in (("held", held), ("historical", historical), ("level", level))
    }
    assert errors["held"] < errors["level"] / 2
    assert errors["held"] < errors["historical"] / 4
    moneyness = (quotes["strike"] / quotes["underlying_price"]).to_numpy()
    assert np.median((level - fair)[moneyness < 0.95]) < -0.5
    assert np.median((level - fair)[(moneyness > 1.02) & (moneyness < 1.06)]) > 0.2


def summarise(quotes: pd.DataFrame, rate: float) -> pd.Series:
    """Summarise volatility, skew and spreads of pm-settled options that end in 8 to 40 days."""
    days = (quotes["expiration"] - quotes["quote_date"]).dt.days
    chosen = quotes[(quotes["root"] == "SPXW") & days.between(8, 40)]
    chosen = chosen.assign(middle=(chosen["bid"] + chosen["ask"]) / 2)
    keys = ["quote_date", "expiration", "strike"]
    call, put = (
        chosen[chosen["option_type"] == kind].set_index(keys).sort_index()
        for kind in ("call", "put")
    )
    sides = call.index.to_frame(index=False)
    time = ((sides["expiration"] - sides["quote_date"]).dt.days / 365).to_numpy()
    spot, strike = call["underlying_price"].to_numpy(), sides["strike"].to_numpy()
    implied = (call["middle"] - put["middle"]).to_numpy() * np.exp(rate * time) + strike
    near = np.abs(strike / spot - 1) < 0.03
    group = [sides["quote_date"], sides["expiration"]]
    forward = pd.Series(np.where(near, implied, np.nan)).groupby(group).transform("median")
    k = np.log(strike / forward.to_numpy())
    is_call = k >= 0
    bid, ask = (np.where(is_call, call[name], put[name]) for name in ("bid", "ask"))
    vol = implied_volatility(
        (bid + ask) / 2, forward.to_numpy(), strike, time, rate, is_call, carry_continuous=0.0
    )
    table = sides.assign(z=k / np.sqrt(time), vol=np.where(bid > 0, vol, np.nan)).dropna()
    rows = []
    for (date, _), curve in table.groupby(["quote_date", "expiration"]):
        middle = curve[curve["z"].abs() < 0.15]
        if len(middle) >= 4:
            slope, level = np.polyfit(middle["z"], middle["vol"], 1)
            low = np.interp(-0.2, curve["z"], curve["vol"])
            rows.append((date, level, slope, low / level))
    levels = pd.DataFrame(rows, columns=["date", "level", "slope", "low"]).groupby("date").mean()
    at = np.abs(k / np.sqrt(time)) < 0.05
    moves = np.log(levels["level"]).diff()
    returns = np.log(pd.Series(spot).groupby(sides["quote_date"]).first()).diff()
    return pd.Series(
        {
            "level": levels["level"].median(),
            "slope": (levels["slope"] / levels["level"]).median(),
            "low": levels["low"].median(),
            "moves_per_return": moves.std() / returns.std(),
            "leverage": moves.corr(returns.reindex(levels.index)),
            "spread": float(np.median(((ask - bid) / (ask + bid) * 2)[at])),
        }
    )


def test_chain_resembles_recorded_options_on_the_index(sound: SimulatedChain) -> None:
    """Level, skew, moves and spreads are within bands of those recorded in spring 2019."""
    if not RECORDED.exists():
        pytest.skip(f"{RECORDED.name} is absent: recorded chains are not part of the project")
    names = {
        "quotedate": "quote_date",
        "type": "option_type",
        "underlying_last": "underlying_price",
    }
    columns = [*names, "optionroot", "expiration", "strike", "bid", "ask"]
    recorded = pd.read_parquet(RECORDED, columns=columns).rename(columns=names)
    recorded = recorded[recorded["optionroot"].str.startswith("SPXW")].assign(root="SPXW")
    for name in ("quote_date", "expiration"):
        recorded[name] = pd.to_datetime(recorded[name])
    # A holiday on which the day before was copied.
    recorded = recorded[recorded["quote_date"] != "2019-05-27"]
    real, simulated = summarise(recorded, 0.024), summarise(sound.quotes, 0.009)
    ratio = simulated / real
    assert ratio["level"] == pytest.approx(1, abs=0.35)
    assert ratio["slope"] == pytest.approx(1, abs=0.25)
    assert ratio["low"] == pytest.approx(1, abs=0.15)
    assert ratio["moves_per_return"] == pytest.approx(1, abs=0.35)
    assert ratio["spread"] == pytest.approx(1, abs=0.35)
    assert simulated["leverage"] < -0.5 > real["leverage"]


# Edges.


def test_simulate_flat_index_gives_quotes() -> None:
    """An index that never moves has no volatility of its own, and still a surface."""
    closes = make_closes() * 0 + 2000.0
    quotes = simulate_chain(closes, SETTINGS, SEED).quotes
    assert np.isfinite(quotes[["bid", "ask"]]).all(axis=None)


def test_simulate_one_quoted_session_gives_its_chain() -> None:
    """One close beyond the warm-up is enough."""
    closes = make_closes("2016-01-04", "2016-02-10")
    settings = replace(SOUND, n_warmup_sessions=len(closes) - 1)
    chain = simulate_chain(closes, settings, SEED)
    assert set(chain.quotes["quote_date"]) == {closes.index[-1]}
    assert len(chain.surface) == 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda closes: closes.iloc[:250], "250 closes with a warm-up of 250"),
        (lambda closes: closes.iloc[::-1], "not ascending"),
        (lambda closes: closes.tz_localize("UTC"), "without time zone"),
        (lambda closes: closes.reset_index(drop=True), "indexed by dates"),
        (lambda closes: closes.where(closes.index != closes.index[9]), "1 of them missing"),
        (lambda closes: -closes, "not positive"),
        (
            lambda closes: closes.rename({closes.index[9]: pd.Timestamp("2015-06-13")}),
            "1 closes are on days without a session in New York, first 2015-06-13",
        ),
        (lambda closes: closes.iloc[:254], "2 sessions are to be spoilt"),
    ],
)
def test_simulate_closes_that_cannot_serve_are_refused(spoil: Any, message: str) -> None:
    """The message says what was found and what to do."""
    with pytest.raises(ValueError, match=message):
        simulate_chain(spoil(make_closes()), SETTINGS, SEED)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SurfaceSettings(gamma=0.6), "gamma is 0.6"),
        (lambda: SurfaceSettings(fast_reversion=1.0), "0 < slow < fast"),
        (lambda: SurfaceSettings(short=VarianceFactor(0.1, 0, 1.0, 0.1, 0)), "'short' has pers"),
        (lambda: SurfaceSettings(long=VarianceFactor(0.0, 0, 0.9, 0.1, 0)), "'long' has a level"),
        (lambda: ListingSettings(n_weeklies=0), "0 weeklies"),
        (lambda: ListingSettings(strike_step=12.0), "multiple of the near one"),
        (lambda: QuoteSettings(shift=1.0), "shift is 1.0"),
        (lambda: DefectSettings(crossed_share=-0.1), "Shares of defects"),
        (lambda: DefectSettings(missing_row_share=1.0), "Shares of defects"),
    ],
)
def test_settings_that_break_the_law_are_refused(make: Any, message: str) -> None:
    """Settings check themselves when they are made."""
    with pytest.raises(ValueError, match=message):
        make()


def test_simulate_bands_without_strikes_are_refused() -> None:
    """A band that holds no strike lists nothing."""
    bare = ListingSettings(
        band_below=0.0,
        band_above=0.0,
        band_growth_below=0.0,
        band_growth_above=0.0,
        near_band=0.0,
    )
    with pytest.raises(ValueError, match="No contract is listed"):
        simulate_chain(make_closes(), replace(SOUND, listing=bare), SEED)
