"""Studies are read from configuration, and what the registry builds of them keeps its promises."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from kedro.framework.project import configure_project, settings
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Node, Pipeline
from pydantic import BaseModel, ValidationError

from tidemark import config
from tidemark.config import Cell, RunInfo, companion_file, read_studies
from tidemark.context import TidemarkContext
from tidemark.pipeline_registry import slice_pipelines

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.filterwarnings(
    # a dataset that another box reads bears its owner's dotted name on purpose
    "ignore:One or more dataset names contain"
)


@pytest.fixture
def load_context(monkeypatch: pytest.MonkeyPatch) -> Callable[..., TidemarkContext]:
    """Load the project's context as a command does, by a session."""
    monkeypatch.setattr("tidemark.context._Active.loader", None)

    def load(**options: Any) -> TidemarkContext:
        bootstrap_project(ROOT)
        configure_project("tidemark")
        context = settings.SESSION_CLASS.create(project_path=ROOT, **options).load_context()
        assert isinstance(context, TidemarkContext)
        return context

    return load


def _scenario(*models: str) -> dict[str, Any]:
    return {"group": "g", "preprocess": {"impute": "mean"}, "models": list(models)}


def test_read_studies_keeps_scenarios_and_models_in_the_order_of_configuration() -> None:
    """Cells come scenario by scenario, model by model, as they are written."""
    tree = {
        "scenarios": {"returns": {"late": _scenario("b", "a"), "early": _scenario("a")}},
        "models": {"returns": {"a": {}, "b": {}, "unused": {}}},
    }

    (study,) = read_studies(tree)

    assert [cell.namespace for cell in study.cells()] == ["late.b", "late.a", "early.a"]
    assert list(study.cells("early")) == [Cell("returns", "early", "a")]


def test_read_studies_with_an_undefined_model_names_it_and_those_defined() -> None:
    """A scenario cannot name a model that its study does not define."""
    tree = {
        "scenarios": {"returns": {"low": _scenario("ridge", "rigde")}},
        "models": {"returns": {"ridge": {}, "linear": {}}},
    }

    with pytest.raises(ValueError, match=r"'low' names models \['rigde'\].*\['linear', 'ridge'\]"):
        read_studies(tree)


def test_read_studies_with_one_scenario_in_two_studies_names_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A scenario's name is a namespace, so no two studies may share it."""
    monkeypatch.setattr(config, "STUDIES", ("returns", "rates"))
    tree = {
        "scenarios": {"returns": {"low": _scenario()}, "rates": {"low": _scenario()}},
        "models": {},
    }

    with pytest.raises(ValueError, match="Scenario 'low' is in studies returns and rates"):
        read_studies(tree)


@pytest.mark.parametrize("change", [{"modles": []}, {"group": None}, {"models": "ridge"}])
def test_read_studies_with_a_faulty_scenario_is_refused(change: dict[str, Any]) -> None:
    """A scenario with an unknown key, without a group or with no list of models is no scenario."""
    with pytest.raises(ValidationError, match=next(iter(change))):
        read_studies({"scenarios": {"returns": {"low": {**_scenario(), **change}}}})


@pytest.mark.parametrize(
    ("prices", "exogenous", "expected"),
    [
        ("data/01_raw/returns/prices.parquet", "auto", "data/01_raw/returns/exogenous.parquet"),
        ("./data//01_raw/returns/prices.parquet", "auto", "data/01_raw/returns/exogenous.parquet"),
        ("other/data/01_raw/returns/prices.parquet", "auto", None),
        ("data/01_raw/returns/prices.csv", "auto", None),
        ("data/01_raw/returns/prices.parquet", "mine.csv", "mine.csv"),
    ],
)
def test_companion_file_follows_the_embedded_prices_only(
    prices: str, exogenous: str, expected: str | None
) -> None:
    """Prices of one's own are never joined to the embedded series unless one says so."""
    assert companion_file(prices, exogenous) == expected


