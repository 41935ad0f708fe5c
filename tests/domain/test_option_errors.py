"""Errors of option prices: known by hand, in the right units, and the same in any order of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import brentq
from scipy.stats import norm

from tidemark.domain.black_scholes import price
from tidemark.domain.chains import measure_time_years
from tidemark.domain.no_arbitrage import CHECKS
from tidemark.domain.option_errors import (
    BucketSettings,
    OptionErrors,
    measure_option_errors,
)
from tidemark.domain.parity import fit_forwards

SPX = (
    Path(__file__).resolve().parents[3]
    / "shared/data/options/spx_cboe_eod_20190425_20190531.parquet"
)
METRICS = (
    "mae_price",
    "rmse_price",
    "bias_price",
    "mape",
    "mdape",
    "within_spread",
    "mae_vol_points",
    "vol_share",
    "negative_share",
    "violations",
    *(f"violations_{check}" for check in CHECKS),
    "mid_violations",
)
PRICE_METRICS = ("mae_price", "rmse_price", "bias_price")
EXPIRIES = {7: 0.02, 30: 0.03, 91: 0.025, 200: -0.01}  # carry by days
NAN = float("nan")


def make_hand_rows() -> pd.DataFrame:
    """Make four quotes of one expiration, without rates: two of them are a pair."""
    table = pd.DataFrame(
        {
            "option_type": ["call", "call", "put", "put"],
            "strike": [90.0, 100.0, 100.0, 110.0],
            "bid": [10.4, 2.0, 2.4, 9.9],
            "ask": [10.6, 3.0, 2.6, 10.1],
            "mid": [10.5, 2.5, 2.5, 10.0],
            "predicted": [10.6, 2.0, 3.5, -0.5],
        }
    )
    return table.assign(
        quote_date=pd.Timestamp("2020-01-02"),
        root="X",
        expiration=pd.Timestamp("2020-02-01"),
        exercise_style="european",
        underlying_price=100.0,
        time_years=30 / 365,
        rate_continuous=0.0,
        carry_continuous=0.0,
    )


def make_rows(vol: float = 0.2, rate: float = 0.02, shift: float = 0.0) -> pd.DataFrame:
    """Make prices of one volatility, two dates and two roots; each expiry has its own carry."""
    keys = pd.MultiIndex.from_product(
        [
            pd.to_datetime(["2020-01-02", "2020-01-03"]),
            ["X", "Y"],
            list(EXPIRIES),
            ["call", "put"],
            np.arange(85.0, 121.0, 2.5),
        ],
        names=["quote_date", "root", "days", "option_type", "strike"],
    ).to_frame(index=False)
    rows = keys.drop(columns="days").assign(
        expiration=keys["quote_date"] + pd.to_timedelta(keys["days"], unit="D"),
        exercise_style="european",
        underlying_price=np.where(keys["quote_date"].dt.day == 2, 100.0, 103.0),
        time_years=keys["days"] / 365,
        rate_continuous=rate,
        carry_continuous=keys["days"].map(EXPIRIES) + shift,
    )
    mid = price_flat(rows, vol)
    return rows.assign(bid=mid - 0.05, ask=mid + 0.05, mid=mid, predicted=mid)


def price_flat(rows: pd.DataFrame, vol: float | np.ndarray) -> np.ndarray:
    """Price by Black and Scholes."""
    return price(
        rows["underlying_price"],
        rows["strike"],
        rows["time_years"],
        rows["rate_continuous"],
        vol,
        (rows["option_type"] == "call").to_numpy(dtype=bool),
        rows["carry_continuous"],
    )


def spoil(rows: pd.DataFrame, seed: int = 3) -> pd.DataFrame:
    """Add noise to predictions, far larger than a cent and than what the smallest are worth."""
    noise = np.random.default_rng(seed).normal(scale=0.3, size=len(rows))
    return rows.assign(predicted=rows["mid"] + noise)


def find(result: OptionErrors, moneyness: str, maturity: str) -> pd.Series:
    """Choose a bucket."""
    table = result.by_bucket
    chosen = table[(table["moneyness"] == moneyness) & (table["maturity"] == maturity)]
    (place,) = chosen.index
    return chosen.loc[place]


def name_bucket(rows: pd.DataFrame, settings: BucketSettings | None = None) -> tuple[str, str]:
    """Name the bucket that all rows are in."""
    table = measure_option_errors(rows, settings).by_bucket
    (place,) = table.index[table["n"] > 0]
    assert table["n"].sum() == len(rows)
    return str(table["moneyness"][place]), str(table["maturity"][place])


def solve_vol(value: float, strike: float) -> float:
    """Find the volatility of a call of the hand-made chain by bisection."""
    time = 30 / 365

    def miss(vol: float) -> float:
        d1 = np.log(100 / strike) / (vol * time**0.5) + vol * time**0.5 / 2
        return float(100 * norm.cdf(d1) - strike * norm.cdf(d1 - vol * time**0.5) - value)

    return float(brentq(miss, 1e-3, 3.0, xtol=1e-12))


def test_metrics_known_by_hand() -> None:
    """Errors of 0.1, -0.5, 1 and -10.5; both prices on the edge of the spread are within it."""
    vol_errors = [
        solve_vol(10.6, 90) - solve_vol(10.5, 90),
        solve_vol(2.5, 100) - solve_vol(2.0, 100),
        solve_vol(3.5, 100) - solve_vol(2.5, 100),  # the put at the forward is worth the call
    ]
    expected = {
        "mae_price": 3.025,
        "rmse_price": 27.8775**0.5,
        "bias_price": -2.475,
        "mape": (0.1 / 10.5 + 0.2 + 0.4 + 1.05) / 4,
        "mdape": 0.3,
        "within_spread": 0.5,
        "mae_vol_points": 100 * sum(vol_errors) / 3,
        "vol_share": 0.75,  # neither -0.5 nor the mid at its intrinsic value implies one
        "negative_share": 0.25,
        "violations": 0.75,  # all but the first call
        "violations_lower_bound": 0.25,  # the last put
        "violations_upper_bound": 0.0,
        "violations_monotonicity": 0.5,  # the last put, of the two upper strikes
        "violations_slope": 0.0,
        "violations_convexity": NAN,
        "violations_calendar": NAN,
        "violations_parity": 1.0,  # the one pair
        "mid_violations": 0.0,
    }

    metrics = measure_option_errors(make_hand_rows()).metrics

    assert tuple(metrics) == METRICS == tuple(expected)
    assert all(type(value) is float for value in metrics.values())
    assert_allclose([metrics[name] for name in METRICS], list(expected.values()), atol=1e-9)


def test_buckets_known_by_hand() -> None:
    """The strikes 90 and 110 lie on the outer edges, and 30 days end a bucket."""
    result = measure_option_errors(make_hand_rows())

    table = result.by_bucket
    assert list(table.columns) == [
        "moneyness",
        "maturity",
        "n",
        "mae_price",
        "rmse_price",
        "mape",
        "mae_vol_points",
        "within_spread",
    ]
    assert len(table) == 25
    assert table["n"].sum() == 4
    middle = find(result, "0.97 to 1.03", "8 to 30 days")
    assert middle["n"] == 2
    assert_allclose(middle[["mae_price", "rmse_price"]].tolist(), [0.75, 0.625**0.5])
    assert_allclose(middle[["mape", "within_spread"]].tolist(), [0.3, 0.5])
    assert find(result, "0.9 to 0.97", "8 to 30 days")["mae_price"] == pytest.approx(0.1)
    upper = find(result, "1.03 to 1.1", "8 to 30 days")
    assert upper["mae_price"] == 10.5
    assert np.isnan(upper["mae_vol_points"])
    empty = table[table["n"] == 0]
    assert empty.drop(columns=["moneyness", "maturity", "n"]).isna().all(axis=None)


def test_perfect_predictions_have_no_error() -> None:
    """What they violate, the mids do: one of them is planted too dear."""
    rows = make_rows()
    rows.loc[20, ["mid", "ask"]] += 2.0
    metrics = measure_option_errors(rows.assign(predicted=rows["mid"])).metrics

    for name in (*PRICE_METRICS, "mape", "mdape", "mae_vol_points", "negative_share"):
        assert metrics[name] == 0.0
    assert metrics["within_spread"] == 1.0
    assert metrics["vol_share"] > 0.9
    assert metrics["violations"] == metrics["mid_violations"] > 0


@settings(max_examples=20, deadline=None)
@given(vol=st.floats(0.05, 0.8), rate=st.floats(-0.02, 0.1), shift=st.floats(-0.05, 0.05))
def test_one_volatility_violates_nothing(vol: float, rate: float, shift: float) -> None:
    """Whatever the rates and dividends, and every condition is tested."""
    metrics = measure_option_errors(make_rows(vol, rate, shift)).metrics

    names = ("violations", *(f"violations_{check}" for check in CHECKS))
    assert [metrics[name] for name in names] == [0.0] * len(names)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffled_predictions_violate(seed: int) -> None:
    """Prices that belong to other contracts break every kind of condition."""
    rows = make_rows()
    shuffled = np.random.default_rng(seed).permutation(rows["predicted"].to_numpy())

    metrics = measure_option_errors(rows.assign(predicted=shuffled)).metrics

    assert metrics["violations"] > 0.9
    assert metrics["mid_violations"] == 0.0
    of_checks = [metrics[f"violations_{check}"] for check in CHECKS if check != "upper_bound"]
    assert min(of_checks) > 0.1


@pytest.mark.parametrize(("excess", "share"), [(0.005, 0.0), (0.01, 0.0), (0.02, 0.5)])
def test_violations_up_to_a_cent_are_held(excess: float, share: float) -> None:
    """A call may cost a cent more than that of the strike below; 1.12 - 1.11 is above 0.01."""
    rows = make_hand_rows().query("option_type == 'call'")
    rows = rows.assign(strike=[105.0, 110.0], predicted=[1.11, 1.11 + excess])

    metrics = measure_option_errors(rows).metrics

    assert metrics["violations_monotonicity"] == 2 * share
    assert metrics["violations"] == share


def test_volatility_points_are_hundredths() -> None:
    """Predictions at 22 % against mids at 20 % miss by two points in every bucket."""
    rows = make_rows(0.2)
    result = measure_option_errors(rows.assign(predicted=price_flat(rows, 0.22)))

    assert result.metrics["mae_vol_points"] == pytest.approx(2.0, abs=1e-5)
    filled = result.by_bucket.dropna(subset="mae_vol_points")
    assert len(filled) > 10
    assert_allclose(filled["mae_vol_points"], 2.0, atol=1e-4)


def test_currency_scales_prices_alone() -> None:
    """In another currency shares and volatility points stay."""
    rows = make_rows(0.4)
    # Far more than the cent that is allowed in both currencies.
    rows["predicted"] += np.where(np.arange(len(rows)) % 4 == 0, 0.5, 0.0)
    names = ["underlying_price", "strike", "bid", "ask", "mid", "predicted"]
    scaled = rows.assign(**{name: 10.0 * rows[name] for name in names})

    before, after = measure_option_errors(rows), measure_option_errors(scaled)

    assert before.metrics["violations"] > 0.3
    for name in METRICS:
        factor = 10.0 if name in PRICE_METRICS else 1.0
        # The volatility of a price close to its intrinsic value rests on few digits.
        allowed = 1e-4 if name == "mae_vol_points" else 1e-9
        assert after.metrics[name] == pytest.approx(factor * before.metrics[name], abs=allowed)
    assert_allclose(after.by_bucket["mae_price"], 10.0 * before.by_bucket["mae_price"])
    assert_allclose(after.by_bucket["mae_vol_points"], before.by_bucket["mae_vol_points"], 1e-4)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 99))
def test_order_of_rows_does_not_matter(seed: int) -> None:
    """Not even in the last digit, nor does the index; the rows stay as they are."""
    rows = spoil(make_rows())
    moved = rows.sample(frac=1.0, random_state=seed).set_index(np.zeros(len(rows), dtype=int))
    kept = moved.copy()

    before, after = measure_option_errors(rows), measure_option_errors(moved)

    assert after.metrics == before.metrics
    pd.testing.assert_frame_equal(after.by_bucket, before.by_bucket, check_exact=True)
    pd.testing.assert_frame_equal(moved, kept)


def test_buckets_add_up_to_the_total() -> None:
    """Weighted by their counts; every row is in one of them."""
    rows = make_rows(0.4)
    noise = np.random.default_rng(5).uniform(-0.03, 0.03, len(rows))
    rows = rows.assign(predicted=price_flat(rows, 0.4 + noise))
    rows = rows[rows["mid"] > 0.01]

    result = measure_option_errors(rows)

    table, metrics = result.by_bucket.query("n > 0"), result.metrics
    assert table["n"].sum() == len(rows)
    assert metrics["vol_share"] == 1.0
    for name in ("mae_price", "mape", "mae_vol_points", "within_spread"):
        assert np.average(table[name], weights=table["n"]) == pytest.approx(metrics[name])
    squares = np.average(table["rmse_price"] ** 2, weights=table["n"])
    assert squares**0.5 == pytest.approx(metrics["rmse_price"])


def test_dates_are_chains_of_their_own() -> None:
    """Measured apart and averaged, they give what they give together."""
    rows = spoil(make_rows())
    together = measure_option_errors(rows).metrics
    parts = [measure_option_errors(part).metrics for _, part in rows.groupby("quote_date")]

    for name in ("mae_price", "violations", "violations_calendar", "within_spread"):
        assert together[name] == pytest.approx(np.mean([part[name] for part in parts]))
    assert parts[0]["violations"] > 0


@pytest.mark.parametrize(
    ("strike", "bucket"),
    [
        (89.9, "below 0.9"),
        (90.0, "0.9 to 0.97"),
        (97.0, "0.9 to 0.97"),
        (97.1, "0.97 to 1.03"),
        (103.0, "0.97 to 1.03"),
        (103.1, "1.03 to 1.1"),
        (110.0, "1.03 to 1.1"),
        (110.1, "above 1.1"),
    ],
)
def test_moneyness_buckets_end_at_their_edges(strike: float, bucket: str) -> None:
    """Strikes over a forward of 100."""
    assert name_bucket(make_hand_rows().head(1).assign(strike=strike))[0] == bucket


@pytest.mark.parametrize(
    ("days", "bucket"),
    [
        (0, "up to 7 days"),
        (7, "up to 7 days"),
        (8, "8 to 30 days"),
        (30, "8 to 30 days"),
        (31, "31 to 90 days"),
        (91, "91 to 180 days"),
        (180, "91 to 180 days"),
        (181, "above 180 days"),
    ],
)
def test_maturity_buckets_end_with_their_day(days: int, bucket: str) -> None:
    """Calendar days from quote to expiration, whatever the hour of settlement."""
    rows = make_hand_rows().head(1)
    rows["expiration"] = rows["quote_date"] + pd.Timedelta(days=days)
    assert name_bucket(rows)[1] == bucket


def test_moneyness_is_over_the_forward_or_else_the_spot() -> None:
    """A strike of 105 is 1.05 spots, and 0.95 forwards once carry makes these 110.5."""
    rows = make_hand_rows().head(1).assign(strike=105.0, time_years=1.0, carry_continuous=0.1)
    assert name_bucket(rows)[0] == "0.9 to 0.97"
    assert name_bucket(rows.assign(carry_continuous=NAN))[0] == "1.03 to 1.1"


def test_buckets_are_ordered_and_named_after_their_edges() -> None:
    """Single days are one number, and settings may come as lists."""
    edges: dict[str, Any] = {"moneyness": [0.5, 1, 1.25], "maturity_days": [1, 2, 45]}
    settings = BucketSettings(**edges)

    result = measure_option_errors(make_hand_rows(), settings)

    table = result.by_bucket
    assert find(result, "0.5 to 1", "3 to 45 days")["n"] == 3
    assert find(result, "1 to 1.25", "3 to 45 days")["n"] == 1
    moneyness, maturity = table["moneyness"].cat, table["maturity"].cat
    assert list(moneyness.categories) == ["below 0.5", "0.5 to 1", "1 to 1.25", "above 1.25"]
    assert list(maturity.categories) == ["up to 1 day", "2 days", "3 to 45 days", "above 45 days"]
    assert moneyness.ordered
    assert maturity.ordered
    assert len(table) == 16
    assert settings == BucketSettings((0.5, 1.0, 1.25), (1.0, 2.0, 45.0))
    assert hash(settings) == hash(BucketSettings((0.5, 1.0, 1.25), (1.0, 2.0, 45.0)))


@pytest.mark.parametrize(
    ("name", "edges"),
    [
        ("moneyness", (1.0, 0.9)),
        ("moneyness", (0.9, 0.9)),
        ("moneyness", (0.9,)),
        ("moneyness", (0.0, 0.9)),
        ("moneyness", (0.9, NAN)),
        ("moneyness", (0.9, float("inf"))),
        ("maturity_days", ()),
        ("maturity_days", (30.0, 7.0)),
        ("maturity_days", (7.5, 30.0)),
    ],
)
def test_edges_that_are_none_are_refused(name: str, edges: tuple[float, ...]) -> None:
    """The message names the setting and says what to give."""
    with pytest.raises(ValueError, match=rf"edges {name} are .*\. Give"):
        BucketSettings(**{name: edges})


def test_rows_without_carry_or_rate_have_prices_only() -> None:
    """They count for prices, not for volatilities and violations."""
    rows = make_hand_rows()
    rows.loc[3, "carry_continuous"] = NAN
    rows.loc[2, "rate_continuous"] = NAN

    metrics = measure_option_errors(rows).metrics

    assert metrics["mae_price"] == pytest.approx(3.025)
    assert metrics["vol_share"] == 0.5
    assert metrics["violations"] == 0.0  # what the two puts did before
    assert np.isnan(metrics["violations_parity"])


def test_metrics_without_any_rate_are_nan() -> None:
    """Nothing can be tested, and nothing warns."""
    metrics = measure_option_errors(make_hand_rows().assign(rate_continuous=NAN)).metrics

    undefined = {name for name, value in metrics.items() if np.isnan(value)}
    assert undefined == {"mae_vol_points", *(name for name in METRICS if "violations" in name)}
    assert metrics["vol_share"] == 0.0


def test_shares_leave_out_what_they_are_undefined_for() -> None:
    """A mid of zero has no relative error, and a quote without a bid no spread."""
    rows = make_hand_rows()
    rows.loc[3, "mid"] = 0.0
    rows.loc[1, "bid"] = NAN

    metrics = measure_option_errors(rows).metrics

    assert metrics["mape"] == pytest.approx((0.1 / 10.5 + 0.2 + 0.4) / 3)
    assert metrics["mdape"] == pytest.approx(0.2)
    assert metrics["within_spread"] == pytest.approx(1 / 3)
    nothing = measure_option_errors(rows.assign(mid=0.0)).metrics
    assert np.isnan([nothing["mape"], nothing["mdape"]]).all()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("predicted", NAN, "1 have a predicted that is not a finite number"),
        ("predicted", np.inf, "1 have a predicted that is not a finite number"),
        ("mid", NAN, "1 have a mid that is not a finite number"),
        ("strike", 0.0, "1 have no finite strike above 0"),
        ("underlying_price", NAN, "1 have no finite underlying_price above 0"),
        ("expiration", pd.NaT, "1 lack expiration"),
        ("root", None, "1 lack root"),
        ("option_type", "call", "1 repeat the key of another"),
    ],
)
def test_faulty_row_is_refused_by_its_key(name: str, value: Any, message: str) -> None:
    """The message counts such rows and shows the first."""
    rows = make_hand_rows()
    rows.loc[2, name] = value

    with pytest.raises(ValueError, match=rf"Of 4 .*{message}, such as \(2020-01-02, .*leave them"):
        measure_option_errors(rows)


def test_table_without_columns_or_rows_is_refused() -> None:
    """A missing column is named with the nearest that there is."""
    rows = make_hand_rows()
    with pytest.raises(ValueError, match=r"lacks column 'predicted' \(is it 'Predicted'\?\)"):
        measure_option_errors(rows.rename(columns={"predicted": "Predicted"}))
    with pytest.raises(ValueError, match="no quote to score"):
        measure_option_errors(rows.head(0))


def read_recorded_day() -> pd.DataFrame:
    """Read the quotes of one recorded day, with what parity implies that day."""
    if not SPX.exists():
        pytest.skip(f"the shared recordings are absent: {SPX}")
    table = pd.read_parquet(SPX)
    table = table[table["quotedate"].astype(str).str[:10] == "2019-05-01"]
    root = table["optionroot"].str.extract(r"^([A-Z]+)\d", expand=False)
    chain = table[["strike", "bid", "ask"]].assign(
        quote_date=pd.to_datetime(table["quotedate"]),
        root=root,
        settlement=np.where(root == "SPX", "am", "pm"),
        exercise_style="european",
        underlying_price=table["underlying_last"],
        expiration=pd.to_datetime(table["expiration"]),
        option_type=table["type"],
    )
    chain = chain[(chain["bid"] > 0) & (chain["ask"] > chain["bid"])]
    chain["time_years"] = measure_time_years(chain)
    key = ["quote_date", "root", "expiration"]
    fitted = fit_forwards(chain)[[*key, "rate_continuous", "carry_continuous"]]
    rows = chain.merge(fitted, on=key, how="left")
    return rows.assign(mid=(rows["bid"] + rows["ask"]) / 2)


def test_recorded_day_is_scored() -> None:
    """One volatility violates nothing on real strikes; the mids do, and lie within their spread."""
    rows = read_recorded_day()
    known = rows.dropna(subset="carry_continuous")

    flat = measure_option_errors(known.assign(predicted=price_flat(known, 0.14)))
    perfect = measure_option_errors(rows.assign(predicted=rows["mid"])).metrics

    assert len(known) > 5000
    assert flat.metrics["violations"] == 0.0
    assert flat.by_bucket["n"].sum() == len(known)
    assert 1.0 < flat.metrics["mae_vol_points"] < 30.0
    assert perfect["violations"] == perfect["mid_violations"] > 0.0
    assert perfect["within_spread"] == 1.0
