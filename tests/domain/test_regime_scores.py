"""Log scores of predictive densities: closed forms, no look-ahead, and the true model wins."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import lfilter
from scipy.stats import norm
from statsmodels.tsa.ar_model import AutoReg

from tidemark.domain.regime_scores import (
    SingleRegime,
    fit_single,
    fit_tagged,
)
from tidemark.domain.regimes import MarkovParameters, filter_markov, fit_markov

MARKOV = MarkovParameters([[0.98, 0.02], [0.04, 0.96]], [0.0, 0.0], [0.3, 5.0])


def draw_regimes(n: int, seed: int) -> np.ndarray:
    """Draw regimes of `MARKOV`."""
    rng = np.random.default_rng(seed)
    regime = np.zeros(n, dtype=int)
    for t in range(1, n):
        stays = rng.random() < MARKOV.transition[regime[t - 1], regime[t - 1]]
        regime[t] = regime[t - 1] if stays else 1 - regime[t - 1]
    return regime


def draw_threshold(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a series that turns calm after rises and turbulent after falls, and its tags."""
    shocks = np.random.default_rng(seed).standard_normal(n)
    y = np.zeros(n)
    for t in range(1, n):
        y[t] = (0.5 if y[t - 1] > 0.0 else 2.0) * shocks[t]
    return y, (y > 0.0).astype(int)


def score_all(y: np.ndarray, tags: np.ndarray, n_train: int) -> dict[str, float]:
    """Fit on the first rows, score the others: the mean log score of each model."""
    head, head_tags = y[:n_train], tags[:n_train]
    scores = {
        "single": fit_single(head).log_scores(y),
        "tagged": fit_tagged(head, head_tags).log_scores(y, tags=tags),
        "markov": filter_markov(fit_markov(head, n_starts=2).parameters, y).log_scores.to_numpy(),
    }
    return {name: float(values[n_train:].mean()) for name, values in scores.items()}


def test_fit_single_four_values_are_as_counted_by_hand() -> None:
    """Mean 2.5, and the variance of maximum likelihood, 5/4, not 5/3."""
    found = fit_single(np.array([1.0, 2.0, 3.0, 4.0]))
    assert found == SingleRegime(2.5, (), None, pytest.approx(1.25), 4)
    expected = norm.logpdf([1.0, 9.0], 2.5, np.sqrt(1.25))
    assert_allclose(found.log_scores(np.array([1.0, 9.0])), expected, rtol=1e-12)


def test_fit_single_with_a_regressor_has_no_intercept() -> None:
    """The slope is ``x'y / x'x``."""
    y, x = np.array([1.0, 2.0, 2.0]), np.array([1.0, 1.0, 2.0])
    found = fit_single(y, x)
    assert found.slope == pytest.approx(7.0 / 6.0)
    assert found.intercept == 0.0
    expected = norm.logpdf(y, 7.0 / 6.0 * x, np.sqrt(found.variance))
    assert_allclose(found.log_scores(y, x), expected, rtol=1e-12)


@pytest.mark.parametrize("p", [1, 3])
def test_fit_single_with_lags_agrees_with_statsmodels(p: int) -> None:
    """Coefficients, variance and likelihood of an autoregression by least squares."""
    shocks = np.random.default_rng(0).standard_normal(300)
    y = 0.5 + np.asarray(lfilter([1.0], [1.0, -0.6, 0.2], shocks))
    expected = AutoReg(y, p).fit()
    found = fit_single(y, autoregression=p)
    assert_allclose([found.intercept, *found.ar], expected.params, rtol=1e-8)
    assert found.variance == pytest.approx(expected.sigma2)
    scores = found.log_scores(y)
    assert_array_equal(np.isnan(scores), np.arange(300) < p)
    assert np.nansum(scores) == pytest.approx(expected.llf)


