"""From probabilities of regimes to labels, and from labels to how regimes follow each other."""

from __future__ import annotations

import numpy as np


def find_likeliest(probabilities: np.ndarray) -> np.ndarray:
    """Find the likeliest regime of each row; the first where nothing is known.

    Parameters
    ----------
    probabilities : ndarray, shape (observations, regimes)
        NaN in all regimes where nothing is known.

    Returns
    -------
    ndarray of int, shape (observations,)
    """
    return np.asarray(np.nan_to_num(probabilities, nan=-1.0).argmax(axis=1))


def count_transitions(labels: np.ndarray, n_regimes: int) -> np.ndarray:
    """Estimate transition probabilities from labels: shares of what followed each regime.

    Examples
    --------
    >>> count_transitions(np.array([0, 0, 1, 1]), 2).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    counts = np.zeros((n_regimes, n_regimes))
    np.add.at(counts, (labels[:-1], labels[1:]), 1.0)
    empty = counts.sum(axis=1) == 0.0
    counts[empty, empty.nonzero()[0]] = 1.0  # a regime that never was stays where it is
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))
