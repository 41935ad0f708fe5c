"""What is fresh, what is not, and why, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from tidemark.checkpoints.entries import Entries
from tidemark.checkpoints.files import HashCache, hash_path
from tidemark.checkpoints.identity import Identity, flatten, identify
from tidemark.checkpoints.store import FAILED, FINISHED, CheckpointStore, Found, NodeRecord
from tidemark.datasets.catalog import is_parameter
from tidemark.errors import brief, describe_examples

# Incidents after which the next run tries again.
_PASSING = ("degraded", "missing", "failed_cell", "leak")


class State(StrEnum):
    """How a node stands, from good to bad."""

    FRESH = "fresh"
    STALE = "stale"
    FAILED = "failed"
    MISSING = "missing"
    CORRUPT = "corrupt"


_SEVERITY = list(State)


@dataclass(frozen=True)
class NodeState:
    """A node's state, the worst of what was found, and the reasons for it.

    ``is_usable`` says whether a slice may read the outputs: they are whole, and made from what
    they would be made from now, though a run might try for better ones.
    """

    node: str
    state: State
    reasons: tuple[str, ...] = ()
    is_usable: bool = True

    @property
    def is_fresh(self) -> bool:
        """Whether there is nothing to do."""
        return self.state is State.FRESH


class Judge:
    """Compare what checkpoints say with what is.

    Parameters
    ----------
    whole : Pipeline
        Every node that may have made what others read.
    entries : Entries
        Of the catalog in use.
    store : CheckpointStore
        Where nodes have left their records.
    hashes : HashCache
        Saves hashing files again.
    going_on : str, optional
        Id of a run that works on the same data now.
    """

    def __init__(
        self,
        whole: Pipeline,
        entries: Entries,
        store: CheckpointStore,
        hashes: HashCache,
        going_on: str | None = None,
    ) -> None:
        self._going_on = going_on
        self._entries = entries
        self._store = store
        self._hashes = hashes
        self._identities: dict[str, Identity] = {}
        self._seen: dict[tuple[str, bool], str | None] | None = None
        self._nodes = list(whole.nodes)  # in topological order
        self._makers = {name: node for node in self._nodes for name in node.outputs}

    def identity(self, node: Node) -> Identity:
        """Return a node's identity, gathered once."""
        if node.name not in self._identities:
            self._identities[node.name] = identify(node, self._entries)
        return self._identities[node.name]

    def expected_seconds(self, node: Node) -> float | None:
        """Say how long a node took the last time, if it ever finished."""
        record = self._store.read(node.name)
        return record.seconds if record is not None and record.status == FINISHED else None

    def is_stored(self, dataset: str) -> bool:
        """Say whether a dataset outlives its process."""
        return self._entries.get(dataset) is not None

    def makers(self, node: Node) -> list[Node]:
        """List the nodes that make what a node reads."""
        found = {self._makers[name] for name in node.inputs if name in self._makers}
        return sorted(found, key=lambda one: one.name)

    def judge_all(self, nodes: Sequence[Node]) -> dict[str, NodeState]:
        """Judge nodes and everything upstream of them, as they stand before anything runs.

        A node waits only for those of ``nodes`` that are not fresh: others will not run.
        """
        wanted = self._with_upstream(nodes)
        selected = {node.name for node in nodes}
        states: dict[str, NodeState] = {}
        self._seen = {}  # nothing changes meanwhile, and most outputs are inputs as well
        try:
            for node in self._nodes:
                if node.name in wanted:
                    upstream = {maker.name: states[maker.name] for maker in self.makers(node)}
                    states[node.name] = self.judge(node, upstream, selected)
        finally:
            self._seen = None
        return states

    def judge(
        self,
        node: Node,
        upstream: Mapping[str, NodeState] | None = None,
        selected: Collection[str] = (),
    ) -> NodeState:
        """Judge one node.

        Parameters
        ----------
        node : Node
            The node.
        upstream : mapping of str to NodeState, optional
            How the makers of its inputs stand. Without it they are taken to be done: what lies
            on the disk is what will be read.
        selected : collection of str
            Those that will run if they are not fresh.
        """
        above = upstream or {}
        found = self._store.find(node.name)
        own = list(self._compare(node, found))
        findings = [*own, *_passing(found)]
        will_run = selected if node.name in selected else above.keys()
        waits = [name for name, one in above.items() if name in will_run and not one.is_fresh]
        if waits:
            findings.append((State.STALE, f"waits for {describe_examples(waits, 3)}"))
        worst = max((state for state, _ in findings), key=_SEVERITY.index, default=State.FRESH)
        usable = not own and all(state.is_usable for state in above.values())
        return NodeState(node.name, worst, tuple(reason for _, reason in findings), usable)

    def _with_upstream(self, nodes: Iterable[Node]) -> Collection[str]:
        wanted: set[str] = set()
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node.name not in wanted:
                wanted.add(node.name)
                waiting += self.makers(node)
        return wanted

    def _compare(self, node: Node, found: Found) -> Iterator[tuple[State, str]]:
        record = found.record
        if record is None:
            known = State.CORRUPT if found.is_torn else State.STALE
            yield (known, found.problem) if found.problem else (State.MISSING, "has not run here")
        elif record.status == FAILED:
            yield State.FAILED, f"failed in run {record.run_id}: {brief(record.error or '')}"
        elif record.status != FINISHED or not found.is_marked:
            is_now = record.run_id == self._going_on
            words = "is at it now" if is_now else "ended while it ran"
            yield State.STALE if is_now else State.FAILED, f"run {record.run_id} {words}"
        else:
            self._learn(record)
            yield from self._compare_outputs(node, record)
            for reason in _differences(record, self.identity(node)):
                yield State.STALE, reason
            yield from self._compare_inputs(node, record)

    def _compare_outputs(self, node: Node, record: NodeRecord) -> Iterator[tuple[State, str]]:
        recorded = {one.name: one.sha256 for one in record.outputs}
        for name in node.outputs:
            current = self._hash(name, is_output=True)
            if name not in recorded:
                yield State.STALE, f"output {name} is new"
            elif current is None:
                place = "outside this disk" if self._entries.get(name) else "in memory only"
                kept = "absent" if recorded[name] else f"held {place}"
                yield State.MISSING, f"output {name} is {kept}"
            elif current != recorded[name]:
                yield State.CORRUPT, f"output {name} was altered after it was written"

    def _compare_inputs(self, node: Node, record: NodeRecord) -> Iterator[tuple[State, str]]:
        recorded = {one.name: one.sha256 for one in record.inputs}
        names = dict.fromkeys(name for name in node.inputs if not is_parameter(name))
        for name in names:
            if name not in recorded:
                yield State.STALE, f"input {name} is new"
            elif not self._entries.is_watched(name):
                place = "outside this disk" if self._entries.get(name) else "in memory only"
                yield State.STALE, f"input {name} is held {place}, where a change is not seen"
            elif (current := self._hash(name)) != recorded[name]:
                change = f"{_short(recorded[name])} -> {_short(current)}"
                yield State.STALE, f"input {name} has changed, {change}"
        for name in sorted(recorded.keys() - names.keys()):
            yield State.STALE, f"input {name} is read no longer"

    def _learn(self, record: NodeRecord) -> None:
        for one in (*record.inputs, *record.outputs):
            if one.path and one.stat and one.sha256:
                self._hashes.learn(Path(one.path), one.stat, one.sha256)

    def _hash(self, name: str, *, is_output: bool = False) -> str | None:
        key = name, is_output
        if self._seen is not None and key in self._seen:
            return self._seen[key]
        path = self._entries.locate(name, is_output=is_output)
        current = hash_path(path, self._hashes) if path is not None and path.exists() else None
        if self._seen is not None:
            self._seen[key] = current
        return current


