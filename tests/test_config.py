"""Studies are read from configuration, and pipelines built of them keep their boxes whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from kedro.pipeline import Node, Pipeline
from pydantic import ValidationError

from tidemark import config
from tidemark.config import Cell, RunInfo, companion_file, read_studies
from tidemark.pipeline_registry import slice_pipelines

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.filterwarnings(
    # A dataset that another box reads bears its owner's dotted name on purpose.
    "ignore:One or more dataset names contain"
)


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
        "scenarios": {"returns": {"low": _scenario("a")}, "rates": {"low": _scenario("a")}},
        "models": {"returns": {"a": {}}, "rates": {"a": {}}},
    }

    with pytest.raises(ValueError, match="Scenario 'low' is in studies returns and rates"):
        read_studies(tree)


@pytest.mark.parametrize("change", [{"modles": []}, {"group": None}, {"models": "ridge"}])
def test_read_studies_with_a_faulty_scenario_is_refused(change: dict[str, Any]) -> None:
    """A scenario with an unknown key, without a group or with no list of models is no scenario."""
    with pytest.raises(ValidationError, match=next(iter(change))):
        read_studies({"scenarios": {"returns": {"low": {**_scenario(), **change}}}})


@pytest.mark.parametrize("name", ["low.high", "returns_data", "returns_report"])
def test_read_studies_with_a_name_that_is_no_namespace_of_its_own_is_refused(name: str) -> None:
    """A scenario is one level of names beside the study's own boxes: no dot, and not a box."""
    tree = {
        "scenarios": {"returns": {name: _scenario("ridge")}},
        "models": {"returns": {"ridge": {}}},
    }

    with pytest.raises(ValueError, match=name):
        read_studies(tree)


@pytest.mark.parametrize("models", [[], ["ridge", "ridge"]])
def test_read_studies_without_models_or_with_one_twice_is_refused(models: list[str]) -> None:
    """A scenario has a model and none twice; else it would fail late, or obscurely."""
    tree = {
        "scenarios": {"returns": {"low": _scenario(*models)}},
        "models": {"returns": {"ridge": {}}},
    }

    with pytest.raises(ValueError, match="low"):
        read_studies(tree)


def _tree(preprocess: dict[str, Any] | None, *models: str) -> dict[str, Any]:
    estimators = {"zero": {"estimator": "baseline"}, "ridge": {"estimator": "ridge"}}
    scenario = {"group": "g", "preprocess": preprocess, "models": list(models)}
    return {
        "scenarios": {"returns": {"low": scenario, "high": _scenario("ridge")}},
        "models": {"returns": estimators},
    }


def test_read_studies_scenario_without_preprocess_is_a_baseline() -> None:
    """Its cells are cells like any others, and nothing is treated for them."""
    (study,) = read_studies(_tree(None, "zero"))

    assert [study.scenarios[name].is_baseline for name in ("low", "high")] == [True, False]
    assert study.treated == ["high"]
    assert [cell.namespace for cell in study.cells()] == ["low.zero", "high.ridge"]


@pytest.mark.parametrize(
    ("preprocess", "models", "words"),
    [
        ({}, ["ridge", "zero"], "zero is a baseline and belongs in a scenario without"),
        (None, ["zero", "ridge"], "no 'preprocess', so its models must be baselines; ridge is not"),
    ],
)
def test_read_studies_baseline_in_the_wrong_place_is_refused(
    preprocess: dict[str, Any] | None, models: list[str], words: str
) -> None:
    """A forecast that nobody fits is no model of treated data, nor the other way round."""
    with pytest.raises(ValueError, match=words):
        read_studies(_tree(preprocess, *models))


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
        project_path=ROOT, data_root=ROOT, scenarios={"low": "returns"}, mlflow={}, retries={}
    )

    assert (info.study_of(namespace), info.cell_of(namespace)) == (study, cell)


@pytest.fixture
def pipelines() -> dict[str, Pipeline]:
    """Build the project's pipelines from the scenarios that it configures."""
    text = (ROOT / "conf/base/scenarios.yml").read_text(encoding="utf-8")
    return slice_pipelines(read_studies(yaml.safe_load(text)))


def _interrupted(pipeline: Pipeline) -> set[tuple[str, str]]:
    """Find namespaces that a path leaves and enters again, each with a node on such a path."""
    parents = {
        node.name: {one.name for one in found} for node, found in pipeline.node_dependencies.items()
    }
    above: dict[str, set[str]] = {}
    for node in pipeline.nodes:  # in topological order
        above[node.name] = parents[node.name].union(*(above[name] for name in parents[node.name]))
    found = set()
    for space in {prefix for node in pipeline.nodes for prefix in node.namespace_prefixes}:
        inside = {node.name for node in pipeline.nodes if space in node.namespace_prefixes}
        before = set().union(*(above[name] for name in inside)) - inside
        found |= {(space, name) for name in before if above[name] & inside}
    return found


def test_namespaces_of_every_pipeline_are_interrupted_by_no_other_node(
    pipelines: dict[str, Pipeline],
) -> None:
    """No path leaves a box and enters it again, so that each box can be run and drawn alone."""
    found = {name: _interrupted(pipeline) for name, pipeline in pipelines.items()}

    assert {name: spaces for name, spaces in found.items() if spaces} == {}


@pytest.mark.filterwarnings("ignore:Namespace 'box' is interrupted")
def test_interrupted_namespace_is_found_over_any_distance() -> None:
    """The check itself sees a detour over two nodes, one of them in a box of its own."""

    def copy(value: object) -> object:
        return value

    links = [("a", "b", "box"), ("b", "c", None), ("c", "d", "other"), ("d", "e", "box")]
    nodes = [Node(copy, start, end, name=end, namespace=space) for start, end, space in links]

    assert _interrupted(Pipeline(nodes)) == {("box", "c"), ("box", "other.d")}


def test_node_functions_have_hints_that_resolve(pipelines: dict[str, Pipeline]) -> None:
    """Kedro loses typed parameters, without a word, where a function's hints cannot be read."""
    hints = {node.func: get_type_hints(node.func) for node in pipelines["__default__"].nodes}

    assert len(hints) > 10
    assert all("return" in found for found in hints.values())
