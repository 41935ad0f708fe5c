"""Parameters of modelling and evaluation, for every study."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from tidemark.config import BASELINE, Strict
from tidemark.domain.estimators import GRID_NAMES, Approximation, EstimatorName
from tidemark.domain.gru_network import GruSettings


class ModelParams(Strict):
    """One model: an estimator and the values to try of its parameters.

    With ``residual`` it learns what the study's own baseline, its offset, leaves of the target.
    """

    estimator: EstimatorName
    residual: bool = False
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


RecurrentEstimator = Literal["gru"]


class RecurrentParams(Strict):
    """A recurrent network over histories; see `tidemark.domain.gru_network.GruSettings`.

    ``length`` is that of a history, in sessions; training stops by the last
    ``validation_sessions`` of the training period. With ``residual`` it learns what the study's
    own baseline leaves of the target. Forecasts are means over the networks of all ``seeds``.
    """

    estimator: RecurrentEstimator
    residual: bool = False
    length: Annotated[int, Field(ge=1)] = 20
    validation_sessions: Annotated[int, Field(ge=1)] = 40
    units: Annotated[int, Field(ge=1)] = 32
    layers: Annotated[int, Field(ge=1)] = 1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    learning_rate: Annotated[float, Field(gt=0)] = 0.002
    batch_size: Annotated[int, Field(ge=1)] = 512
    epochs: Annotated[int, Field(ge=1)] = 20
    patience: Annotated[int, Field(ge=1)] = 3
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (1, 2)

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds are {list(self.seeds)}; give each one once")
        return self

    def settings(self) -> GruSettings:
        """Return the network as the mathematics takes it."""
        own = {"estimator", "residual", "length", "validation_sessions"}
        return GruSettings(**self.model_dump(exclude=own))


_KINDS = {
    **dict.fromkeys(get_args(RegimeEstimator), "regimes"),
    **dict.fromkeys(get_args(RecurrentEstimator), "recurrent"),
}


def _kind_of_model(raw: Any) -> str:
    estimator = raw.get("estimator") if isinstance(raw, dict) else getattr(raw, "estimator", None)
    return _KINDS.get(str(estimator), "forecast")


AnyModel = Annotated[
    Annotated[ModelParams, Tag("forecast")]
    | Annotated[RegimeParams, Tag("regimes")]
    | Annotated[RecurrentParams, Tag("recurrent")],
    Discriminator(_kind_of_model),
]


class TrainParams(Strict):
    """How models are fitted, and what stands in for those that cannot be."""

    seed: int
    fallback_seed: int
    exact_svr_max_rows: Annotated[int, Field(ge=1)]
    nystroem_components: Annotated[int, Field(ge=1)]
    simpler: dict[EstimatorName | RegimeEstimator | RecurrentEstimator, AnyModel]

    @property
    def approximation(self) -> Approximation:
        """When and how the kernel of support vectors is approximated."""
        return Approximation(self.exact_svr_max_rows, self.nystroem_components)

    @model_validator(mode="after")
    def _chains_of_simpler_models_end(self) -> Self:
        for first, simpler in self.simpler.items():
            if isinstance(simpler, RecurrentParams) or first in get_args(RecurrentEstimator):
                raise ValueError(
                    f"simpler.{first}: a network stands in for nothing, and nothing for a network"
                )
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
