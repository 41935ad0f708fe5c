"""The same cell in two runs: whose losses are smaller, and by more than chance makes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tidemark.domain.scores import SCORES, SQUARED_ERROR
from tidemark.errors import TrackingError, UnknownName
from tidemark.tracking.metrics_store import MetricsStore, StoredCell

if TYPE_CHECKING:
    import pandas as pd

NEWEST = ("latest", "previous")


@dataclass(frozen=True)
class CellPair:
    """One cell of two runs.

    Attributes
    ----------
    cell : str
        Its name.
    score : str
        What its forecasts are judged by, one of `SCORES`.
    first, second : float
        The score's measure on the dates that both runs have scored: root mean squared errors in
        the target's unit, or mean log scores in nats.
    difference, p_value : float
        Mean difference of the losses by date, positive if the second run is better, and the
        two-sided p of the Diebold-Mariano test; NaN if the losses are the same.
    n_dates : int
        Dates that both runs have scored.
    note : str
        Why there are no figures; empty if there are.
    has_other_data : bool
        Whether the data of the two runs differ.
    """

    cell: str
    first: float = float("nan")
    second: float = float("nan")
    difference: float = float("nan")
    p_value: float = float("nan")
    score: str = SQUARED_ERROR.name
    n_dates: int = 0
    note: str = ""
    has_other_data: bool = False


def find_run(store: MetricsStore, name: str) -> str:
    """Find a run by its id, by the beginning of one, or by ``latest`` and ``previous``.

    Raises
    ------
    UnknownName
        If the store knows no such run.
    TrackingError
        If several begin so.
    """
    known = store.list_runs()
    if name in NEWEST:
        place = NEWEST.index(name)
        if len(known) <= place:
            raise TrackingError(f"{store.place} knows {len(known)} runs, so none is '{name}'.")
        return known[place]
    found = [run_id for run_id in known if run_id.startswith(name)]
    if not found:
        raise UnknownName.of("run", name, [*NEWEST, *known[:10]])
    if len(found) > 1 and name not in found:
        raise TrackingError(f"Several runs begin with '{name}': {', '.join(found[:5])}.")
    return name if name in found else found[0]


def pair_cells(
    store: MetricsStore, data_root: Path, first: str, second: str, cell: str | None = None
) -> list[CellPair]:
    """Compare every cell that two runs have brought to an outcome.

    Parameters
    ----------
    store : MetricsStore
        Knows where each run has left the losses of its cells.
    data_root : Path
        What those places count from.
    first, second : str
        Ids of runs.
    cell : str, optional
        One cell alone, ``scenario.model``.

    Raises
    ------
    UnknownName
        If a run has no such cell.
    """
    before, after = store.list_cells(first), store.list_cells(second)
    if cell is not None:
        for cells in (before, after):
            if cell not in cells:
                raise UnknownName.of("cell", cell, cells)
    names = [cell] if cell else sorted(before.keys() | after.keys())
    return [_pair(name, before.get(name), after.get(name), data_root) for name in names]


def _pair(
    name: str, before: StoredCell | None, after: StoredCell | None, data_root: Path
) -> CellPair:
    if before is None or after is None:
        return CellPair(name, note=f"not made in the {'first' if before is None else 'second'} run")
    for which, one in (("first", before), ("second", after)):
        if one.status in ("failed", "not installed"):
            return CellPair(name, note=f"{one.status} in the {which} run")
        if one.daily is None or not (data_root / one.daily).is_file():
            return CellPair(name, note=f"the losses of the {which} run are not here any more")
    pair = _compare(name, data_root / str(before.daily), data_root / str(after.daily))
    return replace(pair, has_other_data=before.data_hash != after.data_hash)


def _compare(name: str, before: Path, after: Path) -> CellPair:
    import numpy as np
    import pandas as pd

    from tidemark.domain.comparison import MIN_DATES, diebold_mariano

    tables = [pd.read_parquet(path) for path in (before, after)]
    judged = [score for score in SCORES.values() if all(score.loss_column in one for one in tables)]
    if not judged:
        return CellPair(name, note="judged by another score")
    score = judged[0]
    both = tables[0].merge(tables[1], on="date", suffixes=("_first", "_second"))
    # The outcomes of dates that follow each other overlap by all of the horizon but one date.
    horizon = max(int(one.get("horizon_days", pd.Series([1])).max()) for one in tables)
    pair = CellPair(name, score=score.name, n_dates=len(both))
    if len(both) < max(MIN_DATES, horizon + 1):
        return replace(pair, note=f"{len(both)} dates in common are too few")
    if (both["n_first"] != both["n_second"]).any():
        return replace(pair, note="scored on other rows of the same dates")
    if _have_other_targets(both):
        return replace(pair, note="scored on other targets")
    sums = [both[f"{score.loss_column}_{one}"] for one in ("first", "second")]
    losses = [(one / both["n_first"]).to_numpy() for one in sums]
    tested = diebold_mariano(losses[1], losses[0], horizon)
    means = [float(one.sum() / both["n_first"].sum()) for one in sums]
    first, second = (float(np.sqrt(one)) if score.is_squared else -one for one in means)
    return replace(
        pair,
        first=first,
        second=second,
        difference=tested.mean_difference,
        p_value=tested.p_value,
    )


def _have_other_targets(both: pd.DataFrame) -> bool:
    """Say whether the sums of squared targets differ, where both runs have left them."""
    import numpy as np

    if "sq_zero_first" not in both:
        return False
    return not np.allclose(both["sq_zero_first"], both["sq_zero_second"], rtol=1e-9, atol=0.0)
