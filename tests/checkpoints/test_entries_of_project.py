"""Where the project's own datasets lie is known from their entries, as the datasets know it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.framework.project import configure_project

from tidemark.checkpoints.entries import Entries, stored_path
from tidemark.context import TidemarkContext, remember
from tidemark.pipeline_registry import slice_pipelines

ROOT = Path(__file__).parents[2]
OLD, NEW, NEWEST = "2019-01-01T10.00.00.000Z", "2019-01-02T10.00.00.000Z", "2019-01-03"

pytestmark = [
    # A dataset that another box reads bears its owner's dotted name on purpose.
    pytest.mark.filterwarnings("ignore:One or more dataset names contain"),
    # Kedro reads the fields of typed parameters in a way that Pydantic has deprecated.
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute"),
]

# What an environment reads that is no file of the project: a person's own, or a service.
ELSEWHERE = {
    "base": [],
    "etf": ["cross_asset_data.file.source"],
    "live": [
        "cross_asset_data.fred.source",
        "cross_asset_data.yahoo.source",
        "options_data.source_chain",
        "returns_data.source_exogenous",
        "returns_data.source_prices",
    ],
    "spx": ["options_data.source_chain"],
    "optionsdx": ["options_data.source_chain"],
}


@pytest.fixture(scope="module")
def load(
    load_context: Callable[..., TidemarkContext], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], TidemarkContext]:
    """Load each environment's context once."""
    root = tmp_path_factory.mktemp("entries")

    @cache
    def load_once(env: str) -> TidemarkContext:
        return load_context({"data_root": str(root / env)}, env=env)

    return load_once


@pytest.fixture(params=list(ELSEWHERE))
def context(
    request: pytest.FixtureRequest, load: Callable[[str], TidemarkContext]
) -> Iterator[TidemarkContext]:
    """Give an environment's context, and take away what a test has written."""
    context = load(request.param)
    remember(context)
    configure_project("tidemark")  # the registry is this context's again
    yield context
    shutil.rmtree(context.run_info.data_root, ignore_errors=True)


@pytest.fixture
def names(context: TidemarkContext) -> list[str]:
    """Name every dataset of the project that is no parameter."""
    datasets = slice_pipelines(context.studies)["__default__"].datasets()
    found = sorted(name for name in datasets if not name.startswith("params:"))
    assert len(found) > 100
    return found


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def _fill(context: TidemarkContext, names: list[str]) -> None:
    """Put something where each dataset that a node writes would be, in two versions if any."""
    catalog = context.catalog  # made anew whenever it is asked for
    for name in names:
        dataset: Any = catalog[name]
        place = getattr(dataset, "_filepath", None)
        if type(dataset).__name__ == "SnapshotDataset":
            dataset.save(pd.DataFrame({"date": [], "ticker": []}))
        elif place and Path(place).is_relative_to(context.run_info.data_root):
            versions = (OLD, NEW) if getattr(dataset, "_version", None) else (".",)
            for version in versions:
                base = Path(place)
                _touch(base if version == "." else base / version / base.name)


@pytest.mark.parametrize("filled", [False, True])
def test_locate_of_every_dataset_of_the_project_agrees_with_the_dataset_itself(
    context: TidemarkContext, names: list[str], filled: bool
) -> None:
    """The short way by the entry and the long way by the dataset end at one place, or at none."""
    if filled:
        _fill(context, names)
    catalog = context._get_catalog(save_version=NEWEST)
    entries = Entries(catalog, context.run_info)

    short = {name: entries.locate(name) for name in names}
    long = {name: stored_path(catalog[name], saved=False) for name in names}

    assert short == long
    if filled:
        lost = [name for name, path in short.items() if path is None or not path.exists()]
        assert lost == ELSEWHERE[str(context.env)]
        assert NEW in str(short["median_impute.ridge.model"])


def test_locate_of_a_pinned_version_agrees_with_the_dataset_itself(
    context: TidemarkContext,
) -> None:
    """``--load-versions`` counts, for entries and for families alike, and for nothing else."""
    pinned = {"median_impute.ridge.model": OLD, "returns_data.profile": OLD}
    chosen = [*pinned, "median_impute.ridge.metrics"]
    _fill(context, chosen)
    catalog = context._get_catalog(load_versions=pinned)
    entries = Entries(catalog, context.run_info)

    for name in chosen:
        place = entries.locate(name)
        assert place == stored_path(catalog[name], saved=False)
        assert place is not None
        assert place.parent.name == pinned.get(name, NEW)


def test_describe_of_every_dataset_of_the_project_holds_no_place_of_this_machine(
    context: TidemarkContext, names: list[str]
) -> None:
    """A project that is moved, or writes elsewhere, has the same entries: nothing is stale."""
    entries = Entries(context.catalog, context.run_info)
    described = {name: entries.describe(name) for name in names}

    text = json.dumps(described)
    assert str(context.run_info.data_root) not in text
    assert str(ROOT) not in text
    assert described["median_impute.ridge.metrics"] == {
        "type": "json.JSONDataset",
        "filepath": "<data_root>/07_model_output/median_impute/ridge/metrics.json",
        "versioned": True,
        "save_args": {"indent": 2},
    }
