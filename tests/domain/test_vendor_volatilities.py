"""Volatilities beside a vendor's: where assumptions are the same they agree, and where not, not."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

from tidemark.domain.black_scholes import price
from tidemark.domain.chains import build_chain, measure_time_years
from tidemark.domain.forward_curves import imply_forwards
from tidemark.domain.vendor_volatilities import compare_with_vendor, solve_beside_vendor

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SPX = SHARED / "options" / "spx_cboe_eod_20190425_20190531.parquet"
RATE, CARRY, VOL, SPOT = 0.03, 0.012, 0.2, 2900.0


def make_chain(root: str = "SPXW", days: tuple[int, ...] = (14, 60)) -> pd.DataFrame:
    """Make a day of quotes around prices of one volatility, which the vendor knows."""
    keys = pd.MultiIndex.from_product(
        [days, ["call", "put"], np.arange(2600.0, 3201.0, 25.0)],
        names=["days", "option_type", "strike"],
    ).to_frame(index=False)
    day = pd.Timestamp("2019-05-01")
    chain = build_chain(
        {
            "quote_date": day,
            "underlying": "SPX",
            "root": root,
            "settlement": "am" if root == "SPX" else "pm",
            "exercise_style": "european",
            "underlying_price": SPOT,
            "expiration": day + pd.to_timedelta(keys["days"], unit="D"),
            "option_type": keys["option_type"],
            "strike": keys["strike"],
            "vendor_iv": VOL,
        },
        len(keys),
    )
    time, is_call = measure_time_years(chain), (chain["option_type"] == "call").to_numpy()
    fair = price(SPOT, chain["strike"], time, RATE, VOL, is_call, CARRY)
    chain = chain.assign(bid=fair - 0.01, ask=fair + 0.01)
    return chain[chain["bid"] > 0].reset_index(drop=True)


def solve(chain: pd.DataFrame) -> pd.DataFrame:
    """Solve by the forwards of the chain itself."""
    return solve_beside_vendor(chain, imply_forwards(chain, 0.0))


def test_volatilities_of_a_vendor_with_our_assumptions_are_ours() -> None:
    """Calendar days are no other time for what is settled at the close."""
    found = compare_with_vendor([solve(make_chain())])
    assert found["median_points"]["all"] < 1e-4
    assert found["median_points"]["calendar_days"] < 1e-4
    assert found["liquid"] == found["compared"] > 80
    assert (found["floored"], found["unsolved"]) == (0, 0)
    assert list(found["worst_days"]) == ["2019-05-01"]


def test_volatilities_by_calendar_days_are_lower_where_settlement_is_early() -> None:
    """At the forward a price is as the volatility times the root of time."""
    table = solve(make_chain("SPX", (14,)))
    near = table["own"].notna() & ((table["own"] - VOL).abs() < 1e-3)
    ratio = (table["calendar_days"] / table["own"])[near]
    assert ratio.median() == pytest.approx(np.sqrt((14 - 6.5 / 24) / 14), abs=2e-3)
    assert compare_with_vendor([table])["median_points"]["calendar_days"] > 0.1


def test_volatilities_by_plain_spot_are_off_by_the_dividends() -> None:
    """Calls seem too cheap and puts too dear if the spot is to grow at the rate alone."""
    chain = make_chain("SPXW", (60,))
    table = solve(chain).assign(strike=chain["strike"], option_type=chain["option_type"])
    at_the_money = table[(table["strike"] == SPOT)].set_index("option_type")
    assert at_the_money.loc["call", "plain_spot"] < VOL - 0.005
    assert at_the_money.loc["put", "plain_spot"] > VOL + 0.005
    assert compare_with_vendor([table])["median_points"]["plain_spot"] > 0.1


def test_quotes_that_are_not_liquid_or_not_of_the_vendor_are_left_out() -> None:
    """No bid, a spread of a tenth, no time left, no volatility of the vendor."""
    chain = make_chain("SPXW", (0, 14))
    days = (chain["expiration"] - chain["quote_date"]).dt.days
    rows = chain.index[(days == 14) & (chain["strike"] == 2900)]
    assert len(rows) == 2
    middle = (chain["bid"] + chain["ask"]) / 2
    chain.loc[rows[0], "vendor_iv"] = np.nan
    chain.loc[rows[1], ["bid", "ask"]] = middle[rows[1]] * np.array([0.94, 1.06])
    before = chain.copy()
    found = solve(chain)
    assert_frame_equal(chain, before)
    wide = (chain["ask"] - chain["bid"]) >= 0.1 * middle
    assert set(found.index) == set(range(len(found)))
    assert len(found) == int((~wide & (days == 14)).sum()) - 1


def test_rows_out_of_the_money_are_those_beyond_the_forward() -> None:
    """The forward of 60 days is a little above the spot."""
    chain = make_chain("SPXW", (60,))
    table = solve(chain).assign(strike=chain["strike"], option_type=chain["option_type"])
    forward = SPOT * np.exp(CARRY * 60 / 365)
    expected = np.where(
        table["option_type"] == "call", table["strike"] >= forward, table["strike"] < forward
    )
    assert (table["is_otm"] == expected).all()
    assert table["is_otm"].nunique() == 2


def make_part(**changes: object) -> pd.DataFrame:
    """Make solved quotes by hand."""
    columns: dict[str, object] = {
        "quote_date": pd.Timestamp("2019-05-01"),
        "vendor": [0.20, 0.20, 0.20, 0.02, 0.20, 0.01],
        "own": [0.21, 0.17, 0.25, 0.30, np.nan, np.nan],
        "calendar_days": [0.20, 0.22, 0.20, 0.30, 0.20, 0.20],
        "plain_spot": [0.20, np.nan, 0.26, 0.30, 0.20, 0.20],
        "is_otm": [True, True, False, True, True, True],
        "time_years": [0.05, 0.50, 0.05, 0.05, 0.05, 0.05],
    }
    return pd.DataFrame({**columns, **changes})


def test_comparison_is_worked_out_by_hand() -> None:
    """Distances of 1, 3 and 5 points; the vendor's floor is a mark and no number."""
    found = compare_with_vendor([make_part()])
    counts = {name: found[name] for name in ("liquid", "floored", "unsolved", "compared")}
    assert counts == {"liquid": 6, "floored": 2, "unsolved": 1, "compared": 3}
    assert found["median_points"] == pytest.approx(
        {
            "all": 3.0,
            "out_of_the_money": 2.0,
            "in_the_money": 5.0,
            "up_to_30_days": 1.0,
            "beyond": 3.0,
            "calendar_days": 0.0,
            "plain_spot": 3.0,
        }
    )
    assert found["worst_days"] == pytest.approx({"2019-05-01": 3.0})


