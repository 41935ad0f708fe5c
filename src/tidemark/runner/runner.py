"""The project's runner: it skips what is fresh, retries, keeps going, and scales out."""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import chain
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import AbstractRunner
from pluggy import PluginManager

from tidemark import logs
from tidemark.config import RUN_INFO, RunInfo
from tidemark.errors import (
    EXIT_ERROR,
    EXIT_REFUSED,
    ConfigError,
    RunError,
    UnknownName,
    describe_examples,
)
from tidemark.runner.executors import EXECUTORS, open_workers
from tidemark.runner.plan import Plan, make_plan
from tidemark.runner.progress import open_progress
from tidemark.runner.retries import Retries
from tidemark.runner.schedule import Schedule
from tidemark.runner.specs import NodeResult, add_specs
from tidemark.runner.work import Home, NodeTask

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Conduct:
    """How a run treats what is stored.

    ``is_forced``: what is fresh runs too. ``allows_stale_inputs``: a slice may read what is not
    fresh. ``is_verified``: stored files are hashed anew, whatever earlier hashes say.
    ``remedy_options`` are the options of the command that a remedy must repeat.
    """

    is_forced: bool = False
    allows_stale_inputs: bool = False
    is_verified: bool = False
    remedy_options: tuple[str, ...] = ()


class TidemarkRunner(AbstractRunner):
    """Run what is not fresh, in the order of its needs, as far as it goes.

    Parameters
    ----------
    executor : {"sequential", "processes", "dask"}
        Where nodes run.
    max_workers : int, optional
        Workers of a pool or of a local cluster; the machine's cores if not given.
    address : str, optional
        Of a running Dask scheduler.
    threads : int
        Threads that numerical libraries may use in each worker. With one, results do not depend
        on the machine's cores, and workers do not fight over them.
    is_async : bool
        Not supported: nodes load and save as they run.
    conduct : Conduct
        How the run treats what is stored.
    """

    def __init__(
        self,
        executor: str = "sequential",
        max_workers: int | None = None,
        address: str | None = None,
        threads: int = 1,
        is_async: bool = False,
        conduct: Conduct | None = None,
    ) -> None:
        if is_async:
            raise ConfigError("--async needs one of Kedro's runners, --runner=ThreadRunner.")
        if executor not in EXECUTORS:
            raise UnknownName.of("executor", executor, EXECUTORS)
        super().__init__(is_async=False)
        self._executor = executor
        self._max_workers = self._validate_max_workers(max_workers) if max_workers else None
        self._address = address
        self._threads = threads
        self._conduct = conduct or Conduct()

    def run(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        hook_manager: PluginManager | None = None,
        run_id: str | None = None,
        only_missing_outputs: bool = False,
    ) -> dict[str, Any]:
        """Run a pipeline, as `AbstractRunner.run` does, but for what is fresh.

        Returns
        -------
        dict
            The pipeline's outputs by their names; empty if there was nothing to do.

        Raises
        ------
        StaleInputs
            If the pipeline reads what is not fresh.
        RunError
            If nodes failed, after everything else has run.
        """
        if hook_manager is None or run_id is None:
            raise ConfigError("TidemarkRunner runs in a session: it needs hooks and a run id.")
        if only_missing_outputs:
            pipeline = self._filter_pipeline_for_missing_outputs(pipeline, catalog)
        unknown = sorted(name for name in pipeline.inputs() if name not in catalog)
        if unknown:
            raise ConfigError(f"Inputs that are not in the catalog: {describe_examples(unknown)}.")
        conduct = self._conduct
        plan = make_plan(
            pipeline, catalog, is_forced=conduct.is_forced, is_verified=conduct.is_verified
        )
        if not conduct.allows_stale_inputs:
            plan.refuse_unusable(conduct.remedy_options)
        if not plan.to_run:
            logger.info("Nothing to do: all %d nodes are fresh.", len(plan.states))
            return {}
        add_specs(hook_manager)
        hook_manager.hook.before_first_node(run_id=run_id, pipeline=pipeline, catalog=catalog)
        self._work(pipeline, catalog, hook_manager, run_id, plan)
        return {name: catalog[name] for name in pipeline.outputs()}

    def _work(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        hook_manager: PluginManager,
        run_id: str,
        plan: Plan,
    ) -> None:
        info: RunInfo = catalog[RUN_INFO].load()
        home = Home(info.project_path, logs.is_verbose(), self._threads)
        workers = open_workers(self._executor, self._max_workers, self._address, home, hook_manager)
        retries = Retries.model_validate(info.retries)
        load_counts = Counter(chain.from_iterable(node.inputs for node in pipeline.nodes))

        def make_task(node: Node) -> NodeTask:
            stale = tuple(name for name in node.inputs if name in plan.unusable_datasets)
            identity = plan.judge.identity(node)
            return NodeTask(node, catalog, run_id, identity, retries, stale, home)

        def hear(node: Node, result: NodeResult) -> None:
            hook_manager.hook.after_node_result(node=node, result=result, catalog=catalog)
            self._release_datasets(node, catalog, load_counts, pipeline)

        expected = {node.name: plan.judge.expected_seconds(node) for node in pipeline.nodes}
        likely = {name: expected[name] for name in plan.to_run}
        progress = open_progress(len(plan.states), likely, workers.count)
        schedule = Schedule(pipeline, plan, workers, make_task, progress, hear)
        try:
            if self._executor != "sequential":
                _refuse_memory(pipeline, plan)
            for name in sorted(pipeline.datasets()):
                if name not in catalog:  # Kedro's runtime pattern holds it in memory
                    catalog.get(name, fallback_to_runtime_pattern=True)
            schedule.work()
            workers.close()
        except BaseException:
            workers.kill()
            raise
        finally:
            progress.close()
        _raise_failures(schedule)

    def _get_executor(self, max_workers: int) -> Executor | None:
        return None  # `Workers` stand in its place: an executor alone cannot be rebuilt

    def _run(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        hook_manager: PluginManager | None = None,
        run_id: str | None = None,
    ) -> None:
        self.run(pipeline, catalog, hook_manager, run_id)


