"""The leakage audit passes what is honest, and finds what is not by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from tidemark import incidents
from tidemark.domain.audit import (
    Leak,
    alter_after,
    find_late_labels,
    find_leaks,
    list_cuts,
    list_differences,
)
from tidemark.domain.panel import live_cells, price_levels, simple_returns, stack_wide
from tidemark.domain.splits import Fold, split_by_date
from tidemark.pipelines.data_engineering.returns import nodes as data
from tidemark.pipelines.data_engineering.returns.params import (
    BaselineParams,
    LabelParams,
    PreprocessParams,
)
from tidemark.pipelines.data_engineering.returns.treatment import preprocess
from tidemark.pipelines.feature_engineering.returns.nodes import audit, featurise
from tidemark.pipelines.feature_engineering.returns.params import FeatureParams
from tidemark.pipelines.params import AuditParams

DAYS = pd.bdate_range("2018-01-01", periods=160).as_unit("ns")
KEYS = ["date", "ticker"]
AUDIT = AuditParams(n_cuts=3, seed=7, exogenous_delay_days=1)
HONEST = FeatureParams(lags=(1, 2), windows=(3, 5), exogenous_lags=(2, 3))
TREATMENTS = {
    "mean": PreprocessParams(impute="mean", impute_window_days=20),
    "clip": PreprocessParams(
        impute="median",
        impute_window_days=20,
        outliers="clip",
        outlier_window_days=20,
        outlier_min_days=5,
    ),
    "winsorise": PreprocessParams(
        impute="median",
        impute_window_days=20,
        outliers="winsorise",
        outlier_window_days=40,
        outlier_min_days=20,
        tail=0.05,
    ),
}
Build = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]


def make_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make prices of three tickers, one late and with holes, one that ends, and two series."""
    rng = np.random.default_rng(6)
    levels = 100 * np.cumprod(1 + rng.normal(0, 0.02, (160, 3)), axis=0)
    levels[:30, 1] = levels[[60, 61, 90], 1] = levels[130:, 2] = np.nan
    wide = pd.DataFrame(levels, index=DAYS, columns=["A", "B", "C"])
    prices = wide.melt(ignore_index=False, var_name="ticker", value_name="close")
    prices = prices.dropna().rename_axis("date").reset_index()
    days = pd.date_range(DAYS[0], DAYS[-1]).as_unit("ns")  # weekends too
    series = pd.DataFrame(
        {"date": np.tile(days, 2), "series": np.repeat(["eur", "oil"], len(days))}
    )
    series["value"] = 50 + np.cumsum(rng.normal(0, 0.5, len(series)))
    return prices, series


PRICES, SERIES = make_tables()
DATES = {
    **split_by_date(pd.DatetimeIndex(DAYS[30:]), 0.25, 3, 1, 0, refit_sessions=10).to_dict(),
    "keys": KEYS,
}


def run_audit(features: FeatureParams = HONEST, treatment: str = "mean", **changes: Any) -> Any:
    """Audit the study's own build, as its node does."""
    dates = {**DATES, **changes}
    processed, others, _ = preprocess(PRICES, SERIES, TREATMENTS[treatment])
    read = featurise(processed, others, features).assign(target=0.0)
    parts = read[read["date"] <= dates["train_end"]], read[read["date"] >= dates["test_start"]]
    return audit(PRICES, SERIES, *parts, dates, TREATMENTS[treatment], features, AUDIT)


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_audit_of_the_real_build_passes(treatment: str) -> None:
    """Every treatment and every kind of feature looks back only."""
    collector = incidents.collect()
    verdict = run_audit(treatment=treatment)
    assert (verdict["passed"], verdict["findings"], verdict["features"]) == (True, [], [])
    assert verdict["training_periods"] == len(DATES["folds"]) + len(DATES["refits"])
    assert len(verdict["cuts"]) == 3
    assert verdict["cuts"][0] == DATES["train_end"]
    assert collector.found == []


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_audit_of_lag_zero_names_it_and_nothing_else(treatment: str) -> None:
    """The target among the features is found by its name, and told as an incident."""
    collector = incidents.collect()
    features = HONEST.model_copy(update={"lags": (0, 1)})
    verdict = run_audit(features, treatment)
    assert verdict["passed"] is False
    assert verdict["features"] == ["ret_lag_0"]
    (finding,) = verdict["findings"]
    assert finding.startswith("feature ret_lag_0 changes with the future (")
    assert DATES["train_end"] in finding
    assert [(one.kind, one.message) for one in collector.found] == [("leak", finding)]


