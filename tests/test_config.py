"""Studies are read from configuration, and pipelines built of them keep their boxes whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from kedro.pipeline import Node, Pipeline
from pydantic import ValidationError

from tidemark.config import Cell, RunInfo, Study, companion_file, read_studies
from tidemark.pipeline_registry import STAGES, slice_pipelines

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

    study, other = read_studies(tree)

    assert (study.name, other.name, list(other.cells())) == ("returns", "cross_asset", [])
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


def test_read_studies_with_one_scenario_in_two_studies_names_both() -> None:
    """A scenario's name is a namespace, so no two studies may share it."""
    studies = ("returns", "cross_asset")
    tree = {
        "scenarios": {study: {"low": _scenario("a")} for study in studies},
        "models": {study: {"a": {}} for study in studies},
    }

    with pytest.raises(ValueError, match="Scenario 'low' is in studies returns and cross_asset"):
        read_studies(tree)


@pytest.mark.parametrize("change", [{"modles": []}, {"group": None}, {"models": "ridge"}])
def test_read_studies_with_a_faulty_scenario_is_refused(change: dict[str, Any]) -> None:
    """A scenario with an unknown key, without a group or with no list of models is no scenario."""
    with pytest.raises(ValidationError, match=next(iter(change))):
        read_studies({"scenarios": {"returns": {"low": {**_scenario(), **change}}}})


@pytest.mark.parametrize(
    "name", ["low.high", "returns_data", "returns_report", "cross_asset_data", "cross_asset_report"]
)
def test_read_studies_with_a_name_that_is_no_namespace_of_its_own_is_refused(name: str) -> None:
    """A scenario is one level of names beside the studies' own boxes: no dot, and not a box."""
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
    study, _ = read_studies(_tree(None, "zero"))

    assert [study.scenarios[name].is_baseline for name in ("low", "high")] == [True, False]
    assert study.treated() == ["high"]
    assert [cell.namespace for cell in study.cells()] == ["low.zero", "high.ridge"]
    assert study.baselines == {"zero"}
    assert [study.is_baseline(cell) for cell in study.cells()] == [True, False]


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


def _pairs(**scenarios: dict[str, Any] | None) -> dict[str, Any]:
    """Write a study of two tasks: regimes of pairs, and forecasts, with some changes."""
    pair = {"group": "g1", "task": "regimes", "preprocess": {}, "models": ["single", "markov"]}
    others = {
        "pair": pair,
        "today": {"group": "g2", "models": ["today"]},
        "forecast": {"group": "g2", "preprocess": {}, "models": ["ridge"]},
        "other_pair": {**pair, "group": "g3"},
    }
    estimators = {"single": "baseline", "today": "baseline", "markov": "markov", "ridge": "ridge"}
    return {
        "scenarios": {"cross_asset": {**others, **scenarios}},
        "models": {"cross_asset": {key: {"estimator": one} for key, one in estimators.items()}},
        "cross_asset": {"sources": ["file", "web"]},
    }


def test_read_studies_knows_tasks_groups_sources_and_baselines() -> None:
    """Pipelines are built by task; a baseline stands among the regimes that are fitted."""
    empty, study = read_studies(_pairs())

    assert study.treated("regimes") == ["pair", "other_pair"]
    assert study.treated() == study.treated("forecast") == ["forecast"]
    assert study.groups == ["g1", "g2", "g3"]
    assert study.sources == ("file", "web")
    assert study.baselines == {"single", "today"}
    baselines = [cell.namespace for cell in study.cells() if study.is_baseline(cell)]
    assert baselines == ["pair.single", "today.today", "other_pair.single"]
    assert (study.has_task("regimes"), study.has_task("forecast")) == (True, True)
    assert not empty.has_task("regimes")
    assert not empty.has_task("forecast")
    assert (empty.groups, empty.sources, empty.baselines) == ([], (), frozenset())


def test_read_studies_scenario_of_null_is_taken_out() -> None:
    """An environment takes a scenario of another one out by giving it nothing."""
    _, study = read_studies(_pairs(pair=None, other_pair=None))

    assert list(study.scenarios) == ["today", "forecast"]
    assert study.treated("regimes") == []
    assert not study.has_task("regimes")
    assert study.groups == ["g2"]
    assert [cell.namespace for cell in study.cells()] == ["today.today", "forecast.ridge"]


def test_read_studies_scenario_of_null_frees_its_name() -> None:
    """What one study has taken out, another may name so."""
    tree = _pairs(forecast=None)
    tree["scenarios"]["returns"] = {"forecast": _scenario("a")}
    tree["models"]["returns"] = {"a": {"estimator": "linear"}}

    first, second = read_studies(tree)

    assert list(first.cells()) == [Cell("returns", "forecast", "a")]
    assert "forecast" not in second.scenarios


