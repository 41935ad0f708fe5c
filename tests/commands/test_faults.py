"""What a disk, a person and a second run may do to a data root, and what the commands make of it.

The study is cut down to one baseline and two scenarios of two models and, but for the interrupted
runs, does without MLflow: that way it takes seconds.
"""

from __future__ import annotations

import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
SCENARIOS, MODELS = ("mean_impute", "median_impute"), ("linear", "ridge")
BASELINE = "returns_baseline"
CELL_NODES = ("train", "evaluate", "plot", "conclude")
TABLES = ("tabulate", "gather", "assemble_album")
PATIENCE_SECONDS = 120

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Place:
    """A data root, and the commands on it with a configuration of their own."""

    data: Path
    prices: Path
    conf: Path
    nodes: frozenset[str]
    tracking_uri: str
    project: Path = PROJECT
    params: dict[str, Any] = field(default_factory=dict)

    def words(self, command: str, *words: str) -> list[str]:
        """Return the words of a kedro command; a pipeline among the words wins."""
        params = {"prices_file": self.prices, "data_root": self.data, **self.params}
        given = ",".join(f"{key}={value}" for key, value in params.items())
        own = ["--pipeline", "returns", "--conf-source", str(self.conf), "--params", given]
        return [sys.executable, "-m", "kedro", command, *own, *words]

    def start(self, command: str, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command in a session of its own."""
        return self.start_words(self.words(command, *words), **options)

    def start_words(self, words: list[str], **options: Any) -> subprocess.Popen[str]:
        """Start a process in a session of its own."""
        own = {"MLFLOW_TRACKING_URI": self.tracking_uri, "COLUMNS": "200"}
        if self.project != PROJECT:
            own["PYTHONPATH"] = str(self.project / "src")
        return subprocess.Popen(
            words,
            cwd=self.project,
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``kedro run`` to its end."""
        return _end(self.start("run", *words, **options))

    def states(self, *words: str) -> dict[str, dict[str, Any]]:
        """Ask ``kedro status --json`` for every node's state and reasons."""
        done = _end(self.start("status", "--json", *words))
        assert done.returncode == 0, done.stderr
        about = json.loads(done.stdout)
        return {one["node"]: one for one in about["nodes"]}

    def records(self) -> dict[str, dict[str, Any]]:
        """Read the checkpoints of finished nodes."""
        marks = (self.data / "checkpoints").glob("*.ok")
        return {mark.stem: json.loads(mark.with_suffix(".json").read_text()) for mark in marks}

    def outputs(self) -> dict[str, str]:
        """Read the hashes of all outputs."""
        return {
            output["name"]: output["sha256"]
            for record in self.records().values()
            for output in record["outputs"]
        }

    def nodes_of(self, done: subprocess.CompletedProcess[str]) -> set[str]:
        """Name the nodes that a run has finished."""
        run_id = done.stdout.partition("Run ")[2].split()[0]
        return {node for node, one in self.records().items() if one["run_id"] == run_id}

    def with_conf(self, folder: Path, change: Callable[[dict[str, Any]], Any]) -> Place:
        """Copy the configuration and change its scenarios and models."""
        shutil.copytree(self.conf, folder)
        path = folder / "base/scenarios.yml"
        tree = yaml.safe_load(path.read_text())
        change(tree)
        path.write_text(yaml.safe_dump(tree))
        return replace(self, conf=folder)


def _end(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    try:
        stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def _wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit, f"{path} did not appear"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def conf(make_conf: Callable[..., Any]) -> Any:
    """Copy the configuration: fewer cells, no MLflow, no waits before another try."""

    def hurry(tree: dict[str, Any]) -> None:
        policies = [tree["retries"]["storage"], *tree["retries"]["jobs"].values()]
        for policy in policies:
            policy |= {"first_delay_seconds": 0, "jitter_seconds": 0}

    conf = make_conf(**{BASELINE: ["zero"], **dict.fromkeys(SCENARIOS, MODELS)})
    conf.change("retries", hurry)
    conf.change("mlflow", lambda tree: tree["mlflow"].update(enabled=False))
    return conf


@pytest.fixture(scope="module")
def make_place(
    tmp_path_factory: pytest.TempPathFactory, conf: Any, small_prices: Path
) -> Callable[[], Place]:
    """Make empty places."""
    nodes = frozenset(conf.nodes)

    def make() -> Place:
        folder = tmp_path_factory.mktemp("place")
        store = f"sqlite:///{folder / 'mlflow.db'}"
        return Place(folder / "data", small_prices, conf.folder, nodes, store)

    return make


@dataclass(frozen=True)
class Crowd:
    """A finished place, and how three runs ended that wanted it at the same time."""

    place: Place
    pid: int
    first: subprocess.CompletedProcess[str]
    second: subprocess.CompletedProcess[str]
    refused: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def crowd(make_place: Callable[[], Place]) -> Crowd:
    """Run the study, and while it runs two other runs, one of which does not want to wait."""
    place = make_place()
    first = place.start("run")
    try:
        _wait_for(place.data / "checkpoints", first)
        second = place.start("run")
        refused = place.run("--no-wait")
        assert first.poll() is None, "the first run ended too early for this test"
    finally:
        ended = _end(first)
    return Crowd(place, first.pid, ended, _end(second), refused)


@pytest.fixture(scope="module")
def finished(crowd: Crowd) -> Place:
    """Give a place in which everything is done; tests copy it."""
    assert crowd.first.returncode == 0, crowd.first.stderr
    assert crowd.place.records().keys() == crowd.place.nodes
    return crowd.place


@pytest.fixture(scope="module")
def make_copy(make_place: Callable[[], Place], finished: Place) -> Callable[[], Place]:
    """Copy the finished place."""

    def copy() -> Place:
        place = make_place()
        shutil.copytree(finished.data, place.data)
        return place

    return copy


def test_run_while_another_works_waits_and_then_has_nothing_to_do(crowd: Crowd) -> None:
    """The second of two runs on one data root says whom it waits for; nothing runs twice."""
    assert crowd.second.returncode == 0, crowd.second.stderr
    assert f"(process {crowd.pid}, since" in crowd.second.stderr
    assert "waiting for it to end" in crowd.second.stderr
    assert f"Nothing to do: all {len(crowd.place.nodes)} nodes are fresh" in crowd.second.stderr


def test_run_with_no_wait_while_another_works_exits_1_and_names_it(crowd: Crowd) -> None:
    """With --no-wait a run that finds another one ends with status 1."""
    assert crowd.refused.returncode == 1, crowd.refused.stderr
    first = crowd.first.stdout.partition("Run ")[2].split()[0]
    assert f"Run {first} (process {crowd.pid}, since" in crowd.refused.stderr
    assert "Traceback" not in crowd.refused.stderr


def _flip_one_byte(data: Path) -> None:
    path = data / "04_feature/median_impute/features.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _truncate_checkpoint(data: Path) -> None:
    path = data / "checkpoints/mean_impute.linear.evaluate.json"
    path.write_bytes(path.read_bytes()[:200])


def _age_checkpoint(data: Path) -> None:
    path = data / "checkpoints/mean_impute.ridge.plot.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))


def _spoil_parquet_header(data: Path) -> None:
    path = data / "02_intermediate/returns/prices.parquet"
    path.write_bytes(b"none" + path.read_bytes()[4:])


DAMAGES = [
    ("median_impute.featurise", _flip_one_byte, "corrupt", "features was altered after"),
    ("mean_impute.linear.evaluate", _truncate_checkpoint, "corrupt", "cannot be read"),
    ("mean_impute.ridge.plot", _age_checkpoint, "stale", "its checkpoint has format 1"),
    ("returns_data.accept", _spoil_parquet_header, "corrupt", "prices was altered after"),
]


@dataclass(frozen=True)
class Repair:
    """What the commands said of a damaged place, and made of it."""

    place: Place
    before: dict[str, dict[str, Any]]
    dry: subprocess.CompletedProcess[str]
    kept: set[Path]
    run: subprocess.CompletedProcess[str]
    after: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def repair(make_copy: Callable[[], Place]) -> Repair:
    """Damage a finished place in four spots, ask for its state, and run."""
    place = make_copy()
    for _, damage, _, _ in DAMAGES:
        damage(place.data)
    before, files = place.states(), set(place.data.rglob("*"))
    dry = _end(place.start("run", "--dry-run"))
    kept = set(place.data.rglob("*")) ^ files
    return Repair(place, before, dry, kept, place.run(), place.states())


@pytest.mark.parametrize(
    ("node", "state", "reason"), [(node, state, reason) for node, _, state, reason in DAMAGES]
)
def test_status_of_a_damaged_node_says_so(
    node: str, state: str, reason: str, repair: Repair
) -> None:
    """Status names the state of what was damaged, and what is wrong with it."""
    assert repair.before[node]["state"] == state
    assert reason in " ".join(repair.before[node]["reasons"])


def test_status_of_whole_nodes_beside_damaged_ones_is_waiting_at_most(repair: Repair) -> None:
    """What is behind the damage waits for it, and nothing else is said to be damaged."""
    damaged = {node for node, _, _, _ in DAMAGES}
    others = [one for name, one in repair.before.items() if name not in damaged]
    assert {one["state"] for one in others} == {"fresh", "stale"}
    for one in others:
        waits = any(reason.startswith("waits for ") for reason in one["reasons"])
        assert waits is (one["state"] == "stale"), one


def test_run_with_dry_run_prints_nodes_and_reasons_and_runs_nothing(repair: Repair) -> None:
    """A dry run tells what would run, and why; it leaves every file as it was."""
    assert repair.dry.returncode == 0, repair.dry.stderr
    lines = repair.dry.stdout.splitlines()
    for node, _, state, reason in DAMAGES:
        assert any(line.split()[:2] == [state, node] and reason in line for line in lines), node
    waiting = sum(one["state"] != "fresh" for one in repair.before.values())
    assert f"{waiting} of {len(repair.place.nodes)} nodes would run" in lines[-1]
    assert {path.name for path in repair.kept} <= {".hashes.json"}


def test_run_of_a_damaged_place_runs_what_was_damaged_and_nothing_else(repair: Repair) -> None:
    """Repaired outputs come out as they were, so that what reads them stays fresh."""
    assert repair.run.returncode == 0, repair.run.stderr
    assert repair.place.nodes_of(repair.run) == {node for node, _, _, _ in DAMAGES}
    assert {one["state"] for one in repair.after.values()} == {"fresh"}


def test_run_of_a_damaged_place_restores_the_same_outputs(repair: Repair, finished: Place) -> None:
    """After the repair the outputs are those of before."""
    assert repair.place.outputs() == finished.outputs()


def _limit_file_size(n_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


def _assert_nothing_looks_whole_and_is_not(place: Place, reference: Place) -> None:
    own, right = place.outputs(), reference.outputs()
    assert own.items() <= right.items()
    for path in place.data.glob("0*/**/*.*"):
        if path.is_file() and "/20" not in str(path.relative_to(place.data)):  # a version
            twin = reference.data / path.relative_to(place.data)
            assert path.read_bytes() == twin.read_bytes(), path


def test_run_on_a_full_disk_says_so_and_leaves_nothing_half_done(
    make_place: Callable[[], Place], finished: Place
) -> None:
    """Files that cannot grow cost the nodes that write them, not the truth; with room all is well.

    The first limit is too small for a checkpoint, the second for a table.
    """
    place = make_place()
    for n_bytes, node in ((1_000, "returns_data.fetch"), (150_000, "mean_impute.featurise")):
        full = place.run(preexec_fn=partial(_limit_file_size, n_bytes))
        assert full.returncode == 1, full.stderr
        assert f"Failed: {node}: " in full.stderr
        assert "File too large" in full.stderr.partition("Failed: ")[2]
        assert str(place.data) in full.stderr.partition("Failed: ")[2].splitlines()[0]
        assert "Traceback" not in full.stderr
        assert not (place.data / f"checkpoints/{node}.ok").exists()
        assert not list(place.data.rglob(".aside*"))
        _assert_nothing_looks_whole_and_is_not(place, finished)
    done_before = place.records()
    assert "returns_data.label" in done_before

    done = place.run()
    assert done.returncode == 0, done.stderr
    assert not place.nodes_of(done) & done_before.keys()
    assert place.outputs() == finished.outputs()


def test_run_with_a_file_in_the_place_of_a_folder_names_it(
    make_copy: Callable[[], Place], finished: Place
) -> None:
    """A plain file where outputs belong ends the run with status 1; without it, it is repaired."""
    place = make_copy()
    folder = place.data / "03_primary/mean_impute"
    shutil.rmtree(folder)
    folder.write_text("not a folder")
    failed = place.run()
    assert failed.returncode == 1, failed.stderr
    assert "Failed: mean_impute.preprocess: " in failed.stderr
    assert str(folder) in failed.stderr.partition("Failed: ")[2]
    assert "Traceback" not in failed.stderr
    assert "try 1 of" not in failed.stderr
    assert folder.read_text() == "not a folder"

    folder.unlink()
    done = place.run()
    assert done.returncode == 0, done.stderr
    assert place.nodes_of(done) == {"mean_impute.preprocess"}
    assert place.outputs() == finished.outputs()


@dataclass(frozen=True)
class Interruption:
    """An interrupted run: what it left, and what became of it."""

    place: Place
    seconds: float
    alive: list[int]
    status: int
    stderr: str
    done_before: dict[str, dict[str, Any]]
    resumed: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def interrupt(
    make_place: Callable[[], Place], mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Interruption]:
    """Interrupt a run on two workers in the middle, then run to the end; once for each executor.

    MLflow is there under ``processes``.
    """

    @cache
    def interrupt(executor: str) -> Interruption:
        place = make_place()
        if executor == "processes":
            shutil.copyfile(mlflow_store, place.tracking_uri.removeprefix("sqlite:///"))
            place = place.with_conf(tmp_path_factory.mktemp("tracked") / "conf", lambda _: None)
            shutil.copyfile(PROJECT / "conf/base/mlflow.yml", place.conf / "base/mlflow.yml")
        words = ("--runner-params", f"executor={executor},max_workers=2")
        process = place.start("run", *words)
        try:
            _wait_for(place.data / "checkpoints/median_impute.linear.train.ok", process)
            signalled = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            process.wait(PATIENCE_SECONDS)
            seconds = time.monotonic() - signalled
            while (alive := _processes_of(process.pid)) and time.monotonic() < signalled + 2:
                time.sleep(0.02)
        finally:
            ended = _end(process)
        before = place.records()
        resumed = place.run("--no-wait")  # it would end with 1 if the lock were held
        return Interruption(place, seconds, alive, ended.returncode, ended.stderr, before, resumed)

    return interrupt


def _processes_of(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended in between
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_run_interrupted_on_workers_exits_130_within_two_seconds(
    executor: str, interrupt: Callable[[str], Interruption]
) -> None:
    """Ctrl-C ends a run with 130, soon, and nothing of its session lives on."""
    interruption = interrupt(executor)
    assert interruption.status == 130, interruption.stderr
    assert "Interrupted." in interruption.stderr
    assert "Traceback" not in interruption.stderr
    assert interruption.seconds < 2
    assert interruption.alive == []


@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_run_after_an_interruption_completes_without_repeating(
    executor: str, interrupt: Callable[[str], Interruption], finished: Place
) -> None:
    """The next run finds the lock free, does what is left, and comes to the same outputs."""
    interruption = interrupt(executor)
    assert interruption.resumed.returncode == 0, interruption.resumed.stderr
    place, before = interruption.place, interruption.done_before
    assert 5 < len(before) < len(place.nodes)
    after = place.records()
    assert after.keys() == place.nodes
    assert {node: after[node] for node in before} == before
    assert place.outputs() == finished.outputs()


def test_run_of_a_slice_with_stale_inputs_is_refused_with_the_command_that_helps(
    make_copy: Callable[[], Place],
) -> None:
    """Status 1 and a command; that very command, and then the slice, work."""
    window = {"scenarios.returns.median_impute.preprocess.impute_window_days": 200}
    place = replace(make_copy(), params=window)
    words = ("--pipeline", "modelling", "--namespace", "median_impute")
    refused = place.run(*words)
    assert refused.returncode == 1, refused.stderr
    assert "median_impute.split is stale" in refused.stderr
    (command,) = [line for line in refused.stderr.splitlines() if "kedro run" in line]

    remedy = shlex.split(command)
    assert remedy[0] == "kedro"
    made = _end(place.start_words([sys.executable, "-m", *remedy]))
    assert made.returncode == 0, made.stderr
    assert "median_impute.preprocess" in place.nodes_of(made)
    done = place.run(*words)
    assert done.returncode == 0, done.stderr
    states = place.states(*words)
    assert {one["state"] for one in states.values()} == {"fresh"}


def test_run_of_a_slice_that_allows_stale_inputs_says_so_in_its_checkpoints(
    make_copy: Callable[[], Place],
) -> None:
    """With --allow-stale-inputs the slice runs, and its checkpoints name what was not fresh."""
    place = make_copy()
    changed = {
        "scenarios.returns.median_impute.preprocess.impute_window_days": 200,
        "evaluation.n_replicates": 200,
        "modelling.seed": 5,
    }
    place = replace(place, params=changed)
    done = place.run("--namespace", "median_impute.ridge", "--allow-stale-inputs")
    assert done.returncode == 0, done.stderr
    trained = place.records()["median_impute.ridge.train"]
    assert "median_impute.ridge.train" in place.nodes_of(done)
    own = {"median_impute.train", "median_impute.test", "returns_data.split"}
    assert set(trained["stale_inputs"]) == own
    assert "stale inputs" in done.stdout


def test_run_with_another_grid_runs_that_models_cells_and_what_shows_them(
    make_copy: Callable[[], Place], tmp_path: Path
) -> None:
    """Status names the old and the new value; other models are left alone."""

    def widen(tree: dict[str, Any]) -> None:
        tree["models"]["returns"]["ridge"]["grid"]["alpha"] = [5.0, 50.0]

    place = make_copy().with_conf(tmp_path / "conf", widen)
    states = place.states()
    reason = "params:models.returns.ridge.grid.alpha [1.0, 100.0, 10000.0] -> [5.0, 50.0]"
    for scenario in SCENARIOS:
        assert reason in states[f"{scenario}.ridge.train"]["reasons"]
        assert states[f"{scenario}.linear.train"]["state"] == "fresh"
    done = place.run()
    assert done.returncode == 0, done.stderr
    shown = ("compare", "next_day.draw", "summarise", "report", "write_page", "certify", "gate")
    assert place.nodes_of(done) == {
        *(f"{scenario}.ridge.{node}" for scenario in SCENARIOS for node in CELL_NODES),
        *(f"{scenario}.{node}" for scenario in SCENARIOS for node in TABLES),
        *(f"returns_report.{node}" for node in shown),
    }


@dataclass(frozen=True)
class Edit:
    """A change of the code, what status said of it, and what a run made of it."""

    place: Place
    states: dict[str, dict[str, Any]]
    run: subprocess.CompletedProcess[str]


@pytest.fixture
def edit(make_copy: Callable[[], Place], tmp_path: Path) -> Callable[[str, str], Edit]:
    """Copy the finished place and the project, add a line to one of its modules, and run."""

    def edit(module: str, line: str) -> Edit:
        project = tmp_path / "project"
        for name in ("src", "conf", "docs/notes"):
            shutil.copytree(PROJECT / name, project / name)
        for name in ("pyproject.toml", ".telemetry"):
            shutil.copyfile(PROJECT / name, project / name)
        with (project / "src/tidemark" / module).open("a", encoding="utf-8") as file:
            file.write(line)
        place = replace(make_copy(), project=project)
        return Edit(place, place.states(), place.run())

    return edit


def test_run_after_a_comment_was_added_has_nothing_to_do(edit: Callable[..., Edit]) -> None:
    """Neither the module's nodes nor the report, which quotes the code's hash, run again."""
    edited = edit("domain/labels.py", "\n# Nothing but words.\n")
    assert {one["state"] for one in edited.states.values()} == {"fresh"}
    assert edited.run.returncode == 0, edited.run.stderr
    assert "Nothing to do" in edited.run.stderr


def test_run_after_a_change_of_the_mathematics_writes_the_report_anew(
    edit: Callable[..., Edit],
) -> None:
    """Outputs that come out as they were leave what needs them fresh; the report names the code."""
    edited = edit("domain/labels.py", "\nUNUSED = 1\n")
    own = ("fetch", "validate", "accept", "label", "forecast", "audit")
    data = {f"returns_data.{node}" for node in own}
    for node in data:
        assert edited.states[node]["reasons"][0] == "module tidemark.domain.labels changed"
    (reason,) = [
        one
        for one in edited.states["returns_report.summarise"]["reasons"]
        if not one.startswith("waits for")
    ]
    assert reason.startswith("params:provenance.returns.code_hash ")

    assert edited.run.returncode == 0, edited.run.stderr
    quoting = ("summarise", "report", "write_page", "certify", "gate")
    told = {f"returns_report.{node}" for node in quoting}
    assert edited.place.nodes_of(edited.run) == data | told


def test_run_after_a_change_of_what_makes_no_numbers_has_nothing_to_do(
    edit: Callable[..., Edit],
) -> None:
    """How a run is tracked and served changes neither a result nor the hash of its code."""
    edited = edit("tracking/writer.py", "\nUNUSED = 1\n")
    assert {one["state"] for one in edited.states.values()} == {"fresh"}
    assert "Nothing to do" in edited.run.stderr
