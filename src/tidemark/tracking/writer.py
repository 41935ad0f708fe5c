"""The one writer: it brings an outbox's runs to MLflow, as often as it takes.

Every step is noted in the run's state after MLflow has it, so that a writer which was
interrupted, or met a server that was down, can be started again.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tidemark.tracking.outbox import OutboxRun
from tidemark.tracking.settings import TrackingSettings

_MAX_BATCH = 100
_MAX_VALUE = 5000  # MLflow takes 6000 characters of a parameter, 8000 of a tag

# What scikit-learn's own estimators are made of and skops does not know.
_TRUSTED = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)


class Writer:
    """Send records to one MLflow store.

    Raises whatever MLflow raises; the caller decides whether tracking is required.
    """

    def __init__(self, settings: TrackingSettings) -> None:
        # A server that is down must cost seconds, not the minutes of MLflow's defaults.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        from mlflow import MlflowClient

        self._settings = settings
        self._client = MlflowClient(tracking_uri=settings.tracking_uri)
        self._experiments: dict[str, str] = {}

    def send(self, run: OutboxRun) -> None:
        """Send what is new of a run, and close it if it has ended."""
        facts, state, end = run.facts, run.state, run.end
        if state.setdefault("store", self._settings.tracking_uri) != self._settings.tracking_uri:
            state = {"runs": {}, "sent": [], "store": self._settings.tracking_uri}
        for study in facts["studies"]:
            self._ensure_parent(run, state, facts, study)
        failed = set()
        for name, record in run.records():
            key = record["cell"] or record["study"]
            if key is None:
                continue
            if "failed" in (record["status"], record["tags"].get("status")):
                failed.add(key)  # a node has, or every model that the cell tried
            if name in state["sent"]:
                continue
            run_id = self._ensure_run(run, state, facts, record)
            self._log_record(run, run_id, record)
            state["sent"].append(name)
            run.save_state(state)
        if end is not None and state.get("closed_after") != len(state["sent"]):
            self._close(run, state, facts, end, failed)
            state["closed_after"] = len(state["sent"])  # an ended run may be completed later on
            run.save_state(state)

    def _close(
        self,
        run: OutboxRun,
        state: dict[str, Any],
        facts: Mapping[str, Any],
        end: Mapping[str, Any],
        failed: set[str],
    ) -> None:
        finished = {
            (record["cell"], record["node"])
            for _, record in run.records()
            if record["status"] == "finished"
        }
        for study, about in facts["studies"].items():
            parent = state["runs"][study]
            for cell, expected in about["cells"].items():
                run_id = state["runs"].get(f"{study}/{cell}")
                if run_id is None:
                    continue
                whole = all((cell, node) in finished for node in expected["nodes"])
                whole |= end["status"] == "FINISHED"  # a run may be asked for a part of a cell
                status = "FAILED" if cell in failed else "FINISHED" if whole else "KILLED"
                self._tag(run_id, study, status, end)
                self._client.set_terminated(run_id, status, _ms(end["ended"]))
            self._tag(parent, study, end["status"], end)
            self._client.set_terminated(parent, end["status"], _ms(end["ended"]))

    def _tag(self, run_id: str, study: str, status: str, end: Mapping[str, Any]) -> None:
        tags = {"tidemark.data_hash": end.get("data_hash", {}).get(study)}
        if status != "FINISHED":
            tags["tidemark.error"] = end.get("error")
        self._log(run_id, tags={key: value for key, value in tags.items() if value})

    def _ensure_parent(
        self, run: OutboxRun, state: dict[str, Any], facts: Mapping[str, Any], study: str
    ) -> str:
        if study not in state["runs"]:
            about = facts["studies"][study]
            tags = {
                **facts["tags"],
                **_hashes(facts, study),
                "tidemark.study": study,
                "tidemark.level": "run",
            }
            state["runs"][study] = self._create(
                study, f"{study} {run.run_id}", facts["started"], tags, run.run_id
            )
            self._log(state["runs"][study], params=about["params"])
            run.save_state(state)
        parent: str = state["runs"][study]
        return parent

    def _ensure_run(
        self,
        run: OutboxRun,
        state: dict[str, Any],
        facts: Mapping[str, Any],
        record: Mapping[str, Any],
    ) -> str:
        study, cell = record["study"], record["cell"]
        if cell is None:
            parent: str = state["runs"][study]
            return parent
        key = f"{study}/{cell}"
        if key not in state["runs"]:
            scenario, _, model = cell.partition(".")
            tags = {
                **facts["tags"],
                **_hashes(facts, study),
                "mlflow.parentRunId": state["runs"][study],
                "tidemark.study": study,
                "tidemark.level": "cell",
                "tidemark.scenario": scenario,
                "tidemark.model": model,
            }
            state["runs"][key] = self._create(study, cell, record["started"], tags, run.run_id)
            self._log(state["runs"][key], params=facts["studies"][study]["cells"][cell]["params"])
            run.save_state(state)
        child: str = state["runs"][key]
        return child

    def _create(
        self, study: str, name: str, started: str, tags: Mapping[str, Any], kedro_run: str
    ) -> str:
        """Create a run, unless a writer that was interrupted has left it."""
        from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME

        experiment = self._experiment(study)
        left = self._client.search_runs(
            [experiment],
            f"tags.`tidemark.run_id` = '{kedro_run}' AND tags.`{MLFLOW_RUN_NAME}` = '{name}'",
            max_results=1,
        )
        if left:
            found: str = left[0].info.run_id
            return found
        created = self._client.create_run(
            experiment,
            start_time=_ms(started),
            run_name=name,
            tags={**{key: str(value) for key, value in tags.items()}, "tidemark.run_id": kedro_run},
        )
        run_id: str = created.info.run_id
        return run_id

    def _experiment(self, study: str) -> str:
        if study not in self._experiments:
            found = self._client.get_experiment_by_name(study)
            if found is None:
                self._experiments[study] = self._create_experiment(study)
            else:
                if found.lifecycle_stage == "deleted":  # its name cannot be given again
                    self._client.restore_experiment(found.experiment_id)
                self._experiments[study] = found.experiment_id
        return self._experiments[study]

    def _create_experiment(self, study: str) -> str:
        """Create an experiment, unless another writer has just been faster."""
        from mlflow.exceptions import MlflowException

        place = self._settings.artifact_location
        try:
            created: str = self._client.create_experiment(study, place)
        except MlflowException as error:
            found = self._client.get_experiment_by_name(study)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
                raise
            return str(found.experiment_id)
        return created

    def _log_record(self, run: OutboxRun, run_id: str, record: Mapping[str, Any]) -> None:
        self._log(
            run_id,
            params=record["params"],
            metrics=record["metrics"],
            tags=record["tags"],
            timestamp=_ms(record["ended"]),
        )
        with tempfile.TemporaryDirectory() as folder:
            for artifact in record["artifacts"]:
                place = os.path.join(folder, artifact["folder"])
                os.makedirs(place, exist_ok=True)
                os.symlink(
                    run.file(artifact["file"]).absolute(), os.path.join(place, artifact["name"])
                )
            if record["artifacts"]:
                self._client.log_artifacts(run_id, folder)
        if record["model"]:
            self._log_model(run, run_id, record)

    def _log_model(self, run: OutboxRun, run_id: str, record: Mapping[str, Any]) -> None:
        """Log a model with a signature and requirements that nobody has to infer."""
        import mlflow.sklearn
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema

        about = record["model"]
        signature = ModelSignature(
            Schema([ColSpec("double", name) for name in about["features"]]),
            Schema([ColSpec("double")]),
        )
        content = run.file(about["file"]).read_bytes()
        logged = self._find_or_create_model(run_id, record)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model")
            mlflow.sklearn.save_model(
                pickle.loads(content),  # noqa: S301 - this run's own model, from its own outbox
                path,
                signature=signature,
                pip_requirements=about["requirements"],
                serialization_format="skops",
                skops_trusted_types=list(_TRUSTED),
            )
            self._client.log_model_artifacts(logged.model_id, path)
        self._client.finalize_logged_model(logged.model_id, "READY")
        if not self._client.get_run(run_id).outputs.model_outputs:
            self._client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])

    def _find_or_create_model(self, run_id: str, record: Mapping[str, Any]) -> Any:
        """Find the model that an interrupted writer has left of a run, or create it."""
        experiment = self._experiment(record["study"])
        left = self._client.search_logged_models(
            [experiment], filter_string=f"source_run_id = '{run_id}'", max_results=1
        )
        if left:
            return left[0]
        return self._client.create_logged_model(
            experiment,
            name=record["cell"].replace(".", "_"),
            source_run_id=run_id,
            params={key: str(value) for key, value in record["params"].items()},
        )

    def _log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Sequence[Sequence[Any]] = (),
        tags: Mapping[str, Any] | None = None,
        timestamp: int = 0,
    ) -> None:
        """Log in batches, as few as MLflow's limits allow."""
        from mlflow.entities import Metric, Param, RunTag

        entities: dict[str, list[Any]] = {
            "params": [
                Param(key, str(value)[:_MAX_VALUE]) for key, value in (params or {}).items()
            ],
            "metrics": [Metric(key, value, timestamp, step) for key, value, step in metrics],
            "tags": [RunTag(key, str(value)[:_MAX_VALUE]) for key, value in (tags or {}).items()],
        }
        for batch in _batches(entities):
            self._client.log_batch(run_id, **batch, synchronous=True)


def _batches(entities: dict[str, list[Any]]) -> Iterator[dict[str, list[Any]]]:
    longest = max(len(values) for values in entities.values())
    for start in range(0, longest, _MAX_BATCH):
        yield {key: values[start : start + _MAX_BATCH] for key, values in entities.items()}


def _hashes(facts: Mapping[str, Any], study: str) -> dict[str, str]:
    """Tag what code and parameters a run had; what an older version left says neither."""
    found = {
        "tidemark.code_hash": facts.get("code_hash"),
        "tidemark.params_hash": facts["studies"][study].get("params_hash"),
    }
    return {key: value for key, value in found.items() if value}


def _ms(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
