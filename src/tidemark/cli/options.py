"""Options that commands share: which nodes are meant, and from which configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.utils import find_kedro_project

from tidemark import errors

# Options of Kedro's own `run` that say what is meant, not how it is run.
_SELECTING = (
    "pipeline",
    "pipelines",
    "namespaces",
    "node_names",
    "tags",
    "from_nodes",
    "to_nodes",
    "from_inputs",
    "to_outputs",
    "load_versions",
    "params",
    "env",
    "conf_source",
)


def _names(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


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
                fail(errors.UnknownName.of(f"key in '{value}'", str(key), known - {"config"}))
            defaults[name] = ",".join(map(str, given)) if isinstance(given, list) else given
        context.default_map = {**(context.default_map or {}), **defaults}
    return value


def selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which nodes are meant."""
    for decorate in reversed(
        [
            click.option(
                "--namespace",
                default="",
                callback=_names,
                help="Only the nodes inside these namespaces, comma-separated.",
            ),
            click.option(
                "--scenario",
                default="",
                callback=_names,
                help="Leave out other scenarios, and whatever needs them.",
            ),
            click.option(
                "--model",
                default="",
                callback=_names,
                help="Leave out other models, and whatever needs them.",
            ),
            click.option(
                "--config",
                "-c",
                type=click.Path(exists=True, dir_okay=False, resolve_path=True),
                callback=_read_config,
                help="Take options from the section 'run' of a YAML file; the command line wins.",
            ),
            click.option(
                "--verify",
                is_flag=True,
                help="Hash every stored file anew, whatever earlier hashes say.",
            ),
        ]
    ):
        command = decorate(command)
    return command


def add_kedro_options(command: click.Command, *, only_selecting: bool) -> None:
    """Give a command the options of Kedro's own ``run``; those that it has stay as they are."""
    own = {parameter.name for parameter in command.params}
    command.params.extend(
        one
        for one in kedro_run.params
        if one.name not in own and (not only_selecting or one.name in _SELECTING)
    )


def project() -> Path:
    """Find the project's root from any folder below it."""
    return Path(find_kedro_project(Path.cwd()) or Path(__file__).parents[3])


def fail(error: errors.TidemarkError) -> NoReturn:
    """Say what went wrong and end with the status that stands for it."""
    click.secho(str(error), err=True, fg="red")
    raise SystemExit(error.exit_status)


def explain(error: Exception) -> int:
    """Say what went wrong and return the exit status that stands for it."""
    import logging

    from tidemark import logs
    from tidemark.runner.work import exit_status_of

    if isinstance(error, click.ClickException):
        error.show()
        is_usage = isinstance(error, click.UsageError)
        return errors.EXIT_USAGE if is_usage else errors.EXIT_ERROR
    status = exit_status_of(error)
    expected = isinstance(error, errors.TidemarkError) or status == errors.EXIT_REFUSED
    logging.getLogger(__name__).debug("the command failed", exc_info=error)
    text = str(error) if expected else f"{type(error).__name__}: {error}"
    click.secho(errors.mask(text), err=True, fg="red")
    log = logs.pipeline_log()
    if log is not None and not expected:
        click.echo(f"The whole traceback is in {log}.", err=True)
    return status
