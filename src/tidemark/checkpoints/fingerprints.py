"""Short hashes that tell one state of the project from another: of its code, of its parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tidemark.checkpoints.identity import flatten, own_code

SHARED = ("as_of", "modelling", "evaluation")
_LENGTH = 16
_PARTS = ("domain", "pipelines")


@cache
def code_fingerprint() -> str:
    """Hash the code that makes the numbers: every module of ``domain`` and ``pipelines``.

    Comments, layout and docstrings do not count. Libraries do not either, nor modules elsewhere
    that these import; a node's checkpoint holds all of them.

    Returns
    -------
    str
        The first 16 digits of a SHA-256. A process reads the files once.

    Raises
    ------
    SyntaxError
        If one of the files cannot be parsed.
    """
    root = Path(__file__).parents[1]
    paths = [path for part in _PARTS for path in (root / part).rglob("*.py")]
    names = [".".join((root.name, *path.relative_to(root).with_suffix("").parts)) for path in paths]
    own = tuple(f"{root.name}.{part}" for part in _PARTS)
    reached = own_code.reach(*names).modules
    return _hash({name: sha256 for name, sha256 in reached.items() if name.startswith(own)})


def parameters_fingerprint(tree: Mapping[str, Any], study: str) -> str:
    """Hash what decides a study's results: `study_parameters`, and the settings of its models.

    Parameters
    ----------
    tree : mapping
        All parameters, as the dataset ``parameters`` holds them.
    study : str
        The study's name.

    Returns
    -------
    str
        The first 16 digits of a SHA-256. The as-of date is one of the parameters.
    """
    return _hash({**study_parameters(tree, study), **flatten({"models": tree["models"][study]})})


def study_parameters(tree: Mapping[str, Any], study: str) -> dict[str, Any]:
    """Flatten a study's parameters to dotted names; what only its reports say is left out."""
    own = {key: tree[key] for key in SHARED}
    flat = flatten({**own, study: tree[study], "scenarios": tree["scenarios"][study]})
    words, alarm = f"{study}.report.", f"{study}.report.too_good_r2"
    return {key: one for key, one in flat.items() if not key.startswith(words) or key == alarm}


def _hash(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]
