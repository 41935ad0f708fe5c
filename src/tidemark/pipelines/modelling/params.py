"""Parameters of modelling and evaluation, for every study."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Discriminator, Field, Tag, model_validator

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


RegimeEstimator = Literal["single_regime", "zscore", "markov"]


class RegimeParams(Strict):
    """One way to find regimes, and what each way needs to know; the others leave it alone."""

    estimator: RegimeEstimator
    threshold: Annotated[float, Field(gt=0)] = 1.0
    min_obs: Annotated[int, Field(ge=5)] = 30
    n_regimes: Annotated[int, Field(ge=2, le=4)] = 2
    switching_variance: bool = True
    n_starts: Annotated[int, Field(ge=1)] = 5


def _kind_of_model(raw: Any) -> str:
    estimator = raw.get("estimator") if isinstance(raw, dict) else getattr(raw, "estimator", None)
    return "regimes" if estimator in get_args(RegimeEstimator) else "forecast"


AnyModel = Annotated[
    Annotated[ModelParams, Tag("forecast")] | Annotated[RegimeParams, Tag("regimes")],
    Discriminator(_kind_of_model),
]


class TrainParams(Strict):
    """How models are fitted, and what stands in for those that cannot be."""

    seed: int
    fallback_seed: int
    exact_svr_max_rows: Annotated[int, Field(ge=1)]
    nystroem_components: Annotated[int, Field(ge=1)]
    simpler: dict[EstimatorName | RegimeEstimator, AnyModel]

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
            if (first in get_args(RegimeEstimator)) != isinstance(simpler, RegimeParams):
                raise ValueError(
                    f"simpler.{first}: {simpler.estimator} cannot stand in; one finds regimes, the "
                    f"other forecasts"
                )
            chain = [first]
            while (model := self.simpler.get(chain[-1])) is not None:
                if model.estimator in chain:
                    words = " -> ".join([*chain, model.estimator])
                    raise ValueError(f"simpler never ends: {words}; leave one of them out")
                chain.append(model.estimator)
        return self
