"""Wiring of the cross-asset study's data: a box for each source inside that of the study."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Study
from tidemark.pipelines.data_engineering.cross_asset import nodes, quality, treatment
from tidemark.pipelines.data_engineering.publishing import publish
from tidemark.pipelines.feature_engineering.cross_asset import forecasts

BOX = "cross_asset_data"
_PARAMETERS = {
    "params:as_of": "params:as_of",
    **{
        f"params:{name}": f"params:cross_asset.{name}"
        for name in ("series", "validation", "alignment")
    },
}
_PARAMETERS_OF_FORECASTS = {
    "params:evaluation": "params:evaluation",
    **{
        f"params:{name}": f"params:cross_asset.{name}" for name in ("correlation", "split", "audit")
    },
}


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes from the sources to accepted levels, aligned returns and aligned pairs."""
    sources = [_create_source(name) for name in study.sources]
    return Pipeline([*sources, _create_data(study), *_create_pairs(study)])


def _create_source(name: str) -> Pipeline:
    return Pipeline(
        [Node(nodes.fetch, ["source", "params:as_of"], "raw", name="fetch")],
        namespace=f"{BOX}.{name}",
        parameters={"params:as_of": "params:as_of"},
    )


def _create_data(study: Study) -> Pipeline:
    raws = [f"{BOX}.{name}.raw" for name in study.sources]
    pairs = [
        f"params:scenarios.cross_asset.{scenario}.preprocess"
        for scenario in study.treated("regimes")
    ]
    forecasts_asked = study.has_task("forecast")
    checked = [
        Node(
            nodes.validate,
            [
                "params:as_of",
                "params:series",
                "params:validation",
                "params:alignment",
                *raws,
                *pairs,
                *(["params:correlation"] if forecasts_asked else []),
            ],
            ["validation_report", "profile", "quality", "coverage", "quarantine", "candidate"],
            name="validate",
        ),
        Node(
            quality.report_quality,
            ["validation_report", "quality", "coverage", "params:series", "templates"],
            ["coverage_figure", "dq_report", "dq_page"],
            name="report",
        ),
        Node(
            nodes.accept,
            ["validation_report", "quarantine", "candidate", "dq_report"],
            ["levels", "fingerprint"],
            name="accept",
        ),
        Node(
            nodes.align,
            ["levels", "params:series", "params:alignment"],
            "returns",
            name="align",
        ),
    ]
    return Pipeline(
        [*checked, *(_publish_forecasts() if forecasts_asked else [])],
        namespace=BOX,
        inputs={name: name for name in raws},
        parameters={
            **_PARAMETERS,
            **(_PARAMETERS_OF_FORECASTS if forecasts_asked else {}),
            **{name: name for name in pairs},
        },
    )


def _publish_forecasts() -> list[Node]:
    return [
        Node(nodes.label, ["returns", "params:correlation"], "targets", name="label"),
        Node(nodes.forecast, ["returns", "params:correlation"], "baselines", name="forecast"),
        Node(
            publish,
            ["targets", "baselines", "params:split", "params:evaluation"],
            ["split", "scoring", "resampling"],
            name="publish",
        ),
        Node(
            forecasts.audit_labels,
            [
                "levels",
                "returns",
                "split",
                "params:series",
                "params:alignment",
                "params:correlation",
                "params:audit",
            ],
            "audit",
            name="audit",
        ),
    ]


def _create_pairs(study: Study) -> list[Pipeline]:
    return [
        Pipeline(
            [
                Node(
                    treatment.preprocess,
                    ["levels", "params:series", "params:alignment", "params:pair"],
                    ["processed", "preprocess_report"],
                    name="preprocess",
                )
            ],
            namespace=scenario,
            inputs={"levels": f"{BOX}.levels"},
            parameters={
                "params:series": "params:cross_asset.series",
                "params:alignment": "params:cross_asset.alignment",
                "params:pair": f"params:scenarios.cross_asset.{scenario}.preprocess",
            },
        )
        for scenario in study.treated("regimes")
    ]
