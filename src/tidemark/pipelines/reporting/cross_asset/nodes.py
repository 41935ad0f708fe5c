"""Node functions of the market report: the state of every pair, charts, and the words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.calendar_figures import draw_yearly_correlation
from tidemark.domain.correlation import rolling_correlations
from tidemark.domain.correlation_figures import draw_rolling_correlation
from tidemark.domain.matrix_figures import draw_correlation_matrices
from tidemark.domain.pair_summary import (
    correlate_by_year,
    describe_now,
    describe_regimes,
    list_sign_changes,
)
from tidemark.domain.psd import repair_psd
from tidemark.pipelines.data_engineering.cross_asset.params import PairParams, SeriesTable
from tidemark.pipelines.drawing import MISSING, draw_twice
from tidemark.pipelines.modelling.regimes.plotting import REGIME_FIGURES
from tidemark.pipelines.reporting.cross_asset.params import MarketParams
from tidemark.pipelines.reporting.params import ReportParams
from tidemark.pipelines.templating import Templates, inline_png, prepare_templates

PAIR_FIGURES = ("chart", "yearly_chart")

FEW_RETURNS = 30  # of a year: Fisher's interval is then wider than plus or minus a third


def describe_pair(
    processed: pd.DataFrame,
    rolling_correlation: pd.DataFrame,
    series: SeriesTable,
    pair: PairParams,
    scenario: str,
    *cells: Any,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Say where a pair stands: its correlation now, by year, and the regime by every method.

    Parameters
    ----------
    cells : Cell, DataFrame and dict in turn
        Each method's cell, its regimes and its model.

    Returns
    -------
    state : dict
        Ready for JSON.
    yearly : DataFrame
        ``year, correlation, lower, upper, n``.
    """
    yearly = correlate_by_year(processed, pair.level)
    methods = {}
    for cell, regimes, model in zip(cells[::3], cells[1::3], cells[2::3], strict=True):
        if len(regimes):
            fitted = model["fits"][-1]
            methods[cell.model] = {
                **describe_regimes(regimes, model["names"]),
                "transition": fitted.get("transition"),
                "fitted_to": fitted["train_end"],
            }
    state = {
        "scenario": scenario,
        "cells": [cell.model for cell in cells[::3]],
        "left": series.label(pair.left),
        "right": series.label(pair.right),
        "window": pair.window,
        "unit": pair.unit,
        "method": pair.method,
        "band": pair.band,
        "level": pair.level,
        "now": describe_now(rolling_correlation),
        "sign_changes": list_sign_changes(yearly),
        "years_say_little": bool(len(yearly) and yearly["n"].median() < FEW_RETURNS),
        "methods": methods,
    }
    return state, yearly


def draw_pair(
    rolling_correlation: pd.DataFrame,
    yearly: pd.DataFrame,
    series: SeriesTable,
    pair: PairParams,
    params: MarketParams,
    scenario: str,
) -> list[bytes]:
    """Draw a pair's correlation, rolling and by year, as PNG in the order of `PAIR_FIGURES`."""
    names = (series.label(pair.left), series.label(pair.right))
    known = rolling_correlation.dropna(subset="correlation")["date"]
    # Averages of stretches that the data covers, and no others.
    stretches = [
        (one.start, one.end, one.label)
        for one in params.stretches.get(scenario, ())
        if len(known)
        and known.between(pd.Timestamp(one.start), pd.Timestamp(one.end)).sum() >= pair.window
    ]
    band = f"{100 * pair.level:g} % interval"
    pictures: dict[str, Callable[[], Any]] = {
        "chart": partial(
            draw_rolling_correlation,
            rolling_correlation,
            None,
            names,
            f"{pair.window}-{pair.unit}",
            averages=stretches,
            band=band,
        ),
        "yearly_chart": partial(draw_yearly_correlation, yearly, names, band=band),
    }
    return [draw_twice(pictures[name], f"{scenario}.{name}") for name in PAIR_FIGURES]


def correlate_all(
    returns: pd.DataFrame, series: SeriesTable, params: MarketParams
) -> tuple[dict[str, Any], bytes]:
    """Correlate all daily series with each other, now and years before.

    Returns
    -------
    matrices : dict
        ``now`` and ``before``, each with its dates, names, values and whether it had to be
        repaired to be positive semi-definite; None where the data do not reach. Ready for JSON.
    figure : bytes
        Both as PNG; empty if it could not be drawn.
    """
    wide = returns.set_index("date")
    wide = wide.loc[:, wide.notna().sum() >= params.matrix_window]
    last = wide.dropna(how="all").index.max()
    before = last - pd.DateOffset(years=params.years_before)
    matrices: dict[str, Any] = {}
    for name, day in (("now", last), ("before", before)):
        past = wide.loc[:day].tail(params.matrix_window)
        matrices[name] = _correlate_window(past, params) if len(past) else None
    figure = MISSING
    if matrices["now"]:
        now, before = (_label_matrix(matrices[name], series) for name in ("now", "before"))
        spans = _say_span(matrices["now"]), _say_span(matrices["before"])
        figure = draw_twice(
            partial(draw_correlation_matrices, now, before, *spans), "correlation_matrices"
        )
    return matrices, figure


