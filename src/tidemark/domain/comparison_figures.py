"""Figures of a study that compare its cells, as `matplotlib.figure.Figure`, never pyplot."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tidemark.domain.chart_cells import ChartCells, Metric, read_cells
from tidemark.domain.plotting import (
    BLUE,
    GREY,
    INK,
    LABEL_SIZE,
    PALETTE,
    TARGET,
    TEXT_SIZE,
    VERMILLION,
    WIDTH,
    Limits,
    Quantity,
    add_caption,
    add_legend,
    find_fences,
    format_like,
    is_within,
    name_axes,
    new_figure,
    widen,
    write_number,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

_LONG_NAME = 9  # characters; more do not fit under a tile


def draw_forest(
    table: pd.DataFrame, metric: str, benchmark: str | None, quantity: Quantity = TARGET
) -> Figure:
    """Draw one metric of every cell with its interval, best on top.

    Parameters
    ----------
    table : DataFrame
        One row for each cell: ``scenario, model``; ``status``, one of ok, fallback and failed;
        ``is_baseline`` and ``in_confidence_set``, bool; the metric and its ``_low`` and
        ``_high``. Cells that failed or whose metric is NaN are listed at the bottom.
    metric : str
        One of ``METRIC_LABELS``.
    benchmark : str or None
        The best baseline, ``"scenario.model"``; a vertical line stands at its metric.
    quantity : Quantity
        What is predicted, and the unit of its errors.

    Raises
    ------
    ValueError
        If no cell has a value, one stands there twice, or the metric or the benchmark is unknown.
    """
    cells = read_cells(table, metric, quantity)
    by_name = {cell.name: cell for cell in cells.every}
    if benchmark is not None and benchmark not in by_name:
        raise ValueError(
            f"The benchmark '{benchmark}' is not in the table: name one of its cells, "
            f"{', '.join(list(by_name)[:5])}."
        )
    best = by_name[benchmark] if benchmark is not None else None
    level = best.value if best is not None else math.nan
    figure, (axes,) = new_figure(
        f"{cells.title} with its interval, best on top", height=2.1 + 0.25 * len(by_name)
    )
    limits = _forest_limits(cells, level)
    if cells.metric.neutral is not None:
        axes.axvline(cells.metric.neutral, color=GREY, linewidth=1.0, linestyle=":")
    if best is not None and best.has_value:
        label = f"best baseline, {benchmark}"
        axes.axvline(level, color=INK, linewidth=1.2, linestyle="--", label=label)
        add_legend(axes)
    n_beyond = _draw_intervals(axes, cells, limits)
    for position, cell in enumerate(cells.without, start=len(cells.valued)):
        _write_beside(axes, position, cell.excuse, GREY, at=0.01)
    axes.set_yticks(range(len(by_name)), [cell.name + cell.star for cell in cells.every])
    axes.set_ylim(len(by_name) - 0.4, -0.6)
    axes.set_xlim(limits)
    axes.grid(visible=False, axis="y")
    name_axes(axes, f"{cells.metric.words} ({cells.unit}), {cells.metric.hint}", "")
    add_caption(
        figure,
        "Colours: scenarios; grey: baselines. Filled: in the model confidence set; hollow: not.",
        f"Arrows: beyond the axis, {n_beyond} of {len(cells.valued)} values." * bool(n_beyond),
        "" if best is None or best.has_value else f"{benchmark} has no value, so no line.",
        cells.fallback_note,
    )
    return figure


def _forest_limits(cells: ChartCells, always: float) -> Limits:
    """Choose limits that a few cells far from the others do not set, unless one is the best."""
    table = np.array([(cell.low, cell.value, cell.high) for cell in cells.valued])
    ends = table[np.isfinite(table)]
    usual = ends[is_within(ends, find_fences(ends, middle=0.5))]
    ends = np.concatenate([usual, table[0], [always]])
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    shown = np.nanmin([cells.metric.floor, cells.valued[0].value, always])
    low = max(low, float(shown))
    return widen((low, high), abs(low) / 10.0 or 1.0)


def _draw_intervals(axes: Axes, cells: ChartCells, limits: Limits) -> int:
    """Draw each cell's interval and marker, top down, and count the values beyond the limits."""
    inside = is_within(cells.numbers, limits)
    form = format_like(cells.numbers)
    names = sorted({cell.scenario for cell in cells.every if not cell.is_baseline})
    for position, cell in enumerate(cells.valued):
        color = GREY
        if not cell.is_baseline:
            color = PALETTE[names.index(cell.scenario) % len(PALETTE)]
        axes.hlines(position, cell.low, cell.high, color=color, linewidth=1.8)
        axes.plot(
            float(np.clip(cell.value, *limits)),
            position,
            "o" if inside[position] else "<" if cell.value < limits[0] else ">",
            color=color,
            markersize=7,
            markerfacecolor=color if cell.in_confidence_set else "white",
            markeredgewidth=1.5,
            clip_on=False,
            zorder=3,
        )
        _write_beside(axes, position, write_number(cell.value, form), color, at=1.02)
    return int((~inside).sum())


