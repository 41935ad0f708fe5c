"""The parameters of each study, put together from those of its stages."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from tidemark.config import Strict
from tidemark.pipelines.data_engineering.cross_asset.params import (
    AlignmentParams,
    CorrelationParams,
    QualityParams,
    SeriesTable,
)
from tidemark.pipelines.data_engineering.options.params import (
    BucketParams,
    ChainParams,
    GroupParams,
    PricingParams,
    UniverseParams,
)
from tidemark.pipelines.data_engineering.returns.params import (
    BaselineParams,
    LabelParams,
    ValidationParams,
)
from tidemark.pipelines.feature_engineering.returns.params import FeatureParams
from tidemark.pipelines.params import AuditParams, SplitParams
from tidemark.pipelines.reporting.cross_asset.params import MarketParams
from tidemark.pipelines.reporting.params import ReportParams


class ReturnsParams(Strict):
    """All parameters of the returns study."""

    validation: ValidationParams
    labels: LabelParams
    baselines: BaselineParams
    features: FeatureParams
    split: SplitParams
    audit: AuditParams
    report: ReportParams

    @model_validator(mode="after")
    def _features_fit_into_warm_up(self) -> Self:
        if self.labels.warm_up_days <= self.features.longest:
            raise ValueError(
                f"labels.warm_up_days is {self.labels.warm_up_days}; it must exceed the longest "
                f"look-back of the features, {self.features.longest}"
            )
        return self

    @model_validator(mode="after")
    def _horizon_is_that_of_the_label(self) -> Self:
        if self.split.horizon_days != 1:
            raise ValueError(
                f"split.horizon_days is {self.split.horizon_days}; this study forecasts the next "
                f"session, so it must be 1"
            )
        return self


class CrossAssetParams(Strict):
    """All parameters of the cross-asset study."""

    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    series: SeriesTable
    validation: QualityParams
    alignment: AlignmentParams
    correlation: CorrelationParams
    split: SplitParams
    audit: AuditParams
    report: ReportParams
    market: MarketParams

    @model_validator(mode="after")
    def _pairs_are_of_known_series(self) -> Self:
        for name in sorted({name for pair in self.correlation.pairs for name in pair}):
            if name not in self.series.root:
                raise ValueError(f"correlation.pairs names '{name}', which series does not define")
        return self

    @model_validator(mode="after")
    def _horizon_is_that_of_the_label(self) -> Self:
        if self.split.horizon_days != self.correlation.horizon_days:
            raise ValueError(
                f"split.horizon_days is {self.split.horizon_days}; labels look "
                f"{self.correlation.horizon_days} sessions ahead (correlation.horizon_days)"
            )
        return self


class OptionsParams(Strict):
    """All parameters of the options study."""

    validation: ChainParams
    pricing: PricingParams
    universe: UniverseParams
    groups: dict[str, GroupParams]
    buckets: BucketParams
    split: SplitParams
    audit: AuditParams
    report: ReportParams

    @model_validator(mode="after")
    def _past_fits_into_warm_up(self) -> Self:
        if self.universe.warm_up_sessions < self.pricing.volatility_sessions:
            raise ValueError(
                f"universe.warm_up_sessions is {self.universe.warm_up_sessions}; it must not be "
                f"below pricing.volatility_sessions, {self.pricing.volatility_sessions}"
            )
        return self

    @model_validator(mode="after")
    def _quotes_are_a_day_late(self) -> Self:
        if self.audit.exogenous_delay_days < 1:
            raise ValueError(
                "audit.exogenous_delay_days is 0; quotes of the day itself are what is forecast, "
                "so it must be at least 1"
            )
        return self
