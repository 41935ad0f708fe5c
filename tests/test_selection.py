"""Which nodes a command means, by scenario, model, pipeline and namespace."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from kedro.pipeline import Pipeline

from tidemark.checkpoints.identity import own_code
from tidemark.cli.run import select
from tidemark.config import RunInfo, Study
from tidemark.errors import ConfigError, UnknownName
from tidemark.pipeline_registry import slice_pipelines
from tidemark.selection import check_namespaces, check_pipelines, keep_cells

ROOT = Path(__file__).parents[1]
SCENARIOS = ("mean_impute", "median_impute", "outlier_treatment")
MODELS = ("linear", "ridge", "svr", "poly2")
BASELINE, BASELINES = "returns_baseline", ("zero", "trailing_mean", "last_value")
TABLES = ("tabulate", "gather", "assemble_album")
DATA = {
    f"returns_data.{step}"
    for step in ("fetch", "validate", "accept", "label", "forecast", "publish", "audit")
}

pytestmark = pytest.mark.filterwarnings(
    # A dataset that another box reads bears its owner's dotted name on purpose.
    "ignore:One or more dataset names contain"
)


@pytest.fixture
def pipelines(studies: list[Study]) -> dict[str, Pipeline]:
    """Build the project's pipelines from the studies that it configures."""
    return slice_pipelines(studies)


@pytest.fixture
def info(studies: list[Study], tmp_path: Path) -> RunInfo:
    """Know the scenarios of the project."""
    scenarios = {name: study.name for study in studies for name in study.scenarios}
    assert list(scenarios)[:4] == [BASELINE, *SCENARIOS]
    return RunInfo(
        project_path=ROOT, data_root=tmp_path, scenarios=scenarios, mlflow={}, retries={}
    )


def _scenario_nodes(scenario: str) -> set[str]:
    return {f"{scenario}.{step}" for step in ("preprocess", "featurise", "split", "audit")}


def _cell_nodes(scenario: str, *models: str) -> set[str]:
    first = "forecast" if scenario == BASELINE else "train"
    steps = (first, "evaluate", "plot", "conclude")
    return {f"{scenario}.{model}.{step}" for model in models for step in steps}


def test_keep_cells_without_names_keeps_everything(
    pipelines: dict[str, Pipeline], info: RunInfo
) -> None:
    """An empty selection is no selection, in the order in which nodes can run."""
    everything = [node.name for node in pipelines["returns"].nodes]

    assert keep_cells(pipelines["returns"], info, [], []) == everything
    scenarios, models = (BASELINE, *SCENARIOS), (*BASELINES, *MODELS)
    assert keep_cells(pipelines["returns"], info, scenarios, models) == everything


def test_keep_cells_of_a_scenario_keeps_shared_data_and_drops_the_report(
    pipelines: dict[str, Pipeline], info: RunInfo
) -> None:
    """The scenario stays whole with its table; what needs other scenarios goes."""
    kept = keep_cells(pipelines["returns"], info, ["median_impute"], [])

    assert set(kept) == {
        *DATA,
        *_scenario_nodes("median_impute"),
        *_cell_nodes("median_impute", *MODELS),
        *(f"median_impute.{step}" for step in TABLES),
    }


def test_keep_cells_of_baselines_treats_and_fits_nothing(
    pipelines: dict[str, Pipeline], info: RunInfo
) -> None:
    """Baselines need the study's data only, whether their scenario is named or one of them."""
    whole = keep_cells(pipelines["returns"], info, [BASELINE], [])
    one = keep_cells(pipelines["modelling"], info, [], ["zero"])

    assert set(whole) == {
        *DATA,
        *_cell_nodes(BASELINE, *BASELINES),
        *(f"{BASELINE}.{step}" for step in TABLES),
    }
    assert set(one) == _cell_nodes(BASELINE, "zero")


def test_keep_cells_of_a_model_drops_tables_of_the_whole(
    pipelines: dict[str, Pipeline], info: RunInfo
) -> None:
    """A slice by model prepares every scenario and overwrites no scoreboard."""
    kept = keep_cells(pipelines["returns"], info, [], ["ridge"])

    expected = set(DATA)
    for scenario in SCENARIOS:
        expected |= _scenario_nodes(scenario) | _cell_nodes(scenario, "ridge")
    assert set(kept) == expected


def test_keep_cells_of_scenarios_and_models_combines_both(
    pipelines: dict[str, Pipeline], info: RunInfo
) -> None:
    """Two scenarios and two models are four cells."""
    kept = keep_cells(pipelines["modelling"], info, SCENARIOS[:2], ["ridge", "svr"])

    expected = _cell_nodes("mean_impute", "ridge", "svr") | _cell_nodes(
        "median_impute", "ridge", "svr"
    )
    assert set(kept) == expected


