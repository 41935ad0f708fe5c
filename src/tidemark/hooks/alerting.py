"""When somebody is told: of what a node met, and of how the run ended. In the main process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node

from tidemark.alerts import Alert, Alerts
from tidemark.config import RUN_INFO, RunInfo
from tidemark.context import TidemarkContext
from tidemark.errors import EXIT_REFUSED, TidemarkError
from tidemark.runner.retries import Retries
from tidemark.runner.specs import NodeResult

_OF_INCIDENT: dict[str, Any] = {
    "degraded": "degraded",
    "fallback": "fallback",
    "missing": "missing",
    "failed_cell": "failed cell",
    "leak": "leak",
    "alarm": "alarm",
}


class AlertHooks:
    """Tell owners; ``alerts.yml`` and ``retries.yml`` say who owns which node."""

    def __init__(self) -> None:
        self._context: TidemarkContext | None = None
        self._alerts: Alerts | None = None

    @hook_impl
    def after_context_created(self, context: TidemarkContext) -> None:
        """Remember where addresses are found; they are read when there is an alert."""
        self._context, self._alerts = context, None

    @hook_impl
    def after_node_result(
        self, node: Node, result: NodeResult, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Tell of incidents, of refused data and of a node that failed for good."""
        info: RunInfo = catalog[RUN_INFO].load()
        job = Retries.model_validate(info.retries).job_of(node.name)
        for alert in _of_result(result, job):
            self._send(alert)

    @hook_impl
    def on_pipeline_error(self, error: Exception, run_params: dict[str, Any]) -> None:
        """Tell the platform's owner that a run failed."""
        if not isinstance(error, TidemarkError) or error.is_alarming:
            text = f"Run {run_params['run_id']} failed. {type(error).__name__}: {error}"
            self._send(Alert.of("failed run", "run", text))

    def _send(self, alert: Alert) -> None:
        if self._alerts is None:
            if self._context is None:
                return
            self._alerts = self._context.new_alerts()
        self._alerts.send(alert)


def _of_result(result: NodeResult, job: str) -> Iterator[Alert]:
    for incident in result.incidents:
        kind = _OF_INCIDENT[incident["kind"]]
        yield Alert.of(kind, job, f"{result.node}: {incident['message']}")
    if result.error is not None and result.exit_status == EXIT_REFUSED:
        yield Alert.of("refused data", job, f"{result.node}: {result.error}")
    elif result.error is not None and result.attempts:
        tries = len(result.attempts) + 1
        text = f"{result.node} failed {tries} times. The last time: {result.error}"
        yield Alert.of("retries exhausted", job, text)
