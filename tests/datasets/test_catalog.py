"""The catalog gives every dataset of every pipeline its place, and every place is used."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from itertools import repeat
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
import yaml
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from pydantic import BaseModel

from tidemark.context import TidemarkContext
from tidemark.pipeline_registry import slice_pipelines
from tidemark.pipelines.data_engineering.cross_asset.params import PairParams
from tidemark.pipelines.data_engineering.options.params import (
    ChainParams,
    GroupParams,
    OptionPreprocessParams,
)
from tidemark.pipelines.data_engineering.returns.params import PreprocessParams
from tidemark.pipelines.modelling.params import RecurrentParams, RegimeParams

ROOT = Path(__file__).parents[2]

pytestmark = [
    # A dataset that another box reads bears its owner's dotted name on purpose.
    pytest.mark.filterwarnings("ignore:One or more dataset names contain"),
    # Kedro reads the fields of typed parameters in a way that Pydantic has deprecated.
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute"),
]


class Project:
    """What one environment comes to; each part of it is made once."""

    def __init__(self, context: TidemarkContext) -> None:
        self.context = context
        self.root = context.run_info.data_root
        self.catalog = context.catalog  # now: it takes types from the newest context's registry

    @cached_property
    def pipelines(self) -> dict[str, Pipeline]:
        """Every registered pipeline."""
        return slice_pipelines(self.context.studies)

    @cached_property
    def entries(self) -> set[str]:
        """The names that stand in the catalog's files."""
        return set(self.context.config_loader["catalog"])

    @cached_property
    def datasets(self) -> set[str]:
        """The names of all datasets that are no parameter."""
        names = {name for one in self.pipelines.values() for name in one.datasets()}
        found = {name for name in names if not name.startswith("params:")}
        assert len(found) > 100
        return found


Load = Callable[..., Project]


