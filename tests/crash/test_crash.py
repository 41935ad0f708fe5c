"""The crash harness on a small study; and that its checks can fail."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from crash_checks import check_end, check_repeats, check_rest, read_done, search_runs
from crash_place import Root
from harness import Trial

pytestmark = pytest.mark.slow

CHOSEN = "median_impute.ridge.train"


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """Prepare a place, once."""
    return Trial.prepare(tmp_path_factory.mktemp("crash"), is_small=True)


@pytest.mark.parametrize(("executor", "kills", "seed"), [("sequential", 6, 1), ("processes", 2, 1)])
def test_runs_killed_at_any_moment_are_resumed_without_loss(
    executor: str, kills: int, seed: int, trial: Trial
) -> None:
    """After each SIGKILL what looks whole is; in the end all is as if nobody had been killed."""
    assert trial.kill(kills=kills, seed=seed, executor=executor) == 0


@contextmanager
def _altered(path: Path, alter: Callable[[bytes], bytes]) -> Iterator[None]:
    content = path.read_bytes()
    path.write_bytes(alter(content))
    yield
    path.write_bytes(content)


@contextmanager
def _added(path: Path) -> Iterator[None]:
    path.mkdir(parents=True)
    yield
    path.rmdir()


def _alter_output(root: Root) -> Iterator[Root]:
    with _altered(root.data / "04_feature/mean_impute/features.parquet", lambda old: old + b" "):
        yield root


def _remove_json(root: Root) -> Iterator[Root]:
    path = root.data / f"checkpoints/{CHOSEN}.json"
    path.rename(path.with_suffix(".away"))
    yield root
    path.with_suffix(".away").rename(path)


def _tear_json(root: Root) -> Iterator[Root]:
    with _altered(root.data / f"checkpoints/{CHOSEN}.json", lambda old: old[:-100]):
        yield root


def _fail_checkpoint(root: Root) -> Iterator[Root]:
    path = root.data / f"checkpoints/{CHOSEN}.json"
    with _altered(path, lambda old: old.replace(b'"finished"', b'"failed"')):
        yield root


def _add_version(root: Root) -> Iterator[Root]:
    (model,) = (root.data / "06_models/mean_impute/linear/model.pkl").glob("*/model.pkl")
    other = model.parent.parent / "2019-01-03T00.00.00.000Z/model.pkl"
    other.parent.mkdir()
    other.write_bytes(model.read_bytes())
    yield root
    other.unlink()
    other.parent.rmdir()


def _leave_aside(root: Root) -> Iterator[Root]:
    with _added(root.data / "03_primary/.aside-1-1-x.part"):
        yield root


def _leave_records(root: Root) -> Iterator[Root]:
    folder = root.data / "outbox/2019-01-03T00.00.00.000Z"
    with _added(folder):
        (folder / "run.json").write_text("{}")
        yield root
        (folder / "run.json").unlink()


def _hold_lock(root: Root) -> Iterator[Root]:
    with (root.data / ".run.lock").open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield root


@contextmanager
def _tracked_apart(root: Root) -> Iterator[Root]:
    """Give the same data root with a copy of its MLflow store, which takes nothing back."""
    with tempfile.TemporaryDirectory(dir=root.folder.parent) as name:
        (Path(name) / "data").symlink_to(root.data)
        shutil.copyfile(root.folder / "mlflow.db", Path(name) / "mlflow.db")
        yield Root(root.site, Path(name))


def _client(root: Root) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(root.tracking_uri)


def _leave_running(root: Root, level: str) -> None:
    (one, *_) = [run for run in search_runs(root) if run.data.tags["tidemark.level"] == level]
    _client(root).update_run(one.info.run_id, status="RUNNING")


def _leave_parent_running(root: Root) -> Iterator[Root]:
    with _tracked_apart(root) as other:
        _leave_running(other, "run")
        yield other


def _leave_cell_running(root: Root) -> Iterator[Root]:
    with _tracked_apart(root) as other:
        _leave_running(other, "cell")
        yield other


def _log_fold_twice(root: Root) -> Iterator[Root]:
    with _tracked_apart(root) as other:
        (cell,) = [
            run for run in search_runs(other) if run.info.run_name == CHOSEN.removesuffix(".train")
        ]
        client = _client(other)
        (fold, *_) = client.get_metric_history(cell.info.run_id, "cv_rmse_by_fold")
        client.log_metric(cell.info.run_id, fold.key, fold.value, step=fold.step)
        yield other


def _delete_cell(root: Root) -> Iterator[Root]:
    with _tracked_apart(root) as other:
        cells = [run for run in search_runs(other) if run.data.tags["tidemark.level"] == "cell"]
        _client(other).delete_run(cells[0].info.run_id)
        yield other


def _run_sql(root: Root, statement: str) -> Iterator[Root]:
    with _altered(root.data / "metrics.db", lambda old: old):
        with closing(sqlite3.connect(root.data / "metrics.db")) as store, store:
            assert store.execute(statement).rowcount > 0
        yield root


def _lose_metric(root: Root) -> Iterator[Root]:
    where = "model = 'ridge' AND scenario = 'median_impute' AND metric = 'rmse'"
    yield from _run_sql(root, f"DELETE FROM cell_metrics WHERE {where}")  # noqa: S608 - ours


def _lose_cell_of_metrics(root: Root) -> Iterator[Root]:
    yield from _run_sql(root, "DELETE FROM cell_metrics WHERE scenario = 'returns_baseline'")


def _alter_metric(root: Root) -> Iterator[Root]:
    change = "UPDATE cell_metrics SET low = low + 1e-9 WHERE metric = 'mae'"
    yield from _run_sql(root, change)


SPOILT = [
    (_alter_output, "half a file", "features.parquet"),
    (_alter_output, "not finished", "has not the hash recorded"),
    (_remove_json, "not finished", f"{CHOSEN} has an .ok without a checkpoint"),
    (_tear_json, "half a file", CHOSEN),
    (_fail_checkpoint, "not finished", f"{CHOSEN} has an .ok, its status is failed"),
    (_add_version, "mismatch", "2 versions or files, not 1"),
    (_leave_aside, "left aside", ".aside-1-1-x.part"),
    (_leave_records, "tracking", "the outbox still holds 2019-01-03T00.00.00.000Z"),
    (_hold_lock, "lock", "the lock is held"),
    (_leave_parent_running, "tracking", "is RUNNING, not"),
    (_leave_cell_running, "tracking", "is RUNNING, not"),
    (_leave_cell_running, "incomplete cell", "is not FINISHED"),
    (_log_fold_twice, "incomplete cell", "is FINISHED, not whole"),
    (_delete_cell, "incomplete cell", "its last run none"),
    (_lose_metric, "metrics", "['rmse'] differ"),
    (_lose_cell_of_metrics, "metrics", "cell returns_baseline.zero has no rows"),
    (_alter_metric, "metrics", "['mae'] differ"),
]


@pytest.mark.parametrize(
    ("spoil", "kind", "text"), SPOILT, ids=[f"{one[0].__name__}-{one[1]}" for one in SPOILT]
)
def test_check_of_the_end_reports_what_is_wrong(
    spoil: Callable[[Root], Iterator[Root]], kind: str, text: str, trial: Trial
) -> None:
    """Each fault put into a sound data root is reported, and nothing before it was."""
    root = trial.undisturbed
    assert check_end(root, trial.reference) == []
    with contextmanager(spoil)(root) as spoilt:
        found = check_end(spoilt, trial.reference)
    assert any(one.kind == kind and text in one.text for one in found), found


def test_check_of_the_rest_reports_folders_of_runs_that_never_began(trial: Trial) -> None:
    """A folder in the outbox is reported even if no run is in it."""
    root = trial.undisturbed
    assert check_rest(root) == []
    with _added(root.data / "outbox/2019-01-03T00.00.00.000Z"):
        assert [one.kind for one in check_rest(root)] == ["litter"]


def test_check_of_repeats_reports_nodes_that_ran_again(trial: Trial) -> None:
    """A node that was finished before a run, and starts in it, is reported."""
    root = trial.undisturbed
    before, offset = read_done(root.data), root.log_size()
    assert check_repeats(root, before, offset) == []
    line = json.dumps({"message": f"{CHOSEN} starts"})
    with _altered(root.log, lambda old: old + line.encode() + b"\n{torn\n"):
        found = check_repeats(root, before, offset)
    assert sorted(one.kind for one in found) == ["re-run", "torn log"]
    other = {**before, CHOSEN: before[CHOSEN]._replace(run_id="another")}
    assert [one.kind for one in check_repeats(root, other, offset)] == ["re-run"]


def test_search_for_processes_finds_what_a_run_has_left(trial: Trial) -> None:
    """A process that belongs to a run and lives on is found, and ended."""
    process = trial.undisturbed.start("sequential")
    try:
        # Between fork and exec a process has no words of its own yet.
        deadline = time.monotonic() + 10.0
        while not trial.undisturbed.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert trial.undisturbed.processes() == [process.process.pid]
    finally:
        assert process.end_all() == [process.process.pid]
    with suppress(ProcessLookupError):
        os.kill(process.process.pid, 0)
        pytest.fail("the process lives on")
