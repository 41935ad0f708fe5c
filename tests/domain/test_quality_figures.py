"""The figure of coverage shows classes of shares and marks, and titles are wrapped whole."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.text import Text
from pandas.testing import assert_frame_equal

from tidemark.domain.plotting import render_png
from tidemark.domain.quality_figures import draw_coverage
from tidemark.domain.wide_plotting import choose_years, wrap_title


def coverage() -> pd.DataFrame:
    """Make three series over five years, one of each class."""
    rows = [[1.0, 0.99, 1.0, 1.0, 1.0], [np.nan, 0.3, 0.5, 0.9, 0.0], [np.nan] * 5]
    return pd.DataFrame(rows, index=["SPY", "XLC", "new"], columns=range(2019, 2024))


def marks() -> pd.DataFrame:
    """Make two kinds of marks."""
    return pd.DataFrame(
        {
            "series": ["XLC", "SPY", "SPY"],
            "period": [2020, 2020, 2023],
            "mark": ["stale run", "outlier", "outlier"],
        }
    )


def classes_of(axes: Axes) -> np.ma.MaskedArray:
    """Read the class of each cell."""
    (mesh,) = (one for one in axes.collections if isinstance(one, QuadMesh))
    return np.ma.masked_invalid(mesh.get_array())


def legend_of(axes: Axes) -> list[str]:
    """Read the entries of the legend."""
    return [text.get_text() for text in axes.get_legend().get_texts()]


def assert_nothing_is_cut(figure: Figure) -> None:
    """Check that all that is drawn lies in the figure, in letters of at least 9 points."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.get_tightbbox(canvas.get_renderer())  # in inches
    width, height = figure.get_size_inches()
    assert min(box.x0, box.y0) >= -0.01
    assert box.x1 <= width + 0.01
    assert box.y1 <= height + 0.01
    assert min(one.get_fontsize() for one in figure.findobj(Text) if one.get_text()) >= 9.0


def test_coverage_puts_each_share_into_its_class() -> None:
    """A share at an edge counts above it; none at all is a class of its own; NaN is hatched."""
    figure = draw_coverage(coverage(), subject="ETF prices", note="Source: none.")
    (axes,) = figure.axes
    cells = classes_of(axes)
    assert cells.filled(-1.0).tolist() == [[4.0] * 5, [-1.0, 1.0, 2.0, 3.0, 0.0], [-1.0] * 5]
    (hatched,) = (one for one in axes.collections if one.get_hatch())
    assert len(hatched.get_paths()) == 6
    assert [label.get_text() for label in axes.get_yticklabels()] == ["SPY", "XLC", "new"]
    assert legend_of(axes)[-1] == "not expected"
    assert figure.get_supxlabel().endswith("Source: none.")


def test_coverage_colours_tell_classes_apart() -> None:
    """Five classes have five colours, and the legend has them in order."""
    (axes,) = draw_coverage(coverage()).axes
    (mesh,) = (one for one in axes.collections if isinstance(one, QuadMesh))
    patches = axes.get_legend().get_patches()[:5]
    for number, patch in enumerate(patches):
        assert patch.get_facecolor() == pytest.approx(mesh.to_rgba(float(number)), abs=1e-6)
    assert len({patch.get_facecolor() for patch in patches}) == 5


def test_coverage_title_counts_complete_series_and_names_the_least() -> None:
    """Series that nothing is expected of do not count."""
    title = draw_coverage(coverage(), subject="ETF prices").get_suptitle()
    assert title == "ETF prices: 1 of 2 series at least 99 % complete; least XLC (42.5 %)"
    title = draw_coverage(coverage().iloc[:1]).get_suptitle()
    assert title == "Data: 1 of 1 series at least 99 % complete"


