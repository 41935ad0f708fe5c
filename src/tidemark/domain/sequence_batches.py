"""What a network is fed of a sample: figures that standardise it, and batches of sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tidemark.domain.sequences import SequenceSample


@dataclass(frozen=True)
class Scaling:
    """Figures of the training sample that features and target are standardised by.

    Attributes
    ----------
    feature_means, feature_variances : list of float
        One for each feature; a variance of zero stands as one.
    target_mean, target_scale : float
        Mean and standard deviation of the labels; a deviation of zero stands as one.
    """

    feature_means: list[float]
    feature_variances: list[float]
    target_mean: float
    target_scale: float

    def standardise(self, target: np.ndarray) -> np.ndarray:
        """Standardise labels, as a column."""
        return np.asarray((target - self.target_mean) / self.target_scale, np.float32)[:, None]


def measure_scaling(train: SequenceSample) -> Scaling:
    """Measure features of rows whose own step is not masked, and all labels, of a training sample.

    Parameters
    ----------
    train : SequenceSample

    Returns
    -------
    Scaling
    """
    rows = train.rows[train.index.positions[train.rows, -1] >= 0]
    values = train.index.features[rows].astype(np.float64)
    variances = values.var(axis=0)
    scale = float(np.std(train.target))
    return Scaling(
        feature_means=values.mean(axis=0).tolist(),
        # What never changes is only centred.
        feature_variances=np.where(variances > 0.0, variances, 1.0).tolist(),
        target_mean=float(np.mean(train.target)),
        target_scale=scale if scale > 0.0 else 1.0,
    )


def make_batches(
    sample: SequenceSample,
    labels: np.ndarray,
    batch_size: int,
    generator: np.random.Generator | None = None,
) -> Any:
    """Cut a sample into batches: whole ones in a new order each pass, or all rows in their own.

    Not a Python generator: Keras reads ahead in one, so that a pass would not begin where it
    should and validation would miss some rows.

    Parameters
    ----------
    sample : SequenceSample
    labels : ndarray of float32, shape (n, 1)
        Standardised, one for each row of the sample.
    batch_size : int
        Sequences of a batch; all, where there are fewer.
    generator : Generator, optional
        Draws the orders. Rows beyond the last whole batch are left out of a pass.

    Returns
    -------
    keras.utils.PyDataset
        Of features and masks, with labels.
    """
    from keras.utils import PyDataset

    n, size = len(labels), min(batch_size, len(labels))

    class Batches(PyDataset):  # type: ignore[misc]  # Keras has no types
        def __init__(self) -> None:
            super().__init__()
            self._order = np.arange(n)

        def __len__(self) -> int:
            return n // size if generator is not None else -(-n // size)

        def __getitem__(self, number: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
            chosen = self._order[number * size : (number + 1) * size]
            return sample.index.gather(sample.rows[chosen]), labels[chosen]

        def on_epoch_begin(self) -> None:
            if generator is not None:
                self._order = generator.permutation(n)

    return Batches()
