"""Figures are drawn without global state, the same every time, for whatever is predicted."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pandas.testing import assert_frame_equal

from tidemark.domain.figures import (
    CELL_FIGURES,
    draw_cell_figure,
    draw_intervals,
    render_png,
)


def predictions_of(n_rows: int, seed: int = 0) -> pd.DataFrame:
    """Make predictions of the size of daily returns."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0.0, 0.01, n_rows)
    return pd.DataFrame({"y_true": true, "y_pred": 0.1 * true + rng.normal(0.0, 0.001, n_rows)})


def comparison() -> pd.DataFrame:
    """Make a comparison of three cells whose best is the second."""
    return pd.DataFrame(
        {
            "scenario": ["mean", "mean", "median"],
            "model": ["linear", "ridge", "svr"],
            "rmse": [0.03, 0.01, 0.02],
            "rmse_low": [0.02, 0.005, 0.01],
            "rmse_high": [0.04, 0.015, 0.03],
        }
    )


def draw_cell(predictions: pd.DataFrame, title: str, seed: int) -> dict[str, Figure]:
    """Draw all figures of a cell."""
    return {name: draw_cell_figure(name, predictions, title, seed) for name in CELL_FIGURES}


def test_draw_cell_gives_four_figures_by_name() -> None:
    """Names and order are those that the catalog counts on."""
    figures = draw_cell(predictions_of(100), "mean.ridge", 1)
    expected = ["predicted_vs_true", "hexbin", "residual_histogram", "residuals_vs_predicted"]
    assert list(figures) == list(CELL_FIGURES) == expected
    assert all(type(figure) is Figure for figure in figures.values())
    for figure in figures.values():
        assert figure.axes[0].get_title(loc="left").startswith("mean.ridge: ")
        assert figure.axes[0].get_xlabel().endswith("(%)")


def test_draw_cell_axes_hold_true_and_predicted_in_percent() -> None:
    """What is predicted goes across, what is true goes up, both in percent."""
    table = pd.DataFrame({"y_true": [0.01, -0.02], "y_pred": [0.003, 0.004]})
    figures = draw_cell(table, "cell", 1)
    points = np.asarray(figures["predicted_vs_true"].axes[0].collections[0].get_offsets())
    assert points == pytest.approx(np.array([[0.3, 1.0], [0.4, -2.0]]))
    points = np.asarray(figures["residuals_vs_predicted"].axes[0].collections[0].get_offsets())
    assert points == pytest.approx(np.array([[0.3, 0.7], [0.4, -2.4]]))


def test_draw_cell_large_table_shows_a_sample_and_says_so() -> None:
    """Scatter plots show 5,000 of 6,000 rows, which ones depends on the seed alone."""
    table = predictions_of(6000)
    figures = draw_cell(table, "cell", 1)
    axes = figures["predicted_vs_true"].axes[0]
    assert "(5,000 of 6,000 rows)" in axes.get_title(loc="left")
    points = np.asarray(axes.collections[0].get_offsets())
    assert len(np.unique(points, axis=0)) == 5000
    other = draw_cell(table, "cell", 2)["predicted_vs_true"].axes[0]
    assert not np.array_equal(points, np.asarray(other.collections[0].get_offsets()))


def test_draw_cell_small_table_shows_every_row() -> None:
    """A table of 5,000 rows is shown whole, and the title says nothing of a sample."""
    axes = draw_cell(predictions_of(5000), "cell", 1)["predicted_vs_true"].axes[0]
    assert len(np.asarray(axes.collections[0].get_offsets())) == 5000
    assert "rows" not in axes.get_title(loc="left")


def test_draw_cell_same_input_gives_the_same_bytes() -> None:
    """Rendering twice gives the same PNG, byte by byte."""
    first = draw_cell(predictions_of(300), "cell", 1)
    second = draw_cell(predictions_of(300), "cell", 1)
    for name in CELL_FIGURES:
        assert render_png(first[name]) == render_png(second[name])
        assert render_png(first[name]).startswith(b"\x89PNG")


