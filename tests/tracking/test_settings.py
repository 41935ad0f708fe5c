"""Where runs are tracked: as configured, unless the environment says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tidemark.tracking.settings import TrackingSettings

PROJECT = Path("/srv/project")


@pytest.fixture(autouse=True)
def _no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what the environment of the tests may name."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("TIDEMARK_METRICS_URI", raising=False)


def _resolve(**changes: Any) -> TrackingSettings:
    section = {
        "enabled": True,
        "required": False,
        "tracking_uri": "sqlite:///mlruns/mlflow.db",
        "artifact_location": "mlruns/artifacts",
    }
    return TrackingSettings.resolve({**section, **changes}, PROJECT)


def test_settings_relative_places_count_from_the_projects_root() -> None:
    """The same store is meant from whichever folder a run is started."""
    settings = _resolve()

    assert settings.tracking_uri == "sqlite:////srv/project/mlruns/mlflow.db"
    assert settings.artifact_location == "file:///srv/project/mlruns/artifacts"
    assert (settings.enabled, settings.required) == (True, False)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:////var/mlflow.db", "sqlite:////var/mlflow.db"),
        ("sqlite:///../shared/mlflow.db", "sqlite:////srv/shared/mlflow.db"),
        ("http://mlflow:5000", "http://mlflow:5000"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
    ],
)
def test_settings_uri_is_absolute_or_as_given(uri: str, expected: str) -> None:
    """Only a relative SQLite path is changed."""
    assert _resolve(tracking_uri=uri).tracking_uri == expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("s3://bucket/runs", "s3://bucket/runs"),
        ("file:///var/runs", "file:///var/runs"),
        ("/var/my runs", "file:///var/my%20runs"),
        (None, None),
    ],
)
def test_settings_artifact_location_is_a_uri(place: str | None, expected: str | None) -> None:
    """A path becomes a URI, a URI stays what it is, none stays none."""
    assert _resolve(artifact_location=place).artifact_location == expected


@pytest.mark.parametrize(
    ("uri", "expected", "place"),
    [
        ("http://elsewhere:5000", "http://elsewhere:5000", None),
        ("sqlite:///a/other.db", "sqlite:////srv/project/a/other.db", "/srv/project/a/artifacts"),
        ("sqlite:////var/other.db", "sqlite:////var/other.db", "/var/artifacts"),
    ],
)
def test_settings_environment_wins_and_keeps_its_own_artifacts(
    monkeypatch: pytest.MonkeyPatch, uri: str, expected: str, place: str | None
) -> None:
    """A store from the environment replaces the configured one, and its place for artifacts too."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)

    settings = _resolve()

    assert settings.tracking_uri == expected
    assert settings.artifact_location == (f"file://{place}" if place else None)


def test_settings_with_a_server_leave_artifacts_to_it() -> None:
    """A server knows where its artifacts go; a path of this machine would mean nothing to it."""
    assert _resolve(tracking_uri="http://mlflow:5000").artifact_location is None


def test_settings_empty_environment_variable_is_no_override(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A variable that is set to nothing names no store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")

    assert _resolve().tracking_uri == "sqlite:////srv/project/mlruns/mlflow.db"


@pytest.mark.parametrize("key", ["requird", "tracking_url"])
def test_settings_misspelt_key_is_refused_by_name(key: str) -> None:
    """A key that does not exist is named, not passed over."""
    with pytest.raises(ValidationError, match=key):
        _resolve(**{key: True})


@pytest.mark.parametrize(
    ("configured", "override", "expected"),
    [
        (None, None, "sqlite:////srv/data/metrics.db"),
        ("sqlite:///shared/rows.db", None, "sqlite:////srv/project/shared/rows.db"),
        ("sqlite:////var/rows.db", "", "sqlite:////var/rows.db"),
        ("postgresql://bob@host/db", None, "postgresql://bob@host/db"),
        (None, "postgresql://bob@host/db", "postgresql://bob@host/db"),
        ("postgresql://bob@host/db", "sqlite:///rows.db", "sqlite:////srv/project/rows.db"),
    ],
)
def test_settings_metrics_store_is_in_the_data_root_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
    configured: str | None,
    override: str | None,
    expected: str,
) -> None:
    """The environment names it, or else configuration; a server for MLflow changes nothing."""
    if override is not None:
        monkeypatch.setenv("TIDEMARK_METRICS_URI", override)
    for uri in ("sqlite:///mlruns/mlflow.db", "http://mlflow:5000"):
        settings = _resolve(metrics_store_uri=configured, tracking_uri=uri)

        assert settings.metrics_uri(Path("/srv/data")) == expected
