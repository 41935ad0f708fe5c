"""The scores that forecasts are judged by: their losses, what tables show of them, their words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from tidemark.domain.figures import CELL_FIGURES
from tidemark.domain.metrics import METRICS, T_STATISTICS
from tidemark.domain.plotting import Quantity

ScoreName = Literal["squared_error", "log_score"]
R2Name = Literal["r2_oos_zero", "r2_oos_mean", "r2_oos_surface"]
MetricName = Literal[
    "mae",
    "mse",
    "rmse",
    "r2",
    "r2_oos_zero",
    "r2_oos_mean",
    "r2_oos_surface",
    "hit_rate",
    "auc",
    "ic",
    "rank_ic",
]


@dataclass(frozen=True)
class Headline:
    """The metric that says how much better than nothing a cell is; larger is better.

    ``name`` and ``against`` together are its words: "out-of-sample R2", " against a forecast of
    zero". Stored values times ``scale`` are in ``unit``, and are written with ``digits``.
    ``reference`` is the model that has none of it by definition, if that is a cell. An R2 is one
    minus squared errors over ``squares``, a column of the sums by date, in words ``square_words``.
    """

    metric: str
    name: str
    against: str
    short: str
    scale: float
    unit: str
    digits: int
    reference: str | None = None
    squares: str = ""
    square_words: str = ""


@dataclass(frozen=True)
class Score:
    """How the cells of a comparison group are judged.

    Attributes
    ----------
    name : str
        In outcomes and tables.
    forecast_column : str
        The column of a table of predictions that holds what the cell says; others are given.
    loss_column : str
        The column of a table of sums by date that holds the losses; smaller is better.
    metrics, statistics : tuple of str
        What tables hold of a cell: with intervals, and without.
    measure, measure_words : str
        The metric that people read in place of the mean loss, and what it is called.
    headline : Headline
        How much better than nothing a cell is.
    first : str
        What the best model has: "smallest error".
    loss_words : str
        The loss of one date.
    is_squared : bool
        Whether losses are in the square of the target's unit, and so never negative. Others are
        in nats, of which no share means anything.
    has_nested_test : bool
        Whether the test of Clark and West applies.
    cell_figures : tuple of str
        What is drawn of a cell that is fitted.
    """

    name: ScoreName
    forecast_column: str
    loss_column: str
    metrics: tuple[str, ...]
    statistics: tuple[str, ...]
    measure: str
    measure_words: str
    headline: Headline
    first: str
    loss_words: str
    is_squared: bool
    has_nested_test: bool
    cell_figures: tuple[str, ...]

    def mean_loss(self, metrics: Mapping[str, float | None]) -> float | None:
        """Read the mean loss out of a cell's metrics; None for a cell without any."""
        if self.is_squared:
            return metrics.get("mse")
        log_score = metrics.get("log_score")
        return None if log_score is None else -log_score

    def lead_with(self, r2: R2Name) -> Score:
        """Choose what squared errors are held against; of other scores nothing changes."""
        return replace(self, headline=HEADLINES[r2]) if self.is_squared else self

    def say_target(self, density: str) -> str:
        """Say what follows the verb "to forecast", given what densities are of."""
        return "" if self.is_squared else f" the distribution of {density}"

    def scale_measure(self, quantity: Quantity) -> tuple[float, str]:
        """Say what the measure is multiplied with, and the unit that it is in then."""
        return (quantity.scale, quantity.unit) if self.is_squared else (1.0, "nats")

    def scale_loss(self, quantity: Quantity) -> tuple[float, str]:
        """Say what losses are multiplied with, and the unit that they are in then."""
        return (quantity.scale**2, quantity.squared_unit) if self.is_squared else (1.0, "nats")


HEADLINES: dict[str, Headline] = {
    one.metric: one
    for one in (
        Headline(
            metric="r2_oos_zero",
            name="out-of-sample R2",
            against=" against a forecast of zero",
            short="R2 against zero",
            scale=100.0,
            unit="%",
            digits=2,
            squares="sq_zero",
            square_words="squared targets",
        ),
        Headline(
            metric="r2_oos_mean",
            name="out-of-sample R2",
            against=" against the mean of the past",
            short="R2 against the mean of the past",
            scale=100.0,
            unit="%",
            digits=2,
            squares="sq_mean",
            square_words="those of the mean of the past",
        ),
        Headline(
            metric="r2_oos_surface",
            name="out-of-sample R2",
            against=" against the surface of the session before",
            short="R2 against yesterday's surface",
            scale=100.0,
            unit="%",
            digits=1,
            squares="sq_surface",
            square_words="those of Black-Scholes with the surface of the session before",
        ),
    )
}
"""What squared errors may be held against, by metric.

Zero is the forecast to beat where targets scatter around it, as returns do. A quantity that is far
from zero is forecast well by any constant; there the mean of the past is.
"""

SQUARED_ERROR = Score(
    name="squared_error",
    forecast_column="y_pred",
    loss_column="sq_error",
    metrics=METRICS,
    statistics=T_STATISTICS,
    measure="rmse",
    measure_words="RMSE",
    headline=HEADLINES["r2_oos_zero"],
    first="smallest error",
    loss_words="mean squared error over the rows of a date",
    is_squared=True,
    has_nested_test=True,
    cell_figures=CELL_FIGURES,
)

LOG_SCORE = Score(
    name="log_score",
    forecast_column="log_score",
    loss_column="neg_log_score",
    metrics=("log_score", "log_score_gain"),
    statistics=(),
    measure="log_score",
    measure_words="log score",
    headline=Headline(
        metric="log_score_gain",
        name="gain in log score",
        against=" over a single regime",
        short="gain over a single regime",
        scale=1.0,
        unit="nats",
        digits=4,
        reference="single",
    ),
    first="highest log score",
    loss_words="minus the mean log score over the rows of a date",
    is_squared=False,
    has_nested_test=False,
    cell_figures=("correlation_regimes", "regime_history", "stress_calendar"),
)

SCORES: dict[str, Score] = {score.name: score for score in (SQUARED_ERROR, LOG_SCORE)}
"""By name. The log score is the logarithm of the predictive density at what came, in nats.

References
----------
Gneiting, T. and Raftery, A. E. (2007), Strictly Proper Scoring Rules, Prediction, and Estimation,
Journal of the American Statistical Association 102, 359-378.
"""
