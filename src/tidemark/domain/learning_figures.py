"""A figure of how networks learn, as `matplotlib.figure.Figure`, never pyplot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tidemark.domain.chains import require_columns
from tidemark.domain.option_axes import shade, use_plain_log
from tidemark.domain.plotting import (
    INK,
    PALETTE,
    TARGET,
    TEXT_SIZE,
    format_like,
    name_axes,
    write_number,
)
from tidemark.domain.wide_plotting import LOW, add_notes, start_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_learning(epochs: pd.DataFrame, title: str, note: str = "") -> Figure:
    """Draw the errors of networks over the passes of their training.

    Parameters
    ----------
    epochs : DataFrame
        One row for each pass, as `tidemark.domain.recurrent.EpochErrors`: ``seed``; ``epoch``;
        ``train_mse`` and ``validation_mse``, of which the roots are drawn. Errors that are not
        finite or not positive leave gaps.
    title : str
        Stands over the figure.
    note : str
        Sources and remarks, under the figure.

    Raises
    ------
    ValueError
        If a column is absent, no error can be drawn, or a seed has a pass twice.
    """
    errors = ["train_mse", "validation_mse"]
    require_columns(epochs.columns, ["seed", "epoch", *errors], "The table of passes")
    squares = epochs[errors].to_numpy(dtype="float64")
    squares = np.where(np.isfinite(squares) & (squares > 0.0), squares, np.nan)
    if np.isnan(squares).all():
        raise ValueError(
            f"None of {len(epochs)} passes has an error above zero to draw: give at least one; if "
            "training diverged, lower the learning rate."
        )
    rows = epochs.assign(train=np.sqrt(squares[:, 0]), validation=np.sqrt(squares[:, 1]))
    n_twice = int(rows.duplicated(["seed", "epoch"]).sum())
    if n_twice:
        raise ValueError(
            f"{n_twice} of {len(rows)} passes stand there twice: give one row for each seed and "
            "epoch, of one training."
        )
    rows = rows.sort_values(["seed", "epoch"])
    seeds = rows["seed"].unique()
    figure = start_figure(title, height=max(LOW, 2.6 + 0.22 * len(seeds)))
    (axes,) = figure.axes
    few = len(seeds) <= len(PALETTE)
    colors = PALETTE if few else [tuple(one) for one in shade(np.arange(len(seeds)))]
    _draw_seeds(axes, rows, dict(zip(seeds, colors, strict=False)))
    _use_axes(axes, rows, np.sqrt(squares[np.isfinite(squares)]))
    _add_seeds(axes)
    add_notes(
        figure,
        "Best epoch: the lowest validation error. Training errors are those of the pass itself, "
        "with dropout.",
        note,
    )
    return figure


def _draw_seeds(axes: Axes, rows: pd.DataFrame, colors: Mapping[Any, Any]) -> None:
    """Draw two lines for each seed, and its best epoch with the error there."""
    valid = rows.dropna(subset="validation").sort_values(["validation", "epoch"])
    best = valid.groupby("seed")[["epoch", "validation"]].first()
    form = format_like(best["validation"].to_numpy()) if len(best) else ""
    for seed, color in colors.items():
        mine = rows[rows["seed"] == seed]
        label = f"seed {seed}: none"
        if seed in best.index:
            epoch, error = int(best["epoch"][seed]), float(best["validation"][seed])
            label = f"seed {seed}: {write_number(error, form)}, epoch {epoch}"
            axes.plot(
                epoch, error, "o", color=color, markersize=8, markeredgecolor="white", zorder=3
            )
        _draw_line(axes, mine["epoch"], mine["train"], "--", color, "_training")
        _draw_line(axes, mine["epoch"], mine["validation"], "-", color, label)


def _draw_line(
    axes: Axes, across: pd.Series, up: pd.Series, style: str, color: Any, label: str
) -> None:
    """Draw a line with gaps; a value between two gaps is a point."""
    known = np.concatenate([[False], np.isfinite(up.to_numpy()), [False]])
    alone = np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:]).tolist()
    axes.plot(
        across.to_numpy(),
        up.to_numpy(),
        style,
        color=color,
        linewidth=1.5,
        marker="." if alone else "",
        markevery=alone or None,
        label=label,
    )


def _use_axes(axes: Axes, rows: pd.DataFrame, errors: np.ndarray) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(rows["epoch"].min() - 0.5, rows["epoch"].max() + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_yscale("log")
    use_plain_log(axes.yaxis, errors)
    name_axes(axes, "epoch", f"root mean squared error ({TARGET.unit})")


def _add_seeds(axes: Axes) -> None:
    """Explain lines and seeds at the right of the axes."""
    from matplotlib.lines import Line2D

    kinds = [
        Line2D([], [], color=INK, linestyle="--", label="training"),
        Line2D([], [], color=INK, label="validation"),
        Line2D([], [], color=INK, linestyle="", marker="o", markersize=8, label="best epoch"),
    ]
    handles, _ = axes.get_legend_handles_labels()
    axes.legend(
        handles=[*kinds, *handles],
        loc="upper left",
        bbox_to_anchor=(1.005, 1.0),
        fontsize=TEXT_SIZE,
        labelcolor=INK,
        frameon=False,
        handlelength=1.8,
    )
