"""What figures show of the cells of a study: one metric of each, in the unit that is shown."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.plotting import Quantity
from tidemark.domain.scoring import UNDONE


@dataclass(frozen=True)
class Metric:
    """What a metric is called, its unit, and its value without skill (errors have none).

    Below its floor, in that unit, it matters no more how bad a value is.
    """

    words: str
    unit: str = ""  # empty for errors, which are in a power of the target's unit
    power: int = 0
    neutral: float | None = None
    floor: float = -math.inf

    @property
    def hint(self) -> str:
        """Which way is better."""
        return "smaller is better" if self.neutral is None else "larger is better"

    def scale_and_unit(self, quantity: Quantity) -> tuple[float, str]:
        """Say what stored values are multiplied with, and the unit that they are in then."""
        if self.power:
            unit = quantity.unit if self.power == 1 else quantity.squared_unit
            return float(quantity.scale**self.power), unit
        return 100.0 if self.unit == "%" else 1.0, self.unit


def _define_r2(words: str) -> Metric:
    # At the floor the squared errors are twice the reference's.
    return Metric(words, "%", neutral=0.0, floor=-100.0)


_METRICS = {
    "mae": Metric("mean absolute error", power=1),
    "mse": Metric("mean squared error", power=2),
    "rmse": Metric("root mean squared error", power=1),
    "r2": _define_r2("R2 against the mean of the same rows"),
    "r2_oos_zero": _define_r2("out-of-sample R2 against zero"),
    "r2_oos_mean": _define_r2("out-of-sample R2 against the mean of the past"),
    "r2_oos_surface": _define_r2("R2 against yesterday's surface"),
    "hit_rate": Metric("hit rate of the sign", "%", neutral=50.0),
    "auc": Metric("area under the ROC curve", "0 to 1", neutral=0.5),
    "ic": Metric("information coefficient", "from \N{MINUS SIGN}1 to 1", neutral=0.0),
    "rank_ic": Metric("rank information coefficient", "from \N{MINUS SIGN}1 to 1", neutral=0.0),
    "log_score_gain": Metric(
        "gain in log score over a single regime", "nats an observation", neutral=0.0
    ),
}

METRIC_LABELS: dict[str, str] = {name: metric.words for name, metric in _METRICS.items()}
"""What metrics are called; those in `PERCENT_METRICS` are shown in percent."""

PERCENT_METRICS = frozenset(name for name, metric in _METRICS.items() if metric.unit == "%")


@dataclass(frozen=True)
class ChartCell:
    """A cell with one metric in the unit that is shown; NaN if it has no value."""

    scenario: str
    model: str
    status: str
    is_baseline: bool
    in_confidence_set: bool
    value: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """The name of the cell."""
        return f"{self.scenario}.{self.model}"

    @property
    def star(self) -> str:
        """What marks a cell in which a simpler model stands in."""
        return " *" if self.status == "fallback" else ""

    @property
    def has_value(self) -> bool:
        """Whether there is something to draw."""
        return math.isfinite(self.value)

    @property
    def excuse(self) -> str:
        """Why there is not."""
        return self.status if self.status in UNDONE else "not defined"


@dataclass(frozen=True)
class ChartCells:
    """The cells of a study with one metric; those without a value stand apart."""

    valued: tuple[ChartCell, ...]
    without: tuple[ChartCell, ...]
    metric: Metric
    unit: str

    @property
    def every(self) -> tuple[ChartCell, ...]:
        """All cells, those with a value first."""
        return self.valued + self.without

    @property
    def numbers(self) -> np.ndarray:
        """The values, best first."""
        return np.array([cell.value for cell in self.valued])

    @property
    def title(self) -> str:
        """The metric's words, to begin a title with."""
        return self.metric.words[0].upper() + self.metric.words[1:]

    @property
    def fallback_note(self) -> str:
        """What the star means, if a cell has one."""
        fallbacks = any(cell.star for cell in self.every)
        return "* a simpler model stands in for one that could not be fitted." * fallbacks


def read_cells(table: pd.DataFrame, name: str, quantity: Quantity) -> ChartCells:
    """Read one metric of every cell, best first.

    Parameters
    ----------
    table : DataFrame
        One row for each cell: ``scenario, model, status, is_baseline``, perhaps
        ``in_confidence_set``; the metric, perhaps with its ``_low`` and ``_high``.
    name : str
        One of ``METRIC_LABELS``.
    quantity : Quantity
        What is predicted, and the unit of its errors.

    Raises
    ------
    ValueError
        If no cell has a value, one stands there twice, or the metric is unknown.
    """
    if name not in _METRICS:
        raise ValueError(f"There is no metric '{name}' to draw: use one of {', '.join(_METRICS)}.")
    metric = _METRICS[name]
    scale, unit = metric.scale_and_unit(quantity)
    cells = [_read_cell(row, name, scale) for row in table.to_dict(orient="records")]
    repeated = sorted(cell for cell, count in Counter(c.name for c in cells).items() if count > 1)
    if repeated:
        raise ValueError(f"Cells stand twice in the table: {', '.join(repeated[:5])}. Drop one.")
    valued = [cell for cell in cells if cell.has_value]
    without = [cell for cell in cells if not cell.has_value]
    if not valued:
        raise ValueError(
            f"None of {len(cells)} cells has a value of '{name}', so there is nothing to draw: "
            "at least one must not have failed."
        )
    sign = 1.0 if metric.neutral is None else -1.0
    valued.sort(key=lambda cell: (sign * cell.value, cell.name))
    without.sort(key=lambda cell: cell.name)
    return ChartCells(tuple(valued), tuple(without), metric, unit)


def _read_cell(row: Mapping[Hashable, Any], name: str, scale: float) -> ChartCell:
    is_usable = row["status"] not in UNDONE and math.isfinite(row[name])
    value, low, high = (
        scale * float(row.get(f"{name}{end}", math.nan)) if is_usable else math.nan
        for end in ("", "_low", "_high")
    )
    return ChartCell(
        scenario=row["scenario"],
        model=row["model"],
        status=row["status"],
        is_baseline=_is_true(row["is_baseline"]),
        in_confidence_set=is_usable and _is_true(row.get("in_confidence_set")),
        value=value,
        low=low,
        high=high,
    )


def _is_true(flag: Any) -> bool:
    """Read a flag that may be missing, for cells that a test did not look at."""
    return not pd.isna(flag) and bool(flag)
