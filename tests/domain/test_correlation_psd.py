"""Matrices that are no correlation matrices are found, and the nearest one takes their place."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.optimize import minimize

from tidemark.domain import psd
from tidemark.domain.correlation import RollingCorrelations, rolling_correlations
from tidemark.domain.psd import check_psd, repair_matrices, repair_psd, smallest_eigenvalues


def frame_of(values: np.ndarray) -> pd.DataFrame:
    """Give a matrix names."""
    names = [f"S{k}" for k in range(len(values))]
    return pd.DataFrame(values, index=names, columns=names)


def random_signs(seed: int, n_names: int) -> np.ndarray:
    """Draw a symmetric matrix with a unit diagonal, seldom positive semi-definite."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.uniform(-1.0, 1.0, (n_names, n_names)), 1)
    return upper + upper.T + np.eye(n_names)


def holey_correlations(seed: int) -> RollingCorrelations:
    """Correlate series of which many values are missing, each in its own rows."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(80, 8)) + 2.0 * rng.normal(size=(80, 1))
    values[rng.random(values.shape) < 0.5] = np.nan
    values[:, 7] = np.nan
    values[60:, 7] = 1.0
    days = pd.bdate_range("2021-01-01", periods=80)
    return rolling_correlations(pd.DataFrame(values, index=days, columns=list("abcdefgh")), 20, 3)


def solve_dual(values: np.ndarray) -> np.ndarray:
    """Find the nearest correlation matrix by its dual problem (Malick 2004)."""

    def clip_negative(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        eigenvalues, vectors = np.linalg.eigh(values + np.diag(y))
        eigenvalues = eigenvalues.clip(0.0)
        return eigenvalues, (vectors * eigenvalues) @ vectors.T

    def dual(y: np.ndarray) -> tuple[float, np.ndarray]:
        eigenvalues, clipped = clip_negative(y)
        return 0.5 * float(eigenvalues @ eigenvalues) - y.sum(), clipped.diagonal() - 1.0

    solved = minimize(dual, np.zeros(len(values)), jac=True, method="BFGS", options={"gtol": 1e-9})
    return clip_negative(solved.x)[1]


def test_higham_example_has_the_published_answer() -> None:
    """The 3 by 3 example of Higham (2002): 0.7607 and 0.1573, at a distance of 0.5278."""
    given_matrix = frame_of(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]))
    checked = repair_psd(given_matrix)
    published = [[1.0, 0.7607, 0.1573], [0.7607, 1.0, 0.7607], [0.1573, 0.7607, 1.0]]
    assert_allclose(checked.matrix, published, rtol=0.0, atol=5e-5)
    assert checked.repaired
    assert checked.distance == pytest.approx(0.5278, abs=5e-5)
    assert checked.smallest_eigenvalue == pytest.approx(1.0 - np.sqrt(2.0), abs=1e-12)
    assert given_matrix.loc["S0", "S1"] == 1.0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n_names=st.integers(2, 8))
def test_repair_is_the_solution_of_the_dual_problem(seed: int, n_names: int) -> None:
    """Projections in turn and an optimiser of the dual find one matrix; a good one is kept."""
    values = random_signs(seed, n_names)
    checked = repair_psd(frame_of(values))
    smallest = np.linalg.eigvalsh(values)[0]
    assert checked.smallest_eigenvalue == pytest.approx(smallest, abs=1e-12)
    assert checked.repaired == (smallest < -1e-10)
    repaired = checked.matrix.to_numpy()
    assert_array_equal(repaired, repaired.T)
    assert_array_equal(repaired.diagonal(), 1.0)
    assert np.abs(repaired).max() <= 1.0
    assert np.linalg.eigvalsh(repaired)[0] >= -1e-10
    assert checked.distance == pytest.approx(np.linalg.norm(repaired - values), abs=1e-12)
    if checked.repaired:
        assert_allclose(repaired, solve_dual(values), rtol=0.0, atol=1e-5)
        assert not repair_psd(checked.matrix).repaired
    else:
        assert_array_equal(repaired, values)


def test_check_gives_the_smallest_eigenvalue_of_every_date() -> None:
    """Eigenvalues are those of the names that have correlations; holes leave them undefined."""
    correlations = holey_correlations(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psd, "BLOCK_CELLS", 64 * 7)
        table = check_psd(correlations)
    expected = []
    for date in correlations.dates:
        matrix = correlations.matrix(date)
        known = matrix.columns[matrix.notna().sum() > 1]
        part = matrix.loc[known, known].to_numpy()
        is_usable = len(known) and not np.isnan(part).any()
        expected.append(np.linalg.eigvalsh(part)[0] if is_usable else np.nan)
    assert_allclose(table["smallest_eigenvalue"], expected, rtol=0.0, atol=1e-12)
    assert_array_equal(table["is_psd"], np.array(expected) >= -1e-10)
    assert table.index.equals(correlations.dates)
    assert table["smallest_eigenvalue"].isna().any()
    assert (table["smallest_eigenvalue"] < -0.01).any()


@pytest.mark.parametrize("n_names", [3, 30])
def test_complete_windows_pass_even_with_more_names_than_rows(n_names: int) -> None:
    """Without holes every matrix is positive semi-definite but for rounding."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(rng.normal(size=(60, n_names)), pd.bdate_range("2022-01-03", periods=60))
    table = check_psd(rolling_correlations(frame, 20))
    assert_array_equal(table["is_psd"], np.arange(60) >= 19)


