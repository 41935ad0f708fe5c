"""What must hold after a kill and at the end, read without `src`: files, checkpoints, stores."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from crash_place import Root

ASIDE = ".aside-"
FINISHED, KILLED = "FINISHED", "KILLED"

_VERSION = re.compile(r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z")
_METRICS = "metrics.db"
_NO_DATA = ("checkpoints", "logs", "outbox", _METRICS, f"{_METRICS}-journal")

# One row for each metric of a cell in a run: its figures, and what made them.
Metrics = dict[str, tuple[Any, ...]]


class Problem(NamedTuple):
    """Something that must not be."""

    kind: str
    text: str


class Done(NamedTuple):
    """A node that looks finished: who finished it, and what it made."""

    run_id: str
    started: str
    outputs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Cell:
    """What MLflow holds of a cell, timings left out."""

    metrics: dict[str, float]
    folds: list[tuple[int, float]]
    params: dict[str, str]
    artifacts: frozenset[str]
    models: int


@dataclass(frozen=True)
class Reference:
    """What a run that nobody has disturbed leaves."""

    outputs: dict[str, str | None]
    files: dict[str, str]
    cells: dict[str, Cell]
    cell_nodes: dict[str, frozenset[str]]
    metrics: dict[str, Metrics] = field(default_factory=dict)

    @property
    def node_count(self) -> int:
        """How many nodes there are."""
        return len(self.nodes)

    nodes: tuple[str, ...] = ()


def take_reference(root: Root) -> Reference:
    """Read what an undisturbed run has left."""
    done = read_done(root.data)
    cells = {name: cell for (_, name), cell in read_cells(root).items()}
    order = sorted(done, key=lambda node: done[node].started)
    return Reference(
        outputs={name: sha256 for one in done.values() for name, sha256 in one.outputs},
        files={logical(root.data, path): hash_file(path) for path in data_files(root.data)},
        cells=cells,
        cell_nodes={
            cell: frozenset(node for node in done if node.startswith(f"{cell}.")) for cell in cells
        },
        metrics={name: metrics for (_, name), metrics in read_metrics(root.data).items()},
        nodes=tuple(order),
    )


def hash_file(path: Path) -> str:
    """Hash a file with SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def data_files(data: Path) -> Iterator[Path]:
    """List the files that datasets have stored; what is written aside is none yet."""
    for path in data.rglob("*"):
        parts = path.relative_to(data).parts
        hidden = parts[0] in _NO_DATA or parts[0].startswith(".")
        if not hidden and not path.name.startswith(ASIDE) and path.is_file():
            yield path


def logical(data: Path, path: Path) -> str:
    """Name a stored file without its version."""
    return _VERSION.sub("VERSION", path.relative_to(data).as_posix())


def read_done(data: Path) -> dict[str, Done]:
    """Read the nodes that look finished, skipping checkpoints that cannot be read."""
    done = {}
    for mark in (data / "checkpoints").glob("*.ok"):
        try:
            record = json.loads(mark.with_name(f"{mark.name[:-3]}.json").read_text("utf-8"))
            outputs = tuple((one["name"], one["sha256"]) for one in record["outputs"])
            done[mark.name[:-3]] = Done(record["run_id"], record["started"], outputs)
        except (OSError, ValueError, KeyError):
            continue
    return done


def check_state(root: Root, reference: Reference) -> list[Problem]:
    """Check that whatever looks finished or whole is."""
    problems = [*_check_marks(root.data), *_check_json(root.data)]
    for path in data_files(root.data):
        name = logical(root.data, path)
        if name not in reference.files:
            problems.append(Problem("stray file", f"{path} has no counterpart in the reference"))
        elif hash_file(path) != reference.files[name]:
            kind = "model bytes" if name.endswith(".pkl") else "half a file"
            problems.append(Problem(kind, f"{path} is not what the reference run stored"))
    if root.is_locked():
        problems.append(Problem("lock", "the lock is held although no run lives"))
    return problems


