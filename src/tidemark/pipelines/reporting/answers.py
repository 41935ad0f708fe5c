"""The answer of each comparison group in one sentence or two, in the words of its score."""

from __future__ import annotations

from typing import Any

from tidemark.domain.scores import SCORES


def answer(group: dict[str, Any], leaks: list[str]) -> dict[str, Any]:
    """Answer a group's question.

    Parameters
    ----------
    group : dict
        As `findings.summarise` describes it: ``name``, ``score``, ``verdict``, ``rows``,
        ``headline``, ``target`` and ``is_circular``.
    leaks : list of str
        What audits have found.

    Returns
    -------
    dict
        ``word`` (Yes, No, Open, None, Circular or Void) and ``text``; the rows of the ``best``
        model and of the best ``baseline``, the ``p_value`` and what was ``counted``;
        ``strongest``, the cell with the strongest evidence against the baseline if there is some
        and it is not ``best``. A circular group has none of these but ``counted``.
    """
    score, verdict = SCORES[group["score"]], group["verdict"]
    cells = {row["cell"]: row for row in group["rows"] if row["is_done"]}
    best, baseline = cells.get(verdict["best_model"]), cells.get(verdict["best_baseline"])
    about = {
        "group": group["name"],
        "best": best,
        "baseline": baseline,
        "p_value": verdict["p_value"],
        "counted": _count_tries(verdict),
        "strongest": _find_strongest(verdict),
    }
    if group["is_circular"]:
        about |= dict.fromkeys(("best", "baseline", "p_value", "strongest"))
    if best is None:
        text = "No model of this group could be fitted."
        return {**about, "word": "None", "text": text}
    if group["is_circular"]:
        text = (
            "These cells are given what they are to forecast, in other words. Their errors say how "
            "well that is undone, and nothing about forecasting."
        )
        return {**about, "word": "Circular", "text": text}
    if leaks:
        text = "The leakage audit failed, so none of these numbers can be relied on."
        return {**about, "word": "Void", "text": text}
    if baseline is None:
        text = f"There is no baseline to compare {best['cell']} with."
        return {**about, "word": "Open", "text": text}
    test = (
        f"Hansen's test of superior predictive ability, {about['counted']}: "
        f"p {say_p(verdict['p_value'])}"
    )
    headline, target = group["headline"], group["target"]
    skill = f"{headline['name']}{headline['against']} is {_say_headline(best, headline)}"
    first = f"The {score.first} of a model is that of {best['cell']}; its {skill}."
    if verdict["beats_baseline"]:
        text = (
            f"{best['cell']} forecasts{target} better than the best baseline, "
            f"{baseline['cell']} ({test}). Its {skill}."
        )
        if about["strongest"]:  # the test is of all models, and its p is not that of the best one
            text = (
                f"At least one model forecasts{target} better than the best baseline, "
                f"{baseline['cell']} ({test}); the strongest evidence is for "
                f"{about['strongest']}. {first}"
            )
        return {**about, "word": "Yes", "text": text}
    text = (
        f"No model was shown to forecast{target} better than the best baseline, "
        f"{baseline['cell']} ({test}). {first}"
    )
    if not best["in_confidence_set"]:
        text += " It is outside the model confidence set: others forecast better."
    return {**about, "word": "No", "text": text}


def _find_strongest(verdict: dict[str, Any]) -> str | None:
    """Name the cell that the test's rejection rests on, if that is not the best one."""
    if not verdict["beats_baseline"]:
        return None
    strongest: str = verdict["superior_predictive_ability"][verdict["best_baseline"]]["best"]
    return strongest if strongest != verdict["best_model"] else None


def _count_tries(verdict: dict[str, Any]) -> str:
    tried, tested = verdict["n_tried"], verdict["n_models"]
    models = "model" if tried == 1 else "models"
    if tried == tested:
        return f"counting all {tried} {models} that were tried" if tried > 1 else "of one model"
    return (
        f"counting {tested} of the {tried} {models} that were tried; the others gave no forecasts"
    )


def show_p(value: float | None) -> str:
    """Show a p value; resampling cannot tell very small ones from zero."""
    if value is None:
        return "-"
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def say_p(value: float) -> str:
    """Say a p value after the word p."""
    return f"= {value:.3f}" if value >= 0.001 else "< 0.001"


def _say_headline(row: dict[str, Any], headline: dict[str, Any]) -> str:
    """Say the headline metric of a cell with its interval: 0.16 % [-0.22 %, 0.56 %]."""
    value, *ends = (row[f"{headline['metric']}{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return "not defined"
    scale, digits, unit = (headline[key] for key in ("scale", "digits", "unit"))
    texts = [f"{scale * one:.{digits}f}" for one in (value, *ends) if one is not None]
    if unit == "%":
        texts = [f"{text} %" for text in texts]
    else:
        texts[0] += f" {unit} an observation"
    return f"{texts[0]} [{texts[1]}, {texts[2]}]" if len(texts) == 3 else texts[0]
