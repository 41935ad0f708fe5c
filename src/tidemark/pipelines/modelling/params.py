"""Parameters of modelling and evaluation, for every study."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from tidemark.config import Strict
from tidemark.domain.estimators import EstimatorName


class ModelParams(Strict):
    """One model: an estimator and the values to try of its parameters."""

    estimator: EstimatorName
    grid: dict[str, tuple[Any, ...]] = Field(default_factory=dict)

    @field_validator("grid")
    @classmethod
    def _values_to_try(cls, grid: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for name, values in grid.items():
            if not values:
                raise ValueError(f"'{name}' has no value to try")
        return grid


class TrainParams(Strict):
    """How models are fitted."""

    seed: int
    exact_svr_max_rows: Annotated[int, Field(ge=1)]
    nystroem_components: Annotated[int, Field(ge=1)]


class EvaluationParams(Strict):
    """How predictions are judged."""

    seed: int
    n_replicates: Annotated[int, Field(ge=100)]
    block_length_days: Annotated[float, Field(ge=1)]
    level: Annotated[float, Field(gt=0, lt=1)]
