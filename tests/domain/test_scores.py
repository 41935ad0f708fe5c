"""Scores decide which losses are compared, in which unit, and what is read of them."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemark.domain.chart_cells import METRIC_LABELS
from tidemark.domain.comparison import diebold_mariano
from tidemark.domain.metrics import METRICS, SUMS, metrics_from_sums
from tidemark.domain.multiple_comparison import confidence_set, superior_predictive_ability
from tidemark.domain.plotting import Quantity
from tidemark.domain.scores import (
    HEADLINES,
    LOG_SCORE,
    SCORES,
    SQUARED_ERROR,
    MetricName,
    R2Name,
)

RETURN = Quantity("return", "%", 100.0)


def losses(seed: int = 0) -> pd.DataFrame:
    """Make losses of four cells on 80 dates, one of them better than the others."""
    values = np.random.default_rng(seed).normal(2.0, 0.5, (80, 4))
    values[:, 0] -= 0.2
    dates = pd.bdate_range("2020-01-01", periods=80)
    return pd.DataFrame(values, index=dates, columns=["a", "b", "c", "d"])


def test_scores_are_named_as_outcomes_name_them_and_can_be_drawn() -> None:
    """Each finds itself by its name, and its headline is a metric that figures know."""
    assert set(SCORES) == {"squared_error", "log_score"}
    for name, score in SCORES.items():
        assert score.name == name
        assert score.headline.metric in METRIC_LABELS
        assert {score.measure, score.headline.metric} <= set(score.metrics)


def test_headlines_are_metrics_over_sums_that_are_kept() -> None:
    """What configuration may name is what is computed; each R2 knows its sums by date."""
    assert get_args(MetricName) == METRICS
    assert get_args(R2Name) == tuple(HEADLINES)
    for name, headline in HEADLINES.items():
        assert (headline.metric, headline.metric in METRICS) == (name, True)
        assert headline.squares in SUMS
    words = [f"{one.name}{one.against}" for one in HEADLINES.values()]
    assert words == [
        "out-of-sample R2 against a forecast of zero",
        "out-of-sample R2 against the mean of the past",
        "out-of-sample R2 against the surface of the session before",
    ]
    assert [one.squares for one in HEADLINES.values()] == ["sq_zero", "sq_mean", "sq_surface"]
    assert len({one.square_words for one in HEADLINES.values()}) == len(HEADLINES)


@pytest.mark.parametrize("name", get_args(R2Name))
def test_headline_is_one_less_squared_errors_over_its_squares(name: R2Name) -> None:
    """The column that a headline names is what its metric divides by, whatever the others hold."""
    sums = pd.Series(np.nan, index=list(SUMS))
    sums["sq_error"], sums[HEADLINES[name].squares] = 3.0, 4.0
    assert metrics_from_sums(sums.to_numpy())[name] == 0.25


def test_score_lead_with_changes_squared_errors_alone() -> None:
    """Only the headline is another; a gain in log score is over a single regime, whatever."""
    for name in get_args(R2Name):
        changed = SQUARED_ERROR.lead_with(name)
        assert changed.headline is HEADLINES[name]
        assert changed.lead_with("r2_oos_zero") == SQUARED_ERROR
        assert LOG_SCORE.lead_with(name) == LOG_SCORE


def test_score_say_target_names_what_densities_are_of() -> None:
    """A forecast of a value needs no words."""
    assert LOG_SCORE.say_target("oil") == " the distribution of oil"
    assert SQUARED_ERROR.say_target("oil") == ""


def test_scores_mean_loss_is_the_one_that_tests_compare() -> None:
    """Squared errors as they are, log scores turned over; none for a cell without metrics."""
    assert SQUARED_ERROR.mean_loss({"mse": 0.04, "rmse": 0.2}) == 0.04
    assert LOG_SCORE.mean_loss({"log_score": 3.1}) == -3.1
    for score in SCORES.values():
        assert score.mean_loss({}) is None


def test_scores_units_are_those_of_the_target_or_nats() -> None:
    """Errors are scaled as the quantity says, their squares by its square; nats are left alone."""
    assert SQUARED_ERROR.scale_measure(RETURN) == (100.0, "%")
    assert SQUARED_ERROR.scale_loss(RETURN) == (10_000.0, "%²")
    assert LOG_SCORE.scale_measure(RETURN) == LOG_SCORE.scale_loss(RETURN) == (1.0, "nats")


@given(shift=st.floats(-20.0, 20.0), seed=st.integers(0, 5))
@settings(max_examples=10, deadline=None)
def test_comparisons_do_not_depend_on_the_level_of_losses(shift: float, seed: int) -> None:
    """Losses may be negative, as those of densities are: only differences count."""
    plain = losses(seed)
    moved = plain + shift
    first, second = (confidence_set(one, 0.1, 3.0, 100, 1) for one in (plain, moved))
    assert first["p_value"].to_numpy() == pytest.approx(second["p_value"].to_numpy())
    assert first["in_confidence_set"].equals(second["in_confidence_set"])
    abilities = [
        superior_predictive_ability(one[["a", "b"]], one["d"], 3.0, 100, 1)
        for one in (plain, moved)
    ]
    assert abilities[0].best == abilities[1].best
    assert abilities[0].p_consistent == pytest.approx(abilities[1].p_consistent)
    tests = [diebold_mariano(one["a"].to_numpy(), one["b"].to_numpy(), 3) for one in (plain, moved)]
    assert vars(tests[0]) == pytest.approx(vars(tests[1]), rel=1e-6)


def test_comparison_of_negative_losses_finds_the_better_cell() -> None:
    """A cell that gains half a nat on every date is alone in the set, and beats the benchmark."""
    noise = losses()
    table = -noise.assign(a=noise["a"] + 1.0)
    assert table.to_numpy().max() < 0.0
    members = confidence_set(table, 0.1, 3.0, 200, 1)["in_confidence_set"]
    assert members.index[members].tolist() == ["a"]
    ability = superior_predictive_ability(table[["a", "b"]], table["d"], 3.0, 200, 1)
    assert (ability.best, ability.p_consistent) == ("a", 0.0)
    assert not math.isnan(ability.p_upper)
