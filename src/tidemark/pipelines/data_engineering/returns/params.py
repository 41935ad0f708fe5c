"""Parameters of the returns study's data engineering."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tidemark.config import Strict
from tidemark.domain.rules import Action, Rule


class Check(Strict):
    """What to do once a check's measure exceeds its bound."""

    action: Action
    bound: Annotated[float, Field(ge=0)] = 0.0


class Checks(Strict):
    """The study's table of checks: one row each."""

    required_columns: Check
    unknown_columns: Check
    schema_hash: Check
    unreadable_values: Check
    missing_key: Check
    repeated_rows: Check
    contradictory_rows: Check
    dates_after_as_of: Check
    non_positive_price: Check
    missing_values: Check
    missing_cells: Check
    thin_sessions: Check
    no_rows: Check
    quarantined_share: Check
    stale_data: Check
    old_data: Check

    @model_validator(mode="after")
    def _actions_can_be_taken(self) -> Self:
        if self.required_columns.action != "refuse" or self.no_rows.action != "refuse":
            raise ValueError("required_columns and no_rows can only refuse")
        for name in ("unreadable_values", "missing_key", "repeated_rows", "contradictory_rows"):
            if getattr(self, name).action == "warn":
                raise ValueError(f"{name} must refuse or quarantine: such rows have no place")
        return self

    def rules(self) -> dict[str, Rule]:
        """Return the table as the inspection takes it."""
        return {name: Rule(check.action, check.bound) for name, check in self}


class SchemaHashes(Strict):
    """The schema hashes that are accepted."""

    prices: str
    exogenous: str


class ValidationParams(Strict):
    """How the raw tables are checked."""

    accepted_schema: SchemaHashes
    checks: Checks


class LabelParams(Strict):
    """How rows are labelled."""

    warm_up_days: Annotated[int, Field(ge=1)]


BASELINES = ("zero", "trailing_mean", "last_value")


class BaselineParams(Strict):
    """How the forecasts are made that every model must beat."""

    trailing_mean_days: Annotated[int, Field(ge=2)]


class PreprocessParams(Strict):
    """How a scenario treats returns."""

    impute: Literal["mean", "median"]
    impute_window_days: Annotated[int, Field(ge=1)]
    outliers: Literal["keep", "clip", "winsorise"] = "keep"
    outlier_window_days: Annotated[int, Field(ge=2)] = 252
    outlier_min_days: Annotated[int, Field(ge=2)] = 60
    iqr_multiple: Annotated[float, Field(gt=0)] = 3.0
    tail: Annotated[float, Field(gt=0, lt=0.5)] = 0.01

    @model_validator(mode="after")
    def _window_can_be_filled(self) -> Self:
        if self.outlier_min_days > self.outlier_window_days:
            raise ValueError(
                f"outlier_min_days is {self.outlier_min_days}; it must not exceed "
                f"outlier_window_days, {self.outlier_window_days}"
            )
        return self
