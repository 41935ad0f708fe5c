"""Figures of regimes and stress show probabilities, durations and months as the tables say."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.text import Text
from pandas.testing import assert_frame_equal

from tidemark.domain.calendar_figures import draw_stress_calendar
from tidemark.domain.plotting import render_png
from tidemark.domain.regime_figures import REGIME_COLORS, draw_regime_history

NAMES = ("calm", "wild")
TRANSITION = pd.DataFrame([[0.99, 0.01], [0.05, 0.95]])
DURATIONS = pd.Series([100.0, 20.0])
LONG_NAMES = ["expansion with low inflation", "overheating", "recession", "recovery of markets"]


def regimes(n_dates: int = 50, count: int = 2) -> pd.DataFrame:
    """Make probabilities that go from the first regime to the others; unknown on two dates."""
    weight = np.random.default_rng(0).gamma(1.0, size=(n_dates, count))
    table = pd.DataFrame(weight / weight.sum(axis=1, keepdims=True)).add_prefix("p_")
    table.loc[:1, :] = np.nan if n_dates > 3 else 1.0 / count
    return table.assign(date=pd.bdate_range("2020-01-01", periods=n_dates), regime=0)


def spells() -> pd.DataFrame:
    """Make three spells of the first regime and one of the second."""
    return pd.DataFrame({"regime": [0, 1, 0, 0], "n_obs": [10, 7, 20, 60]})


def history(table: pd.DataFrame, **words: object) -> Figure:
    """Draw two regimes."""
    return draw_regime_history(table, spells(), TRANSITION, DURATIONS, NAMES, **words)  # type: ignore[arg-type]


def daily_tags() -> pd.DataFrame:
    """Tag two years of days, of which some months are half or wholly in stress."""
    date = pd.bdate_range("2019-03-01", "2020-12-31")
    stress = (date >= "2020-03-01") & (date < "2020-04-01")
    stress |= (date >= "2019-08-01") & (date <= "2019-08-15")
    table = pd.DataFrame({"date": date, "is_stress": pd.array(stress.astype(int), dtype="Int64")})
    table.loc[table["date"].between("2020-07-01", "2020-07-31"), "is_stress"] = pd.NA
    return table


def texts_of(axes: Axes) -> list[str]:
    """Read what stands in the axes."""
    return [text.get_text() for text in axes.texts]


def mesh_of(axes: Axes) -> np.ma.MaskedArray:
    """Read the values of a grid."""
    (mesh,) = (one for one in axes.collections if isinstance(one, QuadMesh))
    return np.ma.masked_invalid(mesh.get_array())


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


def test_history_areas_are_the_probabilities_on_top_of_each_other() -> None:
    """The first reaches up to p_0, the second up to 1, from the first known date on."""
    table = regimes()
    axes = history(table).axes[0]
    first, second = axes.collections
    known = table.dropna()
    ends = date2num(known["date"].to_numpy())
    for area, top in ((first, known["p_0"].to_numpy()), (second, np.ones(len(known)))):
        points = area.get_paths()[0].vertices
        assert points[:, 0].min() == ends[0]
        highest = [points[points[:, 0] == end, 1].max() for end in ends[1:-1]]
        pairs = np.maximum(top[1:-1], top[:-2])  # a step has both values at its date
        assert highest == pytest.approx(pairs)
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == list(NAMES)
    assert axes.get_ylabel() == "filtered\nprobability (%)"


def test_history_title_names_the_likeliest_regime_of_the_last_known_date() -> None:
    """Dates without probabilities at the end are passed over."""
    table = regimes()
    table.loc[49, ["p_0", "p_1"]] = np.nan
    table.loc[48, ["p_0", "p_1"]] = [0.12, 0.88]
    figure = history(table, subject="S&P 500", note="Source: none.")
    date = table["date"][48]
    assert figure.get_suptitle() == f"S&P 500: wild on {date:%Y-%m-%d}, with probability 88 %"
    assert figure.get_supxlabel().endswith("Source: none.")


def test_history_gaps_between_dates_are_left_open() -> None:
    """A year without dates and a date without values are not filled; each value lasts a date."""
    table = regimes(60).drop(index=range(10, 40))
    table.loc[40:, "date"] += pd.Timedelta(days=365)
    table.loc[50, ["p_0", "p_1"]] = np.nan
    area = history(table).axes[0].collections[0]
    spans = [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in area.get_paths()]
    day = pd.Timedelta(days=1)
    date = table["date"]
    expected = [(date[2], date[9] + day), (date[40], date[50]), (date[51], date[59] + day)]
    assert spans == [tuple(date2num(pair)) for pair in expected]


def test_history_writes_the_transition_matrix_from_rows_to_columns() -> None:
    """Each probability stands in percent where its row and column meet; NaN is hatched."""
    unknown = TRANSITION.copy()
    unknown.iloc[1, 0] = np.nan
    figure = draw_regime_history(regimes(), spells(), unknown, DURATIONS, NAMES)
    axes = figure.axes[1]
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    assert shown == {(0, 0): "99.0", (1, 0): "1.0", (1, 1): "95.0"}
    assert [label.get_text() for label in axes.get_yticklabels()] == list(NAMES)
    assert axes.get_ylabel() == "present regime"
    (hatched,) = (one for one in axes.collections if one.get_hatch())
    assert len(hatched.get_paths()) == 1


def test_history_durations_are_expected_ones_over_means_of_spells() -> None:
    """Of three spells of 10, 20 and 60 dates the mean is 30."""
    axes = history(regimes(), period="sessions").axes[2]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([100.0, 20.0, 30.0, 7.0])
    assert texts_of(axes) == ["100.0", "20.0", "30.0 (3 spells)", "7.0 (1 spells)"]
    assert axes.get_xlabel() == "duration (sessions)"


def test_history_says_which_regimes_never_end_or_were_not_observed() -> None:
    """An infinite duration and a regime without spells have words instead of bars."""
    endless = pd.Series([np.inf, 20.0])
    figure = draw_regime_history(regimes(), spells().iloc[:0], TRANSITION, endless)
    axes = figure.axes[2]
    assert texts_of(axes) == ["no end", "20.0", "not observed", "not observed"]
    assert [bar.get_width() for bar in axes.patches] == [0.0, 20.0, 0.0, 0.0]
    figure.draw_without_rendering()


@pytest.mark.parametrize(("n_dates", "count"), [(1, 1), (2, 2), (900, 4), (50, 6)])
def test_history_is_readable_with_one_regime_or_many(n_dates: int, count: int) -> None:
    """Nothing is cut off, and names across the transition matrix do not touch."""
    names = [*LONG_NAMES, "crisis", "stagflation"][:count]
    transition = pd.DataFrame(np.full((count, count), 1.0 / count))
    durations = pd.Series(np.full(count, count / max(count - 1.0, 1e-9)))
    table = regimes(n_dates, count)
    figure = draw_regime_history(table, spells(), transition, durations, names)
    assert_nothing_is_cut(figure)
    for axis in (figure.axes[1].xaxis, figure.axes[1].yaxis):
        boxes = [Text.get_window_extent(label) for label in axis.get_ticklabels()]
        for number, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[number + 1 :])


def test_history_refuses_what_it_cannot_draw() -> None:
    """No dates, no probabilities, wrong sums, and tables of other regimes."""
    table = regimes()
    with pytest.raises(ValueError, match="no regimes to draw"):
        history(table[:0])
    with pytest.raises(ValueError, match="no column p_0"):
        history(table[["date", "regime"]])
    with pytest.raises(ValueError, match="None of 50 dates has probabilities"):
        history(table.assign(p_0=np.nan))
    with pytest.raises(ValueError, match=r"sums from 1 to 1\.\d+, .*add up to 1 on every date"):
        history(table.assign(p_0=1.0))
    with pytest.raises(ValueError, match=r"the least is -0\.5"):
        history(table.assign(p_0=-0.5, p_1=1.5))
    with pytest.raises(ValueError, match=r"3 regimes have 2 names"):
        history(regimes(20, 3))
    with pytest.raises(ValueError, match=r"shape \(2, 2\) and there are 2 durations"):
        draw_regime_history(regimes(20, 3), spells(), TRANSITION, DURATIONS)
    n_colors = len(REGIME_COLORS)
    with pytest.raises(ValueError, match=f"{n_colors + 1} regimes have 0 names"):
        draw_regime_history(regimes(20, n_colors + 1), spells(), TRANSITION, DURATIONS)


def test_calendar_cells_are_shares_of_the_known_sessions_of_a_month() -> None:
    """March 2020 is wholly in stress, August 2019 half; months without a tag are blank."""
    figure = draw_stress_calendar(daily_tags(), "S&P 500", "Source: none.")
    axes = figure.axes[0]
    cells = mesh_of(axes)
    assert cells.shape == (12, 2)
    assert cells[2, 1] == 100.0
    assert cells[7, 0] == pytest.approx(100.0 * 11 / 22)
    assert cells.mask[:2, 0].all()
    assert cells.mask[6, 1]
    assert cells.sum() == pytest.approx(150.0)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2019", "2020"]
    assert [label.get_text() for label in axes.get_yticklabels()][::11] == ["Jan", "Dec"]
    known = daily_tags().dropna()
    share = 100.0 * 33 / len(known)
    in_2020 = 100.0 * 22 / (known["date"].dt.year == 2020).sum()
    assert figure.get_suptitle() == (
        f"S&P 500: stress in {share:.1f} % of {len(known)} sessions, most in 2020 ({in_2020:.0f} %)"
    )
    note = figure.get_supxlabel()
    assert "left out: 23 of 480 dates" in note
    assert note.endswith("Source: none.")
    assert "sessions (%)" in figure.axes[1].get_ylabel()


def test_calendar_of_months_has_two_shades_and_no_bar() -> None:
    """One tag a month is stress or none; years that tie are counted."""
    date = pd.date_range("1926-07-01", "2018-12-01", freq="MS")
    stress = (date.year == 1931) | (date.year == 1932)
    figure = draw_stress_calendar(pd.DataFrame({"date": date, "is_stress": stress}))
    (axes,) = figure.axes
    cells = mesh_of(axes)
    assert cells.shape == (12, 93)
    assert set(cells.compressed()) == {0.0, 100.0}
    assert cells.mask.sum() == 6
    assert figure.get_suptitle() == (
        "Market: stress in 2.2 % of 1,110 months, most in 1931 and 1 other years (100 %)"
    )
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == [str(year) for year in range(1930, 2020, 10)]
    assert "Dark: stress" in figure.get_supxlabel()
    assert_nothing_is_cut(figure)


@pytest.mark.parametrize("dates", [["2023-05-31"], ["2000-01-03", "2023-05-31"]])
def test_calendar_of_few_dates_is_drawn(dates: list[str]) -> None:
    """A single date is a single cell; a year in between without data is blank."""
    tags = pd.DataFrame({"date": pd.to_datetime(dates), "is_stress": False})
    figure = draw_stress_calendar(tags)
    assert mesh_of(figure.axes[0]).count() == len(dates)
    assert figure.get_suptitle().startswith(f"Market: stress in none of {len(dates)} ")
    assert_nothing_is_cut(figure)


def test_calendar_refuses_what_it_cannot_draw() -> None:
    """No dates, no tag, a date twice."""
    tags = daily_tags()
    with pytest.raises(ValueError, match="no tags of stress to draw"):
        draw_stress_calendar(tags[:0])
    with pytest.raises(ValueError, match="None of 480 dates has a tag of stress"):
        draw_stress_calendar(tags.assign(is_stress=None))
    with pytest.raises(ValueError, match=r"1 of 481 dates .* twice"):
        draw_stress_calendar(pd.concat([tags, tags[:1]]))
    with pytest.raises(ValueError, match="no column is_stress"):
        draw_stress_calendar(tags[["date"]])


@pytest.mark.parametrize(("make", "draw"), [(regimes, history), (daily_tags, draw_stress_calendar)])
def test_regime_figures_are_deterministic_small_and_leave_their_surroundings_alone(
    make: Callable[[], pd.DataFrame], draw: Callable[[pd.DataFrame], Figure]
) -> None:
    """Shuffled rows give the same bytes; inputs and pyplot are untouched."""
    table = make()
    numbers, options = plt.get_fignums(), dict(plt.rcParams)
    first = render_png(draw(table))
    assert first == render_png(draw(table.sample(frac=1.0, random_state=1)))
    assert len(first) < 80_000
    assert_frame_equal(table, make())
    assert plt.get_fignums() == numbers
    assert dict(plt.rcParams) == options
