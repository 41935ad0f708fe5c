"""Forecasts of correlations: labels are purged by their horizon, and the audit finds the future."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from tidemark import incidents
from tidemark.domain.sessions import list_sessions
from tidemark.errors import DataError, ModelError
from tidemark.pipelines.data_engineering.cross_asset.nodes import align, forecast, label
from tidemark.pipelines.data_engineering.cross_asset.params import (
    AlignmentParams,
    CorrelationFeatureParams,
    CorrelationParams,
    PairParams,
    SeriesTable,
)
from tidemark.pipelines.data_engineering.cross_asset.treatment import preprocess
from tidemark.pipelines.data_engineering.publishing import publish
from tidemark.pipelines.feature_engineering.cross_asset import forecasts, regimes
from tidemark.pipelines.feature_engineering.cross_asset.correlating import correlate
from tidemark.pipelines.feature_engineering.splitting import split
from tidemark.pipelines.params import AuditParams, EvaluationParams, SplitParams

HORIZON = 21
NAMES = ("one", "two", "three")
SERIES = SeriesTable.model_validate(
    {
        name: {"label": name, "kind": "price", "treatment": "log_return", "calendar": "XNYS"}
        for name in NAMES
    }
)
ALIGNMENT = AlignmentParams(calendar="XNYS", base_currency="USD", max_fill_sessions=3)
CORRELATION = CorrelationParams(
    pairs=(("one", "two"), ("two", "three")),
    horizon_days=HORIZON,
    today_window=30,
    warm_up_days=80,
    min_share=0.8,
)
OWN = CorrelationFeatureParams(windows=(21, 60), halflife_days=10)
SPLIT = SplitParams(
    test_share=0.25, n_folds=2, horizon_days=HORIZON, embargo_days=0, refit_sessions=40
)
EVALUATION = EvaluationParams(
    seed=3,
    n_replicates=100,
    bootstrap="stationary",
    block_length_days=5,
    interval="percentile",
    level=0.9,
    confidence_set_size=0.1,
)
AUDIT = AuditParams(n_cuts=2, seed=7, exogenous_delay_days=0)
PAIR = PairParams(left="one", right="two", window=30, scale_window=20, zscore_window=60)


@dataclass(frozen=True)
class Sample:
    """Everything up to the audit."""

    levels: pd.DataFrame
    returns: pd.DataFrame
    targets: pd.DataFrame
    baselines: pd.DataFrame
    dates: dict[str, Any]
    features: pd.DataFrame
    train: pd.DataFrame
    test: pd.DataFrame


@cache
def sample() -> Sample:
    """Draw three series with holes, and take them through the study's nodes."""
    rng = np.random.default_rng(12)
    days = list_sessions("XNYS", pd.Timestamp("2015-01-02"), pd.Timestamp("2017-06-30"))
    common = rng.standard_normal((len(days), 1))
    moves = 0.01 * (np.array([0.8, -0.6, 0.3]) * common + rng.standard_normal((len(days), 3)))
    wide = pd.DataFrame(100.0 * np.exp(moves.cumsum(axis=0)), index=days, columns=list(NAMES))
    wide = wide.mask(rng.random(wide.shape) < 0.01)
    levels = wide.rename_axis(index="date").reset_index().melt("date", var_name="series")
    levels = levels.dropna().sort_values(["date", "series"], ignore_index=True)
    returns = align(levels, SERIES, ALIGNMENT)
    targets, baselines = label(returns, CORRELATION), forecast(returns, CORRELATION)
    dates, _, _ = publish(targets, baselines, SPLIT, EVALUATION)
    dates = json.loads(json.dumps(dates, allow_nan=False))
    features, _ = forecasts.featurise(returns, CORRELATION, OWN)
    return Sample(
        levels, returns, targets, baselines, dates, features, *split(features, targets, dates)
    )


@pytest.fixture(autouse=True)
def _made_before_anything_is_spoilt() -> None:
    """Make what is shared, and remembered, before a test plants its leak."""
    sample()
    pair_dates()


