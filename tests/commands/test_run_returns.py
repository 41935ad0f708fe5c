"""The returns study from command to report, on small real data; what it leaves stays fresh."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

PROJECT = Path(__file__).parents[2]
TREATED = "mean_impute,median_impute,outlier_treatment"
MODELS = {
    f"{scenario}.{model}"
    for scenario in TREATED.split(",")
    for model in ("linear", "ridge", "svr", "poly2")
}
BASELINES = {f"returns_baseline.{model}" for model in ("zero", "trailing_mean", "last_value")}
CELLS = MODELS | BASELINES
FIGURES = {"predicted_vs_true", "hexbin", "residual_histogram", "residuals_vs_predicted"}
GRID = [1.0, 3.0, 9.0]


@pytest.fixture(scope="module")
def whole(new_workplace: Callable[[], Any], make_conf: Callable[..., Any]) -> Any:
    """Run the study, then all of it again under one of Kedro's runners, and keep both hashes."""
    place = new_workplace()
    place.nodes = make_conf().nodes
    place.first = place.kedro()
    place.first_hashes = _hashes(place.data)
    place.first_version = _versions(place, "median_impute/ridge/model.pkl")[0]
    place.second = place.kedro("--runner", "SequentialRunner")
    place.second_hashes = _hashes(place.data)
    return place


@pytest.fixture
def moved(whole: Any, new_workplace: Callable[[], Any]) -> Any:
    """Copy what was run to another place, where all is as fresh as it was."""
    place = new_workplace()
    shutil.copytree(whole.data, place.data)
    return place


def _hashes(data: Path) -> dict[str, str]:
    """Read the hashes of all outputs but the models: equal objects may differ as pickles."""
    found = {}
    for path in (data / "checkpoints").glob("*.json"):
        for output in json.loads(path.read_text())["outputs"]:
            if not output["name"].endswith(".model"):
                found[output["name"]] = output["sha256"]
    return found


def _record(place: Any, node: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place.data / f"checkpoints/{node}.json").read_text())
    return found


def _hash(place: Any, node: str, side: str, dataset: str) -> str:
    (found,) = [one for one in _record(place, node)[side] if one["name"] == dataset]
    digest: str = found["sha256"]
    return digest


def _versions(place: Any, name: str) -> list[str]:
    return sorted(path.name for path in (place.data / "06_models" / name).iterdir())


def _latest(folder: Path) -> Iterator[Path]:
    yield sorted(folder.glob(f"*/{folder.name}"))[-1]


def _read_report(place: Any, name: str) -> Any:
    (path,) = _latest(place.data / f"08_reporting/returns/{name}.json")
    return json.loads(path.read_text())


def test_run_whole_study_ends_well(whole: Any) -> None:
    """A whole run ends with status 0, and names its answer, its report and the best models."""
    assert whole.first.returncode == 0, whole.first.stderr
    for scenario in ("returns_baseline", "mean_impute", "median_impute", "outlier_treatment"):
        assert f"best of {scenario}" in whole.first.stdout
    (answer,) = _read_report(whole, "findings")["answers"]
    assert f"{answer['word']}. " in whole.first.stdout
    assert "report.html" in whole.first.stdout


def test_run_whole_study_leaves_every_checkpoint(whole: Any) -> None:
    """Every node leaves a JSON file that says what it read and wrote, and an .ok."""
    folder = whole.data / "checkpoints"
    assert {path.stem for path in folder.glob("*.ok")} == whole.nodes
    record = json.loads((folder / "median_impute.ridge.train.json").read_text())
    assert {one["name"] for one in record["inputs"]} == {
        "median_impute.train",
        "median_impute.test",
        "returns_data.split",
    }
    assert record["inputs"][0]["rows"] > 1000
    assert all(len(one["sha256"]) == 64 for one in record["inputs"] + record["outputs"])
    assert record["params"]["models.returns.ridge"]["estimator"] == "ridge"
    assert record["libraries"]["scikit-learn"]


def test_run_twice_gives_identical_outputs(whole: Any) -> None:
    """Two runs of the same inputs are bit-identical in every table, metric, figure and report."""
    assert whole.second.returncode == 0, whole.second.stderr
    assert len(whole.first_hashes) > 150
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
    assert set(table["cell"]) == CELLS
    assert set(table.loc[table["is_baseline"], "cell"]) == BASELINES
    assert {"rmse", "rmse_low", "rmse_high", "mae", "r2_low", "r2_high"} <= set(table)
    assert {"r2_oos_zero", "hit_rate", "auc", "rank_ic_t", "dm_p", "in_confidence_set"} <= set(
        table
    )
    assert (table["rmse_low"] < table["rmse"]).all()
    assert (table["rmse"] < table["rmse_high"]).all()


