"""Cells that find regimes: each block knows its past alone, and a failure has an outcome."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from tidemark import incidents
from tidemark.config import Cell
from tidemark.domain import regime_methods
from tidemark.domain.regimes import MarkovParameters, filter_markov
from tidemark.errors import DataError
from tidemark.pipelines.data_engineering.cross_asset.params import (
    DENSITY_BASELINES,
    PairParams,
    SeriesTable,
)
from tidemark.pipelines.drawing import MISSING
from tidemark.pipelines.feature_engineering.cross_asset import regimes as features_nodes
from tidemark.pipelines.feature_engineering.cross_asset.correlating import correlate
from tidemark.pipelines.modelling.nodes import conclude
from tidemark.pipelines.modelling.params import RegimeParams, TrainParams
from tidemark.pipelines.modelling.regimes import nodes, plotting
from tidemark.pipelines.params import EvaluationParams

PAIR = PairParams(
    left="one", right="other", window=20, scale_window=20, zscore_window=40, refit_sessions=60
)
SERIES = SeriesTable.model_validate(
    {
        name: {"label": name, "kind": "price", "treatment": "log_return", "calendar": "XNYS"}
        for name in ("one", "other")
    }
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
MODELS = {
    "single_regime": RegimeParams(estimator="single_regime"),
    "zscore": RegimeParams(estimator="zscore", min_obs=10),
    "markov": RegimeParams(estimator="markov", n_starts=1),
}
CHAIN = TrainParams.model_validate(
    {
        **{"seed": 1, "fallback_seed": 2, "exact_svr_max_rows": 1, "nystroem_components": 1},
        "simpler": {
            "markov": {"estimator": "zscore"},
            "zscore": {"estimator": "single_regime"},
        },
    }
)
BY_METHOD = pytest.mark.parametrize("name", list(MODELS))


@dataclass(frozen=True)
class Sample:
    """What the cells of a pair share."""

    processed: pd.DataFrame
    rolling: pd.DataFrame
    features: pd.DataFrame
    dates: dict[str, Any]
    scoring: pd.DataFrame
    resampling: dict[str, Any]


@cache
def sample() -> Sample:
    """Draw a pair whose correlation switches every 60 sessions, and take it to its cells."""
    rng = np.random.default_rng(4)
    n = 420
    correlation = np.where(np.arange(n) // 60 % 2, 0.7, -0.7)
    left = rng.standard_normal(n)
    right = correlation * left + np.sqrt(1 - correlation**2) * rng.standard_normal(n)
    processed = pd.DataFrame(
        {
            "date": pd.bdate_range("2012-01-02", periods=n),
            "left": 0.01 * left,
            "right": 0.01 * right,
        }
    )
    rolling = correlate(processed, PAIR)
    features = features_nodes.featurise(processed, rolling, PAIR)
    dates, scoring, resampling = features_nodes.publish(features, PAIR, EVALUATION)
    dates, resampling = json.loads(json.dumps([dates, resampling], allow_nan=False))
    return Sample(processed, rolling, features, dates, scoring, resampling)


@dataclass(frozen=True)
class Trained:
    """What a cell's training has made."""

    model: dict[str, Any]
    cv_scores: dict[str, Any]
    regimes: pd.DataFrame
    densities: pd.DataFrame
    incidents: list[incidents.Incident]


def train(name: str, features: pd.DataFrame | None = None, params: TrainParams = CHAIN) -> Trained:
    """Train a cell; what is JSON in the catalog goes through JSON."""
    given = sample().features if features is None else features
    collector = incidents.collect()
    cell = Cell("cross_asset", "pair", name)
    model, scores, *tables = nodes.train(given, sample().dates, MODELS[name], params, PAIR, cell)
    model, scores = json.loads(json.dumps([model, scores], allow_nan=False))
    return Trained(model, scores, *tables, list(collector.found))


@cache
def trained(name: str) -> Trained:
    """Train a cell on the shared sample, once."""
    return train(name)


