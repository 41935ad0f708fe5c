"""Wiring of the comparison: a scoreboard for each scenario, one report box for the study."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Study
from tidemark.pipelines.reporting import nodes


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes from outcomes to reports."""
    scoreboards = [
        Pipeline(
            [
                Node(
                    nodes.tabulate,
                    ["preprocess_report", *(f"{model}.outcome" for model in config.models)],
                    "scoreboard",
                    name="tabulate",
                )
            ],
            namespace=scenario,
        )
        for scenario, config in study.scenarios.items()
    ]
    boards = [f"{scenario}.scoreboard" for scenario in study.scenarios]
    shared = [f"{study.name}_data.validation_report", f"{study.name}_data.profile"]
    report = Pipeline(
        [
            Node(nodes.compare, ["params:report", *boards], "scenario_table", name="compare"),
            Node(
                nodes.draw_comparison,
                ["scenario_table", "params:report"],
                "comparison",
                name="draw_comparison",
            ),
            Node(
                nodes.report,
                ["scenario_table", "comparison", *shared, "templates", "notes", "params:report"],
                [
                    "scenario_summary",
                    "model_communication_report",
                    "model_evaluation_memo",
                    "reflection",
                ],
                name="report",
            ),
        ],
        namespace=f"{study.name}_report",
        inputs={name: name for name in [*boards, *shared]},
        parameters={"params:report": f"params:{study.name}.report"},
    )
    return Pipeline([*scoreboards, report])
