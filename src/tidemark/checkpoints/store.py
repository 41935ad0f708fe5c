"""The checkpoint store: ``NODE.json`` says what a node made, ``NODE.ok`` that it is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tidemark.files import write_aside

FORMAT = 2

STARTED, FINISHED, FAILED = "started", "finished", "failed"


@dataclass(frozen=True)
class DataRecord:
    """One dataset as a node read or wrote it.

    ``stat`` holds size, modification and change time in ns, and inode of a file.
    """

    name: str
    path: str | None
    sha256: str | None
    rows: int | None
    stat: list[int] | None = None


@dataclass
class NodeRecord:
    """What a node has done: the content of a checkpoint.

    ``wiring``, ``code``, ``params``, ``entries`` and ``libraries`` are those of the node's identity
    (see `tidemark.checkpoints.identity`). ``attempts`` lists those that failed and were repeated,
    ``incidents`` what went otherwise than planned, ``stale_inputs`` the inputs that were read
    although they were not fresh.
    """

    node: str
    function: str
    namespace: str | None
    run_id: str
    started: str
    ended: str = ""
    seconds: float = 0.0
    status: str = STARTED
    error: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    inputs: list[DataRecord] = field(default_factory=list)
    outputs: list[DataRecord] = field(default_factory=list)
    wiring: dict[str, Any] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)
    entries: dict[str, Any] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    incidents: list[dict[str, Any]] = field(default_factory=list)
    stale_inputs: list[str] = field(default_factory=list)
    format: int = FORMAT


@dataclass(frozen=True)
class Found:
    """What the store holds of a node: a record, or why there is none that can be used."""

    record: NodeRecord | None
    is_marked: bool
    problem: str | None = None
    is_torn: bool = False

    @property
    def unfinished_run(self) -> set[str]:
        """The id of the run that began the node and did not finish it, if that is how it is."""
        record = self.record
        done = record is None or (record.status == FINISHED and self.is_marked)
        return set() if record is None or done else {record.run_id}


class CheckpointStore:
    """Read and write checkpoints in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def clear(self, node: str) -> None:
        """Remove a node's ``.ok``: from now on nothing of it looks finished."""
        (self.folder / f"{node}.ok").unlink(missing_ok=True)

    def write(self, record: NodeRecord) -> None:
        """Write a node's checkpoint and, last of all and only if it finished, its ``.ok``."""
        if record.status != FINISHED:
            self.clear(record.node)
        content = json.dumps(asdict(record), indent=2, sort_keys=True, default=str)
        write_aside(self.folder / f"{record.node}.json", content)
        if record.status == FINISHED:
            write_aside(self.folder / f"{record.node}.ok", "")

    def is_finished(self, node: str) -> bool:
        """Say whether a node's checkpoint is there and marked whole."""
        return (self.folder / f"{node}.ok").is_file() and (self.folder / f"{node}.json").is_file()

    def read(self, node: str) -> NodeRecord | None:
        """Read a node's checkpoint, or None if there is none that can be read."""
        return self.find(node).record

    def find(self, node: str) -> Found:
        """Read a node's checkpoint, and say why if it cannot be used."""
        marked = (self.folder / f"{node}.ok").is_file()
        try:
            text = (self.folder / f"{node}.json").read_bytes()
        except FileNotFoundError:
            return Found(None, marked)
        try:
            stored = json.loads(text)
            written = stored["format"]
            if written != FORMAT:
                return Found(None, marked, f"its checkpoint has format {written}, not {FORMAT}")
            for side in ("inputs", "outputs"):
                stored[side] = [DataRecord(**one) for one in stored[side]]
            return Found(NodeRecord(**stored), marked)
        except (ValueError, KeyError, TypeError):  # torn, or not one of ours
            return Found(None, marked, "its checkpoint cannot be read", is_torn=True)

    def finished(self) -> Iterator[NodeRecord]:
        """Read the checkpoints of all nodes that are done, by their names."""
        for path in sorted(self.folder.glob("*.ok")):
            record = self.read(path.stem)
            if record is not None:
                yield record