def _check_marks(data: Path) -> Iterator[Problem]:
    for mark in (data / "checkpoints").glob("*.ok"):
        node = mark.name[:-3]
        try:
            record = json.loads(mark.with_name(f"{node}.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            yield Problem("not finished", f"{node} has an .ok without a checkpoint: {error}")
            continue
        if record["status"] != "finished" or record["node"] != node:
            yield Problem("not finished", f"{node} has an .ok, its status is {record['status']}")
        for one in record["outputs"]:
            path = Path(one["path"])
            if not path.is_file():
                yield Problem("not finished", f"{node}: output {one['name']} is not at {path}")
            elif hash_file(path) != one["sha256"]:
                yield Problem("not finished", f"{node}: {path} has not the hash recorded")


def _check_json(data: Path) -> Iterator[Problem]:
    """Check that checkpoints, remembered hashes and what waits for MLflow can be read."""
    for folder in ("checkpoints", "outbox"):
        for path in (data / folder).rglob("*.json"):
            if not path.name.startswith(ASIDE):
                try:
                    json.loads(path.read_text("utf-8"))
                except ValueError as error:
                    yield Problem("half a file", f"{path}: {error}")


def check_repeats(root: Root, before: dict[str, Done], offset: int) -> list[Problem]:
    """Check that no node that was finished before a run has run in it again.

    Checkpoints must be those of before, and the log, from an offset, must not say that such a
    node starts.
    """
    after = read_done(root.data)
    problems = [
        Problem(
            "re-run", f"{node} was finished by run {one.run_id}; now there is {after.get(node)}"
        )
        for node, one in before.items()
        if after.get(node) != one
    ]
    for line in root.log_lines(offset):
        if "torn" in line:
            problems.append(Problem("torn log", line["torn"][:200]))
        elif line["message"].endswith(" starts") and line["message"][:-7] in before:
            problems.append(Problem("re-run", f"the log says: {line['message']}"))
    return problems


def check_end(root: Root, reference: Reference) -> list[Problem]:
    """Check a data root on which there is nothing left to do."""
    problems = check_state(root, reference)
    done = read_done(root.data)
    outputs = {name: sha256 for one in done.values() for name, sha256 in one.outputs}
    for name in sorted(reference.outputs.keys() | outputs.keys()):
        if outputs.get(name) != reference.outputs.get(name):
            kind = "model bytes" if name.endswith(".model") else "mismatch"
            problems.append(Problem(kind, f"output {name} is not that of the reference"))
    kept = Counter(logical(root.data, path) for path in data_files(root.data))
    for name in sorted(reference.files.keys() | kept.keys()):
        if kept[name] != 1:
            problems.append(Problem("mismatch", f"{name}: {kept[name]} versions or files, not 1"))
    for node in reference.nodes:
        if node not in done:
            problems.append(Problem("not finished", f"{node} has no checkpoint at the end"))
    for path in root.data.rglob(f"{ASIDE}*"):
        problems.append(Problem("left aside", str(path)))
    for path in (root.data / "outbox").glob("*"):
        if (path / "run.json").exists():
            problems.append(Problem("tracking", f"the outbox still holds {path.name}"))
    return [*problems, *check_tracking(root, reference), *check_metrics(root, reference)]


def check_rest(root: Root) -> list[Problem]:
    """Check that nothing is left of runs that never began, or were not wholly removed."""
    litter = [Problem("litter", str(path)) for path in (root.data / "outbox").glob("*")]
    return litter + [Problem("left aside", str(path)) for path in root.data.rglob(f"{ASIDE}*")]


def check_tracking(root: Root, reference: Reference) -> list[Problem]:
    """Check that MLflow tells how every run ended, and every cell's figures."""
    problems: list[Problem] = []

    def note(text: str) -> None:
        problems.append(Problem("tracking", text))

    runs = search_runs(root)
    parents = {one.info.run_id: one for one in runs if one.data.tags["tidemark.level"] == "run"}
    found = Counter(one.data.tags["tidemark.run_id"] for one in parents.values())
    for run_id in sorted(found.keys() | root.expected.keys()):
        if found[run_id] != 1:
            note(f"run {run_id} has {found[run_id]} parents")
    for one in parents.values():
        run_id, status = one.data.tags["tidemark.run_id"], one.info.status
        allowed = root.expected.get(run_id, {FINISHED})
        if status not in allowed:
            note(f"run {run_id} is {status}, not {sorted(allowed)}")
    children = [one for one in runs if one.data.tags["tidemark.level"] == "cell"]
    twins = Counter((one.data.tags["mlflow.parentRunId"], one.info.run_name) for one in children)
    for (parent, name), count in twins.items():
        if count > 1:
            note(f"parent {parent} has {count} children {name}")
        if parent not in parents:
            note(f"child {name} has no parent {parent}")
    for one in children:
        key = (one.data.tags["tidemark.run_id"], one.info.run_name)
        allowed = root.cells.get(key, {FINISHED})
        if one.info.status not in allowed:
            note(f"cell {key[1]} of run {key[0]} is {one.info.status}, not {sorted(allowed)}")
    finished = {
        (one.data.tags["tidemark.run_id"], one.info.run_name)
        for one in children
        if one.info.status == FINISHED
    }
    problems += _check_cells(root, reference, finished)
    return problems


def _check_cells(
    root: Root, reference: Reference, finished: Set[tuple[str, str]]
) -> Iterator[Problem]:
    """Check every figure, and that cells which are FINISHED, and the last of each, have all."""
    last: dict[str, tuple[str, Cell]] = {}
    for (run_id, name), cell in sorted(read_cells(root).items()):
        last[name] = (run_id, cell)
        whole = reference.cells[name]
        for what in ("metrics", "params"):
            own, right = getattr(cell, what), getattr(whole, what)
            wrong = sorted(key for key in own if own[key] != right.get(key))
            if wrong:
                yield Problem("tracking", f"cell {name} of run {run_id}: {what} {wrong} differ")
        if not set(cell.folds) <= set(whole.folds):
            yield Problem("tracking", f"cell {name} of run {run_id}: figures by fold differ")
        if (run_id, name) in finished and cell != whole:
            yield Problem("incomplete cell", f"cell {name} of run {run_id} is FINISHED, not whole")
    for name, whole in reference.cells.items():
        run_id, cell = last.get(name, ("none", None))
        if (run_id, name) not in finished:
            yield Problem("incomplete cell", f"cell {name}: its last run {run_id} is not FINISHED")
        if cell != whole:
            lacks = sorted(whole.metrics.keys() - (cell.metrics.keys() if cell else ()))
            lacks += sorted(whole.artifacts - (cell.artifacts if cell else frozenset()))
            lacks += [] if cell and cell.models == whole.models else ["the model"]
            text = f"cell {name}: its last run {run_id} lacks or doubles {lacks[:4]}..."
            yield Problem("incomplete cell", text)


def check_metrics(root: Root, reference: Reference) -> list[Problem]:
    """Check that the metrics store has every cell, and of each run's cells all rows or none.

    A run that was killed may not have come to say which data it read.
    """
    found = read_metrics(root.data)
    problems = []
    for (run_id, name), metrics in sorted(found.items()):
        whole = reference.metrics.get(name, {})
        if KILLED in root.expected.get(run_id, {FINISHED}):
            whole = {
                key: (*row[:-1], metrics[key][-1] and row[-1]) if key in metrics else row
                for key, row in whole.items()
            }
        keys = whole.keys() | metrics.keys()
        wrong = sorted(key for key in keys if whole.get(key) != metrics.get(key))
        if wrong:
            problems.append(Problem("metrics", f"cell {name} of run {run_id}: {wrong} differ"))
    missing = reference.metrics.keys() - {name for _, name in found}
    return problems + [Problem("metrics", f"cell {name} has no rows") for name in sorted(missing)]


def read_metrics(data: Path) -> dict[tuple[str, str], Metrics]:
    """Read what the metrics store of a data root holds, by run id and cell."""
    query = (
        "SELECT run_id, scenario || '.' || model, metric, value, low, high, level, block_length, "
        "status, as_of, code_hash, params_hash, data_hash FROM cell_metrics"
    )
    found: dict[tuple[str, str], Metrics] = {}
    with closing(sqlite3.connect(f"file:{data / _METRICS}?mode=ro", uri=True)) as store:
        for run_id, cell, metric, *about in store.execute(query):
            found.setdefault((run_id, cell), {})[metric] = tuple(about)
    return found


def search_runs(root: Root) -> list[Any]:
    """Read all runs out of a root's MLflow store."""
    from mlflow import MlflowClient

    client = MlflowClient(root.tracking_uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs: list[Any] = client.search_runs(experiments, max_results=5000)
    return runs


def read_cells(root: Root) -> dict[tuple[str, str], Cell]:
    """Read what MLflow holds of each cell of each run, by run id and name."""
    from mlflow import MlflowClient

    client = MlflowClient(root.tracking_uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    models = Counter(one.source_run_id for one in client.search_logged_models(experiments))
    cells = {}
    for run in search_runs(root):
        if run.data.tags["tidemark.level"] != "cell":
            continue
        folds = client.get_metric_history(run.info.run_id, "cv_rmse_by_fold")
        place = Path(run.info.artifact_uri.removeprefix("file://"))
        key = (run.data.tags["tidemark.run_id"], run.info.run_name)
        cells[key] = Cell(
            metrics={
                name: value
                for name, value in run.data.metrics.items()
                if not name.startswith("seconds.")
            },
            folds=sorted((one.step, one.value) for one in folds),
            params=dict(run.data.params),
            artifacts=frozenset(
                path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()
            ),
            models=models[run.info.run_id],
        )
    return cells
