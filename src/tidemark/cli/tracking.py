"""``kedro tracking``: look after what waits for MLflow and for the metrics store."""

from __future__ import annotations

import click
from kedro.framework.cli.utils import env_option
from kedro.framework.project import settings

from tidemark import errors, logs
from tidemark.cli.options import fail, project


@click.group()
def tracking() -> None:
    """Look after what waits for MLflow and for the metrics store."""


@tracking.command()
@env_option
@click.option("--data-root", default=None, help="Where the run wrote; default: as configured.")
def sync(env: str | None, data_root: str | None) -> None:
    """Send what waits in the outbox, and close runs whose process has died.

    Records go to MLflow, rows of metrics to the metrics store.

    Exit status: 0 when nothing waits any more, 1 when one of the two cannot be reached.
    """
    from tidemark.tracking.metrics_store import MetricsStore
    from tidemark.tracking.outbox import Outbox
    from tidemark.tracking.settings import TrackingSettings
    from tidemark.tracking.sync import sync_outbox

    logs.configure_terminal(project())
    runtime = {"data_root": data_root} if data_root else {}
    with settings.SESSION_CLASS.create(env=env, runtime_params=runtime) as session:
        info = session.load_context().run_info
    tracked = TrackingSettings.resolve(info.mlflow, info.project_path)
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
