"""The configuration loader: each part is read once in a process."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from kedro.config import OmegaConfigLoader


class TidemarkConfigLoader(OmegaConfigLoader):
    """Remember what was read: Kedro reads and merges every file again for each question.

    Without it, reading YAML is half of the time in which a run finds that it has nothing to do.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Read one part of the configuration, or copy what was read before."""
        if key in self:  # somebody has set it
            return super().__getitem__(key)
        known: dict[str, dict[str, Any]] = self.__dict__.setdefault("_known", {})
        if key not in known:
            known[key] = super().__getitem__(key)
        return deepcopy(known[key])
