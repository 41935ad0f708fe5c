"""The same cell in two runs: found by name, compared on the same rows and targets alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tidemark.domain.comparison import diebold_mariano
from tidemark.errors import TrackingError, UnknownName
from tidemark.tracking.metric_rows import MetricRow
from tidemark.tracking.metrics_store import MetricsStore
from tidemark.tracking.run_pairs import find_run, pair_cells

DAYS = pd.bdate_range("2018-01-01", periods=60)
OLD, NEW = "2026-11-20T10.00.00.000Z", "2026-11-21T10.00.00.000Z"


def losses(seed: int, scale: float = 1.0, days: pd.DatetimeIndex = DAYS) -> pd.DataFrame:
    """Make sums by date of four rows each; targets are the same for every seed."""
    n_days = len(days)
    errors = scale * np.random.default_rng(seed).normal(0.0, 0.02, (n_days, 4))
    targets = np.random.default_rng(0).normal(0.0, 0.02, (len(DAYS), 4))[:n_days]
    return pd.DataFrame(
        {
            "date": days,
            "n": 4.0,
            "sq_error": (errors**2).sum(axis=1),
            "sq_zero": (targets**2).sum(axis=1),
        }
    )


class Bench:
    """A store, and a data root in which runs have left their losses."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = MetricsStore(f"sqlite:///{root / 'metrics.db'}")

    def put(self, run_id: str, cell: str, daily: pd.DataFrame | None, **changes: Any) -> None:
        """Let a run leave a cell."""
        scenario, _, model = cell.partition(".")
        place = None
        if daily is not None:
            place = f"{cell}/{run_id}/daily.parquet"
            (self.root / place).parent.mkdir(parents=True)
            daily.to_parquet(self.root / place)
        row = {
            "run_id": run_id,
            "study": "returns",
            "scenario": scenario,
            "model": model,
            "metric": "scored_rows",
            "value": 240.0,
            "status": "ok",
            "started": datetime.fromisoformat(run_id[:10]).replace(tzinfo=UTC),
            "data_hash": "ab",
            "daily": place,
            **changes,
        }
        self.store.write([MetricRow(**row)])

    def pair(self, cell: str | None = None) -> list[Any]:
        """Compare the two runs."""
        return pair_cells(self.store, self.root, OLD, NEW, cell)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Make an empty one."""
    return Bench(tmp_path)


def test_find_run_by_id_by_its_beginning_and_by_age(bench: Bench) -> None:
    """The newest is the one that started last, whatever was written last."""
    bench.put(NEW, "low.ridge", None)
    bench.put(OLD, "low.ridge", None)
    for name in (NEW, "2026-11-21", "latest"):
        assert find_run(bench.store, name) == NEW
    assert find_run(bench.store, "previous") == OLD


def test_find_run_that_is_not_one_is_refused(bench: Bench) -> None:
    """An unknown run is answered with those that exist, an ambiguous one with those it may be."""
    bench.put(OLD, "low.ridge", None)
    with pytest.raises(TrackingError, match="knows 1 runs"):
        find_run(bench.store, "previous")
    bench.put(NEW, "low.ridge", None)
    with pytest.raises(UnknownName, match=OLD):
        find_run(bench.store, "2025")
    with pytest.raises(TrackingError, match="Several runs"):
        find_run(bench.store, "2026-11")


def test_pair_is_the_diebold_mariano_test_of_the_same_dates(bench: Bench) -> None:
    """Positive where the second run is better; dates that one run lacks do not count."""
    first, second = losses(1, scale=1.5), losses(2, days=DAYS[:50])
    bench.put(OLD, "low.ridge", first)
    bench.put(NEW, "low.ridge", second, data_hash="cd")
    (pair,) = bench.pair()
    one, two = first["sq_error"].to_numpy()[:50] / 4.0, second["sq_error"].to_numpy() / 4.0
    expected = diebold_mariano(two, one)
    assert (pair.difference, pair.p_value) == (expected.mean_difference, expected.p_value)
    assert pair.difference > 0
    assert (pair.first, pair.second) == pytest.approx((one.mean() ** 0.5, two.mean() ** 0.5))
    assert (pair.n_dates, pair.note, pair.has_other_data) == (50, "", True)


def test_pair_of_identical_losses_has_no_p(bench: Bench) -> None:
    """Nothing is tested where nothing differs."""
    for run in (OLD, NEW):
        bench.put(run, "low.ridge", losses(1))
    (pair,) = bench.pair("low.ridge")
    assert np.isnan(pair.p_value)
    assert (pair.difference, pair.first) == (0.0, pair.second)
    assert not pair.has_other_data


@pytest.mark.parametrize(
    ("other", "note"),
    [
        (losses(2).assign(n=5.0), "scored on other rows of the same dates"),
        (losses(2).assign(sq_zero=1.0), "scored on other targets"),
        (losses(2, days=DAYS[:9]), "9 dates in common are too few"),
        (None, "the losses of the second run are not here any more"),
    ],
)
def test_pair_that_cannot_be_compared_says_why(
    bench: Bench, other: pd.DataFrame | None, note: str
) -> None:
    """No figure stands where it would mean nothing."""
    bench.put(OLD, "low.ridge", losses(1))
    bench.put(NEW, "low.ridge", other)
    (pair,) = bench.pair()
    assert pair.note == note
    assert np.isnan([pair.first, pair.second, pair.p_value]).all()


def test_pair_names_cells_that_failed_or_were_not_made(bench: Bench) -> None:
    """Every cell of either run is listed, in the order of names."""
    bench.put(OLD, "low.ridge", losses(1))
    bench.put(OLD, "low.svr", None, status="failed")
    bench.put(NEW, "low.svr", losses(1))
    bench.put(NEW, "high.ridge", losses(1))
    assert [(pair.cell, pair.note) for pair in bench.pair()] == [
        ("high.ridge", "not made in the first run"),
        ("low.ridge", "not made in the second run"),
        ("low.svr", "failed in the first run"),
    ]
    with pytest.raises(UnknownName, match=r"low\.svr"):
        bench.pair("high.svr")


def densities(seed: int, n_days: int = 60, better: float = 0.0) -> pd.DataFrame:
    """Make minus log scores by date, of one observation each."""
    scores = np.random.default_rng(seed).normal(2.0 + better, 0.5, n_days)
    return pd.DataFrame({"date": DAYS[:n_days], "n": 1.0, "neg_log_score": -scores})


def test_pair_of_densities_is_compared_by_log_scores(bench: Bench) -> None:
    """Mean log scores stand in place of errors; larger is better, and so is the difference."""
    first, second = densities(1), densities(2, better=1.0)
    bench.put(OLD, "equity_bond.markov", first)
    bench.put(NEW, "equity_bond.markov", second)
    (pair,) = bench.pair()
    assert (pair.score, pair.note, pair.n_dates) == ("log_score", "", 60)
    means = [-one["neg_log_score"].mean() for one in (first, second)]
    assert (pair.first, pair.second) == pytest.approx(means)
    assert pair.difference == pytest.approx(means[1] - means[0])
    assert pair.difference > 0.5
    assert pair.p_value < 0.001


def test_pair_of_a_forecast_and_a_density_is_not_compared(bench: Bench) -> None:
    """Squared errors and log scores have no common unit."""
    bench.put(OLD, "low.ridge", losses(1))
    bench.put(NEW, "low.ridge", densities(1))
    (pair,) = bench.pair()
    assert pair.note == "judged by another score"
    assert np.isnan(pair.p_value)


def test_pair_of_longer_horizon_counts_overlapping_outcomes(bench: Bench) -> None:
    """The horizon that the losses name decides on the lags; losses without one look a day ahead."""
    one, two = (losses(seed) for seed in (1, 2))
    bench.put(OLD, "low.ridge", one.assign(horizon_days=9))
    bench.put(NEW, "low.ridge", two.assign(horizon_days=9))
    bench.put(OLD, "low.linear", one)
    bench.put(NEW, "low.linear", two.assign(horizon_days=9))
    means = [table["sq_error"].to_numpy() / 4.0 for table in (two, one)]
    for pair in bench.pair():
        assert pair.p_value == diebold_mariano(*means, horizon_days=9).p_value
        assert pair.p_value != diebold_mariano(*means).p_value


def test_pair_with_no_more_dates_than_the_horizon_says_so(bench: Bench) -> None:
    """Twenty dates that all look 21 dates ahead are hardly one observation."""
    for run, seed in ((OLD, 1), (NEW, 2)):
        bench.put(run, "low.ridge", losses(seed, days=DAYS[:20]).assign(horizon_days=21))
    (pair,) = bench.pair()
    assert pair.note == "20 dates in common are too few"
