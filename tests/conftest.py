"""Fixtures that run the project's own commands on small real data."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

PROJECT = Path(__file__).parents[1]
EMBEDDED = PROJECT / "data/01_raw/returns"

os.environ["DO_NOT_TRACK"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@dataclass
class Workplace:
    """A data root and an MLflow store of a test's own, and the commands on them."""

    root: Path
    prices: Path

    @property
    def data(self) -> Path:
        """Where runs write."""
        return self.root / "data"

    @property
    def tracking_uri(self) -> str:
        """The MLflow store."""
        return f"sqlite:///{self.root / 'mlflow.db'}"

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment that commands run in."""
        own = {"MLFLOW_TRACKING_URI": self.tracking_uri, "COLUMNS": "200"}
        return {**os.environ, **own, **more}

    def command(self, *words: str) -> list[str]:
        """Return the words of a kedro command."""
        return [sys.executable, "-m", "kedro", *words]

    def run_words(self, *words: str, prices: Path | None = None) -> list[str]:
        """Return the words of ``kedro run`` on this workplace's data."""
        params = f"prices_file={prices or self.prices},data_root={self.data}"
        return self.command("run", *words, "--params", params)

    def kedro(
        self, *words: str, prices: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``kedro run`` to its end."""
        return subprocess.run(
            self.run_words(*words, prices=prices),
            cwd=PROJECT,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def mlflow_runs(self) -> list[Any]:
        """All runs of the returns study in this workplace's store, newest first."""
        from mlflow import MlflowClient

        client = MlflowClient(self.tracking_uri)
        experiment = client.get_experiment_by_name("returns")
        return client.search_runs([experiment.experiment_id]) if experiment else []


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create an empty MLflow database, once, because that takes seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    code = "import sys, mlflow; mlflow.MlflowClient(sys.argv[1]).search_experiments()"
    words = [sys.executable, "-c", code, f"sqlite:///{path}"]
    subprocess.run(words, check=True, capture_output=True)
    return path


@pytest.fixture(scope="session")
def small_prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four of the embedded stocks over two years, as CSV."""
    prices = pd.read_parquet(EMBEDDED / "prices.parquet")
    chosen = prices["ticker"].isin(["AAPL", "BAC", "GE", "XOM"]) & (prices["date"] >= "2017-01-01")
    path = tmp_path_factory.mktemp("prices") / "small.csv"
    prices[chosen].to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def new_workplace(
    tmp_path_factory: pytest.TempPathFactory, mlflow_store: Path, small_prices: Path
) -> Callable[[], Workplace]:
    """Make workplaces: nothing that one run leaves is seen by another."""

    def make() -> Workplace:
        root = tmp_path_factory.mktemp("workplace")
        shutil.copyfile(mlflow_store, root / "mlflow.db")
        return Workplace(root, small_prices)

    return make


@pytest.fixture
def workplace(new_workplace: Callable[[], Workplace]) -> Workplace:
    """Make a workplace of one test's own."""
    return new_workplace()
