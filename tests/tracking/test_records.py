"""What of a node's outputs reaches MLflow, for every way in which the catalog may track one."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from kedro.io import MemoryDataset
from kedro_datasets.json import JSONDataset
from sklearn.pipeline import Pipeline

from tidemark.checkpoints.store import NodeRecord
from tidemark.config import Cell
from tidemark.domain.estimators import FailedModel, Trial
from tidemark.tracking.records import TrackingRecord, track_kind

CELL = Cell("returns", "median_impute", "ridge")
Track = Callable[..., dict[str, Any]]


@pytest.fixture
def kept() -> list[tuple[Path, str]]:
    """Collect what is copied into the outbox."""
    return []


@pytest.fixture
def track(kept: list[tuple[Path, str]]) -> Track:
    """Track one output of a node and return the record for the outbox."""

    def keep(path: Path, name: str) -> str:
        kept.append((path, name))
        return name

    def track_output(
        kind: str, data: Any, path: str = "x.json", box: str = CELL.namespace
    ) -> dict[str, Any]:
        record = NodeRecord(f"{box}.evaluate", "f", box, "run-1", "1", "2", 0.5, "finished")
        tracked = TrackingRecord()
        tracked.add(kind, f"{box}.output", data, Path(path), keep)
        return tracked.to_dict(record, CELL if "." in box else None, "returns")

    return track_output


def test_record_metrics_become_metrics_at_step_zero(track: Track, kept: list[Any]) -> None:
    """Each metric is one number; nothing is copied."""
    record = track("metrics", {"rmse": 0.02, "scored_rows": 12})

    assert record["metrics"] == [
        ("rmse", 0.02, 0),
        ("scored_rows", 12.0, 0),
        ("seconds.evaluate", 0.5, 0),
    ]
    assert (record["params"], record["tags"], record["artifacts"], kept) == ({}, {}, [], [])
    assert record["model"] is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_record_metric_without_a_finite_value_is_left_out(track: Track, value: float) -> None:
    """What cannot be compared is not sent: stores disagree on what to do with it."""
    folds = [{"fold": 1, "rmse": value}, {"fold": 2, "rmse": 0.03}]
    chosen = {"best_params": {}, "used": "x", "status": "ok"}
    scores = {"folds": folds, "rmse_mean": value, **chosen}
    intervals = {"intervals": {"r2": {"low": value, "high": 0.1}}}

    metrics = track("metrics", {"rmse": 0.02, "r2": value})["metrics"]
    steps = track("cv_scores", scores)["metrics"]
    ends = track("intervals", intervals)["metrics"]

    assert metrics[:-1] == [("rmse", 0.02, 0)]
    assert steps[:-1] == [("cv_rmse_by_fold", 0.03, 2)]
    assert ends[:-1] == [("r2_high", 0.1, 0)]


def test_record_intervals_become_their_ends(track: Track) -> None:
    """An interval is two metrics beside the one that it belongs to."""
    record = track(
        "intervals", {"intervals": {"rmse": {"low": 0.018, "high": 0.022}}, "level": 0.95}
    )

    assert record["metrics"][:-1] == [("rmse_low", 0.018, 0), ("rmse_high", 0.022, 0)]


def test_record_cv_scores_become_steps_params_and_a_file(track: Track) -> None:
    """Each fold is a step; what was chosen is a parameter; the whole table is an artifact."""
    folds = [{"fold": 1, "rmse": 0.02}, {"fold": 2, "rmse": 0.03}]
    chosen = {"best_params": {"alpha": 100.0}, "used": "ridge regression"}
    scores = {"status": "ok", "folds": folds, "rmse_mean": 0.025, **chosen}

    record = track("cv_scores", scores, "v/cv_scores.json")

    by_fold = [("cv_rmse_by_fold", 0.02, 1), ("cv_rmse_by_fold", 0.03, 2)]
    assert record["metrics"][:-1] == [*by_fold, ("cv_rmse_mean", 0.025, 0)]
    assert record["params"] == {"chosen.alpha": 100.0, "used": "ridge regression"}
    assert [one["name"] for one in record["artifacts"]] == ["cv_scores.json"]


def test_record_outcome_becomes_tags_and_a_count(track: Track) -> None:
    """Status, comparison group and split are what one filters by, so they are tags."""
    outcome = {"status": "ok", "group": "next_day", "split_id": "ab12", "scored_rows": 7}

    record = track("outcome", outcome)

    assert record["tags"] == {"status": "ok", "group": "next_day", "split_id": "ab12"}
    assert record["metrics"][0] == ("scored_rows", 7.0, 0)


@pytest.mark.parametrize(
    ("status", "note"),
    [
        ("fallback", "ridge stood in: svr did not converge"),
        ("failed", "svr did not converge; no simpler model is left"),
    ],
)
def test_record_outcome_that_is_not_usual_has_a_tag_that_says_why(
    track: Track, status: str, note: str
) -> None:
    """One tag, named by what happened, holds the sentence."""
    outcome = {"status": status, "note": note, "group": "g", "split_id": "ab", "scored_rows": 0}

    record = track("outcome", outcome)

    expected = {"status": status, "group": "g", "split_id": "ab", f"tidemark.{status}": note}
    assert record["tags"] == expected


def test_record_cv_scores_of_a_failed_model_bring_the_sentence_and_the_file(track: Track) -> None:
    """There is no error to send; what was tried is in the artifact."""
    note = "svr did not converge; no simpler model is left"
    nothing = {"folds": [], "rmse_mean": None, "best_params": {}}

    record = track(
        "cv_scores", {"status": "failed", "note": note, "used": note, **nothing}, "cv_scores.json"
    )

    assert [name for name, _, _ in record["metrics"]] == ["seconds.evaluate"]
    assert record["params"] == {"used": note}
    assert record["tags"] == {"status": "failed", "tidemark.failed": note}
    assert [one["name"] for one in record["artifacts"]] == ["cv_scores.json"]


def test_record_failed_model_is_no_model(track: Track, kept: list[Any]) -> None:
    """What stands in a model's place is not sent as one."""
    record = track("model", FailedModel((Trial("svr", 1, "slow"),)), "models/model.pkl")

    assert (record["model"], kept) == (None, [])


