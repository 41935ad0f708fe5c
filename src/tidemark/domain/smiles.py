"""Smiles of implied volatility, one for each expiration of a date, read at any strike and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.chains import Flags, Floats, Integers
from tidemark.domain.forward_curves import ForwardCurves
from tidemark.domain.quoted_volatilities import solve_middles

# Between the standardised moneyness of any two neighbouring slices on one axis.
_GAP = 1e6


@dataclass(frozen=True, eq=False)
class Smiles:
    """Smiles of many dates, in slices: one for each date, root and expiration.

    Attributes
    ----------
    day : ndarray of datetime64[us], shape (slices,)
        Sorted; within a date, slices are sorted by time.
    time_years : ndarray, shape (slices,)
    lowest, highest : ndarray, shape (slices,)
        Standardised moneyness, ``ln(strike / forward) / sqrt(time)``, of the outermost points.
    axis, vol_annual : ndarray, shape (points,)
        Points of all slices on one ascending axis, and their volatilities.
    """

    day: np.ndarray
    time_years: Floats
    lowest: Floats
    highest: Floats
    axis: Floats
    vol_annual: Floats

    def read(self, day: np.ndarray, time_years: Floats, moneyness: Floats) -> Floats:
        """Read volatilities off the smiles of given dates.

        Parameters
        ----------
        day : ndarray of datetime64, shape (rows,)
            The date of the smiles, not that of the row.
        time_years : ndarray, shape (rows,)
            Times to settlement; total variance is interpolated between the slices around them
            and volatility is flat beyond the first and the last.
        moneyness : ndarray, shape (rows,)
            Standardised, ``ln(strike / forward) / sqrt(time)``; volatility is interpolated
            between the points of a slice and flat beyond them.

        Returns
        -------
        ndarray, shape (rows,)
            Annual volatility; NaN where the date has no smile.
        """
        first = np.searchsorted(self.day, day, side="left")
        end = np.searchsorted(self.day, day, side="right")
        known = end > first
        # Dates are days apart and times are not: one clock finds the slice within its date.
        clock = _tell_clock(self.day, self.time_years)
        above = np.searchsorted(clock, _tell_clock(day, time_years), side="left")
        upper = np.clip(above, first, np.maximum(end - 1, first))
        lower = np.clip(above - 1, first, np.maximum(end - 1, first))
        found = np.full(len(day), np.nan)
        rows = np.flatnonzero(known & np.isfinite(moneyness) & (time_years > 0))
        if not len(rows):
            return found
        low, high = lower[rows], upper[rows]
        near, far = self.time_years[low], self.time_years[high]
        wanted = time_years[rows]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(far > near, (wanted - near) / (far - near), 0.0)
        share = np.clip(share, 0.0, 1.0)
        variance = [
            np.square(self._read_slice(part, moneyness[rows])) * self.time_years[part]
            for part in (low, high)
        ]
        time = near + share * (far - near)
        found[rows] = np.sqrt(((1 - share) * variance[0] + share * variance[1]) / time)
        return found

    def _read_slice(self, number: Integers, moneyness: Floats) -> Floats:
        inside = np.clip(moneyness, self.lowest[number], self.highest[number])
        return np.interp(number * _GAP + inside, self.axis, self.vol_annual)


def _tell_clock(day: np.ndarray, time_years: Floats) -> Floats:
    return np.asarray(day.astype("datetime64[D]").astype("float64") * 1e3 + time_years)


def fit_smiles(volatilities: pd.DataFrame) -> Smiles:
    """Collect the smiles of every date from options out of the money.

    Parameters
    ----------
    volatilities : DataFrame
        ``date, root, expiration, time_years, is_call, log_moneyness`` (of strike over forward)
        and ``vol_annual``; rows without volatility, time or forward are left out, and so are
        options in the money, whose price tells little about volatility.

    Returns
    -------
    Smiles
        Points of equal moneyness in one slice are averaged. Two roots that settle at one time
        make one slice.
    """
    usable = _find_points(volatilities)
    rows = volatilities.loc[usable]
    time = rows["time_years"].to_numpy(dtype="float64")
    points = pd.DataFrame(
        {
            "day": rows["date"].to_numpy(),
            "time_years": time,
            "moneyness": rows["log_moneyness"].to_numpy(dtype="float64") / np.sqrt(time),
            "vol_annual": rows["vol_annual"].to_numpy(dtype="float64"),
        }
    )
    points = points.groupby(["day", "time_years", "moneyness"], as_index=False, sort=True).mean()
    day, when = points["day"].to_numpy(), points["time_years"].to_numpy()
    starts = np.flatnonzero(
        np.append(True, (day[1:] != day[:-1]) | (when[1:] != when[:-1])) if len(points) else []
    )
    sizes = np.diff(np.append(starts, len(points)))
    moneyness = points["moneyness"].to_numpy()
    number = np.repeat(np.arange(len(starts)), sizes)
    return Smiles(
        day=day[starts],
        time_years=when[starts],
        lowest=moneyness[starts],
        highest=moneyness[starts + sizes - 1],
        axis=number * _GAP + moneyness,
        vol_annual=points["vol_annual"].to_numpy(),
    )


def tabulate_smiles(chain: pd.DataFrame, curves: ForwardCurves) -> pd.DataFrame:
    """Tabulate the volatilities out of the money of one date, for a figure.

    Parameters
    ----------
    chain : DataFrame
        Canonical, of one date, with ``time_years``.
    curves : ForwardCurves
        Of that date.

    Returns
    -------
    DataFrame
        ``expiration, time_years, log_moneyness, vol_annual``, sorted; empty without forwards.
    """
    solved = solve_middles(chain, chain["quote_date"].to_numpy(), curves)
    columns = ["log_moneyness", "vol_annual", "is_call"]
    table = chain[["expiration", "time_years"]].join(solved[columns])
    shown = table[_find_points(table)].drop(columns="is_call")
    order = ["time_years", "log_moneyness"]
    return shown.sort_values(order, kind="stable", ignore_index=True)


def make_no_smiles() -> pd.DataFrame:
    """Make the table of smiles of a chain without any."""
    kinds = dict.fromkeys(("time_years", "log_moneyness", "vol_annual"), "float64")
    columns = {"expiration": "datetime64[us]", **kinds}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})


def _find_points(volatilities: pd.DataFrame) -> Flags:
    moneyness = volatilities["log_moneyness"].to_numpy(dtype="float64")
    is_call = volatilities["is_call"].to_numpy(dtype=bool)
    known = np.isfinite(volatilities["vol_annual"].to_numpy(dtype="float64"))
    usable: Flags = (
        known
        & (volatilities["time_years"].to_numpy() > 0)
        & np.where(is_call, moneyness >= 0, moneyness < 0)
    )
    return usable
