"""Filtered regimes are those of statsmodels and of counting by hand, and never look ahead."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from statsmodels.tsa.regime_switching.markov_autoregression import MarkovAutoregression
from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

from tidemark.domain.regimes import (
    MarkovParameters,
    describe_spells,
    ergodic_distribution,
    expected_durations,
    filter_markov,
    smooth_markov,
    tag_stress,
    zscore,
)

TWO = [[0.95, 0.05], [0.2, 0.8]]
THREE = [[0.9, 0.07, 0.03], [0.1, 0.8, 0.1], [0.05, 0.25, 0.7]]
PARAMETERS = {
    "two": MarkovParameters(TWO, [0.1, -0.4], [0.5, 4.0]),
    "three": MarkovParameters(THREE, [0.2, 0.0, -1.0], [0.3, 1.0, 6.0]),
    "ar1": MarkovParameters(TWO, [0.1, -0.4], [0.5, 4.0], ar=[0.4]),
    "ar2": MarkovParameters(TWO, [0.1, -0.9], [0.5, 4.0], ar=[0.4, -0.3]),
    "ar4": MarkovParameters(TWO, [-0.4, 1.2], [0.6, 0.6], ar=[0.01, -0.06, -0.25, -0.21]),
    "slope": MarkovParameters(TWO, [0.0, 0.0], [0.5, 4.0], slopes=[-0.8, 0.6]),
    "slope_ar1": MarkovParameters(TWO, [0.0, 0.0], [0.5, 4.0], slopes=[-0.8, 0.6], ar=[0.3]),
}
CASES = pytest.mark.parametrize("case", list(PARAMETERS))
VALUES = arrays("float64", st.integers(8, 40), elements=st.floats(-20.0, 20.0))


def draw(n: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Draw a series with fat tails and a regressor."""
    rng = np.random.default_rng(seed)
    return rng.standard_t(4, n), rng.standard_normal(n)


def regressor_of(parameters: MarkovParameters, x: np.ndarray) -> np.ndarray | None:
    """Give the regressor to models that have one."""
    return None if parameters.slopes is None else x


def make_oracle(
    parameters: MarkovParameters, y: np.ndarray, x: np.ndarray | None
) -> tuple[Any, np.ndarray]:
    """Build statsmodels' model and its list of parameters."""
    k, p = parameters.n_regimes, parameters.autoregression
    is_common = bool(np.ptp(parameters.variances) == 0.0)
    words = {
        "trend": "c" if x is None else "n",
        "exog": x,
        "switching_variance": not is_common,
        "switching_exog": True,
    }
    model = (
        MarkovAutoregression(y, k, p, switching_ar=False, **words)
        if p
        else MarkovRegression(y, k, **words)
    )
    level = parameters.means if parameters.slopes is None else parameters.slopes
    variances = parameters.variances[:1] if is_common else parameters.variances
    return model, np.r_[parameters.transition[:, :-1].T.ravel(), level, variances, parameters.ar]


