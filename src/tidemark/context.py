"""The project's context: configuration is checked whole before anything runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Self, cast

from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.project import settings
from kedro.framework.session import KedroSession
from kedro.utils import find_kedro_project
from pydantic import Field, ValidationError, field_validator, model_validator

from tidemark.config import (
    RUN_INFO,
    RunInfo,
    ScenarioConfig,
    Strict,
    Study,
    StudyName,
    expand_path,
    read_studies,
)
from tidemark.errors import ConfigError, UnknownName
from tidemark.pipelines.data_engineering.returns.params import (
    LabelParams,
    PreprocessParams,
    ValidationParams,
)
from tidemark.pipelines.feature_engineering.returns.params import FeatureParams, SplitParams
from tidemark.pipelines.modelling.params import EvaluationParams, ModelParams, TrainParams
from tidemark.pipelines.reporting.params import ReportParams
from tidemark.tracking.settings import TrackingSettings


class ReturnsParams(Strict):
    """All parameters of the returns study."""

    validation: ValidationParams
    labels: LabelParams
    features: FeatureParams
    split: SplitParams
    report: ReportParams

    @model_validator(mode="after")
    def _features_fit_into_warm_up(self) -> Self:
        if self.labels.warm_up_days <= self.features.longest:
            raise ValueError(
                f"labels.warm_up_days is {self.labels.warm_up_days}; it must exceed the longest "
                f"look-back of the features, {self.features.longest}"
            )
        return self


class Globals(Strict):
    """What ``globals.yml`` may name."""

    data_root: Annotated[str, Field(min_length=1)]
    prices_file: Annotated[str, Field(min_length=1)]
    exogenous_file: Annotated[str, Field(min_length=1)]
    as_of: str


class TrackingFile(Strict):
    """What ``mlflow.yml`` may hold."""

    mlflow: TrackingSettings


class Parameters(Strict):
    """The whole tree of parameters."""

    as_of: str
    modelling: TrainParams
    evaluation: EvaluationParams
    scenarios: dict[StudyName, dict[str, ScenarioConfig]]
    models: dict[StudyName, dict[str, ModelParams]]
    returns: ReturnsParams

    @field_validator("as_of")
    @classmethod
    def _is_a_date(cls, value: str) -> str:
        if date.fromisoformat(value).isoformat() != value:
            raise ValueError("give the date as YYYY-MM-DD")
        return value


class TidemarkContext(KedroContext):
    """A context that refuses configuration it does not understand."""

    @property
    def studies(self) -> list[Study]:
        """The studies of this context's configuration."""
        return read_studies(self.config_loader["parameters"])

    @property
    def run_info(self) -> RunInfo:
        """What every process of a run needs to know."""
        runtime = self._runtime_params or {}
        given = runtime.get("data_root", self.config_loader["globals"]["data_root"])
        root = expand_path(given) or ""
        return RunInfo(
            project_path=self.project_path,
            data_root=self.project_path / root,
            scenarios={
                scenario: study.name for study in self.studies for scenario in study.scenarios
            },
            mlflow=self.config_loader["mlflow"]["mlflow"],
            main_pid=os.getpid(),
        )

    def check_parameters(self) -> None:
        """Refuse parameters that do not exist or cannot be used.

        Raises
        ------
        ConfigError
            With every fault and its place in the tree.
        """
        _check_parameters(self.config_loader, self._runtime_params or {})

    def _get_validated_params(self) -> dict[str, Any]:
        if self._validated_params_cache is None:
            self.check_parameters()
        return super()._get_validated_params()

    def _get_parameters(self) -> dict[str, Any]:
        known = super()._get_parameters()
        known[RUN_INFO] = self.run_info
        for study in self.studies:
            for cell in study.cells():
                known[f"params:cells.{cell.namespace}"] = cell
        return known


class TidemarkSession(KedroSession):
    """A session that loads its context once."""

    _context: TidemarkContext | None = None

    def load_context(self) -> TidemarkContext:
        """Load the context, or return the one that was loaded."""
        if self._context is None:
            self._context = cast(TidemarkContext, super().load_context())
        return self._context


