"""The words of the commands: what they select, and what is answered to words not understood."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def prepared(new_workplace: Callable[[], Any]) -> Any:
    """Prepare a workplace in which data and features are ready."""
    place = new_workplace()
    done = place.kedro(
        *("--pipelines", "data_engineering,feature_engineering"),
        *("--namespaces", "returns_data,mean_impute,median_impute"),
        pipeline=None,
    )
    assert done.returncode == 0, done.stderr
    return place


def _nodes_run(done: subprocess.CompletedProcess[str], data: Path) -> set[str]:
    run_id = done.stdout.partition("Run ")[2].split()[0]
    records = [json.loads(path.read_text()) for path in (data / "checkpoints").glob("*.json")]
    return {record["node"] for record in records if record["run_id"] == run_id}


def test_run_modelling_of_a_namespace_runs_its_four_models_only(prepared: Any) -> None:
    """The first command of the README runs four models and leaves one parent with four children."""
    before = Counter(run.data.tags["tidemark.level"] for run in prepared.mlflow_runs())
    done = prepared.kedro("--pipeline", "modelling", "--namespace", "median_impute")
    assert done.returncode == 0, done.stderr
    assert "deprecat" not in done.stderr.lower()
    expected = {
        f"median_impute.{model}.{node}"
        for model in ("linear", "ridge", "svr", "poly2")
        for node in ("train", "evaluate", "plot", "conclude")
    }
    assert _nodes_run(done, prepared.data) == expected
    after = Counter(run.data.tags["tidemark.level"] for run in prepared.mlflow_runs())
    assert after - before == {"run": 1, "cell": 4}


def test_run_scenario_and_model_from_a_config_file_combine(prepared: Any, tmp_path: Path) -> None:
    """A file may use the same names, the command line wins, and one cell is left."""
    config = tmp_path / "run.yml"
    config.write_text("run:\n  pipeline: modelling\n  scenario: mean_impute\n  model: linear\n")
    done = prepared.kedro("--config", str(config), "--model", "ridge", pipeline=None)
    assert done.returncode == 0, done.stderr
    assert _nodes_run(done, prepared.data) == {
        f"mean_impute.ridge.{node}" for node in ("train", "evaluate", "plot", "conclude")
    }


def test_run_scenario_and_model_of_a_study_bring_the_shared_data(workplace: Any) -> None:
    """From nothing, a scenario and a model run with their data, without the table of the whole."""
    done = workplace.kedro("--scenario", "median_impute", "--model", "ridge")
    assert done.returncode == 0, done.stderr
    ran = _nodes_run(done, workplace.data)
    assert {"returns_data.fetch", "returns_data.publish"} <= ran
    assert {"median_impute.split", "median_impute.audit", "median_impute.ridge.conclude"} <= ran
    assert not any("report" in node or "tabulate" in node for node in ran)
    assert not any("mean_impute" in node or "linear" in node for node in ran)
    assert not any("baseline" in node for node in ran)


def test_run_baseline_alone_fits_and_treats_nothing(prepared: Any) -> None:
    """A forecast without a model is chosen as a model is, and is judged as one."""
    done = prepared.kedro("--scenario", "returns_baseline", "--model", "zero", pipeline=None)
    assert done.returncode == 0, done.stderr
    assert _nodes_run(done, prepared.data) == {
        f"returns_baseline.zero.{node}" for node in ("forecast", "evaluate", "plot", "conclude")
    }
    assert "best of returns_baseline" in done.stdout
    assert not (prepared.data / "06_models/returns_baseline/zero/model.pkl").exists()


def test_run_without_words_runs_every_study(workplace: Any, make_conf: Callable[..., Any]) -> None:
    """As typed, ``kedro run`` studies everything, leaves a report of each, and is done then."""
    conf = make_conf(returns_baseline=["zero"], mean_impute=["linear"])
    kept = {
        "equity_fx": ["single", "zscore"],
        "correlation_baseline": ["today"],
        "correlation_forecast": ["linear"],
    }

    kept_options = {
        "options_baseline": ["surface_by_strike"],
        "surface_impute": ["ridge_residual"],
    }

    def keep(tree: dict[str, Any]) -> None:
        for study, wanted in (("cross_asset", kept), ("options", kept_options)):
            scenarios = tree["scenarios"][study]
            for name in list(scenarios):
                if name in wanted:
                    scenarios[name]["models"] = wanted[name]
                else:
                    del scenarios[name]

    conf.change("scenarios", keep)
    conf.shorten_chain()
    everything = conf.nodes_of("__default__")

    done = workplace.kedro(*conf.words, pipeline=None)
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in (workplace.data / "checkpoints").glob("*.ok")} == everything
    assert everything == conf.nodes | conf.nodes_of("cross_asset") | conf.nodes_of("options")
    pages = ("returns/report", "cross_asset/report", "cross_asset/market_report")
    for page in (*pages, "options/report", "options/price_report", "options/dq_report"):
        assert list((workplace.data / f"08_reporting/{page}.html").iterdir())
    for scenario in ("mean_impute", "equity_fx", "correlation_forecast", "surface_impute"):
        assert f"best of {scenario}" in done.stdout
    for study, cells in (("returns", 2), ("cross_asset", 4), ("options", 2)):
        runs = workplace.mlflow_runs(study)
        assert {run.info.status for run in runs} == {"FINISHED"}
        levels = Counter(run.data.tags["tidemark.level"] for run in runs)
        assert levels == {"run": 1, "cell": cells}

    again = workplace.kedro(*conf.words, pipeline=None)
    assert again.returncode == 0, again.stderr
    assert f"Nothing to do: all {len(everything)} nodes are fresh" in again.stderr


@pytest.mark.parametrize(
    ("words", "status", "answers"),
    [
        (["--pipeline", "modeling"], 1, ["'modeling'", "modelling, options, reporting, returns"]),
        (["--pipeline", "cross_assets"], 1, ["Did you mean 'cross_asset'?"]),
        (["--namespace", "median"], 1, ["'median'", "median_impute.ridge"]),
        (["--namespaces", "median_impute,oops"], 1, ["'oops'", "median_impute"]),
        (["--scenario", "mode_impute"], 1, ["'mode_impute'", "mean_impute, median_impute"]),
        (
            ["--model", "rigde"],
            1,
            ["Did you mean 'ridge'?", "poly2_residual, ridge, ridge_residual, single"],
        ),
        (["--pipeline", "returns", "--model", "markov"], 1, ["'markov'", "linear, poly2, ridge, "]),
        (["--pipeline", "modelling", "--namespace", "returns_data"], 1, ["'returns_data'"]),
        (["--params", "price_file=x.csv"], 1, ["Did you mean 'prices_file'?"]),
        (["--params", "returns.features.lag=1"], 1, ["Did you mean 'returns.features.lags'?"]),
        (["--params", "returns.split.test_share=2"], 1, ["returns.split.test_share"]),
        (["--pipeline", "a", "--pipelines", "b"], 64, ["not both"]),
        (["--scenarios", "x"], 64, ["No such option"]),
        (["--params", "novalue"], 64, ["must contain a key and a value"]),
    ],
)
def test_run_with_words_it_does_not_know_says_which_exist(
    words: list[str], status: int, answers: list[str], workplace: Any
) -> None:
    """An unknown name lists those that exist; a line that makes no sense ends with 64."""
    done = subprocess.run(
        workplace.command("run", *words),
        cwd=PROJECT,
        env=workplace.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == status, done.stderr
    for answer in answers:
        assert answer in done.stderr
    assert "Traceback" not in done.stderr
    assert workplace.mlflow_runs() == []


def test_run_with_an_unknown_key_in_the_config_file_lists_the_keys(
    workplace: Any, tmp_path: Path
) -> None:
    """A misspelt key of the file is refused by its name."""
    config = tmp_path / "run.yml"
    config.write_text("run:\n  scenaro: mean_impute\n")
    done = workplace.kedro("--config", str(config), pipeline=None)
    assert done.returncode == 1
    assert "'scenaro'. Did you mean 'scenario'?" in done.stderr


def test_run_with_a_relative_path_means_the_same_from_any_folder(workplace: Any) -> None:
    """A relative prices_file counts from the project's root, also when called from below it."""
    words = workplace.command(
        "run",
        "--nodes",
        "returns_data.fetch",
        "--params",
        f"prices_file=data/01_raw/returns/prices.parquet,data_root={workplace.data}",
    )
    done = subprocess.run(
        words,
        cwd=PROJECT / "docs",
        env=workplace.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "fetched 100660 rows of prices and 15266 of exogenous series" in done.stderr