def enumerate_paths(
    parameters: MarkovParameters, y: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Sum over all paths of regimes: log-likelihood, filtered and smoothed last-but-two rows."""
    k, p, n = parameters.n_regimes, parameters.autoregression, len(y)
    start = ergodic_distribution(parameters.transition)
    smoothed = np.zeros((n, k))
    last = np.zeros(k)
    for path in itertools.product(range(k), repeat=n):
        weight = start[path[0]]
        for before, after in itertools.pairwise(path):
            weight *= parameters.transition[before, after]
        for t in range(p, n):
            mean = parameters.means[path[t]]
            for lag in range(1, p + 1):
                level = parameters.means[path[t - lag]]
                mean += parameters.ar[lag - 1] * (y[t - lag] - level)
            variance = parameters.variances[path[t]]
            weight *= math.exp(-((y[t] - mean) ** 2) / variance / 2.0)
            weight /= math.sqrt(2.0 * math.pi * variance)
        smoothed[np.arange(n), path] += weight
        last[path[-1]] += weight
    total = last.sum()
    return float(np.log(total)), last / total, smoothed[p:] / total


@pytest.mark.parametrize("case", [case for case in PARAMETERS if case != "ar2"])
def test_filter_markov_agrees_with_statsmodels(case: str) -> None:
    """Log-likelihood, predicted, filtered and smoothed probabilities by two routes."""
    parameters = PARAMETERS[case]
    y, x = draw(200)
    x_or_none = regressor_of(parameters, x)
    model, params = make_oracle(parameters, y, x_or_none)
    expected = model.smooth(params, cov_type="none")
    found = filter_markov(parameters, y, x_or_none)
    p = parameters.autoregression
    assert found.log_scores.sum() == pytest.approx(expected.llf, abs=1e-8)
    assert_allclose(found.log_scores[p:], model.loglikeobs(params), atol=1e-8)
    assert_allclose(found.filtered[p:], expected.filtered_marginal_probabilities, atol=1e-8)
    assert_allclose(
        smooth_markov(parameters, y, x_or_none)[p:],
        expected.smoothed_marginal_probabilities,
        atol=1e-8,
    )
    predicted = expected.predicted_joint_probabilities
    for _ in range(predicted.ndim - 2):
        predicted = predicted.sum(axis=-2)
    assert_allclose(found.predicted[p:], predicted.T, atol=1e-8)


@pytest.mark.parametrize("case", ["two", "three", "ar1", "ar2"])
def test_filter_markov_agrees_with_all_paths_counted(case: str) -> None:
    """Over a few observations every path of regimes can be written down."""
    parameters = PARAMETERS[case]
    y = draw(8 if parameters.n_regimes == 2 else 6)[0]
    log_likelihood, filtered, smoothed = enumerate_paths(parameters, y)
    found = filter_markov(parameters, y)
    assert found.log_scores.sum() == pytest.approx(log_likelihood, abs=1e-10)
    assert_allclose(found.filtered.iloc[-1], filtered, atol=1e-12)
    in_retrospect = smooth_markov(parameters, y)[parameters.autoregression :]
    assert_allclose(in_retrospect, smoothed, atol=1e-12)


@CASES
@settings(max_examples=15, deadline=None)
@given(y=VALUES, data=st.data())
def test_filter_markov_truncated_future_leaves_past_identical(
    case: str, y: np.ndarray, data: st.DataObject
) -> None:
    """Bit by bit, whatever comes later."""
    parameters = PARAMETERS[case]
    cut = data.draw(st.integers(parameters.autoregression + 1, len(y)))
    x = np.cos(np.arange(len(y)))
    whole = filter_markov(parameters, y, regressor_of(parameters, x))
    part = filter_markov(parameters, y[:cut], regressor_of(parameters, x[:cut]))
    for name in ("filtered", "predicted", "log_scores"):
        assert_array_equal(getattr(whole, name)[:cut], getattr(part, name))
    sums = whole.filtered[parameters.autoregression :].sum(axis=1)
    assert_allclose(sums, 1.0, atol=1e-12)


@CASES
def test_filter_markov_first_rows_serve_as_lags(case: str) -> None:
    """They are NaN; the first prediction is the ergodic distribution."""
    parameters = PARAMETERS[case]
    y, x = draw(30)
    found = filter_markov(parameters, y, regressor_of(parameters, x))
    p = parameters.autoregression
    for name in ("filtered", "predicted", "log_scores"):
        assert_array_equal(
            np.isnan(getattr(found, name).to_numpy()).reshape(30, -1)[:, 0], np.arange(30) < p
        )
    assert_allclose(found.predicted.iloc[p], ergodic_distribution(parameters.transition))


def test_filter_markov_equal_regimes_score_as_one_normal() -> None:
    """Nothing can be learnt of regimes that are alike."""
    parameters = MarkovParameters(TWO, [0.3, 0.3], [2.0, 2.0])
    y = draw(50)[0]
    found = filter_markov(parameters, y)
    assert_allclose(found.log_scores, norm.logpdf(y, 0.3, np.sqrt(2.0)), rtol=1e-12)
    assert_allclose(found.filtered, np.tile([0.8, 0.2], (50, 1)), atol=1e-12)


def test_filter_markov_far_observations_do_not_underflow() -> None:
    """At a million deviations densities are zero in floating point, their logarithms are not."""
    parameters = PARAMETERS["two"]
    y = np.array([0.0, 1e6, -1e6, 0.0])
    found = filter_markov(parameters, y)
    expected = np.log(found.predicted.iloc[1, 1]) + norm.logpdf(1e6, -0.4, 2.0)
    assert found.log_scores[1] == pytest.approx(expected, rel=1e-12)
    assert_allclose(found.filtered.loc[1:2, 1], 1.0)
    assert np.isfinite(smooth_markov(parameters, y).to_numpy()).all()


def test_filter_markov_no_density_at_all_is_refused() -> None:
    """A square that overflows leaves nothing to divide by."""
    with pytest.raises(ValueError, match=r"Row 1 after the lags has no density.*decimal point"):
        filter_markov(PARAMETERS["two"], np.array([0.0, 1e200, 0.0]))


def test_filter_markov_keeps_index_and_inputs() -> None:
    """Dates come back on every output; the input is as it was."""
    dates = pd.date_range("2020-01-01", periods=20, freq="B")
    y = pd.Series(draw(20)[0], dates)
    before = y.copy()
    found = filter_markov(PARAMETERS["ar1"], y)
    for output in (found.filtered, found.predicted, found.log_scores):
        pd.testing.assert_index_equal(output.index, dates)
    pd.testing.assert_index_equal(smooth_markov(PARAMETERS["ar1"], y).index, dates)
    pd.testing.assert_series_equal(y, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["series", "regressor"])
def test_filter_markov_missing_values_are_refused(bad: float, where: str) -> None:
    """The message counts them and says what to do."""
    y, x = draw(20)
    (y if where == "series" else x)[4] = bad
    with pytest.raises(ValueError, match=rf"The {where} has .* 1 missing or infinite.*fill"):
        filter_markov(PARAMETERS["slope"], y, x)


@pytest.mark.parametrize(
    ("case", "y", "x", "words"),
    [
        ("two", [], None, "one finite number for each date"),
        ("two", [[1.0, 2.0]], None, "one finite number for each date"),
        ("ar4", [1.0, 2.0, 3.0, 4.0], None, "4 observations without a regressor .* 4 lags"),
        ("two", [1.0, 2.0], [1.0, 2.0], "2 observations with a regressor"),
        ("slope", [1.0, 2.0], None, "2 observations without a regressor"),
        ("slope", [1.0, 2.0], [1.0], "2 and a regressor of 1 dates are not aligned"),
    ],
)
def test_filter_markov_unusable_input_is_refused(
    case: str, y: list[float], x: list[float] | None, words: str
) -> None:
    """Each with what was found."""
    with pytest.raises(ValueError, match=words):
        filter_markov(PARAMETERS[case], np.array(y), None if x is None else np.array(x))


def test_filter_markov_regressor_of_other_dates_is_refused() -> None:
    """As many values do not make the same dates."""
    y = pd.Series([1.0, 2.0], pd.to_datetime(["2020-01-01", "2020-01-02"]))
    x = pd.Series([1.0, 2.0], pd.to_datetime(["2020-01-02", "2020-01-03"]))
    with pytest.raises(ValueError, match="not aligned"):
        filter_markov(PARAMETERS["slope"], y, x)


def test_smooth_markov_last_row_is_filtered_and_past_differs() -> None:
    """After the last row there is no future to learn from."""
    y = draw(60)[0]
    smoothed = smooth_markov(PARAMETERS["ar2"], y)
    filtered = filter_markov(PARAMETERS["ar2"], y).filtered
    assert_allclose(smoothed.iloc[-1], filtered.iloc[-1], rtol=1e-12)
    assert (smoothed - filtered).abs().max().max() > 0.05
    assert_allclose(smoothed[2:].sum(axis=1), 1.0, atol=1e-12)


@CASES
def test_predict_next_moments_are_those_of_the_scored_density(case: str) -> None:
    """Mean and variance of the density that scores would give to every possible next value."""
    parameters = PARAMETERS[case]
    y, x = draw(25)
    next_x = None if parameters.slopes is None else 0.7
    forecast = filter_markov(parameters, y, regressor_of(parameters, x)).predict_next(next_x)
    grid = np.linspace(-25.0, 25.0, 401)
    longer_x = regressor_of(parameters, np.append(x, 0.7))
    scores = [
        filter_markov(parameters, np.append(y, value), longer_x).log_scores.iloc[-1]
        for value in grid
    ]
    density = np.exp(scores) * (grid[1] - grid[0])
    assert density.sum() == pytest.approx(1.0, abs=1e-9)
    assert forecast.mean == pytest.approx(density @ grid, abs=1e-9)
    assert forecast.variance == pytest.approx(density @ (grid - forecast.mean) ** 2, abs=1e-8)
    longer = filter_markov(parameters, np.append(y, 0.0), longer_x)
    assert_allclose(forecast.probabilities, longer.predicted.iloc[-1], atol=1e-14)


@pytest.mark.parametrize(("case", "next_x"), [("two", 1.0), ("slope", None)])
def test_predict_next_regressor_must_fit_the_model(case: str, next_x: float | None) -> None:
    """There where the model has one, and only there."""
    y, x = draw(20)
    found = filter_markov(PARAMETERS[case], y, regressor_of(PARAMETERS[case], x))
    with pytest.raises(ValueError, match="next value of the regressor"):
        found.predict_next(next_x)


@CASES
def test_markov_parameters_survive_json_bit_by_bit(case: str) -> None:
    """Scores with parameters read back are the same."""
    parameters = PARAMETERS[case]
    again = MarkovParameters.from_dict(json.loads(json.dumps(parameters.to_dict())))
    y, x = draw(40)
    x_or_none = regressor_of(parameters, x)
    assert_array_equal(
        filter_markov(again, y, x_or_none).log_scores,
        filter_markov(parameters, y, x_or_none).log_scores,
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"transition": [[0.9, 0.2], [0.2, 0.8]]}, "must add up to 1"),
        ({"transition": [[1.1, -0.1], [0.2, 0.8]]}, "without negative numbers"),
        ({"transition": [[0.5, 0.5]]}, "must be square"),
        ({"transition": [[np.nan, 0.5], [0.5, 0.5]]}, "must add up to 1"),
        ({"means": [0.0, 1.0, 2.0]}, r"means of shape \(3,\) do not fit 2 regimes"),
        ({"variances": [1.0]}, r"variances of shape \(1,\)"),
        ({"variances": [1.0, 0.0]}, "must be positive"),
        ({"slopes": [1.0]}, r"slopes of shape \(1,\)"),
        ({"slopes": [1.0, np.nan]}, "must be finite"),
        ({"ar": [np.inf]}, "must be finite"),
        ({"ar": [[0.1]]}, "ar a list"),
    ],
)
def test_markov_parameters_refuse_what_is_no_model(fields: dict[str, Any], words: str) -> None:
    """Each message says which part."""
    sound = {"transition": TWO, "means": [0.0, 1.0], "variances": [1.0, 2.0]}
    with pytest.raises(ValueError, match=words):
        MarkovParameters(**{**sound, **fields})


def test_ergodic_distribution_two_regimes_is_closed_form() -> None:
    """Shares are as the probabilities of the switches into each regime."""
    assert_allclose(ergodic_distribution(TWO), [0.2 / 0.25, 0.05 / 0.25], rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(rows=arrays("float64", st.tuples(st.just(4), st.just(4)), elements=st.floats(0.01, 1.0)))
def test_ergodic_distribution_is_left_as_it_is_and_reached(rows: np.ndarray) -> None:
    """It is the limit of many steps from anywhere."""
    transition = rows / rows.sum(axis=1, keepdims=True)
    found = ergodic_distribution(transition)
    assert_allclose(found @ transition, found, atol=1e-12)
    assert_allclose(np.linalg.matrix_power(transition, 5000), np.tile(found, (4, 1)), atol=1e-9)


def test_ergodic_distribution_of_regimes_apart_is_refused() -> None:
    """Without switches any distribution would do."""
    with pytest.raises(ValueError, match="never left"):
        ergodic_distribution(np.eye(2))


def test_ergodic_distribution_absorbing_regime_takes_all() -> None:
    """One regime that is never left is a single answer."""
    assert_allclose(ergodic_distribution([[1.0, 0.0], [0.3, 0.7]]), [1.0, 0.0], atol=1e-12)


def test_expected_durations_known_probabilities_give_known_lengths() -> None:
    """Hamilton's recession of 4.1 quarters; a regime that is never left lasts for ever."""
    assert_allclose(expected_durations([[0.754673, 0.245327], [0.5, 0.5]]), [4.07619, 2.0], 1e-5)
    assert_array_equal(expected_durations(np.eye(2)), [np.inf, np.inf])
    with pytest.raises(ValueError, match="add up to 1"):
        expected_durations([[0.5, 0.6], [0.5, 0.5]])


def test_zscore_short_series_is_as_counted_by_hand() -> None:
    """In windows of three: 1, 2, 3 has mean 2 and deviation 1."""
    found = zscore(pd.Series([1.0, 2.0, 3.0, 3.0, 3.0, 3.0]), 3)
    assert_allclose(found, [np.nan, np.nan, 1.0, 1.0 / np.sqrt(3.0), np.nan, np.nan])


@settings(max_examples=40, deadline=None)
@given(values=arrays("float64", st.integers(3, 40), elements=st.floats(-9.0, 9.0)), data=st.data())
def test_zscore_is_bounded_and_never_looks_ahead(values: np.ndarray, data: st.DataObject) -> None:
    """Truncation leaves the past identical; a value cannot outrun its own window."""
    window = data.draw(st.integers(2, len(values)))
    cut = data.draw(st.integers(1, len(values)))
    series = pd.Series(np.round(values, 3))
    whole = zscore(series, window)
    assert_array_equal(zscore(series[:cut], window), whole[:cut])
    assert (whole.abs().dropna() <= (window - 1) / np.sqrt(window) + 1e-9).all()


def test_zscore_missing_values_are_skipped() -> None:
    """A gap has no z-score and leaves windows with fewer values."""
    found = zscore(pd.Series([1.0, np.nan, 3.0, 5.0]), 4, min_periods=2)
    assert_allclose(found, [np.nan, np.nan, np.sqrt(0.5), 1.0])


@pytest.mark.parametrize(
    ("series", "window", "min_periods"),
    [([], 3, None), ([1.0], 1, None), ([1.0], 3, 1), ([1.0], 3, 4)],
)
def test_zscore_impossible_windows_are_refused(
    series: list[float], window: int, min_periods: int | None
) -> None:
    """A deviation needs two values."""
    with pytest.raises(ValueError, match="2 <= min_periods <= window"):
        zscore(pd.Series(series, dtype="float64"), window, min_periods)


@pytest.mark.parametrize(
    ("side", "expected"),
    [("both", [1, 0, 0, 1, pd.NA]), ("high", [0, 0, 0, 1, pd.NA]), ("low", [1, 0, 0, 0, pd.NA])],
)
def test_tag_stress_each_side_tags_what_lies_beyond(side: Any, expected: list[Any]) -> None:
    """A value at the threshold is normal; a missing one has no tag."""
    tags = tag_stress(pd.Series([-2.5, -2.0, 2.0, 2.5, np.nan]), 2.0, side)
    pd.testing.assert_series_equal(tags, pd.Series(expected, dtype="Int64", name="regime"))


@pytest.mark.parametrize(
    ("zscores", "threshold", "side", "words"),
    [
        ([], 2.0, "both", "Cannot tag 0 z-scores"),
        ([1.0], 0.0, "both", "positive threshold"),
        ([1.0], np.nan, "both", "positive threshold"),
        ([1.0], 2.0, "up", "choose one of both, high, low"),
    ],
)
def test_tag_stress_unusable_input_is_refused(
    zscores: list[float], threshold: float, side: Any, words: str
) -> None:
    """With what to give instead."""
    with pytest.raises(ValueError, match=words):
        tag_stress(pd.Series(zscores, dtype="float64"), threshold, side)


def test_describe_spells_lists_runs_and_skips_gaps() -> None:
    """A missing label ends a spell and begins none."""
    dates = pd.date_range("2020-01-06", periods=7, freq="B")
    labels = pd.Series([0, 0, 1, pd.NA, 1, 1, 0], dates, dtype="Int64")
    found = describe_spells(labels)
    assert found["start"].tolist() == [dates[0], dates[2], dates[4], dates[6]]
    assert found["end"].tolist() == [dates[1], dates[2], dates[5], dates[6]]
    assert found["regime"].tolist() == [0, 1, 1, 0]
    assert found["n_obs"].tolist() == [2, 1, 2, 1]


@settings(max_examples=60, deadline=None)
@given(labels=st.lists(st.sampled_from(["calm", "stress", None]), min_size=1, max_size=30))
def test_describe_spells_put_together_again_give_the_labels(labels: list[str | None]) -> None:
    """Nothing is lost, and neighbours differ."""
    found = describe_spells(pd.Series(labels, dtype="object"))
    again: list[str | None] = [None] * len(labels)
    for spell in found.itertuples():
        again[spell.start : spell.end + 1] = [spell.regime] * spell.n_obs
    assert again == labels
    touching = found["start"].to_numpy()[1:] == found["end"].to_numpy()[:-1] + 1
    changes = found["regime"].to_numpy()[1:] != found["regime"].to_numpy()[:-1]
    assert changes[touching].all()


def test_describe_spells_of_nothing_is_refused() -> None:
    """One missing label is a series without spells, none at all is an error."""
    assert describe_spells(pd.Series([None], dtype="object")).empty
    with pytest.raises(ValueError, match="at least one row"):
        describe_spells(pd.Series([], dtype="float64"))
