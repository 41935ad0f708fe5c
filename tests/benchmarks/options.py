r"""What the study of options costs: ratios to others' work, and absolute figures, in one table.

``python tests/benchmarks/options.py [part ...]`` measures the parts that are named, or all, prints
the details of each, and one table of what was measured beside its aim:

- ``volatilities``: prices, implied volatilities and greeks of a million random contracts, in
  seconds of the processor, one thread, and the error of the volatilities wherever vega exceeds
  1e-4 of the spot; against py_vollib_vectorized where ``--oracle`` is given.
- ``intake``: 3,589,079 rows of 33 columns in the layout of OptionsDX, read, checked, cleaned and
  stored, against ``pandas.read_csv`` with its defaults and the same filters of rows. The file is
  tiled from ``--sample``; it takes 1.3 GB where temporary files go (TMPDIR) and is removed.
- ``network``: an epoch of the GRU over 1,000,000 sequences of 20 x 10, against the same network
  in plain Keras with arrays in memory. It needs Keras and JAX (``pip install 'tidemark[deep]'``).

All of it takes ten minutes on two cores; ``--share 0.02 --rounds 1`` is a trial.

py_vollib_vectorized compiles with numba and needs packages of its own, so it runs in an
environment of its own, made by::

    python -m venv ORACLE
    ORACLE/bin/pip install py_vollib_vectorized==0.1.1 py_vollib==1.0.1 \
        py_lets_be_rational==1.0.1 numba==0.68.1 numpy==2.4.6 pandas==3.1.1 scipy==1.17.1
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gru
import numpy as np
import option_chains
from threadpoolctl import threadpool_limits

from tidemark.domain.black_scholes import greeks, price, solve_implied_volatility

# What was measured, its value, and the aim in words, if there is one.
Figure = tuple[str, float, str]

PROJECT = Path(__file__).parents[2]
SAMPLE = PROJECT.parent / "shared" / "data" / "options" / "optionsdx_raw"
QUOTES = 1_000_000
SEED = 1
# Reads contracts, compiles on some of them, prints seconds, writes volatilities.
ORACLE = """
import sys, time
import numpy as np
from py_vollib_vectorized import vectorized_implied_volatility
d = np.load(sys.argv[1])
def solve(n):
    return vectorized_implied_volatility(
        d["prices"][:n], d["spot"][:n], d["strike"][:n], d["time"][:n], d["rate"][:n],
        np.where(d["is_call"], "c", "p")[:n], d["dividend"][:n],
        model="black_scholes_merton", return_as="numpy", on_error="ignore")
