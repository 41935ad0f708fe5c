"""``kedro compare``: the same cells of two runs, side by side."""

from __future__ import annotations

import math

import click
from kedro.framework.cli.utils import env_option
from kedro.framework.project import settings

from tidemark import errors, logs
from tidemark.cli.options import explain, project


@click.command()
@click.argument("first", default="previous")
@click.argument("second", default="latest")
@env_option
@click.option("--cell", default=None, help="One cell alone, SCENARIO.MODEL.")
@click.option("--data-root", default=None, help="Where the runs wrote; default: as configured.")
def compare(
    first: str, second: str, env: str | None, cell: str | None, data_root: str | None
) -> None:
    """Compare each cell of two runs by what it lost on the same dates.

    FIRST and SECOND are ids of runs, the beginnings of such ids, `latest` or `previous`; without
    them the last two runs are compared. The p is that of a Diebold-Mariano test and counts one
    try: whoever looks at many cells will find a small one by chance.

    Exit status: 0 when there is something to compare, 1 when a run is not known.
    """
    logs.configure_terminal(project())
    runtime = {"data_root": data_root} if data_root else {}
    try:
        with settings.SESSION_CLASS.create(env=env, runtime_params=runtime) as session:
            info = session.load_context().run_info
        from tidemark.domain.scores import SCORES
        from tidemark.tracking.metrics_store import MetricsStore
        from tidemark.tracking.run_pairs import find_run, pair_cells
        from tidemark.tracking.settings import TrackingSettings

        tracked = TrackingSettings.resolve(info.mlflow, info.project_path)
        store = MetricsStore(tracked.metrics_uri(info.data_root))
        runs = find_run(store, first), find_run(store, second)
        pairs = pair_cells(store, info.data_root, *runs, cell)
    except errors.TidemarkError as error:
        click.get_current_context().exit(explain(error))
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SQUARE, title=f"first {runs[0]}\nsecond {runs[1]}", title_justify="left")
    for name in ("cell", "measure", "first", "second", "change", "p", "dates"):
        is_name = name in ("cell", "measure")
        table.add_column(name, justify="left" if is_name else "right", no_wrap=is_name)
    for pair in pairs:
        if pair.note:
            table.add_row(pair.cell, "", pair.note, "", "", "", "")
            continue
        score, is_same = SCORES[pair.score], math.isnan(pair.p_value)
        change = (
            f"{100 * (pair.second / pair.first - 1):+.2f} %"
            if score.is_squared
            else f"{pair.second - pair.first:+.4f} nats"
        )
        table.add_row(
            pair.cell,
            score.measure_words,
            f"{pair.first:.6f}",
            f"{pair.second:.6f}",
            "the same" if is_same else change,
            "-" if is_same else f"{pair.p_value:.3f}",
            f"{pair.n_dates:,}",
        )
    console = Console()
    console.print(table) if console.is_terminal else Console(width=120).print(table)
    if any(pair.has_other_data for pair in pairs):
        click.echo("The two runs had other data: a change may be the data's, not the model's.")