def finish(name: str, one: Trained, figures: list[bytes] | None = None) -> dict[str, Any]:
    """Evaluate and conclude."""
    cell = Cell("cross_asset", "pair", name)
    s = sample()
    scored, _, metrics, about = nodes.evaluate(
        one.densities, s.scoring, s.dates, s.resampling, cell
    )
    metrics, about = json.loads(json.dumps([metrics, about], allow_nan=False))
    drawn = [b"png"] * 3 if figures is None else figures
    outcome = conclude(metrics, about, one.cv_scores, scored, "pair", cell, *drawn)
    found: dict[str, Any] = json.loads(json.dumps(outcome, allow_nan=False))
    return found


def fail(fault: Exception) -> Callable[..., Any]:
    """Make a function that fails."""

    def raise_it(*_: Any, **__: Any) -> Any:
        raise fault

    return raise_it


LOST = ConvergenceWarning("did not converge")
SINGULAR = np.linalg.LinAlgError("Singular matrix")


@BY_METHOD
def test_train_labels_every_observation_and_scores_the_test(name: str) -> None:
    """One row for each observation, one density for each row to be scored."""
    s, one = sample(), trained(name)
    assert one.cv_scores["status"] == "ok"
    assert one.incidents == []
    assert one.regimes["date"].tolist() == s.features["date"].tolist()
    columns = [f"p_{number}" for number in range(len(one.model["names"]))]
    assert list(one.regimes) == ["date", "regime", *columns, "is_in_sample"]
    assert_allclose(one.regimes[columns].sum(axis=1), 1.0)
    likeliest = one.regimes[columns].to_numpy().argmax(axis=1)
    assert_array_equal(one.regimes["regime"], likeliest)
    assert one.densities["date"].tolist() == s.scoring["date"].tolist()
    assert np.isfinite(one.densities["log_score"]).all()
    is_test = one.regimes["date"] >= s.dates["test_start"]
    assert (one.regimes["is_in_sample"] == ~is_test).all()


@BY_METHOD
def test_block_is_judged_by_parameters_that_never_saw_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is fitted ends before the block begins, and each fit knows one block more."""
    seen = []
    fit = nodes.fit_method

    def spy(method: Any, observations: pd.DataFrame, *more: Any) -> Any:
        seen.append(observations["date"].max())
        return fit(method, observations, *more)

    monkeypatch.setattr(nodes, "fit_method", spy)
    one = train(name)
    starts = [pd.Timestamp(block["valid_start"]) for block in sample().dates["refits"]]
    assert len(seen) == len(starts) >= 2
    assert all(last < start for last, start in zip(seen, starts, strict=True))
    assert seen == sorted(set(seen))
    for about, refit in zip(one.model["fits"], sample().dates["refits"], strict=True):
        assert about["train_end"] == refit["train_end"] < refit["valid_start"]
        assert about["observations"] == (sample().features["date"] <= refit["train_end"]).sum()


@BY_METHOD
def test_past_does_not_change_with_the_future(name: str) -> None:
    """Altered from the middle of the second block on, all before it stays, bit by bit."""
    s, one = sample(), trained(name)
    place = int(np.flatnonzero(s.features["date"] == s.dates["refits"][1]["valid_start"])[0]) + 5
    features = s.features.copy()
    columns = ["y", "x", "zscore"]
    rng = np.random.default_rng(0)
    features.loc[place:, columns] = 3.0 * rng.standard_normal((len(features) - place, 3))
    other = train(name, features)
    assert other.model["fits"][:2] == one.model["fits"][:2]
    numbers = [column for column in one.regimes if str(column).startswith("p_")]
    first, second = (each.regimes.iloc[:place] for each in (one, other))
    assert first.drop(columns=numbers).equals(second.drop(columns=numbers))
    assert_array_equal(
        first[numbers].to_numpy().view("int64"), second[numbers].to_numpy().view("int64")
    )
    day = s.features["date"].iloc[place]
    scores = [
        each.densities.loc[each.densities["date"] < day, "log_score"].to_numpy().view("int64")
        for each in (one, other)
    ]
    assert len(scores[0]) > 60
    assert_array_equal(scores[0], scores[1])
    assert (other.densities["log_score"].iloc[-5:] != one.densities["log_score"].iloc[-5:]).all()


def test_labels_of_the_test_are_those_of_the_stored_parameters() -> None:
    """Each block by Hamilton's filter with its own fit, run from the beginning."""
    s, one = sample(), trained("markov")
    names = ("transition", "means", "variances", "slopes", "ar")
    for about in one.model["fits"]:
        parameters = MarkovParameters.from_dict({key: about[key] for key in names})
        filtered = filter_markov(parameters, s.features["y"], s.features["x"]).filtered
        block = s.features["date"].between(about["valid_start"], about["valid_end"]).to_numpy()
        own = one.regimes.loc[block, ["p_0", "p_1"]]
        assert_allclose(own, filtered[block], rtol=0, atol=1e-14)


