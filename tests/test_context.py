"""A context refuses what it does not understand before any node runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidemark.config import Cell
from tidemark.context import TidemarkContext
from tidemark.errors import ConfigError, UnknownName

ROOT = Path(__file__).parents[1]

pytestmark = [
    # A dataset that another box reads bears its owner's dotted name on purpose.
    pytest.mark.filterwarnings("ignore:One or more dataset names contain"),
    # Kedro reads the fields of typed parameters in a way that Pydantic has deprecated.
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute"),
]

Load = Callable[..., TidemarkContext]
Files = dict[str, Any]


@pytest.fixture
def load(load_context: Load, tmp_path: Path) -> Load:
    """Load the project's context with other files, writing below the test's folder."""

    def load(files: Files | None = None, **options: Any) -> TidemarkContext:
        if files:
            shutil.copytree(ROOT / "conf", tmp_path / "conf")
            for name, content in files.items():
                path = tmp_path / "conf" / name
                path.write_text(yaml.safe_dump(content), encoding="utf-8")
            options["conf_source"] = str(tmp_path / "conf")
        given = {"data_root": str(tmp_path / "data"), **options.pop("params", {})}
        return load_context(given, **options)

    return load


def _scenario(**changes: Any) -> Files:
    scenario = {
        "group": "next_day",
        "preprocess": {"impute": "mean", "impute_window_days": 252},
        "models": ["ridge"],
    }
    return {"scenarios": {"returns": {"mine": {**scenario, **changes}}}}


def _pair(**changes: Any) -> Files:
    scenario = {
        "group": "mine",
        "task": "regimes",
        "preprocess": {"left": "sp500", "right": "wti"},
        "models": ["single", "zscore"],
    }
    return {"scenarios": {"cross_asset": {"mine": {**scenario, **changes}}}}


def _baseline(model: str) -> Files:
    scenario = {"group": "next_day", "models": [model]}
    own = {model: {"estimator": "baseline"}}
    return {"scenarios": {"returns": {"mine": scenario}}, "models": {"returns": own}}


@pytest.mark.parametrize(
    ("params", "wrong", "near"),
    [
        ({"data_rot": "x"}, "data_rot", "data_root"),
        ({"price_file": "x.csv"}, "price_file", "prices_file"),
        ({"evaluation": {"n_replicate": 100}}, "evaluation.n_replicate", "evaluation.n_replicates"),
        ({"returns": {"splt": {"n_folds": 3}}}, "returns.splt.n_folds", "returns.split"),
        ({"as_of": {"day": "2019-01-03"}}, "as_of.day", None),
    ],
)
def test_context_misspelt_runtime_parameter_is_refused_with_a_suggestion(
    load: Load, params: dict[str, Any], wrong: str, near: str | None
) -> None:
    """A key of the command line that does not exist stops the run and names its neighbour."""
    context = load(params=params)

    with pytest.raises(UnknownName) as caught:
        _ = context.catalog

    assert f"Unknown parameter '{wrong}'" in str(caught.value)
    assert near is None or f"Did you mean '{near}'?" in str(caught.value)


def test_context_runtime_parameters_reach_nodes_and_catalog(load: Load, tmp_path: Path) -> None:
    """A given day and a given number are what nodes and datasets see; the rest stays."""
    params = {"as_of": "2018-12-31", "evaluation": {"n_replicates": 100}}
    context = load(params=params)
    catalog = context.catalog

    assert catalog.load("params:as_of") == "2018-12-31"
    assert catalog["returns_data.prices_raw"]._describe()["as_of"] == "2018-12-31"
    assert catalog.load("params:evaluation").n_replicates == 100
    assert catalog.load("params:evaluation").block_length_days == "auto"
    assert context.run_info.data_root == tmp_path / "data"


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("parameters", {"evalution": {"seed": 1}}, "evalution"),
        ("parameters", {"evaluation": {"levl": 0.9}}, "evaluation.levl"),
        ("parameters", {"returns": {"split": {"tst_share": 0.3}}}, "returns.split.tst_share"),
        ("parameters", {"returns": {"validation": {"checks": {"no_row": {}}}}}, "checks.no_row"),
        ("scenarios", _scenario(modles=["ridge"]), "modles"),
        ("scenarios", _scenario(models=["rigde"]), "rigde"),
        ("scenarios", _scenario(preprocess={"imput": "mean"}), "imput"),
        ("scenarios", _scenario(models=["zero"]), "zero is a baseline"),
        ("scenarios", _scenario(group="next day"), "group"),
        ("scenarios", _baseline("mean"), "Unknown baseline .*'mean'"),
        ("scenarios", _pair(preprocess={"left": "sp500", "rigth": "wti"}), "preprocess.rigth"),
        ("scenarios", _pair(tasks="regimes"), "tasks"),
        ("parameters", {"cross_asset": {"series": {"wti": {"colour": "red"}}}}, "wti.colour"),
        ("parameters", {"cross_asset": {"market": {"matrix_windw": 250}}}, "matrix_windw"),
        ("parameters", {"modelling": {"simpler": {"mrkov": {"estimator": "zscore"}}}}, "mrkov"),
        ("parameters", {"returns": {"audit": {"n_cut": 3}}}, "returns.audit.n_cut"),
        ("parameters", {"returns": {"baselines": {"mean": 3}}}, "returns.baselines.mean"),
        ("scenarios", {"scenarios": {"retuns": _scenario()["scenarios"]["returns"]}}, "retuns"),
        ("scenarios", {"models": {"retuns": {"ridge": {"estimator": "ridge"}}}}, "retuns"),
        ("scenarios", {"models": {"returns": {"r": {"estimator": "rigde"}}}}, "rigde|estimator"),
        (
            "scenarios",
            {"models": {"returns": {"r": {"estimator": "ridge", "grid": {"alpah": [1.0]}}}}},
            "alpah",
        ),
        ("globals", {"prices_fil": "mine.csv"}, "prices_fil"),
    ],
)
def test_context_misspelt_key_in_yaml_is_refused_by_name(
    load: Load, file: str, content: Files, named: str
) -> None:
    """A key that no parameter has is named before any node runs; it is never passed over."""
    context = load({f"local/{file}.yml": content})

    with pytest.raises(ConfigError, match=named):
        _ = context.catalog


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluation": {"level": 1.5}},
        {"evaluation": {"n_replicates": "many"}},
        {"as_of": "yesterday"},
        {"as_of": "20190103"},
        {"evaluation": {"block_length_days": 0}},
        {"evaluation": {"interval": "normal"}},
        {"returns": {"labels": {"warm_up_days": 28}}},
        {"returns": {"baselines": {"trailing_mean_days": 1}}},
        {"returns": {"split": {"refit_sessions": 0}}},
        {"returns": {"split": {"horizon_days": 2}}},
        {"returns": {"audit": {"n_cuts": 0}}},
        {"returns": {"features": {"lags": [-1]}}},
        {"returns": {"features": {"lags": [], "windows": [], "exogenous_lags": []}}},
        {"cross_asset": {"sources": []}},
        {"cross_asset": {"correlation": {"min_share": 0}}},
        {"cross_asset": {"series": {"Oil": {"label": "oil"}}}},
        {"models": {"cross_asset": {"markov": {"n_regimes": 1}}}},
    ],
)
def test_context_value_that_cannot_be_used_is_refused(load: Load, changes: Files) -> None:
    """Values out of their range, or at odds with each other, stop the run with their place."""
    context = load({"local/parameters.yml": changes})

    with pytest.raises(ConfigError, match=r"Parameters cannot be used|as_of"):
        _ = context.catalog


MARKOV, RIDGE = {"estimator": "markov"}, {"estimator": "ridge"}
BACKWARDS = {"start": "2000-01-01", "end": "1999-12-31", "label": "war"}


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (
            "scenarios",
            _pair(preprocess=None),
            ["'mine' must say in 'preprocess' which pair it is of"],
        ),
        (
            "scenarios",
            _scenario(task="regimes"),
            ["mine", "returns", "regimes"],
        ),
        (
            "scenarios",
            {"scenarios": {"cross_asset": {"correlation_forecast": {"models": ["markov"]}}}},
            ["correlation_forecast", "markov"],
        ),
        (
            "scenarios",
            {
                **_scenario(models=["switching"]),
                "models": {"returns": {"switching": {"estimator": "markov"}}},
            },
            ["mine", "switching", "markov"],
        ),
        (
            "scenarios",
            _pair(preprocess={"left": "sp500", "right": "wtii"}),
            ["series in scenarios.cross_asset.mine.preprocess 'wtii'", "Did you mean 'wti'?"],
        ),
        (
            "scenarios",
            _pair(preprocess={"left": "wti", "right": "wti"}),
            ["preprocess.", "left and right are both 'wti'; a pair has two assets"],
        ),
        (
            "scenarios",
            _pair(models=["single", "ridge"]),
            ["'mine' asks for regimes; ridge (ridge)", "Take one of single_regime, zscore, markov"],
        ),
        (
            "scenarios",
            _pair(models=["today", "markov"]),
            ["baseline in scenarios.cross_asset.mine.models 'today'", "single", "student"],
        ),
        (
            "parameters",
            {"cross_asset": {"correlation": {"pairs": [["sp500", "wti"], ["sp500", "gold"]]}}},
            ["cross_asset: ", "correlation.pairs names 'gold', which series does not define"],
        ),
        (
            "parameters",
            {"cross_asset": {"split": {"horizon_days": 5}}},
            ["split.horizon_days is 5; labels look 21 sessions ahead (correlation.horizon_days)"],
        ),
        (
            "parameters",
            {"cross_asset": {"correlation": {"horizon_days": 5}}},
            ["split.horizon_days is 21; labels look 5 sessions ahead"],
        ),
        (
            "parameters",
            {"modelling": {"simpler": {"linear": MARKOV}}},
            ["modelling: ", "simpler.linear: markov cannot stand in; one finds regimes, the other"],
        ),
        (
            "parameters",
            {"modelling": {"simpler": {"markov": RIDGE}}},
            ["simpler.markov: ridge cannot stand in; one finds regimes, the other forecasts"],
        ),
        (
            "parameters",
            {"modelling": {"simpler": {"zscore": MARKOV}}},
            ["simpler never ends: ", "markov -> zscore -> markov", "leave one of them out"],
        ),
        (
            "parameters",
            {"modelling": {"simpler": {"markov": {"estimator": "baseline"}}}},
            ["simpler.markov: a baseline, which is not fitted, cannot stand in"],
        ),
        (
            "parameters",
            {"cross_asset": {"market": {"stretches": {"equity_oil": [BACKWARDS]}}}},
            ["market.stretches.equity_oil.0: ", "the stretch 'war' ends before it begins"],
        ),
    ],
)
def test_context_parts_that_do_not_fit_are_refused_with_what_would(
    load: Load, file: str, content: Files, words: list[str]
) -> None:
    """What is wrong between two settings is told with both, and with what to take instead."""
    context = load({f"local/{file}.yml": content})

    with pytest.raises(ConfigError) as caught:
        _ = context.catalog

    for word in words:
        assert word in str(caught.value)


def test_context_scenarios_of_regimes_that_fit_are_accepted(load: Load) -> None:
    """The guards refuse what is wrong and nothing else; defaults are spelt out."""
    catalog = load({"local/scenarios.yml": _pair()}).catalog

    pair = catalog.load("params:scenarios.cross_asset.mine.preprocess")
    assert (pair.left, pair.right, pair.window, pair.calendar) == ("sp500", "wti", 60, "XNYS")
    assert catalog.load("params:names.mine") == "mine"
    assert catalog.load("params:cells.mine.zscore") == Cell("cross_asset", "mine", "zscore")


def test_context_scenario_of_null_is_taken_out(load: Load) -> None:
    """A person's own files take a scenario of the base environment out by its name."""
    gone = {"scenarios": {"cross_asset": {"equity_oil": None}, "returns": {"mean_impute": None}}}
    context = load({"local/scenarios.yml": gone})
    names = {name for study in context.studies for name in study.scenarios}

    assert {"equity_oil", "mean_impute"} & names == set()
    assert {"equity_bond", "median_impute"} <= names
    assert {"equity_oil", "mean_impute"} & context.run_info.scenarios.keys() == set()
    known = set(context.catalog.keys())
    assert "params:names.equity_bond" in known
    assert not any("equity_oil" in name for name in known if name.startswith("params:names."))
    assert not any("equity_oil" in name for name in known if name.startswith("params:cells."))


