"""What is done where a node runs: prepare the process once, then try the node."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kedro.framework.hooks.manager import (
    _create_hook_manager,
    _register_hooks,
    _register_hooks_entry_points,
)
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node
from kedro.runner import Task
from pluggy import PluginManager

from tidemark import errors, incidents, logs
from tidemark.checkpoints.identity import Identity
from tidemark.checkpoints.store import CheckpointStore
from tidemark.config import RUN_INFO
from tidemark.processes import die_with_parent, limit_threads
from tidemark.runner import retries as trying
from tidemark.runner.specs import Attempt, NodeResult, add_specs

logger = logging.getLogger(__name__)

_BEGAN = time.time()


@dataclass(frozen=True)
class Home:
    """What a worker must know before its first node."""

    project_path: Path
    is_verbose: bool
    threads: int


@dataclass(frozen=True)
class NodeTask:
    """One node on its way to where it runs; it pickles."""

    node: Node
    catalog: CatalogProtocol[Any, Any]
    run_id: str
    identity: Identity
    retries: trying.Retries
    stale_inputs: tuple[str, ...]
    home: Home

    def __call__(self) -> NodeResult:
        """Run in a worker process."""
        manager = prepare_process(self.home)
        changed = _list_changed(self.identity)
        if changed:
            text = (
                f"The code of {errors.describe_examples(changed)} has changed since this worker "
                f"(process {os.getpid()}) began. Restart the workers, and run again."
            )
            return NodeResult(self.node.name, 0.0, text, errors.EXIT_ERROR)
        return run_node(self, manager)


@cache
def prepare_process(home: Home) -> PluginManager:
    """Make this worker process ready: the project's settings, logs and hooks. Once is enough."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends its workers itself
    die_with_parent()
    bootstrap_project(home.project_path)
    logs.configure_terminal(home.project_path, home.is_verbose)
    if not home.is_verbose:
        logs.quieten_terminal()  # the main process says what nodes do
    manager = _create_hook_manager()
    add_specs(manager)
    _register_hooks(manager, settings.HOOKS)
    _register_hooks_entry_points(manager, settings.DISABLE_HOOKS_FOR_PLUGINS)
    return manager


def run_node(task: NodeTask, hook_manager: PluginManager) -> NodeResult:
    """Try a node as often as its job's policy allows.

    Returns
    -------
    NodeResult
        Also of a node that failed: an exception may not survive its way to another process.
    """
    finished = _find_finished(task)
    if finished is not None:  # by a worker that died before it could say so
        return finished
    node, hook = task.node, hook_manager.hook
    started = time.perf_counter()
    failed: list[dict[str, Any]] = []

    def attempt(_: int, is_last: bool) -> None:
        incidents.collect(is_last)
        about = Attempt(task.identity, is_last, tuple(failed), task.stale_inputs)
        hook.before_attempt(node=node, catalog=task.catalog, run_id=task.run_id, attempt=about)
        limit_threads(task.home.threads)
        Task(node, task.catalog, False, hook_manager, task.run_id).execute()

    def note(about: trying.Attempt, _: BaseException, allowed: int) -> None:
        failed.append(asdict(about))
        logger.warning(
            "%s: try %d of %d failed (%s); again in %.1f s",
            *(node.name, about.number, allowed, errors.brief(about.error), about.seconds_waited),
        )

    error, status, trace = None, errors.EXIT_SUCCESS, ""
    try:
        trying.call_with_retries(attempt, node.name, task.retries, note)
    except (Exception, SystemExit) as caught:
        error = errors.mask(describe(caught))
        status, trace = exit_status_of(caught), errors.mask(traceback.format_exc())
        hook.on_node_failed(node=node, error=error)
    collector = incidents.current()
    return NodeResult(
        node.name,
        round(time.perf_counter() - started, 3),
        error,
        status,
        trace,
        tuple(failed),
        tuple(asdict(one) for one in (collector.found if collector and error is None else ())),
    )


def describe(error: BaseException) -> str:
    """Put an error and its notes into words."""
    text = f"{type(error).__name__}: {error}"
    return "\n".join([text, *getattr(error, "__notes__", [])])


def exit_status_of(error: BaseException) -> int:
    """Tell refused data from what a person can mend."""
    from kedro.io import DatasetError
    from kedro.validation.exceptions import DataValidationError

    # Kedro wraps what a dataset raises in an error of its own.
    if isinstance(error, DatasetError) and isinstance(error.__cause__, errors.DataError):
        return error.__cause__.exit_status
    if isinstance(error, DataValidationError):
        of_data = "_data." in (error.dataset_name or "")
        return errors.EXIT_REFUSED if of_data else errors.EXIT_ERROR
    return error.exit_status if isinstance(error, errors.TidemarkError) else errors.EXIT_ERROR


def _list_changed(identity: Identity) -> list[str]:
    """List loaded modules whose files are younger than this process: a long-lived worker's."""
    changed = []
    for name in identity.code:
        path = getattr(sys.modules.get(name), "__file__", None)
        if path is not None and os.path.getmtime(path) > _BEGAN:
            changed.append(name)
    return changed


def _find_finished(task: NodeTask) -> NodeResult | None:
    info = task.catalog[RUN_INFO].load()
    found = CheckpointStore(info.data_root / "checkpoints").find(task.node.name)
    record = found.record
    if record is None or not found.is_marked or record.run_id != task.run_id:
        return None
    logger.debug("%s is done already, by a worker that died (pid %d)", record.node, os.getpid())
    return NodeResult(
        record.node,
        record.seconds,
        attempts=tuple(record.attempts),
        incidents=tuple(record.incidents),
    )