def test_record_figure_that_is_missing_is_not_sent(track: Track, kept: list[Any]) -> None:
    """An empty file is no picture; the same file with content is."""
    record = track("figure", b"", "hexbin.png")

    assert (record["artifacts"], kept) == ([], [])
    assert len(track("figure", b"\x89PNG", "hexbin.png")["artifacts"]) == 1


def test_record_model_is_copied_with_its_features(
    track: Track, model: Pipeline, kept: list[Any]
) -> None:
    """A model is kept with the names of its features, which its signature is made of."""
    record = track("model", model, "models/model.pkl")

    file = "median_impute.ridge.output.pkl"
    assert record["model"] == {
        "file": file,
        "features": ["ret_lag_1", "ret_lag_2"],
        "requirements": [
            f"{name}=={version(name)}" for name in ("scikit-learn", "numpy", "pandas", "scipy")
        ],
    }
    assert kept == [(Path("models/model.pkl"), file)]


@pytest.mark.parametrize(
    ("kind", "ending"), [("figure", "png"), ("artifact", "md"), ("artifact", "csv")]
)
def test_record_file_is_copied_under_a_name_of_its_own(
    track: Track, kept: list[Any], kind: str, ending: str
) -> None:
    """Files of one name from several cells do not meet in the outbox."""
    record = track(kind, None, f"some/where/output.{ending}")

    assert kept == [(Path(f"some/where/output.{ending}"), f"median_impute.ridge.output.{ending}")]
    (artifact,) = record["artifacts"]
    assert artifact["file"] == f"median_impute.ridge.output.{ending}"


def test_record_files_of_several_scenarios_have_places_apart(track: Track) -> None:
    """The parent run holds one report of each scenario; none takes another's place."""
    places = {
        (record["artifacts"][0]["folder"], record["artifacts"][0]["name"])
        for box in ("mean_impute", "median_impute", "returns_data", "returns_data.file")
        for record in [track("artifact", {}, "preprocess_report.json", box)]
    }

    assert len(places) == 4


@pytest.mark.parametrize(
    ("box", "folder"),
    [
        ("returns_report.next_day", "figures/next_day"),
        ("cross_asset_report.equity_fx", "figures/equity_fx"),
        ("cross_asset_report", "figures"),
        ("equity_fx", "figures/equity_fx"),
        ("equity_fx.markov", "figures"),  # of a child run, which holds one cell
    ],
)
def test_record_figure_lies_in_a_folder_of_its_comparison_group(
    track: Track, box: str, folder: str
) -> None:
    """A study draws the same charts of each group, and the run's parent holds them all."""
    (artifact,) = track("figure", b"\x89PNG", "comparison.png", box)["artifacts"]

    assert (artifact["folder"], artifact["name"]) == (folder, "comparison.png")
    assert artifact["file"] == f"{box}.output.png"


def test_record_data_is_not_sent(track: Track, kept: list[Any]) -> None:
    """Data is told by its hash alone."""
    record = track("data", None)

    assert (record["metrics"][:-1], record["artifacts"], kept) == ([], [], [])


def test_record_dict_names_node_cell_and_status_and_goes_through_json(track: Track) -> None:
    """What the outbox stores says whose it is and how it ended, in nothing but JSON."""
    record = track("metrics", {"rmse": 0.02})

    about = {key: record[key] for key in ("node", "study", "cell", "status", "error", "ended")}
    assert about == {
        "node": "median_impute.ridge.evaluate",
        "study": "returns",
        "cell": "median_impute.ridge",
        "status": "finished",
        "error": None,
        "ended": "2",
    }
    assert json.loads(json.dumps(record))["metrics"][0] == ["rmse", 0.02, 0]


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({"tidemark": {"track": "figure"}}, "figure"),
        ({"kedro-viz": {"layer": "models"}}, None),
        ({"tidemark": {}}, None),
        (None, None),
    ],
)
def test_track_kind_is_read_from_the_datasets_metadata(metadata: Any, kind: str | None) -> None:
    """Only what the catalog marks is tracked."""
    assert track_kind(JSONDataset(filepath="x.json", metadata=metadata)) == kind
    assert track_kind(MemoryDataset(1)) is None
