"""Figures of a study show every cell once, in order, with units, and say what is left out."""

from __future__ import annotations

import io
import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from pandas.testing import assert_frame_equal
from PIL import Image

from tidemark.domain.chart_cells import METRIC_LABELS, PERCENT_METRICS
from tidemark.domain.comparison_figures import draw_forest, draw_heat_map
from tidemark.domain.metrics import METRICS, SMALLER_IS_BETTER
from tidemark.domain.plotting import GREY, Quantity, render_png
from tidemark.domain.time_figures import draw_cumulative_r2, draw_loss_differential

RETURN = Quantity("return", "%", 100.0)
BENCHMARK = "baseline.zero"

MODELS = ("linear", "ridge", "svr", "poly2")
SCENARIOS = ("mean_impute", "median_impute", "outlier_treatment")


def study(failed: str = "", fallback: str = "") -> pd.DataFrame:
    """Make a comparison of twelve cells and three baselines, a little apart from each other."""
    names = [(scenario, model) for scenario in SCENARIOS for model in MODELS]
    names += [("baseline", model) for model in ("zero", "mean", "last")]
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for number, (scenario, model) in enumerate(names):
        cell = f"{scenario}.{model}"
        row: dict[str, Any] = {
            "scenario": scenario,
            "model": model,
            "status": {failed: "failed", fallback: "fallback"}.get(cell, "ok"),
            "is_baseline": scenario == "baseline",
            "in_confidence_set": number % 2 == 0,
        }
        for name in METRIC_LABELS:
            base = 0.012 if name in ("mae", "mse", "rmse") else 0.5 if name == "auc" else 0.001
            middle = base * (1.0 + 0.1 * rng.normal())
            ends = (middle * 0.95, middle, middle * 1.05)
            names_of = (f"{name}_low", name, f"{name}_high")
            row |= dict(zip(names_of, [math.nan] * 3 if cell == failed else ends, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


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


SKILLS = {"a.good": 0.004, "a.bad": -0.003, BENCHMARK: 0.0}


def draw_all() -> dict[str, Figure]:
    """Draw the four figures of a study."""
    table, daily = study("mean_impute.svr", "median_impute.poly2"), daily_of(1000, SKILLS)
    return {
        "forest": draw_forest(table, "r2_oos_zero", BENCHMARK, RETURN),
        "heat_map": draw_heat_map(table, "rmse", RETURN),
        "cumulative_r2": draw_cumulative_r2(daily, list(SKILLS), "R2 over time"),
        "differential": draw_loss_differential(daily, "a.good", BENCHMARK, 1e-7, 6e-7, RETURN),
    }


def labels_of(axes: Axes) -> list[str]:
    """Read the names at the y-axis, top down."""
    return [label.get_text() for label in axes.get_yticklabels()]


def texts_of(axes: Axes) -> list[str]:
    """Read what stands in and beside the axes."""
    return [text.get_text() for text in axes.texts]


def markers_of(axes: Axes) -> list[Any]:
    """Read the marker of each cell, top down."""
    return [line for line in axes.lines if line.get_marker() in ("o", "<", ">")]


def tiles_of(axes: Axes) -> list[Any]:
    """Read the tiles of a heat map."""
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def caption_of(figure: Figure) -> str:
    """Read the notes under a figure."""
    return figure.get_supxlabel()


def test_metric_labels_cover_every_metric_that_the_project_computes() -> None:
    """Each has words, and the figures agree with the metrics on which way is better."""
    assert set(METRICS) <= set(METRIC_LABELS)
    assert METRIC_LABELS["r2_oos_zero"] == "out-of-sample R2 against zero"
    assert METRIC_LABELS["r2_oos_mean"] == "out-of-sample R2 against the mean of the past"
    assert METRIC_LABELS["r2_oos_surface"] == "R2 against yesterday's surface"
    percent = {"r2", "r2_oos_zero", "r2_oos_mean", "r2_oos_surface", "hit_rate"}
    assert percent == PERCENT_METRICS
    for metric in METRICS:
        axes = draw_forest(study().tail(4), metric, BENCHMARK, RETURN).axes[0]
        hint = "smaller" if metric in SMALLER_IS_BETTER else "larger"
        assert axes.get_xlabel().startswith(METRIC_LABELS[metric])
        assert axes.get_xlabel().endswith(f", {hint} is better")


@pytest.mark.parametrize(
    ("metric", "unit", "scale"),
    [
        ("rmse", "%", 100.0),
        ("mse", "%²", 10_000.0),
        ("r2", "%", 100.0),
        ("hit_rate", "%", 100.0),
        ("auc", "0 to 1", 1.0),
    ],
)
def test_draw_forest_and_heat_map_show_values_in_their_unit(
    metric: str, unit: str, scale: float
) -> None:
    """Errors are in the quantity's unit or its square, shares in percent; labels say so."""
    table = study()
    forest = draw_forest(table, metric, BENCHMARK, RETURN).axes[0]
    assert f"({unit})" in forest.get_xlabel()
    shown = sorted(float(marker.get_xdata()[0]) for marker in markers_of(forest))
    assert shown == pytest.approx(sorted(scale * table[metric]))
    heat_map = draw_heat_map(table, metric, RETURN)
    assert heat_map.axes[1].get_ylabel().startswith(f"{unit}, ")
    written = sorted(float(text) for text in texts_of(heat_map.axes[0]))
    assert written == pytest.approx(sorted(scale * table[metric]), rel=1e-2)


def test_draw_forest_without_a_quantity_names_the_unit_of_the_target() -> None:
    """A study that does not say its unit gets its values as they are."""
    axes = draw_forest(study(), "rmse", BENCHMARK).axes[0]
    assert axes.get_xlabel() == "root mean squared error (unit of the target), smaller is better"
    squares = draw_forest(study(), "mse", BENCHMARK).axes[0]
    assert "(squared unit of the target)" in squares.get_xlabel()


@pytest.mark.parametrize(("metric", "ascending"), [("rmse", True), ("r2_oos_zero", False)])
def test_draw_forest_best_cell_is_on_top(metric: str, ascending: bool) -> None:
    """Cells stand in the order of the metric, each with its own interval and value."""
    table = study()
    ordered = table.sort_values(metric, ascending=ascending)
    figure = draw_forest(table, metric, BENCHMARK, RETURN)
    (axes,) = figure.axes
    assert labels_of(axes) == (ordered["scenario"] + "." + ordered["model"]).tolist()
    assert axes.yaxis_inverted()
    spans = [segment[:, 0] for one in axes.collections for segment in one.get_segments()]
    assert np.array(spans) == pytest.approx(
        100.0 * ordered[[f"{metric}_low", f"{metric}_high"]].to_numpy()
    )
    values = [float(marker.get_xdata()[0]) for marker in markers_of(axes)]
    assert values == pytest.approx(100.0 * ordered[metric].to_numpy())
    assert [float(text) for text in texts_of(axes)] == pytest.approx(values, rel=1e-2)
    assert "best on top" in figure.get_suptitle()


def test_draw_forest_colours_stand_for_scenarios_and_grey_for_baselines() -> None:
    """Four colours: one for each of three scenarios, grey for the three baselines."""
    (axes,) = draw_forest(study(), "rmse", BENCHMARK).axes
    colors: dict[str, set[str]] = {}
    for name, marker in zip(labels_of(axes), markers_of(axes), strict=True):
        colors.setdefault(name.split(".")[0], set()).add(to_hex(marker.get_color()).upper())
    assert all(len(found) == 1 for found in colors.values())
    assert len(set.union(*colors.values())) == 4
    assert colors["baseline"] == {GREY}


def test_draw_forest_fills_the_markers_of_the_confidence_set() -> None:
    """In the set the marker has its own colour inside, out of it it is white."""
    table = study()
    (axes,) = draw_forest(table, "rmse", BENCHMARK).axes
    members = set((table["scenario"] + "." + table["model"])[table["in_confidence_set"]])
    for name, marker in zip(labels_of(axes), markers_of(axes), strict=True):
        inside = to_rgba(marker.get_markerfacecolor())
        expected = marker.get_color() if name in members else "white"
        assert inside == to_rgba(expected)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_draw_forest_missing_membership_is_no_membership(missing: object) -> None:
    """A cell that the test did not look at is not in the set."""
    table = study().astype({"in_confidence_set": "object"})
    table["in_confidence_set"] = missing
    (axes,) = draw_forest(table, "rmse", BENCHMARK).axes
    assert {to_hex(marker.get_markerfacecolor()) for marker in markers_of(axes)} == {"#ffffff"}


def test_draw_forest_has_a_line_at_the_best_baseline() -> None:
    """The line stands at the benchmark's metric, and the legend names the benchmark."""
    table = study()
    (axes,) = draw_forest(table, "rmse", BENCHMARK, RETURN).axes
    (line,) = (one for one in axes.lines if str(one.get_label()).startswith("best baseline"))
    expected = 100.0 * table.loc[table["model"] == "zero", "rmse"].item()
    assert list(line.get_xdata()) == pytest.approx([expected, expected])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "best baseline, baseline.zero"
    ]


def test_draw_forest_lists_failed_and_undefined_cells_at_the_bottom() -> None:
    """They have a name and a word, and no marker; a cell that fell back has a star."""
    table = study("mean_impute.ridge", "median_impute.svr")
    table.loc[table["model"] == "last", ["ic", "ic_low", "ic_high"]] = math.nan
    figure = draw_forest(table, "ic", BENCHMARK)
    (axes,) = figure.axes
    assert labels_of(axes)[-2:] == ["baseline.last", "mean_impute.ridge"]
    assert len(labels_of(axes)) == 15
    assert len(markers_of(axes)) == 13
    words = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert (words["not defined"], words["failed"]) == (13, 14)
    assert [name for name in labels_of(axes) if "*" in name] == ["median_impute.svr *"]
    assert "* a simpler model" in caption_of(figure)
    assert "*" not in caption_of(draw_forest(study(), "ic", BENCHMARK))


def test_draw_forest_failed_cell_with_numbers_is_still_failed() -> None:
    """What a failed cell's columns hold is not shown."""
    table = study()
    table.loc[0, "status"] = "failed"
    (axes,) = draw_forest(table, "rmse", BENCHMARK).axes
    assert labels_of(axes)[-1] == "mean_impute.linear"
    assert len(markers_of(axes)) == 14


def test_draw_forest_benchmark_without_a_value_has_no_line_and_a_note() -> None:
    """The zero forecast has no information coefficient; the others are drawn all the same."""
    table = study()
    table.loc[table["model"] == "zero", ["ic", "ic_low", "ic_high"]] = math.nan
    figure = draw_forest(table, "ic", BENCHMARK)
    assert "baseline.zero has no value, so no line." in caption_of(figure)
    assert figure.axes[0].get_legend() is None


def test_draw_forest_of_densities_shows_gains_in_nats_about_zero() -> None:
    """The single regime stands at zero without an interval, and larger is better."""
    table = study()
    gain = ["log_score_gain", "log_score_gain_low", "log_score_gain_high"]
    table.loc[table["model"] == "zero", gain] = [0.0, math.nan, math.nan]
    figure = draw_forest(table, "log_score_gain", BENCHMARK, RETURN)
    (axes,) = figure.axes
    assert axes.get_xlabel() == (
        "gain in log score over a single regime (nats an observation), larger is better"
    )
    assert labels_of(axes)[-1] == BENCHMARK
    shown = [float(marker.get_xdata()[0]) for marker in markers_of(axes)]
    assert shown == sorted(table["log_score_gain"], reverse=True)
    figure.draw_without_rendering()


def test_draw_forest_wild_cells_stay_at_the_edge() -> None:
    """Three exploded cells do not squash the others: arrows at the edge, with their values."""
    table = study()
    exploded = table["model"] == "poly2"
    columns = ["r2_oos_zero", "r2_oos_zero_low", "r2_oos_zero_high"]
    usual = draw_forest(table, "r2_oos_zero", BENCHMARK).axes[0].get_xlim()
    table.loc[exploded, columns] = [-8.0, -9.0, -7.0]
    figure = draw_forest(table, "r2_oos_zero", BENCHMARK)
    (axes,) = figure.axes
    assert np.ptp(axes.get_xlim()) < 2.0 * np.ptp(usual)
    arrows = [marker for marker in markers_of(axes) if marker.get_marker() == "<"]
    assert [float(arrow.get_xdata()[0]) for arrow in arrows] == [axes.get_xlim()[0]] * 3
    assert sum(float(text.replace("\N{MINUS SIGN}", "-")) == -800.0 for text in texts_of(axes)) == 3
    assert "Arrows: beyond the axis, 3 of 15 values." in caption_of(figure)


def exploded(many: int = 9) -> pd.DataFrame:
    """Make a study in which more than half of the cells are far too bad to be rare."""
    table = study()
    columns = ["r2_oos_zero", "r2_oos_zero_low", "r2_oos_zero_high"]
    for number in range(many):
        table.loc[number, columns] = -0.1 * number - np.array([2.0, 3.0, 1.5])
    table.loc[many, columns] = [0.4, 0.3, 0.5]
    return table


def test_draw_forest_of_many_wild_cells_shows_those_that_matter() -> None:
    """An axis of R2 ends where squared errors are twice the reference's, however many are worse."""
    figure = draw_forest(exploded(), "r2_oos_zero", BENCHMARK)
    low, high = figure.axes[0].get_xlim()
    assert -110.0 < low < -100.0
    assert 50.0 < high < 60.0
    assert "Arrows: beyond the axis, 9 of 15 values." in caption_of(figure)


def test_draw_forest_of_nothing_but_wild_cells_shows_the_best() -> None:
    """Where even the best is worse than that, the axis reaches to it."""
    table = exploded().head(9)
    figure = draw_forest(table, "r2_oos_zero", None)
    low, high = figure.axes[0].get_xlim()
    assert low < -200.0 <= -150.0 < high
    best, *others = markers_of(figure.axes[0])
    assert best.get_marker() == "o"
    assert {one.get_marker() for one in others} == {"<"}
    figure.draw_without_rendering()


def test_draw_forest_best_cell_is_on_the_axis_however_far_ahead() -> None:
    """A winner that leaves all others behind is no wild value."""
    table = study()
    columns = ["r2_oos_zero", "r2_oos_zero_low", "r2_oos_zero_high"]
    table.loc[0, columns] = [0.5, 0.4, 0.6]
    figure = draw_forest(table, "r2_oos_zero", BENCHMARK)
    (axes,) = figure.axes
    assert axes.get_xlim()[1] > 60.0
    assert [marker.get_marker() for marker in markers_of(axes)] == ["o"] * 15
    assert "Arrows" not in caption_of(figure)


@pytest.mark.parametrize("draw", ["forest", "heat map"])
def test_draw_of_a_table_refuses_what_cannot_be_drawn(draw: str) -> None:
    """No cells, only failed cells, a cell that stands twice, an unknown metric."""

    def attempt(table: pd.DataFrame, metric: str = "rmse") -> Figure:
        if draw == "forest":
            return draw_forest(table, metric, BENCHMARK)
        return draw_heat_map(table, metric)

    table = study()
    with pytest.raises(ValueError, match="None of 0 cells has a value of 'rmse'"):
        attempt(table.iloc[:0])
    with pytest.raises(ValueError, match="None of 15 cells has a value of 'rmse'"):
        attempt(table.assign(status="failed"))
    with pytest.raises(ValueError, match=r"stand twice in the table: mean_impute\.linear\."):
        attempt(pd.concat([table, table.head(1)]))
    with pytest.raises(ValueError, match="no metric 'sharpe' to draw: use one of mae, mse"):
        attempt(table, "sharpe")


def test_draw_forest_unknown_benchmark_is_refused() -> None:
    """A line that silently stays away would look like a study without baselines."""
    with pytest.raises(ValueError, match=r"'a\.b' is not in the table: name one of its cells"):
        draw_forest(study(), "rmse", "a.b")


@pytest.mark.parametrize("metric", ["rmse", "r2_oos_zero"])
@pytest.mark.parametrize("value", [0.0, 0.01])
def test_draw_of_a_single_cell_or_equal_cells_has_limits_apart(metric: str, value: float) -> None:
    """One baseline alone and cells that are all equal draw without a warning."""
    table = study()
    table[[metric, f"{metric}_low", f"{metric}_high"]] = value
    for part in (table, table[table["model"] == "zero"]):
        for figure in (draw_forest(part, metric, BENCHMARK), draw_heat_map(part, metric)):
            figure.draw_without_rendering()
            low, high = figure.axes[0].get_xlim()
            assert low < high


def test_draw_heat_map_has_one_tile_for_each_cell_where_it_belongs() -> None:
    """Scenarios down and models across, baselines last; each tile with its value."""
    table = study()
    axes = draw_heat_map(table, "rmse", RETURN).axes[0]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    assert columns == ["linear", "poly2", "ridge", "svr", "last", "mean", "zero"]
    assert labels_of(axes) == [*SCENARIOS, "baseline"]
    assert len(tiles_of(axes)) == 15
    shown = {text.get_position(): float(text.get_text()) for text in axes.texts}
    for row in table.itertuples():
        at = columns.index(str(row.model)), labels_of(axes).index(str(row.scenario))
        assert shown[at] == pytest.approx(100.0 * row.rmse, abs=1e-3)


def test_draw_heat_map_crosses_failed_cells_and_leaves_missing_ones_blank() -> None:
    """Two lines for a failed cell, one for a cell without a value, nothing for no cell."""
    table = study("mean_impute.svr", "median_impute.ridge")
    table = table[(table["scenario"] + "." + table["model"]) != "mean_impute.linear"]
    table.loc[table["model"] == "zero", "ic"] = math.nan
    figure = draw_heat_map(table, "ic")
    axes = figure.axes[0]
    assert len(tiles_of(axes)) == 14
    assert len([text for text in texts_of(axes) if text]) == 12
    assert len(axes.lines) == 3
    assert [text[-2:] for text in texts_of(axes) if "*" in text] == [" *"]
    assert "Crossed: failed. Dash: not defined." in caption_of(figure)


def tints_of(table: pd.DataFrame, metric: str) -> list[np.ndarray]:
    """Read the colours of a heat map's tiles, best cell first."""
    return [
        np.array(tile.get_facecolor()[:3])
        for tile in tiles_of(draw_heat_map(table, metric).axes[0])
    ]


def test_draw_heat_map_colours_diverge_where_there_is_no_skill() -> None:
    """Blue above zero, orange below, the more the further away, and pale at zero."""
    table = study().head(5)
    table["r2"] = [0.004, 0.002, 0.0, -0.002, -0.004]
    best, good, none, bad, worst = tints_of(table, "r2")
    assert none.min() > 0.95
    assert best[2] > best[0]
    assert worst[0] > worst[2]
    assert best.sum() < good.sum() < none.sum()
    assert worst.sum() < bad.sum() < none.sum()


@pytest.mark.parametrize("many", [9, 12])
def test_draw_heat_map_colours_of_many_wild_cells_tell_the_others_apart(many: int) -> None:
    """What is worse than the floor has its colour, and a good R2 is not as pale as none."""
    table = exploded(many)
    tints = tints_of(table, "r2_oos_zero")
    best, none, wild = tints[0], tints[1:-many], tints[-many:]
    assert best[2] - best[0] > 0.2
    assert all(tint.min() > 0.9 for tint in none)
    assert all(tint == pytest.approx(wild[0]) for tint in wild)
    caption = caption_of(draw_heat_map(table, "r2_oos_zero"))
    assert f"Beyond the colours: {many} of 15 values." in caption


def test_draw_heat_map_colours_of_errors_darken() -> None:
    """Errors have no middle: the smallest is the lightest, the largest the darkest."""
    table = study().head(5)
    table["rmse"] = [0.01, 0.011, 0.012, 0.013, 0.014]
    brightness = [tint.sum() for tint in tints_of(table, "rmse")]
    assert brightness == sorted(brightness, reverse=True)


def test_draw_heat_map_wild_values_do_not_set_colours() -> None:
    """An exploded cell has the last colour; the others keep theirs, and the caption tells."""
    table = study()
    plain = tints_of(table, "rmse")[0]
    table.loc[3, "rmse"] = 5.0
    assert tints_of(table, "rmse")[0] == pytest.approx(plain, abs=0.15)
    assert "Beyond the colours: 1 of 15 values." in caption_of(draw_heat_map(table, "rmse"))


def test_study_figures_same_data_give_the_same_small_file() -> None:
    """Drawn twice they are equal byte by byte, below 60 kB and at least 840 points wide."""
    for first, second in zip(draw_all().values(), draw_all().values(), strict=True):
        content = render_png(first)
        assert content == render_png(second)
        assert len(content) < 60_000
        assert Image.open(io.BytesIO(content)).size[0] >= 840


def test_study_figures_letters_are_readable_at_half_size() -> None:
    """No letter is below 9 points."""
    for figure in draw_all().values():
        figure.draw_without_rendering()
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
        assert min(sizes) >= 9.0


def test_study_figures_leave_inputs_and_pyplot_alone() -> None:
    """Tables are only read, and no figure is registered with pyplot."""
    table, daily = study(), daily_of(40, SKILLS)
    numbers, options = plt.get_fignums(), dict(plt.rcParams)
    draw_forest(table, "rmse", BENCHMARK)
    draw_heat_map(table, "rmse")
    draw_cumulative_r2(daily, list(SKILLS), "t")
    render_png(draw_loss_differential(daily, "a.good", BENCHMARK, 0.0, 1.0))
    assert_frame_equal(table, study())
    assert_frame_equal(daily, daily_of(40, SKILLS))
    assert plt.get_fignums() == numbers
    assert dict(plt.rcParams) == options
