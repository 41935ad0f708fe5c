"""Figures of predictions and of comparisons, as `matplotlib.figure.Figure`, never pyplot."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL_FIGURES = ("predicted_vs_true", "hexbin", "residual_histogram", "residuals_vs_predicted")

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#666666"  # Okabe and Ito, colour-blind safe
_MAX_POINTS = 5_000


def draw_cell_figure(name: str, predictions: pd.DataFrame, title: str, seed: int) -> Figure:
    """Draw one of the four figures of a cell.

    Parameters
    ----------
    name : str
        One of ``CELL_FIGURES``.
    predictions : DataFrame
        ``y_true, y_pred`` as fractions (0.01 is one percent); at least one row.
    title : str
        What the cell is called.
    seed : int
        Seed of the sample of points that the scatter plots show of large tables.
    """
    draw = {
        "predicted_vs_true": _draw_predicted_vs_true,
        "hexbin": _draw_hexbin,
        "residual_histogram": _draw_residual_histogram,
        "residuals_vs_predicted": _draw_residuals_vs_predicted,
    }[name]
    return draw(_measure(predictions, seed), title)


@dataclass(frozen=True)
class _Points:
    """Predictions in percent, which of them scatter plots show, and how far axes reach."""

    true: np.ndarray
    pred: np.ndarray
    shown: np.ndarray
    narrow: float
    wide: float

    @property
    def residual(self) -> np.ndarray:
        residual: np.ndarray = self.true - self.pred
        return residual

    @property
    def sample(self) -> str:
        n_shown, n_rows = len(self.shown), len(self.true)
        return "" if n_shown == n_rows else f" ({n_shown:,} of {n_rows:,} rows)"


def _measure(predictions: pd.DataFrame, seed: int) -> _Points:
    true = predictions["y_true"].to_numpy() * 100.0
    pred = predictions["y_pred"].to_numpy() * 100.0
    rng = np.random.default_rng(seed)
    shown = np.sort(rng.permutation(len(true))[:_MAX_POINTS])
    return _Points(true, pred, shown, narrow=_robust_limit(pred), wide=_robust_limit(true))


def _draw_predicted_vs_true(points: _Points, title: str) -> Figure:
    figure, axes = _new(f"{title}: predicted against true{points.sample}")
    pred, true, narrow = points.pred[points.shown], points.true[points.shown], points.narrow
    axes.scatter(pred, true, s=4, alpha=0.3, color=_BLUE, linewidths=0)
    axes.plot([-narrow, narrow], [-narrow, narrow], color=_ORANGE, label="perfect forecast")
    _label(axes, "predicted return (%)", "true return (%)", narrow, points.wide)
    axes.legend(loc="upper left", frameon=False)
    return figure


def _draw_hexbin(points: _Points, title: str) -> Figure:
    figure, axes = _new(f"{title}: density of predicted against true")
    narrow, wide = points.narrow, points.wide
    grid = axes.hexbin(
        points.pred,
        points.true,
        gridsize=50,
        bins="log",
        mincnt=1,
        cmap="cividis",
        extent=(-narrow, narrow, -wide, wide),
    )
    figure.colorbar(grid, ax=axes, label="rows (log scale)")
    _label(axes, "predicted return (%)", "true return (%)", narrow, wide)
    return figure


def _draw_residual_histogram(points: _Points, title: str) -> Figure:
    figure, axes = _new(f"{title}: residuals")
    residual, wide = points.residual, points.wide
    axes.hist(residual, bins=np.linspace(-wide, wide, 81).tolist(), color=_BLUE)
    axes.axvline(float(residual.mean()), color=_ORANGE, label=f"mean {residual.mean():.3f} %")
    _label(axes, "true minus predicted return (%)", "rows", wide, None)
    axes.legend(loc="upper left", frameon=False)
    return figure


def _draw_residuals_vs_predicted(points: _Points, title: str) -> Figure:
    figure, axes = _new(f"{title}: residuals against predicted{points.sample}")
    pred, residual = points.pred[points.shown], points.residual[points.shown]
    axes.scatter(pred, residual, s=4, alpha=0.3, color=_BLUE, linewidths=0)
    axes.axhline(0.0, color=_ORANGE)
    across, up = "predicted return (%)", "true minus predicted return (%)"
    _label(axes, across, up, points.narrow, points.wide)
    return figure


def draw_intervals(table: pd.DataFrame, metric: str) -> Figure:
    """Draw one metric of every cell with its interval, best on top.

    Parameters
    ----------
    table : DataFrame
        ``scenario, model``, ``metric``, ``metric_low`` and ``metric_high``. A cell whose metric
        is NaN has failed: it is counted in the title and not drawn.
    metric : str
        The column to draw; smaller is better.
    """
    ordered = table.dropna(subset=[metric])
    ordered = ordered.sort_values(metric, ascending=False, ignore_index=True)
    failed = len(table) - len(ordered)
    note = f" ({failed} cell{'s' if failed > 1 else ''} failed)" if failed else ""
    figure, axes = _new(
        f"Test {metric.upper()} with its interval, best on top{note}",
        height=1.2 + 0.32 * len(ordered),
    )
    position = np.arange(len(ordered))
    low, mid, high = (ordered[f"{metric}{end}"].to_numpy() for end in ("_low", "", "_high"))
    axes.hlines(position, low, high, color=_GREY, linewidth=2)
    axes.plot(mid, position, "o", color=_BLUE)
    axes.set_yticks(position, [f"{row.scenario}.{row.model}" for row in ordered.itertuples()])
    axes.set_xlabel(f"{metric.upper()} (unit of the target), smaller is better")
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", alpha=0.3)
    return figure


def render_png(figure: Figure) -> bytes:
    """Render a figure as PNG, without a date or a version: the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _new(title: str, height: float = 4.0) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, height), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _label(axes: Axes, x: str, y: str, x_limit: float, y_limit: float | None) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_xlim(-x_limit, x_limit)
    if y_limit is not None:
        axes.set_ylim(-y_limit, y_limit)


def _robust_limit(values: np.ndarray) -> float:
    """Take a symmetric limit that shows 99.5 % of the values, and some air."""
    return float(max(np.quantile(np.abs(values), 0.995) * 1.15, 1e-6))