def test_audit_of_series_that_are_not_yet_published_names_them() -> None:
    """A lag of one session asks for what comes a day later."""
    assert run_audit(HONEST)["passed"]
    early = FeatureParams.model_construct(lags=(1,), windows=(3,), exogenous_lags=(1, 2))
    assert run_audit(early)["features"] == ["eur_ret_lag_1", "oil_ret_lag_1"]


def test_audit_of_training_that_knows_its_labels_too_late_names_the_period() -> None:
    """A fold whose last label is known on the day that it judges is told with both days."""
    late = {**DATES["refits"][1]}
    day = DAYS.get_loc(late["valid_start"]) - 1
    late["train_end"] = f"{DAYS[day]:%F}"
    collector = incidents.collect()
    verdict = run_audit(refits=[DATES["refits"][0], late, *DATES["refits"][2:]])
    assert verdict["passed"] is False
    assert verdict["features"] == []
    assert verdict["findings"] == [
        f"labels of the training that ends {late['train_end']} are known on "
        f"{late['valid_start']}, and are judged from {late['valid_start']}"
    ]
    assert [one.kind for one in collector.found] == ["leak"]


def test_audit_of_features_that_were_not_built_so_names_them() -> None:
    """What models read is compared with what building gives: a table that was changed is found."""
    processed, others, _ = preprocess(PRICES, SERIES, TREATMENTS["mean"])
    read = featurise(processed, others, HONEST).assign(target=0.0)
    train = read[read["date"] <= DATES["train_end"]].copy()
    test = read[read["date"] >= DATES["test_start"]]
    train.loc[train.index[5], "ret_mean_3"] += 1e-9
    collector = incidents.collect()
    verdict = audit(PRICES, SERIES, train, test, DATES, TREATMENTS["mean"], HONEST, AUDIT)
    assert verdict["features"] == ["ret_mean_3"]
    assert verdict["findings"] == ["feature ret_mean_3 is not what building it gives"]
    assert [one.kind for one in collector.found] == ["leak"]


def audit_data(**changes: Any) -> Any:
    """Audit labels and baselines, as the node of the study's data does."""
    dates = {**DATES, **changes}
    labels, baselines = LabelParams(warm_up_days=8), BaselineParams(trailing_mean_days=20)
    return data.audit(PRICES, SERIES, dates, labels, baselines, AUDIT)


def test_audit_of_the_data_passes() -> None:
    """Baselines look back only, and labels no further ahead than they say."""
    collector = incidents.collect()
    assert audit_data() == {"passed": True, "findings": []}
    assert collector.found == []


def test_audit_of_labels_that_look_further_than_they_say_names_them() -> None:
    """A label that is known a session later than the dates are purged for is told."""
    collector = incidents.collect()
    verdict = audit_data(horizon_days=0)
    assert verdict["passed"] is False
    (finding,) = verdict["findings"]
    assert finding.startswith("label target changes with the future (")
    assert [(one.kind, one.message) for one in collector.found] == [("leak", finding)]


