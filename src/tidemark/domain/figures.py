"""Figures of predictions and of comparisons, as `matplotlib.figure.Figure`, never pyplot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL_FIGURES = ("predicted_vs_true", "hexbin", "residual_histogram", "residuals_vs_predicted")

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#666666"  # Okabe and Ito, colour-blind safe
_MAX_POINTS = 5_000


def draw_cell(predictions: pd.DataFrame, title: str, seed: int) -> dict[str, Figure]:
    """Draw the four figures of one cell.

    Parameters
    ----------
    predictions : DataFrame
        ``y_true, y_pred`` as fractions (0.01 is one percent).
    title : str
        What the cell is called.
    seed : int
        Seed of the sample of points that the scatter plots show of large tables.

    Returns
    -------
    dict of str to Figure
        One figure for each name in ``CELL_FIGURES``.
    """
    true = predictions["y_true"].to_numpy() * 100.0
    pred = predictions["y_pred"].to_numpy() * 100.0
    residual = true - pred
    rng = np.random.default_rng(seed)
    shown = np.sort(rng.permutation(len(true))[:_MAX_POINTS])
    sample = "" if len(shown) == len(true) else f" ({len(shown):,} of {len(true):,} rows)"
    wide, narrow = _robust_limit(true), _robust_limit(pred)

    figures: dict[str, Figure] = {}
    axes = _new(figures, "predicted_vs_true", f"{title}: predicted against true{sample}")
    axes.scatter(pred[shown], true[shown], s=4, alpha=0.3, color=_BLUE, linewidths=0)
    axes.plot([-narrow, narrow], [-narrow, narrow], color=_ORANGE, label="perfect forecast")
    _label(axes, "predicted return (%)", "true return (%)", narrow, wide)
    axes.legend(loc="upper left", frameon=False)

    axes = _new(figures, "hexbin", f"{title}: density of predicted against true")
    grid = axes.hexbin(
        pred,
        true,
        gridsize=50,
        bins="log",
        mincnt=1,
        cmap="cividis",
        extent=(-narrow, narrow, -wide, wide),
    )
    axes.figure.colorbar(grid, ax=axes, label="rows (log scale)")
    _label(axes, "predicted return (%)", "true return (%)", narrow, wide)

    axes = _new(figures, "residual_histogram", f"{title}: residuals")
    axes.hist(residual, bins=np.linspace(-wide, wide, 81).tolist(), color=_BLUE)
    axes.axvline(float(residual.mean()), color=_ORANGE, label=f"mean {residual.mean():.3f} %")
    _label(axes, "true minus predicted return (%)", "rows", wide, None)
    axes.legend(loc="upper left", frameon=False)

    axes = _new(figures, "residuals_vs_predicted", f"{title}: residuals against predicted{sample}")
    axes.scatter(pred[shown], residual[shown], s=4, alpha=0.3, color=_BLUE, linewidths=0)
    axes.axhline(0.0, color=_ORANGE)
    _label(axes, "predicted return (%)", "true minus predicted return (%)", narrow, wide)
    return figures


def draw_intervals(table: pd.DataFrame, metric: str) -> Figure:
    """Draw one metric of every cell with its interval, best on top.

    Parameters
    ----------
    table : DataFrame
        ``scenario, model``, ``metric``, ``metric_low`` and ``metric_high``.
    metric : str
        The column to draw; smaller is better.
    """
    figures: dict[str, Figure] = {}
    ordered = table.sort_values(metric, ascending=False, ignore_index=True)
    axes = _new(
        figures,
        "intervals",
        f"Test {metric.upper()} with its interval, best on top",
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
    return figures["intervals"]


def _new(figures: dict[str, Figure], name: str, title: str, height: float = 4.0) -> Axes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, height), dpi=100, layout="constrained")
    figures[name] = figure
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _label(axes: Axes, x: str, y: str, x_limit: float, y_limit: float | None) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_xlim(-x_limit, x_limit)
    if y_limit is not None:
        axes.set_ylim(-y_limit, y_limit)


def _robust_limit(values: np.ndarray) -> float:
    """Take a symmetric limit that shows 99.5 % of the values, and some air."""
    return float(max(np.quantile(np.abs(values), 0.995) * 1.15, 1e-6))
