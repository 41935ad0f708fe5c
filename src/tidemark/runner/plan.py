"""What a run would do: judge a selection, and refuse one that would read what is not fresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from tidemark.checkpoints.entries import Entries
from tidemark.checkpoints.files import HashCache
from tidemark.checkpoints.store import CheckpointStore
from tidemark.config import RUN_INFO
from tidemark.errors import StaleInputs, describe_examples
from tidemark.locks import find_run
from tidemark.runner.freshness import Judge, NodeState, State


@dataclass(frozen=True)
class Plan:
    """The states of a selection, in topological order, and what to do about them.

    ``unusable`` are the nodes outside the selection that make what it reads, and whose outputs
    should not be read as they are.
    """

    judge: Judge
    states: Mapping[str, NodeState]
    unusable: Sequence[NodeState] = ()
    is_forced: bool = False
    unusable_datasets: frozenset[str] = field(default=frozenset())

    @property
    def to_run(self) -> list[str]:
        """Name the nodes that may run; some will turn out to be fresh once others have run."""
        return [name for name, state in self.states.items() if self.is_forced or not state.is_fresh]

    @property
    def counts(self) -> dict[str, int]:
        """Count the nodes in each state."""
        found = [state.state for state in self.states.values()]
        return {state.value: found.count(state) for state in State}

    def refuse_unusable(self, options: Sequence[str] = ()) -> None:
        """Refuse to run a slice on inputs that are not fresh.

        Parameters
        ----------
        options : sequence of str
            Options of the command, for the remedy.

        Raises
        ------
        StaleInputs
            With the command that makes them.
        """
        if not self.unusable:
            return
        lines = [
            f"  - {one.node} is {one.state}: {describe_examples(one.reasons, 2)}"
            for one in self.unusable
        ]
        names = ",".join(one.node for one in self.unusable)
        remedy = " ".join(["kedro run --to-nodes", names, *options])
        raise StaleInputs(
            "The nodes selected read what these nodes make, and it is not fresh:\n"
            + "\n".join(lines[:10])
            + ("" if len(lines) <= 10 else f"\n  and {len(lines) - 10} more")
            + f"\nMake it with\n  {remedy}\nor run on what is there with --allow-stale-inputs."
        )


def make_plan(
    pipeline: Pipeline,
    catalog: CatalogProtocol[Any, Any],
    *,
    is_forced: bool = False,
    is_verified: bool = False,
) -> Plan:
    """Judge the nodes of a selection against what is stored.

    Parameters
    ----------
    pipeline : Pipeline
        The selection.
    catalog : CatalogProtocol
        Holds the run's info; no dataset of a library is made.
    is_forced : bool
        Whether all of it is to run, fresh or not.
    is_verified : bool
        Whether every file is hashed anew, whatever earlier hashes say.
    """
    info = catalog[RUN_INFO].load()
    folder = info.data_root / "checkpoints"
    hashes = HashCache(info.data_root / ".hashes.json", is_trusted=not is_verified)
    whole = whole_pipeline(pipeline)
    store = CheckpointStore(folder)
    judge = Judge(whole, Entries(catalog, info), store, hashes, find_run(info.data_root))
    states = judge.judge_all(pipeline.nodes)
    hashes.save()
    selected = {node.name for node in pipeline.nodes}
    makers = {
        maker.name: maker
        for node in pipeline.nodes
        for maker in judge.makers(node)
        if maker.name not in selected
    }
    unusable = [name for name in states if name in makers and not states[name].is_usable]
    return Plan(
        judge,
        {name: state for name, state in states.items() if name in selected},
        [states[name] for name in unusable],
        is_forced,
        frozenset(dataset for name in unusable for dataset in makers[name].outputs),
    )


def whole_pipeline(pipeline: Pipeline) -> Pipeline:
    """Find the pipeline that a selection is a part of; without a project it is the whole."""
    try:
        whole: Pipeline = pipelines["__default__"]
    except KeyError:
        return pipeline
    known = {node.name for node in whole.nodes}
    return whole if all(node.name in known for node in pipeline.nodes) else pipeline
