"""The checkpoint store: ``NODE.json`` says what a node made, ``NODE.ok`` that it is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tidemark.files import write_aside

FORMAT = 1


@dataclass(frozen=True)
class DataRecord:
    """One dataset as a node read or wrote it."""

    name: str
    path: str | None
    sha256: str | None
    rows: int | None


@dataclass
class NodeRecord:
    """What a node has done: the content of a checkpoint."""

    node: str
    function: str
    namespace: str | None
    run_id: str
    started: str
    ended: str = ""
    seconds: float = 0.0
    status: str = "finished"
    error: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    inputs: list[DataRecord] = field(default_factory=list)
    outputs: list[DataRecord] = field(default_factory=list)
    code: dict[str, str] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


class CheckpointStore:
    """Read and write checkpoints in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def clear(self, node: str) -> None:
        """Remove a node's ``.ok``: from now on nothing of it looks finished."""
        (self._folder / f"{node}.ok").unlink(missing_ok=True)

    def write(self, record: NodeRecord) -> None:
        """Write a node's checkpoint and, last of all and only if it finished, its ``.ok``."""
        content = json.dumps(asdict(record), indent=2, sort_keys=True, default=str)
        write_aside(self._folder / f"{record.node}.json", content)
        if record.status == "finished":
            write_aside(self._folder / f"{record.node}.ok", "")

    def is_finished(self, node: str) -> bool:
        """Say whether a node's checkpoint is there and marked whole."""
        return (self._folder / f"{node}.ok").is_file() and (self._folder / f"{node}.json").is_file()

    def read(self, node: str) -> NodeRecord | None:
        """Read a node's checkpoint, or None if there is none that can be read."""
        try:
            stored = json.loads((self._folder / f"{node}.json").read_text(encoding="utf-8"))
            if stored["format"] != FORMAT:
                return None
            for side in ("inputs", "outputs"):
                stored[side] = [DataRecord(**one) for one in stored[side]]
            return NodeRecord(**stored)
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # not one of ours, or torn
            return None

    def of_run(self, run_id: str) -> Iterator[NodeRecord]:
        """Read the checkpoints that one run has left."""
        for path in sorted(self._folder.glob("*.ok")):
            record = self.read(path.stem)
            if record is not None and record.run_id == run_id:
                yield record
