"""Node function that puts what was found into words and rows, once for every document."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from tidemark.domain.metrics import METRICS
from tidemark.pipelines.params import EvaluationParams
from tidemark.pipelines.reporting.params import ReportParams
from tidemark.pipelines.reporting.tables import AUDIT_PASSED, DATA_PREFIX, NONE, RANK_BY

FEW_BLOCKS = 50


def summarise(  # noqa: PLR0913, PLR0917 - reports quote all that was done
    table: pd.DataFrame,
    verdicts: dict[str, Any],
    validation_report: dict[str, Any],
    profile: dict[str, Any],
    dates: dict[str, Any],
    resampling: dict[str, Any],
    fingerprint: dict[str, Any],
    provenance: dict[str, Any],
    evaluation: EvaluationParams,
    params: ReportParams,
) -> dict[str, Any]:
    """Say what the numbers say, and nothing more.

    Returns
    -------
    dict
        ``answers`` (one for each comparison group), ``suspicions`` (sentences, empty if there are
        none), the table's rows and all that documents quote; ready for JSON.
    """
    rows = _read_rows(table)
    done = [row for row in rows if row["status"] != "failed"]
    models = [row for row in done if not row["is_baseline"]]
    leaks = sorted(
        {f"{row['scenario']}: {row['audit']}" for row in rows if row["audit"] != AUDIT_PASSED}
    )
    best = _best_by_scenario(models)
    return {
        "study": validation_report["study"],
        "as_of": validation_report["as_of"],
        "params": params.model_dump(),
        "answers": [_answer(group, verdict, done, leaks) for group, verdict in verdicts.items()],
        "has_failed_wholly": not done,
        "suspicions": _list_suspicions(rows, leaks, validation_report, resampling, evaluation),
        "leaks": leaks,
        "rows": rows,
        "best": best,
        "without_best": sorted(
            {row["scenario"] for row in rows if not row["is_baseline"]}
            - {row["scenario"] for row in best}
        ),
        "verdicts": verdicts,
        "metrics": list(METRICS),
        "n_models": sum(not row["is_baseline"] for row in rows),
        "n_failed": len(rows) - len(done),
        "scored": {
            "rows": max((row["scored_rows"] for row in rows), default=0),
            "dates": resampling["n_dates"],
        },
        "dates": dates,
        "resampling": resampling,
        "level": resampling["level"],
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


def _answer(
    group: str, verdict: dict[str, Any], done: list[dict[str, Any]], leaks: list[str]
) -> dict[str, Any]:
    cells = {row["cell"]: row for row in done}
    best, baseline = cells.get(verdict["best_model"]), cells.get(verdict["best_baseline"])
    counted = _count_tries(verdict)
    about = {
        "group": group,
        "best": best,
        "baseline": baseline,
        "p_value": verdict["p_value"],
        "counted": counted,
    }
    if best is None:
        text = "No model of this group could be fitted."
        return {**about, "word": "None", "text": text}
    if leaks:
        text = "The leakage audit failed, so none of these numbers can be relied on."
        return {**about, "word": "Void", "text": text}
    if baseline is None:
        text = f"There is no baseline to compare {best['cell']} with."
        return {**about, "word": "Open", "text": text}
    test = f"Hansen's test of superior predictive ability, {counted}: p {say_p(verdict['p_value'])}"
    r2 = _interval(best, "r2_oos_zero")
    if verdict["beats_baseline"]:
        text = (
            f"{best['cell']} forecasts better than the best baseline, {baseline['cell']} ({test}). "
            f"Its out-of-sample R2 against a forecast of zero is {r2}."
        )
        return {**about, "word": "Yes", "text": text}
    text = (
        f"No model was shown to forecast better than the best baseline, {baseline['cell']} "
        f"({test}). The smallest error of a model is that of {best['cell']}; its out-of-sample R2 "
        f"against a forecast of zero is {r2}."
    )
    if not best["in_confidence_set"]:
        text += " It is outside the model confidence set: others forecast better."
    return {**about, "word": "No", "text": text}


def _count_tries(verdict: dict[str, Any]) -> str:
    tried, tested = verdict["n_tried"], verdict["n_models"]
    models = "model" if tried == 1 else "models"
    if tried == tested:
        return f"counting all {tried} {models} that were tried" if tried > 1 else "of one model"
    return f"counting {tested} of the {tried} {models} that were tried; the others failed"


def show_p(value: float | None) -> str:
    """Show a p value; resampling cannot tell very small ones from zero."""
    if value is None:
        return "-"
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def say_p(value: float) -> str:
    """Say a p value after the word p."""
    return f"= {value:.3f}" if value >= 0.001 else "< 0.001"


def _interval(row: dict[str, Any], metric: str) -> str:
    value, low, high = (row[f"{metric}{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return "not defined"
    text = f"{100 * value:.2f} %"
    if low is None or high is None:
        return text
    return f"{text} [{100 * low:.2f} %, {100 * high:.2f} %]"


def _list_suspicions(
    rows: list[dict[str, Any]],
    leaks: list[str],
    validation: dict[str, Any],
    resampling: dict[str, Any],
    evaluation: EvaluationParams,
) -> list[str]:
    """List everything that a careful reader would want to know before believing a number."""
    said = [f"The leakage audit failed: {leak}." for leak in leaks]
    for row in rows:
        if row["alarm"]:
            said.append(
                f"{row['cell']} has an out-of-sample R2 of {100 * row['r2_oos_zero']:.2f} %, above "
                f"the {100 * evaluation.too_good_r2:g} % that daily data can be expected to give. "
                f"Look for features dated after their decision, for targets among the features, "
                f"and for rows of the test in the training."
            )
    said += [f"{row['cell']} failed: {row['note']}." for row in rows if row["status"] == "failed"]
    said += [f"{row['cell']}: {row['note']}." for row in rows if row["status"] == "fallback"]
    said += [
        f"Figures of {row['cell']} could not be drawn: {', '.join(row['missing'])}."
        for row in rows
        if row["missing"] and row["status"] != "failed"
    ]
    n_blocks = resampling["n_dates"] / resampling["block_length"]
    if n_blocks < FEW_BLOCKS:
        said.append(
            f"The test holds about {n_blocks:.0f} blocks of dates. With so few, intervals and the "
            f"confidence set are narrower than they should be."
        )
    for name, checked in validation["tables"].items():
        said += [f"{name}: {one['message']}" for one in checked["findings"]]
    return said


def _read_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Read the table's rows: NaN as None, fallbacks with a mark, a list of missing figures."""
    rows: list[dict[str, Any]] = []
    for record in table.to_dict(orient="records"):
        row = {str(key): _plain(value) for key, value in record.items()}
        row["missing"] = (
            [] if row["missing_figures"] == NONE else str(row["missing_figures"]).split()
        )
        row["mark"] = " *" if row["status"] == "fallback" else ""
        rows.append(row)
    return rows


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _best_by_scenario(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
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
