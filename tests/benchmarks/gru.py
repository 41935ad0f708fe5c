"""An epoch of the project's GRU against the same network in plain Keras, arrays in memory.

Both train on the same generated sequences and the same backend: the project gathers batches from
an index of histories, plain Keras slices an array of all sequences, each one copied out. Epochs
of the two alternate, so that a busy machine slows both. The first epoch, which compiles, is left
out of the medians and told apart.
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.gru_network import GruSettings
from tidemark.domain.recurrent import EpochErrors, fit_gru
from tidemark.domain.sequences import SequenceIndex, SequenceSample, build_sequences

SESSIONS = 125
LENGTH = 20
COLUMNS = [f"feature_{number}" for number in range(10)]
SEQUENCES = 1_000_000
VALIDATION = 4096
UNITS, BATCH_SIZE = 32, 512
AIM = 1.1


@dataclass
class Clock:
    """Seconds and seconds of processors of each lap."""

    walls: list[float] = field(default_factory=list)
    processors: list[float] = field(default_factory=list)
    _started: tuple[float, float] = (0.0, 0.0)

    def start(self) -> None:
        """Begin a lap."""
        self._started = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """End the lap."""
        wall, processor = self._started
        self.walls.append(time.perf_counter() - wall)
        self.processors.append(time.process_time() - processor)


def make_frame(n_sequences: int) -> pd.DataFrame:
    """Generate contracts that are quoted every session, with their features and labels."""
    rng = np.random.default_rng(7)
    n_contracts = -(-n_sequences // SESSIONS)
    n = n_contracts * SESSIONS
    frame = pd.DataFrame(rng.standard_normal((n, len(COLUMNS))), columns=COLUMNS)
    frame["date"] = np.tile(pd.bdate_range("2023-01-02", periods=SESSIONS), n_contracts)
    frame["strike"] = np.repeat(np.arange(n_contracts, dtype=float), SESSIONS)
    level = frame.groupby("strike")[COLUMNS[0]].transform(lambda column: column.ewm(5).mean())
    frame["label"] = level + rng.standard_normal(n)
    return frame


def make_plain_network(settings: GruSettings, seed: int) -> Any:
    """Build the same network as a user of Keras would."""
    import keras

    features = keras.Input((LENGTH, len(COLUMNS)))
    mask = keras.Input((LENGTH,), dtype="bool")
    scale = keras.layers.Normalization(mean=[0.0] * len(COLUMNS), variance=[1.0] * len(COLUMNS))
    state = keras.layers.GRU(settings.units, seed=seed)(scale(features), mask=mask)
    state = keras.layers.Dropout(settings.dropout, seed=seed)(state)
    network = keras.Model([features, mask], keras.layers.Dense(1)(state))
    network.compile(keras.optimizers.Adam(settings.learning_rate), loss="mean_squared_error")
    return network


def run_alternately(
    index: SequenceIndex, label: np.ndarray, n: int, settings: GruSettings
) -> tuple[Clock, Clock]:
    """Train both networks, an epoch of one after an epoch of the other."""
    rows = np.random.default_rng(11).permutation(n)
    train = SequenceSample(index, rows, label[rows])
    validation = SequenceSample(index, rows[:VALIDATION], label[rows[:VALIDATION]])
    copied, copied_validation = (
        (list(index.gather(sample.rows)), sample.target.astype(np.float32))
        for sample in (train, validation)
    )
    network = None
    ours, plain = Clock(), Clock()

    def run_plain_epoch(_: EpochErrors) -> None:
        nonlocal network
        ours.stop()
        plain.start()
        if network is None:
            network = make_plain_network(settings, seed=3)
        network.fit(
            *copied,
            batch_size=settings.batch_size,
            validation_data=copied_validation,
            verbose=0,
        )
        plain.stop()
        ours.start()

    ours.start()
    fit_gru(train, validation, settings, 0, run_plain_epoch)
    return ours, plain


def print_epochs(n: int, rounds: int) -> list[tuple[str, float, str]]:
    """Generate sequences, train both, print seconds per epoch, and return the ratios."""
    epochs = rounds + 1
    settings = GruSettings(units=UNITS, batch_size=BATCH_SIZE, epochs=epochs, patience=epochs)
    os.environ["KERAS_BACKEND"] = "jax"
    import jax
    import keras

    frame = make_frame(n)
    building = Clock()
    building.start()
    index = build_sequences(frame, ["strike"], "date", COLUMNS, LENGTH)
    building.stop()
    held = index.features.nbytes + index.positions.nbytes
    copied = index.n_rows * LENGTH * (4 * len(COLUMNS) + 1)
    print(
        f"\nEpochs of {n:,} sequences of {LENGTH} x {len(COLUMNS)} (medians of {rounds}; Keras "
        f"{keras.__version__} on JAX {jax.__version__}, {jax.default_backend()}; {UNITS} units, "
        f"batches of {BATCH_SIZE})"
    )
    print(
        f"  their index is built in {building.walls[0]:.2f} s and holds {held / 1e6:.0f} MB; "
        f"copied out, they take {copied / 1e6:.0f} MB"
    )
    ours, plain = run_alternately(index, frame["label"].to_numpy(), n, settings)
    print(f"  {'seconds':<22} {'tidemark':>9} {'Keras':>9}")
    clock = _print_laps("by the clock", ours.walls, plain.walls)
    processors = _print_laps("of processors", ours.processors, plain.processors)
    return [
        ("epoch of tidemark over Keras, by the clock", clock, f"at most {AIM}"),
        ("epoch of tidemark over Keras, seconds of processors", processors, ""),
    ]


def _print_laps(what: str, ours: list[float], plain: list[float]) -> float:
    """Print the medians of both and what their first epochs, which compile, take beyond."""
    middle = [statistics.median(laps[1:]) for laps in (ours, plain)]
    print(f"  {what:<22} {middle[0]:>9.2f} {middle[1]:>9.2f}")
    print(
        f"  {'  first epoch, beyond':<22} {ours[0] - middle[0]:>9.2f} {plain[0] - middle[1]:>9.2f}"
    )
    return middle[0] / middle[1]
