"""Node function that puts what was found into words and rows, once for every document."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from tidemark.domain.plotting import Quantity
from tidemark.domain.scores import SCORES, Score
from tidemark.domain.scoring import UNDONE
from tidemark.pipelines.reporting.answers import answer
from tidemark.pipelines.reporting.columns import (
    choose_columns,
    choose_metrics,
    choose_statistics,
    choose_tests,
    lay_out_names,
)
from tidemark.pipelines.reporting.figures import GROUP_FIGURES, has_heat_map
from tidemark.pipelines.reporting.groups import common_value, read_dates, read_resampling
from tidemark.pipelines.reporting.params import ReportParams
from tidemark.pipelines.reporting.tables import (
    AUDIT_CIRCULAR,
    AUDIT_PASSED,
    DATA_PREFIX,
    NONE,
    RANK_BY,
    done_cells,
)

FEW_BLOCKS = 50


def summarise(
    table: pd.DataFrame,
    verdicts: dict[str, Any],
    validation_report: dict[str, Any],
    profile: dict[str, Any],
    fingerprint: dict[str, Any],
    provenance: dict[str, Any],
    params: ReportParams,
) -> dict[str, Any]:
    """Say what the numbers say, and nothing more.

    Returns
    -------
    dict
        ``answers`` (one for each comparison group), ``groups`` (each with its rows, its best cells
        and how it was judged), ``suspicions`` (sentences, empty if there are none) and all that
        documents quote; ready for JSON.
    """
    groups = [
        _describe(group, verdict, table[table["group"] == group], params)
        for group, verdict in verdicts.items()
    ]
    rows = [row for group in groups for row in group["rows"]]
    leaks = sorted(
        {
            f"{row['scenario']}: {row['audit']}"
            for row in rows
            if row["audit"] not in (AUDIT_PASSED, AUDIT_CIRCULAR)
        }
    )
    return {
        "study": validation_report["study"],
        "as_of": validation_report["as_of"],
        "params": params.model_dump(),
        "answers": [answer(group, leaks) for group in groups],
        "groups": groups,
        "suspicions": _list_suspicions(groups, rows, leaks, validation_report, params),
        "leaks": leaks,
        "verdicts": verdicts,
        "n_cells": len(rows),
        "n_models": sum(not row["is_baseline"] for row in rows),
        "n_failed": sum(row["status"] == "failed" for row in rows),
        "n_scenarios": sum(len(group["best"]) for group in groups),
        "validation": validation_report,
        "quarantined": sum(
            sum(one["rows_quarantined"].values()) for one in validation_report["tables"].values()
        ),
        "profile": profile,
        "treatments": _treatments(table),
        "made_by": {
            "data_hash": fingerprint["data_hash"],
            "params_hash": provenance["params_hash"],
            "code_hash": provenance["code_hash"],
        },
    }


def _describe(
    name: str, verdict: dict[str, Any], cells: pd.DataFrame, params: ReportParams
) -> dict[str, Any]:
    """Say of one comparison group what all documents show."""
    done = done_cells(cells)
    judged = cells if done.empty else done
    score = SCORES[common_value(judged, "score")].lead_with(params.headline)
    quantity = Quantity(**params.quantity.model_dump())
    rows = _read_rows(cells)
    best = _best_by_scenario([row for row in rows if row["is_done"] and not row["is_baseline"]])
    metrics = choose_metrics(score, params.shown_metrics, rows)
    scale, unit = score.scale_measure(quantity)
    return {
        "name": name,
        "score": score.name,
        "has_failed_wholly": done.empty,
        "is_circular": any(row["audit"] == AUDIT_CIRCULAR for row in rows),
        "verdict": verdict,
        "rows": rows,
        "best": best,
        "without_best": sorted(
            {row["scenario"] for row in rows if not row["is_baseline"]}
            - {row["scenario"] for row in best}
        ),
        "target": score.say_target(params.density),
        "columns": choose_columns(score, params.shown_metrics, rows, quantity),
        "metrics": metrics,
        "statistics": choose_statistics(metrics, rows),
        "tested": choose_tests(rows),
        "by_name": lay_out_names(best[0], rows, score.headline) if best else None,
        "measure": {
            "metric": score.measure,
            "words": score.measure_words,
            "scale": scale,
            "unit": unit,
        },
        "headline": vars(score.headline),
        "figures": _caption_figures(score, cells),
        "scored": {
            "rows": max(row["scored_rows"] for row in rows),
            "dates": max(row["scored_dates"] for row in rows),
        },
        "split_id": common_value(judged, "split_id"),
        "resampling": read_resampling(judged),
        "dates": read_dates(judged),
    }


def _caption_figures(score: Score, cells: pd.DataFrame) -> dict[str, str]:
    """Give each figure that says something of a group its words."""
    name = f"{score.headline.name[0].upper()}{score.headline.name[1:]}{score.headline.against}"
    words = dict(
        zip(
            GROUP_FIGURES,
            (
                "Every cell with its interval",
                f"{name} by scenario and model",
                f"{name} as it grew",
                "The best model against the best baseline",
            ),
            strict=True,
        )
    )
    if not has_heat_map(cells["scenario"]):
        del words["heat_map"]
    return words


def _list_suspicions(
    groups: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    leaks: list[str],
    validation: dict[str, Any],
    params: ReportParams,
) -> list[str]:
    """List everything that a careful reader would want to know before believing a number."""
    said = [f"The leakage audit failed: {leak}." for leak in leaks]
    for row in rows:
        if row["alarm"] and params.too_good_r2 is not None:
            said.append(
                f"{row['cell']} has an out-of-sample R2 of {100 * row['r2_oos_zero']:.2f} %, above "
                f"the {100 * params.too_good_r2:g} % that daily data can be expected to give. "
                f"Look for features dated after their decision, for targets among the features, "
                f"and for rows of the test in the training."
            )
    said += [f"{row['cell']} {row['status']}: {row['note']}." for row in rows if not row["is_done"]]
    said += [f"{row['cell']}: {row['note']}." for row in rows if row["status"] == "fallback"]
    said += [
        f"Figures of {row['cell']} could not be drawn: {', '.join(row['missing'])}."
        for row in rows
        if row["missing"] and row["is_done"]
    ]
    for group in groups:
        if group["is_circular"]:
            said.append(
                f"Group {group['name']} is circular by design: its models and its baseline are "
                f"given today's own price in other words."
            )
        n_blocks = group["resampling"]["n_dates"] / group["resampling"]["block_length"]
        if n_blocks < FEW_BLOCKS:
            which = f" of group {group['name']}" if len(groups) > 1 else ""
            said.append(
                f"The test{which} holds about {n_blocks:.0f} blocks of dates. With so few, "
                f"intervals and the confidence set are narrower than they should be."
            )
    for name, checked in validation["tables"].items():
        said += [f"{name}: {one['message']}" for one in checked["findings"]]
    return said


def _read_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Read the table's rows: NaN as None, fallbacks with a mark, lists and JSON unpacked."""
    rows: list[dict[str, Any]] = []
    for record in table.to_dict(orient="records"):
        row = {str(key): _plain(value) for key, value in record.items()}
        row["drawn"], row["missing"] = (
            [] if row[key] == NONE else str(row[key]).split()
            for key in ("figures", "missing_figures")
        )
        row["by_name"] = json.loads(row["by_name"])
        row["is_done"] = row["status"] not in UNDONE
        row["mark"] = " *" if row["status"] == "fallback" else ""
        rows.append(row)
    return rows


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _best_by_scenario(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take the first of each scenario, the best ahead."""
    best: dict[str, dict[str, Any]] = {}
    for row in sorted(models, key=lambda row: row[RANK_BY]):
        best.setdefault(row["scenario"], row)
    return list(best.values())


def _treatments(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Read back, for each scenario that treats data, what it did to them."""
    columns = [name for name in map(str, table) if name.startswith(DATA_PREFIX)]
    treated = table[table[columns].notna().any(axis=1)] if columns else table.head(0)
    firsts = treated.sort_values("scenario").groupby("scenario")[columns].first()
    return {
        str(scenario): {
            name.removeprefix(DATA_PREFIX).replace("_", " "): _plain(row[name]) for name in columns
        }
        for scenario, row in firsts.to_dict(orient="index").items()
    }
