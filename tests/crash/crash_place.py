"""Where runs are killed: a copy of the project, small prices, data roots, their processes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import victim

PROJECT = Path(__file__).parents[2]
MARKER = "TIDEMARK_CRASH_ROOT"

_COPIED = ("src", "conf", "docs/notes")
_COPIED_FILES = ("pyproject.toml", ".telemetry")


@dataclass
class Site:
    """A folder with all that runs read, so that what is edited meanwhile does not count."""

    folder: Path
    count: int = 0

    @classmethod
    def make(cls, folder: Path, *, is_small: bool = False) -> Site:
        """Copy the project, cut small prices out of the embedded ones, make an MLflow store.

        If ``is_small``, the study is cut down to a baseline and two scenarios of two models.
        """
        import pandas as pd

        site = cls(folder)
        for name in _COPIED:
            shutil.copytree(PROJECT / name, site.project / name)
        for name in _COPIED_FILES:
            shutil.copyfile(PROJECT / name, site.project / name)
        if is_small:
            shrink_study(site.project / "conf/base/scenarios.yml")
        prices = pd.read_parquet(PROJECT / "data/01_raw/returns/prices.parquet")
        few = prices["ticker"].isin(["AAPL", "BAC", "GE", "XOM"])
        prices[few & (prices["date"] >= "2017-01-01")].to_csv(site.prices, index=False)
        code = "import sys, mlflow; mlflow.MlflowClient(sys.argv[1]).search_experiments()"
        words = [sys.executable, "-c", code, f"sqlite:///{site.store}"]
        subprocess.run(words, check=True, capture_output=True, cwd=folder)
        return site

    @property
    def project(self) -> Path:
        """The copy of the project."""
        return self.folder / "project"

    @property
    def prices(self) -> Path:
        """Four of the embedded stocks over two years."""
        return self.folder / "prices.csv"

    @property
    def store(self) -> Path:
        """An MLflow database without runs."""
        return self.folder / "empty.db"

    def new_root(self, name: str | None = None) -> Root:
        """Begin a data root with an MLflow store of its own."""
        self.count += 1
        folder = self.folder / (name or f"root-{self.count:03}")
        folder.mkdir()
        shutil.copyfile(self.store, folder / "mlflow.db")
        return Root(self, folder)


@dataclass
class Root:
    """One data root, and what is known of the runs on it.

    ``expected`` maps the id of each run that has ended to the statuses that MLflow may give it.
    """

    site: Site
    folder: Path
    expected: dict[str, set[str]] = field(default_factory=dict)
    cells: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    run_count: int = 0

    @property
    def data(self) -> Path:
        """Where runs write."""
        return self.folder / "data"

    @property
    def tracking_uri(self) -> str:
        """The MLflow store."""
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def log(self) -> Path:
        """The log of all runs."""
        return self.data / "logs/pipeline.log"

    def start(self, executor: str, plan: Mapping[str, Any] | None = None) -> Process:
        """Start ``kedro run`` on the returns study; a plan says what it is to die at."""
        self.run_count += 1
        own = self.folder / f"run-{self.run_count:03}"
        own.mkdir()
        environment = {
            **os.environ,
            MARKER: str(self.folder),
            "PYTHONPATH": str(self.site.project / "src"),
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "DO_NOT_TRACK": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "COLUMNS": "200",
        }
        command = [sys.executable, "-m", "kedro"]
        if plan is not None:
            about = {"root": str(self.data), "hit": str(own / "hit.json"), **plan}
            (own / "plan.json").write_text(json.dumps(about), encoding="utf-8")
            environment[victim.PLAN] = str(own / "plan.json")
            command = [sys.executable, str(Path(victim.__file__))]
        params = f"prices_file={self.site.prices},data_root={self.data}"
        words = ["run", "--pipeline", "returns", "--params", params]
        words += ["--runner-params", f"executor={executor}"]
        with (own / "output.txt").open("wb") as output:
            started = subprocess.Popen(
                [*command, *words],
                cwd=self.site.project,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Process(self, started, own)

    def processes(self) -> list[int]:
        """List the processes that belong to runs on this data root and still live."""
        own = f"{MARKER}={self.folder}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    environment = (entry / "environ").read_bytes()
                except OSError:  # it has ended in between, or is somebody else's
                    continue
                if own in environment + b"\0":
                    found.append(int(entry.name))
        return found

    def age_outbox(self, seconds: float = 60) -> None:
        """Make what lies in the outbox so much older that nobody takes it for a run that begins."""
        for path in (self.data / "outbox").glob("*"):
            moment = path.stat().st_mtime - seconds
            os.utime(path, (moment, moment))

    def is_locked(self) -> bool:
        """Say whether somebody holds the data root."""
        path = self.data / ".run.lock"
        if not path.exists():
            return False
        with path.open("rb+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def log_size(self) -> int:
        """Return how long the log is."""
        return self.log.stat().st_size if self.log.exists() else 0

    def log_lines(self, offset: int = 0) -> list[dict[str, Any]]:
        """Read the log's lines from an offset; one that is torn stands as ``{"torn": text}``."""
        if not self.log.exists():
            return []
        lines = []
        for text in self.log.read_bytes()[offset:].decode("utf-8", "replace").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                lines.append({"torn": text})
        return lines


