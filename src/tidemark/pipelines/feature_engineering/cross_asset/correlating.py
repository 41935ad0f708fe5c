"""Node function of a pair's rolling correlation, with its band."""

from __future__ import annotations

import pandas as pd

from tidemark.domain.correlation import count_pairs, ewm_correlation, rolling_correlation
from tidemark.domain.correlation_bands import bootstrap_band, fisher_band
from tidemark.pipelines.data_engineering.cross_asset.params import PairParams

BLOCK_SHARE = 0.1  # length of the bootstrap's blocks, of the window

SPEARMAN_VARIANCE = 1.06
"""How much larger the variance of Fisher's z is for ranks.

References
----------
Fieller, E. C., Hartley, H. O. and Pearson, E. S. (1957), Tests for Rank Correlation Coefficients:
I, Biometrika 44, 470-481.
"""


def correlate(processed: pd.DataFrame, params: PairParams) -> pd.DataFrame:
    """Compute the rolling correlation of a pair, with a band around it.

    Returns
    -------
    DataFrame
        ``date, correlation, lower, upper``: every session of the pair; NaN where too few of the
        window's sessions have both returns.

    Notes
    -----
    Fisher's band takes returns for independent and normal. Around an exponentially weighted
    correlation it is that of a plain window as long as the span, and so only rough.

    Timing
    ------
    Row t uses returns up to and including session t.
    """
    returns = processed.set_index("date")
    left, right = returns["left"], returns["right"]
    least = params.min_periods
    if params.method == "ewm":
        correlation = ewm_correlation(left, right, least, span=params.window)
    else:
        correlation = rolling_correlation(left, right, params.window, least, params.method)
    if params.band == "bootstrap":
        lower, upper = bootstrap_band(
            left,
            right,
            params.window,
            params.level,
            params.n_replicates,
            max(1.0, BLOCK_SHARE * params.window),
            params.seed,
            least,
        )
    else:
        n_obs = count_pairs(left, right, params.window)
        if params.method == "spearman":
            n_obs = 3 + ((n_obs - 3) / SPEARMAN_VARIANCE).astype("int64")
        lower, upper = fisher_band(correlation, n_obs, params.level)
    table = pd.DataFrame({"correlation": correlation, "lower": lower, "upper": upper})
    return table.rename_axis("date").reset_index()
