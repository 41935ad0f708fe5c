"""The project's context: configuration is checked whole before anything runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.project import settings
from kedro.framework.session import KedroSession
from kedro.io import CatalogProtocol, MemoryDataset
from kedro.io.data_catalog import SharedMemoryDataCatalog
from kedro.utils import find_kedro_project

from tidemark.alerts import Alerts, AlertSettings
from tidemark.checkpoints.fingerprints import code_fingerprint, parameters_fingerprint
from tidemark.config import RUN_INFO, RunInfo, Study, expand_path, read_studies
from tidemark.datasets.catalog import SharedTidemarkCatalog, TidemarkCatalog
from tidemark.loader import TidemarkConfigLoader
from tidemark.locks import hold_data_root
from tidemark.parameters import check_parameters


class TidemarkContext(KedroContext):
    """A context that refuses configuration it does not understand."""

    _is_checked: bool = False

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
            retries=self.config_loader["retries"]["retries"],
        )

    def new_alerts(self) -> Alerts:
        """Read who is told of what, and where.

        Raises
        ------
        ConfigError
            If the credentials hold what is no address.
        """
        settings = AlertSettings.model_validate(self.config_loader["alerts"]["alerts"])
        try:
            credentials = self.config_loader["credentials"]
        except MissingConfigException:
            credentials = {}
        return Alerts(settings, credentials.get("alerts"))

    def check_parameters(self) -> None:
        """Refuse parameters that do not exist or cannot be used.

        Raises
        ------
        ConfigError
            With every fault and its place in the tree.
        """
        if not self._is_checked:
            check_parameters(self.config_loader, self._runtime_params or {})
            self.new_alerts()
            self._is_checked = True

    def _get_validated_params(self) -> dict[str, Any]:
        # Kedro types the parameters of the pipelines that a command names and leaves others
        # plain, without defaults: one node would have two identities. This one holds all nodes.
        self._pipelines_to_validate = ["__default__"]
        if self._validated_params_cache is None:
            self.check_parameters()
        return super()._get_validated_params()

    def _get_parameters(self) -> dict[str, Any]:
        known = super()._get_parameters()
        known[RUN_INFO] = self.run_info
        for study in self.studies:
            for scenario in study.scenarios:
                known[f"params:names.{scenario}"] = scenario
            for cell in study.cells():
                known[f"params:cells.{cell.namespace}"] = cell
            known[f"params:provenance.{study.name}"] = {
                "code_hash": code_fingerprint(),
                "params_hash": parameters_fingerprint(known["parameters"], study.name),
            }
        # The way of copying is said, because Kedro imports pandas for each one to find out.
        return {name: MemoryDataset(one, copy_mode="deepcopy") for name, one in known.items()}

    def _get_catalog(
        self,
        catalog_class: type = TidemarkCatalog,
        save_version: str | None = None,
        load_versions: dict[str, str] | None = None,
    ) -> CatalogProtocol[Any, Any]:
        shared = issubclass(catalog_class, SharedMemoryDataCatalog)
        own = SharedTidemarkCatalog if shared else TidemarkCatalog
        return super()._get_catalog(own, save_version, load_versions)


class TidemarkSession(KedroSession):
    """A session that loads its context once."""

    _context: TidemarkContext | None = None
    waits_for_others: bool = True

    def load_context(self) -> TidemarkContext:
        """Load the context, or return the one that was loaded."""
        if self._context is None:
            self._context = cast(TidemarkContext, super().load_context())
        return self._context

    def run(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Run while no other run works on the same data root.

        Raises
        ------
        RunError
            If another does and ``waits_for_others`` is false.
        """
        root = self.load_context().run_info.data_root
        with hold_data_root(root, self.store["session_id"], wait=self.waits_for_others):
            try:
                result: dict[str, Any] = super().run(*arguments, **options)
            except (KeyboardInterrupt, SystemExit) as error:  # Kedro has no hook for these
                interrupted = getattr(self._hook_manager.hook, "on_run_interrupted", None)
                if interrupted is not None:
                    interrupted(error=error)
                raise
        return result


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
    return TidemarkConfigLoader(
        conf_source=str(project_path / settings.CONF_SOURCE),
        env=env,
        **settings.CONFIG_LOADER_ARGS,
    )


class _Active:
    """The configuration of the newest context of this process."""

    loader: Any = None