def test_fit_single_with_lags_and_regressor_agrees_with_statsmodels() -> None:
    """Regressor first, then the lag, and no column of ones."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal(200)
    y = 0.7 * x + rng.standard_normal(200)
    expected = sm.OLS(y[1:], np.column_stack([x[1:], y[:-1]])).fit()
    found = fit_single(y, x, autoregression=1)
    assert found.slope is not None
    assert_allclose([found.slope, *found.ar], expected.params, rtol=1e-10)
    assert np.nansum(found.log_scores(y, x)) == pytest.approx(expected.llf)


def test_single_log_score_of_the_truth_is_minus_the_entropy() -> None:
    """Over many draws the mean is ``-log(2 pi e sigma^2) / 2``."""
    y = 3.0 + 2.0 * np.random.default_rng(2).standard_normal(200_000)
    found = SingleRegime(3.0, (), None, 4.0, 1).log_scores(y).mean()
    assert found == pytest.approx(-0.5 * np.log(2.0 * np.pi * np.e * 4.0), abs=0.01)


def test_single_with_too_few_lags_scores_nothing() -> None:
    """One date cannot be scored by an autoregression of four lags, nor can three."""
    model = SingleRegime(0.0, (0.1, 0.1, 0.1, 0.1), None, 1.0, 9)
    for n in (1, 3, 4):
        assert_array_equal(model.log_scores(np.ones(n)), np.full(n, np.nan))


def test_tagged_density_is_that_of_the_tag_before() -> None:
    """After tag a values lie around 10, after b around -10; the first row is pooled."""
    rng = np.random.default_rng(3)
    tags = rng.choice(["a", "b"], 200)
    y = np.r_[0.0, np.where(tags[:-1] == "a", 10.0, -10.0)] + rng.standard_normal(200)
    found = fit_tagged(y, tags)
    after_a = y[1:][tags[:-1] == "a"]
    assert found.by_tag["a"].intercept == pytest.approx(after_a.mean())
    assert found.by_tag["a"].variance == pytest.approx(after_a.var())
    assert found.by_tag["a"].n_obs == len(after_a)
    scores = found.log_scores(y, tags=tags)
    assert scores[0] == found.pooled.log_scores(y)[0]
    assert_array_equal(
        scores[1:][tags[:-1] == "a"], found.by_tag["a"].log_scores(y)[1:][tags[:-1] == "a"]
    )


def test_tagged_with_one_tag_is_the_pooled_fit() -> None:
    """With a lag the first row, which has no tag before it, is not fitted at all."""
    y = np.random.default_rng(4).standard_normal(60)
    found = fit_tagged(y, np.zeros(60, dtype=int), autoregression=1)
    assert found.by_tag == {0: found.pooled}
    assert_array_equal(
        found.log_scores(y, tags=np.zeros(60, dtype=int)), found.pooled.log_scores(y)
    )


def test_tagged_rare_missing_and_unknown_tags_have_the_pooled_density() -> None:
    """Nineteen rows are too few by default, twenty are not."""
    y = np.random.default_rng(5).standard_normal(100)
    tags = pd.Series([1] * 19 + [pd.NA] * 11 + [0] * 70, dtype="Int64")
    found = fit_tagged(y, tags)
    assert list(found.by_tag) == [0]
    assert list(fit_tagged(y, tags, min_obs=19).by_tag) == [0, 1]
    elsewhere = pd.Series([7, pd.NA, 1] * 10)
    assert_array_equal(found.log_scores(y[:30], tags=elsewhere), found.pooled.log_scores(y[:30]))


def test_tagged_rows_without_error_have_the_pooled_density() -> None:
    """A tag after which nothing ever moved would have an infinite score."""
    y = np.r_[np.random.default_rng(6).standard_normal(50), np.zeros(50)]
    tags = np.r_[np.zeros(49), np.ones(51)]
    assert list(fit_tagged(y, tags).by_tag) == [0.0]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), cut=st.integers(3, 60), p=st.integers(0, 2))
def test_log_scores_never_look_ahead(seed: int, cut: int, p: int) -> None:
    """Truncation leaves the past identical; the last row's own tag says nothing of it."""
    rng = np.random.default_rng(seed)
    y, x, tags = rng.standard_normal(60), rng.standard_normal(60), rng.integers(0, 2, 60)
    markov = MarkovParameters(MARKOV.transition, [0, 0], [0.3, 5.0], [-1.0, 1.0], [0.2, 0.1][:p])
    for model in (fit_single(y, x, p), fit_tagged(y, tags, x, p, min_obs=10)):
        whole = model.log_scores(y, x, tags)
        assert_array_equal(model.log_scores(y[:cut], x[:cut], tags[:cut]), whole[:cut])
        turned = tags.copy()
        turned[cut - 1] = 1 - turned[cut - 1]
        assert_array_equal(model.log_scores(y, x, turned)[:cut], whole[:cut])
    whole = filter_markov(markov, y, x).log_scores.to_numpy()
    assert_array_equal(filter_markov(markov, y[:cut], x[:cut]).log_scores, whole[:cut])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_tagged_names_of_tags_do_not_matter(seed: int) -> None:
    """Words for numbers, in any order, leave every score as it is."""
    rng = np.random.default_rng(seed)
    y, tags = rng.standard_normal(120), rng.integers(0, 3, 120)
    words = np.array(["stress", "calm", "normal"])[tags]
    assert_array_equal(
        fit_tagged(y, words).log_scores(y, tags=words), fit_tagged(y, tags).log_scores(y, tags=tags)
    )


