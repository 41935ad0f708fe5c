"""Positive semi-definite correlation matrices: the check, and the nearest one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.correlation import RollingCorrelations

TOLERANCE = 1e-10  # an eigenvalue this far below zero is rounding
CONVERGED = 1e-9  # relative change, and distance between both sets, at which projections stop
MAX_PROJECTIONS = 5000
BLOCK_CELLS = 2**20  # numbers in the matrices that are laid out at a time


@dataclass(frozen=True, eq=False)
class CheckedMatrix:
    """A correlation matrix that is positive semi-definite, and whether it had to be made so.

    Attributes
    ----------
    matrix : DataFrame
        Names by names, diagonal of ones; NaN beside a name that has no correlation at all.
    repaired : bool
        Whether it differs from what was given.
    smallest_eigenvalue : float
        Of what was given; NaN if no pair had a correlation.
    distance : float
        Frobenius norm of the difference from what was given; 0 unless repaired.
    """

    matrix: pd.DataFrame
    repaired: bool
    smallest_eigenvalue: float
    distance: float


def smallest_eigenvalues(matrices: np.ndarray) -> np.ndarray:
    """Compute the smallest eigenvalue of each matrix of a stack.

    Parameters
    ----------
    matrices : ndarray of float, shape (matrices, names, names)
        Symmetric, diagonals of ones.

    Returns
    -------
    ndarray of float, shape (matrices,)
        Of the names that have a correlation with any other; NaN if there are none, or if a
        correlation between two of those is missing.
    """
    filled, has_any, is_whole = _fill_absent(matrices)
    smallest = np.full(len(matrices), np.nan)
    usable = has_any & is_whole
    if usable.any():
        smallest[usable] = np.linalg.eigvalsh(filled[usable])[:, 0]
    return smallest


def check_psd(correlations: RollingCorrelations, tolerance: float = TOLERANCE) -> pd.DataFrame:
    """Check on every date whether the matrix is positive semi-definite.

    Correlations from the complete pairs of each two names, and from overlapping but unlike rows,
    need not form such a matrix.

    Parameters
    ----------
    correlations : RollingCorrelations
        Correlations of all pairs.
    tolerance : float
        How far below zero an eigenvalue may be.

    Returns
    -------
    DataFrame
        By date ``smallest_eigenvalue``, NaN as by `smallest_eigenvalues`, and ``is_psd``, which
        is False also where the eigenvalue is NaN.

    Raises
    ------
    ValueError
        If the tolerance is negative.
    """
    _require_tolerance(tolerance)
    n_dates = len(correlations.dates)
    n_at_once = max(1, BLOCK_CELLS // len(correlations.names) ** 2)
    smallest = np.empty(n_dates)
    for first in range(0, n_dates, n_at_once):
        rows = slice(first, first + n_at_once)
        smallest[rows] = smallest_eigenvalues(correlations.matrices(rows))
    table = {"smallest_eigenvalue": smallest, "is_psd": smallest >= -tolerance}
    return pd.DataFrame(table, index=correlations.dates)


def repair_psd(matrix: pd.DataFrame, tolerance: float = TOLERANCE) -> CheckedMatrix:
    """Find the nearest correlation matrix, in the Frobenius norm, of one that may be none.

    Parameters
    ----------
    matrix : DataFrame
        Names by names: symmetric, a diagonal of ones. A name without any correlation is left
        out and stays NaN.
    tolerance : float
        How far below zero an eigenvalue may be for the matrix to be kept as it is.

    Returns
    -------
    CheckedMatrix
        The diagonal of a repaired matrix is exactly one.

    Raises
    ------
    ValueError
        If the matrix is not symmetric with a diagonal of ones, some but not all correlations of
        a name are missing, the tolerance is negative, or the projections do not converge.

    References
    ----------
    Higham, N. J. (2002), Computing the Nearest Correlation Matrix - a Problem from Finance, IMA
    Journal of Numerical Analysis 22, 329-343, algorithm 3.3 with equal weights.
    """
    _require_tolerance(tolerance)
    values = matrix.to_numpy(dtype="float64")
    _check_matrix(matrix, values)
    smallest = float(smallest_eigenvalues(values[None])[0])
    if not smallest < -tolerance:
        return CheckedMatrix(matrix.copy(), False, smallest, 0.0)
    known = (~np.isnan(values)).sum(axis=1) > 1
    block = np.ix_(known, known)
    nearest = values.copy()
    nearest[block] = _project_alternately(values[block])
    distance = float(np.linalg.norm((nearest - values)[block]))
    repaired = pd.DataFrame(nearest, index=matrix.index, columns=matrix.columns)
    return CheckedMatrix(repaired, True, smallest, distance)


def repair_matrices(
    correlations: RollingCorrelations, dates: list[pd.Timestamp], tolerance: float = TOLERANCE
) -> dict[pd.Timestamp, CheckedMatrix]:
    """Take the matrices of some dates, each repaired where it must be; see `repair_psd`."""
    checked = {}
    for date in dates:
        try:
            checked[date] = repair_psd(correlations.matrix(date), tolerance)
        except ValueError as error:
            raise ValueError(f"The matrix of {date} cannot be checked: {error}") from error
    return checked


def _project_alternately(values: np.ndarray) -> np.ndarray:
    """Project onto psd matrices and onto unit diagonals in turn, with Dykstra's correction."""
    nearest, correction = values, np.zeros_like(values)
    for _ in range(MAX_PROJECTIONS):
        target = nearest - correction
        eigenvalues, vectors = np.linalg.eigh(target)
        psd = (vectors * np.maximum(eigenvalues, 0.0)) @ vectors.T
        correction = psd - target
        previous, nearest = nearest, (psd + psd.T) / 2.0
        np.fill_diagonal(nearest, 1.0)
        size = float(np.linalg.norm(nearest))
        apart = max(np.linalg.norm(nearest - previous), np.linalg.norm(nearest - psd))
        if apart <= CONVERGED * size:
            break
    else:
        raise ValueError(
            f"{MAX_PROJECTIONS} projections of {len(values)} names did not converge: the last "
            f"were {apart / size:.1e} apart; drop names that have few rows in common"
        )
    # The diagonal of the psd one is a little off; scaling it keeps the signs of eigenvalues.
    scale = np.sqrt(psd.diagonal())
    scaled = np.clip(psd / scale[:, None] / scale, -1.0, 1.0)
    scaled = (scaled + scaled.T) / 2.0
    np.fill_diagonal(scaled, 1.0)
    return np.asarray(scaled)


