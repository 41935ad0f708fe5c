"""Wiring of the comparison: a scoreboard for each scenario, one report box for the study."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Study
from tidemark.domain.figures import CELL_FIGURES
from tidemark.pipelines.reporting import documents, findings, tables
from tidemark.pipelines.reporting.documents import STUDY_FIGURES


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes from outcomes to reports."""
    boards = [_create_board(study, scenario) for scenario in study.scenarios]
    return Pipeline([*boards, _create_report(study)])


def _create_board(study: Study, scenario: str) -> Pipeline:
    """Gather the cells of one scenario, so that the report need not know them."""
    config = study.scenarios[scenario]
    data_audit = f"{study.name}_data.audit"
    outcomes = [f"{model}.outcome" for model in config.models]
    return Pipeline(
        [
            Node(
                tables.tabulate_baselines if config.is_baseline else tables.tabulate,
                [
                    *([data_audit] if config.is_baseline else ["preprocess_report", "audit"]),
                    *outcomes,
                ],
                "scoreboard",
                name="tabulate",
            ),
            Node(
                tables.gather,
                [f"{model}.daily" for model in config.models],
                "daily",
                name="gather",
            ),
            Node(
                documents.assemble_album,
                [
                    *outcomes,
                    *(f"{model}.{figure}" for model in config.models for figure in CELL_FIGURES),
                ],
                "album",
                name="assemble_album",
            ),
        ],
        namespace=scenario,
        inputs={data_audit: data_audit} if config.is_baseline else None,
    )


def _create_report(study: Study) -> Pipeline:
    boards = [f"{scenario}.scoreboard" for scenario in study.scenarios]
    dailies = [f"{scenario}.daily" for scenario in study.scenarios]
    albums = [f"{scenario}.album" for scenario in study.scenarios]
    data = ["validation_report", "profile", "split", "resampling", "fingerprint"]
    shared = {name: f"{study.name}_data.{name}" for name in data}
    pages = [
        "scenario_summary",
        "model_communication_report",
        "model_evaluation_memo",
        "reflection",
    ]
    return Pipeline(
        [
            Node(
                tables.compare,
                ["params:evaluation", "resampling", *boards, *dailies],
                ["scenario_table", "comparisons", "verdicts", "daily"],
                name="compare",
            ),
            Node(
                documents.draw,
                ["scenario_table", "daily", "comparisons", "verdicts", "params:report"],
                list(STUDY_FIGURES),
                name="draw",
            ),
            Node(
                findings.summarise,
                [
                    "scenario_table",
                    "verdicts",
                    *data,
                    "params:provenance",
                    "params:evaluation",
                    "params:report",
                ],
                "findings",
                name="summarise",
            ),
            Node(
                documents.write_markdown,
                ["findings", "templates", "notes", *STUDY_FIGURES],
                pages,
                name="report",
            ),
            Node(
                documents.write_page,
                ["findings", "templates", *STUDY_FIGURES, *albums],
                "report_page",
                name="write_page",
            ),
            Node(documents.certify, ["findings", "report_page"], "certificate", name="certify"),
            Node(documents.gate, ["certificate"], None, name="gate"),
        ],
        namespace=f"{study.name}_report",
        inputs={**{name: name for name in [*boards, *dailies, *albums]}, **shared},
        parameters={
            "params:report": f"params:{study.name}.report",
            "params:evaluation": "params:evaluation",
            "params:provenance": f"params:provenance.{study.name}",
        },
    )
