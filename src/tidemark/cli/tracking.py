"""``kedro tracking``: look at the runs, and after what waits for the stores."""

from __future__ import annotations

import os
import sys

import click
from kedro.framework.cli.utils import env_option
from kedro.framework.project import settings

from tidemark import errors, logs
from tidemark.cli.options import explain, fail, project
from tidemark.config import RunInfo
from tidemark.tracking.settings import TrackingSettings


@click.group()
def tracking() -> None:
    """Look at the runs in MLflow, and after what waits for the stores."""


_conf_source = click.option(
    "--conf-source",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="The folder of the configuration; default: the project's own.",
)


@tracking.command()
@env_option
@_conf_source
@click.option("--data-root", default=None, help="Where the run wrote; default: as configured.")
def sync(env: str | None, conf_source: str | None, data_root: str | None) -> None:
    """Send what waits in the outbox, and close runs whose process has died.

    Records go to MLflow, rows of metrics to the metrics store.

    Exit status: 0 when nothing waits any more, 1 when one of the two cannot be reached.
    """
    from tidemark.tracking.metrics_store import MetricsStore
    from tidemark.tracking.outbox import Outbox
    from tidemark.tracking.sync import sync_outbox

    info, tracked = _read(env, conf_source, {"data_root": data_root} if data_root else {})
    outbox = Outbox(info.data_root / "outbox")
    waiting = len(list(outbox.waiting()))
    try:
        done = sync_outbox(outbox, tracked)
    except Exception as error:
        fail(
            errors.TrackingError(
                f"MLflow at {errors.mask(tracked.tracking_uri)} cannot be reached: "
                f"{errors.mask(str(error))}\n"
                f"{waiting} runs wait in {info.data_root / 'outbox'}; nothing is lost."
            )
        )
    store = errors.mask(tracked.tracking_uri)
    rows = MetricsStore(tracked.metrics_uri(info.data_root)).place
    click.echo(
        f"{done} of {waiting} waiting runs are complete in MLflow at {store} and in the metrics "
        f"store at {rows}."
    )
    if done < waiting:
        click.get_current_context().exit(errors.EXIT_ERROR)


@tracking.command()
@env_option
@_conf_source
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets others in.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
def ui(env: str | None, conf_source: str | None, host: str, port: int) -> None:
    """Open MLflow's pages on the store that runs are written to.

    The store is that of mlflow.yml in the chosen configuration, or of MLFLOW_TRACKING_URI. Of a
    tracking server only the address is told: its pages are open already.

    Exit status: that of MLflow, 0 if there is nothing to open, 1 if the configuration is wrong.
    """
    _, tracked = _read(env, conf_source, {})
    uri = tracked.tracking_uri
    if tracked.is_server:
        click.echo(f"Runs are on the tracking server {errors.mask(uri)}: open it in a browser.")
        return
    click.echo(f"MLflow with {errors.mask(uri)}: http://{host}:{port} (Ctrl-C ends it)")
    sys.stdout.flush()
    words = [sys.executable, "-m", "mlflow", "ui", "--host", host, "--port", str(port)]
    words += ["--workers", "1"]
    # A password in the address is nothing for the list of processes. Jobs of MLflow's own, which
    # runs have none of, would be eight more processes.
    own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **os.environ}
    own["MLFLOW_BACKEND_STORE_URI"] = uri
    os.execve(sys.executable, words, own)  # noqa: S606 - signals and the exit status are MLflow's


def _read(
    env: str | None, conf_source: str | None, params: dict[str, str]
) -> tuple[RunInfo, TrackingSettings]:
    """Read what the configuration says of runs, and of where they are tracked."""
    logs.configure_terminal(project())
    try:
        with settings.SESSION_CLASS.create(
            env=env, conf_source=conf_source, runtime_params=params
        ) as session:
            info: RunInfo = session.load_context().run_info
        return info, TrackingSettings.resolve(info.mlflow, info.project_path)
    except Exception as error:
        raise SystemExit(explain(error)) from error