def _write_beside(axes: Axes, position: float, text: str, color: str, at: float) -> None:
    """Write text at a height of the y-axis, and ``at`` a share of the axes' width."""
    across = axes.get_yaxis_transform()
    axes.text(at, position, text, transform=across, va="center", fontsize=TEXT_SIZE, color=color)


def draw_heat_map(table: pd.DataFrame, metric: str, quantity: Quantity = TARGET) -> Figure:
    """Draw a metric as tiles, scenarios down and models across, baselines last.

    Parameters
    ----------
    table : DataFrame
        As in `draw_forest`; the intervals and the confidence set are not needed. Failed cells
        are crossed, combinations that do not exist are blank.
    metric : str
        One of ``METRIC_LABELS``.
    quantity : Quantity
        What is predicted, and the unit of its errors.

    Raises
    ------
    ValueError
        If no cell has a value, one stands there twice, or the metric is unknown.
    """
    cells = read_cells(table, metric, quantity)
    rows = _order_names((cell.scenario, cell.is_baseline) for cell in cells.every)
    columns = _order_names((cell.model, cell.is_baseline) for cell in cells.every)
    figure, (axes,) = new_figure(
        f"{cells.title} by scenario and model",
        width=max(WIDTH, 2.8 + 0.8 * len(columns)),
        height=max(2.2 + 0.5 * len(rows), 3.2),
    )
    colors, n_beyond = _choose_colors(cells.numbers, cells.metric)
    form = format_like(cells.numbers)
    for cell, color in zip(cells.valued, colors.to_rgba(cells.numbers), strict=True):
        at = columns.index(cell.model), rows.index(cell.scenario)
        _draw_tile(axes, at, write_number(cell.value, form) + cell.star, tuple(color))
    for cell in cells.without:
        _draw_empty_tile(axes, (columns.index(cell.model), rows.index(cell.scenario)), cell.status)
    axes.set_xticks(range(len(columns)), columns)
    if max(map(len, columns)) > _LONG_NAME:
        for label in axes.get_xticklabels():
            label.set(rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(colors, ax=axes, extend="both" if n_beyond else "neither")
    bar.set_label(f"{cells.unit}, {cells.metric.hint}", fontsize=LABEL_SIZE, color=INK)
    bar.ax.tick_params(labelsize=TEXT_SIZE)
    failed = any(cell.status == "failed" for cell in cells.without)
    undefined = {cell.excuse for cell in cells.without if cell.status != "failed"}
    add_caption(
        figure,
        " ".join(
            ["Crossed: failed."] * failed
            + [f"Dash: {' or '.join(sorted(undefined))}."] * bool(undefined)
        ),
        f"Beyond the colours: {n_beyond} of {len(cells.valued)} values." * bool(n_beyond),
        cells.fallback_note,
    )
    return figure


def _order_names(names: Iterable[tuple[str, bool]]) -> list[str]:
    """Sort names, those that only baselines bear at the end."""
    only_baselines: dict[str, bool] = {}
    for name, is_baseline in names:
        only_baselines[name] = only_baselines.get(name, True) and is_baseline
    return sorted(only_baselines, key=lambda name: (only_baselines[name], name))


def _choose_colors(values: np.ndarray, metric: Metric) -> tuple[ScalarMappable, int]:
    """Choose colours for values, and count the values beyond them.

    Errors run from light to dark. Other metrics are orange below the value without skill and blue
    above it, equally far on both sides; what is below the floor has the floor's colour.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    usual = values[is_within(values, find_fences(values, middle=0.5))]
    low, high = float(usual.min()), float(usual.max())
    palette: str | LinearSegmentedColormap = "cividis_r"
    if (neutral := metric.neutral) is not None:
        low, high = max(low, metric.floor), max(high, metric.floor)
        far = max(abs(low - neutral), abs(high - neutral)) or 1.0
        low, high = neutral - far, neutral + far
        palette = LinearSegmentedColormap.from_list("skill", [VERMILLION, "#F7F7F7", BLUE])
    elif low == high:
        low, high = widen((low, high), abs(low) / 10.0 or 1.0)
    n_beyond = int((~is_within(values, (low, high))).sum())
    return ScalarMappable(Normalize(low, high), palette), n_beyond


def _draw_tile(axes: Axes, at: tuple[int, int], text: str, color: tuple[float, ...]) -> None:
    from matplotlib.patches import Rectangle

    x, y = at
    axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=color, edgecolor="none"))
    brightness = np.dot(color[:3], (0.299, 0.587, 0.114))  # the weights of ITU-R BT.601
    ink = INK if brightness > 0.5 else "white"
    axes.text(x, y, text, ha="center", va="center", fontsize=TEXT_SIZE, color=ink)


def _draw_empty_tile(axes: Axes, at: tuple[int, int], status: str) -> None:
    """Draw a tile with a cross if the cell has failed, with a dash if it has no value."""
    x, y = at
    _draw_tile(axes, at, "", (0.93, 0.93, 0.93))
    for rise in (0.36, -0.36) if status == "failed" else (0.0,):
        axes.plot([x - 0.4, x + 0.4], [y - rise, y + rise], color=GREY, linewidth=1.0)
