"""Typed configuration that several layers share: studies, their cells, and the run itself.

Scenarios and models are data: ``conf/base/scenarios.yml`` lists them, and the registry builds
one namespace for each.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

RUN_INFO = "params:tidemark"
BASELINE = "baseline"  # the estimator of a model that is not fitted
NETWORK = "gru"  # that of one that is a recurrent network
StudyName = Literal["returns", "cross_asset", "options"]
Task = Literal["forecast", "regimes"]
STUDIES: tuple[StudyName, ...] = get_args(StudyName)
_SCORED_BY_GROUP = _PRICES_OPTIONS = frozenset({"options"})


class Strict(BaseModel):
    """A frozen set of parameters that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ScenarioConfig(Strict):
    """One way to treat a study's data, and the models that are tried on it.

    Without ``preprocess`` it is a baseline: nothing is treated and nothing fitted, and each of its
    models is a forecast that the study's data publishes beside the rows to be scored. The task
    ``regimes`` asks models for the density of the next observation in place of a forecast, and
    publishes rows and baselines of its own.
    """

    group: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    task: Task = "forecast"
    preprocess: dict[str, Any] | None = None
    models: tuple[str, ...]

    @property
    def is_baseline(self) -> bool:
        """Whether the scenario's cells are forecasts that nobody fits."""
        return self.preprocess is None


@dataclass(frozen=True)
class Cell:
    """One (scenario, model) pair of a study: one namespace, one MLflow child run."""

    study: str
    scenario: str
    model: str

    @property
    def namespace(self) -> str:
        """The cell's namespace and its name everywhere else."""
        return f"{self.scenario}.{self.model}"


@dataclass(frozen=True)
class Study:
    """A study with its scenarios, in the order of the configuration.

    ``sources`` are those that it fetches one by one, ``baselines`` the models that are not fitted,
    ``networks`` those that are recurrent.
    """

    name: str
    scenarios: Mapping[str, ScenarioConfig]
    sources: tuple[str, ...] = ()
    baselines: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()

    @property
    def groups(self) -> list[str]:
        """The comparison groups, in the order of the scenarios."""
        return list(dict.fromkeys(config.group for config in self.scenarios.values()))

    @property
    def scores_by_group(self) -> bool:
        """Whether each comparison group has rows of its own to score, and dates of its own."""
        return self.name in _SCORED_BY_GROUP

    @property
    def prices_options(self) -> bool:
        """Whether forecasts are prices of options, and are judged as such too."""
        return self.name in _PRICES_OPTIONS

    def publishes(self, name: str, scenario: str) -> str:
        """Name what the study's data publishes for a scenario: its split, say."""
        box = f"{self.name}_data"
        if self.scores_by_group:
            box = f"{box}.{self.scenarios[scenario].group}"
        return f"{box}.{name}"

    def treated(self, task: Task = "forecast") -> list[str]:
        """List the scenarios of a task that treat data and fit models: all but baselines."""
        return [
            name
            for name, config in self.scenarios.items()
            if not config.is_baseline and config.task == task
        ]

    def has_task(self, task: Task) -> bool:
        """Say whether any scenario asks for this."""
        return any(config.task == task for config in self.scenarios.values())

    def is_baseline(self, cell: Cell) -> bool:
        """Say whether nobody fits a cell's model."""
        return cell.model in self.baselines

    def cells(self, scenario: str | None = None) -> Iterator[Cell]:
        """List the cells of one scenario, or of all."""
        for name, config in self.scenarios.items():
            if scenario in (None, name):
                for model in config.models:
                    yield Cell(self.name, name, model)


class RunInfo(Strict):
    """What every process of a run knows: it travels in the catalog as ``params:tidemark``."""

    project_path: Path
    data_root: Path
    scenarios: dict[str, str]
    mlflow: dict[str, Any]
    retries: dict[str, Any]

    def study_of(self, namespace: str | None) -> str | None:
        """Name the study that a node's namespace belongs to."""
        if not namespace:
            return None
        top = namespace.partition(".")[0]
        for study in STUDIES:
            if top in (f"{study}_data", f"{study}_report"):
                return study
        return self.scenarios.get(top)

    def cell_of(self, namespace: str | None) -> Cell | None:
        """Name the cell that a node's namespace belongs to, if it belongs to one."""
        scenario, _, model = (namespace or "").partition(".")
        study = self.scenarios.get(scenario)
        return Cell(study, scenario, model) if study and model else None