@pytest.fixture(scope="module")
def load(load_context: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Load:
    """Load each environment of the project once."""
    root = tmp_path_factory.mktemp("catalog") / "data"

    @cache
    def load_once(env: str | None = None, **params: str) -> Project:
        return Project(load_context({"data_root": str(root), **params}, env=env))

    return load_once


def _place(catalog: DataCatalog, name: str) -> str:
    return _filepath(catalog[name])


def _filepath(dataset: Any) -> str:
    described = dataset._describe()
    return str(described.get("filepath", described.get("path")))


ENVIRONMENTS = ["base", "local", "etf", "live", "spx", "optionsdx"]
KEEPS_CHAINS_ONLY = "live"  # nothing is asked of them until there are enough


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_catalog_has_an_entry_for_every_dataset_of_every_pipeline(load: Load, env: str) -> None:
    """No dataset is held in memory by accident, and a family's name has as many parts as it."""
    project = load(env)
    catalog = project.catalog
    resolver = catalog.config_resolver

    unknown = {
        name
        for name in project.datasets - project.entries
        if (resolver.match_dataset_pattern(name) or "").count(".") != name.count(".")
    }

    assert unknown == set()
    assert resolver.match_dataset_pattern("median_impute.ridge.modle") is None
    kinds = {type(catalog[name]).__name__ for name in project.datasets}
    assert "MemoryDataset" not in kinds


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_catalog_names_every_parameter_that_a_node_reads(load: Load, env: str) -> None:
    """Every parameter of every pipeline exists, those of the cells and of the run among them."""
    project = load(env)
    pipelines = project.pipelines.values()
    wanted = {name for one in pipelines for name in one.datasets() if name.startswith("params:")}

    assert {"params:names.equity_bond", "params:cells.mean_impute.ridge"} <= wanted
    assert "params:options.validation" in wanted
    priced = {"params:cells.surface_impute.gru", "params:options.groups.circular"}
    assert priced & wanted == (priced if env != KEEPS_CHAINS_ONLY else set())
    assert wanted - set(project.catalog.keys()) == set()


def test_catalog_entry_that_no_pipeline_uses_does_not_exist(load: Load) -> None:
    """An entry that was left behind, or that a misspelling has cut off, is found."""
    project = load()
    resolver, used = project.catalog.config_resolver, set()
    entries = {name for name in project.entries if not name.startswith("_")}
    for name in project.datasets:
        used.add(name if name in entries else resolver.match_dataset_pattern(name))

    assert entries - used == set()


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_catalog_writes_below_the_data_root_only(load: Load, env: str) -> None:
    """Whatever a node puts out lies below the one folder that a run may write to, each apart."""
    project = load(env)
    outputs = project.pipelines["__default__"].all_outputs()

    places = {name: _place(project.catalog, name) for name in outputs}

    outside = {
        name: place
        for name, place in places.items()
        if not Path(place).is_relative_to(project.root)
    }
    assert outside == {}
    assert len(set(places.values())) == len(outputs)


_LAYERS = (
    *("source", "raw", "intermediate", "primary", "feature", "model_input", "models"),
    *("model_output", "reporting"),
)


def test_catalog_layers_follow_one_another(load: Load) -> None:
    """Data flows one way: no node goes back to an earlier layer, and kedro-viz can draw them."""
    project = load()
    catalog = project.catalog

    def tell(name: str) -> str | None:
        if name.startswith("params:"):
            return None
        metadata = getattr(catalog[name], "metadata", None) or {}
        layer: str | None = metadata.get("kedro-viz", {}).get("layer")
        return layer

    back = [
        (node.name, given, made)
        for node in project.pipelines["__default__"].nodes
        for given in node.inputs
        for made in node.outputs
        if (first := tell(given)) and (then := tell(made))
        if _LAYERS.index(first) > _LAYERS.index(then)
    ]
    assert back == []


def test_catalog_inputs_from_people_lie_outside_the_data_root(load: Load) -> None:
    """Data, notes and templates are read from where they are kept, whatever the data root is."""
    project = load()
    read = project.pipelines["__default__"].inputs()
    inputs = {name for name in read if not name.startswith("params:")}

    places = {name: Path(_place(project.catalog, name)) for name in inputs}

    assert set(places) == {
        *(f"returns_data.{name}" for name in ("source_prices", "source_exogenous")),
        *(f"returns_report.{name}" for name in ("templates", "notes")),
        *(f"cross_asset_data.{name}" for name in ("file.source", "templates")),
        *(f"cross_asset_report.{name}" for name in ("templates", "notes")),
        *(f"options_data.{name}" for name in ("source_chain", "templates")),
        *(f"options_report.{name}" for name in ("templates", "notes")),
    }
    assert all(path.exists() for path in places.values()), places
    assert not any(path.is_relative_to(project.root) for path in places.values())


def _arguments(node: Node) -> Iterator[tuple[str, Any]]:
    """Pair each input of a node with the hint of the argument that takes it."""
    hints, known = get_type_hints(node.func), inspect.signature(node.func).parameters
    *single, last = known
    is_open = known[last].kind is inspect.Parameter.VAR_POSITIONAL
    names = [*(single if is_open else known), *repeat(last, len(node.inputs) if is_open else 0)]
    return ((given, hints[name]) for given, name in zip(node.inputs, names, strict=not is_open))


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_catalog_parameters_are_of_the_type_that_their_node_asks_for(load: Load, env: str) -> None:
    """Kedro passes a raw dictionary, without a word, where it cannot read a function's hints.

    An argument that takes anything says no type, so another node must: no node sees a dictionary
    where the whole of a study's parameters is typed.
    """
    project = load(env)
    catalog, models = project.catalog, set()
    for node in project.pipelines["__default__"].nodes:
        for name, wanted in _arguments(node):
            if not name.startswith("params:"):
                continue
            value, kind = catalog.load(name), get_origin(wanted) or wanted
            if kind is Any:
                assert not isinstance(value, dict), f"{node.name}: {name}"
            elif kind in (UnionType, Union):
                assert isinstance(value, get_args(wanted)), f"{node.name}: {name}"
            else:
                assert isinstance(value, kind), f"{node.name}: {name}"
                models |= {kind} if issubclass(kind, BaseModel) else set()

    assert len(models) >= 20  # the studies' own and those that they share
    assert {PairParams, RegimeParams, PreprocessParams} <= models
    priced = {OptionPreprocessParams, GroupParams, RecurrentParams}
    assert priced & models == (priced if env != KEEPS_CHAINS_ONLY else set())
    assert ChainParams in models


@pytest.mark.parametrize(
    ("env", "kinds"),
    [
        ("base", {"file": "TableFileDataset"}),
        ("etf", {"file": "TableFileDataset"}),
        ("live", {"yahoo": "YahooChartDataset", "fred": "FredDataset"}),
    ],
)
def test_catalog_of_an_environment_has_the_sources_that_it_names(
    load: Load, env: str, kinds: dict[str, str]
) -> None:
    """Each source is fetched by a node of its own, and the others do not exist."""
    project = load(env)
    (study,) = [one for one in project.context.studies if one.name == "cross_asset"]
    pipeline, catalog = project.pipelines["cross_asset"], project.catalog
    read = {name for name in pipeline.inputs() if name.endswith(".source")}

    assert study.sources == tuple(kinds)
    assert read == {f"cross_asset_data.{name}.source" for name in kinds}
    found = {name: type(catalog[f"cross_asset_data.{name}.source"]).__name__ for name in kinds}
    assert found == kinds
    fetched = {node.name for node in pipeline.nodes if node.name.endswith(".fetch")}
    assert fetched == {f"cross_asset_data.{name}.fetch" for name in kinds}


@pytest.mark.parametrize(
    ("env", "kind", "is_file"),
    [
        ("base", "SimulatedChainDataset", False),
        ("etf", "SimulatedChainDataset", False),
        ("live", "YahooOptionsDataset", False),
        ("spx", "CboeEodDataset", True),
        ("optionsdx", "OptionsDXDataset", True),
    ],
)
def test_catalog_of_an_environment_has_the_chain_that_it_names(
    load: Load, tmp_path: Path, env: str, kind: str, is_file: bool
) -> None:
    """A vendor's file is that of the globals or of the command line; other chains heed neither."""
    mine = tmp_path / "mine"
    usual = load(env).catalog["options_data.source_chain"]
    given = load(env, chain_file=str(mine)).catalog["options_data.source_chain"]

    assert type(usual).__name__ == type(given).__name__ == kind
    assert (_filepath(given) == str(mine)) is is_file
    assert (_filepath(given) != _filepath(usual)) is is_file


def test_registry_with_a_second_ridge_in_yaml_only_adds_cells(
    load: Load, load_context: Callable[..., Any], tmp_path: Path
) -> None:
    """A model is a few lines of YAML: its cells appear, and of the rest only its scenario's end."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    known = ["linear", "ridge", "svr", "poly2"]
    soft = {"estimator": "ridge", "grid": {"alpha": [0.1, 1.0]}}
    more = {
        "models": {"returns": {"soft_ridge": soft}},
        "scenarios": {"returns": {"median_impute": {"models": [*known, "soft_ridge"]}}},
    }
    (tmp_path / "conf/local/scenarios.yml").write_text(yaml.safe_dump(more), encoding="utf-8")

    before = load().pipelines["__default__"]
    given = {"data_root": str(tmp_path / "data")}
    changed = Project(load_context(given, conf_source=str(tmp_path / "conf")))
    after = changed.pipelines["__default__"]

    def wiring(pipeline: Pipeline) -> dict[str, Any]:
        return {node.name: (node.func, node.inputs, node.outputs) for node in pipeline.nodes}

    old, new = wiring(before), wiring(after)
    steps = ("train", "evaluate", "plot", "conclude")
    assert new.keys() - old.keys() == {f"median_impute.soft_ridge.{step}" for step in steps}
    gathering = {f"median_impute.{step}" for step in ("tabulate", "gather", "assemble_album")}
    assert {name for name in old if old[name] != new.get(name)} == gathering
    catalog = changed.catalog
    model = catalog.load("params:models.returns.soft_ridge")
    assert (model.estimator, model.grid) == ("ridge", {"alpha": (0.1, 1.0)})
    place = Path(_place(catalog, "median_impute.soft_ridge.model"))
    assert place == tmp_path / "data/06_models/median_impute/soft_ridge/model.pkl"
