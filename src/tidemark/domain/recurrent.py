"""A gated recurrent network over histories of contracts: Keras on JAX, and nothing hidden.

Seeds are given to every layer and to the order of rows, and no global generator is used: on a
CPU the same seed, data and number of threads give the same weights. Features and target are
standardised inside the stored model, by figures of the training sample alone, so that plain Keras
can use it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tidemark.domain.gru_network import GruSettings, make_models
from tidemark.domain.keras_models import dump_model, hash_weights, import_keras
from tidemark.domain.sequence_batches import make_batches, measure_scaling
from tidemark.domain.sequences import SequenceIndex, SequenceSample
from tidemark.domain.splits import require_at_least

if TYPE_CHECKING:
    from keras import Model


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
    network, model = make_models(settings, scaling, train.index, seed)
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
