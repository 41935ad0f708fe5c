"""Wiring of the cells: one nested namespace for each scenario and model, in every study."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Cell, Study
from tidemark.domain.figures import CELL_FIGURES
from tidemark.pipelines.modelling import nodes
from tidemark.pipelines.modelling.regimes import pipeline as regimes


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes of every cell of a study."""
    return Pipeline(
        [
            regimes.create_cell(study, cell)
            if study.scenarios[cell.scenario].task == "regimes"
            else _create_cell(study, cell)
            for cell in study.cells()
        ]
    )


def _create_cell(study: Study, cell: Cell) -> Pipeline:
    is_baseline = study.is_baseline(cell)
    shared = {name: f"{study.name}_data.{name}" for name in ("split", "scoring", "resampling")}
    own = {} if is_baseline else {name: f"{cell.scenario}.{name}" for name in ("train", "test")}
    fitting = {
        "params:model": f"params:models.{cell.study}.{cell.model}",
        "params:modelling": "params:modelling",
    }
    return Pipeline(
        [
            _forecast() if is_baseline else _train(),
            Node(
                nodes.evaluate,
                ["forecasts", "scoring", "split", "resampling", "params:cell"],
                ["predictions", "daily", "metrics", "bootstrap"],
                name="evaluate",
            ),
            Node(
                nodes.plot,
                ["predictions", "params:quantity", "params:cell"],
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
        inputs={**shared, **own},
        parameters={
            **({} if is_baseline else fitting),
            "params:quantity": f"params:{cell.study}.report.quantity",
            "params:cell": f"params:cells.{cell.namespace}",
            "params:group": f"params:scenarios.{cell.study}.{cell.scenario}.group",
        },
    )


def _train() -> Node:
    return Node(
        nodes.train,
        ["train", "test", "split", "params:model", "params:modelling", "params:cell"],
        ["model", "cv_scores", "forecasts"],
        name="train",
    )


def _forecast() -> Node:
    return Node(
        nodes.take_baseline,
        ["scoring", "split", "params:cell"],
        ["forecasts", "cv_scores"],
        name="forecast",
    )
