"""What a large file of option chains costs: read, checked, cleaned and stored in bounded memory.

A chain in the layout of OptionsDX is tiled, with its dates moved, to the size of three years of
SPY, and two ways do the same with it in turn, each in a process of its own:

- ``tidemark``: read in chunks, convert, check everything, and store what is kept and what is not.
- ``pandas``: ``read_csv`` with its defaults and the filters of rows alone, without parity, copies
  of days, facts of days and storing.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
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
AIM, AIM_GB = 3.0, 2.5


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


def print_intake(sample: Path, n_rows: int, rounds: int) -> list[tuple[str, float, str]]:
    """Make the file, measure both ways in turn, print what they cost, and return the ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "chain.txt"
        tile(sample, file, n_rows)
        print(
            f"\n{n_rows:,} rows of 33 columns, {file.stat().st_size / 1e9:.2f} GB, read, checked, "
            f"cleaned and stored (medians of {rounds})"
        )
        costs = [{way: run_alone(way, file, folder) for way in WAYS} for _ in range(rounds)]
    print(f"  {'':<10} {'clock s':>9} {'processor s':>12} {'peak GB':>9} {'kept':>12}")
    for way in WAYS:
        clock, processor, peak, kept = zip(*(one[way] for one in costs), strict=True)
        print(
            f"  {way:<10} {statistics.median(clock):>9.1f} {statistics.median(processor):>12.1f} "
            f"{max(peak):>9.2f} {kept[0]:>12,}"
        )
    clock, processor = (
        statistics.median(one["pandas"][place] / one["tidemark"][place] for one in costs)
        for place in (0, 1)
    )
    return [
        ("pandas over tidemark, by the clock", clock, f"at least {AIM}"),
        ("pandas over tidemark, seconds of processors", processor, ""),
        ("GB that tidemark takes", max(one["tidemark"][2] for one in costs), f"at most {AIM_GB}"),
    ]


def run_alone(way: str, file: Path, folder: Path) -> tuple[float, float, float, int]:
    """Do one of the ways in a process of its own, which knows nothing of this one."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, way, file, folder).result()


def measure(way: str, file: Path, folder: Path) -> tuple[float, float, float, int]:
    """Do one of the ways here; return seconds, processors' seconds, peak GB and how many it kept.

    Importing libraries is no part of it.
    """
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401

    clock, processor = time.perf_counter(), time.process_time()
    kept = WAYS[way](file, folder)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    return clock, processor, read_peak(), kept


def read_peak() -> float:
    """Read this process's peak memory in GB; NaN but on Linux.

    ``getrusage`` would count what the process held that started this one.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(one.split()[1]) / 2**20 for one in lines if "VmHWM" in one), np.nan)
