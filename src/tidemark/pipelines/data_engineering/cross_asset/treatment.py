"""Node function of a pair's alignment, apart from the data's: a change here re-runs less."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tidemark.domain.alignment import align_calendar, convert_currency
from tidemark.domain.asset_returns import compute_returns
from tidemark.domain.sessions import list_sessions
from tidemark.errors import DataError
from tidemark.pipelines.data_engineering.cross_asset.params import (
    AlignmentParams,
    PairParams,
    SeriesTable,
)


def align_returns(
    levels: pd.DataFrame,
    series: SeriesTable,
    params: AlignmentParams,
    calendar: str,
    names: list[str],
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Bring some series to a calendar, to one currency, and compute their returns.

    Returns
    -------
    returns : DataFrame
        Index ``date``, the calendar's sessions; one column for each of ``names``.
    report : dict
        Flat: sessions, levels that were carried forward, sessions without both ends of a return.
    """
    definitions = {one.name: one for one in series.definitions()}
    own = levels[levels["series"].isin(names)]
    if own.empty:
        nothing = pd.DatetimeIndex([], dtype="datetime64[ns]", name="date")
        report = {"sessions": 0, "levels_filled": 0, "sessions_without_return": 0}
        return pd.DataFrame(index=nothing, columns=names, dtype="float64"), report
    sessions = list_sessions(calendar, own["date"].min(), own["date"].max())
    is_foreign = any(
        definitions[name].kind in ("price", "index")
        and definitions[name].currency != params.base_currency
        for name in names
    )
    # Rates that convert a price need not be asked for.
    rates = [name for name, one in definitions.items() if one.kind == "fx" and is_foreign]
    used = [definitions[name] for name in dict.fromkeys([*names, *rates])]
    rows = levels[levels["series"].isin([one.name for one in used])]
    try:
        aligned = align_calendar(rows, used, sessions, params.max_fill_sessions)
        converted = convert_currency(aligned.levels, aligned.filled, used, params.base_currency)
    except ValueError as error:
        raise DataError(str(error)) from error
    returns = compute_returns(converted.levels, converted.filled, used)[names]
    returns.index.name = "date"
    report = {
        "sessions": len(returns),
        "levels_filled": int(converted.filled[names].to_numpy().sum()),
        "sessions_without_return": int(returns.isna().any(axis=1).sum()),
    }
    return returns, report


def preprocess(
    levels: pd.DataFrame, series: SeriesTable, alignment: AlignmentParams, params: PairParams
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Align the two series of a pair and compute their returns.

    Returns
    -------
    processed : DataFrame
        ``date, left, right``: sessions of the pair's calendar from the first on which both have
        a return to the last; NaN where a return would have to be made up.
    report : dict
        Flat: see `align_returns`.

    Raises
    ------
    DataError
        If a series has no level, or the two never have a return on the same session.
    """
    names = [params.left, params.right]
    for name in names:
        if not (levels["series"] == name).any():
            raise DataError(
                f"Series '{name}' has no level. Add it to a source, or take the scenario out."
            )
    returns, report = align_returns(levels, series, alignment, params.calendar, names)
    both = returns.dropna()
    if both.empty:
        raise DataError(
            f"'{params.left}' and '{params.right}' have no return on the same session of calendar "
            f"{params.calendar}. Look at their spans and calendars in the data-quality report."
        )
    span = returns.loc[both.index[0] : both.index[-1]]
    return span.set_axis(["left", "right"], axis=1).reset_index(), report
