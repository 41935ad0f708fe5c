"""A node's identity holds all that decides what it makes, and nothing that does not."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node

from tidemark.checkpoints.entries import Entries
from tidemark.checkpoints.identity import Identity, flatten, identify, plain
from tidemark.config import Cell, RunInfo, Strict
from tidemark.domain.profile import profile_levels
from tidemark.pipelines.modelling.nodes import train


class Settings(Strict):
    """Stand for a node's typed parameters."""

    lags: tuple[int, ...]
    level: float = 0.95


def copy(table: Any, *_: Any) -> Any:
    """Stand for a node function that lives outside the package."""
    return table


ENTRIES: dict[str, dict[str, Any]] = {
    "table": {"type": "pandas.ParquetDataset", "filepath": "DIR/t.parquet"},
    "copied": {"type": "json.JSONDataset", "filepath": "DIR/c.json", "metadata": {"a": 1}},
}


@pytest.fixture
def about(tmp_path: Path) -> Callable[..., Identity]:
    """Identify a node of some function over a catalog in the test's folder."""

    def identify_node(
        func: Callable[..., Any] = copy,
        entries: dict[str, dict[str, Any]] | None = None,
        **params: Any,
    ) -> Identity:
        text = json.dumps({**ENTRIES, **(entries or {})}).replace("DIR", str(tmp_path / "data"))
        catalog = DataCatalog.from_config(json.loads(text))
        names = [f"params:{name}" for name in params]
        for name, value in zip(names, params.values(), strict=True):
            catalog[name] = value
        root = tmp_path / "data"
        info = RunInfo(project_path=tmp_path, data_root=root, scenarios={}, mlflow={}, retries={})
        node = Node(copy, ["table", *names], "copied", name="copy")
        node.func = func  # afterwards, because Kedro checks the number of arguments
        return identify(node, Entries(catalog, info))

    return identify_node


@pytest.fixture
def load_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Make a module of a source text; it is found by ``inspect`` as any other."""

    def load(source: str) -> ModuleType:
        name = f"module_{hashlib.sha256(source.encode()).hexdigest()[:8]}"
        path = tmp_path / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_identity_params_are_plain_values(about: Callable[..., Identity]) -> None:
    """Typed parameters are recorded whole, with their defaults, as JSON can hold them."""
    cell = Cell("returns", "median_impute", "ridge")
    found = about(features=Settings(lags=(1, 2)), cell=cell, day="2019-01-03").params

    expected = {
        "features": {"lags": [1, 2], "level": 0.95},
        "cell": {"study": "returns", "scenario": "median_impute", "model": "ridge"},
        "day": "2019-01-03",
    }
    assert found == expected
    assert json.loads(json.dumps(found)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([date(2019, 1, 3)], ["2019-01-03"]),
        ({"days": [{"first": date(2019, 1, 3)}]}, {"days": [{"first": "2019-01-03"}]}),
        ([(1, 2)], [[1, 2]]),
        ({1: [{2: "a"}]}, {"1": [{"2": "a"}]}),
    ],
)
def test_identity_params_are_what_a_checkpoint_gives_back(
    about: Callable[..., Identity], value: object, expected: object
) -> None:
    """YAML knows dates and numbers as keys, JSON does not: else such a node were never fresh."""
    found = about(free=value).params

    assert found == json.loads(json.dumps(found)) == {"free": expected}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Settings(lags=(1,)), {"lags": [1], "level": 0.95}),
        (Path("x"), "x"),
        (date(2019, 1, 3), "2019-01-03"),
        (None, None),
        (False, False),
        ([1, "a"], [1, "a"]),
    ],
)
def test_plain_value_is_what_json_holds_or_text(value: object, expected: object) -> None:
    """Models and dataclasses become dicts, what JSON knows stays, anything else becomes text."""
    assert plain(value) == expected


def test_flatten_names_every_leaf_by_its_path() -> None:
    """Mappings and models are gone through, lists and empty mappings are leaves or nothing."""
    tree = {"a": {"b": {"c": 1}}, "d": Settings(lags=(1,)), "e": [{"f": 2}], "g": {}, "h": None}

    assert flatten(tree) == {"a.b.c": 1, "d.lags": [1], "d.level": 0.95, "e": [{"f": 2}], "h": None}


def test_identity_of_a_function_of_the_project_is_all_code_that_it_reaches(
    about: Callable[..., Identity],
) -> None:
    """Helpers of the mathematics count; commands, the runner and other stages do not."""
    found = about(train, features=Settings(lags=()))

    assert found.function == "tidemark.pipelines.modelling.nodes.train"
    assert {"tidemark.domain.estimators", "tidemark.pipelines.modelling.params"} <= set(found.code)
    assert not {"tidemark.cli", "tidemark.runner", "tidemark.pipelines.reporting.nodes"} & set(
        found.code
    )
    assert all(len(digest) == 64 for digest in found.code.values())


def test_identity_of_typed_parameters_holds_their_module(about: Callable[..., Identity]) -> None:
    """How a parameter's type computes what it is asked for is part of the result."""
    without = about(profile_levels)
    found = about(profile_levels, cell=Cell("returns", "median_impute", "ridge"))

    assert "tidemark.config" not in without.code
    assert "tidemark.config" in found.code


