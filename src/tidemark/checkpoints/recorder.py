"""Gather what a node does while it runs: one record, from before its function to its last save."""

from __future__ import annotations

import ast
import hashlib
import inspect
import time
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node
from pydantic import BaseModel

from tidemark.checkpoints.files import hash_path, stored_path
from tidemark.checkpoints.store import DataRecord, NodeRecord

PARAMS = "params:"
_LIBRARIES = (
    "kedro",
    "kedro-datasets",
    "matplotlib",
    "numpy",
    "pandas",
    "pandera",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "tidemark",
)


class NodeRecorder:
    """The record of one node in progress."""

    def __init__(
        self, node: Node, catalog: CatalogProtocol[Any, Any], inputs: Mapping[str, Any], run_id: str
    ) -> None:
        self.catalog = catalog
        self._missing = set(node.outputs)
        self._clock = time.perf_counter()
        self.record = NodeRecord(
            node=node.name,
            function=f"{node.func.__module__}.{node.func.__qualname__}",
            namespace=node.namespace,
            run_id=run_id,
            started=_now(),
            params={
                name.removeprefix(PARAMS): plain(value)
                for name, value in inputs.items()
                if name.startswith(PARAMS)
            },
            inputs=[
                self._describe(name, value, saved=False)
                for name, value in inputs.items()
                if not name.startswith(PARAMS)
            ],
            code={"module": node.func.__module__, "sha256": _hash_module(node.func)},
            libraries=_library_versions(),
        )

    @property
    def is_complete(self) -> bool:
        """Whether every output has been saved."""
        return not self._missing

    def saved(self, dataset: str, data: Any) -> None:
        """Note that an output was saved."""
        self._missing.discard(dataset)
        self.record.outputs.append(self._describe(dataset, data, saved=True))

    def finish(self, error: BaseException | None = None) -> NodeRecord:
        """Close the record."""
        self.record.ended = _now()
        self.record.seconds = round(time.perf_counter() - self._clock, 3)
        if error is not None:
            self.record.status = "failed"
            self.record.error = f"{type(error).__name__}: {error}"
        return self.record

    def _describe(self, name: str, data: Any, *, saved: bool) -> DataRecord:
        path = stored_path(self.catalog[name], saved=saved)
        there = path is not None and path.exists()
        return DataRecord(
            name=name,
            path=str(path) if path else None,
            sha256=hash_path(path) if there and path else None,
            rows=len(data) if hasattr(data, "columns") else None,
        )


def plain(value: Any) -> Any:
    """Turn a parameter into plain types."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@lru_cache
def _hash_module(func: Any) -> str:
    """Hash the syntax tree of a function's module: comments and layout do not count."""
    source = inspect.getsource(inspect.getmodule(func) or func)
    return hashlib.sha256(ast.dump(ast.parse(source)).encode()).hexdigest()


@lru_cache
def _library_versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an optional library that is not installed has no part
            continue
    return found
