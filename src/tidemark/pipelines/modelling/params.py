"""Parameters of modelling and evaluation, for every study."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from tidemark.config import Strict
from tidemark.domain.estimators import GRID_NAMES, EstimatorName


class ModelParams(Strict):
    """One model: an estimator and the values to try of its parameters."""

    estimator: EstimatorName
    grid: dict[str, tuple[Any, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _grid_fits_the_estimator(self) -> Self:
        known = GRID_NAMES[self.estimator]
        for name, values in self.grid.items():
            if name not in known:
                raise ValueError(
                    f"{self.estimator} has no '{name}' to vary; it has {sorted(known) or 'none'}"
                )
            if not values:
                raise ValueError(f"'{name}' has no value to try")
        return self


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
