"""The registry: the same nodes sliced by stage and by study."""

from __future__ import annotations

import warnings

from kedro.pipeline import Pipeline

from tidemark.config import Study
from tidemark.context import active_studies
from tidemark.pipelines.data_engineering.cross_asset import pipeline as cross_asset_data
from tidemark.pipelines.data_engineering.options import pipeline as options_data
from tidemark.pipelines.data_engineering.returns import pipeline as returns_data
from tidemark.pipelines.feature_engineering.cross_asset import pipeline as cross_asset_features
from tidemark.pipelines.feature_engineering.options import pipeline as options_features
from tidemark.pipelines.feature_engineering.returns import pipeline as returns_features
from tidemark.pipelines.modelling import pipeline as modelling
from tidemark.pipelines.reporting import pipeline as reporting
from tidemark.pipelines.reporting.cross_asset import pipeline as cross_asset_report
from tidemark.pipelines.reporting.options import pipeline as options_report

STAGES = ("data_engineering", "feature_engineering", "modelling", "reporting")


def register_pipelines() -> dict[str, Pipeline]:
    """Build every pipeline from the studies that configuration lists."""
    with warnings.catch_warnings():
        # A dataset of one box that another box reads bears its owner's dotted name on purpose:
        # kedro-viz then draws it inside its box.
        warnings.filterwarnings("ignore", message="One or more dataset names contain '.'")
        return slice_pipelines(active_studies())


def slice_pipelines(studies: list[Study]) -> dict[str, Pipeline]:
    """Slice the nodes of all studies by stage and by study; ``__default__`` holds them all."""
    parts = {study.name: _stages(study) for study in studies}
    by_stage = {stage: Pipeline([part[stage] for part in parts.values()]) for stage in STAGES}
    by_study = {name: Pipeline(list(part.values())) for name, part in parts.items()}
    return {**by_stage, **by_study, "__default__": Pipeline(list(by_study.values()))}


def _stages(study: Study) -> dict[str, Pipeline]:
    """Build a study's stages: data and features are its own, the rest is shared."""
    own_data, own_features = _OWN[study.name]
    own_report = _OWN_REPORTS.get(study.name)
    if not study.scenarios:  # data is fetched and checked, and nothing asked of it
        return {**dict.fromkeys(STAGES, Pipeline([])), "data_engineering": own_data(study)}
    return {
        "data_engineering": own_data(study),
        "feature_engineering": own_features(study),
        "modelling": modelling.create_pipeline(study),
        "reporting": Pipeline(
            [reporting.create_pipeline(study), *([own_report(study)] if own_report else [])]
        ),
    }


_OWN = {
    "returns": (returns_data.create_pipeline, returns_features.create_pipeline),
    "cross_asset": (cross_asset_data.create_pipeline, cross_asset_features.create_pipeline),
    "options": (options_data.create_pipeline, options_features.create_pipeline),
}
_OWN_REPORTS = {
    "cross_asset": cross_asset_report.create_pipeline,
    "options": options_report.create_pipeline,
}
