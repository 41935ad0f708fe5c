"""What intervals of metrics cost: counts of dates against a loop that resamples rows.

``python tests/benchmarks/evaluation.py [--rounds N] [--full]`` computes 95 % intervals of all
metrics for several cells that are scored on the same dates, one BLAS thread, and prints:

- seconds of `draw_counts` once and `interval_metrics` for each cell, against those of
  ``arch.bootstrap.StationaryBootstrap(...).conf_int(..., method="percentile")``, whose function
  computes the same metrics with numpy, scipy and scikit-learn from the rows of the drawn dates,
  given as arrays of dates by stocks. The loop is timed for one cell and multiplied, for all cells
  with ``--full``. Aim: at least 20 times as fast.
- the largest difference between limits of both, in Monte-Carlo standard errors.
- the peak memory of a process that does the former, as Linux tells it. Aim: at most 1 GB.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from tidemark.domain.bootstrap import Interval, draw_counts, interval_metrics, optimal_block_length
from tidemark.domain.metrics import METRICS

LEVEL = 0.95
SEED = 1

Intervals = dict[str, Interval]


def make_cells(n_dates: int, n_stocks: int, n_cells: int) -> list[pd.DataFrame]:
    """Make forecasts of unlike quality of the same returns, whose volatility comes in waves."""
    rng = np.random.default_rng(SEED)
    waves = np.zeros(n_dates)
    for day in range(1, n_dates):
        waves[day] = 0.9 * waves[day - 1] + rng.normal(0.0, 0.2)
    shape = (n_dates, n_stocks)
    returns = 0.01 * np.exp(waves)[:, None] * rng.normal(size=shape)
    days = pd.bdate_range("2015-01-02", periods=n_dates).repeat(n_stocks)
    table = pd.DataFrame({"date": days, "y_true": returns.ravel(), "trailing_mean": 0.0003})
    table["surface_by_strike"] = (0.05 * returns).ravel()
    skills = np.linspace(0.0, 0.1, n_cells)
    return [
        table.assign(y_pred=(skill * returns + rng.normal(0.0, 0.002, shape)).ravel())
        for skill in skills
    ]


def choose_block(cell: pd.DataFrame) -> int:
    """Choose the block length for the mean squared error, whole because arch asks for that."""
    squares = (cell["y_true"] - cell["y_pred"]) ** 2
    return round(optimal_block_length(squares.groupby(cell["date"]).mean().to_numpy()))


def interval_cells(cells: list[pd.DataFrame], block: int, n: int, kind: Any) -> list[Intervals]:
    """Compute intervals by the project's route."""
    counts = draw_counts(cells[0]["date"].nunique(), block, n, SEED)
    return [interval_metrics(cell, counts, LEVEL, kind) for cell in cells]


def score_arrays(
    true: np.ndarray, pred: np.ndarray, trailing_mean: np.ndarray, surface: np.ndarray
) -> np.ndarray:
    """Compute the metrics of arrays of dates by stocks, in the order of `METRICS`."""
    from scipy.stats import rankdata
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score, roc_auc_score

    y, p = true.ravel(), pred.ravel()
    mse = mean_squared_error(y, p)
    is_signed = (y != 0.0) & (p != 0.0)
    is_moving = y != 0.0
    return np.array(
        [
            mean_absolute_error(y, p),
            mse,
            math.sqrt(mse),
            r2_score(y, p),
            1.0 - mse / np.mean(y**2),
            1.0 - mse / mean_squared_error(y, trailing_mean.ravel()),
            1.0 - mse / mean_squared_error(y, surface.ravel()),
            np.mean(np.sign(y[is_signed]) == np.sign(p[is_signed])),
            roc_auc_score(y[is_moving] > 0.0, p[is_moving]),
            correlate_rows(true, pred).mean(),
            correlate_rows(rankdata(true, axis=1), rankdata(pred, axis=1)).mean(),
        ]
    )


