"""Wiring of the options study's data: one box, in it one for each comparison group."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from tidemark.config import Study
from tidemark.pipelines.data_engineering.options import nodes, pricing, quality, treatment
from tidemark.pipelines.data_engineering.publishing import publish

BOX = "options_data"
_PARAMETERS = {
    "params:as_of": "params:as_of",
    **{
        f"params:{name}": f"params:options.{name}"
        for name in ("validation", "pricing", "universe", "audit")
    },
    **{f"params:{name}": f"params:options.report.{name}" for name in ("title", "sample_note")},
}


def create_pipeline(study: Study) -> Pipeline:
    """Build the nodes from a chain to inputs, targets and the rows of each group."""
    groups = [_create_group(group) for group in study.groups]
    treatments = [_create_treatment(study, scenario) for scenario in study.treated()]
    return Pipeline([_create_data(study), *groups, *treatments])


def _create_data(study: Study) -> Pipeline:
    # Baselines are the same for all groups, and dates nearly: those of the first serve the audit.
    splits = {"split": f"{BOX}.{study.groups[0]}.split"} if study.groups else {}
    return Pipeline(
        [
            Node(
                nodes.fetch,
                ["source_chain", "params:validation", "params:pricing"],
                "checked_chain",
                name="fetch",
            ),
            Node(
                nodes.validate,
                ["checked_chain", "params:as_of", "params:validation"],
                ["validation_report", "chain_days", "quarantine"],
                name="validate",
            ),
            Node(
                quality.imply,
                ["checked_chain", "params:pricing"],
                ["forwards", "market_check", "last_smiles"],
                name="imply",
            ),
            Node(
                quality.report_chain,
                [
                    "validation_report",
                    "chain_days",
                    "forwards",
                    "market_check",
                    "last_smiles",
                    "params:title",
                    "params:sample_note",
                    "templates",
                ],
                ["days_figure", "forwards_figure", "smiles_figure", "dq_report", "dq_page"],
                name="report",
            ),
            Node(
                nodes.accept,
                ["validation_report", "quarantine", "checked_chain", "market_check", "dq_report"],
                ["contracts", "market", "profile", "fingerprint"],
                name="accept",
            ),
            Node(
                pricing.price,
                ["contracts", "market", "params:pricing", "params:universe"],
                ["inputs", "volatilities", "baselines", "targets", "facts"],
                name="price",
            ),
            *([_audit()] if splits else []),
        ],
        namespace=BOX,
        inputs=splits,
        parameters={
            name: source for name, source in _PARAMETERS.items() if splits or name != "params:audit"
        },
    )


def _audit() -> Node:
    return Node(
        pricing.audit,
        ["contracts", "market", "split", "params:pricing", "params:audit"],
        "audit",
        name="audit",
    )


def _create_group(group: str) -> Pipeline:
    shared = ["targets", "inputs", "baselines"]
    return Pipeline(
        [
            Node(
                pricing.choose,
                [*shared, "params:group"],
                ["group_targets", "group_baselines"],
                name="choose",
            ),
            Node(
                publish,
                ["group_targets", "group_baselines", "params:split", "params:evaluation"],
                ["split", "scoring", "resampling"],
                name="publish",
            ),
        ],
        namespace=f"{BOX}.{group}",
        inputs={name: f"{BOX}.{name}" for name in shared},
        parameters={
            "params:group": f"params:options.groups.{group}",
            "params:split": "params:options.split",
            "params:evaluation": "params:evaluation",
        },
    )


def is_circular(study: Study, scenario: str) -> bool:
    """Say whether a scenario's models are given today's own price in other words."""
    return bool((study.scenarios[scenario].preprocess or {}).get("same_day"))


def _create_treatment(study: Study, scenario: str) -> Pipeline:
    circular = is_circular(study, scenario)
    names = ["inputs", "volatilities"] if circular else ["inputs"]
    return Pipeline(
        [
            Node(
                treatment.take_same_day if circular else treatment.preprocess,
                [*names, "params:preprocess"],
                ["processed", "preprocess_report"],
                name="preprocess",
            )
        ],
        namespace=scenario,
        inputs={name: f"{BOX}.{name}" for name in names},
        parameters={"params:preprocess": f"params:scenarios.options.{scenario}.preprocess"},
    )
