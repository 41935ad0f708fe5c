"""Wiring of the returns study's features: one copy for each scenario."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Study
from tidemark.pipelines.feature_engineering.returns import nodes
from tidemark.pipelines.feature_engineering.splitting import split


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes from treated returns to train and test, and the audit."""
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
                        split,
                        ["features", "targets", "split"],
                        ["train", "test"],
                        name="split",
                    ),
                    Node(
                        nodes.audit,
                        [
                            "prices",
                            "exogenous",
                            "train",
                            "test",
                            "split",
                            "params:preprocess",
                            "params:features",
                            "params:audit",
                        ],
                        "audit",
                        name="audit",
                    ),
                ],
                namespace=scenario,
                inputs={
                    name: f"returns_data.{name}"
                    for name in ("targets", "split", "prices", "exogenous")
                },
                parameters={
                    "params:preprocess": f"params:scenarios.returns.{scenario}.preprocess",
                    "params:features": "params:returns.features",
                    "params:audit": "params:returns.audit",
                },
            )
            for scenario in study.treated()
        ]
    )