def _pair_nodes(study: Study, scenario: str) -> set[str]:
    steps = ("preprocess", "correlate", "featurise", "publish", "audit", "describe", "draw")
    found = {f"{scenario}.{step}" for step in (*steps, *TABLES)}
    for cell in study.cells(scenario):
        first = ("forecast",) if study.is_baseline(cell) else ("train", "plot")
        found |= {f"{cell.namespace}.{step}" for step in (*first, "evaluate", "conclude")}
    return found


def test_keep_cells_of_a_pair_keeps_its_sources_and_drops_the_report(
    pipelines: dict[str, Pipeline], info: RunInfo, studies: list[Study]
) -> None:
    """A pair with its state and its charts is whole without the others; the report is not."""
    everything = {node.name for node in pipelines["cross_asset"].nodes}
    data = {name for name in everything if name.startswith("cross_asset_data.")}

    kept = keep_cells(pipelines["cross_asset"], info, ["equity_fx"], [])

    assert {"cross_asset_data.file.fetch", "cross_asset_data.accept"} <= data
    # The matrices of all returns are of no scenario.
    pair = _pair_nodes(studies[1], "equity_fx")
    assert {"equity_fx.markov.train", "equity_fx.single.forecast", "equity_fx.describe"} <= pair
    assert set(kept) == data | pair | {"cross_asset_report.correlate"}


def test_keep_cells_of_one_way_to_find_regimes_drops_what_shows_them_all(
    pipelines: dict[str, Pipeline], info: RunInfo
) -> None:
    """The state of a pair tells of every way, so one alone does not write it."""
    kept = set(keep_cells(pipelines["cross_asset"], info, ["equity_fx"], ["markov"]))

    assert {"equity_fx.describe", "equity_fx.draw", "equity_fx.tabulate"} & kept == set()
    assert {name for name in kept if name.count(".") == 2 and "equity_fx" in name} == {
        f"equity_fx.markov.{step}" for step in ("train", "evaluate", "plot", "conclude")
    }


@pytest.mark.parametrize(
    ("scenarios", "models", "study"),
    [
        (["median_impute"], [], "returns"),
        ([BASELINE], ["zero"], "returns"),
        ([], ["last_value"], "returns"),
        (["equity_fx"], [], "cross_asset"),
        ([], ["markov"], "cross_asset"),
        (["liquid_only"], [], "options"),
        (["surface_impute"], ["svr"], "options"),
        ([], ["gru"], "options"),
        ([], ["own_iv"], "options"),
    ],
)
def test_keep_cells_of_one_study_leaves_the_data_of_the_others_alone(
    pipelines: dict[str, Pipeline],
    info: RunInfo,
    scenarios: list[str],
    models: list[str],
    study: str,
) -> None:
    """A scenario's name says which study is meant, and so does a model that one alone has."""
    kept = keep_cells(pipelines["__default__"], info, scenarios, models)

    assert set(kept) == set(keep_cells(pipelines[study], info, scenarios, models))


@pytest.mark.parametrize(
    ("model", "others", "options"),
    [
        (
            "ridge",
            [*SCENARIOS, "correlation_forecast"],
            ["drop_missing", "surface_impute", "liquid_only", "unseen_expiries"],
        ),
        ("svr", SCENARIOS, ["surface_impute"]),
    ],
)
def test_keep_cells_of_a_model_of_several_studies_keeps_each(
    pipelines: dict[str, Pipeline],
    info: RunInfo,
    model: str,
    others: list[str],
    options: list[str],
) -> None:
    """Where no study is named, a model's name means that of each."""
    kept = keep_cells(pipelines["modelling"], info, [], [model])

    expected = set().union(*(_cell_nodes(scenario, model) for scenario in [*others, *options]))
    assert set(kept) == expected | {f"{scenario}.{model}.measure" for scenario in options}


def test_keep_cells_of_an_options_scenario_keeps_the_data_and_drops_the_report(
    pipelines: dict[str, Pipeline], info: RunInfo, studies: list[Study]
) -> None:
    """The rows of every group are data of the study, which is whole whatever is chosen."""
    everything = {node.name for node in pipelines["options"].nodes}
    data = {name for name in everything if name.startswith("options_data.")}
    models = studies[-1].scenarios["liquid_only"].models

    kept = keep_cells(pipelines["options"], info, ["liquid_only"], [])

    assert {"ridge", "poly2_residual"} <= set(models)
    assert "options_data.circular.publish" in data
    steps = ("preprocess", "featurise", "split", "audit", *TABLES)
    assert set(kept) == {
        *data,
        *(f"liquid_only.{step}" for step in steps),
        *_cell_nodes("liquid_only", *models),
        *(f"liquid_only.{model}.measure" for model in models),
    }


