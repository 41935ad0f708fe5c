"""``kedro status``: what is fresh, what is not, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from kedro.framework.project import pipelines as registered
from kedro.framework.project import settings
from kedro.pipeline import Pipeline

from tidemark import errors, logs
from tidemark.cli.options import add_kedro_options, explain, project, selecting
from tidemark.cli.run import choose_pipelines, repeat_options, select
from tidemark.context import TidemarkContext
from tidemark.locks import describe_owner, find_run
from tidemark.runner.plan import Plan, make_plan

_COLOURS = {"fresh": "green", "stale": "yellow", "missing": "cyan"}


@click.command(short_help="Say what is fresh, what is not, and why.")
@selecting
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.pass_context
def status(click_context: click.Context, /, **options: Any) -> None:
    """Say of each node whether it is fresh, stale, missing, corrupt or failed, and why.

    \b
    kedro status
    kedro status --pipeline modelling --namespace median_impute
    kedro status --pipeline returns --scenario median_impute --model ridge --json

    The selection is that of 'kedro run'. Nothing is run and nothing but remembered hashes is
    written. Exit status: 0, whatever the states are; 1 and 64 as with 'kedro run'.
    """  # noqa: D301 - click reads the backslash
    logs.configure_terminal(project())
    try:
        chosen = choose_pipelines(options)
        with settings.SESSION_CLASS.create(
            env=options["env"], conf_source=options["conf_source"], runtime_params=options["params"]
        ) as session:
            context = session.load_context()
            plan = _plan(context, chosen, select(context, chosen, options), options)
            root = context.run_info.data_root
    except Exception as error:
        click_context.exit(explain(error))
    if options["is_json"]:
        click.echo(json.dumps(_as_json(plan), indent=2))
        return
    if find_run(root) is not None:
        click.echo(f"{describe_owner(root)} is going on; this is how things stand meanwhile.")
    _print_states(plan, show_fresh=True)
    counts = ", ".join(f"{count} {state}" for state, count in plan.counts.items())
    click.echo(f"{len(plan.states)} nodes: {counts}.")


add_kedro_options(status, only_selecting=True)


def print_plan(
    context: TidemarkContext,
    chosen: Sequence[str],
    selection: dict[str, Any],
    options: dict[str, Any],
) -> None:
    """Print what a run would do."""
    plan = _plan(context, chosen, selection, options)
    if not options["allow_stale_inputs"]:
        plan.refuse_unusable(repeat_options(options))
    if not plan.to_run:
        click.echo(f"Nothing to do: all {len(plan.states)} nodes are fresh.")
        return
    if options["force"]:
        for name in plan.to_run:
            click.echo(f"{name:<44} would run, --force")
    else:
        _print_states(plan, show_fresh=False)
    rest = len(plan.states) - len(plan.to_run)
    click.echo(
        f"{len(plan.to_run)} of {len(plan.states)} nodes would run, {rest} are fresh. Those that "
        f"wait for others are skipped if what they read comes out as it was."
    )


def _plan(
    context: TidemarkContext,
    chosen: Sequence[str],
    selection: dict[str, Any],
    options: dict[str, Any],
) -> Plan:
    chosen_pipeline = Pipeline([registered[name] for name in chosen or ["__default__"]])
    filters = {key: value for key, value in selection.items() if key != "namespaces"}
    pipeline = chosen_pipeline.filter(**filters, node_namespaces=selection["namespaces"])
    catalog = context._get_catalog(load_versions=options["load_versions"])
    return make_plan(
        pipeline,
        catalog,
        is_forced=options.get("force", False),
        is_verified=options["verify"],
    )


def _print_states(plan: Plan, *, show_fresh: bool) -> None:
    for state in plan.states.values():
        if state.is_fresh and not show_fresh:
            continue
        word = click.style(f"{state.state.value:<8}", fg=_COLOURS.get(state.state.value, "red"))
        reasons = errors.mask("; ".join(state.reasons))
        click.echo(f"{word} {state.node:<44} {reasons}".rstrip())


def _as_json(plan: Plan) -> dict[str, Any]:
    return {
        "nodes": [
            {
                "node": one.node,
                "state": one.state.value,
                "reasons": [errors.mask(reason) for reason in one.reasons],
            }
            for one in plan.states.values()
        ],
        "counts": plan.counts,
    }