def audit_features(**changes: Any) -> tuple[dict[str, Any], list[incidents.Incident]]:
    """Audit the features; what is JSON in the catalog goes through JSON."""
    s = sample()
    given = {"returns": s.returns, "train": s.train, "test": s.test, "dates": s.dates, **changes}
    collector = incidents.collect()
    found = forecasts.audit(**given, correlation=CORRELATION, own=OWN, params=AUDIT)
    return json.loads(json.dumps(found, allow_nan=False)), collector.found


def audit_labels() -> tuple[dict[str, Any], list[incidents.Incident]]:
    """Audit returns, baselines and labels."""
    s = sample()
    collector = incidents.collect()
    found = forecasts.audit_labels(
        s.levels, s.returns, s.dates, SERIES, ALIGNMENT, CORRELATION, AUDIT
    )
    return json.loads(json.dumps(found, allow_nan=False)), collector.found


def audit_pair(features: pd.DataFrame, dates: dict[str, Any]) -> dict[str, Any]:
    """Audit a pair's observations."""
    incidents.collect()
    return regimes.audit(sample().levels, features, dates, SERIES, ALIGNMENT, PAIR, AUDIT)


@cache
def pair_features() -> pd.DataFrame:
    """Observe a pair."""
    processed, _ = preprocess(sample().levels, SERIES, ALIGNMENT, PAIR)
    return regimes.featurise(processed, correlate(processed, PAIR), PAIR)


@cache
def pair_dates() -> dict[str, Any]:
    """Cut a pair's observations."""
    return regimes.publish(pair_features(), PAIR, EVALUATION)[0]


def peek(build: Callable[..., Any]) -> Callable[..., Any]:
    """Make a builder that takes every number from the session after."""

    def spoilt(*given: Any) -> Any:
        found = build(*given)
        table = found[0] if isinstance(found, tuple) else found
        keys = [name for name in ("date", "pair") if name in table]
        wide = table.drop(columns=keys)
        later = wide.groupby(table["pair"]).shift(-1) if "pair" in table else wide.shift(-1)
        spoilt_table = pd.concat([table[keys], later], axis=1)
        return (spoilt_table, *found[1:]) if isinstance(found, tuple) else spoilt_table

    return spoilt


def test_featurise_says_how_much_there_was() -> None:
    """One row for each pair and session; the share that is missing is of the pairs' returns."""
    s = sample()
    features, report = forecasts.featurise(s.returns, CORRELATION, OWN)
    assert len(features) == 2 * len(s.returns)
    assert features["pair"].unique().tolist() == ["one/two", "two/three"]
    expected = s.returns[list(NAMES)].isna().to_numpy().mean()
    assert report == {
        "sessions": len(s.returns),
        "missing_rate": pytest.approx(expected),
        "pairs": 2,
    }
    json.dumps(report, allow_nan=False)


def test_eligible_rows_have_features_targets_and_baselines() -> None:
    """No row of training or test has a hole, and both together are all that are eligible."""
    s = sample()
    for part in (s.train, s.test):
        assert part.notna().all(axis=None)
    assert len(s.train) + len(s.test) == s.targets["eligible"].sum() > 0
    judged = s.targets[s.targets["eligible"]].merge(s.baselines, on=["date", "pair"])
    assert judged.notna().all(axis=None)


def test_first_training_ends_a_horizon_before_the_test() -> None:
    """Every label of a training is known before the first decision that it is judged by."""
    s = sample()
    decided = np.unique(s.targets.loc[s.targets["eligible"], "date"].to_numpy())
    sessions = s.returns["date"].to_numpy()
    for fold in [*s.dates["folds"], *s.dates["refits"]]:
        end, start = (np.datetime64(fold[name]) for name in ("train_end", "valid_start"))
        apart = np.searchsorted(decided, start) - np.searchsorted(decided, end)
        assert apart > HORIZON
        # In sessions of the calendar too: the last return of the last label precedes the decision.
        known = sessions[np.searchsorted(sessions, end) + HORIZON]
        assert known < start
    assert s.dates["horizon_days"] == HORIZON
    assert s.dates["train_end"] == s.dates["refits"][0]["train_end"]