def _fill_absent(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make names without any correlation independent of all others.

    That adds an eigenvalue of one, which is not below the smallest of a unit diagonal.

    Returns
    -------
    filled : ndarray of float
        Shape as given; the identity where a correlation between two other names is missing.
    has_any, is_whole : ndarray of bool, shape (matrices,)
        Whether any correlation is known, and none missing but those of absent names.
    """
    n_names = matrices.shape[-1]
    missing = np.isnan(matrices)
    is_absent = missing.sum(axis=-1) == n_names - 1
    beside_absent = is_absent[:, :, None] | is_absent[:, None, :]
    is_whole = ~(missing & ~beside_absent).any(axis=(1, 2))
    has_any = ~is_absent.all(axis=1)
    filled = np.where(missing, 0.0, matrices)
    return filled, has_any, is_whole


def _check_matrix(matrix: pd.DataFrame, values: np.ndarray) -> None:
    """Refuse what is no matrix of correlations of names."""
    if not len(matrix) or not matrix.index.equals(matrix.columns):
        raise ValueError(
            f"A matrix of shape {matrix.shape}: rows and columns must be the same names"
        )
    off = np.nanmax(np.abs(values - values.T))
    if off > 1e-8 or not np.allclose(values.diagonal(), 1.0, rtol=0.0, atol=1e-8):
        raise ValueError(
            f"No correlation matrix: sides differ by up to {off:.1e}, the diagonal runs from "
            f"{values.diagonal().min()} to {values.diagonal().max()}; needed are symmetry and ones"
        )
    _, _, is_whole = _fill_absent(values[None])
    if not is_whole[0]:
        n_holes = int(np.isnan(values).sum()) // 2
        raise ValueError(
            f"{n_holes} correlations are missing: drop the names that share too few rows with "
            "others, or lower min_periods"
        )


def _require_tolerance(tolerance: float) -> None:
    """Refuse a negative tolerance."""
    if not tolerance >= 0.0:
        raise ValueError(f"A tolerance of {tolerance} is negative: choose 0 or more")