def test_keep_cells_of_a_network_keeps_its_course_of_learning(
    pipelines: dict[str, Pipeline], info: RunInfo
) -> None:
    """What is drawn of its epochs is part of its cell."""
    kept = keep_cells(pipelines["modelling"], info, ["surface_impute"], ["gru"])

    more = {f"surface_impute.gru.{step}" for step in ("measure", "plot_learning")}
    assert set(kept) == _cell_nodes("surface_impute", "gru") | more


@pytest.mark.parametrize(
    ("scenarios", "models", "words"),
    [
        (
            ["median_imput"],
            [],
            ["scenario 'median_imput'", "Did you mean 'median_impute'?", BASELINE, *SCENARIOS],
        ),
        ([], ["rigde"], ["model 'rigde'", "Did you mean 'ridge'?", *BASELINES, *MODELS]),
        (["returns_data"], [], ["scenario 'returns_data'", *SCENARIOS]),
        (["median_impute", "x"], ["ridge"], ["scenario 'x'", *SCENARIOS]),
        (["equity_fx"], [], ["scenario 'equity_fx'", *SCENARIOS]),
        (["liquid_only"], [], ["scenario 'liquid_only'", *SCENARIOS]),
        ([], ["gru"], ["model 'gru'", *BASELINES, *MODELS]),
        ([], ["markov"], ["model 'markov'", *BASELINES, *MODELS]),
    ],
)
def test_keep_cells_unknown_name_lists_those_that_exist(
    pipelines: dict[str, Pipeline],
    info: RunInfo,
    scenarios: list[str],
    models: list[str],
    words: list[str],
) -> None:
    """A name that no node has is refused, with its neighbour and with all that could be meant."""
    with pytest.raises(UnknownName) as caught:
        keep_cells(pipelines["returns"], info, scenarios, models)

    for word in words:
        assert word in str(caught.value)


def test_keep_cells_that_leaves_nothing_is_refused(
    pipelines: dict[str, Pipeline], info: RunInfo
) -> None:
    """Nothing to run is an error and never the whole pipeline."""
    cell = pipelines["returns"].filter(node_namespaces=["median_impute.ridge"])
    other = pipelines["returns"].filter(node_namespaces=["median_impute.svr", "mean_impute.ridge"])

    assert keep_cells(cell, info, ["median_impute"], ["ridge"])
    with pytest.raises(ConfigError, match="No node is left"):
        keep_cells(other, info, ["median_impute"], ["ridge"])


@pytest.mark.parametrize("name", ["return", "median_impute"])
def test_check_pipelines_unknown_name_is_refused(pipelines: dict[str, Pipeline], name: str) -> None:
    """A scenario is no pipeline, and a near miss is answered with what was meant."""
    check_pipelines(["returns", "modelling"], pipelines)

    with pytest.raises(UnknownName, match=f"Unknown pipeline '{name}'"):
        check_pipelines(["returns", name], pipelines)


@pytest.mark.parametrize("name", ["median", "median_impute.", "ridge", "median_impute.ridge.train"])
def test_check_namespaces_unknown_name_is_refused(
    pipelines: dict[str, Pipeline], name: str
) -> None:
    """Half a name, a node and a model alone are no namespaces; boxes at both levels are."""
    check_namespaces(["median_impute", "median_impute.ridge", "returns_data"], pipelines["returns"])
    check_namespaces(["cross_asset_data", "cross_asset_data.file"], pipelines["cross_asset"])
    check_namespaces(["options_data.circular", "surface_impute.gru"], pipelines["options"])

    with pytest.raises(UnknownName, match="Unknown namespace"):
        check_namespaces(["median_impute", name], pipelines["returns"])


@pytest.mark.parametrize("node", ["median_impute.preprocess", "mean_impute.preproces"])
def test_select_of_nodes_and_scenario_without_a_common_node_is_refused(
    pipelines: dict[str, Pipeline], info: RunInfo, monkeypatch: pytest.MonkeyPatch, node: str
) -> None:
    """Options that leave no node, or name one that does not exist, do not mean every node."""
    monkeypatch.setitem(select.__globals__, "registered", pipelines)
    monkeypatch.setattr(own_code, "_cache", None)  # it is given one, and keeps it
    context = SimpleNamespace(check_parameters=lambda: None, run_info=info)
    words = ("namespace", "namespaces", "model", "tags")
    others = ("from_nodes", "to_nodes", "from_inputs", "to_outputs")
    options = {**dict.fromkeys([*words, *others], ()), "scenario": ("mean_impute",)}
    options["verify"] = False
    both = select(context, ["returns"], {**options, "node_names": ["mean_impute.preprocess"]})

    assert both["node_names"] == ("mean_impute.preprocess",)
    with pytest.raises(ConfigError):
        select(context, ["returns"], {**options, "node_names": [node]})
