"""Wiring of the market report: a state for each pair, and one report in the study's box."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Cell, Study
from tidemark.pipelines.modelling.regimes.plotting import REGIME_FIGURES
from tidemark.pipelines.reporting.cross_asset import nodes
from tidemark.pipelines.reporting.cross_asset.nodes import PAIR_FIGURES

_PARAMETERS = {
    "params:series": "params:cross_asset.series",
    "params:market": "params:cross_asset.market",
}


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes from correlations and regimes to the market report."""
    pairs = study.treated("regimes")
    boxes = [_create_pair(study, scenario) for scenario in pairs]
    return Pipeline([*boxes, _create_report(study, pairs)])


def _list_methods(study: Study, scenario: str) -> list[Cell]:
    return [cell for cell in study.cells(scenario) if not study.is_baseline(cell)]


def _create_pair(study: Study, scenario: str) -> Pipeline:
    cells = _list_methods(study, scenario)
    cell_parameters = {f"params:cells.{cell.namespace}" for cell in cells}
    triples = [
        name
        for cell in cells
        for name in (
            f"params:cells.{cell.namespace}",
            f"{cell.model}.regimes",
            f"{cell.model}.regime_model",
        )
    ]
    name = f"params:names.{scenario}"
    return Pipeline(
        [
            Node(
                nodes.describe_pair,
                [
                    "processed",
                    "rolling_correlation",
                    "params:series",
                    "params:pair",
                    name,
                    *triples,
                ],
                ["state", "yearly"],
                name="describe",
            ),
            Node(
                nodes.draw_pair,
                [
                    "rolling_correlation",
                    "yearly",
                    "params:series",
                    "params:pair",
                    "params:market",
                    name,
                ],
                list(PAIR_FIGURES),
                name="draw",
            ),
        ],
        namespace=scenario,
        parameters={
            **_PARAMETERS,
            "params:pair": f"params:scenarios.cross_asset.{scenario}.preprocess",
            **{one: one for one in [*cell_parameters, name]},
        },
    )


def _create_report(study: Study, pairs: list[str]) -> Pipeline:
    shown = []
    for scenario in pairs:
        shown += [f"{scenario}.{name}" for name in ("state", "yearly", *PAIR_FIGURES)]
        for cell in _list_methods(study, scenario):
            shown += [f"{cell.namespace}.{name}" for name in REGIME_FIGURES]
    return Pipeline(
        [
            Node(
                nodes.correlate_all,
                ["returns", "params:series", "params:market"],
                ["matrices", "correlation_matrices"],
                name="correlate",
            ),
            Node(
                nodes.write_market,
                [
                    "findings",
                    "matrices",
                    "correlation_matrices",
                    "templates",
                    "params:report",
                    *shown,
                ],
                ["market_report", "market_page"],
                name="write_market",
            ),
        ],
        namespace="cross_asset_report",
        inputs={"returns": "cross_asset_data.returns", **{name: name for name in shown}},
        parameters={**_PARAMETERS, "params:report": "params:cross_asset.report"},
    )
