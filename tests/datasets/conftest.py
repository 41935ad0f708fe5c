"""A catalog of files of every kind that the project writes, and a server of recorded answers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog

from tidemark.datasets.catalog import SharedTidemarkCatalog, TidemarkCatalog

sys.path.insert(0, str(Path(__file__).parent))

from replay import WIRE, ReplayServer, replay_wire

# Kedro's own datasets, by the ending of their file.
TYPES = {
    "pkl": "pickle.PickleDataset",
    "json": "json.JSONDataset",
    "txt": "text.TextDataset",
    "csv": "pandas.CSVDataset",
    "parquet": "pandas.ParquetDataset",
}


@pytest.fixture(params=[TidemarkCatalog, SharedTidemarkCatalog])
def new_catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., DataCatalog]:
    """Make a catalog of one file of each type, of either class."""

    def make(**options: Any) -> DataCatalog:
        config = {
            kind: {"type": name, "filepath": str(tmp_path / f"x.{kind}")}
            for kind, name in TYPES.items()
        }
        for kind in ("json", "pkl"):
            config[f"versioned_{kind}"] = {
                "type": TYPES[kind],
                "filepath": str(tmp_path / f"v.{kind}"),
                "versioned": True,
            }
        schema = "tidemark.domain.schemas.Exogenous"
        config["checked"] = {
            "type": TYPES["parquet"],
            "filepath": str(tmp_path / "checked.parquet"),
            "validator": schema,
        }
        made: DataCatalog = request.param.from_config(config, **options)
        return made

    return make


@pytest.fixture
def replay_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplayServer]:
    """Run a server of recorded answers for one test; it knows none yet."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ReplayServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.stopping.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def wire_server(replay_server: ReplayServer) -> ReplayServer:
    """Serve what the real services have sent, where their recordings are at hand."""
    if not WIRE.is_dir():
        pytest.skip(f"needs the recorded answers in '{WIRE}'")
    replay_wire(replay_server)
    return replay_server
