"""What figures that fill a slide share: titles and notes that wrap, dates, grids and legends."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tidemark.domain.plotting import (
    INK,
    LABEL_SIZE,
    TEXT_SIZE,
    Limits,
    add_caption,
    add_legend,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

WIDE, LOW = 10.0, 5.0
"""Width and height in inches of a figure that fills a slide."""

SMALL_SIZE = 9.0  # letters of crowded ticks and cells: the smallest that half size leaves readable

HATCHED: dict[str, Any] = {
    "facecolor": "#F4F4F4",
    "edgecolor": "#B8B8B8",
    "hatch": "////",
    "linewidth": 0.0,
}
"""The look of squares without a value."""

_GAP = 10.0  # dates further apart than so many usual steps have a gap between them


def wrap_title(title: str, width: float) -> str:
    """Break a title that is wider than so many inches, between its parts if it has any."""
    if len(title) <= 10.6 * width:
        return title
    spaces = [at for at, letter in enumerate(title) if letter == " "]
    spots = [at for at in spaces if title[at - 1] in ",:;"] or spaces
    if not spots:
        return title
    spot = min(spots, key=lambda at: abs(at - len(title) / 2.0))
    return f"{wrap_title(title[:spot], width)}\n{wrap_title(title[spot + 1 :], width)}"


def start_figure(title: str, width: float = WIDE, height: float = LOW, columns: int = 1) -> Figure:
    """Start a figure as `new_figure` does, with a title of as many lines as it needs."""
    figure, _ = new_figure(wrap_title(title, width), round(width, 1), round(height, 1), columns)
    return figure


def add_notes(figure: Figure, *notes: str) -> None:
    """Write notes under a figure, each wrapped to its width; empty ones are left out."""
    width = int(13.0 * figure.get_figwidth())
    add_caption(figure, *(fill(line, width) for note in notes for line in note.split("\n") if line))


def read_dates(table: pd.DataFrame, columns: Sequence[str], what: str) -> pd.DataFrame:
    """Select ``date`` and other columns of a table with one row for each date, and sort them.

    Parameters
    ----------
    table : DataFrame
        ``date`` and the columns, in any order.
    columns : sequence of str
        Those that must be there.
    what : str
        What messages call the rows.

    Raises
    ------
    ValueError
        If a column or every row is absent, or a date is missing or stands there twice.
    """
    absent = [column for column in ("date", *columns) if column not in table]
    if absent:
        raise ValueError(f"The {what} have no column {', '.join(absent)}: add what is absent.")
    if table.empty:
        raise ValueError(f"There are no {what} to draw: give at least one date.")
    rows = table[["date", *columns]].sort_values("date", ignore_index=True)
    n_faulty = int((rows["date"].isna() | rows["date"].duplicated()).sum())
    if n_faulty:
        raise ValueError(
            f"{n_faulty} of {len(rows)} dates of the {what} are missing or stand there twice: "
            "give one row for each date."
        )
    return rows


def find_step(dates: pd.Series) -> pd.Timedelta:
    """Find the usual distance of sorted dates, their median; a day for a single date."""
    return pd.Timedelta(dates.diff().median()) if len(dates) > 1 else pd.Timedelta(days=1)


def open_gaps(rows: pd.DataFrame) -> pd.DataFrame:
    """Put an empty row where sorted dates are far apart, so that no line bridges the gap."""
    step = find_step(rows["date"])
    before = rows["date"][rows["date"].diff().shift(-1) > _GAP * step]
    if before.empty:
        return rows
    return pd.concat([rows, pd.DataFrame({"date": before + step})]).sort_values(
        "date", ignore_index=True
    )


def use_many_dates(axes: Axes, first: pd.Timestamp, last: pd.Timestamp) -> None:
    """Fit a wide x-axis to dates; a single one stands in the middle of some days."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    air = pd.Timedelta(days=0 if first < last else 10)
    axes.set_xlim(first - air, last + air)  # type: ignore[arg-type]
    locator = AutoDateLocator(minticks=4, maxticks=12)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def write_date(date: pd.Timestamp, step: pd.Timedelta) -> str:
    """Write a date, of monthly or rarer dates without the day."""
    return date.strftime("%Y-%m" if step >= pd.Timedelta(days=28) else "%Y-%m-%d")


def fill_grid(
    axes: Axes, values: np.ndarray, colors: Sequence[str], limits: Limits, steps: int = 256
) -> QuadMesh:
    """Fill axes with a grid of unit squares, the first row on top; squares of NaN are blank.

    Parameters
    ----------
    axes : Axes
        Gets a square for ``values[i, j]`` with its centre at ``(j, i)``.
    values : ndarray of float, shape (rows, columns)
    colors : sequence of str
        From the lower limit to the upper one.
    limits : tuple of float
        Values of the first and the last colour.
    steps : int
        Number of colours that stand between them.
    """
    from matplotlib.colors import LinearSegmentedColormap

    n_rows, n_columns = values.shape
    axes.set_xlim(-0.5, n_columns - 0.5)
    axes.set_ylim(n_rows - 0.5, -0.5)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return axes.pcolormesh(
        np.arange(n_columns + 1) - 0.5,
        np.arange(n_rows + 1) - 0.5,
        np.ma.masked_invalid(values),
        cmap=LinearSegmentedColormap.from_list("shades", list(colors), steps),
        vmin=limits[0],
        vmax=limits[1],
        edgecolors="white" if max(values.shape) <= 120 else "none",
        linewidth=0.5,
    )


def hatch_cells(axes: Axes, missing: np.ndarray) -> None:
    """Hatch the squares of a grid where ``missing``, shape (rows, columns), is true."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    squares = [Rectangle((j - 0.5, i - 0.5), 1.0, 1.0) for i, j in np.argwhere(missing)]
    axes.add_collection(PatchCollection(squares, **HATCHED))


def add_bar(figure: Figure, mesh: QuadMesh, axes: Sequence[Axes], label: str) -> None:
    """Add a bar of colours at the right of axes."""
    bar = figure.colorbar(mesh, ax=list(axes), fraction=0.03, aspect=30, pad=0.01)
    bar.set_label(label, fontsize=LABEL_SIZE, color=INK)
    bar.ax.tick_params(labelsize=TEXT_SIZE)
    bar.outline.set_visible(False)


def add_wide_legend(axes: Axes) -> None:
    """Add a legend above the axes as `add_legend` does, in as many lines as it needs."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    room = 10.8 * axes.figure.bbox.width / axes.figure.dpi  # letters, so many to an inch
    widths = [len(label) + 5 for label in labels]
    n_columns = len(labels) if sum(widths) <= room else max(1, int(room / max(widths)))
    add_legend(axes, n_columns)


def choose_years(first: int, last: int) -> list[int]:
    """Choose years that label an axis: all, or the round ones."""
    step = next(step for step in (1, 2, 5, 10, 20, 50, 1000) if (last - first) / step < 14)
    return [year for year in range(first, last + 1) if year % step == 0] or [first]