def test_run_whole_study_scores_every_cell_on_the_same_rows(whole: Any) -> None:
    """All cells predict the rows that the data published, in their order, with their targets."""
    scoring = pd.read_parquet(whole.data / "05_model_input/returns/scoring.parquet")
    for cell in sorted(CELLS):
        place = whole.data / f"07_model_output/{cell.replace('.', '/')}/predictions.parquet"
        rows = pd.read_parquet(place).drop(columns="y_pred")
        pd.testing.assert_frame_equal(rows, scoring[["date", "ticker", "y_true"]])
    split = json.loads((whole.data / "05_model_input/returns/split.json").read_text())
    assert f"{scoring['date'].min():%F}" == split["test_start"]


def test_run_whole_study_is_audited_compared_and_certified(whole: Any) -> None:
    """Nothing knows the future; real daily returns beat no baseline and raise no alarm."""
    for name in ("returns", "mean_impute", "median_impute", "outlier_treatment"):
        audit = json.loads((whole.data / f"05_model_input/{name}/audit.json").read_text())
        assert (audit["passed"], audit["findings"]) == (True, [])
    verdict = _read_report(whole, "verdicts")["next_day"]
    assert (verdict["n_models"], verdict["n_cells"]) == (len(MODELS), len(CELLS))
    assert verdict["best_baseline"] in BASELINES
    assert verdict["best_model"] in MODELS
    assert verdict["alarms"] == []
    certificate = _read_report(whole, "certificate")
    assert certificate["passed"] is True
    assert certificate["verdicts"]["next_day"] == verdict
    (comparisons,) = _latest(whole.data / "08_reporting/returns/comparisons.csv")
    counts = pd.read_csv(comparisons)["test"].value_counts().to_dict()
    assert counts == {
        "diebold_mariano": len(CELLS) * (len(CELLS) - 1) // 2,
        "clark_west": len(MODELS),
    }


def test_run_whole_study_reports_hold_a_persons_words_and_existing_figures(whole: Any) -> None:
    """The reflection copies the notes word for word; every figure that a report shows exists."""
    folder = whole.data / "08_reporting/returns"
    notes = (PROJECT / "docs/notes/returns.md").read_text().strip()
    for name in ("scenario_summary", "model_communication_report", "model_evaluation_memo"):
        (report,) = _latest(folder / f"{name}.md")
        links = re.findall(r"\]\(([^)]+\.png)\)", report.read_text())
        assert links, name
        assert all((report.parent / link).is_file() for link in links)
    (reflection,) = _latest(folder / "reflection.md")
    assert notes in reflection.read_text()


def test_run_whole_study_page_stands_alone(whole: Any) -> None:
    """One file holds every figure and every cell, and loads nothing."""
    (path,) = _latest(whole.data / "08_reporting/returns/report.html")
    page = path.read_text()
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 4 + len(FIGURES) * len(CELLS)
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "<script" not in page
    assert all(cell in page for cell in CELLS)
    assert len(page) < 10_000_000  # it can be sent by mail


def test_run_whole_study_logs_are_json_lines_and_task_files(whole: Any) -> None:
    """The project's log is JSON lines; each task has a readable log with rows and hashes."""
    lines = (whole.data / "logs/pipeline.log").read_text().splitlines()
    finished = Counter(
        one["run_id"] for one in map(json.loads, lines) if one.get("status") == "finished"
    )
    assert sorted(finished.values())[-2:] == [len(whole.nodes)] * 2
    task = (whole.data / "logs/train_median_impute_ridge.log").read_text()
    assert "starts" in task
    assert "read median_impute.train: rows" in task
    assert "sha256" in task


