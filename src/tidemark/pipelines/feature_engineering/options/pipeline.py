"""Wiring of the options study's features: one box for each scenario."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Study
from tidemark.pipelines.data_engineering.options.pipeline import BOX, is_circular
from tidemark.pipelines.feature_engineering.options import nodes
from tidemark.pipelines.feature_engineering.splitting import split


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes from treated inputs to train, test and the leakage audit."""
    return Pipeline([_create_scenario(study, scenario) for scenario in study.treated()])


def _create_scenario(study: Study, scenario: str) -> Pipeline:
    circular = is_circular(study, scenario)
    tables = [] if circular else ["contracts", "market"]
    return Pipeline(
        [
            Node(
                nodes.featurise_same_day if circular else nodes.featurise,
                ["processed"],
                "features",
                name="featurise",
            ),
            Node(split, ["features", "group_targets", "split"], ["train", "test"], name="split"),
            _declare_circular() if circular else _audit(),
        ],
        namespace=scenario,
        inputs={
            **{name: study.publishes(name, scenario) for name in ("group_targets", "split")},
            **{name: f"{BOX}.{name}" for name in tables},
        },
        parameters={}
        if circular
        else {
            "params:preprocess": f"params:scenarios.options.{scenario}.preprocess",
            "params:pricing": "params:options.pricing",
            "params:audit": "params:options.audit",
        },
    )


def _audit() -> Node:
    return Node(
        nodes.audit,
        [
            "contracts",
            "market",
            "train",
            "test",
            "split",
            "params:preprocess",
            "params:pricing",
            "params:audit",
        ],
        "audit",
        name="audit",
    )


def _declare_circular() -> Node:
    return Node(nodes.declare_circular, ["train", "split"], "audit", name="audit")
