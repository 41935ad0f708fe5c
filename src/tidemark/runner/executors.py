"""Where nodes run: in this process, in a pool of processes, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Literal, get_args

from pluggy import PluginManager

from tidemark.errors import ConfigError, RunError, UnknownName
from tidemark.runner.specs import NodeResult
from tidemark.runner.work import Home, NodeTask, prepare_process, run_node

logger = logging.getLogger(__name__)

ExecutorName = Literal["sequential", "processes", "dask"]
EXECUTORS: tuple[ExecutorName, ...] = get_args(ExecutorName)

_GOODBYE_SECONDS = 0.5  # that a cluster which is cut off is given to close

# Imported once by the fork server, so that every worker begins with them.
_PRELOADED = [
    "tidemark.runner.fork_server",
    "tidemark.pipeline_registry",
    "tidemark.runner.work",
    "sklearn.pipeline",
]


class Workers(ABC):
    """Some workers, and how many nodes they take at once."""

    count: int = 1
    is_local: bool = True

    @abstractmethod
    def submit(self, task: NodeTask) -> Future[NodeResult]:
        """Hand a node over."""

    def rebuild(self) -> None:
        """Replace workers that have died."""
        raise RunError("The workers have died and cannot be replaced.")

    def close(self) -> None:  # noqa: B027 - this process stays open
        """Let the workers go; nothing is running any more."""

    def kill(self) -> None:  # noqa: B027 - this process ends by itself
        """End the workers now, whatever they are at."""


class InProcess(Workers):
    """No workers but this process: one node after the other, with the session's own hooks."""

    def __init__(self, hook_manager: PluginManager) -> None:
        self._hook_manager = hook_manager

    def submit(self, task: NodeTask) -> Future[NodeResult]:
        """Run the node before returning."""
        future: Future[NodeResult] = Future()
        future.set_result(run_node(task, self._hook_manager))
        return future


class Processes(Workers):
    """A pool of worker processes on this machine.

    ``KEDRO_MP_CONTEXT`` chooses fork, spawn or forkserver. The default is the fork server:
    forking this process, once it has threads, may hang.
    """

    def __init__(self, count: int, home: Home) -> None:
        self.count = count
        self._home = home
        method = os.environ.get("KEDRO_MP_CONTEXT", "forkserver")
        if method not in multiprocessing.get_all_start_methods():
            known = multiprocessing.get_all_start_methods()
            raise UnknownName.of("start method in KEDRO_MP_CONTEXT", method, known)
        self._context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            self._context.set_forkserver_preload(_PRELOADED)
        self._pool = self._open()

    def _open(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self.count, self._context, initializer=prepare_process, initargs=(self._home,)
        )

    def submit(self, task: NodeTask) -> Future[NodeResult]:
        """Hand a node to the pool; one whose worker has died says so in the future."""
        try:
            return self._pool.submit(task)
        except BrokenProcessPool as error:
            broken: Future[NodeResult] = Future()
            broken.set_exception(error)
            return broken

    def rebuild(self) -> None:
        """Open a new pool in the place of a broken one."""
        self.kill()
        self._pool = self._open()

    def close(self) -> None:
        """Wait for the workers to leave."""
        self._pool.shutdown()

    def kill(self) -> None:
        """End the workers."""
        for process in list((self._pool._processes or {}).values()):
            process.kill()
        self._pool.shutdown(wait=False, cancel_futures=True)


class Dask(Workers):
    """A Dask cluster: the one at ``address``, or one of local processes."""

    def __init__(self, count: int, address: str | None) -> None:
        try:
            import dask

            # Its own lines, every time that a worker comes or goes, are not for our readers.
            dask.config.set({"logging": {"distributed": "error", "tornado": "critical"}})
            from distributed import Client, LocalCluster

            # Connections that are cut by an interrupt or a dead worker complain at length.
            for name in ("tornado", "tornado.application", "asyncio"):
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        except ImportError as error:
            raise ConfigError("executor=dask needs the extra 'dask': make setup.") from error
        self._cluster = None
        if address is None:
            self._cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                dashboard_address=None,
                memory_limit=None,
                silence_logs=logging.ERROR,
            )
        try:
            self._client = Client(address or self._cluster, timeout=10)
        except OSError as error:
            raise ConfigError(
                f"No Dask scheduler answers at {address}. Start one with 'dask scheduler', or "
                f"leave address out for a local cluster."
            ) from error
        self.is_local = address is None
        self.count = sum(self._client.ncores().values())
        if not self.count:
            raise ConfigError(f"The Dask scheduler at {address} has no workers.")
        self._executor = self._client.get_executor(pure=False)

    def submit(self, task: NodeTask) -> Future[NodeResult]:
        """Hand a node to the scheduler, which gives it to another worker if one dies."""
        future: Future[NodeResult] = self._executor.submit(task)
        return future

    def close(self) -> None:
        """Close the client, and the cluster if it is ours."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def kill(self) -> None:
        """Give up what runs; processes of a local cluster are ended."""
        for name in logging.root.manager.loggerDict:  # workers that end make others complain
            if name.partition(".")[0] == "distributed":
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._executor.shutdown(wait=False)
        if self._cluster is not None:
            self._cluster.shutdown_on_close = False  # or it is tried again, for 10 s, at exit
            for child in multiprocessing.active_children():
                child.kill()
        for one in filter(None, (self._client, self._cluster)):
            with contextlib.suppress(Exception):  # nothing may hide why the run was ended
                one.close(timeout=_GOODBYE_SECONDS)


def open_workers(
    name: str,
    max_workers: int | None,
    address: str | None,
    home: Home,
    hook_manager: PluginManager,
) -> Workers:
    """Open the workers that a name stands for.

    Raises
    ------
    UnknownName
        If there is no executor of that name.
    ConfigError
        If a cluster cannot be reached.
    """
    count = max_workers or os.cpu_count() or 1
    makers: dict[str, Callable[[], Workers]] = {
        "sequential": lambda: InProcess(hook_manager),
        "processes": lambda: Processes(count, home),
        "dask": lambda: Dask(count, address),
    }
    if name not in makers:
        raise UnknownName.of("executor", name, EXECUTORS)
    return makers[name]()
