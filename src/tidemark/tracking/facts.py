"""What is known of a run before its first node: its facts in the outbox."""

from __future__ import annotations

import getpass
import logging
import subprocess
import sys
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol, DatasetError
from kedro.pipeline import Pipeline

from tidemark.checkpoints.fingerprints import (
    SHARED,
    code_fingerprint,
    parameters_fingerprint,
    study_parameters,
)
from tidemark.checkpoints.identity import flatten, plain
from tidemark.config import Cell, RunInfo
from tidemark.errors import mask

logger = logging.getLogger(__name__)


def describe_run(
    run_params: Mapping[str, Any],
    pipeline: Pipeline,
    catalog: CatalogProtocol[Any, Any],
    info: RunInfo,
) -> dict[str, Any]:
    """Gather a run's facts: tags, hashes, and for each study its parameters and cells."""
    tree = catalog.load("parameters")
    studies: dict[str, Any] = {}
    for node in pipeline.nodes:
        study, cell = info.study_of(node.namespace), info.cell_of(node.namespace)
        if study is None:
            continue
        if study not in studies:
            studies[study] = {
                "params": study_parameters(tree, study),
                "params_hash": parameters_fingerprint(tree, study),
                "cells": {},
            }
        if cell is not None:
            known = studies[study]["cells"].setdefault(
                cell.namespace, {"nodes": [], "params": _cell_params(tree, cell)}
            )
            known["nodes"].append(node.name)
    return {
        "run_id": run_params["run_id"],
        "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "tags": _tags(run_params, info.project_path),
        "code_hash": code_fingerprint(),
        "studies": studies,
    }


def hash_data(catalog: CatalogProtocol[Any, Any], studies: Collection[str]) -> dict[str, str]:
    """Read the hash of the accepted data of each study, which its data publishes."""
    hashes: dict[str, str] = {}
    for study in studies:
        try:
            hashes[study] = catalog.load(f"{study}_data.fingerprint")["data_hash"]
        except (DatasetError, KeyError, TypeError) as error:  # none yet, or damaged
            logger.debug("no data hash of %s: %s", study, error)
    return hashes


def _cell_params(tree: Mapping[str, Any], cell: Cell) -> dict[str, Any]:
    study = {
        key: value
        for key, value in flatten(tree[cell.study]).items()
        if not key.startswith(("validation.", "report."))
    }
    scenario = tree["scenarios"][cell.study][cell.scenario]
    own = {
        "scenario": cell.scenario,
        "model": cell.model,
        "preprocess": scenario.get("preprocess") or {},  # a baseline has none
        **plain(tree["models"][cell.study][cell.model]),
        **{key: tree[key] for key in SHARED},
    }
    return {**flatten(own), **study}


def _tags(run_params: Mapping[str, Any], project_path: Path) -> dict[str, str]:
    commit = _git(project_path, "rev-parse", "HEAD")
    tags = {
        "mlflow.user": _user(),
        "mlflow.source.name": "kedro run",
        "mlflow.source.type": "PROJECT",
        "tidemark.runner": _class_name(str(run_params.get("runner"))),
        "tidemark.command": mask(" ".join(["kedro", *sys.argv[1:]])),
    }
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags["tidemark.git_dirty"] = str(bool(_git(project_path, "status", "--porcelain"))).lower()
    return tags


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return "unknown"


def _class_name(text: str) -> str:
    """Read the class out of what Kedro gives of a runner: ``<kedro.runner.X object at 0x1>``."""
    return text.partition(" object at ")[0].rpartition(".")[2]


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", *words],  # noqa: S607 - whichever git the user has
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