@pytest.mark.parametrize(
    ("entry", "module"),
    [
        (
            {**ENTRIES["table"], "validator": "tidemark.domain.schemas.Prices"},
            "tidemark.domain.schemas",
        ),
        (
            {**ENTRIES["table"], "validator": {"class": "tidemark.domain.schemas.Prices"}},
            "tidemark.domain.schemas",
        ),
        (
            {"type": "tidemark.datasets.figure.FigureDataset", "filepath": "DIR/f.png"},
            "tidemark.datasets.figure",
        ),
        (
            {
                "type": "partitions.PartitionedDataset",
                "path": "DIR/p",
                "dataset": {"type": "tidemark.datasets.figure.FigureDataset"},
            },
            "tidemark.datasets.figure",
        ),
    ],
    ids=["validator", "long validator", "dataset", "dataset within"],
)
def test_identity_holds_the_module_that_an_entry_names(
    about: Callable[..., Identity], entry: dict[str, Any], module: str
) -> None:
    """The rules that a table is held to, and the code that writes it, decide what is stored."""
    without = about(profile_levels).code

    assert module not in without
    assert {module, "tidemark.domain.profile"} <= about(
        profile_levels, {"table": entry}
    ).code.keys()


@pytest.mark.parametrize(
    ("value", "is_reached"),
    [
        ("tidemark.domain.labels.label_next_return", True),
        ({"steps": [{"kind": "tidemark.domain.labels"}]}, True),
        ("see tidemark.domain.labels", False),
        ("xtidemark.domain.labels", False),
        ("tidemark", False),
    ],
)
def test_identity_of_params_that_name_code_of_the_project_holds_its_module(
    about: Callable[..., Identity], value: Any, is_reached: bool
) -> None:
    """A class or function chosen by its dotted name counts; a text that mentions one does not."""
    found = about(choice=value).code

    assert ("tidemark.domain.labels" in found) is is_reached


def test_identity_entries_are_described_and_parameters_are_none_of_them(
    about: Callable[..., Identity],
) -> None:
    """What is read and written is there once, without machine's paths; memory is None."""
    found = about(level=0.95, entries={"table": {"type": "MemoryDataset"}}).entries

    expected = {"type": "json.JSONDataset", "filepath": "<data_root>/c.json"}
    assert found == {"table": None, "copied": expected}


def test_identity_libraries_have_the_installed_versions(about: Callable[..., Identity]) -> None:
    """What the code imports and what the entries are stored with count, each once."""
    found = about(train).libraries

    names = {"numpy", "pandas", "scikit-learn", "kedro-datasets", "pyarrow"}
    assert {name: found[name] for name in names} == {name: version(name) for name in names}
    assert not {"tidemark", "mlflow", "json"} & found.keys()


def test_identity_libraries_follow_the_entries(about: Callable[..., Identity]) -> None:
    """A node that reads Parquet depends on pandas and pyarrow though its code imports neither."""
    json_only = about(entries={"table": ENTRIES["copied"]}).libraries
    parquet = about().libraries

    assert parquet.keys() - json_only.keys() == {"pandas", "pyarrow"}
    assert "kedro-datasets" in json_only


def test_identity_of_a_function_from_elsewhere_sees_the_whole_module(
    about: Callable[..., Identity], load_module: Callable[[str], ModuleType]
) -> None:
    """Comments and blank lines change nothing; a helper in the same module changes the hash."""
    source = "HALF = 2\n\ndef half(table):\n    return table / HALF\n"
    laid_out = "# why\nHALF = (2)\n\n\ndef half( table ):\n\n    return table/HALF  # because\n"
    sources = (source, laid_out, source.replace("HALF = 2", "HALF = 3"))
    modules = [load_module(text) for text in sources]

    found = [about(module.half).code for module in modules]

    assert [list(code) for code in found] == [[module.__name__] for module in modules]
    first, second, third = (code[name] for code in found for name in code)
    assert first == second != third


def test_identity_of_a_builtin_has_no_code_and_is_no_error(about: Callable[..., Identity]) -> None:
    """A function without source is known by its name."""
    found = about(len)

    assert (found.function, found.code) == ("builtins.len", {})


def test_identity_of_a_wrapped_function_is_that_of_the_function_within(
    about: Callable[..., Identity],
) -> None:
    """Partial application, also twice, and decorators do not hide what is run."""

    def decorated(*arguments: Any) -> Any:
        return train(*arguments)

    decorated.__wrapped__ = train  # as `functools.wraps` does
    twice = functools.partial(functools.partial(train, None), params=None)

    for func in (twice, decorated, functools.partial(decorated, None)):
        found = about(func)
        assert found.function == "tidemark.pipelines.modelling.nodes.train"
        assert found.code == about(train).code