def test_markov_labels_tell_the_correlations_apart() -> None:
    """Of the test's sessions most are given a regime of the sign that was simulated."""
    s, one = sample(), trained("markov")
    truth = dict(zip(s.processed["date"], np.arange(420) // 60 % 2 == 1, strict=True))
    agreed: list[bool] = []
    for about in one.model["fits"]:
        rows = one.regimes["date"].between(about["valid_start"], about["valid_end"])
        block = one.regimes[rows]
        is_high = np.array(about["slopes"])[block["regime"]] > 0.0
        agreed += (is_high == block["date"].map(truth).to_numpy()).tolist()
    assert np.mean(agreed) > 0.75


def test_markov_that_does_not_converge_falls_back_to_the_zscore(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both seeds are tried, the next simpler way stands in, and the outcome says so."""
    monkeypatch.setattr(regime_methods, "fit_markov", fail(LOST))
    one = train("markov")
    outcome = finish("markov", one)
    assert [(trial["estimator"], trial["seed"]) for trial in outcome["trials"]] == [
        ("markov", 1),
        ("markov", 2),
        ("zscore", 1),
    ]
    assert outcome["status"] == "fallback"
    assert outcome["note"] == "zscore stood in: markov did not converge"
    assert "z-score" in outcome["used"]
    (incident,) = one.incidents
    assert incident.kind == "fallback"
    assert "pair.markov" in incident.message
    # What stands in is what the simpler way itself gives with its defaults.
    alone = train("zscore", params=CHAIN)
    assert one.model["names"] == alone.model["names"]
    assert {fit["method"] for fit in one.model["fits"]} == {"zscore"}


def test_chain_ends_at_a_single_regime(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the tags' regressions fail too, one regression stands in."""
    monkeypatch.setattr(regime_methods, "fit_markov", fail(LOST))
    monkeypatch.setattr(regime_methods, "fit_tagged", fail(SINGULAR))
    one = train("markov")
    outcome = finish("markov", one)
    assert [trial["estimator"] for trial in outcome["trials"]] == [
        "markov",
        "markov",
        "zscore",
        "single_regime",
    ]
    assert outcome["status"] == "fallback"
    assert outcome["note"].startswith("single_regime stood in: ")
    assert outcome["metrics"]["log_score_gain"] == pytest.approx(0.0, abs=1e-12)
    assert (one.regimes["p_0"] == 1.0).all()


def test_fit_that_fails_in_a_later_block_keeps_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was known before the first block decides the method; a later failure is no new choice.

    The parameters of the block before stand in, and the outcome says for how many.
    """
    fit, calls = regime_methods.fit_markov, []

    def fail_later(y: np.ndarray, *more: Any) -> Any:
        calls.append(len(y))
        if len(y) > min(calls):
            raise LOST
        return fit(y, *more)

    monkeypatch.setattr(regime_methods, "fit_markov", fail_later)
    one = train("markov")
    outcome = finish("markov", one)
    fits = one.model["fits"]
    assert len(calls) > 2
    assert {about["method"] for about in fits} == {"markov"}
    assert all(about["slopes"] == fits[0]["slopes"] for about in fits)
    assert outcome["status"] == "fallback"
    assert f"{len(fits) - 1} of {len(fits)} fits did not converge" in outcome["note"]
    assert [incident.kind for incident in one.incidents] == ["fallback"]
    assert one.densities["date"].tolist() == sample().scoring["date"].tolist()


def test_second_seed_that_converges_is_a_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first seed's failure is told, though the model is the one that was asked for."""
    fit = regime_methods.fit_markov

    def fail_first(*given: Any) -> Any:
        if 1 in given[5:6]:
            raise LOST
        return fit(*given)

    monkeypatch.setattr(regime_methods, "fit_markov", fail_first)
    outcome = finish("markov", train("markov"))
    assert outcome["status"] == "fallback"
    assert outcome["note"] == "seed 2 stood in: markov did not converge with seed 1"
    assert outcome["used"] == "Markov switching"


def test_cell_that_fails_wholly_has_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """No numbers, no figures, and the words of what was tried; nothing is raised."""
    monkeypatch.setattr(regime_methods, "fit_markov", fail(LOST))
    monkeypatch.setattr(regime_methods, "fit_tagged", fail(SINGULAR))
    monkeypatch.setattr(regime_methods, "fit_single", fail(SINGULAR))
    one = train("markov")
    assert one.model == {}
    assert one.regimes.empty
    assert one.densities.empty
    assert {"date", "regime", "is_in_sample"} <= set(one.regimes)
    cell = Cell("cross_asset", "pair", "markov")
    figures = plotting.plot(one.regimes, one.model, sample().rolling, SERIES, PAIR, cell)
    assert figures == [MISSING] * 3
    outcome = finish("markov", one, figures)
    assert outcome["status"] == "failed"
    assert "no simpler model is left" in outcome["note"]
    assert outcome["metrics"] == outcome["intervals"] == {}
    assert outcome["loss"] is None
    assert set(outcome["figures"].values()) == {None}
    assert [incident.kind for incident in one.incidents] == ["failed_cell"]


@pytest.mark.parametrize("name", DENSITY_BASELINES)
def test_baseline_is_what_was_published(name: str) -> None:
    """Its densities are those of the rows to be scored; nothing is fitted again."""
    s = sample()
    cell = Cell("cross_asset", "pair", name)
    densities, about = nodes.take_baseline(s.scoring, s.dates, cell)
    assert densities["date"].tolist() == s.scoring["date"].tolist()
    assert_array_equal(densities["log_score"], s.scoring[name])
    scored, daily, metrics, _ = nodes.evaluate(densities, s.scoring, s.dates, s.resampling, cell)
    assert about["status"] == "ok"
    assert metrics["log_score"] == pytest.approx(s.scoring[name].mean())
    expected = (s.scoring[name] - s.scoring["single"]).mean()
    assert metrics["log_score_gain"] == pytest.approx(expected, abs=1e-14)
    assert_array_equal(daily["neg_log_score"], -scored["log_score"])


def test_evaluate_scores_every_row_and_gives_intervals() -> None:
    """Means over all rows to be scored, each with an interval that holds it."""
    s, one = sample(), trained("markov")
    cell = Cell("cross_asset", "pair", "markov")
    scored, daily, metrics, about = nodes.evaluate(
        one.densities, s.scoring, s.dates, s.resampling, cell
    )
    assert_array_equal(scored["y_true"], s.scoring["y_true"])
    assert (daily["n"] == 1.0).all()
    assert (daily["cell"] == "pair.markov").all()
    assert metrics["log_score"] == pytest.approx(one.densities["log_score"].mean())
    for name, value in metrics.items():
        interval = about["intervals"][name]
        assert interval["low"] < value < interval["high"]
    assert about["absent_rows"] == 0


@pytest.mark.parametrize("fault", ["absent", "missing", "infinite"])
def test_cell_without_a_density_for_every_row_has_failed(fault: str) -> None:
    """It would be judged on easier rows."""
    s, one = sample(), trained("zscore")
    densities = one.densities.copy()
    if fault == "absent":
        densities = densities.iloc[1:]
    else:
        densities.loc[3, "log_score"] = math.nan if fault == "missing" else -math.inf
    cell = Cell("cross_asset", "pair", "zscore")
    scored, daily, metrics, about = nodes.evaluate(
        densities, s.scoring, s.dates, s.resampling, cell
    )
    assert scored.empty
    assert daily.empty
    assert metrics == {}
    assert about["absent_rows"] == 1
    about = json.loads(json.dumps(about, allow_nan=False))
    outcome = conclude(metrics, about, one.cv_scores, scored, "pair", cell)
    assert outcome["status"] == "failed"


@pytest.mark.parametrize("name", ["zscore", "markov"])
def test_plot_draws_three_pictures(name: str) -> None:
    """All are PNG, and different."""
    one = trained(name)
    cell = Cell("cross_asset", "pair", name)
    collector = incidents.collect()
    figures = plotting.plot(one.regimes, one.model, sample().rolling, SERIES, PAIR, cell)
    assert collector.found == []
    assert all(png.startswith(b"\x89PNG") for png in figures)
    assert len(set(figures)) == len(figures) == len(plotting.REGIME_FIGURES)


def test_plot_that_fails_leaves_its_own_figure_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are drawn; one incident names what is missing."""
    one = trained("zscore")
    monkeypatch.setattr(plotting, "draw_stress_calendar", fail(RuntimeError("no more ink")))
    collector = incidents.collect()
    cell = Cell("cross_asset", "pair", "zscore")
    figures = plotting.plot(one.regimes, one.model, sample().rolling, SERIES, PAIR, cell)
    assert [png == MISSING for png in figures] == [False, False, True]
    (incident,) = collector.found
    assert incident.kind == "missing"
    assert "pair.zscore.stress_calendar" in incident.message


def test_features_are_the_same_bits_without_their_future() -> None:
    """Observations and z-scores of a shorter history are those of the longer one."""
    processed = sample().processed
    for n in (100, 301):
        part = processed.head(n)
        short = features_nodes.featurise(part, correlate(part, PAIR), PAIR)
        whole = sample().features
        past = whole[whole["date"] <= part["date"].max()]
        assert len(short)
        pd.testing.assert_frame_equal(short, past, check_exact=True)


def test_publish_refuses_a_pair_with_too_little_data() -> None:
    """The message names the pair and how many observations there are."""
    with pytest.raises(DataError, match=r"one and other have 3 observations"):
        features_nodes.publish(sample().features.head(3), PAIR, EVALUATION)


def test_publish_test_begins_after_the_training() -> None:
    """Training, refits and the rows to be scored lie in their order; all rows have baselines."""
    s = sample()
    assert s.dates["train_end"] < s.dates["test_start"] == f"{s.scoring['date'].min():%Y-%m-%d}"
    assert s.scoring[list(DENSITY_BASELINES)].notna().all(axis=None)
    for before, after in zip(s.dates["refits"], s.dates["refits"][1:], strict=False):
        assert before["valid_end"] < after["valid_start"]
        assert before["train_end"] < after["train_end"]


def test_inputs_are_left_as_they_are() -> None:
    """Training, evaluation and drawing write into nothing that they are given."""
    s, one = sample(), trained("zscore")
    tables = s.features, s.scoring, s.rolling, one.regimes, one.densities
    before = [table.copy(deep=True) for table in tables]
    texts = [json.dumps(given) for given in (s.dates, s.resampling, one.model)]
    cell = Cell("cross_asset", "pair", "zscore")
    train("zscore")
    nodes.evaluate(one.densities, s.scoring, s.dates, s.resampling, cell)
    plotting.plot(one.regimes, one.model, s.rolling, SERIES, PAIR, cell)
    for table, same in zip(tables, before, strict=True):
        pd.testing.assert_frame_equal(table, same)
    assert [json.dumps(given) for given in (s.dates, s.resampling, one.model)] == texts