def correlate_rows(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Compute the correlation of each row of two arrays."""
    one, other = (side - side.mean(axis=1, keepdims=True) for side in (one, other))
    squares = (one**2).sum(axis=1) * (other**2).sum(axis=1)
    return np.asarray((one * other).sum(axis=1) / np.sqrt(squares))


def loop_with_arch(cells: list[pd.DataFrame], block: int, n: int) -> list[np.ndarray]:
    """Compute limits of every metric as arch's users would; one array of low, high a cell."""
    from arch.bootstrap import StationaryBootstrap

    n_dates = cells[0]["date"].nunique()
    names = ("y_true", "y_pred", "trailing_mean", "surface_by_strike")
    limits = []
    for number, cell in enumerate(cells):
        arrays = (cell[name].to_numpy().reshape(n_dates, -1) for name in names)
        bootstrap = StationaryBootstrap(block, *arrays, seed=SEED + number)
        limits.append(bootstrap.conf_int(score_arrays, n, method="percentile", size=LEVEL))
    return limits


def measure(work: Callable[[], Any]) -> tuple[float, Any]:
    """Do the work; return its seconds and its result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def find_largest_difference(
    ours: list[Intervals], theirs: list[np.ndarray], n: int
) -> tuple[float, str]:
    """Find where limits differ most, in standard errors of a difference of two normal quantiles."""
    tail = statistics.NormalDist().inv_cdf((1.0 + LEVEL) / 2.0)
    share = (1.0 - LEVEL) / 2.0
    density = statistics.NormalDist().pdf(tail)
    error = math.sqrt(2.0 * share * (1.0 - share) / n) / density  # in deviations of the replicates
    differences = {}
    for number, (intervals, limits) in enumerate(zip(ours, theirs, strict=False)):
        for name, low, high in zip(METRICS, *limits, strict=True):
            own = intervals[name]
            differences[f"{name} of cell {number}, low"] = abs(own["low"] - low) / own["std"]
            differences[f"{name} of cell {number}, high"] = abs(own["high"] - high) / own["std"]
    place = max(differences, key=differences.__getitem__)
    return differences[place] / error, place


def print_speed(options: argparse.Namespace) -> None:
    """Time both routes in turn, and compare their limits."""
    cells = make_cells(options.dates, options.stocks, options.cells)
    block, n = choose_block(cells[0]), options.replicates
    looped = cells if options.full else cells[:1]
    loop_with_arch(cells[:1], block, 2)  # the first calls import libraries
    interval_cells(cells[:1], block, 2, "bca")
    seconds: dict[str, list[float]] = {"arch, scikit-learn": [], "percentile": [], "bca": []}
    for _ in range(options.rounds):
        taken, limits = measure(lambda: loop_with_arch(looped, block, n))
        seconds["arch, scikit-learn"].append(taken * len(cells) / len(looped))
        taken, intervals = measure(lambda: interval_cells(cells, block, n, "percentile"))
        seconds["percentile"].append(taken)
        seconds["bca"].append(measure(lambda: interval_cells(cells, block, n, "bca"))[0])
    print(
        f"\nIntervals of {len(METRICS)} metrics of {len(cells)} cells: {options.dates} dates, "
        f"{options.stocks} stocks,\n{n} replicates, blocks of {block} dates "
        f"(medians of {options.rounds})"
    )
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in middle.items():
        ratio = middle["arch, scikit-learn"] / value
        print(f"  {name:<22} {value:>8.2f} s   {ratio:>6.1f} times as fast")
    print(f"  the loop was timed for {len(looped)} of {len(cells)} cells and multiplied")
    print("  aim: at least 20 times as fast")
    largest, place = find_largest_difference(intervals, limits, n)
    print(
        f"  largest of {2 * len(METRICS) * len(looped)} differences between percentile limits: "
        f"{largest:.2f}\n  Monte-Carlo standard errors ({place})"
    )


def print_memory(options: argparse.Namespace) -> None:
    """Run the project's route in a process of its own and print its peak memory."""
    print("\nPeak memory of a process")
    for label, n_cells in (("libraries and cells", 0), ("with BCa intervals", options.cells)):
        words = [f"--{name}={getattr(options, name)}" for name in ("dates", "stocks", "replicates")]
        command = [sys.executable, __file__, *words, f"--cells={options.cells}"]
        done = subprocess.run(
            [*command, f"--peak-of={n_cells}"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{command} ended with {done.returncode}:\n{done.stderr}")
        print(f"  {label:<22} {float(done.stdout):>6.0f} MB")
    print("  aim: at most 1000 MB")


def report_peak(options: argparse.Namespace) -> None:
    """Compute intervals of some cells and print this process's peak memory in MB."""
    cells = make_cells(options.dates, options.stocks, options.cells)
    block = choose_block(cells[0])
    if options.peak_of:
        interval_cells(cells[: options.peak_of], block, options.replicates, "bca")
    # Not by getrusage, whose maximum begins at that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)


def main() -> None:
    """Measure in turn and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="repetitions (default 3)")
    parser.add_argument("--dates", type=int, default=2000, help="default 2000")
    parser.add_argument("--stocks", type=int, default=20, help="default 20")
    parser.add_argument("--cells", type=int, default=12, help="default 12")
    parser.add_argument("--replicates", type=int, default=1000, help="default 1000")
    parser.add_argument("--full", action="store_true", help="loop over all cells, not only one")
    parser.add_argument("--peak-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with threadpool_limits(1):
        if options.peak_of is not None:
            report_peak(options)
        else:
            print_speed(options)
            print_memory(options)


if __name__ == "__main__":
    main()
