"""Wiring of the returns study's features: one copy for each scenario."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Study
from tidemark.pipelines.feature_engineering.returns import nodes


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes from treated returns to train, test and folds."""
    return Pipeline(
        [
            Pipeline(
                [
                    Node(
                        nodes.featurise,
                        ["processed", "processed_exogenous", "params:features"],
                        "features",
                        name="featurise",
                    ),
                    Node(
                        nodes.split,
                        ["features", "targets", "params:split"],
                        ["train", "test", "folds"],
                        name="split",
                    ),
                ],
                namespace=scenario,
                inputs={"targets": "returns_data.targets"},
                parameters={
                    "params:features": "params:returns.features",
                    "params:split": "params:returns.split",
                },
            )
            for scenario in study.scenarios
        ]
    )
