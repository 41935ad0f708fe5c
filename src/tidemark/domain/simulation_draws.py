"""Random numbers of the simulated chain: one stream for each purpose."""

from __future__ import annotations

import numpy as np

# One stream for each purpose, so that a change of one leaves the others.
(
    SURFACE_STREAM,
    _UNIFORM_STREAM,
    _NORMAL_STREAM,
    CONTRACT_STREAM,
    EXPIRATION_STREAM,
    SESSION_STREAM,
) = range(6)


def draw_rows(n_rows: int, seed: int) -> dict[str, np.ndarray]:
    """Draw by row, so that what a date gets does not depend on later dates.

    Parameters
    ----------
    n_rows : int
        Rows of the chain, sorted by date.
    seed : int
        At least 0.

    Returns
    -------
    dict of str to ndarray of float, shape (n_rows,)
        ``shift``, ``traded``, ``last``, ``defect``: uniform in [0, 1). ``spread``, ``volume``:
        standard normal.
    """
    uniform = np.random.default_rng([seed, _UNIFORM_STREAM]).random((n_rows, 4))
    normal = np.random.default_rng([seed, _NORMAL_STREAM]).standard_normal((n_rows, 2))
    return {
        "shift": uniform[:, 0],
        "traded": uniform[:, 1],
        "last": uniform[:, 2],
        "defect": uniform[:, 3],
        "spread": normal[:, 0],
        "volume": normal[:, 1],
    }
