"""Node function of the data-quality report: what the checks found, for people."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from tidemark.domain.quality_figures import draw_coverage
from tidemark.pipelines.data_engineering.cross_asset.params import SeriesTable
from tidemark.pipelines.drawing import MISSING, draw_twice
from tidemark.pipelines.templating import Templates, inline_png, prepare_templates


def report_quality(
    report: dict[str, Any],
    quality: pd.DataFrame,
    coverage: pd.DataFrame,
    series: SeriesTable,
    templates: Templates,
) -> tuple[bytes, str, str]:
    """Write what the checks found of every series, before anything is refused for it.

    Returns
    -------
    figure : bytes
        Coverage by year as PNG; empty if it could not be drawn.
    text, page : str
        The report in Markdown, and as one page of HTML that needs no other file.
    """
    figure = MISSING
    if len(coverage):
        table = _leave_lives(coverage.set_index("series"), quality.set_index("series"))
        figure = draw_twice(
            partial(draw_coverage, table, None, "Coverage of every series"), "coverage_figure"
        )
    rows = [
        {**{str(key): _plain(value) for key, value in row.items()}, "label": _name(row, series)}
        for row in quality.to_dict("records")
    ]
    found = report["tables"]["series"]
    context = {
        "as_of": report["as_of"],
        "accepted": report["accepted"],
        "rows": rows,
        "found": found,
        "failed": [one for one in found["checks"] if not one["passed"]],
        "has_figure": figure != MISSING,
    }
    environment = prepare_templates(templates)
    text = environment.get_template("dq_report.md").render(**context)
    image = inline_png(figure) if figure != MISSING else ""
    page = environment.get_template("dq_report.html").render(**context, image=image)
    return figure, text, page


def _leave_lives(coverage: pd.DataFrame, quality: pd.DataFrame) -> pd.DataFrame:
    """Blank the years before a series begins and after it ends: none of its values is expected."""
    years = coverage.columns.astype("int64").to_numpy()
    lives = quality.loc[coverage.index]
    begins, ends = (
        lives[[name]].apply(lambda one: one.dt.year).to_numpy() for name in ("first", "last")
    )
    return coverage.where((years >= begins) & (years <= ends))


def _name(row: dict[Any, Any], series: SeriesTable) -> str:
    return series.label(str(row["series"]))


def _plain(value: Any) -> Any:
    """Turn what pandas holds into what a template shows; None stands for nothing."""
    if value is None or pd.isna(value):
        return None
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else value