def _refuse_memory(pipeline: Pipeline, plan: Plan) -> None:
    """Refuse datasets that other processes cannot read."""
    unstored = [name for name in pipeline.all_outputs() if not plan.judge.is_stored(name)]
    if unstored:
        raise ConfigError(
            f"Without an entry in the catalog, datasets stay in one process: "
            f"{describe_examples(sorted(unstored))}. Add entries, or use executor=sequential."
        )


def _raise_failures(schedule: Schedule) -> None:
    failed_cells = _list_incidents(schedule, "failed_cell")
    leaks = _list_incidents(schedule, "leak")
    if not schedule.failed and not failed_cells and not leaks:
        return
    lines = [f"Failed: {name}: {one.error}" for name, one in schedule.failed.items()]
    lines += [f"Failed cell: {message}" for message in failed_cells]
    lines += [f"Leak: {message}" for message in leaks]
    if schedule.blocked:
        lines.append(
            f"Blocked, because they need what failed: {describe_examples(sorted(schedule.blocked))}"
        )
    log = logs.pipeline_log()
    if log is not None and schedule.failed:
        lines.append(f"The tracebacks are in {log}.")
    refused = leaks or any(one.exit_status == EXIT_REFUSED for one in schedule.failed.values())
    raise RunError("\n".join(lines), EXIT_REFUSED if refused else EXIT_ERROR)


def _list_incidents(schedule: Schedule, kind: str) -> list[str]:
    return [
        f"{result.node}: {incident['message']}" if kind == "leak" else str(incident["message"])
        for result in schedule.results
        for incident in result.incidents
        if incident["kind"] == kind
    ]
