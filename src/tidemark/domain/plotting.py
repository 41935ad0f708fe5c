"""What figures share: quantities with units, one look, limits that outliers do not set, and PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The palette of Okabe and Ito (2008), Color Universal Design, without its black and its yellow,
# which is too light for lines on white.
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
PALETTE = (BLUE, VERMILLION, GREEN, "#CC79A7", "#E69F00", "#56B4E9")
INK, GREY, PALE = "#222222", "#6E6E6E", "#D9D9D9"

WIDTH, HEIGHT, DPI = 7.0, 4.5, 120
TITLE_SIZE, LABEL_SIZE, TEXT_SIZE = 12.0, 11.0, 10.0

Limits = tuple[float, float]

_COLOURS = 128
_COVERED = 0.995  # share of the values that limits show
_REACH = 3.0  # how far from the middle of the values wild ones begin, in widths of the middle


@dataclass(frozen=True)
class Quantity:
    """What a study forecasts, and how people read it.

    Parameters
    ----------
    name : str
        As in the label of an axis: "return", "price over strike".
    unit : str
        The unit that is shown.
    scale : float
        Times this, stored values are in the unit: 100 for fractions that are shown in percent.
    """

    name: str
    unit: str
    scale: float

    def label(self, role: str) -> str:
        """Label an axis: ``"true return (%)"`` for the role "true"."""
        return f"{role} {self.name} ({self.unit})"

    @property
    def squared_unit(self) -> str:
        """The unit of squared errors."""
        return f"squared {self.unit}" if " " in self.unit else f"{self.unit}²"


TARGET = Quantity("target", "unit of the target", 1.0)
"""The quantity of a study that does not name its own."""


def new_figure(
    title: str, width: float = WIDTH, height: float = HEIGHT, columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """Start a figure with a title and one row of axes, unknown to pyplot.

    Parameters
    ----------
    title : str
        Stands over the whole figure, from its left edge.
    width, height : float
        In inches.
    columns : int
        Number of axes side by side.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(wspace=0.06)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout=layout)
    figure.suptitle(title, x=0.012, ha="left", fontsize=TITLE_SIZE, color=INK)
    row = list(figure.subplots(1, columns, squeeze=False)[0])
    for axes in row:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["bottom", "left"]].set_color(GREY)
        axes.tick_params(labelsize=TEXT_SIZE, color=GREY, labelcolor=INK)
        axes.grid(color=PALE, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, row


def name_axes(axes: Axes, across: str, up: str) -> None:
    """Label both axes."""
    axes.set_xlabel(across, fontsize=LABEL_SIZE, color=INK)
    axes.set_ylabel(up, fontsize=LABEL_SIZE, color=INK)


def add_caption(figure: Figure, *notes: str) -> None:
    """Write notes under a figure, one on each line; empty ones are left out."""
    text = "\n".join(note for note in notes if note)
    figure.supxlabel(text, x=0.012, ha="left", fontsize=TEXT_SIZE, color=GREY)


def add_legend(axes: Axes, n_columns: int | None = None) -> None:
    """Add a legend above the axes at the right, where it covers nothing.

    It stands in one line, or in so many columns.
    """
    handles, _ = axes.get_legend_handles_labels()
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=n_columns or len(handles),
        fontsize=TEXT_SIZE,
        labelcolor=INK,
        frameon=False,
        borderaxespad=0.2,
        borderpad=0.0,
        columnspacing=1.2,
        handlelength=1.6,
    )


def find_fences(values: np.ndarray, middle: float = 0.8) -> Limits:
    """Find limits beyond which a value is wild: three widths of the middle values away from them.

    Few values are hardly ever called wild. Where the middle has no width there are no wild
    values, and the fences are the least and the largest.

    Parameters
    ----------
    values : ndarray of float, shape (values,)
        Finite, at least one.
    middle : float
        Share of the values that counts as the middle; 0.5 gives Tukey's outer fences.

    References
    ----------
    Tukey, J. W. (1977), Exploratory Data Analysis, Addison-Wesley, section 2D.
    """
    tail = (1.0 - middle) / 2.0
    low = float(np.quantile(values, tail, method="higher"))
    high = float(np.quantile(values, 1.0 - tail, method="lower"))
    reach = _REACH * (high - low)
    if reach <= 0.0:
        return float(values.min()), float(values.max())
    return low - reach, high + reach


def robust_limits(values: np.ndarray) -> Limits:
    """Choose limits that show nearly all values, however far away the others are.

    They span the middle 99.5 % of the values, as far as these are not wild. Limits of equal
    values are equal. Takes what `find_fences` takes.
    """
    tail = (1.0 - _COVERED) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    fences = find_fences(values)
    return max(float(low), fences[0]), min(float(high), fences[1])


