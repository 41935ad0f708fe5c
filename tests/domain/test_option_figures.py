"""Figures of options show errors, smiles, days, passes and forwards as the tables have them."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex, to_rgba
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from pandas.testing import assert_frame_equal

from tidemark.domain.learning_figures import draw_learning
from tidemark.domain.option_figures import MAX_SMILES, draw_forwards, draw_smiles
from tidemark.domain.option_maps import draw_chain_days, draw_error_map
from tidemark.domain.plotting import PALETTE, render_png

NO_DATES = pd.DatetimeIndex([])
TITLE = "S&P 500 options"


def errors(**columns: list[float]) -> pd.DataFrame:
    """Make errors of two by three buckets, named so that the alphabet is not their order."""
    cells = [(down, across) for down in ("short", "long") for across in ("low", "middle", "high")]
    table = pd.DataFrame(cells, columns=["maturity", "moneyness"])
    table["n"] = [12, 3_456, 70, 0, 250, 1]
    table["mae_price"] = [0.5, 1.25, 2.0, np.nan, 3.0, 4.0]
    for name, order in (("maturity", ["short", "long"]), ("moneyness", ["low", "middle", "high"])):
        table[name] = pd.Categorical(table[name], order, ordered=True)
    return table.assign(**columns)


def smiles(days: list[float] | None = None, n_strikes: int = 11) -> pd.DataFrame:
    """Make smiles that are lines through 20 %, of strikes in no order."""
    rng = np.random.default_rng(0)
    rows = [
        pd.DataFrame(
            {
                "expiration": pd.Timestamp("2017-01-02") + pd.Timedelta(days=int(np.ceil(day))),
                "time_years": day / 365.0,
                "log_moneyness": rng.permutation(np.linspace(-0.3, 0.2, n_strikes)),
            }
        )
        for day in days or [7.0, 30.0, 90.0]
    ]
    table = pd.concat(rows, ignore_index=True)
    return table.assign(vol_annual=0.2 - 0.1 * table["log_moneyness"])


def days(n_days: int = 25) -> pd.DataFrame:
    """Make days of which the sixth has left whole and the eighth had no session besides."""
    date = pd.bdate_range("2016-01-04", periods=n_days)
    contracts = 200 + np.arange(n_days) % 7
    table = pd.DataFrame({"quote_date": date, "contracts": contracts, "quarantined": 10})
    table["is_session"] = np.arange(n_days) != 7
    table.loc[table.index.isin([5, 7]), "quarantined"] = table["contracts"]
    return table


def passes(n_seeds: int = 3) -> pd.DataFrame:
    """Make passes of networks whose validation error is least at the fourth, 0.2 and more."""
    epoch = np.arange(1, 7)
    rows = [
        pd.DataFrame(
            {
                "seed": 10 * seed,
                "epoch": epoch,
                "train_mse": (1.0 / epoch) ** 2,
                "validation_mse": (0.2 + 0.1 * seed + 0.05 * np.abs(epoch - 4)) ** 2,
            }
        )
        for seed in range(n_seeds)
    ]
    return pd.concat(rows)


def forwards(n_dates: int = 4) -> pd.DataFrame:
    """Make forwards of two roots; the carry is 1, 2, ... % by date, a percent less if short."""
    rows = []
    for number, date in enumerate(pd.bdate_range("2016-01-04", periods=n_dates), 1):
        for root, day in (("SPX", 40.0), ("SPX", 200.0), ("SPXW", 5.0), ("SPXW", 90.0)):
            carry = 0.01 * number - 0.01 * (day < 30.0)
            rows.append((date, root, date + pd.Timedelta(days=day), day / 365.0, 0.03, carry, "ok"))
    names = ["quote_date", "root", "expiration", "time_years"]
    return pd.DataFrame(rows, columns=[*names, "rate_continuous", "carry_continuous", "flag"])


def mesh_of(axes: Axes) -> QuadMesh:
    """Find the grid of colours."""
    (mesh,) = (one for one in axes.collections if isinstance(one, QuadMesh))
    return mesh


def texts_of(axes: Axes) -> list[str]:
    """Read what stands in the axes."""
    return [text.get_text() for text in axes.texts]


def legend_of(axes: Axes) -> list[str]:
    """Read the entries of the legend."""
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def lines_of(axes: Axes) -> dict[str, Line2D]:
    """Find the lines that the legend names."""
    return {str(line.get_label()): line for line in axes.lines if line.get_label()[0] != "_"}


def points_of(line: Line2D) -> list[tuple[float, float]]:
    """Read the points of a line, dates as matplotlib's numbers."""
    x, y = (line.get_xdata(), line.get_ydata())
    across = date2num(x) if np.issubdtype(np.asarray(x).dtype, np.datetime64) else x
    return [(float(a), float(b)) for a, b in zip(across, y, strict=True)]


