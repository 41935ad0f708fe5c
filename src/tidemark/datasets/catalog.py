"""The project's catalogs: what they save is whole or absent, and they travel to workers."""

from __future__ import annotations

import copy
import os
from collections.abc import Generator, Iterable
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Self

import parse
from kedro.io import AbstractVersionedDataset, DataCatalog, MemoryDataset
from kedro.io.catalog_config_resolver import CatalogConfigResolver
from kedro.io.data_catalog import SharedMemoryDataCatalog

from tidemark.files import name_aside


class _Resolver(CatalogConfigResolver):
    """Kedro's resolver, but each pattern is compiled once, and not anew for every name.

    Matching three hundred names was a tenth of the time in which a run finds nothing to do.
    """

    @classmethod
    def of(cls, other: CatalogConfigResolver) -> Self:
        """Take over what another resolver knows."""
        own = cls.__new__(cls)
        own.__dict__.update(vars(other))
        return own

    @classmethod
    def _get_matches(cls, patterns: Iterable[str], ds_name: str) -> Generator[str]:
        return (pattern for pattern in patterns if _compile(pattern).parse(ds_name))

    @classmethod
    def _resolve_dataset_config(cls, ds_name: str, pattern: str, config: Any) -> Any:
        return _fill(config, _compile(pattern).parse(ds_name).named)


@cache
def _compile(pattern: str) -> Any:
    return parse.compile(pattern)


def _fill(config: Any, names: dict[str, Any]) -> Any:
    """Put the names that a pattern has matched into an entry, as Kedro does."""
    if isinstance(config, dict):
        return {key: _fill(value, names) for key, value in config.items()}
    if type(config) in (list, tuple):
        return [_fill(value, names) for value in config]
    return config.format_map(names) if isinstance(config, str) and "}" in config else config


class _SavesAside(DataCatalog):
    """A catalog that saves beside a file's place, then moves the file there."""

    def __init__(self, *args: Any, **options: Any) -> None:
        given = options.get("config_resolver")
        if given is not None:
            options["config_resolver"] = _Resolver.of(given)
        super().__init__(*args, **options)

    def save(self, ds_name: str, data: Any) -> None:
        """Save data, as `DataCatalog.save` does.

        Kedro's own datasets write where a reader looks. Here they write under another name in
        the same folder, and the whole file is moved; a kill at any instant leaves the old file,
        or none.
        """
        dataset: Any = self[ds_name]
        if not _can_move(dataset):
            super().save(ds_name, data)
            return
        place = Path(dataset._get_save_path())
        aside = name_aside(Path(dataset._filepath))
        aside.parent.mkdir(parents=True, exist_ok=True)
        self._datasets[ds_name] = dataset._copy(
            _filepath=PurePosixPath(aside.as_posix()), _version=None
        )
        try:
            super().save(ds_name, data)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(aside, place)
        finally:
            self._datasets[ds_name] = dataset
            aside.unlink(missing_ok=True)
        dataset.release()  # forgets which version was the newest


class TidemarkCatalog(_SavesAside):
    """The catalog of every runner that shares memory, and of workers that do not.

    Pickled, it leaves behind what lies in memory, parameters excepted: a worker reads from the
    disk.
    """

    def __getstate__(self) -> dict[str, Any]:
        """Drop frames and other data in memory, and what is remembered of newest versions."""
        state = super().__getstate__()
        state["_datasets"] = {
            name: _without_memory(dataset)
            for name, dataset in self._datasets.items()
            if not isinstance(dataset, MemoryDataset) or is_parameter(name)
        }
        return state


class SharedTidemarkCatalog(_SavesAside, SharedMemoryDataCatalog):
    """The catalog of Kedro's process runner."""


def _without_memory(dataset: Any) -> Any:
    if not isinstance(dataset, AbstractVersionedDataset):
        return dataset
    fresh = copy.copy(dataset)
    fresh._cached_load_version = None  # other processes save while this one remembers
    return fresh


def _can_move(dataset: Any) -> bool:
    """Say whether a dataset is one file of this disk, and nothing odd lies in its place."""
    if not isinstance(dataset, AbstractVersionedDataset):
        return False  # the project's own datasets write aside by themselves
    place = Path(dataset._filepath)
    fits = not place.exists() or place.is_dir() is (dataset._version is not None)
    return getattr(dataset, "_protocol", None) == "file" and fits


def is_parameter(name: str) -> bool:
    """Say whether a dataset's name means parameters."""
    return name == "parameters" or name.startswith("params:")
