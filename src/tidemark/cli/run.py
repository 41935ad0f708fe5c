"""``kedro run``: run a study, a stage, a scenario or a cell."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shlex
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import click
from kedro.framework.cli.project import _resolve_runner_kwargs
from kedro.framework.project import pipelines as registered
from kedro.framework.project import settings
from kedro.pipeline import Pipeline
from kedro.runner import AbstractRunner
from kedro.utils import load_obj

from tidemark import errors, hooks, logs
from tidemark.checkpoints.identity import own_code
from tidemark.cli.options import add_kedro_options, explain, project, selecting
from tidemark.context import TidemarkContext
from tidemark.runner import OWN_RUNNER

_PATIENCE_SECONDS = 20.0  # that an interrupted run is given to end by itself
_CODE_CACHE = "checkpoints/.code_cache"  # below the data root; checkpoints end in .json and .ok


@click.command(short_help="Run a study, a stage, a scenario or a cell: what is not fresh of it.")
@selecting
@click.option("--force", is_flag=True, help="Run all that is selected, fresh or not.")
@click.option("--dry-run", is_flag=True, help="Print what would run, and why, and stop.")
@click.option(
    "--allow-stale-inputs",
    is_flag=True,
    help="Let a slice read what is not fresh; its checkpoints say so.",
)
@click.option(
    "--no-wait", is_flag=True, help="End with status 1 if another run works on the same data."
)
@click.option("--verbose", is_flag=True, help="Show all that is logged, Kedro's lines too.")
@click.pass_context
def run(click_context: click.Context, /, **options: Any) -> None:
    """Run a study, a stage, a scenario or a cell: what is not fresh of it.

    \b
    kedro run                                        every study
    kedro run --pipeline returns                     one study
    kedro run --pipeline modelling --namespace median_impute
    kedro run --pipeline returns --scenario median_impute --model ridge
    kedro run --pipeline returns --params prices_file=FILE,data_root=DIR,as_of=YYYY-MM-DD
    kedro run --runner-params executor=processes,max_workers=2

    A node runs if its code, parameters, catalog entries, inputs or libraries have changed, or
    its outputs are not what it wrote; 'kedro status' says which do, and why. If its outputs come
    out as they were, what needs them stays fresh.

    --namespace selects the nodes inside a namespace and nothing else. --scenario and --model
    leave out what belongs to other scenarios and models, and every node that would need it;
    data that scenarios share stays in. All of them combine.

    Executors are sequential (the default), processes and dask (address=tcp://HOST:PORT of a
    running scheduler, or a local cluster). Kedro's own runners work too, --runner=ThreadRunner;
    they run all that is selected, and try each node once.

    Exit status: 0 success, 1 a recoverable error, 2 data refused by validation, 64 a command
    line that cannot be understood, 130 interrupted.
    """  # noqa: D301 - click reads the backslash
    click_context.exit(_run(options))


add_kedro_options(run, only_selecting=False)


def _run(options: dict[str, Any]) -> int:
    """Run and return the exit status."""
    logs.configure_terminal(project(), options["verbose"])
    started = time.perf_counter()
    start = os.environ.get("KEDRO_MP_CONTEXT")
    if start in multiprocessing.get_all_start_methods():
        # Kedro asks for the global method when it decides whether a worker must be configured.
        multiprocessing.set_start_method(start, force=True)
    interrupt = _interruptor()
    previous = [signal.signal(one, interrupt) for one in (signal.SIGINT, signal.SIGTERM)]
    try:
        chosen = choose_pipelines(options)
        runner = _make_runner(options)
        with settings.SESSION_CLASS.create(
            env=options["env"], conf_source=options["conf_source"], runtime_params=options["params"]
        ) as session:
            context = session.load_context()
            registered.set_requested(chosen or None)  # as the session will; else it is built twice
            selection = select(context, chosen, options)
            gc.freeze()  # what is loaded by now stays, and need not be searched for garbage
            if options["dry_run"]:
                from tidemark.cli.status import print_plan

                print_plan(context, chosen, selection, options)
                return errors.EXIT_SUCCESS
            session.waits_for_others = not options["no_wait"]
            try:
                session.run(
                    **selection,
                    runner=runner,
                    pipeline_names=chosen,
                    load_versions=options["load_versions"],
                    only_missing_outputs=options["only_missing_outputs"],
                )
            finally:
                own_code.save()
                from tidemark.summary import print_summary

                seconds = time.perf_counter() - started
                print_summary(context.run_info, session.store["session_id"], seconds)
    except KeyboardInterrupt:
        click.secho("Interrupted. Type the same command to go on.", err=True, fg="red")
        return errors.EXIT_INTERRUPTED
    except SystemExit as error:  # a node under one of Kedro's runners; its status is not ours
        click.secho(f"A node ended the process with {error.code!r}.", err=True, fg="red")
        return errors.EXIT_ERROR
    except Exception as error:
        return explain(error)
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), previous, strict=True):
            signal.signal(number, handler)
    return errors.EXIT_SUCCESS


def _make_runner(options: dict[str, Any]) -> AbstractRunner:
    """Make the project's runner, or one of Kedro's by its name.

    Raises
    ------
    UnknownName, ConfigError
        If there is no such runner, or an option means nothing to it.
    """
    given = _resolve_runner_kwargs(options["is_async"], options["runner_params"])
    if options["runner"] in (None, OWN_RUNNER):
        from tidemark.runner.runner import Conduct, TidemarkRunner

        known = ("executor", "max_workers", "address", "threads", "is_async")
        for name in given:
            if name not in known:
                raise errors.UnknownName.of("runner parameter", name, known)
        conduct = Conduct(
            is_forced=options["force"],
            allows_stale_inputs=options["allow_stale_inputs"],
            is_verified=options["verify"],
            remedy_options=repeat_options(options),
        )
        return TidemarkRunner(**given, conduct=conduct)
    if options["allow_stale_inputs"] or options["verify"] or options["dry_run"]:
        raise errors.ConfigError(
            f"{options['runner']} runs all that is selected; leave --runner out to use "
            f"--allow-stale-inputs, --verify or --dry-run."
        )
    runner: AbstractRunner = load_obj(options["runner"], "kedro.runner")(**given)
    return runner


def repeat_options(options: dict[str, Any]) -> tuple[str, ...]:
    """Spell out again what a remedy needs of this command: its configuration and parameters."""
    given = {
        "--env": options["env"],
        "--conf-source": options["conf_source"],
        "--params": ",".join(f"{key}={value}" for key, value in _flat(options["params"])),
        "--load-versions": ",".join(f"{k}:{v}" for k, v in options["load_versions"].items()),
    }
    return tuple(
        word for name, value in given.items() if value for word in (name, shlex.quote(str(value)))
    )


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        pairs += _flat(value, f"{name}.") if isinstance(value, dict) else [(name, value)]
    return pairs


def choose_pipelines(options: dict[str, Any]) -> list[str]:
    """Name the registered pipelines that a command means."""
    if options["pipeline"] and options["pipelines"]:
        raise click.UsageError("Give --pipeline or --pipelines, not both.")
    return [options["pipeline"]] if options["pipeline"] else sorted(set(options["pipelines"]))


def select(
    context: TidemarkContext, chosen: Sequence[str], options: dict[str, Any]
) -> dict[str, Any]:
    """Turn the selecting options into those of Kedro's session, after checking every name."""
    from tidemark.checkpoints.code_cache import CodeCache
    from tidemark.selection import check_namespaces, check_pipelines, keep_cells

    context.check_parameters()
    place = context.run_info.data_root / _CODE_CACHE
    own_code.use(CodeCache(place, is_trusted=not options["verify"]))
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


def _interruptor() -> Callable[[int, object], None]:
    """Make a signal handler that ends the workers first: a pool waits for them otherwise.

    Threads cannot be ended; they are given a while to finish the node that they are at, and begin
    no other. A process that has still not ended then is ended: every instant is safe for that.
    """
    main = os.getpid()

    def interrupt(number: int, _: object) -> None:
        if os.getpid() != main:  # a forked worker has inherited the handler
            os._exit(128 + number)
        for one in (signal.SIGINT, signal.SIGTERM):  # impatience must not leave a run open
            signal.signal(one, signal.SIG_IGN)
        end = threading.Timer(_PATIENCE_SECONDS, os._exit, (errors.EXIT_INTERRUPTED,))
        end.daemon = True
        end.start()
        hooks.recording_hooks.stop()
        for child in multiprocessing.active_children():
            child.terminate()
        raise KeyboardInterrupt

    return interrupt
