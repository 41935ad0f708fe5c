"""The order of things: run what is ready, skip what is fresh, block what cannot go on."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from tidemark.errors import EXIT_ERROR
from tidemark.runner.executors import Workers
from tidemark.runner.plan import Plan
from tidemark.runner.progress import Progress
from tidemark.runner.specs import NodeResult
from tidemark.runner.work import NodeTask, describe

logger = logging.getLogger(__name__)

_MAX_DEATHS = 3  # of workers under one node
_TICK_SECONDS = 0.25


class Schedule:
    """The course of one run.

    Attributes
    ----------
    skipped : set of str
        Nodes that were fresh when their turn came.
    failed : dict of str to NodeResult
        Nodes that failed for good.
    blocked : set of str
        Nodes that need what failed.
    results : list of NodeResult
        Nodes that ran, in the order in which they ended.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        plan: Plan,
        workers: Workers,
        make_task: Callable[[Node], NodeTask],
        progress: Progress,
        on_result: Callable[[Node, NodeResult], None],
    ) -> None:
        self.skipped: set[str] = set()
        self.failed: dict[str, NodeResult] = {}
        self.blocked: set[str] = set()
        self.results: list[NodeResult] = []
        self._plan = plan
        self._workers = workers
        self._make_task = make_task
        self._progress = progress
        self._on_result = on_result
        self._needs = {node: set(needs) for node, needs in pipeline.node_dependencies.items()}
        self._children: dict[Node, list[Node]] = {node: [] for node in self._needs}
        for node, needs in self._needs.items():
            for parent in needs:
                self._children[parent].append(node)
        self._nodes = list(pipeline.nodes)
        self._rank = self._rank_nodes()
        self._ready: list[tuple[float, int, Node]] = []
        self._running: dict[Future[NodeResult], Node] = {}
        self._deaths: dict[str, int] = {}
        self._suspects: set[str] = set()

    def work(self) -> None:
        """Run until nothing is left that could."""
        for node in self._nodes:
            if not self._needs[node]:
                self._push(node)
        while self._ready or self._running:
            limit = 1 if self._suspects else self._workers.count
            while self._ready and len(self._running) < limit:
                self._start(heapq.heappop(self._ready)[2])
            if self._running:
                done, _ = wait(self._running, _TICK_SECONDS, return_when=FIRST_COMPLETED)
                self._progress.tick()
                self._collect(done)

    def _rank_nodes(self) -> dict[Node, float]:
        """Rank a node by the time from its start to the end of the longest chain behind it."""
        rank: dict[Node, float] = {}
        for node in reversed(self._nodes):
            behind = max((rank[child] for child in self._children[node]), default=0.0)
            rank[node] = behind + (self._plan.judge.expected_seconds(node) or 1.0)
        return rank

    def _push(self, node: Node) -> None:
        heapq.heappush(self._ready, (-self._rank[node], self._nodes.index(node), node))

    def _start(self, node: Node) -> None:
        if not self._plan.is_forced and self._plan.judge.judge(node).is_fresh:
            self.skipped.add(node.name)
            self._progress.skipped(node.name)
            self._release(node)
            return
        self._progress.started(node.name)
        self._running[self._workers.submit(self._make_task(node))] = node

    def _collect(self, done: Collection[Future[NodeResult]]) -> None:
        is_broken = False
        for future in done:
            error = _error_of(future)
            if isinstance(error, BrokenProcessPool):
                is_broken = True
                continue
            node = self._running.pop(future)
            if error is not None:  # its workers died, or the way to them
                text = f"{describe(error)} (on the way to a worker)"
                result = NodeResult(node.name, 0.0, text, EXIT_ERROR)
            else:
                result = future.result()
            self._end(node, result)
        if is_broken:
            self._rebuild()

    def _rebuild(self) -> None:
        """Begin again what was lost with a worker; what had finished is not run twice.

        A pool does not say whose worker died, so the suspects run one at a time, and only a
        death of one alone counts against it.
        """
        lost = sorted(self._running.values(), key=self._nodes.index)
        self._running.clear()
        self._workers.rebuild()
        self._suspects |= {node.name for node in lost}
        for node in lost:
            if len(lost) == 1:
                self._deaths[node.name] = self._deaths.get(node.name, 0) + 1
            if self._deaths.get(node.name, 0) >= _MAX_DEATHS:
                text = f"Its worker died {_MAX_DEATHS} times. Is there enough memory?"
                self._end(node, NodeResult(node.name, 0.0, text, EXIT_ERROR))
            else:
                logger.warning("a worker died under %s; it begins again", node.name)
                self._push(node)

    def _end(self, node: Node, result: NodeResult) -> None:
        self._suspects.discard(node.name)
        self.results.append(result)
        self._on_result(node, result)
        if result.is_ok:
            self._progress.done(result)
            self._release(node)
            return
        self.failed[node.name] = result
        behind = list(self._children[node])
        while behind:
            child = behind.pop()
            if child.name not in self.blocked:
                self.blocked.add(child.name)
                behind += self._children[child]
        self._progress.failed(result, len(self.blocked))

    def _release(self, node: Node) -> None:
        for child in self._children[node]:
            self._needs[child].discard(node)
            if not self._needs[child] and child.name not in self.blocked:
                self._push(child)


def _error_of(future: Future[NodeResult]) -> BaseException | None:
    return future.exception() if not future.cancelled() else RuntimeError("it was cancelled")