@pytest.mark.parametrize(
    ("env", "has", "lacks"),
    [
        ("base", {"equity_bond", "equity_oil", "equity_fx"}, {"equity_gold"}),
        ("etf", {"equity_bond", "equity_gold"}, {"equity_oil", "equity_fx"}),
        ("live", {"equity_bond", "equity_oil", "equity_fx"}, {"equity_gold"}),
    ],
)
def test_context_of_each_environment_is_accepted_with_its_scenarios(
    load: Load, env: str, has: set[str], lacks: set[str]
) -> None:
    """What ships as configuration passes its own checks, and names series that it defines."""
    context = load(env=env)
    catalog = context.catalog
    names = {name for study in context.studies for name in study.scenarios}

    assert has <= names
    assert lacks & names == set()
    assert {f"params:names.{name}" for name in names} <= set(catalog.keys())
    series = catalog.load("params:cross_asset.series").root
    for name in has:
        pair = catalog.load(f"params:scenarios.cross_asset.{name}.preprocess")
        assert {pair.left, pair.right} <= series.keys()


@pytest.mark.parametrize("env", ["base", "etf", "live", "spx", "optionsdx"])
def test_context_of_each_environment_has_rows_for_the_options_that_it_compares(
    load: Load, env: str
) -> None:
    """What ships passes its own checks; a live run keeps chains, and compares nothing yet."""
    context = load(env=env)
    catalog, options = context.catalog, context.studies[-1]

    assert (options.name, bool(options.scenarios)) == ("options", env != "live")
    is_circular = {
        group: catalog.load(f"params:options.groups.{group}").is_circular
        for group in options.groups
    }
    assert [group for group, one in is_circular.items() if one] == (
        ["circular"] if options.scenarios else []
    )
    for cell in options.cells():
        assert catalog.load(f"params:cells.{cell.namespace}") == cell


