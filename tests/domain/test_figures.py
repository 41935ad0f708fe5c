"""Figures of a cell are drawn without global state, the same every time, whatever is predicted."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from pandas.testing import assert_frame_equal
from PIL import Image

from tidemark.domain.figures import CELL_FIGURES, Quantity, draw_cell_figure, render_png
from tidemark.domain.plotting import (
    find_fences,
    format_like,
    is_within,
    robust_limits,
    spread_apart,
    widen,
    write_number,
)

RETURN = Quantity("return", "%", 100.0)
PRICE = Quantity("price over strike", "%", 100.0)
VOLATILITY = Quantity("variance", "vol points", 1.0)

finite = st.floats(-1e6, 1e6, allow_subnormal=False)


def predictions_of(n_dates: int, n_stocks: int = 1, slope: float = 1.0) -> pd.DataFrame:
    """Make predictions of daily returns whose truth rises by ``slope`` with the prediction."""
    rng = np.random.default_rng(0)
    pred = rng.normal(0.0003, 0.0005, (n_dates, n_stocks))
    market = 0.008 * rng.standard_t(4, (n_dates, 1))
    true = slope * pred + market + 0.01 * rng.standard_t(3, (n_dates, n_stocks))
    dates = np.repeat(pd.bdate_range("2020-01-01", periods=n_dates), n_stocks)
    return pd.DataFrame({"date": dates, "y_true": true.ravel(), "y_pred": pred.ravel()})


def draw_cell(
    predictions: pd.DataFrame, quantity: Quantity = RETURN, seed: int = 1
) -> list[Figure]:
    """Draw all figures of a cell, in their order."""
    return [draw_cell_figure(name, predictions, "a.b", quantity, seed) for name in CELL_FIGURES]


def title_of(figure: Figure) -> str:
    """Read a figure's title."""
    return figure.get_suptitle()


def caption_of(figure: Figure) -> str:
    """Read the notes under a figure."""
    return figure.get_supxlabel()


def points_of(axes: Axes) -> np.ndarray:
    """Read the points of a scatter plot."""
    return np.asarray(axes.collections[0].get_offsets())


