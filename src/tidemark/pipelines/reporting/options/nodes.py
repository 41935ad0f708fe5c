"""Node functions of the report on prices: errors in the units that traders read."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from tidemark.config import Cell
from tidemark.domain.option_maps import draw_error_map
from tidemark.pipelines.drawing import MISSING, draw_twice
from tidemark.pipelines.reporting.params import ReportParams
from tidemark.pipelines.templating import Templates, inline_png, prepare_templates

ERROR_FIGURES = ("model_errors", "baseline_errors")
# What the table of a group shows: head, factor and digits.
COLUMNS: dict[str, tuple[str, float, int]] = {
    "mae_price": ("MAE (currency)", 1.0, 3),
    "rmse_price": ("RMSE (currency)", 1.0, 3),
    "bias_price": ("bias (currency)", 1.0, 3),
    "mape": ("MAE (% of price)", 100.0, 1),
    "mdape": ("median error (% of price)", 100.0, 1),
    "within_spread": ("within the spread (%)", 100.0, 1),
    "mae_vol_points": ("MAE (volatility points)", 1.0, 2),
    "vol_share": ("imply a volatility (%)", 100.0, 1),
    "worst_date_share": ("squared error of the worst date (%)", 100.0, 0),
    "worst_expiration_share": ("of the worst expiration (%)", 100.0, 0),
}
VIOLATIONS: dict[str, tuple[str, float, int]] = {
    "negative_share": ("negative", 100.0, 2),
    "violations_lower_bound": ("below the lower bound", 100.0, 1),
    "violations_upper_bound": ("above the upper bound", 100.0, 1),
    "violations_monotonicity": ("monotonicity", 100.0, 1),
    "violations_slope": ("slope", 100.0, 1),
    "violations_convexity": ("convexity", 100.0, 1),
    "violations_calendar": ("calendar", 100.0, 1),
    "violations_parity": ("parity", 100.0, 1),
}


def draw_errors(verdicts: dict[str, Any], group: str, *parts: Any) -> list[bytes]:
    """Draw where the best model of a group errs, and where its best baseline does, as PNG.

    Parameters
    ----------
    parts : Cell or DataFrame
        Every cell of the group, then the errors of each by moneyness and maturity.

    Returns
    -------
    list of bytes
        In the order of `ERROR_FIGURES`; empty where there is nothing to draw.
    """
    cells, tables = parts[: len(parts) // 2], parts[len(parts) // 2 :]
    errors = {cell.namespace: one for cell, one in zip(cells, tables, strict=True)}
    drawn = [verdicts[group][name] for name in ("best_model", "best_baseline")]
    figures = []
    for name, cell in zip(ERROR_FIGURES, drawn, strict=True):
        table = errors.get(str(cell), pd.DataFrame())
        if table.empty:
            figures.append(MISSING)
            continue
        draw = partial(
            draw_error_map,
            table,
            "mae_price",
            f"{cell}: mean absolute error by strike over forward and maturity",
            "currency",
        )
        figures.append(draw_twice(draw, f"{group}.{name}"))
    return figures


def write_prices(
    findings: dict[str, Any],
    profile: dict[str, Any],
    templates: Templates,
    params: ReportParams,
    smiles_figure: bytes,
    *parts: Any,
) -> tuple[str, str]:
    """Write the report on prices in Markdown, and as one page of HTML that needs no other file.

    Parameters
    ----------
    parts : Cell, dict or bytes
        Every cell, followed by its errors in the units of prices (``mae_price`` and others) and, of
        a network, by its scores and the figure of its learning; then for each group, in the order
        of the findings, its figures in the order of `ERROR_FIGURES`.
    """
    cells, rest = _read_cells(list(parts))
    groups = []
    for group in findings["groups"]:
        images, rest = rest[: len(ERROR_FIGURES)], rest[len(ERROR_FIGURES) :]
        own = [cells[row["cell"]]["errors"] for row in group["rows"]]
        known = [one["mid_violations"] for one in own if one]
        groups.append(
            {
                **group,
                "errors": [
                    {**row, "prices": one} for row, one in zip(group["rows"], own, strict=True)
                ],
                "images": dict(zip(ERROR_FIGURES, map(_show, images), strict=True)),
                "mid_violations": known[0] if known else None,
            }
        )
    context = {
        "title": params.title,
        "question": params.question,
        "sample_note": params.sample_note,
        "profile": profile,
        "as_of": findings["as_of"],
        "study": findings["study"],
        "made_by": findings["made_by"],
        "answers": {answer["group"]: answer for answer in findings["answers"]},
        "groups": groups,
        "networks": {name: one for name, one in cells.items() if "scores" in one},
        "columns": COLUMNS,
        "violations": VIOLATIONS,
        "quantity": params.quantity.model_dump(),
        "smiles": _show(smiles_figure),
    }
    environment = prepare_templates(templates, {"scaled": _scale})
    text = environment.get_template("price_report.md").render(**context)
    return text, environment.get_template("price_report.html").render(**context)


def _read_cells(parts: list[Any]) -> tuple[dict[str, dict[str, Any]], list[Any]]:
    """Take what is told of each cell from the front of a list."""
    cells: dict[str, dict[str, Any]] = {}
    while parts and isinstance(parts[0], Cell):
        cell, errors, *parts = parts
        cells[cell.namespace] = {"errors": errors}
        if parts and isinstance(parts[0], dict):
            scores, figure, *parts = parts
            cells[cell.namespace] |= {"scores": scores, "image": _show(figure)}
    return cells, parts


def _show(png: bytes) -> str:
    return inline_png(png) if png != MISSING else ""


def _scale(value: float | None, factor: float, digits: int) -> str:
    """Write a stored value times a factor."""
    return "-" if value is None else f"{factor * value:.{digits}f}"
