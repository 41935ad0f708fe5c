"""Parameters of modelling and evaluation, for every study."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from tidemark.config import BASELINE, Strict
from tidemark.domain.estimators import GRID_NAMES, Approximation, EstimatorName


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
    """How models are fitted, and what stands in for those that cannot be."""

    seed: int
    fallback_seed: int
    exact_svr_max_rows: Annotated[int, Field(ge=1)]
    nystroem_components: Annotated[int, Field(ge=1)]
    simpler: dict[EstimatorName, ModelParams]

    @property
    def approximation(self) -> Approximation:
        """When and how the kernel of support vectors is approximated."""
        return Approximation(self.exact_svr_max_rows, self.nystroem_components)

    @model_validator(mode="after")
    def _chains_of_simpler_models_end(self) -> Self:
        for first, simpler in self.simpler.items():
            if BASELINE in (first, simpler.estimator):
                raise ValueError(
                    f"simpler.{first}: a baseline, which is not fitted, cannot stand in"
                )
            chain = [first]
            while (model := self.simpler.get(chain[-1])) is not None:
                if model.estimator in chain:
                    words = " -> ".join([*chain, model.estimator])
                    raise ValueError(f"simpler never ends: {words}; leave one of them out")
                chain.append(model.estimator)
        return self
