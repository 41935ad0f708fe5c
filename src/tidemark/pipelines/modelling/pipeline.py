"""Wiring of the cells: one nested namespace for each scenario and model, in every study."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Cell, Study
from tidemark.domain.figures import CELL_FIGURES
from tidemark.pipelines.modelling import nodes
from tidemark.pipelines.modelling.pricing.nodes import measure
from tidemark.pipelines.modelling.recurrent import pipeline as recurrent
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
    shared = {
        name: study.publishes(name, cell.scenario) for name in ("split", "scoring", "resampling")
    }
    own = {} if is_baseline else {name: f"{cell.scenario}.{name}" for name in ("train", "test")}
    is_network = cell.model in study.networks
    fitting = {
        "params:model": f"params:models.{cell.study}.{cell.model}",
        **({} if is_network else {"params:modelling": "params:modelling"}),
    }
    facts = {"facts": f"{study.name}_data.facts"} if study.prices_options else {}
    buckets = {"params:buckets": f"params:{study.name}.buckets"} if study.prices_options else {}
    return Pipeline(
        [
            *_train(study, cell),
            Node(
                nodes.evaluate,
                ["forecasts", "scoring", "split", "resampling", "params:cell"],
                ["predictions", "daily", "metrics", "bootstrap"],
                name="evaluate",
            ),
            *([_measure_prices()] if study.prices_options else []),
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
        inputs={**shared, **own, **facts},
        parameters={
            **({} if is_baseline else fitting),
            **buckets,
            "params:quantity": f"params:{cell.study}.report.quantity",
            "params:cell": f"params:cells.{cell.namespace}",
            "params:group": f"params:scenarios.{cell.study}.{cell.scenario}.group",
        },
    )


def _train(study: Study, cell: Cell) -> list[Node]:
    """Build the nodes that end in forecasts: from a baseline, a network or any estimator."""
    if study.is_baseline(cell):
        return [
            Node(
                nodes.take_baseline,
                ["scoring", "split", "params:cell"],
                ["forecasts", "cv_scores"],
                name="forecast",
            )
        ]
    if cell.model in study.networks:
        return recurrent.create_training()
    return [
        Node(
            nodes.train,
            ["train", "test", "split", "params:model", "params:modelling", "params:cell"],
            ["model", "cv_scores", "forecasts"],
            name="train",
        )
    ]


def _measure_prices() -> Node:
    return Node(
        measure,
        ["predictions", "facts", "params:buckets"],
        ["option_errors", "option_buckets"],
        name="measure",
    )
