"""Wiring of the report on prices: maps of errors for each group, and one report in the box."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Cell, Study
from tidemark.pipelines.reporting.options import nodes
from tidemark.pipelines.reporting.options.nodes import ERROR_FIGURES


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes from errors in prices to their report."""
    return Pipeline([*(_draw_group(study, group) for group in study.groups), _create_report(study)])


def _draw_group(study: Study, group: str) -> Pipeline:
    cells = [cell for cell in study.cells() if study.scenarios[cell.scenario].group == group]
    buckets = [f"{cell.namespace}.option_buckets" for cell in cells]
    names = [_name(cell) for cell in cells]
    first = cells[0].scenario
    return Pipeline(
        [
            Node(
                nodes.draw_errors,
                ["verdicts", "params:group", *names, *buckets],
                list(ERROR_FIGURES),
                name="draw_errors",
            )
        ],
        namespace=f"options_report.{group}",
        inputs={"verdicts": "options_report.verdicts", **{name: name for name in buckets}},
        parameters={
            "params:group": f"params:scenarios.options.{first}.group",
            **{name: name for name in names},
        },
    )


def _create_report(study: Study) -> Pipeline:
    told, read = [], []
    for cell in study.cells():
        own = [f"{cell.namespace}.option_errors"]
        if cell.model in study.networks:
            own += [f"{cell.namespace}.cv_scores", f"{cell.namespace}.learning"]
        told += [_name(cell), *own]
        read += own
    drawings = [f"{group}.{figure}" for group in study.groups for figure in ERROR_FIGURES]
    return Pipeline(
        [
            Node(
                nodes.write_prices,
                [
                    "findings",
                    "profile",
                    "templates",
                    "params:report",
                    "smiles_figure",
                    *told,
                    *drawings,
                ],
                ["price_report", "price_page"],
                name="write_prices",
            )
        ],
        namespace="options_report",
        inputs={
            **{name: f"options_data.{name}" for name in ("profile", "smiles_figure")},
            **{name: name for name in read},
        },
        parameters={
            "params:report": "params:options.report",
            **{_name(cell): _name(cell) for cell in study.cells()},
        },
    )


def _name(cell: Cell) -> str:
    return f"params:cells.{cell.namespace}"
