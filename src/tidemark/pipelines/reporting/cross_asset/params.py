"""Parameters of the market report."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Self

from pydantic import Field, model_validator

from tidemark.config import Strict
from tidemark.pipelines.params import Share


class Stretch(Strict):
    """A stretch of time whose average a chart shows, both ends included."""

    start: date
    end: date
    label: str

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"the stretch '{self.label}' ends before it begins")
        return self


class MarketParams(Strict):
    """What the market report shows."""

    stretches: dict[str, tuple[Stretch, ...]] = Field(default_factory=dict)  # by scenario
    matrix_window: Annotated[int, Field(ge=20)]
    years_before: Annotated[int, Field(ge=1)]
    min_share: Share
