"""Where runs are tracked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidemark.config import Strict

_SQLITE = "sqlite:///"


class TrackingSettings(Strict):
    """The content of ``mlflow.yml``."""

    enabled: bool
    required: bool
    tracking_uri: str
    artifact_location: str | None = None
    metrics_store_uri: str | None = None

    @classmethod
    def resolve(cls, section: Mapping[str, Any], project_path: Path) -> TrackingSettings:
        """Read the section, let the environment override it, and make paths absolute.

        ``MLFLOW_TRACKING_URI`` names another MLflow store, ``TIDEMARK_METRICS_URI`` another
        metrics store. Artifacts of a SQLite store lie where configuration says, or beside a store
        that the environment names; a server puts them where it likes.
        """
        settings = cls.model_validate(section)
        metrics = os.environ.get("TIDEMARK_METRICS_URI") or settings.metrics_store_uri
        if metrics and metrics.startswith(_SQLITE):
            metrics = f"{_SQLITE}{(project_path / metrics.removeprefix(_SQLITE)).resolve()}"
        settings = settings.model_copy(update={"metrics_store_uri": metrics or None})
        override = os.environ.get("MLFLOW_TRACKING_URI")
        uri = override or settings.tracking_uri
        place = settings.artifact_location
        if not uri.startswith(_SQLITE):
            place = place if place and "://" in place and not override else None
            return settings.model_copy(update={"tracking_uri": uri, "artifact_location": place})
        database = (project_path / uri.removeprefix(_SQLITE)).resolve()
        if override:
            place = (database.parent / "artifacts").as_uri()
        elif place is not None and "://" not in place:
            place = (project_path / place).resolve().as_uri()
        return settings.model_copy(
            update={"tracking_uri": f"{_SQLITE}{database}", "artifact_location": place}
        )

    @property
    def is_server(self) -> bool:
        """Whether runs are sent to a tracking server, whose pages are open to whoever asks."""
        return self.tracking_uri.startswith(("http://", "https://"))

    def metrics_uri(self, data_root: Path) -> str:
        """Name the metrics store: as configured, or ``metrics.db`` in the data root."""
        return self.metrics_store_uri or f"{_SQLITE}{(data_root / 'metrics.db').absolute()}"
