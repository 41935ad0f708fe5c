"""An epoch of the project's GRU against the same network in plain Keras, arrays in memory.

Both train on the same generated sequences and the same backend: the project gathers batches from
an index of histories, plain Keras slices an array of all sequences, each one copied out. Epochs
of the two alternate, so that a busy machine slows both. The first epoch, which compiles, is left
out of the medians and told apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.recurrent import EpochErrors, GruSettings, fit_gru
from tidemark.domain.sequences import SequenceIndex, SequenceSample, build_sequences

SESSIONS = 125
LENGTH = 20
COLUMNS = [f"feature_{number}" for number in range(10)]
VALIDATION = 4096
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


def print_epochs(ours: Clock, plain: Clock, n: int) -> None:
    """Print seconds per epoch, their ratio, and what the first epoch took beyond."""
    print(f"\nSeconds per epoch of {n:,} sequences (medians of {len(ours.walls) - 1} epochs)")
    print(f"  {'':<16} {'project':>9} {'Keras':>9} {'ratio':>7}")
    for name in ("walls", "processors"):
        laps = [getattr(clock, name) for clock in (ours, plain)]
        middle = [statistics.median(lap[1:]) for lap in laps]
        word = "by the clock" if name == "walls" else "of processors"
        print(f"  {word:<16} {middle[0]:>9.2f} {middle[1]:>9.2f} {middle[0] / middle[1]:>7.3f}")
        extra = [lap[0] - value for lap, value in zip(laps, middle, strict=True)]
        print(f"  {'  first, beyond':<16} {extra[0]:>9.2f} {extra[1]:>9.2f}")
    print(f"  aim: at most {AIM} times the epoch of Keras; the first also builds and compiles")


def main() -> None:
    """Generate, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=1_000_000, help="default 1,000,000")
    parser.add_argument("--epochs", type=int, default=5, help="that are timed (default 5)")
    parser.add_argument("--batch-size", type=int, default=512, help="default 512")
    parser.add_argument("--units", type=int, default=32, help="default 32")
    options = parser.parse_args()
    epochs = options.epochs + 1
    settings = GruSettings(
        units=options.units, batch_size=options.batch_size, epochs=epochs, patience=epochs
    )
    os.environ["KERAS_BACKEND"] = "jax"
    import jax
    import keras

    frame = make_frame(options.sequences)
    building = Clock()
    building.start()
    index = build_sequences(frame, ["strike"], "date", COLUMNS, LENGTH)
    building.stop()
    held = index.features.nbytes + index.positions.nbytes
    copied = index.n_rows * LENGTH * (4 * len(COLUMNS) + 1)
    print(
        f"Keras {keras.__version__} on JAX {jax.__version__}, {jax.default_backend()}; "
        f"{settings.units} units, batches of {settings.batch_size}"
    )
    print(f"\nIndex of {index.n_rows:,} sequences of {LENGTH} x {len(COLUMNS)}")
    print(f"  built in {building.walls[0]:.2f} s ({building.processors[0]:.2f} s of processors)")
    print(f"  holds {held / 1e6:.0f} MB; copied out, sequences and masks take {copied / 1e6:.0f}")
    label = frame["label"].to_numpy()
    print_epochs(*run_alternately(index, label, options.sequences, settings), options.sequences)


if __name__ == "__main__":
    main()
