"""Fixtures: the studies that the script rebuilds, and the functions that it uses."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

DATA = Path(__file__).resolve().parents[2] / "data"


@pytest.fixture(scope="session")
def tables() -> ModuleType:
    """Import what writes and compares tables; it lies beside the data."""
    return _import("rebuilding.tables")


@pytest.fixture(scope="session")
def returns() -> ModuleType:
    """Import what builds the data of the stock-returns study."""
    return _import("rebuilding.returns")


@pytest.fixture(scope="session")
def cross_asset() -> ModuleType:
    """Import what builds the data of the cross-asset study."""
    return _import("rebuilding.cross_asset")


def _import(name: str) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DATA))
        return importlib.import_module(name)
