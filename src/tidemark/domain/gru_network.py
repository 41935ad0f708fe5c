"""The gated recurrent network itself: its settings and its layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemark.domain.sequence_batches import Scaling
from tidemark.domain.sequences import SequenceIndex
from tidemark.domain.splits import require_at_least

if TYPE_CHECKING:
    from keras import Model

_FLOAT = {"dtype": "float32"}  # said to every layer: Keras reads another default from its own file


@dataclass(frozen=True)
class GruSettings:
    """The network and how it is trained.

    Attributes
    ----------
    units : int
        Width of the state of each layer.
    layers : int
        Recurrent layers, one upon the other.
    dropout : float
        Share of each layer's outputs that is dropped in training, in [0, 1).
    learning_rate : float
        Of Adam.
    batch_size : int
        Sequences of a step of training; all, where there are fewer.
    epochs : int
        Passes over the training sample, at most.
    patience : int
        Passes without a lower validation error after which training stops.
    seeds : tuple of int
        One network is fitted for each.

    Raises
    ------
    ValueError
        If a figure lies outside its range, or seeds repeat.

    References
    ----------
    Kingma, D. P. and Ba, J. (2015), Adam: A Method for Stochastic Optimization, ICLR.

    Srivastava, N. et al. (2014), Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting, Journal of Machine Learning Research 15, 1929-1958.
    """

    units: int = 32
    layers: int = 1
    dropout: float = 0.1
    learning_rate: float = 1e-3
    batch_size: int = 512
    epochs: int = 50
    patience: int = 5
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        require_at_least(1, units=self.units, layers=self.layers, batch_size=self.batch_size)
        require_at_least(1, epochs=self.epochs, patience=self.patience)
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout:g}: give a share in [0, 1).")
        if not self.learning_rate > 0.0:
            raise ValueError(f"learning_rate is {self.learning_rate:g}: give a positive number.")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds are {self.seeds}: give at least one, none below 0 or twice.")


def make_models(
    settings: GruSettings, scaling: Scaling, index: SequenceIndex, seed: int
) -> tuple[Model, Model]:
    """Build the network that is trained, on the standardised target, and the model around it."""
    from keras import Input, Model, layers

    seeds = _spawn_seeds(seed)
    shape = (index.length, len(index.feature_columns))
    inputs = [
        Input(shape, name="features", **_FLOAT),
        Input(shape[:1], name="mask", dtype="bool"),
    ]
    flow = layers.Normalization(
        mean=scaling.feature_means,
        variance=scaling.feature_variances,
        name="standardise",
        **_FLOAT,
    )(inputs[0])
    for number in range(1, settings.layers + 1):
        recurrent = layers.GRU(
            settings.units,
            return_sequences=number < settings.layers,
            kernel_initializer=_draw("GlorotUniform", seeds),
            recurrent_initializer=_draw("Orthogonal", seeds),
            seed=next(seeds),
            name=f"gru_{number}",
            **_FLOAT,
        )
        dropout = layers.Dropout(
            settings.dropout, seed=next(seeds), name=f"dropout_{number}", **_FLOAT
        )
        flow = dropout(recurrent(flow, mask=inputs[1]))
    head = layers.Dense(
        1, kernel_initializer=_draw("GlorotUniform", seeds), name="standardised_target", **_FLOAT
    )
    unscale = layers.Rescaling(scaling.target_scale, scaling.target_mean, name="target", **_FLOAT)
    output = head(flow)
    return Model(inputs, output, name="network"), Model(inputs, unscale(output), name="gru")


def _spawn_seeds(seed: int) -> Iterator[int]:
    """Derive seeds that differ between the networks of neighbouring seeds as well."""
    generator = np.random.default_rng([seed, 0])
    while True:
        yield int(generator.integers(2**31))


def _draw(name: str, seeds: Iterator[int]) -> Any:
    from keras import initializers

    return getattr(initializers, name)(seed=next(seeds))