def assert_nothing_is_cut(figure: Figure) -> None:
    """Check that all that is drawn lies in the figure, and labels of ticks do not touch."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.get_tightbbox(canvas.get_renderer())  # in inches
    width, height = figure.get_size_inches()
    assert min(box.x0, box.y0) >= -0.01
    assert box.x1 <= width + 0.01
    assert box.y1 <= height + 0.01
    assert min(one.get_fontsize() for one in figure.findobj(Text) if one.get_text()) >= 9.0
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            labels = [
                label
                for tick in axis.get_major_ticks()
                for label in (tick.label1, tick.label2)
                if label.get_visible() and low <= tick.get_loc() <= high and label.get_text()
            ]
            boxes = [Text.get_window_extent(label) for label in labels]
            for number, one in enumerate(boxes):
                assert not any(one.padded(-1.0).overlaps(other) for other in boxes[number + 1 :])


def test_errors_stand_in_the_order_of_their_categories() -> None:
    """Maturities go down and moneyness across; each cell has its value and its number."""
    (axes, _) = draw_error_map(errors()[::-1], "mae_price", TITLE, "points").axes
    values = np.ma.filled(mesh_of(axes).get_array(), -1.0)
    assert values.tolist() == [[0.5, 1.25, 2.0], [-1.0, 3.0, 4.0]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["low", "middle", "high"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["short", "long"]
    written: dict[tuple[float, float], list[str]] = {}
    for text in axes.texts:
        written.setdefault(text.get_position(), []).append(text.get_text())
    assert written == {
        (0, 0): ["0.50", "12"],
        (1, 0): ["1.25", "3,456"],
        (2, 0): ["2.00", "70"],
        (0, 1): ["0"],
        (1, 1): ["3.00", "250"],
        (2, 1): ["4.00", "1"],
    }


def test_errors_are_hatched_where_they_are_undefined_or_absent() -> None:
    """A cell of NaN, and one without a row, has no colour but a hatch."""
    figure = draw_error_map(errors()[:5], "mae_price", TITLE, "points", note="Source: none.")
    axes, bar = figure.axes
    (hatched,) = (one for one in axes.collections if one.get_hatch())
    corners = sorted(tuple(path.vertices.min(axis=0)) for path in hatched.get_paths())
    assert corners == [(-0.5, 0.5), (1.5, 0.5)]
    assert figure.get_supxlabel() == "Small: number of quotes. Hatched: no value.\nSource: none."
    assert bar.get_ylabel() == "points, smaller is better"
    whole = draw_error_map(errors(mae_price=[1.0] * 6), "mae_price", TITLE, "points")
    assert "Hatched" not in whole.get_supxlabel()
    assert not any(path for one in whole.axes[0].collections[1:] for path in one.get_paths())


def test_errors_that_are_wild_do_not_set_the_colours() -> None:
    """A value far from the others is written and counted, and the bar has an end for it."""
    table = errors(mae_price=[0.1, 0.2, 0.3, 0.4, 0.5, 80.0])
    figure = draw_error_map(table, "mae_price", TITLE, "points")
    mesh = mesh_of(figure.axes[0])
    assert mesh.get_clim() == (0.1, 0.5)
    assert mesh.cmap.colorbar_extend == "max"
    assert "80.000" in texts_of(figure.axes[0])
    assert "Beyond the colours: 1 of 6 values." in figure.get_supxlabel()


def test_errors_with_signs_have_zero_in_the_middle() -> None:
    """Colours reach equally far on both sides, and no side is called better."""
    table = errors(bias=[-4.0, -3.0, -2.0, 1.0, 2.0, 3.0])
    figure = draw_error_map(table, "bias", TITLE, "points")
    mesh = mesh_of(figure.axes[0])
    assert mesh.get_clim() == (-4.0, 4.0)
    assert to_rgba("#F7F7F7") == pytest.approx(mesh.to_rgba(0.0), abs=0.02)
    assert "\N{MINUS SIGN}4.00" in texts_of(figure.axes[0])
    assert figure.axes[1].get_ylabel() == "points"


def test_errors_are_written_in_ink_that_their_cell_leaves_readable() -> None:
    """The contrast of letters and cell is at least 3 to 1, as WCAG 2 asks of large letters."""

    def luminance(color: object) -> float:
        part = np.array(to_rgba(color)[:3])  # type: ignore[arg-type]
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    table = errors(mae_price=list(np.linspace(0.0, 1.0, 6)), bias=list(np.linspace(-1, 1, 6)))
    for metric in ("mae_price", "bias"):
        (axes, _) = draw_error_map(table, metric, TITLE, "points").axes
        colors = mesh_of(axes).to_rgba(mesh_of(axes).get_array())
        for text in axes.texts:
            across, down = text.get_position()
            pair = sorted([luminance(text.get_color()), luminance(colors[int(down), int(across)])])
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 3.0


def test_errors_outside_of_the_buckets_are_counted() -> None:
    """Rows without a category have no cell, and their quotes are in the caption."""
    table = errors()
    table.loc[1, "moneyness"] = np.nan
    figure = draw_error_map(table.set_axis([0] * 6), "mae_price", TITLE, "points")
    assert "Outside of the buckets and left out: 3,456 quotes." in figure.get_supxlabel()
    assert "3,456" not in texts_of(figure.axes[0])


def test_errors_of_one_cell_are_drawn() -> None:
    """A single value has a colour between two limits."""
    table = errors()[:1]
    for name in ("moneyness", "maturity"):
        table[name] = table[name].cat.remove_unused_categories()
    (axes, _) = draw_error_map(table, "mae_price", TITLE, "points").axes
    low, high = mesh_of(axes).get_clim()
    assert low < 0.5 < high
    assert texts_of(axes) == ["0.500", "12"]


def test_errors_refuse_what_cannot_be_drawn() -> None:
    """No value, no such column, no categories, a cell twice, no row."""
    table = errors()
    with pytest.raises(ValueError, match=r"None of 6 cells has a value of 'mae_price'.*another"):
        draw_error_map(errors(mae_price=[np.nan] * 5 + [np.inf]), "mae_price", TITLE, "points")
    with pytest.raises(ValueError, match="None of 0 cells"):
        draw_error_map(table[:0], "mae_price", TITLE, "points")
    with pytest.raises(ValueError, match=r"lacks column 'mae_prices' \(is it 'mae_price'\?\)"):
        draw_error_map(table, "mae_prices", TITLE, "points")
    with pytest.raises(ValueError, match="moneyness is of type str: give ordered categories"):
        draw_error_map(table.astype({"moneyness": "str"}), "mae_price", TITLE, "points")
    with pytest.raises(ValueError, match="1 of 7 cells stand there twice: give one row"):
        draw_error_map(pd.concat([table, table[:1]]), "mae_price", TITLE, "points")


def test_smiles_are_lines_in_percent_coloured_by_maturity() -> None:
    """Each expiration has its strikes in order, and the longest has the lightest colour."""
    table = smiles()
    left, _ = draw_smiles(table, TITLE).axes
    lines = lines_of(left)
    assert list(lines) == legend_of(left) == ["7 d", "30 d", "90 d"]
    strikes = np.linspace(-0.3, 0.2, 11)
    for line in lines.values():
        assert points_of(line) == [pytest.approx((x, 20.0 - 10.0 * x)) for x in strikes]
        assert line.get_marker() == "o"
    bright = [sum(to_rgba(line.get_color())[:3]) for line in lines.values()]
    assert bright == sorted(bright)
    assert len({to_hex(line.get_color()) for line in lines.values()}) == 3


def test_smiles_at_the_money_are_between_the_strikes_beside_the_forward() -> None:
    """Volatility is linear between strikes: 20 % at 5 days, 25 % at 50, none beyond all strikes."""
    table = pd.DataFrame(
        {
            "expiration": pd.to_datetime(["2017-01-07"] * 2 + ["2017-02-21"] * 3 + ["2018-01-02"]),
            "time_years": np.array([5.0, 5.0, 50.0, 50.0, 50.0, 365.0]) / 365.0,
            "log_moneyness": [-0.1, 0.1, -0.2, -0.01, 0.03, -0.1],
            "vol_annual": [0.3, 0.1, 0.9, 0.26, 0.22, 0.4],
        }
    )
    figure = draw_smiles(table, TITLE, note="Source: none.")
    left, right = figure.axes
    (points,) = right.collections
    assert np.asarray(points.get_offsets()) == pytest.approx(np.array([[5.0, 20.0], [50.0, 25.0]]))
    assert points_of(right.lines[0]) == [pytest.approx((5.0, 20.0)), pytest.approx((50.0, 25.0))]
    colors = [to_rgba(line.get_color()) for line in lines_of(left).values()]
    assert [tuple(color) for color in points.get_facecolors()] == colors[:2]
    caption = figure.get_supxlabel()
    assert "Expirations without such strikes: 1." in caption
    assert caption.endswith("Source: none.")
    assert right.get_xscale() == "log"


def test_smiles_of_many_expirations_are_chosen_evenly() -> None:
    """Lines go from the first to the last and grow by like factors; all have a point."""
    maturities = np.geomspace(2.0, 512.0, 33)
    figure = draw_smiles(smiles(list(maturities)), TITLE)
    left, right = figure.axes
    drawn = [float(label.removesuffix(" d")) for label in lines_of(left)]
    assert len(drawn) == MAX_SMILES
    assert (drawn[0], drawn[-1]) == (2.0, 512.0)
    assert np.diff(np.log(drawn)) == pytest.approx(np.log(256.0) / 7.0, abs=0.2)
    assert len(right.collections[0].get_offsets()) == 33
    assert f"Lines: {MAX_SMILES} of 33 expirations." in figure.get_supxlabel()


def test_smiles_settled_in_the_morning_and_at_the_close_are_two_lines() -> None:
    """Labels tell them apart by tenths of a day."""
    left, right = draw_smiles(smiles([20.73, 21.0]), TITLE).axes
    assert list(lines_of(left)) == ["20.7 d", "21.0 d"]
    assert len(right.collections[0].get_offsets()) == 2


def test_smiles_without_a_volatility_are_left_out_and_counted() -> None:
    """NaN, infinite and settled rows do not reach the lines."""
    table = smiles()
    first = table.index[table["time_years"] < 10.0 / 365.0]
    table.loc[first[:3], "vol_annual"] = [np.nan, np.inf, np.nan]
    table.loc[first[3], "time_years"] = 0.0
    figure = draw_smiles(table, TITLE)
    assert len(lines_of(figure.axes[0])["7 d"].get_xdata()) == 7
    assert "Without a volatility and left out: 4 of 33 options." in figure.get_supxlabel()


def test_smiles_with_wild_points_keep_their_axes() -> None:
    """A volatility of 900 % is beyond the axis and counted."""
    table = smiles()
    table.loc[0, "vol_annual"] = 9.0
    figure = draw_smiles(table, TITLE)
    assert figure.axes[0].get_ylim()[1] < 40.0
    assert "Points of lines beyond the axes: 1." in figure.get_supxlabel()


def test_smiles_of_one_strike_are_a_point() -> None:
    """One strike has a line of one point, and no volatility at the money."""
    left, right = draw_smiles(smiles([30.0], 1), TITLE).axes
    assert points_of(lines_of(left)["30 d"]) == [pytest.approx((-0.3, 23.0))]
    assert texts_of(right) == ["no strikes on both sides\nof the forward"]
    assert not len(right.get_yticks())


def test_smiles_refuse_what_cannot_be_drawn() -> None:
    """No row, no volatility, a strike twice, a column absent."""
    table = smiles()
    with pytest.raises(ValueError, match=r"None of 0 options.*choose a date with quotes"):
        draw_smiles(table[:0], TITLE)
    with pytest.raises(ValueError, match="None of 33 options"):
        draw_smiles(table.assign(vol_annual=np.nan), TITLE)
    with pytest.raises(ValueError, match=r"2 of 35 options have the expiration.*out of the money"):
        draw_smiles(pd.concat([table, table[:2]]), TITLE)
    with pytest.raises(ValueError, match="smiles lacks column 'vol_annual'"):
        draw_smiles(table.drop(columns="vol_annual"), TITLE)


def test_days_are_stacked_bars() -> None:
    """What is kept stands below what is quarantined, at each date."""
    table = days()
    (axes,) = draw_chain_days(table[::-1], NO_DATES, TITLE).axes
    lower, upper = axes.patches[:25], axes.patches[25:]
    assert len(upper) == 25
    date = date2num(table["quote_date"].to_numpy())
    kept = (table["contracts"] - table["quarantined"]).tolist()
    assert [bar.get_x() + bar.get_width() / 2.0 for bar in lower] == pytest.approx(date)
    assert [bar.get_height() for bar in lower] == kept
    assert [bar.get_y() for bar in upper] == kept
    assert [bar.get_height() for bar in upper] == table["quarantined"].tolist()
    assert axes.get_ylim()[1] > 206.0


def test_days_are_marked_and_every_mark_is_explained() -> None:
    """Missing sessions stand on the axis, days that left whole above their bar."""
    table = days().drop(index=[10, 11])
    table.loc[15, "is_session"] = False
    missing = pd.bdate_range("2016-01-18", "2016-01-19")
    figure = draw_chain_days(table, missing, TITLE, note="Source: none.")
    (axes,) = figure.axes
    lines = lines_of(axes)
    assert legend_of(axes) == [
        "kept",
        "quarantined",
        "session that left whole (1)",
        "no session, left whole (1)",
        "no session, yet kept (1)",
        "missing session (2)",
    ]
    assert points_of(lines["missing session (2)"]) == [(day, 0.0) for day in date2num(missing)]
    for label, row in zip(legend_of(axes)[2:5], (5, 7, 15), strict=True):
        ((day, height),) = points_of(lines[label])
        assert day == date2num(table["quote_date"][row])
        assert table["contracts"][row] < height < axes.get_ylim()[1]
    looks = {(line.get_marker(), line.get_markerfacecolor()) for line in lines.values()}
    assert len(looks) == 4
    left = 100.0 * table["quarantined"].sum() / table["contracts"].sum()
    assert figure.get_supxlabel() == (
        f"{table['contracts'].sum():,} contracts on 23 days from 2016-01-04 to 2016-02-05; "
        f"quarantined: {left:.1f} %.\nMissing: 2016-01-18, 2016-01-19.\nSource: none."
    )


def test_days_over_years_are_areas_that_fall_to_zero_where_a_session_is_missing() -> None:
    """Steps hold up to the next date, and of many missing sessions five are named."""
    table = days(750).drop(index=[*range(300, 307)])
    missing = pd.DatetimeIndex(days(750)["quote_date"][300:307])
    figure = draw_chain_days(table, missing, TITLE)
    (axes,) = figure.axes
    lower, upper = (area.get_paths()[0] for area in axes.collections)
    date = date2num(table["quote_date"].to_numpy())
    total = table["contracts"].to_numpy()
    kept = total - table["quarantined"].to_numpy()
    for day, bottom, top in zip(date + 0.5, kept, total, strict=True):
        assert lower.contains_point((day, bottom - 0.5)) == (bottom > 0)
        assert not lower.contains_point((day, bottom + 0.5))
        assert upper.contains_point((day, bottom + 0.5))
        assert upper.contains_point((day, top - 0.5))
        assert not upper.contains_point((day, top + 0.5))
    for day in date2num(missing) + 0.5:
        assert not lower.contains_point((day, 0.5))
    assert not axes.patches
    assert legend_of(axes)[-1] == "missing session (7)"
    assert figure.get_supxlabel().endswith("2017-03-03 and 2 more.")


def test_days_alone_have_an_axis_of_days() -> None:
    """One day has a bar of its own width and no hours beside it."""
    figure = draw_chain_days(days(1), NO_DATES, TITLE)
    (axes,) = figure.axes
    figure.canvas.draw()
    assert [bar.get_height() for bar in axes.patches] == [190, 10]
    low, high = axes.get_xlim()
    assert high - low == pytest.approx(7.0)
    assert not any(":" in label.get_text() for label in axes.get_xticklabels())
    caption = "200 contracts on 2016-01-04; quarantined: 5.0 %."
    assert figure.get_supxlabel() == caption


def test_days_refuse_what_cannot_be_drawn() -> None:
    """No day, numbers that do not fit or are not there, a day twice, a column absent."""
    table = days()
    with pytest.raises(ValueError, match="no days of the chain to draw: give at least one"):
        draw_chain_days(table[:0], NO_DATES, TITLE)
    with pytest.raises(ValueError, match="25 of 25 days of the chain have no numbers that fit"):
        draw_chain_days(table.assign(contracts=np.nan), NO_DATES, TITLE)
    table.loc[3, "quarantined"] = 300
    with pytest.raises(ValueError, match="2016-01-07 with 300 quarantined of 203 contracts"):
        draw_chain_days(table, NO_DATES, TITLE)
    with pytest.raises(ValueError, match=r"1 of 26 dates .* stand there twice"):
        draw_chain_days(pd.concat([days(), days(1)]), NO_DATES, TITLE)
    with pytest.raises(ValueError, match="days lacks column 'quote_date'"):
        draw_chain_days(table.drop(columns="quote_date"), NO_DATES, TITLE)


def test_learning_draws_roots_on_a_log_axis_one_colour_for_each_seed() -> None:
    """Training is dashed, validation solid, and the best epoch is on the solid line."""
    figure = draw_learning(passes()[::-1], TITLE, note="Source: none.")
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    epoch = np.arange(1.0, 7.0)
    for seed, color in zip(range(3), PALETTE, strict=False):
        mine = [line for line in axes.lines if line.get_color() == color]
        drawn = {str(line.get_linestyle()): line for line in mine}
        assert len(mine) == len(drawn) == 3
        best = 0.2 + 0.1 * seed
        assert points_of(drawn["None"]) == [pytest.approx((4.0, best))]
        assert drawn["None"].get_marker() == "o"
        assert np.asarray(drawn["--"].get_ydata()) == pytest.approx(1.0 / epoch)
        expected = best + 0.05 * np.abs(epoch - 4.0)
        assert np.asarray(drawn["-"].get_ydata()) == pytest.approx(expected)
    assert legend_of(axes) == [
        "training",
        "validation",
        "best epoch",
        "seed 0: 0.200, epoch 4",
        "seed 10: 0.300, epoch 4",
        "seed 20: 0.400, epoch 4",
    ]
    assert figure.get_supxlabel().endswith("Source: none.")


def test_learning_leaves_gaps_and_takes_the_first_of_equal_bests() -> None:
    """A pass between two gaps is a point, and a seed without a validation error has no best."""
    table = passes(2).reset_index(drop=True)
    table.loc[:5, "validation_mse"] = [0.25, np.nan, 0.04, np.inf, 0.04, 0.0]
    table.loc[6:, "validation_mse"] = np.nan
    (axes,) = draw_learning(table, TITLE).axes
    lines = lines_of(axes)
    assert legend_of(axes)[3:] == ["seed 0: 0.200, epoch 3", "seed 10: none"]
    drawn = np.asarray(lines["seed 0: 0.200, epoch 3"].get_ydata())
    assert np.isnan(drawn).tolist() == [False, True, False, True, False, True]
    assert lines["seed 0: 0.200, epoch 3"].get_markevery() == [0, 2, 4]
    assert lines["seed 0: 0.200, epoch 3"].get_marker() == "."
    assert len([line for line in axes.lines if line.get_marker() == "o"]) == 1


def test_learning_of_many_seeds_has_as_many_colours() -> None:
    """More seeds than the palette has colours are shaded from dark to light."""
    (axes,) = draw_learning(passes(9), TITLE).axes
    assert len({to_hex(line.get_color()) for line in lines_of(axes).values()}) == 9


def test_learning_of_one_pass_is_two_points_at_a_whole_epoch() -> None:
    """The only tick of the axis is the epoch."""
    figure = draw_learning(passes(1)[:1], TITLE)
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1.0]
    assert legend_of(axes)[3:] == ["seed 0: 0.350, epoch 1"]
    assert sorted(line.get_marker() for line in axes.lines) == [".", ".", "o"]


def test_learning_refuses_what_cannot_be_drawn() -> None:
    """No pass, no error above zero, a pass twice, a column absent."""
    table = passes()
    with pytest.raises(ValueError, match="None of 0 passes has an error"):
        draw_learning(table[:0], TITLE)
    with pytest.raises(ValueError, match=r"None of 18 passes.*lower the learning rate"):
        draw_learning(table.assign(train_mse=np.nan, validation_mse=0.0), TITLE)
    with pytest.raises(ValueError, match="1 of 19 passes stand there twice: give one row"):
        draw_learning(pd.concat([table, table[:1]]), TITLE)
    with pytest.raises(ValueError, match="passes lacks column 'train_mse'"):
        draw_learning(table.drop(columns="train_mse"), TITLE)


def test_forwards_of_the_last_date_are_points_by_root() -> None:
    """Carry and rate are in percent over days, one colour for a root and a marker for each."""
    figure = draw_forwards(forwards()[::-1], TITLE)
    left, _ = figure.axes
    lines = lines_of(left)
    assert legend_of(left) == ["SPX carry", "SPX rate", "SPXW carry", "SPXW rate"]
    drawn = {name: points_of(line) for name, line in lines.items()}
    assert drawn["SPX carry"] == [pytest.approx((40.0, 4.0)), pytest.approx((200.0, 4.0))]
    assert drawn["SPXW carry"] == [pytest.approx((5.0, 3.0)), pytest.approx((90.0, 4.0))]
    assert drawn["SPXW rate"] == [pytest.approx((5.0, 3.0)), pytest.approx((90.0, 3.0))]
    assert [line.get_color() for line in lines.values()] == [*[PALETTE[0]] * 2, *[PALETTE[1]] * 2]
    assert len({line.get_marker() for line in lines.values()}) == 2
    assert left.get_xlabel() == "days to expiry on 2016-01-07"


def test_forwards_have_medians_of_long_expirations_by_date() -> None:
    """What five days imply has no part in them; one of 30 days has."""
    table = forwards()
    table.loc[0, ["time_years", "carry_continuous"]] = [30.0 / 365.0, 0.5]
    _, right = draw_forwards(table, TITLE).axes
    lines = lines_of(right)
    date = date2num(pd.bdate_range("2016-01-04", periods=4))
    expected = list(zip(date, [1.0, 2.0, 3.0, 4.0], strict=True))
    assert points_of(lines["median carry"]) == [pytest.approx(point) for point in expected]
    assert points_of(lines["median rate"]) == [pytest.approx((day, 3.0)) for day in date]
    table.loc[1, "carry_continuous"] = 0.7  # 0.01, 0.5 and 0.7 are left, of which 0.5 is the middle
    _, right = draw_forwards(table, TITLE).axes
    assert points_of(lines_of(right)["median carry"])[0] == pytest.approx((date[0], 50.0))


def test_forwards_with_flags_are_left_out_and_counted() -> None:
    """Neither a panel nor the last date has them, whatever the labels of the rows are."""
    table = forwards().set_axis([0] * 16)
    flag, carry = table["flag"].to_numpy(copy=True), table["carry_continuous"].to_numpy(copy=True)
    flag[12:] = ["few_pairs", "few_pairs", "no_time", "few_pairs"]
    carry[8] = np.nan
    figure = draw_forwards(table.assign(flag=flag, carry_continuous=carry), TITLE, "Source: none.")
    left, right = figure.axes
    assert left.get_xlabel() == "days to expiry on 2016-01-06"
    assert len(lines_of(left)["SPX carry"].get_xdata()) == 1
    assert len(lines_of(right)["median carry"].get_xdata()) == 3
    caption = figure.get_supxlabel()
    assert "Left out: 5 of 16 forwards (3 few_pairs, 1 no_time, 1 not_finite)." in caption
    assert caption.endswith("Source: none.")
    assert "Left out" not in draw_forwards(forwards(), TITLE).get_supxlabel()


def test_forwards_that_are_wild_do_not_set_the_axis() -> None:
    """A carry of 60 % that five days imply is beyond the axis, and said to be."""
    table = forwards()
    table.loc[14, "carry_continuous"] = 0.6
    figure = draw_forwards(table, TITLE)
    assert figure.axes[0].get_ylim()[1] < 10.0
    assert "Values beyond the axis at the left: 1." in figure.get_supxlabel()
    assert "beyond" not in draw_forwards(forwards(), TITLE).get_supxlabel()


def test_forwards_of_one_date_and_of_short_expirations_are_drawn() -> None:
    """One date has medians of one point; without a long expiration there is a word instead."""
    table = forwards(1)
    _, right = draw_forwards(table, TITLE).axes
    assert len(lines_of(right)["median rate"].get_xdata()) == 1
    assert lines_of(right)["median rate"].get_marker() == "^"
    left, right = draw_forwards(table[table["time_years"] < 30.0 / 365.0], TITLE).axes
    assert texts_of(right) == ["no expiration of 30 days\nor more"]
    assert points_of(lines_of(left)["SPXW carry"]) == [pytest.approx((5.0, 0.0))]


def test_forwards_refuse_what_cannot_be_drawn() -> None:
    """No row, no flag that is ok, no number, a column absent."""
    table = forwards()
    for empty in (table[:0], table.assign(flag="few_pairs"), table.assign(rate_continuous=np.inf)):
        with pytest.raises(ValueError, match=f"None of {len(empty)} forwards.*look at the flags"):
            draw_forwards(empty, TITLE)
    with pytest.raises(ValueError, match="forwards lacks column 'flag'"):
        draw_forwards(table.drop(columns="flag"), TITLE)


def draw_wide_map() -> Figure:
    """Draw a map of ten by eight buckets with counts of millions."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {"moneyness": rng.uniform(0.75, 1.25, 4_000), "maturity": rng.uniform(1.0, 400.0, 4_000)}
    )
    table = table.assign(
        moneyness=pd.cut(table["moneyness"], 10), maturity=pd.cut(table["maturity"], 8)
    )
    cells = table.groupby(["moneyness", "maturity"], observed=False).size().reset_index(name="n")
    cells["n"] *= 100_000
    return draw_error_map(cells.assign(mape=rng.gamma(2.0, 20.0, 80)), "mape", TITLE, "%")


