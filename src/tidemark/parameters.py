"""What the configuration may hold: every file's shape, and the check of it as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Annotated, Any, get_args

from kedro.framework.project import settings
from pydantic import Field, ValidationError, field_validator

from tidemark.alerts import AlertSettings
from tidemark.config import BASELINE, ScenarioConfig, Strict, StudyName, read_studies
from tidemark.domain import option_baselines
from tidemark.domain.estimators import EstimatorName
from tidemark.errors import ConfigError, UnknownName
from tidemark.pipelines.data_engineering.cross_asset.params import (
    CORRELATION_BASELINES,
    DENSITY_BASELINES,
    CorrelationFeatureParams,
    PairParams,
)
from tidemark.pipelines.data_engineering.options.params import (
    OptionPreprocessParams,
)
from tidemark.pipelines.data_engineering.returns.params import (
    BASELINES,
    PreprocessParams,
)
from tidemark.pipelines.modelling.params import (
    AnyModel,
    RecurrentEstimator,
    RegimeEstimator,
    TrainParams,
)
from tidemark.pipelines.params import EvaluationParams
from tidemark.runner.retries import Retries
from tidemark.study_params import CrossAssetParams, OptionsParams, ReturnsParams
from tidemark.tracking.settings import TrackingSettings


class Globals(Strict):
    """What ``globals.yml`` may name."""

    data_root: Annotated[str, Field(min_length=1)]
    prices_file: Annotated[str, Field(min_length=1)]
    exogenous_file: Annotated[str, Field(min_length=1)]
    series_file: Annotated[str, Field(min_length=1)]
    chain_file: Annotated[str, Field(min_length=1)]
    yahoo_url: Annotated[str, Field(min_length=1)]
    fred_url: Annotated[str, Field(min_length=1)]
    fred_graph_url: Annotated[str, Field(min_length=1)]
    as_of: str


class TrackingFile(Strict):
    """What ``mlflow.yml`` may hold."""

    mlflow: TrackingSettings


class RetriesFile(Strict):
    """What ``retries.yml`` may hold."""

    retries: Retries


class AlertsFile(Strict):
    """What ``alerts.yml`` may hold."""

    alerts: AlertSettings


class Parameters(Strict):
    """The whole tree of parameters."""

    as_of: str
    modelling: TrainParams
    evaluation: EvaluationParams
    scenarios: dict[StudyName, dict[str, ScenarioConfig | None]]
    models: dict[StudyName, dict[str, AnyModel]]
    returns: ReturnsParams
    cross_asset: CrossAssetParams
    options: OptionsParams

    @field_validator("as_of")
    @classmethod
    def _is_a_date(cls, value: str) -> str:
        if date.fromisoformat(value).isoformat() != value:
            raise ValueError("give the date as YYYY-MM-DD")
        return value


def check_parameters(loader: Any, runtime: Mapping[str, Any]) -> None:
    """Refuse names that do not exist, before Kedro silently falls back to defaults.

    Parameters
    ----------
    loader : TidemarkConfigLoader
        The run's configuration, runtime parameters included.
    runtime : mapping
        The runtime parameters alone.

    Raises
    ------
    ConfigError
        With every fault and its place in the tree.
    """
    try:
        Globals.model_validate(loader["globals"])
        TrackingFile.model_validate(loader["mlflow"])
        RetriesFile.model_validate(loader["retries"])
        AlertsFile.model_validate(loader["alerts"])
        if any(path not in Globals.model_fields for path in _leaves(runtime)):
            plain = type(loader)(
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
    for study, scenarios in tree["scenarios"].items():
        for name, scenario in scenarios.items():
            if scenario is None:
                continue
            task = scenario["task"]
            _check_task(study, name, task)
            _check_methods(name, task, scenario["models"], tree["models"][study])
            if scenario["preprocess"] is None:
                if task == "forecast":  # regimes of no pair are refused as such
                    _check_baselines(study, name, scenario["models"])
                continue
            try:
                treatment = _TREATMENTS[study, task].model_validate(scenario["preprocess"])
            except ValidationError as error:
                raise ConfigError(
                    _describe(error, f"scenarios.{study}.{name}.preprocess.")
                ) from error
            scenario["preprocess"] = treatment.model_dump(mode="json")
            if isinstance(treatment, PairParams):
                _check_pair(name, treatment, tree["cross_asset"]["series"])
        if study == "options":
            _check_groups(scenarios, tree["options"]["groups"])
    return tree


# What a scenario of each study and task may say in `preprocess`.
_TREATMENTS: dict[tuple[str, str], type[Strict]] = {
    ("returns", "forecast"): PreprocessParams,
    ("cross_asset", "forecast"): CorrelationFeatureParams,
    ("cross_asset", "regimes"): PairParams,
    ("options", "forecast"): OptionPreprocessParams,
}
_BASELINES = {
    "returns": BASELINES,
    "cross_asset": CORRELATION_BASELINES,
    "options": option_baselines.BASELINES,
}


def _check_groups(scenarios: Mapping[str, Any], groups: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse groups without rows of their own, and today's price outside of circular groups."""
    for name, scenario in scenarios.items():
        if scenario is None:
            continue
        if scenario["group"] not in groups:
            raise UnknownName.of(
                f"group of scenarios.options.{name} (options.groups)", scenario["group"], groups
            )
        same_day = bool((scenario["preprocess"] or {}).get("same_day"))
        knows_price = same_day or option_baselines.OWN_IV in scenario["models"]
        if knows_price and not groups[scenario["group"]]["is_circular"]:
            raise ConfigError(
                f"Scenario '{name}' is given today's own price in other words, and its group "
                f"{scenario['group']} is not circular. Put it into one with is_circular: true."
            )
        if knows_price and "circular" not in name:
            raise ConfigError(
                f"Scenario '{name}' is circular, and its name has to say so in every table. Rename "
                f"it, to circular_{name} for example."
            )


def _check_baselines(study: str, scenario: str, models: Iterable[str]) -> None:
    for model in models:
        if model not in _BASELINES[study]:
            raise UnknownName.of(
                f"baseline in scenarios.{study}.{scenario}.models", model, _BASELINES[study]
            )


def _check_pair(scenario: str, pair: PairParams, series: Iterable[str]) -> None:
    for side in (pair.left, pair.right):
        if side not in series:
            raise UnknownName.of(
                f"series in scenarios.cross_asset.{scenario}.preprocess", side, series
            )


def _check_task(study: str, scenario: str, task: str) -> None:
    known = [one for owner, one in _TREATMENTS if owner == study]
    if task not in known:
        raise UnknownName.of(f"task in scenarios.{study}.{scenario}", task, known)


def _check_methods(
    scenario: str, task: str, names: Iterable[str], models: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse forecasts among densities, and densities among forecasts: a group has one score."""
    forecasts = (*get_args(EstimatorName), *get_args(RecurrentEstimator))
    asked = get_args(RegimeEstimator) if task == "regimes" else forecasts
    for name in names:
        estimator = models.get(name, {}).get("estimator")
        if estimator == BASELINE and task == "regimes" and name not in DENSITY_BASELINES:
            raise UnknownName.of(
                f"baseline in scenarios.cross_asset.{scenario}.models", name, DENSITY_BASELINES
            )
        if estimator not in (None, BASELINE, *asked):
            what = "asks for regimes" if task == "regimes" else "asks for forecasts"
            raise ConfigError(
                f"Scenario '{scenario}' {what}; {name} ({estimator}) gives none. Take one of "
                f"{', '.join(one for one in asked if one != BASELINE)}."
            )


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