def widen(limits: Limits, least: float, share: float = 0.05) -> Limits:
    """Add air on both sides of limits, and keep them apart.

    Parameters
    ----------
    limits : tuple of float
        From `robust_limits`.
    least : float
        What is added on each side if the limits are equal, up to rounding; positive.
    share : float
        What is added on each side, as a share of the distance.
    """
    low, high = limits
    distance = high - low
    if distance <= 1e-9 * max(abs(low), abs(high)):
        return low - least, high + least
    return low - share * distance, high + share * distance


def is_within(values: np.ndarray, limits: Limits) -> np.ndarray:
    """Tell for each value whether limits show it; shape as `values`, bool."""
    inside: np.ndarray = (values >= limits[0]) & (values <= limits[1])
    return inside


def use_dates(axes: Axes) -> None:
    """Give the x-axis few and short dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def label_ends(axes: Axes, across: Sequence[Any], up: np.ndarray, texts: Sequence[str]) -> None:
    """Write texts of two lines at the right of the ends of lines, none upon another.

    Parameters
    ----------
    axes : Axes
        Their limits must stand.
    across, up : sequence and ndarray, shape (lines,)
        The last point of each line; a point beyond the limits is labelled from the edge.
    texts : sequence of str
        In the order of the lines, which have the colours of `PALETTE`.
    """
    low, high = axes.get_ylim()
    ends = np.clip(up, low, high)
    gap = 0.125  # of the axes' height: two lines of text
    heights = np.clip((ends - low) / (high - low), gap / 2.0, 1.0 - gap / 2.0)
    order = np.argsort(up, kind="stable")  # also of ends that the limits cut to one height
    places = np.empty(len(up))
    places[order] = spread_apart(heights[order], gap)
    for x, y, place, text, color in zip(across, ends, places, texts, PALETTE, strict=False):
        axes.annotate(
            text,
            xy=(x, y),
            xytext=(1.04, place),
            textcoords="axes fraction",
            va="center",
            fontsize=TEXT_SIZE,
            color=color,
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.8, "shrinkA": 0.0},
        )


def format_like(values: np.ndarray) -> str:
    """Choose a format whose digits tell values apart: three significant ones of their range.

    Parameters
    ----------
    values : ndarray of float, shape (values,)
        Finite, at least one; wild ones do not count.

    Returns
    -------
    str
        For `write_number`: ``"z.5f"`` for values between 1.831 and 1.836.
    """
    low, high = find_fences(values, middle=0.5)
    usual = values[(values >= low) & (values <= high)]
    size = float(np.ptp(usual)) or float(np.abs(usual).max()) or 1.0
    return f"z.{int(np.clip(2 - np.floor(np.log10(size)), 2, 12))}f"


def spread_apart(heights: np.ndarray, gap: float) -> np.ndarray:
    """Move heights of labels between 0 and 1 apart, as little as their order allows.

    Parameters
    ----------
    heights : ndarray of float, shape (labels,)
        Where labels belong, between 0 and 1.
    gap : float
        Least distance of two labels; all must fit between 0 and 1.

    Returns
    -------
    ndarray of float, shape (labels,)
        In the order of `heights`, none below another that belongs below it.
    """
    order = np.argsort(heights, kind="stable")
    steps = gap * np.arange(len(heights))
    # Less its step, a height may equal the one below but not lie under it. The mean of the two
    # extreme solutions, pushed up only and pushed down only, keeps crowded labels centred.
    bare = heights[order] - steps
    up = np.maximum.accumulate(bare)
    down = np.minimum.accumulate(bare[::-1])[::-1]
    placed = np.empty(len(heights))
    placed[order] = np.clip((up + down) / 2.0, 0.0, 1.0 - steps[-1]) + steps
    return placed


def write_number(value: float, form: str) -> str:
    """Write a number in a format, with the minus sign that axes have."""
    return format(value, form).replace("-", "\N{MINUS SIGN}")


def render_png(figure: Figure) -> bytes:
    """Render a figure as PNG, without a date or a version: the same figure gives the same bytes.

    Colours are reduced to a palette, which takes a third of the space and cannot be seen.
    """
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, format="rgba", dpi=figure.dpi)
    size = figure.canvas.get_width_height()  # in whole points, as they are drawn
    picture = Image.frombytes("RGBA", size, drawn.getvalue()).convert("RGB")
    buffer = io.BytesIO()
    reduced = picture.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    reduced.save(buffer, format="png", compress_level=6)
    return buffer.getvalue()