@pytest.mark.parametrize(
    "draw",
    [
        draw_wide_map,
        lambda: draw_smiles(smiles(list(np.geomspace(1.7, 931.0, 40)), 60), TITLE),
        lambda: draw_chain_days(days(25), pd.DatetimeIndex(["2016-01-01"]), TITLE),
        lambda: draw_chain_days(days(750), pd.DatetimeIndex(["2016-01-01"]), TITLE),
        lambda: draw_learning(passes(12), TITLE, "A note " * 40),
        lambda: draw_forwards(forwards(300), TITLE),
    ],
    ids=["map", "smiles", "25 days", "750 days", "learning", "forwards"],
)
def test_figures_are_whole_and_readable(draw: Callable[[], Figure]) -> None:
    """Nothing is cut off, and the labels of an axis do not touch each other."""
    assert_nothing_is_cut(draw())


def test_figures_are_deterministic_and_leave_their_surroundings_alone() -> None:
    """The same table gives the same bytes; inputs and pyplot are untouched."""
    numbers, options = plt.get_fignums(), dict(plt.rcParams)
    missing = pd.DatetimeIndex(["2016-02-15"])
    drawings: list[tuple[Callable[[], pd.DataFrame], Callable[[pd.DataFrame], Figure]]] = [
        (errors, lambda table: draw_error_map(table, "mae_price", TITLE, "points")),
        (smiles, lambda table: draw_smiles(table, TITLE)),
        (days, lambda table: draw_chain_days(table, missing, TITLE)),
        (passes, lambda table: draw_learning(table, TITLE)),
        (forwards, lambda table: draw_forwards(table, TITLE)),
    ]
    for make, draw in drawings:
        table = make()
        assert render_png(draw(table)) == render_png(draw(table))
        assert_frame_equal(table, make())
    assert plt.get_fignums() == numbers
    assert dict(plt.rcParams) == options