def _passing(found: Found) -> Iterator[tuple[State, str]]:
    """List incidents of a node's last run that the next may be spared."""
    record = found.record
    for one in record.incidents if record is not None and record.status == FINISHED else ():
        if one["kind"] in _PASSING:
            state = State.FAILED if one["kind"] in ("failed_cell", "leak") else State.STALE
            yield state, f"{one['kind'].replace('_', ' ')} last time: {one['message']}"


def _differences(record: NodeRecord, now: Identity) -> Iterator[str]:
    if record.function != now.function:
        yield f"function {record.function} -> {now.function}"
    elif record.wiring != now.wiring and set(record.entries) == set(now.entries):
        yield "its inputs and outputs are wired otherwise"
    modules = record.code.keys() | now.code.keys()
    changed = sorted(name for name in modules if record.code.get(name) != now.code.get(name))
    if changed:
        word = "module" if len(changed) == 1 else "modules"
        yield f"{word} {describe_examples(changed, 3)} changed"
    yield from _changes("params:", record.params, now.params)
    for name in sorted(now.entries.keys() & record.entries.keys()):
        old, new = record.entries[name] or {}, now.entries[name] or {}
        yield from _changes(f"catalog entry {name}: ", old, new)
    yield from _changes("library ", record.libraries, now.libraries)


def _changes(prefix: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if old == new:
        return
    before, after = flatten(old), flatten(new)
    for key in sorted(before.keys() | after.keys()):
        first, second = before.get(key, "absent"), after.get(key, "absent")
        if first != second:
            yield f"{prefix}{key} {first} -> {second}"


def _short(digest: str | None) -> str:
    return digest[:8] if digest else "absent"