def test_coverage_marks_stand_in_their_cells() -> None:
    """Each kind has its own marker and its number in the legend."""
    (axes,) = draw_coverage(coverage(), marks()).axes
    places = {
        line.get_label(): list(zip(line.get_xdata(), line.get_ydata(), strict=True))
        for line in axes.lines
    }
    assert places == {"outlier (2)": [(1, 0), (4, 0)], "stale run (1)": [(1, 1)]}
    assert len({line.get_marker() for line in axes.lines}) == 2
    assert legend_of(axes)[-2:] == ["outlier (2)", "stale run (1)"]
    assert not draw_coverage(coverage(), marks()[:0]).axes[0].lines


@pytest.mark.parametrize(("n_series", "n_periods"), [(1, 1), (2, 30), (35, 31), (12, 365)])
def test_coverage_is_readable_in_any_size(n_series: int, n_periods: int) -> None:
    """Nothing is cut, and labels of periods and of series do not touch."""
    months = pd.period_range("1993-01", periods=n_periods, freq="M")
    table = pd.DataFrame(
        np.linspace(0.0, 1.0, n_series * n_periods).reshape(n_series, n_periods),
        index=[f"SERIES-{number}" for number in range(n_series)],
        columns=months,
    )
    figure = draw_coverage(table, period="month")
    assert_nothing_is_cut(figure)
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        boxes = [Text.get_window_extent(label) for label in axis.get_ticklabels()]
        for number, box in enumerate(boxes):
            assert not any(box.padded(-1.0).overlaps(other) for other in boxes[number + 1 :])


def test_coverage_refuses_what_it_cannot_draw() -> None:
    """No value, shares beyond 0 and 1, marks astray, and too many kinds of them."""
    table = coverage()
    with pytest.raises(ValueError, match="1 series and 5 periods has no value"):
        draw_coverage(table.loc[["new"]])
    with pytest.raises(ValueError, match="0 series and 5 periods has no value"):
        draw_coverage(table[:0])
    with pytest.raises(ValueError, match="from 0 to 100: give shares from 0 to 1"):
        draw_coverage(100.0 * table)
    with pytest.raises(ValueError, match="1 marks have no cell, such as stale run of XLC in 1999"):
        draw_coverage(table, marks().assign(period=[1999, 2020, 2023]))
    many = pd.DataFrame({"series": "SPY", "period": 2019, "mark": [f"m{i}" for i in range(7)]})
    with pytest.raises(ValueError, match="7 kinds of marks cannot be told apart: give at most 6"):
        draw_coverage(table, many)


def test_coverage_is_deterministic_and_leaves_its_surroundings_alone() -> None:
    """The same table gives the same bytes; inputs and pyplot are untouched."""
    table, found = coverage(), marks()
    numbers, options = plt.get_fignums(), dict(plt.rcParams)
    first = render_png(draw_coverage(table, found))
    assert first == render_png(draw_coverage(table, found))
    assert len(first) < 60_000
    assert_frame_equal(table, coverage())
    assert_frame_equal(found, marks())
    assert plt.get_fignums() == numbers
    assert dict(plt.rcParams) == options


@given(st.lists(st.text("abc,:", min_size=1, max_size=30), min_size=1, max_size=40))
def test_wrap_title_keeps_every_word_and_fits_where_words_allow(words: list[str]) -> None:
    """Lines joined again are the title; a line that is too long is a single word."""
    title = " ".join(words)
    lines = wrap_title(title, 7.0).split("\n")
    assert " ".join(lines) == title
    assert all(len(line) <= 10.6 * 7.0 or " " not in line for line in lines)


def test_wrap_title_breaks_between_parts() -> None:
    """After a colon or a comma, the one nearest to the middle."""
    title = "one and two: a correlation of months, on average this and that"
    assert (
        wrap_title(title, 5.0) == "one and two: a correlation of months,\non average this and that"
    )


@given(st.integers(1800, 2100), st.integers(0, 250))
def test_choose_years_are_few_round_and_inside(first: int, length: int) -> None:
    """At most 14, equally far apart, at least one."""
    years = choose_years(first, first + length)
    assert 1 <= len(years) <= 14
    assert min(years) >= first
    assert max(years) <= first + length
    assert len(set(np.diff(years))) <= 1
