"""Hashes of tables by their content, whatever the file that holds them looks like."""

from __future__ import annotations

import hashlib

import pandas as pd


def hash_frames(*frames: pd.DataFrame) -> str:
    """Hash the columns, their types and every value of some tables, row by row in order.

    Returns
    -------
    str
        The first 16 digits of a SHA-256.
    """
    digest = hashlib.sha256()
    for frame in frames:
        columns = [(str(name), str(kind)) for name, kind in frame.dtypes.items()]
        digest.update(repr(columns).encode())
        digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:16]
