"""The returns study from command to report, on small real data."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

NODES = 4 + 3 * 4 + 12 * 4 + 3  # data; preprocess, featurise, split, tabulate; cells; report
CELLS = {
    f"{scenario}.{model}"
    for scenario in ("mean_impute", "median_impute", "outlier_treatment")
    for model in ("linear", "ridge", "svr", "poly2")
}


@pytest.fixture(scope="module")
def whole(new_workplace: Callable[[], Any]) -> Any:
    """Run the study twice in one workplace and keep the hashes of both runs."""
    place = new_workplace()
    place.first = place.kedro("--pipeline", "returns")
    place.first_hashes = _hashes(place.data)
    place.first_version = next((place.data / "06_models/median_impute/ridge/model.pkl").iterdir())
    place.second = place.kedro("--pipeline", "returns", "--force")
    place.second_hashes = _hashes(place.data)
    return place


def _hashes(data: Path) -> dict[str, str]:
    """Read the hashes of all outputs but the models: equal objects may differ as pickles."""
    found = {}
    for path in (data / "checkpoints").glob("*.json"):
        for output in json.loads(path.read_text())["outputs"]:
            if not output["name"].endswith(".model"):
                found[output["name"]] = output["sha256"]
    return found


def test_run_whole_study_ends_well(whole: Any) -> None:
    """A whole run ends with status 0 and names its report and the best models."""
    assert whole.first.returncode == 0, whole.first.stderr
    assert "best of median_impute" in whole.first.stdout
    assert "model_communication_report.md" in whole.first.stdout


def test_run_whole_study_leaves_every_checkpoint(whole: Any) -> None:
    """Every node leaves a JSON file that says what it read and wrote, and an .ok."""
    folder = whole.data / "checkpoints"
    assert len(list(folder.glob("*.ok"))) == NODES
    record = json.loads((folder / "median_impute.ridge.train.json").read_text())
    assert {one["name"] for one in record["inputs"]} == {
        "median_impute.train",
        "median_impute.folds",
    }
    assert record["inputs"][0]["rows"] > 1000
    assert all(len(one["sha256"]) == 64 for one in record["inputs"] + record["outputs"])
    assert record["params"]["models.returns.ridge"]["estimator"] == "ridge"
    assert record["libraries"]["scikit-learn"]


def test_run_twice_gives_identical_outputs(whole: Any) -> None:
    """Two runs of the same inputs are bit-identical in every table, metric, figure and report."""
    assert whole.second.returncode == 0, whole.second.stderr
    assert len(whole.first_hashes) > 100
    assert whole.first_hashes == whole.second_hashes


def test_run_whole_study_tables_have_the_promised_columns(whole: Any) -> None:
    """The names that others rely on are there: predictions and the scenario table."""
    predictions = pd.read_parquet(
        whole.data / "07_model_output/median_impute/ridge/predictions.parquet"
    )
    assert list(predictions) == ["date", "ticker", "y_true", "y_pred"]
    table = pd.concat(
        pd.read_csv(path)
        for path in _latest(whole.data / "08_reporting/returns/scenario_table.csv")
    )
    assert {f"{row.scenario}.{row.model}" for row in table.itertuples()} == CELLS
    assert {"rmse", "rmse_low", "rmse_high", "mae", "r2_low", "r2_high"} <= set(table)
    assert len(set(table["scored_rows"])) == 1
    assert (table["rmse_low"] < table["rmse"]).all()
    assert (table["rmse"] < table["rmse_high"]).all()


def test_run_whole_study_reports_hold_a_persons_words_and_existing_figures(whole: Any) -> None:
    """The reflection copies the notes word for word; every figure that a report shows exists."""
    folder = whole.data / "08_reporting/returns"
    notes = (Path(__file__).parents[2] / "docs/notes/returns.md").read_text().strip()
    for name in ("scenario_summary", "model_communication_report", "model_evaluation_memo"):
        (report,) = _latest(folder / f"{name}.md")
        links = re.findall(r"\]\(([^)]+\.png)\)", report.read_text())
        assert links, name
        assert all((report.parent / link).is_file() for link in links)
    (reflection,) = _latest(folder / "reflection.md")
    assert notes in reflection.read_text()


def test_run_whole_study_logs_are_json_lines_and_task_files(whole: Any) -> None:
    """The project's log is JSON lines; each task has a readable log with rows and hashes."""
    lines = (whole.data / "logs/pipeline.log").read_text().splitlines()
    finished = Counter(
        one["run_id"] for one in map(json.loads, lines) if one.get("status") == "finished"
    )
    assert sorted(finished.values())[-2:] == [NODES, NODES]
    task = (whole.data / "logs/train_median_impute_ridge.log").read_text()
    assert "starts" in task
    assert "read median_impute.train: rows" in task
    assert "sha256" in task


