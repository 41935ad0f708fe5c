"""The same cell in two runs: whose losses are smaller, and by more than chance makes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tidemark.errors import TrackingError, UnknownName
from tidemark.tracking.metrics_store import MetricsStore, StoredCell

NEWEST = ("latest", "previous")


@dataclass(frozen=True)
class CellPair:
    """One cell of two runs.

    Attributes
    ----------
    cell : str
        Its name.
    first, second : float
        Root mean squared errors on the dates that both runs have scored, in the target's unit.
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
        if one.status == "failed":
            return CellPair(name, note=f"failed in the {which} run")
        if one.daily is None or not (data_root / one.daily).is_file():
            return CellPair(name, note=f"the losses of the {which} run are not here any more")
    pair = _compare(name, data_root / str(before.daily), data_root / str(after.daily))
    return replace(pair, has_other_data=before.data_hash != after.data_hash)


def _compare(name: str, before: Path, after: Path) -> CellPair:
    import numpy as np
    import pandas as pd

    from tidemark.domain.comparison import MIN_DATES, diebold_mariano

    columns = ["date", "n", "sq_error", "sq_zero"]
    both = pd.read_parquet(before, columns=columns).merge(
        pd.read_parquet(after, columns=columns), on="date", suffixes=("_first", "_second")
    )
    if len(both) < MIN_DATES:
        return CellPair(name, n_dates=len(both), note=f"{len(both)} dates in common are too few")
    if (both["n_first"] != both["n_second"]).any():
        return CellPair(name, n_dates=len(both), note="scored on other rows of the same dates")
    if not np.allclose(both["sq_zero_first"], both["sq_zero_second"], rtol=1e-9, atol=0.0):
        return CellPair(name, n_dates=len(both), note="scored on other targets")
    losses = [(both[f"sq_error_{one}"] / both["n_first"]) for one in ("first", "second")]
    tested = diebold_mariano(losses[1].to_numpy(), losses[0].to_numpy())
    rows = both["n_first"].sum()
    roots = [float(np.sqrt(both[f"sq_error_{one}"].sum() / rows)) for one in ("first", "second")]
    return CellPair(name, roots[0], roots[1], tested.mean_difference, tested.p_value, len(both))
