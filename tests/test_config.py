"""Studies are read from configuration, and pipelines built of them keep their boxes whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Node, Pipeline
from pydantic import ValidationError

from tidemark.config import STUDIES, Cell, RunInfo, Study, companion_file, read_studies
from tidemark.domain.chain_checks import ALWAYS_LEAVE
from tidemark.errors import ConfigError
from tidemark.loader import TidemarkConfigLoader
from tidemark.parameters import check_parameters
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

    study, *others = read_studies(tree)

    assert (study.name, *(other.name for other in others)) == STUDIES
    assert [list(other.cells()) for other in others] == [[], []]
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


@pytest.mark.parametrize(
    "studies", [("returns", "cross_asset"), ("returns", "options"), ("cross_asset", "options")]
)
def test_read_studies_with_one_scenario_in_two_studies_names_both(studies: tuple[str, str]) -> None:
    """A scenario's name is a namespace, so no two studies may share it."""
    tree = {
        "scenarios": {study: {"low": _scenario("a")} for study in studies},
        "models": {study: {"a": {}} for study in studies},
    }

    words = f"Scenario 'low' is in studies {studies[0]} and {studies[1]}"
    with pytest.raises(ValueError, match=words):
        read_studies(tree)


@pytest.mark.parametrize("change", [{"modles": []}, {"group": None}, {"models": "ridge"}])
def test_read_studies_with_a_faulty_scenario_is_refused(change: dict[str, Any]) -> None:
    """A scenario with an unknown key, without a group or with no list of models is no scenario."""
    with pytest.raises(ValidationError, match=next(iter(change))):
        read_studies({"scenarios": {"returns": {"low": {**_scenario(), **change}}}})


@pytest.mark.parametrize(
    "name", ["low.high", *(f"{study}_{box}" for study in STUDIES for box in ("data", "report"))]
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
    study, *_ = read_studies(_tree(None, "zero"))

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
    empty, study, _ = read_studies(_pairs())

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
    _, study, _ = read_studies(_pairs(pair=None, other_pair=None))

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

    first, second, _ = read_studies(tree)

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


def test_read_studies_knows_which_models_are_networks_and_fits_them() -> None:
    """A network is a model like others: no baseline, and a cell of every scenario that names it."""
    tree = {
        "scenarios": {"options": {"low": _scenario("deep", "ridge"), "high": _scenario("deep")}},
        "models": {"options": {"deep": {"estimator": "gru"}, "ridge": {"estimator": "ridge"}}},
    }

    *others, study = read_studies(tree)

    assert (study.name, study.networks, study.baselines) == ("options", {"deep"}, frozenset())
    assert [cell.namespace for cell in study.cells()] == ["low.deep", "low.ridge", "high.deep"]
    assert not any(study.is_baseline(cell) for cell in study.cells())
    assert [other.networks for other in others] == [frozenset(), frozenset()]


def test_study_of_shipped_configuration_names_its_networks(studies: list[Study]) -> None:
    """Options alone have any; whatever scenario names one, it treats data and fits."""
    networks = {study.name: study.networks for study in studies}
    assert networks == {
        "returns": frozenset(),
        "cross_asset": frozenset(),
        "options": {"gru", "gru_residual"},
    }
    options = studies[-1]
    found = {cell.scenario for cell in options.cells() if cell.model in options.networks}
    assert found
    assert found <= set(options.treated())


def test_study_publishes_rows_of_its_own_for_each_group_of_options_alone(
    studies: list[Study],
) -> None:
    """Scenarios of one group share what is published; of options, no other group has it."""
    assert {study.name: study.scores_by_group for study in studies} == {
        "returns": False,
        "cross_asset": False,
        "options": True,
    }
    for study in studies:
        for scenario, config in study.scenarios.items():
            box = f"{study.name}_data"
            expected = f"{box}.{config.group}.split" if study.name == "options" else f"{box}.split"
            assert study.publishes("split", scenario) == expected
    returns, _, options = studies
    assert returns.publishes("scoring", "mean_impute") == "returns_data.scoring"
    assert options.publishes("scoring", "surface_impute") == "options_data.all_quotes.scoring"
    assert options.publishes("scoring", "circular_same_day") == "options_data.circular.scoring"


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
        ("options_data", "options", None),
        ("options_data.liquid_only", "options", None),
        ("options_report.liquid_only", "options", None),
        ("smile", "options", None),
        ("smile.gru", "options", Cell("options", "smile", "gru")),
        ("lower", None, None),
        ("lower.ridge", None, None),
        ("returns", None, None),
        ("cross_asset", None, None),
        ("options", None, None),
        (None, None, None),
        ("", None, None),
    ],
)
def test_run_info_names_the_study_and_cell_of_a_namespace(
    namespace: str | None, study: str | None, cell: Cell | None
) -> None:
    """Boxes and scenarios belong to their study; only a scenario's second level is a cell."""
    scenarios = {"low": "returns", "pair": "cross_asset", "smile": "options"}
    info = RunInfo(project_path=ROOT, data_root=ROOT, scenarios=scenarios, mlflow={}, retries={})

    assert (info.study_of(namespace), info.cell_of(namespace)) == (study, cell)


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


