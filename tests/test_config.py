"""Studies are read from configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tidemark.config import STUDIES, Cell, RunInfo, Study, companion_file, read_studies

ROOT = Path(__file__).parents[1]


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
