"""Rules of a table of checks: what to do once a check's measure exceeds its bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["refuse", "quarantine", "warn"]


@dataclass(frozen=True)
class Rule:
    """One row of a table of checks: the action once the measure exceeds the bound."""

    action: Action
    bound: float = 0.0
