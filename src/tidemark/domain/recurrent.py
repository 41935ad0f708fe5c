"""A gated recurrent network over histories of contracts: Keras on JAX, and nothing hidden.

Seeds are given to every layer and to the order of rows, and no global generator is used: on a
CPU the same seed, data and number of threads give the same weights. Features and target are
standardised inside the stored model, by figures of the training sample alone, so that plain Keras
can use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemark.domain.keras_models import dump_model, hash_weights, import_keras
from tidemark.domain.sequence_batches import Scaling, make_batches, measure_scaling
from tidemark.domain.sequences import SequenceIndex, SequenceSample
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


@dataclass(frozen=True)
class EpochErrors:
    """What one pass over the training sample has come to.

    Attributes
    ----------
    seed : int
        The seed of the network.
    epoch : int
        Counted from 1.
    train_mse : float
        Mean squared error while training went on, with dropout; in the target's unit squared.
    validation_mse : float
        Mean squared error of the validation sample after the pass.
    """

    seed: int
    epoch: int
    train_mse: float
    validation_mse: float


@dataclass(frozen=True)
class GruFit:
    """A fitted network and how it came about.

    Attributes
    ----------
    seed : int
        The seed of the network.
    model : bytes
        A ``.keras`` file, for `load_model`. Equal weights give equal bytes: it holds no date.
    weights_sha256 : str
        Of the weights, as `hash_weights` computes it.
    epochs : tuple of EpochErrors
        All passes that were made.
    best_epoch : int
        The pass, counted from 1, whose weights the model has.
    device : str
        What it was fitted on: "cpu", "gpu" or "tpu". Only a CPU gives the same weights again.
    """

    seed: int
    model: bytes
    weights_sha256: str
    epochs: tuple[EpochErrors, ...]
    best_epoch: int
    device: str

    @property
    def best(self) -> EpochErrors:
        """The errors of the pass whose weights the model has."""
        return self.epochs[self.best_epoch - 1]


def fit_gru(
    train: SequenceSample,
    validation: SequenceSample,
    settings: GruSettings,
    seed: int,
    on_epoch: Callable[[EpochErrors], None] | None = None,
) -> GruFit:
    """Fit one network by Adam to the mean squared error, until validation stops improving.

    Parameters
    ----------
    train, validation : SequenceSample
        `cut_validation` tells their rows. The target may be anything that features explain: a
        price, or what Black-Scholes leaves of it. Figures for scaling are those of ``train``.
    settings : GruSettings
        Its ``seeds`` are not looked at.
    seed : int
        Of the first weights, of dropout and of the order of rows; not negative.
    on_epoch : callable, optional
        Is told of each pass when it ends.

    Returns
    -------
    GruFit
        With the weights of the pass whose validation error was the lowest.

    Raises
    ------
    LinAlgError
        If no pass ends with a finite validation error.
    ValueError
        If the samples' features or lengths differ, or the seed is negative.
    ConfigError
        If Keras or JAX is missing, Keras runs on another backend, or JAX was in use before this
        process was forked.

    Notes
    -----
    Rows beyond the last whole batch are left out of a pass; they are others in each pass. A GPU
    is used where JAX finds one.

    JAX divides large products among its threads, one for each core, and the last digits depend
    on their number. With ``NPROC=1`` in the environment before JAX is first used, weights do not
    depend on the cores of the machine.

    References
    ----------
    Cho, K. et al. (2014), Learning Phrase Representations using RNN Encoder-Decoder for
    Statistical Machine Translation, EMNLP, equations 5-8.

    Prechelt, L. (1998), Early Stopping - But When?, in Neural Networks: Tricks of the Trade.
    """
    keras = import_keras()
    import jax

    require_at_least(0, seed=seed)
    _check_alike(train.index, validation.index)
    scaling = measure_scaling(train)
    network, model = _make_models(settings, scaling, train.index, seed)
    errors: list[EpochErrors] = []

    def record(epoch: int, losses: dict[str, float]) -> None:
        both = (losses[name] * scaling.target_scale**2 for name in ("loss", "val_loss"))
        errors.append(EpochErrors(seed, epoch + 1, *both))
        if on_epoch is not None:
            on_epoch(errors[-1])

    stopping = keras.callbacks.EarlyStopping(
        "val_loss", patience=settings.patience, mode="min", restore_best_weights=True
    )
    network.compile(keras.optimizers.Adam(settings.learning_rate), loss="mean_squared_error")
    labels, checks = (scaling.standardise(sample.target) for sample in (train, validation))
    generator = np.random.default_rng([seed, 1])
    network.fit(
        make_batches(train, labels, settings.batch_size, generator),
        validation_data=make_batches(validation, checks, settings.batch_size),
        epochs=settings.epochs,
        callbacks=[stopping, keras.callbacks.LambdaCallback(on_epoch_end=record)],
        shuffle=False,  # Keras would, by the global generator
        verbose=0,
    )
    best = stopping.best_epoch
    if not np.isfinite(errors[best].validation_mse):
        raise np.linalg.LinAlgError(
            f"No validation error of {len(errors)} passes is finite: lower the learning rate of "
            f"{settings.learning_rate:g}, or look for extreme features and labels."
        )
    return GruFit(
        seed=seed,
        model=dump_model(model),
        weights_sha256=hash_weights(model),
        epochs=tuple(errors),
        best_epoch=best + 1,
        device=jax.default_backend(),
    )


def fit_seeds(
    train: SequenceSample,
    validation: SequenceSample,
    settings: GruSettings,
    on_epoch: Callable[[EpochErrors], None] | None = None,
) -> tuple[GruFit, ...]:
    """Fit one network for each seed of the settings, as `fit_gru` does."""
    return tuple(fit_gru(train, validation, settings, seed, on_epoch) for seed in settings.seeds)


def measure_spread(fits: Sequence[GruFit]) -> dict[str, float]:
    """Describe how far validation errors of several seeds lie apart.

    Parameters
    ----------
    fits : sequence of GruFit
        Of the same samples and settings.

    Returns
    -------
    dict of str to float
        Mean, standard deviation (of a sample; NaN for one seed), lowest and highest of the root
        mean squared errors, in the target's unit.

    Raises
    ------
    ValueError
        If there is no fit.
    """
    if not fits:
        raise ValueError("There are no fits: give at least one.")
    rmse = np.sqrt([fit.best.validation_mse for fit in fits])
    return {
        "validation_rmse_mean": float(rmse.mean()),
        "validation_rmse_std": float(rmse.std(ddof=1)) if len(fits) > 1 else float("nan"),
        "validation_rmse_min": float(rmse.min()),
        "validation_rmse_max": float(rmse.max()),
    }


def predict(
    model: Model, index: SequenceIndex, rows: np.ndarray, batch_size: int = 4096
) -> np.ndarray:
    """Predict the target of some rows.

    Parameters
    ----------
    model : keras.Model
        As `load_model` returns it.
    index : SequenceIndex
        The sequences, with the features and the length that the model was fitted on.
    rows : ndarray of int, shape (n,)
        Positions of rows in the index's frame.
    batch_size : int
        Sequences that are computed at once, at most.

    Returns
    -------
    ndarray of float64, shape (n,)
        In the target's unit; NaN for rows whose sequence has no step that is not masked.

    Raises
    ------
    ValueError
        If the sequences do not have the shape that the model takes.
    """
    require_at_least(1, batch_size=batch_size)
    wanted_shape = tuple(model.inputs[0].shape[1:])
    shape = (index.length, len(index.feature_columns))
    if shape != wanted_shape:
        raise ValueError(
            f"Sequences have {shape[0]} steps of {shape[1]} features, the model takes "
            f"{wanted_shape[0]} of {wanted_shape[1]}: build them with the columns and the length "
            f"of its training."
        )
    rows = np.asarray(rows)
    predicted = np.full(len(rows), np.nan)
    known = np.flatnonzero(index.find_usable(rows))
    # Each size is compiled once: powers of two are few, whatever number of rows is asked for.
    size = min(batch_size, 1 << max(len(known) - 1, 0).bit_length())
    for start in range(0, len(known), size):
        part = known[start : start + size]
        values, mask = index.gather(np.resize(rows[part], size))
        predicted[part] = model.predict_on_batch([values, mask])[: len(part), 0]
    return predicted


def _check_alike(one: SequenceIndex, other: SequenceIndex) -> None:
    if (one.feature_columns, one.length) != (other.feature_columns, other.length):
        raise ValueError(
            f"Training has {one.length} steps of {one.feature_columns}, validation {other.length} "
            f"of {other.feature_columns}: build both alike."
        )


def _make_models(
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
