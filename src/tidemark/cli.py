"""Commands of the project, which ``kedro`` finds here: run, tracking."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
from kedro.framework.cli.project import _resolve_runner_kwargs
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import env_option
from kedro.framework.project import pipelines as registered
from kedro.framework.project import settings
from kedro.pipeline import Pipeline
from kedro.utils import find_kedro_project, load_obj

from tidemark import errors, logs
from tidemark.context import TidemarkContext
from tidemark.hooks import hooks

logger = logging.getLogger(__name__)

# Click ends with 2 where it does not understand the words; here 2 says that data was refused.
click.UsageError.exit_code = errors.EXIT_USAGE


@click.group(name="tidemark")
def cli() -> None:
    """Commands of the project."""


def _read_config(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
    """Take options from the ``run`` section of a YAML file; the command line wins."""
    if value:
        from omegaconf import OmegaConf

        section = OmegaConf.to_container(OmegaConf.load(value), resolve=True)
        options = section.get("run") if isinstance(section, dict) else None
        if not isinstance(options, dict):
            raise click.BadParameter(f"'{value}' has no section 'run'.")
        known = {parameter.name for parameter in context.command.params if parameter.name}
        defaults: dict[str, Any] = {}
        for key, given in options.items():
            name = {"nodes": "node_names"}.get(str(key), str(key)).replace("-", "_")
            if name not in known - {"config"}:
                _fail(errors.UnknownName.of(f"key in '{value}'", str(key), known - {"config"}))
            defaults[name] = ",".join(map(str, given)) if isinstance(given, list) else given
        context.default_map = {**(context.default_map or {}), **defaults}
    return value


def _names(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _option(*names: str, help: str) -> Callable[[Any], Any]:
    return click.option(*names, type=str, default="", callback=_names, help=help)


@cli.command(short_help="Run a study, a stage, a scenario or a cell.")
@_option("--namespace", help="Run only the nodes inside these namespaces, comma-separated.")
@_option("--scenario", help="Leave out other scenarios, and whatever needs them.")
@_option("--model", help="Leave out other models, and whatever needs them.")
@click.option(
    "--force", is_flag=True, help="Run all that is selected, fresh or not (so far all is)."
)
@click.option(
    "--config",
    "-c",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    callback=_read_config,
    help="Take options from the section 'run' of a YAML file; the command line wins.",
)
@click.pass_context
def run(click_context: click.Context, /, **options: Any) -> None:
    """Run a study, a stage, a scenario or a cell.

    \b
    kedro run                                        every study
    kedro run --pipeline returns                     one study
    kedro run --pipeline modelling --namespace median_impute
    kedro run --pipeline returns --scenario median_impute --model ridge
    kedro run --pipeline returns --params prices_file=FILE,data_root=DIR,as_of=YYYY-MM-DD

    --namespace selects the nodes inside a namespace and nothing else. --scenario and --model
    leave out what belongs to other scenarios and models, and every node that would need it;
    data that scenarios share stays in. All of them combine.

    Exit status: 0 success, 1 a recoverable error, 2 data refused by validation, 64 a command
    line that cannot be understood, 130 interrupted.
    """  # noqa: D301 - click reads the backslash
    if options["pipeline"] and options["pipelines"]:
        raise click.UsageError("Give --pipeline or --pipelines, not both.")
    click_context.exit(_run(options))


# Kedro's own options stay as they are; --config is replaced above.
_own = {parameter.name for parameter in run.params}
run.params.extend(one for one in kedro_run.params if one.name not in _own)


def _run(options: dict[str, Any]) -> int:
    """Run and return the exit status."""
    logs.configure_terminal(_project())
    started = time.perf_counter()
    chosen = [options["pipeline"]] if options["pipeline"] else sorted(set(options["pipelines"]))
    start = os.environ.get("KEDRO_MP_CONTEXT")
    if start in multiprocessing.get_all_start_methods():
        # Kedro asks for the global method when it decides whether a worker must be configured.
        multiprocessing.set_start_method(start, force=True)
    interrupt = _interruptor()
    previous = [signal.signal(one, interrupt) for one in (signal.SIGINT, signal.SIGTERM)]
    try:
        runner = load_obj(options["runner"] or "SequentialRunner", "kedro.runner")(
            **_resolve_runner_kwargs(options["is_async"], options["runner_params"])
        )
        with settings.SESSION_CLASS.create(
            env=options["env"], conf_source=options["conf_source"], runtime_params=options["params"]
        ) as session:
            context = session.load_context()
            session.run(
                **_select(context, chosen, options),
                runner=runner,
                pipeline_names=chosen,
                load_versions=options["load_versions"],
                only_missing_outputs=options["only_missing_outputs"],
            )
            from tidemark.summary import print_summary

            print_summary(
                context.run_info, session.store["session_id"], time.perf_counter() - started
            )
    except KeyboardInterrupt:
        click.secho("Interrupted.", err=True, fg="red")
        for one in (signal.SIGINT, signal.SIGTERM):  # impatience must not leave a run open
            signal.signal(one, signal.SIG_IGN)
        try:
            hooks.close_run("KILLED", "interrupted")
        except errors.TrackingError as error:
            click.secho(str(error), err=True, fg="red")
        return errors.EXIT_INTERRUPTED
    except Exception as error:
        return _explain(error)
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), previous, strict=True):
            signal.signal(number, handler)
    return errors.EXIT_SUCCESS


def _select(
    context: TidemarkContext, chosen: Sequence[str], options: dict[str, Any]
) -> dict[str, Any]:
    """Turn the selecting options into those of Kedro's session, after checking every name."""
    from tidemark.selection import check_namespaces, check_pipelines, keep_cells

    context.check_parameters()
    check_pipelines(chosen, registered)
    pipeline = Pipeline([registered[name] for name in chosen or ["__default__"]])
    namespaces = sorted({*options["namespace"], *options["namespaces"]})
    check_namespaces(namespaces, pipeline)
    names = list(options["node_names"])
    for name in names:
        if name not in {node.name for node in pipeline.nodes}:
            raise errors.UnknownName.of("node", name, [node.name for node in pipeline.nodes])
    if options["scenario"] or options["model"]:
        kept = keep_cells(pipeline, context.run_info, options["scenario"], options["model"])
        names = [name for name in kept if not names or name in names]
        if not names:
            raise errors.ConfigError("The nodes named belong to other scenarios or models.")
    return {
        "tags": tuple(options["tags"]),
        "node_names": tuple(names),
        "from_nodes": options["from_nodes"],
        "to_nodes": options["to_nodes"],
        "from_inputs": options["from_inputs"],
        "to_outputs": options["to_outputs"],
        "namespaces": namespaces,
    }


