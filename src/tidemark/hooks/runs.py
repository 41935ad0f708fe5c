"""When a run is recorded, in its main process: its log, its place in the outbox, the stores."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from tidemark import logs
from tidemark.checkpoints.recorder import now
from tidemark.checkpoints.store import CheckpointStore
from tidemark.config import RUN_INFO, RunInfo
from tidemark.context import TidemarkContext, remember
from tidemark.errors import TrackingError, mask
from tidemark.files import sweep_aside
from tidemark.hooks.completion import complete_cells
from tidemark.runner import OWN_RUNNER
from tidemark.tracking.outbox import Outbox, OutboxRun
from tidemark.tracking.settings import TrackingSettings

logger = logging.getLogger(__name__)


@dataclass
class _Run:
    """The run of this process."""

    info: RunInfo
    run_params: dict[str, Any]
    pipeline: Pipeline
    catalog: CatalogProtocol[Any, Any]
    is_begun: bool = False
    studies: Mapping[str, Any] = field(default_factory=dict)
    outbox: OutboxRun | None = None
    warned: set[str] = field(default_factory=set)

    def warn(self, store: str, message: str) -> None:
        """Say once in a run that a store is out of reach."""
        logger.log(logging.DEBUG if store in self.warned else logging.WARNING, "%s", message)
        self.warned.add(store)


class RunHooks:
    """Open a run when its first node is about to begin, and close it whatever happens."""

    def __init__(self) -> None:
        self._run: _Run | None = None

    @hook_impl
    def after_context_created(self, context: TidemarkContext) -> None:
        """Let the registry read the configuration of this context."""
        remember(context)

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Hear of a run; the project's runner says later whether there is anything to do."""
        info: RunInfo = catalog[RUN_INFO].load()
        self._run = _Run(info, run_params, pipeline, catalog)
        if OWN_RUNNER not in str(run_params.get("runner")):
            self.before_first_node()

    @hook_impl
    def before_first_node(self) -> None:
        """Open the run's log and its place in the outbox, and its parent runs in MLflow."""
        run = self._run
        if run is None:
            return
        info = run.info
        run.is_begun = True
        logs.open_pipeline_log(info.data_root / "logs")
        swept = sweep_aside(info.data_root)
        if swept:
            logger.debug("removed %d files that were half written when a run died", swept)
        if info.mlflow["enabled"]:
            from tidemark.tracking.facts import describe_run

            facts = describe_run(run.run_params, run.pipeline, run.catalog, info)
            run.studies = facts["studies"]
            outbox = Outbox(info.data_root / "outbox")
            self._complete_dead(run, outbox)
            run.outbox = outbox.open(run.run_params["run_id"], facts)
            try:
                self._sync(run)
            except TrackingError as error:  # Kedro calls no hook for an error in this one
                run.outbox.close("FAILED", now(), str(error))
                run.outbox.release()
                self._run = None
                raise

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Close the run as finished; where there was none, look after those that died."""
        if self._run is not None and not self._run.is_begun:
            self._sync_left(self._run)
        self.close_run("FINISHED")

    @hook_impl(trylast=True)
    def on_pipeline_error(self, error: Exception) -> None:
        """Close the run as failed."""
        self.close_run("FAILED", f"{type(error).__name__}: {error}")

    @hook_impl
    def on_run_interrupted(self, error: BaseException) -> None:
        """Close the run as killed; the next start, or ``kedro tracking sync``, tells MLflow."""
        self.close_run("KILLED", f"interrupted ({type(error).__name__})")

    def close_run(self, status: str, error: str | None = None) -> None:
        """Close the run in the outbox and send what waits there.

        Parameters
        ----------
        status : {"FINISHED", "FAILED", "KILLED"}
            MLflow's name for how it ended.
        error : str, optional
            Why it failed.
        """
        run, self._run = self._run, None
        if run is None or run.outbox is None:
            return
        from tidemark.tracking.facts import hash_data
        from tidemark.tracking.metric_rows import find_daily

        sweep_aside(run.info.data_root)  # what workers that died have left
        if status == "FAILED":
            run.outbox.fail_started(error, now())
        if status != "KILLED":
            complete_cells(run.outbox, run.pipeline, run.catalog, run.info)
        store = CheckpointStore(run.info.data_root / "checkpoints")
        accepted = [name for name in run.studies if store.is_finished(f"{name}_data.accept")]
        hashes = hash_data(run.catalog, accepted)
        daily = find_daily(run.outbox, run.info.data_root)
        run.outbox.close(status, now(), error, hashes, daily)
        try:
            if status != "KILLED":  # somebody waits for the prompt; the next start tells MLflow
                self._sync(run)
        finally:
            run.outbox.release()

    def _sync_left(self, run: _Run) -> None:
        """Send what runs that died have left; usually there is nothing, and nothing is imported."""
        sweep_aside(run.info.data_root)
        outbox = Outbox(run.info.data_root / "outbox")
        outbox.sweep()
        if run.info.mlflow["enabled"] and any(outbox.waiting()):
            self._complete_dead(run, outbox)
            self._sync(run)

    @staticmethod
    def _complete_dead(run: _Run, outbox: Outbox) -> None:
        """Make whole what runs that died had done, while checkpoints are as they left them."""
        outbox.sweep()
        for dead in outbox.dead():
            complete_cells(dead, run.pipeline, run.catalog, run.info)

    @staticmethod
    def _sync(run: _Run) -> None:
        """Send what waits; a store that is out of reach costs a warning.

        MLflow, where it is required, costs the run.
        """
        from tidemark.tracking.sync import sync_outbox

        settings = TrackingSettings.resolve(run.info.mlflow, run.info.project_path)
        started = time.perf_counter()
        outbox = Outbox(run.info.data_root / "outbox")
        try:
            current = run.outbox.run_id if run.outbox else None
            sync_outbox(outbox, settings, current, partial(run.warn, "metrics"))
        except Exception as error:
            message = (
                f"MLflow at {mask(settings.tracking_uri)} cannot be reached ({_brief(error)}). "
                f"The run's records wait in {run.info.data_root / 'outbox'}; send them with "
                f"'kedro tracking sync'."
            )
            if settings.required:
                raise TrackingError(message) from error
            run.warn("mlflow", message)
        seconds = round(time.perf_counter() - started, 3)
        logger.debug(
            "tracking took %.1f s", seconds, extra={"facts": {"tracking_seconds": seconds}}
        )


def _brief(error: BaseException) -> str:
    """Shorten an error to its kind and the beginning of its first line."""
    text = mask((str(error).splitlines() or [""])[0])
    return f"{type(error).__name__}: {text[:100]}{'...' if len(text) > 100 else ''}"
