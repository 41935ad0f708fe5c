"""Which nodes a command means: scenarios, models and namespaces by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kedro.pipeline import Pipeline

from tidemark.config import RunInfo
from tidemark.errors import ConfigError, UnknownName


def check_pipelines(names: Iterable[str], known: Mapping[str, Pipeline]) -> None:
    """Refuse a pipeline that is not registered."""
    for name in names:
        if name not in known:
            raise UnknownName.of("pipeline", name, known)


def check_namespaces(names: Iterable[str], pipeline: Pipeline) -> None:
    """Refuse a namespace in which the pipeline has no node."""
    known = {prefix for node in pipeline.nodes for prefix in node.namespace_prefixes}
    for name in names:
        if name not in known:
            raise UnknownName.of("namespace", name, known)


def keep_cells(
    pipeline: Pipeline, info: RunInfo, scenarios: Sequence[str], models: Sequence[str]
) -> list[str]:
    """List the nodes that belong to given scenarios and models, or to none of their studies' own.

    Parameters
    ----------
    pipeline : Pipeline
        The nodes to choose from.
    info : RunInfo
        Knows to which scenario and model a namespace belongs.
    scenarios, models : sequence of str
        The names to keep; an empty sequence keeps all.

    Returns
    -------
    list of str
        Names of nodes. A node that needs, however far upstream, what was left out is left out
        too: a slice never overwrites the table of the whole.

    Raises
    ------
    UnknownName
        If a scenario or model has no node in the pipeline.
    """
    known_scenarios, known_models = set(), set()
    studies = {info.scenarios[name] for name in scenarios if name in info.scenarios}
    of_models: set[str] = set()
    for node in pipeline.nodes:
        top = (node.namespace or "").partition(".")[0]
        cell = info.cell_of(node.namespace)
        known_scenarios |= {top} & info.scenarios.keys()
        known_models |= {cell.model} if cell else set()
        of_models |= {cell.study} if cell and cell.model in models else set()
    for kind, wanted, known in (
        ("scenario", scenarios, known_scenarios),
        ("model", models, known_models),
    ):
        for name in wanted:
            if name not in known:
                raise UnknownName.of(kind, name, known)

    meant = studies or of_models
    dropped: set[str] = set()
    for node in pipeline.nodes:  # in topological order
        scenario, _, model = (node.namespace or "").partition(".")
        other = bool(scenarios) and scenario in info.scenarios and scenario not in scenarios
        other |= bool(models) and scenario in info.scenarios and bool(model) and model not in models
        other |= bool(meant) and info.study_of(node.namespace) not in meant
        if other or any(parent.name in dropped for parent in pipeline.node_dependencies[node]):
            dropped.add(node.name)
    kept = [node.name for node in pipeline.nodes if node.name not in dropped]
    if not kept:
        raise ConfigError("No node is left to run. Choose fewer or other scenarios and models.")
    return kept
