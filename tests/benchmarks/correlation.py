"""What rolling correlations of all pairs cost: sums over blocks against pandas.

``python tests/benchmarks/correlation.py [--rounds N]`` correlates all pairs of many series over a
trailing window, one BLAS thread, and prints:

- seconds of `rolling_correlations` against those of ``frame.rolling(window).corr()``, on complete
  series and on series of which one value in a thousand is missing, timed in turn in one run. Aim:
  at least 5 times as fast on complete series.
- the largest difference between both. Aim: at most 1e-10.
- seconds of `check_psd`, which finds the smallest eigenvalue of every date's matrix, apart.
- the peak memory of a process that does the former, as Linux tells it. Aim: below 2 GB.
"""

from __future__ import annotations

import argparse
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

from tidemark.domain.correlation import RollingCorrelations, rolling_correlations
from tidemark.domain.psd import TOLERANCE, check_psd

SEED = 1
SHARES_MISSING = {"complete series": 0.0, "1 in 1,000 missing": 0.001}


def make_returns(n_dates: int, n_series: int, share_missing: float) -> pd.DataFrame:
    """Make returns with one common cause."""
    rng = np.random.default_rng(SEED)
    values = 0.01 * (rng.normal(size=(n_dates, n_series)) + rng.normal(size=(n_dates, 1)))
    values[rng.random(values.shape) < share_missing] = np.nan
    days = pd.bdate_range("1995-01-02", periods=n_dates)
    return pd.DataFrame(values, index=days, columns=[f"S{k}" for k in range(n_series)])


def measure(work: Callable[[], Any]) -> tuple[float, Any]:
    """Do the work; return the processor's seconds, which others do not add to, and its result."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def find_largest_difference(ours: RollingCorrelations, theirs: pd.DataFrame) -> float:
    """Find where both differ most; a value that only one of them has is an infinite difference."""
    n = len(ours.names)
    i, j = np.triu_indices(n, 1)
    stacked = theirs.to_numpy().reshape(-1, n, n)
    values = ours.values  # noqa: PD011 - no pandas object
    largest = 0.0
    for first in range(0, len(stacked), 500):
        one, other = values[first : first + 500], stacked[first : first + 500, i, j]
        if (np.isnan(one) != np.isnan(other)).any():
            return float("inf")
        largest = max(largest, float(np.nanmax(np.abs(one - other), initial=0.0)))
    return largest


def print_speed(options: argparse.Namespace) -> None:
    """Time both routes in turn, compare their values, and time the check of the matrices."""
    n_pairs = options.series * (options.series - 1) // 2
    print(
        f"\nCorrelations over {options.window} days, at least {options.min_periods} pairs: "
        f"{n_pairs:,} pairs of {options.series} series, {options.dates:,} dates\n"
        f"(seconds of the processor; medians of {options.rounds})"
    )
    for label, share in SHARES_MISSING.items():
        print_comparison(label, make_returns(options.dates, options.series, share), options)
    print("  aims: 5 times as fast on complete series, a difference of at most 1e-10")


def print_comparison(label: str, frame: pd.DataFrame, options: argparse.Namespace) -> None:
    """Time both routes on some series."""
    window, least = options.window, options.min_periods
    rolling = frame.rolling(window, min_periods=least)
    rolling_correlations(frame.iloc[: 3 * window], window, least)  # the first call imports
    seconds: dict[str, list[float]] = {"pandas": [], "own": []}
    for _ in range(options.rounds):
        taken, theirs = measure(rolling.corr)
        seconds["pandas"].append(taken)
        taken, ours = measure(lambda: rolling_correlations(frame, window, least))
        seconds["own"].append(taken)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    taken, table = measure(lambda: check_psd(ours))
    smallest, is_psd = table["smallest_eigenvalue"], table["is_psd"]
    print(f"  {label}")
    print(f"    rolling(window).corr() {middle['pandas']:>7.2f} s")
    print(
        f"    rolling_correlations   {middle['own']:>7.2f} s   "
        f"{middle['pandas'] / middle['own']:.1f} times as fast, "
        f"largest difference {find_largest_difference(ours, theirs):.1e}"
    )
    print(
        f"    check_psd              {taken:>7.2f} s   {is_psd.sum():,} of {smallest.count():,} "
        f"matrices are psd within {TOLERANCE:.0e}; smallest eigenvalue {smallest.min():.1e}"
    )


def print_memory(options: argparse.Namespace) -> None:
    """Run parts of the work in processes of their own and print their peak memory."""
    print("\nPeak memory of a process")
    words = ("dates", "series", "window", "min-periods")
    command = [sys.executable, __file__]
    command += [f"--{word}={getattr(options, word.replace('-', '_'))}" for word in words]
    for label in ("libraries and series", *SHARES_MISSING, "with check_psd", "pandas"):
        done = subprocess.run(
            [*command, f"--peak-of={label}"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{command} ended with {done.returncode}:\n{done.stderr}")
        print(f"  {label:<22} {float(done.stdout):>6.0f} MB")
    print("  aim: below 2000 MB, but for pandas")


def report_peak(options: argparse.Namespace) -> None:
    """Do one part of the work and print this process's peak memory in MB."""
    share = SHARES_MISSING.get(options.peak_of, 0.0)
    frame = make_returns(options.dates, options.series, share)
    if options.peak_of in SHARES_MISSING:
        rolling_correlations(frame, options.window, options.min_periods)
    elif options.peak_of == "with check_psd":
        check_psd(rolling_correlations(frame, options.window, options.min_periods))
    elif options.peak_of == "pandas":
        frame.rolling(options.window, min_periods=options.min_periods).corr()
    # Not by getrusage, whose maximum begins at that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)


def main() -> None:
    """Measure in turn and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="repetitions (default 3)")
    parser.add_argument("--dates", type=int, default=8000, help="default 8000")
    parser.add_argument("--series", type=int, default=100, help="default 100")
    parser.add_argument("--window", type=int, default=60, help="default 60")
    parser.add_argument("--min-periods", type=int, default=40, help="default 40")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with threadpool_limits(1):
        if options.peak_of is not None:
            report_peak(options)
        else:
            print_speed(options)
            print_memory(options)


if __name__ == "__main__":
    main()