def test_node_functions_have_hints_that_resolve(pipelines: dict[str, Pipeline]) -> None:
    """Kedro loses typed parameters, without a word, where a function's hints cannot be read."""
    hints = {node.func: get_type_hints(node.func) for node in pipelines["__default__"].nodes}

    assert len(hints) > 10
    assert all("return" in found for found in hints.values())


Edit = Callable[[dict[str, Any]], Any]
CHECKS = ("options", "validation", "checks")


@pytest.fixture
def check(make_conf: Callable[..., Any]) -> Callable[[str, Edit], None]:
    """Check the project's configuration as every command does, after a change to one file."""
    bootstrap_project(ROOT)

    def check_changed(file: str, edit: Edit) -> None:
        conf = make_conf()
        conf.change(file, edit)
        loader = TidemarkConfigLoader(
            conf_source=str(conf.folder), env="base", **settings.CONFIG_LOADER_ARGS
        )
        check_parameters(loader, {})

    return check_changed


def _put(*place: str, value: Any) -> Edit:
    """Return an edit that puts a value where the keys lead; None takes the last key out."""

    def edit(tree: dict[str, Any]) -> None:
        for key in place[:-1]:
            tree = tree.setdefault(key, {})
        if value is None:
            del tree[place[-1]]
        else:
            tree[place[-1]] = value

    return edit


def _of_options(name: str, group: str, *models: str, **preprocess: Any) -> Edit:
    """Return an edit that adds a scenario to the options study: baselines if nothing is treated."""
    scenario: dict[str, Any] = {"group": group, "models": list(models)}
    if preprocess:
        scenario["preprocess"] = preprocess
    return _put("scenarios", "options", name, value=scenario)


def _name_network_among_regimes(tree: dict[str, Any]) -> None:
    """Ask a network for densities."""
    tree["models"]["cross_asset"]["deep"] = {"estimator": "gru"}
    tree["scenarios"]["cross_asset"]["equity_fx"]["models"].append("deep")


