"""Node functions that make what people read: albums, Markdown, one page of HTML, the gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tidemark.errors import LeakageFound
from tidemark.pipelines.drawing import MISSING
from tidemark.pipelines.reporting.answers import say_p, show_p
from tidemark.pipelines.reporting.figures import GROUP_FIGURES
from tidemark.pipelines.templating import Templates, inline_png, prepare_templates

if TYPE_CHECKING:
    from jinja2 import Environment

_WORDS = {
    "predicted_vs_true": "Predicted against true",
    "hexbin": "Density of predicted against true",
    "residual_histogram": "Residuals",
    "residuals_vs_predicted": "Residuals against predicted",
}


def assemble_album(*parts: Any) -> str:
    """Put the figures of a scenario's cells into one piece of HTML that needs no other file.

    Parameters
    ----------
    parts : dict or bytes
        The outcomes of all cells, then the PNG of each, in the order in which its outcome names
        them; empty where one is missing.
    """
    outcomes = [part for part in parts if isinstance(part, dict)]
    pictures = iter(parts[len(outcomes) :])
    folds = []
    for outcome in outcomes:
        cell = f"{outcome['scenario']}.{outcome['model']}"
        shown = "".join(_show(name, next(pictures), cell) for name in outcome["figures"])
        folds.append(f"<details><summary>{cell}</summary>{shown}</details>")
    return "\n".join(folds)


def _show(name: str, png: bytes, cell: str) -> str:
    words = say_figure(name)
    if png == MISSING:
        return f"<p>{words}: could not be drawn.</p>"
    return f'<img loading="lazy" alt="{words} of {cell}" src="{inline_png(png)}">'


def say_figure(name: str) -> str:
    """Say what a cell's figure shows."""
    return _WORDS.get(name, f"{name[0].upper()}{name[1:].replace('_', ' ')}")


def write_markdown(
    findings: dict[str, Any],
    templates: Templates,
    notes: str,
    *figures: bytes,
) -> tuple[str, str, str, str]:
    """Write the summary, the communication report, the memo and the reflection.

    Parameters
    ----------
    templates : dict of str to callable
        Each returns the text of one Jinja template.
    notes : str
        A person's words, copied as they are.
    figures : bytes
        The figures of each group, groups in the order of the findings and figures in that of
        `GROUP_FIGURES`; empty where one is missing.
    """
    environment = _prepare(templates)
    shown = {group: list(pictures) for group, pictures in _by_group(findings, figures).items()}
    names = (
        "scenario_summary.md",
        "model_communication_report.md",
        "model_evaluation_memo.md",
        "reflection.md",
    )
    first, second, third, fourth = (
        environment.get_template(name).render(**findings, shown=shown, notes=notes.strip())
        for name in names
    )
    return first, second, third, fourth


def write_page(findings: dict[str, Any], templates: Templates, *pictures: Any) -> str:
    """Write one page of HTML that needs no other file.

    Parameters
    ----------
    pictures : bytes or str
        The figures of each group as PNG, as for `write_markdown`, then the scenarios' albums.
    """
    n_figures = len(GROUP_FIGURES) * len(findings["groups"])
    figures, albums = pictures[:n_figures], pictures[n_figures:]
    images = {
        group: {name: inline_png(png) for name, png in pictures.items()}
        for group, pictures in _by_group(findings, figures).items()
    }
    page = _prepare(templates).get_template("report.html")
    return page.render(**findings, images=images, albums=albums)


def certify(findings: dict[str, Any], page: str) -> dict[str, Any]:
    """State what a later step may rely on, once the reports are written.

    Returns
    -------
    dict
        ``passed``, whether no audit has failed; the verdicts and what made them; ready for JSON.
    """
    return {
        "study": findings["study"],
        "as_of": findings["as_of"],
        "passed": not findings["leaks"],
        "leaks": findings["leaks"],
        "verdicts": findings["verdicts"],
        "suspicions": findings["suspicions"],
        **findings["made_by"],
    }


def gate(certificate: dict[str, Any]) -> None:
    """End the run where the certificate says that an audit has failed.

    Raises
    ------
    LeakageFound
        With every finding.
    """
    if not certificate["passed"]:
        reasons = "\n".join(f"  - {leak}" for leak in certificate["leaks"])
        raise LeakageFound(
            f"The leakage audit of study '{certificate['study']}' failed:\n{reasons}\n"
            f"The reports are written and say so. Take these features out, or date them right."
        )


def _by_group(findings: dict[str, Any], figures: Sequence[bytes]) -> dict[str, dict[str, bytes]]:
    """Name the figures of each group, but for those that are missing."""
    names = [group["name"] for group in findings["groups"]]
    places = [(group, figure) for group in names for figure in GROUP_FIGURES]
    found: dict[str, dict[str, bytes]] = {group: {} for group in names}
    for (group, figure), png in zip(places, figures, strict=True):
        if png != MISSING:
            found[group][figure] = png
    return found


def _prepare(templates: Templates) -> Environment:
    filters: dict[str, Callable[..., Any]] = {
        "p_value": show_p,
        "p_words": lambda p: f"p {say_p(p)}",
        "with_interval": _with_interval,
        "measure": _show_measure,
        "headline": _show_headline,
        "column": _show_column,
        "words": say_figure,
        "treatment": _show_treatment,
    }
    return prepare_templates(templates, filters)


def _show_treatment(value: Any, item: str) -> str:
    """Show one thing that a scenario did: a rate in percent, a count, or words."""
    if value is None:
        return "-"
    if isinstance(value, str | bool):
        return str(value)
    return f"{100.0 * value:.3f} %" if "rate" in item else f"{value:,.0f}"


def _with_interval(
    row: dict[str, Any], metric: str, scale: float = 1.0, unit: str = "", digits: int = 4
) -> str:
    """Show a metric of a cell with its interval."""
    if not row["is_done"]:
        return str(row["status"])
    value, low, high = (row[f"{metric}{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return "-"
    text = f"{scale * value:.{digits}f}{unit}"
    if low is None or high is None:
        return text
    return f"{text} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def _show_measure(row: dict[str, Any], group: dict[str, Any], digits: int = 4) -> str:
    """Show what a group is ranked by, in its unit."""
    measure = group["measure"]
    return _with_interval(row, measure["metric"], measure["scale"], f" {measure['unit']}", digits)


def _show_headline(row: dict[str, Any], group: dict[str, Any]) -> str:
    """Show how much better than nothing a cell is."""
    one = group["headline"]
    return _with_interval(row, one["metric"], one["scale"], f" {one['unit']}", one["digits"])


def _show_column(row: dict[str, Any], column: dict[str, Any]) -> str:
    """Show what a column holds of a cell: with its interval, or with its t-statistic."""
    if column["statistic"] is None:
        return _with_interval(row, column["metric"], column["scale"], digits=column["digits"])
    if not row["is_done"]:
        return str(row["status"])
    value, statistic = row[column["metric"]], row[column["statistic"]]
    if value is None:
        return "-"
    text = f"{column['scale'] * value:.{column['digits']}f}"
    return text if statistic is None else f"{text} ({statistic:.1f})"