def test_tolerance_decides_what_is_rounding() -> None:
    """An eigenvalue just below zero passes with a tolerance above it, and is repaired below."""
    values = np.full((3, 3), -0.5 - 1e-6)
    np.fill_diagonal(values, 1.0)
    assert smallest_eigenvalues(values[None])[0] == pytest.approx(-2e-6, rel=1e-3)
    assert not repair_psd(frame_of(values), 1e-5).repaired
    strict = repair_psd(frame_of(values), 1e-7)
    assert strict.repaired
    assert_allclose(strict.matrix.to_numpy()[np.triu_indices(3, 1)], -0.5, rtol=0.0, atol=1e-8)


def test_matrices_of_dates_carry_their_flags() -> None:
    """Each date has its matrix, repaired where it must be; an absent name stays absent."""
    correlations = holey_correlations(5)
    table = check_psd(correlations)
    usable = table.index[table["smallest_eigenvalue"].notna()]
    checked = repair_matrices(correlations, list(usable))
    assert list(checked) == list(usable)
    for date, one in checked.items():
        assert one.repaired != table.loc[date, "is_psd"]
        absent = correlations.matrix(date).notna().sum() == 1
        assert absent["h"]
        assert_array_equal(one.matrix["h"].isna(), [True] * 7 + [False])
        known = one.matrix.loc[~absent, ~absent]
        assert np.linalg.eigvalsh(known)[0] >= -1e-10
        if not one.repaired:
            assert_frame_equal(one.matrix, correlations.matrix(date))
    flags = [one.repaired for one in checked.values()]
    assert any(flags)


def test_a_date_without_any_correlation_is_kept_as_it_is() -> None:
    """Nothing is known, so nothing is repaired, and the eigenvalue says so."""
    correlations = holey_correlations(6)
    date = correlations.dates[0]
    one = repair_matrices(correlations, [date])[date]
    assert not one.repaired
    assert np.isnan(one.smallest_eigenvalue)
    assert_frame_equal(one.matrix, correlations.matrix(date))


def test_unusable_matrices_are_refused_with_a_remedy() -> None:
    """Holes, other shapes and diagonals, unknown dates and negative tolerances are refused."""
    values = random_signs(1, 4)
    holed = values.copy()
    holed[0, 1] = holed[1, 0] = np.nan
    lopsided = values.copy()
    lopsided[0, 1] += 0.1
    cases = [
        (frame_of(holed), "1 correlations are missing.*drop the names"),
        (frame_of(lopsided), "symmetry and ones"),
        (frame_of(2.0 * values), "symmetry and ones"),
        (frame_of(values).iloc[:3], "the same names"),
        (pd.DataFrame(), "the same names"),
    ]
    for matrix, words in cases:
        with pytest.raises(ValueError, match=words):
            repair_psd(matrix)
    with pytest.raises(ValueError, match="choose 0 or more"):
        repair_psd(frame_of(values), -1.0)
    correlations = holey_correlations(3)
    with pytest.raises(ValueError, match="choose 0 or more"):
        check_psd(correlations, -1.0)
    table = check_psd(correlations)
    known = np.isfinite(correlations.values).any(axis=1)
    holes = table.index[table["smallest_eigenvalue"].isna() & known]
    with pytest.raises(ValueError, match=f"{holes[0]}.*are missing"):
        repair_matrices(correlations, [holes[0]])
    with pytest.raises(ValueError, match="1999-01-01"):
        repair_matrices(correlations, [pd.Timestamp("1999-01-01")])


def test_projections_that_do_not_converge_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit on projections ends in an error, not in a matrix that is not the nearest."""
    monkeypatch.setattr(psd, "MAX_PROJECTIONS", 2)
    with pytest.raises(ValueError, match="2 projections of 6 names did not converge"):
        repair_psd(frame_of(random_signs(2, 6)))


def test_a_repaired_pair_is_the_nearest_of_all_tried() -> None:
    """No correlation matrix on a grid is nearer than the repair."""
    values = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    distance = repair_psd(frame_of(values)).distance
    grid = np.linspace(-1.0, 1.0, 41)
    matrices = np.ones((41**3, 3, 3))
    cells = np.stack(np.meshgrid(grid, grid, grid), axis=-1).reshape(-1, 3)
    for place, (i, j) in enumerate(combinations(range(3), 2)):
        matrices[:, i, j] = matrices[:, j, i] = cells[:, place]
    is_psd = smallest_eigenvalues(matrices) >= 0.0
    nearest = np.linalg.norm(matrices[is_psd] - values, axis=(1, 2)).min()
    assert distance <= nearest <= distance + 0.1