def remember(context: TidemarkContext) -> None:
    """Make a context's configuration the one that the registry reads."""
    _Active.loader = context.config_loader


def active_studies() -> list[Study]:
    """Read the studies from the newest context's configuration, or from the project's own."""
    loader = _Active.loader
    if loader is None:
        root = find_kedro_project(Path.cwd()) or Path(__file__).parents[2]
        loader = new_config_loader(Path(root), os.getenv("KEDRO_ENV"))
    return read_studies(loader["parameters"])


def new_config_loader(project_path: Path, env: str | None = None) -> OmegaConfigLoader:
    """Make a configuration loader as a session of this project does."""
    return OmegaConfigLoader(
        conf_source=str(project_path / settings.CONF_SOURCE),
        env=env,
        **settings.CONFIG_LOADER_ARGS,
    )


class _Active:
    """The configuration of the newest context of this process."""

    loader: Any = None


def _check_parameters(loader: Any, runtime: Mapping[str, Any]) -> None:
    """Refuse names that do not exist, before Kedro silently falls back to defaults."""
    try:
        Globals.model_validate(loader["globals"])
        TrackingFile.model_validate(loader["mlflow"])
        if runtime:
            plain = OmegaConfigLoader(
                conf_source=loader.conf_source, env=loader.env, **settings.CONFIG_LOADER_ARGS
            )
            _check_runtime(_spell_out(plain["parameters"]), runtime)
        tree = loader["parameters"]
        given = {key: value for key, value in runtime.items() if key in Globals.model_fields}
        merged = Globals.model_validate({**loader["globals"], **given})
        if "as_of" in tree and tree["as_of"] != merged.as_of:
            raise ValueError("as_of belongs in globals.yml or --params: there is one clock")
        # Kedro adds runtime parameters to the tree, those of the globals among them.
        extra = set(Globals.model_fields) - set(Parameters.model_fields)
        _spell_out({key: value for key, value in tree.items() if key not in extra})
        read_studies(tree)
    except ValidationError as error:
        raise ConfigError(_describe(error)) from error
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _describe(error: ValidationError, prefix: str = "") -> str:
    lines = [
        f"  - {prefix}{'.'.join(str(part) for part in one['loc']) or 'parameters'}: {one['msg']}"
        for one in error.errors()
    ]
    return "Parameters cannot be used:\n" + "\n".join(lines)


def _spell_out(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Validate the tree and return it with every default spelt out."""
    tree = Parameters.model_validate(parameters).model_dump(mode="json")
    for name, scenario in tree["scenarios"].get("returns", {}).items():
        try:
            treatment = PreprocessParams.model_validate(scenario["preprocess"])
        except ValidationError as error:
            raise ConfigError(_describe(error, f"scenarios.returns.{name}.preprocess.")) from error
        scenario["preprocess"] = treatment.model_dump(mode="json")
    return tree


def _check_runtime(known: Mapping[str, Any], runtime: Mapping[str, Any]) -> None:
    top = set(Globals.model_fields)
    for path in _leaves(runtime):
        if path not in top and not _exists(known, path):
            near = _siblings(known, path)
            raise UnknownName.of("parameter", path, [*near, *(top if "." not in path else [])])


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}.")
        else:
            yield path


def _exists(tree: Any, path: str) -> bool:
    for part in path.split("."):
        if not isinstance(tree, Mapping) or part not in tree:
            return False
        tree = tree[part]
    return True


def _siblings(tree: Any, path: str) -> list[str]:
    """List the paths that exist at the deepest level of ``path`` that does."""
    prefix: list[str] = []
    for part in path.split("."):
        if not isinstance(tree, Mapping) or part not in tree:
            break
        tree = tree[part]
        prefix.append(part)
    return [".".join([*prefix, str(key)]) for key in tree] if isinstance(tree, Mapping) else []