def test_context_as_of_of_the_live_environment_is_a_day_that_can_be_given(load: Load) -> None:
    """A live run pretends nothing: it is today in UTC, once for the whole run, unless told."""
    today = datetime.now(UTC).date()
    as_of = date.fromisoformat(load(env="live").catalog.load("params:as_of"))
    given = load(env="live", params={"as_of": "2024-02-29"}).catalog

    assert today <= as_of <= datetime.now(UTC).date()
    assert given.load("params:as_of") == "2024-02-29"
    source = given["cross_asset_data.yahoo.source"]
    assert source._describe()["as_of"] == "2024-02-29"


def test_context_provenance_tells_one_set_of_parameters_from_another(load: Load) -> None:
    """Reports quote two hashes: of the code, and of what the study's numbers depend on."""
    usual = load().catalog.load("params:provenance.returns")
    title = {"returns": {"report": {"title": "Another"}}}
    named = load(params=title).catalog.load("params:provenance.returns")
    bound = {"returns": {"report": {"too_good_r2": 0.02}}}
    alarmed = load(params=bound).catalog.load("params:provenance.returns")
    fewer = load(params={"evaluation": {"n_replicates": 100}})
    changed = fewer.catalog.load("params:provenance.returns")

    assert {name: len(digest) for name, digest in usual.items()} == {
        "code_hash": 16,
        "params_hash": 16,
    }
    assert named == usual
    assert alarmed["code_hash"] == usual["code_hash"]
    assert alarmed["params_hash"] != usual["params_hash"]
    assert changed["code_hash"] == usual["code_hash"]
    assert changed["params_hash"] != usual["params_hash"]


