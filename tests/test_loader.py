"""The project's loader says what Kedro's own says, in less time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.config import OmegaConfigLoader
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from omegaconf.errors import InterpolationResolutionError

from tidemark.loader import TidemarkConfigLoader

ROOT = Path(__file__).parents[1]
KEYS = ("globals", "parameters", "catalog", "mlflow", "retries", "alerts")
GIVEN = {"data_root": "~/elsewhere", "as_of": "2018-12-31", "evaluation": {"n_replicates": 9}}


@pytest.fixture(autouse=True)
def _project() -> None:
    bootstrap_project(ROOT)


def _write(conf: Path, files: dict[str, Any]) -> str:
    for name in ("base", "local"):
        (conf / name).mkdir(parents=True)
    for name, content in files.items():
        (conf / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(conf)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("given", [{}, GIVEN], ids=["plain", "given"])
def test_loader_gives_what_kedros_own_gives(key: str, given: dict[str, Any]) -> None:
    """Every part of the project's configuration is the same, in the same order."""
    options = {"conf_source": str(ROOT / "conf"), "runtime_params": given}
    own = TidemarkConfigLoader(**options, **settings.CONFIG_LOADER_ARGS)[key]
    theirs = OmegaConfigLoader(**options, **settings.CONFIG_LOADER_ARGS)[key]

    assert own == theirs
    assert list(own) == list(theirs)


@pytest.mark.parametrize(
    "hidden",
    [
        "${globals:place}",
        "${_other}/deeper",
        "plain",
        {"a": "${_other}", "b": "${.a}"},
        ["${_other}"],
        "${_tree}",
        None,
    ],
)
def test_loader_of_a_catalog_resolves_hidden_names_as_kedro_does(
    tmp_path: Path, hidden: Any
) -> None:
    """Whatever a hidden name stands for, and wherever it is defined, entries see the same."""
    files = {
        "base/globals.yml": {"place": "there"},
        "base/catalog.yml": {"x": {"type": "MemoryDataset", "metadata": {"a": "${_hidden}"}}},
        "base/catalog_more.yml": {"_hidden": hidden, "_other": "${globals:place}"},
        "base/catalog_tree.yml": {"_tree": {"a": "${_other}", "b": "${.a}", "c": "${_other}"}},
    }
    options = {"conf_source": _write(tmp_path / "conf", files), "base_env": "base"}
    options["default_run_env"] = "local"

    own = TidemarkConfigLoader(**options)["catalog"]
    assert own == OmegaConfigLoader(**options)["catalog"]
    assert list(own) == ["x"]


def test_loader_of_a_catalog_with_an_unknown_name_raises(tmp_path: Path) -> None:
    """A hidden name that leads nowhere is an error, as with Kedro's own loader."""
    files = {
        "base/globals.yml": {"place": "there"},
        "base/catalog.yml": {"_hidden": "${globals:plaice}", "x": {"type": "MemoryDataset"}},
    }
    conf = _write(tmp_path / "conf", files)
    loader = TidemarkConfigLoader(conf_source=conf, base_env="base", default_run_env="local")

    with pytest.raises(InterpolationResolutionError, match="plaice"):
        loader["catalog"]
