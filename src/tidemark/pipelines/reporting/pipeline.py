"""Wiring of the comparison: a scoreboard for each scenario, one report box for the study."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Cell, Study
from tidemark.domain.scores import LOG_SCORE, SQUARED_ERROR
from tidemark.pipelines.reporting import documents, figures, findings, tables
from tidemark.pipelines.reporting.figures import GROUP_FIGURES


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes from outcomes to reports."""
    boards = [_create_board(study, scenario) for scenario in study.scenarios]
    drawings = [_draw_group(study, group) for group in study.groups]
    return Pipeline([*boards, *drawings, _create_report(study)])


def _create_board(study: Study, scenario: str) -> Pipeline:
    """Gather the cells of one scenario, so that the report need not know them."""
    config = study.scenarios[scenario]
    data_audit = f"{study.name}_data.audit"
    outcomes = [f"{model}.outcome" for model in config.models]
    pictures = [
        f"{cell.model}.{figure}" for cell in study.cells(scenario) for figure in _drawn(study, cell)
    ]
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
            Node(documents.assemble_album, [*outcomes, *pictures], "album", name="assemble_album"),
        ],
        namespace=scenario,
        inputs={data_audit: data_audit} if config.is_baseline else None,
    )


def _drawn(study: Study, cell: Cell) -> tuple[str, ...]:
    """Name the figures of a cell; of a density that nobody fits there is nothing to draw."""
    if study.scenarios[cell.scenario].task == "forecast":
        return SQUARED_ERROR.cell_figures
    return () if study.is_baseline(cell) else LOG_SCORE.cell_figures


def _draw_group(study: Study, group: str) -> Pipeline:
    """Draw one comparison group, in a box of its own inside the report."""
    report = f"{study.name}_report"
    compared = ["scenario_table", "daily", "comparisons", "verdicts"]
    first = next(name for name, config in study.scenarios.items() if config.group == group)
    return Pipeline(
        [
            Node(
                figures.draw,
                [*compared, "params:report", "params:group"],
                list(GROUP_FIGURES),
                name="draw",
            )
        ],
        namespace=f"{report}.{group}",
        inputs={name: f"{report}.{name}" for name in compared},
        parameters={
            "params:report": f"params:{study.name}.report",
            "params:group": f"params:scenarios.{study.name}.{first}.group",
        },
    )


def _create_report(study: Study) -> Pipeline:
    boards = [f"{scenario}.scoreboard" for scenario in study.scenarios]
    dailies = [f"{scenario}.daily" for scenario in study.scenarios]
    albums = [f"{scenario}.album" for scenario in study.scenarios]
    drawings = [f"{group}.{figure}" for group in study.groups for figure in GROUP_FIGURES]
    data = ["validation_report", "profile", "fingerprint"]
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
                ["params:evaluation", "params:too_good_r2", *boards, *dailies],
                ["scenario_table", "comparisons", "verdicts", "daily"],
                name="compare",
            ),
            Node(
                findings.summarise,
                ["scenario_table", "verdicts", *data, "params:provenance", "params:report"],
                "findings",
                name="summarise",
            ),
            Node(
                documents.write_markdown,
                ["findings", "templates", "notes", *drawings],
                pages,
                name="report",
            ),
            Node(
                documents.write_page,
                ["findings", "templates", *drawings, *albums],
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
            "params:too_good_r2": f"params:{study.name}.report.too_good_r2",
            "params:evaluation": "params:evaluation",
            "params:provenance": f"params:provenance.{study.name}",
        },
    )
