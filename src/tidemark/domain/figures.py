"""Figures of one cell's predictions, as `matplotlib.figure.Figure`, never pyplot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tidemark.domain.plotting import (
    BLUE,
    INK,
    LABEL_SIZE,
    TEXT_SIZE,
    VERMILLION,
    Limits,
    Quantity,
    add_caption,
    add_legend,
    find_fences,
    is_within,
    name_axes,
    new_figure,
    render_png,
    robust_limits,
    widen,
    write_number,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CELL_FIGURES", "Quantity", "draw_cell_figure", "render_png"]

CELL_FIGURES = ("predicted_vs_true", "hexbin", "residual_histogram", "residuals_vs_predicted")

_MAX_POINTS = 5_000
_GROUPS = 10
_LEAST_IN_GROUP = 5
_COMPARABLE = 3.0  # axes share their limits if neither range is more than this times the other
_IQR_OF_NORMAL = 1.3489795  # interquartile range of the standard normal distribution


def draw_cell_figure(
    name: str, predictions: pd.DataFrame, title: str, quantity: Quantity, seed: int
) -> Figure:
    """Draw one of the four figures of a cell.

    Parameters
    ----------
    name : str
        One of ``CELL_FIGURES``.
    predictions : DataFrame
        ``y_true, y_pred``, finite; at least one row. With a column ``date``, the standard errors
        of means take rows of one date as dependent; without, every row as independent.
    title : str
        What the cell is called.
    quantity : Quantity
        What is predicted, and its unit.
    seed : int
        Seed of the sample of points that the scatter plots show of large tables.

    Raises
    ------
    KeyError
        If there is no such figure.
    ValueError
        If there is no row, or a value is missing or infinite.
    """
    draw = {
        "predicted_vs_true": _draw_predicted_vs_true,
        "hexbin": _draw_hexbin,
        "residual_histogram": _draw_residual_histogram,
        "residuals_vs_predicted": _draw_residuals_vs_predicted,
    }[name]
    return draw(_scale(predictions, quantity, seed), title)


@dataclass(frozen=True)
class _Rows:
    """Predictions in the unit that is shown, their dates, and which rows scatter plots show."""

    true: np.ndarray
    pred: np.ndarray
    date: np.ndarray | None
    shown: np.ndarray
    quantity: Quantity

    @property
    def residual(self) -> np.ndarray:
        residual: np.ndarray = self.true - self.pred
        return residual

    @property
    def is_usual(self) -> np.ndarray:
        """Tell which rows have a prediction that is not wild, bool."""
        return is_within(self.pred, find_fences(self.pred))

    def describe(self, inside: np.ndarray, is_sample: bool) -> str:
        """Say how many rows the axes leave out and, of a sample, how many are drawn."""
        n_rows, n_shown = len(self.true), len(self.shown)
        words = f"Outside the axes: {int((~inside).sum()):,} of {n_rows:,} rows."
        if is_sample and n_shown < n_rows:
            words += f" Points: {n_shown:,} rows drawn at random."
        if _is_constant(self.pred):
            value = write_number(float(self.pred[0]), ".3g")
            words += f"\nThe forecast is constant: {value} {self.quantity.unit}."
        return words

    def describe_errors(self) -> str:
        """Say what the standard errors take as independent."""
        taken = "rows as independent" if self.date is None else "rows of one date as dependent"
        words = f"se: standard error of the mean, with {taken}."
        n_wild = int((~self.is_usual).sum())
        return f"{words}\nLeft out of the means: {n_wild:,} wild predictions." if n_wild else words


def _scale(predictions: pd.DataFrame, quantity: Quantity, seed: int) -> _Rows:
    if predictions.empty:
        raise ValueError("There are no predictions to draw: give at least one row.")
    true, pred = (
        predictions[column].to_numpy(dtype="float64") * quantity.scale
        for column in ("y_true", "y_pred")
    )
    faulty = int((~np.isfinite(true) | ~np.isfinite(pred)).sum())
    if faulty:
        raise ValueError(
            f"{faulty} of {len(true)} rows have a missing or infinite y_true or y_pred, which no "
            "axis can show: leave them out."
        )
    date = pd.factorize(predictions["date"])[0] if "date" in predictions else None
    shown = np.sort(np.random.default_rng(seed).permutation(len(true))[:_MAX_POINTS])
    return _Rows(true, pred, date, shown, quantity)


def _is_constant(values: np.ndarray) -> bool:
    return float(np.ptp(values)) <= 1e-9 * float(np.abs(values).max())


@dataclass(frozen=True)
class _Groups:
    """Rows in groups of like size by their prediction; one entry for each group."""

    pred: np.ndarray
    mean: np.ndarray
    two_errors: np.ndarray  # 0 where rows are too few to tell
    low: np.ndarray
    high: np.ndarray

    @property
    def words(self) -> str:
        count = len(self.pred)
        if count == 1:
            return "mean of all rows"
        return "means of tenths by prediction" if count == _GROUPS else f"means of {count} groups"

    def limits(self) -> tuple[Limits, Limits]:
        """Choose limits for the means, with their errors, over the predictions."""
        ends = np.concatenate([self.mean - self.two_errors, self.mean + self.two_errors, self.pred])
        air = _air(ends)
        across = float(self.pred.min()), float(self.pred.max())
        return widen(across, air, 0.08), widen((float(ends.min()), float(ends.max())), air, 0.08)


def _group(rows: _Rows, values: np.ndarray) -> _Groups:
    """Average values over tenths of the predictions; equal predictions stay together.

    Rows with a wild prediction are left out: choosing rows by their prediction does not bend the
    means of what is true, and a wild prediction would move the mean of its tenth out of sight.
    """
    usual = rows.is_usual
    pred, values = rows.pred[usual], values[usual]
    cluster = np.arange(len(values)) if rows.date is None else rows.date[usual]
    count = min(max(len(values) // _LEAST_IN_GROUP, 1), _GROUPS)
    edges = np.unique(np.quantile(pred, np.linspace(0.0, 1.0, count + 1)[1:-1]))
    member = np.searchsorted(edges[:0] if _is_constant(pred) else edges, pred, side="right")
    found = []
    for group in np.unique(member):
        mine = member == group
        error = _error_of_mean(values[mine], cluster[mine])
        spread = np.quantile(values[mine], [0.1, 0.9])
        found.append((pred[mine].mean(), values[mine].mean(), 2.0 * error, *spread))
    return _Groups(*np.array(found).T)


def _error_of_mean(values: np.ndarray, cluster: np.ndarray) -> float:
    """Compute the standard error of a mean whose values depend on each other within clusters.

    0 for a single cluster, which tells nothing of it.

    References
    ----------
    Liang, K.-Y. and Zeger, S. L. (1986), Longitudinal Data Analysis Using Generalized Linear
    Models, Biometrika 73, 13-22.
    """
    _, member = np.unique(cluster, return_inverse=True)
    sums = np.bincount(member, weights=values - values.mean())
    n = len(sums)
    return float(np.sqrt(n / (n - 1.0) * (sums @ sums)) / len(values)) if n > 1 else 0.0


def _draw_predicted_vs_true(rows: _Rows, title: str) -> Figure:
    """Draw all rows, and beside them, enlarged, the means that show whether there is a signal."""
    quantity = rows.quantity
    figure, (cloud, means) = new_figure(
        f"{title}: true against predicted {quantity.name}", columns=2
    )
    across, up = _agree(*_limits(rows.pred, rows.true))
    _scatter(cloud, rows, rows.true)
    _finish(cloud, across, up)
    cloud.set_title("rows", fontsize=TEXT_SIZE, loc="left", color=INK)
    groups = _group(rows, rows.true)
    _draw_means(means, groups, BLUE)
    _finish(means, *_agree(*groups.limits()))
    means.set_title(f"{groups.words}, ± 2 se", fontsize=TEXT_SIZE, loc="left", color=INK)
    for axes in (cloud, means):
        axes.set_box_aspect(1.0)
        _draw_diagonal(axes)
        name_axes(axes, quantity.label("predicted"), quantity.label("true"))
    add_legend(cloud)
    inside = is_within(rows.pred, across) & is_within(rows.true, up)
    add_caption(figure, rows.describe(inside, is_sample=True), rows.describe_errors())
    return figure


def _draw_hexbin(rows: _Rows, title: str) -> Figure:
    from matplotlib.colors import LogNorm

    figure, (axes,) = new_figure(f"{title}: density of true and predicted {rows.quantity.name}")
    across, up = _agree(*_limits(rows.pred, rows.true))
    inside = is_within(rows.pred, across) & is_within(rows.true, up)
    grid = axes.hexbin(
        rows.pred[inside],
        rows.true[inside],
        gridsize=40 if len(rows.true) >= 500 else 20,
        mincnt=1,
        cmap="cividis",
        linewidths=0.1,
        extent=(*across, *up),
    )
    most = float(max(np.asarray(grid.get_array()).max(), 10.0))
    grid.set_norm(LogNorm(1.0, most))
    bar = figure.colorbar(grid, ax=axes, format="%d")
    bar.ax.tick_params(labelsize=TEXT_SIZE)
    bar.ax.minorticks_off()
    bar.set_label("rows in a hexagon (log scale)", fontsize=LABEL_SIZE, color=INK)
    _finish(axes, across, up)
    _draw_diagonal(axes)
    name_axes(axes, rows.quantity.label("predicted"), rows.quantity.label("true"))
    add_legend(axes)
    add_caption(figure, rows.describe(inside, is_sample=False))
    return figure


def _draw_residual_histogram(rows: _Rows, title: str) -> Figure:
    """Draw the residuals and the normal density that has their median and quartile range."""
    residual, unit = rows.residual, rows.quantity.unit
    figure, (axes,) = new_figure(f"{title}: residuals of the {rows.quantity.name}")
    _, limits = _limits(rows.pred, residual, symmetric=True)
    edges = np.linspace(*limits, int(np.clip(2.0 * np.sqrt(len(residual)), 10, 80)) + 1)
    weights = np.full(len(residual), 100.0 / len(residual))
    axes.hist(residual, bins=edges.tolist(), weights=weights, color=BLUE, alpha=0.75)
    lower, median, upper = np.quantile(residual, [0.25, 0.5, 0.75])
    sigma = (upper - lower) / _IQR_OF_NORMAL
    tails = ""
    if sigma > 0.0:
        at = np.linspace(*limits, 301)
        density = np.exp(-0.5 * ((at - median) / sigma) ** 2) / (sigma * np.sqrt(2.0 * np.pi))
        share = 100.0 * density * (edges[1] - edges[0])
        axes.plot(at, share, color=VERMILLION, linewidth=1.5, label="normal of the same quartiles")
        far = 100.0 * float((np.abs(residual - median) > 3.0 * sigma).mean())
        tails = f"Further than 3 sd of that normal from its mean: {far:.2f} % (of a normal 0.27 %)."
    mean = float(residual.mean())
    label = f"mean {write_number(mean, '.3g')} {unit}"
    axes.axvline(mean, color=INK, linewidth=1.2, linestyle="--", label=label)
    axes.set_xlim(limits)
    name_axes(axes, f"true minus {rows.quantity.label('predicted')}", "share of rows (%)")
    add_legend(axes)
    add_caption(figure, rows.describe(is_within(residual, limits), is_sample=False), tails)
    return figure


def _draw_residuals_vs_predicted(rows: _Rows, title: str) -> Figure:
    """Draw residuals and, by tenths of the prediction, their means and their spread."""
    quantity, residual = rows.quantity, rows.residual
    figure, (axes,) = new_figure(f"{title}: residuals against predicted {quantity.name}")
    across, up = _limits(rows.pred, residual, symmetric=True)
    _scatter(axes, rows, residual)
    axes.axhline(0.0, color=INK, linewidth=1.0)
    groups = _group(rows, residual)
    for edge, label in ((groups.high, "10 % and 90 % quantiles"), (groups.low, None)):
        axes.plot(groups.pred, edge, "s--", color=INK, linewidth=1.0, markersize=4, label=label)
    _draw_means(axes, groups, VERMILLION, label=f"{groups.words}, ± 2 se")
    _finish(axes, across, up)
    name_axes(axes, quantity.label("predicted"), f"true minus {quantity.label('predicted')}")
    add_legend(axes)
    inside = is_within(rows.pred, across) & is_within(residual, up)
    add_caption(figure, rows.describe(inside, is_sample=True), rows.describe_errors())
    return figure


def _scatter(axes: Axes, rows: _Rows, up: np.ndarray) -> None:
    shown = rows.shown
    alpha = 0.25 if len(shown) > 500 else 0.7
    size = 5.0 if len(shown) > 500 else 14.0
    axes.scatter(rows.pred[shown], up[shown], s=size, alpha=alpha, color=BLUE, linewidths=0)


def _draw_means(axes: Axes, groups: _Groups, color: str, label: str | None = None) -> None:
    axes.errorbar(
        groups.pred,
        groups.mean,
        groups.two_errors,
        fmt="o-",
        color=color,
        markersize=5,
        linewidth=1.2,
        capsize=2.5,
        label=label,
    )


def _draw_diagonal(axes: Axes) -> None:
    axes.axline((0.0, 0.0), slope=1.0, color=VERMILLION, linewidth=1.2, label="true = predicted")


def _limits(across: np.ndarray, up: np.ndarray, symmetric: bool = False) -> tuple[Limits, Limits]:
    """Choose robust limits of two axes; ``symmetric`` centres the second one on zero."""
    low, high = robust_limits(up)
    if symmetric:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    air = _air(np.array([low, high]))
    return widen(robust_limits(across), air), widen((low, high), air)


def _air(values: np.ndarray) -> float:
    """Choose what surrounds a single value: a tenth of a range, or of a value if there is none."""
    return float(np.ptp(values)) / 10.0 or float(np.abs(values).max()) / 10.0 or 1.0


def _agree(across: Limits, up: Limits) -> tuple[Limits, Limits]:
    """Give both axes the same limits, unless one of them would be squashed."""
    widths = across[1] - across[0], up[1] - up[0]
    if max(widths) > _COMPARABLE * min(widths):
        return across, up
    both = min(across[0], up[0]), max(across[1], up[1])
    return both, both


def _finish(axes: Axes, across: Limits, up: Limits) -> None:
    axes.set_xlim(across)
    axes.set_ylim(up)
    if across == up:
        axes.set_box_aspect(1.0)