def test_audit_of_a_baseline_that_knows_the_future_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mean of the whole is found among honest forecasts."""
    honest = data.forecast_returns

    def cheat(returns: pd.DataFrame, live: pd.DataFrame, mean_days: int) -> pd.DataFrame:
        table = honest(returns, live, mean_days)
        return table.assign(trailing_mean=table["ticker"].map(returns.mean()))

    monkeypatch.setattr(data, "forecast_returns", cheat)
    (finding,) = audit_data()["findings"]
    assert finding.startswith("baseline trailing_mean changes with the future (")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda table: table, []),
        (lambda table: table.iloc[::-1], []),
        (lambda table: table.head(2), []),  # further rows were built
        (lambda table: table.assign(a=np.nextafter(table["a"], 9)), ["a"]),
        (lambda table: table.assign(date=table["date"] + pd.Timedelta(days=9)), ["a", "b"]),
        (lambda table: table.drop(columns="b"), ["b"]),
        (lambda table: table.assign(c=1.0), ["c"]),
    ],
    ids=["same", "other order", "fewer rows", "last place", "other dates", "less", "more"],
)
def test_list_differences_names_every_feature_that_differs(
    change: Callable[[pd.DataFrame], pd.DataFrame], expected: list[str]
) -> None:
    """Rows are found by their keys, and values are compared bit by bit; a blank is a value."""
    built = pd.DataFrame({"date": DAYS[:4], "ticker": "A", "a": [0.1, 0.2, 0.3, 0.4]})
    built["b"] = [1.0, np.nan, 3.0, 4.0]
    assert list_differences(change(built.copy()), built, KEYS) == expected


def build_from(feature: Callable[[pd.DataFrame], pd.DataFrame]) -> Build:
    """Make a build of one planted feature, beside an honest one, from wide returns."""

    def build(prices: pd.DataFrame, _: pd.DataFrame) -> pd.DataFrame:
        levels = price_levels(prices)
        returns = simple_returns(levels)
        frames = {"honest": returns.rolling(3, min_periods=1).mean(), "planted": feature(returns)}
        return stack_wide(frames, "ticker", live_cells(levels)).dropna(ignore_index=True)

    return build


def leaks_of(build: Build, *cuts: str) -> list[Leak]:
    """Look for leaks at some days, without series."""
    days = [pd.Timestamp(cut) for cut in cuts or ("2018-05-01", "2018-07-02")]
    return find_leaks(build, PRICES, SERIES.head(0), KEYS, days, 1, 7)


PLANTED: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "centred mean": lambda returns: returns.rolling(5, center=True, min_periods=3).mean(),
    "mean of the whole": lambda returns: returns - returns.mean(),
    "scaled by the whole": lambda returns: returns / returns.std(),
    "rank over time": lambda returns: returns.rank(pct=True),
    "next return": lambda returns: returns.shift(-1),
    "far future": lambda returns: returns.shift(-20),
}


@pytest.mark.parametrize("name", PLANTED)
def test_find_leaks_names_the_planted_feature_only(name: str) -> None:
    """Each way to look ahead is found by the name of its feature, at every cut."""
    found = leaks_of(build_from(PLANTED[name]))
    assert {leak.feature for leak in found} - {"(rows)"} == {"planted"}
    assert {leak.cut for leak in found} == {"2018-05-01", "2018-07-02"}
    assert all(leak.rows > 0 for leak in found)


def test_find_leaks_value_filled_backwards_is_found_where_a_cut_meets_the_blank() -> None:
    """Only a cut within the blank shows what was filled from after it: the audit is a sample."""
    build = build_from(lambda returns: returns.bfill())
    within, elsewhere = f"{DAYS[60]:%F}", f"{DAYS[80]:%F}"
    assert {one.feature for one in leaks_of(build, within)} == {"planted"}
    assert leaks_of(build, elsewhere) == []


HONEST_ONES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "last return": lambda returns: returns,
    "trailing mean": lambda returns: returns.rolling(5, min_periods=3).mean(),
    "mean so far": lambda returns: returns - returns.expanding().mean(),
    "filled forwards": lambda returns: returns.ffill(),
    "rank across names": lambda returns: returns.rank(axis=1),
}


@pytest.mark.parametrize("name", HONEST_ONES)
def test_find_leaks_honest_feature_is_left_alone(name: str) -> None:
    """What looks back only is not accused."""
    assert leaks_of(build_from(HONEST_ONES[name])) == []


def test_find_leaks_finds_what_only_another_future_shows() -> None:
    """A sum that the last day alone decides is seen when the future is altered."""

    def build(prices: pd.DataFrame, _: pd.DataFrame) -> pd.DataFrame:
        last = prices.loc[prices["date"] == DAYS[-1], "close"]
        return prices[KEYS].assign(planted=float(last.sum()) if len(last) else PRICES_LAST)

    PRICES_LAST = float(PRICES.loc[PRICES["date"] == DAYS[-1], "close"].sum())
    assert {(one.feature, one.how) for one in leaks_of(build)} == {("planted", "altered")}


def test_find_leaks_finds_what_only_the_end_of_the_future_shows() -> None:
    """A feature of how many sessions there are is seen when they are cut off."""

    def build(prices: pd.DataFrame, _: pd.DataFrame) -> pd.DataFrame:
        return prices[KEYS].assign(planted=float(prices["date"].nunique()))

    assert {(one.feature, one.how) for one in leaks_of(build)} == {("planted", "truncated")}


def test_find_leaks_blank_at_the_end_of_a_life_is_no_leak() -> None:
    """With the future cut off a blank looks like the end: the row is gone, and no value changed."""
    gap = PRICES[(PRICES["ticker"] == "B") & PRICES["date"].isin(DAYS[59:63])]
    assert gap["date"].tolist() == [DAYS[59], DAYS[62]]  # nothing on two sessions in between

    def build(prices: pd.DataFrame, _: pd.DataFrame) -> pd.DataFrame:
        levels = price_levels(prices)
        live = live_cells(levels)
        filled = simple_returns(levels).fillna(0.0).where(live)
        return stack_wide({"planted": filled}, "ticker", live)

    inside = f"{DAYS[60]:%F}"
    whole, cut = build(PRICES, SERIES), build(PRICES[PRICES["date"] <= inside], SERIES)
    assert len(whole[whole["date"] <= inside]) == len(cut) + 1  # the row of the blank
    assert leaks_of(build, inside, f"{DAYS[61]:%F}") == []


def test_find_leaks_row_that_appears_only_without_the_future_is_one() -> None:
    """A row may be lost with the future, but none may exist because there is none."""

    def build(prices: pd.DataFrame, _: pd.DataFrame) -> pd.DataFrame:
        later = prices["date"].max() > DAYS[100]
        kept = prices[(prices["ticker"] != "A") | (not later)]
        return kept[KEYS].assign(honest=1.0)

    cut = f"{DAYS[50]:%F}"
    assert leaks_of(build, cut) == [Leak("(rows)", "truncated", cut, 51)]


def test_find_leaks_is_decided_bit_by_bit() -> None:
    """A change in the last place of a float is a change; a NaN that stays one is none."""

    def build(prices: pd.DataFrame, _: pd.DataFrame) -> pd.DataFrame:
        late = prices["date"].max() == DAYS[-1]
        value = np.nextafter(1.0, 2.0) if late else 1.0
        return prices[KEYS].assign(planted=value, honest=np.nan)

    assert {leak.feature for leak in leaks_of(build)} == {"planted"}


def test_find_leaks_leaves_its_tables_alone() -> None:
    """What is altered is a copy."""
    before = PRICES.copy(deep=True), SERIES.copy(deep=True)
    find_leaks(build_from(PLANTED["next return"]), PRICES, SERIES, KEYS, [DAYS[50]], 1, 7)
    assert_frame_equal(PRICES, before[0])
    assert_frame_equal(SERIES, before[1])


@settings(max_examples=30, deadline=None)
@given(position=st.integers(0, 159), seed=st.integers(0, 2**32 - 1))
def test_alter_after_changes_every_later_number_and_no_earlier_one(
    position: int, seed: int
) -> None:
    """Up to the day all is as it was; after it every price is another, still positive one."""
    table = PRICES.assign(volume=1000)
    altered = alter_after(table, DAYS[position], np.random.default_rng(seed))
    is_later = table["date"] > DAYS[position]
    assert_frame_equal(
        altered[~is_later], table[~is_later].astype({"volume": "float64"}), check_exact=True
    )
    assert_frame_equal(altered[KEYS], table[KEYS])
    for name in ("close", "volume"):
        ratio = altered.loc[is_later, name] / table.loc[is_later, name]
        assert ((ratio >= 0.5) & (ratio <= 2.0) & (ratio != 1.0)).all()


@pytest.mark.parametrize(
    ("first", "n_cuts", "expected"),
    [
        (0, 3, [0, 79, 158]),
        (100, 1, [100]),
        (100, 2, [100, 158]),
        (157, 3, [157, 158]),
        (158, 3, [158]),
    ],
)
def test_list_cuts_are_spaced_evenly_and_leave_a_future(
    first: int, n_cuts: int, expected: list[int]
) -> None:
    """The first is the one asked for, the last is the day before the last, none comes twice."""
    cuts = list_cuts(DAYS.to_numpy(), f"{DAYS[first]:%F}", n_cuts)
    assert cuts == [DAYS[position] for position in expected]


@pytest.mark.parametrize("horizon", [1, 2, 5])
@pytest.mark.parametrize("embargo", [0, 3])
@pytest.mark.parametrize("window", [None, 20])
def test_find_late_labels_of_the_projects_own_splits_are_none(
    horizon: int, embargo: int, window: int | None
) -> None:
    """What `split_by_date` makes is in time for every horizon and embargo."""
    split = split_by_date(
        pd.DatetimeIndex(DAYS), 0.25, 3, horizon, embargo,
        refit_sessions=10, window_sessions=window,
    )  # fmt: skip
    periods = [*split.folds, *split.refits]
    assert find_late_labels(DAYS.to_numpy(), periods, horizon) == []
    assert find_late_labels(DAYS.to_numpy(), periods, horizon + embargo + 1) != []


def test_find_late_labels_label_known_on_the_day_of_judging_is_late() -> None:
    """It becomes known at the close at which the decision is taken, not before it."""

    def fold(end: int, start: int) -> Fold:
        return Fold(1, *(f"{DAYS[position]:%F}" for position in (0, end, start, start + 5)))

    in_time, late = fold(50, 52), fold(50, 51)
    assert find_late_labels(DAYS.to_numpy(), [in_time, late], 1) == [(late, f"{DAYS[51]:%F}")]
    assert find_late_labels(DAYS.to_numpy(), [in_time], 2) == [(in_time, f"{DAYS[52]:%F}")]


def test_audit_parameters_out_of_bounds_are_refused() -> None:
    """An audit of no day would pass anything."""
    for change in ({"n_cuts": 0}, {"exogenous_delay_days": -1}):
        with pytest.raises(ValueError, match=next(iter(change))):
            AuditParams.model_validate({**AUDIT.model_dump(), **change})
