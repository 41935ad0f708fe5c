"""Figures over time show sums up to each date, with units, and say what is left out."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from tidemark.domain.plotting import Quantity, render_png
from tidemark.domain.scores import HEADLINES, LOG_SCORE
from tidemark.domain.time_figures import (
    MAX_LINES,
    draw_cumulative_gain,
    draw_cumulative_r2,
    draw_loss_differential,
)

RETURN = Quantity("return", "%", 100.0)
BENCHMARK = "baseline.zero"
SKILLS = {"a.good": 0.004, "a.bad": -0.003, BENCHMARK: 0.0}


def daily_of(n_dates: int, skills: dict[str, float], n_rows: int = 20) -> pd.DataFrame:
    """Make sums by date; a skill of 0.1 takes a tenth of the squared targets off the errors."""
    rng = np.random.default_rng(1)
    sq_zero = n_rows * 1e-4 * rng.gamma(4.0, 0.25, n_dates)
    tables = []
    for number, (cell, skill) in enumerate(skills.items()):
        noise = 1e-5 * np.random.default_rng(10 + number).normal(size=n_dates) * (skill != 0.0)
        columns = {
            "date": pd.bdate_range("2020-01-01", periods=n_dates),
            "cell": cell,
            "n": float(n_rows),
            "sq_error": (1.0 - skill) * sq_zero + noise,
            "sq_zero": sq_zero,
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def densities_of(n_dates: int, gains: dict[str, float], n_rows: int = 1) -> pd.DataFrame:
    """Make minus log scores by date; a gain comes on top of every row's score of 3 nats."""
    tables = []
    for number, (cell, gain) in enumerate(gains.items()):
        noise = 0.2 * np.random.default_rng(number).normal(size=n_dates)
        columns = {
            "date": pd.bdate_range("2020-01-01", periods=n_dates),
            "cell": cell,
            "n": float(n_rows),
            "neg_log_score": -n_rows * (3.0 + gain + noise),
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


GAINS = {"bond.single": 0.0, "bond.markov": 0.1, "bond.zscore": -0.05}


def texts_of(axes: Axes) -> list[str]:
    """Read what stands in and beside the axes."""
    return [text.get_text() for text in axes.texts]


def caption_of(figure: Figure) -> str:
    """Read the notes under a figure."""
    return figure.get_supxlabel()


def lines_of(axes: Axes) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read the lines of cells, without the horizontal one at zero."""
    pairs = [(np.asarray(one.get_xdata()), np.asarray(one.get_ydata())) for one in axes.lines]
    return [(x, y) for x, y in pairs if x.dtype.kind == "M"]


def test_draw_cumulative_r2_is_the_ratio_of_sums_up_to_a_date() -> None:
    """In percent, from the first date on, without the first tenth; each cell once."""
    daily = daily_of(200, SKILLS)
    figure = draw_cumulative_r2(daily, list(SKILLS), "R2 over time")
    (axes,) = figure.axes
    for cell, (dates, values) in zip(SKILLS, lines_of(axes), strict=True):
        rows = daily[daily["cell"] == cell]
        ratio = rows["sq_error"].cumsum() / rows["sq_zero"].cumsum()
        assert values == pytest.approx(100.0 * (1.0 - ratio.to_numpy()[20:]))
        assert (dates == rows["date"].to_numpy()[20:]).all()
    assert axes.get_xlabel() == "date (first tenth, 20 dates, not drawn: unstable)"
    assert axes.get_ylabel() == "cumulative R2 against zero (%)"
    assert figure.get_suptitle() == "R2 over time"


def test_draw_cumulative_r2_against_the_mean_takes_its_squares() -> None:
    """Line, axis and caption are of the headline that is given."""
    daily = daily_of(100, SKILLS)
    daily["sq_mean"] = 0.5 * daily["sq_zero"]
    headline = HEADLINES["r2_oos_mean"]
    figure = draw_cumulative_r2(daily, ["a.good"], "t", headline)
    (axes,) = figure.axes
    ((_, values),) = lines_of(axes)
    rows = daily[daily["cell"] == "a.good"]
    ratio = rows["sq_error"].cumsum() / rows["sq_mean"].cumsum()
    assert values == pytest.approx(100.0 * (1.0 - ratio.to_numpy()[10:]))
    assert axes.get_ylabel() == "cumulative R2 against the mean of the past (%)"
    assert "squared errors over those of the mean of the past" in caption_of(figure)
    with pytest.raises(ValueError, match=r"past of 'a\.good' is undefined: all of its 'sq_mean'"):
        draw_cumulative_r2(daily.assign(sq_mean=math.nan), ["a.good"], "t", headline)


def test_draw_cumulative_r2_order_of_rows_does_not_matter() -> None:
    """Rows in any order give the same bytes."""
    daily = daily_of(60, SKILLS)
    mixed = daily.sample(frac=1.0, random_state=3)
    first, second = (draw_cumulative_r2(one, list(SKILLS), "t") for one in (daily, mixed))
    assert render_png(first) == render_png(second)


def test_draw_cumulative_r2_zero_line_is_bold() -> None:
    """The line at zero is wider than any cell's."""
    (axes,) = draw_cumulative_r2(daily_of(100, SKILLS), list(SKILLS), "t").axes
    (zero,) = (line for line in axes.lines if list(line.get_ydata()) == [0.0, 0.0])
    widths = [line.get_linewidth() for line in axes.lines if line is not zero]
    assert zero.get_linewidth() > max(widths)


@pytest.mark.parametrize(
    "skills",
    [
        [0.0] * MAX_LINES,
        [0.004, 0.0039, 0.0038, -0.004, -0.0041, 0.0],
        [-0.002, 0.001, 0.0011, 0.0012],
        [0.001],
    ],
)
def test_draw_cumulative_r2_labels_never_overlap(skills: list[float]) -> None:
    """Each line is named right of the axes with its last value, however close the ends are."""
    named = {f"scenario.model{number}": skill for number, skill in enumerate(skills)}
    figure = draw_cumulative_r2(daily_of(40, named), list(named), "t")
    (axes,) = figure.axes
    assert [text.split("\n")[0] for text in texts_of(axes)] == list(named)
    assert all(text.endswith(" %") for text in texts_of(axes))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    frame = axes.get_window_extent(renderer)
    boxes = [Text.get_window_extent(text, renderer) for text in axes.texts]
    boxes.sort(key=lambda box: box.y0)
    assert all(above.y0 >= below.y1 for below, above in pairwise(boxes))
    assert all(frame.x1 < box.x0 < box.x1 <= figure.bbox.x1 for box in boxes)


def test_draw_cumulative_r2_exploded_cell_does_not_set_limits() -> None:
    """One cell in five at -200 % is cut off at the edge, and the caption tells."""
    skills = {"a.one": 0.004, "a.two": 0.002, "a.three": -0.001, "a.four": 0.001, "a.five": -2.0}
    figure = draw_cumulative_r2(daily_of(300, skills), list(skills), "t")
    low, high = figure.axes[0].get_ylim()
    assert high - low < 3.0
    assert "Partly beyond the axis: 1 of 5 lines." in caption_of(figure)
    assert any("a.five\n\N{MINUS SIGN}200" in text for text in texts_of(figure.axes[0]))


@pytest.mark.parametrize("n_dates", [1, 2, 9])
def test_draw_cumulative_r2_few_dates_are_all_drawn(n_dates: int) -> None:
    """A tenth of nine dates is none; a single date is a point."""
    (axes,) = draw_cumulative_r2(daily_of(n_dates, SKILLS), ["a.good"], "t").axes
    ((dates, _),) = lines_of(axes)
    assert len(dates) == n_dates
    assert axes.get_xlabel() == "date"
    assert (axes.lines[1].get_marker() == "o") == (n_dates == 1)


@pytest.mark.parametrize("n_cells", [0, MAX_LINES + 1])
def test_draw_cumulative_r2_of_no_or_too_many_cells_is_refused(n_cells: int) -> None:
    """More lines than colours cannot be told apart."""
    with pytest.raises(ValueError, match=f"{n_cells} cells cannot be drawn .* choose 1 to 6"):
        draw_cumulative_r2(daily_of(20, SKILLS), ["a.good"] * n_cells, "t")


def test_draw_cumulative_r2_of_an_absent_cell_or_of_zeros_is_refused() -> None:
    """The message names the cell, and some that exist."""
    daily = daily_of(20, SKILLS)
    with pytest.raises(ValueError, match=r"no dates of the cell 'a\.c', only of a\.bad, a\.good"):
        draw_cumulative_r2(daily, ["a.c"], "t")
    with pytest.raises(ValueError, match="only of no cell"):
        draw_cumulative_r2(daily.iloc[:0], ["a.good"], "t")
    with pytest.raises(
        ValueError, match=r"R2 against zero of 'a\.good' is undefined: all of its 'sq_zero'"
    ):
        draw_cumulative_r2(daily.assign(sq_zero=0.0), ["a.good"], "t")


def test_draw_loss_differential_adds_up_differences_of_mean_losses() -> None:
    """Benchmark minus cell, each divided by its rows, in the squared unit."""
    daily = daily_of(250, SKILLS)
    figure = draw_loss_differential(daily, "a.good", BENCHMARK, 1e-7, 6e-7, RETURN)
    (axes,) = figure.axes
    ((dates, values),) = lines_of(axes)
    good, zero = (daily[daily["cell"] == cell].set_index("date") for cell in ("a.good", BENCHMARK))
    difference = 1e4 * (zero["sq_error"] - good["sq_error"]) / 20.0
    assert values == pytest.approx(difference.cumsum().to_numpy())
    assert (dates == difference.index.to_numpy()).all()
    assert axes.get_ylabel() == "cumulative loss difference (%²)"
    assert axes.get_xlabel() == "date"
    assert figure.get_suptitle() == "a.good against baseline.zero"
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["95 % guide", "rises where the cell is better"]


def test_draw_loss_differential_rises_for_the_better_cell_and_falls_for_the_worse() -> None:
    """Exchanging cell and benchmark turns the line over."""
    daily = daily_of(250, SKILLS)
    paths = [
        lines_of(draw_loss_differential(daily, *pair, -1.0, 1.0).axes[0])[0][1]
        for pair in (("a.good", "a.bad"), ("a.bad", "a.good"))
    ]
    assert paths[0][-1] > 0.0
    assert paths[0] == pytest.approx(-paths[1])


def test_draw_loss_differential_writes_the_mean_and_the_given_interval() -> None:
    """Mean and interval are scaled alike, and stand beside the share of the benchmark's loss."""
    daily = daily_of(250, {"a.half": 0.5, BENCHMARK: 0.0})
    (axes,) = draw_loss_differential(daily, "a.half", BENCHMARK, -2e-5, 6e-5, RETURN).axes
    first, second, third = texts_of(axes)[0].split("\n")
    mean = 0.5 * 1e4 * daily.loc[daily["cell"] == BENCHMARK, "sq_zero"].mean() / 20.0
    assert first.startswith("mean difference per date ")
    assert first.endswith(" %²")
    assert float(first.split()[4]) == pytest.approx(mean, abs=0.01)
    assert second == "interval \N{MINUS SIGN}0.200 to 0.600 %²"
    assert third == "50 % of the benchmark's loss"


def test_draw_loss_differential_text_stays_out_of_the_line() -> None:
    """A line that rises leaves the upper corner free or the lower one: the text takes that."""
    daily = daily_of(250, SKILLS)
    for pair, corner in ((("a.good", "a.bad"), "bottom"), (("a.bad", "a.good"), "top")):
        (text,) = draw_loss_differential(daily, *pair, -1.0, 1.0).axes[0].texts
        assert text.get_verticalalignment() == corner


def test_draw_loss_differential_guide_widens_with_the_root_of_time() -> None:
    """The band is 1.96 standard deviations of a date's difference wide at the first date."""
    daily = daily_of(400, SKILLS)
    (axes,) = draw_loss_differential(daily, "a.good", BENCHMARK, 0.0, 1.0).axes
    (band,) = (one for one in axes.collections if isinstance(one, FillBetweenPolyCollection))
    heights = band.get_paths()[0].vertices[:, 1]
    step = np.diff(lines_of(axes)[0][1], prepend=0.0).std(ddof=1)
    assert heights.max() == pytest.approx(1.96 * step * 20.0)
    assert heights.min() == pytest.approx(-1.96 * step * 20.0)


def test_draw_loss_differential_without_an_interval_writes_the_mean_alone() -> None:
    """NaN stands for an interval that nobody could compute."""
    (axes,) = draw_loss_differential(
        daily_of(50, SKILLS), "a.good", BENCHMARK, math.nan, math.nan
    ).axes
    assert "interval" not in texts_of(axes)[0]


def test_draw_loss_differential_of_one_date_is_a_point_without_a_guide() -> None:
    """One date has no standard deviation."""
    (axes,) = draw_loss_differential(daily_of(1, SKILLS), "a.good", BENCHMARK, 0.0, 1.0).axes
    assert not axes.collections
    assert axes.lines[-1].get_marker() == "o"


def test_draw_loss_differential_of_equal_cells_is_drawn() -> None:
    """A cell against itself is a line at zero, without a warning."""
    figure = draw_loss_differential(daily_of(50, SKILLS), BENCHMARK, BENCHMARK, 0.0, 0.0, RETURN)
    figure.draw_without_rendering()
    assert not lines_of(figure.axes[0])[0][1].any()


@pytest.mark.parametrize("change", ["date", "rows"])
def test_draw_loss_differential_of_other_rows_is_refused(change: str) -> None:
    """Losses on other dates or other rows cannot be compared."""
    daily = daily_of(30, SKILLS)
    if change == "date":
        daily = daily.drop(index=3)
    else:
        daily.loc[3, "n"] = 19.0
    with pytest.raises(ValueError, match="not scored on the same dates and numbers of rows"):
        draw_loss_differential(daily, "a.good", BENCHMARK, 0.0, 1.0)


@pytest.mark.parametrize("cell", ["a.c", "baseline.none"])
def test_draw_loss_differential_of_an_absent_cell_is_refused(cell: str) -> None:
    """Whether it is the cell or the benchmark."""
    daily = daily_of(30, SKILLS)
    for pair in ((cell, BENCHMARK), (BENCHMARK, cell)):
        with pytest.raises(ValueError, match=f"no dates of the cell '{cell}'"):
            draw_loss_differential(daily, *pair, 0.0, 1.0)


def test_draw_cumulative_gain_adds_up_log_scores_over_the_reference() -> None:
    """In nats over all rows of a date, from the first date on; the reference is the zero line."""
    daily = densities_of(120, GAINS, n_rows=2)
    cells = ["bond.markov", "bond.zscore"]
    figure = draw_cumulative_gain(daily.sample(frac=1.0, random_state=1), cells, "bond.single", "t")
    (axes,) = figure.axes
    single = daily.loc[daily["cell"] == "bond.single", "neg_log_score"].to_numpy()
    for cell, (dates, values) in zip(cells, lines_of(axes), strict=True):
        mine = daily.loc[daily["cell"] == cell, "neg_log_score"].to_numpy()
        assert values == pytest.approx((single - mine).cumsum())
        assert len(dates) == 120
    assert axes.get_ylabel() == "cumulative gain over bond.single (nats)"
    assert axes.get_xlabel() == "date"
    assert [text.split("\n")[0] for text in texts_of(axes)] == cells
    assert all(text.endswith(" nats") for text in texts_of(axes))
    assert "minus that of bond.single" in caption_of(figure)


@pytest.mark.parametrize("n_cells", [0, MAX_LINES + 1])
def test_draw_cumulative_gain_of_no_or_too_many_cells_is_refused(n_cells: int) -> None:
    """As of R2."""
    with pytest.raises(ValueError, match=f"{n_cells} cells cannot be drawn .* choose 1 to 6"):
        draw_cumulative_gain(densities_of(20, GAINS), ["bond.markov"] * n_cells, "bond.single", "t")


def test_draw_cumulative_gain_of_other_dates_or_an_absent_cell_is_refused() -> None:
    """A gain is over the same observations, and over a cell that is there."""
    daily = densities_of(20, GAINS)
    with pytest.raises(ValueError, match="not scored on the same dates"):
        draw_cumulative_gain(daily.drop(index=3), ["bond.markov"], "bond.single", "t")
    with pytest.raises(ValueError, match=r"no dates of the cell 'bond\.none'"):
        draw_cumulative_gain(daily, ["bond.markov"], "bond.none", "t")


def test_draw_loss_differential_of_densities_is_in_nats() -> None:
    """The quantity's scale is left out, and so is a share of a loss that has no zero."""
    daily = densities_of(150, GAINS, n_rows=2)
    figure = draw_loss_differential(
        daily, "bond.markov", "bond.single", 0.05, 0.15, RETURN, LOG_SCORE
    )
    (axes,) = figure.axes
    single, markov = (
        daily.loc[daily["cell"] == cell, "neg_log_score"].to_numpy()
        for cell in ("bond.single", "bond.markov")
    )
    assert lines_of(axes)[0][1] == pytest.approx(((single - markov) / 2.0).cumsum())
    assert axes.get_ylabel() == "cumulative loss difference (nats)"
    assert texts_of(axes)[0].count("nats") == 2
    assert "%" not in texts_of(axes)[0]
    assert "minus the mean log score over the rows of a date" in caption_of(figure)
