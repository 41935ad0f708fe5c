"""The configuration loader: each part is read once in a process."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf

from tidemark.errors import ConfigError


class TidemarkConfigLoader(OmegaConfigLoader):
    """Remember what was read, and leave nothing to chance.

    Kedro reads and merges every file again for each question: half of the time in which a run
    finds that it has nothing to do. And it lets two files of a folder disagree on a name that
    begins with an underscore.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Read one part of the configuration, or copy what was read before."""
        if key in self:  # somebody has set it
            return super().__getitem__(key)
        known: dict[str, dict[str, Any]] = self.__dict__.setdefault("_known", {})
        if key not in known:
            known[key] = super().__getitem__(key)
        return deepcopy(known[key])

    def _check_duplicates(self, key: str, config_per_file: dict[Path, DictConfig]) -> None:
        # Kedro reads files in the order of a set: of two values, chance would choose one. Mappings
        # with different keys would be merged, and are refused too: say a mapping in one place.
        super()._check_duplicates(key, config_per_file)
        found: dict[str, tuple[Path, str]] = {}
        for path, config in config_per_file.items():
            names = [str(name) for name in config if str(name).startswith("_")]
            shared: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, names))
            for name, value in shared.items():
                text = json.dumps(value, sort_keys=True, default=str)  # 1 is not true
                first, known = found.setdefault(name, (path, text))
                if text != known:
                    one, other = sorted(f"{each.parent.name}/{each.name}" for each in (first, path))
                    raise ConfigError(
                        f"'{name}' is one thing in {one} and another in {other}. Say it once: it "
                        "holds for all files of its kind in a folder."
                    )

    def _merge_and_resolve(self, key: str, config_per_file: dict[Path, DictConfig]) -> Any:
        # What begins with an underscore is there to be used by others: it is resolved here once,
        # and not anew for each of them.
        if key != "catalog" or not config_per_file:
            return super()._merge_and_resolve(key, config_per_file)
        merged: Any = OmegaConf.unsafe_merge(*config_per_file.values())
        for name in merged:
            if name.startswith("_") and OmegaConf.is_interpolation(merged, name):
                merged[name] = merged[name]
        return super()._merge_and_resolve(key, {Path(): merged})

    def _merge_configs(
        self, config: dict[str, Any], env_config: dict[str, Any], key: str, env_path: str
    ) -> Any:
        # An environment that says nothing leaves all as it is; finding that out takes Kedro as
        # long as resolving it did.
        return super()._merge_configs(config, env_config, key, env_path) if env_config else config