def means_of(axes: Axes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the means of tenths: predictions, means, twice the standard errors."""
    (bars,) = (one for one in axes.containers if isinstance(one, ErrorbarContainer))
    line, _, (spans,) = bars.lines
    half = [float(np.ptp(segment[:, 1])) / 2.0 for segment in spans.get_segments()]
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata()), np.asarray(half)


def texts_of(figure: Figure) -> list[str]:
    """Read all labels of a figure's axes and legends."""
    texts = [title_of(figure), caption_of(figure)]
    for axes in figure.axes:
        texts += [axes.get_xlabel(), axes.get_ylabel(), axes.get_title(loc="left")]
        legend = axes.get_legend()
        texts += [text.get_text() for text in legend.get_texts()] if legend else []
    return [text for text in texts if text]


def test_cell_figures_are_four_in_an_order_that_the_catalog_counts_on() -> None:
    """The names are part of the project's files."""
    expected = ("predicted_vs_true", "hexbin", "residual_histogram", "residuals_vs_predicted")
    assert expected == CELL_FIGURES
    assert all(type(figure) is Figure for figure in draw_cell(predictions_of(50)))


@pytest.mark.parametrize("quantity", [RETURN, PRICE])
def test_draw_cell_figure_names_the_cell_the_quantity_and_its_unit(quantity: Quantity) -> None:
    """Titles start with the cell; axes say true or predicted, what, and the unit."""
    predicted, true = f"predicted {quantity.name} (%)", f"true {quantity.name} (%)"
    residual = f"true minus {predicted}"
    cloud, hexbin, histogram, residuals = draw_cell(predictions_of(300), quantity)
    for axes in (*cloud.axes, hexbin.axes[0]):
        assert (axes.get_xlabel(), axes.get_ylabel()) == (predicted, true)
    assert histogram.axes[0].get_xlabel() == residual
    assert histogram.axes[0].get_ylabel() == "share of rows (%)"
    assert residuals.axes[0].get_xlabel() == predicted
    assert residuals.axes[0].get_ylabel() == residual
    for figure in (cloud, hexbin, histogram, residuals):
        assert title_of(figure).startswith("a.b: ")
        assert quantity.name in title_of(figure)
    assert hexbin.axes[1].get_ylabel() == "rows in a hexagon (log scale)"


def test_draw_cell_figure_words_nothing_for_returns_alone() -> None:
    """Of another quantity no figure speaks of returns or of percent of it."""
    for figure in draw_cell(predictions_of(300), VOLATILITY):
        assert not any("return" in text for text in texts_of(figure))
        assert figure.axes[0].get_xlabel().endswith("variance (vol points)")


def test_draw_cell_figure_of_points_shows_values_times_the_scale() -> None:
    """What is predicted goes across, what is true or left over goes up, both in the unit."""
    table = pd.DataFrame({"y_true": [0.01, -0.02], "y_pred": [0.003, 0.004]})
    cloud, _, _, residuals = draw_cell(table)
    assert points_of(cloud.axes[0]) == pytest.approx(np.array([[0.3, 1.0], [0.4, -2.0]]))
    assert points_of(residuals.axes[0]) == pytest.approx(np.array([[0.3, 0.7], [0.4, -2.4]]))
    (plain, *_) = draw_cell(table, VOLATILITY)
    assert points_of(plain.axes[0]) == pytest.approx(table[["y_pred", "y_true"]].to_numpy())


def test_draw_cell_figure_of_many_rows_shows_a_sample_that_the_seed_chooses() -> None:
    """Scatter plots show 5,000 of 6,000 rows and say so; the others show all."""
    table = predictions_of(300, 20)
    cloud, hexbin, _, residuals = draw_cell(table)
    for figure in (cloud, residuals):
        assert "Points: 5,000 rows drawn at random." in caption_of(figure)
        assert len(np.unique(points_of(figure.axes[0]), axis=0)) == 5000
    assert "Points" not in caption_of(hexbin)
    (other, *_) = draw_cell(table, seed=2)
    assert not np.array_equal(points_of(cloud.axes[0]), points_of(other.axes[0]))


def test_draw_cell_figure_of_5000_rows_shows_them_all() -> None:
    """The caption says nothing of a sample then."""
    cloud, *_ = draw_cell(predictions_of(250, 20))
    assert len(points_of(cloud.axes[0])) == 5000
    assert "Points" not in caption_of(cloud)


def test_draw_cell_figure_counts_the_rows_outside_its_axes() -> None:
    """The caption's number is that of the rows beyond either pair of limits."""
    table = predictions_of(200, 10)
    table.loc[:4, "y_true"] = 3.0
    table.loc[10:12, "y_pred"] = -9.0
    scaled = table[["y_pred", "y_true"]].to_numpy() * 100.0
    residual = scaled[:, 1] - scaled[:, 0]
    cloud, hexbin, histogram, residuals = draw_cell(table)
    for figure, up in ((cloud, scaled[:, 1]), (hexbin, scaled[:, 1]), (residuals, residual)):
        axes = figure.axes[0]
        inside = is_within(scaled[:, 0], axes.get_xlim()) & is_within(up, axes.get_ylim())
        n_outside = int((~inside).sum())
        assert 8 <= n_outside <= 40
        assert f"Outside the axes: {n_outside} of 2,000 rows." in caption_of(figure)
    n_outside = int((~is_within(residual, histogram.axes[0].get_xlim())).sum())
    assert f"Outside the axes: {n_outside} of 2,000 rows." in caption_of(histogram)


def test_draw_cell_figure_wild_rows_do_not_set_limits() -> None:
    """With and without two wild rows among 2,000, axes reach about as far."""
    usual = predictions_of(200, 10)
    wild = usual.copy()
    wild.loc[0, "y_true"], wild.loc[1, "y_pred"] = -50.0, 400.0
    for plain, other in zip(draw_cell(usual), draw_cell(wild), strict=True):
        for axes, same in zip(plain.axes[:1], other.axes[:1], strict=True):
            assert np.ptp(same.get_xlim()) == pytest.approx(np.ptp(axes.get_xlim()), rel=0.2)
            if axes.get_ylabel() != "share of rows (%)":
                assert np.ptp(same.get_ylim()) == pytest.approx(np.ptp(axes.get_ylim()), rel=0.2)


def test_predicted_vs_true_means_are_those_of_tenths_of_the_prediction() -> None:
    """Ten groups by prediction, each with its mean across and up."""
    table = predictions_of(100, 10)
    across, up, _ = means_of(draw_cell(table)[0].axes[1])
    tenths = pd.qcut(table["y_pred"], 10, labels=False)
    expected = table.groupby(tenths)[["y_pred", "y_true"]].mean() * 100.0
    assert across == pytest.approx(expected["y_pred"].to_numpy())
    assert up == pytest.approx(expected["y_true"].to_numpy())


def test_predicted_vs_true_errors_without_dates_are_those_of_independent_rows() -> None:
    """Without dates, twice the sample's standard deviation over the root of the group's size."""
    table = predictions_of(100, 10).drop(columns="date")
    figure = draw_cell(table)[0]
    _, _, twice = means_of(figure.axes[1])
    tenths = pd.qcut(table["y_pred"], 10, labels=False)
    assert twice == pytest.approx(200.0 * table.groupby(tenths)["y_true"].sem().to_numpy())
    assert "rows as independent" in caption_of(figure)


def test_predicted_vs_true_errors_with_dates_count_a_date_once() -> None:
    """Each row repeated within its date tells nothing new: the errors stay those of the dates."""
    once = predictions_of(100)
    _, _, expected = means_of(draw_cell(once.drop(columns="date"))[0].axes[1])
    figure = draw_cell(pd.concat([once] * 7, ignore_index=True))[0]
    _, _, twice = means_of(figure.axes[1])
    assert twice == pytest.approx(expected)
    assert "rows of one date as dependent" in caption_of(figure)


def test_predicted_vs_true_has_the_diagonal_in_both_panels() -> None:
    """The line of a perfect forecast goes through zero with slope one."""
    for axes in draw_cell(predictions_of(100))[0].axes:
        (line,) = (one for one in axes.lines if one.get_label() == "true = predicted")
        assert line.get_xy1() == (0.0, 0.0)
        assert line.get_slope() == 1.0


def test_predicted_vs_true_like_ranges_share_their_limits() -> None:
    """Prices and their predictions are comparable, so both panels have one scale each."""
    rng = np.random.default_rng(1)
    price = rng.uniform(0.0, 0.3, 500)
    table = pd.DataFrame({"y_true": price, "y_pred": price + rng.normal(0.0, 0.01, 500)})
    for axes in draw_cell(table, PRICE)[0].axes:
        assert axes.get_xlim() == axes.get_ylim()
        assert axes.get_box_aspect() == 1.0


def test_predicted_vs_true_means_leave_out_wild_predictions_and_say_how_many() -> None:
    """Three predictions of 900 % leave the means where they were."""
    usual = predictions_of(100, 10)
    wild = pd.concat([usual, usual.head(3).assign(y_pred=9.0)], ignore_index=True)
    expected, (figure, *_) = means_of(draw_cell(usual)[0].axes[1]), draw_cell(wild)
    for found, one in zip(means_of(figure.axes[1]), expected, strict=True):
        assert found == pytest.approx(one)
    assert "Left out of the means: 3 wild predictions." in caption_of(figure)
    assert "Left out" not in caption_of(draw_cell(usual)[0])


def test_hexbin_counts_every_row_that_its_axes_show() -> None:
    """Nothing is sampled: the hexagons' counts add up to the rows inside."""
    figure = draw_cell(predictions_of(600, 20))[1]
    counts = np.asarray(figure.axes[0].collections[0].get_array())
    n_outside = int(caption_of(figure).split("axes: ")[1].split(" of")[0])
    assert counts.sum() == 12_000 - n_outside
    assert figure.axes[0].collections[0].get_cmap().name == "cividis"


def test_residual_histogram_bars_are_shares_of_all_rows() -> None:
    """Bars and the rows outside add up to 100 %."""
    table = predictions_of(200, 10)
    figure = draw_cell(table)[2]
    heights = sum(bar.get_height() for bar in figure.axes[0].patches)
    n_outside = int(caption_of(figure).split("axes: ")[1].split(" of")[0])
    assert n_outside > 0
    assert heights == pytest.approx(100.0 * (1.0 - n_outside / len(table)))
    low, high = figure.axes[0].get_xlim()
    assert low == -high


def test_residual_histogram_normal_curve_fits_normal_residuals() -> None:
    """For normal residuals the robust curve meets the bars, and 0.27 % lie beyond 3 sd."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"y_true": rng.normal(0.0, 0.01, 200_000), "y_pred": 0.0})
    figure = draw_cell(table)[2]
    axes = figure.axes[0]
    curve = axes.lines[0]
    bars = [(bar.get_x() + bar.get_width() / 2.0, bar.get_height()) for bar in axes.patches]
    centres, heights = np.array(bars).T
    expected = np.interp(centres, np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata()))
    assert np.abs(heights - expected).max() < 0.2
    share = float(caption_of(figure).split("its mean: ")[1].split(" %")[0])
    assert share == pytest.approx(0.27, abs=0.05)


def test_residuals_vs_predicted_shows_the_spread_of_each_tenth() -> None:
    """Between the two dashed lines lie 80 % of the rows of a tenth."""
    table = predictions_of(100, 10)
    axes = draw_cell(table)[3].axes[0]
    high, low = (np.asarray(line.get_ydata()) for line in axes.lines[1:3])
    residual = 100.0 * (table["y_true"] - table["y_pred"])
    grouped = residual.groupby(pd.qcut(table["y_pred"], 10, labels=False))
    assert high == pytest.approx(grouped.quantile(0.9).to_numpy())
    assert low == pytest.approx(grouped.quantile(0.1).to_numpy())


def test_draw_cell_figure_of_a_constant_forecast_says_so() -> None:
    """The zero baseline has one mean, an axis with some width, and a word in each caption."""
    figures = draw_cell(predictions_of(100, 10).assign(y_pred=0.0))
    for figure in figures:
        assert "The forecast is constant: 0 %." in caption_of(figure)
        figure.draw_without_rendering()
    cloud, hexbin, _, residuals = figures
    for axes in (*cloud.axes, hexbin.axes[0], residuals.axes[0]):
        low, high = axes.get_xlim()
        assert low < 0.0 < high
    across, up, twice = means_of(cloud.axes[1])
    assert across.tolist() == [0.0]
    assert (len(up), len(twice)) == (1, 1)
    assert cloud.axes[1].get_title(loc="left") == "mean of all rows, ± 2 se"


@pytest.mark.parametrize(
    ("true", "pred"),
    [
        ([0.01, -0.02, 0.03], [0.0005] * 3),
        ([0.0] * 3, [0.0] * 3),
        ([0.02] * 3, [0.02] * 3),
        ([0.01], [0.02]),
        ([0.01, 0.02, -5.0], [0.001, 0.002, 40.0]),
        ([1e-12, 2e-12, 3e-12], [1e-12, 1e-12, 2e-12]),
        ([1e9, -1e9, 1e9], [1.0, 2.0, 3.0]),
    ],
    ids=["constant", "all zero", "perfect", "one row", "wild row", "tiny", "huge"],
)
@pytest.mark.parametrize("name", CELL_FIGURES)
def test_draw_cell_figure_of_degenerate_rows_is_drawn(
    name: str, true: list[float], pred: list[float]
) -> None:
    """Constants, single rows and wild rows draw without a warning, between limits apart."""
    table = pd.DataFrame({"date": "2024-01-02", "y_true": true, "y_pred": pred})
    figure = draw_cell_figure(name, table, "a.b", RETURN, 1)
    figure.draw_without_rendering()
    for low, high in (figure.axes[0].get_xlim(), figure.axes[0].get_ylim()):
        assert low < high


def test_draw_cell_figure_of_no_rows_is_refused() -> None:
    """An empty table has nothing to draw; the caller marks the figure as missing."""
    for name in CELL_FIGURES:
        with pytest.raises(ValueError, match="no predictions to draw: give at least one row"):
            draw_cell_figure(name, predictions_of(0), "a.b", RETURN, 1)


@pytest.mark.parametrize("column", ["y_true", "y_pred"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_draw_cell_figure_of_values_that_no_axis_shows_is_refused(
    column: str, value: float
) -> None:
    """Leaving them out in silence would draw another cell than the one that was scored."""
    table = predictions_of(20)
    table.loc[[3, 5], column] = value
    with pytest.raises(ValueError, match="2 of 20 rows have a missing or infinite"):
        draw_cell_figure("hexbin", table, "a.b", RETURN, 1)


def test_draw_cell_figure_of_another_name_is_refused() -> None:
    """A cell has four figures and no others."""
    with pytest.raises(KeyError, match="heatmap"):
        draw_cell_figure("heatmap", predictions_of(50), "a.b", RETURN, 1)


def test_render_png_same_data_give_the_same_bytes() -> None:
    """Drawing and rendering twice gives the same PNG, byte by byte."""
    for first, second in zip(*(draw_cell(predictions_of(300)) for _ in range(2)), strict=True):
        assert render_png(first) == render_png(second)


def test_render_png_holds_no_date_and_no_word_of_the_library_that_made_it() -> None:
    """Another day or another version of Matplotlib must not change a file that shows the same."""
    content = render_png(draw_cell(predictions_of(50))[1])
    assert content.startswith(b"\x89PNG")
    assert not {b"tEXt", b"iTXt", b"zTXt", b"tIME", b"eXIf"} & {
        content[at : at + 4] for at in range(len(content))
    }


def test_render_png_is_small_and_of_the_size_that_was_asked_for() -> None:
    """At 20,000 rows, every figure is a picture of 840 x 540 points in less than 60 kB."""
    for figure in draw_cell(predictions_of(1000, 20)):
        content = render_png(figure)
        assert len(content) < 60_000
        assert Image.open(io.BytesIO(content)).size == (840, 540)


@pytest.mark.parametrize("inches", [(5.415, 3.333), (1.0, 1.006), (3.3337, 2.0)])
def test_render_png_of_a_size_that_is_no_whole_number_of_points_is_whole(
    inches: tuple[float, float],
) -> None:
    """Parts of a point are cut off, as in Matplotlib's own PNG of the figure."""
    figure = Figure(figsize=inches, dpi=120)
    own = io.BytesIO()
    figure.savefig(own, format="png", dpi=figure.dpi)
    assert Image.open(io.BytesIO(render_png(figure))).size == Image.open(own).size


def test_render_png_reduced_colours_stay_close_to_what_was_drawn() -> None:
    """White stays white, and the average point is off by less than 2 of 255."""
    figure = draw_cell(predictions_of(250, 20))[1]
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    before, after = (
        np.asarray(Image.open(one).convert("RGB"), dtype="int64")
        for one in (drawn, io.BytesIO(render_png(figure)))
    )
    assert after[0, 0].tolist() == [255, 255, 255]
    assert np.abs(before - after).mean() < 2.0


def test_draw_cell_figure_letters_are_readable_at_half_size() -> None:
    """No letter is below 9 points, in a figure 7 inches wide."""
    for figure in draw_cell(predictions_of(200, 10)):
        figure.draw_without_rendering()
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
        assert min(sizes) >= 9.0


def test_draw_cell_figure_leaves_pyplot_and_its_settings_alone() -> None:
    """No figure is registered with pyplot, none is current, no setting is changed."""
    numbers, settings = plt.get_fignums(), dict(plt.rcParams)
    for figure in draw_cell(predictions_of(50)):
        figure.draw_without_rendering()
    render_png(figure)
    assert plt.get_fignums() == numbers
    assert dict(plt.rcParams) == settings


def test_draw_cell_figure_leaves_its_table_unchanged() -> None:
    """The table is only read."""
    table = predictions_of(50)
    draw_cell(table)
    assert_frame_equal(table, predictions_of(50))


def test_quantity_says_its_unit_and_that_of_squares() -> None:
    """A unit of several words is not followed by a raised two, which would hold for the last."""
    assert RETURN.label("true") == "true return (%)"
    assert RETURN.squared_unit == "%²"
    assert VOLATILITY.squared_unit == "squared vol points"


def test_find_fences_of_known_values() -> None:
    """Of 0 to 10 the middle 80 % is 1 to 9, and fences stand three times 8 further out.

    With one wild value more, the middle half is 3 to 8, and fences stand three times 5 from it.
    """
    values = np.arange(11.0)
    assert find_fences(values) == (-23.0, 33.0)
    assert find_fences(np.append(values, 1e9), middle=0.5) == (-12.0, 23.0)


def test_robust_limits_show_t_distributed_values_up_to_their_extremes() -> None:
    """Fat tails of a t distribution with 3 degrees of freedom are not called wild."""
    values = np.random.default_rng(3).standard_t(3, 50_000)
    inside = is_within(values, robust_limits(values))
    assert inside.mean() == pytest.approx(0.995, abs=2e-3)


@given(st.lists(finite, min_size=1, max_size=60))
def test_robust_limits_lie_within_the_values(values: list[float]) -> None:
    """They are in order, not beyond the values, and hold at least half of five or more."""
    array = np.array(values)
    low, high = robust_limits(array)
    assert array.min() <= low <= high <= array.max()
    slack = 1e-9 * np.abs(array).max()
    assert is_within(array, (low - slack, high + slack)).mean() >= 0.5 or len(array) < 5


@given(finite, finite, st.floats(1e-3, 1e3))
def test_widen_keeps_limits_apart(one: float, other: float, least: float) -> None:
    """Whatever they were, limits end up apart and hold what they held."""
    low, high = widen((min(one, other), max(one, other)), least)
    assert low < min(one, other)
    assert high > max(one, other)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8))