def test_read_studies_regimes_of_no_pair_are_refused() -> None:
    """Whose regimes are asked for is said in `preprocess`, even if baselines alone answer."""
    lone = {"group": "g", "task": "regimes", "models": ["single"]}

    with pytest.raises(ValueError, match="'pair' must say in 'preprocess' which pair it is of"):
        read_studies(_pairs(pair=lone))


def test_read_studies_unknown_task_is_refused_with_those_that_exist() -> None:
    """A task decides which pipeline is built, so a misspelt one is none."""
    wrong = {"group": "g", "task": "regime", "preprocess": {}, "models": ["markov"]}

    with pytest.raises(ValidationError, match="'forecast' or 'regimes'"):
        read_studies(_pairs(pair=wrong))


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
        ("returns_data.file", "returns", None),
        ("returns_report.next_day", "returns", None),
        ("cross_asset_data.file", "cross_asset", None),
        ("cross_asset_report", "cross_asset", None),
        ("pair.markov", "cross_asset", Cell("cross_asset", "pair", "markov")),
        ("lower", None, None),
        ("lower.ridge", None, None),
        ("returns", None, None),
        ("cross_asset", None, None),
        (None, None, None),
        ("", None, None),
    ],
)
def test_run_info_names_the_study_and_cell_of_a_namespace(
    namespace: str | None, study: str | None, cell: Cell | None
) -> None:
    """Boxes and scenarios belong to their study; only a scenario's second level is a cell."""
    scenarios = {"low": "returns", "pair": "cross_asset"}
    info = RunInfo(project_path=ROOT, data_root=ROOT, scenarios=scenarios, mlflow={}, retries={})

    assert (info.study_of(namespace), info.cell_of(namespace)) == (study, cell)


@pytest.fixture
def pipelines(studies: list[Study]) -> dict[str, Pipeline]:
    """Build the project's pipelines from the studies that it configures."""
    return slice_pipelines(studies)


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
    """No path leaves a box and enters it again, so that each box can be run and drawn alone.

    Boxes inside boxes count too: the sources of a study, the groups of its report, the cells.
    """
    spaces = {
        prefix for node in pipelines["__default__"].nodes for prefix in node.namespace_prefixes
    }
    nested = {"cross_asset_data.file", "returns_report.next_day", "cross_asset_report.equity_fx"}
    assert nested | {"cross_asset_data", "median_impute.ridge", "equity_fx.markov"} <= spaces

    found = {name: _interrupted(pipeline) for name, pipeline in pipelines.items()}

    assert {name: spaces for name, spaces in found.items() if spaces} == {}


def test_pipelines_of_stages_and_of_studies_hold_the_same_nodes(
    pipelines: dict[str, Pipeline],
) -> None:
    """Every node belongs to one study and to one stage; without a name both studies are meant."""
    whole = {node.name for node in pipelines["__default__"].nodes}
    for names in (("returns", "cross_asset"), STAGES):
        parts = [{node.name for node in pipelines[name].nodes} for name in names]
        assert all(parts)
        assert set().union(*parts) == whole
        assert sum(map(len, parts)) == len(whole)


@pytest.mark.parametrize(
    ("task", "boxes"),
    [
        ("regimes", {"equity_fx", "equity_bond.zscore", "cross_asset_report.equity_oil"}),
        ("forecast", {"correlation_baseline.today", "correlation_forecast"}),
    ],
)
def test_pipelines_of_a_study_without_a_task_lack_its_boxes_alone(
    studies: list[Study], pipelines: dict[str, Pipeline], task: str, boxes: set[str]
) -> None:
    """An environment may take out every scenario of a task; what is left still holds together."""
    returns, study = studies
    kept = {name: one for name, one in study.scenarios.items() if one.task != task}
    whole = pipelines["cross_asset"]
    fewer = slice_pipelines([returns, replace(study, scenarios=kept)])["cross_asset"]

    def spaces(pipeline: Pipeline) -> set[str]:
        return {prefix for node in pipeline.nodes for prefix in node.namespace_prefixes}

    assert boxes <= spaces(whole)
    assert boxes & spaces(fewer) == set()
    assert {"cross_asset_data.accept", "cross_asset_report.gate"} <= {
        one.name for one in fewer.nodes
    }
    assert _interrupted(fewer) == set()
    read = [{name for name in one.inputs() if "params:" not in name} for one in (whole, fewer)]
    assert read[0] == read[1]


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
