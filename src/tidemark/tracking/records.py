"""What of a node's outputs reaches MLflow, by the ``track`` that the catalog gives a dataset."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tidemark.checkpoints.store import NodeRecord
from tidemark.config import Cell
from tidemark.domain.estimators import FailedModel

Keep = Callable[[Path, str], str]

_MODEL_LIBRARIES = ("scikit-learn", "numpy", "pandas", "scipy")

# Where in a run's artifacts each kind of file lies.
_FOLDERS = {
    "artifact": "reports",
    "audit": "reports",
    "cv_scores": "results",
    "daily": "results",
    "epochs": "results",
    "figure": "figures",
    "network": "network",
    "option_errors": "results",
    "outcome": "results",
    "validation": "reports",
    "verdicts": "reports",
}


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
        reader = getattr(self, f"_add_{kind}", None)
        box = dataset.rpartition(".")[0]
        if kind == "audit":
            self._metric(f"leaks.{box}", len(data["findings"]))
        elif reader is not None:
            reader(data)
        if kind == "model" and not isinstance(data, FailedModel):
            self._model = {
                "file": keep(path, f"{dataset}{path.suffix}"),
                "features": list(data.feature_names_in_),
                "requirements": [f"{name}=={version(name)}" for name in _MODEL_LIBRARIES],
            }
        is_missing = kind in ("figure", "network") and data == b""
        if kind in _FOLDERS and not is_missing:
            self._artifacts.append(
                {
                    "file": keep(path, f"{dataset}{path.suffix}"),
                    "folder": "/".join([_FOLDERS[kind], *_list_folders(box)]),
                    "name": path.name,
                }
            )

    def to_dict(self, node: NodeRecord, cell: Cell | None, study: str | None) -> dict[str, Any]:
        """Return the record for the outbox."""
        name = node.node.rpartition(".")[2] if cell else node.node
        about = [(f"seconds.{name}", node.seconds, 0)]
        if node.attempts:
            about.append((f"attempts.{name}", float(len(node.attempts) + 1), 0))
        tags: dict[str, str] = {}
        for one in node.incidents:
            if one["kind"] in ("fallback", "failed_cell"):
                continue  # the cell's status says it
            said = tags.get(f"tidemark.{one['kind']}")
            tags[f"tidemark.{one['kind']}"] = "; ".join(filter(None, [said, one["message"]]))
        if node.stale_inputs:
            tags["tidemark.stale_inputs"] = ", ".join(node.stale_inputs)
        return {
            "node": node.node,
            "study": study,
            "cell": cell.namespace if cell else None,
            "status": node.status,
            "error": node.error,
            "started": node.started,
            "ended": node.ended,
            "metrics": [*self._metrics, *about],
            "params": self._params,
            "tags": {**tags, **self._tags},
            "artifacts": self._artifacts,
            "model": self._model,
        }

    def _add_metrics(self, data: Any) -> None:
        for name, value in data.items():
            self._metric(name, value)

    _add_option_errors = _add_metrics

    def _add_intervals(self, data: Any) -> None:
        for name, interval in data["intervals"].items():
            self._metric(f"{name}_low", interval["low"])
            self._metric(f"{name}_high", interval["high"])

    def _add_validation(self, data: Any) -> None:
        for name, table in data["tables"].items():
            self._metric(f"quarantined_rows.{name}", sum(table["rows_quarantined"].values()))

    def _add_verdicts(self, data: Any) -> None:
        for group, verdict in data.items():
            self._metric(f"superior_ability_p.{group}", verdict["p_value"])
            self._tags[f"best_model.{group}"] = str(verdict["best_model"])
            self._tags[f"beats_baseline.{group}"] = str(verdict["beats_baseline"]).lower()

    def _add_cv_scores(self, data: Any) -> None:
        for fold in data["folds"]:
            self._metric("cv_rmse_by_fold", fold["rmse"], fold["fold"])
        self._metric("cv_rmse_mean", data["rmse_mean"])
        self._params |= {f"chosen.{key}": value for key, value in data["best_params"].items()}
        self._params["used"] = data["used"]
        self._tag_status(data)

    def _add_epochs(self, data: Any) -> None:
        for one in data.to_dict(orient="records"):
            end = f"{one['seed']:.0f}.fit_{one['block']:.0f}"
            for name in ("train", "validation"):
                self._metric(
                    f"{name}_rmse.seed_{end}", math.sqrt(one[f"{name}_mse"]), int(one["epoch"])
                )

    def _add_outcome(self, data: Any) -> None:
        self._tags |= {key: str(data[key]) for key in ("group", "split_id")}
        self._tag_status(data)
        self._metric("scored_rows", data["scored_rows"])

    def _tag_status(self, data: Any) -> None:
        """Tag how a cell fares; both its training and its end know, and may run apart."""
        self._tags["status"] = data["status"]
        if data["status"] != "ok":
            self._tags[f"tidemark.{data['status'].replace(' ', '_')}"] = data["note"]

    def _metric(self, name: str, value: float | None, step: int = 0) -> None:
        if value is not None and math.isfinite(value):
            self._metrics.append((name, float(value), step))


def _list_folders(box: str) -> list[str]:
    """List the folders that tell files of one name apart: the parent run holds many boxes'.

    Examples
    --------
    >>> _list_folders("median_impute"), _list_folders("returns_report.next_day")
    (['median_impute'], ['next_day'])
    >>> _list_folders("returns_report"), _list_folders("median_impute.ridge")
    ([], [])
    """
    top, *inner = box.split(".")
    if top.endswith(("_data", "_report")):
        return inner
    return [] if inner else [top]