def test_spread_apart_keeps_distance_and_order(heights: list[float]) -> None:
    """Labels are a gap apart, between 0 and 1, in the order of what they belong to."""
    given_heights = np.array(heights)
    placed = spread_apart(given_heights, 0.125)
    order = np.argsort(given_heights, kind="stable")
    assert (np.diff(placed[order]) >= 0.125 - 1e-9).all()
    assert placed.min() >= -1e-9
    assert placed.max() <= 1.0 + 1e-9


def test_spread_apart_leaves_alone_what_is_apart() -> None:
    """Labels that do not touch stay; two that do move away from their middle."""
    apart = np.array([0.9, 0.1, 0.5])
    assert spread_apart(apart, 0.1) == pytest.approx(apart)
    assert spread_apart(np.array([0.5, 0.5]), 0.1) == pytest.approx(np.array([0.45, 0.55]))


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([1.8312345, 1.8361], "1.83123"),
        ([0.126, -0.135, -100.0, 0.1], "0.126"),
        ([1200.0, 5.0], "1200.00"),
        ([0.0, 0.0], "0.00"),
        ([-1e-9, 0.5], "0.000"),
        ([-0.25], "−0.250"),  # noqa: RUF001 - the minus sign is what is tested
    ],
)
def test_write_number_has_the_digits_that_tell_values_apart(
    values: list[float], written: str
) -> None:
    """Three digits of the usual range, at least two decimals, no negative zero, a real minus."""
    assert write_number(values[0], format_like(np.array(values))) == written
