"""Node function that cuts a scenario's features into train and test, for every study."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from tidemark.domain.features import feature_columns
from tidemark.errors import ModelError, describe_examples

logger = logging.getLogger(__name__)


def split(
    features: pd.DataFrame, targets: pd.DataFrame, dates: dict[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join features and targets on the eligible rows and cut them by date.

    Returns
    -------
    train, test : DataFrame
        Keys, the features, ``target``, and ``offset``, ``is_scored`` and ``is_learnt`` where
        targets have them; a row is learnt from if its features and its group allow it. The last
        rows of ``train`` have labels that the first
        decisions of the test do not know; later refits do.

    Raises
    ------
    ModelError
        If a row that will be scored has no features.
    """
    keys = dates["keys"]
    rows = targets[targets["eligible"]].drop(columns="eligible")
    if "is_learnt" in features:
        joined = features.merge(rows, on=keys, how="right", suffixes=("", "_group"))
        joined["is_learnt"] &= joined.pop("is_learnt_group")
    else:
        joined = features.merge(rows, on=keys, how="right")
    bare = joined[feature_columns(joined, keys)].isna().any(axis=1)
    if bare.any():
        names = joined.loc[bare, keys].astype("str").agg(" ".join, axis=1)
        raise ModelError(
            f"{int(bare.sum())} eligible rows have no features: {describe_examples(names)}. "
            f"Lengthen the study's warm-up to the longest look-back."
        )
    is_test = joined["date"] >= dates["test_start"]
    train = joined[~is_test].reset_index(drop=True)
    test = joined[is_test].reset_index(drop=True)
    logger.info("%d rows to train, %d to test", len(train), len(test))
    return train, test
