"""What of a node's outputs reaches MLflow, by the ``track`` that the catalog gives a dataset."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tidemark.checkpoints.recorder import plain
from tidemark.checkpoints.store import NodeRecord
from tidemark.config import Cell

Keep = Callable[[Path, str], str]


def track_kind(dataset: Any) -> str | None:
    """Read how a dataset is tracked, or None if it is not."""
    metadata = getattr(dataset, "metadata", None) or {}
    kind: str | None = metadata.get("tidemark", {}).get("track")
    return kind


class TrackingRecord:
    """The tracked part of one node's outputs."""

    def __init__(self) -> None:
        self._metrics: list[tuple[str, float, int]] = []
        self._params: dict[str, Any] = {}
        self._tags: dict[str, str] = {}
        self._artifacts: list[dict[str, str]] = []
        self._model: dict[str, Any] | None = None

    def add(self, kind: str, dataset: str, data: Any, path: Path, keep: Keep) -> None:
        """Add one saved output.

        Parameters
        ----------
        kind : str
            The dataset's ``track``.
        dataset : str
            Its name.
        data : object
            What was saved.
        path : Path
            Where it lies.
        keep : callable
            Copies a file into the outbox and returns the copy's name.
        """
        if kind == "metrics":
            for name, value in data.items():
                self._metric(name, value)
        elif kind == "intervals":
            for name, interval in data["intervals"].items():
                self._metric(f"{name}_low", interval["low"])
                self._metric(f"{name}_high", interval["high"])
        elif kind == "cv_scores":
            for fold in data["folds"]:
                self._metric("cv_rmse_by_fold", fold["rmse"], fold["fold"])
            self._metric("cv_rmse_mean", data["rmse_mean"])
            self._params |= {f"chosen.{key}": value for key, value in data["best_params"].items()}
            self._params["used"] = data["used"]
        elif kind == "outcome":
            self._tags |= {key: str(data[key]) for key in ("status", "group", "split_id")}
            self._metric("scored_rows", data["scored_rows"])
        elif kind == "model":
            self._model = {
                "file": keep(path, f"{dataset}{path.suffix}"),
                "features": list(data.feature_names_in_),
            }
        if kind in ("cv_scores", "artifact", "figure", "outcome"):
            folder = {"figure": "figures", "artifact": "reports"}.get(kind, "results")
            box = dataset.rpartition(".")[0]
            if "." not in box and not box.endswith(("_data", "_report")):
                folder = f"{folder}/{box}"  # the parent run holds those of several scenarios
            self._artifacts.append(
                {"file": keep(path, f"{dataset}{path.suffix}"), "folder": folder, "name": path.name}
            )

    def to_dict(self, node: NodeRecord, cell: Cell | None, study: str | None) -> dict[str, Any]:
        """Return the record for the outbox."""
        timed = f"seconds.{node.node.rpartition('.')[2] if cell else node.node}"
        return {
            "node": node.node,
            "study": study,
            "cell": cell.namespace if cell else None,
            "status": node.status,
            "error": node.error,
            "started": node.started,
            "ended": node.ended,
            "metrics": [*self._metrics, (timed, node.seconds, 0)],
            "params": self._params,
            "tags": self._tags,
            "artifacts": self._artifacts,
            "model": self._model,
        }

    def _metric(self, name: str, value: float, step: int = 0) -> None:
        if math.isfinite(value):
            self._metrics.append((name, float(value), step))


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested parameters to dotted names.

    Examples
    --------
    >>> flatten({"a": {"b": 1}, "c": [2, 3]})
    {'a.b': 1, 'c': [2, 3]}
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        value = plain(value)
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