def test_fits_are_fit_for_json_without_loss() -> None:
    """Numbers and lists alone, and every number of the fit is there."""
    rng = np.random.default_rng(7)
    y, x, tags = rng.standard_normal(80), rng.standard_normal(80), rng.integers(0, 2, 80)
    single = fit_single(y, x, 2)
    read = json.loads(json.dumps(single.to_dict()))
    assert SingleRegime(**{**read, "ar": tuple(read["ar"])}) == single

    tagged = fit_tagged(y, np.array(["low", "high"])[tags])
    read = json.loads(json.dumps(tagged.to_dict()))
    assert read["pooled"] == tagged.pooled.to_dict()
    assert {one["tag"]: one["fit"] for one in read["by_tag"]} == {
        tag: fit.to_dict() for tag, fit in tagged.by_tag.items()
    }
    assert len(read["by_tag"]) == 2


def test_markov_scores_add_up_to_the_likelihood() -> None:
    """On the rows of the fit."""
    y = np.sqrt(MARKOV.variances[draw_regimes(300, 8)]) * np.random.default_rng(8).standard_normal(
        300
    )
    fitted = fit_markov(y, n_starts=2)
    assert filter_markov(fitted.parameters, y).log_scores.sum() == fitted.log_likelihood


def test_true_markov_switching_wins_out_of_sample() -> None:
    """Regimes that cannot be seen, and tags that are noise."""
    rng = np.random.default_rng(9)
    y = np.sqrt(MARKOV.variances[draw_regimes(4000, 9)]) * rng.standard_normal(4000)
    found = score_all(y, rng.integers(0, 2, 4000), 1500)
    assert found["markov"] > found["single"] + 0.1
    assert found["markov"] > found["tagged"] + 0.1


def test_true_threshold_model_wins_out_of_sample() -> None:
    """The tag before tells the regime; switching must guess it."""
    found = score_all(*draw_threshold(4000, 10), 1500)
    assert found["tagged"] > found["markov"] + 0.1
    assert found["tagged"] > found["single"] + 0.1


def test_true_single_regime_wins_out_of_sample() -> None:
    """More parameters than needed cost a little, and only a little."""
    rng = np.random.default_rng(11)
    y = rng.standard_normal(20_000)
    found = score_all(y, rng.integers(0, 4, 20_000), 400)
    assert 0.0 < found["single"] - found["tagged"] < 0.05
    assert 0.0 < found["single"] - found["markov"] < 0.05


def test_log_scores_regressor_must_fit_the_model() -> None:
    """There where the model has one, and only there."""
    y = np.random.default_rng(12).standard_normal(30)
    with pytest.raises(ValueError, match="regressor must be given where"):
        fit_single(y).log_scores(y, y)
    with pytest.raises(ValueError, match="regressor must be given where"):
        fit_single(y, y[::-1]).log_scores(y)


@pytest.mark.parametrize(
    ("y", "x", "p", "words"),
    [
        ([], None, 0, "one finite number for each date"),
        ([1.0, np.nan, 2.0], None, 0, "1 missing or infinite"),
        ([1.0], None, 0, "1 observations are too few for 0 lags .* at least 2"),
        ([1.0, 2.0, 4.0, 3.0, 5.0], None, 2, "5 observations are too few for 2 lags .* at least 6"),
        ([1.0, 2.0], None, -1, "not negative"),
        ([3.0, 3.0, 3.0], None, 0, "leaves no error"),
        ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], 0, "leaves no error"),
        ([1.0, 2.0, 3.0], [2.0, 4.0], 0, "not aligned"),
    ],
)
def test_fit_single_unusable_input_is_refused(
    y: list[float], x: list[float] | None, p: int, words: str
) -> None:
    """Each message says what to do."""
    with pytest.raises(ValueError, match=words):
        fit_single(np.array(y), None if x is None else np.array(x), p)


def test_fit_single_collinear_columns_are_refused() -> None:
    """A regressor of zeros has no slope, a constant series no lags."""
    with pytest.raises(np.linalg.LinAlgError, match="collinear"):
        fit_single(np.array([1.0, 2.0, 3.0]), np.zeros(3))
    with pytest.raises(np.linalg.LinAlgError, match="collinear"):
        fit_single(np.full(20, 3.0), autoregression=1)


def test_fit_tagged_unusable_tags_are_refused() -> None:
    """One for each row, of the same dates, and enough rows for a fit."""
    y = pd.Series(np.random.default_rng(13).standard_normal(30))
    tags = pd.Series(np.zeros(30))
    with pytest.raises(ValueError, match="29 tags do not fit 30"):
        fit_tagged(y, tags[1:])
    with pytest.raises(ValueError, match="same dates"):
        fit_tagged(y, tags.set_axis(tags.index + 1))
    with pytest.raises(ValueError, match="0 tags do not fit 30"):
        fit_tagged(y, tags).log_scores(y)
    with pytest.raises(ValueError, match=r"min_obs is 2, too few .* at least 3"):
        fit_tagged(y, tags, autoregression=1, min_obs=2)