def test_context_lag_zero_is_accepted_because_the_audit_judges_it(load: Load) -> None:
    """It is no typing error that parameters could catch: the audit must see it."""
    context = load({"local/parameters.yml": {"returns": {"features": {"lags": [0, 1]}}}})

    assert context.catalog.load("params:returns.features").lags == (0, 1)


def test_context_with_one_look_back_only_is_accepted(load: Load) -> None:
    """A single feature is a valid choice."""
    features = {"lags": [1], "windows": [], "exogenous_lags": []}
    context = load({"local/parameters.yml": {"returns": {"features": features}}})

    assert context.catalog.load("params:returns.features").longest == 1


def test_context_valid_key_that_yaml_leaves_to_its_default_can_be_given(load: Load) -> None:
    """What a parameter's type knows is known, whether or not the YAML spells it out."""
    preprocess = {"outliers": "clip"}
    params = {"scenarios": {"returns": {"median_impute": {"preprocess": preprocess}}}}

    catalog = load(params=params).catalog

    assert catalog.load("params:scenarios.returns.median_impute.preprocess").outliers == "clip"


@pytest.mark.parametrize("content", [{"mlflow": {"requird": True}}, {"mlfow": {"required": True}}])
def test_context_misspelt_key_of_tracking_is_refused_by_name(load: Load, content: Files) -> None:
    """Tracking that is not configured as meant stops the run before anything is written."""
    context = load({"local/mlflow.yml": content})

    with pytest.raises(ConfigError, match=r"requird|mlfow"):
        _ = context.catalog


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("retries", {"retries": {"jobs": {"train": {"atempts": 2}}}}, "atempts"),
        (
            "retries",
            {"retries": {"jobs": {"fit": {"nodes": ["train"], "attempts": 1}}}},
            "in jobs",
        ),
        ("retries", {"retires": {}}, "retires: Extra"),
        ("alerts", {"alerts": {"repeat_hours": 1}}, "repeat_hours"),
        ("alerts", {"alert": {}}, "alert: Extra"),
    ],
)
def test_context_misspelt_key_of_retries_or_alerts_is_refused_by_name(
    load: Load, file: str, content: Files, named: str
) -> None:
    """What is tried again, and who is told, is as it is meant or stops the run."""
    context = load({f"local/{file}.yml": content})

    with pytest.raises(ConfigError, match=named):
        _ = context.catalog


def test_context_retries_reach_every_process(load: Load) -> None:
    """A run's policies, a person's own among them, travel in the catalog with its other facts."""
    job = {"jobs": {"train": {"attempts": 7}}}
    context = load({"local/retries.yml": {"retries": job}})

    info = context.catalog.load("params:tidemark")

    assert info.retries["jobs"]["train"] == {"nodes": ["train"], "attempts": 7}
    assert info.retries["storage"]["attempts"] == 3


def test_context_data_root_below_home_is_one_place(load: Load) -> None:
    """A tilde means the home folder to checkpoints and to datasets alike."""
    context = load(params={"data_root": "~/elsewhere"})

    path = Path(context.catalog["median_impute.features"]._describe()["filepath"])

    assert path.is_relative_to(context.run_info.data_root)