solve(100)
started = time.process_time()
found = solve(None)
print(time.process_time() - started)
np.save(sys.argv[2], found)
"""


def make_contracts(n: int) -> dict[str, np.ndarray]:
    """Make contracts of 2 days to 2 years, up to three standard deviations from the money."""
    rng = np.random.default_rng(SEED)
    vol, time_years = rng.uniform(0.05, 0.8, n), rng.uniform(2 / 365, 2.0, n)
    rate, dividend = rng.uniform(0.0, 0.05, n), rng.uniform(0.0, 0.03, n)
    deviations = np.clip(rng.normal(0.0, 1.2, n), -3.0, 3.0)
    return {
        "spot": np.full(n, 100.0),
        "strike": 100.0 * np.exp(deviations * vol * np.sqrt(time_years)),
        "time": time_years,
        "rate": rate,
        "dividend": dividend,
        "vol": vol,
        "is_call": rng.random(n) < 0.5,
    }


def measure(work: Callable[[], Any]) -> tuple[float, Any]:
    """Do the work; return the processor's seconds, which others do not add to, and its result."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def run_oracle(python: str, contracts: Path, found: Path) -> float:
    """Solve by the other package in its own environment; return the seconds that it printed."""
    done = subprocess.run(
        [python, "-W", "ignore", "-c", ORACLE, str(contracts), str(found)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        sys.exit(f"{python} ended with {done.returncode}:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def print_volatilities(n: int, rounds: int, oracle: str | None) -> list[Figure]:
    """Time prices, implied volatilities and greeks, and compare volatilities with the true ones."""
    made = make_contracts(n)
    where = made["spot"], made["strike"], made["time"], made["rate"]
    is_call, carry = made["is_call"], made["rate"] - made["dividend"]
    contract = (*where, made["vol"], is_call, carry)
    price(*(values[:1] for values in contract))  # the first call imports
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        stored, found = Path(folder, "contracts.npz"), Path(folder, "found.npy")
        for _ in range(rounds):
            taken, prices = measure(lambda: price(*contract))
            seconds.setdefault("price", []).append(taken)
            solve = partial(solve_implied_volatility, prices, *where, is_call, carry)
            taken, solved = measure(solve)
            seconds.setdefault("solve_implied_volatility", []).append(taken)
            taken, sensitivities = measure(lambda: greeks(*contract))
            seconds.setdefault("greeks", []).append(taken)
            if oracle:
                np.savez(stored, prices=prices, **made)
                taken = run_oracle(oracle, stored, found)
                seconds.setdefault("py_vollib_vectorized", []).append(taken)
        others = {"py_vollib_vectorized": np.load(found)} if oracle else {}
    per_million = {name: statistics.median(each) / n * 1e6 for name, each in seconds.items()}
    print(f"\n{n:,} contracts (seconds of the processor per million; medians of {rounds})")
    for name, value in per_million.items():
        print(f"  {name:<26} {value:>6.3f} s")
    is_sensitive = 100.0 * sensitivities.vega > 1e-4 * made["spot"]
    print(f"  errors of volatilities where vega exceeds 1e-4 of spot ({is_sensitive.sum():,})")
    for name, values in ({"solve_implied_volatility": solved.vol_annual} | others).items():
        print_errors(name, np.abs(values - made["vol"])[is_sensitive])
    return list_figures(per_million, np.abs(solved.vol_annual - made["vol"])[is_sensitive])


def print_errors(name: str, error: np.ndarray) -> None:
    """Print how large the errors of one package's volatilities are."""
    middle, high = np.nanquantile(error, [0.5, 0.999])
    print(
        f"  {name:<26} median {middle:.1e}, 99.9 % {high:.1e}, largest {np.nanmax(error):.1e}, "
        f"missing {np.isnan(error).sum()}"
    )


def list_figures(per_million: dict[str, float], error: np.ndarray) -> list[Figure]:
    """List what the aims of the mathematics are about; a missing volatility has no error."""
    ours, theirs = (
        per_million.get(name, np.nan)
        for name in ("solve_implied_volatility", "py_vollib_vectorized")
    )
    return [
        ("py_vollib_vectorized over tidemark", theirs / ours, "at least 1"),
        ("seconds per million volatilities", ours, "at most 1.0"),
        ("seconds per million of all greeks", per_million["greeks"], "at most 0.25"),
        ("largest error of a volatility", float(np.max(error)), "below 1e-9"),
    ]


def find_sample(place: Path) -> Path:
    """Find the file of OptionsDX to tile: the place itself, or the only text in it."""
    files = [place] if place.is_file() else sorted(place.glob("*.txt"))
    if len(files) != 1:
        sys.exit(
            f"The part 'intake' tiles one file in the layout of OptionsDX; '{place}' "
            f"{'holds ' + str(len(files)) if place.is_dir() else 'is absent'}. Give the file, or "
            "the folder that holds it alone, by --sample; or name the other parts."
        )
    return files[0]


PARTS: dict[str, Callable[[argparse.Namespace], list[Figure]]] = {
    "volatilities": lambda given: print_volatilities(
        round(QUOTES * given.share), given.rounds, given.oracle
    ),
    "intake": lambda given: option_chains.print_intake(
        find_sample(given.sample), round(option_chains.ROWS * given.share), given.rounds
    ),
    "network": lambda given: gru.print_epochs(round(gru.SEQUENCES * given.share), given.rounds),
}


def read_options() -> argparse.Namespace:
    """Read the command line, and refuse what would fail later."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)} (all)")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions; epochs (3)")
    parser.add_argument("--share", type=float, default=1.0, help="of the sizes above (1.0)")
    parser.add_argument(
        "--sample",
        type=Path,
        default=SAMPLE,
        help="file of OptionsDX that is tiled, or its folder (../shared/data/options/"
        "optionsdx_raw beside the project)",
    )
    parser.add_argument("--oracle", help="python that has py_vollib_vectorized")
    given = parser.parse_args()
    given.parts = given.parts or list(PARTS)
    unknown = sorted(set(given.parts) - set(PARTS))
    if unknown:
        parser.error(f"no part {', '.join(unknown)}: choose of {', '.join(PARTS)}")
    if given.rounds < 1 or not 0.0 < given.share <= 1.0:
        parser.error("give --rounds of at least 1 and a --share above 0, up to 1")
    if "intake" in given.parts:
        find_sample(given.sample)
    absent = [name for name in ("keras", "jax") if find_spec(name) is None]
    if "network" in given.parts and absent:
        parser.error(
            f"the part 'network' needs {' and '.join(absent)}: pip install 'tidemark[deep]', or "
            "name the other parts"
        )
    return given


def main() -> None:
    """Measure the chosen parts and print one table of their figures."""
    given = read_options()
    with threadpool_limits(1):
        figures = [(part, *one) for part in given.parts for one in PARTS[part](given)]
    print(f"\n{'part':<14} {'':<52} {'measured':>12}   aim")
    for part, what, value, aim in figures:
        shown = "not measured" if np.isnan(value) else f"{value:.3g}"
        print(f"{part:<14} {what:<52} {shown:>12}   {aim}")


if __name__ == "__main__":
    main()