def test_render_png_holds_no_word_of_the_library_that_made_it() -> None:
    """Another version of Matplotlib must not change a file that shows the same."""
    content = render_png(draw_cell(predictions_of(50), "cell", 1)["hexbin"])
    assert content.startswith(b"\x89PNG")
    assert b"tEXt" not in content
    assert b"atplotlib" not in content


def test_draw_cell_figure_of_another_name_is_refused() -> None:
    """A cell has four figures and no others."""
    with pytest.raises(KeyError, match="heatmap"):
        draw_cell_figure("heatmap", predictions_of(50), "cell", 1)


def test_draw_intervals_same_input_gives_the_same_bytes() -> None:
    """Rendering twice gives the same PNG, byte by byte."""
    first, second = (render_png(draw_intervals(comparison(), "rmse")) for _ in range(2))
    assert first == second


def test_figures_leave_pyplot_and_its_settings_alone() -> None:
    """No figure is registered with pyplot, none is current, no setting is changed."""
    numbers, settings = plt.get_fignums(), dict(plt.rcParams)
    figures = [*draw_cell(predictions_of(50), "cell", 1).values()]
    figures.append(draw_intervals(comparison(), "rmse"))
    for figure in figures:
        render_png(figure)
    assert plt.get_fignums() == numbers
    assert dict(plt.rcParams) == settings


@pytest.mark.parametrize(
    ("true", "pred"),
    [
        ([0.01, -0.02, 0.03], [0.0005] * 3),  # a model that predicts its mean
        ([0.0] * 3, [0.0] * 3),
        ([0.01], [0.02]),
        ([0.01, 0.02, -5.0], [0.001, 0.002, 40.0]),  # one wild row
    ],
)
def test_draw_cell_degenerate_predictions_are_drawn(true: list[float], pred: list[float]) -> None:
    """Constants, single rows and wild rows draw without a warning."""
    figures = draw_cell(pd.DataFrame({"y_true": true, "y_pred": pred}), "cell", 1)
    for name in CELL_FIGURES:
        assert len(render_png(figures[name])) > 1000


def test_draw_intervals_best_cell_is_on_top() -> None:
    """The smallest error has the highest place, with its own interval."""
    axes = draw_intervals(comparison(), "rmse").axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["mean.linear", "median.svr", "mean.ridge"]
    assert axes.lines[0].get_xdata().tolist() == [0.03, 0.02, 0.01]
    spans = [segment[:, 0].tolist() for segment in axes.collections[0].get_segments()]
    assert spans == [[0.02, 0.04], [0.01, 0.03], [0.005, 0.015]]


@pytest.mark.parametrize(
    ("failed", "words"),
    [([], "on top"), ([2], "on top (1 cell failed)"), ([1, 2], "on top (2 cells failed)")],
)
def test_draw_intervals_leaves_failed_cells_out_and_counts_them(
    failed: list[int], words: str
) -> None:
    """A cell without a metric has no line; the title says how many there are."""
    cells = comparison()
    cells.loc[failed, ["rmse", "rmse_low", "rmse_high"]] = np.nan
    axes = draw_intervals(cells, "rmse").axes[0]
    assert axes.get_title(loc="left") == f"Test RMSE with its interval, best {words}"
    assert len(axes.get_yticklabels()) == 3 - len(failed)
    assert axes.lines[0].get_xdata().tolist() == sorted(cells["rmse"].dropna(), reverse=True)


def test_figures_leave_inputs_unchanged() -> None:
    """Both tables are only read."""
    table, cells = predictions_of(50), comparison()
    draw_cell(table, "cell", 1)
    draw_intervals(cells, "rmse")
    assert_frame_equal(table, predictions_of(50))
    assert_frame_equal(cells, comparison())
