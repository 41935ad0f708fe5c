"""A few months of simulated quotes, taken through the nodes of the options study's data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tidemark.datasets.chain_folder import ChainFolderDataset
from tidemark.domain.chain_simulation import SimulationSettings, simulate_chain
from tidemark.pipelines.data_engineering.options import nodes, pricing, quality
from tidemark.pipelines.data_engineering.options.params import (
    ChainParams,
    PricingParams,
    UniverseParams,
)
from tidemark.pipelines.params import AuditParams, EvaluationParams, SplitParams

PROJECT = Path(__file__).resolve().parents[2]
CLOSES = PROJECT / "data/01_raw/cross_asset/series.parquet"
AS_OF = "2017-02-15"
KEYS = ["date", "contract"]
QUOTED = ["bid", "ask", "volume", "open_interest"]
SEED = 3

SPLIT = SplitParams(test_share=0.3, n_folds=2, horizon_days=1, embargo_days=0, refit_sessions=12)
EVALUATION = EvaluationParams(
    seed=3,
    n_replicates=100,
    bootstrap="stationary",
    block_length_days="auto",
    interval="percentile",
    level=0.9,
    confidence_set_size=0.1,
)
AUDIT = AuditParams(n_cuts=2, seed=7, exogenous_delay_days=1)


def _read_params() -> dict[str, Any]:
    text = (PROJECT / "conf/base/parameters_options.yml").read_text(encoding="utf-8")
    tree: dict[str, Any] = yaml.safe_load(text)["options"]
    return tree


PARAMS = _read_params()
CHECKS = ChainParams.model_validate(PARAMS["validation"])
PRICING = PricingParams.model_validate(PARAMS["pricing"])
UNIVERSE = UniverseParams.model_validate(PARAMS["universe"])


@dataclass(frozen=True)
class Accepted:
    """What is known once a chain has been accepted."""

    report: dict[str, Any]
    quarantine: pd.DataFrame
    checked: Any
    market_check: dict[str, Any]
    contracts: pd.DataFrame
    market: pd.DataFrame
    profile: dict[str, Any]
    fingerprint: dict[str, Any]


@dataclass(frozen=True)
class Priced:
    """What the study prices: see `tidemark.pipelines.data_engineering.options.pricing.price`."""

    inputs: pd.DataFrame
    volatilities: pd.DataFrame
    baselines: pd.DataFrame
    targets: pd.DataFrame
    facts: pd.DataFrame


@cache
def simulate_quotes() -> pd.DataFrame:
    """Simulate 89 days on real closes, with the simulator's defects; nobody may change them."""
    if not CLOSES.exists():
        pytest.skip("the embedded series are absent: data/rebuild.py makes them")
    table = pd.read_parquet(CLOSES)
    closes = table[table["series"] == "sp500"].set_index("date")["value"]
    settings = SimulationSettings(n_warmup_sessions=90)
    return simulate_chain(closes.loc["2016-06-01":AS_OF], settings, SEED).quotes


def check(quotes: pd.DataFrame, folder: Path) -> Any:
    """Check quotes and store them as the catalog does."""
    dataset = ChainFolderDataset(str(folder))
    dataset.save(nodes.fetch(quotes, CHECKS, PRICING))
    return dataset.load()


def accept(quotes: pd.DataFrame, folder: Path) -> Accepted:
    """Take quotes through fetch, validate, imply and accept."""
    checked = check(quotes, folder)
    report, _, quarantine = nodes.validate(checked, AS_OF, CHECKS)
    _, market_check, _ = quality.imply(checked, PRICING)
    report, market_check = json.loads(json.dumps([report, market_check], allow_nan=False))
    taken = nodes.accept(
        report=report,
        quarantine=quarantine,
        checked_chain=checked,
        market_check=market_check,
        dq_report="",
    )
    return Accepted(report, quarantine, checked, market_check, *taken)


def price(contracts: pd.DataFrame, market: pd.DataFrame, **universe: float) -> Priced:
    """Price what was accepted."""
    chosen = UniverseParams.model_validate({**PARAMS["universe"], **universe})
    return Priced(*pricing.price(contracts, market, PRICING, chosen))


def permute_quotes(
    table: pd.DataFrame, day: pd.Timestamp, date_column: str = "date", *, seed: int = 0
) -> pd.DataFrame:
    """Give each contract of a day the quote of any other one of the same day."""
    own = np.flatnonzero(table[date_column] == day)
    return _exchange(table, own, np.random.default_rng(seed).permutation(own))


def swap_neighbours(market: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """Let two neighbouring strikes in ten change places: the others say where forwards are."""
    rows = market[market["date"] == day].assign(place=np.flatnonzero(market["date"] == day))
    parts = rows["contract"].str.rsplit(" ", n=1, expand=True)
    rows = rows.assign(series=parts[0], strike=parts[1].astype("float64"))
    rows = rows.sort_values(["series", "strike"])
    rank = rows.groupby("series").cumcount()
    partner = rows.groupby("series")["place"].shift(-1).where(rank % 10 == 3)
    both = rows.loc[partner.notna(), "place"].to_numpy(), partner.dropna().to_numpy(dtype="int64")
    return _exchange(market, np.concatenate(both), np.concatenate(both[::-1]))


def _exchange(table: pd.DataFrame, rows: np.ndarray, others: np.ndarray) -> pd.DataFrame:
    values = table[QUOTED].to_numpy(copy=True)
    values[rows] = values[others]
    return table.assign(**dict(zip(QUOTED, values.T, strict=True)))