@dataclass
class Process:
    """One run under way."""

    root: Root
    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def output(self) -> str:
        """What it has printed."""
        return (self.folder / "output.txt").read_text(encoding="utf-8", errors="replace")

    @property
    def hit(self) -> dict[str, Any] | None:
        """What it died at, if its plan killed it or one of its workers."""
        path = self.folder / "hit.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def is_alive(self) -> bool:
        """Say whether the main process is there."""
        return self.process.poll() is None

    def kill(self) -> None:
        """Kill the main process, and nothing else."""
        self.process.kill()

    def wait(self, seconds: float) -> int | None:
        """Wait for the end and return the exit status; None if that takes too long."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def wait_for_node(self, offset: int, seconds: float = 60) -> bool:
        """Wait until the log, from an offset, says that a node starts; False if the run ended."""
        limit = time.monotonic() + seconds
        while self.is_alive() and time.monotonic() < limit:
            if self.root.log_size() > offset:
                with self.root.log.open("rb") as file:
                    file.seek(offset)
                    if b' starts"}' in file.read():
                        return True
            time.sleep(0.02)
        return False

    def workers(self) -> list[int]:
        """List the processes that run nodes: those that have this run's log open, but the main."""
        found = []
        for pid in self.root.processes():
            if pid != self.process.pid and _has_open(pid, self.root.log):
                found.append(pid)
        return found

    def end_all(self) -> Sequence[int]:
        """End what is left of the run; return which processes that were."""
        left = self.root.processes()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(10)
        return left


def shrink_study(path: Path) -> None:
    """Leave one baseline and two scenarios of two models in a copy of ``scenarios.yml``."""
    import yaml

    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    scenarios, models = tree["scenarios"]["returns"], tree["models"]["returns"]
    treated = [name for name, about in scenarios.items() if "preprocess" in about]
    (baseline,) = scenarios.keys() - set(treated)
    kept = {baseline: scenarios[baseline]["models"][:1]}
    kept |= {name: scenarios[name]["models"][:2] for name in treated[:2]}
    tree["scenarios"]["returns"] = {
        name: {**scenarios[name], "models": own} for name, own in kept.items()
    }
    named = {model for own in kept.values() for model in own}
    tree["models"]["returns"] = {name: models[name] for name in models if name in named}
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")


def describe_process(pid: int, log: Path) -> str:
    """Say what a process is."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return "gone"
    return f"{text[:120]}, log {'open' if _has_open(pid, log) else 'closed'}"


def _has_open(pid: int, path: Path) -> bool:
    try:
        return any(os.readlink(one) == str(path) for one in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