def _project() -> Path:
    return Path(find_kedro_project(Path.cwd()) or Path(__file__).parents[2])


def _explain(error: Exception) -> int:
    """Say what went wrong and return the exit status that stands for it."""
    from kedro.validation.exceptions import DataValidationError

    if isinstance(error, errors.TidemarkError):
        click.secho(str(error), err=True, fg="red")
        return error.exit_status
    if isinstance(error, click.ClickException):
        error.show()
        return errors.EXIT_ERROR
    if isinstance(error, DataValidationError):
        click.secho(str(error), err=True, fg="red")
        refused = "_data." in (error.dataset_name or "")
        return errors.EXIT_REFUSED if refused else errors.EXIT_ERROR
    logger.debug("the run failed", exc_info=error)
    click.secho(f"{type(error).__name__}: {error}", err=True, fg="red")
    log = logs.pipeline_log()
    if log is not None:
        click.echo(f"The whole traceback is in {log}.", err=True)
    return errors.EXIT_ERROR


def _fail(error: errors.TidemarkError) -> NoReturn:
    click.secho(str(error), err=True, fg="red")
    raise SystemExit(error.exit_status)


def _interruptor() -> Callable[[int, object], None]:
    """Make a signal handler that ends the workers first: a pool waits for them otherwise.

    Threads cannot be ended; they finish the node that they are at and begin no other.
    """
    main = os.getpid()

    def interrupt(number: int, _: object) -> None:
        if os.getpid() != main:  # a forked worker has inherited the handler
            os._exit(128 + number)
        hooks.stop()
        for child in multiprocessing.active_children():
            child.terminate()
        raise KeyboardInterrupt

    return interrupt


@cli.group()
def tracking() -> None:
    """Look after what waits for MLflow."""


@tracking.command()
@env_option
@click.option("--data-root", default=None, help="Where the run wrote; default: as configured.")
def sync(env: str | None, data_root: str | None) -> None:
    """Send to MLflow what waits in the outbox, and close runs whose process has died.

    Exit status: 0 when nothing waits any more, 1 when MLflow cannot be reached.
    """
    from tidemark.tracking.outbox import Outbox
    from tidemark.tracking.settings import TrackingSettings
    from tidemark.tracking.sync import sync_outbox

    logs.configure_terminal(_project())
    runtime = {"data_root": data_root} if data_root else {}
    with settings.SESSION_CLASS.create(env=env, runtime_params=runtime) as session:
        info = session.load_context().run_info
    tracked = TrackingSettings.resolve(info.mlflow, info.project_path)
    outbox = Outbox(info.data_root / "outbox")
    waiting = len(list(outbox.waiting()))
    try:
        done = sync_outbox(outbox, tracked)
    except Exception as error:
        _fail(
            errors.TrackingError(
                f"MLflow at {errors.mask(tracked.tracking_uri)} cannot be reached: "
                f"{errors.mask(str(error))}\n"
                f"{waiting} runs wait in {info.data_root / 'outbox'}; nothing is lost."
            )
        )
    store = errors.mask(tracked.tracking_uri)
    click.echo(f"{done} of {waiting} waiting runs are complete in MLflow at {store}.")
    if done < waiting:
        click.get_current_context().exit(errors.EXIT_ERROR)
