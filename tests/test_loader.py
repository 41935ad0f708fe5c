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

from tidemark.errors import ConfigError
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


@pytest.mark.parametrize("value", ["one", {"a": "${globals:place}", "b": 1}, [1, 2], None])
def test_loader_takes_a_hidden_name_twice_if_it_is_the_same(tmp_path: Path, value: Any) -> None:
    """Each file may say what it uses, as long as they agree."""
    files = {
        "base/globals.yml": {"place": "there"},
        "base/catalog.yml": {"_hidden": value, "x": {"type": "MemoryDataset"}},
        "base/catalog_more.yml": {"_hidden": value},
    }
    conf = _write(tmp_path / "conf", files)
    assert list(TidemarkConfigLoader(conf, base_env="base", default_run_env="local")["catalog"])


@pytest.mark.parametrize("kind", ["catalog", "parameters", "mlflow"])
def test_loader_refuses_a_hidden_name_with_two_values(tmp_path: Path, kind: str) -> None:
    """Kedro reads files in the order of a set, so that chance would choose between them."""
    timeouts = {"connect_timeout_seconds": 10, "read_timeout_seconds": 30}
    files = {
        f"base/{kind}_a.yml": {"_args": timeouts, "x": {"type": "MemoryDataset"}},
        f"base/{kind}_b.yml": {"_args": {**timeouts, "read_timeout_seconds": 4}},
    }
    conf = _write(tmp_path / "conf", files)
    loader = TidemarkConfigLoader(conf, **settings.CONFIG_LOADER_ARGS)
    with pytest.raises(ConfigError, match=f"'_args' .* base/{kind}_a.yml .* base/{kind}_b.yml"):
        loader[kind]


def test_loader_tells_one_from_true(tmp_path: Path) -> None:
    """They are equal in Python, and not the same."""
    files = {"base/catalog_a.yml": {"_flag": 1}, "base/catalog_b.yml": {"_flag": True}}
    loader = TidemarkConfigLoader(
        _write(tmp_path / "conf", files), base_env="base", default_run_env="local"
    )
    with pytest.raises(ConfigError, match="'_flag'"):
        loader["catalog"]


def test_loader_lets_an_environment_say_a_hidden_name_anew(tmp_path: Path) -> None:
    """Another folder's files are read apart."""
    entry = {"type": "MemoryDataset", "metadata": {"a": "${_args}"}}
    files = {
        "base/catalog.yml": {"_args": 1, "x": entry},
        "local/catalog.yml": {"_args": 2, "y": entry},
    }
    conf = _write(tmp_path / "conf", files)
    found = TidemarkConfigLoader(conf, base_env="base", default_run_env="local")["catalog"]
    assert [found[name]["metadata"]["a"] for name in "xy"] == [1, 2]
