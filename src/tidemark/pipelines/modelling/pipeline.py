"""Wiring of the cells: one nested namespace for each scenario and model, in every study."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Cell, Study
from tidemark.domain.figures import CELL_FIGURES
from tidemark.pipelines.modelling import nodes


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes of every cell of a study."""
    return Pipeline([_create_cell(cell) for cell in study.cells()])


def _create_cell(cell: Cell) -> Pipeline:
    return Pipeline(
        [
            Node(
                nodes.train,
                ["train", "folds", "params:model", "params:modelling", "params:cell"],
                ["model", "cv_scores"],
                name="train",
            ),
            Node(
                nodes.evaluate,
                ["model", "test", "folds", "params:evaluation"],
                ["predictions", "metrics", "bootstrap"],
                name="evaluate",
            ),
            Node(
                nodes.plot,
                ["predictions", "params:evaluation", "params:cell"],
                list(CELL_FIGURES),
                name="plot",
            ),
            Node(
                nodes.conclude,
                [
                    "metrics",
                    "bootstrap",
                    "cv_scores",
                    "predictions",
                    "params:group",
                    "params:cell",
                    *CELL_FIGURES,
                ],
                "outcome",
                name="conclude",
            ),
        ],
        namespace=cell.namespace,
        inputs={name: f"{cell.scenario}.{name}" for name in ("train", "test", "folds")},
        parameters={
            "params:model": f"params:models.{cell.study}.{cell.model}",
            "params:modelling": "params:modelling",
            "params:evaluation": "params:evaluation",
            "params:cell": f"params:cells.{cell.namespace}",
            "params:group": f"params:scenarios.{cell.study}.{cell.scenario}.group",
        },
    )
