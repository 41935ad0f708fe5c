"""A bench: a small pipeline on a data root of its own, run for real but without a session."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from tidemark import incidents
from tidemark.checkpoints.entries import Entries
from tidemark.checkpoints.files import HashCache
from tidemark.checkpoints.store import CheckpointStore, NodeRecord
from tidemark.config import RUN_INFO, RunInfo
from tidemark.datasets.catalog import TidemarkCatalog
from tidemark.errors import DataRefused
from tidemark.hooks.recording import RecordingHooks
from tidemark.runner.freshness import Judge, NodeState
from tidemark.runner.runner import Conduct, TidemarkRunner
from tidemark.runner.specs import NodeResult

ROOT = Path(__file__).parents[2]


def parse(source: str) -> list[int]:
    """Read numbers, whatever white space lies between them."""
    return [int(word) for word in source.split()]


def scale(numbers: list[int], factor: int, *_: Any) -> list[int]:
    """Multiply numbers; some factors stand for what can go wrong."""
    if factor == 0:
        raise ValueError("by zero")
    if factor < 0:
        raise DataRefused("below zero")
    if factor == 100:
        incidents.report("failed_cell", "no model works")
    if factor == 1000:
        raise KeyboardInterrupt
    return [number * factor for number in numbers]


def total(scaled: list[int]) -> dict[str, int]:
    """Add numbers up."""
    return {"total": sum(scaled)}


def count(numbers: list[int]) -> dict[str, int]:
    """Count numbers."""
    return {"count": len(numbers)}


class Spy:
    """Write down what the runner tells hooks in the main process."""

    def __init__(self) -> None:
        self.begun = False
        self.ran: list[str] = []
        self.results: dict[str, NodeResult] = {}
        self.error: Exception | None = None

    @hook_impl
    def before_first_node(self) -> None:
        """Note that something is to be done."""
        self.begun = True

    @hook_impl
    def after_node_result(self, node: Node, result: NodeResult) -> None:
        """Note how a node ended."""
        self.ran.append(node.name)
        self.results[node.name] = result


class Bench:
    """A pipeline, its catalog and its parameters, each of which a test may change."""

    def __init__(self, root: Path, registered: dict[str, Pipeline]) -> None:
        self.root = root
        self.entries: dict[str, dict[str, Any]] = {}
        self.params: dict[str, Any] = {}
        self.retries: dict[str, Any] = {"storage": {"attempts": 1}, "jobs": {}}
        self._registered = registered

    @property
    def pipeline(self) -> Pipeline:
        """The whole pipeline."""
        return self._registered["__default__"]

    @pipeline.setter
    def pipeline(self, nodes: list[Node]) -> None:
        self._registered["__default__"] = Pipeline(nodes)

    @property
    def store(self) -> CheckpointStore:
        """Where nodes leave their records."""
        return CheckpointStore(self.root / "checkpoints")

    def add_files(self, *names: str, **options: Any) -> None:
        """Add JSON files to the catalog."""
        for name in names:
            place = str(self.root / f"{name}.json")
            self.entries[name] = {"type": "json.JSONDataset", "filepath": place, **options}

    def catalog(self, run_id: str = "now") -> TidemarkCatalog:
        """Make the catalog of one run."""
        config = copy.deepcopy(self.entries)
        catalog: TidemarkCatalog = TidemarkCatalog.from_config(config, save_version=run_id)
        for name, value in self.params.items():
            catalog[f"params:{name}"] = value
        catalog[RUN_INFO] = RunInfo(
            project_path=ROOT,
            data_root=self.root,
            scenarios={},
            mlflow={"enabled": False},
            retries=self.retries,
        )
        return catalog

    def run(
        self,
        run_id: str,
        *nodes: str,
        hooks: Collection[object] = (),
        conduct: Conduct | None = None,
        **options: Any,
    ) -> Spy:
        """Run, or some nodes of it, as a session does; an error is kept, not raised."""
        pipeline = self.pipeline.filter(node_names=nodes) if nodes else self.pipeline
        manager, spy = _create_hook_manager(), Spy()
        for plugin in (RecordingHooks(), spy, *hooks):
            manager.register(plugin)
        try:
            runner = TidemarkRunner(conduct=conduct, **options)
            runner.run(pipeline, self.catalog(run_id), manager, run_id)
        except Exception as error:
            spy.error = error
        return spy

    def new_judge(self) -> Judge:
        """Make a judge who knows nothing yet."""
        catalog = self.catalog()
        entries = Entries(catalog, catalog[RUN_INFO].load())
        return Judge(self.pipeline, entries, self.store, HashCache())

    def judge(self) -> dict[str, NodeState]:
        """Judge every node by what lies on the disk now."""
        return self.new_judge().judge_all(self.pipeline.nodes)

    def record(self, node: str) -> NodeRecord:
        """Read a node's checkpoint."""
        record = self.store.read(node)
        assert record is not None
        return record

    def edit(self, node: str, **changes: Any) -> None:
        """Change what a node's checkpoint says; a mapping is merged into the one that is there."""
        path = self.root / "checkpoints" / f"{node}.json"
        about = json.loads(path.read_text(encoding="utf-8"))
        for key, value in changes.items():
            about[key] = {**about[key], **value} if isinstance(value, dict) else value
        path.write_text(json.dumps(about), encoding="utf-8")

    def read(self, name: str) -> Any:
        """Read what a dataset holds."""
        return self.catalog().load(name)

    def files(self) -> dict[str, bytes]:
        """Read every file but logs and known hashes, to see later what has changed."""
        found = {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and path.name != "hashes.json"
        }
        return {name: content for name, content in found.items() if not name.startswith("logs/")}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Make a bench without a pipeline; the logs that its runs open are closed afterwards."""
    registered: dict[str, Pipeline] = {}
    monkeypatch.setattr("tidemark.runner.plan.pipelines", registered)
    root = logging.getLogger()
    handlers = list(root.handlers)
    yield Bench(tmp_path / "data", registered)
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    logging.captureWarnings(False)


@pytest.fixture
def ready(bench: Bench) -> Bench:
    """Wire four nodes: ``parse``, then ``scale`` and ``count``, and ``total`` after ``scale``."""
    bench.add_files("numbers", "scaled", "sum", "number")
    bench.root.mkdir()
    source = bench.root / "source.txt"
    source.write_text("1 2 3", encoding="utf-8")
    bench.entries["source"] = {"type": "text.TextDataset", "filepath": str(source)}
    bench.params["factor"] = 2
    bench.pipeline = [
        Node(parse, "source", "numbers", name="parse"),
        Node(scale, ["numbers", "params:factor"], "scaled", name="scale"),
        Node(total, "scaled", "sum", name="total"),
        Node(count, "numbers", "number", name="count"),
    ]
    return bench


@pytest.fixture
def ran(ready: Bench) -> Bench:
    """Run the four nodes once, as run ``r1``."""
    assert ready.run("r1").error is None
    return ready


class Trouble:
    """Fail just before a dataset is saved, as often as there are errors."""

    def __init__(self, dataset: str, *errors: BaseException) -> None:
        self._dataset, self._errors = dataset, list(errors)

    @hook_impl
    def before_dataset_saved(self, dataset_name: str) -> None:
        """Raise the next error."""
        if dataset_name == self._dataset and self._errors:
            raise self._errors.pop(0)


@pytest.fixture
def new_trouble() -> type[Trouble]:
    """Make hooks that fail between a node's saves."""
    return Trouble


@pytest.fixture
def reasons_of() -> Callable[[dict[str, NodeState]], dict[str, str]]:
    """Put the states of nodes into words."""

    def describe(states: dict[str, NodeState]) -> dict[str, str]:
        return {name: f"{one.state}: {'; '.join(one.reasons)}" for name, one in states.items()}

    return describe