def test_purged_training_shares_no_return_with_what_judges_it() -> None:
    """Altering the returns of every window that is judged changes no target that is learnt."""
    s = sample()
    for refit in s.dates["refits"]:
        other = s.returns.copy()
        later = other["date"] >= refit["valid_start"]
        other.loc[later, list(NAMES)] *= np.array([3.0, -1.0, 0.1])
        targets = label(other, CORRELATION)
        learnt = targets["eligible"] & (targets["date"] <= refit["train_end"])
        assert learnt.any()
        before = s.targets.loc[learnt, "target"].to_numpy().view("int64")
        assert (targets.loc[learnt, "target"].to_numpy().view("int64") == before).all()


def test_audit_passes_honest_features() -> None:
    """No finding and no incident; it says what was looked at."""
    found, told = audit_features()
    assert found["passed"]
    assert found["findings"] == found["features"] == []
    assert len(found["cuts"]) == 2
    assert found["training_periods"] == len(sample().dates["folds"] + sample().dates["refits"])
    assert told == []


@pytest.mark.parametrize("n_ahead", [1, 5])
def test_audit_finds_a_planted_look_ahead(n_ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One feature that knows later returns is named; the others are not."""
    build = forecasts.build_correlation_features

    def leak(returns: pd.DataFrame, *more: Any) -> pd.DataFrame:
        table = build(returns, *more)
        later = returns["one"].shift(-n_ahead).fillna(0.0)
        return table.assign(z_21=table["z_21"] + table["date"].map(later))

    monkeypatch.setattr(forecasts, "build_correlation_features", leak)
    s = sample()
    features, _ = forecasts.featurise(s.returns, CORRELATION, OWN)
    train, test = split(features, s.targets, s.dates)
    found, told = audit_features(train=train, test=test)
    assert not found["passed"]
    assert found["features"] == ["z_21"]
    assert any("z_21 changes with the future" in words for words in found["findings"])
    assert [one.kind for one in told] == ["leak"]


def test_audit_finds_a_feature_that_was_scaled_by_the_whole_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mean over all sessions knows the future as well as a shift does."""
    build = forecasts.build_correlation_features

    def leak(returns: pd.DataFrame, *more: Any) -> pd.DataFrame:
        table = build(returns, *more)
        return table.assign(z_60=table["z_60"] - table["z_60"].mean())

    monkeypatch.setattr(forecasts, "build_correlation_features", leak)
    s = sample()
    features, _ = forecasts.featurise(s.returns, CORRELATION, OWN)
    train, test = split(features, s.targets, s.dates)
    assert audit_features(train=train, test=test)[0]["features"] == ["z_60"]


def test_audit_finds_features_that_models_read_and_nobody_builds() -> None:
    """Altered after they were built, or altered on the way."""
    s = sample()
    nudged = s.train.assign(z_60=s.train["z_60"] + 1e-12)
    found, _ = audit_features(train=nudged)
    assert found["features"] == ["z_60"]
    strange = {"train": s.train.assign(target_copy=0.0), "test": s.test.assign(target_copy=0.0)}
    assert audit_features(**strange)[0]["features"] == ["target_copy"]


@pytest.mark.parametrize("n_late", [0, 1])
def test_audit_finds_labels_that_are_known_too_late(n_late: int) -> None:
    """A label that is known at the close of the first decision is late, one a session earlier not.

    What counts are sessions of the calendar: on some of them a pair decides nothing.
    """
    s = sample()
    dates = json.loads(json.dumps(s.dates))
    sessions, refit = s.returns["date"].to_numpy(), dates["refits"][1]
    first = int(np.searchsorted(sessions, np.datetime64(refit["valid_start"])))
    refit["train_end"] = str(sessions[first - HORIZON - 1 + n_late])[:10]
    found, told = audit_features(dates=dates)
    assert found["passed"] is (n_late == 0)
    assert len(told) == n_late
    if n_late:
        assert any(refit["train_end"] in words for words in found["findings"])


def test_audit_of_labels_passes_what_looks_ahead_as_far_as_it_says() -> None:
    """Labels may look a horizon ahead; returns and baselines may not at all."""
    found, told = audit_labels()
    assert found == {"passed": True, "findings": []}
    assert told == []


@pytest.mark.parametrize(("name", "what"), [("align", "return"), ("forecast", "baseline")])
def test_audit_of_labels_finds_a_planted_look_ahead(
    name: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Returns of tomorrow, and a baseline that knows them."""
    monkeypatch.setattr(forecasts, name, peek(getattr(forecasts, name)))
    found, told = audit_labels()
    assert not found["passed"]
    assert all(words.startswith(what) for words in found["findings"])
    assert [one.kind for one in told] == ["leak"]


def test_audit_of_labels_finds_one_that_looks_further_than_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A target of 22 sessions under a horizon of 21 would slip through the purge."""
    monkeypatch.setattr(forecasts, "label", peek(forecasts.label))
    found, _ = audit_labels()
    assert any(words.startswith("label target") for words in found["findings"])


def test_audit_of_a_pair_passes_and_finds_a_planted_look_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An observation over the volatility of its own future is found, in either column."""
    assert audit_pair(pair_features(), pair_dates())["passed"]
    build = regimes.observe_pair

    def leak(returns: pd.DataFrame, *more: Any) -> pd.DataFrame:
        table = build(returns, *more)
        return table.assign(y=table["y"] / returns["right"].std())

    monkeypatch.setattr(regimes, "observe_pair", leak)
    processed, _ = preprocess(sample().levels, SERIES, ALIGNMENT, PAIR)
    spoilt = regimes.featurise(processed, correlate(processed, PAIR), PAIR)
    found = audit_pair(spoilt, pair_dates())
    assert found["features"] == ["y"]
    assert not found["passed"]


def test_audit_of_a_pair_finds_a_training_that_reaches_into_its_block() -> None:
    """A refit that ends on the first day that it is judged by."""
    dates = json.loads(json.dumps(pair_dates()))
    dates["refits"][0]["train_end"] = dates["refits"][0]["valid_start"]
    found = audit_pair(pair_features(), dates)
    assert not found["passed"]
    assert dates["refits"][0]["valid_start"] in found["findings"][0]


def test_baseline_of_today_is_the_correlation_that_the_report_shows() -> None:
    """Two routes: the forecast's Fisher z, and a pair's rolling correlation of as many sessions."""
    s = sample()
    processed, _ = preprocess(s.levels, SERIES, ALIGNMENT, PAIR)
    rolling = correlate(processed, PAIR).dropna().set_index("date")["correlation"]
    today = s.baselines[s.baselines["pair"] == "one/two"].set_index("date")["today"]
    common = rolling.index.intersection(today.dropna().index)
    assert len(common) > 400
    assert_allclose(np.tanh(today[common]), rolling[common], atol=1e-12)


def test_too_short_a_warm_up_is_refused_with_the_remedy() -> None:
    """Features that look back further than the warm-up leave eligible rows without them."""
    s = sample()
    short = CORRELATION.model_copy(update={"warm_up_days": 30})
    targets = label(s.returns, short)
    with pytest.raises(ModelError, match="Lengthen the study's warm-up to the longest look-back"):
        split(s.features, targets, s.dates)


def test_rows_without_a_baseline_are_refused() -> None:
    """What will be scored must be comparable with the baselines."""
    s = sample()
    bare = s.baselines.assign(today=np.nan)
    with pytest.raises(DataError, match="rows to be scored have no baseline forecast"):
        publish(s.targets, bare, SPLIT, EVALUATION)


def test_inputs_are_left_as_they_are() -> None:
    """Neither building nor auditing writes into its tables."""
    s = sample()
    tables = s.levels, s.returns, s.targets, s.features, s.train, s.test, pair_features()
    before = [table.copy(deep=True) for table in tables]
    texts = json.dumps([s.dates, pair_dates()])
    audit_features()
    audit_labels()
    audit_pair(pair_features(), pair_dates())
    for table, same in zip(tables, before, strict=True):
        pd.testing.assert_frame_equal(table, same)
    assert json.dumps([s.dates, pair_dates()]) == texts
