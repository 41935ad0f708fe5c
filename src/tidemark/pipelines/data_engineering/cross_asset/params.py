"""Parameters of the cross-asset study's data engineering."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, RootModel, model_validator

from tidemark.config import Strict
from tidemark.domain.rules import Action, Rule
from tidemark.domain.series import Kind, SeriesDefinition, Treatment
from tidemark.pipelines.params import Share

# Forecasts of a correlation, and densities of a pair's next observation, that nobody fits.
CORRELATION_BASELINES = ("today", "long_mean")
DENSITY_BASELINES = ("single", "student", "ewma")

Name = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]
Sessions = Annotated[int, Field(ge=1)]


class SeriesParams(Strict):
    """What one series is, and how its levels become returns; see `SeriesDefinition`."""

    label: str
    kind: Kind
    treatment: Treatment
    calendar: str
    frequency: Literal["daily", "monthly"] = "daily"
    currency: str = "USD"
    quote_currency: str | None = None
    sign: Literal[1, -1] = 1
    maturity_years: Annotated[float, Field(gt=0)] | None = None
    low: float | None = None
    high: float | None = None
    is_revised: bool = False

    def define(self, name: str) -> SeriesDefinition:
        """Return the definition as the mathematics takes it."""
        return SeriesDefinition(name=name, **self.model_dump(exclude={"label"}))


class SeriesTable(RootModel[dict[Name, SeriesParams]]):
    """All series of the study, by name."""

    @model_validator(mode="after")
    def _can_be_defined(self) -> Self:
        self.definitions()
        return self

    def definitions(self) -> list[SeriesDefinition]:
        """Return all definitions, in the order of the configuration."""
        return [one.define(name) for name, one in self.root.items()]

    def label(self, name: str) -> str:
        """Return the words that charts show for a series."""
        return self.root[name].label


class QualityCheck(Strict):
    """What to do once a check's measure exceeds its bound."""

    action: Action
    bound: Annotated[float, Field(ge=0)] = 0.0


class QualityParams(Strict):
    """The study's table of checks."""

    checks: dict[str, QualityCheck]

    def rules(self) -> dict[str, Rule]:
        """Return the table as the assessment takes it."""
        return {name: Rule(check.action, check.bound) for name, check in self.checks.items()}


class AlignmentParams(Strict):
    """The calendar that series are brought to, and how far a level is carried."""

    calendar: str
    base_currency: str
    max_fill_sessions: Annotated[int, Field(ge=0)]


class CorrelationParams(Strict):
    """What the forecasts of correlation are of."""

    pairs: tuple[tuple[Name, Name], ...]
    horizon_days: Sessions
    today_window: Annotated[int, Field(ge=4)]
    warm_up_days: Sessions
    min_share: Share


class PairParams(Strict):
    """One pair of assets: its alignment, its rolling correlation, and what regimes are of.

    Windows count sessions of the calendar: days, or months where the calendar is ``months``.
    """

    left: Name
    right: Name
    calendar: str = "XNYS"
    window: Annotated[int, Field(ge=4)] = 60
    min_share: Annotated[float, Field(gt=0, le=1)] = 0.8  # of a window, with both returns
    method: Literal["pearson", "spearman", "ewm"] = "pearson"
    band: Literal["fisher", "bootstrap"] = "fisher"
    observed: Literal["comovement", "correlation", "volatility", "returns"] = "comovement"
    autoregression: Annotated[int, Field(ge=0, le=4)] = 0
    scale_window: Annotated[int, Field(ge=4)] = 60
    zscore_window: Annotated[int, Field(ge=4)] = 504
    level: Share = 0.95
    n_replicates: Annotated[int, Field(ge=100)] = 500
    seed: int = 11
    test_share: Share = 0.25
    refit_sessions: Sessions = 252

    @model_validator(mode="after")
    def _is_a_pair(self) -> Self:
        if self.left == self.right:
            raise ValueError(f"left and right are both '{self.left}'; a pair has two assets")
        return self

    @property
    def min_periods(self) -> int:
        """How many returns of both a window needs."""
        return max(4, math.ceil(self.min_share * self.window))

    @property
    def unit(self) -> str:
        """What windows count."""
        return "month" if self.calendar == "months" else "day"


class CorrelationFeatureParams(Strict):
    """How a scenario of correlation forecasts sees the past."""

    windows: tuple[Annotated[int, Field(ge=4)], ...]
    halflife_days: Annotated[float, Field(gt=0)]
