"""Rows of a chain: runs of neighbours that share a value, and choosing some without needless work.

A chain of days is long and says few different things: its dates change a few times in thousands of
rows, and most of its texts never. What is said once is looked at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Runs:
    """Neighbouring rows that share their values.

    Attributes
    ----------
    first, length : ndarray of int, shape (runs,)
        The first row of each run, and how many rows it has.
    """

    first: Positions
    length: Positions

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Give the rows of each run its value."""
        return np.repeat(values, self.length)


def find_runs(*columns: npt.NDArray[Any]) -> Runs:
    """Find where any of some columns changes.

    Examples
    --------
    >>> runs = find_runs(np.array([5, 5, 5, 7]), np.array([1, 1, 2, 2]))
    >>> runs.first.tolist(), runs.length.tolist()
    ([0, 2, 3], [2, 1, 1])
    """
    rows = len(columns[0])
    changes = np.zeros(max(rows - 1, 0), dtype=bool)
    for values in columns:
        changes |= values[1:] != values[:-1]
    inner = np.flatnonzero(changes) + 1
    first = np.append(np.intp(0), inner) if rows else inner
    return Runs(first, np.diff(first, append=rows))


def is_one_text(texts: pd.Series) -> bool:
    """Tell whether all texts of a column are one, none of them missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = pa.array(texts.array)
    if not len(values) or values.null_count:
        return False
    return bool(pc.all(pc.equal(values, values[0])).as_py())


def take_rows(frame: pd.DataFrame, rows: npt.NDArray[np.integer[Any]]) -> pd.DataFrame:
    """Choose rows by their positions, none twice, and count them anew.

    Examples
    --------
    >>> frame = pd.DataFrame({"root": ["SPX", "SPX", "SPX"], "strike": [1.0, 2.0, 3.0]})
    >>> take_rows(frame, np.array([2, 0]))
      root  strike
    0  SPX     3.0
    1  SPX     1.0
    """
    # Copying most of many texts costs more than a look whether they differ.
    is_look_worth = 2 * len(rows) > len(frame)
    made = {}
    for name, column in frame.items():
        if is_look_worth and column.dtype == "str" and is_one_text(column):
            made[name] = column.array[: len(rows)]
        else:
            made[name] = column.array.take(rows)
    return pd.DataFrame(made, index=pd.RangeIndex(len(rows)), copy=False)