@pytest.mark.parametrize(
    ("file", "edit", "words"),
    [
        (
            "scenarios",
            _of_options("mine", "liquid", "ridge", missing="drop"),
            [
                "group of scenarios.options.mine (options.groups) 'liquid'",
                "Did you mean 'liquid_only'?",
                "all_quotes, circular, liquid_only, unseen_expiries",
            ],
        ),
        (
            "scenarios",
            _of_options("mine", "next_day", "surface_by_strike"),
            ["group of scenarios.options.mine (options.groups) 'next_day'"],
        ),
        (
            "scenarios",
            _of_options("circular_mine", "all_quotes", "ridge", same_day=True),
            [
                "'circular_mine' is given today's own price in other words",
                "its group all_quotes is not circular",
                "is_circular: true",
            ],
        ),
        (
            "scenarios",
            _of_options("mine", "liquid_only", "surface_by_strike", "own_iv"),
            ["'mine' is given today's own price", "its group liquid_only is not circular"],
        ),
        (
            "scenarios",
            _of_options("mine", "circular", "ridge", same_day=True),
            ["'mine' is circular, and its name has to say so", "Rename it, to circular_mine"],
        ),
        (
            "parameters_options",
            _put("options", "groups", "circular", value={}),
            ["its group circular is not circular"],
        ),
        (
            "parameters_options",
            _put("options", "groups", "liquid_only", value={"max_spred": 0.1}),
            ["options.groups.liquid_only.max_spred"],
        ),
        (
            "scenarios",
            _of_options("mine", "all_quotes", "ridge", missing="keep"),
            ["scenarios.options.mine.preprocess.missing: ", "'drop' or 'surface'"],
        ),
        (
            "scenarios",
            _put(
                "scenarios",
                "options",
                "mine",
                value={"group": "all_quotes", "task": "regimes", "preprocess": {}, "models": ["x"]},
            ),
            ["task in scenarios.options.mine 'regimes'", "Those that exist: forecast"],
        ),
        (
            "scenarios",
            _name_network_among_regimes,
            ["'equity_fx' asks for regimes; deep (gru) gives none. Take one of single_regime"],
        ),
        (
            "parameters_options",
            _put(*CHECKS, "crossed", value=None),
            ["options.validation.checks: ", "the table lacks ['crossed'] and has unknown none"],
        ),
        (
            "parameters_options",
            _put(*CHECKS, "crosed", value={"action": "warn"}),
            ["options.validation.checks: ", "lacks none and has unknown ['crosed']"],
        ),
        (
            "parameters_options",
            _put(*CHECKS, "old_data", value={"action": "quarantine"}),
            ["old_data is no fault of single rows: it can refuse or warn"],
        ),
        *(
            (
                "parameters_options",
                _put(*CHECKS, name, value={"action": "warn"}),
                [f"{name} must refuse or quarantine: such rows have no place"],
            )
            for name in ALWAYS_LEAVE
        ),
        (
            "parameters_options",
            _put("options", "universe", "warm_up_sessions", value=20),
            ["universe.warm_up_sessions is 20", "below pricing.volatility_sessions, 21"],
        ),
        (
            "parameters_options",
            _put("options", "audit", "exogenous_delay_days", value=0),
            ["audit.exogenous_delay_days is 0", "it must be at least 1"],
        ),
        (
            "parameters",
            _put("modelling", "simpler", "gru", value={"estimator": "ridge"}),
            ["simpler.gru: a network stands in for nothing, and nothing for a network"],
        ),
        (
            "parameters",
            _put("modelling", "simpler", "poly2", value={"estimator": "gru"}),
            ["simpler.poly2: a network stands in for nothing, and nothing for a network"],
        ),
    ],
)
def test_check_parameters_of_options_that_do_not_fit_are_refused_with_what_would(
    check: Callable[[str, Edit], None], file: str, edit: Edit, words: list[str]
) -> None:
    """What says today's price says so by group and name; tables are whole; networks stand alone."""
    with pytest.raises(ConfigError) as caught:
        check(file, edit)

    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("scenarios", _of_options("mine", "liquid_only", "gru", "ridge", missing="drop")),
        ("scenarios", _of_options("my_circular_one", "circular", "ridge", same_day=True)),
        ("scenarios", _of_options("mine", "circular", "ridge", same_day=False)),
        ("scenarios", _of_options("circular_mine", "circular", "own_iv")),
        ("scenarios", _put("scenarios", "options", "circular_same_day", value=None)),
        ("parameters_options", _put("options", "groups", "mine", value={"hold_out_every": 2})),
        ("parameters_options", _put(*CHECKS, "zero_day", value={"action": "quarantine"})),
        ("parameters_options", _put(*CHECKS, "crossed", value={"action": "warn", "bound": 9})),
        ("parameters_options", _put("options", "universe", "warm_up_sessions", value=21)),
        ("parameters", _put("modelling", "simpler", value={"poly2": {"estimator": "linear"}})),
    ],
)
def test_check_parameters_of_options_that_fit_are_accepted(
    check: Callable[[str, Edit], None], file: str, edit: Edit
) -> None:
    """The guards refuse what is wrong and nothing else."""
    check(file, edit)