def test_run_whole_study_mlflow_has_parents_and_children(whole: Any) -> None:
    """Each run leaves one parent and twelve children with metrics, steps, figures and a model."""
    by_run = defaultdict(list)
    for run in whole.mlflow_runs():
        by_run[run.data.tags["tidemark.run_id"]].append(run)
    runs = [run for group in by_run.values() if len(group) == 13 for run in group]
    assert len(runs) == 2 * 13
    assert {run.info.status for run in runs} == {"FINISHED"}
    parents = {run.info.run_id for run in runs if run.data.tags["tidemark.level"] == "run"}
    children = [run for run in runs if run.data.tags["tidemark.level"] == "cell"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == parents
    assert {run.info.run_name for run in children} == CELLS

    from mlflow import MlflowClient

    client = MlflowClient(whole.tracking_uri)
    child = next(run for run in children if run.info.run_name == "median_impute.ridge")
    assert {"rmse", "rmse_low", "rmse_high", "cv_rmse_mean"} <= child.data.metrics.keys()
    assert child.data.params["preprocess.impute"] == "median"
    assert "chosen.alpha" in child.data.params
    for tag in ("tidemark.study", "tidemark.scenario", "tidemark.model", "tidemark.data_hash"):
        assert child.data.tags[tag]
    steps = [one.step for one in client.get_metric_history(child.info.run_id, "cv_rmse_by_fold")]
    assert sorted(steps) == [1, 2, 3, 4, 5]
    figures = client.list_artifacts(child.info.run_id, "figures")
    assert {Path(one.path).stem for one in figures} == {
        "predicted_vs_true",
        "hexbin",
        "residual_histogram",
        "residuals_vs_predicted",
    }


def test_run_whole_study_logged_model_predicts_as_the_stored_one(
    whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model that MLflow gives back predicts what the run's predictions say."""
    import mlflow

    child = next(
        run for run in whole.mlflow_runs() if run.info.run_name == "outlier_treatment.linear"
    )
    model_id = child.outputs.model_outputs[0].model_id
    monkeypatch.setenv("MLFLOW_TRACKING_URI", whole.tracking_uri)
    mlflow.set_tracking_uri(whole.tracking_uri)
    model = mlflow.pyfunc.load_model(f"models:/{model_id}")
    test = pd.read_parquet(whole.data / "05_model_input/outlier_treatment/test.parquet")
    stored = pd.read_parquet(
        whole.data / "07_model_output/outlier_treatment/linear/predictions.parquet"
    )
    features = model.metadata.get_input_schema().input_names()
    predicted = model.predict(test[features])
    assert abs(predicted - stored["y_pred"].to_numpy()).max() < 1e-12


def test_run_outbox_is_empty_after_mlflow_has_all(whole: Any) -> None:
    """Nothing waits once everything was sent."""
    assert list((whole.data / "outbox").iterdir()) == []


def test_run_older_version_of_a_model_can_be_loaded(whole: Any) -> None:
    """A specific version of a model is evaluated again with --load-versions."""
    version = whole.first_version.name
    done = whole.kedro(
        "--nodes",
        "median_impute.ridge.evaluate",
        "--load-versions",
        f"median_impute.ridge.model:{version}",
        "--force",  # the older model is the same as the newer, so all is fresh
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((whole.data / "checkpoints/median_impute.ridge.evaluate.json").read_text())
    assert version in record["inputs"][0]["path"]


def test_run_without_any_hook_gives_the_same_numbers(whole: Any, tmp_path: Path) -> None:
    """Switching every hook off changes no output: nothing is computed in a hook."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from kedro.framework.startup import bootstrap_project\n"
        "from kedro.framework.session import KedroSession\n"
        "from kedro.framework.project import pipelines, settings\n"
        "from kedro.runner import SequentialRunner\n"
        "from tidemark.context import remember\n"
        "bootstrap_project(Path.cwd())\n"
        "params = dict(prices_file=sys.argv[1], data_root=sys.argv[2])\n"
        "with settings.SESSION_CLASS.create(runtime_params=params) as session:\n"
        "    context = session.load_context()\n"
        "    remember(context)\n"
        "    SequentialRunner().run(pipelines['returns'], context.catalog)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(whole.prices), str(tmp_path)],
        cwd=Path(__file__).parents[2],
        env=whole.environment(),
        check=True,
        capture_output=True,
        timeout=300,
    )
    assert not (tmp_path / "checkpoints").exists()
    for cell in sorted(CELLS):
        place = f"07_model_output/{cell.replace('.', '/')}/predictions.parquet"
        assert (tmp_path / place).read_bytes() == (whole.data / place).read_bytes()


def _latest(folder: Path) -> Iterator[Path]:
    yield sorted(folder.glob(f"*/{folder.name}"))[-1]
