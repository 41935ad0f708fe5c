"""Wiring of the cross-asset study's features: one copy for each pair and each way to forecast."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Study
from tidemark.pipelines.feature_engineering.cross_asset import correlating, forecasts, regimes
from tidemark.pipelines.feature_engineering.splitting import split

_SHARED = {
    f"params:{name}": f"params:cross_asset.{name}"
    for name in ("series", "alignment", "correlation", "audit")
}


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes from aligned returns to what cells learn from."""
    pairs = [_create_pair(scenario) for scenario in study.treated("regimes")]
    others = [_create_forecast(scenario) for scenario in study.treated("forecast")]
    return Pipeline([*pairs, *others])


def _create_pair(scenario: str) -> Pipeline:
    return Pipeline(
        [
            Node(
                correlating.correlate,
                ["processed", "params:pair"],
                "rolling_correlation",
                name="correlate",
            ),
            Node(
                regimes.featurise,
                ["processed", "rolling_correlation", "params:pair"],
                "features",
                name="featurise",
            ),
            Node(
                regimes.publish,
                ["features", "params:pair", "params:evaluation"],
                ["split", "scoring", "resampling"],
                name="publish",
            ),
            Node(
                regimes.audit,
                [
                    "levels",
                    "features",
                    "split",
                    "params:series",
                    "params:alignment",
                    "params:pair",
                    "params:audit",
                ],
                "audit",
                name="audit",
            ),
        ],
        namespace=scenario,
        inputs={"levels": "cross_asset_data.levels"},
        parameters={
            **{name: _SHARED[name] for name in ("params:series", "params:alignment")},
            "params:audit": _SHARED["params:audit"],
            "params:evaluation": "params:evaluation",
            "params:pair": f"params:scenarios.cross_asset.{scenario}.preprocess",
        },
    )


def _create_forecast(scenario: str) -> Pipeline:
    return Pipeline(
        [
            Node(
                forecasts.featurise,
                ["returns", "params:correlation", "params:preprocess"],
                ["features", "preprocess_report"],
                name="featurise",
            ),
            Node(split, ["features", "targets", "split"], ["train", "test"], name="split"),
            Node(
                forecasts.audit,
                [
                    "returns",
                    "train",
                    "test",
                    "split",
                    "params:correlation",
                    "params:preprocess",
                    "params:audit",
                ],
                "audit",
                name="audit",
            ),
        ],
        namespace=scenario,
        inputs={name: f"cross_asset_data.{name}" for name in ("returns", "targets", "split")},
        parameters={
            **{name: _SHARED[name] for name in ("params:correlation", "params:audit")},
            "params:preprocess": f"params:scenarios.cross_asset.{scenario}.preprocess",
        },
    )
