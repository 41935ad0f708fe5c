"""A node's identity: all that decides what it makes, but for the content of its inputs."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import lru_cache
from typing import Any

from kedro.pipeline.node import Node
from pydantic import BaseModel

from tidemark.checkpoints.code import DISTRIBUTIONS, CodeReader, library_version
from tidemark.checkpoints.entries import Entries
from tidemark.datasets.catalog import is_parameter

_PARAMS = "params:"
_PACKAGE = "tidemark"
_OWN_PATH = re.compile(rf"{_PACKAGE}(\.\w+)+")
_STORED_WITH = {
    "matplotlib.": "matplotlib",
    "pandas.": "pandas",
    "Parquet": "pyarrow",
    "Snapshot": "pyarrow",
    "TableFile": "pyarrow",
}
_PLAIN = (str, int, float, list, dict)
own_code = CodeReader(_PACKAGE)  # each file is parsed once in a process


@dataclass(frozen=True)
class Identity:
    """What decides a node's outputs.

    ``wiring`` holds the inputs and outputs in the function's order, and bound arguments. ``code``
    maps each module of the project that the node reaches to the hash of its syntax
    tree, ``entries`` each dataset that it reads or writes to its catalog entry, ``libraries``
    each library that this code imports to its version.
    """

    function: str
    wiring: Mapping[str, Any]
    code: Mapping[str, str]
    params: Mapping[str, Any]
    entries: Mapping[str, Any]
    libraries: Mapping[str, str]


def identify(node: Node, entries: Entries) -> Identity:
    """Gather a node's identity; nothing that it reaches is imported for that."""
    func = _unwrap(node.func)
    params = {name: entries.catalog.load(name) for name in node.inputs if is_parameter(name)}
    plain_params = {name.removeprefix(_PARAMS): plain(value) for name, value in params.items()}
    described = {
        name: entries.describe(name)
        for name in dict.fromkeys([*node.inputs, *node.outputs])
        if not is_parameter(name)
    }
    reached = own_code.reach(
        func.__module__,
        *{type(value).__module__ for value in params.values()},
        *_own_paths([plain_params, described]),
    )
    code = dict(reached.modules)
    if func.__module__ not in code:
        code |= _hash_foreign(func)
    names = {*reached.libraries, *_libraries_of(described.values())}
    versions = {DISTRIBUTIONS.get(one, one): library_version(one) for one in sorted(names)}
    return Identity(
        function=f"{func.__module__}.{func.__qualname__}",
        wiring=_as_stored(
            {"inputs": node._inputs, "outputs": node._outputs, "bound": _bound(node.func)}
        ),
        code=code,
        params=_as_stored(plain_params),
        entries=described,
        libraries={
            "python": ".".join(map(str, sys.version_info[:2])),
            **{name: version for name, version in versions.items() if version},
        },
    )


def plain(value: Any) -> Any:
    """Turn a parameter into plain types."""
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


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


def _unwrap(func: Any) -> Any:
    while isinstance(func, functools.partial):
        func = func.func
    return inspect.unwrap(func)


def _bound(func: Any) -> list[Any]:
    """List what a function holds before its node gives it more: arguments, names closed over."""
    bound: list[Any] = []
    while isinstance(func, functools.partial):
        bound.append([list(map(plain, func.args)), {k: plain(v) for k, v in func.keywords.items()}])
        func = func.func
    for cell in getattr(func, "__closure__", None) or ():
        held = cell.cell_contents
        bound.append(getattr(held, "__qualname__", None) or plain(held))
    return bound


def _as_stored(value: Any) -> Any:
    """Give a value the form in which a checkpoint gives it back."""
    return json.loads(json.dumps(value, default=str))


def _own_paths(value: Any) -> Iterator[str]:
    """Find what names a class or function of the project: validators, dataset types."""
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _own_paths(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _own_paths(one)
    elif isinstance(value, str) and _OWN_PATH.fullmatch(value):
        yield value


def _libraries_of(entries: Any) -> Iterator[str]:
    """Name what datasets store with, where their code does not import it."""
    for entry in entries:
        kind = str((entry or {}).get("type", _PACKAGE)).removeprefix("kedro_datasets.")
        if not kind.startswith(_PACKAGE):
            yield "kedro_datasets"
        yield from (name for word, name in _STORED_WITH.items() if word in kind)


@lru_cache
def _hash_foreign(func: Any) -> dict[str, str]:
    """Hash the module of a function from elsewhere, where its source can be read."""
    module = inspect.getmodule(func)
    try:
        source = inspect.getsource(module or func)
    except (OSError, TypeError):
        return {}
    digest = hashlib.sha256(ast.dump(ast.parse(source)).encode()).hexdigest()
    return {func.__module__: digest}
