"""Parameters that several stages of every study share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tidemark.config import Strict

Share = Annotated[float, Field(gt=0, lt=1)]


class SplitParams(Strict):
    """How sessions are cut into train, folds and test, and how often models are refitted."""

    test_share: Share
    n_folds: Annotated[int, Field(ge=2)]
    horizon_days: Annotated[int, Field(ge=1)]
    embargo_days: Annotated[int, Field(ge=0)]
    refit_sessions: Annotated[int, Field(ge=1)]
    window_sessions: Annotated[int, Field(ge=2)] | None = None


class EvaluationParams(Strict):
    """How forecasts are judged."""

    seed: int
    n_replicates: Annotated[int, Field(ge=100)]
    bootstrap: Literal["stationary", "circular"]
    block_length_days: Literal["auto"] | Annotated[float, Field(ge=1)]
    interval: Literal["bca", "percentile"]
    level: Share
    confidence_set_size: Share


class AuditParams(Strict):
    """How often the leakage audit takes the future away."""

    n_cuts: Annotated[int, Field(ge=1)]
    seed: int
    exogenous_delay_days: Annotated[int, Field(ge=0)]


class QuantityParams(Strict):
    """What a study forecasts, in words, and how it is shown."""

    name: str
    unit: str
    scale: Annotated[float, Field(gt=0)]