@pytest.mark.parametrize(
    ("namespace", "study", "cell"),
    [
        ("returns_data", "returns", None),
        ("returns_report", "returns", None),
        ("low", "returns", None),
        ("low.ridge", "returns", Cell("returns", "low", "ridge")),
        ("lower", None, None),
        ("lower.ridge", None, None),
        ("returns", None, None),
        (None, None, None),
        ("", None, None),
    ],
)
def test_run_info_names_the_study_and_cell_of_a_namespace(
    namespace: str | None, study: str | None, cell: Cell | None
) -> None:
    """Boxes and scenarios belong to their study; only two levels make a cell."""
    info = RunInfo(
        project_path=ROOT, data_root=ROOT, scenarios={"low": "returns"}, mlflow={}, main_pid=1
    )

    assert (info.study_of(namespace), info.cell_of(namespace)) == (study, cell)


def _arguments(node: Node) -> dict[str, str]:
    """Map a node's inputs to the arguments that take them."""
    names = list(inspect.signature(node.func).parameters)
    return dict(zip(node.inputs, names, strict=False))


def test_node_functions_have_hints_that_resolve(
    load_context: Callable[..., TidemarkContext],
) -> None:
    """Kedro passes raw dictionaries, without a word, to a function whose hints it cannot read."""
    nodes = slice_pipelines(load_context().studies)["__default__"].nodes

    hints = {node.func: get_type_hints(node.func) for node in nodes}

    assert len(hints) > 10
    assert all("return" in found for found in hints.values())


def test_node_functions_get_the_parameters_that_they_ask_for(
    load_context: Callable[..., TidemarkContext],
) -> None:
    """Every parameter in the catalog is of the type that its node's hint names."""
    context = load_context()
    catalog, typed = context.catalog, 0
    for node in slice_pipelines(context.studies)["__default__"].nodes:
        hints = get_type_hints(node.func)
        for name, argument in _arguments(node).items():
            wanted = hints.get(argument)
            if name.startswith("params:") and isinstance(wanted, type):
                assert isinstance(catalog.load(name), wanted), f"{node.name}: {name}"
                typed += issubclass(wanted, BaseModel)

    assert typed > 50


def test_registry_with_a_second_ridge_in_yaml_only_adds_cells(
    load_context: Callable[..., TidemarkContext], tmp_path: Path
) -> None:
    """A model is a few lines of YAML: its cells appear, and no other node changes but the tables."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    known = ["linear", "ridge", "svr", "poly2"]
    more = {
        "models": {
            "returns": {"soft_ridge": {"estimator": "ridge", "grid": {"alpha": [0.1, 1.0]}}}
        },
        "scenarios": {"returns": {"median_impute": {"models": [*known, "soft_ridge"]}}},
    }
    (tmp_path / "conf/local/scenarios.yml").write_text(yaml.safe_dump(more), encoding="utf-8")

    before = slice_pipelines(load_context().studies)["__default__"]
    context = load_context(conf_source=str(tmp_path / "conf"))
    after = slice_pipelines(context.studies)["__default__"]

    def wiring(pipeline: Pipeline) -> dict[str, Any]:
        return {node.name: (node.func, node.inputs, node.outputs) for node in pipeline.nodes}

    old, new = wiring(before), wiring(after)
    steps = ("train", "evaluate", "plot", "conclude")
    assert new.keys() - old.keys() == {f"median_impute.soft_ridge.{step}" for step in steps}
    assert [name for name in old if old[name] != new.get(name)] == ["median_impute.tabulate"]
    model = context.catalog.load("params:models.returns.soft_ridge")
    assert (model.estimator, model.grid) == ("ridge", {"alpha": (0.1, 1.0)})
    path = context.catalog["median_impute.soft_ridge.model"]._describe()["filepath"]
    assert "median_impute/soft_ridge/model.pkl" in str(path)
