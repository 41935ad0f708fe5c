"""Parameters of the returns study's features and split."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from tidemark.config import Strict

Positive = Annotated[int, Field(ge=1)]


class FeatureParams(Strict):
    """Look-backs of the features, in sessions."""

    lags: tuple[Annotated[int, Field(ge=0)], ...]  # 0 is the target itself: the audit refuses it
    windows: tuple[Annotated[int, Field(ge=2)], ...]
    exogenous_lags: tuple[Annotated[int, Field(ge=2)], ...]

    @property
    def longest(self) -> int:
        """Sessions that the longest look-back covers, the decision's own among them."""
        return max([*self.lags, *self.windows, *self.exogenous_lags])

    @model_validator(mode="after")
    def _some_feature_is_built(self) -> Self:
        if not self.lags and not self.windows:
            raise ValueError("give at least one lag or window of the stock's own returns")
        return self
