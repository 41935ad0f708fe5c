r"""What option prices, implied volatilities and greeks cost, and how exact they are.

``python tests/benchmarks/options.py [--rounds N] [--quotes N] [part ...]`` prints one table for
each part, in seconds of the processor, one thread:

- ``volatilities``: prices, implied volatilities and greeks of random contracts, a million at a
  time, and the error of the volatilities. Aims: at most 1.0 s per million volatilities and not
  slower than py_vollib_vectorized, 0.25 s per million for all greeks, an error below 1e-9 wherever
  vega exceeds 1e-4 of the spot.

py_vollib_vectorized compiles with numba and needs packages of its own, so it runs in an
environment of its own, made by::

    python -m venv ORACLE
    ORACLE/bin/pip install py_vollib_vectorized==0.1.1 py_vollib==1.0.1 \
        py_lets_be_rational==1.0.1 numba==0.68.1 numpy==2.4.6 pandas==3.1.1 scipy==1.17.1

and is timed, in turn with ours, where ``--oracle ORACLE/bin/python`` is given.
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
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tidemark.domain.black_scholes import greeks, price, solve_implied_volatility

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


def print_volatilities(options: argparse.Namespace) -> None:
    """Time prices, implied volatilities and greeks, and compare volatilities with the true ones."""
    made = make_contracts(options.quotes)
    where = made["spot"], made["strike"], made["time"], made["rate"]
    is_call, carry = made["is_call"], made["rate"] - made["dividend"]
    contract = (*where, made["vol"], is_call, carry)
    price(*(values[:1] for values in contract))  # the first call imports
    seconds: dict[str, list[float]] = {"price": [], "solve_implied_volatility": [], "greeks": []}
    with tempfile.TemporaryDirectory() as folder:
        stored, found = Path(folder, "contracts.npz"), Path(folder, "found.npy")
        for _ in range(options.rounds):
            taken, prices = measure(lambda: price(*contract))
            seconds["price"].append(taken)
            solve = partial(solve_implied_volatility, prices, *where, is_call, carry)
            taken, solved = measure(solve)
            seconds["solve_implied_volatility"].append(taken)
            taken, sensitivities = measure(lambda: greeks(*contract))
            seconds["greeks"].append(taken)
            if options.oracle:
                np.savez(stored, prices=prices, **made)
                taken = run_oracle(options.oracle, stored, found)
                seconds.setdefault("py_vollib_vectorized", []).append(taken)
        others = {"py_vollib_vectorized": np.load(found)} if options.oracle else {}
    print(
        f"\n{options.quotes:,} contracts (seconds of the processor per million, one thread; "
        f"medians of {options.rounds})"
    )
    for name, values in seconds.items():
        print(f"  {name:<26} {statistics.median(values) / options.quotes * 1e6:>6.3f} s")
    is_sensitive = 100.0 * sensitivities.vega > 1e-4 * made["spot"]
    print(f"  errors of volatilities where vega exceeds 1e-4 of spot ({is_sensitive.sum():,})")
    for name, values in ({"solve_implied_volatility": solved.vol_annual} | others).items():
        error = np.abs(values - made["vol"])[is_sensitive]
        middle, high = np.nanquantile(error, [0.5, 0.999])
        print(
            f"  {name:<26} median {middle:.1e}, 99.9 % {high:.1e}, largest "
            f"{np.nanmax(error):.1e}, missing {np.isnan(error).sum()}"
        )
    print("  aims: 1.0 s and not slower than the other for volatilities, 0.25 s for greeks, 1e-9")


PARTS = {"volatilities": print_volatilities}


def main() -> None:
    """Measure the chosen parts and print their tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)} (default all)")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions (default 5)")
    parser.add_argument("--quotes", type=int, default=1_000_000, help="default 1,000,000")
    parser.add_argument("--oracle", help="python that has py_vollib_vectorized")
    options = parser.parse_args()
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"no part {', '.join(unknown)}: choose of {', '.join(PARTS)}")
    with threadpool_limits(1):
        for name in options.parts or PARTS:
            PARTS[name](options)


if __name__ == "__main__":
    main()
