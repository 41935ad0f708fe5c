"""Pipelines are built of the studies, and keep their boxes whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import pytest
import yaml
from kedro.pipeline import Node, Pipeline

from tidemark.config import STUDIES, Study
from tidemark.pipeline_registry import STAGES, slice_pipelines

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.filterwarnings(
    # A dataset that another box reads bears its owner's dotted name on purpose.
    "ignore:One or more dataset names contain"
)


@pytest.fixture
def pipelines(studies: list[Study]) -> dict[str, Pipeline]:
    """Build the project's pipelines from the studies that it configures."""
    return slice_pipelines(studies)


def _spaces(pipeline: Pipeline) -> set[str]:
    return {prefix for node in pipeline.nodes for prefix in node.namespace_prefixes}


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
    spaces = _spaces(pipelines["__default__"])
    nested = {"cross_asset_data.file", "returns_report.next_day", "cross_asset_report.equity_fx"}
    nested |= {"options_data.all_quotes", "options_report.all_quotes"}
    cells = {"median_impute.ridge", "equity_fx.markov", "surface_impute.gru"}
    assert nested | cells | {"cross_asset_data", "options_data"} <= spaces

    found = {name: _interrupted(pipeline) for name, pipeline in pipelines.items()}

    assert {name: spaces for name, spaces in found.items() if spaces} == {}


def test_pipelines_of_stages_and_of_studies_hold_the_same_nodes(
    pipelines: dict[str, Pipeline],
) -> None:
    """Every node belongs to one study and to one stage; without a name all studies are meant."""
    whole = {node.name for node in pipelines["__default__"].nodes}
    for names in (STUDIES, STAGES):
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
    returns, study, options = studies
    kept = {name: one for name, one in study.scenarios.items() if one.task != task}
    whole = pipelines["cross_asset"]
    fewer = slice_pipelines([returns, replace(study, scenarios=kept), options])["cross_asset"]

    assert boxes <= _spaces(whole)
    assert boxes & _spaces(fewer) == set()
    assert {"cross_asset_data.accept", "cross_asset_report.gate"} <= {
        one.name for one in fewer.nodes
    }
    assert _interrupted(fewer) == set()
    read = [{name for name in one.inputs() if "params:" not in name} for one in (whole, fewer)]
    assert read[0] == read[1]


@pytest.mark.parametrize("group", ["all_quotes", "liquid_only", "unseen_expiries", "circular"])
def test_pipelines_of_options_without_a_group_lack_its_boxes_alone(
    studies: list[Study], pipelines: dict[str, Pipeline], group: str
) -> None:
    """Whichever group an environment takes out, the first as well, the others hold together."""
    *others, study = studies
    gone = {name for name, one in study.scenarios.items() if one.group == group}
    kept = {name: one for name, one in study.scenarios.items() if name not in gone}
    whole = pipelines["options"]
    fewer = slice_pipelines([*others, replace(study, scenarios=kept)])["options"]

    lost = _spaces(whole) - _spaces(fewer)
    boxes = {f"options_data.{group}", f"options_report.{group}"}
    assert gone
    assert gone | boxes <= lost
    assert {name for name in lost if name.partition(".")[0] not in gone} == boxes
    assert _interrupted(fewer) == set()
    read = [{name for name in one.inputs() if "params:" not in name} for one in (whole, fewer)]
    assert read[0] == read[1]


@pytest.mark.parametrize("name", STUDIES)
def test_pipelines_of_a_study_without_scenarios_fetch_and_check_its_data_alone(
    studies: list[Study], pipelines: dict[str, Pipeline], name: str
) -> None:
    """An environment may take out every scenario: then nothing is asked of the data."""
    changed = [replace(one, scenarios={}) if one.name == name else one for one in studies]
    fewer = slice_pipelines(changed)

    assert {space.partition(".")[0] for space in _spaces(fewer[name])} == {f"{name}_data"}
    assert f"{name}_data.accept" in {one.name for one in fewer[name].nodes}
    assert _interrupted(fewer[name]) == set()
    before, after = (
        {key: {node.name for node in one.nodes} for key, one in registry.items()}
        for registry in (pipelines, fewer)
    )
    assert after[name] < before[name]
    assert before["__default__"] - after["__default__"] == before[name] - after[name]


def test_pipelines_of_options_that_are_circular_reach_no_other_group(
    studies: list[Study], pipelines: dict[str, Pipeline]
) -> None:
    """Today's volatilities are read by circular scenarios; no other has a node behind one."""
    pipeline, options = pipelines["options"], studies[-1]
    circular = {name for name, one in options.scenarios.items() if one.group == "circular"}
    first = {one.name for one in pipeline.nodes if "options_data.volatilities" in one.inputs}
    assert first == {"circular_same_day.preprocess"}

    reached = {one.name for one in pipeline.from_nodes(*first).nodes}

    assert "circular_same_day.poly2.train" in reached
    tops = {name.partition(".")[0] for name in reached}
    assert (tops & options.scenarios.keys()) <= circular


@pytest.mark.filterwarnings("ignore:Namespace 'box' is interrupted")
def test_interrupted_namespace_is_found_over_any_distance() -> None:
    """The check itself sees a detour over two nodes, one of them in a box of its own."""

    def copy(value: object) -> object:
        return value

    links = [("a", "b", "box"), ("b", "c", None), ("c", "d", "other"), ("d", "e", "box")]
    nodes = [Node(copy, start, end, name=end, namespace=space) for start, end, space in links]

    assert _interrupted(Pipeline(nodes)) == {("box", "c"), ("box", "other.d")}


def test_nodes_belong_to_jobs_that_are_tried_again_as_configured(
    pipelines: dict[str, Pipeline],
) -> None:
    """A node that no job of retries.yml lists would be tried once, and nobody's."""
    text = (ROOT / "conf/base/retries.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["retries"]["jobs"]
    listed = [name for job in jobs.values() for name in job["nodes"]]

    steps = {node.name.rpartition(".")[2] for node in pipelines["__default__"].nodes}
    assert steps - set(listed) == set()
    assert len(listed) == len(set(listed))


def test_node_functions_have_hints_that_resolve(pipelines: dict[str, Pipeline]) -> None:
    """Kedro loses typed parameters, without a word, where a function's hints cannot be read."""
    hints = {node.func: get_type_hints(node.func) for node in pipelines["__default__"].nodes}

    assert len(hints) > 10
    assert all("return" in found for found in hints.values())
