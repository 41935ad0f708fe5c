"""What the runner tells hooks, beyond what Kedro's runners tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kedro.framework.hooks.markers import hook_spec
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pluggy import PluginManager

from tidemark.checkpoints.identity import Identity


@dataclass(frozen=True)
class Attempt:
    """One try at a node: what its record is to hold beside what the node does.

    ``failed`` lists the tries before it, ``stale_inputs`` what is read though it is not fresh.
    """

    identity: Identity
    is_last: bool = True
    failed: tuple[Mapping[str, Any], ...] = ()
    stale_inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeResult:
    """How a node ended, as the main process hears of it."""

    node: str
    seconds: float
    error: str | None = None
    exit_status: int = 0
    traceback: str = ""
    attempts: tuple[Mapping[str, Any], ...] = ()
    incidents: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def is_ok(self) -> bool:
        """Whether the node finished."""
        return self.error is None


class RunnerSpecs:
    """Hook specifications of `TidemarkRunner`."""

    @hook_spec
    def before_first_node(
        self, run_id: str, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Hear, in the main process, that something is to be done.

        A run with nothing to do never calls this.
        """

    @hook_spec
    def before_attempt(
        self, node: Node, catalog: CatalogProtocol[Any, Any], run_id: str, attempt: Attempt
    ) -> None:
        """Hear, where the node runs, that a try begins, before anything is loaded."""

    @hook_spec
    def on_node_failed(self, node: Node, error: str) -> None:
        """Hear, where the node runs, that it has failed for good, in whatever step."""

    @hook_spec
    def after_node_result(
        self, node: Node, result: NodeResult, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Hear, in the main process, how a node ended."""


def add_specs(manager: PluginManager) -> None:
    """Let a hook manager know these specifications, once."""
    known = getattr(manager.hook, "before_first_node", None)
    if known is None or not known.has_spec():
        manager.add_hookspecs(RunnerSpecs)