def test_comparison_names_the_five_worst_days() -> None:
    """The largest medians first, over the parts of the chain."""
    parts = []
    for day in range(1, 8):
        own = [0.20 + day / 100] * 6
        parts.append(make_part(own=own, quote_date=pd.Timestamp(2019, 5, day)))
    found = compare_with_vendor(parts)
    assert list(found["worst_days"]) == [f"2019-05-0{day}" for day in (7, 6, 5, 4, 3)]
    assert_allclose(list(found["worst_days"].values()), [7.0, 6.0, 5.0, 4.0, 3.0])


def test_comparison_of_nothing_is_empty() -> None:
    """A vendor without volatilities, no liquid quote, and none that can be compared."""
    assert compare_with_vendor([]) == {}
    assert compare_with_vendor([make_part().head(0)]) == {}
    assert compare_with_vendor([make_part().tail(1)]) == {}


def test_recorded_volatilities_are_near_those_of_the_vendor() -> None:
    """A day of the CBOE: out of the money within a point, in the money less so."""
    if not SPX.exists():
        pytest.skip(f"the shared recordings are absent: {SPX}")
    table = pd.read_parquet(SPX, filters=[("quotedate", "==", date(2019, 5, 15))])
    root = table["optionroot"].str.extract(r"^([A-Z]+)\d", expand=False)
    chain = build_chain(
        {
            "quote_date": pd.to_datetime(table["quotedate"]),
            "underlying": "SPX",
            "root": root,
            "settlement": np.where(root == "SPX", "am", "pm"),
            "exercise_style": "european",
            "underlying_price": table["underlying_last"],
            "expiration": pd.to_datetime(table["expiration"]),
            "option_type": table["type"],
            "strike": table["strike"],
            "bid": table["bid"],
            "ask": table["ask"],
            "vendor_iv": table["impliedvol"],
        },
        len(table),
    )
    found = compare_with_vendor([solve(chain)])
    assert found["compared"] > 5000
    points = found["median_points"]
    assert points["out_of_the_money"] < 1.0
    assert points["out_of_the_money"] < points["in_the_money"]
    assert list(found["worst_days"]) == ["2019-05-15"]
