"""One hash for the code that makes the numbers, one for a study's parameters."""

from __future__ import annotations

import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

import tidemark
from tidemark.checkpoints.fingerprints import parameters_fingerprint, study_parameters

SOURCE = Path(tidemark.__file__).parent

# Says the hash of the copy that stands in the working folder.
SAY = "from tidemark.checkpoints.fingerprints import code_fingerprint as say; print(say())"

TREE: dict[str, Any] = {
    "as_of": "2019-01-03",
    "modelling": {"seed": 7},
    "evaluation": {"level": 0.95},
    "returns": {
        "split": {"n_folds": 5},
        "report": {"title": "Returns", "too_good_r2": 0.01, "too_good_for_whom": "Nobody"},
    },
    "other": {"split": {"n_folds": 3}, "report": {"too_good_r2": None}},
    "scenarios": {"returns": {"low": {"models": ["ridge"]}}, "other": {}},
    "models": {"returns": {"ridge": {"grid": {"alpha": [1.0, 2.0]}}}, "other": {}},
}


@pytest.mark.parametrize(
    ("file", "more", "is_other"),
    [
        ("domain/metrics.py", "\nSOMETHING = 1\n", True),
        ("pipelines/modelling/params.py", "\nSOMETHING = 1\n", True),
        ("domain/unheard_of.py", "SOMETHING = 1\n", True),
        ("domain/metrics.py", "\n# A comment.\n", False),
        ("tracking/outbox.py", "\nSOMETHING = 1\n", False),
    ],
)
def test_code_fingerprint_changes_with_the_code_that_makes_the_numbers(
    tmp_path: Path, file: str, more: str, is_other: bool
) -> None:
    """A module of the mathematics or the pipelines counts, wherever it lies; all else does not."""
    copy = tmp_path / "tidemark"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    words = [sys.executable, "-c", SAY]
    before = subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    with (copy / file).open("a", encoding="utf-8") as changed:
        changed.write(more)
    after = subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert len(before.strip()) == len(after.strip()) == 16
    assert (before != after) == is_other


@pytest.mark.parametrize(
    ("path", "is_other"),
    [
        (("as_of",), True),
        (("modelling", "seed"), True),
        (("returns", "split", "n_folds"), True),
        (("scenarios", "returns", "low", "models"), True),
        (("models", "returns", "ridge", "grid", "alpha"), True),
        (("returns", "report", "too_good_r2"), True),
        (("returns", "report", "title"), False),
        (("returns", "report", "too_good_for_whom"), False),
        (("other", "report", "too_good_r2"), False),
        (("other", "split", "n_folds"), False),
    ],
)
def test_parameters_fingerprint_changes_with_what_decides_the_results(
    path: tuple[str, ...], is_other: bool
) -> None:
    """Settings of the study and its models count; a report's prose and other studies do not.

    What is too good to be believed is a setting, though a report's: it decides who raises an alarm.
    """
    changed = deepcopy(TREE)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = "changed"

    assert len(parameters_fingerprint(TREE, "returns")) == 16
    differs = parameters_fingerprint(changed, "returns") != parameters_fingerprint(TREE, "returns")
    assert differs == is_other


def test_parameters_fingerprint_is_the_same_in_any_order() -> None:
    """In which order a file names its parameters does not matter."""
    turned = {key: TREE[key] for key in reversed(TREE)}

    assert parameters_fingerprint(turned, "returns") == parameters_fingerprint(TREE, "returns")


def test_study_parameters_are_flat_and_without_prose() -> None:
    """What MLflow is told of a study: resolved parameters by dotted names."""
    assert study_parameters(TREE, "returns") == {
        "as_of": "2019-01-03",
        "modelling.seed": 7,
        "evaluation.level": 0.95,
        "returns.split.n_folds": 5,
        "returns.report.too_good_r2": 0.01,
        "scenarios.low.models": ["ridge"],
    }