def read_studies(parameters: Mapping[str, Any]) -> list[Study]:
    """Read the studies out of the resolved parameters.

    Raises
    ------
    ValueError
        If two studies give one name to a scenario, or a scenario names a model that its study
        does not define.
    """
    studies = []
    seen: dict[str, str] = {}
    for name in STUDIES:
        models = parameters.get("models", {}).get(name, {})
        scenarios = {}
        for scenario, raw in parameters.get("scenarios", {}).get(name, {}).items():
            if raw is None:  # an environment has taken it out
                continue
            config = ScenarioConfig.model_validate(raw)
            _check_scenario(scenario, config)
            if scenario in seen:
                raise ValueError(
                    f"Scenario '{scenario}' is in studies {seen[scenario]} and {name}."
                )
            undefined = [model for model in config.models if model not in models]
            if undefined:
                raise ValueError(
                    f"Scenario '{scenario}' names models {undefined}; study '{name}' defines "
                    f"{sorted(models)}."
                )
            _check_baselines(scenario, config, models)
            seen[scenario] = name
            scenarios[scenario] = config
        baselines, networks = (
            frozenset(key for key, model in models.items() if model.get("estimator") == kind)
            for kind in (BASELINE, NETWORK)
        )
        sources = parameters.get(name, {}).get("sources", ())
        studies.append(Study(name, scenarios, tuple(sources), baselines, networks))
    return studies


def _check_scenario(name: str, config: ScenarioConfig) -> None:
    boxes = {f"{study}_{box}" for study in STUDIES for box in ("data", "report")}
    if not name.isidentifier() or name in boxes:
        raise ValueError(
            f"Scenario '{name}' needs another name: letters, digits and underscores, and none of "
            f"{sorted(boxes)}."
        )
    if not config.models or len(set(config.models)) < len(config.models):
        raise ValueError(f"Scenario '{name}' must list at least one model, and none twice.")
    for model in config.models:
        if not model.isidentifier():
            raise ValueError(f"Scenario '{name}': model '{model}' is no name for a namespace.")


def _check_baselines(name: str, config: ScenarioConfig, models: Mapping[str, Any]) -> None:
    if config.task == "regimes":
        if config.is_baseline:
            raise ValueError(f"Scenario '{name}' must say in 'preprocess' which pair it is of.")
        return
    for model in config.models:
        is_baseline = models[model].get("estimator") == BASELINE
        if is_baseline and not config.is_baseline:
            raise ValueError(
                f"Scenario '{name}': {model} is a baseline and belongs in a scenario without "
                f"'preprocess'."
            )
        if config.is_baseline and not is_baseline:
            raise ValueError(
                f"Scenario '{name}' has no 'preprocess', so its models must be baselines; "
                f"{model} is not one."
            )


def is_address(place: str) -> bool:
    """Say whether a place is an address, ``scheme://...``, rather than a path.

    Examples
    --------
    >>> is_address("https://example.org/prices.csv"), is_address("data/prices.csv")
    (True, False)
    """
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", place) is not None


def expand_path(path: str | None) -> str | None:
    """Resolve a leading tilde, so that datasets and checkpoints mean the same folder.

    Examples
    --------
    >>> expand_path("https://example.org/~bob//prices.csv")
    'https://example.org/~bob//prices.csv'
    """
    if path is None or is_address(str(path)):
        return path
    return str(Path(str(path)).expanduser())


def companion_file(prices_file: str, exogenous_file: str) -> str | None:
    """Resolve ``exogenous_file: auto``: the embedded series belong to the embedded prices.

    Examples
    --------
    >>> companion_file("data/01_raw/returns/prices.parquet", "auto")
    'data/01_raw/returns/exogenous.parquet'
    >>> companion_file("mine.csv", "auto") is None
    True
    >>> companion_file("https://example.org/prices.parquet", "auto") is None
    True
    >>> companion_file("mine.csv", "oil.csv")
    'oil.csv'
    """
    if exogenous_file != "auto":
        return exogenous_file
    embedded = Path("data/01_raw/returns")
    given = Path(os.path.normpath(prices_file))
    own = embedded / "prices.parquet"
    same = given in (own, Path(__file__).resolve().parents[2] / own)
    return (embedded / "exogenous.parquet").as_posix() if same else None


@cache
def say_today() -> str:
    """Say which day it is in UTC, ``YYYY-MM-DD``: once for a process, so that a run has one day."""
    return datetime.now(UTC).date().isoformat()