def test_run_whole_study_mlflow_has_parents_and_children(whole: Any) -> None:
    """Each run leaves one parent, and a child a cell with metrics, steps, figures and a model."""
    by_run = defaultdict(list)
    for run in whole.mlflow_runs():
        by_run[run.data.tags["tidemark.run_id"]].append(run)
    size = len(CELLS) + 1
    runs = [run for group in by_run.values() if len(group) == size for run in group]
    assert len(runs) == 2 * size
    assert {run.info.status for run in runs} == {"FINISHED"}
    parents = {run.info.run_id for run in runs if run.data.tags["tidemark.level"] == "run"}
    children = [run for run in runs if run.data.tags["tidemark.level"] == "cell"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == parents
    assert {run.info.run_name for run in children} == CELLS
    for run in children:
        assert (run.outputs is None or not run.outputs.model_outputs) is (
            run.info.run_name in BASELINES
        )

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
    assert {Path(one.path).stem for one in figures} == FIGURES


def test_run_whole_study_report_leads_to_the_runs_that_made_it(whole: Any) -> None:
    """The search that the report quotes finds both runs in MLflow, parents and children."""
    from mlflow import MlflowClient

    (memo,) = _latest(whole.data / "08_reporting/returns/model_evaluation_memo.md")
    (query,) = re.findall(r"^tags\.`tidemark\.data_hash` = .*$", memo.read_text(), re.MULTILINE)
    client = MlflowClient(whole.tracking_uri)
    experiment = client.get_experiment_by_name("returns").experiment_id
    found = client.search_runs([experiment], query)
    levels = Counter(run.data.tags["tidemark.level"] for run in found)
    assert levels == {"run": 2, "cell": 2 * len(CELLS)}


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


def test_run_older_version_of_a_dataset_can_be_read(whole: Any, moved: Any) -> None:
    """A specific version of a cell's results is gathered again with --load-versions."""
    version = whole.first_version
    done = moved.kedro(
        "--nodes",
        "median_impute.gather",
        "--load-versions",
        f"median_impute.ridge.daily:{version}",
        "--force",  # the older results are the same as the newer, so all is fresh
    )
    assert done.returncode == 0, done.stderr
    read = {one["name"]: one["path"] for one in _record(moved, "median_impute.gather")["inputs"]}
    assert version in read.pop("median_impute.ridge.daily")
    assert not any(version in path for path in read.values())


def test_run_whole_study_keeps_every_version_of_a_model(whole: Any) -> None:
    """Each run stores its models beside those of the runs before it."""
    versions = _versions(whole, "median_impute/ridge/model.pkl")
    assert len(versions) == 2
    assert versions == sorted(_versions(whole, "median_impute/ridge/cv_scores.json"))
    for version in versions:
        path = whole.data / f"06_models/median_impute/ridge/model.pkl/{version}/model.pkl"
        assert path.is_file()


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
        "    boards = [f'{name}.daily' for name in context.studies[0].scenarios]\n"
        "    wanted = pipelines['returns'].to_outputs(*boards)\n"
        "    SequentialRunner().run(wanted, context.catalog)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(whole.prices), str(tmp_path)],
        cwd=PROJECT,
        env=whole.environment(),
        check=True,
        capture_output=True,
        timeout=300,
    )
    assert not (tmp_path / "checkpoints").exists()
    for cell in sorted(CELLS):
        place = f"07_model_output/{cell.replace('.', '/')}/predictions.parquet"
        assert (tmp_path / place).read_bytes() == (whole.data / place).read_bytes()
    for scenario in {cell.partition(".")[0] for cell in CELLS}:
        place = f"08_reporting/scoreboards/{scenario}_daily.parquet"
        assert (tmp_path / place).read_bytes() == (whole.data / place).read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ("--pipeline", "returns"),
        ("--pipeline", "feature_engineering", "--namespaces", TREATED),
        ("--pipeline", "modelling", "--namespace", "median_impute"),
        ("--scenario", "median_impute", "--model", "ridge"),
        ("--scenario", "returns_baseline"),
        ("--nodes", "returns_report.compare"),
        ("--namespace", "returns_report.next_day"),
    ],
    ids=" ".join,
)
def test_run_of_any_slice_of_what_is_fresh_has_nothing_to_do(
    words: tuple[str, ...], whole: Any
) -> None:
    """A slice has the same parameters, types and defaults as the whole, under whichever runner."""
    before = len(whole.mlflow_runs())
    done = whole.kedro(*words)
    assert done.returncode == 0, done.stderr
    assert "Nothing to do" in done.stderr
    assert len(whole.mlflow_runs()) == before


def test_run_in_processes_reads_the_version_that_was_just_written(
    moved: Any, make_conf: Callable[..., Any]
) -> None:
    """The main process remembers no older version than the one that a worker has saved."""
    conf = make_conf()
    conf.change(
        "scenarios", lambda tree: tree["models"]["returns"]["ridge"]["grid"].update(alpha=GRID)
    )
    scores = "median_impute.ridge.cv_scores"
    before = _hash(moved, "median_impute.ridge.train", "outputs", scores)
    done = moved.kedro(
        *("--pipeline", "modelling", "--scenario", TREATED, "--model", "ridge", *conf.words),
        *("--runner-params", "executor=processes,max_workers=2"),
    )
    assert done.returncode == 0, done.stderr
    fitted = _hash(moved, "median_impute.ridge.train", "outputs", scores)
    assert "split" not in done.stderr  # nothing that was copied had to be made again
    assert fitted != before
    assert _hash(moved, "median_impute.ridge.conclude", "inputs", scores) == fitted
    record = _record(moved, "median_impute.ridge.train")
    assert record["params"]["models.returns.ridge"]["grid"]["alpha"] == GRID
