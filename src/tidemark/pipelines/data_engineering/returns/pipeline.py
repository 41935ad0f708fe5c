"""Wiring of the returns study's data: one box for the study, one treatment for each scenario."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Study
from tidemark.pipelines.data_engineering.publishing import publish
from tidemark.pipelines.data_engineering.returns import nodes, treatment


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes from the source files to treated returns."""
    data = Pipeline(
        [
            Node(
                nodes.fetch,
                ["source_prices", "source_exogenous"],
                ["prices_raw", "exogenous_raw"],
                name="fetch",
            ),
            Node(
                nodes.validate,
                ["prices_raw", "exogenous_raw", "params:as_of", "params:validation"],
                [
                    "validation_report",
                    "profile",
                    "quarantine",
                    "candidate_prices",
                    "candidate_exogenous",
                ],
                name="validate",
            ),
            Node(
                nodes.accept,
                ["validation_report", "quarantine", "candidate_prices", "candidate_exogenous"],
                ["prices", "exogenous", "fingerprint"],
                name="accept",
            ),
            Node(
                nodes.label,
                ["prices", "exogenous", "params:labels"],
                "targets",
                name="label",
            ),
            Node(
                nodes.forecast,
                ["prices", "params:baselines"],
                "baselines",
                name="forecast",
            ),
            Node(
                publish,
                ["targets", "baselines", "params:split", "params:evaluation"],
                ["split", "scoring", "resampling"],
                name="publish",
            ),
            Node(
                nodes.audit,
                [
                    "prices",
                    "exogenous",
                    "split",
                    "params:labels",
                    "params:baselines",
                    "params:audit",
                ],
                "audit",
                name="audit",
            ),
        ],
        namespace="returns_data",
        parameters={
            "params:as_of": "params:as_of",
            "params:validation": "params:returns.validation",
            "params:labels": "params:returns.labels",
            "params:baselines": "params:returns.baselines",
            "params:split": "params:returns.split",
            "params:audit": "params:returns.audit",
            "params:evaluation": "params:evaluation",
        },
    )
    treatments = [
        Pipeline(
            [
                Node(
                    treatment.preprocess,
                    ["prices", "exogenous", "params:preprocess"],
                    ["processed", "processed_exogenous", "preprocess_report"],
                    name="preprocess",
                )
            ],
            namespace=scenario,
            inputs={"prices": "returns_data.prices", "exogenous": "returns_data.exogenous"},
            parameters={"params:preprocess": f"params:scenarios.returns.{scenario}.preprocess"},
        )
        for scenario in study.treated()
    ]
    return Pipeline([data, *treatments])