def _correlate_window(past: pd.DataFrame, params: MarketParams) -> dict[str, Any] | None:
    least = int(np.ceil(params.min_share * params.matrix_window))
    enough = past.loc[:, past.notna().sum() >= least]
    if enough.shape[1] < 2:
        return None
    rolling = rolling_correlations(enough, len(past), min_periods=min(least, len(past)))
    complete = _drop_gaps(rolling.matrix(past.index[-1]))
    if len(complete) < 2:
        return None
    repaired = repair_psd(complete)
    return {
        "first": f"{past.index[0]:%Y-%m-%d}",
        "last": f"{past.index[-1]:%Y-%m-%d}",
        "names": [str(name) for name in repaired.matrix],
        "values": repaired.matrix.to_numpy().tolist(),
        "is_repaired": bool(repaired.repaired),
        "smallest_eigenvalue": float(repaired.smallest_eigenvalue),
    }


def _drop_gaps(matrix: pd.DataFrame) -> pd.DataFrame:
    """Leave out the series that lack correlations, those that lack most first."""
    while matrix.isna().to_numpy().any():
        worst = matrix.isna().sum().idxmax()
        matrix = matrix.drop(index=worst, columns=worst)
    return matrix


def _label_matrix(matrix: dict[str, Any] | None, series: SeriesTable) -> pd.DataFrame:
    if matrix is None:
        return pd.DataFrame()
    names = [series.label(name) for name in matrix["names"]]
    return pd.DataFrame(matrix["values"], index=names, columns=names)


def _say_span(matrix: dict[str, Any] | None) -> str:
    return "no data" if matrix is None else f"{matrix['first']} to {matrix['last']}"


def write_market(
    findings: dict[str, Any],
    matrices: dict[str, Any],
    figure: bytes,
    templates: Templates,
    params: ReportParams,
    *parts: Any,
) -> tuple[str, str]:
    """Write the market report in Markdown, and as one page of HTML that needs no other file.

    Parameters
    ----------
    parts : dict, DataFrame, bytes
        For each pair its state, its table by year, its figures in the order of `PAIR_FIGURES`,
        and those of each of its methods in the order of `REGIME_FIGURES`.
    """
    pairs, rest = [], list(parts)
    while rest:
        (state, yearly), rest = rest[:2], rest[2:]
        images, rest = _take_images(PAIR_FIGURES, rest)
        methods = {}
        for model in state["cells"]:
            own, rest = _take_images(REGIME_FIGURES, rest)
            if model in state["methods"]:
                methods[model] = {**state["methods"][model], "images": own}
        shown = {"methods": methods, "yearly": yearly.to_dict("records"), "images": images}
        pairs.append({**state, **shown})
    context = {
        "title": params.title,
        "question": params.question,
        "sample_note": params.sample_note,
        "as_of": findings["as_of"],
        "answers": {answer["group"]: answer for answer in findings["answers"]},
        "suspicions": findings["suspicions"],
        "made_by": findings["made_by"],
        "pairs": pairs,
        "matrices": matrices,
    }
    environment = prepare_templates(templates, {"signed": _signed, "spell": _spell})
    text = environment.get_template("market_report.md").render(
        **context, has_figure=figure != MISSING
    )
    image = inline_png(figure) if figure != MISSING else ""
    page = environment.get_template("market_report.html").render(**context, image=image)
    return text, page


def _take_images(names: Sequence[str], parts: list[Any]) -> tuple[dict[str, str], list[Any]]:
    """Take as many figures as there are names from the front of a list; missing ones are empty."""
    pairs = zip(names, parts[: len(names)], strict=True)
    images = {name: inline_png(png) if png != MISSING else "" for name, png in pairs}
    return images, parts[len(names) :]


def _signed(value: float | None, digits: int = 2) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:+.{digits}f}"


def _spell(count: float | None, unit: str) -> str:
    """Write a number of days or months."""
    if count is None:
        return "-"
    return f"{count:.0f} {unit}{'' if round(count) == 1 else 's'}"
