"""Wiring of the cells that find regimes: as of any cell, with densities in place of forecasts."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Cell, Study
from tidemark.pipelines.modelling.nodes import conclude
from tidemark.pipelines.modelling.regimes import nodes, plotting
from tidemark.pipelines.modelling.regimes.plotting import REGIME_FIGURES


def create_cell(study: Study, cell: Cell) -> Pipeline:
    """Build the nodes of one cell."""
    is_baseline = study.is_baseline(cell)
    shared = ["split", "scoring", "resampling"]
    own = [] if is_baseline else ["features", "rolling_correlation"]
    figures = [] if is_baseline else list(REGIME_FIGURES)
    fitting = {
        "params:model": f"params:models.{cell.study}.{cell.model}",
        "params:modelling": "params:modelling",
        "params:pair": f"params:scenarios.{cell.study}.{cell.scenario}.preprocess",
        "params:series": f"params:{cell.study}.series",
    }
    return Pipeline(
        [
            *(_take_baseline() if is_baseline else _train()),
            Node(
                nodes.evaluate,
                ["densities", "scoring", "split", "resampling", "params:cell"],
                ["scored", "daily", "metrics", "bootstrap"],
                name="evaluate",
            ),
            Node(
                conclude,
                [
                    "metrics",
                    "bootstrap",
                    "cv_scores",
                    "scored",
                    "params:group",
                    "params:cell",
                    *figures,
                ],
                "outcome",
                name="conclude",
            ),
        ],
        namespace=cell.namespace,
        inputs={name: f"{cell.scenario}.{name}" for name in [*shared, *own]},
        parameters={
            **({} if is_baseline else fitting),
            "params:cell": f"params:cells.{cell.namespace}",
            "params:group": f"params:scenarios.{cell.study}.{cell.scenario}.group",
        },
    )


def _train() -> list[Node]:
    return [
        Node(
            nodes.train,
            [
                "features",
                "split",
                "params:model",
                "params:modelling",
                "params:pair",
                "params:cell",
            ],
            ["regime_model", "cv_scores", "regimes", "densities"],
            name="train",
        ),
        Node(
            plotting.plot,
            [
                "regimes",
                "regime_model",
                "rolling_correlation",
                "params:series",
                "params:pair",
                "params:cell",
            ],
            list(REGIME_FIGURES),
            name="plot",
        ),
    ]


def _take_baseline() -> list[Node]:
    return [
        Node(
            nodes.take_baseline,
            ["scoring", "split", "params:cell"],
            ["densities", "cv_scores"],
            name="forecast",
        )
    ]
