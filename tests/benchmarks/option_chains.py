"""What a large file of option chains costs: read, checked, cleaned and stored in bounded memory.

``python tests/benchmarks/option_chains.py FOLDER [--rounds N] [--rows N]`` tiles the chain in the
layout of OptionsDX that FOLDER holds, with its dates moved, to the size of three years of SPY
(3,589,079 rows of 33 columns), and does in turn, each in a process of its own:

- ``tidemark``: read in chunks, convert, check everything, and store what is kept and what is not.
- ``pandas``: ``read_csv`` with its defaults and the filters of rows alone, without parity, copies
  of days, facts of days and storing.

It prints seconds of the clock and of the processor, the peak memory as Linux tells it, and how
many times faster the first is. Aims: at most 2.5 GB; at least 3 times.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 3_589_079
# Expirations are moved by these days beside each other, so that none meets another.
SHIFTS = (0, 2, 4, 26, 76, 85, 87, 359, 361)
PERIOD_DAYS = 35  # what the sample is moved by as a whole: longer than it is, weekdays stay
RATE, TOLERANCE = 0.005, 0.05


def tile(sample: Path, out: Path, rows: int) -> None:
    """Write a large file of the sample's rows, day by day, sorted as the sample is."""
    header, *lines = sample.read_text().splitlines()
    cells = [line.split(", ", 7) for line in lines]
    by_day = [list(group) for _, group in groupby(cells, key=lambda cell: cell[2])]
    a_period = len(cells) * len(SHIFTS)
    written = 0
    with out.open("w") as file:
        file.write(f"{header}\n")
        for period in range(-(-rows // a_period) - 1, -1, -1):
            back = -PERIOD_DAYS * period
            for day in by_day:
                moved = _move(day, back)[: rows - written]
                file.write("".join(moved))
                written += len(moved)


def _move(day: list[list[str]], back: int) -> list[str]:
    """Write one day's rows for every shift of its expirations, earlier expirations first."""
    moved = [
        (date.fromisoformat(cell[5]) + timedelta(back + shift), cell, 86_400 * (back + shift))
        for shift in SHIFTS
        for cell in day
    ]
    moved.sort(key=lambda one: one[0])
    quoted = date.fromisoformat(day[0][2]) + timedelta(back)
    asked = f"{int(day[0][0]) + 86_400 * back}, {quoted} 16:00, {quoted}"
    return [
        f"{asked}, {cell[3]}, {cell[4]}, {expiration}, {int(cell[6]) + seconds}, {cell[7]}\n"
        for expiration, cell, seconds in moved
    ]


def do_tidemark(file: Path, folder: Path) -> int:
    """Read, check, clean and store; return how many quotes are kept."""
    from tidemark.datasets.chain_folder import ChainFolderDataset
    from tidemark.datasets.optionsdx import OptionsDXDataset
    from tidemark.domain.chain_checks import REASONS, CheckedChain, IntakeSettings

    source = OptionsDXDataset(str(file), "AAPL").load()
    leaving = tuple(name for name in REASONS if name not in ("no_bid", "zero_day"))
    settings = IntakeSettings(rate_continuous=RATE, tolerance=TOLERANCE)
    stored = ChainFolderDataset(str(folder / "chain"))
    stored.save(CheckedChain(source, settings, leaving))
    days = stored.load().days
    return int((days["contracts"] - days["quarantined"]).sum())


def do_pandas(file: Path, _: Path) -> int:
    """Read with defaults and filter rows in memory; return how many quotes are kept."""
    from tidemark.domain.sessions import list_sessions

    raw = pd.read_csv(file)
    raw.columns = raw.columns.str.strip(" []")
    for name in ("QUOTE_DATE", "EXPIRE_DATE"):
        raw[name] = pd.to_datetime(raw[name].str.strip())
    for name in ("C_IV", "C_VOLUME", "P_IV", "P_VOLUME"):
        raw[name] = pd.to_numeric(raw[name], errors="coerce")
    shared = ["QUOTE_DATE", "UNDERLYING_LAST", "EXPIRE_DATE", "STRIKE"]
    parts = []
    for side, kind in (("C", "call"), ("P", "put")):
        own = {name: name[2:] for name in raw if name.startswith(f"{side}_")}
        parts.append(raw[[*shared, *own]].rename(columns=own).assign(option_type=kind))
    chain = pd.concat(parts, ignore_index=True)
    dates = chain["QUOTE_DATE"]
    chain = chain[dates.isin(list_sessions("XNYS", dates.min(), dates.max()))]
    key = ["QUOTE_DATE", "EXPIRE_DATE", "option_type", "STRIKE"]
    shared_keys = chain.duplicated(key, keep=False)
    first = chain[shared_keys].drop_duplicates()  # of identical rows one stays
    chain = pd.concat([chain[~shared_keys], first[~first.duplicated(key, keep=False)]])
    chain = chain[chain["EXPIRE_DATE"] >= chain["QUOTE_DATE"]]
    chain = chain[(chain["STRIKE"] > 0) & (chain["UNDERLYING_LAST"] > 0)]
    chain = chain[chain["BID"].notna() & (chain["ASK"] > 0) & (chain["BID"] <= chain["ASK"])]
    is_call = chain["option_type"] == "call"
    inside = (chain["UNDERLYING_LAST"] - chain["STRIKE"]) * np.where(is_call, 1.0, -1.0)
    dearest = chain["UNDERLYING_LAST"].where(is_call, chain["STRIKE"])
    fits = (chain["ASK"] >= inside - TOLERANCE) & (chain["BID"] <= dearest + TOLERANCE)
    return len(chain[fits].sort_values(key))


WAYS: dict[str, Callable[[Path, Path], int]] = {"tidemark": do_tidemark, "pandas": do_pandas}


def run_alone(way: str, file: Path, folder: Path) -> tuple[float, float, float, int]:
    """Do one of the ways in a process of its own; return its seconds, its GB and what it kept."""
    command = [sys.executable, __file__, "--way", way, str(file), str(folder)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(answer[0]), float(answer[1]), float(answer[2]), int(answer[3])


def measure(way: str, file: Path, folder: Path) -> None:
    """Do one of the ways here, and print what it cost; importing libraries is no part of it."""
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401

    clock, processor = time.perf_counter(), time.process_time()
    kept = WAYS[way](file, folder)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # kB on Linux
    print(clock, processor, peak, kept)


def main() -> None:
    """Make the file, measure both ways in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("place", type=Path)
    parser.add_argument("folder", type=Path, nargs="?")
    given = parser.parse_args()
    if given.way:
        measure(given.way, given.place, given.folder)
        return
    (sample,) = given.place.glob("*.txt")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "chain.txt"
        tile(sample, file, given.rows)
        print(f"{given.rows:,} rows, {file.stat().st_size / 2**30:.2f} GB, {given.rounds} rounds")
        rounds = [{way: run_alone(way, file, folder) for way in WAYS} for _ in range(given.rounds)]
    print(f"{'':10}{'clock s':>10}{'processor s':>13}{'peak GB':>9}{'kept':>12}")
    for way in WAYS:
        clock, processor, peak, kept = zip(*(one[way] for one in rounds), strict=True)
        print(
            f"{way:10}{statistics.median(clock):10.1f}{statistics.median(processor):13.1f}"
            f"{max(peak):9.2f}{kept[0]:12,}"
        )
    for what, place in (("clock", 0), ("processor", 1)):
        ratios = sorted(one["pandas"][place] / one["tidemark"][place] for one in rounds)
        print(f"times faster by the {what}: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


if __name__ == "__main__":
    main()
