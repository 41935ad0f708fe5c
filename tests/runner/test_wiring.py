"""The order in which a node's function is given its inputs decides what it makes."""

from __future__ import annotations

from functools import partial
from typing import Any

from kedro.pipeline import Node

from tidemark.checkpoints.entries import Entries
from tidemark.checkpoints.identity import identify
from tidemark.datasets.catalog import TidemarkCatalog


def subtract(first: float, second: float) -> float:
    """Take one number from another."""
    return first - second


def _wiring(func: Any, inputs: Any, outputs: Any = "out") -> Any:
    catalog = TidemarkCatalog.from_config({"{name}": {"type": "json.JSONDataset", "filepath": "x"}})
    return identify(Node(func, inputs, outputs, name="n"), Entries(catalog, None)).wiring


def test_identity_of_swapped_inputs_differs() -> None:
    """First minus second is not second minus first."""
    assert _wiring(subtract, ["a", "b"]) != _wiring(subtract, ["b", "a"])


def test_identity_of_inputs_by_name_differs_when_names_swap() -> None:
    """Inputs that are given by name count by that name."""
    one = _wiring(subtract, {"first": "a", "second": "b"})
    assert one != _wiring(subtract, {"first": "b", "second": "a"})


def test_identity_of_a_bound_argument_differs_with_its_value() -> None:
    """What a partial function was given before is a part of what it makes."""
    one = _wiring(partial(subtract, second=1.0), ["a"])
    assert one != _wiring(partial(subtract, second=2.0), ["a"])
    assert one == _wiring(partial(subtract, second=1.0), ["a"])
