"""Figures of correlations show what the tables say, with gaps, and refuse what is impossible."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from pandas.testing import assert_frame_equal

from tidemark.domain.calendar_figures import draw_yearly_correlation
from tidemark.domain.correlation_figures import draw_rolling_correlation
from tidemark.domain.matrix_figures import MAX_SERIES, draw_correlation_matrices
from tidemark.domain.plotting import BLUE, VERMILLION, render_png

PAIR = ("SPY", "TLT")
LONG_PAIR = ("SPDR S&P 500 ETF Trust", "iShares 20+ Year Treasury Bond ETF")
MINUS = "\N{MINUS SIGN}"


def rolling(n_dates: int = 60, freq: str = "MS", start: str = "1990-01-01") -> pd.DataFrame:
    """Make a wave of correlations with an interval of 0.1 on both sides."""
    value = 0.6 * np.sin(np.arange(n_dates) / 7.0)
    date = pd.date_range(start, periods=n_dates, freq=freq)
    return pd.DataFrame(
        {"date": date, "correlation": value, "lower": value - 0.1, "upper": value + 0.1}
    )


def regimes_of(table: pd.DataFrame, length: int = 10, count: int = 2) -> pd.DataFrame:
    """Change the regime every so many dates."""
    number = (np.arange(len(table)) // length) % count
    return pd.DataFrame({"date": table["date"], "regime": pd.array(number, dtype="Int64")})


def matrix(count: int, seed: int = 0) -> pd.DataFrame:
    """Make a correlation matrix of random series."""
    names = [f"S{number:02d}" for number in range(count)]
    values = np.random.default_rng(seed).normal(size=(60, count))
    values[:, 1:] += values[:, :1]
    return pd.DataFrame(np.corrcoef(values.T), index=names, columns=names)


def years() -> pd.DataFrame:
    """Make four years, one of them short."""
    return pd.DataFrame(
        {
            "year": [2022, 2019, 2020, 2021],
            "correlation": [0.084, -0.3, -0.45, -0.138],
            "n": [251, 252, 253, 60],
        }
    )


def line_of(axes: Axes) -> tuple[np.ndarray, np.ndarray]:
    """Read the line of correlations, the thinner one of two."""
    (line,) = (
        one
        for one in axes.lines
        if to_hex(one.get_color()) == BLUE.lower() and one.get_linestyle() == "-"
    )
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata(), dtype="float64")


def legend_of(axes: Axes) -> list[str]:
    """Read the entries of the legend."""
    legend = axes.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


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


def test_rolling_draws_every_value_and_breaks_at_nan_and_at_missing_dates() -> None:
    """Values stand at their dates; NaN and twenty months without rows leave the line open."""
    table = rolling()
    table.loc[10:14, ["correlation", "lower", "upper"]] = np.nan
    table = table.drop(index=range(30, 50))
    dates, values = line_of(draw_rolling_correlation(table, None, PAIR, "36-month").axes[0])
    given = pd.Series(values, index=dates)
    expected = table.set_index("date")["correlation"]
    assert given.reindex(expected.index).to_numpy() == pytest.approx(
        expected.to_numpy(), nan_ok=True
    )
    between = given[(given.index > table["date"][29]) & (given.index < table["date"][50])]
    assert len(between) == 1
    assert between.isna().all()
    assert given.isna().sum() == 6


def test_rolling_of_daily_dates_does_not_break_at_weekends_and_holidays() -> None:
    """Four days without sessions are no gap."""
    table = rolling(30, freq="B").drop(index=[5, 6])
    _, values = line_of(draw_rolling_correlation(table, None, PAIR, "60-day").axes[0])
    assert len(values) == 28


def test_rolling_names_the_last_value_that_there_is_and_its_date() -> None:
    """A tail of NaN is passed over; monthly dates are written without a day."""
    table = rolling(40)
    table.loc[38:, ["correlation", "lower", "upper"]] = np.nan
    (axes,) = draw_rolling_correlation(table, None, PAIR, "36-month").axes
    value = f"{table['correlation'][37]:+.2f}".replace("-", MINUS)
    assert [text.get_text() for text in axes.texts] == [f"{value}\n1993-02"]
    (axes,) = draw_rolling_correlation(rolling(40, freq="B"), None, PAIR, "60-day").axes
    assert axes.texts[0].get_text().endswith("\n1990-02-23")


def test_rolling_title_says_where_the_last_value_lies() -> None:
    """The share of other values below it, or that it is the highest or the lowest."""
    table = rolling(5)
    for values, words in (
        ([0.1, 0.2, 0.3, 0.0, 0.25], "is +0.25, above 75 % of the values since 1990"),
        ([0.1, 0.2, 0.3, 0.0, -0.4], f"is {MINUS}0.40, the lowest since 1990"),
        ([0.1, 0.2, 0.3, 0.0, 0.4], "is +0.40, the highest since 1990"),
        ([0.1, 0.2, 0.3, 0.0, 0.05], "is +0.05, below 75 % of the values since 1990"),
        ([0.1, 0.1, 0.1, 0.1, 0.1], "60-day correlation is +0.10"),
    ):
        figure = draw_rolling_correlation(
            table.assign(correlation=values), None, PAIR, "60-day", note="Source: made up."
        )
        assert figure.get_suptitle().startswith("SPY and TLT: 60-day correlation is ")
        assert figure.get_suptitle().endswith(words)
        assert figure.get_supxlabel() == "Source: made up."


@pytest.mark.parametrize(
    ("lower", "words"), [(299, "above 99 %"), (200, "above 67 %"), (100, "below 67 %"), (1, "99 %")]
)
def test_rolling_title_rounds_but_never_to_none_or_all(lower: int, words: str) -> None:
    """One value of 300 on the other side is enough for it to be neither highest nor lowest."""
    values = [0.0] * lower + [0.5] * (300 - lower) + [0.2]
    table = rolling(301).assign(correlation=values)
    title = draw_rolling_correlation(table, None, PAIR, "60-day").get_suptitle()
    assert f"{words} of the values" in title


def test_rolling_averages_are_means_of_the_line_over_their_stretches() -> None:
    """Both ends count; segments stand at the means, and the title gives first and last."""
    table = rolling(120)
    table.loc[3, "correlation"] = np.nan
    stretches = [
        ("1990-01-01", "1991-12-31", "early"),
        ("1992-01-01", "1994-12-01", "middle"),
        (pd.Timestamp("1995-01-01"), pd.Timestamp("2005-01-01"), "late"),
    ]
    figure = draw_rolling_correlation(table, None, PAIR, "36-month", averages=stretches)
    (axes,) = figure.axes
    value = table["correlation"]
    means = [value[:24].mean(), value[24:60].mean(), value[60:].mean()]
    segments = [
        one.get_segments()[0]
        for one in axes.collections
        if hasattr(one, "get_segments") and len(one.get_segments()) == 1
    ]
    assert [segment[0][1] for segment in segments] == pytest.approx(means)
    last = date2num(table["date"].iloc[-1])
    assert segments[2][1][0] == pytest.approx(last)  # not beyond the line
    words = [f"{mean:+.2f}".replace("-", MINUS) for mean in means]
    named = [text.get_text() for text in axes.texts]
    assert named[:3] == [
        f"{name}: {word}" for name, word in zip(("early", "middle", "late"), words, strict=True)
    ]
    assert figure.get_suptitle().endswith(f"on average {words[0]} (early) and {words[2]} (late)")
    assert "Averages: means of the line." in figure.get_supxlabel()


def test_rolling_shades_each_regime_over_its_dates() -> None:
    """A regime lasts up to the first date of the next; unknown ones and gaps are not shaded."""
    table = rolling(40)
    regimes = regimes_of(table)
    regimes.loc[5:7, "regime"] = pd.NA
    (axes,) = draw_rolling_correlation(table, regimes, PAIR, "36-month", ("calm", "wild")).axes
    assert legend_of(axes) == [
        "95 % interval",
        "calm (46 % of dates)",
        "wild (54 % of dates)",
    ]  # 17 and 20 of 37
    calm, wild = (one for one in axes.collections if str(one.get_label())[:4] in ("calm", "wild"))
    edges = [sorted({x for x, _ in path.vertices}) for path in calm.get_paths()]
    dates = date2num(table["date"].to_numpy())
    expected = [(dates[0], dates[5]), (dates[8], dates[10]), (dates[20], dates[30])]
    assert np.array(edges) == pytest.approx(np.array(expected))
    assert len(wild.get_paths()) == 2
    assert max(one.get_zorder() for one in (calm, wild)) < axes.lines[0].get_zorder()


def test_rolling_of_regimes_outside_its_dates_counts_those_inside() -> None:
    """A regime that began before the line and still holds is shaded; later ones are not."""
    table = rolling(24, start="1992-01-15")
    regimes = pd.DataFrame(
        {"date": pd.to_datetime(["1980-01-01", "1991-06-01", "1999-01-01"]), "regime": [0, 1, 2]}
    )
    (axes,) = draw_rolling_correlation(table, regimes, PAIR, "36-month").axes
    assert legend_of(axes) == ["95 % interval", "regime 1 (100 % of dates)"]


def test_rolling_zero_line_is_bolder_than_the_correlation() -> None:
    """The line at zero is the widest one."""
    (axes,) = draw_rolling_correlation(rolling(), None, PAIR, "36-month").axes
    zero = max(axes.lines, key=lambda line: line.get_linewidth())
    assert list(zero.get_ydata()) == [0.0, 0.0]
    assert axes.get_ylim() == (-1.0, 1.0)


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("n_dates", [1, 2, 1100])
def test_rolling_is_readable_with_few_and_many_dates(n_dates: int, count: int) -> None:
    """Nothing is cut off, with long names and several regimes, down to a single date."""
    table = rolling(n_dates, start="1926-07-01")
    names = ["expansion with low inflation", "overheating", "recession", "recovery of markets"]
    figure = draw_rolling_correlation(
        table,
        regimes_of(table, 50, count),
        LONG_PAIR,
        "36-month",
        [*names, "crisis", "stagflation"],
        note="Source: a very long note about where the data are from. " * 6,
    )
    assert_nothing_is_cut(figure)
    assert len(legend_of(figure.axes[0])) == 1 + min(count, -(-n_dates // 50))


def test_rolling_refuses_what_it_cannot_draw() -> None:
    """Each message gives what was found and what to do."""
    table = rolling(24)
    empty = table.assign(correlation=np.nan)

    def draw(given: pd.DataFrame, regimes: pd.DataFrame | None = None, **words: object) -> None:
        draw_rolling_correlation(given, regimes, PAIR, "60-day", **words)  # type: ignore[arg-type]

    with pytest.raises(ValueError, match=r"None of 24 dates has a correlation.*shorter window"):
        draw(empty)
    with pytest.raises(ValueError, match="no correlations to draw: give at least one date"):
        draw(table[:0])
    with pytest.raises(ValueError, match="no column lower, upper"):
        draw(table[["date", "correlation"]])
    with pytest.raises(ValueError, match=r"1 of 25 dates .* twice"):
        draw(pd.concat([table, table[:1]]))
    with pytest.raises(ValueError, match=r"from -0\.2585 to 1\.8: they must be from -1 to 1"):
        draw(table.assign(correlation=3.0 * table["correlation"]))
    with pytest.raises(ValueError, match=r"stretch 'war'.*between 1990-01-01 and 1991-12-01"):
        draw(table, averages=[("1941-01-01", "1945-01-01", "war")])
    with pytest.raises(ValueError, match="2 regimes have 1 names"):
        draw(table, regimes_of(table), regime_names=["calm"])
    with pytest.raises(ValueError, match="12 regimes have 0 names and 6 colours"):
        draw(table, regimes_of(table, 2, 12))
    with pytest.raises(ValueError, match="Regimes run from -1 to 0: number them 0, 1"):
        draw(table, regimes_of(table).assign(regime=[-1, 0] * 12))


def test_matrices_write_the_pairs_before_left_and_now_right() -> None:
    """Each pair stands once, below the diagonal, with its value; names on both sides."""
    now, before = matrix(4, 1), matrix(4, 2)
    figure = draw_correlation_matrices(now, before, "2022", "2015 to 2021", "Source: none.")
    left, right = figure.axes[:2]
    for axes, table, label in ((left, before, "2015 to 2021"), (right, now, "2022")):
        assert axes.get_title("left") == label
        shown = {text.get_position(): text.get_text() for text in axes.texts}
        assert shown == {
            (j, i - 1): f"{table.iloc[i, j]:z.2f}".replace("-", MINUS)
            for i in range(4)
            for j in range(i)
        }
        assert [text.get_text() for text in axes.get_xticklabels()] == ["S00", "S01", "S02"]
    assert [text.get_text() for text in left.get_yticklabels()] == ["S01", "S02", "S03"]
    means = [table.to_numpy()[np.tril_indices(4, -1)].mean() for table in (before, now)]
    first, second = (f"{mean:+.2f}".replace("-", MINUS) for mean in means)
    assert figure.get_suptitle().replace("\n", " ") == (
        f"Correlations of 4 series: on average {first} (2015 to 2021) and {second} (2022)"
    )
    assert "Hatched" not in figure.get_supxlabel()


def test_matrices_find_the_pair_that_changed_the_most() -> None:
    """One pair is turned over, and the note says so."""
    before = matrix(5)
    now = before.copy()
    now.loc["S01", "S03"] = now.loc["S03", "S01"] = -0.9
    note = draw_correlation_matrices(now, before, "now", "then").get_supxlabel()
    old = f"{before.loc['S01', 'S03']:+.2f}"
    assert note.startswith(f"Largest change: S01 and S03, from {old} to {MINUS}0.90.")
    assert "10 pairs with both values" in note.replace("\n", " ")


@pytest.mark.parametrize("before", [matrix(3) * np.nan, pd.DataFrame()])
def test_matrices_without_values_before_are_drawn(before: pd.DataFrame) -> None:
    """The title gives the average that there is."""
    now = matrix(3)
    figure = draw_correlation_matrices(now, before, "2022", "2002")
    mean = now.to_numpy()[np.tril_indices(3, -1)].mean()
    assert figure.get_suptitle() == f"Correlations of 3 series: on average {mean:+.2f} (2022)"
    assert figure.get_supxlabel().startswith("No pair has a value in both.")


def test_matrices_colours_diverge_from_zero_over_the_same_range() -> None:
    """Both have limits -1 and 1, zero is nearly white, and one bar stands for both."""
    figure = draw_correlation_matrices(matrix(3), matrix(3, 1), "now", "then")
    assert len(figure.axes) == 3
    for axes in figure.axes[:2]:
        (mesh,) = (one for one in axes.collections if one.get_array() is not None)
        assert mesh.get_clim() == (-1.0, 1.0)
        assert min(mesh.to_rgba(0.0)[:3]) > 0.95
        assert to_hex(mesh.to_rgba(1.0)) == BLUE.lower()
        assert to_hex(mesh.to_rgba(-1.0)) == VERMILLION.lower()


def test_matrices_hatch_pairs_without_a_value_and_series_of_one_matrix_alone() -> None:
    """A series that is new has no values before, and the averages leave it out."""
    now, before = matrix(5), matrix(5).iloc[:4, :4]
    now.loc["S00", "S01"] = now.loc["S01", "S00"] = np.nan
    figure = draw_correlation_matrices(now, before, "now", "then")
    for axes, count in zip(figure.axes[:2], (4, 1), strict=True):
        (hatched,) = (one for one in axes.collections if one.get_hatch())
        assert len(hatched.get_paths()) == count
    note = figure.get_supxlabel().replace("\n", " ")
    assert "Hatched: no value." in note
    assert "Averages: 5 pairs with both values." in note


@pytest.mark.parametrize("count", [2, 15, 16, MAX_SERIES])
def test_matrices_are_readable_up_to_the_most_series(count: int) -> None:
    """Nothing is cut, long names do not touch each other, and many values are left out."""
    names = dict.fromkeys(matrix(count).index)
    names = {name: f"{name}, 10-year Treasury notes" for name in names}
    shown = [matrix(count, seed).rename(index=names, columns=names) for seed in (0, 1)]
    figure = draw_correlation_matrices(*shown, "now", "then")
    assert_nothing_is_cut(figure)
    assert len(figure.axes[0].texts) == (count * (count - 1) / 2 if count <= 15 else 0)
    labels = [Text.get_window_extent(one) for one in figure.axes[0].get_yticklabels()]
    assert all(below.y1 <= above.y0 + 1 for above, below in pairwise(labels))
    labels = [Text.get_window_extent(one) for one in figure.axes[0].get_xticklabels()]
    assert all(left.x1 <= right.x0 + 1 for left, right in pairwise(labels))


def test_matrices_refuse_what_they_cannot_draw() -> None:
    """Too few or many series, no value, none in both, asymmetry, and numbers beyond 1."""
    good, crooked, empty = matrix(3), matrix(3), matrix(3)
    crooked.iloc[0, 1] = 0.9
    empty.iloc[:, :] = np.nan
    with pytest.raises(ValueError, match=f"1 series .* choose 2 to {MAX_SERIES}"):
        draw_correlation_matrices(matrix(2).iloc[:1, :1], matrix(2).iloc[:1, :1], "a", "b")
    with pytest.raises(ValueError, match=f"{MAX_SERIES + 1} series"):
        draw_correlation_matrices(matrix(MAX_SERIES + 1), good, "a", "b")
    with pytest.raises(ValueError, match=r"S00 and S01 is 0\.9 one way .* symmetric"):
        draw_correlation_matrices(crooked, good, "a", "b")
    with pytest.raises(ValueError, match="None of the pairs has a correlation"):
        draw_correlation_matrices(empty, empty, "a", "b")
    with pytest.raises(ValueError, match="must be from -1 to 1"):
        draw_correlation_matrices(3.0 * good, good, "a", "b")


def test_yearly_bars_have_their_height_and_the_colour_of_their_sign() -> None:
    """Years are put in order; those with few returns are pale; values are written."""
    figure = draw_yearly_correlation(years(), PAIR, "Source: none.")
    (axes,) = figure.axes
    bars = {
        round(bar.get_x() + bar.get_width() / 2): bar
        for bar in axes.patches
        if isinstance(bar, Rectangle)
    }
    assert {year: round(bar.get_height(), 3) for year, bar in bars.items()} == {
        2019: -0.3,
        2020: -0.45,
        2021: -0.138,
        2022: 0.084,
    }
    assert to_hex(bars[2022].get_facecolor()) == BLUE.lower()
    assert to_hex(bars[2019].get_facecolor()) == VERMILLION.lower()
    assert [bars[year].get_facecolor()[3] < 1.0 for year in range(2019, 2023)] == [
        False,
        False,
        True,
        False,
    ]
    assert [text.get_text() for text in axes.texts] == [
        f"{MINUS}0.30",
        f"{MINUS}0.45",
        f"{MINUS}0.14",
        "0.08",
    ]
    assert (
        figure.get_suptitle() == "SPY and TLT: correlation negative in 3 of 4 years, +0.08 in 2022"
    )
    assert "Pale" in figure.get_supxlabel()
    assert not legend_of(axes)


def test_yearly_intervals_are_drawn_where_there_are_any() -> None:
    """Ends stand where the table says, and values beyond them; NaN has no interval."""
    table = years().assign(lower=[-0.04, np.nan, -0.54, -0.37], upper=[0.2, np.nan, -0.35, 0.12])
    (axes,) = draw_yearly_correlation(table, PAIR).axes
    assert legend_of(axes) == ["95 % interval"]
    (bars,) = (one for one in axes.collections if hasattr(one, "get_segments"))
    ends = {round(segment[0][0]): tuple(segment[:, 1]) for segment in bars.get_segments()}
    assert ends[2022] == pytest.approx((-0.04, 0.2))
    assert ends[2020] == pytest.approx((-0.54, -0.35))
    assert ends[2019] == pytest.approx((-0.3, -0.3))
    heights = {round(text.get_position()[0]): text.get_position()[1] for text in axes.texts}
    assert heights[2022] > 0.2
    assert heights[2021] < -0.37


@pytest.mark.parametrize("n_years", [1, 22, 93])
def test_yearly_is_readable_with_few_and_many_years(n_years: int) -> None:
    """Values are written up to 22 years; labels of years are round and few."""
    value = np.linspace(-0.9, 0.9, n_years)
    year = np.arange(1926, 1926 + n_years)
    figure = draw_yearly_correlation(
        pd.DataFrame({"year": year, "correlation": value, "n": 12}), LONG_PAIR
    )
    assert_nothing_is_cut(figure)
    assert len(figure.axes[0].texts) == (n_years if n_years <= 22 else 0)
    ticks = figure.axes[0].get_xticks()
    assert 1 <= len(ticks) <= 14
    assert n_years == 1 or not (ticks % 2).any()


def test_yearly_leaves_out_years_without_a_value_and_refuses_none() -> None:
    """NaN is a gap; all NaN, a year twice and impossible values are errors."""
    table = years()
    table.loc[0, "correlation"] = np.nan
    assert draw_yearly_correlation(table, PAIR).get_suptitle().endswith(f"{MINUS}0.14 in 2021")
    with pytest.raises(ValueError, match=r"None of 4 years has a correlation.*more returns"):
        draw_yearly_correlation(table.assign(correlation=np.nan), PAIR)
    with pytest.raises(ValueError, match="None of 0 years"):
        draw_yearly_correlation(table[:0], PAIR)
    with pytest.raises(ValueError, match="A year stands twice"):
        draw_yearly_correlation(pd.concat([years(), years()[:1]]), PAIR)
    with pytest.raises(ValueError, match="must be from -1 to 1"):
        draw_yearly_correlation(table.assign(correlation=2.0), PAIR)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rows: draw_rolling_correlation(rows, regimes_of(rolling()), PAIR, "36-month"),
        lambda _: draw_correlation_matrices(matrix(6), matrix(6, 1), "now", "then"),
        lambda _: draw_yearly_correlation(years(), PAIR),
    ],
)
def test_correlation_figures_are_deterministic_small_and_leave_their_surroundings_alone(
    draw: Callable[[pd.DataFrame], Figure],
) -> None:
    """Shuffled rows give the same bytes; inputs and pyplot are untouched."""
    table = rolling()
    numbers, options = plt.get_fignums(), dict(plt.rcParams)
    first = render_png(draw(table))
    assert first == render_png(draw(table.sample(frac=1.0, random_state=1)))
    assert len(first) < 80_000
    assert_frame_equal(table, rolling())
    assert plt.get_fignums() == numbers
    assert dict(plt.rcParams) == options
