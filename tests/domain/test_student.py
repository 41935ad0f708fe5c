"""A regression with fat-tailed errors is that of SciPy, and one that forgets is that of a loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from scipy.stats import t as student

from tidemark.domain.student import discount_errors, fit_student, log_student


def draw(n: int, degrees: float, seed: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Draw a regressor, and what follows it with a slope of -0.4 and errors of Student's t."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    return -0.4 * x + 0.7 * rng.standard_t(degrees, n), x[:, None]


@pytest.mark.parametrize("degrees", [3.0, 5.0, 12.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_fit_agrees_with_scipy(degrees: float, seed: int) -> None:
    """Scale and degrees of freedom of the errors by scipy.stats.t.fit with location 0."""
    y, x = draw(3000, degrees, seed)
    fitted = fit_student(y, x)
    errors = y - x @ fitted.coefficients
    expected_degrees, _, expected_scale = student.fit(errors, floc=0)
    assert fitted.coefficients == pytest.approx([-0.4], abs=0.06)
    assert fitted.scale == pytest.approx(expected_scale, rel=5e-3)
    assert fitted.degrees == pytest.approx(expected_degrees, rel=2e-2)
    reached = student.logpdf(errors, expected_degrees, scale=expected_scale).sum()
    assert fitted.log_scores(y, x).sum() >= reached - 0.01


def test_location_is_fitted_with_scale_and_degrees() -> None:
    """With ones as the only column: all three by scipy.stats.t.fit."""
    y = 2.0 + 0.7 * np.random.default_rng(6).standard_t(4, 2000)
    fitted = fit_student(y, np.ones((2000, 1)))
    degrees, location, scale = student.fit(y)
    assert fitted.coefficients == pytest.approx([location], abs=2e-3)
    assert fitted.scale == pytest.approx(scale, rel=5e-3)
    assert fitted.degrees == pytest.approx(degrees, rel=2e-2)


def test_fit_finds_the_parameters_of_a_simulation() -> None:
    """With 20,000 observations the estimates are near the truth, two columns among them."""
    y, x = draw(20_000, 4.0)
    design = np.column_stack([x, np.ones(len(y))])
    fitted = fit_student(y + 0.25, design)
    assert_allclose(fitted.coefficients, [-0.4, 0.25], atol=0.02)
    assert fitted.degrees == pytest.approx(4.0, abs=0.3)
    assert fitted.scale == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("degrees", [2.1, 5.0, 50.0])
def test_log_scores_are_those_of_scipy(degrees: float) -> None:
    """Row by row, the errors from far inside to far out."""
    errors = np.r_[-1e6, -30.0, -1.0, 0.0, 1e-9, 2.0, 400.0]
    for scale in (1e-4, 0.7, 30.0):
        expected = student.logpdf(errors, degrees, scale=scale)
        assert_allclose(log_student(errors, scale, degrees), expected, rtol=1e-10)
    y, x = draw(50, 4.0)
    fitted = fit_student(y, x)
    expected = student.logpdf(y, fitted.degrees, x @ fitted.coefficients, fitted.scale)
    assert_allclose(fitted.log_scores(y, x), expected, atol=1e-10)


def test_fit_to_fat_tails_beats_the_gaussian_and_to_gaussian_errors_equals_it() -> None:
    """In the sample, better than least squares' own density, or as good up to 50 degrees' cost."""
    y, x = draw(2000, 3.0)
    errors = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    gaussian = norm.logpdf(errors, scale=errors.std()).mean()
    assert fit_student(y, x).log_scores(y, x).mean() > gaussian + 0.05
    z, ones = np.random.default_rng(8).standard_normal(2000), np.ones((2000, 1))
    fitted = fit_student(z, ones)
    assert fitted.degrees > 20.0
    expected = norm.logpdf(z, z.mean(), z.std()).mean()
    assert fitted.log_scores(z, ones).mean() == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(("degrees", "low", "high"), [(2.0, 2.1, 2.7), (1e6, 15.0, 50.0)])
def test_degrees_of_freedom_stay_in_their_bounds(degrees: float, low: float, high: float) -> None:
    """A variance that is infinite, and tails that are none."""
    y, x = draw(1500, degrees)
    fitted = fit_student(y, x)
    assert low <= fitted.degrees <= high
    assert np.isfinite(fitted.log_scores(y, x)).all()


@given(seed=st.integers(0, 2**32 - 1), factor=st.sampled_from([1e-6, 0.01, 37.0, 1e5]))
@settings(max_examples=15, deadline=None)
def test_fit_knows_no_unit(seed: int, factor: float) -> None:
    """In another unit the scale follows, and each score moves by the logarithm of the factor."""
    y, x = draw(250, 4.0, seed)
    first, second = fit_student(y, x), fit_student(factor * y, x)
    assert second.scale == pytest.approx(factor * first.scale, rel=1e-2)
    moved = second.log_scores(factor * y, x) + math.log(factor)
    assert_allclose(moved, first.log_scores(y, x), atol=2e-2)


def test_fit_to_data_with_a_gross_error_is_still_that_of_scipy() -> None:
    """A misplaced decimal point among 2,000 rows is what fat tails are there for."""
    y, x = draw(2000, 4.0)
    y[1000] = 1500.0
    fitted = fit_student(y, x)
    errors = y - x @ np.array([-0.4])
    degrees, _, scale = student.fit(errors, floc=0)
    reached = student.logpdf(errors, degrees, scale=scale).mean()
    assert fitted.log_scores(y, x).mean() >= reached - 0.01


def test_regression_without_an_error_is_refused() -> None:
    """It has no density."""
    _, x = draw(30, 4.0)
    with pytest.raises(ValueError, match="leaves no error"):
        fit_student(2.0 * x[:, 0], x)


@pytest.mark.parametrize("n_columns", [1, 2])
def test_discounted_regression_agrees_with_a_loop(n_columns: int) -> None:
    """Weighted least squares of all rows before, anew for each row."""
    y, x = draw(90, 4.0)
    design = np.column_stack([x, np.ones(len(y))])[:, :n_columns]
    n_first, decay = 20, 0.93
    errors, variances = discount_errors(y, design, n_first, decay)
    assert np.isnan(errors[:n_first]).all()
    assert np.isnan(variances[:n_first]).all()
    first = np.linalg.lstsq(design[:n_first], y[:n_first], rcond=None)[0]
    variance = np.mean((y[:n_first] - design[:n_first] @ first) ** 2)
    for row in range(n_first, len(y)):
        # Rows of the beginning weigh alike; those after it fade one by one.
        age = np.minimum(row - 1 - np.arange(row), row - n_first)
        root = np.sqrt(decay**age)[:, None]
        line = np.linalg.lstsq(root * design[:row], root[:, 0] * y[:row], rcond=None)[0]
        assert errors[row] == pytest.approx(y[row] - design[row] @ line, abs=1e-6)
        assert variances[row] == pytest.approx(variance, rel=1e-6)
        variance = decay * variance + (1.0 - decay) * (y[row] - design[row] @ line) ** 2


def test_discounted_regression_does_not_change_with_the_future() -> None:
    """Row t knows y up to t - 1, bit by bit; its own value moves its error alone."""
    y, x = draw(120, 4.0)
    whole = discount_errors(y, x, 20, 0.95)
    altered = y.copy()
    altered[70] += 5.0
    altered[71:] *= -9.0
    for part in (discount_errors(altered, x, 20, 0.95), discount_errors(y[:70], x[:70], 20, 0.95)):
        for before, after in zip(whole, part, strict=True):
            assert_array_equal(before[:70].view("int64"), after[:70].view("int64"))
    errors, variances = discount_errors(altered, x, 20, 0.95)
    assert errors[70] == pytest.approx(whole[0][70] + 5.0)
    assert variances[70] == whole[1][70]
    assert variances[71] > whole[1][71]


@pytest.mark.parametrize("still", [0.0, 0.25])
def test_discounted_regression_survives_a_stand_still(still: float) -> None:
    """A stretch without any movement, of the regressor too, leaves finite errors and variances."""
    y, x = draw(1200, 4.0)
    y[100:900], x[100:900] = still, 0.0
    errors, variances = discount_errors(y, x, 60, 1.0 - 2.0 / 61.0)
    assert np.isfinite(errors[60:]).all()
    assert (variances[60:] > 0.0).all()
    assert np.abs(errors[905:]).max() < 100.0


def test_inputs_are_left_as_they_are() -> None:
    """Neither values nor design are written into."""
    y, x = draw(100, 4.0)
    before = y.copy(), x.copy()
    fit_student(y, x).log_scores(y, x)
    discount_errors(y, x, 20, 0.95)
    assert_array_equal(y, before[0])
    assert_array_equal(x, before[1])
